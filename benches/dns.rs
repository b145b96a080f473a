//! What it costs to read and print an answer, which a dns probe does once.
#![allow(missing_docs, reason = "a benchmark has no callers")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark may fail loudly"
)]

use divan::{Bencher, black_box};
use miekg_dns::Message;

fn main() {
    divan::main();
}

/// A message with a question and the same record over and over.
fn answer(record: &[u8], count: u16) -> Vec<u8> {
    let mut message = b"\x12\x34\x81\x80\0\x01\0\0\0\0\0\0\x07example\x04test\0\0\x01\0\x01".to_vec();
    message[6..8].copy_from_slice(&count.to_be_bytes());
    for _ in 0..count {
        message.extend(record);
    }
    message
}

/// The usual answer: one address.
#[divan::bench]
fn address(bencher: Bencher) {
    let message = answer(b"\xc0\x0c\0\x01\0\x01\0\0\x01\x2c\0\x04\xc0\0\x02\x01", 1);
    bencher.bench(|| Message::read(black_box(&message)));
}

/// A zone's SOA record: names and numbers.
#[divan::bench]
fn soa(bencher: Bencher) {
    let mut data = b"\x03ns1\xc0\x0c\x05admin\xc0\x0c".to_vec();
    data.extend(
        [2_026_010_203_u32, 7200, 3600, 1_209_600, 300]
            .into_iter()
            .flat_map(u32::to_be_bytes),
    );
    let mut record = b"\xc0\x0c\0\x06\0\x01\0\0\x01\x2c\0".to_vec();
    record.extend(u8::try_from(data.len()));
    record.extend(data);
    let message = answer(&record, 1);
    bencher.bench(|| Message::read(black_box(&message)));
}

/// The longest message there is, full of addresses.
#[divan::bench]
fn longest(bencher: Bencher) {
    let message = answer(
        b"\xc0\x0c\0\x1c\0\x01\0\0\x01\x2c\0\x10\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01",
        2338,
    );
    bencher.bench(|| Message::read(black_box(&message)));
}
