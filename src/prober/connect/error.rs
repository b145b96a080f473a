//! Why a connection could not be made.

use std::fmt;
use std::io;

use crate::net::TimedOut;
use crate::net::dial::{DialCause, DialError};
use crate::net::policy::Refusal;
use crate::net::port::PortError;
use crate::net::proxy::{Reply, TunnelError};
use crate::net::resolve::ResolveError;
use crate::net::tls::HandshakeError;
use crate::reason::Reason;

/// Why a connection could not be made. Texts begin as Go's do, then say more.
#[derive(Debug)]
pub(in crate::prober) enum ConnectError {
    Port(PortError),
    /// The host has no address, or the policy is against its name.
    Resolve(ResolveError),
    Dial(DialError),
    /// What went wrong before the proxy was there to be asked.
    Proxy(Box<ConnectError>),
    /// The policy is against what the proxy is asked for.
    Refused {
        host: String,
        refusal: Refusal,
    },
    Tunnel(TunnelError),
    /// The deadline, while the proxy was making a tunnel.
    NoTunnel {
        to: String,
        timed_out: TimedOut,
    },
    Tls(Box<HandshakeError>),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(error) => write!(f, "dial tcp: {error}"),
            Self::Resolve(error) => write!(f, "dial tcp: {error}"),
            Self::Dial(error) => error.fmt(f),
            Self::Proxy(error) => write!(f, "proxyconnect tcp: {error}"),
            Self::Refused { host, refusal } => write!(f, "{host} through the proxy: {refusal}"),
            Self::Tunnel(error) => error.fmt(f),
            Self::NoTunnel { to, timed_out } => write!(
                f,
                "context deadline exceeded: {timed_out} while waiting for the proxy's tunnel to {to}"
            ),
            Self::Tls(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ConnectError {}

impl ConnectError {
    /// Its place among the reasons of failures.
    pub(in crate::prober) fn reason(&self) -> Reason {
        match self {
            Self::Port(_) => Reason::ConfigError,
            Self::Resolve(error) => error.reason(),
            Self::Dial(error) => error.reason(),
            Self::Proxy(error) => match error.reason() {
                reason @ (Reason::PolicyRefused | Reason::OutOfResources) => reason,
                _ => Reason::ProxyError,
            },
            Self::Refused { .. } => Reason::PolicyRefused,
            Self::Tunnel(TunnelError::Reply(reply)) => match reply {
                Reply::Refused => Reason::ConnectRefused,
                Reply::NetworkUnreachable | Reply::HostUnreachable => Reason::ConnectUnreachable,
                // Proxies have no other word for silence.
                Reply::TtlExpired => Reason::ConnectTimeout,
                Reply::Failure | Reply::NotAllowed | Reply::NoSuchCommand | Reply::NoSuchAddressType => {
                    Reason::ProxyError
                }
            },
            Self::Tunnel(_) | Self::NoTunnel { .. } => Reason::ProxyError,
            Self::Tls(error) => error.error.reason(),
        }
    }

    /// Whether the system does not let this process connect.
    pub(in crate::prober) fn is_permission_denied(&self) -> bool {
        matches!(self, Self::Dial(DialError { cause: DialCause::Io { error, .. }, .. })
            if error.kind() == io::ErrorKind::PermissionDenied)
    }
}
