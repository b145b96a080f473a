//! The one deadline of a probe.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

/// When a probe must have ended.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    at: Instant,
    budget: Duration,
}

/// The deadline passed while waiting. Displays as what to tell the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the probe's timeout of {budget:?} ran out")]
pub struct TimedOut {
    /// The probe's whole timeout.
    pub budget: Duration,
}

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
    pub fn within<F: Future>(&self, future: F) -> Within<F> {
        Within {
            future,
            timer: sleep_until(self.at),
            deadline: *self,
        }
    }
}

pin_project! {
    /// What [`Deadline::within`] waits for. Written out, because an `async fn` would hold the future twice: once as its
    /// argument and once pinned, and again in each that waits for another.
    #[derive(Debug)]
    #[must_use = "waits for nothing unless it is awaited"]
    pub struct Within<F> {
        #[pin]
        future: F,
        #[pin]
        timer: Sleep,
        deadline: Deadline,
    }
}

impl<F: Future> Future for Within<F> {
    type Output = Result<F::Output, TimedOut>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.future.poll(context) {
            return Poll::Ready(Ok(output));
        }
        let timed_out = Err(this.deadline.timed_out());
        // A peer that never pauses uses up the turn of its task; nothing is ready then, the timer neither.
        if Instant::now() >= this.deadline.at {
            return Poll::Ready(timed_out);
        }
        this.timer.poll(context).map(|()| timed_out)
    }
}
