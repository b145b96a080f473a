//! Carrying DNS messages beyond UDP: on streams, each with its length in front (TCP, TLS: RFC 7766, RFC 7858), in HTTP
//! (RFC 8484) and on QUIC (RFC 9250). The dns prober and the resolvers of modules share it.

mod http;
mod quic;

use std::fmt;
use std::io;

use go_http::http1::ExchangeError;
use go_http::http2::Http2Error;
use go_http::http3::Http3Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::dial::SystemError;
use crate::reason::Reason;

pub use http::{Ask, Method, over_http, over_http3};
pub use quic::over_quic;

/// Why no response came.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum CarryError {
    /// The query could not be sent.
    Send(io::Error),
    /// The response could not be received.
    Receive(io::Error),
    /// The peer closed the connection before or within the response.
    Closed,
    Http1(ExchangeError),
    Http2(Http2Error),
    Http3(Http3Error),
    /// The server answered HTTP, but with this status.
    Status {
        protocol: String,
        status: u16,
    },
    /// What came is of another type than `application/dns-message`.
    ContentType(String),
    /// What came is longer than a DNS message can be.
    TooLong,
    /// The QUIC connection or its stream ended.
    Quic(String),
}

impl CarryError {
    /// Its place among the reasons of failures.
    pub fn reason(&self) -> Reason {
        match self {
            // Over UDP, a refused connection is only told when it is used.
            Self::Send(error) | Self::Receive(error) => error.into(),
            Self::Closed => Reason::PeerClosed,
            Self::Http1(error) => error.into(),
            Self::Http2(error) => error.into(),
            Self::Http3(error) => error.into(),
            Self::Status { .. } => Reason::HttpStatus,
            Self::Quic(_) => Reason::PeerClosed,
            Self::ContentType(_) | Self::TooLong => Reason::ProtocolError,
        }
    }
}

impl fmt::Display for CarryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(error) => write!(f, "sending the query: {}", SystemError(error)),
            Self::Receive(error) => write!(f, "waiting for the response: {}", SystemError(error)),
            Self::Closed => f.write_str("waiting for the response: the connection was closed"),
            Self::Http1(error) => error.fmt(f),
            Self::Http2(error) => error.fmt(f),
            Self::Http3(error) => error.fmt(f),
            Self::Status { protocol, status } => {
                write!(f, "the server responded with {protocol} status {status}")
            }
            Self::ContentType(given) => write!(
                f,
                "the server responded with the content type {given:?}, not application/dns-message"
            ),
            Self::TooLong => f.write_str("the response is longer than the 65535 octets of a DNS message"),
            Self::Quic(error) => write!(f, "quic: {error}"),
        }
    }
}

impl std::error::Error for CarryError {}

/// A message with its length in front.
fn framed(message: &[u8]) -> io::Result<Vec<u8>> {
    let length = u16::try_from(message.len()).map_err(io::Error::other)?;
    Ok([&length.to_be_bytes(), message].concat())
}

/// Sends a message on a stream of messages.
///
/// # Errors
/// The stream's.
pub async fn send(stream: &mut (impl AsyncWrite + Unpin), message: &[u8]) -> Result<(), CarryError> {
    let sending = async {
        stream.write_all(&framed(message)?).await?;
        stream.flush().await
    };
    sending.await.map_err(CarryError::Send)
}

/// Reads a message off a stream of messages.
///
/// # Errors
/// The stream's, or its end.
pub async fn receive(stream: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>, CarryError> {
    let receiving = async {
        let length = stream.read_u16().await?;
        let mut buffer = vec![0; usize::from(length)];
        stream.read_exact(&mut buffer).await?;
        Ok(buffer)
    };
    receiving.await.map_err(|error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => CarryError::Closed,
        _ => CarryError::Receive(error),
    })
}
