//! An HTTP/3 client connection that carries one request (RFC 9114), with the leniency of quic-go's client.
//!
//! The `h3` crate takes an empty frame of data for the end of a body, keeps every other frame until it is whole, has no room
//! for more than 24,576 fields, and cannot send every URL that Go sends; see `docs/dependencies.md`.

mod control;
mod error;
mod frame;
#[cfg(test)]
mod odd;
mod qpack;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use quinn::{RecvStream, SendStream};
use tokio::io::{AsyncBufRead, AsyncRead, AsyncReadExt, ReadBuf};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use self::control::Fault;
use self::error::{FRAME_UNEXPECTED, NO_ERROR};
use self::frame::{DATA, Frame, Frames, HEADERS, put_frame, put_number};
use super::buffer::poll_read_buffered;
use super::headers::{is_sendable_value, is_token};
use super::http1::{FileBody, Head, RequestBody, Response};
use super::http2::Request;
use super::http2::hpack::Field;
use super::memory::Held;

pub use error::Http3Error;

/// Most bytes of a frame with fields, and of the fields with 32 more for each (section 4.2.2), as in quic-go.
const MAX_HEADERS: usize = 10 << 20;

/// How much memory a field takes while a head is made of it, for each byte that is counted: lists grow by doubling.
const COPIES: usize = 4;

/// How many answers may precede the final one, as in quic-go.
const MAX_INTERIM: usize = 5;

/// How much of a file is sent at once.
const PIECE: usize = 32 << 10;

/// The request on its way out.
type Writing = Pin<Box<dyn Future<Output = Result<(), Http3Error>> + Send>>;

/// A body that is read as it comes.
pub struct Body<S = RecvStream> {
    exchange: Exchange<S>,
    /// Bytes that must still come, when a length was told.
    left: Option<u64>,
    /// Whether the answer may have none of the bytes that its length tells of.
    may_lack: bool,
    has_trailers: bool,
}

/// The stream of the request, and what it needs.
struct Exchange<S> {
    frames: Frames<S>,
    writing: Option<Writing>,
    link: Option<Link>,
    /// The memory for the head.
    held: Held,
}

/// The connection around the stream.
struct Link {
    connection: quinn::Connection,
    control: JoinHandle<()>,
    fault: Fault,
    /// What the peer is told at the end.
    code: u32,
}

impl Link {
    fn new(connection: &quinn::Connection) -> Self {
        let fault = Fault::default();
        Self {
            connection: connection.clone(),
            control: tokio::spawn(control::attend(connection.clone(), fault.clone())),
            fault,
            code: NO_ERROR,
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.connection.close(self.code.into(), b"");
        self.control.abort();
    }
}

/// Sends a request on a new connection and reads the head of its answer, 1xx ones passed over.
///
/// # Errors
/// See [`Http3Error`].
pub async fn exchange(
    connection: quinn::Connection,
    request: Request<'_>,
    body: RequestBody,
    first_byte: &mut Option<Instant>,
) -> Result<Response<Body>, Http3Error> {
    let mut section = qpack::PREFIX.to_vec();
    request
        .put_fields(&body, |name, value| {
            qpack::encode(&mut section, name.as_bytes(), value)
        })
        .map_err(Http3Error::Request)?;
    let mut head = Vec::with_capacity(section.len() + 8);
    put_frame(&mut head, HEADERS, &section);
    let mut link = Link::new(&connection);
    let (sending, receiving) = match connection.open_bi().await {
        Ok(stream) => stream,
        Err(error) => return Err(link.failed(Http3Error::Lost(error))),
    };
    let exchange = Exchange {
        frames: Frames::new(receiving, MAX_HEADERS as u64),
        writing: Some(Box::pin(write(sending, head, body))),
        link: Some(link),
        held: Held::default(),
    };
    read(exchange, request.method, first_byte).await
}

/// Reads an answer to a request with this method off a stream, whatever is around it.
///
/// # Errors
/// See [`Http3Error`].
pub async fn read_answer<S: AsyncRead + Unpin>(
    stream: S,
    method: &str,
) -> Result<Response<Body<S>>, Http3Error> {
    let exchange = Exchange {
        frames: Frames::new(stream, MAX_HEADERS as u64),
        writing: None,
        link: None,
        held: Held::default(),
    };
    read(exchange, method, &mut None).await
}

async fn read<S: AsyncRead + Unpin>(
    mut exchange: Exchange<S>,
    method: &str,
    first_byte: &mut Option<Instant>,
) -> Result<Response<Body<S>>, Http3Error> {
    for _ in 0..=MAX_INTERIM {
        let frame = poll_fn(|cx| {
            let frame = exchange.poll_frame(cx);
            if first_byte.is_none() {
                *first_byte = exchange.frames.began;
            }
            frame
        });
        let section = match frame.await? {
            Some(Frame::Whole(HEADERS, section)) => section,
            Some(_) => {
                let why = "the first frame is not HEADERS";
                return Err(exchange.failed(Http3Error::Connection(FRAME_UNEXPECTED, why)));
            }
            None => return Err(exchange.failed(Http3Error::Closed)),
        };
        let read = read_head(&section, &mut exchange.held);
        let (head, length) = read.map_err(|error| exchange.failed(error))?;
        drop(section);
        if matches!(head.status, 100..=199) && head.status != 101 {
            continue;
        }
        let is_empty = matches!(head.status, 100..=199 | 204) || method == "CONNECT";
        let may_lack = method == "HEAD" || matches!(head.status, 204 | 304);
        return Ok(Response {
            told_length: match length {
                Some(length) => i64::try_from(length).unwrap_or(i64::MAX),
                None if is_empty => 0,
                None => -1,
            },
            head,
            has_body: true,
            body: Body {
                exchange,
                left: length,
                may_lack,
                has_trailers: false,
            },
        });
    }
    Err(exchange.failed(Http3Error::TooManyInterim))
}

/// Writes all of a request. What the peer does not want to have is not sent.
async fn write(mut to: SendStream, head: Vec<u8>, body: RequestBody) -> Result<(), Http3Error> {
    // A peer may answer a request that it has not read: its answer then says more than the error.
    if to.write_all(&head).await.is_err() {
        return Ok(());
    }
    let (mut piece, file) = match body {
        RequestBody::Empty => (Vec::new(), None),
        RequestBody::Bytes(bytes) => (bytes.to_vec(), None),
        RequestBody::File(body) => (body.first.to_vec(), Some((body.file, body.path))),
    };
    let mut file = file;
    loop {
        if !piece.is_empty() {
            let mut frame = Vec::with_capacity(16);
            put_number(&mut frame, DATA);
            put_number(&mut frame, piece.len() as u64);
            if to.write_all(&frame).await.is_err() || to.write_all(&piece).await.is_err() {
                return Ok(());
            }
        }
        let Some((file, path)) = &mut file else { break };
        piece.resize(PIECE, 0);
        let read = file.read(&mut piece).await;
        let bytes = read.map_err(|error| Http3Error::Source(FileBody::unreadable(path, &error)))?;
        piece.truncate(bytes);
        if bytes == 0 {
            break;
        }
    }
    let _ = to.finish();
    // To drop it would reset what the peer has not read yet.
    let _ = to.stopped().await;
    Ok(())
}

impl<S: AsyncRead + Unpin> Exchange<S> {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame>, Http3Error>> {
        if let Some(writing) = &mut self.writing
            && let Poll::Ready(written) = writing.as_mut().poll(cx)
        {
            self.writing = None;
            written.map_err(|error| self.failed(error))?;
        }
        let frame = ready!(self.frames.poll_frame(cx));
        Poll::Ready(frame.map_err(|error| self.failed(error)))
    }

    fn failed(&mut self, error: Http3Error) -> Http3Error {
        match &mut self.link {
            Some(link) => link.failed(error),
            None => error,
        }
    }
}

impl Link {
    /// The best word for what went wrong; the peer is told its code.
    fn failed(&mut self, error: Http3Error) -> Http3Error {
        let error = match (error, self.fault.get()) {
            (Http3Error::Read(_) | Http3Error::Lost(_), Some((code, why))) => {
                Http3Error::Connection(*code, why)
            }
            (error, _) => error,
        };
        self.code = error.code();
        error
    }
}

/// The head that a field section makes, and the length that it tells of.
fn read_head(section: &[u8], held: &mut Held) -> Result<(Head, Option<u64>), Http3Error> {
    let mut head = Head {
        protocol: "HTTP/3.0".to_owned(),
        version: (3, 0),
        ..Head::default()
    };
    let (mut status, mut length, mut has_regular) = (None, None::<Vec<u8>>, false);
    let mut budget = MAX_HEADERS;
    qpack::decode(section, |field: Field| {
        check_field(&field, &mut budget)?;
        held.hold((MAX_HEADERS - budget) * COPIES)
            .map_err(Http3Error::Read)?;
        let (name, value) = field;
        if name.starts_with(b":") {
            let shown = String::from_utf8_lossy(&name);
            if has_regular {
                return malformed(format!(
                    "received pseudo header {shown} after a regular header field"
                ));
            }
            if name != b":status" {
                return malformed(format!("invalid response pseudo header: {shown}"));
            }
            if status.replace(value).is_some() {
                return malformed(format!("duplicate pseudo header: {shown}"));
            }
            return Ok(());
        }
        has_regular = true;
        match name.as_slice() {
            b"content-length" if length.as_ref().is_some_and(|length| *length != value) => {
                malformed("contradicting content lengths".to_owned())
            }
            b"content-length" if length.is_some() => Ok(()),
            b"trailer" => Ok(()),
            name => {
                head.headers.add_bytes(name, &value);
                if name == b"content-length" {
                    length = Some(value);
                }
                Ok(())
            }
        }
    })?;
    let Some(status) = status else {
        return malformed("missing :status field".to_owned());
    };
    let text = String::from_utf8_lossy(&status);
    head.status = match text.parse() {
        Ok(status) => status,
        Err(_) => return malformed(format!("invalid status code: {text:?}")),
    };
    let length = match length {
        Some(length) if !length.is_empty() => {
            let text = String::from_utf8_lossy(&length);
            match text.parse::<i64>().map(u64::try_from) {
                Ok(Ok(length)) if !text.starts_with('+') => Some(length),
                _ => return malformed(format!("invalid content length: {text:?}")),
            }
        }
        _ => {
            head.headers.remove("Content-Length");
            None
        }
    };
    Ok((head, length))
}

fn malformed<T>(reason: String) -> Result<T, Http3Error> {
    Err(Http3Error::Malformed(reason))
}

/// Refuses a field that no answer may have. Fields of HTTP/1's connections are malformed here (section 4.2).
fn check_field((name, value): &Field, budget: &mut usize) -> Result<(), Http3Error> {
    let malformed = |reason: &str| {
        let shown = String::from_utf8_lossy(name.get(..200).unwrap_or(name));
        Err(Http3Error::Malformed(format!("{reason}: {shown:?}")))
    };
    let size = name.len() + value.len() + 32;
    *budget = budget.checked_sub(size).ok_or(Http3Error::HeadersTooLarge)?;
    if name.iter().any(u8::is_ascii_uppercase) {
        return malformed("header field is not lower-case");
    }
    if !is_sendable_value(value) {
        return malformed("invalid header field value for");
    }
    if name.starts_with(b":") {
        return Ok(());
    }
    let is_of_connection = matches!(
        name.as_slice(),
        b"connection" | b"keep-alive" | b"proxy-connection" | b"transfer-encoding" | b"upgrade"
    );
    if !is_token(name) || is_of_connection {
        return malformed("invalid header field name");
    }
    if name == b"te" && value != b"trailers" {
        return malformed("invalid TE header field value of");
    }
    Ok(())
}

fn check_trailers(section: &[u8]) -> Result<(), Http3Error> {
    let mut budget = MAX_HEADERS;
    qpack::decode(section, |field| {
        check_field(&field, &mut budget)?;
        if field.0.starts_with(b":") {
            return Err(Http3Error::Malformed(
                "received pseudo header in trailer".to_owned(),
            ));
        }
        Ok(())
    })
}

impl<S: AsyncRead + Unpin> Body<S> {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Http3Error>> {
        loop {
            let wrong = |reason: &str| Err(Http3Error::Malformed(reason.to_owned()));
            let outcome = match ready!(self.exchange.poll_frame(cx))? {
                Some(Frame::Data | Frame::Whole(DATA, _)) if self.has_trailers => {
                    wrong("DATA frame received after trailers")
                }
                Some(Frame::Data) if self.left == Some(0) => wrong("peer sent too much data"),
                Some(Frame::Data) => Ok(true),
                Some(Frame::Whole(DATA, _)) => continue,
                Some(Frame::Whole(HEADERS, _)) if self.has_trailers => {
                    wrong("additional HEADERS frame received after trailers")
                }
                Some(Frame::Whole(HEADERS, section)) => {
                    self.has_trailers = true;
                    match check_trailers(&section) {
                        Ok(()) => continue,
                        Err(error) => Err(error),
                    }
                }
                Some(Frame::Whole(..)) => {
                    let why = "a frame that cannot be on the stream of a request";
                    Err(Http3Error::Connection(FRAME_UNEXPECTED, why))
                }
                // compat: to upstream a body that is cut off is whole.
                None if self.left.is_some_and(|left| left > 0) && !self.may_lack => {
                    Err(Http3Error::Truncated)
                }
                None => Ok(false),
            };
            return Poll::Ready(outcome.map_err(|error| self.exchange.failed(error)));
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncBufRead for Body<S> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        if !ready!(this.poll_data(cx))? {
            return Poll::Ready(Ok(&[]));
        }
        let data = this.exchange.frames.data();
        let left = this.left.and_then(|left| usize::try_from(left).ok());
        Poll::Ready(Ok(left.and_then(|left| data.get(..left)).unwrap_or(data)))
    }

    fn consume(self: Pin<&mut Self>, bytes: usize) {
        let this = self.get_mut();
        this.exchange.frames.consume(bytes);
        if let Some(left) = &mut this.left {
            *left = left.saturating_sub(bytes as u64);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Body<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        poll_read_buffered(self, cx, into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field section.
    fn section(fields: &[(&str, &str)]) -> Vec<u8> {
        let mut section = qpack::PREFIX.to_vec();
        for (name, value) in fields {
            qpack::encode(&mut section, name.as_bytes(), value.as_bytes());
        }
        section
    }

    #[test]
    fn heads_are_read_as_quic_go_does() {
        const OK: (&str, &str) = (":status", "200");
        type Row = (
            &'static [(&'static str, &'static str)],
            Result<(u16, Option<u64>), &'static str>,
        );
        #[rustfmt::skip]
        let rows: &[Row] = &[
            (&[OK], Ok((200, None))),
            (&[OK, ("content-length", "5")], Ok((200, Some(5)))),
            (&[OK, ("content-length", "5"), ("content-length", "5")], Ok((200, Some(5)))),
            (&[OK, ("content-length", "")], Ok((200, None))),
            (&[(":status", "+99")], Ok((99, None))),
            (&[OK, ("te", "trailers"), ("x", "\u{e9}")], Ok((200, None))),
            (&[("a", "b")], Err("missing :status field")),
            (&[], Err("missing :status field")),
            (&[(":status", "abc")], Err("invalid status code: \"abc\"")),
            (&[OK, OK], Err("duplicate pseudo header: :status")),
            (&[("a", "b"), OK], Err("received pseudo header :status after a regular header field")),
            (&[OK, (":path", "/")], Err("invalid response pseudo header: :path")),
            (&[OK, ("A", "b")], Err("header field is not lower-case: \"A\"")),
            (&[OK, ("a", "b\r\nc: d")], Err("invalid header field value for: \"a\"")),
            (&[OK, ("", "b")], Err("invalid header field name: \"\"")),
            (&[OK, ("connection", "close")], Err("invalid header field name: \"connection\"")),
            (&[OK, ("te", "gzip")], Err("invalid TE header field value of: \"te\"")),
            (&[OK, ("content-length", "5"), ("content-length", "6")], Err("contradicting content lengths")),
            (&[OK, ("content-length", "-1")], Err("invalid content length: \"-1\"")),
            (&[OK, ("content-length", "+1")], Err("invalid content length: \"+1\"")),
        ];
        for (fields, want) in rows {
            let got = read_head(&section(fields), &mut Held::default());
            let got = got.map(|(head, length)| (head.status, length));
            let want = want.map_err(|reason| format!("invalid response: {reason}"));
            assert_eq!(got.map_err(|error| error.to_string()), want, "{fields:?}");
        }
    }

    /// Frames of any kind and length, some of them right.
    #[tokio::test]
    async fn no_bytes_make_it_panic_or_hang() {
        for seed in 0..500_u32 {
            let mut bytes = Vec::new();
            let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
            let mut next = || {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                state.to_le_bytes()[0]
            };
            if seed % 2 == 0 {
                put_frame(&mut bytes, HEADERS, &section(&[(":status", "200")]));
            }
            for _ in 0..20 {
                let length = next() % 40;
                bytes.extend([next() % 16, length]);
                bytes.extend((0..length).map(|_| next()));
            }
            if let Ok(mut answer) = read_answer(&*bytes, "GET").await {
                let read = tokio::io::copy(&mut answer.body, &mut tokio::io::sink()).await;
                assert!(read.is_err() || read.is_ok_and(|read| read <= bytes.len() as u64));
            }
        }
    }

    #[test]
    fn few_bytes_do_not_become_many_fields() {
        // An entry of the static table a byte.
        let mut section = section(&[(":status", "200")]);
        section.resize(4 << 20, 0xc6);
        let error = read_head(&section, &mut Held::default()).unwrap_err();
        assert!(matches!(error, Http3Error::HeadersTooLarge), "{error}");
    }
}
