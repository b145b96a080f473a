//! Text as Go's `strconv` reads and prints it: quoted strings, numbers, and the words of its errors. They are part of
//! the contract: they stand in logs, error answers and usage messages.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::LazyLock;

use regex_automata::meta::Regex;

use crate::carried;

/// What Go calls printable beyond ASCII: letters, marks, numbers, punctuation and symbols.
static PRINTABLE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^[\p{L}\p{M}\p{N}\p{P}\p{S}]$").ok());

/// Whether Go prints the character as it is (`unicode.IsPrint`).
pub fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return matches!(c, ' '..='~');
    }
    let mut buffer = [0; 4];
    PRINTABLE
        .as_ref()
        .is_some_and(|printable| printable.is_match(&*c.encode_utf8(&mut buffer)))
}

/// `strconv.Quote`: the text in double quotes, with Go's escapes; a [carried] byte is `\xff`.
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    push_quoted(&mut quoted, text);
    quoted
}

/// [`quote`] for text that need not be UTF-8.
pub fn quote_bytes(text: impl AsRef<[u8]>) -> String {
    let mut quoted = String::new();
    push_quoted_bytes(&mut quoted, text.as_ref());
    quoted
}

/// Appends [`quote`]d text.
pub fn push_quoted(out: &mut String, text: &str) {
    push_quoted_bytes(out, &carried::bytes(text));
}

fn push_quoted_bytes(out: &mut String, text: &[u8]) {
    out.push('"');
    for chunk in text.utf8_chunks() {
        push_escaped(out, chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a string does not fail.
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out.push('"');
}

fn push_escaped(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x0b' => out.push_str("\\v"),
            c if is_printable(c) => out.push(c),
            // Writing to a string does not fail.
            c if u32::from(c) < 0x80 => drop(write!(out, "\\x{:02x}", u32::from(c))),
            c if u32::from(c) < 0x1_0000 => drop(write!(out, "\\u{:04x}", u32::from(c))),
            c => drop(write!(out, "\\U{:08x}", u32::from(c))),
        }
    }
}

/// Why a text is no number; displays as Go's `*strconv.NumError`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "strconv.{function}: parsing {}: {}",
    quote(.input),
    if *.out_of_range { "value out of range" } else { "invalid syntax" }
)]
pub struct NumError {
    /// `ParseFloat`, `ParseUint`.
    pub function: &'static str,
    /// What was to be read.
    pub input: String,
    /// Too large rather than malformed.
    pub out_of_range: bool,
}

/// `strconv.ParseFloat(text, 64)`.
///
/// # Errors
/// Malformed or too large a number.
pub fn parse_float(text: &str) -> Result<f64, NumError> {
    let error = |out_of_range| NumError {
        function: "ParseFloat",
        input: text.to_owned(),
        out_of_range,
    };
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let negative = text.starts_with('-');
    let lower = unsigned.to_ascii_lowercase();
    match lower.as_str() {
        "inf" | "infinity" if negative => return Ok(f64::NEG_INFINITY),
        "inf" | "infinity" => return Ok(f64::INFINITY),
        // Go takes no sign before it.
        "nan" if unsigned.len() == text.len() => return Ok(f64::NAN),
        _ => {}
    }
    let digits: Cow<'_, str> = if lower.contains('_') {
        if !underscores_between_digits(&lower) {
            return Err(error(false));
        }
        lower.replace('_', "").into()
    } else {
        lower.into()
    };
    let magnitude = match digits.strip_prefix("0x") {
        Some(hex) => hex_float(hex).ok_or_else(|| error(false))?,
        // Rust reads what Go reads, apart from the words and signs that are dealt with above.
        None if digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') => {
            digits.parse::<f64>().map_err(|_| error(false))?
        }
        None => return Err(error(false)),
    };
    if magnitude.is_infinite() {
        return Err(error(true));
    }
    Ok(if negative { -magnitude } else { magnitude })
}

/// Underscores must stand between digits; a base prefix counts as one. `text` is in lower case and has no sign.
fn underscores_between_digits(text: &str) -> bool {
    let (mut saw, rest, hex) = match text.as_bytes() {
        [b'0', b'x', rest @ ..] => (b'0', rest, true),
        [b'0', b'b' | b'o', rest @ ..] => (b'0', rest, false),
        rest => (b'^', rest, false),
    };
    for byte in rest {
        let digit = byte.is_ascii_digit() || (hex && byte.is_ascii_hexdigit());
        if digit {
            saw = b'0';
        } else if *byte == b'_' {
            if saw != b'0' {
                return false;
            }
            saw = b'_';
        } else {
            if saw == b'_' {
                return false;
            }
            saw = b'!';
        }
    }
    saw != b'_'
}

/// A hexadecimal number after its `0x`, in lower case: `1.8p-2`. The exponent is required.
fn hex_float(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once('p')?;
    let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    if unsigned.is_empty() || !unsigned.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let exponent = unsigned.parse::<i32>().unwrap_or(10_000).min(10_000)
        * if exponent.starts_with('-') { -1 } else { 1 };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let (mut value, mut scale) = (0_u64, exponent);
    for (index, c) in whole.chars().chain(fraction.chars()).enumerate() {
        let digit = u64::from(c.to_digit(16)?);
        let in_fraction = index >= whole.len();
        if value >> 59 == 0 {
            value = value << 4 | digit;
            scale -= if in_fraction { 4 } else { 0 };
        } else {
            // Digits beyond the precision only matter for rounding.
            value |= u64::from(digit != 0);
            scale += if in_fraction { 0 } else { 4 };
        }
    }
    // In two steps, so that the power itself neither overflows nor vanishes.
    let half = scale / 2;
    Some(value as f64 * 2_f64.powi(half) * 2_f64.powi(scale - half))
}

/// `strconv.ParseUint(text, 10, 64)`, or with base 0 when `any_base`: `0x10`, `0b1`, `0o7`, `017`, underscores.
///
/// # Errors
/// Malformed or too large a number.
pub fn parse_uint(text: &str, any_base: bool) -> Result<u64, NumError> {
    let error = |out_of_range| NumError {
        function: "ParseUint",
        input: text.to_owned(),
        out_of_range,
    };
    let lower = text.to_ascii_lowercase();
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] if any_base => (16, lower.get(2..)),
        [b'0', b'b', ..] if any_base => (2, lower.get(2..)),
        [b'0', b'o', ..] if any_base => (8, lower.get(2..)),
        [b'0', _, ..] if any_base => (8, lower.get(1..)),
        _ => (10, Some(lower.as_str())),
    };
    let mut digits = Cow::Borrowed(digits.unwrap_or(""));
    if any_base && digits.contains('_') {
        if !underscores_between_digits(&lower) {
            return Err(error(false));
        }
        digits = digits.replace('_', "").into();
    }
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return Err(error(false));
    }
    u64::from_str_radix(&digits, radix).map_err(|_| error(true))
}

/// A duration as Go prints it: `1m30s`, `1.5s`, `200ms`, `0s`.
pub fn duration(nanoseconds: i64) -> String {
    let magnitude = nanoseconds.unsigned_abs();
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let fraction = |value: u64, unit: u64, name: &str| {
        let (whole, rest) = (value / unit, value % unit);
        if rest == 0 {
            return format!("{whole}{name}");
        }
        let width = unit.ilog10() as usize;
        let digits = format!("{rest:0width$}");
        format!("{whole}.{}{name}", digits.trim_end_matches('0'))
    };
    let text = match magnitude {
        0 => "0s".to_owned(),
        1..1_000 => format!("{magnitude}ns"),
        1_000..1_000_000 => fraction(magnitude, 1_000, "µs"),
        1_000_000..1_000_000_000 => fraction(magnitude, 1_000_000, "ms"),
        _ => {
            let minutes = magnitude / 60_000_000_000;
            let seconds = fraction(magnitude % 60_000_000_000, 1_000_000_000, "s");
            match (minutes / 60, minutes % 60) {
                (0, 0) => seconds,
                (0, minutes) => format!("{minutes}m{seconds}"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
            }
        }
    };
    format!("{sign}{text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_as_go() {
        for (text, quoted) in [
            ("plain", r#""plain""#),
            ("a\"b\\c\n\t\u{7}\u{1}\u{7f}", r#""a\"b\\c\n\t\a\x01\x7f""#),
            ("北 é", r#""北 é""#),
            (
                "\u{a0}\u{200b}\u{feff}\u{e000}\u{10ffff}",
                r#""\u00a0\u200b\ufeff\ue000\U0010ffff""#,
            ),
            ("e\u{301}", "\"e\u{301}\""),
        ] {
            assert_eq!(quote(text), quoted);
        }
        assert_eq!(quote_bytes(b"v4\xa0\x0b"), "\"v4\\xa0\\v\"");
    }

    #[test]
    fn reads_floats_as_go() {
        for (text, value) in [
            ("10", 10.0),
            ("+5", 5.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("9e1", 90.0),
            ("-0", -0.0),
            ("InF", f64::INFINITY),
            ("-infinity", f64::NEG_INFINITY),
            ("0x1p-2", 0.25),
            ("0X1.8P1", 3.0),
            ("1_23.50_0_0e+1_2", 1.235e14),
            ("0x_1_0p0", 16.0),
            ("0x.8p0", 0.5),
            ("1e-999", 0.0),
            ("-0x10p-4", -1.0),
        ] {
            assert_eq!(parse_float(text).unwrap(), value, "{text}");
        }
        assert!(parse_float("nan").unwrap().is_nan());
        for text in [
            "", " ", "soon", "10s", "1,5", "--1", "+nan", "+-1", "_1", "1_", "1__0", "0x1", "0xp1", "1e",
            "e5", "infin", "0x1p", ".",
        ] {
            let error = parse_float(text).unwrap_err();
            assert!(!error.out_of_range, "{text}");
        }
        assert_eq!(
            parse_float("1e999").unwrap_err().to_string(),
            r#"strconv.ParseFloat: parsing "1e999": value out of range"#
        );
    }

    #[test]
    fn reads_whole_numbers_as_go() {
        assert_eq!(parse_uint("100", true), Ok(100));
        assert_eq!(parse_uint("0x1F", true), Ok(31));
        assert_eq!(parse_uint("017", true), Ok(15));
        assert_eq!(parse_uint("1_000", true), Ok(1000));
        assert_eq!(parse_uint("0", true), Ok(0));
        for text in ["", "-1", "+1", "1.5", "many", "0x", "08", "1__0"] {
            assert!(!parse_uint(text, true).unwrap_err().out_of_range, "{text}");
        }
        assert!(parse_uint("99999999999999999999", true).unwrap_err().out_of_range);
        assert!(parse_uint("1_0", false).is_err());
    }

    #[test]
    fn prints_durations_as_go() {
        for (nanoseconds, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_500, "1.5µs"),
            (200_000_000, "200ms"),
            (1_500_000_000, "1.5s"),
            (90_000_000_000, "1m30s"),
            (3_600_000_000_000, "1h0m0s"),
            (-5_000_000_000, "-5s"),
        ] {
            assert_eq!(duration(nanoseconds), text);
        }
    }
}
