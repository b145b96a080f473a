//! Strings in JSON as Go's `encoding/json` reads them: half of a surrogate pair is U+FFFD. What is not UTF-8 becomes that, too:
//! [`crate::carried::repaired`].

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
