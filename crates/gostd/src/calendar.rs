//! Dates of the Gregorian calendar and days since 1970-01-01, by Howard Hinnant's algorithms: years begin in March, eras
//! of 400 years have 146 097 days. And RFC 3339, which is printed from them.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

/// Days since 1970 of a date; months and days are counted from 1.
pub fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Days since 1970 of a date that there is.
pub fn days_of_valid(year: i64, month: i64, day: i64) -> Option<i64> {
    let days = days(year, month, day);
    (date(days) == (year, month, day)).then_some(days)
}

/// Year, month and day: the reverse of [`days`].
pub fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// Seconds since 1970, now.
pub fn unix_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// RFC 3339 in UTC with milliseconds.
pub fn rfc3339(at: SystemTime) -> String {
    let mut out = String::with_capacity(24);
    push_rfc3339(&mut out, at, 3);
    out
}

/// Appends a moment as RFC 3339 in UTC: with three digits of a second, or with nanoseconds less their trailing zeros.
pub fn push_rfc3339(out: &mut String, at: SystemTime, digits: usize) {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    let (year, month, day) = date(seconds.div_euclid(86_400));
    let in_day = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (in_day / 3600, in_day / 60 % 60, in_day % 60);
    // Writing to a string does not fail.
    let _ = write!(
        out,
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
    );
    if digits == 3 {
        let _ = write!(out, ".{:03}", since.subsec_millis());
    } else if since.subsec_nanos() > 0 {
        let _ = write!(out, ".{:09}", since.subsec_nanos());
        out.truncate(out.trim_end_matches('0').len());
    }
    out.push('Z');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_right_around_leap_days() {
        for (at, (year, month, day)) in [
            (-719_528, (0, 1, 1)),
            (-1, (1969, 12, 31)),
            (0, (1970, 1, 1)),
            (11_016, (2000, 2, 29)),
            (19_782, (2024, 2, 29)),
            (19_783, (2024, 3, 1)),
            (20_088, (2024, 12, 31)),
            (2_932_896, (9999, 12, 31)),
        ] {
            assert_eq!(date(at), (year, month, day));
            assert_eq!(days(year, month, day), at);
        }
    }
}
