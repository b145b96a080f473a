//! `tls_config`, as every prober and the OAuth2 client have it.

use super::Secret;

/// A TLS protocol version as the configuration names it (`TLS10` to `TLS13`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum TlsVersion {
    Tls10,
    Tls11,
    Tls12,
    Tls13,
}

/// How to speak TLS with a server and how to judge its certificate. Empty text means "not set".
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tls {
    /// CA certificates in PEM.
    pub ca: String,
    /// Client certificate in PEM.
    pub cert: String,
    /// Client key in PEM.
    pub key: Secret,
    /// File with CA certificates, read at probe time.
    pub ca_file: String,
    /// File with the client certificate, read at probe time.
    pub cert_file: String,
    /// File with the client key, read at probe time.
    pub key_file: String,
    /// Name to send as SNI and to verify, instead of the target's.
    pub server_name: String,
    /// Accept any certificate.
    pub insecure_skip_verify: bool,
    /// Lowest version to offer.
    pub min_version: Option<TlsVersion>,
    /// Highest version to offer.
    pub max_version: Option<TlsVersion>,
}
