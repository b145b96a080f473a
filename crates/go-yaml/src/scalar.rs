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
        Some(b'+' | b'-' | b'0'..=b'9') if moment(text).is_some() => Some(Scalar::Timestamp(text)),
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

/// A date or a moment as Go prints it, RFC 3339 with the offset that it has; `None` for what none of the four forms reads that
/// `time.Parse` is tried with.
pub fn moment(text: &str) -> Option<String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (year, mut rest) = text.split_at_checked(4).filter(|_| digits == 4)?;
    let month = eat(&mut rest, '-').then(|| one_or_two(&mut rest)).flatten()?;
    let day = eat(&mut rest, '-').then(|| one_or_two(&mut rest)).flatten()?;
    calendar::days_of_valid(year.parse().ok()?, month.into(), day.into())?;
    if rest.is_empty() {
        return Some(format!("{year}-{month:02}-{day:02}T00:00:00Z"));
    }
    let is_zoned = eat(&mut rest, 'T') || eat(&mut rest, 't');
    if !is_zoned && !eat(&mut rest, ' ') {
        return None;
    }
    let hour = one_or_two(&mut rest).filter(|hour| *hour < 24)?;
    let mut sixtieth = || eat(&mut rest, ':').then(|| one_or_two(&mut rest)).flatten();
    let minute = sixtieth().filter(|minute| *minute < 60)?;
    let second = sixtieth().filter(|second| *second < 60)?;
    let fraction = if eat(&mut rest, '.') || eat(&mut rest, ',') {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (fraction, behind) = rest.split_at_checked(digits).filter(|_| digits > 0)?;
        rest = behind;
        fraction.get(..9).unwrap_or(fraction).trim_end_matches('0')
    } else {
        ""
    };
    let (sign, offset) = match (is_zoned, rest.as_bytes()) {
        (false, []) | (true, b"Z") => ('+', 0),
        (true, [sign @ (b'+' | b'-'), a, b, b':', c, d]) => {
            let two = |x: &u8, y: &u8| {
                (x.is_ascii_digit() && y.is_ascii_digit())
                    .then(|| u32::from(x - b'0') * 10 + u32::from(y - b'0'))
            };
            let hours = two(a, b).filter(|hours| *hours <= 24)?;
            (
                char::from(*sign),
                hours * 60 + two(c, d).filter(|minutes| *minutes <= 60)?,
            )
        }
        _ => return None,
    };
    let point = if fraction.is_empty() { "" } else { "." };
    let zone = match offset {
        0 => "Z".to_owned(),
        _ => format!("{sign}{:02}:{:02}", offset / 60, offset % 60),
    };
    Some(format!(
        "{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{point}{fraction}{zone}"
    ))
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
    fn moments_are_printed_as_go_does() {
        for (text, want) in [
            ("2020-01-01", Some("2020-01-01T00:00:00Z")),
            ("2020-1-1", Some("2020-01-01T00:00:00Z")),
            ("2001-12-15 2:59:43.10", Some("2001-12-15T02:59:43.1Z")),
            (
                "2001-12-14t21:59:43,10-05:00",
                Some("2001-12-14T21:59:43.1-05:00"),
            ),
            ("2001-12-14T21:59:43-00:00", Some("2001-12-14T21:59:43Z")),
            ("2001-12-14T21:59:43+01:60", Some("2001-12-14T21:59:43+02:00")),
            (
                "2020-01-01T00:00:00.123456789123Z",
                Some("2020-01-01T00:00:00.123456789Z"),
            ),
            ("2020-01-01T00:00:00.000Z", Some("2020-01-01T00:00:00Z")),
            ("0000-02-29", Some("0000-02-29T00:00:00Z")),
            ("2001-12-14 21:59:43.1 Z", None),
            ("2001-12-14T21:59:43.Z", None),
            ("2020-01-01T10:00:00", None),
            ("2020-01-01 24:00:00", None),
            ("2020-02-30", None),
            ("20200-01-01", None),
            ("2020", None),
            ("2020-0é", None),
        ] {
            assert_eq!(moment(text).as_deref(), want, "{text}");
        }
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
