//! The text of a file that is to be YAML.

use go_yaml::{Position, SyntaxError};

use crate::config::codec::problem::Problem;

/// What is said of a text that is no YAML.
pub(crate) fn not_yaml(error: &SyntaxError) -> Problem {
    Problem::new(Some(error.at), format!("not YAML: {}", error.message))
}

/// The text of a file: UTF-8, or UTF-16 with a byte order mark, without characters that YAML forbids. The line break
/// U+0085 of YAML 1.1, which is one in texts too, becomes today's.
///
/// # Errors
/// Where the bytes are no such text.
pub fn decode_text(bytes: Vec<u8>) -> Result<String, Box<Problem>> {
    let text = match bytes.as_slice() {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        _ => String::from_utf8(bytes).map_err(|e| {
            let good = e.utf8_error().valid_up_to();
            let before = String::from_utf8_lossy(e.as_bytes().get(..good).unwrap_or_default()).into_owned();
            Box::new(Problem::new(
                Some(end_of(&before)),
                "not YAML: this byte is not UTF-8",
            ))
        })?,
    };
    let forbidden = |c: char| {
        let allowed = matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
        !allowed
    };
    match text.char_indices().find(|(_, c)| forbidden(*c)) {
        Some((at, c)) => {
            let place = end_of(text.get(..at).unwrap_or_default());
            let message = format!("not YAML: control characters are not allowed, found {c:?}");
            let problem = Problem::new(Some(place), message);
            Err(Box::new(
                problem.with_help("write it as an escape in double quotes"),
            ))
        }
        None if text.contains('\u{85}') => Ok(text.replace('\u{85}', "\n")),
        None => Ok(text),
    }
}

fn utf16(bytes: &[u8], read: fn([u8; 2]) -> u16) -> String {
    let (pairs, _) = bytes.as_chunks();
    let units: Vec<u16> = pairs.iter().map(|pair| read(*pair)).collect();
    String::from_utf16_lossy(&units)
}

/// The place right after a text.
fn end_of(text: &str) -> Position {
    let last = text.rsplit('\n').next().unwrap_or_default();
    Position {
        line: text.matches('\n').count() + 1,
        column: last.chars().count() + 1,
    }
}
