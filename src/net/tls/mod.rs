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

use std::sync::Arc;

use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};

use facts::TlsFacts;

pub use alert::alert_of;
pub use cbc::suites as cbc_suites;
pub use error::{TlsError, by_rustls};
pub use first_use::seed;
pub use handshake::{UNANSWERED, in_words};
pub use material::{ClientTls, key_pair};
pub use roots::{Roots, SystemRoots};
pub use stream::Stream;
pub use verifier::{Recorder, aside};

/// A `tls_config` whose files were read: ready for the handshakes of one probe.
#[derive(Clone, Debug)]
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
