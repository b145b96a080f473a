//! What answers on one port: connecting, the greeting, TLS, HTTP and the health check of gRPC.
//!
//! The health check goes to servers that begin with HTTP/2 and, if the target has no scheme, to those with TLS where HTTP/1.1 fails or
//! gets a status of 400 or more. Other servers that greet get nothing at all, and a port that is known for another protocol no request
//! of HTTP.

use std::net::{IpAddr, SocketAddr};

use futures_util::future::{join, join_all};
use serde_json::{Value, json};

use super::attempt::{self, Doctor, FAMILIES, Finding, GREETING, Kind, State};
use super::greeting;
use super::settings::{Families, only, over, with};
use super::subject::{Remote, Scheme};
use crate::metrics::{Labels, Metric};
use crate::prober::{self, Answer, Outcome};
use crate::reason::Reason;

/// What answers on one port.
#[derive(Clone, Debug, Default)]
pub struct Service {
    /// Where.
    pub port: u16,
    /// Over which families it was reached.
    pub families: Families,
    /// The first line that it sends unasked.
    pub greeting: Option<String>,
    /// Whether no newline ends it.
    pub is_prompt: bool,
    /// Whether it speaks TLS, and what to do about a certificate that is not valid and trusted here.
    pub tls: Option<Result<(), String>>,
    /// Whether it speaks HTTP/1.1.
    pub speaks_http1: bool,
    /// Whether it responds to HTTP/1.1 in something else.
    pub breaks_http1: bool,
    /// The status of its answer over HTTP.
    pub status: Option<u16>,
    /// Whether it speaks TLS although the target says that it does not.
    pub hides_tls: bool,
    /// Whether it responds to plain HTTP that it expects TLS.
    pub expects_tls: bool,
    /// Whether it speaks gRPC.
    pub is_grpc: bool,
    /// What to do about the status of its answer over HTTP.
    pub advice: Option<String>,
}

impl Service {
    /// Finds out what answers on a port.
    pub async fn of(doctor: Doctor<'_>, remote: &Remote, port: u16) -> (Vec<Finding>, Self) {
        let mut service = Self {
            port,
            ..Self::default()
        };
        let (mut findings, address) = service.connect(doctor, remote).await;
        let Some(address) = address else {
            return (findings, service);
        };
        let is_said_to_be_web = remote.scheme.is_some_and(Scheme::is_web);
        let known = if is_said_to_be_web { Known::No } else { known(port) };
        let may_greet = !is_said_to_be_web && !matches!(remote.scheme, Some(Scheme::Tls | Scheme::Grpc));
        if may_greet && known != Known::Encrypted && !matches!(port, 80 | 443) {
            findings.extend(service.greeting(doctor, remote).await);
        }
        if service.greeting.as_deref().is_some_and(greeting::is_http2) {
            findings.extend(service.grpc(doctor, remote).await);
        }
        let is_plain =
            matches!(remote.scheme, Some(Scheme::Http | Scheme::Ws)) || port == 80 && remote.scheme.is_none();
        if service.greeting.is_none() && known != Known::Other && !is_plain {
            findings.extend(service.encryption(doctor, remote, address).await);
        }
        let may_be_web = is_said_to_be_web || remote.scheme.is_none();
        if service.greeting.is_none() && known == Known::No && may_be_web {
            let mut web = service.web(doctor, remote).await;
            // A server of gRPC may give HTTP/2 any status.
            service.speaks_http1 = web.first().is_some_and(|first| first.state == State::Works);
            let is_healthy = service.speaks_http1 && service.status.is_some_and(|status| status < 400);
            if remote.scheme.is_none() && (service.tls.is_some() || service.breaks_http1) && !is_healthy {
                web.extend(service.grpc(doctor, remote).await);
                if service.is_grpc {
                    web.iter_mut().for_each(Finding::excuse);
                }
            }
            findings.extend(web);
        }
        if is_said_to_be_web && is_plain && service.status.is_none() {
            let mut encrypted = Service {
                tls: None,
                ..service.clone()
            };
            let tried = encrypted.encryption(doctor, remote, address).await;
            if encrypted.tls.is_some() {
                service.hides_tls = true;
                findings.extend(tried);
            }
        }
        (findings, service)
    }

    async fn connect(&mut self, doctor: Doctor<'_>, remote: &Remote) -> (Vec<Finding>, Option<IpAddr>) {
        let target = &remote.at(self.port);
        let what = |name| format!("port {} over {name}", self.port);
        let tries = join_all(FAMILIES.map(|(name, protocol)| {
            let module = json!({"prober": "tcp", "tcp": only(protocol)});
            doctor.attempt("Reach", what(name), module, target, Kind::Needed)
        }))
        .await;
        let mut address = None;
        let mut findings = Vec::new();
        let mut is_silent = false;
        for ((mut finding, outcome), reached) in tries.into_iter().zip(&mut self.families.reached) {
            let failure = outcome.as_ref().and_then(|outcome| outcome.failure);
            is_silent |= failure.is_some_and(|failure| failure.reason == Reason::ResolveTimeout);
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
            self.families.is_only = is_silent;
            // One family is enough.
            findings.iter_mut().for_each(Finding::excuse);
        }
        (findings, address)
    }

    async fn greeting(&mut self, doctor: Doctor<'_>, remote: &Remote) -> Option<Finding> {
        let steps = json!([{"expect": "^(.{1,200})", "labels": [{"name": "greeting", "value": "${1}"}]}]);
        let tcp = over(self.families, json!({"query_response": steps}));
        let target = &remote.at(self.port);
        let (mut finding, outcome) = doctor
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
            self.greeting = pairs.first().map(|(_, line)| line.trim_end().to_owned());
        }
        // Without a newline, the line ends with the time.
        self.is_prompt = outcome.duration >= GREETING;
        finding.detail = self.greeting.clone()?;
        if greeting::is_refusal(&finding.detail) {
            finding.state = State::Fails;
        }
        Some(finding)
    }

    /// The health check of gRPC, where HTTP/2 is spoken, HTTP fails within TLS, or something else responds to it.
    async fn grpc(&mut self, doctor: Doctor<'_>, remote: &Remote) -> Option<Finding> {
        let mut grpc = json!({"tls": self.tls.is_some()});
        if self.tls.is_some() {
            grpc = with(grpc, json!({"tls_config": {"insecure_skip_verify": true}}));
        }
        let module = json!({"prober": "grpc", "grpc": over(self.families, grpc)});
        let what = "gRPC health check";
        let target = &remote.at(self.port);
        let (finding, outcome) = doctor
            .attempt("Service", what, module, target, Kind::Optional)
            .await;
        let outcome = outcome?;
        let answer = outcome.timeline.hops.last().and_then(|hop| hop.answer);
        self.is_grpc = match outcome.failure.map(|failure| failure.reason) {
            None | Some(Reason::GrpcNotServing) => true,
            // Proxies in front of web servers also respond to gRPC with a status of its own.
            Some(Reason::GrpcStatus) => {
                !self.speaks_http1 && matches!(answer, Some(Answer::Grpc { http: None, .. }))
            }
            Some(_) => false,
        };
        self.is_grpc.then_some(finding)
    }

    /// TLS of each version, whether the certificate is to be trusted, and what is shown to who names nobody.
    async fn encryption(&mut self, doctor: Doctor<'_>, remote: &Remote, address: IpAddr) -> Vec<Finding> {
        let topic = &format!("TLS on port {}", self.port);
        let tcp = |config: Value| json!({"prober": "tcp", "tcp": over(self.families, json!({"tls": true, "tls_config": config}))});
        let only = |version: &str| {
            tcp(json!({"insecure_skip_verify": true, "min_version": version, "max_version": version}))
        };
        let named = &remote.at(self.port);
        let nameless = &SocketAddr::new(address, self.port).to_string();
        let is_expected = remote.scheme.is_some_and(Scheme::is_encrypted) || self.port == 443;
        // Where TLS is expected the certificate is waited for, too.
        let kind = if is_expected { Kind::Needed } else { Kind::Optional };
        let versions = [("TLS 1.3", "TLS13"), ("TLS 1.2", "TLS12")];
        let versions =
            join_all(versions.map(|(name, version)| doctor.attempt(topic, name, only(version), named, kind)));
        let trust = doctor.attempt(topic, "certificate", tcp(json!({})), named, Kind::Needed);
        let without = doctor.attempt(
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
        self.tls = speaks.then(|| match trust.0.state {
            State::Works => Ok(()),
            _ => Err(trust.1.and_then(|outcome| outcome.advice).unwrap_or_default()),
        });
        let mut findings: Vec<Finding> = versions.into_iter().map(|(finding, _)| finding).collect();
        // One version is enough.
        findings.iter_mut().for_each(Finding::excuse);
        findings.push(trust.0);
        // An address has no name to leave out.
        if speaks && remote.address().is_none() {
            findings.push(without.0);
        }
        findings
    }

    async fn web(&mut self, doctor: Doctor<'_>, remote: &Remote) -> Vec<Finding> {
        let is_socket = remote.scheme.is_some_and(Scheme::is_socket);
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let topic = &format!("HTTP on port {}", self.port);
        let url = &remote.url(scheme, self.port);
        let http = |more: Value| {
            let all = json!({"follow_redirects": false, "valid_status_codes": ["100-599"], "tls_config": {"insecure_skip_verify": true}});
            json!({"prober": "http", "http": with(over(self.families, all), more)})
        };
        // Advice is given for statuses that are not valid: by default, those other than 2xx.
        let one =
            http(json!({"enable_http2": false, "valid_status_codes": [], "include_response_body": true}));
        let one = doctor.attempt(topic, "HTTP/1.1", one, url, Kind::Needed);
        let newer = [
            ("HTTP/2", json!({"valid_http_versions": ["HTTP/2.0"]})),
            ("HTTP/3", json!({"enable_http2": false, "enable_http3": true})),
        ];
        let newer = join_all(newer.map(|(name, settings)| {
            let module = http(settings);
            async move {
                match scheme {
                    "https" => Some(doctor.attempt(topic, name, module, url, Kind::Optional).await),
                    _ => None,
                }
            }
        }));
        let (mut one, newer) = join(one, newer).await;
        let failure = one.1.as_ref().and_then(|outcome| outcome.failure);
        self.breaks_http1 = failure.is_some_and(|failure| failure.reason == Reason::ProtocolError);
        self.judge_status(&mut one);
        let mut findings = Vec::new();
        for (finding, outcome) in std::iter::once(one).chain(newer.into_iter().flatten()) {
            if finding.state == State::Works && self.status.is_none() {
                let status = outcome.and_then(|outcome| outcome.samples.value(Metric::HttpStatusCode));
                // A status has three digits.
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                let status = status.map(|status| status as u16);
                self.status = status.filter(|status| *status > 0);
            }
            findings.push(finding);
        }
        if self.status.is_none()
            && remote.scheme.is_none()
            && self.tls.is_none()
            && !matches!(self.port, 80 | 443)
        {
            // A port of which nobody said that it speaks HTTP.
            findings.truncate(1);
            for finding in &mut findings {
                finding.topic = "Service".to_owned();
                finding.state = State::Absent;
            }
        } else if self.status.is_some() {
            findings.iter_mut().for_each(Finding::excuse);
        }
        if is_socket {
            let url = remote.url(if self.tls.is_some() { "wss" } else { "ws" }, self.port);
            let websocket = over(
                self.families,
                json!({"http_config": {"tls_config": {"insecure_skip_verify": true}}}),
            );
            let module = json!({"prober": "websocket", "websocket": websocket});
            findings.push(
                doctor
                    .attempt(topic, "WebSocket", module, &url, Kind::Needed)
                    .await
                    .0,
            );
        }
        findings
    }

    /// Any status over HTTP/1.1 is an answer, unless it says that the port expects TLS.
    fn judge_status(&mut self, (finding, outcome): &mut (Finding, Option<Outcome>)) {
        let Some(said) = outcome.as_ref().filter(|outcome| {
            outcome
                .failure
                .is_some_and(|failure| failure.reason == Reason::HttpStatus)
        }) else {
            return;
        };
        let body = said.body.as_ref().map_or("", |body| &body.text);
        self.expects_tls = self.tls.is_none() && prober::speaks_tls(body.as_bytes());
        finding.detail = attempt::result(said);
        if self.expects_tls {
            finding.state = State::Fails;
            finding.detail.push_str(": the port expects TLS");
            *outcome = None;
        } else {
            finding.state = State::Works;
            self.advice = said.advice.clone();
        }
    }
}

/// Ports of protocols that are neither TLS nor HTTP.
const OTHERS: [u16; 36] = [
    21, 22, 23, 25, 53, 110, 111, 119, 143, 179, 389, 445, 514, 587, 873, 1433, 1521, 1883, 2049, 2181, 3306,
    3389, 4190, 4222, 5060, 5222, 5269, 5432, 5672, 5900, 6379, 6667, 9042, 9092, 11211, 27017,
];

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
        _ if OTHERS.contains(&port) => Known::Other,
        _ => Known::No,
    }
}
