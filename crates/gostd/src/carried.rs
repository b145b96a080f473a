//! Bytes in text. Targets come percent-encoded and may hold any byte, but are text nearly everywhere: in names, messages
//! and logs. A byte that is not UTF-8 is carried as one character from near the end of the last private plane, as Python
//! does with surrogates (PEP 383), and becomes the byte again where it goes out: in a request, a path, a log line.
//!
//! What was [`text`] gives the same [`bytes`] back, whatever they were: the characters that carry are carried themselves.

use std::borrow::Cow;

/// A stray byte, 0x80 to 0xff, is this character plus the byte.
const BASE: u32 = 0x10_fd00;

/// The bytes as text, which [`bytes`] undoes.
pub fn text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !holds_carried(text) => Cow::Borrowed(text),
        _ => Cow::Owned(carry(bytes)),
    }
}

/// As [`text`], of bytes that are not needed any more.
pub fn owned(bytes: Vec<u8>) -> String {
    match String::from_utf8(bytes) {
        Ok(text) if !holds_carried(&text) => text,
        Ok(text) => carry(text.as_bytes()),
        Err(error) => carry(error.as_bytes()),
    }
}

fn carry(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 16);
    let push_stray = |out: &mut String, bytes: &[u8]| {
        out.extend(
            bytes
                .iter()
                .filter_map(|byte| char::from_u32(BASE + u32::from(*byte))),
        );
    };
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match carries(c) {
                true => push_stray(&mut out, c.encode_utf8(&mut [0; 4]).as_bytes()),
                false => out.push(c),
            }
        }
        push_stray(&mut out, chunk.invalid());
    }
    out
}

/// The bytes that a text stands for.
pub fn bytes(text: &str) -> Cow<'_, [u8]> {
    if !holds_carried(text) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut out = Vec::with_capacity(text.len());
    for c in text.chars() {
        match carried(c) {
            Some(byte) => out.push(byte),
            None => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Cow::Owned(out)
}

/// The text for people and for what takes nothing but text: U+FFFD where a byte is carried.
pub fn lossy(text: &str) -> Cow<'_, str> {
    match bytes(text) {
        Cow::Borrowed(_) => Cow::Borrowed(text),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

/// The bytes as text, with U+FFFD in the place of each byte that is not UTF-8, as Go reads them.
pub fn repaired(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + bytes.len() / 8);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(std::iter::repeat_n(
            char::REPLACEMENT_CHARACTER,
            chunk.invalid().len(),
        ));
    }
    text
}

fn holds_carried(text: &str) -> bool {
    !text.is_ascii() && text.chars().any(carries)
}

fn carries(c: char) -> bool {
    carried(c).is_some()
}

fn carried(c: char) -> Option<u8> {
    let byte = u8::try_from(u32::from(c).checked_sub(BASE)?).ok()?;
    (!byte.is_ascii()).then_some(byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back() {
        let all: Vec<u8> = (0..=255).collect();
        let rows: &[&[u8]] = &[
            b"",
            b"a.test",
            "b\u{fc}cher".as_bytes(),
            b"a\xffb",
            b"\xf0\x9f\x98",
            "\u{10fd80}\u{10fdff}\u{10ffff}\u{fffd}".as_bytes(),
            &all,
        ];
        for row in rows {
            assert_eq!(&*bytes(&text(row)), *row, "{row:?}");
        }
    }

    #[test]
    fn text_is_left_alone() {
        assert_eq!(text("b\u{fc}cher".as_bytes()), "b\u{fc}cher");
        assert_eq!(lossy(&text(b"a\xffb\xf4\x8f\xb7\xbf")), "a\u{fffd}b\u{10fdff}");
    }
}
