//! Texts: in quotes, without, and as blocks.

use std::borrow::Cow;

use super::{Kind, Scanned, Scanner, wrong};
use crate::{Position, SyntaxError};

impl<'t> Scanner<'t> {
    pub(super) fn fetch_quoted(&mut self) -> Scanned<()> {
        self.save_key()?;
        self.key_allowed = false;
        let start = self.mark;
        let text = self.quoted()?;
        self.push(Kind::Scalar { text, plain: false }, start);
        Ok(())
    }

    pub(super) fn fetch_plain(&mut self) -> Scanned<()> {
        self.save_key()?;
        self.key_allowed = false;
        let start = self.mark;
        let text = self.plain()?;
        self.push(Kind::Scalar { text, plain: true }, start);
        Ok(())
    }

    pub(super) fn fetch_block_scalar(&mut self) -> Scanned<()> {
        self.remove_key()?;
        self.key_allowed = true;
        let start = self.mark;
        let text = self.block_scalar()?.into();
        self.push(Kind::Scalar { text, plain: false }, start);
        Ok(())
    }

    fn is_at_document_mark(&self) -> bool {
        self.mark.column == 1
            && matches!(self.rest().get(..3), Some("---" | "..."))
            && self.is_blank_or_end(3)
    }

    /// White space within a text: what it becomes when the text goes on. A line break is a blank, further ones stay.
    fn fold(&mut self, gap: &mut Gap) {
        while self.is_blank(0) || self.is_break(0) {
            if self.is_break(0) {
                gap.breaks += 1;
                gap.blanks.clear();
                self.skip_line();
            } else {
                if gap.breaks == 0 {
                    gap.blanks.push(char::from(self.byte(0)));
                }
                self.skip();
            }
        }
    }

    fn quoted(&mut self) -> Scanned<Cow<'t, str>> {
        let start = self.mark;
        let quote = self.byte(0);
        self.skip();
        let from = self.offset;
        // As long as nothing in the text means anything else, it is that of the file.
        let mut own: Option<String> = None;
        loop {
            if self.is_at_document_mark() {
                return wrong(start, "this quote is not closed before the document ends");
            }
            if self.byte(0) == 0 {
                return wrong(start, "this quote is never closed");
            }
            let mut gap = Gap::default();
            while !self.is_blank_or_end(0) && self.byte(0) != quote || self.is_doubled(quote) {
                let end = self.offset;
                if self.is_doubled(quote) {
                    own.get_or_insert_with(|| self.text.get(from..end).unwrap_or_default().to_owned())
                        .push('\'');
                    self.skip_many(2);
                } else if quote == b'"' && self.byte(0) == b'\\' {
                    let text =
                        own.get_or_insert_with(|| self.text.get(from..end).unwrap_or_default().to_owned());
                    if self.is_break(1) {
                        self.skip();
                        self.skip_line();
                        gap.escaped = true;
                        break;
                    }
                    let c = self.escape(start)?;
                    text.push(c);
                } else {
                    let c = self.rest().chars().next();
                    if let Some(own) = &mut own {
                        own.extend(c);
                    }
                    self.skip();
                }
            }
            if self.byte(0) == quote {
                let text = own.map_or(Cow::Borrowed(self.since(from)), Cow::Owned);
                self.skip();
                return Ok(text);
            }
            let end = self.offset;
            self.fold(&mut gap);
            if gap.breaks > 0 || own.is_some() || gap.escaped {
                gap.write(own.get_or_insert_with(|| self.text.get(from..end).unwrap_or_default().to_owned()));
            }
        }
    }

    /// Whether a single quote is written here, as two.
    fn is_doubled(&self, quote: u8) -> bool {
        quote == b'\'' && self.byte(0) == b'\'' && self.byte(1) == b'\''
    }

    fn escape(&mut self, start: Position) -> Scanned<char> {
        let letter = self.byte(1);
        let digits = match letter {
            b'x' => 2,
            b'u' => 4,
            b'U' => 8,
            _ => 0,
        };
        let simple = match letter {
            b'0' => '\0',
            b'a' => '\x07',
            b'b' => '\x08',
            b't' | b'\t' => '\t',
            b'n' => '\n',
            b'v' => '\x0b',
            b'f' => '\x0c',
            b'r' => '\r',
            b'e' => '\x1b',
            b' ' => ' ',
            b'"' => '"',
            b'\'' => '\'',
            b'\\' => '\\',
            b'N' => '\u{85}',
            b'_' => '\u{a0}',
            b'L' => '\u{2028}',
            b'P' => '\u{2029}',
            _ if digits > 0 => '\0',
            _ => {
                let message = "unknown escape in a text in double quotes: write \\\\ for a backslash, or use single quotes";
                return wrong(self.mark, message);
            }
        };
        self.skip_many(2);
        if digits == 0 {
            return Ok(simple);
        }
        let hex = self
            .rest()
            .get(..digits)
            .filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        let value = hex.and_then(|hex| u32::from_str_radix(hex, 16).ok());
        let Some(value) = value else {
            return wrong(start, "expected hexadecimal digits in an escape");
        };
        let c = char::from_u32(value)
            .ok_or_else(|| SyntaxError::new(start, "an escape names no character of Unicode"))?;
        self.skip_many(digits);
        Ok(c)
    }

    fn plain(&mut self) -> Scanned<Cow<'t, str>> {
        let from = self.offset;
        let mut end = from;
        let mut own: Option<String> = None;
        let mut gap = Gap::default();
        let indent = self.indent + 1;
        while !self.is_at_document_mark() && self.byte(0) != b'#' {
            while !self.is_blank_or_end(0) {
                let byte = self.byte(0);
                if byte == b':' && self.is_blank_or_end(1) || self.flow > 0 && b",?[]{}".contains(&byte) {
                    break;
                }
                if gap.breaks > 0 || own.is_some() {
                    gap.write(
                        own.get_or_insert_with(|| self.text.get(from..end).unwrap_or_default().to_owned()),
                    );
                }
                gap = Gap::default();
                if let Some(own) = &mut own {
                    own.extend(self.rest().chars().next());
                }
                self.skip();
                end = self.offset;
            }
            if !self.is_blank(0) && !self.is_break(0) {
                break;
            }
            while self.is_blank(0) || self.is_break(0) {
                if gap.breaks > 0 && self.byte(0) == b'\t' && self.column() < indent {
                    return wrong(
                        self.mark,
                        "a tab cannot indent the lines of this text: write spaces",
                    );
                }
                if self.is_break(0) {
                    gap.breaks += 1;
                    gap.blanks.clear();
                    self.skip_line();
                } else {
                    if gap.breaks == 0 {
                        gap.blanks.push(char::from(self.byte(0)));
                    }
                    self.skip();
                }
            }
            if self.flow == 0 && self.column() < indent {
                break;
            }
        }
        if gap.breaks > 0 {
            self.key_allowed = true;
        }
        Ok(own.map_or_else(
            || Cow::Borrowed(self.text.get(from..end).unwrap_or_default()),
            Cow::Owned,
        ))
    }

    fn block_scalar(&mut self) -> Scanned<String> {
        let start = self.mark;
        let literal = self.byte(0) == b'|';
        self.skip();
        let (mut chomping, mut increment) = (None, None);
        for _ in 0..2 {
            match self.byte(0) {
                sign @ (b'+' | b'-') if chomping.is_none() => chomping = Some(sign),
                b'0' if increment.is_none() => {
                    return wrong(start, "the indentation of a block text cannot be 0");
                }
                digit @ b'1'..=b'9' if increment.is_none() => increment = Some(isize::from(digit - b'0')),
                _ => break,
            }
            self.skip();
        }
        self.skip_blanks();
        if self.byte(0) == b'#' {
            self.skip_to_break();
        }
        if !self.is_break_or_end(0) {
            let message =
                "a block text begins on the next line; put a text that begins with | or > in quotes";
            return wrong(start, message);
        }
        self.skip_line();
        let mut indent = increment.map_or(0, |increment| self.indent.max(0) + increment);
        let mut trailing = self.block_breaks(&mut indent)?;
        let mut text = String::new();
        let mut leading = "";
        let mut was_blank = false;
        while self.column() == indent && self.byte(0) != 0 {
            let is_blank = self.is_blank(0);
            if !literal && !leading.is_empty() && !was_blank && !is_blank {
                if trailing == 0 {
                    text.push(' ');
                }
            } else {
                text.push_str(leading);
            }
            text.extend(std::iter::repeat_n('\n', trailing));
            was_blank = is_blank;
            let from = self.offset;
            self.skip_to_break();
            text.push_str(self.since(from));
            leading = if self.is_break(0) { "\n" } else { "" };
            self.skip_line();
            trailing = self.block_breaks(&mut indent)?;
        }
        if chomping != Some(b'-') {
            text.push_str(leading);
        }
        if chomping == Some(b'+') {
            text.extend(std::iter::repeat_n('\n', trailing));
        }
        Ok(text)
    }

    /// Reads indentation and empty lines; finds out the indentation when it is 0. How many lines were empty.
    fn block_breaks(&mut self, indent: &mut isize) -> Scanned<usize> {
        let (mut breaks, mut most) = (0, 0);
        loop {
            while (*indent == 0 || self.column() < *indent) && self.byte(0) == b' ' {
                self.skip();
            }
            most = most.max(self.column());
            if (*indent == 0 || self.column() < *indent) && self.byte(0) == b'\t' {
                return wrong(self.mark, "a tab cannot indent a block text: write spaces");
            }
            if !self.is_break(0) {
                break;
            }
            self.skip_line();
            breaks += 1;
        }
        if *indent == 0 {
            *indent = most.max(self.indent + 1).max(1);
        }
        Ok(breaks)
    }
}

/// White space between two parts of a text.
#[derive(Default)]
struct Gap {
    blanks: String,
    breaks: usize,
    /// The line before it ended with a backslash.
    escaped: bool,
}

impl Gap {
    fn write(&self, text: &mut String) {
        match (self.escaped, self.breaks) {
            (true, breaks) => text.extend(std::iter::repeat_n('\n', breaks)),
            (false, 0) => text.push_str(&self.blanks),
            (false, 1) => text.push(' '),
            (false, breaks) => text.extend(std::iter::repeat_n('\n', breaks - 1)),
        }
    }
}
