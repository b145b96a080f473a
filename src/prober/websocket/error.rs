//! Why there is no WebSocket connection, in upstream's words where it has some.

use std::borrow::Cow;
use std::io;

use crate::net::TimedOut;
use crate::net::dial::SystemError;
use crate::net::http1::{HeadError, LengthError};
use crate::prober::connect::ConnectFailure;
use crate::reason::Reason;

/// Why there is no WebSocket connection.
#[derive(Debug, thiserror::Error)]
pub(in crate::prober) enum WebsocketError {
    /// Not `ws` or `wss`, or with user and password.
    #[error("malformed ws or wss URL")]
    Url,
    /// A header field that belongs to the handshake itself.
    #[error("websocket: duplicate header not allowed: {0}")]
    Header(&'static str),
    #[error("{0}")]
    Host(String),
    #[error("net/http: can't write control character in Request.URL")]
    Target,
    #[error("{0}")]
    Address(String),
    #[error("{0}")]
    Connect(Box<ConnectFailure>),
    #[error("writing the upgrade request: {}", SystemError(.0))]
    Write(io::Error),
    #[error("reading the response to the upgrade: {}", SystemError(.0))]
    Read(io::Error),
    /// The peer closed before its answer was complete: the beginning of what it sent, if that is less than a line.
    #[error("reading the response to the upgrade: unexpected EOF")]
    End(Vec<u8>),
    #[error("{0}")]
    Answer(HeadError),
    #[error("{0}")]
    Length(LengthError),
    /// The answer does not upgrade.
    #[error("websocket: bad handshake: {reason} (response: {})", shown(.status))]
    Refused {
        code: u16,
        status: Vec<u8>,
        reason: &'static str,
        /// The beginning of its body.
        body: Vec<u8>,
    },
    /// The answer to the key is wrong or missing; the status line.
    #[error("websocket: bad handshake: Sec-WebSocket-Accept does not match the key (response: {})", shown(.0))]
    Accept(Vec<u8>),
    /// An extension that was not asked for.
    #[error("websocket: invalid compression negotiation")]
    Extension,
    #[error("{doing}: i/o timeout: {timed_out}")]
    TimedOut {
        doing: &'static str,
        timed_out: TimedOut,
    },
}

impl WebsocketError {
    /// Its place among the reasons of failures.
    pub(super) fn reason(&self) -> Reason {
        match self {
            Self::Url | Self::Header(_) | Self::Host(_) | Self::Target | Self::Address(_) => {
                Reason::ConfigError
            }
            Self::Connect(failure) => failure.error.reason(),
            Self::Write(error) | Self::Read(error) => error.into(),
            Self::End(_) => Reason::PeerClosed,
            Self::Answer(_) | Self::Length(_) => Reason::ProtocolError,
            Self::Refused { .. } | Self::Accept(_) | Self::Extension => Reason::WebsocketRefused,
            Self::TimedOut { .. } => Reason::RequestTimeout,
        }
    }
}

/// A status line, as far as it is shown.
fn shown(status: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(status.get(..100).unwrap_or(status))
}
