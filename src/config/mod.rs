//! What the user typed: the configuration file of the seven probers as plain data.
//!
//! The field names and defaults are upstream's (`config/config.go` of blackbox_exporter and
//! `config/http_config.go` of prometheus/common). Nothing here can run: `module` compiles it.

mod dns;
pub mod dns_names;
mod grpc;
mod http;
mod http_client;
mod icmp;
mod query_response;
mod secret;
pub mod targets;
mod tcp;
mod tls;
mod unix;
mod websocket;

use std::collections::BTreeMap;

pub use dns::{Dns, RrValidator};
pub use grpc::Grpc;
pub use http::{HeaderMatch, Http};
pub use http_client::{Authorization, BasicAuth, Header, HttpClient, OAuth2, Proxy};
pub use icmp::Icmp;
pub use query_response::{Label, QueryResponse};
pub use secret::Secret;
pub use tcp::Tcp;
pub use tls::{Tls, TlsVersion};
pub use unix::Unix;
pub use websocket::Websocket;

/// A whole configuration file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// The modules by name, in the order `/config` prints them.
    pub modules: BTreeMap<String, Module>,
}

/// Which prober a module runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Prober {
    Http,
    Tcp,
    Icmp,
    Dns,
    Grpc,
    Unix,
    Websocket,
}

impl Prober {
    /// Every prober, in the order the documentation lists them.
    pub const ALL: [Prober; 7] = [
        Self::Http,
        Self::Tcp,
        Self::Icmp,
        Self::Dns,
        Self::Grpc,
        Self::Unix,
        Self::Websocket,
    ];

    /// The name used in `prober:`, in logs and in the exporter's own metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tcp => "tcp",
            Self::Icmp => "icmp",
            Self::Dns => "dns",
            Self::Grpc => "grpc",
            Self::Unix => "unix",
            Self::Websocket => "websocket",
        }
    }
}

/// One module: a prober, its time-out and the sections of all probers.
///
/// Only the section of the chosen prober matters; the others are kept because `/config` shows them.
#[derive(Clone, Debug, PartialEq)]
pub struct Module {
    /// The prober that this module runs.
    pub prober: Prober,
    /// Go duration in nanoseconds; zero or negative means "no time-out of its own".
    pub timeout: i64,
    /// Section `http`.
    pub http: Http,
    /// Section `tcp`.
    pub tcp: Tcp,
    /// Section `icmp`.
    pub icmp: Icmp,
    /// Section `dns`.
    pub dns: Dns,
    /// Section `grpc`.
    pub grpc: Grpc,
    /// Section `unix`.
    pub unix: Unix,
    /// Section `websocket`.
    pub websocket: Websocket,
}

impl Module {
    /// A module with upstream's defaults in every section.
    pub fn new(prober: Prober) -> Self {
        Self {
            prober,
            timeout: 0,
            http: Http::default(),
            tcp: Tcp::default(),
            icmp: Icmp::default(),
            dns: Dns::default(),
            grpc: Grpc::default(),
            unix: Unix::default(),
            websocket: Websocket::default(),
        }
    }
}
