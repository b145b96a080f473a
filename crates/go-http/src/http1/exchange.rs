//! One request and the head of its answer.

use std::io;
use std::time::Duration;

use gostd::os_error::SystemError;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::oneshot;

use super::body::Body;
use super::framing::{Framing, Length, LengthError, measure};
use super::head::{Head, HeadError, HeadParser};
use super::reader::{ResponseReader, WriteError};
use super::request::{RequestBody, is_framed};
use crate::FirstByte;
use crate::headers::lists_contain;

/// How long a body waits for `100 Continue`, as Go's transport is set up by prometheus/common.
const CONTINUE_PATIENCE: Duration = Duration::from_secs(1);

/// How long the rest of a request is written when the response is there, as Go waits before it uses a connection again.
const REST_PATIENCE: Duration = Duration::from_millis(50);

/// An answer whose head was read.
#[derive(Debug)]
pub struct Response<B> {
    /// Its head.
    pub head: Head,
    /// The content length that upstream exposes: -1 when unknown.
    pub told_length: i64,
    /// Whether something will be read of [`body`](Self::body).
    pub has_body: bool,
    /// Its body, to be read.
    pub body: B,
}

/// Most bytes that are kept of a head that is less than a line.
const BEGINNING: usize = 256;

const BROKEN_BY: &str = "net/http: HTTP/1.x transport connection broken: ";

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum ExchangeError {
    /// The peer closed the connection before it sent anything.
    #[error("EOF: the peer closed the connection without an answer")]
    Closed,
    /// The peer closed the connection within the head; what it sent, as far as [`BEGINNING`] goes, if that is less than a line.
    #[error("{BROKEN_BY}unexpected EOF: the peer closed the connection within the head of its answer")]
    Truncated(Vec<u8>),
    #[error("reading the response: {}", SystemError(.0))]
    Read(io::Error),
    #[error("{0}")]
    Write(WriteError),
    #[error("{by}{0}", by = if matches!(.0, HeadError::TooLarge(_)) { "" } else { BROKEN_BY })]
    Head(HeadError),
    #[error("{BROKEN_BY}{0}")]
    Length(LengthError),
}

/// Sends a request (`head` is written already, body follows) and reads the head of the answer, 1xx ones passed over. Together they have
/// `most` bytes at most.
/// The moment of the answer's first byte is stored as soon as it is there, also when the rest never comes.
///
/// # Errors
/// See [`ExchangeError`].
pub async fn exchange<S>(
    mut stream: S,
    method: &str,
    head: Vec<u8>,
    body: RequestBody,
    expects_continue: bool,
    first_byte: &mut FirstByte<'_>,
    most: usize,
) -> Result<Response<Body<S>>, ExchangeError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let expects_continue = expects_continue && !matches!(body, RequestBody::Empty);
    let (mut go_on, may_go_on) = expects_continue.then(oneshot::channel).unzip();
    let mut reader = if body.is_short() && !expects_continue {
        let mut request = head;
        if let RequestBody::Bytes(bytes) = &body {
            request.extend_from_slice(bytes);
        }
        let written = write_and_flush(&mut stream, &request).await;
        let mut reader = ResponseReader::new(stream);
        if let Err(error) = written {
            // The answer may be there all the same: a peer may refuse a request before it has read it.
            reader.set_write_error(error);
        }
        reader
    } else {
        let (incoming, mut outgoing) = tokio::io::split(stream);
        let is_framed = is_framed(method);
        ResponseReader::with_writer(
            incoming,
            Box::pin(async move {
                write_and_flush(&mut outgoing, &head)
                    .await
                    .map_err(WriteError::Sink)?;
                if let Some(word) = may_go_on
                    && !wait_for_continue(word).await
                {
                    return Ok(());
                }
                body.write_to(&mut outgoing, is_framed).await?;
                outgoing.flush().await.map_err(WriteError::Sink)
            }),
        )
    };
    let (head, length) = read_answer(&mut reader, method, &mut go_on, first_byte, most).await?;
    if let Some(go_on) = go_on {
        // Without a 100 the body is sent when the connection might be used again, as far as Go knows.
        let _ = go_on.send(!length.close);
        if !length.close {
            reader.finish_writing(REST_PATIENCE).await;
        }
    }
    let Length {
        framing,
        told: told_length,
        ..
    } = length;
    Ok(Response {
        head,
        told_length,
        has_body: framing != Framing::Empty,
        body: Body::new(reader, framing),
    })
}

async fn write_and_flush<W: AsyncWrite + Unpin>(to: &mut W, bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes).await?;
    to.flush().await
}

/// Whether the body may be sent: the peer said so, or said nothing for a while.
async fn wait_for_continue(word: oneshot::Receiver<bool>) -> bool {
    match tokio::time::timeout(CONTINUE_PATIENCE, word).await {
        Ok(Ok(send)) => send,
        Ok(Err(_)) => false,
        Err(_) => true,
    }
}

/// The head of the answer, and what it says of its body.
async fn read_answer<S: AsyncRead + Unpin>(
    reader: &mut ResponseReader<S>,
    method: &str,
    go_on: &mut Option<oneshot::Sender<bool>>,
    first_byte: &mut FirstByte<'_>,
    most: usize,
) -> Result<(Head, Length), ExchangeError> {
    let mut budget = most;
    loop {
        let mut head = read_head(reader, &mut budget, first_byte, most).await?;
        let mut length = measure(&mut head, method).map_err(ExchangeError::Length)?;
        if head.status == 100
            && let Some(go_on) = go_on.take()
        {
            // Nobody listens when the patience ran out; the body is on its way then.
            let _ = go_on.send(true);
        }
        if matches!(head.status, 100..=199) && head.status != 101 {
            continue;
        }
        read_pragma(&mut head);
        if is_protocol_switch(&head) {
            length.framing = Framing::UntilClose;
        }
        return Ok((head, length));
    }
}

/// `Pragma: no-cache` stands for `Cache-Control: no-cache` (RFC 9111, section 5.4).
fn read_pragma(head: &mut Head) {
    let headers = &mut head.headers;
    if headers.value("Pragma") == Some(b"no-cache") && !headers.contains("Cache-Control") {
        headers.add("Cache-Control", "no-cache");
    }
}

fn is_protocol_switch(head: &Head) -> bool {
    head.status == 101
        && head.headers.has_text("Upgrade")
        && lists_contain(head.headers.values("Connection"), "upgrade")
}

async fn read_head<S: AsyncRead + Unpin>(
    reader: &mut ResponseReader<S>,
    budget: &mut usize,
    first_byte: &mut FirstByte<'_>,
    most: usize,
) -> Result<Head, ExchangeError> {
    let mut parser = HeadParser::default();
    loop {
        let step = parser.advance(reader.data()).map_err(ExchangeError::Head)?;
        reader.consume(step.used);
        let too_large = ExchangeError::Head(HeadError::TooLarge(most));
        *budget = budget.checked_sub(step.used).ok_or(too_large)?;
        if let Some(head) = step.head {
            return Ok(head);
        }
        if reader.data().len() >= *budget {
            return Err(ExchangeError::Head(HeadError::TooLarge(most)));
        }
        let read = reader.fill().await;
        if let Ok(1..) = read {
            first_byte.note();
            continue;
        }
        if let Some(error) = reader.write_error() {
            return Err(ExchangeError::Write(error));
        }
        return Err(match (read, first_byte.at()) {
            (Err(error), _) => ExchangeError::Read(error),
            (Ok(_), Some(_)) => {
                let data = reader.data();
                let beginning = data.get(..BEGINNING).unwrap_or(data);
                // What follows a status line is not what the peer began with.
                let beginning = if *budget == most { beginning } else { &[] };
                ExchangeError::Truncated(beginning.to_vec())
            }
            (Ok(_), None) => ExchangeError::Closed,
        });
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tokio::io::AsyncReadExt;

    use super::super::head::MAX_HEAD;
    use super::super::request::FileBody;
    use super::*;

    /// A limit is a limit, in whatever pieces a head comes.
    #[tokio::test]
    async fn heads_have_so_many_bytes_and_no_more() {
        let head = |length: usize| {
            let frame = "HTTP/1.1 200 OK\r\nA: \r\n\r\n";
            frame.replace("A: ", &format!("A: {}", "a".repeat(length - frame.len())))
        };
        let interim = "HTTP/1.1 103 X\r\n\r\n";
        // about, what comes, whether it is taken
        #[rustfmt::skip]
        let rows = [
            ("as many as there may be", head(MAX_HEAD), true),
            ("one more", head(MAX_HEAD + 1), false),
            ("a million more", head(MAX_HEAD + (1 << 20)), false),
            ("two heads", interim.to_owned() + &head(MAX_HEAD - interim.len()), true),
            ("two heads and one more", interim.to_owned() + &head(MAX_HEAD - interim.len() + 1), false),
        ];
        for (about, wire, fits) in rows {
            for piece in [1 << 24, 65_535] {
                let (mut peer, ours) = tokio::io::duplex(piece);
                let wire = wire.clone();
                tokio::spawn(async move {
                    let _ = peer.write_all(wire.as_bytes()).await;
                    let _ = peer.read_to_end(&mut Vec::new()).await;
                });
                let mut first_byte = FirstByte::default();
                let answer = exchange(
                    ours,
                    "GET",
                    b"GET / HTTP/1.1\r\n\r\n".to_vec(),
                    RequestBody::Empty,
                    false,
                    &mut first_byte,
                    MAX_HEAD,
                );
                match answer.await {
                    Ok(_) => assert!(fits, "{about} in pieces of {piece}"),
                    Err(ExchangeError::Head(HeadError::TooLarge(MAX_HEAD))) => {
                        assert!(!fits, "{about} in pieces of {piece}");
                    }
                    Err(error) => panic!("{about} in pieces of {piece}: {error}"),
                }
            }
        }
    }

    /// The peer waits for the end of the request and says nothing.
    #[tokio::test]
    async fn a_body_that_cannot_be_read_ends_the_exchange() {
        let dir = tempfile::tempdir().unwrap();
        let folder = FileBody {
            first: Bytes::new(),
            file: tokio::fs::File::open(dir.path()).await.unwrap(),
            path: "/body".to_owned(),
        };
        let (_peer, ours) = tokio::io::duplex(1 << 16);
        let mut first_byte = FirstByte::default();
        let answer = exchange(
            ours,
            "POST",
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(),
            RequestBody::File(Box::new(folder)),
            false,
            &mut first_byte,
            MAX_HEAD,
        );
        let error = tokio::time::timeout(Duration::from_secs(60), answer).await;
        let error = error.expect("no wait for the peer").err().unwrap();
        assert_eq!(error.to_string(), "read /body: is a directory");
        assert!(matches!(error, ExchangeError::Write(WriteError::Source(_))));
    }
}
