//! Dates of HTTP headers as Go's `time.Parse` reads them, which is neither stricter nor more lenient than what upstream
//! exposes: words in any case, a weekday that need not be right, fractions of a second, any zone name.

use crate::calendar;

// Layouts: a letter is a piece, which `Moment::take` reads; any other character is itself.

/// `Mon, 02 Jan 2006 15:04:05 GMT`.
const IMF: &[u8] = b"w, d m Y t G";
/// `Monday, 02-Jan-06 15:04:05 GMT`.
const RFC850: &[u8] = b"W, d-m-y t z";
/// `Mon Jan  2 15:04:05 2006`.
const ASCTIME: &[u8] = b"w m D t Y";
/// `Mon, 02 Jan 2006 15:04:05 MST`.
const RFC1123: &[u8] = b"w, d m Y t z";
/// `Mon, 02-Jan-2006 15:04:05 MST`: what old cookies have.
const COOKIE: &[u8] = b"w, d-m-Y t z";

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
    month: i64,
    day: i64,
    seconds: i64,
}

fn parse(layout: &[u8], text: &[u8]) -> Option<i64> {
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
    fn take<'t>(&mut self, piece: u8, text: &'t [u8]) -> Option<&'t [u8]> {
        match piece {
            b'w' => WEEKDAYS
                .iter()
                .find_map(|day| skip_word(day.get(..3)?.as_bytes(), text)),
            b'W' => WEEKDAYS.iter().find_map(|day| skip_word(day.as_bytes(), text)),
            // Two digits.
            b'd' => number(text, 2, 2, &mut self.day),
            // One or two digits, or a space and one.
            b'D' => number(text.strip_prefix(b" ").unwrap_or(text), 1, 2, &mut self.day),
            b'm' => {
                let found = |(month, name): (i64, &&str)| Some((month, skip_word(name.as_bytes(), text)?));
                let (month, rest) = (1..).zip(&MONTHS).find_map(found)?;
                self.month = month;
                Some(rest)
            }
            b'Y' => number(text, 4, 4, &mut self.year),
            // Two digits: 69 and above are of the century before.
            b'y' => {
                let rest = number(text, 2, 2, &mut self.year)?;
                self.year += if self.year >= 69 { 1900 } else { 2000 };
                Some(rest)
            }
            b't' => self.take_time(text),
            b'G' => text.strip_prefix(b"GMT"),
            // The name of a zone; it moves nothing.
            b'z' => skip_zone(text),
            b' ' => skip_spaces(text),
            other => text.strip_prefix(&[other]),
        }
    }

    /// `15:04:05`, the hour of one or two digits, fractions of a second.
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
        let days = calendar::days_of_valid(self.year, self.month, self.day)?;
        Some(days * 86_400 + self.seconds)
    }
}

/// Any number of spaces, none only at the end.
fn skip_spaces(text: &[u8]) -> Option<&[u8]> {
    let spaces = text.iter().take_while(|byte| **byte == b' ').count();
    text.get(spaces..).filter(|rest| spaces > 0 || rest.is_empty())
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
