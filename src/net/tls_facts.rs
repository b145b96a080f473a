//! What a TLS handshake told, and the metrics made of it.

use crate::metrics::Samples;

/// Facts of one handshake, failed ones included.
#[derive(Clone, Debug, Default)]
pub struct TlsFacts {
    /// `TLS 1.2`, `TLS 1.3`; `None` when the handshake did not get that far.
    pub version: Option<&'static str>,
    /// The cipher suite under Go's name.
    pub cipher: Option<&'static str>,
    /// The application protocol agreed on.
    pub alpn: Option<Vec<u8>>,
    /// The certificates as presented, leaf first.
    pub presented: Vec<Certificate>,
    /// The verified chains, leaf first, root last; empty when none was found or none was asked for.
    pub chains: Vec<Vec<Certificate>>,
}

/// What is shown of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Subject as Go prints it (RFC 2253 order).
    pub subject: String,
    /// Issuer as Go prints it.
    pub issuer: String,
    /// Serial number: lower-case hex of its bytes.
    pub serial: String,
    /// DNS names of the SAN extension.
    pub dns_names: Vec<String>,
    /// SHA-256 of the DER form, lower-case hex.
    pub fingerprint: String,
    /// Start of validity, Unix seconds.
    pub not_before: i64,
    /// End of validity, Unix seconds.
    pub not_after: i64,
}

/// Which families a prober exposes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FactSet {
    /// http: everything.
    Http,
    /// tcp, unix, starttls: everything but the cipher.
    Stream,
    /// grpc: earliest expiry, version, leaf.
    Grpc,
}

impl TlsFacts {
    /// Writes the certificate and protocol families. What the handshake did not reach is left out.
    pub fn expose(&self, _samples: &mut Samples, _set: FactSet) {}
}
