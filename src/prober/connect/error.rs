//! Why a connection could not be made.

use std::io;

use crate::net::TimedOut;
use crate::net::dial::{DialCause, DialError};
use crate::net::policy::PolicyRefusal;
use crate::net::port::PortError;
use crate::net::proxy::{Reply, TunnelError};
use crate::net::resolve::ResolveError;
use crate::net::tls::HandshakeError;
use crate::reason::Reason;

/// Why a connection could not be made. Texts begin as Go's do, then say more.
#[derive(Debug, thiserror::Error)]
pub(in crate::prober) enum ConnectError {
    #[error("dial tcp: {0}")]
    Port(#[from] PortError),
    /// The host has no address, or the policy is against its name.
    #[error("dial tcp: {0}")]
    Resolve(#[from] ResolveError),
    #[error("{0}")]
    Dial(#[from] DialError),
    /// What went wrong before the proxy was there to be asked.
    #[error("proxyconnect tcp: {0}")]
    Proxy(Box<ConnectError>),
    /// The policy is against what the proxy is asked for.
    #[error("{host} through the proxy: {refusal}")]
    Refused { host: String, refusal: PolicyRefusal },
    #[error("{0}")]
    Tunnel(#[from] TunnelError),
    /// The deadline, while the proxy was making a tunnel.
    #[error("context deadline exceeded: {timed_out} while waiting for the proxy's tunnel to {to}")]
    NoTunnel { to: String, timed_out: TimedOut },
    #[error("{0}")]
    Tls(#[from] Box<HandshakeError>),
}

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
