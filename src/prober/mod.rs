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
mod failure;
mod findings;
mod outcome;
mod probe;
mod resolve;
mod revocation;
mod series;
mod timeline;

use std::pin::Pin;
use std::time::Duration;

use ::http::HeaderMap;
use tokio::time::Instant;

use crate::config::Secret;
use crate::config::module::vantage::Addresses;
use crate::log;
use crate::metrics::Metric;
use crate::module::{Kind, Module};
use crate::net::{Deadline, Network, tls};
use crate::reason::Reason;
use crate::trace::Tracing;
use failure::{FAILED, LOG_FULL};

pub use advice::Facts;
pub use advice::http::speaks_tls;
pub use failure::Failure;
pub use findings::{Finding, Findings, Judged};
pub use outcome::{BodyExcerpt, Outcome};
pub use probe::{Attempt, Failed, Probe, Verdict};
pub use resolve::{Chosen, choose_address};
pub use timeline::{Answer, FailedAttempt, Hop, Phase, PhaseSpan, Timeline};

/// What a probe is asked to do.
#[derive(Clone, Debug)]
pub struct ProbeRequest<'a> {
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
    pub trace: Option<Box<Tracing<'a>>>,
    /// Tell what each expression and each step met.
    pub explain: bool,
    /// The timeout of the request in seconds, as it was computed: it may be no duration.
    pub seconds: Option<f64>,
}

/// Runs one probe to its end, which is at the latest `request.timeout` from now.
pub async fn run(network: &Network, module: &Module, request: ProbeRequest<'_>) -> Outcome {
    run_with(network, module, &request, Also::default()).await
}

/// As [`run`], and does what else is asked for.
pub async fn run_with<'a>(
    network: &'a Network,
    module: &'a Module,
    request: &ProbeRequest<'a>,
    also: Also<'a>,
) -> Outcome {
    let begun = Instant::now();
    let deadline = Deadline::after(begun, request.timeout);
    // Out of time for it, the probe itself will fail with what it needs.
    let is_ready = deadline
        .within(get_ready(network, module, request.target))
        .await
        .is_ok();
    let mut probe = Probe::new(network, module, request, deadline.watched());
    probe.trace = also.trace.or_else(|| Tracing::begin(module, &HeaderMap::new()));
    // What the target says itself is no secret.
    let hidden = |secret: &&Secret| !request.target.contains(secret.expose());
    for secret in module.secrets.iter().filter(hidden) {
        probe.secrets.hide(secret.expose().as_bytes());
    }
    probe.attempt.findings = also.explain.then(Box::default);
    let seconds = also.seconds.unwrap_or(request.timeout.as_secs_f64());
    log!(probe.log, Debug, "Beginning probe", "probe" => module.prober().name(), "timeout_seconds" => seconds);
    let end = probe.deadline.at();
    let probing = async {
        match module.attempts {
            1 => once(&mut probe).await,
            most => Box::pin(attempts::probe(&mut probe, most)).await,
        }
    };
    // Probers enforce the deadline themselves, so they can report what they were waiting for. This timer wakes them, and is a
    // backstop for a wait without a deadline.
    let success = match tokio::time::timeout_at(end, probing).await {
        Ok(verdict) => verdict.is_ok(),
        Err(_) => {
            log!(probe.log, Error, "Probe timed out", "timeout_seconds" => request.timeout.as_secs_f64());
            probe.fail(Reason::RequestTimeout);
            false
        }
    };
    let aside = probe.attempt.findings.as_ref().map(|findings| findings.took());
    // Getting ready is no matter of the target, but a probe that had no time left took all that its scrape waited for.
    let from = if deadline.left().is_zero() {
        begun
    } else {
        probe.start
    };
    let duration = from.elapsed().saturating_sub(aside.unwrap_or_default());
    let failure = (!success).then(|| probe.failure());
    let mut advice = failure.map(|failure| {
        let line = match is_ready {
            true => advice::conclude(&mut probe, failure),
            false => advice::not_ready(),
        };
        match advice::stopped(probe.deadline) {
            Some(stopped) => format!("{stopped} {line}"),
            None => line,
        }
    });
    mask(&mut probe, &mut advice);
    if probe.log.dropped() > 0 {
        log!(probe.log, Warn, LOG_FULL, "lines" => probe.log.dropped());
    }
    if let Some(failure) = failure.filter(|_| module.exposition.failure_reason) {
        failure.expose(&mut probe.samples);
    }
    probe.samples.set_bool(Metric::Success, success);
    probe.samples.set(Metric::Duration, duration.as_secs_f64());
    probe.samples.set(Metric::Timeout, seconds);
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
        trace,
        attempt,
        ..
    } = probe;
    Outcome {
        success,
        duration,
        samples,
        log,
        timeline,
        tls: attempt.tls,
        failure,
        advice,
        body: attempt.body.map(|body| *body),
        trace: trace.map(|tracing| tracing.context),
        findings: attempt.findings,
    }
}

/// Probes once: the target, or each of its addresses.
async fn once(probe: &mut Probe<'_>) -> Verdict {
    match probe.module.addresses {
        Addresses::All => Box::pin(all::probe(probe)).await,
        Addresses::First | Addresses::Random | Addresses::Any => judged(probe).await,
    }
}

/// Probes, and looks at the certificates that it met.
async fn judged(probe: &mut Probe<'_>) -> Verdict {
    let verdict = dispatch(probe).await;
    if verdict.is_ok() {
        // The dialogue has passed: what fails now fails in none of its steps.
        probe.attempt.step = None;
    }
    if probe.module.exposition.certificates {
        certificates::expose(probe);
    }
    if revocation::is_wanted(probe.module) && Box::pin(revocation::check(probe)).await {
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
    if let Some(findings) = &mut probe.attempt.findings {
        findings.rewrite(mask);
    }
    if let Some(masked) = advice.as_deref().and_then(mask) {
        *advice = Some(masked);
    }
    if let Some(body) = &mut probe.attempt.body
        && let Some(masked) = mask(&body.text)
    {
        body.text = masked;
    }
    for hop in &mut probe.timeline.hops {
        let failed = hop.failed.as_mut().map(|failed| &mut failed.line);
        let texts = [Some(&mut hop.name), hop.result.as_mut(), failed];
        for text in texts.into_iter().flatten() {
            if let Some(masked) = mask(text) {
                *text = masked;
            }
        }
    }
}

/// The prober of the module, boxed: a probe then takes the room that its own prober needs, not that of the largest, and
/// is not copied from one future into the next on its way down.
fn dispatch<'p>(probe: &'p mut Probe<'_>) -> Pin<Box<dyn Future<Output = Verdict> + Send + 'p>> {
    let module = probe.module;
    match &module.kind {
        Kind::Http(module) => Box::pin(http::probe(probe, module)),
        Kind::Tcp(module) => Box::pin(tcp::probe(probe, module)),
        Kind::Icmp(module) => Box::pin(icmp::probe(probe, module)),
        Kind::Dns(module) => Box::pin(dns::probe(probe, module)),
        Kind::Grpc(module) => Box::pin(grpc::probe(probe, module)),
        Kind::Unix(module) => Box::pin(unix::probe(probe, module)),
        Kind::Websocket(module) => Box::pin(websocket::probe(probe, module)),
    }
}
