//! Why there is no answer to a query.

use std::fmt;

use miekg_dns::message::ReadError;

use super::MAX_DATAGRAM;
use crate::module::NameError;
use crate::net::TimedOut;
use crate::net::dns::CarryError;
use crate::prober::connect::{ConnectError, Failure};
use crate::reason::Reason;

/// Why there is no answer.
#[derive(Debug)]
#[allow(missing_docs)]
pub(in crate::prober) enum ExchangeError {
    Connect(Box<Failure>),
    Name(NameError),
    Carry(CarryError),
    /// The deadline; strays are answers to other queries, which are ignored.
    TimedOut {
        timed_out: TimedOut,
        strays: usize,
    },
    /// The answer cannot be read.
    Read(ReadError),
    /// The answer cannot be read because it is longer than a datagram may be.
    Cut {
        error: ReadError,
        size: u16,
    },
    /// The answer on a stream belongs to another query.
    Stray {
        sent: u16,
        received: u16,
    },
}

impl ExchangeError {
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
}

impl fmt::Display for ExchangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(failure) => match &failure.error {
                ConnectError::Port(error) => error.fmt(f),
                ConnectError::Tls(error) => write!(f, "TLS handshake: {error}"),
                error => error.fmt(f),
            },
            Self::Name(error) => error.fmt(f),
            Self::Carry(error) => error.fmt(f),
            Self::TimedOut { timed_out, strays: 0 } => {
                write!(f, "waiting for the response: i/o timeout: {timed_out}")
            }
            Self::TimedOut { timed_out, strays } => write!(
                f,
                "waiting for the response: i/o timeout: {timed_out}; {strays} responses with other identifiers were ignored"
            ),
            Self::Read(error) => error.fmt(f),
            Self::Cut {
                error,
                size: MAX_DATAGRAM,
            } => write!(
                f,
                "{error}; it was cut after {MAX_DATAGRAM} octets, which is all that UDP has room for without EDNS \
                 (transport_protocol: tcp has room for more)"
            ),
            Self::Cut { error, size } => write!(
                f,
                "{error}; it was cut after {size} octets, which is all that the query has asked for (edns.udp_size)"
            ),
            Self::Stray { sent, received } => {
                write!(
                    f,
                    "id mismatch: the response has the identifier {received}, the query {sent}"
                )
            }
        }
    }
}

impl std::error::Error for ExchangeError {}

impl ExchangeError {
    /// Whether asking again may help.
    pub(in crate::prober) fn may_pass(&self) -> bool {
        !matches!(self, Self::Name(_))
    }
}
