//! `attempts`: a probe that failed is made again, within its one deadline and in plain sight.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::failure::AGAIN;
use super::{FailedAttempt, Probe, Verdict, once};
use crate::log;
use crate::metrics::Metric;
use crate::net::Deadline;

/// How long the next attempt waits after one that failed.
const PAUSE: Duration = Duration::from_millis(200);

/// Probes up to `most` times, until an attempt succeeds. All attempts but the last have an equal share of the time that is
/// left. What is exposed is that of the last attempt; the log and the timeline have all of them.
///
/// # Errors
/// [`Failed`](super::Failed) after the last attempt, or one whose failure would repeat.
pub(super) async fn probe(probe: &mut Probe<'_>, most: u32) -> Verdict {
    let whole = probe.deadline;
    let mut attempt = 1;
    loop {
        probe.samples.set(Metric::Attempts, f64::from(attempt));
        probe.samples.set_bool(Metric::FirstAttemptSuccess, false);
        let left = most - attempt + 1;
        if left > 1 {
            probe.deadline = Deadline::after(Instant::now(), whole.left() / left);
        }
        let verdict = once(probe).await;
        probe.deadline = whole;
        if verdict.is_ok() {
            probe.samples.set_bool(Metric::FirstAttemptSuccess, attempt == 1);
            return verdict;
        }
        let failure = probe.failure();
        if left == 1 || !failure.reason.may_pass() || whole.left() <= PAUSE {
            return verdict;
        }
        let line = failure.line(&probe.log);
        log!(probe.log, Warn, AGAIN, "attempt" => attempt, "of" => most, "reason" => failure.reason.name());
        probe.timeline.hop().failed = Some(Box::new(FailedAttempt { failure, line }));
        sleep(PAUSE).await;
        probe.begin_again();
        attempt += 1;
    }
}
