//! What the user typed: the configuration file of the seven probers as plain data.
//!
//! The field names and defaults are upstream's (`config/config.go` of blackbox_exporter and
//! `config/http_config.go` of prometheus/common). Nothing here can run: `module` compiles it.

mod confidential;
mod decode;
mod dns;
mod environment;
pub mod exposition;
mod grpc;
mod hints;
mod http;
mod http_client;
mod icmp;
mod named;
mod params;
pub mod policy;
pub mod problem;
mod query_response;
mod repeat;
mod revocation;
pub mod schema;
mod secret;
mod shared;
mod socks;
mod source;
mod starttls;
mod status;
pub mod targets;
mod tcp;
mod tls;
mod trace;
mod tree;
mod unix;
mod url;
mod value;
pub mod vantage;
pub mod web;
mod websocket;
pub mod write;

use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) use confidential::{MASK, names_secret};
pub use decode::{Author, NamedFile, Options};
pub use dns::{Dns, Edns, RrValidator};
pub use gostd::units;
pub use grpc::Grpc;
pub use miekg_dns::names as dns_names;

pub use exposition::{Exposition, OwnExposition};
pub use go_yaml::{self as yaml, Position};
pub use http::{HeaderMatch, Http};
pub use http_client::{
    Authorization, BasicAuth, Header, HttpClient, JWT_BEARER, OAuth2, Proxy, canonical_header,
};
pub use icmp::Icmp;
pub use named::Named;
pub use params::{Param, Setting, Unfit};
pub use policy::Policy;
pub use problem::{Invalid, LoadError, Problem};
pub use query_response::{Label, QueryResponse};
pub use repeat::Repeat;
pub use revocation::{Ocsp, Revocation};
pub use secret::{Secret, WITHOUT_MANAGER};
pub use shared::Shared;
pub use socks::SocksProxy;
pub use source::{Parsed, Source, decode_text, parse, parse_with};
pub use starttls::StartTls;
pub use status::Status;
pub use tcp::Tcp;
pub use tls::{DECRYPT, KEY_IS_ENCRYPTED, Tls, TlsVersion, is_encrypted_key};
pub use trace::{Trace, TraceHeader};
pub use unix::Unix;
pub use vantage::{Addresses, Vantage};
pub use websocket::Websocket;

use decode::{Decoder, Section, Value};
use go_yaml::Id;
use grpc::WhenWritten;
use problem::one_of;
use schema::Sections;
use tree::Tree;
use value::{Codec, Duration, Write, section};

/// A whole configuration file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// The modules by name. `None` is a module of which nothing was written but its name: it loads, as upstream, but
    /// nothing can be probed with it.
    pub modules: BTreeMap<String, Option<Arc<Module>>>,
    /// What may be probed at all; ours.
    pub policy: Policy,
    /// Which further families are exposed; ours.
    pub exposition: Exposition,
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

    /// The prober of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|prober| prober.name() == name)
    }
}

/// Most attempts of a probe.
const MOST_ATTEMPTS: i64 = 10;

/// One module: a prober, its timeout and the sections of all probers.
///
/// Only the section of the chosen prober matters; the others are kept because `/config` shows them.
#[derive(Clone, Debug, PartialEq)]
pub struct Module {
    /// The prober that this module runs.
    pub prober: Prober,
    /// Go duration in nanoseconds; zero or negative means "no timeout of its own".
    pub timeout: i64,
    /// How often a probe is made until it succeeds, once when it is not written; ours.
    pub attempts: Option<i64>,
    /// Where it looks from.
    pub vantage: Vantage,
    /// Which further families it exposes.
    pub exposition: OwnExposition,
    /// Whether certificates are revoked.
    pub revocation: Revocation,
    /// Section `http`.
    pub http: Shared<Http>,
    /// Section `tcp`.
    pub tcp: Shared<Tcp>,
    /// Section `icmp`.
    pub icmp: Shared<Icmp>,
    /// Section `dns`.
    pub dns: Shared<Dns>,
    /// Section `grpc`.
    pub grpc: Shared<Grpc>,
    /// Section `unix`.
    pub unix: Shared<Unix>,
    /// Section `websocket`.
    pub websocket: Shared<Websocket>,
    /// The address that is dialled instead of those of the target's name: only a parameter sets it.
    pub ip_address: Option<std::net::IpAddr>,
    /// Settings that a scrape may set; ours.
    pub params: BTreeMap<String, Param>,
    /// The trace context that its probes send; ours.
    pub trace: Option<Trace>,
    /// Values that were made of `${…}`, and what was written: that is what is shown.
    pub expanded: Vec<(String, String)>,
}

impl Module {
    /// A module with upstream's defaults in every section.
    pub fn new(prober: Prober) -> Self {
        Self {
            prober,
            timeout: 0,
            attempts: None,
            vantage: Vantage::default(),
            exposition: OwnExposition::default(),
            revocation: Revocation::default(),
            http: Shared::default(),
            tcp: Shared::default(),
            icmp: Shared::default(),
            dns: Shared::default(),
            grpc: Shared::default(),
            unix: Shared::default(),
            websocket: Shared::default(),
            ip_address: None,
            params: BTreeMap::new(),
            trace: None,
            expanded: Vec::new(),
        }
    }

    /// How often a probe is made until it succeeds.
    pub fn most_attempts(&self) -> u32 {
        let attempts = self.attempts.unwrap_or(1);
        u32::try_from(attempts).unwrap_or(1).max(1)
    }

    /// Whether its prober looks certificates up in lists of revoked ones.
    pub fn looks_into_lists(&self) -> bool {
        match self.prober {
            Prober::Http => self.http.check_revoked,
            Prober::Tcp => self.tcp.check_revoked,
            Prober::Unix => self.unix.check_revoked,
            Prober::Grpc => self.grpc.check_revoked,
            Prober::Icmp | Prober::Dns | Prober::Websocket => false,
        }
    }

    /// As it is printed: references as they were written.
    pub(crate) fn shown(&self) -> Tree {
        let mut tree = Write::tree(self);
        self.unexpand(&mut tree);
        tree
    }

    /// Puts references back where their values stand.
    pub(crate) fn unexpand(&self, tree: &mut Tree) {
        for (expanded, written) in &self.expanded {
            tree.replace(expanded.as_bytes(), written.as_bytes());
        }
    }

    /// Where its first secret stands, or what stands for one: the path of what is not printed as it was written.
    pub fn secret(&self) -> Option<String> {
        let is_masked = |text: &[u8]| {
            let text = String::from_utf8_lossy(text);
            text.contains(MASK) || text.contains(":xxxxx@")
        };
        Write::tree(self).find(&is_masked)
    }

    /// Whether the section of that prober is as if it had not been written.
    pub fn is_default(&self, prober: Prober) -> bool {
        match prober {
            Prober::Http => self.http == Shared::default(),
            Prober::Tcp => self.tcp == Shared::default(),
            Prober::Icmp => self.icmp == Shared::default(),
            Prober::Dns => self.dns == Shared::default(),
            Prober::Grpc => self.grpc == Shared::default(),
            Prober::Unix => self.unix == Shared::default(),
            Prober::Websocket => self.websocket == Shared::default(),
        }
    }
}

impl Default for Module {
    fn default() -> Self {
        Self::new(Prober::Http)
    }
}

section!(Config {
    always modules as NamedModules;
    omit policy;
    omit exposition;
});

impl Section for Config {}

/// The modules; one of which nothing was written but its name is printed as an empty one.
struct NamedModules;

type ModuleMap = BTreeMap<String, Option<Arc<Module>>>;

impl Codec<ModuleMap> for NamedModules {
    fn decode(place: &mut ModuleMap, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        place.decode(node, d)
    }

    fn schema(sections: &mut Sections) -> serde_json::Value {
        schema::map(&Module::schema(sections))
    }
    fn is_zero(place: &ModuleMap) -> bool {
        place.is_empty()
    }
    fn tree(place: &ModuleMap) -> Tree {
        let empty = || Tree::Section(Vec::new());
        let entries = place
            .iter()
            .map(|(name, module)| (name.clone(), module.as_ref().map_or_else(empty, |m| m.shown())));
        Tree::Map(entries.collect())
    }
}

section!(Module {
    omit prober;
    omit timeout as Duration;
    omit attempts;
    inline vantage;
    inline exposition;
    inline revocation;
    omit http;
    omit tcp;
    omit icmp;
    omit dns;
    omit grpc as WhenWritten;
    omit unix;
    omit websocket;
    omit params;
    omit trace;
});

impl Section for Module {
    const REQUIRED: &'static [&'static str] = &["prober"];

    fn begin(&mut self) {
        *self = Self::default();
    }

    fn judge(&mut self, node: Id, d: &mut Decoder<'_, '_>) {
        self.vantage.judge(node, d);
        let given = d
            .document()
            .entry(node, "prober")
            .is_some_and(|(_, value)| !d.document().is_null(value));
        self.expanded = d.take_expanded();
        if self.timeout < 0 {
            let help = "remove it, or write the maximum duration of a probe".to_owned();
            d.warn(node, "timeout", "a negative timeout is no timeout", Some(help));
        }
        if let Some(attempts) = self.attempts.filter(|n| !(1..=MOST_ATTEMPTS).contains(n)) {
            let message = format!("\"attempts\" is {attempts}, not between 1 and {MOST_ATTEMPTS}");
            d.report_field(node, "attempts", message, None);
        }
        if self.prober == Prober::Dns && d.document().entry(node, "dns").is_none() {
            let help = Some("add dns: {query_name: the name to query}".to_owned());
            d.warn(node, "prober", "without dns.query_name every probe fails", help);
        }
        if !given && !d.is_blamed("prober") {
            d.report_field(
                node,
                "prober",
                "prober '' is not valid",
                Some(format!("add prober: one of {}", probers())),
            );
        }
        self.revocation
            .judge(self.prober, self.looks_into_lists(), node, d);
        if self.vantage.addresses == "all" && !matches!(self.prober, Prober::Icmp | Prober::Tcp) {
            let message = format!("the {} prober cannot probe all addresses", self.prober.name());
            let help = Some("icmp and tcp can".to_owned());
            d.report_field(node, "addresses", message, help);
        }
        let through_proxy = self.prober == Prober::Tcp && self.tcp.proxy.url().is_some();
        if through_proxy
            && self
                .vantage
                .choice()
                .is_some_and(|choice| choice != Addresses::First)
        {
            let message = "through a proxy, a target has one address: the one that the proxy is asked for";
            d.report_field(
                node,
                "addresses",
                message,
                Some("leave out one of the two".to_owned()),
            );
        }
        let each = self.timeout / i64::from(self.most_attempts());
        match self.prober {
            Prober::Icmp => self.icmp.repeat.warn("icmp", each, node, d),
            Prober::Tcp => self.tcp.repeat.warn("tcp", each, node, d),
            _ => {}
        }
    }
}

fn probers() -> String {
    Prober::ALL.map(Prober::name).join(", ")
}

impl Value for Prober {
    fn decode(&mut self, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        d.enter(node, |d, node| {
            let Some(name) = d.text(node) else { return false };
            match Self::from_name(&name) {
                Some(prober) => *self = prober,
                None => {
                    let help = one_of(name.trim(), Self::ALL.map(Self::name));
                    d.report(node, format!("prober '{name}' is not valid"), Some(help));
                }
            }
            true
        })
    }

    fn schema(_: &mut Sections) -> serde_json::Value {
        serde_json::json!({"enum": Self::ALL.map(Self::name)})
    }
}

impl Write for Prober {
    fn is_zero(&self) -> bool {
        false
    }
    fn tree(&self) -> Tree {
        Tree::text(self.name())
    }
}

impl<T: Value + Clone> Value for Arc<T> {
    fn decode(&mut self, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        Self::make_mut(self).decode(node, d)
    }

    fn schema(sections: &mut Sections) -> serde_json::Value {
        T::schema(sections)
    }
}

impl<T: Write> Write for Arc<T> {
    fn is_zero(&self) -> bool {
        T::is_zero(self)
    }
    fn tree(&self) -> Tree {
        T::tree(self)
    }
}
