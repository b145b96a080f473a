//! A configuration file: any text is loaded or refused with errors that can be shown.
#![no_main]

use blackbox_exporter::module;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Err(error) = module::parse(data, "fuzz.yml") {
        let _ = (error.to_string(), error.quoted());
    }
});
