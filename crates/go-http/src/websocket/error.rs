//! Why no message could be read or written.

use std::fmt;
use std::io;

use gostd::deadline::TimedOut;
use gostd::os_error::SystemError;

use super::LONGEST_MESSAGE;

/// Why no message could be read or written. Displays in gorilla's words.
#[derive(Debug)]
pub enum FrameError {
    /// The peer closed with this code and text.
    Closed {
        /// The status code of RFC 6455, section 7.4; 1006 when there was no close frame.
        code: u16,
        /// The reason, as the peer wrote it.
        text: String,
    },
    /// What the peer sent is no frame.
    Protocol(String),
    /// A message is longer than [`LONGEST_MESSAGE`].
    TooLong,
    /// The deadline.
    TimedOut(TimedOut),
    /// The stream failed.
    Io(io::Error),
}

impl FrameError {
    /// The connection ended without a close frame.
    pub(super) fn cut_off() -> Self {
        Self::Closed {
            code: 1006,
            text: "unexpected EOF".to_owned(),
        }
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed { code, text } => {
                write!(f, "websocket: close {code}{}", meaning(*code))?;
                if text.is_empty() {
                    Ok(())
                } else {
                    write!(f, ": {text}")
                }
            }
            Self::Protocol(reason) => write!(f, "websocket: {reason}"),
            Self::TooLong => write!(
                f,
                "websocket: read limit exceeded: a message has more than {LONGEST_MESSAGE} bytes"
            ),
            Self::TimedOut(timed_out) => write!(f, "i/o timeout: {timed_out}"),
            Self::Io(error) => write!(f, "{}", SystemError(error)),
        }
    }
}

/// Why a peer closes, in words.
pub(super) fn meaning(code: u16) -> &'static str {
    match code {
        1000 => " (normal)",
        1001 => " (going away)",
        1002 => " (protocol error)",
        1003 => " (unsupported data)",
        1005 => " (no status)",
        1006 => " (abnormal closure)",
        1007 => " (invalid payload data)",
        1008 => " (policy violation)",
        1009 => " (message too big)",
        1010 => " (mandatory extension missing)",
        1011 => " (internal server error)",
        1015 => " (TLS handshake error)",
        _ => "",
    }
}
