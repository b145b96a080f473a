//! A scalar at places of every type: durations, sizes, numbers, booleans, lists, regular expressions.
#![no_main]

use blackbox_exporter::module;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &str| {
    let text = format!(
        "modules:\n  m:\n    prober: http\n    timeout: {data}\n    http:\n      body_size_limit: {data}\n      fail_if_ssl: {data}\n      \
         valid_status_codes: [{data}]\n      fail_if_body_matches_regexp: [{data}]\n      headers: {{X: {data}}}\n"
    );
    let _ = module::parse(text.as_bytes(), "fuzz.yml");
});
