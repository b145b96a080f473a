//! The compiled `grpc` section.

use http::{HeaderName, HeaderValue};

use super::Problems;
use crate::config;
use crate::net::Preference;
use crate::net::tls::ClientTls;
use crate::prober::grpc::metadata_headers;

/// A grpc module, ready to run.
#[derive(Debug)]
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
