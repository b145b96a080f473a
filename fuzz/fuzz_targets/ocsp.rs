//! An OCSP response: it is one, or it is not; what it says of a certificate that nobody signed it for is nothing.
#![no_main]

use std::sync::LazyLock;

use go_x509::{Certificate, OcspResponse, blocks, ocsp_request};
use libfuzzer_sys::fuzz_target;

/// The root of the conformance suite.
static ROOT: LazyLock<Certificate> = LazyLock::new(|| {
    let pem = include_bytes!("../../tests/conformance/certs/root.pem");
    let block = blocks(pem).next().expect("a block");
    Certificate::parse(&block.bytes).expect("a certificate")
});

fuzz_target!(|data: &[u8]| {
    if let Ok(response) = OcspResponse::parse(data) {
        assert!(response.answer(&ROOT, &ROOT, 1_800_000_000).is_err());
    }
    if let Ok(certificate) = Certificate::parse(data) {
        let _ = ocsp_request(&certificate, &ROOT);
        let _ = (
            certificate.embedded_timestamps(),
            certificate.ocsp_urls().count(),
            certificate.issuer_urls().count(),
            certificate.names_issuer(&ROOT),
        );
    }
});
