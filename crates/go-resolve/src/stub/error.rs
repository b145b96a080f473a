//! Why name servers gave no address.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use gostd::deadline::Deadline;
use gostd::os_error::SystemError;

use crate::wire::{Flaw, Record};

/// Why name servers gave no address; `server` is the one that said so last.
#[derive(Debug)]
pub struct StubError {
    /// The server, if one was asked.
    pub server: Option<SocketAddr>,
    /// The reason.
    pub cause: Cause,
    /// What else was seen.
    pub seen: Box<Seen>,
}

/// What a failed lookup saw besides its cause.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The name that the name is an alias of in the end, if the answer had any.
    pub alias: Option<String>,
    /// The records whose question was answered, where the other one's was not.
    pub answered: Option<Record>,
    /// Whether the answer did not fit into a datagram.
    pub is_truncated: bool,
}

impl StubError {
    /// No server was asked.
    pub(super) fn unasked() -> Self {
        Self {
            server: None,
            cause: Cause::Unaskable,
            seen: Box::default(),
        }
    }

    /// What came of asking a server.
    pub(super) fn of(server: SocketAddr, cause: Cause) -> Self {
        let server = (!matches!(cause, Cause::Unaskable)).then_some(server);
        Self {
            server,
            cause,
            seen: Box::default(),
        }
    }
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum Cause {
    /// The answer says no, or is none.
    #[error("{0}")]
    Flaw(Flaw),
    /// Neither family has an address, but the name exists.
    #[error("no such host: the name exists, but has neither A nor AAAA record")]
    NoAddress,
    /// The name does not fit the format.
    #[error("cannot marshal DNS message")]
    Unaskable,
    /// TCP answered something else.
    #[error("invalid DNS response")]
    Stranger,
    /// No answer within the time for one server.
    #[error("{over}: i/o timeout: no response within {after:?}")]
    Silent { over: &'static str, after: Duration },
    /// No answer before the deadline of the probe.
    #[error("i/o timeout: {}", .0.timed_out())]
    Deadline(Deadline),
    /// The system's word.
    #[error("{over}: {}", SystemError(.error))]
    Io { over: &'static str, error: io::Error },
}

impl Cause {
    /// Whether another server would not know better.
    pub(super) fn is_final(&self) -> bool {
        self.is_not_found() || matches!(self, Self::Deadline(_) | Self::Unaskable)
    }

    /// Whether the name, or its address, is known not to exist.
    pub fn is_not_found(&self) -> bool {
        matches!(
            self,
            Self::NoAddress | Self::Flaw(Flaw::NoSuchName | Flaw::NoData(_))
        )
    }
}
