//! The one TLS client of all probers.

use std::fmt;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::client::TlsStream;

use super::tls_facts::TlsFacts;
use super::{Deadline, TimedOut};
use crate::config;

/// The system's CA certificates, loaded once and shared.
#[derive(Debug, Default)]
pub struct Roots;

/// A compiled `tls_config`: cheap to keep, nothing is read until a probe prepares it.
#[derive(Clone, Debug)]
pub struct ClientTls {
    raw: config::Tls,
}

/// A `tls_config` whose files were read: ready for one or more handshakes of one probe.
#[derive(Debug)]
pub struct Prepared;

/// Which application protocols to offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alpn {
    /// None: raw TCP, unix, DNS.
    None,
    /// `http/1.1` is not named; only HTTP/1.1 is spoken.
    Http1,
    /// `h2`, then `http/1.1`.
    Http2,
    /// `h2` only: gRPC.
    Grpc,
    /// `h3` only.
    Http3,
}

/// A connection after a successful handshake.
#[derive(Debug)]
pub struct Session<S> {
    /// The encrypted stream.
    pub stream: TlsStream<S>,
    /// What the handshake told.
    pub facts: TlsFacts,
}

/// A failed handshake, with what it told before it failed.
#[derive(Debug)]
pub struct HandshakeError {
    /// Why.
    pub error: TlsError,
    /// The certificates that were presented, if it came that far.
    pub facts: Option<TlsFacts>,
}

/// Why TLS could not be prepared or agreed.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum TlsError {
    /// A file of the configuration cannot be used.
    File { path: String, reason: String },
    /// An inline value of the configuration cannot be used.
    Config(String),
    /// The handshake failed; the text says how, in Go's words where Go has them.
    Handshake(String),
    /// The deadline.
    TimedOut(TimedOut),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, reason } => write!(f, "{path}: {reason}"),
            Self::Config(reason) | Self::Handshake(reason) => f.write_str(reason),
            Self::TimedOut(timed_out) => write!(f, "TLS handshake: {timed_out}"),
        }
    }
}

impl std::error::Error for TlsError {}

impl ClientTls {
    /// Takes a `tls_config` over. Files are read at probe time, as upstream does.
    pub fn new(raw: &config::Tls) -> Self {
        Self { raw: raw.clone() }
    }

    /// The configured `server_name`, if any.
    pub fn server_name(&self) -> Option<&str> {
        Some(self.raw.server_name.as_str()).filter(|name| !name.is_empty())
    }

    /// Reads the files (again if they changed) and gets ready to shake hands. Call it before connecting.
    ///
    /// # Errors
    /// A missing or broken file, by name; a broken inline value.
    pub async fn prepare(&self, _roots: &Roots) -> Result<Prepared, TlsError> {
        Err(TlsError::Config("TLS is not there yet".to_owned()))
    }
}

impl Prepared {
    /// Shakes hands on `stream` with the server called `name` (a host name or an IP address; used for SNI and verification).
    ///
    /// # Errors
    /// The verdict on the certificate, an alert, broken records, the end of the connection, or the deadline.
    pub async fn handshake<S: AsyncRead + AsyncWrite + Unpin + Send>(
        &self,
        _stream: S,
        _name: &str,
        _alpn: Alpn,
        _deadline: Deadline,
    ) -> Result<Session<S>, Box<HandshakeError>> {
        Err(Box::new(HandshakeError {
            error: TlsError::Config("TLS is not there yet".to_owned()),
            facts: None,
        }))
    }
}
