//! Reads the syntax of Grafana Alloy's configuration files: blocks, attributes and expressions.
//!
//! The grammar is that of Alloy's own parser (`syntax/parser` and `syntax/scanner` of grafana/alloy): statements
//! end at a newline, which also counts after a value inside brackets, so that a list over several lines needs a
//! comma after its last element. Expressions that are more than literals are kept as their text, because only
//! Alloy can evaluate them.

#![forbid(unsafe_code)]

use std::{fmt, iter::Peekable, ops::Range, vec};

/// A statement of a file or of a block.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    /// `name = value`
    Attribute(Attribute),
    /// `name.of.block "label" { … }`
    Block(Block),
}

/// `name = value`
#[derive(Clone, Debug, PartialEq)]
pub struct Attribute {
    /// Left of the equals sign.
    pub name: String,
    /// Right of it.
    pub value: Value,
    /// Where it stands, from 1.
    pub line: usize,
}

/// `name "label" { body }`
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// The name with its dots.
    pub name: String,
    /// The label, empty when there is none.
    pub label: String,
    /// What is in the braces.
    pub body: Vec<Statement>,
    /// Where it begins, from 1.
    pub line: usize,
    /// The bytes of the text from its name to its closing brace.
    pub span: Range<usize>,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A string, without its quotes.
    Text(String),
    /// A number, as written.
    Number(String),
    /// `true` or `false`
    Bool(bool),
    /// `null`
    Null,
    /// `[a, b]`
    List(Vec<Value>),
    /// `{ key = value }`
    Object(Vec<(String, Value)>),
    /// Anything that Alloy computes, as written: a reference, a call, an operation.
    Expression(String),
}

impl fmt::Display for Value {
    /// The value as Alloy reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(&quoted(text)),
            Self::Number(text) | Self::Expression(text) => f.write_str(text),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Null => f.write_str("null"),
            Self::List(list) => {
                let list: Vec<_> = list.iter().map(ToString::to_string).collect();
                write!(f, "[{}]", list.join(", "))
            }
            Self::Object(fields) => {
                let fields: Vec<_> = fields
                    .iter()
                    .map(|(key, value)| format!("{} = {value}", quoted(key)))
                    .collect();
                write!(f, "{{{}}}", fields.join(", "))
            }
        }
    }
}

/// A string as Alloy writes it.
fn quoted(text: &str) -> String {
    let mut quoted = "\"".to_owned();
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Where and why a file is not Alloy syntax.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct SyntaxError {
    /// From 1.
    pub line: usize,
    /// What was expected, and what stands there.
    pub reason: String,
}

/// Reads a whole file.
pub fn parse(text: &str) -> Result<Vec<Statement>, SyntaxError> {
    let tokens = Scanner::new(text).scan()?;
    let mut parser = Parser {
        text,
        tokens: tokens.into_iter().peekable(),
        last_end: 0,
        depth: 0,
    };
    parser.body(&Token::End)
}

/// The references of a text (`name.of.something`), outside strings and comments, with their bytes.
pub fn references(text: &str) -> Result<Vec<(Range<usize>, String)>, SyntaxError> {
    let mut found: Vec<(Range<usize>, String)> = Vec::new();
    let mut dot = false;
    for token in Scanner::new(text).scan()? {
        match (token.token, found.last_mut()) {
            (Token::Symbol("."), Some((span, _))) if span.end == token.start => {
                span.end = token.end;
                dot = true;
                continue;
            }
            (Token::Identifier(name), Some((span, path))) if dot && span.end == token.start => {
                span.end = token.end;
                *path = format!("{path}.{name}");
            }
            (Token::Identifier(name), _) => found.push((token.start..token.end, name)),
            _ => {}
        }
        dot = false;
    }
    Ok(found)
}

/// Deeper nesting than this is refused before it can exhaust the stack.
const MAX_DEPTH: usize = 64;

#[derive(Clone, Debug, PartialEq)]
enum Token {
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
struct Spanned {
    token: Token,
    start: usize,
    end: usize,
    line: usize,
}

/// The longer symbols stand first.
const SYMBOLS: [&str; 23] = [
    "||", "&&", "==", "!=", "<=", ">=", "=", "!", "<", ">", "+", "-", "*", "/", "%", "^", "{", "}", "(", ")",
    "[", "]", ",",
];

struct Scanner<'a> {
    text: &'a str,
    at: usize,
    line: usize,
    tokens: Vec<Spanned>,
}

impl<'a> Scanner<'a> {
    fn new(text: &'a str) -> Self {
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

    fn scan(mut self) -> Result<Vec<Spanned>, SyntaxError> {
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

struct Parser<'a> {
    text: &'a str,
    tokens: Peekable<vec::IntoIter<Spanned>>,
    last_end: usize,
    depth: usize,
}

impl Parser<'_> {
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

    fn body(&mut self, until: &Token) -> Result<Vec<Statement>, SyntaxError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_alloy_reads() {
        let read = parse(
            r#"
// a comment
logging { level = "info" } /* and
another */
prometheus.scrape "probes" {
  targets         = prometheus.exporter.blackbox.probes.targets
  scrape_interval = "10s"
  forward_to      = [
    prometheus.remote_write.deepflow.receiver,
  ]
  params = { "module" = ["http_2xx"], debug = [string.format("%t", true)], }
  n      = -1 + 2.5e3 * (3 ^ 2)
  raw    = `a
b`
  odd    = "\u00e9\x41\101\n"
  off    = null
}
"#,
        )
        .unwrap();
        let Statement::Block(scrape) = &read[1] else {
            panic!("{read:?}")
        };
        assert_eq!(
            (scrape.name.as_str(), scrape.label.as_str(), scrape.line),
            ("prometheus.scrape", "probes", 5)
        );
        let values: Vec<_> = scrape
            .body
            .iter()
            .map(|statement| match statement {
                Statement::Attribute(attribute) => {
                    (attribute.name.as_str(), attribute.line, attribute.value.clone())
                }
                Statement::Block(block) => panic!("{block:?}"),
            })
            .collect();
        let expression = |text: &str| Value::Expression(text.to_owned());
        let text = |text: &str| Value::Text(text.to_owned());
        assert_eq!(
            values,
            [
                (
                    "targets",
                    6,
                    expression("prometheus.exporter.blackbox.probes.targets")
                ),
                ("scrape_interval", 7, text("10s")),
                (
                    "forward_to",
                    8,
                    Value::List(vec![expression("prometheus.remote_write.deepflow.receiver")])
                ),
                (
                    "params",
                    11,
                    Value::Object(vec![
                        ("module".to_owned(), Value::List(vec![text("http_2xx")])),
                        (
                            "debug".to_owned(),
                            Value::List(vec![expression(r#"string.format("%t", true)"#)])
                        ),
                    ])
                ),
                ("n", 12, expression("-1 + 2.5e3 * (3 ^ 2)")),
                ("raw", 13, text("a\nb")),
                ("odd", 15, text("éAA\n")),
                ("off", 16, Value::Null),
            ]
        );
    }

    #[test]
    fn values_are_written_as_they_are_read() {
        let text = r#"{"a b" = "q\"\\\n\té\u0001", "l" = [1, true, null, sys.env("X")]}"#;
        let read = parse(&format!("v = {text}")).unwrap();
        let [Statement::Attribute(attribute)] = read.as_slice() else {
            panic!("{read:?}")
        };
        assert_eq!(attribute.value.to_string(), text);
    }

    #[test]
    fn references_stand_outside_strings_and_comments() {
        let text = "a = x.y.z // p.q\nb = [f(\"g.h\", i.j), /* k.l */ m.n[0].o]";
        let found: Vec<_> = references(text)
            .unwrap()
            .into_iter()
            .map(|(span, path)| (&text[span], path))
            .collect();
        for (written, path) in &found {
            assert_eq!(written, path);
        }
        let paths: Vec<_> = found.iter().map(|(_, path)| path.as_str()).collect();
        assert_eq!(paths, ["a", "x.y.z", "b", "f", "i.j", "m.n", "o"]);
    }

    #[test]
    fn says_where_a_file_is_wrong() {
        let deep = "a = ".to_owned() + &"[".repeat(1000);
        for (text, wanted) in [
            (
                "a = [\n  1\n]",
                "line 2: expected `,` (also after the last element of a line), found the end of the line",
            ),
            ("a = [1 2]", "line 1: expected `,` or `]`, found `2`"),
            ("a.b = 1", "line 1: expected `{`, found `=`"),
            (
                "a \"not-a-name\" {}",
                "line 1: the label \"not-a-name\" is no valid name",
            ),
            (
                "a {\n  b = 1 c = 2\n}",
                "line 2: expected the end of the line, found `c`",
            ),
            ("a {\n", "line 2: expected a name, found the end of the file"),
            ("a = ", "line 1: expected a value, found the end of the file"),
            ("a = \"x\ny\"", "line 1: the string has no closing \""),
            ("a = 'x'", "line 1: the character '\\'' has no meaning here"),
            ("a = { b: 1 }", "line 1: the character ':' has no meaning here"),
            ("# no comment", "line 1: the character '#' has no meaning here"),
            ("a = \"\\q\"", "line 1: \\q is no escape"),
            ("/* open", "line 1: the comment has no */"),
            (deep.as_str(), "line 1: nested too deeply"),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), wanted, "{text}");
        }
    }
}
