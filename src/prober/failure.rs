//! Why and where a probe failed.

use crate::metrics::{Labels, Metric, Samples};
use crate::probe_log::{Level, ProbeLog};
use crate::reason::Reason;

/// The last line of a failed probe.
pub(super) const FAILED: &str = "Probe failed";

/// The line of a log that had more.
pub(super) const LOG_FULL: &str = "Probe log is full, lines were dropped";

/// The last line of a failed attempt that is followed by another one.
pub(super) const AGAIN: &str = "Attempt failed, the probe is made again";

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

    /// In one line: the reason, and what the log of the probe says of it.
    pub fn line(&self, log: &ProbeLog) -> String {
        let name = self.reason.name();
        match words(log) {
            Some(words) => format!("{name}: {words}"),
            None => name.to_owned(),
        }
    }

    pub(super) fn expose(&self, samples: &mut Samples) {
        let labels = [self.phase.into(), self.reason.name().into(), self.step().into()];
        samples.set_labels(Metric::FailureInfo, Labels::Values(labels.into()), 1.0);
    }
}

/// Why the last attempt of a probe failed, in words: the last error of its log, which is the one that ended it; without an
/// error, the last warning, which is what a ping has instead.
pub(super) fn words(log: &ProbeLog) -> Option<String> {
    let of_attempt = log.events().iter().rev();
    let of_attempt = of_attempt.take_while(|event| event.message != AGAIN);
    let told = of_attempt.filter(|event| event.message != FAILED && event.message != LOG_FULL);
    let last = |level| told.clone().find(|event| event.level == level);
    let event = last(Level::Error).or_else(|| last(Level::Warn))?;
    // One of upstream's messages ends with a colon.
    let mut reason = event.message.trim_end_matches(':').to_owned();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log;

    #[test]
    fn the_words_are_those_of_the_last_attempt() {
        let mut log = ProbeLog::default();
        log!(log, Error, "Could not look it up", "err" => "no such host");
        assert_eq!(words(&log).as_deref(), Some("Could not look it up: no such host"));
        log!(log, Warn, AGAIN, "attempt" => 1);
        log!(log, Warn, "Timeout reading from socket", "err" => "late");
        log!(log, Error, FAILED);
        assert_eq!(words(&log).as_deref(), Some("Timeout reading from socket: late"));
    }

    #[test]
    fn there_is_one_colon_in_front_of_an_error() {
        let mut log = ProbeLog::default();
        log!(log, Error, "can't connect grpc server:", "err" => "refused");
        assert_eq!(words(&log).as_deref(), Some("can't connect grpc server: refused"));
    }
}
