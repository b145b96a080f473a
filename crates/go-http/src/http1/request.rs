//! What goes out: request line, fields and body in the order and form in which Go's `net/http` writes them.

use std::io;

use bytes::Bytes;
use gostd::os_error::SystemError;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::reader::WriteError;
use crate::headers::{Headers, is_token, trim};

/// The body of a request.
#[derive(Debug)]
pub enum RequestBody {
    /// None.
    Empty,
    /// Sent with its length; can be sent again.
    Bytes(Bytes),
    /// Read as it is sent, in chunks: its length is not asked for. Boxed: few requests have one, and each step towards the answer holds
    /// the room for it.
    File(Box<FileBody>),
}

/// A body from a file.
#[derive(Debug)]
pub struct FileBody {
    /// Bytes in front of what is read: they were read already.
    pub first: Bytes,
    /// The rest.
    pub file: File,
    /// Its path, for errors.
    pub path: String,
}

impl FileBody {
    /// Says which file could not be read.
    pub(crate) fn unreadable(path: &str, error: &io::Error) -> io::Error {
        io::Error::other(format!("read {path}: {}", SystemError(error)))
    }
}

/// The first line of a request, and the `Host` field.
#[derive(Clone, Copy, Debug)]
pub struct RequestLine<'a> {
    /// Method, as configured.
    pub method: &'a str,
    /// Path and query, or a whole URL for a proxy, or `host:port` for CONNECT.
    pub target: &'a [u8],
    /// The value of the `Host` field.
    pub host: &'a str,
}

/// Fields that are written from other sources than the header fields.
const WRITTEN_APART: [&[u8]; 5] = [
    b"Host",
    b"User-Agent",
    b"Content-Length",
    b"Transfer-Encoding",
    b"Trailer",
];

/// Writes the head of a request. `extra` comes last; its names must be in order.
pub fn write_head(
    out: &mut Vec<u8>,
    line: RequestLine<'_>,
    headers: &Headers,
    body: &RequestBody,
    extra: &[(&str, &str)],
) {
    for part in [line.method.as_bytes(), b" ", line.target, b" HTTP/1.1\r\n"] {
        out.extend_from_slice(part);
    }
    write_field(out, b"Host", line.host.as_bytes());
    let agent = headers.value("User-Agent").unwrap_or(b"Go-http-client/1.1");
    // Only an empty one is left out: Go looks before it cuts off the blanks.
    if !agent.is_empty() {
        write_field(out, b"User-Agent", trim(agent));
    }
    match body {
        RequestBody::Bytes(bytes) => {
            write_field(out, b"Content-Length", bytes.len().to_string().as_bytes());
        }
        RequestBody::File(_) if is_framed(line.method) => {
            write_field(out, b"Transfer-Encoding", b"chunked");
        }
        RequestBody::File(_) => {}
        // Many servers expect a length with these methods.
        RequestBody::Empty if matches!(line.method, "POST" | "PUT" | "PATCH") => {
            write_field(out, b"Content-Length", b"0");
        }
        RequestBody::Empty => {}
    }
    for (name, value) in headers.sorted() {
        if is_token(name) && !WRITTEN_APART.contains(&name) {
            write_field(out, name, trim(value));
        }
    }
    for (name, value) in extra {
        write_field(out, name.as_bytes(), value.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

fn write_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    // A line break would begin another field; the caller refuses such values, this is the second lock on the door.
    let from = out.len();
    out.extend_from_slice(value);
    for byte in out.iter_mut().skip(from) {
        if matches!(byte, b'\r' | b'\n') {
            *byte = b' ';
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// Whether a body of unknown length is sent in chunks. Behind CONNECT it is sent as it is, without an end.
pub(super) fn is_framed(method: &str) -> bool {
    method != "CONNECT"
}

/// How much of a file is read, and so sent in a chunk, at once.
const PIECE: usize = 32 << 10;

impl RequestBody {
    /// The same body once more, if it can be sent again.
    pub fn again(&self) -> Option<Self> {
        match self {
            Self::Empty => Some(Self::Empty),
            Self::Bytes(bytes) => Some(Self::Bytes(bytes.clone())),
            Self::File(_) => None,
        }
    }

    /// Whether the body is in memory and short enough to go out together with the head.
    pub(super) fn is_short(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Bytes(bytes) => bytes.len() <= 16 << 10,
            Self::File(_) => false,
        }
    }

    /// Writes the body as its framing wants it.
    ///
    /// # Errors
    /// The file cannot be read, or the peer does not take it.
    pub(super) async fn write_to<W: AsyncWrite + Unpin>(
        self,
        to: &mut W,
        is_framed: bool,
    ) -> Result<(), WriteError> {
        let FileBody {
            first,
            mut file,
            path,
        } = match self {
            Self::Empty => return Ok(()),
            Self::Bytes(bytes) => return to.write_all(&bytes).await.map_err(WriteError::Sink),
            Self::File(body) => *body,
        };
        let put = |frame: &mut Vec<u8>, data: &[u8]| match is_framed {
            true => write_chunk(frame, data),
            false => frame.extend_from_slice(data),
        };
        let mut frame = Vec::with_capacity(PIECE + 16);
        if !first.is_empty() {
            put(&mut frame, &first);
            to.write_all(&frame).await.map_err(WriteError::Sink)?;
        }
        let mut piece = vec![0; PIECE];
        loop {
            let read = file.read(&mut piece).await;
            let bytes = read.map_err(|error| WriteError::Source(FileBody::unreadable(&path, &error)))?;
            frame.clear();
            if bytes > 0 {
                put(&mut frame, piece.get(..bytes).unwrap_or_default());
            } else if is_framed {
                frame.extend_from_slice(b"0\r\n\r\n");
            }
            to.write_all(&frame).await.map_err(WriteError::Sink)?;
            to.flush().await.map_err(WriteError::Sink)?;
            if bytes == 0 {
                return Ok(());
            }
        }
    }
}

fn write_chunk(out: &mut Vec<u8>, data: &[u8]) {
    out.extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(method: &str, body: &RequestBody, fields: &[(&str, &str)]) -> String {
        let mut headers = Headers::default();
        for (name, value) in fields {
            headers.add(name, value);
        }
        let line = RequestLine {
            method,
            target: b"/p?q",
            host: "h:1",
        };
        let mut out = Vec::new();
        write_head(&mut out, line, &headers, body, &[("Connection", "close")]);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn heads_are_written_in_gos_order() {
        let agent = ("User-Agent", "me");
        assert_eq!(
            head("GET", &RequestBody::Empty, &[agent, ("b", " 2 "), ("A", "1")]),
            "GET /p?q HTTP/1.1\r\nHost: h:1\r\nUser-Agent: me\r\nA: 1\r\nB: 2\r\nConnection: close\r\n\r\n"
        );
        assert_eq!(
            head("POST", &RequestBody::Empty, &[("User-Agent", "")]),
            "POST /p?q HTTP/1.1\r\nHost: h:1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        assert_eq!(
            head("GET", &RequestBody::Empty, &[("User-Agent", " ")]),
            "GET /p?q HTTP/1.1\r\nHost: h:1\r\nUser-Agent: \r\nConnection: close\r\n\r\n"
        );
        let fields = [
            agent,
            ("Content-Length", "7"),
            ("Transfer-Encoding", "x"),
            ("Trailer", "y"),
        ];
        assert_eq!(
            head("PUT", &RequestBody::Bytes(Bytes::from_static(b"four")), &fields),
            "PUT /p?q HTTP/1.1\r\nHost: h:1\r\nUser-Agent: me\r\nContent-Length: 4\r\nConnection: close\r\n\r\n"
        );
    }

    #[tokio::test]
    async fn files_are_sent_in_chunks_and_raw_behind_connect() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("body");
        std::fs::write(&path, "hello").unwrap();
        for (method, field, want) in [
            ("POST", true, "2\r\nab\r\n5\r\nhello\r\n0\r\n\r\n"),
            ("CONNECT", false, "abhello"),
        ] {
            let body = RequestBody::File(Box::new(FileBody {
                first: Bytes::from_static(b"ab"),
                file: File::open(&path).await.unwrap(),
                path: String::new(),
            }));
            let has_field = head(method, &body, &[]).contains("Transfer-Encoding: chunked");
            assert_eq!(has_field, field, "{method}");
            let mut out = Vec::new();
            body.write_to(&mut out, is_framed(method)).await.unwrap();
            assert_eq!(String::from_utf8_lossy(&out), want, "{method}");
        }
        let folder = FileBody {
            first: Bytes::new(),
            file: File::open(dir.path()).await.unwrap(),
            path: String::new(),
        };
        assert!(matches!(
            RequestBody::File(Box::new(folder))
                .write_to(&mut Vec::new(), true)
                .await,
            Err(WriteError::Source(_))
        ));
    }
}
