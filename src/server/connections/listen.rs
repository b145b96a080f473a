//! Listening sockets: addresses in Go's forms, or sockets that systemd opened for us.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use listenfd::ListenFd;
use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::time::Instant;

use crate::net::policy::Policy;
use crate::net::port::{self, Protocol};
use crate::net::resolve::{ResolveError, Resolver};
use crate::net::{Address, Deadline, split_host_port};
use crate::os_error;

/// Connections that the system may hold until they are accepted.
const BACKLOG: i32 = 4096;

/// Why a port cannot be listened on; displays as Go's `*net.OpError`.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The text is no address.
    #[error("listen tcp: {0}")]
    Address(String),
    /// The name of the host has no address.
    #[error("listen tcp: {0}")]
    Lookup(ResolveError),
    /// The system refused.
    #[error("listen tcp {address}: {operation}: {}", os_error::describe(.error))]
    System {
        /// The address as Go names it: `:9115` without a host, the zone as written.
        address: String,
        /// `socket`, `bind` or `listen`.
        operation: &'static str,
        /// Its word.
        error: io::Error,
    },
    /// systemd passed no socket.
    #[error("no socket activation file descriptors found")]
    NoSockets,
    /// A socket from systemd cannot be used.
    #[error("socket from systemd: {}", os_error::describe(.0))]
    Inherited(io::Error),
}

/// Listens on `host:port`. Without a host, or with an unspecified one, on both address families.
///
/// # Errors
/// The address is none, or the system does not allow it.
pub async fn tcp(address: &str) -> Result<TcpListener, ListenError> {
    if address.starts_with("vsock://") {
        // compat: upstream listens on vsock.
        let reason = format!("address {address}: this program does not listen on vsock");
        return Err(ListenError::Address(reason));
    }
    let (host, port) = split_host_port(address).map_err(|error| ListenError::Address(error.to_string()))?;
    let port = port::lookup(port, Protocol::Tcp).map_err(|error| ListenError::Address(error.to_string()))?;
    let host = resolve(host).await?;
    let written = match &host {
        None => format!(":{port}"),
        Some(host) => host.joined(port),
    };
    if let Some(host) = host.filter(|host| !host.ip.is_unspecified()) {
        return bind(host.with_port(port), &written);
    }
    let both = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port);
    match bind(both, &written) {
        Err(ListenError::System {
            operation: "socket", ..
        }) => bind(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port), &written),
        result => result,
    }
}

/// The address of a host; `None` for an empty name.
async fn resolve(host: &str) -> Result<Option<Address>, ListenError> {
    if host.is_empty() {
        return Ok(None);
    }
    if let Some(address) = Address::parse(host) {
        return Ok(Some(address));
    }
    let resolver = Resolver::new(Policy::default(), Arc::default());
    // As long as it takes: each name server has a time of its own.
    let deadline = Deadline::after(Instant::now(), Duration::MAX);
    let found = resolver.all(host, deadline).await.map_err(ListenError::Lookup)?;
    let ipv4_first = found.iter().find(|a| a.ip.is_ipv4()).or(found.first());
    Ok(ipv4_first.cloned())
}

fn bind(address: SocketAddr, written: &str) -> Result<TcpListener, ListenError> {
    let fail = |operation| {
        move |error| ListenError::System {
            address: written.to_owned(),
            operation,
            error,
        }
    };
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking().cloexec(),
        Some(socket2::Protocol::TCP),
    )
    .map_err(fail("socket"))?;
    if address.is_ipv6() {
        let only_v6 = !address.ip().is_unspecified();
        socket.set_only_v6(only_v6).map_err(fail("setsockopt"))?;
    }
    socket.set_reuse_address(true).map_err(fail("setsockopt"))?;
    socket.bind(&address.into()).map_err(fail("bind"))?;
    socket.listen(BACKLOG).map_err(fail("listen"))?;
    TcpListener::from_std(socket.into()).map_err(fail("listen"))
}

/// Where connections come from.
#[derive(Debug)]
pub enum Listener {
    /// An address and a port.
    Tcp(TcpListener),
    /// A unix socket, which only systemd passes.
    Unix(UnixListener),
}

impl Listener {
    /// The next connection, and from which address it is: for those of a unix socket, this machine's.
    ///
    /// # Errors
    /// The system's.
    pub async fn accept(&self) -> io::Result<(TcpStream, IpAddr)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, caller) = listener.accept().await?;
                Ok((stream, caller.ip()))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                // A stream is read and written alike, wherever it leads.
                let stream = OwnedFd::from(stream.into_std()?);
                Ok((TcpStream::from_std(stream.into())?, Ipv4Addr::LOCALHOST.into()))
            }
        }
    }

    /// Where it listens, unless that is a unix socket.
    ///
    /// # Errors
    /// The system's.
    pub fn address(&self) -> io::Result<Option<SocketAddr>> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Some),
            Self::Unix(_) => Ok(None),
        }
    }

    /// Where it listens, as the log names it.
    ///
    /// # Errors
    /// The system's.
    pub fn place(&self) -> io::Result<String> {
        Ok(match self {
            Self::Tcp(listener) => {
                let address = listener.local_addr()?;
                // Without a zone, as upstream.
                SocketAddr::new(address.ip(), address.port()).to_string()
            }
            Self::Unix(listener) => {
                let address = listener.local_addr()?;
                let path = address.as_pathname().unwrap_or(Path::new("@"));
                path.display().to_string()
            }
        })
    }
}

/// The sockets that systemd passed (sd_listen_fds(3)).
///
/// # Errors
/// There are none, or one of them is neither a TCP listener nor one of a unix socket.
pub fn systemd() -> Result<Vec<Listener>, ListenError> {
    let mut passed = ListenFd::from_env();
    let listeners = (0..passed.len()).filter_map(|index| take(&mut passed, index).transpose());
    let listeners: Vec<_> = listeners
        .collect::<Result<_, _>>()
        .map_err(ListenError::Inherited)?;
    if listeners.is_empty() {
        return Err(ListenError::NoSockets);
    }
    Ok(listeners)
}

fn take(passed: &mut ListenFd, index: usize) -> io::Result<Option<Listener>> {
    if let Ok(Some(listener)) = passed.take_unix_listener(index) {
        listener.set_nonblocking(true)?;
        return UnixListener::from_std(listener).map(|listener| Some(Listener::Unix(listener)));
    }
    let Some(listener) = passed.take_tcp_listener(index)? else {
        return Ok(None);
    };
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener).map(|listener| Some(Listener::Tcp(listener)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_empty_host_listens_on_both_families() {
        let listener = tcp(":0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        if listener.local_addr().unwrap().is_ipv6() {
            TcpStream::connect((Ipv6Addr::LOCALHOST, port)).await.unwrap();
        }
    }

    #[tokio::test]
    async fn addresses_are_read_as_by_go() {
        let rows = [
            ("127.0.0.1:0", "127.0.0.1"),
            ("[::ffff:127.0.0.1]:0", "127.0.0.1"),
            ("[::ffff:127.0.0.1%lo]:0", "127.0.0.1"),
            ("[::1%lo]:0", "::1"),
            ("[::1%nope]:0", "::1"),
            ("[::ffff:0.0.0.0]:0", "::"),
            ("[::%lo]:0", "::"),
            ("0.0.0.0:0", "::"),
            ("localhost:0", "127.0.0.1"),
        ];
        for (text, address) in rows {
            let listener = tcp(text).await.unwrap_or_else(|error| panic!("{text}: {error}"));
            let local = listener.local_addr().unwrap();
            assert_eq!(local.ip().to_string(), address, "{text}");
        }
    }

    #[tokio::test]
    async fn says_what_is_wrong_in_gos_words() {
        let taken = tcp("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let port = taken.local_addr().unwrap().port();
        let mapped = format!("[::ffff:127.0.0.1]:{port}");
        let everywhere = format!(":{port}");
        for (text, message) in [
            (
                address.as_str(),
                format!("listen tcp {address}: bind: address already in use").as_str(),
            ),
            (
                "nonsense",
                "listen tcp: address nonsense: missing port in address",
            ),
            (
                mapped.as_str(),
                format!("listen tcp {address}: bind: address already in use").as_str(),
            ),
            (
                everywhere.as_str(),
                format!("listen tcp {everywhere}: bind: address already in use").as_str(),
            ),
            (
                "[fe80::1%nope]:0",
                "listen tcp [fe80::1%nope]:0: bind: invalid argument",
            ),
            ("127.0.0.1:99999", "listen tcp: address 99999: invalid port"),
            (
                "vsock://:9115",
                "listen tcp: address vsock://:9115: this program does not listen on vsock",
            ),
        ] {
            assert_eq!(tcp(text).await.unwrap_err().to_string(), message);
        }
    }
}
