//! Texts and times as people read them, on pages and terminals: short, and harmless whatever a target sent.

use std::time::Duration;

use crate::carried;

/// The first `limit` characters, with `…` where more follow; what is not printable is escaped.
pub fn short(text: &str, limit: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(limit));
    for (count, c) in carried::lossy(text).chars().enumerate() {
        if count == limit {
            shown.push('…');
            break;
        }
        if c.is_control() {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_and_made_harmless() {
        assert_eq!(short("abc", 3), "abc");
        assert_eq!(short("abcd", 3), "abc…");
        assert_eq!(short("a\u{1b}[31m\n", 20), "a\\u{1b}[31m\\n");
        assert_eq!(short(&carried::text(b"a\xff"), 3), "a\u{fffd}");
    }

    #[test]
    fn durations_are_short() {
        assert_eq!(duration(Duration::from_micros(12)), "12 µs");
        assert_eq!(duration(Duration::from_micros(1_250)), "1.2 ms");
        assert_eq!(duration(Duration::from_millis(2_346)), "2.35 s");
    }
}
