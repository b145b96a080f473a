//! What is tried, side by side: name servers, ping, and on each port connecting, the greeting, TLS and HTTP.
//!
//! Every try is a probe with a module made for it, so that it says what a scrape would see. Nothing is sent that a user of
//! the service would not send: a port that is known for another protocol gets no request of HTTP, and a server that greets
//! gets nothing at all.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, join_all};
use serde_json::{Value, json};

use super::subject::{Remote, Scheme};
use crate::display::is_active;
use crate::metrics::{Labels, Metric};
use crate::module::{self, Module};
use crate::net::Network;
use crate::prober::{self, Outcome, ProbeRequest};
use crate::reason::Reason;

/// How long something may take that many healthy targets do not have: ping, HTTP/3, another name server.
const OPTIONAL: Duration = Duration::from_millis(1000);
/// How long a server has to greet.
const GREETING: Duration = Duration::from_millis(500);

/// How a try ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It works.
    Works,
    /// It does not, and need not.
    Absent,
    /// It does not, and should.
    Fails,
}

impl State {
    /// In one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Works => "ok",
            Self::Absent => "no",
            Self::Fails => "FAIL",
        }
    }
}

/// One try.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Names, reach, TLS, HTTP, ….
    pub topic: String,
    /// What was tried.
    pub what: String,
    /// How it ended.
    pub state: State,
    /// How long it took.
    pub took: Duration,
    /// What was found, or why it does not work.
    pub detail: String,
}

/// What answers on one port.
#[derive(Clone, Debug, Default)]
pub struct Service {
    /// Where.
    pub port: u16,
    /// Whether it was reached over IPv4, and over IPv6.
    pub families: [bool; 2],
    /// The first line that it sends unasked.
    pub greeting: Option<String>,
    /// Whether no newline ends it.
    pub is_prompt: bool,
    /// Whether it speaks TLS, and what to do about a certificate that is not valid and trusted here.
    pub tls: Option<Result<(), String>>,
    /// The status of its answer over HTTP.
    pub status: Option<u16>,
    /// Whether it spoke HTTP/1.1.
    pub http1: bool,
    /// Whether it speaks TLS although the target says that it does not.
    pub hides_tls: bool,
}

/// Everything that was found.
#[derive(Clone, Debug, Default)]
pub struct Examination {
    /// The tries, in the order in which they are shown.
    pub findings: Vec<Finding>,
    /// What answers on which port; without what cannot be reached.
    pub services: Vec<Service>,
    /// Whether it answers a ping, over IPv4 and over IPv6.
    pub pings: [bool; 2],
}

/// Protocols that a port is known for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// TLS, with something else than HTTP inside.
    Encrypted,
    /// Something else than TLS or HTTP.
    Other,
    /// Nothing.
    No,
}

fn known(port: u16) -> Known {
    match port {
        465 | 563 | 636 | 853 | 990 | 992..=995 | 5061 | 5223 | 5671 | 6697 | 8883 => Known::Encrypted,
        21..=23
        | 25
        | 53
        | 110
        | 111
        | 119
        | 143
        | 179
        | 389
        | 445
        | 514
        | 587
        | 873
        | 1433
        | 1521
        | 1883
        | 2049
        | 2181
        | 3306
        | 3389
        | 4190
        | 4222
        | 5060
        | 5222
        | 5269
        | 5432
        | 5672
        | 5900
        | 6379
        | 6667
        | 9042
        | 9092
        | 11211
        | 27017 => Known::Other,
        _ => Known::No,
    }
}

const FAMILIES: [(&str, &str); 2] = [("IPv4", "ip4"), ("IPv6", "ip6")];

/// Who examines.
#[derive(Clone, Copy, Debug)]
pub struct Doctor<'a> {
    /// The sockets and the policy.
    pub network: &'a Network,
    /// How long a try may take.
    pub patience: Duration,
}

impl Doctor<'_> {
    /// Tries everything that fits.
    pub async fn examine(self, remote: &Remote, name_servers: &[SocketAddr]) -> Examination {
        let ports = remote.port.map_or_else(|| vec![443, 80], |port| vec![port]);
        let services = join_all(ports.into_iter().map(|port| self.service(remote, port)));
        let (names, (pings, services)) = join(
            self.names(remote, name_servers),
            join(self.pings(remote), services),
        )
        .await;
        let mut out = Examination {
            pings: [0, 1].map(|at| {
                pings
                    .get(at)
                    .is_some_and(|ping: &Finding| ping.state == State::Works)
            }),
            ..Examination::default()
        };
        out.findings.extend(names);
        out.findings.extend(pings);
        for (findings, service) in services {
            out.findings.extend(findings);
            out.services
                .extend(Some(service).filter(|service| service.families != [false; 2]));
        }
        out
    }

    /// Probes with a module that is made for it.
    pub async fn probe(self, module: &Value, target: &str, limit: Duration) -> Result<Outcome, String> {
        let module = compiled(module)?;
        let request = ProbeRequest {
            target,
            hostname: None,
            timeout: limit,
        };
        Ok(prober::run(self.network, &module, request).await)
    }

    async fn attempt(
        self,
        topic: &str,
        what: impl Into<String>,
        module: Value,
        target: &str,
        kind: Kind,
    ) -> (Finding, Option<Outcome>) {
        let limit = match kind {
            Kind::Needed => self.patience,
            Kind::Optional => self.patience.min(OPTIONAL),
            Kind::Greeting => GREETING,
        };
        let outcome = self.probe(&module, target, limit).await;
        let (state, took, detail) = match &outcome {
            Ok(outcome) if outcome.success => (State::Works, outcome.duration, result(outcome)),
            Ok(outcome) => {
                let reason = outcome.failure.map(|failure| failure.reason);
                // A family that the name does not have is no fault.
                let state = match (kind, reason) {
                    (Kind::Needed, Some(reason)) if reason != Reason::ResolveNoAddress => State::Fails,
                    _ => State::Absent,
                };
                (state, outcome.duration, outcome.reason().unwrap_or_default())
            }
            Err(error) => (State::Fails, Duration::ZERO, error.clone()),
        };
        let finding = Finding {
            topic: topic.to_owned(),
            what: what.into(),
            state,
            took,
            detail,
        };
        (finding, outcome.ok())
    }

    /// Asks every name server for both kinds of addresses.
    async fn names(self, remote: &Remote, name_servers: &[SocketAddr]) -> Vec<Finding> {
        if remote.address().is_some() {
            return Vec::new();
        }
        let questions = name_servers
            .iter()
            .flat_map(|server| ["A", "AAAA"].map(|kind| (server, kind)));
        join_all(questions.map(|(server, kind)| async move {
            let module = json!({"prober": "dns", "dns": {"query_name": remote.host, "query_type": kind}});
            let what = format!("{kind} from {}", server.ip());
            let (mut finding, outcome) = self
                .attempt("Names", what, module, &server.to_string(), Kind::Optional)
                .await;
            let said = outcome
                .as_ref()
                .and_then(|outcome| outcome.timeline.hops.last()?.result.clone());
            if finding.state == State::Works {
                let records = outcome
                    .and_then(|outcome| outcome.samples.value(Metric::DnsAnswerRrs))
                    .unwrap_or(0.0);
                finding.detail = format!("{records} records");
                if records == 0.0 {
                    finding.state = State::Absent;
                }
            } else if let Some(said) = said {
                finding.detail = said;
            }
            finding
        }))
        .await
    }

    async fn pings(self, remote: &Remote) -> Vec<Finding> {
        join_all(FAMILIES.map(|(name, protocol)| async move {
            let module = json!({"prober": "icmp", "icmp": only(protocol)});
            self.attempt(
                "Reach",
                format!("ping over {name}"),
                module,
                &remote.host,
                Kind::Optional,
            )
            .await
            .0
        }))
        .await
    }

    async fn service(self, remote: &Remote, port: u16) -> (Vec<Finding>, Service) {
        let mut service = Service {
            port,
            ..Service::default()
        };
        let (mut findings, address) = self.connect(remote, &mut service).await;
        let Some(address) = address else {
            return (findings, service);
        };
        let is_said_to_be_web = remote.scheme.is_some_and(Scheme::is_web);
        let known = if is_said_to_be_web { Known::No } else { known(port) };
        let may_greet = !is_said_to_be_web && !matches!(remote.scheme, Some(Scheme::Tls | Scheme::Grpc));
        if may_greet && known != Known::Encrypted && !matches!(port, 80 | 443) {
            findings.extend(self.greeting(remote, &mut service).await);
        }
        let is_plain =
            matches!(remote.scheme, Some(Scheme::Http | Scheme::Ws)) || port == 80 && remote.scheme.is_none();
        if service.greeting.is_none() && known != Known::Other && !is_plain {
            findings.extend(self.encryption(remote, &mut service, address).await);
        }
        let may_be_web = is_said_to_be_web || remote.scheme.is_none();
        if service.greeting.is_none() && known == Known::No && may_be_web {
            findings.extend(self.web(remote, &mut service).await);
        }
        if is_said_to_be_web && is_plain && service.status.is_none() {
            let mut encrypted = Service {
                tls: None,
                ..service.clone()
            };
            let tried = self.encryption(remote, &mut encrypted, address).await;
            if encrypted.tls.is_some() {
                service.hides_tls = true;
                findings.extend(tried);
            }
        }
        (findings, service)
    }

    async fn connect(self, remote: &Remote, service: &mut Service) -> (Vec<Finding>, Option<IpAddr>) {
        let target = &remote.at(service.port);
        let what = |name| format!("port {} over {name}", service.port);
        let tries = join_all(FAMILIES.map(|(name, protocol)| {
            let module = json!({"prober": "tcp", "tcp": only(protocol)});
            self.attempt("Reach", what(name), module, target, Kind::Needed)
        }))
        .await;
        let mut address = None;
        let mut findings = Vec::new();
        for ((mut finding, outcome), reached) in tries.into_iter().zip(&mut service.families) {
            let dialled = outcome.and_then(|outcome| outcome.timeline.hops.first()?.address.clone());
            *reached = finding.state == State::Works;
            if *reached {
                let dialled = dialled.and_then(|text| Some(text.parse::<SocketAddr>().ok()?.ip()));
                finding.detail = dialled.map(|ip| ip.to_string()).unwrap_or_default();
                address = address.or(dialled);
            }
            findings.push(finding);
        }
        if address.is_some() {
            // One family is enough.
            for finding in findings
                .iter_mut()
                .filter(|finding| finding.state == State::Fails)
            {
                finding.state = State::Absent;
            }
        }
        (findings, address)
    }

    async fn greeting(self, remote: &Remote, service: &mut Service) -> Option<Finding> {
        let steps = json!([{"expect": "^(.{1,200})", "labels": [{"name": "greeting", "value": "${1}"}]}]);
        let tcp = with(prefer(service.families), json!({"query_response": steps}));
        let target = &remote.at(service.port);
        let (mut finding, outcome) = self
            .attempt(
                "Service",
                "greeting",
                json!({"prober": "tcp", "tcp": tcp}),
                target,
                Kind::Greeting,
            )
            .await;
        let outcome = outcome.filter(|outcome| outcome.success)?;
        let sample = outcome.samples.family(Metric::ExpectInfo).next()?;
        if let Labels::Pairs(pairs) = sample.labels {
            service.greeting = pairs.first().map(|(_, line)| line.trim_end().to_owned());
        }
        // Without a newline, the line ends with the time.
        service.is_prompt = outcome.duration >= GREETING;
        finding.detail = service.greeting.clone()?;
        Some(finding)
    }

    /// TLS of each version, whether the certificate is to be trusted, and what is shown to who names nobody.
    async fn encryption(self, remote: &Remote, service: &mut Service, address: IpAddr) -> Vec<Finding> {
        let topic = &format!("TLS on port {}", service.port);
        let tcp = |config: Value| json!({"prober": "tcp", "tcp": with(prefer(service.families), json!({"tls": true, "tls_config": config}))});
        let only = |version: &str| {
            tcp(json!({"insecure_skip_verify": true, "min_version": version, "max_version": version}))
        };
        let named = &remote.at(service.port);
        let nameless = &SocketAddr::new(address, service.port).to_string();
        let versions = [("TLS 1.3", "TLS13"), ("TLS 1.2", "TLS12")];
        let versions = join_all(
            versions.map(|(name, version)| self.attempt(topic, name, only(version), named, Kind::Optional)),
        );
        let trust = self.attempt(topic, "certificate", tcp(json!({})), named, Kind::Needed);
        let without = self.attempt(
            topic,
            "without a server name",
            tcp(json!({"insecure_skip_verify": true})),
            nameless,
            Kind::Optional,
        );
        let certificates = join(trust, without);
        let speaks = |versions: &[(Finding, Option<Outcome>)]| {
            versions.iter().any(|(finding, _)| finding.state == State::Works)
        };
        let is_expected = remote.scheme.is_some_and(Scheme::is_encrypted) || service.port == 443;
        let (versions, (trust, without)) = if is_expected {
            join(versions, certificates).await
        } else {
            // Of a port of which nobody said that it speaks TLS, nobody waits longer for a certificate than it takes to know.
            let mut versions = versions.await;
            if !speaks(&versions) {
                let what = "TLS".to_owned();
                let said = versions.pop().map(|(finding, _)| Finding {
                    topic: "Service".to_owned(),
                    what,
                    ..finding
                });
                return said.into_iter().collect();
            }
            (versions, certificates.await)
        };
        let speaks = speaks(&versions);
        service.tls = speaks.then(|| match trust.0.state {
            State::Works => Ok(()),
            _ => Err(trust.1.and_then(|outcome| outcome.advice).unwrap_or_default()),
        });
        let mut findings: Vec<Finding> = versions.into_iter().map(|(finding, _)| finding).collect();
        findings.push(trust.0);
        // An address has no name to leave out.
        if speaks && remote.address().is_none() {
            findings.push(without.0);
        }
        findings
    }

    async fn web(self, remote: &Remote, service: &mut Service) -> Vec<Finding> {
        let is_socket = remote.scheme.is_some_and(Scheme::is_socket);
        let scheme = if service.tls.is_some() { "https" } else { "http" };
        let topic = &format!("HTTP on port {}", service.port);
        let url = &remote.url(scheme, service.port);
        let http = |more: Value| {
            let all = json!({"follow_redirects": false, "valid_status_codes": ["100-599"], "tls_config": {"insecure_skip_verify": true}});
            json!({"prober": "http", "http": with(with(prefer(service.families), all), more)})
        };
        let one = http(json!({"enable_http2": false, "valid_http_versions": ["HTTP/1.0", "HTTP/1.1"]}));
        let one = self.attempt(topic, "HTTP/1.1", one, url, Kind::Needed);
        let newer = [
            ("HTTP/2", json!({"valid_http_versions": ["HTTP/2.0"]})),
            ("HTTP/3", json!({"enable_http2": false, "enable_http3": true})),
        ];
        let newer = join_all(newer.map(|(name, settings)| {
            let module = http(settings);
            async move {
                match scheme {
                    "https" => Some(self.attempt(topic, name, module, url, Kind::Optional).await),
                    _ => None,
                }
            }
        }));
        let (one, newer) = join(one, newer).await;
        let mut findings = Vec::new();
        service.http1 = one.0.state == State::Works;
        for (finding, outcome) in std::iter::once(one).chain(newer.into_iter().flatten()) {
            if finding.state == State::Works && service.status.is_none() {
                let status = outcome.and_then(|outcome| outcome.samples.value(Metric::HttpStatusCode));
                // A status has three digits.
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                let status = status.map(|status| status as u16);
                service.status = status.filter(|status| *status > 0);
            }
            findings.push(finding);
        }
        if service.status.is_none()
            && remote.scheme.is_none()
            && service.tls.is_none()
            && !matches!(service.port, 80 | 443)
        {
            // A port of which nobody said that it speaks HTTP.
            findings.truncate(1);
            for finding in &mut findings {
                finding.topic = "Service".to_owned();
                finding.state = State::Absent;
            }
        } else if service.status.is_some() {
            for finding in findings
                .iter_mut()
                .filter(|finding| finding.state == State::Fails)
            {
                finding.state = State::Absent;
            }
        }
        if is_socket {
            let url = remote.url(if service.tls.is_some() { "wss" } else { "ws" }, service.port);
            let websocket = with(
                prefer(service.families),
                json!({"http_config": {"tls_config": {"insecure_skip_verify": true}}}),
            );
            let module = json!({"prober": "websocket", "websocket": websocket});
            findings.push(
                self.attempt(topic, "WebSocket", module, &url, Kind::Needed)
                    .await
                    .0,
            );
        }
        findings
    }
}

/// What a try is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Needed,
    Optional,
    Greeting,
}

/// JSON, which is YAML and in which texts are those of PromQL, with escapes for what a terminal acts on and YAML refuses.
pub fn written(value: &Value) -> String {
    let mut out = String::new();
    for c in value.to_string().chars() {
        if is_active(c) {
            // Writing to a string does not fail.
            let _ = write!(out, "\\U{:08x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// A module of its own.
pub fn compiled(module: &Value) -> Result<Arc<Module>, String> {
    let text = written(&json!({"modules": {"doctor": module}}));
    let loaded = module::parse(text, "doctor").map_err(|error| error.to_string())?;
    loaded
        .modules
        .get("doctor")
        .cloned()
        .ok_or_else(|| "no module".to_owned())
}

/// The settings of both.
pub fn with(mut settings: Value, more: Value) -> Value {
    if let (Value::Object(settings), Value::Object(more)) = (&mut settings, more) {
        settings.extend(more);
    }
    settings
}

fn only(protocol: &str) -> Value {
    json!({"preferred_ip_protocol": protocol, "ip_protocol_fallback": false})
}

/// The family that works.
pub fn prefer([four, six]: [bool; 2]) -> Value {
    json!({"preferred_ip_protocol": if four || !six { "ip4" } else { "ip6" }})
}

/// What a try that works has found.
fn result(outcome: &Outcome) -> String {
    let hop = outcome.timeline.hops.last();
    let tls = outcome.tls.as_deref();
    let handshake = tls.and_then(|facts| {
        Some(format!(
            "{}, {}",
            facts.version?,
            facts.cipher.unwrap_or("unknown cipher")
        ))
    });
    let said = hop
        .and_then(|hop| hop.result.clone())
        .filter(|said| said.starts_with("HTTP"));
    said.or(handshake)
        .or_else(|| hop.and_then(|hop| hop.address.clone()))
        .unwrap_or_default()
}
