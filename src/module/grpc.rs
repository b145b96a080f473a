//! The compiled `grpc` section.

use std::fmt;

use http::{HeaderName, HeaderValue};

use super::Problems;
use crate::config;
use crate::net::Preference;
use crate::net::tls::ClientTls;
use crate::prober::grpc::metadata_headers;

/// A grpc module, ready to run.
pub struct Grpc {
    /// Which addresses of the target may be dialled.
    pub preference: Preference,
    /// The service to ask about; empty for the whole server.
    pub service: String,
    /// Whether to speak TLS.
    pub tls: bool,
    /// How; a configuration that is given without TLS still has its files read, as upstream does.
    pub tls_config: Option<ClientTls>,
    /// The metadata as headers; metadata that gRPC does not allow fails the call, not the configuration.
    pub metadata: Result<Vec<(HeaderName, HeaderValue)>, String>,
}

/// Without the metadata, which may be credentials.
impl fmt::Debug for Grpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grpc")
            .field("preference", &self.preference)
            .field("service", &self.service)
            .field("tls", &self.tls)
            .field("tls_config", &self.tls_config)
            .finish_non_exhaustive()
    }
}

impl Grpc {
    /// Compiles the section; what cannot be compiled is reported to `problems`.
    pub fn compile(raw: &config::Grpc, _problems: &mut Problems) -> Self {
        let is_tls_configured = raw.tls || raw.tls_config != config::Tls::default();
        Self {
            preference: Preference::new(&raw.preferred_ip_protocol, raw.ip_protocol_fallback),
            service: raw.service.clone(),
            tls: raw.tls,
            tls_config: is_tls_configured.then(|| ClientTls::new(&raw.tls_config)),
            metadata: metadata_headers(&raw.metadata),
        }
    }
}
