//! The text that came nearest to an expression that did not match, and what would make it match.

use super::quoted;
use crate::check::Regexp;

/// Most bytes of a text that are looked at.
const LOOKED_AT: usize = 4096;
/// Longer expressions are not varied.
const LONGEST: usize = 1000;
/// A piece of fewer characters is found everywhere.
const SHORTEST: usize = 3;
/// Of a longer piece the beginning is looked for.
const PIECE: usize = 64;

/// What a text that an expression should match has instead: the line that came nearest, and a change that would match.
pub(in crate::prober) fn nearest(regexp: &Regexp, text: &[u8]) -> String {
    let text = text.get(..LOOKED_AT).unwrap_or(text);
    if text.is_empty() {
        return "the text is empty".to_owned();
    }
    let (line, is_near) = line(regexp.source(), text);
    let what = if is_near { "nearest text" } else { "text begins" };
    let mut said = format!("{what}: {}", quoted(line));
    if let Some(hint) = variation(regexp, text) {
        said.push_str("; ");
        said.push_str(hint);
    }
    said
}

/// The line with the longest piece of the expression, or else the beginning of the text.
fn line<'t>(source: &str, text: &'t [u8]) -> (&'t [u8], bool) {
    let lower = text.to_ascii_lowercase();
    let found = pieces(source).into_iter().find_map(|piece| find(&lower, &piece));
    let Some(at) = found else {
        return (text, false);
    };
    let (before, after) = text.split_at_checked(at).unwrap_or((text, &[]));
    let is_break = |b: &u8| matches!(b, b'\n' | b'\r');
    let start = before.iter().rposition(is_break).map_or(0, |at| at + 1);
    let end = after.iter().position(is_break).map_or(text.len(), |end| at + end);
    // In a text without line breaks, not more before the piece than is shown with it.
    let start = start.max(at.saturating_sub(60));
    (text.get(start..end).unwrap_or(text), true)
}

/// Where the longest beginning or end of a piece is found, of at least half of it; of equals a beginning, and the first.
fn find(text: &[u8], piece: &[u8]) -> Option<usize> {
    let least = SHORTEST.max(piece.len().div_ceil(2));
    let alike = |(a, b): &(&u8, &u8)| a == b;
    let mut best = None;
    let mut longest = least - 1;
    for at in 0..text.len() {
        let rest = text.get(at..).unwrap_or_default();
        let length = rest.iter().zip(piece).take_while(alike).count();
        if length > longest {
            (best, longest) = (Some(at), length);
        }
    }
    for end in 1..=text.len() {
        let before = text.get(..end).unwrap_or_default();
        let length = before
            .iter()
            .rev()
            .zip(piece.iter().rev())
            .take_while(alike)
            .count();
        if length > longest {
            (best, longest) = (Some(end - length), length);
        }
    }
    best
}

/// What an expression has to be found as it stands, in lower case, the longest first.
fn pieces(source: &str) -> Vec<Vec<u8>> {
    let mut pieces = vec![Vec::new()];
    let mut in_class = false;
    let mut bytes = source.bytes().peekable();
    while let Some(byte) = bytes.next() {
        let literal = match byte {
            b'\\' => bytes.next().filter(|escaped| escaped.is_ascii_punctuation()),
            b'[' => {
                in_class = true;
                None
            }
            b']' => {
                in_class = false;
                None
            }
            b'.' | b'*' | b'+' | b'?' | b'(' | b')' | b'|' | b'{' | b'}' | b'^' | b'$' => None,
            byte => Some(byte),
        };
        match (literal.filter(|_| !in_class), pieces.last_mut()) {
            (Some(byte), Some(piece)) if piece.len() < PIECE => piece.push(byte.to_ascii_lowercase()),
            (Some(_), _) => {}
            (None, _) => pieces.push(Vec::new()),
        }
    }
    pieces.retain(|piece| piece.len() >= SHORTEST);
    pieces.sort_by_key(|piece| std::cmp::Reverse(piece.len()));
    pieces.truncate(4);
    pieces
}

/// A small change with which the expression matches.
fn variation(regexp: &Regexp, text: &[u8]) -> Option<&'static str> {
    let source = regexp.source();
    // Each variation is compiled here, where others wait: some expressions of a line take half a second.
    if source.len() > LONGEST || !regexp.is_small() {
        return None;
    }
    let bare = source.strip_prefix('^').unwrap_or(source);
    let bare = bare
        .strip_suffix('$')
        .filter(|rest| !rest.ends_with('\\'))
        .unwrap_or(bare);
    // Even so it takes as long as a probe: only what can make a difference is tried.
    let has_lines = text.contains(&b'\n');
    let escaped = source.replacen("^+", r"^\+", 1);
    #[rustfmt::skip]
    let variations = [
        (true, "(?i)", source, "with (?i) in front, which ignores case, it would match"),
        (has_lines && source.contains('.'), "(?s)", source, "with (?s) in front, which lets . match line breaks, it would match"),
        (
            has_lines && source.contains(['^', '$']),
            "(?m)",
            source,
            "with (?m) in front, which lets ^ and $ match at line breaks, it would match",
        ),
        (
            escaped != source,
            "",
            &escaped,
            r"with ^\+ in place of ^+, which means one or more ^ and no plus sign, it would match",
        ),
        (bare != source, "", bare, "without ^ and $ it would match"),
    ];
    let matches = |source: &str| Regexp::small(source).is_ok_and(|regexp| regexp.is_match(text));
    variations.into_iter().find_map(|(may_help, flag, source, hint)| {
        (may_help && matches(&format!("{flag}{source}"))).then_some(hint)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_line_is_found_and_a_change_named() {
        #[rustfmt::skip]
        let rows: &[(&str, &str, &str)] = &[
            (
                "status: ok",
                "a\nStatus: OK\nb",
                "nearest text: \"Status: OK\"; with (?i) in front, which ignores case, it would match",
            ),
            ("^220 .*ESMTP", "554 no ESMTP for you", "nearest text: \"554 no ESMTP for you\""),
            (
                "^b$",
                "a\nb\nc",
                "text begins: \"a\\nb\\nc\"; with (?m) in front, which lets ^ and $ match at line breaks, it would match",
            ),
            ("a.b", "a\nb", "text begins: \"a\\nb\"; with (?s) in front, which lets . match line breaks, it would match"),
            ("^healthy$", "is healthy now", "nearest text: \"is healthy now\"; without ^ and $ it would match"),
            (
                "^+OK",
                "+OK ready",
                "text begins: \"+OK ready\"; with ^\\+ in place of ^+, which means one or more ^ and no plus sign, it would match",
            ),
            ("version 3", "the version is 2", "nearest text: \"the version is 2\""),
            ("anything", "", "the text is empty"),
            ("[abc]{3}zzz", "\u{1b}[31m", "text begins: \"\\u{1b}[31m\""),
            // It takes long to compile.
            (r"^\pL{500}y|x$", "X", "text begins: \"X\""),
        ];
        for (source, text, want) in rows {
            assert_eq!(
                nearest(&Regexp::new(source).unwrap(), text.as_bytes()),
                *want,
                "{source}"
            );
        }
    }

    #[test]
    fn the_longest_part_of_a_piece_is_found() {
        for (text, piece, want) in [
            ("xx needle xx", "needle", Some(3)),
            ("a needl, a eedle", "needle", Some(2)),
            ("eedle, needle", "needle", Some(7)),
            ("a edle", "needle", Some(2)),
            ("nee and nee", "needle", Some(0)),
            ("ne dle", "needle", Some(3)),
            ("ne le", "needle", None),
            ("", "needle", None),
        ] {
            assert_eq!(find(text.as_bytes(), piece.as_bytes()), want, "{text}");
        }
    }

    #[test]
    fn a_long_text_is_quoted_in_part() {
        let text = format!("{}needle here{}", "x".repeat(500), "y".repeat(500));
        let said = nearest(&Regexp::new("needle there").unwrap(), text.as_bytes());
        assert!(said.contains("needle here"), "{said}");
        assert!(said.chars().count() < 230, "{said}");
    }
}
