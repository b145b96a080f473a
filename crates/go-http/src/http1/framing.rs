//! How long the body of an answer is: Go's reading of RFC 9112, section 6.

use super::head::Head;
use crate::headers::{canonical, lists_contain, trim};

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    Empty,
    /// So many bytes.
    Length(u64),
    /// In chunks.
    Chunked,
    /// Until the peer closes.
    UntilClose,
}

/// The framing of an answer, with the length that its head tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Length {
    /// How the end is found.
    pub framing: Framing,
    /// What upstream exposes as the content length: -1 when unknown.
    pub told: i64,
    /// Whether the peer will close the connection.
    pub close: bool,
}

/// Why the length of a body cannot be known. Displays in Go's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum LengthError {
    #[error("too many transfer encodings: {0:?}")]
    ManyEncodings(Vec<String>),
    #[error("unsupported transfer encoding: {0:?}")]
    Encoding(String),
    #[error("http: message cannot contain multiple Content-Length headers; got {0:?}")]
    ManyLengths(Vec<String>),
    #[error("invalid empty Content-Length \"\"")]
    EmptyLength,
    #[error("bad Content-Length {0:?}")]
    BadLength(String),
    #[error("bad trailer key {0:?}")]
    Trailer(String),
}

/// Whether an answer with this status may have a body (RFC 9110, section 6.4.1).
fn body_allowed(status: u16) -> bool {
    !matches!(status, 100..=199 | 204 | 304)
}

/// Finds the length of the body that follows `head`, and takes the fields out of it that Go takes out.
///
/// # Errors
/// Contradictory or unknown values: there is no answer then.
pub fn measure(head: &mut Head, method: &str) -> Result<Length, LengthError> {
    let mut close = closes(head);
    let chunked = take_chunked(head)?;
    let length = content_length(head)?;
    let is_head = method == "HEAD";
    let real = match head.status {
        _ if is_head => Some(0),
        100..=199 | 204 | 304 => Some(0),
        _ if chunked => {
            head.headers.remove("Content-Length");
            None
        }
        _ => length,
    };
    let told = if is_head { length } else { real };
    take_trailer(head, chunked)?;
    if real.is_none() && !chunked && body_allowed(head.status) {
        close = true;
    }
    let framing = match real {
        _ if chunked && !is_head && body_allowed(head.status) => Framing::Chunked,
        Some(0) => Framing::Empty,
        Some(n) => Framing::Length(n),
        None if chunked => Framing::Empty,
        None => Framing::UntilClose,
    };
    Ok(Length {
        framing,
        told: told.map_or(-1, |n| i64::try_from(n).unwrap_or(i64::MAX)),
        close,
    })
}

fn closes(head: &mut Head) -> bool {
    let connection = || head.headers.values("Connection");
    let says_close = lists_contain(connection(), "close");
    match head.version {
        (0, _) => true,
        (1, 0) => says_close || !lists_contain(connection(), "keep-alive"),
        _ => {
            if says_close {
                head.headers.remove("Connection");
            }
            says_close
        }
    }
}

fn take_chunked(head: &mut Head) -> Result<bool, LengthError> {
    let encodings: Vec<String> = head.headers.values("Transfer-Encoding").map(text).collect();
    head.headers.remove("Transfer-Encoding");
    match encodings.as_slice() {
        _ if head.version < (1, 1) && head.version != (0, 0) => Ok(false),
        [] => Ok(false),
        [one] if one.eq_ignore_ascii_case("chunked") => Ok(true),
        [one] => Err(LengthError::Encoding(one.clone())),
        _ => Err(LengthError::ManyEncodings(encodings)),
    }
}

fn content_length(head: &mut Head) -> Result<Option<u64>, LengthError> {
    let mut lengths = head.headers.values("Content-Length").map(trim);
    let Some(first) = lengths.next() else {
        return Ok(None);
    };
    let more = lengths.next();
    if more.into_iter().chain(lengths).any(|length| length != first) {
        let all = head.headers.values("Content-Length").map(text).collect();
        return Err(LengthError::ManyLengths(all));
    }
    let first = text(first);
    if more.is_some() {
        head.headers.set("Content-Length", &first);
    }
    if first.is_empty() {
        return Err(LengthError::EmptyLength);
    }
    let number = Some(&first).filter(|t| t.bytes().all(|b| b.is_ascii_digit()));
    number
        .and_then(|t| t.parse::<u64>().ok())
        .filter(|n| i64::try_from(*n).is_ok())
        .map(Some)
        .ok_or(LengthError::BadLength(first))
}

fn take_trailer(head: &mut Head, chunked: bool) -> Result<(), LengthError> {
    if !chunked {
        return Ok(());
    }
    let names: Vec<String> = head.headers.values("Trailer").map(text).collect();
    head.headers.remove("Trailer");
    let elements = names.iter().flat_map(|n| n.split(','));
    for name in elements.map(|n| canonical(n.trim()).into_owned()) {
        if matches!(name.as_str(), "Transfer-Encoding" | "Trailer" | "Content-Length") {
            return Err(LengthError::Trailer(name));
        }
    }
    Ok(())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::head::HeadParser;
    use super::*;

    fn measured(method: &str, head: &str) -> Result<(Framing, i64, bool), String> {
        let step = HeadParser::default()
            .advance(format!("{head}\r\n\r\n").as_bytes())
            .unwrap();
        let length = measure(&mut step.head.unwrap(), method).map_err(|e| e.to_string())?;
        Ok((length.framing, length.told, length.close))
    }

    #[test]
    fn lengths_are_those_of_go() {
        use Framing::{Chunked, Empty, Length, UntilClose};
        #[rustfmt::skip]
        let rows = [
            ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 5", Ok((Length(5), 5, false))),
            ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5", Ok((Length(5), 5, false))),
            ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 0", Ok((Empty, 0, false))),
            ("GET", "HTTP/1.1 200 OK", Ok((UntilClose, -1, true))),
            ("GET", "HTTP/1.1 200 OK\r\nConnection: keep-alive", Ok((UntilClose, -1, true))),
            ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: CHUNKED", Ok((Chunked, -1, false))),
            ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3", Ok((Chunked, -1, false))),
            ("GET", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked", Ok((UntilClose, -1, true))),
            ("GET", "HTTP/1.1 204 No\r\nContent-Length: 5", Ok((Empty, 0, false))),
            ("GET", "HTTP/1.1 304 No\r\nTransfer-Encoding: chunked", Ok((Empty, 0, false))),
            ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5", Ok((Empty, 5, false))),
            ("HEAD", "HTTP/1.1 200 OK", Ok((Empty, -1, false))),
            (
                "GET",
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6",
                Err("http: message cannot contain multiple Content-Length headers; got [\"5\", \"6\"]"),
            ),
            ("GET", "HTTP/1.1 200 OK\r\nContent-Length: +5", Err("bad Content-Length \"+5\"")),
            ("GET", "HTTP/1.1 200 OK\r\nContent-Length:", Err("invalid empty Content-Length \"\"")),
            ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808", Err("bad Content-Length \"9223372036854775808\"")),
            (
                "GET",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked",
                Err("unsupported transfer encoding: \"gzip, chunked\""),
            ),
            (
                "GET",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
                Err("too many transfer encodings: [\"chunked\", \"chunked\"]"),
            ),
            (
                "GET",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: content-length",
                Err("bad trailer key \"Content-Length\""),
            ),
        ];
        for (method, head, want) in rows {
            assert_eq!(
                measured(method, head),
                want.map_err(str::to_owned),
                "{method} {head:?}"
            );
        }
    }
}
