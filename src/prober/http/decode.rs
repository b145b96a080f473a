//! Bodies that come compressed, decompressed in turns.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use go_http::inflate::Inflate;
use tokio::io::{AsyncBufRead, AsyncRead, BufReader, ReadBuf};
use tokio::task::coop;

use crate::net::buffer::{poll_read_buffered, spend};

/// A body as it is read.
pub(super) type BodyStream = Pin<Box<dyn AsyncBufRead + Send>>;

/// Compressed bytes, handed out in small pieces and no more of them in one turn than are decompressed in some milliseconds.
/// A decoder goes on until it has something to show, and there are streams without end that are nothing: empty members of
/// gzip, empty blocks.
pub(super) struct Paced<S> {
    stream: S,
    /// Bytes that were taken and not paid for yet.
    owed: usize,
}

impl<S> Paced<S> {
    /// Most bytes at a time.
    const PIECE: usize = 4 << 10;
    /// Bytes whose decompression counts as much as one read of a socket: six empty members of gzip, 5 µs each.
    const UNIT: usize = 128;

    pub(super) fn new(stream: S) -> Self {
        Self { stream, owed: 0 }
    }
}

impl<S: AsyncBufRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        poll_read_buffered(self, cx, into)
    }
}

impl<S: AsyncBufRead + Unpin> AsyncBufRead for Paced<S> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        spend(cx, this.owed / Self::UNIT);
        this.owed %= Self::UNIT;
        // Pending when the turn is over.
        ready!(coop::poll_proceed(cx)).made_progress();
        let data = ready!(Pin::new(&mut this.stream).poll_fill_buf(cx))?;
        Poll::Ready(Ok(data.get(..Self::PIECE).unwrap_or(data)))
    }

    fn consume(self: Pin<&mut Self>, bytes: usize) {
        let this = self.get_mut();
        this.owed += bytes;
        Pin::new(&mut this.stream).consume(bytes);
    }
}

/// A body that came compressed because the client asked for it, as Go undoes that: where there is nothing, there is
/// nothing to undo.
pub(super) fn gunzipped(
    stream: impl AsyncBufRead + Send + Unpin + 'static,
) -> impl AsyncBufRead + Send + Unpin {
    buffered(Inflate::gzip(Paced::new(stream)))
}

/// A body whose decompressed bytes are read in pieces.
pub(super) fn buffered(reader: impl AsyncRead + Send + 'static) -> BodyStream {
    /// Room for what is decompressed.
    const ROOM: usize = 32 << 10;
    Box::pin(BufReader::with_capacity(ROOM, reader))
}
