//! From tokens to statements.

use std::{iter::Peekable, vec};

use crate::scanner::{Spanned, Token};
use crate::{Attribute, Block, Statement, SyntaxError, Value};

/// Deeper nesting than this is refused before it can exhaust the stack.
const MAX_DEPTH: usize = 64;

pub(crate) struct Parser<'a> {
    text: &'a str,
    tokens: Peekable<vec::IntoIter<Spanned>>,
    last_end: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    /// Reads these tokens of a text.
    pub fn new(text: &'a str, tokens: Vec<Spanned>) -> Self {
        Self {
            text,
            tokens: tokens.into_iter().peekable(),
            last_end: 0,
            depth: 0,
        }
    }

    fn peek(&mut self) -> Token {
        self.tokens.peek().map_or(Token::End, |next| next.token.clone())
    }

    fn line(&mut self) -> usize {
        self.tokens.peek().map_or(0, |next| next.line)
    }

    fn advance(&mut self) -> Token {
        let Some(next) = self.tokens.next() else {
            return Token::End;
        };
        self.last_end = next.end;
        next.token
    }

    fn next_is(&mut self, symbol: &'static str) -> bool {
        self.peek() == Token::Symbol(symbol)
    }

    fn unexpected<T>(&mut self, wanted: &str) -> Result<T, SyntaxError> {
        let line = self.line();
        let found = self.peek();
        Err(SyntaxError {
            line,
            reason: format!("expected {wanted}, found {found}"),
        })
    }

    fn expect(&mut self, symbol: &'static str) -> Result<(), SyntaxError> {
        if !self.next_is(symbol) {
            return self.unexpected(&format!("`{symbol}`"));
        }
        self.advance();
        Ok(())
    }

    fn identifier(&mut self) -> Result<String, SyntaxError> {
        match self.peek() {
            Token::Identifier(name) => {
                self.advance();
                Ok(name)
            }
            _ => self.unexpected("a name"),
        }
    }

    fn deeper(&mut self) -> Result<(), SyntaxError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(SyntaxError {
                line: self.line(),
                reason: "nested too deeply".to_owned(),
            });
        }
        Ok(())
    }

    pub fn body(&mut self, until: &Token) -> Result<Vec<Statement>, SyntaxError> {
        self.deeper()?;
        let mut body = Vec::new();
        while self.peek() != *until {
            body.push(self.statement()?);
            if self.peek() == *until {
                break;
            }
            if self.peek() != Token::Newline {
                return self.unexpected("the end of the line");
            }
            self.advance();
        }
        self.depth -= 1;
        Ok(body)
    }

    fn statement(&mut self) -> Result<Statement, SyntaxError> {
        let line = self.line();
        let start = self.tokens.peek().map_or(self.last_end, |next| next.start);
        let mut name = self.identifier()?;
        let mut dotted = false;
        while self.next_is(".") {
            self.advance();
            dotted = true;
            name = format!("{name}.{}", self.identifier()?);
        }
        let mut label = String::new();
        if let Token::Text(text) = self.peek() {
            if !is_identifier(&text) && !text.is_empty() {
                return Err(SyntaxError {
                    line,
                    reason: format!("the label {text:?} is no valid name"),
                });
            }
            self.advance();
            label = text;
        } else if self.next_is("=") && !dotted {
            self.advance();
            return Ok(Statement::Attribute(Attribute {
                name,
                value: self.value()?,
                line,
            }));
        }
        if !self.next_is("{") {
            return self.unexpected(if dotted || !label.is_empty() {
                "`{`"
            } else {
                "`=` or `{`"
            });
        }
        self.advance();
        let body = self.body(&Token::Symbol("}"))?;
        self.expect("}")?;
        Ok(Statement::Block(Block {
            name,
            label,
            body,
            line,
            span: start..self.last_end,
        }))
    }

    /// An expression: a literal when it is nothing more, its text otherwise.
    fn value(&mut self) -> Result<Value, SyntaxError> {
        self.deeper()?;
        let start = self.tokens.peek().map_or(self.last_end, |next| next.start);
        let mut value = self.operand()?;
        while self.operator() {
            self.advance();
            self.operand()?;
            value = None;
        }
        self.depth -= 1;
        let text = || self.text.get(start..self.last_end).unwrap_or_default().to_owned();
        Ok(value.unwrap_or_else(|| Value::Expression(text())))
    }

    fn operator(&mut self) -> bool {
        match self.peek() {
            Token::Symbol(symbol) => matches!(
                symbol,
                "||" | "&&" | "==" | "!=" | "<" | "<=" | ">" | ">=" | "+" | "-" | "*" | "/" | "%" | "^"
            ),
            _ => false,
        }
    }

    /// `None` is something that is more than a literal.
    fn operand(&mut self) -> Result<Option<Value>, SyntaxError> {
        let mut literal = true;
        while self.next_is("!") || self.next_is("-") {
            self.advance();
            literal = false;
        }
        let mut value = self.primary()?;
        loop {
            if self.next_is(".") {
                self.advance();
                self.identifier()?;
            } else if self.next_is("[") {
                self.advance();
                self.value()?;
                self.expect("]")?;
            } else if self.next_is("(") {
                self.advance();
                self.list(")")?;
            } else {
                return Ok(value.take().filter(|_| literal));
            }
            literal = false;
        }
    }

    fn primary(&mut self) -> Result<Option<Value>, SyntaxError> {
        let value = match self.peek() {
            Token::Text(text) => Value::Text(text),
            Token::Number(number) => Value::Number(number),
            Token::Bool(value) => Value::Bool(value),
            Token::Null => Value::Null,
            Token::Identifier(_) => {
                self.advance();
                return Ok(None);
            }
            Token::Symbol("(") => {
                self.advance();
                let inner = self.value()?;
                self.expect(")")?;
                return Ok(Some(inner).filter(|inner| !matches!(inner, Value::Expression(_))));
            }
            Token::Symbol("[") => {
                self.advance();
                return Ok(Some(Value::List(self.list("]")?)));
            }
            Token::Symbol("{") => {
                self.advance();
                return Ok(Some(Value::Object(self.fields()?)));
            }
            _ => return self.unexpected("a value"),
        };
        self.advance();
        Ok(Some(value))
    }

    /// Values with commas between them, and one allowed after the last.
    fn list(&mut self, close: &'static str) -> Result<Vec<Value>, SyntaxError> {
        let mut list = Vec::new();
        while !self.next_is(close) {
            list.push(self.value()?);
            if !self.next_is(",") {
                break;
            }
            self.advance();
        }
        self.close(close)?;
        Ok(list)
    }

    fn fields(&mut self) -> Result<Vec<(String, Value)>, SyntaxError> {
        let mut fields = Vec::new();
        while !self.next_is("}") {
            let key = match self.peek() {
                Token::Text(key) | Token::Identifier(key) => key,
                _ => return self.unexpected("a key"),
            };
            self.advance();
            self.expect("=")?;
            fields.push((key, self.value()?));
            if !self.next_is(",") {
                break;
            }
            self.advance();
        }
        self.close("}")?;
        Ok(fields)
    }

    fn close(&mut self, close: &'static str) -> Result<(), SyntaxError> {
        if self.next_is(close) {
            self.advance();
            return Ok(());
        }
        if self.peek() == Token::Newline {
            return self.unexpected("`,` (also after the last element of a line)");
        }
        self.unexpected(&format!("`,` or `{close}`"))
    }
}

fn is_identifier(text: &str) -> bool {
    let mut chars = text.chars();
    chars
        .next()
        .is_some_and(|first| first == '_' || first.is_alphabetic())
        && chars.all(|c| c == '_' || c.is_alphanumeric())
}
