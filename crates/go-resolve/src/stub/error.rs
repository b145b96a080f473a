//! Why name servers gave no address.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use gostd::deadline::Deadline;
use gostd::os_error::SystemError;

use crate::wire::Flaw;

/// Why name servers gave no address; `server` is the one that said so last.
#[derive(Debug)]
pub struct StubError {
    /// The server, if one was asked.
    pub server: Option<SocketAddr>,
    /// The reason.
    pub cause: Cause,
}

/// What went wrong.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum Cause {
    /// The answer says no, or is none.
    Flaw(Flaw),
    /// Neither family has an address, but the name exists.
    NoAddress,
    /// The name does not fit the format.
    Unaskable,
    /// TCP answered something else.
    Stranger,
    /// No answer within the time for one server.
    Silent { over: &'static str, after: Duration },
    /// No answer before the deadline of the probe.
    Deadline(Deadline),
    /// The system's word.
    Io { over: &'static str, error: io::Error },
}

impl Cause {
    /// Whether the name, or its address, is known not to exist.
    pub fn is_not_found(&self) -> bool {
        matches!(
            self,
            Self::NoAddress | Self::Flaw(Flaw::NoSuchName | Flaw::NoData(_))
        )
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flaw(Flaw::NoSuchName) => f.write_str("no such host"),
            Self::Flaw(Flaw::NoData(record)) => {
                write!(
                    f,
                    "no such host: the name exists, but has no {} record",
                    record.name()
                )
            }
            Self::NoAddress => {
                f.write_str("no such host: the name exists, but has neither A nor AAAA record")
            }
            Self::Flaw(Flaw::LameReferral) => f.write_str("lame referral: the server does not recurse"),
            Self::Flaw(Flaw::ResponseCode(code)) => match code {
                1 => f.write_str("server misbehaving: it answered FORMERR"),
                2 => f.write_str("server misbehaving: it answered SERVFAIL"),
                4 => f.write_str("server misbehaving: it answered NOTIMP"),
                5 => f.write_str("server misbehaving: it answered REFUSED"),
                code => write!(f, "server misbehaving: it answered code {code}"),
            },
            Self::Flaw(Flaw::Malformed) => f.write_str("cannot unmarshal DNS message"),
            Self::Flaw(Flaw::Invalid) | Self::Stranger => f.write_str("invalid DNS response"),
            Self::Unaskable => f.write_str("cannot marshal DNS message"),
            Self::Silent { over, after } => write!(f, "{over}: i/o timeout: no response within {after:?}"),
            Self::Deadline(deadline) => write!(f, "i/o timeout: {}", deadline.timed_out()),
            Self::Io { over, error } => write!(f, "{over}: {}", SystemError(error)),
        }
    }
}
