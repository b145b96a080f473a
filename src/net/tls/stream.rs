//! An encrypted stream that says goodbye when it is given up.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;

use super::alert;
use super::tap::Tap;

/// An encrypted stream over `S`. A [`Recorder`](super::Recorder) listens until the handshake is over.
///
/// Whoever drops it closes the connection as the protocol wants it, with close_notify, so that servers have nothing to log.
/// That takes no time: what the socket does not take at once is not sent.
#[derive(Debug)]
pub struct Stream<S: AsyncRead + AsyncWrite + Unpin>(TlsStream<Tap<S>>);

impl<S: AsyncRead + AsyncWrite + Unpin> Stream<S> {
    pub(super) fn new(stream: TlsStream<Tap<S>>) -> Self {
        Self(stream)
    }

    /// The stream below.
    pub fn below(&self) -> &S {
        &self.0.get_ref().0.inner
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Drop for Stream<S> {
    fn drop(&mut self) {
        self.0.get_mut().1.send_close_notify();
        let mut cx = Context::from_waker(Waker::noop());
        // Only flushed: the stream below is closed when it is dropped, which needs no shutdown before.
        let _ = Pin::new(&mut self.0).poll_flush(&mut cx);
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, into).map_err(alert::worded)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes).map_err(alert::worded)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0)
            .poll_write_vectored(cx, bytes)
            .map_err(alert::worded)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx).map_err(alert::worded)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
