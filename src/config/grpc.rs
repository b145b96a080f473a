//! Section `grpc`.

use std::collections::BTreeMap;

use super::Tls;
use super::decode::Section;
use super::value::section;

/// Settings of the grpc prober.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Grpc {
    /// Service name of the health check; empty asks for the whole server.
    pub service: String,
    pub tls: bool,
    pub tls_config: Tls,
    pub ip_protocol_fallback: bool,
    pub preferred_ip_protocol: String,
    pub metadata: BTreeMap<String, Vec<String>>,
}

impl Default for Grpc {
    fn default() -> Self {
        Self {
            service: String::new(),
            tls: false,
            tls_config: Tls::default(),
            ip_protocol_fallback: true,
            preferred_ip_protocol: String::new(),
            metadata: BTreeMap::new(),
        }
    }
}

section!(Grpc {
    omit service;
    omit tls;
    omit tls_config;
    omit ip_protocol_fallback;
    omit preferred_ip_protocol;
    omit metadata;
});

impl Section for Grpc {
    fn begin(&mut self) {
        *self = Self::default();
    }
}
