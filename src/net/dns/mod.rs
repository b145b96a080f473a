//! Carrying DNS messages beyond UDP: on streams, each with its length in front (TCP, TLS: RFC 7766, RFC 7858), in HTTP
//! (RFC 8484) and on QUIC (RFC 9250). The dns prober and the resolvers of modules share it.

mod http;
mod quic;

use std::io;

use go_http::http1::{ExchangeError, WriteError};
use go_http::http2::Http2Error;
use go_http::http3::Http3Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::dial::SystemError;
use crate::reason::Reason;

pub use http::{Ask, DohMethod, authority, over_http, over_http3};
pub use quic::over_quic;

/// Why no response came.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum CarryError {
    /// The query could not be sent.
    #[error("sending the query: {}", SystemError(.0))]
    Send(io::Error),
    /// The response could not be received.
    #[error("waiting for the response: {}", SystemError(.0))]
    Receive(io::Error),
    /// The peer closed the connection before or within the response.
    #[error("waiting for the response: the connection was closed")]
    Closed,
    #[error("{0}")]
    Http1(ExchangeError),
    #[error("{0}")]
    Http2(Http2Error),
    #[error("{0}")]
    Http3(Http3Error),
    /// The server answered HTTP, but with this status.
    #[error("the server responded with {protocol} status {status}")]
    Status { protocol: String, status: u16 },
    /// What came is of another type than `application/dns-message`.
    #[error("the server responded with the content type {0:?}, not application/dns-message")]
    ContentType(String),
    /// What came is longer than a DNS message can be.
    #[error("the response is longer than the 65535 octets of a DNS message")]
    TooLong,
    /// The QUIC connection or its stream ended.
    #[error("quic: {0}")]
    Quic(String),
}

impl CarryError {
    /// What the connection itself told, below HTTP.
    pub fn of_connection(&self) -> Option<&io::Error> {
        match self {
            Self::Send(error)
            | Self::Receive(error)
            | Self::Http1(ExchangeError::Read(error) | ExchangeError::Write(WriteError::Sink(error)))
            | Self::Http2(Http2Error::Read(error) | Http2Error::Write(error)) => Some(error),
            _ => None,
        }
    }

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
