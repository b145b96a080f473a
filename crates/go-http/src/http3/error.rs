//! Why there is no answer over HTTP/3.

use std::io;

use quinn::{ConnectionError, ReadError, VarInt};

use crate::http2::hpack::Malformed;

/// Why there is no answer, or no end of it.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum Http3Error {
    /// Something of the request cannot be sent over HTTP/3.
    #[error("{0}")]
    Request(String),
    /// The body of the request could not be read.
    #[error("{0}")]
    Source(io::Error),
    /// The stream or its connection broke.
    #[error("reading the response: {}", broken(.0))]
    Read(io::Error),
    #[error("{}", lost(.0))]
    Lost(ConnectionError),
    /// The stream ended before there was an answer.
    #[error("EOF: the peer ended the stream without an answer")]
    Closed,
    /// It ended within a frame.
    #[error("unexpected EOF: the peer ended the stream within a frame")]
    Truncated,
    #[error("server response headers exceeded {} bytes", super::MAX_HEADERS)]
    HeadersTooLarge,
    #[error("too many 1xx informational responses")]
    TooManyInterim,
    /// A field section is none of QPACK, or needs the dynamic table that was not offered.
    #[error("invalid response: QPACK_DECOMPRESSION_FAILED")]
    Undecodable,
    /// The peer broke the protocol of the connection, in the way that this code means.
    #[error("connection error: {code}: {1}", code = code_name((*.0).into()))]
    Connection(u32, &'static str),
    /// The peer's response is not valid HTTP/3.
    #[error("invalid response: {0}")]
    Malformed(String),
}

pub(super) const NO_ERROR: u32 = 0x100;
pub(super) const STREAM_CREATION_ERROR: u32 = 0x103;
pub(super) const CLOSED_CRITICAL_STREAM: u32 = 0x104;
pub(super) const FRAME_UNEXPECTED: u32 = 0x105;
pub(super) const FRAME_ERROR: u32 = 0x106;
const EXCESSIVE_LOAD: u32 = 0x107;
pub(super) const ID_ERROR: u32 = 0x108;
pub(super) const SETTINGS_ERROR: u32 = 0x109;
pub(super) const MISSING_SETTINGS: u32 = 0x10a;
const REQUEST_REJECTED: u32 = 0x10b;
const REQUEST_CANCELLED: u32 = 0x10c;
const REQUEST_INCOMPLETE: u32 = 0x10d;
const MESSAGE_ERROR: u32 = 0x10e;
const DECOMPRESSION_FAILED: u32 = 0x200;

impl Http3Error {
    /// Whether the peer did nothing about the request, so that it may be sent again.
    pub fn is_rejected(&self) -> bool {
        let Self::Read(error) = self else { return false };
        let reset = error.get_ref().and_then(|error| error.downcast_ref());
        matches!(reset, Some(ReadError::Reset(code)) if *code == VarInt::from_u32(REQUEST_REJECTED))
    }

    /// What the peer is told.
    pub(super) fn code(&self) -> u32 {
        match self {
            Self::Connection(code, _) => *code,
            Self::Undecodable => DECOMPRESSION_FAILED,
            Self::HeadersTooLarge | Self::TooManyInterim => EXCESSIVE_LOAD,
            Self::Closed | Self::Truncated => REQUEST_INCOMPLETE,
            Self::Malformed(_) => MESSAGE_ERROR,
            Self::Request(_) | Self::Source(_) => REQUEST_CANCELLED,
            Self::Read(_) | Self::Lost(_) => NO_ERROR,
        }
    }
}

impl From<Malformed> for Http3Error {
    fn from(_: Malformed) -> Self {
        Self::Undecodable
    }
}

impl From<Http3Error> for io::Error {
    fn from(error: Http3Error) -> Self {
        match error {
            Http3Error::Truncated => Self::new(io::ErrorKind::UnexpectedEof, error),
            error => Self::other(error),
        }
    }
}

/// What is said of a stream that cannot be read.
fn broken(error: &io::Error) -> String {
    match error.get_ref().and_then(|error| error.downcast_ref()) {
        Some(ReadError::Reset(code)) => format!("stream reset by the peer: {}", code_name(*code)),
        Some(ReadError::ConnectionLost(error)) => lost(error),
        _ => error.to_string(),
    }
}

/// What is said of a connection that has ended.
fn lost(error: &ConnectionError) -> String {
    match error {
        ConnectionError::ApplicationClosed(close) => format!(
            "the peer closed the connection: {}, reason={:?}",
            code_name(close.error_code),
            String::from_utf8_lossy(close.reason.get(..200).unwrap_or(&close.reason))
        ),
        error => format!("connection lost: {error}"),
    }
}

/// RFC 9114, section 8.1, and RFC 9204, section 6.
fn code_name(code: VarInt) -> String {
    const HTTP3: [&str; 17] = [
        "H3_NO_ERROR",
        "H3_GENERAL_PROTOCOL_ERROR",
        "H3_INTERNAL_ERROR",
        "H3_STREAM_CREATION_ERROR",
        "H3_CLOSED_CRITICAL_STREAM",
        "H3_FRAME_UNEXPECTED",
        "H3_FRAME_ERROR",
        "H3_EXCESSIVE_LOAD",
        "H3_ID_ERROR",
        "H3_SETTINGS_ERROR",
        "H3_MISSING_SETTINGS",
        "H3_REQUEST_REJECTED",
        "H3_REQUEST_CANCELLED",
        "H3_REQUEST_INCOMPLETE",
        "H3_MESSAGE_ERROR",
        "H3_CONNECT_ERROR",
        "H3_VERSION_FALLBACK",
    ];
    const QPACK: [&str; 3] = [
        "QPACK_DECOMPRESSION_FAILED",
        "QPACK_ENCODER_STREAM_ERROR",
        "QPACK_DECODER_STREAM_ERROR",
    ];
    let code = code.into_inner();
    let name = |names: &'static [&'static str], first: u64| {
        let index = usize::try_from(code.checked_sub(first)?).ok()?;
        names.get(index).copied()
    };
    name(&HTTP3, 0x100)
        .or_else(|| name(&QPACK, 0x200))
        .map_or_else(|| format!("error code 0x{code:x}"), ToOwned::to_owned)
}
