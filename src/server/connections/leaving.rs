//! How a caller's stream over HTTP/1 tells that the caller has left.

use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// A stream whose other side may leave.
pub trait Leaving: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Whether hyper need not look itself whether the caller has left, for which it would hold a buffer.
    const HALF_CLOSE: bool;

    /// Whether the caller has closed its side, or the connection is broken; pending as long as it has not. False when there is something to
    /// read before that is known. A caller that closed its side may still read, but one that closed the connection looks the same: Go, too,
    /// cancels the request's context then, and answers what comes of it.
    fn has_left(&self, cx: &mut Context<'_>) -> Poll<bool>;
}

impl Leaving for TcpStream {
    const HALF_CLOSE: bool = true;

    fn has_left(&self, cx: &mut Context<'_>) -> Poll<bool> {
        let mut byte = [0];
        let seen = self.poll_peek(cx, &mut ReadBuf::new(&mut byte));
        seen.map(|seen| !matches!(seen, Ok(1..)))
    }
}

/// The end is announced in bytes, which have to be read.
impl Leaving for TlsStream<TcpStream> {
    const HALF_CLOSE: bool = false;

    fn has_left(&self, cx: &mut Context<'_>) -> Poll<bool> {
        let (stream, session) = self.get_ref();
        if session.wants_read() {
            stream.has_left(cx)
        } else {
            Poll::Ready(false)
        }
    }
}
