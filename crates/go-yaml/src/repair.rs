//! What the Go program's YAML reader takes and ours would not: made readable beforehand.
//!
//! Three things of YAML 1.1 occur in real files: a tab between `key:` and its value, a quoted text that goes on in a line
//! indented less than its key, and lines in brackets that are. White space counts for nothing there, so it can be
//! replaced. A byte order mark that came into the middle of a file is a character like others, and so is a hyphen alone
//! in brackets (`[-]`): another character stands in for it while the file is read.

use std::borrow::Cow;
use std::collections::HashMap;

use super::{Document, Position, SyntaxError};

/// Spaces that were put at the beginning of lines, by line number.
#[derive(Clone, Debug, Default)]
pub(super) struct Shifts(HashMap<usize, usize>);

impl Shifts {
    /// The place in the text as it was before.
    pub(super) fn original(&self, at: Position) -> Position {
        let added = self.0.get(&at.line).copied().unwrap_or(0);
        Position {
            column: at.column.saturating_sub(added).max(1),
            ..at
        }
    }

    fn add(&mut self, lines: impl Iterator<Item = usize>, spaces: usize) {
        for line in lines {
            *self.0.entry(line).or_default() += spaces;
        }
    }
}

/// Most places that are repaired in one file: each costs reading it again.
const MAX_REPAIRS: usize = 200;

/// What the reader says of a line in brackets that is indented too little.
const INDENTATION: &str = "invalid indentation";

/// Reads a text that could not be read, if it can be repaired; `error` is why not.
pub(super) fn read(text: &str, mut error: SyntaxError) -> Result<Option<Document<'static>>, SyntaxError> {
    let mut text = Cow::Borrowed(text);
    let mut shifts = Shifts::default();
    // Places of errors are those of the changed text here, until the last attempt.
    for _ in 0..MAX_REPAIRS {
        let repaired = match error.message.as_str() {
            "':' must be followed by a valid YAML whitespace" => tabs_to_spaces(&text, &error),
            "invalid indentation in quoted scalar" => indent_quoted(&text, &error, &mut shifts),
            INDENTATION => indent_bracketed(&text, &error, &mut shifts),
            "a byte order mark must not appear inside a document" => Some(text.replace(BOM, BOM_STAND_IN)),
            "plain scalar cannot start with '-' followed by ,[]{}" => replace_hyphen(&text, &error),
            _ => None,
        };
        let Some(repaired) = repaired else { break };
        text = Cow::Owned(repaired);
        match Document::read(&text, &Shifts::default()) {
            Ok(_) => break,
            Err(next) if next.is_still(&error) => break,
            Err(next) => error = next,
        }
    }
    Document::read(&text, &shifts).map(|document| document.map(|document| document.into_owned(original)))
}

impl SyntaxError {
    /// Whether a repair did not help. Brackets move right with their line.
    fn is_still(&self, earlier: &Self) -> bool {
        let place = |error: &Self| match error.message.as_str() {
            INDENTATION => (error.at.line, 0),
            _ => (error.at.line, error.at.column),
        };
        self.message == earlier.message && place(self) <= place(earlier)
    }
}

/// The byte order mark.
const BOM: &str = "\u{feff}";
/// What stands in for it: of the private characters, one that nobody else will have chosen.
const BOM_STAND_IN: &str = "\u{10feff}";
/// What stands in for a hyphen alone in brackets.
const HYPHEN_STAND_IN: &str = "\u{10fe2d}";

/// The text with the characters that were replaced.
fn original(text: &str) -> String {
    text.replace(BOM_STAND_IN, BOM).replace(HYPHEN_STAND_IN, "-")
}

/// The byte at which a place stands.
fn offset(text: &str, at: Position) -> Option<usize> {
    let line: usize = text
        .split_inclusive('\n')
        .take(at.line.checked_sub(1)?)
        .map(str::len)
        .sum();
    let (column, _) = text.get(line..)?.char_indices().nth(at.column.checked_sub(1)?)?;
    Some(line + column)
}

/// Replaces the tabs right before the place of the error.
fn tabs_to_spaces(text: &str, error: &SyntaxError) -> Option<String> {
    let end = offset(text, error.at)?;
    let (before, after) = text.split_at_checked(end)?;
    let kept = before.trim_end_matches(['\t', ' ']);
    let blanks = before.len() - kept.len();
    (blanks > 0).then(|| format!("{kept}{}{after}", " ".repeat(blanks)))
}

/// Replaces the hyphen at the place of the error.
fn replace_hyphen(text: &str, error: &SyntaxError) -> Option<String> {
    let (before, rest) = text.split_at_checked(offset(text, error.at)?)?;
    let after = rest.strip_prefix('-')?;
    Some(format!("{before}{HYPHEN_STAND_IN}{after}"))
}

/// Indents the lines in which the quoted text goes on that begins at the place of the error.
fn indent_quoted(text: &str, error: &SyntaxError, shifts: &mut Shifts) -> Option<String> {
    let start = offset(text, error.at)?;
    let (before, quoted) = text.split_at_checked(start)?;
    let length = quoted_length(quoted)?;
    let (quoted, after) = quoted.split_at_checked(length)?;
    let lines = quoted.matches('\n').count();
    if lines == 0 {
        return None;
    }
    let added = error.at.column;
    shifts.add((1..=lines).map(|below| error.at.line + below), added);
    Some(format!(
        "{before}{}{after}",
        quoted.replace('\n', &format!("\n{}", " ".repeat(added)))
    ))
}

/// Indents the line of the error, which stands in brackets, and those after it up to the bracket that closes.
fn indent_bracketed(text: &str, error: &SyntaxError, shifts: &mut Shifts) -> Option<String> {
    const ADDED: usize = 64;
    let first = Position {
        column: 1,
        ..error.at
    };
    let start = offset(text, first)?;
    let (before, bracketed) = text.split_at_checked(start)?;
    let (bracketed, after) = bracketed.split_at_checked(closing_bracket(bracketed))?;
    let lines = bracketed.matches('\n').count();
    shifts.add((0..=lines).map(|below| error.at.line + below), ADDED);
    let margin = " ".repeat(ADDED);
    Some(format!(
        "{before}{margin}{}{after}",
        bracketed.replace('\n', &format!("\n{margin}"))
    ))
}

/// Where the bracket closes that was open at the beginning of a text; the text's length when it never does.
fn closing_bracket(text: &str) -> usize {
    let (mut depth, mut at, mut previous) = (0usize, 0, ' ');
    while let Some((c, rest)) = text.get(at..).and_then(|t| Some((t.chars().next()?, t))) {
        let begins = previous.is_whitespace() || "[{,:".contains(previous);
        let step = match c {
            '"' | '\'' if begins => quoted_length(rest).unwrap_or(rest.len()),
            '#' if previous.is_whitespace() => rest.find('\n').unwrap_or(rest.len()),
            '[' | '{' => {
                depth += 1;
                1
            }
            ']' | '}' if depth == 0 => return at,
            ']' | '}' => {
                depth -= 1;
                1
            }
            c => c.len_utf8(),
        };
        previous = c;
        at += step;
    }
    text.len()
}

/// How long the quoted text is that a text begins with.
fn quoted_length(text: &str) -> Option<usize> {
    let mut chars = text.char_indices();
    let (_, quote) = chars.next()?;
    let mut chars = chars.peekable();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            ('"', '\\') => {
                chars.next();
            }
            ('\'', '\'') if chars.peek().is_some_and(|(_, next)| *next == '\'') => {
                chars.next();
            }
            (quote, c) if c == quote => return Some(at + c.len_utf8()),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> String {
        let document = Document::parse(text).unwrap().unwrap();
        let (_, value) = document.entry(document.root(), "a").unwrap();
        let (_, value) = document.entry(value, "b").unwrap();
        document.text(value).unwrap().to_owned()
    }

    #[test]
    fn a_tab_may_follow_the_colon() {
        assert_eq!(value("a:\n  b:\tyes\n"), "yes");
        assert_eq!(value("a:\n  b:\t \tyes\n  c:\tno\n"), "yes");
    }

    #[test]
    fn a_quoted_text_may_go_on_anywhere() {
        assert_eq!(value("a:\n  b: \"one\ntwo\n\nthree\"\n"), "one two\nthree");
        assert_eq!(value("a:\n  b: 'it''s\nhere'\n  c: \"x\ny\"\n"), "it's here");
    }

    #[test]
    fn brackets_may_hold_lines_indented_anyhow() {
        let text = "a:\n  b: c\n  d: [\n1, \"]\", # ]\n{x: [\n y]}\n]\n  e: {\nf: g\n  }\nh: i\n";
        assert_eq!(value(text), "c");
        let document = Document::parse(text).unwrap().unwrap();
        let (_, a) = document.entry(document.root(), "a").unwrap();
        let (_, e) = document.entry(a, "e").unwrap();
        let (at, _) = document.entry(e, "f").unwrap();
        assert_eq!((at.line, at.column), (9, 1));
        let (at, _) = document.entry(document.root(), "h").unwrap();
        assert_eq!((at.line, at.column), (11, 1));
    }

    #[test]
    fn a_byte_order_mark_is_a_character() {
        let text = "# \u{feff}c\na:\n  \u{feff}b:\n  b: x\u{feff}\u{feff}y # \u{feff}\n  c: \"\u{feff}\"\n";
        assert_eq!(value(text), "x\u{feff}\u{feff}y");
    }

    #[test]
    fn a_hyphen_may_stand_alone_in_brackets() {
        assert_eq!(value("a: {b: -, c: [-, -]}\n"), "-");
        let error = Document::parse("a: [-[]]\n").unwrap_err();
        assert_eq!((error.at.line, error.at.column), (1, 6), "{error:?}");
    }

    #[test]
    fn what_space_does_not_help_is_given_up() {
        // A carriage return ends a line as well.
        let brackets = format!("a:\n  b:\n    c: [\r1,\n{}]\n", "2,\n".repeat(3000));
        let quotes = format!("a:\n  b: 'x\ry\n{}'\n", "z\n".repeat(3000));
        for (text, message, line) in [
            (brackets, INDENTATION, 4),
            (quotes, "invalid indentation in quoted scalar", 2),
        ] {
            let start = std::time::Instant::now();
            let error = Document::parse(&text).unwrap_err();
            assert_eq!((error.message.as_str(), error.at.line), (message, line));
            let took = start.elapsed();
            assert!(took < std::time::Duration::from_secs(1), "{message}: {took:?}");
        }
    }

    #[test]
    fn places_are_those_of_the_file() {
        let error = Document::parse("a:\n  b: {c: \"x\ny\", d: %}\n").unwrap_err();
        assert_eq!((error.at.line, error.at.column), (3, 8), "{error:?}");
        let document = Document::parse("a:\n  b: {c: \"x\ny\", d: z}\n")
            .unwrap()
            .unwrap();
        let (_, a) = document.entry(document.root(), "a").unwrap();
        let (_, b) = document.entry(a, "b").unwrap();
        let (at, _) = document.entry(b, "d").unwrap();
        assert_eq!((at.line, at.column), (3, 5));
    }
}
