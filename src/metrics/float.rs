//! Floating-point numbers as Go prints them: `strconv.FormatFloat(f, 'g', -1, 64)`.

use std::io::Write;

/// Appends `value` in Go's shortest form, with an exponent below -4 and from 6 on: `1e-05`,
/// `0.0001`, `999999`, `1e+06`; and `NaN`, `+Inf`, `-Inf`.
pub fn push_float(out: &mut Vec<u8>, value: f64) {
    if value.is_nan() {
        return out.extend_from_slice(b"NaN");
    }
    if value.is_infinite() {
        return out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
    }
    if value == 0.0 {
        // Go's expfmt prints both zeros as `0`.
        return out.push(b'0');
    }
    // Rust's `{:e}` gives the shortest digits that round-trip, as Go does: `1.25e-7`.
    let mut buffer = [0_u8; 32];
    let mut cursor = std::io::Cursor::new(buffer.as_mut_slice());
    if write!(cursor, "{value:e}").is_err() {
        return;
    }
    let length = usize::try_from(cursor.position()).unwrap_or(0);
    let text = buffer.get(..length).unwrap_or(&[]);
    let (negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let mut parts = text.splitn(2, |b| *b == b'e');
    let (mantissa, exponent) = (parts.next().unwrap_or(&[]), parts.next().unwrap_or(&[]));
    let exponent: i32 = std::str::from_utf8(exponent)
        .ok()
        .and_then(|e| e.parse().ok())
        .unwrap_or(0);
    let digits = || mantissa.iter().copied().filter(|b| *b != b'.');
    if negative {
        out.push(b'-');
    }
    if !(-4..6).contains(&exponent) {
        out.extend_from_slice(mantissa);
        let sign = if exponent < 0 { '-' } else { '+' };
        // Writing to a vector does not fail.
        let _ = write!(out, "e{sign}{:02}", exponent.unsigned_abs());
    } else if exponent < 0 {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(
            b'0',
            usize::try_from(-exponent - 1).unwrap_or(0),
        ));
        out.extend(digits());
    } else {
        let whole = usize::try_from(exponent).unwrap_or(0) + 1;
        out.extend(digits().chain(std::iter::repeat(b'0')).take(whole));
        let mut fraction = digits().skip(whole).peekable();
        if fraction.peek().is_some() {
            out.push(b'.');
            out.extend(fraction);
        }
    }
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
    }
}
