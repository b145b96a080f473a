//! A connection's incoming bytes, and the request body that may still be on its way out meanwhile.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use gostd::os_error::SystemError;
use tokio::io::{AsyncRead, ReadHalf};

use crate::buffer::Buffer;

/// Writes what is left of a request.
pub(super) type Writing = Pin<Box<dyn Future<Output = Result<(), WriteError>> + Send>>;

/// Why a request could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The body could not be read.
    #[error("{0}")]
    Source(io::Error),
    /// The peer did not take it.
    #[error("writing the request: {}", SystemError(.0))]
    Sink(io::Error),
}

/// Reads from a stream through a buffer that grows with need.
pub struct ResponseReader<S> {
    io: Io<S>,
    buffer: Buffer,
    writing: Option<Writing>,
    write_error: Option<WriteError>,
}

enum Io<S> {
    Whole(S),
    Half(ReadHalf<S>),
}

impl<S: AsyncRead + Unpin> ResponseReader<S> {
    /// Reads from a stream on which everything was written.
    pub fn new(stream: S) -> Self {
        Self::over(Io::Whole(stream), None)
    }

    /// Reads while `writing` goes on.
    pub(super) fn with_writer(half: ReadHalf<S>, writing: Writing) -> Self {
        Self::over(Io::Half(half), Some(writing))
    }

    fn over(io: Io<S>, writing: Option<Writing>) -> Self {
        Self {
            io,
            buffer: Buffer::default(),
            writing,
            write_error: None,
        }
    }

    /// What was read and not consumed.
    pub fn data(&self) -> &[u8] {
        self.buffer.data()
    }

    /// Marks bytes of [`data`](Self::data) as used.
    pub fn consume(&mut self, bytes: usize) {
        self.buffer.consume(bytes);
    }

    /// Reads more; 0 at the end. Fails when the body of the request cannot be read.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.poll_writing(cx);
        // A peer that is sent half a request may never answer it.
        if let Some(error @ WriteError::Source(_)) = &self.write_error {
            return Poll::Ready(Err(io::Error::other(error.to_string())));
        }
        match &mut self.io {
            Io::Whole(stream) => self.buffer.poll_fill(stream, cx),
            Io::Half(half) => self.buffer.poll_fill(half, cx),
        }
    }

    /// Reads more; 0 at the end.
    pub(super) async fn fill(&mut self) -> io::Result<usize> {
        poll_fn(|cx| self.poll_fill(cx)).await
    }

    /// Writes what is left of the request, for so long at most.
    pub(super) async fn finish_writing(&mut self, patience: Duration) {
        let written = poll_fn(|cx| {
            self.poll_writing(cx);
            match self.writing {
                None => Poll::Ready(()),
                Some(_) => Poll::Pending,
            }
        });
        let _ = tokio::time::timeout(patience, written).await;
    }

    fn poll_writing(&mut self, cx: &mut Context<'_>) {
        let Some(writing) = &mut self.writing else { return };
        if let Poll::Ready(done) = writing.as_mut().poll(cx) {
            self.writing = None;
            self.write_error = done.err();
        }
    }

    /// Why writing the request ended early, if it did.
    pub(super) fn write_error(&mut self) -> Option<WriteError> {
        self.write_error.take()
    }

    /// Remembers why writing the request ended early.
    pub(super) fn set_write_error(&mut self, error: io::Error) {
        self.write_error = Some(WriteError::Sink(error));
    }
}
