//! Why a server did not go on in TLS.

use std::borrow::Cow;

use crate::config::StartTls;
use crate::probe_log::excerpt;
use crate::prober::advice;
use crate::prober::query_response::WireError;
use crate::reason::Reason;
use crate::strconv::quote;

/// Most bytes of a server's line that an error shows.
const SHOWN: usize = 256;

/// Why a server did not go on in TLS.
#[derive(Debug)]
pub(super) enum StartTlsError {
    /// Nothing could be read or written.
    Wire(WireError),
    /// The server began to say it.
    Unfinished { said: Vec<u8>, error: WireError },
    /// The server said more than it needs.
    TooMuch { most: usize },
    /// The server said no, or something else.
    Refused { said: Vec<u8> },
    /// The server does not list TLS among what it can do.
    NotOffered { said: Vec<u8> },
    /// What came is not of the protocol.
    Malformed(Cow<'static, str>),
    /// Bytes came behind the consent, before the handshake.
    Surplus { bytes: usize },
}

impl StartTlsError {
    /// Its place among the reasons of failures.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Wire(error) | Self::Unfinished { error, .. } => error.reason(),
            Self::Refused { .. } | Self::NotOffered { .. } => Reason::ExpectMismatch,
            Self::TooMuch { .. } | Self::Malformed(_) | Self::Surplus { .. } => Reason::ProtocolError,
        }
    }

    /// What to do about it, if there is more to say than the error does.
    pub fn advice(&self, protocol: StartTls) -> Option<String> {
        let line = match self {
            Self::Refused { said } | Self::Unfinished { said, .. }
                if protocol != StartTls::Mysql
                    && let Some(line) = advice::greeting(said) =>
            {
                return Some(line);
            }
            Self::NotOffered { .. } => {
                "The server does not offer TLS on this port: it has no certificate, or expects TLS from the beginning on another port (tls: true instead of starttls)."
            }
            Self::Wire(WireError::TimedOut(_)) => {
                "The server did not respond: it expects TLS from the beginning (tls: true instead of starttls), speaks another protocol, or hangs."
            }
            Self::Unfinished {
                error: WireError::TimedOut(_),
                ..
            } => {
                "The server began, and did not go on: it lets callers that it does not know wait (a greet delay, postscreen), speaks another protocol, or hangs. Raise the timeout above the delay, or exempt this host's address from it."
            }
            Self::Surplus { .. } => {
                "Something on the way, or a flaw of the server, adds bytes before TLS: clients of this server may be deceived. Update the server, and probe it from its own network to see who adds them."
            }
            Self::Refused { .. } => {
                "The server refuses, and says why: mostly it has no certificate, does not serve this host's address, is overloaded, or speaks another protocol than starttls names. Its own log says more."
            }
            Self::Wire(_) | Self::Unfinished { .. } | Self::TooMuch { .. } | Self::Malformed(_) => {
                return None;
            }
        };
        Some(line.to_owned())
    }

    /// The text of the error, which happened while `awaited` was awaited.
    pub fn told(&self, awaited: &str) -> String {
        match self {
            Self::Wire(error) => format!("waiting for {awaited}: {error}"),
            Self::Unfinished { said, error } => format!(
                "waiting for the rest of {awaited}, behind {}: {error}",
                quote(&excerpt(said, SHOWN).to_string())
            ),
            Self::TooMuch { most } => {
                format!("waiting for {awaited}: the server sent more than {most} bytes")
            }
            Self::Refused { said } => format!("{awaited} is {}", quote(&excerpt(said, SHOWN).to_string())),
            Self::NotOffered { said } => format!(
                "the server does not offer TLS: {awaited} ends with {}",
                quote(&excerpt(said, SHOWN).to_string())
            ),
            Self::Malformed(what) => format!("{awaited} is malformed: {what}"),
            Self::Surplus { bytes } => format!(
                "{bytes} bytes follow {awaited} in the clear, before the handshake: an attacker may have injected them"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_shown_in_hexadecimal() {
        let said = b"\xff\xfeno".to_vec();
        let refused = StartTlsError::Refused { said };
        assert_eq!(refused.told("the greeting"), r#"the greeting is "\xff\xfeno""#);
    }
}
