//! Protocol buffers' text format, as data: a repeated field becomes a list, a message a mapping.

use serde_json::{Map, Value};

const MAX_DEPTH: usize = 32;

/// Reads a message. A field that comes once is its value, one that comes again is a list.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    let mut parser = Parser { rest: text, line: 1 };
    let message = parser.message(None, 0)?;
    Ok(message)
}

struct Parser<'t> {
    rest: &'t str,
    line: usize,
}

impl<'t> Parser<'t> {
    fn error<T>(&self, reason: &str) -> Result<T, String> {
        Err(format!("line {}: {reason}", self.line))
    }

    fn skip(&mut self, bytes: usize) {
        let (skipped, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.line += skipped.matches('\n').count();
        self.rest = rest;
    }

    /// Passes over blanks, commas, semicolons and comments.
    fn blanks(&mut self) {
        loop {
            let length = self
                .rest
                .find(|c: char| !c.is_whitespace() && c != ',' && c != ';')
                .unwrap_or(self.rest.len());
            self.skip(length);
            if !self.rest.starts_with('#') {
                return;
            }
            self.skip(self.rest.find('\n').unwrap_or(self.rest.len()));
        }
    }

    fn next_is(&mut self, symbol: char) -> bool {
        self.blanks();
        let found = self.rest.starts_with(symbol);
        if found {
            self.skip(symbol.len_utf8());
        }
        found
    }

    fn word(&mut self) -> Option<&'t str> {
        let length = self
            .rest
            .find(|c: char| !(c.is_alphanumeric() || "_.+-".contains(c)))
            .unwrap_or(self.rest.len());
        let (word, _) = self
            .rest
            .split_at_checked(length)
            .filter(|(word, _)| !word.is_empty())?;
        self.skip(length);
        Some(word)
    }

    fn message(&mut self, close: Option<char>, depth: usize) -> Result<Value, String> {
        if depth > MAX_DEPTH {
            return self.error("nested too deeply");
        }
        let mut fields: Map<String, Value> = Map::new();
        loop {
            self.blanks();
            match close {
                Some(close) if self.next_is(close) => return Ok(fields.into()),
                None if self.rest.is_empty() => return Ok(fields.into()),
                _ => {}
            }
            let Some(name) = self.word() else {
                return self.error("expected the name of a field");
            };
            let colon = self.next_is(':');
            let value = if self.next_is('{') {
                self.message(Some('}'), depth + 1)?
            } else if self.next_is('<') {
                self.message(Some('>'), depth + 1)?
            } else if colon {
                self.value(depth)?
            } else {
                return self.error("expected `:` or `{`");
            };
            match (fields.get_mut(name), value) {
                (Some(Value::Array(list)), Value::Array(more)) => list.extend(more),
                (Some(Value::Array(list)), value) => list.push(value),
                (Some(first), value) => *first = Value::Array(vec![first.take(), value]),
                (None, value) => drop(fields.insert(name.to_owned(), value)),
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        if depth > MAX_DEPTH {
            return self.error("nested too deeply");
        }
        self.blanks();
        if self.next_is('[') {
            let mut list = Vec::new();
            while !self.next_is(']') {
                list.push(if self.next_is('{') {
                    self.message(Some('}'), depth + 1)?
                } else {
                    self.value(depth + 1)?
                });
            }
            return Ok(list.into());
        }
        match self.rest.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                let mut text = String::new();
                // Texts beside each other are one.
                while self.next_is(quote) {
                    self.text(quote, &mut text)?;
                    self.blanks();
                }
                Ok(text.into())
            }
            _ => match self.word() {
                Some("true") => Ok(true.into()),
                Some("false") => Ok(false.into()),
                Some(word) => Ok(word.parse::<i64>().map_or_else(|_| word.into(), Value::from)),
                None => self.error("expected a value"),
            },
        }
    }

    fn text(&mut self, quote: char, text: &mut String) -> Result<(), String> {
        let mut chars = self.rest.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                c if c == quote => {
                    self.skip(at + c.len_utf8());
                    return Ok(());
                }
                '\n' => break,
                '\\' => match chars.next().map(|(_, c)| c) {
                    Some('n') => text.push('\n'),
                    Some('r') => text.push('\r'),
                    Some('t') => text.push('\t'),
                    Some(c @ ('\\' | '"' | '\'' | '?')) => text.push(c),
                    _ => return self.error("this escape is not supported"),
                },
                c => text.push(c),
            }
        }
        self.error("the text has no closing quote")
    }
}
