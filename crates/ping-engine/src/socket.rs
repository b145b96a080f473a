//! The real sockets: unprivileged ones (`SOCK_DGRAM`), or raw ones when only those are allowed.

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};

use gostd::os_error::SystemError;
use socket2::{Domain, Protocol, SockAddr, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::PingCounters;
use super::packet::{AddressFamily, Message, Report, echo_of, echo_request, without_ipv4_header};
use super::wire::{Arrival, Left, Wire};
use crate::cmsg::{self, Queue, Received};

/// Receive buffer that is asked for, in bytes: a burst of about ten thousand replies. Without `CAP_NET_ADMIN` the system
/// gives at most `net.core.rmem_max`.
const RECEIVE_BUFFER: i32 = 16 << 20;
/// Send buffer that is asked for, in bytes: packets to addresses that do not answer ARP stay in it for seconds.
const SEND_BUFFER: i32 = 4 << 20;
/// `linux/icmp.h`: the filter of raw sockets, a bit for each type to keep out.
const ICMP_FILTER: i32 = 1;
/// `linux/icmpv6.h`: the same for ICMPv6, 256 bits.
const ICMPV6_FILTER: i32 = 1;
/// `linux/errqueue.h`: who an error comes from.
const SO_EE_ORIGIN_ICMP: u8 = 2;
const SO_EE_ORIGIN_ICMP6: u8 = 3;

/// What one IP packet can hold.
const LONGEST_PACKET: usize = 1 << 16;

thread_local! {
    /// Packets are read into it and judged on the spot.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What a module asks of a socket. Pings with the same wishes share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// The address family.
    pub family: AddressFamily,
    /// Source address, if not the system's choice.
    pub source: Option<IpAddr>,
    /// TTL or hop limit, 0 for the system's.
    pub ttl: u8,
    /// Set the don't-fragment flag (IPv4 only).
    pub dont_fragment: bool,
    /// Differentiated Services code point, if not the system's.
    pub dscp: Option<u8>,
    /// The interface that requests leave by, if not the system's choice.
    pub interface: Option<Interface>,
}

/// The name of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Interface([u8; Self::ROOM]);

impl Interface {
    /// As many bytes as a name has at most, and one.
    const ROOM: usize = libc::IFNAMSIZ;

    /// The interface of that name; a longer one is cut, and then none has it.
    pub fn new(name: &str) -> Self {
        let mut room = [0; Self::ROOM];
        for (to, from) in room.iter_mut().zip(name.bytes()) {
            *to = from;
        }
        Self(room)
    }

    fn name(&self) -> &[u8] {
        self.0.split(|byte| *byte == 0).next().unwrap_or_default()
    }
}

/// What kind of socket it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// A datagram socket: the kernel chooses the identifier and delivers only answers to it.
    Unprivileged,
    /// A raw socket, and why it is not the other.
    Raw(String),
}

/// Why there is no socket. The networks are Go's: `ip4:icmp` or `ip6:ipv6-icmp`.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The source address is of the other family.
    #[error("listen {0}: address {1}: no suitable address found")]
    OtherFamily(&'static str, IpAddr),
    /// The system refused both kinds.
    #[error("listen {network} {address}: {}; unprivileged: {}{}", SystemError(.raw), SystemError(.unprivileged), advice(.raw))]
    Refused {
        /// The network.
        network: &'static str,
        /// The source address, or the unspecified one.
        address: IpAddr,
        /// Why not an unprivileged one.
        unprivileged: io::Error,
        /// Why not a raw one.
        raw: io::Error,
    },
}

/// What lets a process ping that may not.
fn advice(raw: &io::Error) -> &'static str {
    match raw.kind() {
        io::ErrorKind::PermissionDenied => {
            "; put a group of this process into net.ipv4.ping_group_range (for example \"0 2147483647\") or give it CAP_NET_RAW"
        }
        _ => "",
    }
}

/// A socket for echo requests.
#[derive(Debug)]
pub struct Socket {
    fd: AsyncFd<socket2::Socket>,
    shape: Shape,
    /// What the kernel puts into requests of an unprivileged socket.
    id: AtomicU16,
    privilege: Privilege,
    dropped: AtomicU32,
    figures: Arc<PingCounters>,
}

impl Socket {
    /// Opens a socket: an unprivileged one, or else a raw one.
    ///
    /// # Errors
    /// Neither is allowed, or the source address is not this machine's.
    pub fn open(shape: Shape, figures: Arc<PingCounters>) -> Result<Self, OpenError> {
        if let Some(source) = shape.source
            && AddressFamily::of(source) != shape.family
        {
            return Err(OpenError::OtherFamily(network(shape.family), source));
        }
        let open = |kind| open(shape, kind);
        let (socket, privilege) = match open(Type::DGRAM) {
            Ok(socket) => (socket, Privilege::Unprivileged),
            Err(unprivileged) => match open(Type::RAW) {
                Ok(socket) => {
                    let why = SystemError(&unprivileged).to_string();
                    (socket, Privilege::Raw(why))
                }
                Err(raw) => return Err(open_error(shape, unprivileged, raw)),
            },
        };
        let id = AtomicU16::new(port(&socket));
        let fd =
            cmsg::watch(socket).map_err(|error| open_error(shape, io::ErrorKind::Other.into(), error))?;
        Ok(Self {
            fd,
            shape,
            id,
            privilege,
            dropped: AtomicU32::new(0),
            figures,
        })
    }

    /// An identifier for a request: of an unprivileged socket the kernel's, of a raw one any.
    pub fn id(&self) -> u16 {
        match self.privilege {
            Privilege::Unprivileged => self.id.load(Ordering::Relaxed),
            Privilege::Raw(_) => rand::random(),
        }
    }

    /// Gives an unprivileged socket another identifier, for half of what a new socket costs.
    ///
    /// # Errors
    /// The kernel's, or it has the same one again.
    pub fn renew(&self) -> io::Result<()> {
        let socket = self.fd.get_ref();
        rustix::net::connect_unspec(socket)?;
        let from = SocketAddr::new(self.shape.source.unwrap_or(any(self.shape.family)), 0);
        socket.bind(&from.into())?;
        let id = port(socket);
        if self.id.swap(id, Ordering::Relaxed) == id {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        Ok(())
    }

    /// What kind of socket it is.
    pub fn privilege(&self) -> &Privilege {
        &self.privilege
    }

    fn note_dropped(&self, total: Option<u32>) {
        if let Some(total) = total {
            let before = self.dropped.swap(total, Ordering::Relaxed);
            let lost = u64::from(total.wrapping_sub(before));
            self.figures.dropped.fetch_add(lost, Ordering::Relaxed);
        }
    }

    /// What a packet from the data queue is.
    fn heard<'a>(&self, received: &Received, bytes: &'a [u8]) -> Option<Arrival<'a>> {
        let mut from = received.from?;
        from.set_port(0);
        let is_raw = matches!(self.privilege, Privilege::Raw(_));
        let message = match (self.shape.family, is_raw) {
            (AddressFamily::V4, true) => without_ipv4_header(bytes)?,
            _ => bytes,
        };
        let arrival = match Message::parse(self.shape.family, from.ip(), message)? {
            Message::Reply {
                id,
                sequence,
                payload,
            } => Arrival::Reply {
                from,
                id,
                sequence,
                payload,
                hop_limit: received.hop_limit,
                at: received.at,
            },
            Message::Failure {
                to,
                id,
                sequence,
                report,
            } => Arrival::Failure {
                to: SocketAddr::new(to, 0),
                id: Some(id),
                sequence,
                report,
            },
        };
        (!received.is_cut).then_some(arrival)
    }

    /// What an entry of the error queue is.
    fn failed(&self, received: &Received, quoted: &[u8]) -> Option<Arrival<'static>> {
        let error = received.error?;
        matches!(error.origin, SO_EE_ORIGIN_ICMP | SO_EE_ORIGIN_ICMP6).then_some(())?;
        let (_, sequence) = echo_of(self.shape.family, quoted)?;
        let mut to = received.from?;
        to.set_port(0);
        Some(Arrival::Failure {
            to,
            id: None,
            sequence,
            report: Report {
                family: self.shape.family,
                icmp_type: error.icmp_type,
                code: error.icmp_code,
                info: error.info,
                reporter: error.offender,
            },
        })
    }
}

impl Wire for Socket {
    fn hears_others(&self) -> bool {
        matches!(self.privilege, Privilege::Raw(_))
    }

    fn try_send(&self, to: SocketAddr, id: u16, sequence: u16, payload: &[u8]) -> io::Result<()> {
        if payload.len() > self.shape.family.max_payload() {
            return Err(io::Error::from_raw_os_error(libc::EMSGSIZE));
        }
        let packet = echo_request(self.shape.family, id, sequence, payload);
        let to = SockAddr::from(to);
        let send = || self.fd.get_ref().send_to(&packet, &to).map(|_| ());
        // What ICMP reported about somebody else's packet is also handed to the next call on this socket, and taken away
        // by it. So an error is about our packet only if it persists.
        const OTHERS_ERRORS: usize = 4;
        for _ in 0..OTHERS_ERRORS {
            match send() {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
        send()
    }

    async fn when_writable(&self, mut write: impl FnMut() -> io::Result<()> + Send) -> io::Result<()> {
        self.fd.async_io(Interest::WRITABLE, |_| write()).await
    }

    fn try_receive(&self, sink: &mut dyn FnMut(Arrival<'_>)) -> io::Result<()> {
        BUFFER.with_borrow_mut(|buffer| {
            buffer.resize(LONGEST_PACKET, 0);
            let fd = self.fd.get_ref().as_fd();
            match cmsg::receive(fd, Queue::Data, buffer) {
                Ok(received) => {
                    self.note_dropped(received.dropped);
                    let bytes = buffer.get(..received.length).unwrap_or(&[]);
                    sink(self.heard(&received, bytes).unwrap_or(Arrival::Noise));
                    Ok(())
                }
                Err(data) => match cmsg::receive(fd, Queue::Errors, buffer) {
                    Ok(received) => {
                        let quoted = buffer.get(..received.length).unwrap_or(&[]);
                        sink(self.failed(&received, quoted).unwrap_or(Arrival::Noise));
                        Ok(())
                    }
                    // Not `WouldBlock` if it was a kept error: there may be data behind it.
                    Err(_) => Err(data),
                },
            }
        })
    }

    async fn when_readable(&self, mut read: impl FnMut() -> Left + Send) -> io::Result<()> {
        let mut guard = self.fd.ready(Interest::READABLE | Interest::ERROR).await?;
        if read() == Left::Nothing {
            guard.clear_ready();
        }
        Ok(())
    }
}

/// The identifier that the kernel gave an unprivileged socket.
fn port(socket: &socket2::Socket) -> u16 {
    let address = socket.local_addr().ok();
    address
        .and_then(|address| address.as_socket())
        .map_or(0, |address| address.port())
}

fn network(family: AddressFamily) -> &'static str {
    match family {
        AddressFamily::V4 => "ip4:icmp",
        AddressFamily::V6 => "ip6:ipv6-icmp",
    }
}

fn open_error(shape: Shape, unprivileged: io::Error, raw: io::Error) -> OpenError {
    OpenError::Refused {
        network: network(shape.family),
        address: shape.source.unwrap_or(any(shape.family)),
        unprivileged,
        raw,
    }
}

fn any(family: AddressFamily) -> IpAddr {
    match family {
        AddressFamily::V4 => Ipv4Addr::UNSPECIFIED.into(),
        AddressFamily::V6 => Ipv6Addr::UNSPECIFIED.into(),
    }
}

fn open(shape: Shape, kind: Type) -> io::Result<socket2::Socket> {
    let is_raw = kind == Type::RAW;
    let (domain, protocol) = match shape.family {
        AddressFamily::V4 => (Domain::IPV4, Protocol::ICMPV4),
        AddressFamily::V6 => (Domain::IPV6, Protocol::ICMPV6),
    };
    let socket = socket2::Socket::new(domain, kind.nonblocking().cloexec(), Some(protocol))?;
    // Also without a source address: it is then that an unprivileged socket gets its identifier.
    let from = SocketAddr::new(shape.source.unwrap_or(any(shape.family)), 0);
    socket.bind(&from.into())?;
    if let Some(interface) = &shape.interface {
        socket.bind_device(Some(interface.name()))?;
    }
    if is_raw {
        // As Go's raw sockets, and only they: a ping to a broadcast address is not refused.
        socket.set_broadcast(true)?;
    }
    let set = |level, name, value| cmsg::set_number(socket.as_fd(), level, name, value);
    let sol = libc::SOL_SOCKET;
    // Buffers and drop counts are wishes: the system gives what it allows.
    let _ =
        set(sol, libc::SO_RCVBUFFORCE, RECEIVE_BUFFER).or_else(|_| set(sol, libc::SO_RCVBUF, RECEIVE_BUFFER));
    let _ = set(sol, libc::SO_SNDBUFFORCE, SEND_BUFFER).or_else(|_| set(sol, libc::SO_SNDBUF, SEND_BUFFER));
    let _ = set(sol, libc::SO_RXQ_OVFL, 1);
    // Without them an answer has no receive time, or no hop limit, and is an answer all the same.
    let _ = set(sol, libc::SO_TIMESTAMPNS, 1);
    match shape.family {
        AddressFamily::V4 => {
            let _ = set(libc::IPPROTO_IP, libc::IP_RECVTTL, 1);
            if shape.ttl > 0 {
                socket.set_ttl_v4(u32::from(shape.ttl))?;
            }
            if let Some(point) = shape.dscp {
                socket.set_tos_v4(u32::from(point) << 2)?;
            }
            if shape.dont_fragment {
                // Not IP_PMTUDISC_DO: each probe tests the path, whatever an earlier one learned about it.
                set(libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE)?;
            }
        }
        AddressFamily::V6 => {
            let _ = set(libc::IPPROTO_IPV6, libc::IPV6_RECVHOPLIMIT, 1);
            if shape.ttl > 0 {
                socket.set_unicast_hops_v6(u32::from(shape.ttl))?;
            }
            if let Some(point) = shape.dscp {
                socket.set_tclass_v6(u32::from(point) << 2)?;
            }
        }
    }
    if is_raw {
        filter(&socket, shape.family)?;
    } else {
        let (level, name) = match shape.family {
            AddressFamily::V4 => (libc::IPPROTO_IP, libc::IP_RECVERR),
            AddressFamily::V6 => (libc::IPPROTO_IPV6, libc::IPV6_RECVERR),
        };
        set(level, name, 1)?;
    }
    Ok(socket)
}

/// A raw socket hears all ICMP of the machine: only answers and errors are wanted.
fn filter(socket: &socket2::Socket, family: AddressFamily) -> io::Result<()> {
    let passes = |types: &[u32]| !types.iter().fold(0_u32, |mask, t| mask | 1 << (t % 32));
    match family {
        AddressFamily::V4 => {
            const SOL_RAW: i32 = 255;
            let mask = passes(&[0, 3, 11, 12]).to_ne_bytes();
            cmsg::set_option(socket.as_fd(), SOL_RAW, ICMP_FILTER, &mask)
        }
        AddressFamily::V6 => {
            let none = u32::MAX;
            let masks = [
                passes(&[1, 2, 3, 4]),
                none,
                none,
                none,
                passes(&[129]),
                none,
                none,
                none,
            ];
            let masks: Vec<u8> = masks.iter().flat_map(|mask| mask.to_ne_bytes()).collect();
            cmsg::set_option(socket.as_fd(), libc::IPPROTO_ICMPV6, ICMPV6_FILTER, &masks)
        }
    }
}
