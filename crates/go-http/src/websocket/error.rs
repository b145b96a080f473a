//! Why no message could be read or written.

use std::io;

use gostd::deadline::TimedOut;
use gostd::os_error::SystemError;

use super::LONGEST_MESSAGE;

/// Why no message could be read or written. Displays in gorilla's words.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The peer closed with this code and text.
    #[error("websocket: close {code}{}{}{text}", meaning(*.code), if .text.is_empty() { "" } else { ": " })]
    Closed {
        /// The status code of RFC 6455, section 7.4; 1006 when there was no close frame.
        code: u16,
        /// The reason, as the peer wrote it.
        text: String,
    },
    /// What the peer sent is no frame.
    #[error("websocket: {0}")]
    Protocol(String),
    /// A message is longer than [`LONGEST_MESSAGE`].
    #[error("websocket: read limit exceeded: a message has more than {LONGEST_MESSAGE} bytes")]
    TooLong,
    /// The deadline.
    #[error("i/o timeout: {0}")]
    TimedOut(TimedOut),
    /// The stream failed.
    #[error("{}", SystemError(.0))]
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
