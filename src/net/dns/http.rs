//! DNS over HTTPS (RFC 8484).

use std::borrow::Cow;
use std::fmt::Display;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use super::CarryError;
use crate::net::headers::{Headers, trim};
use crate::net::http1::{self, Head, MAX_HEAD, RequestBody, RequestLine, write_head};
use crate::net::{http2, http3, join_host_port};
use go_http::FirstByte;

const DNS_MESSAGE: &str = "application/dns-message";

/// The longest message.
const LONGEST: u64 = u16::MAX as u64;

/// How a query is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DohMethod {
    /// In the URL. A cache may answer.
    Get,
    /// In the body.
    Post,
}

/// A query for a server.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The server's host and port, as the URL names it.
    pub authority: &'a str,
    /// The path, perhaps with a query behind it.
    pub path: &'a str,
    /// How it is sent.
    pub method: DohMethod,
    /// The DNS message.
    pub message: &'a [u8],
}

/// Host and port as the URL of DNS over HTTPS names them.
pub fn authority(host: &str, port: impl Display) -> String {
    let joined = join_host_port(host, port);
    joined.strip_suffix(":443").unwrap_or(&joined).to_owned()
}

impl Ask<'_> {
    fn method(&self) -> &'static str {
        match self.method {
            DohMethod::Get => "GET",
            DohMethod::Post => "POST",
        }
    }

    fn path(&self) -> Cow<'_, [u8]> {
        match self.method {
            DohMethod::Post => self.path.as_bytes().into(),
            DohMethod::Get => {
                let separator = if self.path.contains('?') { '&' } else { '?' };
                let message = URL_SAFE_NO_PAD.encode(self.message);
                format!("{}{separator}dns={message}", self.path)
                    .into_bytes()
                    .into()
            }
        }
    }

    fn headers(&self) -> Headers {
        let mut headers = Headers::default();
        headers.add("Accept", DNS_MESSAGE);
        if self.method == DohMethod::Post {
            headers.add("Content-Type", DNS_MESSAGE);
        }
        headers
    }

    fn body(&self) -> RequestBody {
        match self.method {
            DohMethod::Get => RequestBody::Empty,
            DohMethod::Post => RequestBody::Bytes(Bytes::copy_from_slice(self.message)),
        }
    }
}

/// Asks on a connection over which HTTP/2 was agreed on, or else HTTP/1.1.
///
/// # Errors
/// See [`CarryError`].
pub async fn over_http<S>(stream: S, speaks_http2: bool, ask: Ask<'_>) -> Result<Vec<u8>, CarryError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (method, path, headers, body) = (ask.method(), ask.path(), ask.headers(), ask.body());
    let first_byte = &mut FirstByte::default();
    if speaks_http2 {
        let request = http2::Request {
            method,
            scheme: "https",
            authority: ask.authority,
            path: &path,
            headers: &headers,
        };
        let answer = http2::exchange(stream, request, body, false, first_byte).await;
        let answer = answer.map_err(CarryError::Http2)?;
        return read(&answer.head, answer.body).await;
    }
    let line = RequestLine {
        method,
        target: &path,
        host: ask.authority,
    };
    let mut head = Vec::with_capacity(256);
    write_head(&mut head, line, &headers, &body, &[("Connection", "close")]);
    let answer = http1::exchange(stream, method, head, body, false, first_byte, MAX_HEAD).await;
    let answer = answer.map_err(CarryError::Http1)?;
    read(&answer.head, answer.body).await
}

/// Asks over HTTP/3.
///
/// # Errors
/// See [`CarryError`].
pub async fn over_http3(connection: quinn::Connection, ask: Ask<'_>) -> Result<Vec<u8>, CarryError> {
    let (path, headers) = (ask.path(), ask.headers());
    let request = http2::Request {
        method: ask.method(),
        scheme: "https",
        authority: ask.authority,
        path: &path,
        headers: &headers,
    };
    let answer = http3::exchange(connection, request, ask.body(), &mut None).await;
    let answer = answer.map_err(CarryError::Http3)?;
    read(&answer.head, answer.body).await
}

/// The message that a response carries.
async fn read(head: &Head, body: impl AsyncRead + Unpin) -> Result<Vec<u8>, CarryError> {
    if head.status != 200 {
        let (protocol, status) = (head.protocol.clone(), head.status);
        return Err(CarryError::Status { protocol, status });
    }
    let given = head.headers.value("Content-Type").unwrap_or_default();
    let kind = given.split(|byte| *byte == b';').next().unwrap_or_default();
    if !trim(kind).eq_ignore_ascii_case(DNS_MESSAGE.as_bytes()) {
        let shown = given.get(..given.len().min(100)).unwrap_or_default();
        return Err(CarryError::ContentType(
            String::from_utf8_lossy(shown).into_owned(),
        ));
    }
    let mut message = Vec::new();
    let read = body.take(LONGEST + 1).read_to_end(&mut message).await;
    read.map_err(CarryError::Receive)?;
    if message.len() as u64 > LONGEST {
        return Err(CarryError::TooLong);
    }
    Ok(message)
}
