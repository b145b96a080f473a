//! From text to tokens.

use std::fmt;

use crate::SyntaxError;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    Identifier(String),
    Text(String),
    Number(String),
    Bool(bool),
    Null,
    /// Operators and brackets.
    Symbol(&'static str),
    Newline,
    End,
}

impl Token {
    /// Whether a newline after this token ends the statement.
    fn ends_a_line(&self) -> bool {
        match self {
            Self::Symbol(symbol) => matches!(*symbol, ")" | "]" | "}"),
            Self::Newline | Self::End => false,
            _ => true,
        }
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identifier(name) => write!(f, "`{name}`"),
            Self::Text(_) => f.write_str("a string"),
            Self::Number(number) => write!(f, "`{number}`"),
            Self::Bool(value) => write!(f, "`{value}`"),
            Self::Null => f.write_str("`null`"),
            Self::Symbol(symbol) => write!(f, "`{symbol}`"),
            Self::Newline => f.write_str("the end of the line"),
            Self::End => f.write_str("the end of the file"),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Spanned {
    pub token: Token,
    pub start: usize,
    pub end: usize,
    pub line: usize,
}

/// The longer symbols stand first.
const SYMBOLS: [&str; 23] = [
    "||", "&&", "==", "!=", "<=", ">=", "=", "!", "<", ">", "+", "-", "*", "/", "%", "^", "{", "}", "(", ")",
    "[", "]", ",",
];

pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    line: usize,
    tokens: Vec<Spanned>,
}

impl<'a> Scanner<'a> {
    pub fn new(text: &'a str) -> Self {
        let at = if text.starts_with('\u{feff}') {
            '\u{feff}'.len_utf8()
        } else {
            0
        };
        Self {
            text,
            at,
            line: 1,
            tokens: Vec::new(),
        }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub fn scan(mut self) -> Result<Vec<Spanned>, SyntaxError> {
        while let Some(first) = self.rest().chars().next() {
            let start = self.at;
            match first {
                '\n' => {
                    self.end_line();
                    self.at += 1;
                    self.line += 1;
                }
                ' ' | '\t' | '\r' => self.at += 1,
                '/' if self.rest().starts_with("//") => {
                    self.at += self.rest().find('\n').unwrap_or(self.rest().len())
                }
                '/' if self.rest().starts_with("/*") => self.block_comment()?,
                '"' => self.quoted()?,
                '`' => self.raw()?,
                '0'..='9' => self.number(start),
                '.' if self
                    .rest()
                    .chars()
                    .nth(1)
                    .is_some_and(|next| next.is_ascii_digit()) =>
                {
                    self.number(start)
                }
                _ if first == '_' || first.is_alphabetic() => self.word(start),
                '.' => self.push(Token::Symbol("."), 1),
                _ => match SYMBOLS.iter().find(|symbol| self.rest().starts_with(**symbol)) {
                    Some(symbol) => self.push(Token::Symbol(symbol), symbol.len()),
                    None => return Err(self.error(format!("the character {first:?} has no meaning here"))),
                },
            }
        }
        self.end_line();
        self.push(Token::End, 0);
        Ok(self.tokens)
    }

    fn end_line(&mut self) {
        if self.tokens.last().is_some_and(|last| last.token.ends_a_line()) {
            self.push(Token::Newline, 0);
        }
    }

    fn push(&mut self, token: Token, length: usize) {
        let start = self.at;
        self.at += length;
        self.tokens.push(Spanned {
            token,
            start,
            end: self.at,
            line: self.line,
        });
    }

    fn error(&self, reason: impl Into<String>) -> SyntaxError {
        SyntaxError {
            line: self.line,
            reason: reason.into(),
        }
    }

    fn block_comment(&mut self) -> Result<(), SyntaxError> {
        let Some(length) = self.rest().find("*/") else {
            return Err(self.error("the comment has no */"));
        };
        let comment = self.rest().get(..length).unwrap_or_default();
        let lines = comment.matches('\n').count();
        if lines > 0 {
            self.end_line();
        }
        self.line += lines;
        self.at += length + 2;
        Ok(())
    }

    fn word(&mut self, start: usize) {
        let rest = self.rest();
        let length = rest
            .find(|c: char| c != '_' && !c.is_alphanumeric())
            .unwrap_or(rest.len());
        let word = self.text.get(start..start + length).unwrap_or_default();
        let token = match word {
            "true" => Token::Bool(true),
            "false" => Token::Bool(false),
            "null" => Token::Null,
            _ => Token::Identifier(word.to_owned()),
        };
        self.push(token, length);
    }

    fn number(&mut self, start: usize) {
        let mut length = 0;
        let mut previous = ' ';
        for c in self.rest().chars() {
            let exponent_sign = matches!(c, '+' | '-') && matches!(previous, 'e' | 'E');
            if !(c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E') || exponent_sign) {
                break;
            }
            previous = c;
            length += 1;
        }
        let number = self
            .text
            .get(start..start + length)
            .unwrap_or_default()
            .to_owned();
        self.push(Token::Number(number), length);
    }

    fn raw(&mut self) -> Result<(), SyntaxError> {
        let inside = self.rest().get(1..).unwrap_or_default();
        let Some(length) = inside.find('`') else {
            return Err(self.error("the string has no closing `"));
        };
        let text = inside.get(..length).unwrap_or_default();
        self.push(Token::Text(text.to_owned()), length + 2);
        self.line += text.matches('\n').count();
        Ok(())
    }

    fn quoted(&mut self) -> Result<(), SyntaxError> {
        let inside = self.rest().get(1..).unwrap_or_default();
        let mut text = Vec::new();
        let mut chars = inside.char_indices();
        while let Some((offset, c)) = chars.next() {
            match c {
                '"' => {
                    let text = String::from_utf8(text)
                        .map_err(|_| self.error("the string's escapes are not UTF-8"))?;
                    self.push(Token::Text(text), offset + 2);
                    return Ok(());
                }
                '\n' => break,
                '\\' => self.escape(&mut chars, &mut text)?,
                _ => text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        Err(self.error("the string has no closing \""))
    }

    /// The escapes of Go's interpreted strings.
    fn escape(
        &self,
        chars: &mut impl Iterator<Item = (usize, char)>,
        text: &mut Vec<u8>,
    ) -> Result<(), SyntaxError> {
        let (digits, radix) = match chars.next().map(|(_, c)| c) {
            Some('x') => (2, 16),
            Some('u') => (4, 16),
            Some('U') => (8, 16),
            Some(first @ '0'..='7') => {
                let number: String = [first].into_iter().chain(chars.take(2).map(|(_, c)| c)).collect();
                let byte = u8::from_str_radix(&number, 8)
                    .map_err(|_| self.error(format!("\\{number} is no octal byte")))?;
                text.push(byte);
                return Ok(());
            }
            other => {
                let byte = match other {
                    Some('a') => 7,
                    Some('b') => 8,
                    Some('f') => 12,
                    Some('n') => b'\n',
                    Some('r') => b'\r',
                    Some('t') => b'\t',
                    Some('v') => 11,
                    Some('\\') => b'\\',
                    Some('"') => b'"',
                    other => {
                        let other = other.map(String::from).unwrap_or_default();
                        return Err(self.error(format!("\\{other} is no escape")));
                    }
                };
                text.push(byte);
                return Ok(());
            }
        };
        let number: String = chars.take(digits).map(|(_, c)| c).collect();
        let code = u32::from_str_radix(&number, radix)
            .map_err(|_| self.error(format!("{number:?} is no hexadecimal number")))?;
        if digits == 2 {
            text.push(u8::try_from(code).unwrap_or_default());
            return Ok(());
        }
        let c = char::from_u32(code).ok_or_else(|| self.error(format!("U+{code:04X} is no character")))?;
        text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }
}
