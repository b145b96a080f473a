//! The one deadline of a probe.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

/// When a probe must have ended.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    at: Instant,
    budget: Duration,
}

/// The deadline passed while waiting. Displays as what to tell the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedOut {
    /// The probe's whole time-out.
    pub budget: Duration,
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the probe's time-out of {:?} ran out", self.budget)
    }
}

impl std::error::Error for TimedOut {}

impl Deadline {
    /// `budget` after `start`.
    pub fn after(start: Instant, budget: Duration) -> Self {
        // Thirty years: far enough for "never", near enough not to overflow the clock.
        let at = start
            .checked_add(budget)
            .unwrap_or_else(|| start + Duration::from_secs(1 << 30));
        Self { at, budget }
    }

    /// The moment itself.
    pub fn at(&self) -> Instant {
        self.at
    }

    /// The error of having passed it.
    pub fn timed_out(&self) -> TimedOut {
        TimedOut { budget: self.budget }
    }

    /// What is left of it.
    pub fn left(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// Waits for `future`, but not longer than the deadline.
    pub async fn within<F: Future>(&self, future: F) -> Result<F::Output, TimedOut> {
        let mut future = pin!(future);
        let mut timer = pin!(tokio::time::sleep_until(self.at));
        poll_fn(|context| {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Ok(output));
            }
            // A peer that never pauses uses up the turn of its task; nothing is ready then, the timer neither.
            if Instant::now() >= self.at {
                return Poll::Ready(Err(self.timed_out()));
            }
            timer.as_mut().poll(context).map(|()| Err(self.timed_out()))
        })
        .await
    }
}
