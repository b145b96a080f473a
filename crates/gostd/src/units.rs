//! Go's durations (`time.ParseDuration`) and sizes (alecthomas/units `Base2Bytes`).

/// Nanoseconds of a duration like `1m30s`; `None` when it is none or too long for 63 bits.
pub fn parse_duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = sign(text);
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (whole, digits) = leading_int(&mut rest)?;
        let (fraction, scale, fraction_digits) = leading_fraction(&mut rest);
        if digits + fraction_digits == 0 {
            return None;
        }
        let unit: u64 = match unit_name(&mut rest) {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        if whole > (1 << 63) / unit {
            return None;
        }
        let mut value = whole * unit;
        if fraction > 0 {
            value += (fraction as f64 * (unit as f64 / scale)) as u64;
        }
        total = total.checked_add(value).filter(|t| *t <= 1 << 63)?;
    }
    match (negative, total) {
        (true, 0x8000_0000_0000_0000) => Some(i64::MIN),
        (true, total) => i64::try_from(total).ok().map(|t| -t),
        (false, total) => i64::try_from(total).ok(),
    }
}

/// Bytes of a size like `10MB` or `1.5GiB`, both in steps of 1024; `None` when it is none.
///
/// The units of one text are either all like `MiB` or all like `MB`; `kB`, which means 1000, and a bare number are
/// refused.
pub fn parse_size(text: &str) -> Option<i64> {
    parse_size_with(text, "iB").or_else(|| parse_size_with(text, "B"))
}

fn parse_size_with(text: &str, suffix: &str) -> Option<i64> {
    let (negative, mut rest) = sign(text);
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let (whole, digits) = leading_size_int(&mut rest)?;
        let mut value = whole as f64;
        let mut fraction_digits = 0;
        if let Some(tail) = rest.strip_prefix('.') {
            rest = tail;
            let (fraction, count) = leading_size_int(&mut rest)?;
            value += fraction as f64 / 10f64.powi(i32::try_from(count).unwrap_or(i32::MAX));
            fraction_digits = count;
        }
        if digits + fraction_digits == 0 {
            return None;
        }
        total += value * size_unit(unit_name(&mut rest), suffix)?;
    }
    if negative {
        total = -total;
    }
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if !(-LIMIT..=LIMIT).contains(&total) {
        return None;
    }
    // Go's conversion of 2^63 wraps around; upstream turns the negative number into "no limit".
    Some(if total == LIMIT { i64::MIN } else { total as i64 })
}

fn size_unit(name: &str, suffix: &str) -> Option<f64> {
    if name == "B" {
        return Some(1.0);
    }
    let power = match name.strip_suffix(suffix)? {
        "K" => 1,
        "M" => 2,
        "G" => 3,
        "T" => 4,
        "P" => 5,
        "E" => 6,
        _ => return None,
    };
    Some(1024f64.powi(power))
}

/// The text of a size as upstream prints it: `10MiB`, `1GiB512MiB`, `512B`.
pub fn format_size(bytes: i64) -> String {
    if bytes == 0 {
        return "0B".to_owned();
    }
    let mut parts = Vec::new();
    let mut rest = bytes;
    for unit in ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] {
        if rest % 1024 != 0 {
            parts.push(format!("{}{unit}", rest % 1024));
        }
        rest /= 1024;
        if rest == 0 {
            break;
        }
    }
    parts.reverse();
    parts.concat()
}

fn sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

/// Digits as a number not above 2^63, and how many there were.
fn leading_int(rest: &mut &str) -> Option<(u64, usize)> {
    let digits = take_digits(rest);
    if digits.is_empty() {
        return Some((0, 0));
    }
    let value = digits.parse().ok().filter(|v| *v <= 1 << 63)?;
    Some((value, digits.len()))
}

/// The older limit of alecthomas/units.
fn leading_size_int(rest: &mut &str) -> Option<(i64, usize)> {
    let digits = take_digits(rest);
    let mut value: i64 = 0;
    for digit in digits.bytes() {
        if value >= (i64::MAX - 9) / 10 {
            return None;
        }
        value = value * 10 + i64::from(digit - b'0');
    }
    Some((value, digits.len()))
}

/// A point and digits: their number, the power of ten below it, how many there were. Digits that do not fit are passed
/// over.
fn leading_fraction(rest: &mut &str) -> (u64, f64, usize) {
    let Some(tail) = rest.strip_prefix('.') else {
        return (0, 1.0, 0);
    };
    *rest = tail;
    let digits = take_digits(rest);
    let (mut value, mut scale) = (0u64, 1.0);
    for digit in digits.bytes() {
        if value > ((1 << 63) - 1) / 10 {
            break;
        }
        let next = value * 10 + u64::from(digit - b'0');
        if next > 1 << 63 {
            break;
        }
        value = next;
        scale *= 10.0;
    }
    (value, scale, digits.len())
}

fn take_digits<'a>(rest: &mut &'a str) -> &'a str {
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, tail) = rest.split_at_checked(end).unwrap_or((rest, ""));
    *rest = tail;
    digits
}

fn unit_name<'a>(rest: &mut &'a str) -> &'a str {
    let end = rest
        .find(|c: char| c == '.' || c.is_ascii_digit())
        .unwrap_or(rest.len());
    let (name, tail) = rest.split_at_checked(end).unwrap_or((rest, ""));
    *rest = tail;
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strconv;

    #[test]
    fn durations() {
        for (text, nanoseconds, printed) in [
            ("5s", 5_000_000_000, "5s"),
            ("1m30s", 90_000_000_000, "1m30s"),
            ("1.5h", 5_400_000_000_000, "1h30m0s"),
            ("100ms", 100_000_000, "100ms"),
            ("100us", 100_000, "100µs"),
            ("100µs", 100_000, "100µs"),
            ("1ns", 1, "1ns"),
            (".5s", 500_000_000, "500ms"),
            ("5.s", 5_000_000_000, "5s"),
            ("-1s", -1_000_000_000, "-1s"),
            ("+1s", 1_000_000_000, "1s"),
            ("0", 0, "0s"),
            ("1h1h", 7_200_000_000_000, "2h0m0s"),
            ("1.0001s", 1_000_100_000, "1.0001s"),
            ("9223372036854775807ns", i64::MAX, "2562047h47m16.854775807s"),
            ("-9223372036854775808ns", i64::MIN, "-2562047h47m16.854775808s"),
        ] {
            assert_eq!(parse_duration(text), Some(nanoseconds), "{text}");
            assert_eq!(strconv::duration(nanoseconds), printed, "{text}");
        }
        for text in [
            "",
            "5",
            "1d",
            "5 s",
            "5S",
            "s",
            ".s",
            "1e3s",
            "10000000h",
            "9223372036854775808ns",
            "1m 30s",
            "-",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes, printed) in [
            ("10MB", 10 << 20, "10MiB"),
            ("10MiB", 10 << 20, "10MiB"),
            ("1.5MB", 3 << 19, "1MiB512KiB"),
            ("512B", 512, "512B"),
            ("0", 0, "0B"),
            ("1GiB1B", (1 << 30) + 1, "1GiB1B"),
            ("-1B", -1, "-1B"),
            ("8EB", i64::MIN, "-8EiB"),
        ] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
            assert_eq!(format_size(bytes), printed, "{text}");
        }
        for text in [
            "", "10M", "1kB", "512", "10 MB", "ten", "1e6", "10mb", "1K", "9EB", "-",
        ] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }
}
