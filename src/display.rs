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
    fn durations_are_short() {
        assert_eq!(duration(Duration::from_micros(12)), "12 µs");
        assert_eq!(duration(Duration::from_micros(1_250)), "1.2 ms");
        assert_eq!(duration(Duration::from_millis(2_346)), "2.35 s");
    }
}
