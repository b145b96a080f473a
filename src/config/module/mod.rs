//! A module: its prober, and the settings of every module, whatever its prober is.

pub mod exposition;
pub(super) mod hints;
pub mod params;
pub mod revocation;
pub mod trace;
pub mod vantage;

use std::collections::BTreeMap;

use go_yaml::Id;
use serde_json::json;

use super::codec::confidential::MASK;
use super::codec::decode::Decoder;
use super::codec::environment::Expanded;
use super::codec::schema;
use super::codec::section::{Section, names, section};
use super::codec::shared::{Shared, unwritten};
use super::codec::tree::{Step, Tree};
use super::codec::value::{Duration, Json, Value as _, Within};
use super::codec::words::words;
use super::probers::dns::{Dns, NO_QUERY_NAME, ONLY_HTTPS};
use super::probers::grpc::{Grpc, WhenWritten};
use super::probers::http::Http;
use super::probers::icmp::Icmp;
use super::probers::query_response::QueryResponse;
use super::probers::tcp::Tcp;
use super::probers::unix::Unix;
use super::probers::websocket::Websocket;
use exposition::OwnExposition;
use params::Param;
use revocation::{Ocsp, Revocation};
use trace::Trace;
use vantage::{Addresses, Vantage};

words! {
    /// Which prober a module runs, in the order in which the documentation lists them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[allow(missing_docs)]
    pub enum Prober: "prober '{word}' is not valid" {
        Http = "http",
        Tcp = "tcp",
        Icmp = "icmp",
        Dns = "dns",
        Grpc = "grpc",
        Unix = "unix",
        Websocket = "websocket",
    }

    fn schema() -> Json {
        json!({"enum": Self::ALL.map(Self::name)})
    }
}

impl Prober {
    /// Those that can send a trace context.
    pub const WITH_TRACE: [Self; 3] = [Self::Http, Self::Grpc, Self::Websocket];
    /// Those that can probe all addresses of a target.
    const OF_ALL_ADDRESSES: [Self; 2] = [Self::Icmp, Self::Tcp];
}

/// Most attempts of a probe.
const MOST_ATTEMPTS: i64 = 10;

section! {
    /// One module: a prober, its timeout and the sections of all probers.
    ///
    /// Only the section of the chosen prober matters; the others are kept because `/config` shows them.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Module {
        /// The prober that this module runs.
        omit prober: Prober = Prober::Http,
        /// Go duration in nanoseconds; zero or negative means "no timeout of its own".
        omit timeout: i64 as Duration,
        /// How often a probe is made until it succeeds, once when it is not written; ours.
        omit attempts: Option<i64> as Within<1, MOST_ATTEMPTS>,
        /// Where it looks from.
        inline vantage: Vantage,
        /// Which further families it exposes.
        inline exposition: OwnExposition,
        /// Whether certificates are revoked.
        inline revocation: Revocation,
        /// Section `http`.
        omit http: Shared<Http>,
        /// Section `tcp`.
        omit tcp: Shared<Tcp>,
        /// Section `icmp`.
        omit icmp: Shared<Icmp>,
        /// Section `dns`.
        omit dns: Shared<Dns>,
        /// Section `grpc`.
        omit grpc: Shared<Grpc> as WhenWritten,
        /// Section `unix`.
        omit unix: Shared<Unix>,
        /// Section `websocket`.
        omit websocket: Shared<Websocket>,
        /// Settings that a scrape may set; ours.
        omit params: BTreeMap<String, Param>,
        /// The trace context that its probes send; ours.
        omit trace: Option<Trace>,
        /// The address that is dialled instead of those of the target's name: only a parameter sets it.
        skip ip_address: Option<std::net::IpAddr>,
        /// Values that are shown as they were written, with `${…}`.
        skip expanded: Vec<Expanded>,
    }
}

unwritten!(Dns, Grpc, Http, Icmp, Tcp, Unix, Websocket);

impl Module {
    /// A module with upstream's defaults in every section.
    pub fn new(prober: Prober) -> Self {
        Self {
            prober,
            ..Self::default()
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

    /// Whether a probe can speak TLS, perhaps because a scrape says so.
    fn may_speak_tls(&self) -> bool {
        const SWITCHES: [&str; 4] = ["tls", "starttls", "dns_over_tls", "transport_protocol"];
        let upgrades = |steps: &[QueryResponse]| steps.iter().any(|step| step.starttls);
        let speaks = match self.prober {
            Prober::Http | Prober::Websocket => true,
            Prober::Icmp => false,
            Prober::Tcp => self.tcp.tls || self.tcp.starttls.is_some() || upgrades(&self.tcp.query_response),
            Prober::Unix => self.unix.tls || upgrades(&self.unix.query_response),
            Prober::Grpc => self.grpc.tls,
            Prober::Dns => self.dns.is_encrypted(),
        };
        speaks || SWITCHES.iter().any(|name| self.params.contains_key(*name))
    }

    /// As it is printed: references as they were written.
    pub(crate) fn shown(&self) -> Tree {
        let mut tree = self.tree();
        self.unexpand(&mut tree);
        tree
    }

    /// Puts references back where their values stand.
    pub(crate) fn unexpand(&self, tree: &mut Tree) {
        for expanded in &self.expanded {
            if let Some(value) = tree.at(&expanded.path)
                && *value != Tree::text(MASK)
            {
                *value = Tree::text(expanded.shown.as_str());
            }
        }
    }

    /// Whether references were replaced in that field, which is none of a section.
    pub(crate) fn is_expanded(&self, field: &str) -> bool {
        let is_field = |path: &[Step]| matches!(path, [Step::Key(key)] if key == field);
        self.expanded.iter().any(|expanded| is_field(&expanded.path))
    }

    /// Whether the module's `addresses` fit its prober's section, which a scrape may change.
    fn judge_addresses(&self) -> Result<(), &'static str> {
        let through_proxy = self.prober == Prober::Tcp && self.tcp.proxy.url().is_some();
        match self.vantage.choice() {
            None | Some(Addresses::First) => Ok(()),
            Some(_) if through_proxy => {
                Err("through a proxy, a target has one address: the one that the proxy is asked for")
            }
            Some(_) => Ok(()),
        }
    }

    /// Where its first secret stands, or what stands for one: the path of what is not printed as it was written.
    pub fn secret(&self) -> Option<String> {
        let is_masked = |text: &[u8]| {
            let text = String::from_utf8_lossy(text);
            text.contains(MASK) || text.contains(":xxxxx@")
        };
        self.tree().find(&is_masked)
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

impl Section for Module {
    const REQUIRED: &'static [&'static str] = &["prober"];

    fn rules() -> Vec<Json> {
        // One of the probers, or the field as it is for the others.
        let only = |probers: &[Prober], field: &str, otherwise: Json| {
            let probers: Vec<_> = probers.iter().map(|prober| prober.name()).collect();
            json!({"anyOf": [{"properties": {"prober": {"enum": probers}}}, {"properties": {field: otherwise}}]})
        };
        vec![
            only(&Prober::WITH_TRACE, "trace", false.into()),
            only(
                &Prober::OF_ALL_ADDRESSES,
                "addresses",
                schema::words(["first", "random", "any", ""]),
            ),
        ]
    }

    fn judge(&mut self, node: Id, d: &mut Decoder<'_, '_>) {
        self.vantage.judge(node, d);
        self.hide_params();
        let given = d
            .document()
            .entry(node, "prober")
            .is_some_and(|(_, value)| !d.document().is_null(value));
        self.expanded = d.take_expanded();
        if self.timeout < 0 {
            let help = "remove it, or write the maximum duration of a probe";
            d.warn(node, "timeout", "a negative timeout is no timeout", help);
        }
        if let Some(attempts) = self.attempts.filter(|n| !(1..=MOST_ATTEMPTS).contains(n)) {
            let message = format!("\"attempts\" is {attempts}, not between 1 and {MOST_ATTEMPTS}");
            d.report_field(node, "attempts", message, None);
        }
        if ["transport_protocol", "server"]
            .iter()
            .any(|name| self.params.contains_key(*name))
        {
            d.withdraw(ONLY_HTTPS);
        }
        let is_given = |name| self.params.get(name).is_some_and(|param| param.required);
        if self.prober == Prober::Dns && (is_given("query_name") || is_given("server")) {
            d.withdraw(NO_QUERY_NAME);
        } else if self.prober == Prober::Dns && d.document().entry(node, "dns").is_none() {
            let help = "add dns: {query_name: the name to query}";
            d.warn(node, "prober", "without dns.query_name every probe fails", help);
        }
        if self.trace.is_none() && d.document().entry(node, "trace").is_some() {
            self.trace = Some(Trace::default());
        }
        if !given && !d.is_blamed("prober") {
            d.report_field(
                node,
                "prober",
                "prober '' is not valid",
                format!("add prober: one of {}", probers()),
            );
        }
        self.revocation
            .judge(self.may_speak_tls(), self.looks_into_lists(), node, d);
        let asks_elsewhere = self.looks_into_lists() || self.revocation.ocsp == Ocsp::Query;
        if self.prober == Prober::Unix && !asks_elsewhere {
            for field in names::<Vantage>() {
                if d.document().entry(node, field).is_some() {
                    let message = format!("{field:?} has no effect: a unix socket has no address");
                    d.warn(node, field, message, None);
                }
            }
        }
        if self.vantage.addresses == "all" && !Prober::OF_ALL_ADDRESSES.contains(&self.prober) {
            let message = format!("the {} prober cannot probe all addresses", self.prober.name());
            let help = "icmp and tcp can";
            d.report_field(node, "addresses", message, help);
        }
        if let Err(message) = self.judge_addresses() {
            d.report_field(node, "addresses", message, "leave out one of the two");
        }
        let connects_not = match self.prober {
            Prober::Icmp => Some("a ping does not connect"),
            Prober::Dns if matches!(self.dns.transport_protocol.as_str(), "" | "udp") => {
                Some("a query over UDP does not connect")
            }
            Prober::Dns if self.dns.transport_protocol == "quic" => Some("QUIC tries one address"),
            Prober::Http if self.http.enable_http3 => Some("HTTP/3 tries one address"),
            Prober::Http if self.http.client.proxy.is_for_all() => Some("the proxy is asked for one address"),
            _ => None,
        };
        if let Some(why) = connects_not.filter(|_| self.vantage.addresses == "any") {
            let message = format!("\"addresses: any\" has no effect: {why}");
            d.warn(node, "addresses", message, None);
        }
        let time = (
            self.timeout,
            self.most_attempts(),
            self.vantage.addresses == "all",
        );
        match self.prober {
            Prober::Icmp => self.icmp.repeat.warn("icmp", time, node, d),
            Prober::Tcp => self.tcp.repeat.warn("tcp", time, node, d),
            _ => {}
        }
    }
}

fn probers() -> String {
    Prober::ALL.map(Prober::name).join(", ")
}
