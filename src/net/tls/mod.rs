//! The one TLS client of all probers: rustls for the protocol, [`x509`](super::x509) for the verdict.
//!
//! A probe *prepares* a module's `tls_config` before it connects, because a missing file must fail before that, and then
//! shakes hands, once or (in HTTP redirects) several times. What a handshake told is kept when it fails, too.

mod alert;
mod cbc;
mod error;
pub mod facts;
mod first_use;
mod handshake;
mod material;
mod p521;
mod roots;
mod server_hello;
mod stream;
mod tap;
mod verifier;

use std::fmt;
use std::sync::Arc;

use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Deadline;
use crate::config;

use facts::TlsFacts;

pub use alert::alert_of;
pub use cbc::suites as cbc_suites;
pub use error::{TlsError, by_rustls};
pub use first_use::seed;
pub use handshake::in_words;
pub use material::key_pair;
pub use roots::{Roots, SystemRoots};
pub use stream::Stream;
pub use verifier::{Recorder, aside};

/// A compiled `tls_config`: cheap to keep, nothing is read until a probe prepares it. Clones share what was read.
#[derive(Clone)]
pub struct ClientTls {
    shared: Arc<material::Material>,
}

/// A `tls_config` whose files were read: ready for the handshakes of one probe.
#[derive(Clone)]
pub struct Prepared {
    /// Lacks only application protocols and verifier.
    base: Result<Arc<ClientConfig>, String>,
    trust: verifier::Trust,
    allows_tls13: bool,
}

/// Which application protocols to offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alpn {
    /// None: raw TCP, unix, DNS.
    None,
    /// None either: only HTTP/1.1 is spoken, which Go does not name.
    Http1,
    /// `h2`, then `http/1.1`.
    Http2,
    /// `h2` only: gRPC.
    Grpc,
    /// `h3` only.
    Http3,
    /// `doq` only: DNS over QUIC.
    Doq,
}

impl Alpn {
    /// The names that are offered.
    pub fn protocols(self) -> Vec<Vec<u8>> {
        match self {
            Self::None | Self::Http1 => Vec::new(),
            Self::Http2 => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            Self::Grpc => vec![b"h2".to_vec()],
            Self::Http3 => vec![b"h3".to_vec()],
            Self::Doq => vec![b"doq".to_vec()],
        }
    }

    fn is_over_quic(self) -> bool {
        matches!(self, Self::Http3 | Self::Doq)
    }
}

/// A connection after a successful handshake.
#[derive(Debug)]
pub struct Session<S: AsyncRead + AsyncWrite + Unpin> {
    /// The encrypted stream.
    pub stream: Stream<S>,
    /// What the handshake told.
    pub facts: TlsFacts,
}

/// A failed handshake, with what it told before it failed.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct HandshakeError {
    /// Why.
    pub error: TlsError,
    /// The certificates that were presented, if it came that far.
    pub facts: Option<TlsFacts>,
    /// What the peer did instead.
    pub seen: Seen,
}

/// What a peer did instead of shaking hands, as far as it tells something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Seen {
    /// Nothing that tells.
    #[default]
    Nothing,
    /// It closed the connection.
    Closed,
    /// It does not speak TLS: its first bytes.
    Foreign(Vec<u8>),
    /// It chose a version that is not spoken here.
    TooOld(Option<&'static str>),
    /// An alert (RFC 8446, section 6).
    Alert(u8),
}

impl ClientTls {
    /// Takes a `tls_config` over. Files are read at probe time, as upstream does.
    pub fn new(raw: impl Into<config::Shared<config::Tls>>) -> Self {
        Self {
            shared: Arc::new(material::Material::new(raw.into())),
        }
    }

    /// The configured `server_name`, if any.
    pub fn server_name(&self) -> Option<&str> {
        self.shared.server_name()
    }

    /// Whether `min_version` excludes older versions than TLS 1.3.
    pub fn is_at_least_tls13(&self) -> bool {
        self.shared.min_version() == Some(config::TlsVersion::Tls13)
    }

    /// Reads the files (again if they changed) and gets ready to shake hands. Call it before connecting.
    ///
    /// # Errors
    /// A missing or broken file, by name; a broken inline value; a contradiction between versions; the deadline.
    pub async fn prepare(&self, roots: &Roots, deadline: Deadline) -> Result<Prepared, TlsError> {
        self.shared.prepare(roots, deadline).await
    }
}

impl HandshakeError {
    /// Of a handshake in which nothing came from the peer.
    pub fn unheard(error: TlsError) -> Box<Self> {
        Box::new(Self {
            error,
            facts: None,
            seen: Seen::Nothing,
        })
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").finish_non_exhaustive()
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").finish_non_exhaustive()
    }
}
