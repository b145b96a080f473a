//! Why there is no WebSocket connection, in upstream's words where it has some.

use std::fmt;
use std::io;

use crate::net::TimedOut;
use crate::net::dial::SystemError;
use crate::net::http1::{HeadError, LengthError};
use crate::prober::connect::Failure;
use crate::reason::Reason;

/// Why there is no WebSocket connection.
#[derive(Debug)]
pub(in crate::prober) enum HandshakeError {
    /// Not `ws` or `wss`, or with user and password.
    Url,
    /// A header field that belongs to the handshake itself.
    Header(&'static str),
    Host(String),
    Target,
    Address(String),
    Connect(Box<Failure>),
    Write(io::Error),
    Read(io::Error),
    /// The peer closed before its answer was complete.
    End,
    Answer(HeadError),
    Length(LengthError),
    /// The answer does not upgrade.
    Refused {
        code: u16,
        status: Vec<u8>,
        reason: &'static str,
    },
    /// The answer to the key is wrong or missing; the status line.
    Accept(Vec<u8>),
    /// An extension that was not asked for.
    Extension,
    TimedOut {
        doing: &'static str,
        timed_out: TimedOut,
    },
}

impl HandshakeError {
    /// Its place among the reasons of failures.
    pub(super) fn reason(&self) -> Reason {
        match self {
            Self::Url | Self::Header(_) | Self::Host(_) | Self::Target | Self::Address(_) => {
                Reason::ConfigError
            }
            Self::Connect(failure) => failure.error.reason(),
            Self::Write(error) | Self::Read(error) => error.into(),
            Self::End => Reason::PeerClosed,
            Self::Answer(_) | Self::Length(_) => Reason::ProtocolError,
            Self::Refused { .. } | Self::Accept(_) | Self::Extension => Reason::WebsocketRefused,
            Self::TimedOut { .. } => Reason::RequestTimeout,
        }
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url => f.write_str("malformed ws or wss URL"),
            Self::Header(name) => write!(f, "websocket: duplicate header not allowed: {name}"),
            Self::Target => f.write_str("net/http: can't write control character in Request.URL"),
            Self::Host(error) | Self::Address(error) => f.write_str(error),
            Self::Connect(failure) => failure.fmt(f),
            Self::Write(error) => write!(f, "writing the upgrade request: {}", SystemError(error)),
            Self::Read(error) => {
                write!(f, "reading the response to the upgrade: {}", SystemError(error))
            }
            Self::End => f.write_str("reading the response to the upgrade: unexpected EOF"),
            Self::Answer(error) => write!(f, "{error}"),
            Self::Length(error) => write!(f, "{error}"),
            Self::Refused { status, reason, .. } => bad_handshake(f, reason, status),
            Self::Accept(status) => bad_handshake(f, "Sec-WebSocket-Accept does not match the key", status),
            Self::Extension => f.write_str("websocket: invalid compression negotiation"),
            Self::TimedOut { doing, timed_out } => write!(f, "{doing}: i/o timeout: {timed_out}"),
        }
    }
}

fn bad_handshake(f: &mut fmt::Formatter<'_>, reason: &str, status: &[u8]) -> fmt::Result {
    let status = String::from_utf8_lossy(status.get(..100).unwrap_or(status));
    write!(f, "websocket: bad handshake: {reason} (response: {status})")
}
