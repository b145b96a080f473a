//! How a probe ended, and why.

use std::time::Duration;

use ping_engine::Moment;

use super::failure::words;
use super::{Failure, Findings, Timeline};
use crate::metrics::Samples;
use crate::net::tls::facts::TlsFacts;
use crate::probe_log::ProbeLog;
use crate::trace;

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
    pub tls: Option<Box<TlsFacts>>,
    /// Why it failed; `None` when it did not.
    pub failure: Option<Failure>,
    /// What to do about a failure, in one line made for this case.
    pub advice: Option<String>,
    /// The beginning of the last response's body, if the module keeps it.
    pub body: Option<BodyExcerpt>,
    /// Its part in a trace, if the module has one.
    pub trace: Option<trace::Context>,
    /// What expressions and steps met, if the request asked for it.
    pub findings: Option<Box<Findings>>,
}

impl Outcome {
    /// That of a probe which began at `start` and is given up now: nothing that it measured.
    pub fn cancelled(start: Moment, trace: trace::Context) -> Self {
        Self {
            success: false,
            duration: start.steady().elapsed(),
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
        Some(self.failure?.line(&self.log))
    }

    /// Why the probe failed, in words.
    pub fn words(&self) -> Option<String> {
        match self.success {
            true => None,
            false => words(&self.log),
        }
    }
}

/// The beginning of a response's body, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyExcerpt {
    /// As text, without the secrets of the probe.
    pub text: String,
    /// Whether there was more.
    pub cut: bool,
}
