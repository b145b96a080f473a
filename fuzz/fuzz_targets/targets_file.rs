//! A targets file.
#![no_main]

use blackbox_exporter::config::files::targets::Targets;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &str| {
    let _ = Targets::parse(data);
});
