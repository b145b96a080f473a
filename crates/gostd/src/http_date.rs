//! Dates of HTTP headers as Go's `time.Parse` reads them, which is neither stricter nor more lenient than what upstream
//! exposes: words in any case, a weekday that need not be right, fractions of a second, any zone name.

use crate::calendar;

/// A piece of a layout.
#[derive(Clone, Copy)]
enum Piece {
    /// These characters; a space stands for any number of them.
    Literal(&'static str),
    ShortWeekday,
    LongWeekday,
    /// Two digits.
    Day,
    /// One or two digits, or a space and one.
    PaddedDay,
    ShortMonth,
    /// Four digits.
    Year,
    /// Two digits: 69 and above are of the century before.
    ShortYear,
    /// `15:04:05`, the hour of one or two digits, fractions of a second.
    Time,
    /// The name of a zone; it moves nothing.
    Zone,
}

use Piece::{Day, Literal, LongWeekday, PaddedDay, ShortMonth, ShortWeekday, ShortYear, Time, Year, Zone};

/// `Mon, 02 Jan 2006 15:04:05 GMT`.
const IMF: &[Piece] = &[
    ShortWeekday,
    Literal(", "),
    Day,
    Literal(" "),
    ShortMonth,
    Literal(" "),
    Year,
    Literal(" "),
    Time,
    Literal(" GMT"),
];
/// `Monday, 02-Jan-06 15:04:05 GMT`.
const RFC850: &[Piece] = &[
    LongWeekday,
    Literal(", "),
    Day,
    Literal("-"),
    ShortMonth,
    Literal("-"),
    ShortYear,
    Literal(" "),
    Time,
    Literal(" "),
    Zone,
];
/// `Mon Jan  2 15:04:05 2006`.
const ASCTIME: &[Piece] = &[
    ShortWeekday,
    Literal(" "),
    ShortMonth,
    Literal(" "),
    PaddedDay,
    Literal(" "),
    Time,
    Literal(" "),
    Year,
];
/// `Mon, 02 Jan 2006 15:04:05 MST`.
const RFC1123: &[Piece] = &[
    ShortWeekday,
    Literal(", "),
    Day,
    Literal(" "),
    ShortMonth,
    Literal(" "),
    Year,
    Literal(" "),
    Time,
    Literal(" "),
    Zone,
];
/// `Mon, 02-Jan-2006 15:04:05 MST`: what old cookies have.
const COOKIE: &[Piece] = &[
    ShortWeekday,
    Literal(", "),
    Day,
    Literal("-"),
    ShortMonth,
    Literal("-"),
    Year,
    Literal(" "),
    Time,
    Literal(" "),
    Zone,
];

const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Reads a date in one of the three forms of RFC 9110, section 5.6.7, into seconds since 1970.
pub fn parse_http(text: &[u8]) -> Option<i64> {
    [IMF, RFC850, ASCTIME]
        .iter()
        .find_map(|layout| parse(layout, text))
}

/// Reads the `Expires` of a cookie into seconds since 1970.
pub fn parse_cookie(text: &[u8]) -> Option<i64> {
    [RFC1123, COOKIE].iter().find_map(|layout| parse(layout, text))
}

#[derive(Default)]
struct Moment {
    year: i64,
    month: usize,
    day: i64,
    seconds: i64,
}

fn parse(layout: &[Piece], text: &[u8]) -> Option<i64> {
    let mut rest = text;
    let mut moment = Moment::default();
    for piece in layout {
        rest = moment.take(*piece, rest)?;
    }
    if !rest.is_empty() {
        return None;
    }
    moment.unix()
}

impl Moment {
    /// Takes a piece off the front.
    fn take<'t>(&mut self, piece: Piece, text: &'t [u8]) -> Option<&'t [u8]> {
        match piece {
            Literal(literal) => skip(literal.as_bytes(), text),
            ShortWeekday => WEEKDAYS
                .iter()
                .find_map(|day| skip_word(day.get(..3)?.as_bytes(), text)),
            LongWeekday => WEEKDAYS.iter().find_map(|day| skip_word(day.as_bytes(), text)),
            Day => number(text, 2, 2, &mut self.day),
            PaddedDay => {
                let text = text.strip_prefix(b" ").unwrap_or(text);
                number(text, 1, 2, &mut self.day)
            }
            ShortMonth => {
                let found = |(i, name): (usize, &&str)| Some((i, skip_word(name.as_bytes(), text)?));
                let (month, rest) = MONTHS.iter().enumerate().find_map(found)?;
                self.month = month;
                Some(rest)
            }
            Year => number(text, 4, 4, &mut self.year),
            ShortYear => {
                let rest = number(text, 2, 2, &mut self.year)?;
                self.year += if self.year >= 69 { 1900 } else { 2000 };
                Some(rest)
            }
            Time => self.take_time(text),
            Zone => skip_zone(text),
        }
    }

    fn take_time<'t>(&mut self, text: &'t [u8]) -> Option<&'t [u8]> {
        let (mut hour, mut minute, mut second) = (0, 0, 0);
        let rest = number(text, 1, 2, &mut hour)?;
        let rest = number(rest.strip_prefix(b":")?, 2, 2, &mut minute)?;
        let rest = number(rest.strip_prefix(b":")?, 2, 2, &mut second)?;
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        self.seconds = hour * 3600 + minute * 60 + second;
        // Go takes a fraction of a second behind any second.
        match rest {
            [b'.' | b',', digit, after @ ..] if digit.is_ascii_digit() => {
                let end = after.iter().position(|b| !b.is_ascii_digit());
                after.get(end.unwrap_or(after.len())..)
            }
            _ => Some(rest),
        }
    }

    fn unix(&self) -> Option<i64> {
        let leap = self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0);
        let longest = match self.month {
            1 if leap => 29,
            1 => 28,
            3 | 5 | 8 | 10 => 30,
            _ => 31,
        };
        if !(1..=longest).contains(&self.day) {
            return None;
        }
        let month = i64::try_from(self.month).ok()? + 1;
        Some(calendar::days(self.year, month, self.day) * 86_400 + self.seconds)
    }
}

fn skip<'t>(literal: &[u8], mut text: &'t [u8]) -> Option<&'t [u8]> {
    for c in literal {
        if *c != b' ' {
            text = text.strip_prefix(&[*c])?;
            continue;
        }
        if !text.is_empty() && !text.starts_with(b" ") {
            return None;
        }
        while let Some(rest) = text.strip_prefix(b" ") {
            text = rest;
        }
    }
    Some(text)
}

fn skip_word<'t>(word: &[u8], text: &'t [u8]) -> Option<&'t [u8]> {
    let (start, rest) = text.split_at_checked(word.len())?;
    start.eq_ignore_ascii_case(word).then_some(rest)
}

fn number<'t>(text: &'t [u8], least: usize, most: usize, into: &mut i64) -> Option<&'t [u8]> {
    let digits = text.iter().take(most).take_while(|b| b.is_ascii_digit()).count();
    if digits < least {
        return None;
    }
    let (digits, rest) = text.split_at_checked(digits)?;
    *into = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(rest)
}

/// The name of a zone: three capitals, four or five that end in T, or an offset with or without `GMT`.
fn skip_zone(text: &[u8]) -> Option<&[u8]> {
    for name in ["UTC", "ChST", "MeST"] {
        if let Some(rest) = text.strip_prefix(name.as_bytes()) {
            return Some(rest);
        }
    }
    if let Some(rest) = text.strip_prefix(b"GMT") {
        return Some(skip_offset(rest).unwrap_or(rest));
    }
    if text.len() < 3 {
        return None;
    }
    if text.starts_with(b"+") || text.starts_with(b"-") {
        return skip_offset(text);
    }
    let capitals = text.iter().take(6).take_while(|b| b.is_ascii_uppercase()).count();
    let (name, rest) = text.split_at_checked(capitals)?;
    let valid = match capitals {
        3 => true,
        4 => name.ends_with(b"T") || name == b"WITA",
        5 => name.ends_with(b"T"),
        _ => false,
    };
    valid.then_some(rest)
}

/// A sign and an offset in hours below 24.
fn skip_offset(text: &[u8]) -> Option<&[u8]> {
    let digits = text.strip_prefix(b"+").or_else(|| text.strip_prefix(b"-"))?;
    let count = digits.iter().take_while(|b| b.is_ascii_digit()).count();
    let (number, rest) = digits.split_at_checked(count)?;
    let hours: u64 = std::str::from_utf8(number).ok()?.parse().ok()?;
    (hours < 24).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_go_reads_them() {
        let rows = [
            ("Mon, 02 Jan 2006 15:04:05 GMT", Some(1_136_214_245)),
            ("Monday, 02-Jan-06 15:04:05 GMT", Some(1_136_214_245)),
            ("Mon Jan  2 15:04:05 2006", Some(1_136_214_245)),
            ("Thu Jan 12 15:04:05 2006", Some(1_137_078_245)),
            ("mon, 02 jan 2006 15:04:05 GMT", Some(1_136_214_245)),
            ("Mon, 02 Jan 2006 15:04:05.5 GMT", Some(1_136_214_245)),
            ("Mon,  02 Jan 2006 5:04:05 GMT", Some(1_136_178_245)),
            ("Mon, 01 Jan 0001 00:00:00 GMT", Some(-62_135_596_800)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Sunday, 06-Nov-94 08:49:37 CET", Some(784_111_777)),
            ("Thu, 29 Feb 2024 00:00:00 GMT", Some(1_709_164_800)),
            ("Thu, 29 Feb 2023 00:00:00 GMT", None),
            ("Mon, 2 Jan 2006 15:04:05 GMT", None),
            ("Mon, 02 Jan 2006 15:04:05 CET", None),
            ("Mon, 02 Jan 2006 15:04:05 gmt", None),
            ("Mon, 02 Jan 2006 24:00:00 GMT", None),
            ("Mon, 02 Jan 2006 15:04:60 GMT", None),
            ("Mon, 02 Jan 2006 15:04:05 GMT x", None),
            ("Mon, 02-Jan-06 15:04:05 GMT", None),
            ("2006-01-02T15:04:05Z", None),
            ("", None),
        ];
        for (text, want) in rows {
            assert_eq!(parse_http(text.as_bytes()), want, "{text}");
        }
    }

    #[test]
    fn cookies_have_forms_of_their_own() {
        let rows = [
            ("Fri, 31 Dec 2100 23:59:59 GMT", Some(4_133_980_799)),
            ("Fri, 31-Dec-2100 23:59:59 GMT", Some(4_133_980_799)),
            ("Fri, 31-Dec-2100 23:59:59 GMT+3", Some(4_133_980_799)),
            ("Fri, 31-Dec-00 23:59:59 GMT", None),
        ];
        for (text, want) in rows {
            assert_eq!(parse_cookie(text.as_bytes()), want, "{text}");
        }
    }
}
