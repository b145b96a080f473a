//! A running probe: what it was given to work with, and what it has found out so far.

use std::net::IpAddr;
use std::time::Duration;

use smallvec::SmallVec;
use tokio::time::Instant;

use super::{BodyExcerpt, Chosen, Facts, Failure, Findings, ProbeRequest, Timeline};
use crate::log;
use crate::metrics::Samples;
use crate::module::{Kind, Module, SectionSource};
use crate::net::arrivals::Arrivals;
use crate::net::resolve::ServerRoute;
use crate::net::secrets::Secrets;
use crate::net::tls::facts::TlsFacts;
use crate::net::{Deadline, Network};
use crate::probe_log::{ProbeLog, text};
use crate::reason::Reason;
use crate::trace::Tracing;

/// Everything that one running probe works with. It outlives the prober's future, so what was measured before a
/// timeout is still there.
#[derive(Debug)]
pub struct Probe<'a> {
    /// The target as the caller wrote it, what is not UTF-8 [carried](crate::carried).
    pub target: &'a str,
    /// Its module.
    pub module: &'a Module,
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
    /// What is sent and must not be read by anybody else.
    pub secrets: Secrets,
    /// What was measured.
    pub samples: Samples,
    /// Hops and phases, for the pictures of the pages and the command line.
    pub timeline: Timeline,
    /// Its trace, if the module has one.
    pub trace: Option<Box<Tracing<'a>>>,
    /// What else the attempt under way has found out.
    pub attempt: Attempt,
}

/// What one attempt of a probe finds out, besides samples and hops. What few probes have is boxed: thousands wait at a time.
#[derive(Debug, Default)]
pub struct Attempt {
    /// The address that is probed, when each one is by itself.
    pub fixed: Option<Box<Chosen>>,
    /// Facts of the last TLS handshake, failed ones included.
    pub tls: Option<Box<TlsFacts>>,
    /// What the advice is made of when it fails.
    pub facts: Facts,
    /// The beginning of the last response's body, if the module keeps it.
    pub body: Option<Box<BodyExcerpt>>,
    /// The step of the dialogue that is under way, from 1.
    pub step: Option<usize>,
    /// What expressions and steps met, if somebody asked for it.
    pub findings: Option<Box<Findings>>,
    /// Why it failed.
    pub(super) failed: Option<Reason>,
}

impl<'a> Probe<'a> {
    /// A probe that begins now.
    pub fn new(
        network: &'a Network,
        module: &'a Module,
        request: &ProbeRequest<'a>,
        deadline: Deadline,
    ) -> Self {
        let arrivals = Arrivals::new();
        let start = arrivals.start();
        Self {
            target: request.target,
            module,
            hostname: request.hostname,
            network,
            deadline,
            start: start.steady(),
            arrivals,
            log: ProbeLog::with_capacity(usual_lines(&module.kind)),
            secrets: Secrets::default(),
            samples: Samples::with_capacity(usual_samples(&module.kind)),
            timeline: Timeline::new(start),
            trace: None,
            attempt: Attempt::default(),
        }
    }

    /// How names are looked up, if not by the system's resolver.
    pub fn via(&self) -> Option<ServerRoute<'a>> {
        let server = self.module.name_server.as_ref()?;
        Some(ServerRoute {
            server,
            network: self.network,
            vantage: &self.module.vantage,
        })
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
        self.attempt.failed.get_or_insert(reason);
        Failed(())
    }

    /// When something ended that began at `from`: when the last thing arrived that was received meanwhile. Without one, or when
    /// the time is over, that is now.
    pub(crate) fn end(&self, from: Instant) -> Instant {
        let now = Instant::now();
        match now < self.deadline.at() {
            true => self.arrivals.after(from).unwrap_or(now),
            false => now,
        }
    }

    /// The source address of a section of the module, which is logged.
    ///
    /// # Errors
    /// The text that is no address, after it was logged.
    pub(super) fn source<'s>(
        &mut self,
        written: &'s SectionSource,
        message: &'static str,
    ) -> Result<Option<IpAddr>, &'s str> {
        match written {
            None => Ok(None),
            Some(Ok(ip)) => {
                log!(self.log, Debug, message, "srcIP" => text(ip));
                Ok(Some(*ip))
            }
            Some(Err(written)) => {
                log!(self.log, Error, "Error parsing source ip address", "srcIP" => written.clone());
                Err(written)
            }
        }
    }

    /// Records that a token was waited for, unless one was kept.
    pub(super) fn record_token(&mut self, from: Instant) {
        const KEPT: Duration = Duration::from_millis(1);
        let to = Instant::now();
        if to.saturating_duration_since(from) >= KEPT {
            self.timeline.record(super::Phase::Token, from, to);
        }
    }

    /// Takes over what a handshake told.
    pub(super) fn learn(&mut self, facts: Option<TlsFacts>) {
        let facts = facts.map(Box::new);
        self.timeline.hop().tls.clone_from(&facts);
        self.attempt.facts.has_spoken = false;
        self.attempt.tls = facts;
    }

    /// Why and where it failed: in the phase that came last, unless the reason itself belongs to one.
    pub(super) fn failure(&self) -> Failure {
        let reason = self.attempt.failed.unwrap_or(Reason::Other);
        let last = || Some(self.timeline.attempt().last()?.phases.last()?.phase.label());
        Failure {
            reason,
            phase: reason.phase().or_else(last).unwrap_or_default(),
            step: self.attempt.step,
        }
    }

    /// Begins another attempt, and forgets what the one before has found out.
    pub(super) fn begin_again(&mut self) {
        self.samples = Samples::new();
        self.timeline.begin_again();
        self.attempt = Attempt {
            findings: self.attempt.findings.take().map(|_| Box::default()),
            ..Attempt::default()
        };
    }
}

/// A prober gave up: [`Probe::fail`] knows why, and the log book tells it in words.
#[derive(Debug)]
pub struct Failed(pub(super) ());

/// How a prober ends.
pub type Verdict = Result<(), Failed>;

/// How many plain gauges probes of that kind usually have.
fn usual_samples(kind: &Kind) -> usize {
    match kind {
        Kind::Http(_) => 14,
        _ => 10,
    }
}

/// How many lines the log of a probe of that kind has while it waits for its target.
fn usual_lines(kind: &Kind) -> usize {
    match kind {
        Kind::Tcp(_) => 6,
        _ => 4,
    }
}
