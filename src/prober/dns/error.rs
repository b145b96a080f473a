//! Why there is no answer to a query.

use miekg_dns::message::ReadError;

use super::MAX_DATAGRAM;
use crate::module::NameError;
use crate::net::TimedOut;
use crate::net::dns::CarryError;
use crate::net::tls::TlsError;
use crate::prober::connect::{ConnectError, ConnectFailure};
use crate::reason::Reason;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub(in crate::prober) enum DnsError {
    #[error("{}", unconnected(&.0.error))]
    Connect(Box<ConnectFailure>),
    #[error("{0}")]
    Name(NameError),
    #[error("{0}")]
    Carry(CarryError),
    /// The deadline; strays are answers to other queries, which are ignored.
    #[error("waiting for the response: i/o timeout: {timed_out}{}", ignored(*.strays))]
    TimedOut { timed_out: TimedOut, strays: usize },
    /// The answer cannot be read.
    #[error("{0}")]
    Read(ReadError),
    /// The answer cannot be read because it is longer than a datagram may be.
    #[error("{error}; it was cut after {size} octets, which is all that {}", limit(*.size))]
    Cut { error: ReadError, size: u16 },
    /// The answer on a stream belongs to another query.
    #[error("id mismatch: the response has the identifier {received}, the query {sent}")]
    Stray { sent: u16, received: u16 },
}

/// Some texts of TLS say themselves that it was the handshake.
fn unconnected(error: &ConnectError) -> String {
    match error {
        ConnectError::Port(error) => error.to_string(),
        ConnectError::Tls(error) if matches!(error.error, TlsError::TimedOut { .. }) => error.to_string(),
        ConnectError::Tls(error) => format!("TLS handshake: {error}"),
        error => error.to_string(),
    }
}

fn ignored(strays: usize) -> String {
    match strays {
        0 => String::new(),
        _ => format!("; {strays} responses with other identifiers were ignored"),
    }
}

/// What the size of a response is the limit of, and what raises it.
fn limit(size: u16) -> &'static str {
    match size {
        MAX_DATAGRAM => "UDP has room for without EDNS (transport_protocol: tcp has room for more)",
        _ => "the query has asked for (edns.udp_size)",
    }
}

impl DnsError {
    /// Its place among the reasons of failures.
    pub(in crate::prober) fn reason(&self) -> Reason {
        match self {
            Self::Connect(failure) => failure.error.reason(),
            Self::Name(_) => Reason::ConfigError,
            Self::Carry(error) => error.reason(),
            Self::TimedOut { .. } => Reason::RequestTimeout,
            Self::Read(_) | Self::Cut { .. } | Self::Stray { .. } => Reason::ProtocolError,
        }
    }

    /// Whether asking again may help.
    pub(in crate::prober) fn may_pass(&self) -> bool {
        !matches!(self, Self::Name(_))
    }
}
