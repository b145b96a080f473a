//! Reads the head of an HTTP/1 answer with exactly the leniency of Go's `net/http` and `net/textproto`.

use memchr::memchr;

use crate::headers::{Headers, is_sendable_value, is_token_byte};

/// Most bytes of all heads of one answer (1xx ones included), as Go's transport has it.
pub const MAX_HEAD: usize = 10 << 20;

/// The head of an answer.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// Protocol as written: `HTTP/1.1`.
    pub protocol: String,
    /// Major and minor version.
    pub version: (u8, u8),
    /// Status code, 0 to 999.
    pub status: u16,
    /// Code and reason as written: `404 Not Found`.
    pub status_line: Vec<u8>,
    /// Header fields.
    pub headers: Headers,
}

/// What is wrong with the head of an answer. Displays in Go's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum HeadError {
    #[error("malformed HTTP response {}", shown(.0))]
    Response(Vec<u8>),
    #[error("malformed HTTP status code {}", shown(.code))]
    Status { code: Vec<u8>, line: Vec<u8> },
    #[error("malformed HTTP version {}", shown(.0))]
    Version(Vec<u8>),
    #[error("malformed MIME header initial line: {}", shown(.0))]
    FirstHeader(Vec<u8>),
    #[error("malformed MIME header: missing colon: {}", shown(.0))]
    MissingColon(Vec<u8>),
    #[error("malformed MIME header line: {}", shown(.0))]
    Header(Vec<u8>),
    #[error("net/http: server response headers exceeded {0} bytes; aborted")]
    TooLarge(usize),
}

/// The beginning of what a peer sent, quoted.
fn shown(text: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(text.get(..200).unwrap_or(text)))
}

/// A head that is being read: it takes whole lines as they come, so that a slow peer costs no more than a quick one.
#[derive(Debug, Default)]
pub struct HeadParser {
    head: Head,
    /// The last header line, as long as the next one may continue it. What follows it mostly came with it, so that it need not be
    /// kept.
    line: Option<Vec<u8>>,
    has_status: bool,
    has_header: bool,
    /// Bytes of the present input that were searched for a line end without success.
    searched: usize,
}

/// How far a parser came.
#[derive(Debug)]
pub struct Step {
    /// Bytes of the input that were used.
    pub used: usize,
    /// The head, when it is complete.
    pub head: Option<Head>,
}

impl HeadParser {
    /// Reads on. `input` begins where the last step stopped using it.
    ///
    /// # Errors
    /// The first thing that Go would not accept either.
    pub fn advance(&mut self, input: &[u8]) -> Result<Step, HeadError> {
        let mut used = 0;
        loop {
            let rest = input.get(used..).unwrap_or_default();
            if rest.first().is_some_and(|first| !is_blank(*first))
                && let Some(last) = self.line.take()
            {
                self.take_header(&last)?;
            }
            let unsearched = rest.get(self.searched..).unwrap_or_default();
            let Some(end) = memchr(b'\n', unsearched) else {
                self.searched = rest.len();
                return Ok(Step { used, head: None });
            };
            let line = rest.get(..self.searched + end).unwrap_or_default();
            let next = rest.get(line.len() + 1);
            used += line.len() + 1;
            self.searched = 0;
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if self.take_line(line, next.is_some_and(|next| !is_blank(*next)))? {
                let head = Some(std::mem::take(&mut self.head));
                return Ok(Step { used, head });
            }
        }
    }

    /// Takes one line, to which no other belongs if it is `whole`; true after the empty one that ends the head.
    fn take_line(&mut self, line: &[u8], whole: bool) -> Result<bool, HeadError> {
        if !self.has_status {
            self.has_status = true;
            self.take_status_line(line)?;
            return Ok(false);
        }
        let continues = line.first().is_some_and(|b| is_blank(*b));
        match &mut self.line {
            Some(last) if continues => {
                last.push(b' ');
                last.extend_from_slice(trim_blanks(line));
                return Ok(false);
            }
            None if continues && !self.has_header => {
                return Err(HeadError::FirstHeader(line.get(..80).unwrap_or(line).to_vec()));
            }
            _ => {}
        }
        self.has_header = true;
        if line.is_empty() {
            return Ok(true);
        }
        if memchr(b':', line).is_none() {
            return Err(HeadError::MissingColon(line.to_vec()));
        }
        let line = trim_blanks(line);
        if whole {
            self.take_header(line)?;
        } else {
            self.line = Some(line.to_vec());
        }
        Ok(false)
    }

    fn take_status_line(&mut self, line: &[u8]) -> Result<(), HeadError> {
        let Some(space) = line.iter().position(|b| *b == b' ') else {
            return Err(HeadError::Response(line.to_vec()));
        };
        let (protocol, status) = line.split_at(space);
        let start = status.iter().position(|b| *b != b' ').unwrap_or(status.len());
        let status = status.get(start..).unwrap_or_default();
        let code = status.split(|b| *b == b' ').next().unwrap_or_default();
        self.head.status = status_code(code).ok_or_else(|| HeadError::Status {
            code: code.to_vec(),
            line: line.to_vec(),
        })?;
        self.head.version = version(protocol).ok_or_else(|| HeadError::Version(protocol.to_vec()))?;
        self.head.protocol = String::from_utf8_lossy(protocol).into_owned();
        self.head.status_line = status.to_vec();
        self.head.headers = Headers::with_room();
        Ok(())
    }

    fn take_header(&mut self, line: &[u8]) -> Result<(), HeadError> {
        let malformed = || HeadError::Header(line.to_vec());
        let colon = memchr(b':', line).ok_or_else(malformed)?;
        let (name, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default();
        // Go lets spaces in names pass, uncanonicalised.
        let name_is_valid = !name.is_empty() && name.iter().all(|b| is_token_byte(*b) || *b == b' ');
        if !name_is_valid || !is_sendable_value(value) {
            return Err(malformed());
        }
        let start = value.iter().position(|b| !is_blank(*b)).unwrap_or(value.len());
        self.head
            .headers
            .add_bytes(name, value.get(start..).unwrap_or_default());
        Ok(())
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn trim_blanks(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text
        && is_blank(*first)
    {
        text = rest;
    }
    while let [rest @ .., last] = text
        && is_blank(*last)
    {
        text = rest;
    }
    text
}

/// Three characters that Go's `Atoi` takes for a number that is not negative.
fn status_code(code: &[u8]) -> Option<u16> {
    if code.len() != 3 {
        return None;
    }
    let text = std::str::from_utf8(code).ok()?;
    text.strip_prefix("-0")
        .map_or_else(|| text.parse().ok(), |zero| (zero == "0").then_some(0))
}

/// `HTTP/1.1`: one digit, a dot, one digit.
fn version(protocol: &[u8]) -> Option<(u8, u8)> {
    match protocol.strip_prefix(b"HTTP/")? {
        [major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit() => {
            Some((major - b'0', minor - b'0'))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The head when it is complete, the error's text, or nothing.
    fn parse(text: &str) -> Option<Result<Head, String>> {
        let whole = HeadParser::default().advance(text.as_bytes());
        let mut parser = HeadParser::default();
        let (mut start, mut piecewise) = (0, Ok(None));
        for end in 0..=text.len() {
            match parser.advance(&text.as_bytes()[start..end]) {
                Ok(step) => {
                    start += step.used;
                    if let Some(head) = step.head {
                        piecewise = Ok(Some(head));
                        break;
                    }
                }
                Err(error) => {
                    piecewise = Err(error);
                    break;
                }
            }
        }
        assert_eq!(
            format!("{:?}", whole.as_ref().map(|s| s.head.clone())),
            format!("{piecewise:?}"),
            "{text:?} read byte by byte"
        );
        whole.map_err(|e| e.to_string()).map(|s| s.head).transpose()
    }

    #[test]
    fn status_lines_are_read_as_go_does() {
        let rows = [
            ("HTTP/1.1 200 OK", Ok((200, (1, 1)))),
            ("HTTP/1.1 200", Ok((200, (1, 1)))),
            ("HTTP/1.1   200 OK", Ok((200, (1, 1)))),
            ("HTTP/1.0 042 Odd", Ok((42, (1, 0)))),
            ("HTTP/9.9 +20 OK", Ok((20, (9, 9)))),
            ("HTTP/1.1 -00", Ok((0, (1, 1)))),
            ("HTTP/1.1", Err("malformed HTTP response \"HTTP/1.1\"")),
            ("", Err("malformed HTTP response \"\"")),
            ("HTTP/1.1 20 OK", Err("malformed HTTP status code \"20\"")),
            ("HTTP/1.1 2000 OK", Err("malformed HTTP status code \"2000\"")),
            ("HTTP/1.1 -20 OK", Err("malformed HTTP status code \"-20\"")),
            ("HTTP/1.10 200 OK", Err("malformed HTTP version \"HTTP/1.10\"")),
            ("http/1.1 200 OK", Err("malformed HTTP version \"http/1.1\"")),
            ("ICY 200 OK", Err("malformed HTTP version \"ICY\"")),
        ];
        for (line, want) in rows {
            let got = parse(&format!("{line}\r\n\r\n")).unwrap();
            let got = got.map(|h| (h.status, h.version));
            assert_eq!(got, want.map_err(str::to_owned), "{line:?}");
        }
    }

    #[test]
    fn headers_are_read_as_go_does() {
        type Fields = &'static [(&'static str, &'static str)];
        let rows: &[(&str, Result<Fields, &str>)] = &[
            ("X-A: 1\r\n", Ok(&[("X-A", "1")])),
            ("x-a:1\n", Ok(&[("X-A", "1")])),
            ("X-A: \t 1 \t\r\n", Ok(&[("X-A", "1")])),
            ("X-A:\r\n", Ok(&[("X-A", "")])),
            ("X-A: 1\r\n  2\r\n\t3\r\n", Ok(&[("X-A", "1 2 3")])),
            ("X-A: 1\r\n \r\nX-B: 2\r\n", Ok(&[("X-A", "1 "), ("X-B", "2")])),
            ("X-A : 1\r\n", Ok(&[("X-A ", "1")])),
            ("x a: 1\r\n", Ok(&[("x a", "1")])),
            ("X-A: \u{e9}\r\n", Ok(&[("X-A", "\u{e9}")])),
            (
                " X-A: 1\r\n",
                Err("malformed MIME header initial line: \" X-A: 1\""),
            ),
            ("X-A\r\n", Err("malformed MIME header: missing colon: \"X-A\"")),
            (": 1\r\n", Err("malformed MIME header line: \": 1\"")),
            ("X(A: 1\r\n", Err("malformed MIME header line: \"X(A: 1\"")),
            (
                "X-A: a\u{1}b\r\n",
                Err("malformed MIME header line: \"X-A: a\\u{1}b\""),
            ),
            ("X-A: a\rb\r\n", Err("malformed MIME header line: \"X-A: a\\rb\"")),
        ];
        for (lines, want) in rows {
            let got = parse(&format!("HTTP/1.1 200 OK\r\n{lines}\r\n")).unwrap();
            let got = got.map(|head| {
                let text = |b: &[u8]| String::from_utf8(b.to_vec()).unwrap();
                head.headers
                    .iter()
                    .map(|(n, v)| (text(n), text(v)))
                    .collect::<Vec<_>>()
            });
            let want = want
                .map(|w| {
                    w.iter()
                        .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
                        .collect()
                })
                .map_err(str::to_owned);
            assert_eq!(got, want, "{lines:?}");
        }
    }

    #[test]
    fn an_unfinished_head_is_none() {
        for text in [
            "",
            "HTTP/1.1 200 OK",
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 200 OK\r\nX: y\r\n",
        ] {
            assert!(parse(text).is_none(), "{text:?}");
        }
    }
}
