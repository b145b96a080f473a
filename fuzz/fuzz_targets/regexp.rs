//! A pattern and a text, divided by a newline.
#![no_main]

use go_regexp::Regexp;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some(end) = data.iter().position(|b| *b == b'\n') else {
        return;
    };
    let (pattern, text) = data.split_at(end);
    let Ok(pattern) = std::str::from_utf8(pattern) else {
        return;
    };
    if let Ok(regexp) = Regexp::new(pattern) {
        assert_eq!(regexp.is_match(text), regexp.captures(text).is_some());
    }
});
