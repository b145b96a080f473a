//! A connection of the http prober: TCP, with any number of TLS layers around it (the target's within the proxy's).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::net::dial::{Counters, DialCause, DialError};
use crate::net::tls;

/// A connection.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp { stream: TcpStream, _open: Open },
    Tls(Box<tls::Stream<Stream>>),
}

/// A connection that is counted as closed when it goes.
#[derive(Debug)]
pub(super) struct Open {
    counters: Arc<Counters>,
}

impl Drop for Open {
    fn drop(&mut self) {
        Counters::add(&self.counters.closed);
    }
}

impl Stream {
    /// Takes a dialled connection over and counts it.
    pub(super) fn new(stream: TcpStream, counters: &Arc<Counters>) -> Self {
        Counters::add(&counters.established);
        let counters = Arc::clone(counters);
        Self::Tcp {
            stream,
            _open: Open { counters },
        }
    }
}

/// Counts a connection that could not be made, by its reason.
pub(super) fn count_failure(counters: &Counters, error: &DialError) {
    Counters::add(match &error.cause {
        DialCause::TimedOut(_) => &counters.failed_timeout,
        DialCause::Io { error, .. } if error.kind() == io::ErrorKind::ConnectionRefused => {
            // go-conntrack counts a refusal under both reasons.
            Counters::add(&counters.failed_unknown);
            &counters.failed_refused
        }
        DialCause::Io { .. } | DialCause::Refused(_) => &counters.failed_unknown,
    });
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp { stream, .. } => Pin::new(stream).poll_read(cx, into),
            Self::Tls(stream) => match Pin::new(stream).poll_read(cx, into) {
                // The end without close_notify: lengths and chunks tell whether something is missing, as with Go.
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    Poll::Ready(Ok(()))
                }
                read => read,
            },
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp { stream, .. } => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp { stream, .. } => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp { stream, .. } => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
