//! When each phase of each hop of a probe ran: the data of the waterfall pictures.

use std::ops::Range;
use std::time::Duration;

use tokio::time::Instant;

use crate::net::tls_facts::TlsFacts;

/// A phase as the metrics name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Phase {
    Resolve,
    Connect,
    Tls,
    Processing,
    Transfer,
    /// icmp: opening the socket. tcp: asking for TLS (`starttls`). All: asking a proxy for the way.
    Setup,
    /// icmp: from sending to the reply.
    Rtt,
    /// dns: the exchange.
    Request,
    /// grpc: the health check.
    Check,
}

impl Phase {
    /// The value of the `phase` label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Processing => "processing",
            Self::Transfer => "transfer",
            Self::Setup => "setup",
            Self::Rtt => "rtt",
            Self::Request => "request",
            Self::Check => "check",
        }
    }
}

/// One phase of one hop, as offsets from the start of the probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhaseSpan {
    /// Which phase.
    pub phase: Phase,
    /// Start, counted from the start of the probe.
    pub start: Duration,
    /// How long it took.
    pub length: Duration,
}

/// One hop: an HTTP request and its answer, or the whole dialogue of another prober.
#[derive(Clone, Debug, Default)]
pub struct Hop {
    /// What was asked: a URL, or an address and port. No secrets.
    pub name: String,
    /// The address that was dialled, once known.
    pub address: Option<String>,
    /// How it ended: a status line, `connection refused`, …
    pub result: Option<String>,
    /// Its phases in order.
    pub phases: Vec<PhaseSpan>,
    /// Facts of its last TLS handshake, failed ones included.
    pub tls: Option<Box<TlsFacts>>,
}

/// All hops of a probe.
#[derive(Clone, Debug)]
pub struct Timeline {
    start: Instant,
    /// The hops in order. A phase that is recorded before any hop of an attempt begins makes its first hop.
    pub hops: Vec<Hop>,
    /// Which of them are those of the attempt under way, or of the one that is described.
    attempt: Range<usize>,
}

impl Timeline {
    /// A timeline of a probe that starts now.
    pub fn new(start: Instant) -> Self {
        Self {
            start,
            hops: Vec::with_capacity(1),
            attempt: 0..0,
        }
    }

    /// Begins another attempt: the hops so far are those of earlier ones.
    pub fn begin_attempt(&mut self) {
        self.attempt = self.hops.len()..self.hops.len();
    }

    /// Where the hops of the attempt under way are, to [describe](Self::describe) it later.
    pub fn place(&self) -> Range<usize> {
        self.attempt.clone()
    }

    /// Returns to an earlier attempt: what is told of the probe is that of its hops.
    pub fn describe(&mut self, place: Range<usize>) {
        self.attempt = place;
    }

    /// The hops of the attempt under way.
    pub fn attempt(&self) -> &[Hop] {
        self.hops.get(self.attempt.clone()).unwrap_or_default()
    }

    /// Begins a hop.
    pub fn begin_hop(&mut self, name: impl Into<String>) {
        self.hops.push(Hop {
            name: name.into(),
            ..Hop::default()
        });
        self.attempt.end = self.hops.len();
    }

    /// The hop under way.
    pub fn hop(&mut self) -> &mut Hop {
        if self.attempt.is_empty() {
            self.begin_hop("");
        }
        let last = self
            .hops
            .get_mut(self.attempt.clone())
            .and_then(<[Hop]>::last_mut);
        // Invariant: not empty.
        #[allow(clippy::expect_used)]
        last.expect("a hop was pushed")
    }

    /// Records a phase of the hop under way.
    pub fn record(&mut self, phase: Phase, from: Instant, to: Instant) {
        let span = PhaseSpan {
            phase,
            start: from.saturating_duration_since(self.start),
            length: to.saturating_duration_since(from),
        };
        self.hop().phases.push(span);
    }
}
