//! The `Accept` and `Accept-Encoding` headers of a scraper.
#![no_main]

use exposition::negotiate::{Exposition, wants_gzip};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &str| {
    let _ = Exposition::negotiate(Some(data)).content_type();
    let _ = wants_gzip([data].into_iter());
});
