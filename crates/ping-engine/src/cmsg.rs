//! Control messages: what the kernel says beside the bytes that it received. Receive time, hop limit, and the errors that ICMP
//! reported for what was sent (`ip(7)`, `ipv6(7)`, `socket(7)`). And what it knows of a TCP handshake (`tcp(7)`).
//!
//! This is the one file with `unsafe`. There are three system calls in it, those of [`receive_into`], [`set_option`] and
//! [`handshake_time`], which have no safe wrapper for what is needed here, and [`watch`]. Everything that the kernel writes is
//! parsed as bytes, in safe code.
#![allow(unsafe_code)]

use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::io::unix::AsyncFd;
use tokio::io::{Interest, ReadBuf};

/// Which of a socket's queues to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    /// What peers sent.
    Data,
    /// Errors that came back for what we sent.
    Errors,
}

/// A datagram, without its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Bytes written into the buffer.
    pub length: usize,
    /// Whether the buffer was too small.
    pub is_cut: bool,
    /// Who sent it; from the error queue: whom the failed datagram was for.
    pub from: Option<SocketAddr>,
    /// TTL or hop limit with which it arrived.
    pub hop_limit: Option<u8>,
    /// When the kernel received it.
    pub at: Option<SystemTime>,
    /// How many datagrams this socket lost so far for want of buffer.
    pub dropped: Option<u32>,
    /// From the error queue: the error.
    pub error: Option<ExtendedError>,
}

/// `struct sock_extended_err`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtendedError {
    /// The errno it amounts to.
    pub code: i32,
    /// `SO_EE_ORIGIN_LOCAL`, `SO_EE_ORIGIN_ICMP` or `SO_EE_ORIGIN_ICMP6`.
    pub origin: u8,
    /// ICMP type.
    pub icmp_type: u8,
    /// ICMP code.
    pub icmp_code: u8,
    /// The MTU, for "too big".
    pub info: u32,
    /// Who reported it.
    pub offender: Option<IpAddr>,
}

/// Room for the control messages that the options of our sockets ask for; the kernel sets `MSG_CTRUNC` beyond it.
#[repr(C, align(8))]
struct Control([u8; 512]);

/// Receives one datagram, or what a stream has, without waiting. The time is that of the last byte.
///
/// # Errors
/// `WouldBlock` when there is none, or an error that the kernel kept for this socket.
pub fn receive(socket: BorrowedFd<'_>, queue: Queue, buffer: &mut [u8]) -> io::Result<Received> {
    receive_into(socket, queue, &mut ReadBuf::new(buffer))
}

/// As [`receive`], and appends to a buffer that need not be initialised.
///
/// # Errors
/// Those of [`receive`].
pub fn receive_into(socket: BorrowedFd<'_>, queue: Queue, into: &mut ReadBuf<'_>) -> io::Result<Received> {
    // SAFETY: nothing is written into it but what the kernel writes.
    let room = unsafe { into.unfilled_mut() };
    let space = room.len();
    let mut name = [0_u8; size_of::<libc::sockaddr_storage>()];
    let mut control = Control([0; 512]);
    let mut part = libc::iovec {
        iov_base: room.as_mut_ptr().cast(),
        iov_len: space,
    };
    // SAFETY: all zeroes is a valid `msghdr` (null pointers with zero lengths); some libcs have padding fields, so it
    // cannot be written as a literal.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_name = name.as_mut_ptr().cast();
    message.msg_namelen = name.len() as libc::socklen_t;
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = control.0.len() as _;
    let mut flags = libc::MSG_DONTWAIT;
    if queue == Queue::Errors {
        flags |= libc::MSG_ERRQUEUE;
    }
    // SAFETY: every pointer in `message` points to a live, exclusively borrowed local or to `room`, and each is paired
    // with the length of what it points to, so the kernel writes inside them only. The descriptor is borrowed, hence open.
    let length = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) };
    let length = usize::try_from(length).map_err(|_| io::Error::last_os_error())?;
    let length = length.min(space);
    // SAFETY: the kernel has written so many bytes at the beginning of the room.
    unsafe { into.assume_init(length) };
    into.advance(length);
    let mut received = Received {
        length,
        is_cut: message.msg_flags & libc::MSG_TRUNC != 0,
        from: name.get(..message.msg_namelen as usize).and_then(socket_address),
        ..Received::default()
    };
    // The type of `msg_controllen` differs between libcs.
    #[allow(clippy::unnecessary_cast)]
    let control_length = message.msg_controllen as usize;
    for (level, kind, data) in ControlMessages(control.0.get(..control_length).unwrap_or(&[])) {
        received.note(level, kind, data);
    }
    Ok(received)
}

/// Sets an option of a socket to the bytes of a C value.
///
/// # Errors
/// The kernel's.
pub fn set_option(socket: BorrowedFd<'_>, level: i32, name: i32, value: &[u8]) -> io::Result<()> {
    // SAFETY: `value` is readable for its length, and the kernel only reads it. The descriptor is borrowed, hence open.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            value.as_ptr().cast(),
            value.len() as libc::socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// How long the handshake of a TCP connection took over which nothing was sent yet: from the SYN to the SYN-ACK, as the kernel
/// measured it. `None` when a SYN was sent again, or from a kernel that does not know.
pub fn handshake_time(socket: BorrowedFd<'_>) -> Option<Duration> {
    const ROUND_TRIP: usize = mem::offset_of!(libc::tcp_info, tcpi_rtt);
    const SENT_AGAIN: usize = mem::offset_of!(libc::tcp_info, tcpi_total_retrans);
    let mut info = [0_u8; SENT_AGAIN + 4];
    let mut length = info.len() as libc::socklen_t;
    // SAFETY: `info` is writable for `length` bytes, and the kernel writes no more. The descriptor is borrowed, hence open.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return None;
    }
    let field = |at: usize| {
        let bytes = info.get(..length as usize)?.get(at..)?;
        bytes.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
    };
    let round_trip = field(ROUND_TRIP).filter(|_| field(SENT_AGAIN) == Some(0))?;
    (round_trip > 0).then(|| Duration::from_micros(round_trip.into()))
}

/// Has the runtime watch a non-blocking socket: for data, for room to send, and for errors.
///
/// # Errors
/// The kernel's.
pub fn watch(socket: socket2::Socket) -> io::Result<AsyncFd<socket2::Socket>> {
    let interest = Interest::READABLE | Interest::WRITABLE | Interest::ERROR;
    // SAFETY: a `socket2::Socket` owns its descriptor, always returns the same one, and closes it only when it is dropped.
    // The `AsyncFd` owns the socket, and nobody can take it out or replace it there without ending the `AsyncFd`, because
    // it is used behind shared references only.
    let watched = unsafe { AsyncFd::register_with_interest(socket, interest) };
    watched.map_err(Into::into)
}

/// Sets an option that is a C `int`.
///
/// # Errors
/// The kernel's.
pub fn set_number(socket: BorrowedFd<'_>, level: i32, name: i32, value: i32) -> io::Result<()> {
    set_option(socket, level, name, &value.to_ne_bytes())
}

impl Received {
    fn note(&mut self, level: i32, kind: i32, data: &[u8]) {
        match (level, kind) {
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => self.at = timespec(data),
            (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
                self.dropped = data.first_chunk().map(|b| u32::from_ne_bytes(*b));
            }
            (libc::IPPROTO_IP, libc::IP_TTL) | (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT) => {
                let hops = data.first_chunk().map(|b| i32::from_ne_bytes(*b));
                self.hop_limit = hops.and_then(|hops| u8::try_from(hops).ok());
            }
            (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR) => {
                self.error = extended_error(data);
            }
            _ => {}
        }
    }
}

/// The messages of a control buffer: a `cmsghdr` (length with header, level, type), data, padding to a word.
struct ControlMessages<'a>(&'a [u8]);

impl<'a> Iterator for ControlMessages<'a> {
    type Item = (i32, i32, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        const WORD: usize = size_of::<usize>();
        const HEADER: usize = size_of::<libc::cmsghdr>();
        let length = usize::from_ne_bytes(*self.0.first_chunk::<WORD>()?);
        let message = self.0.get(..length)?;
        // Level and type are the last two fields of the header.
        let kind = i32::from_ne_bytes(*message.get(HEADER - 4..)?.first_chunk()?);
        let level = i32::from_ne_bytes(*message.get(HEADER - 8..)?.first_chunk()?);
        let data = message.get(HEADER..)?;
        self.0 = self.0.get(length.next_multiple_of(WORD)..).unwrap_or(&[]);
        Some((level, kind, data))
    }
}

fn timespec(data: &[u8]) -> Option<SystemTime> {
    // Two C longs; `time_t` is one too wherever SCM_TIMESTAMPNS has its old number.
    const LONG: usize = size_of::<libc::c_long>();
    let seconds = libc::c_long::from_ne_bytes(*data.first_chunk::<LONG>()?);
    let nanoseconds = libc::c_long::from_ne_bytes(*data.get(LONG..)?.first_chunk::<LONG>()?);
    let since = Duration::new(u64::try_from(seconds).ok()?, u32::try_from(nanoseconds).ok()?);
    UNIX_EPOCH.checked_add(since)
}

fn extended_error(data: &[u8]) -> Option<ExtendedError> {
    let fixed = data.first_chunk::<16>()?;
    let [
        c0,
        c1,
        c2,
        c3,
        origin,
        icmp_type,
        icmp_code,
        _,
        i0,
        i1,
        i2,
        i3,
        ..,
    ] = *fixed;
    Some(ExtendedError {
        code: i32::from_ne_bytes([c0, c1, c2, c3]),
        origin,
        icmp_type,
        icmp_code,
        info: u32::from_ne_bytes([i0, i1, i2, i3]),
        offender: data
            .get(16..)
            .and_then(socket_address)
            .map(|a| a.ip().to_canonical()),
    })
}

/// A `sockaddr_in` or `sockaddr_in6`.
fn socket_address(bytes: &[u8]) -> Option<SocketAddr> {
    let family = i32::from(u16::from_ne_bytes(*bytes.first_chunk()?));
    let port = u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?);
    match family {
        libc::AF_INET => {
            let ip: [u8; 4] = *bytes.get(4..)?.first_chunk()?;
            Some(SocketAddr::new(Ipv4Addr::from(ip).into(), port))
        }
        libc::AF_INET6 => {
            let ip: [u8; 16] = *bytes.get(8..)?.first_chunk()?;
            let scope = u32::from_ne_bytes(*bytes.get(24..)?.first_chunk()?);
            Some(SocketAddrV6::new(Ipv6Addr::from(ip), port, 0, scope).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    use super::*;

    fn pair() -> (UdpSocket, UdpSocket) {
        let one = UdpSocket::bind("127.0.0.1:0").unwrap();
        let other = UdpSocket::bind("127.0.0.1:0").unwrap();
        one.connect(other.local_addr().unwrap()).unwrap();
        (one, other)
    }

    #[test]
    fn a_datagram_comes_with_its_sender_time_and_hop_limit() {
        let (one, other) = pair();
        let fd = other.as_fd();
        set_number(fd, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1).unwrap();
        set_number(fd, libc::IPPROTO_IP, libc::IP_RECVTTL, 1).unwrap();
        set_number(one.as_fd(), libc::IPPROTO_IP, libc::IP_TTL, 9).unwrap();
        let mut buffer = [0; 4];
        let none = receive(fd, Queue::Data, &mut buffer).unwrap_err();
        assert_eq!(none.kind(), io::ErrorKind::WouldBlock);
        let before = SystemTime::now();
        one.send(b"hello").unwrap();
        let got = receive(fd, Queue::Data, &mut buffer).unwrap();
        assert_eq!((got.length, got.is_cut), (4, true));
        assert_eq!(&buffer, b"hell");
        assert_eq!(got.from, Some(one.local_addr().unwrap()));
        assert_eq!(got.hop_limit, Some(9));
        let at = got.at.unwrap();
        assert!(before <= at && at <= SystemTime::now(), "{at:?}");
    }

    #[test]
    fn errors_come_from_their_own_queue() {
        let (one, other) = pair();
        let to = other.local_addr().unwrap();
        drop(other);
        set_number(one.as_fd(), libc::IPPROTO_IP, libc::IP_RECVERR, 1).unwrap();
        one.send(b"nobody is there").unwrap();
        let mut buffer = [0; 64];
        let got = receive(one.as_fd(), Queue::Errors, &mut buffer).unwrap();
        assert_eq!(&buffer[..got.length], b"nobody is there");
        assert_eq!(got.from, Some(to));
        let error = got.error.unwrap();
        assert_eq!(
            (error.code, error.icmp_type, error.icmp_code),
            (libc::ECONNREFUSED, 3, 3)
        );
        assert_eq!(error.offender, Some(to.ip()));
    }

    #[test]
    fn bytes_of_a_stream_come_with_the_time_of_the_last_one() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let start = std::time::Instant::now();
        let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let took = handshake_time(stream.as_fd()).unwrap();
        assert!(took <= start.elapsed(), "{took:?}");
        set_number(stream.as_fd(), libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        let mut buffer = [0; 8];
        // A kernel that begins to stamp may let the first segments pass without a time.
        for _ in 0..100 {
            let before = SystemTime::now();
            io::Write::write_all(&mut peer, b"hello").unwrap();
            let after = SystemTime::now();
            std::thread::sleep(Duration::from_millis(20));
            let got = receive(stream.as_fd(), Queue::Data, &mut buffer).unwrap();
            assert_eq!((got.length, got.is_cut, got.from), (5, false, None));
            if let Some(at) = got.at {
                assert!(before <= at && at <= after, "{before:?} {at:?} {after:?}");
                return;
            }
        }
        panic!("no segment had a time");
    }

    #[test]
    fn odd_control_messages_end_the_reading() {
        let rows: &[&[u8]] = &[&[], &[1], &[0; 16], &[16; 16], &[255; 24]];
        for bytes in rows {
            assert!(ControlMessages(bytes).count() <= 1, "{bytes:?}");
        }
        for length in 0..40 {
            let bytes = vec![2; length];
            let _ = (timespec(&bytes), extended_error(&bytes), socket_address(&bytes));
        }
    }
}
