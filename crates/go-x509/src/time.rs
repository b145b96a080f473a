//! The two time formats of certificates, and RFC 3339 for error texts, without a calendar library.

use gostd::calendar;

const DAY: i64 = 86_400;

/// `YYMMDDhhmm[ss]` with `Z` or an offset, of the years 1950 to 2049, as Unix seconds.
pub(super) fn utc_time(text: &[u8]) -> Option<i64> {
    let (year, rest) = number(text, 2)?;
    let year = if year >= 50 { 1900 + year } else { 2000 + year };
    let (date, rest) = date(year, rest)?;
    let (hour, rest) = number(rest, 2)?;
    let (minute, rest) = number(rest, 2)?;
    let (second, rest) = if rest.first().is_some_and(u8::is_ascii_digit) {
        number(rest, 2)?
    } else {
        (0, rest)
    };
    seconds(date, hour, minute, second).and_then(|at| Some(at - offset(rest)?))
}

/// `YYYYMMDDhhmmss` with `Z` or an offset, as Unix seconds.
pub(super) fn generalized_time(text: &[u8]) -> Option<i64> {
    let (year, rest) = number(text, 4)?;
    let (date, rest) = date(year, rest)?;
    let (hour, rest) = number(rest, 2)?;
    let (minute, rest) = number(rest, 2)?;
    let (second, rest) = number(rest, 2)?;
    seconds(date, hour, minute, second).and_then(|at| Some(at - offset(rest)?))
}

/// RFC 3339 in UTC: `2026-11-24T20:22:43Z`.
pub(super) fn rfc3339(at: i64) -> String {
    let (days, rest) = (at.div_euclid(DAY), at.rem_euclid(DAY));
    let (year, month, day) = calendar::date(days);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

fn number(text: &[u8], digits: usize) -> Option<(i64, &[u8])> {
    let (now, rest) = text.split_at_checked(digits)?;
    let value = now.iter().try_fold(0, |sum, byte| {
        byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0'))
    })?;
    Some((value, rest))
}

fn date(year: i64, text: &[u8]) -> Option<(i64, &[u8])> {
    let (month, rest) = number(text, 2)?;
    let (day, rest) = number(rest, 2)?;
    Some((calendar::days_of_valid(year, month, day)?, rest))
}

fn seconds(days: i64, hour: i64, minute: i64, second: i64) -> Option<i64> {
    (hour < 24 && minute < 60 && second < 60).then(|| days * DAY + hour * 3600 + minute * 60 + second)
}

/// `Z`, or `+hhmm` that is not zero (which has to be written as `Z`).
fn offset(text: &[u8]) -> Option<i64> {
    let (sign, rest) = match text.split_first()? {
        (b'Z', []) => return Some(0),
        (b'+', rest) => (1, rest),
        (b'-', rest) => (-1, rest),
        _ => return None,
    };
    let (hour, rest) = number(rest, 2)?;
    let (minute, rest) = number(rest, 2)?;
    let seconds = hour * 3600 + minute * 60;
    (rest.is_empty() && hour <= 24 && minute < 60 && seconds != 0).then_some(sign * seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_go_does() {
        let utc: &[(&str, Option<i64>)] = &[
            ("700101000000Z", Some(0)),
            ("261124202243Z", Some(1_795_551_763)),
            ("491231235959Z", Some(2_524_607_999)),
            ("500101000000Z", Some(-631_152_000)),
            ("7001010000Z", Some(0)),
            ("700101010000+0100", Some(0)),
            ("700101000000+0000", None),
            ("700230000000Z", None),
            ("701301000000Z", None),
            ("700101240000Z", None),
            ("700101000000", None),
            ("700101000000Zx", None),
        ];
        for (text, want) in utc {
            assert_eq!(utc_time(text.as_bytes()), *want, "{text}");
        }
        assert_eq!(generalized_time(b"20500101000000Z"), Some(2_524_608_000));
        assert_eq!(generalized_time(b"99991231235959Z"), Some(253_402_300_799));
        assert_eq!(generalized_time(b"205001010000Z"), None);
        assert_eq!(generalized_time(b"20500101000000.5Z"), None);
    }

    #[test]
    fn rfc3339_is_the_reverse() {
        for text in [
            "1970-01-01T00:00:00Z",
            "2024-02-29T23:59:59Z",
            "1950-03-01T12:00:00Z",
            "9999-12-31T23:59:59Z",
        ] {
            let digits: String = text.chars().filter(|c| c.is_ascii_digit() || *c == 'Z').collect();
            let at = generalized_time(digits.as_bytes()).unwrap();
            assert_eq!(rfc3339(at), text);
        }
    }
}
