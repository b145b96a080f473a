//! An HTTP/2 client connection that carries one request at a time (RFC 9113), with the moments and the leniency of Go's
//! clients: the http prober's and, by way of [`Connection`], the grpc prober's.
//!
//! `h2` throws away what came of a body when its length turns out wrong, does not tell when the first header frame came,
//! and refuses paths and values that Go sends; see `docs/dependencies.md`.

mod connection;
mod error;
mod frame;
pub(crate) mod hpack;
pub(crate) mod huffman;
#[cfg(test)]
mod odd;
mod request;
mod sender;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use gostd::carried;
use gostd::strconv::quote;
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};

use super::buffer::poll_read_buffered;
use super::first_byte::FirstByte;
use super::headers::{Headers, is_sendable_value, is_token_byte};
use super::http1::{Head, RequestBody, Response};
pub use connection::{Connection, Event, Manner};
pub use error::Http2Error;
pub use error::code_name;
pub use hpack::Field;
pub use request::Request;

/// A body that is read as it comes.
pub struct Body<S> {
    connection: Connection<S>,
    /// Bytes that must still come, when a length was told.
    left: Option<u64>,
    has_data: bool,
}

/// How long a body waits for a 100.
const CONTINUE_PATIENCE: Duration = Duration::from_secs(1);

/// Sends a request and reads the head of its answer, 1xx ones passed over.
///
/// # Errors
/// See [`Http2Error`].
pub async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    request: Request<'_>,
    body: RequestBody,
    expects_continue: bool,
    first_byte: &mut FirstByte<'_>,
) -> Result<Response<Body<S>>, Http2Error> {
    let block = header_block(request, &body)?;
    let patience = Some(CONTINUE_PATIENCE).filter(|_| expects_continue);
    let mut connection = Connection::new(stream, Manner::Http);
    connection.begin(&block, body, patience);
    loop {
        let fields = match poll_fn(|cx| connection.poll_event(cx)).await? {
            Some(Event::Headers(fields)) => fields,
            Some(Event::Data) => {
                return Err(Http2Error::Connection("PROTOCOL_ERROR: DATA before HEADERS"));
            }
            None => return Err(Http2Error::Closed),
        };
        check_fields(&fields)?;
        first_byte.note();
        let head = head(fields)?;
        connection.release_body();
        if matches!(head.status, 100..=199) {
            if connection.ended {
                return Err(Http2Error::Malformed(
                    "1xx informational response with END_STREAM flag",
                ));
            }
            continue;
        }
        return Ok(answer(head, connection, request.method));
    }
}

fn answer<S>(head: Head, connection: Connection<S>, method: &str) -> Response<Body<S>> {
    let lengths: Vec<&[u8]> = head.headers.values("Content-Length").collect();
    let told = match lengths.as_slice() {
        [one] => std::str::from_utf8(one)
            .ok()
            .filter(|text| !text.starts_with('+'))
            .and_then(|text| text.parse().ok())
            .unwrap_or(-1)
            .max(-1_i64),
        [] if connection.ended && method != "HEAD" => 0,
        _ => -1,
    };
    // With HEAD nothing follows; an ended stream whose length is not 0 lacks its body, which is an error when it is read.
    let has_body = method != "HEAD" && !(connection.ended && told <= 0);
    Response {
        told_length: told,
        has_body,
        body: Body {
            connection,
            left: u64::try_from(told).ok(),
            has_data: false,
        },
        head,
    }
}

fn header_block(request: Request<'_>, body: &RequestBody) -> Result<Vec<u8>, Http2Error> {
    check_connection_fields(request.headers)?;
    let mut block = Vec::with_capacity(256);
    request
        .put_fields(body, |name, value| match name {
            "cookie" => {
                for crumb in value.split(|b| *b == b';') {
                    let start = crumb.iter().position(|b| *b != b' ').unwrap_or(crumb.len());
                    let crumb = crumb.get(start..).unwrap_or_default();
                    if !crumb.is_empty() {
                        hpack::encode(&mut block, name.as_bytes(), crumb);
                    }
                }
            }
            _ => hpack::encode(&mut block, name.as_bytes(), value),
        })
        .map_err(Http2Error::Request)?;
    Ok(block)
}

/// Of `Upgrade`, Go looks at the first value only.
fn check_connection_fields(headers: &Headers) -> Result<(), Http2Error> {
    type Fits = fn(&[u8]) -> bool;
    let chunked: Fits = |value| value == b"chunked";
    let ends_or_stays: Fits = |value| {
        let is = |text: &[u8]| value.eq_ignore_ascii_case(text);
        is(b"close") || is(b"keep-alive")
    };
    for (name, fits, most) in [
        ("Upgrade", chunked, usize::MAX),
        ("Transfer-Encoding", chunked, 1),
        ("Connection", ends_or_stays, 1),
    ] {
        let values: Vec<&[u8]> = headers.values(name).collect();
        let first_fits = values.first().is_none_or(|first| first.is_empty() || fits(first));
        if !first_fits || values.len() > most {
            let quoted: Vec<_> = values.iter().map(|value| quote(&carried::text(value))).collect();
            return Err(Http2Error::Request(format!(
                "invalid {name} request header: [{}]",
                quoted.join(" ")
            )));
        }
    }
    Ok(())
}

/// Refuses fields that no answer may have.
///
/// # Errors
/// A name or value that is none, or pseudo-header fields that are unknown, there twice, or behind others.
pub fn check_fields(fields: &[Field]) -> Result<(), Http2Error> {
    let (mut pseudo, mut has_regular) = (Vec::new(), false);
    for (name, value) in fields {
        if !is_sendable_value(value) {
            return Err(Http2Error::Malformed("invalid header field value"));
        }
        let name = name.as_slice();
        if name.starts_with(b":") {
            // Those of a request pass, too, unless there is a status: whoever needs one misses it then.
            let is_known = matches!(
                name,
                b":status" | b":method" | b":path" | b":scheme" | b":authority" | b":protocol"
            );
            let is_status = |name: &[u8]| name == b":status";
            let clashes = |other: &&[u8]| *other == name || is_status(other) != is_status(name);
            if has_regular || !is_known || pseudo.iter().any(clashes) {
                return Err(Http2Error::Malformed("invalid pseudo-header"));
            }
            pseudo.push(name);
            continue;
        }
        has_regular = true;
        let valid = |b: &u8| is_token_byte(*b) && !b.is_ascii_uppercase();
        if name.is_empty() || !name.iter().all(valid) {
            return Err(Http2Error::Malformed("invalid header field name"));
        }
    }
    Ok(())
}

/// The head that a header block makes.
fn head(fields: Vec<Field>) -> Result<Head, Http2Error> {
    let mut head = Head {
        protocol: "HTTP/2.0".to_owned(),
        version: (2, 0),
        ..Head::default()
    };
    let mut status = None;
    for (name, value) in fields {
        match name.as_slice() {
            b":status" => status = Some(value),
            b"trailer" => {}
            name => head.headers.add_bytes(name, &value),
        }
    }
    let status = status.ok_or(Http2Error::Malformed(
        "malformed response from server: missing status pseudo header",
    ))?;
    let text = std::str::from_utf8(&status).unwrap_or_default();
    head.status = text.parse().map_err(|_| {
        Http2Error::Malformed("malformed response from server: malformed non-numeric status pseudo header")
    })?;
    Ok(head)
}

/// Refuses what is no trailer.
fn check_trailers(fields: &[Field], ended: bool) -> Result<(), Http2Error> {
    check_fields(fields)?;
    if !ended || fields.iter().any(|(name, _)| name.starts_with(b":")) {
        return Err(Http2Error::Connection("PROTOCOL_ERROR: malformed trailers"));
    }
    Ok(())
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncBufRead for Body<S> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        this.has_data = loop {
            match ready!(this.connection.poll_event(cx))? {
                Some(Event::Data) => break true,
                Some(Event::Headers(fields)) => check_trailers(&fields, this.connection.ended)?,
                None => break false,
            }
        };
        if !this.has_data {
            return Poll::Ready(match this.left {
                Some(1..) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "unexpected EOF")),
                _ => Ok(&[]),
            });
        }
        let data = this.connection.data();
        match this.left {
            Some(0) => Poll::Ready(Err(io::Error::other(
                "net/http: server replied with more than declared Content-Length; truncated",
            ))),
            Some(left) => {
                let most = usize::try_from(left).unwrap_or(usize::MAX);
                Poll::Ready(Ok(data.get(..most).unwrap_or(data)))
            }
            None => Poll::Ready(Ok(data)),
        }
    }

    fn consume(self: Pin<&mut Self>, bytes: usize) {
        let this = self.get_mut();
        this.connection.consume(bytes);
        if let Some(left) = &mut this.left {
            *left = left.saturating_sub(bytes as u64);
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Body<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        poll_read_buffered(self, cx, into)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tokio::io::{AsyncReadExt, DuplexStream};

    use super::*;

    fn get(headers: &Headers) -> Request<'_> {
        Request {
            method: "GET",
            scheme: "https",
            authority: "a",
            path: b"/",
            headers,
        }
    }

    /// What a server of the `h2` crate was asked, and what came of `request` and its answer.
    async fn talk(
        headers: Headers,
        body: RequestBody,
        serve: impl AsyncFnOnce(h2::server::Connection<DuplexStream, Bytes>),
    ) -> Result<(Head, i64, Result<Vec<u8>, String>), String> {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let server = async { serve(h2::server::handshake(theirs).await.unwrap()).await };
        let client = async {
            let request = Request {
                method: "POST",
                scheme: "https",
                authority: "example.com:1",
                path: b"/a?b",
                headers: &headers,
            };
            let mut first_byte = FirstByte::default();
            let answer = exchange(ours, request, body, false, &mut first_byte).await;
            let mut answer = answer.map_err(|error| error.to_string())?;
            assert!(first_byte.at().is_some());
            let mut bytes = Vec::new();
            let read = answer.body.read_to_end(&mut bytes).await;
            let read = read.map(|_| bytes).map_err(|error| error.to_string());
            Ok((answer.head, answer.told_length, read))
        };
        tokio::join!(client, server).0
    }

    #[tokio::test]
    async fn requests_and_answers_larger_than_all_windows() {
        const SIZE: usize = 9 << 20;
        let mut headers = Headers::default();
        headers.add("Cookie", "a=1; b=2");
        headers.add("Connection", "keep-alive");
        headers.add("X-A", "b");
        let body = RequestBody::Bytes(Bytes::from(vec![b'x'; 300_000]));
        let (head, told, read) = talk(headers, body, async |mut server| {
            let (request, mut respond) = server.accept().await.unwrap().unwrap();
            let (parts, mut body) = request.into_parts();
            assert_eq!(parts.uri.to_string(), "https://example.com:1/a?b");
            let fields: Vec<String> = parts
                .headers
                .iter()
                .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
                .collect();
            assert_eq!(
                fields,
                ["cookie: a=1", "cookie: b=2", "x-a: b", "content-length: 300000"]
            );
            let answer = async move {
                let mut length = 0;
                while let Some(data) = body.data().await {
                    let data = data.unwrap();
                    length += data.len();
                    body.flow_control().release_capacity(data.len()).unwrap();
                }
                assert_eq!(length, 300_000);
                let head = http::Response::builder().header("x-one", "1").body(()).unwrap();
                let mut stream = respond.send_response(head, false).unwrap();
                stream.send_data(Bytes::from(vec![b'y'; SIZE]), true).unwrap();
            };
            let drive = async { while server.accept().await.is_some() {} };
            tokio::join!(answer, drive);
        })
        .await
        .unwrap();
        assert_eq!((head.status, head.protocol.as_str(), told), (200, "HTTP/2.0", -1));
        assert_eq!(head.headers.value("X-One"), Some(b"1".as_slice()));
        assert_eq!(read.unwrap().len(), SIZE);
    }

    /// As Go, which reads the end of a body before it waits for a window: an empty frame needs none.
    #[tokio::test]
    async fn a_body_that_fills_the_window_has_an_end() {
        for size in [0, 1, 16 << 10, 65_534, 65_535] {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), vec![b'x'; size]).unwrap();
            let body = RequestBody::File(Box::new(crate::http1::FileBody {
                first: Bytes::new(),
                file: tokio::fs::File::open(file.path()).await.unwrap(),
                path: String::new(),
            }));
            let talk = talk(Headers::default(), body, async |mut server| {
                let (request, mut respond) = server.accept().await.unwrap().unwrap();
                let mut body = request.into_body();
                let answer = async move {
                    let mut length = 0;
                    // No window is opened again.
                    while let Some(data) = body.data().await {
                        length += data.unwrap().len();
                    }
                    assert_eq!(length, size);
                    respond.send_response(http::Response::new(()), true).unwrap();
                };
                let drive = async { while server.accept().await.is_some() {} };
                tokio::join!(answer, drive);
            });
            let talked = tokio::time::timeout(Duration::from_secs(10), talk).await;
            let (head, ..) = talked.unwrap_or_else(|_| panic!("{size} bytes")).unwrap();
            assert_eq!(head.status, 200, "{size}");
        }
    }

    /// Each byte stands for a field of 4 KB.
    #[tokio::test]
    async fn a_compressed_head_is_read_up_to_the_limit() {
        let (ours, mut theirs) = tokio::io::duplex(1 << 20);
        let mut block = vec![0x88, 0x40, 1, b'a', 0x7f, 0xa1, 0x1e];
        block.resize(block.len() + 4000, b'x');
        block.resize(9 << 20, 0xbe);
        let mut bytes = Vec::new();
        frame::push_frame(&mut bytes, frame::SETTINGS, 0, 0, &[]);
        let mut kind = frame::HEADERS;
        for piece in block.chunks(frame::MAX_FRAME) {
            frame::push_frame(&mut bytes, kind, 0, frame::STREAM, piece);
            kind = frame::CONTINUATION;
        }
        frame::push_frame(&mut bytes, kind, frame::END_HEADERS, frame::STREAM, &[]);
        tokio::spawn(async move {
            let _ = tokio::io::AsyncWriteExt::write_all(&mut theirs, &bytes).await;
            let _ = theirs.read_to_end(&mut Vec::new()).await;
        });
        let headers = Headers::default();
        let error = exchange(
            ours,
            get(&headers),
            RequestBody::Empty,
            false,
            &mut FirstByte::default(),
        )
        .await;
        let error = error.map(|_| ()).unwrap_err().to_string();
        assert!(
            error.contains("response header list larger than advertised limit"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_refused_request_may_be_sent_again() {
        let error = talk(Headers::default(), RequestBody::Empty, async |mut server| {
            let (_, mut respond) = server.accept().await.unwrap().unwrap();
            respond.send_reset(h2::Reason::REFUSED_STREAM);
            while server.accept().await.is_some() {}
        })
        .await
        .unwrap_err();
        assert_eq!(
            error,
            "stream error: stream ID 1; REFUSED_STREAM; received from peer"
        );
        assert!(Http2Error::Reset(7).invites_retry() && !Http2Error::Reset(2).invites_retry());
    }

    #[tokio::test]
    async fn fields_of_the_connection_are_checked() {
        for (name, values, refused) in [
            ("Connection", &["Close"][..], ""),
            ("Connection", &["upgrade"], "[\"upgrade\"]"),
            ("Connection", &["close", "x"], "[\"close\" \"x\"]"),
            ("Upgrade", &["h2c"], "[\"h2c\"]"),
            ("Upgrade", &["", "h2c"], ""),
            ("Transfer-Encoding", &["chunked"], ""),
            ("Transfer-Encoding", &["Chunked"], "[\"Chunked\"]"),
            ("Transfer-Encoding", &["gzip"], "[\"gzip\"]"),
        ] {
            let mut headers = Headers::default();
            for value in values {
                headers.add(name, value);
            }
            let found = check_connection_fields(&headers).map_err(|error| error.to_string());
            let error = format!("http2: invalid {name} request header: {refused}");
            let wanted = if refused.is_empty() { Ok(()) } else { Err(error) };
            assert_eq!(found, wanted, "{name}: {values:?}");
        }
    }

    #[tokio::test]
    async fn no_bytes_make_it_panic_or_hang() {
        for seed in 0..500_u32 {
            // Frames of any kind and length, some of them right, then noise.
            let mut bytes = vec![0, 0, 0, 4, 0, 0, 0, 0, 0];
            let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
            let mut next = || {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                state.to_le_bytes()[0]
            };
            for _ in 0..20 {
                let length = next() % 40;
                bytes.extend([0, 0, length, next() % 11, next(), 0, 0, 0, next() % 3]);
                bytes.extend((0..length).map(|_| next()));
            }
            let (ours, mut theirs) = tokio::io::duplex(1 << 16);
            let headers = Headers::default();
            let server = async {
                tokio::io::AsyncWriteExt::write_all(&mut theirs, &bytes)
                    .await
                    .unwrap();
                drop(theirs);
            };
            let client = async {
                let mut first_byte = FirstByte::default();
                if let Ok(mut answer) =
                    exchange(ours, get(&headers), RequestBody::Empty, false, &mut first_byte).await
                {
                    let _ = answer.body.read_to_end(&mut Vec::new()).await;
                }
            };
            tokio::join!(client, server);
        }
    }
}
