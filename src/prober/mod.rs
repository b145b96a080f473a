//! The probers and the one runner that all probes go through: one deadline, one log book, one sample set.

pub mod dns;
pub mod grpc;
pub mod http;
pub mod icmp;
pub mod query_response;
pub mod tcp;
pub mod unix;
pub mod websocket;

mod advice;
mod all;
mod attempts;
mod certificates;
mod connect;
mod findings;
mod resolve;
mod revocation;
mod series;
mod timeline;

use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

use ::http::HeaderMap;
use smallvec::SmallVec;
use tokio::time::Instant;

use crate::config::Exposition;
use crate::config::vantage::Addresses;
use crate::log;
use crate::metrics::{Labels, Metric, Samples};
use crate::module::{Kind, Module};
use crate::net::arrivals::Arrivals;
use crate::net::dial::Vantage;
use crate::net::resolve::{NameServer, Via};
use crate::net::secrets::Secrets;
use crate::net::tls_facts::TlsFacts;
use crate::net::{Deadline, Network, tls};
use crate::probe_log::{Level, ProbeLog};
use crate::reason::Reason;
use crate::trace::{self, Tracing};

pub use advice::Facts;
pub use findings::{Finding, Findings, Judged};
pub use resolve::{Chosen, choose_address};
pub use timeline::{Hop, Phase, PhaseSpan, Timeline};

/// What a probe is asked to do.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The target, decoded, what is not UTF-8 [carried](crate::carried).
    pub target: &'a str,
    /// The `hostname` parameter: Host header and TLS server name (http), TLS server name (tcp).
    pub hostname: Option<&'a str>,
    /// How long the probe may take.
    pub timeout: Duration,
}

/// What else a probe is to do.
#[derive(Debug, Default)]
pub struct Also<'a> {
    /// Have this part in a trace; a new trace if there is none and the module has one.
    pub trace: Option<Tracing<'a>>,
    /// Tell what each expression and each step met.
    pub explain: bool,
}

/// Everything that one running probe works with. It outlives the prober's future, so what was measured before a
/// timeout is still there.
#[derive(Debug)]
pub struct Probe<'a> {
    /// The target as the caller wrote it, what is not UTF-8 [carried](crate::carried).
    pub target: &'a str,
    /// The `hostname` parameter.
    pub hostname: Option<&'a str>,
    /// The sockets, resolver and trust that probes share.
    pub network: &'a Network,
    /// When the probe must have ended.
    pub deadline: Deadline,
    /// When it began.
    pub start: Instant,
    /// When what it received last had arrived.
    pub arrivals: Arrivals,
    /// The log book.
    pub log: ProbeLog,
    /// Where its connections come from.
    pub vantage: &'a Vantage,
    /// The name server that is asked instead of the system's.
    pub name_server: Option<&'a NameServer>,
    /// Which addresses of the target are dialled.
    pub addresses: Addresses,
    /// Which further families are exposed.
    pub exposition: Exposition,
    /// The address that is dialled whatever the target's name has.
    pub ip_address: Option<IpAddr>,
    /// The address that is probed, when each one is by itself. Boxed, as what else few probes have: thousands wait at a time.
    pub fixed: Option<Box<Chosen>>,
    /// What is sent and must not be read by anybody else.
    pub secrets: Secrets,
    /// What was measured.
    pub samples: Samples,
    /// Hops and phases, for the pictures of the pages and the command line.
    pub timeline: Timeline,
    /// Facts of the last TLS handshake, failed ones included.
    pub tls: Option<Box<TlsFacts>>,
    /// What the advice is made of when it fails.
    pub facts: Facts,
    /// Its trace, if the module has one.
    pub trace: Option<Tracing<'a>>,
    /// The beginning of the last response's body, if the module keeps it.
    pub body: Option<Body>,
    /// The step of the dialogue that is under way, from 1.
    pub step: Option<usize>,
    /// What expressions and steps met, if somebody asked for it.
    pub findings: Option<Box<Findings>>,
    /// Why it failed.
    failed: Option<Reason>,
}

impl<'a> Probe<'a> {
    /// A probe that is about to begin.
    pub fn new(
        network: &'a Network,
        module: &'a Module,
        request: &Request<'a>,
        deadline: Deadline,
        start: Instant,
    ) -> Self {
        Self {
            target: request.target,
            hostname: request.hostname,
            network,
            deadline,
            start,
            arrivals: Arrivals::new(),
            log: ProbeLog::new(),
            vantage: &module.vantage,
            name_server: module.name_server.as_ref(),
            addresses: module.addresses,
            exposition: module.exposition,
            ip_address: module.ip_address,
            fixed: None,
            secrets: Secrets::default(),
            samples: Samples::with_capacity(usual_samples(&module.kind)),
            timeline: Timeline::new(start),
            tls: None,
            body: None,
            step: None,
            findings: None,
            failed: None,
            facts: Facts::default(),
            trace: None,
        }
    }
}

/// How many series probes of that kind usually have.
fn usual_samples(kind: &Kind) -> usize {
    match kind {
        Kind::Http(_) => 20,
        _ => 12,
    }
}

/// The beginning of a response's body, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// As text, without the secrets of the probe.
    pub text: String,
    /// Whether there was more.
    pub cut: bool,
}

/// Why and where a probe failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Why.
    pub reason: Reason,
    /// The phase in which it did; empty when it was in none.
    pub phase: &'static str,
    /// The step of the dialogue in which it did, from 1.
    pub step: Option<usize>,
}

impl Failure {
    /// The step in which it failed; empty when it was in none.
    pub fn step(&self) -> String {
        self.step.map_or_else(String::new, |step| step.to_string())
    }

    fn expose(&self, samples: &mut Samples) {
        let labels = [self.phase.into(), self.reason.name().into(), self.step().into()];
        samples.set_labels(Metric::FailureInfo, Labels::Values(labels.into()), 1.0);
    }
}

impl Probe<'_> {
    /// Names and values of the trace headers that the hop under way sends to `peer`; none without a trace.
    pub(crate) fn trace_headers(&self, peer: &str) -> SmallVec<[(&'static str, String); 2]> {
        let hop = self.timeline.hops.len().saturating_sub(1);
        let tracing = self.trace.as_ref();
        tracing
            .map(|tracing| tracing.headers(hop, peer))
            .unwrap_or_default()
    }

    /// Gives up for a reason. The first one counts: what follows comes of it.
    pub(crate) fn fail(&mut self, reason: Reason) -> Failed {
        self.failed.get_or_insert(reason);
        Failed(())
    }

    /// When something ended that began at `from`: when the last thing arrived that was received meanwhile. Without one, or when
    /// the time is over, that is now.
    pub(crate) fn end(&self, from: Instant) -> Instant {
        match self.deadline.left().is_zero() {
            true => Instant::now(),
            false => self.arrivals.after_or_now(from),
        }
    }

    /// Takes over what a handshake told.
    fn learn(&mut self, facts: Option<TlsFacts>) {
        let facts = facts.map(Box::new);
        self.timeline.hop().tls.clone_from(&facts);
        self.tls = facts;
    }

    /// Why and where it failed: in the phase that came last, unless the reason itself belongs to one.
    fn failure(&self) -> Failure {
        let reason = self.failed.unwrap_or(Reason::Other);
        let last = || Some(self.timeline.hops.last()?.phases.last()?.phase.label());
        Failure {
            reason,
            phase: reason.phase().or_else(last).unwrap_or_default(),
            step: self.step,
        }
    }
}

impl<'a> Probe<'a> {
    /// How names are looked up, if not by the system's resolver.
    pub fn via(&self) -> Option<Via<'a>> {
        let (network, vantage) = (self.network, self.vantage);
        self.name_server.map(|server| Via {
            server,
            network,
            vantage,
        })
    }
}

/// How a probe ended. A failed probe is an outcome like any other.
#[derive(Debug)]
pub struct Outcome {
    /// Whether every step and every check passed.
    pub success: bool,
    /// How long the probe took.
    pub duration: Duration,
    /// What was measured.
    pub samples: Samples,
    /// The log book.
    pub log: ProbeLog,
    /// Hops and phases.
    pub timeline: Timeline,
    /// Facts of the last TLS handshake.
    pub tls: Option<TlsFacts>,
    /// Why it failed; `None` when it did not.
    pub failure: Option<Failure>,
    /// What to do about a failure, in one line made for this case.
    pub advice: Option<String>,
    /// The beginning of the last response's body, if the module keeps it.
    pub body: Option<Body>,
    /// Its part in a trace, if the module has one.
    pub trace: Option<trace::Context>,
    /// What expressions and steps met, if the request asked for it.
    pub findings: Option<Box<Findings>>,
}

impl Outcome {
    /// That of a probe which began at `start` and is given up now: nothing that it measured.
    pub fn cancelled(start: Instant, trace: trace::Context) -> Self {
        Self {
            success: false,
            duration: start.elapsed(),
            samples: Samples::default(),
            log: ProbeLog::default(),
            timeline: Timeline::new(start),
            tls: None,
            failure: None,
            advice: None,
            body: None,
            trace: Some(trace),
            findings: None,
        }
    }

    /// Why the probe failed, in one line: its reason, and what the log says of it.
    pub fn reason(&self) -> Option<String> {
        let name = self.failure?.reason.name();
        Some(match self.words() {
            Some(words) => format!("{name}: {words}"),
            None => name.to_owned(),
        })
    }

    /// Why the probe failed, in words: the last error of its log, which is the one that ended it; without an error,
    /// the last warning, which is what a ping has instead.
    pub fn words(&self) -> Option<String> {
        if self.success {
            return None;
        }
        let last = |level| {
            let mut told = self
                .log
                .events()
                .iter()
                .rev()
                .filter(move |event| event.level == level);
            told.find(|event| event.message != FAILED && event.message != LOG_FULL)
        };
        let event = last(Level::Error).or_else(|| last(Level::Warn))?;
        let mut reason = event.message.to_owned();
        for (key, value) in &event.attributes {
            reason.push_str(if *key == "err" { ": " } else { ", " });
            if *key != "err" {
                reason.push_str(key);
                reason.push(' ');
            }
            reason.push_str(&value.to_string());
        }
        Some(reason)
    }
}

/// The last line of a failed probe.
const FAILED: &str = "Probe failed";

/// The line of a log that had more.
const LOG_FULL: &str = "Probe log is full, lines were dropped";

/// A prober gave up: [`Probe::fail`] knows why, and the log book tells it in words.
#[derive(Debug)]
pub struct Failed(());

/// How a prober ends.
pub type Verdict = Result<(), Failed>;

/// Runs one probe to its end, which is at the latest `request.timeout` from now.
pub async fn run(network: &Network, module: &Module, request: Request<'_>) -> Outcome {
    run_with(network, module, request, Also::default()).await
}

/// As [`run`], and does what else is asked for.
pub async fn run_with<'a>(
    network: &'a Network,
    module: &'a Module,
    request: Request<'a>,
    also: Also<'a>,
) -> Outcome {
    let deadline = Deadline::after(Instant::now(), request.timeout);
    // Out of time for it, the probe itself will say what it waits for.
    let _ = deadline.within(get_ready(network, module, request.target)).await;
    let start = Instant::now();
    let mut probe = Probe::new(network, module, &request, deadline, start);
    probe.trace = also.trace.or_else(|| Tracing::begin(module, &HeaderMap::new()));
    for secret in &module.secrets {
        probe.secrets.hide(secret.expose().as_bytes());
    }
    probe.findings = also.explain.then(Box::default);
    log!(probe.log, Debug, "Beginning probe", "probe" => module.prober().name(), "timeout_seconds" => request.timeout.as_secs_f64());
    let end = probe.deadline.at();
    let probing = async {
        match module.attempts {
            1 => once(&mut probe, module).await,
            most => Box::pin(attempts::probe(&mut probe, module, most)).await,
        }
    };
    // Probers enforce the deadline themselves, so they can report what they were waiting for. This timer is a backstop
    // for a wait without a deadline.
    let success = match tokio::time::timeout_at(end, probing).await {
        Ok(verdict) => verdict.is_ok(),
        Err(_) => {
            log!(probe.log, Error, "Probe timed out", "timeout_seconds" => request.timeout.as_secs_f64());
            probe.fail(Reason::RequestTimeout);
            false
        }
    };
    let duration = start.elapsed();
    let failure = (!success).then(|| probe.failure());
    let mut advice = failure.map(|failure| advice::conclude(&mut probe, &module.kind, failure));
    mask(&mut probe, &mut advice);
    if probe.log.dropped() > 0 {
        log!(probe.log, Warn, LOG_FULL, "lines" => probe.log.dropped());
    }
    if let Some(failure) = failure.filter(|_| module.exposition.failure_reason) {
        failure.expose(&mut probe.samples);
    }
    probe.samples.set_bool(Metric::Success, success);
    probe.samples.set(Metric::Duration, duration.as_secs_f64());
    probe.samples.set(Metric::Timeout, request.timeout.as_secs_f64());
    match &failure {
        None => log!(probe.log, Debug, "Probe succeeded", "duration_seconds" => duration.as_secs_f64()),
        Some(failure) => {
            // compat: the reason is our own.
            log!(probe.log, Error, FAILED, "duration_seconds" => duration.as_secs_f64(), "reason" => failure.reason.name(), "advice" => advice.clone().unwrap_or_default(), "see" => failure.reason.link());
        }
    }
    let Probe {
        samples,
        log,
        timeline,
        tls,
        body,
        trace,
        findings,
        ..
    } = probe;
    Outcome {
        success,
        duration,
        samples,
        log,
        timeline,
        tls: tls.map(|facts| *facts),
        failure,
        advice,
        body,
        trace: trace.map(|tracing| tracing.context),
        findings,
    }
}

/// Probes, and looks at the certificates that it met.
async fn once(probe: &mut Probe<'_>, module: &Module) -> Verdict {
    let verdict = dispatch(probe, &module.kind).await;
    if module.exposition.certificates {
        certificates::expose(probe, module.prober());
    }
    if revocation::is_wanted(module) && Box::pin(revocation::check(probe, module)).await {
        return Err(probe.fail(Reason::TlsCertRevoked));
    }
    verdict
}

/// Loads what a process loads once, so that its first probe measures the target and not that.
async fn get_ready(network: &Network, module: &Module, target: &str) {
    let settings = module.kind.tls(target);
    // A redirect may lead to TLS as well.
    if settings.is_some() || matches!(module.kind, Kind::Http(_)) {
        tls::seed().await;
    }
    if let Some(settings) = settings {
        settings.get_ready(&network.roots).await;
    }
}

/// Masks what a peer repeated of the secrets that it was sent.
fn mask(probe: &mut Probe<'_>, advice: &mut Option<String>) {
    if probe.secrets.is_empty() {
        return;
    }
    let mask = |text: &str| probe.secrets.masked(text);
    probe.log.rewrite(mask);
    if let Some(findings) = &mut probe.findings {
        findings.rewrite(mask);
    }
    if let Some(masked) = advice.as_deref().and_then(mask) {
        *advice = Some(masked);
    }
    if let Some(body) = &mut probe.body
        && let Some(masked) = mask(&body.text)
    {
        body.text = masked;
    }
    for hop in &mut probe.timeline.hops {
        for text in [Some(&mut hop.name), hop.result.as_mut()].into_iter().flatten() {
            if let Some(masked) = mask(text) {
                *text = masked;
            }
        }
    }
}

/// The prober of the module, boxed: a probe then takes the room that its own prober needs, not that of the largest, and
/// is not copied from one future into the next on its way down.
fn dispatch<'p>(
    probe: &'p mut Probe<'_>,
    kind: &'p Kind,
) -> Pin<Box<dyn Future<Output = Verdict> + Send + 'p>> {
    let each = match (probe.addresses, kind) {
        (Addresses::All, Kind::Tcp(module)) => Some(all::Each::Tcp(module)),
        (Addresses::All, Kind::Icmp(module)) => Some(all::Each::Icmp(module)),
        _ => None,
    };
    if let Some(each) = each {
        return Box::pin(all::probe(probe, each));
    }
    match kind {
        Kind::Http(module) => Box::pin(http::probe(probe, module)),
        Kind::Tcp(module) => Box::pin(tcp::probe(probe, module)),
        Kind::Icmp(module) => Box::pin(icmp::probe(probe, module)),
        Kind::Dns(module) => Box::pin(dns::probe(probe, module)),
        Kind::Grpc(module) => Box::pin(grpc::probe(probe, module)),
        Kind::Unix(module) => Box::pin(unix::probe(probe, module)),
        Kind::Websocket(module) => Box::pin(websocket::probe(probe, module)),
    }
}
