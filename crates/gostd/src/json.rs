//! Strings in JSON as Go's `encoding/json` reads them: half of a surrogate pair is U+FFFD. What is not UTF-8 becomes that, too:
//! [`crate::carried::repaired`]. And strings and numbers as it writes them.

use std::fmt::Write as _;

/// Appends a string as `json.Marshal` writes it, which HTML could contain; what is not UTF-8 becomes U+FFFD.
pub fn push_string(out: &mut String, text: &[u8]) {
    out.push('"');
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\0'..' ' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                    // Writing to a string does not fail.
                    let _ = write!(out, "\\u{:04x}", u32::from(c));
                }
                c => out.push(c),
            }
        }
        for _ in chunk.invalid() {
            out.push_str("\\ufffd");
        }
    }
    out.push('"');
}

/// Appends a finite number: with an exponent only below 1e-6 and from 1e21 on, and without leading zeros in it.
pub fn push_number(out: &mut String, number: f64) {
    let magnitude = number.abs();
    if magnitude == 0.0 || (1e-6..1e21).contains(&magnitude) {
        let _ = write!(out, "{number}");
    } else {
        let text = format!("{number:e}");
        let plus = if magnitude > 1.0 { "e+" } else { "e" };
        out.push_str(&text.replacen('e', plus, 1));
    }
}

/// The character of the escape sequence that a text begins with, and its length, with the other half of a pair if it follows;
/// `None` when it is not an escape sequence.
pub fn escape(text: &[u8]) -> Option<(char, usize)> {
    let c = match text.strip_prefix(b"\\")?.first()? {
        c @ (b'"' | b'\\' | b'/') => char::from(*c),
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        _ => {
            let units = std::iter::once(unit(text)?).chain(text.get(6..).and_then(unit));
            let c = char::decode_utf16(units).next()?;
            let c = c.unwrap_or(char::REPLACEMENT_CHARACTER);
            return Some((c, 6 * c.len_utf16()));
        }
    };
    Some((c, 2))
}

/// The code unit of `\u` and four digits.
fn unit(text: &[u8]) -> Option<u16> {
    let digits = text.strip_prefix(b"\\u")?.first_chunk::<4>()?;
    digits
        .iter()
        .try_fold(0, |unit, digit| {
            Some(unit << 4 | char::from(*digit).to_digit(16)?)
        })
        .and_then(|unit| u16::try_from(unit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_and_numbers_are_written_as_go_writes_them() {
        let mut out = String::new();
        push_string(
            &mut out,
            b"\"\\\x08\x0c\n\r\t\0\x1f\x7f<>&\xe2\x80\xa8\xc3\xa9\xff\xc3 \xf0\x9f\x98\x80",
        );
        assert_eq!(
            out,
            "\"\\\"\\\\\\b\\f\\n\\r\\t\\u0000\\u001f\x7f\\u003c\\u003e\\u0026\\u2028é\\ufffd\\ufffd 😀\""
        );
        for (number, want) in [
            (1.0, "1"),
            (-0.0, "-0"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1e-6, "0.000001"),
            (2.5e-7, "2.5e-7"),
            (f64::MAX, "1.7976931348623157e+308"),
        ] {
            let mut out = String::new();
            push_number(&mut out, number);
            assert_eq!(out, want);
        }
    }

    #[test]
    fn escapes_are_read_as_go_reads_them() {
        for (text, want) in [
            (r#"\"x"#, Some(('"', 2))),
            (r"\\u0041", Some(('\\', 2))),
            (r"\/", Some(('/', 2))),
            (r"\b", Some(('\u{8}', 2))),
            (r"\f", Some(('\u{c}', 2))),
            (r"\n", Some(('\n', 2))),
            (r"\r", Some(('\r', 2))),
            (r"\t", Some(('\t', 2))),
            (r"\u00e9f", Some(('\u{e9}', 6))),
            (r"\uFFFD", Some(('\u{fffd}', 6))),
            (r"\ud83d\ude00A", Some(('\u{1f600}', 12))),
            (r"\ud83d", Some(('\u{fffd}', 6))),
            (r"\ud83d\u0041", Some(('\u{fffd}', 6))),
            (r"\ud83d\ud83d\ude00", Some(('\u{fffd}', 6))),
            (r"\ud83d\ude0", Some(('\u{fffd}', 6))),
            (r"\ude00\ud83d", Some(('\u{fffd}', 6))),
            (r"\u+041", None),
            (r"\u004", None),
            (r"\U0041", None),
            (r"\'", None),
            (r"\é", None),
            ("\\", None),
            ("n", None),
            ("", None),
        ] {
            assert_eq!(escape(text.as_bytes()), want, "{text}");
        }
    }
}
