//! The compiled `tcp` section.

use std::time::Duration;

use super::{Problems, Step};
use crate::config;
use crate::net::Preference;
use crate::net::tls::ClientTls;

/// A tcp module, ready to run.
#[derive(Debug)]
pub struct Tcp {
    /// Which address family.
    pub preference: Preference,
    /// Source address as written; judged at probe time, after the target is resolved.
    pub source_ip_address: Option<Box<str>>,
    /// Whether the connection begins with TLS.
    pub tls: bool,
    /// How TLS is done, at the beginning or at a `starttls` step.
    pub tls_config: ClientTls,
    /// The dialogue.
    pub steps: Vec<Step>,
    /// How many connects.
    pub count: u32,
    /// How far apart.
    pub interval: Duration,
}

impl Tcp {
    /// Compiles the section; what cannot be compiled is reported to `problems`.
    pub fn compile(raw: &config::Tcp, problems: &mut Problems) -> Self {
        let source = raw.source_ip_address.as_str();
        Self {
            preference: Preference::new(&raw.preferred_ip_protocol, raw.ip_protocol_fallback),
            source_ip_address: Some(source).filter(|s| !s.is_empty()).map(Into::into),
            tls: raw.tls,
            tls_config: ClientTls::new(&raw.tls_config),
            steps: Step::compile_all(&raw.query_response, "tcp", problems),
            count: raw.repeat.packets(),
            interval: raw.repeat.pause(),
        }
    }
}
