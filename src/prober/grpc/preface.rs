//! The first frame of a server: its settings (RFC 9113, section 3.4). grpc-go asks nothing before they came, and takes
//! nothing else for a beginning.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

/// Octets of a frame's head: its length, its kind, flags and stream.
const HEAD: usize = 9;

/// The kind of a frame of settings.
const SETTINGS: u8 = 4;

/// A stream that tells when the server's settings have come, and fails when something else comes first.
pub struct Preface<T> {
    stream: T,
    head: Vec<u8>,
    /// Octets that came so far.
    seen: usize,
    /// Gone when the settings have come.
    arrived: Option<oneshot::Sender<()>>,
}

impl<T> Preface<T> {
    /// Watches the stream. What is returned besides resolves when the settings have come, with an error when they never will.
    pub fn new(stream: T) -> (Self, oneshot::Receiver<()>) {
        let (sender, receiver) = oneshot::channel();
        let preface = Self {
            stream,
            head: Vec::with_capacity(HEAD),
            seen: 0,
            arrived: Some(sender),
        };
        (preface, receiver)
    }

    fn see(&mut self, octets: &[u8]) -> io::Result<()> {
        if self.arrived.is_none() {
            return Ok(());
        }
        let missing = HEAD - self.head.len();
        self.head
            .extend_from_slice(octets.get(..missing).unwrap_or(octets));
        self.seen += octets.len();
        if self.head.get(3).is_some_and(|kind| *kind != SETTINGS) {
            let reason = "initial http2 frame from server is not a settings frame";
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        if let Some(&[a, b, c, ..]) = self.head.first_chunk::<HEAD>() {
            let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
            if self.seen >= HEAD + length
                && let Some(arrived) = self.arrived.take()
            {
                // Nobody waits any more when the probe's time is over.
                let _ = arrived.send(());
            }
        }
        Ok(())
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Preface<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
        Poll::Ready(this.see(buffer.filled().get(before..).unwrap_or_default()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Preface<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, octets)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
