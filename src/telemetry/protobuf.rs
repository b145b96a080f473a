//! Messages of OTLP, written field by field. Numbers are those of opentelemetry-proto 1.

use gostd::protobuf::read_varint;
pub(super) use gostd::protobuf::{bytes, double, fixed32, fixed64, message, number};

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

/// An `AnyValue`.
pub(super) fn any(out: &mut Vec<u8>, field: u64, value: Any<'_>) {
    message(out, field, |out| match value {
        Any::Text(text) => bytes(out, 1, text.as_bytes()),
        Any::Bool(truth) => number(out, 2, u64::from(truth)),
        // Negative numbers have ten bytes.
        Any::Int(value) => number(out, 3, value as u64),
        Any::Float(value) => double(out, 4, value),
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
    /// What is behind the key of field 1 at the front.
    fn first(text: &[u8], kind: u8) -> Option<&[u8]> {
        text.split_first()
            .and_then(|(key, rest)| (*key == 1 << 3 | kind).then_some(rest))
    }
    let within = |text| -> Option<u64> {
        let mut rest = first(text, 2)?;
        let length = read_varint(&mut rest).ok()?;
        let partial = rest.get(..usize::try_from(length).ok()?)?;
        read_varint(&mut first(partial, 0)?).ok()
    };
    // It has a sign.
    within(answer)
        .filter(|count| i64::try_from(*count).is_ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

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
            b"\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        ] {
            assert_eq!(rejected(odd), 0, "{odd:?}");
        }
    }
}
