//! The one deadline of a probe.

use std::fmt;
use std::future::Future;
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
        tokio::time::timeout_at(self.at, future)
            .await
            .map_err(|_| self.timed_out())
    }
}
