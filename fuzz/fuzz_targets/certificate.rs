//! A certificate in DER: it is parsed, or it is not one; what is parsed can be shown.
#![no_main]

use go_x509::Certificate;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(certificate) = Certificate::parse(data) {
        let _ = (
            certificate.subject(),
            certificate.issuer(),
            certificate.serial(),
            certificate.fingerprint(),
        );
        let _ =
            certificate.dns_names().count() + certificate.ip_addresses().count() + certificate.uris().count();
    }
});
