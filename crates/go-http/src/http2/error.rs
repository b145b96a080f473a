//! Why there is no answer over HTTP/2.

use std::fmt;
use std::io;

use gostd::os_error::SystemError;

const REFUSED_STREAM: u32 = 7;

/// Why there is no answer, or no end of it. Texts begin as Go's do.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum Http2Error {
    /// Something of the request cannot be sent over HTTP/2.
    Request(String),
    /// The body of the request could not be read.
    Source(io::Error),
    Read(io::Error),
    Write(io::Error),
    /// The connection ended.
    Closed,
    /// The peer said good-bye before it answered.
    GoAway {
        code: u32,
        last_stream: u32,
        /// Whether the peer has done nothing about the request.
        is_unread: bool,
        /// What else it said.
        debug: String,
    },
    /// The peer gave this request up.
    Reset(u32),
    /// The peer broke the protocol.
    Connection(&'static str),
    /// The peer's response is not valid HTTP/2.
    Malformed(&'static str),
    /// The request has more fields than the peer takes: so many bytes.
    ListTooLong(u32),
}

impl fmt::Display for Http2Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(reason) => write!(f, "http2: {reason}"),
            Self::Source(error) => write!(f, "reading the request's body: {}", SystemError(error)),
            Self::Read(error) => write!(f, "http2: reading the response: {}", SystemError(error)),
            Self::Write(error) => write!(f, "http2: writing the request: {}", SystemError(error)),
            Self::Closed => f.write_str("unexpected EOF: http2: the peer closed the connection"),
            Self::GoAway {
                code,
                last_stream,
                debug,
                ..
            } => write!(
                f,
                "http2: server sent GOAWAY and closed the connection; LastStreamID={last_stream}, ErrCode={}, debug={debug:?}",
                code_name(*code)
            ),
            Self::Reset(code) => {
                write!(
                    f,
                    "stream error: stream ID 1; {}; received from peer",
                    code_name(*code)
                )
            }
            Self::Connection(reason) => write!(f, "http2: connection error: {reason}"),
            Self::ListTooLong(most) => write!(
                f,
                "header list size to send violates the maximum size ({most} bytes) set by server"
            ),
            Self::Malformed(reason) => write!(f, "stream error: stream ID 1; PROTOCOL_ERROR; {reason}"),
        }
    }
}

impl Http2Error {
    /// Whether the peer said that it has done nothing about the request, which may be sent again then.
    pub fn invites_retry(&self) -> bool {
        matches!(
            self,
            Self::Reset(REFUSED_STREAM)
                | Self::GoAway {
                    code: 0,
                    last_stream: 0,
                    ..
                }
        )
    }
}

impl std::error::Error for Http2Error {}

impl From<Http2Error> for io::Error {
    fn from(error: Http2Error) -> Self {
        Self::other(error)
    }
}

/// The name of an error code (RFC 9113, section 7).
pub fn code_name(code: u32) -> String {
    const NAMES: [&str; 14] = [
        "NO_ERROR",
        "PROTOCOL_ERROR",
        "INTERNAL_ERROR",
        "FLOW_CONTROL_ERROR",
        "SETTINGS_TIMEOUT",
        "STREAM_CLOSED",
        "FRAME_SIZE_ERROR",
        "REFUSED_STREAM",
        "CANCEL",
        "COMPRESSION_ERROR",
        "CONNECT_ERROR",
        "ENHANCE_YOUR_CALM",
        "INADEQUATE_SECURITY",
        "HTTP_1_1_REQUIRED",
    ];
    let known = usize::try_from(code).ok().and_then(|code| NAMES.get(code));
    known.map_or_else(
        || format!("unknown error code 0x{code:x}"),
        |name| (*name).to_owned(),
    )
}
