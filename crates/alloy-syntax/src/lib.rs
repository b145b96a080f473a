//! Reads the syntax of Grafana Alloy's configuration files: blocks, attributes and expressions.
//!
//! The grammar is that of Alloy's own parser (`syntax/parser` and `syntax/scanner` of grafana/alloy): statements
//! end at a newline, which also counts after a value inside brackets, so that a list over several lines needs a
//! comma after its last element. Expressions that are more than literals are kept as their text, because only
//! Alloy can evaluate them.

#![forbid(unsafe_code)]

mod parser;
mod scanner;

use std::{fmt, ops::Range};

use parser::Parser;
use scanner::{Scanner, Token};

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
    Parser::new(text, tokens).body(&Token::End)
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
        #[rustfmt::skip]
        let rows = [
            ("a = [\n  1\n]", "line 2: expected `,` (also after the last element of a line), found the end of the line"),
            ("a = [1 2]", "line 1: expected `,` or `]`, found `2`"),
            ("a.b = 1", "line 1: expected `{`, found `=`"),
            ("a \"not-a-name\" {}", "line 1: the label \"not-a-name\" is no valid name"),
            ("a {\n  b = 1 c = 2\n}", "line 2: expected the end of the line, found `c`"),
            ("a {\n", "line 2: expected a name, found the end of the file"),
            ("a = ", "line 1: expected a value, found the end of the file"),
            ("a = \"x\ny\"", "line 1: the string has no closing \""),
            ("a = 'x'", "line 1: the character '\\'' has no meaning here"),
            ("a = { b: 1 }", "line 1: the character ':' has no meaning here"),
            ("# no comment", "line 1: the character '#' has no meaning here"),
            ("a = \"\\q\"", "line 1: \\q is no escape"),
            ("/* open", "line 1: the comment has no */"),
            (deep.as_str(), "line 1: nested too deeply"),
        ];
        for (text, wanted) in rows {
            assert_eq!(parse(text).unwrap_err().to_string(), wanted, "{text}");
        }
    }
}
