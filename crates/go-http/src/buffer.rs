//! A read buffer that grows with need, and reading from what has one.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncBufRead, AsyncRead, ReadBuf};
use tokio::task::coop;

/// How much is read at first, and in one piece of bodies that come fast.
const SMALL: usize = 4 << 10;
const LARGE: usize = 64 << 10;

/// Bytes of a peer whose handling counts as much as one read of a socket.
pub(crate) const UNIT: usize = 4 << 10;

/// Counts work on a peer's bytes against the turn of this task, so that it yields after work done and not only after
/// reads: a task has 128 units a turn.
pub fn spend(cx: &mut Context<'_>, units: usize) {
    for _ in 0..units {
        match coop::poll_proceed(cx) {
            Poll::Ready(unit) => unit.made_progress(),
            Poll::Pending => return,
        }
    }
}

/// `AsyncRead::poll_read` of what can `AsyncBufRead`.
pub fn poll_read_buffered(
    mut io: Pin<&mut impl AsyncBufRead>,
    cx: &mut Context<'_>,
    into: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    let data = ready!(io.as_mut().poll_fill_buf(cx))?;
    let bytes = data.len().min(into.remaining());
    into.put_slice(data.get(..bytes).unwrap_or_default());
    io.consume(bytes);
    Poll::Ready(Ok(()))
}

/// Reads at most `most` bytes, and no more than `ROOM`, by way of the stack, and hands what came to `keep`; 0 at the end.
/// So nothing is held for a peer that says nothing: most of the probes that are under way at the same time wait for a first
/// answer.
pub fn poll_read_piece<const ROOM: usize>(
    io: &mut (impl AsyncRead + Unpin),
    cx: &mut Context<'_>,
    most: usize,
    keep: impl FnOnce(&[u8]),
) -> Poll<io::Result<usize>> {
    let mut room = [MaybeUninit::uninit(); ROOM];
    let mut room = ReadBuf::uninit(room.get_mut(..most.min(ROOM)).unwrap_or_default());
    ready!(Pin::new(io).poll_read(cx, &mut room))?;
    keep(room.filled());
    Poll::Ready(Ok(room.filled().len()))
}

/// Bytes that were read and not used yet. As long as nothing came it takes no memory.
#[derive(Debug, Default)]
pub struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// What was read and not used.
    pub fn data(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// Marks bytes of [`data`](Self::data) as used.
    pub fn consume(&mut self, bytes: usize) {
        self.start = (self.start + bytes).min(self.end);
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Reads more from `io`; 0 at the end. What may pile up here is bounded by the caller.
    pub fn poll_fill<S: AsyncRead + Unpin>(
        &mut self,
        io: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        // Not every stream counts its reads.
        let unit = ready!(coop::poll_proceed(cx));
        if self.bytes.is_empty() {
            let Self { bytes, end, .. } = self;
            let read = ready!(poll_read_piece::<SMALL>(io, cx, SMALL, |piece| {
                *end = piece.len();
                // Most answers are whole now. What fills this room has a sequel, which is read in larger pieces.
                bytes.extend_from_slice(piece);
                if piece.len() == SMALL {
                    bytes.resize(4 * SMALL, 0);
                }
            }));
            unit.made_progress();
            return Poll::Ready(read);
        }
        if self.bytes.len() < SMALL {
            self.bytes.resize(SMALL, 0);
        }
        self.make_room();
        let mut room = ReadBuf::new(self.bytes.get_mut(self.end..).unwrap_or_default());
        let space = room.remaining();
        ready!(Pin::new(io).poll_read(cx, &mut room))?;
        let read = room.filled().len();
        unit.made_progress();
        spend(cx, read / UNIT);
        self.end += read;
        // A read that fills all room, from the buffer's start, means that there is more: read it in larger pieces.
        if read == space && self.end == read && self.bytes.len() < LARGE {
            self.bytes.resize(self.bytes.len() * 4, 0);
        }
        Poll::Ready(Ok(read))
    }

    fn make_room(&mut self) {
        if self.end < self.bytes.len() {
            return;
        }
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        } else {
            // A line or frame that is longer than the buffer.
            self.bytes.resize(self.bytes.len() * 2, 0);
        }
    }
}
