//! Texts and times as people read them, on pages and terminals: short, and harmless whatever a target sent.

use std::time::Duration;

use crate::carried;

/// Whether a terminal or a page acts on the character instead of showing it: control characters, line separators, and what changes
/// the direction of the text around it.
pub fn is_active(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// The first `limit` characters, with `…` where more follow; what is [active](is_active) is escaped.
pub fn short(text: &str, limit: usize) -> String {
    // A carried byte takes four bytes.
    let text = text
        .get(..text.floor_char_boundary(limit.saturating_mul(4) + 4))
        .unwrap_or(text);
    let mut shown = String::with_capacity(text.len().min(limit));
    for (count, c) in carried::lossy(text).chars().enumerate() {
        if count == limit {
            shown.push('…');
            break;
        }
        push_passive(&mut shown, c);
    }
    shown
}

/// Whether the first `limit` bytes of a text contain another, which is in lower case.
pub fn holds(text: &str, limit: usize, lower: &str) -> bool {
    let text = text.get(..text.floor_char_boundary(limit)).unwrap_or_default();
    text.to_lowercase().contains(lower)
}

/// Lines of text in which nothing is [active](is_active) but line breaks and tabs.
pub fn passive(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => shown.push(c),
            c => push_passive(&mut shown, c),
        }
    }
    shown
}

fn push_passive(out: &mut String, c: char) {
    if is_active(c) {
        out.extend(c.escape_default());
    } else {
        out.push(c);
    }
}

/// A time as people read it: `1.23 s`, `45.6 ms`, `789 µs`.
pub fn duration(length: Duration) -> String {
    let seconds = length.as_secs_f64();
    if seconds >= 1.0 {
        format!("{seconds:.2} s")
    } else if seconds >= 1e-3 {
        format!("{:.1} ms", seconds * 1e3)
    } else {
        format!("{:.0} µs", seconds * 1e6)
    }
}

/// A time of seconds and more as people read it: `12 s`, `3 min`, `5 h`, `2 d`.
pub fn age(length: Duration) -> String {
    match length.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min", seconds / 60),
        seconds @ 3600..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// Whether a certificate is valid now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// For a while still.
    Good,
    /// For fewer days than somebody may need to replace it.
    Soon,
    /// No longer, or not yet.
    Bad,
}

/// Fewer days left than this are few.
const SOON: u64 = 30;

/// How long a certificate is valid still, or how long it is not, in words. Times are seconds since 1970.
pub fn validity(not_before: i64, not_after: i64, now: i64) -> (Validity, String) {
    let between = |from: i64, to: i64| u64::try_from(to.saturating_sub(from)).unwrap_or(0);
    let in_words = |seconds: u64| match seconds / 86_400 {
        0 => format!("{} hours", seconds / 3600),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    };
    if now < not_before {
        let wait = in_words(between(now, not_before));
        return (Validity::Bad, format!("not valid yet, valid in {wait}"));
    }
    if now > not_after {
        let gone = in_words(between(not_after, now));
        return (Validity::Bad, format!("expired {gone} ago"));
    }
    let left = between(now, not_after);
    let validity = if left / 86_400 < SOON {
        Validity::Soon
    } else {
        Validity::Good
    };
    (validity, format!("{} left", in_words(left)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_and_made_harmless() {
        assert_eq!(short("abc", 3), "abc");
        assert_eq!(short("abcd", 3), "abc…");
        assert_eq!(short("a\u{1b}[31m\n", 20), "a\\u{1b}[31m\\n");
        assert_eq!(short("a\u{202e}b\u{9b}c", 20), "a\\u{202e}b\\u{9b}c");
        assert_eq!(
            short(&"\u{10ffff}".repeat(20), 3),
            "\u{10ffff}\u{10ffff}\u{10ffff}…"
        );
        assert_eq!(passive("a\u{1b}\n\tb\u{7f}"), "a\\u{1b}\n\tb\\u{7f}");
        assert_eq!(short(&carried::text(b"a\xff"), 3), "a\u{fffd}");
    }

    #[test]
    fn certificates_are_valid_or_not() {
        const DAY: i64 = 86_400;
        let now = 1_800_000_000;
        for (not_before, not_after, want, words) in [
            (-10 * DAY, 79 * DAY + 5, Validity::Good, "79 days left"),
            (-10 * DAY, 3 * DAY, Validity::Soon, "3 days left"),
            (-10 * DAY, 7200, Validity::Soon, "2 hours left"),
            (-10 * DAY, -3 * DAY - 100, Validity::Bad, "expired 3 days ago"),
            (-10 * DAY, -100, Validity::Bad, "expired 0 hours ago"),
            (DAY + 9, 80 * DAY, Validity::Bad, "not valid yet, valid in 1 day"),
        ] {
            assert_eq!(
                validity(now + not_before, now + not_after, now),
                (want, words.to_owned())
            );
        }
    }

    #[test]
    fn durations_are_short() {
        assert_eq!(duration(Duration::from_micros(12)), "12 µs");
        assert_eq!(duration(Duration::from_micros(1_250)), "1.2 ms");
        assert_eq!(duration(Duration::from_millis(2_346)), "2.35 s");
    }
}
