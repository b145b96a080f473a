//! `tcp.linger: 0`: connections that end with a reset, so that the system keeps nothing of them (TIME-WAIT).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::net::arrivals::StampedStream;

/// A connection that is reset when it is dropped, unless the peer has not responded to what was sent last: a reset might
/// destroy that before it is read.
#[derive(Debug)]
pub(super) struct Resetting {
    stream: StampedStream,
    /// Whether something was sent since the last bytes came.
    is_unanswered: bool,
}

impl Resetting {
    pub(super) fn new(stream: StampedStream) -> Self {
        Self {
            stream,
            is_unanswered: false,
        }
    }

    pub(super) fn stream(&self) -> &StampedStream {
        &self.stream
    }
}

impl Drop for Resetting {
    fn drop(&mut self) {
        if !self.is_unanswered {
            // Where it cannot be set, the connection is closed like any other.
            let _ = self.stream.get_ref().set_zero_linger();
        }
    }
}

impl AsyncRead for Resetting {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = into.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, into);
        if into.filled().len() > before {
            this.is_unanswered = false;
        }
        read
    }
}

impl AsyncWrite for Resetting {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.is_unanswered = true;
        Pin::new(&mut this.stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.is_unanswered = true;
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }
}
