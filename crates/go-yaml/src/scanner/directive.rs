//! Directives and tags.

use super::{Kind, Scanned, Scanner, is_word, wrong};
use crate::{Position, SyntaxError};

impl<'t> Scanner<'t> {
    pub(super) fn fetch_directive(&mut self) -> Scanned<()> {
        self.unroll_indent(-1, self.mark);
        self.remove_key()?;
        self.key_allowed = false;
        let start = self.mark;
        self.skip();
        let name = self.word();
        if !self.is_blank_or_end(0) {
            return wrong(start, "the name of this directive must end with a blank");
        }
        let kind = match name {
            "YAML" => {
                self.skip_blanks();
                let major = self.version_number(start)?;
                if self.byte(0) != b'.' {
                    return wrong(start, "the version must be written as 1.1");
                }
                self.skip();
                let minor = self.version_number(start)?;
                Kind::Version {
                    is_1_1: major == 1 && minor == 1,
                }
            }
            "TAG" => {
                self.skip_blanks();
                let handle = self.tag_handle(true, start)?;
                if !self.is_blank(0) {
                    return wrong(start, "expected a blank behind the handle");
                }
                self.skip_blanks();
                let prefix = self.tag_uri("", start)?;
                if !self.is_blank_or_end(0) {
                    return wrong(start, "expected the end of the line");
                }
                Kind::TagDirective { handle, prefix }
            }
            _ => {
                return wrong(start, "there are only the directives %YAML and %TAG");
            }
        };
        let end = self.mark;
        self.skip_blanks();
        if self.byte(0) == b'#' {
            self.skip_to_break();
        }
        if !self.is_break_or_end(0) {
            return wrong(start, "expected the end of the line behind the directive");
        }
        self.skip_line();
        self.insert(self.queue.len(), kind, start, end);
        Ok(())
    }

    fn version_number(&mut self, start: Position) -> Scanned<u8> {
        let from = self.offset;
        while self.byte(0).is_ascii_digit() && self.offset - from < 3 {
            self.skip();
        }
        match self.since(from) {
            digits if digits.len() <= 2 => digits.parse().ok(),
            _ => None,
        }
        .ok_or_else(|| SyntaxError::new(start, "the version must be written as 1.1"))
    }

    pub(super) fn fetch_tag(&mut self) -> Scanned<()> {
        self.save_key()?;
        self.key_allowed = false;
        let start = self.mark;
        let (handle, suffix) = if self.byte(1) == b'<' {
            self.skip_many(2);
            let uri = self.tag_uri("", start)?;
            if self.byte(0) != b'>' {
                return wrong(start, "expected '>' at the end of the tag");
            }
            self.skip();
            ("", uri)
        } else {
            let handle = self.tag_handle(false, start)?;
            if handle.len() > 1 && handle.ends_with('!') {
                (handle, self.tag_uri("", start)?)
            } else {
                match self.tag_uri(handle, start)? {
                    suffix if suffix.is_empty() => ("", "!".to_owned()),
                    suffix => ("!", suffix),
                }
            }
        };
        if !self.is_blank_or_end(0) {
            let message = "expected a blank behind the tag; put a text that begins with ! in quotes";
            return wrong(start, message);
        }
        self.push(Kind::Tag { handle, suffix }, start);
        Ok(())
    }

    fn tag_handle(&mut self, directive: bool, start: Position) -> Scanned<&'t str> {
        let from = self.offset;
        if self.byte(0) != b'!' {
            return wrong(start, "expected '!'");
        }
        self.skip();
        self.word();
        if self.byte(0) == b'!' {
            self.skip();
        } else if directive && self.since(from) != "!" {
            return wrong(start, "expected '!'");
        }
        Ok(self.since(from))
    }

    /// What follows a handle; `head` is what was read as a handle and belongs to it, after its first character.
    fn tag_uri(&mut self, head: &str, start: Position) -> Scanned<String> {
        let mut uri = head.get(1..).unwrap_or_default().as_bytes().to_vec();
        let from = self.offset;
        while is_word(self.byte(0)) || (self.byte(0) != 0 && b";/?:@&=+$,.!~*'()[]%".contains(&self.byte(0)))
        {
            if self.byte(0) == b'%' {
                let hex = self
                    .rest()
                    .get(1..3)
                    .filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
                let octet = hex
                    .and_then(|hex| u8::from_str_radix(hex, 16).ok())
                    .ok_or_else(|| SyntaxError::new(start, "expected two hexadecimal digits behind %"))?;
                uri.push(octet);
                self.skip_many(3);
            } else {
                uri.push(self.byte(0));
                self.skip();
            }
        }
        if head.is_empty() && self.offset == from {
            return wrong(start, "the tag has no name");
        }
        String::from_utf8(uri).map_err(|_| SyntaxError::new(start, "the tag is not UTF-8"))
    }
}
