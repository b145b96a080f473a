//! Floating-point numbers as Go prints them: `strconv.FormatFloat(f, 'g', -1, 64)`.

use memchr::memchr;

/// Appends `value` in Go's shortest form, with an exponent below -4 and from 6 on: `1e-05`,
/// `0.0001`, `999999`, `1e+06`; and `NaN`, `+Inf`, `-Inf`.
pub fn push_float(out: &mut Vec<u8>, value: f64) {
    if value.is_nan() {
        return out.extend_from_slice(b"NaN");
    }
    if value.is_infinite() {
        return out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
    }
    if let Some((digits, power)) = decimal(value) {
        return push_decimal(out, digits, power);
    }
    // The shortest digits that round-trip, as in Go: `200.0`, `0.0125`, `1e-5`.
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format_finite(value);
    if (1e-4..1e6).contains(&value.abs()) {
        out.extend_from_slice(text.strip_suffix(".0").unwrap_or(text).as_bytes());
    } else {
        push_scientific(out, text);
    }
}

/// No two decimals of fewer digits than this are the same float.
const EXACT: i64 = 1_000_000_000_000_000;

/// What most samples are, whole numbers and seconds with nanoseconds, as a number times ten to a power. It has so few digits that no other
/// decimal as short is this float.
fn decimal(value: f64) -> Option<(u64, i32)> {
    // What is out of range becomes a number that is not equal. Go's expfmt prints both zeros as `0`.
    let whole = value as i64;
    if (0..EXACT).contains(&whole) && whole as f64 == value {
        return Some((whole as u64, 0));
    }
    let nanoseconds = (value * 1e9 + 0.5) as i64;
    // Both are exact, and so the quotient is the float next to the decimal.
    let is_equal = (0..EXACT).contains(&nanoseconds) && nanoseconds as f64 / 1e9 == value;
    is_equal.then_some((nanoseconds as u64, -9))
}

/// Writes `number` times ten to that power.
fn push_decimal(out: &mut Vec<u8>, mut number: u64, power: i32) {
    if number < 10 && power == 0 {
        return out.push(b'0' + number as u8);
    }
    let exponent = number.checked_ilog10().map_or(0, |digits| digits as i32 + power);
    let is_plain = (-4..6).contains(&exponent);
    let mut fraction = if is_plain { -power } else { exponent - power };
    while fraction > 0 && number.is_multiple_of(10) {
        number /= 10;
        fraction -= 1;
    }
    // From the end: 15 digits, four zeros, the point and the exponent at most.
    let mut text = [0; 24];
    let mut free = text.iter_mut().rev();
    let mut put = |byte| {
        if let Some(place) = free.next() {
            *place = byte;
        }
    };
    if !is_plain {
        let power = exponent.unsigned_abs();
        put(b'0' + (power % 10) as u8);
        put(b'0' + (power / 10) as u8);
        put(if exponent < 0 { b'-' } else { b'+' });
        put(b'e');
    }
    if fraction > 0 {
        for _ in 0..fraction {
            put(b'0' + (number % 10) as u8);
            number /= 10;
        }
        put(b'.');
    }
    loop {
        put(b'0' + (number % 10) as u8);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    let start = free.len();
    out.extend_from_slice(text.get(start..).unwrap_or_default());
}

/// Writes a number with an exponent of two digits or more, whether it has one yet or not.
fn push_scientific(out: &mut Vec<u8>, text: &str) {
    let text = text.as_bytes();
    let (sign, number) = text.split_at(usize::from(text.starts_with(b"-")));
    let (number, power) = cut(number, b'e');
    let (whole, fraction) = cut(number, b'.');
    let power = std::str::from_utf8(power).map_or(0, |power| power.parse().unwrap_or(0));
    let fraction = if fraction == b"0" { b"" } else { fraction };
    // All digits from the first that is not 0 on, and how many places that one stands in front of the point, less one.
    let (first, more, place) = if whole == b"0" {
        let zeros = fraction.iter().take_while(|digit| **digit == b'0').count();
        (
            fraction.get(zeros..).unwrap_or_default(),
            &b""[..],
            -1 - zeros as i32,
        )
    } else if fraction.is_empty() {
        let zeros = whole.iter().rev().take_while(|digit| **digit == b'0').count();
        let digits = whole.get(..whole.len() - zeros);
        (digits.unwrap_or_default(), &b""[..], whole.len() as i32 - 1)
    } else {
        (whole, fraction, whole.len() as i32 - 1)
    };
    let exponent: i32 = power + place;
    let (first, rest) = first.split_at(first.len().min(1));
    out.extend_from_slice(sign);
    out.extend_from_slice(first);
    if !(rest.is_empty() && more.is_empty()) {
        out.push(b'.');
        out.extend_from_slice(rest);
        out.extend_from_slice(more);
    }
    out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
    // Three digits at most, the first of which need not be.
    let exponent = exponent.unsigned_abs();
    for (power, required) in [(100, false), (10, true), (1, true)] {
        if required || exponent >= power {
            out.push(b'0' + (exponent / power % 10) as u8);
        }
    }
}

/// What stands before the first `at`, and behind it.
fn cut(text: &[u8], at: u8) -> (&[u8], &[u8]) {
    let end = memchr(at, text).unwrap_or(text.len());
    let (before, behind) = text.split_at(end);
    (before, behind.get(1..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn print(value: f64) -> String {
        let mut out = Vec::new();
        push_float(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_look_as_in_go() {
        let rows: &[(f64, &str)] = &[
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-1.0, "-1"),
            (200.0, "200"),
            (1.1, "1.1"),
            (0.5, "0.5"),
            (119.5, "119.5"),
            (999_999.0, "999999"),
            (1_000_000.0, "1e+06"),
            (123_456.789, "123456.789"),
            (1_234_567.8, "1.2345678e+06"),
            (1.7e9, "1.7e+09"),
            (3_668_918_509.0, "3.668918509e+09"),
            (-62_135_596_800.0, "-6.21355968e+10"),
            (0.000_123, "0.000123"),
            (0.000_1, "0.0001"),
            (0.000_01, "1e-05"),
            (0.000_012_345, "1.2345e-05"),
            (1e-9, "1e-09"),
            (12.000_000_345, "12.000000345"),
            (999_999.999_999_999, "999999.999999999"),
            (999_999_999_999_999.0, "9.99999999999999e+14"),
            (1e15, "1e+15"),
            (1e100, "1e+100"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ];
        for (value, want) in rows {
            assert_eq!(print(*value), *want, "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            let back: f64 = print(value).parse().unwrap();
            prop_assert_eq!(back, value);
        }

        #[test]
        fn durations_are_printed_with_their_digits(nanoseconds in 0..2_000_000_000_000_000_u64, more in 0..1_000_000_u64) {
            for nanoseconds in [nanoseconds, more] {
                let value = nanoseconds as f64 / 1e9;
                let shortest = format!("{value:e}");
                let (mantissa, exponent) = shortest.split_once('e').unwrap();
                let exponent: i32 = exponent.parse().unwrap();
                let want = match exponent {
                    -4..6 => format!("{value}"),
                    _ if exponent < 0 => format!("{mantissa}e-{:02}", -exponent),
                    _ => format!("{mantissa}e+{exponent:02}"),
                };
                prop_assert_eq!(print(value), want);
            }
        }

        /// Against the standard library, which chooses the same digits: `1.25e-7`.
        #[test]
        fn no_digit_is_too_many_and_the_form_follows_the_exponent(digits in 1..10_u64.pow(12), power in -30..30) {
            let value: f64 = format!("{digits}e{power}").parse().unwrap();
            let printed = print(value);
            let scientific = format!("{value:e}");
            let (mantissa, exponent) = scientific.split_once('e').unwrap();
            let exponent: i32 = exponent.parse().unwrap();
            if (-4..6).contains(&exponent) {
                prop_assert_eq!(printed, format!("{value}"));
            } else {
                let sign = if exponent < 0 { '-' } else { '+' };
                prop_assert_eq!(printed, format!("{mantissa}e{sign}{:02}", exponent.abs()));
            }
        }
    }
}
