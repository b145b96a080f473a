//! Opening connections under the probe's deadline, to addresses that the target policy allows: one address, one attempt
//! ([`tcp`], [`udp`], [`unix`]), or the first of [`several`] that accepts.
//!
//! Connections are closed plainly, unless a module of the tcp prober says `linger: 0`. Sending a reset instead spares the
//! TIME-WAIT state, but may destroy what the peer has not read yet, and a peer's log may show every probe as an error.

mod several;
mod unix;

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::time::SystemTime;

use ping_engine::cmsg;
use socket2::SockRef;
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::time::Instant;

use super::policy::PolicyRefusal;
use super::{Address, Deadline, Network, TimedOut, split_host_port};
use crate::reason::Reason;
use crate::shortage::Resource;

pub use gostd::os_error::SystemError;

pub use several::{Dialled, several};
pub use unix::unix;

/// Where a connection comes from, as far as the system does not choose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vantage {
    /// The source address.
    pub source: Option<IpAddr>,
    /// The interface that packets leave by.
    pub interface: Option<Arc<str>>,
    /// The Differentiated Services code point of the packets (RFC 2474).
    pub dscp: Option<u8>,
}

impl Vantage {
    /// Sets what is set before anything is sent to `to`.
    fn apply(&self, socket: SockRef<'_>, to: SocketAddr) -> io::Result<()> {
        if let Some(interface) = &self.interface {
            socket.bind_device(Some(interface.as_bytes()))?;
        }
        match (self.dscp.map(|point| u32::from(point) << 2), to) {
            (None, _) => Ok(()),
            (Some(octet), SocketAddr::V4(_)) => socket.set_tos_v4(octet),
            (Some(octet), SocketAddr::V6(_)) => socket.set_tclass_v6(octet),
        }
    }
}

/// A socket for QUIC that is connected to `to`: the system says where no way leads, and when nobody is there.
///
/// # Errors
/// The system's, or the target policy's.
pub fn quic(network: &Network, to: SocketAddr, vantage: &Vantage) -> Result<std::net::UdpSocket, DialError> {
    let call = |call| move |error| DialCause::Io { call, error };
    let open = || {
        network.policy.check(to).map_err(DialCause::Refused)?;
        let socket = std::net::UdpSocket::bind(local(to, vantage)?).map_err(call("bind"))?;
        let apply = vantage.apply(SockRef::from(&socket), to);
        apply.map_err(call("setsockopt"))?;
        socket.set_nonblocking(true).map_err(call("fcntl"))?;
        socket
            .connect(to)
            .map_err(|error| unconnected(error, to, vantage))?;
        Ok(socket)
    };
    open().map_err(|cause| failed(network, "udp", to, vantage.source, cause))
}

/// Counts of the connections that HTTP probes dial, exposed as `net_conntrack_dialer_conn_*`.
#[derive(Debug, Default)]
#[allow(missing_docs)]
pub struct Counters {
    /// When the first was attempted: upstream makes the counters then.
    pub created: OnceLock<SystemTime>,
    pub attempted: AtomicU64,
    pub established: AtomicU64,
    pub closed: AtomicU64,
    pub failed_refused: AtomicU64,
    pub failed_resolution: AtomicU64,
    pub failed_timeout: AtomicU64,
    pub failed_unknown: AtomicU64,
}

impl Counters {
    /// Counts an attempt to connect.
    pub fn attempt(&self) {
        self.created.get_or_init(SystemTime::now);
        Self::add(&self.attempted);
    }

    /// Adds one to a counter.
    pub fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Why a connection could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("dial {network} {address}: {cause}")]
pub struct DialError {
    /// `tcp`, `udp` or `unix`.
    pub network: &'static str,
    /// The address that was dialled.
    pub address: String,
    /// The source address, if the system did not choose it.
    pub from: Option<IpAddr>,
    /// The cause.
    pub cause: DialCause,
}

/// The cause of a [`DialError`].
#[derive(Debug, thiserror::Error)]
pub enum DialCause {
    /// The probe's deadline.
    #[error("i/o timeout: {0}")]
    TimedOut(TimedOut),
    /// No answer within this part of the probe's time; there were other addresses to try.
    #[error("i/o timeout: no response within {0:.3?}")]
    NoAnswer(Duration),
    /// The target policy is against it.
    #[error("{0}")]
    Refused(PolicyRefusal),
    /// This host has no address to reach it from.
    #[error("connect: {}: this host has no address to connect from", SystemError(.0))]
    NoSource(io::Error),
    /// The system's word.
    #[error("{call}: {}{}", SystemError(.error), shortage(.call, .error))]
    Io {
        /// The call that failed: `socket`, `bind`, `connect`.
        call: &'static str,
        /// Its error.
        error: io::Error,
    },
}

fn shortage(call: &str, error: &io::Error) -> &'static str {
    match Resource::of(call, error) {
        Some(Resource::Ports) => ": no local port is left (net.ipv4.ip_local_port_range)",
        _ => "",
    }
}

impl DialError {
    /// Names the address with its zone as it was written, of which the system knows only a number, or nothing.
    pub fn of(mut self, address: &Address, port: u16) -> Self {
        if address.zone.is_some() {
            self.address = address.joined(port);
        }
        self
    }

    /// Its place among the reasons of failures.
    pub fn reason(&self) -> Reason {
        match &self.cause {
            DialCause::TimedOut(_) | DialCause::NoAnswer(_) => Reason::ConnectTimeout,
            DialCause::Refused(_) => Reason::PolicyRefused,
            DialCause::NoSource(_) => Reason::ConnectUnreachable,
            DialCause::Io { error, .. }
                if self.network == "unix" && error.kind() == io::ErrorKind::PermissionDenied =>
            {
                Reason::FileError
            }
            // A full accept queue: over TCP nothing would respond.
            DialCause::Io { error, .. }
                if self.network == "unix" && error.kind() == io::ErrorKind::WouldBlock =>
            {
                Reason::ConnectTimeout
            }
            DialCause::Io { error, .. } if self.is_misaddressed(error) => Reason::ConfigError,
            DialCause::Io { call, error } => Reason::of_call(call, error),
        }
    }

    fn is_misaddressed(&self, error: &io::Error) -> bool {
        let host = split_host_port(&self.address).map_or("", |(host, _)| host);
        Address::parse(host).is_some_and(|to| is_misaddressed(error, to.ip, self.from))
    }
}

/// Whether nothing was sent because of the addresses: a link-local one without its interface, or from a loopback address to
/// another host. Other calls end with EINVAL where a route discards what is sent (blackhole).
pub fn is_misaddressed(error: &io::Error, to: IpAddr, source: Option<IpAddr>) -> bool {
    let is_link_local = matches!(to, IpAddr::V6(ip) if ip.is_unicast_link_local());
    error.raw_os_error() == Some(libc::EINVAL)
        && (is_link_local || source.is_some_and(|source| source.is_loopback()))
}

/// A TCP connection that was opened.
#[derive(Debug)]
pub struct Opened {
    /// The connection.
    pub stream: TcpStream,
    /// Right before it was asked for.
    pub from: Instant,
    /// When the peer's consent arrived: by the kernel's measurement of the handshake, if it has one, because a busy process
    /// notices later.
    pub at: Instant,
}

/// Opens a TCP connection to `to`. Whoever writes twice before an answer switches Nagle's delay off, as
/// [`StampedStream`](super::arrivals::StampedStream) does.
///
/// # Errors
/// The system's error, or the deadline.
pub async fn tcp(
    network: &Network,
    deadline: Deadline,
    to: SocketAddr,
    vantage: &Vantage,
) -> Result<Opened, DialError> {
    let call = |call| move |error| DialCause::Io { call, error };
    let connect = async {
        network.policy.check(to).map_err(DialCause::Refused)?;
        let socket = if to.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        };
        let socket = socket.map_err(call("socket"))?;
        vantage
            .apply(SockRef::from(&socket), to)
            .map_err(call("setsockopt"))?;
        if let Some(ip) = vantage.source.and_then(chosen) {
            socket.bind(SocketAddr::new(ip, 0)).map_err(call("bind"))?;
        }
        let from = Instant::now();
        let stream = socket.connect(to).await;
        let stream = stream.map_err(|error| unconnected(error, to, vantage))?;
        let at = Instant::now();
        let at = cmsg::handshake_time(stream.as_fd()).map_or(at, |took| at.min(from + took));
        Ok(Opened { stream, from, at })
    };
    within(network, deadline, "tcp", to, vantage.source, connect).await
}

/// Opens a UDP socket that sends to and hears from `to` only.
///
/// # Errors
/// The system's error.
pub async fn udp(
    network: &Network,
    deadline: Deadline,
    to: SocketAddr,
    vantage: &Vantage,
) -> Result<UdpSocket, DialError> {
    let call = |call| move |error| DialCause::Io { call, error };
    let connect = async {
        network.policy.check(to).map_err(DialCause::Refused)?;
        let from = local(to, vantage)?;
        let socket = UdpSocket::bind(from).await.map_err(call("bind"))?;
        vantage
            .apply(SockRef::from(&socket), to)
            .map_err(call("setsockopt"))?;
        let connected = socket.connect(to).await;
        connected.map_err(|error| unconnected(error, to, vantage))?;
        Ok(socket)
    };
    within(network, deadline, "udp", to, vantage.source, connect).await
}

/// Why nothing connects to `to`. TCP has one error for a host without a free port and for one without an address to reach `to`
/// from. A UDP socket, whose port is chosen before, fails so only for want of an address.
fn unconnected(error: io::Error, to: SocketAddr, vantage: &Vantage) -> DialCause {
    let is_unavailable = |error: &io::Error| error.raw_os_error() == Some(libc::EADDRNOTAVAIL);
    let look = || {
        let socket = std::net::UdpSocket::bind(SocketAddr::new(unspecified(to), 0))?;
        vantage.apply(SockRef::from(&socket), to)?;
        socket.connect(to)
    };
    match is_unavailable(&error) && look().is_err_and(|error| is_unavailable(&error)) {
        true => DialCause::NoSource(error),
        false => DialCause::Io {
            call: "connect",
            error,
        },
    }
}

/// Any address of the family of `to`.
fn unspecified(to: SocketAddr) -> IpAddr {
    match to {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// Where a socket for datagrams to `to` is bound.
fn local(to: SocketAddr, vantage: &Vantage) -> Result<SocketAddr, DialCause> {
    let ip = vantage.source.and_then(chosen).unwrap_or_else(|| unspecified(to));
    // A socket of IPv6 could reach an address of IPv4 as well, from an address of neither.
    if ip.is_ipv6() && to.is_ipv4() {
        let error = io::Error::from_raw_os_error(libc::EAFNOSUPPORT);
        return Err(DialCause::Io { call: "bind", error });
    }
    Ok(SocketAddr::new(ip, 0))
}

/// The source address, unless it is 0.0.0.0: then any address of the target's family will do, as with Go.
fn chosen(source: IpAddr) -> Option<IpAddr> {
    Some(source).filter(|ip| *ip != Ipv4Addr::UNSPECIFIED)
}

async fn within<T>(
    network: &Network,
    deadline: Deadline,
    protocol: &'static str,
    to: impl fmt::Display,
    from: Option<IpAddr>,
    dial: impl Future<Output = Result<T, DialCause>>,
) -> Result<T, DialError> {
    // When the time is over nobody is dialled, as in Go; waiting would look at the dial once before it looks at the clock.
    let dialled = if deadline.left().is_zero() {
        Err(deadline.timed_out())
    } else {
        deadline.within(dial).await
    };
    dialled
        .unwrap_or_else(|timed_out| Err(DialCause::TimedOut(timed_out)))
        .map_err(|cause| failed(network, protocol, to, from, cause))
}

/// The error of a dial, after a shortage was noted.
fn failed(
    network: &Network,
    protocol: &'static str,
    to: impl fmt::Display,
    from: Option<IpAddr>,
    cause: DialCause,
) -> DialError {
    if let DialCause::Io { call, error } = &cause {
        network.shortages.note(call, error);
    }
    DialError {
        network: protocol,
        address: to.to_string(),
        from,
        cause,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;

    #[test]
    fn errors_are_worded_as_go_does() {
        let rows = [
            (libc::ECONNREFUSED, "connection refused"),
            (libc::EHOSTUNREACH, "no route to host"),
            (libc::ENETUNREACH, "network is unreachable"),
            (libc::EADDRNOTAVAIL, "cannot assign requested address"),
            (libc::EAFNOSUPPORT, "address family not supported by protocol"),
            (libc::ECONNRESET, "connection reset by peer"),
            (libc::EINVAL, "invalid argument"),
            (
                libc::EMFILE,
                "too many open files: this process has as many files open as it may; raise its limit (ulimit -n, LimitNOFILE=)",
            ),
        ];
        for (code, want) in rows {
            let error = io::Error::from_raw_os_error(code);
            assert_eq!(SystemError(&error).to_string(), want);
        }
    }

    #[tokio::test]
    async fn packets_are_marked_and_leave_by_the_interface() {
        let network = Network::default();
        let deadline = Deadline::after(Instant::now(), Duration::from_secs(5));
        let vantage = Vantage {
            source: Some([127, 0, 0, 5].into()),
            interface: Some("lo".into()),
            dscp: Some(46),
        };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        match tcp(&network, deadline, to, &vantage).await {
            Ok(Opened { stream, .. }) => {
                assert_eq!(SockRef::from(&stream).tos_v4().unwrap(), 46 << 2);
                assert_eq!(stream.local_addr().unwrap().ip(), IpAddr::from([127, 0, 0, 5]));
            }
            // Old kernels ask for a right.
            Err(error) => assert!(error.to_string().contains("not permitted"), "{error}"),
        }
        let marked = Vantage {
            dscp: Some(10),
            ..Vantage::default()
        };
        let socket = udp(&network, deadline, to, &marked).await.unwrap();
        assert_eq!(SockRef::from(&socket).tos_v4().unwrap(), 40);
        let socket = quic(&network, to, &marked).unwrap();
        assert_eq!(SockRef::from(&socket).tos_v4().unwrap(), 40);
        let nowhere = Vantage {
            interface: Some("nope0".into()),
            ..Vantage::default()
        };
        let error = tcp(&network, deadline, to, &nowhere).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("dial tcp {to}: setsockopt: no such device")
        );
    }

    #[tokio::test]
    async fn dialling_says_what_where_and_why() {
        let network = Network::default();
        let deadline = Deadline::after(Instant::now(), Duration::from_secs(5));
        // A port that was free a moment ago: nobody listens on it.
        let closed = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let refused = tcp(&network, deadline, closed, &Vantage::default())
            .await
            .unwrap_err();
        assert_eq!(
            refused.to_string(),
            format!("dial tcp {closed}: connect: connection refused")
        );
        let from = |ip: IpAddr| Vantage {
            source: Some(ip),
            ..Vantage::default()
        };
        let foreign = from([192, 0, 2, 77].into());
        let foreign = tcp(&network, deadline, closed, &foreign).await.unwrap_err();
        assert_eq!(
            foreign.to_string(),
            format!("dial tcp {closed}: bind: cannot assign requested address")
        );
        let other_family = from([0; 16].into());
        let other_family = tcp(&network, deadline, closed, &other_family).await.unwrap_err();
        assert_eq!(
            other_family.to_string(),
            format!("dial tcp {closed}: bind: address family not supported by protocol")
        );
    }
}
