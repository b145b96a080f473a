//! The QUIC connection as the HTTP/3 library reads it: with a bound to what a peer makes the library hold.
//!
//! The library keeps a frame until it is whole, goes through all of its pieces whenever another one comes, and has no limit for
//! either. Only a body's frames are passed on piece by piece.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h3::error::Code;
use h3::quic::{self, ConnectionErrorIncoming, StreamErrorIncoming, StreamId, WriteBuf};

/// Most bytes that may come on a stream without being a body's.
///
/// compat: upstream's limit for a head is 10 MiB, and other frames are skipped, however long.
const MOST_HELD: usize = 1 << 20;

/// What holding a piece costs besides its bytes. It bounds the number of pieces, too.
const PIECE: usize = 256;

/// More came than may be held.
#[derive(Debug)]
pub(super) struct TooMuch;

impl fmt::Display for TooMuch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "more than {MOST_HELD} bytes came that are no part of a body")
    }
}

impl std::error::Error for TooMuch {}

/// How much the library holds of a stream.
#[derive(Debug, Default)]
pub(super) struct Held(AtomicUsize);

impl Held {
    /// A piece of a body was taken: nothing else is held any more.
    pub(super) fn taken(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// A piece came. One alone is never too much.
    fn add(&self, bytes: usize) -> Result<(), TooMuch> {
        let before = self.0.fetch_add(bytes.saturating_add(PIECE), Ordering::Relaxed);
        if before > MOST_HELD { Err(TooMuch) } else { Ok(()) }
    }
}

/// A connection whose streams are counted: that of the request where the caller sees it, each of the others for itself.
pub(super) struct Connection {
    inner: h3_quinn::Connection,
    opener: OpenStreams,
}

impl Connection {
    pub(super) fn new(connection: quinn::Connection, request: Arc<Held>) -> Self {
        let inner = h3_quinn::Connection::new(connection);
        let opener = OpenStreams {
            inner: quic::Connection::<Bytes>::opener(&inner),
            request,
        };
        Self { inner, opener }
    }
}

impl quic::Connection<Bytes> for Connection {
    type RecvStream = Counted<h3_quinn::RecvStream>;
    type OpenStreams = OpenStreams;

    fn poll_accept_recv(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::RecvStream, ConnectionErrorIncoming>> {
        let stream = ready!(quic::Connection::<Bytes>::poll_accept_recv(&mut self.inner, cx))?;
        Poll::Ready(Ok(Counted::new(stream, Arc::default())))
    }

    fn poll_accept_bidi(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::BidiStream, ConnectionErrorIncoming>> {
        let stream = ready!(quic::Connection::<Bytes>::poll_accept_bidi(&mut self.inner, cx))?;
        Poll::Ready(Ok(Counted::new(stream, Arc::default())))
    }

    fn opener(&self) -> OpenStreams {
        self.opener.clone()
    }
}

impl quic::OpenStreams<Bytes> for Connection {
    type BidiStream = Counted<h3_quinn::BidiStream<Bytes>>;
    type SendStream = h3_quinn::SendStream<Bytes>;

    fn poll_open_bidi(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::BidiStream, StreamErrorIncoming>> {
        self.opener.poll_open_bidi(cx)
    }

    fn poll_open_send(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::SendStream, StreamErrorIncoming>> {
        self.opener.poll_open_send(cx)
    }

    fn close(&mut self, code: Code, reason: &[u8]) {
        self.opener.close(code, reason);
    }
}

/// Opens the stream of the request.
#[derive(Clone)]
pub(super) struct OpenStreams {
    inner: h3_quinn::OpenStreams,
    request: Arc<Held>,
}

impl quic::OpenStreams<Bytes> for OpenStreams {
    type BidiStream = Counted<h3_quinn::BidiStream<Bytes>>;
    type SendStream = h3_quinn::SendStream<Bytes>;

    fn poll_open_bidi(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::BidiStream, StreamErrorIncoming>> {
        let stream = ready!(self.inner.poll_open_bidi(cx))?;
        Poll::Ready(Ok(Counted::new(stream, Arc::clone(&self.request))))
    }

    fn poll_open_send(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::SendStream, StreamErrorIncoming>> {
        self.inner.poll_open_send(cx)
    }

    fn close(&mut self, code: Code, reason: &[u8]) {
        quic::OpenStreams::<Bytes>::close(&mut self.inner, code, reason);
    }
}

/// A stream on which what comes is counted.
pub(super) struct Counted<S> {
    stream: S,
    id: StreamId,
    held: Arc<Held>,
}

impl<S: quic::RecvStream> Counted<S> {
    fn new(stream: S, held: Arc<Held>) -> Self {
        let id = stream.recv_id();
        Self { stream, id, held }
    }
}

impl<S: quic::RecvStream<Buf = Bytes>> quic::RecvStream for Counted<S> {
    type Buf = Bytes;

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, StreamErrorIncoming>> {
        let Some(piece) = ready!(self.stream.poll_data(cx))? else {
            return Poll::Ready(Ok(None));
        };
        self.held
            .add(piece.len())
            .map_err(|error| StreamErrorIncoming::Unknown(error.into()))?;
        // A copy, because a few bytes would hold the whole batch of datagrams with which they came.
        Poll::Ready(Ok(Some(Bytes::copy_from_slice(&piece))))
    }

    /// Does nothing: the library calls it also while it reads, which `h3_quinn` takes for a bug and panics. Dropping the stream
    /// or closing the connection, which follows, says the same to the peer.
    fn stop_sending(&mut self, _error_code: u64) {}

    fn recv_id(&self) -> StreamId {
        self.id
    }
}

impl<S: quic::SendStream<Bytes>> quic::SendStream<Bytes> for Counted<S> {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.stream.poll_ready(cx)
    }

    fn send_data<T: Into<WriteBuf<Bytes>>>(&mut self, data: T) -> Result<(), StreamErrorIncoming> {
        self.stream.send_data(data)
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.stream.poll_finish(cx)
    }

    fn reset(&mut self, reset_code: u64) {
        self.stream.reset(reset_code);
    }

    fn send_id(&self) -> StreamId {
        self.stream.send_id()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_bounded_by_bytes_and_by_pieces() {
        // bytes of a piece, how many of them are taken
        for (bytes, want) in [(2 << 20, 1), (1 << 10, 820), (1, 4081)] {
            let held = Held::default();
            let taken = (0..10_000).take_while(|_| held.add(bytes).is_ok()).count();
            assert_eq!(taken, want, "pieces of {bytes} bytes");
            held.taken();
            assert!(held.add(bytes).is_ok(), "pieces of {bytes} bytes");
        }
    }
}
