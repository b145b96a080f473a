//! When each phase of each hop of a probe ran: the data of the waterfall pictures.

use std::borrow::Cow;
use std::ops::Range;
use std::time::{Duration, SystemTime};

use ping_engine::Moment;
use tokio::time::Instant;

use super::Failure;
use crate::net::tls::facts::TlsFacts;

/// A phase as the metrics name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Phase {
    Resolve,
    /// http, websocket: having an OAuth2 token granted.
    Token,
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
            Self::Token => "token",
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
    /// How it ended, in words: a status line, `connection refused`, …
    pub result: Option<String>,
    /// What its peer answered, if that has a status.
    pub answer: Option<Answer>,
    /// Which attempt of the probe it belongs to, counted from 0.
    pub attempt: u32,
    /// Why this attempt failed, if it ended with this hop and another one followed.
    pub failed: Option<Box<FailedAttempt>>,
    /// Its phases in order.
    pub phases: Vec<PhaseSpan>,
    /// Facts of its last TLS handshake, failed ones included.
    pub tls: Option<Box<TlsFacts>>,
}

/// The status with which a peer answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Of HTTP, an upgrade to WebSocket included.
    Http {
        /// Major and minor version.
        version: (u8, u8),
        /// Status code.
        status: u16,
    },
    /// Of a call of gRPC.
    Grpc {
        /// Its code.
        code: u32,
        /// The status of HTTP that the code stands for, if the response is not gRPC.
        http: Option<u16>,
    },
}

/// Why an attempt failed that was not the last one.
#[derive(Clone, Debug)]
pub struct FailedAttempt {
    /// Why and where.
    pub failure: Failure,
    /// The same in one line, with what the log says of it.
    pub line: String,
}

impl Hop {
    /// How it ended, as people are shown it.
    pub fn shown(&self) -> Option<Cow<'_, str>> {
        let result = self.result.as_deref();
        let Some(failed) = &self.failed else {
            return result.map(Cow::Borrowed);
        };
        let words = result.unwrap_or(failed.failure.reason.name());
        Some(format!("attempt {} failed: {words}", self.attempt + 1).into())
    }
}

/// All hops of a probe.
#[derive(Clone, Debug)]
pub struct Timeline {
    start: Moment,
    /// The hops in order. A phase that is recorded before any hop of an attempt begins makes its first hop.
    pub hops: Vec<Hop>,
    /// Which of them are those of the attempt under way, or of the one that is described.
    attempt: Range<usize>,
    /// How many attempts of the probe failed before.
    number: u32,
}

impl Timeline {
    /// A timeline of a probe that starts now.
    pub fn new(start: Moment) -> Self {
        Self {
            start,
            hops: Vec::with_capacity(1),
            attempt: 0..0,
            number: 0,
        }
    }

    /// When the probe began, by the clock on the wall.
    pub fn began(&self) -> SystemTime {
        self.start.wall()
    }

    /// Begins the probe again, with another attempt.
    pub fn begin_again(&mut self) {
        self.number += 1;
        self.begin_attempt();
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
            attempt: self.number,
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
            start: from.saturating_duration_since(self.start.steady()),
            length: to.saturating_duration_since(from),
        };
        self.hop().phases.push(span);
    }
}
