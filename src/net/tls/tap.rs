//! A stream that lets somebody listen to what is read from it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Whoever listens to a stream.
pub trait Listener {
    /// These bytes were read.
    ///
    /// # Errors
    /// The error that reading them ends with.
    fn heard(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// Passes everything through, and tells a [`Listener`] what is read.
#[derive(Debug)]
pub struct Tap<S, L> {
    inner: S,
    listener: L,
}

impl<S, L> Tap<S, L> {
    /// Lets `listener` listen from now on.
    pub fn new(inner: S, listener: L) -> Self {
        Self { inner, listener }
    }

    /// The stream below.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// Whoever listens.
    pub fn listener_mut(&mut self) -> &mut L {
        &mut self.listener
    }
}

impl<S: AsyncRead + Unpin, L: Listener + Unpin> AsyncRead for Tap<S, L> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        Poll::Ready(
            self.listener
                .heard(buf.filled().get(before..).unwrap_or_default()),
        )
    }
}

impl<S: AsyncWrite + Unpin, L: Unpin> AsyncWrite for Tap<S, L> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
