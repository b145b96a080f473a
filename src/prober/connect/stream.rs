//! The connection of every prober: TCP or a unix socket, with any number of TLS layers around it (the target's within the
//! proxy's).

use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Instant;

use crate::memory;
use crate::net::AnyStream;
use crate::net::arrivals::{self, Arrivals};
use crate::net::dial::Counters;
use crate::net::tls;

use super::resetting::Resetting;

/// A connection.
#[derive(Debug)]
pub(in crate::prober) enum Stream {
    Plain {
        socket: Socket,
        _open: Option<Open>,
        /// Where the peer's TLS records end, once TLS is spoken.
        records: Option<Records>,
        /// Bytes that were read.
        count: usize,
    },
    Tls(Box<tls::Stream<Stream>>),
}

/// What the system connected.
#[derive(Debug)]
pub(in crate::prober) struct Socket(Kind);

#[derive(Debug)]
enum Kind {
    Tcp(arrivals::StampedStream),
    Resetting(Resetting),
    Unix(UnixStream, Arrivals),
}

impl Socket {
    fn io(&mut self) -> Pin<&mut dyn AnyStream> {
        match &mut self.0 {
            Kind::Tcp(stream) => Pin::new(stream),
            Kind::Resetting(stream) => Pin::new(stream),
            Kind::Unix(stream, _) => Pin::new(stream),
        }
    }

    fn tcp(&self) -> Option<&TcpStream> {
        match &self.0 {
            Kind::Tcp(stream) => Some(stream.get_ref()),
            Kind::Resetting(stream) => Some(stream.stream().get_ref()),
            Kind::Unix(..) => None,
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = self.io().poll_read(cx, into);
        if let (Kind::Unix(_, arrivals), Poll::Ready(_)) = (&self.0, &read) {
            // The kernel does not say when.
            arrivals.note(Instant::now());
        }
        read
    }
}

/// A connection that is counted as closed when it goes.
#[derive(Debug)]
pub(in crate::prober) struct Open {
    counters: Arc<Counters>,
}

impl Drop for Open {
    fn drop(&mut self) {
        Counters::add(&self.counters.closed);
    }
}

impl Stream {
    /// Takes a dialled connection over, and counts it where somebody counts. It ends with a reset if it `resets`.
    pub(super) fn tcp(
        stream: arrivals::StampedStream,
        counters: Option<&Arc<Counters>>,
        resets: bool,
    ) -> Self {
        let open = counters.map(|counters| {
            Counters::add(&counters.established);
            Open {
                counters: Arc::clone(counters),
            }
        });
        Self::Plain {
            socket: Socket(match resets {
                true => Kind::Resetting(Resetting::new(stream)),
                false => Kind::Tcp(stream),
            }),
            _open: open,
            records: None,
            count: 0,
        }
    }

    /// Takes the connection to a unix socket over.
    pub(super) fn unix(stream: UnixStream, arrivals: Arrivals) -> Self {
        Self::Plain {
            socket: Socket(Kind::Unix(stream, arrivals)),
            _open: None,
            records: None,
            count: 0,
        }
    }

    /// The address that a connection in the clear comes from.
    pub(in crate::prober) fn own_address(&self) -> Option<IpAddr> {
        match self {
            Self::Plain { socket, .. } => Some(socket.tcp()?.local_addr().ok()?.ip()),
            Self::Tls(_) => None,
        }
    }

    /// Whether it is TLS.
    pub(in crate::prober) fn is_encrypted(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// What is written to.
    fn below(&mut self) -> Pin<&mut dyn AnyStream> {
        match self {
            Self::Plain { socket, .. } => socket.io(),
            Self::Tls(stream) => Pin::new(stream),
        }
    }

    /// TLS is spoken from here on.
    pub(super) fn watch_records(&mut self) {
        if let Self::Plain { records, .. } = self {
            *records = Some(Records::default());
        }
    }

    /// Whether the peer stopped within a TLS record.
    fn is_within_record(&self) -> bool {
        match self {
            Self::Plain { records, .. } => records.as_ref().is_some_and(|records| !records.is_at_boundary()),
            Self::Tls(_) => false,
        }
    }
}

/// Follows the framing of TLS records (RFC 8446, section 5.1): an end without close_notify is a proper end of a body
/// that has no length, but not within a record.
#[derive(Debug, Default)]
pub(in crate::prober) struct Records {
    head: [u8; 5],
    /// Bytes of `head` that came.
    have: usize,
    /// Bytes of the record that are still to come.
    left: usize,
}

impl Records {
    fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let skipped = self.left.min(bytes.len());
                self.left -= skipped;
                bytes = bytes.get(skipped..).unwrap_or_default();
                continue;
            }
            for (to, from) in self.head.iter_mut().skip(self.have).zip(bytes) {
                *to = *from;
            }
            let copied = (self.head.len() - self.have).min(bytes.len());
            self.have += copied;
            bytes = bytes.get(copied..).unwrap_or_default();
            if self.have == self.head.len() {
                let [_, _, _, high, low] = self.head;
                self.left = usize::from(u16::from_be_bytes([high, low]));
                self.have = 0;
            }
        }
    }

    fn is_at_boundary(&self) -> bool {
        self.left == 0 && self.have == 0
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain {
                socket,
                records,
                count,
                ..
            } => {
                let before = into.filled().len();
                let read = socket.poll_read(cx, into);
                let bytes = into.filled().len() - before;
                *count += bytes;
                // Ten mebibytes of a head become two hundred of its fields, in a list that grows by doubling.
                if bytes > 0 && memory::is_short_for(*count) {
                    return Poll::Ready(Err(memory::Short.into()));
                }
                if let Some(records) = records {
                    records.take(into.filled().get(before..).unwrap_or_default());
                }
                read
            }
            Self::Tls(stream) => match Pin::new(&mut *stream).poll_read(cx, into) {
                // The end without close_notify: lengths and chunks tell whether something is missing, as with Go.
                Poll::Ready(Err(error))
                    if error.kind() == io::ErrorKind::UnexpectedEof && !stream.below().is_within_record() =>
                {
                    Poll::Ready(Ok(()))
                }
                read => read,
            },
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().below().poll_write(cx, bytes)
    }

    /// The records of a handshake's last flight leave as one: each would be a packet of its own, which wakes the peer.
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().below().poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain { .. } => true,
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().below().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().below().poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_followed_in_any_pieces() {
        let wire = b"\x17\x03\x03\x00\x02ab\x17\x03\x03\x00\x00\x15\x03\x03\x00\x01c";
        let boundaries = [0, 7, 12, 18];
        for piece in 1..wire.len() {
            let mut records = Records::default();
            let mut at = 0;
            for bytes in wire.chunks(piece) {
                records.take(bytes);
                at += bytes.len();
                assert_eq!(
                    records.is_at_boundary(),
                    boundaries.contains(&at),
                    "{piece}: {at}"
                );
            }
        }
    }
}
