//! What a scalar means: the rules of go.yaml.in/yaml/v3 (`resolve.go`), which are YAML 1.2's with a memory of 1.1.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use gostd::calendar;

/// Short tags.
pub const NULL: &str = "!!null";
/// The tag of `<<`.
pub const MERGE: &str = "!!merge";
/// The tag of truth values.
pub const BOOL: &str = "!!bool";
const TEXT: &str = "!!str";
const INT: &str = "!!int";
const FLOAT: &str = "!!float";
const TIMESTAMP: &str = "!!timestamp";
const BINARY: &str = "!!binary";

/// The meaning of a scalar.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Scalar<'a> {
    Null,
    Bool(bool),
    Int(i64),
    /// Above the range of `Int`.
    Uint(u64),
    Float(f64),
    /// A date or a moment; kept as written.
    Timestamp(&'a str),
    Text(&'a str),
    /// Decoded `!!binary`.
    Bytes(Vec<u8>),
}

impl Scalar<'_> {
    /// The short tag that messages show.
    pub fn tag(&self) -> &'static str {
        match self {
            Self::Null => NULL,
            Self::Bool(_) => BOOL,
            Self::Int(_) | Self::Uint(_) => INT,
            Self::Float(_) => FLOAT,
            Self::Timestamp(_) => TIMESTAMP,
            Self::Text(_) => TEXT,
            Self::Bytes(_) => BINARY,
        }
    }
}

/// Whether an unquoted text without tag means null.
pub fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// Decides what a scalar means.
///
/// # Errors
/// The tag says something else than the text, or the base64 is broken.
pub fn resolve<'a>(tag: Option<&str>, text: &'a str, plain: bool) -> Result<Scalar<'a>, Cow<'static, str>> {
    match tag {
        None | Some("!") if !plain => Ok(Scalar::Text(text)),
        None | Some("!") => Ok(untagged(text)),
        Some(TEXT) => Ok(Scalar::Text(text)),
        Some(BINARY) => BASE64
            .decode(text.replace(['\n', '\r'], ""))
            .map(Scalar::Bytes)
            .map_err(|e| format!("!!binary value contains invalid base64 data: {e}").into()),
        Some(tag @ (BOOL | INT | FLOAT | NULL | TIMESTAMP)) => {
            let found = match untagged(text) {
                Scalar::Timestamp(_) if tag != TIMESTAMP => Scalar::Text(text),
                Scalar::Int(number) if tag == FLOAT => Scalar::Float(number as f64),
                other => other,
            };
            if found.tag() == tag {
                Ok(found)
            } else {
                Err(format!("cannot decode {} `{text}` as a {tag}", found.tag()).into())
            }
        }
        Some(_) => Ok(Scalar::Text(text)),
    }
}

/// Whether a text that stood unquoted would be read back as a text, also by readers of YAML 1.1. Go's writers forget
/// that `<<` would not.
pub fn is_text(text: &str) -> bool {
    matches!(untagged(text), Scalar::Text(_)) && old_boolean(text).is_none()
}

/// YAML 1.1's other words for truth, which count where a truth value is wanted.
pub fn old_boolean(text: &str) -> Option<bool> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

fn untagged(text: &str) -> Scalar<'_> {
    if is_null(text) {
        return Scalar::Null;
    }
    match text {
        "true" | "True" | "TRUE" => return Scalar::Bool(true),
        "false" | "False" | "FALSE" => return Scalar::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Scalar::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Scalar::Float(f64::NEG_INFINITY),
        _ => {}
    }
    let number = match text.as_bytes().first() {
        Some(b'.') => go_float(text).map(Scalar::Float),
        Some(b'+' | b'-' | b'0'..=b'9') if is_timestamp(text) => Some(Scalar::Timestamp(text)),
        Some(b'+' | b'-' | b'0'..=b'9') => number(text),
        _ => None,
    };
    number.unwrap_or(Scalar::Text(text))
}

fn number(text: &str) -> Option<Scalar<'static>> {
    let plain: Cow<'_, str> = if text.contains('_') {
        text.replace('_', "").into()
    } else {
        text.into()
    };
    integer(&plain)
        .or_else(|| yaml_float(&plain).map(Scalar::Float))
        .or_else(|| prefixed(&plain, "0o", 8))
}

/// Go's `strconv.ParseInt(text, 0, 64)`, then `ParseUint`: the prefix names the base, a leading 0 means octal.
fn integer(text: &str) -> Option<Scalar<'static>> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => ("-", text.get(1..)?),
        b'+' => ("+", text.get(1..)?),
        _ => ("", text),
    };
    let (base, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, digits.get(2..)?),
        [b'0', b'b' | b'B', ..] => (2, digits.get(2..)?),
        [b'0', b'o' | b'O', ..] => (8, digits.get(2..)?),
        [b'0', _, ..] => (8, digits.get(1..)?),
        _ => (10, digits),
    };
    if digits.is_empty() || !digits.bytes().all(|b| char::from(b).is_digit(base)) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, base).ok()?;
    match sign {
        "-" if magnitude == 1 << 63 => Some(Scalar::Int(i64::MIN)),
        "-" => i64::try_from(magnitude).ok().map(|n| Scalar::Int(-n)),
        "+" => i64::try_from(magnitude).ok().map(Scalar::Int),
        _ => Some(i64::try_from(magnitude).map_or(Scalar::Uint(magnitude), Scalar::Int)),
    }
}

/// `0o…` with a sign between prefix and digits, which `strconv.ParseInt` of the rest lets through.
fn prefixed(text: &str, prefix: &str, base: u32) -> Option<Scalar<'static>> {
    let rest = text.strip_prefix(prefix)?;
    i64::from_str_radix(rest, base).ok().map(Scalar::Int)
}

/// `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`
fn yaml_float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (unsigned.get(..at)?, Some(unsigned.get(at + 1..)?)),
        None => (unsigned, None),
    };
    let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let mantissa_fits = match mantissa.split_once('.') {
        Some(("", fraction)) => !fraction.is_empty() && all_digits(fraction),
        Some((whole, fraction)) => all_digits(whole) && all_digits(fraction),
        None => !mantissa.is_empty() && all_digits(mantissa),
    };
    let exponent_fits = exponent.is_none_or(|e| {
        let digits = e.strip_prefix(['-', '+']).unwrap_or(e);
        !digits.is_empty() && all_digits(digits)
    });
    let value: f64 = (mantissa_fits && exponent_fits)
        .then(|| text.parse().ok())
        .flatten()?;
    // strconv.ParseFloat reports a value out of range as an error.
    value.is_finite().then_some(value)
}

/// A text that begins with a point: Go tries `strconv.ParseFloat`, which also knows underscores nowhere and hexadecimal
/// only behind `0x`, so the rule of [`yaml_float`] covers it.
fn go_float(text: &str) -> Option<f64> {
    yaml_float(text)
}

/// The four forms that `time.Parse` is tried with.
fn is_timestamp(text: &str) -> bool {
    let bytes = text.as_bytes();
    let year = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
    if year != 4 || bytes.get(4) != Some(&b'-') {
        return false;
    }
    let mut rest = text.get(5..).unwrap_or_default();
    let (Some(month), true) = (one_or_two(&mut rest), eat(&mut rest, '-')) else {
        return false;
    };
    let Some(day) = one_or_two(&mut rest) else {
        return false;
    };
    let year = text
        .get(..4)
        .and_then(|year| year.parse().ok())
        .unwrap_or_default();
    if calendar::days_of_valid(year, month.into(), day.into()).is_none() {
        return false;
    }
    if rest.is_empty() {
        return true;
    }
    let zoned = rest.starts_with(['T', 't']);
    if !zoned && !rest.starts_with(' ') {
        return false;
    }
    rest = rest.get(1..).unwrap_or_default();
    let clock = (|| {
        let hour = one_or_two(&mut rest)?;
        let minute = eat(&mut rest, ':').then(|| one_or_two(&mut rest)).flatten()?;
        let second = eat(&mut rest, ':').then(|| one_or_two(&mut rest)).flatten()?;
        Some(hour < 24 && minute < 60 && second < 60)
    })();
    if clock != Some(true) {
        return false;
    }
    if rest.starts_with(['.', ',']) {
        let digits = rest.bytes().skip(1).take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return false;
        }
        rest = rest.get(1 + digits..).unwrap_or_default();
    }
    match (zoned, rest.as_bytes()) {
        (false, []) | (true, b"Z") => true,
        (true, [b'+' | b'-', a, b, b':', c, d]) => {
            let two = |x: &u8, y: &u8| {
                (x.is_ascii_digit() && y.is_ascii_digit()).then(|| (x - b'0') * 10 + (y - b'0'))
            };
            two(a, b).is_some_and(|h| h <= 24) && two(c, d).is_some_and(|m| m < 60)
        }
        _ => false,
    }
}

fn one_or_two(rest: &mut &str) -> Option<u32> {
    let digits = rest.bytes().take(2).take_while(u8::is_ascii_digit).count();
    let (head, tail) = rest.split_at_checked(digits)?;
    *rest = tail;
    head.parse().ok()
}

fn eat(rest: &mut &str, wanted: char) -> bool {
    match rest.strip_prefix(wanted) {
        Some(tail) => {
            *rest = tail;
            true
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_texts() {
        let rows: &[(&str, Scalar)] = &[
            ("", Scalar::Null),
            ("~", Scalar::Null),
            ("NULL", Scalar::Null),
            ("nULL", Scalar::Text("nULL")),
            ("True", Scalar::Bool(true)),
            ("tRUE", Scalar::Text("tRUE")),
            ("yes", Scalar::Text("yes")),
            ("0", Scalar::Int(0)),
            ("-0", Scalar::Int(0)),
            ("+12", Scalar::Int(12)),
            ("0xC8", Scalar::Int(200)),
            ("0310", Scalar::Int(200)),
            ("0o310", Scalar::Int(200)),
            ("0b11", Scalar::Int(3)),
            ("-0x10", Scalar::Int(-16)),
            ("2_00", Scalar::Int(200)),
            ("08", Scalar::Float(8.0)),
            ("9223372036854775807", Scalar::Int(i64::MAX)),
            ("9223372036854775808", Scalar::Uint(1 << 63)),
            ("-9223372036854775808", Scalar::Int(i64::MIN)),
            ("18446744073709551616", Scalar::Float(18446744073709551616.0)),
            ("1.5", Scalar::Float(1.5)),
            ("1.", Scalar::Float(1.0)),
            (".5", Scalar::Float(0.5)),
            ("1e3", Scalar::Float(1000.0)),
            ("1e999", Scalar::Text("1e999")),
            ("1.5.1", Scalar::Text("1.5.1")),
            ("-", Scalar::Text("-")),
            ("-.inf", Scalar::Float(f64::NEG_INFINITY)),
            ("2026-01-01", Scalar::Timestamp("2026-01-01")),
            ("2026-02-30", Scalar::Text("2026-02-30")),
            ("2026-1-1T1:2:3Z", Scalar::Timestamp("2026-1-1T1:2:3Z")),
            (
                "2026-01-01 10:00:00.5",
                Scalar::Timestamp("2026-01-01 10:00:00.5"),
            ),
            ("2026-01-01T10:00:00", Scalar::Text("2026-01-01T10:00:00")),
            ("200-299", Scalar::Text("200-299")),
            ("5s", Scalar::Text("5s")),
            ("<<", Scalar::Text("<<")),
        ];
        for (text, meaning) in rows {
            assert_eq!(resolve(None, text, true).as_ref(), Ok(meaning), "{text}");
        }
        assert!(matches!(resolve(None, ".NaN", true), Ok(Scalar::Float(n)) if n.is_nan()));
        assert_eq!(resolve(None, "5", false), Ok(Scalar::Text("5")));
    }

    #[test]
    fn tags_are_obeyed() {
        assert_eq!(resolve(Some("!!str"), "5", true), Ok(Scalar::Text("5")));
        assert_eq!(resolve(Some("!!int"), "5", false), Ok(Scalar::Int(5)));
        assert_eq!(resolve(Some("!!float"), "5", true), Ok(Scalar::Float(5.0)));
        assert_eq!(
            resolve(Some("!!binary"), "AAEC\n", true),
            Ok(Scalar::Bytes(vec![0, 1, 2]))
        );
        assert_eq!(resolve(Some("!own"), "yes", true), Ok(Scalar::Text("yes")));
        for (tag, text) in [
            ("!!int", "x"),
            ("!!bool", "yes"),
            ("!!null", "x"),
            ("!!binary", "***"),
        ] {
            assert!(resolve(Some(tag), text, true).is_err(), "{tag} {text}");
        }
    }
}
