//! Opening connections: one address, one attempt, under the probe's deadline.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::net::{TcpSocket, TcpStream};

use super::{Deadline, Network, TimedOut};

/// Counts of the connections that HTTP probes dial, exposed as `net_conntrack_dialer_conn_*`.
#[derive(Debug, Default)]
#[allow(missing_docs)]
pub struct Counters {
    pub attempted: AtomicU64,
    pub established: AtomicU64,
    pub closed: AtomicU64,
    pub failed_refused: AtomicU64,
    pub failed_resolution: AtomicU64,
    pub failed_timeout: AtomicU64,
    pub failed_unknown: AtomicU64,
}

impl Counters {
    /// Adds one to a counter.
    pub fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Why a connection could not be opened.
#[derive(Debug)]
pub struct DialError {
    /// `tcp`, `udp` or `unix`.
    pub network: &'static str,
    /// The address that was dialled.
    pub address: String,
    /// The cause.
    pub cause: DialCause,
}

/// The cause of a [`DialError`].
#[derive(Debug)]
pub enum DialCause {
    /// The probe's deadline.
    TimedOut(TimedOut),
    /// The system's word.
    Io(io::Error),
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dial {} {}: ", self.network, self.address)?;
        match &self.cause {
            DialCause::TimedOut(timed_out) => write!(f, "i/o timeout: {timed_out}"),
            DialCause::Io(error) => write!(f, "connect: {error}"),
        }
    }
}

impl std::error::Error for DialError {}

/// Opens a TCP connection to `to`, from `source` if one is given, with Nagle's delay off.
///
/// # Errors
/// The system's error, or the deadline.
pub async fn tcp(
    _network: &Network,
    deadline: Deadline,
    to: SocketAddr,
    source: Option<IpAddr>,
) -> Result<TcpStream, DialError> {
    let fail = |cause| DialError {
        network: "tcp",
        address: to.to_string(),
        cause,
    };
    let connect = async {
        let socket = if to.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        if let Some(ip) = source {
            socket.bind(SocketAddr::new(ip, 0))?;
        }
        let stream = socket.connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    };
    match deadline.within(connect).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(fail(DialCause::Io(error))),
        Err(timed_out) => Err(fail(DialCause::TimedOut(timed_out))),
    }
}
