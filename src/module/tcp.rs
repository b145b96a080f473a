//! The compiled `tcp` section.

use std::time::Duration;

use super::{Problems, SectionSource, Step};
use crate::config::{self, StartTls};
use crate::net::Preference;
use crate::net::tls::ClientTls;
use crate::net::url::Url;

/// A tcp module, ready to run.
#[derive(Debug)]
pub struct Tcp {
    /// Which address family.
    pub preference: Preference,
    /// The source address.
    pub source: SectionSource,
    /// Whether the connection begins with TLS.
    pub tls: bool,
    /// The protocol whose command for TLS comes first.
    pub starttls: Option<StartTls>,
    /// How TLS is done, at the beginning or at a `starttls` step.
    pub tls_config: ClientTls,
    /// The dialogue.
    pub steps: Vec<Step>,
    /// How many connects.
    pub count: u32,
    /// How far apart.
    pub interval: Duration,
    /// The SOCKS5 proxy that connections go through.
    pub proxy: Option<Url>,
    /// Whether connections end with a reset.
    pub resets: bool,
}

impl Tcp {
    /// Whether TLS is spoken, from the beginning or later.
    pub fn speaks_tls(&self) -> bool {
        self.tls || self.starttls.is_some() || self.steps.iter().any(|step| step.starttls)
    }

    /// Compiles the section; what cannot be compiled is reported to `problems`.
    pub fn compile(raw: &config::Tcp, problems: &mut Problems) -> Self {
        Self {
            preference: Preference::new(&raw.preferred_ip_protocol, raw.ip_protocol_fallback),
            source: problems.source("tcp.source_ip_address", &raw.source_ip_address),
            tls: raw.tls,
            starttls: raw.starttls,
            tls_config: problems.tls(&raw.tls_config),
            steps: Step::compile_all(&raw.query_response, "tcp", problems),
            count: raw.repeat.packets(),
            interval: raw.repeat.pause(),
            proxy: raw.proxy.url(),
            resets: raw.linger == Some(0),
        }
    }
}
