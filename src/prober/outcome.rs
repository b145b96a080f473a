//! How a probe ended, and why.

use std::time::Duration;

use tokio::time::Instant;

use super::{Findings, Timeline};
use crate::metrics::{Labels, Metric, Samples};
use crate::net::tls_facts::TlsFacts;
use crate::probe_log::{Level, ProbeLog};
use crate::reason::Reason;
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
        for (key, value) in event.attributes() {
            reason.push_str(if key == "err" { ": " } else { ", " });
            if key != "err" {
                reason.push_str(key);
                reason.push(' ');
            }
            reason.push_str(&value.to_string());
        }
        Some(reason)
    }
}

/// The last line of a failed probe.
pub(super) const FAILED: &str = "Probe failed";

/// The line of a log that had more.
pub(super) const LOG_FULL: &str = "Probe log is full, lines were dropped";

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

    pub(super) fn expose(&self, samples: &mut Samples) {
        let labels = [self.phase.into(), self.reason.name().into(), self.step().into()];
        samples.set_labels(Metric::FailureInfo, Labels::Values(labels.into()), 1.0);
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
