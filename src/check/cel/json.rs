//! JSON as Go's `encoding/json` reads it into plain values: numbers are doubles, the last of a repeated key counts, and
//! what is not UTF-8, or half a surrogate pair, becomes U+FFFD.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use cel::Value;
use cel::objects::{Key, Map};
use gostd::carried::repaired;
use gostd::json;

/// Deepest nesting that Go accepts.
const MAX_DEPTH: usize = 10_000;

/// What reading a document may cost: a body of a hundred bytes can become ten kilobytes of values.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// About how many bytes of memory the values take.
    pub(super) memory: usize,
    /// Until when there is time.
    pub(super) end: Instant,
}

/// What a value in a list takes, with the room that a growing list has left over.
const VALUE: usize = 2 * size_of::<Value>();
/// What a text, a list or an object takes besides what is in it.
const CONTAINER: usize = 64;
/// What an entry of an object takes, with the room that a growing table has left over.
const ENTRY: usize = 3 * (size_of::<Key>() + size_of::<Value>());
/// What the table of an object takes at least.
const TABLE: usize = 4 * (size_of::<Key>() + size_of::<Value>());
/// After how many bytes the time is looked at.
const TURN: usize = 64 << 10;

/// Why a text is not JSON, in Go's words, with the place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum JsonError {
    /// The text ends too early.
    #[error("unexpected end of JSON input")]
    End,
    /// A byte that cannot stand there.
    #[error("invalid character {} {context} (at byte {at})", quoted(*.byte))]
    Unexpected {
        /// The byte.
        byte: u8,
        /// What was being read.
        context: &'static str,
        /// Its place, counted from 0.
        at: usize,
    },
    #[error("exceeded max depth")]
    TooDeep,
    /// It takes more memory than it may.
    #[error("body too large for CEL: its values take more than {0} bytes of memory")]
    TooMuch(usize),
    /// There was no time to read all of it.
    #[error("operation interrupted")]
    Interrupted,
    /// A number that no double holds.
    #[error("json: cannot unmarshal number {0} into Go value of type float64")]
    Number(String),
}

/// A byte as Go shows a character.
fn quoted(byte: u8) -> String {
    match byte {
        b'\'' => r"'\''".to_owned(),
        b'"' => "'\"'".to_owned(),
        byte if byte.is_ascii() => format!("'{}'", char::from(byte).escape_default()),
        byte => format!("{:?}", char::from(byte)),
    }
}

/// How deeply a text nests at most.
pub(super) fn depth(text: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut bytes = text.iter();
    let mut in_string = false;
    while let Some(byte) = bytes.next() {
        match (in_string, byte) {
            (true, b'\\') => {
                bytes.next();
            }
            (_, b'"') => in_string = !in_string,
            (false, b'[' | b'{') => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            (false, b']' | b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Reads one document with nothing but space around it.
///
/// # Errors
/// See [`JsonError`].
pub(super) fn parse(text: &[u8], budget: Budget) -> Result<Value, JsonError> {
    let mut reader = JsonReader {
        text,
        at: 0,
        budget,
        left: budget.memory,
        look: TURN,
    };
    let value = reader.value(0)?;
    reader.space();
    match reader.peek() {
        None => Ok(value),
        Some(_) => reader.fail("after top-level value"),
    }
}

struct JsonReader<'t> {
    text: &'t [u8],
    at: usize,
    budget: Budget,
    left: usize,
    /// Where the time is looked at next.
    look: usize,
}

impl JsonReader<'_> {
    /// Takes memory out of the budget.
    fn pay(&mut self, bytes: usize) -> Result<(), JsonError> {
        let left = self.left.checked_sub(bytes);
        self.left = left.ok_or(JsonError::TooMuch(self.budget.memory))?;
        Ok(())
    }

    /// Breaks off when there is no time left.
    fn check_time(&mut self) -> Result<(), JsonError> {
        if self.at < self.look {
            return Ok(());
        }
        self.look = self.at + TURN;
        if Instant::now() < self.budget.end {
            Ok(())
        } else {
            Err(JsonError::Interrupted)
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.at += 1;
        }
    }

    /// The error that what stands here cannot stand here.
    fn fail<T>(&self, context: &'static str) -> Result<T, JsonError> {
        Err(match self.peek() {
            None => JsonError::End,
            Some(byte) => JsonError::Unexpected {
                byte,
                context,
                at: self.at,
            },
        })
    }

    fn value(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.check_time()?;
        self.space();
        match self.peek() {
            Some(b'{') => self.object(depth + 1),
            Some(b'[') => self.array(depth + 1),
            Some(b'"') => Ok(Value::String(Arc::new(self.string()?))),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", "in literal true", Value::Bool(true)),
            Some(b'f') => self.word("false", "in literal false", Value::Bool(false)),
            Some(b'n') => self.word("null", "in literal null", Value::Null),
            _ => self.fail("looking for beginning of value"),
        }
    }

    fn word(&mut self, word: &str, context: &'static str, value: Value) -> Result<Value, JsonError> {
        for expected in word.bytes() {
            if self.peek() != Some(expected) {
                return self.fail(context);
            }
            self.at += 1;
        }
        Ok(value)
    }

    fn array(&mut self, depth: usize) -> Result<Value, JsonError> {
        if depth > MAX_DEPTH {
            return Err(JsonError::TooDeep);
        }
        self.pay(CONTAINER)?;
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::List(Arc::new(items)));
        }
        loop {
            self.pay(VALUE)?;
            items.push(self.value(depth)?);
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return self.fail("after array element"),
            }
        }
        self.at += 1;
        Ok(Value::List(Arc::new(items)))
    }

    fn object(&mut self, depth: usize) -> Result<Value, JsonError> {
        if depth > MAX_DEPTH {
            return Err(JsonError::TooDeep);
        }
        self.pay(CONTAINER)?;
        self.at += 1;
        let mut entries = HashMap::new();
        self.space();
        if self.peek() != Some(b'}') {
            self.pay(TABLE)?;
            loop {
                self.pay(ENTRY)?;
                self.space();
                if self.peek() != Some(b'"') {
                    return self.fail("looking for beginning of object key string");
                }
                let key = self.string()?;
                self.space();
                if self.peek() != Some(b':') {
                    return self.fail("after object key");
                }
                self.at += 1;
                let value = self.value(depth)?;
                entries.insert(Key::String(Arc::new(key)), value);
                self.space();
                match self.peek() {
                    Some(b',') => self.at += 1,
                    Some(b'}') => break,
                    _ => return self.fail("after object key:value pair"),
                }
            }
        }
        self.at += 1;
        let map = Arc::new(entries);
        Ok(Value::Map(Map { map }))
    }

    fn number(&mut self) -> Result<Value, JsonError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return self.fail("in numeric literal"),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.some_digits("after decimal point in numeric literal")?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.some_digits("in exponent of numeric literal")?;
        }
        let digits = self.text.get(start..self.at).unwrap_or_default();
        let digits = String::from_utf8_lossy(digits);
        match digits.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Value::Float(number)),
            _ => Err(JsonError::Number(digits.into_owned())),
        }
    }

    fn digits(&mut self) {
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
    }

    fn some_digits(&mut self, context: &'static str) -> Result<(), JsonError> {
        let start = self.at;
        self.digits();
        if self.at == start {
            self.fail(context)
        } else {
            Ok(())
        }
    }

    fn string(&mut self) -> Result<String, JsonError> {
        self.at += 1;
        let mut bytes = Vec::new();
        loop {
            self.check_time()?;
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    let c = self.escape()?;
                    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                }
                None | Some(0..=0x1f) => return self.fail("in string literal"),
                Some(byte) => {
                    bytes.push(byte);
                    self.at += 1;
                }
            }
        }
        self.at += 1;
        self.pay(CONTAINER + bytes.len())?;
        Ok(match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => repaired(error.as_bytes()),
        })
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if let Some((c, length)) = json::escape(rest) {
            self.at += length;
            return Ok(c);
        }
        self.at += 1;
        if self.peek() != Some(b'u') {
            return self.fail("in string escape code");
        }
        self.at += 1;
        while self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
            self.at += 1;
        }
        self.fail("in \\u hexadecimal character escape")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn parse(text: &[u8]) -> Result<Value, JsonError> {
        parse_within(text, 1 << 20)
    }

    fn parse_within(text: &[u8], memory: usize) -> Result<Value, JsonError> {
        let end = Instant::now() + Duration::from_secs(30);
        super::parse(text, Budget { memory, end })
    }

    #[test]
    fn bodies_are_read_as_go_reads_them() {
        let text = |text: &str| Value::String(Arc::new(text.to_owned()));
        let good: &[(&[u8], Value)] = &[
            (b" 5\n", Value::Float(5.0)),
            (b"-0.5e1", Value::Float(-5.0)),
            (b"1e-400", Value::Float(0.0)),
            (b"\"a\xffb\"", text("a\u{fffd}b")),
            (br#""\ud83d""#, text("\u{fffd}")),
            (br#""\ud83d\ude00\u0041""#, text("😀A")),
            (br#""\ud83d\u0041""#, text("\u{fffd}A")),
            (br#""\"\\\/\b\f\n\r\t""#, text("\"\\/\u{8}\u{c}\n\r\t")),
            (b"[true,false,null]", {
                Value::List(Arc::new(vec![Value::Bool(true), Value::Bool(false), Value::Null]))
            }),
        ];
        for (body, want) in good {
            assert_eq!(parse(body).as_ref(), Ok(want), "{}", body.escape_ascii());
        }
        #[rustfmt::skip]
        let bad: &[(&[u8], &str)] = &[
            (b"", "unexpected end of JSON input"),
            (b"hello", "invalid character 'h' looking for beginning of value (at byte 0)"),
            (b"{", "unexpected end of JSON input"),
            (b"{\"a\": 1} x", "invalid character 'x' after top-level value (at byte 9)"),
            (b"[1,]", "invalid character ']' looking for beginning of value (at byte 3)"),
            (b"01", "invalid character '1' after top-level value (at byte 1)"),
            (b"1e400", "json: cannot unmarshal number 1e400 into Go value of type float64"),
            (b"\"a\nb\"", "invalid character '\\n' in string literal (at byte 2)"),
            (b"\xef\xbb\xbf{}", "invalid character 'ï' looking for beginning of value (at byte 0)"),
            (br#""\x""#, "invalid character 'x' in string escape code (at byte 2)"),
            (br#""\ud83d\u0x""#, "invalid character 'x' in \\u hexadecimal character escape (at byte 10)"),
            (br#""\u12"#, "unexpected end of JSON input"),
            (b"tru", "unexpected end of JSON input"),
            (b"nul!", "invalid character '!' in literal null (at byte 3)"),
        ];
        for (body, want) in bad {
            let got = parse(body).unwrap_err().to_string();
            assert_eq!(got, *want, "{}", body.escape_ascii());
        }
    }

    #[test]
    fn bodies_of_many_values_are_refused() {
        let text = format!("\"{}\"", "x".repeat(20_000));
        for body in [
            format!("[{}0]", "0,".repeat(600)),
            format!("[{}0]", "[],".repeat(150)),
            format!("[{}0]", r#""","#.repeat(150)),
            format!("[{}0]", r#"{"":0},"#.repeat(30)),
            format!(
                "{{{}}}",
                (0..100).map(|n| format!("\"{n}\":0,")).collect::<String>() + "\"\":0"
            ),
            text,
        ] {
            assert_eq!(
                parse_within(body.as_bytes(), 10_000),
                Err(JsonError::TooMuch(10_000)),
                "{body}"
            );
            assert!(parse(body.as_bytes()).is_ok(), "{body}");
        }
    }

    #[test]
    fn reading_ends_when_there_is_no_time() {
        let budget = Budget {
            memory: 1 << 30,
            end: Instant::now(),
        };
        for body in [
            format!("[{}0]", "0,".repeat(TURN)),
            format!("\"{}\"", "x".repeat(2 * TURN)),
        ] {
            assert_eq!(super::parse(body.as_bytes(), budget), Err(JsonError::Interrupted));
        }
    }

    #[test]
    fn nesting_is_measured_outside_of_strings() {
        assert_eq!(depth(br#"{"a[[[": [[1], {"\"{": 2}]}"#), 3);
        assert_eq!(depth(b"]]]["), 1);
    }
}
