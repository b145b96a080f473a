//! Messages of OTLP, written field by field. Numbers are those of opentelemetry-proto 1.

const VARINT: u64 = 0;
const FIXED_64: u64 = 1;
const LENGTH_DELIMITED: u64 = 2;
const FIXED_32: u64 = 5;

/// The value of an attribute.
#[derive(Clone, Copy, Debug)]
pub(super) enum Any<'a> {
    Text(&'a str),
    Bool(bool),
    Int(i64),
    Float(f64),
}

impl<'a> From<&'a str> for Any<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Any<'_> {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn key(out: &mut Vec<u8>, field: u64, kind: u64) {
    varint(out, field << 3 | kind);
}

pub(super) fn bytes(out: &mut Vec<u8>, field: u64, value: &[u8]) {
    key(out, field, LENGTH_DELIMITED);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

pub(super) fn number(out: &mut Vec<u8>, field: u64, value: u64) {
    key(out, field, VARINT);
    varint(out, value);
}

pub(super) fn fixed64(out: &mut Vec<u8>, field: u64, value: u64) {
    key(out, field, FIXED_64);
    out.extend_from_slice(&value.to_le_bytes());
}

pub(super) fn fixed32(out: &mut Vec<u8>, field: u64, value: u32) {
    key(out, field, FIXED_32);
    out.extend_from_slice(&value.to_le_bytes());
}

/// A message within a message.
pub(super) fn message(out: &mut Vec<u8>, field: u64, fill: impl FnOnce(&mut Vec<u8>)) {
    key(out, field, LENGTH_DELIMITED);
    let start = out.len();
    // The length of nearly every message has one byte or two: the message moves up by what is missing.
    out.push(0);
    fill(out);
    let length = (out.len() - start - 1) as u64;
    let mut prefix = Vec::with_capacity(5);
    varint(&mut prefix, length);
    out.splice(start..=start, prefix);
}

/// An `AnyValue`.
pub(super) fn any(out: &mut Vec<u8>, field: u64, value: Any<'_>) {
    message(out, field, |out| match value {
        Any::Text(text) => bytes(out, 1, text.as_bytes()),
        Any::Bool(truth) => number(out, 2, u64::from(truth)),
        // Negative numbers have ten bytes.
        Any::Int(value) => number(out, 3, value as u64),
        Any::Float(value) => fixed64(out, 4, value.to_bits()),
    });
}

/// A `KeyValue`.
pub(super) fn attribute<'a>(out: &mut Vec<u8>, field: u64, name: &str, value: impl Into<Any<'a>>) {
    message(out, field, |out| {
        bytes(out, 1, name.as_bytes());
        any(out, 2, value.into());
    });
}

/// The number that field 1 of field 1 has: how many spans or records a receiver of OTLP rejected. What cannot be read is 0.
pub(super) fn rejected(answer: &[u8]) -> u64 {
    let within = |text: &[u8]| -> Option<u64> {
        let (first, rest) = text.split_first()?;
        (*first == (1 << 3 | LENGTH_DELIMITED) as u8).then_some(())?;
        let (length, rest) = read_varint(rest)?;
        let partial = rest.get(..usize::try_from(length).ok()?)?;
        let (first, rest) = partial.split_first()?;
        (*first == (1 << 3 | VARINT) as u8).then_some(())?;
        Some(read_varint(rest)?.0)
    };
    within(answer).unwrap_or(0)
}

fn read_varint(text: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (i, byte) in text.iter().take(9).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return Some((value, text.get(i + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_messages_have_long_lengths() {
        for size in [0, 1, 120, 127, 128, 300, 20_000] {
            let mut out = vec![9];
            message(&mut out, 5, |out| out.resize(out.len() + size, 7));
            let (length, body) = read_varint(&out[2..]).unwrap();
            assert_eq!((out[0], out[1]), (9, 5 << 3 | 2));
            assert_eq!((length as usize, body), (size, vec![7; size].as_slice()));
        }
    }

    #[test]
    fn what_was_rejected_is_read() {
        let mut answer = Vec::new();
        message(&mut answer, 1, |out| {
            number(out, 1, 300);
            bytes(out, 2, b"too old");
        });
        assert_eq!(rejected(&answer), 300);
        for odd in [
            &b""[..],
            b"{}",
            &answer[..3],
            &[0x0a, 0xff, 0xff, 0xff],
            b"\x0a\x00",
        ] {
            assert_eq!(rejected(odd), 0, "{odd:?}");
        }
    }
}
