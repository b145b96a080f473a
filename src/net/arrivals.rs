//! When the bytes that a probe waited for arrived: by the kernel's clock, because a busy exporter reads them later.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ping_engine::Moment;
use ping_engine::cmsg::{self, Queue, Received};
use socket2::{Domain, SockRef, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::Instant;

/// When what a probe received last had arrived. Its connections share it.
#[derive(Clone, Debug)]
pub struct Arrivals(Arc<Latest>);

#[derive(Debug)]
struct Latest {
    start: Moment,
    /// Nanoseconds from `start` to the arrival; 0 before there is one.
    after: AtomicU64,
}

impl Arrivals {
    /// Nothing has arrived yet.
    pub fn new() -> Self {
        Self(Arc::new(Latest {
            start: Moment::now(),
            after: AtomicU64::new(0),
        }))
    }

    /// When it was that nothing had arrived.
    pub fn start(&self) -> Moment {
        self.0.start
    }

    /// The last arrival, if it came after `from`.
    pub fn after(&self, from: Instant) -> Option<Instant> {
        let after = Duration::from_nanos(self.0.after.load(Ordering::Relaxed));
        Some(self.0.start.steady() + after).filter(|at| !after.is_zero() && *at > from)
    }

    /// The last arrival, if it came after `from`, or else now.
    pub fn after_or_now(&self, from: Instant) -> Instant {
        self.after(from).unwrap_or_else(Instant::now)
    }

    /// Something arrived.
    pub fn note(&self, at: Instant) {
        let after = at.saturating_duration_since(self.0.start.steady());
        // Exact: 2^64 ns are 584 years.
        let after = u64::try_from(after.as_nanos()).unwrap_or(u64::MAX);
        self.0.after.store(after, Ordering::Relaxed);
    }

    /// Something was received: it arrived at its stamp, or now when that cannot be, because wall time was set meanwhile.
    fn note_received(&self, received: &Received) {
        let Latest { start, .. } = &*self.0;
        let at = start.steady() + start.until(Moment::now(), received.at);
        // Bytes do not arrive before those that were read earlier.
        self.note(self.after(at).map_or(at, |_| Instant::now()));
    }
}

impl Default for Arrivals {
    fn default() -> Self {
        Self::new()
    }
}

/// Asks the kernel to stamp what the socket receives. If it refuses, the moment of the read counts.
fn ask_for_stamps(socket: BorrowedFd<'_>) {
    /// The kernel stamps packets as long as there is a socket that asks for it, and patches its own code whenever the first one
    /// comes or the last one goes. This one stays.
    static FIRST: OnceLock<Socket> = OnceLock::new();
    if FIRST.get().is_none()
        && let Ok(first) = Socket::new(Domain::IPV4, Type::DGRAM.cloexec(), None)
    {
        ask(first.as_fd());
        let _ = FIRST.set(first);
    }
    ask(socket);
}

fn ask(socket: BorrowedFd<'_>) {
    let _ = cmsg::set_number(socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1);
}

/// The most that goes in one packet on any path: the least segment of TCP over IPv4 (RFC 9293, section 3.7.1).
const SEGMENT: usize = 536;

/// A TCP connection that notes when what it reads arrived. What is written does not wait for acknowledgements: Nagle's delay is
/// switched off, but for a first write of one packet. That never waits, and most probes write nothing else.
#[derive(Debug)]
pub struct StampedStream {
    stream: TcpStream,
    arrivals: Arrivals,
    writes: Writes,
}

/// What was written to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writes {
    None,
    /// One packet.
    One,
    /// Nagle's delay is off.
    More,
}

impl StampedStream {
    /// Notes from here on.
    pub fn new(stream: TcpStream, arrivals: Arrivals) -> Self {
        ask_for_stamps(stream.as_fd());
        Self {
            stream,
            arrivals,
            writes: Writes::None,
        }
    }

    /// The connection itself.
    pub fn get_ref(&self) -> &TcpStream {
        &self.stream
    }

    /// The connection, to write so many bytes to it.
    fn writing(&mut self, length: usize) -> Pin<&mut TcpStream> {
        self.writes = match self.writes {
            Writes::None if length <= SEGMENT => Writes::One,
            Writes::None | Writes::One => {
                // Where it cannot be set, nothing can be written either.
                let _ = self.stream.set_nodelay(true);
                Writes::More
            }
            Writes::More => Writes::More,
        };
        Pin::new(&mut self.stream)
    }
}

impl AsyncRead for StampedStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { stream, arrivals, .. } = self.get_mut();
        loop {
            ready!(stream.poll_read_ready(cx))?;
            match try_receive(stream, into) {
                Ok(received) => {
                    arrivals.note_received(&received);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    arrivals.note(Instant::now());
                    return Poll::Ready(Err(error));
                }
            }
        }
    }
}

fn try_receive(stream: &TcpStream, into: &mut ReadBuf<'_>) -> io::Result<Received> {
    let space = into.remaining();
    let mut received = None;
    let tried = stream.try_io(Interest::READABLE, || {
        let got = cmsg::receive_into(stream.as_fd(), Queue::Data, into)?;
        // What leaves room has emptied the socket. The runtime need not read again to know, as after its own reads.
        let is_empty = (1..space).contains(&got.length);
        received = Some(got);
        match is_empty {
            true => Err(io::ErrorKind::WouldBlock.into()),
            false => Ok(()),
        }
    });
    match (received, tried) {
        (Some(received), _) => Ok(received),
        (None, tried) => Err(tried.err().unwrap_or_else(|| io::ErrorKind::WouldBlock.into())),
    }
}

impl AsyncWrite for StampedStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().writing(bytes.len()).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = bytes.iter().map(|slice| slice.len()).sum();
        self.get_mut().writing(length).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// A UDP socket that notes when what it receives arrived.
#[derive(Debug)]
pub struct Datagrams {
    socket: UdpSocket,
    arrivals: Arrivals,
}

impl Datagrams {
    /// Notes from here on.
    pub fn new(socket: UdpSocket, arrivals: Arrivals) -> Self {
        ask_for_stamps(socket.as_fd());
        Self { socket, arrivals }
    }

    /// Sends a datagram to the peer.
    ///
    /// # Errors
    /// The system's.
    pub async fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        // At once: the runtime learns only in its next turn that a new socket has room.
        match SockRef::from(&self.socket).send(bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.socket.send(bytes).await,
            sent => sent,
        }
    }

    /// Receives a datagram; its bytes, as far as there is room for them.
    ///
    /// # Errors
    /// The system's.
    pub async fn receive(&self, room: &mut [u8]) -> io::Result<usize> {
        let receive = || cmsg::receive(self.socket.as_fd(), Queue::Data, room);
        let received = self
            .socket
            .async_io(Interest::READABLE | Interest::ERROR, receive)
            .await;
        match &received {
            Ok(received) => self.arrivals.note_received(received),
            Err(_) => self.arrivals.note(Instant::now()),
        }
        received.map(|received| received.length)
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use tokio::io::AsyncWriteExt;

    use super::*;

    #[test]
    fn what_cannot_be_is_now() {
        let second = Duration::from_secs(1);
        let arrivals = Arrivals::new();
        let start = arrivals.0.start.steady();
        assert_eq!(arrivals.after(start), None);
        std::thread::sleep(Duration::from_millis(50));
        let stamped = |at| Received {
            at,
            ..Received::default()
        };
        let rows = [
            ("no stamp", None),
            ("before the probe", Some(SystemTime::now() - second)),
            ("in the future", Some(SystemTime::now() + second)),
        ];
        for (about, at) in rows {
            let before = Instant::now();
            arrivals.note_received(&stamped(at));
            assert!(arrivals.after(before).is_some(), "{about}");
        }
        // Earlier than what was read before.
        let (earlier, before) = (SystemTime::now() - Duration::from_millis(20), Instant::now());
        arrivals.note_received(&stamped(Some(earlier)));
        assert!(arrivals.after(before).is_some());
        assert!(arrivals.after_or_now(Instant::now()) >= before);
    }

    #[tokio::test]
    async fn only_a_first_packet_is_left_to_nagle() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        for (writes, nodelay) in [
            (&[150][..], false),
            (&[SEGMENT], false),
            (&[SEGMENT + 1], true),
            (&[150, 1], true),
        ] {
            let mut stream = StampedStream::new(TcpStream::connect(to).await.unwrap(), Arrivals::new());
            for length in writes {
                stream.write_all(&vec![b'x'; *length]).await.unwrap();
            }
            assert_eq!(stream.get_ref().nodelay().unwrap(), nodelay, "{writes:?}");
        }
    }
}
