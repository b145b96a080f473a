//! A DNS message: it is read, or it is malformed; nothing else.
#![no_main]

use libfuzzer_sys::fuzz_target;
use miekg_dns::Message;

fuzz_target!(|data: &[u8]| {
    if let Ok(message) = Message::read(data) {
        let _ = message.summary();
    }
});
