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
    // Out of range and NaN become numbers that are not equal. Go's expfmt prints both zeros as `0`.
    let whole = value as u32;
    if whole < 1_000_000 && f64::from(whole) == value {
        return push_whole(out, whole);
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

/// Writes a whole number of at most six digits.
fn push_whole(out: &mut Vec<u8>, number: u32) {
    if number < 10 {
        return out.push(b'0' + number as u8);
    }
    let mut power = 100_000;
    while number < power {
        power /= 10;
    }
    while power > 0 {
        out.push(b'0' + (number / power % 10) as u8);
        power /= 10;
    }
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
