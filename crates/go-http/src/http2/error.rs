//! Why there is no answer over HTTP/2.

use std::io;

use gostd::os_error::SystemError;

const REFUSED_STREAM: u32 = 7;

/// Why there is no answer, or no end of it. Texts begin as Go's do.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum Http2Error {
    /// Something of the request cannot be sent over HTTP/2.
    #[error("http2: {0}")]
    Request(String),
    /// The body of the request could not be read.
    #[error("{0}")]
    Source(io::Error),
    #[error("http2: reading the response: {}", SystemError(.0))]
    Read(io::Error),
    #[error("http2: writing the request: {}", SystemError(.0))]
    Write(io::Error),
    /// The connection ended.
    #[error("unexpected EOF: http2: the peer closed the connection")]
    Closed,
    /// The peer said good-bye before it answered.
    #[error("http2: server sent GOAWAY and closed the connection; LastStreamID={last_stream}, ErrCode={}, debug={debug:?}", code_name(*.code))]
    GoAway {
        code: u32,
        last_stream: u32,
        /// Whether the peer has done nothing about the request.
        is_unread: bool,
        /// What else it said.
        debug: String,
    },
    /// The peer gave this request up.
    #[error("stream error: stream ID 1; {}; received from peer", code_name(*.0))]
    Reset(u32),
    /// The peer broke the protocol.
    #[error("http2: connection error: {0}")]
    Connection(&'static str),
    /// The peer's response is not valid HTTP/2.
    #[error("stream error: stream ID 1; PROTOCOL_ERROR; {0}")]
    Malformed(&'static str),
    /// The request has more fields than the peer takes: so many bytes.
    #[error("header list size to send violates the maximum size ({0} bytes) set by server")]
    ListTooLong(u32),
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
