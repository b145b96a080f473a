//! Escapes, and classes in brackets.

use regex_syntax::hir::{ClassUnicode, Look};

use super::{Parse, Parser};
use crate::class::{self, Sign};
use crate::error::{Error, ErrorKind};
use crate::node::Node;

impl Parser<'_> {
    /// An escape outside brackets.
    pub(super) fn backslash(&mut self) -> Parse<()> {
        let start = self.rest;
        match start.as_bytes().get(1) {
            Some(b'A') => return self.look(2, Look::Start),
            Some(b'z') => return self.look(2, Look::End),
            Some(b'b') => return self.look(2, Look::WordAscii),
            Some(b'B') => return self.look(2, Look::WordAsciiNegate),
            Some(b'C') => {
                self.skip(2);
                return self.fail(ErrorKind::InvalidEscape, start);
            }
            Some(b'Q') => {
                self.skip(2);
                let (quoted, rest) = self.rest.split_once(r"\E").unwrap_or((self.rest, ""));
                self.rest = rest;
                for c in quoted.chars() {
                    self.push(Node::literal(c, self.flags.fold))?;
                }
                return Ok(());
            }
            _ => {}
        }
        if let Some((class, sign)) = self.named_escape()? {
            return self.push(Node::class(sign.apply(class, self.flags.fold)));
        }
        let code = self.escape()?;
        self.push(match char::from_u32(code) {
            Some(c) => Node::literal(c, self.flags.fold),
            // A surrogate: accepted, and never found in a text.
            None => Node::class(class::ranges(&[])),
        })
    }

    /// `\pN`, `\p{Name}`, `\d` and the like, if that is what stands here.
    fn named_escape(&mut self) -> Parse<Option<(ClassUnicode, Sign)>> {
        let start = self.rest;
        let Some(letter) = start.strip_prefix('\\').and_then(|s| s.chars().next()) else {
            return Ok(None);
        };
        if !matches!(letter, 'p' | 'P') {
            let found = class::perl(letter);
            if found.is_some() {
                self.skip(2);
            }
            return Ok(found);
        }
        self.skip(2);
        let mut sign = if letter == 'P' { Sign::Negated } else { Sign::Plain };
        let after = self.rest;
        let name = match self.take() {
            None => "",
            Some('{') => {
                let Some(end) = after.find('}') else {
                    return Err(Error::new(ErrorKind::InvalidCharRange, start));
                };
                self.rest = after.get(end + 1..).unwrap_or("");
                after.get(1..end).unwrap_or("")
            }
            Some(c) => after.get(..c.len_utf8()).unwrap_or(""),
        };
        let name = match name.strip_prefix('^') {
            Some(name) => {
                sign = sign.flip();
                name
            }
            None => name,
        };
        match class::unicode(name) {
            Some(class) => Ok(Some((class, sign))),
            None => self.fail(ErrorKind::InvalidCharRange, start),
        }
    }

    /// A single-character escape; the result may be a surrogate.
    fn escape(&mut self) -> Parse<u32> {
        let start = self.rest;
        self.skip(1);
        let Some(c) = self.take() else {
            return Err(Error::new(ErrorKind::TrailingBackslash, ""));
        };
        let octal = |b: Option<&u8>| b.is_some_and(|b| (b'0'..=b'7').contains(b));
        match c {
            '0'..='7' if c == '0' || octal(self.rest.as_bytes().first()) => {
                let mut code = u32::from(c) - u32::from('0');
                for _ in 1..3 {
                    let Some(digit) = self.rest.chars().next().and_then(|c| c.to_digit(8)) else {
                        break;
                    };
                    self.skip(1);
                    code = code * 8 + digit;
                }
                return Ok(code);
            }
            'x' => {
                if let Some(code) = self.hexadecimal() {
                    return Ok(code);
                }
            }
            'a' => return Ok(0x07),
            'f' => return Ok(0x0c),
            'n' => return Ok(0x0a),
            'r' => return Ok(0x0d),
            't' => return Ok(0x09),
            'v' => return Ok(0x0b),
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => return Ok(c.into()),
            _ => {}
        }
        self.fail(ErrorKind::InvalidEscape, start)
    }

    /// What follows `\x`: two digits, or any number of them in braces. On failure the position is where Go gives up.
    fn hexadecimal(&mut self) -> Option<u32> {
        let first = self.take()?;
        if first != '{' {
            let second = self.take();
            return Some(first.to_digit(16)? * 16 + second?.to_digit(16)?);
        }
        let mut code = 0;
        let mut digits = 0;
        loop {
            let c = self.take()?;
            if c == '}' {
                return (digits > 0).then_some(code);
            }
            code = code * 16 + c.to_digit(16)?;
            if code > u32::from(char::MAX) {
                return None;
            }
            digits += 1;
        }
    }

    /// A class in brackets.
    pub(super) fn bracket(&mut self) -> Parse<Node> {
        let start = self.rest;
        self.skip(1);
        let negated = self.rest.starts_with('^');
        if negated {
            self.skip(1);
        }
        let fold = self.flags.fold;
        let mut class = class::ranges(&[]);
        let mut first = true;
        while first || !self.rest.starts_with(']') {
            first = false;
            if let Some((named, sign)) = self.posix_class()? {
                class.union(&sign.apply(named, fold));
                continue;
            }
            if let Some((named, sign)) = self.named_escape()? {
                class.union(&sign.apply(named, fold));
                continue;
            }
            let from = self.rest;
            let low = self.class_character(start)?;
            let mut high = low;
            if self.rest.len() >= 2 && self.rest.starts_with('-') && !self.rest.starts_with("-]") {
                self.skip(1);
                high = self.class_character(start)?;
                if high < low {
                    return self.fail(ErrorKind::InvalidCharRange, from);
                }
            }
            let range = class::ranges(&[(low, high)]);
            class.union(&Sign::Plain.apply(range, fold));
        }
        self.skip(1);
        Ok(Node::class(if negated { class::negated(class) } else { class }))
    }

    /// `[:name:]`, if that is what stands here.
    fn posix_class(&mut self) -> Parse<Option<(ClassUnicode, Sign)>> {
        let start = self.rest;
        let Some((name, rest)) = start.strip_prefix("[:").and_then(|s| s.split_once(":]")) else {
            return Ok(None);
        };
        self.rest = rest;
        match class::posix(name) {
            Some(found) => Ok(Some(found)),
            None => self.fail(ErrorKind::InvalidCharRange, start),
        }
    }

    fn class_character(&mut self, whole: &str) -> Parse<u32> {
        if self.rest.starts_with('\\') {
            return self.escape();
        }
        match self.take() {
            Some(c) => Ok(c.into()),
            None => Err(Error::new(ErrorKind::MissingBracket, whole)),
        }
    }
}
