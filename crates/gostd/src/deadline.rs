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
    /// Whether the task that waits is woken then by a timer that it has already.
    is_watched: bool,
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
        Self {
            at,
            budget,
            is_watched: false,
        }
    }

    /// The same for a task that has a timer for it already, which wakes it: its waits need no timers of their own. A future that wakes
    /// only those within it that asked for it (`FuturesUnordered`) must not wait with it.
    #[must_use]
    pub fn watched(self) -> Self {
        Self {
            is_watched: true,
            ..self
        }
    }

    /// The same for waits with timers of their own.
    #[must_use]
    pub fn unwatched(self) -> Self {
        Self {
            is_watched: false,
            ..self
        }
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
            timer: None,
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
        // Set when there is something to wait for: most futures are ready at once.
        #[pin]
        timer: Option<Sleep>,
        deadline: Deadline,
    }
}

impl<F: Future> Future for Within<F> {
    type Output = Result<F::Output, TimedOut>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Poll::Ready(output) = this.future.poll(context) {
            return Poll::Ready(Ok(output));
        }
        let timed_out = Err(this.deadline.timed_out());
        // A peer that never pauses uses up the turn of its task; nothing is ready then, the timer neither.
        if Instant::now() >= this.deadline.at {
            return Poll::Ready(timed_out);
        }
        if this.deadline.is_watched {
            return Poll::Pending;
        }
        if this.timer.is_none() {
            this.timer.set(Some(sleep_until(this.deadline.at)));
        }
        let timer = this.timer.as_mut().as_pin_mut();
        timer
            .map_or(Poll::Pending, |timer| timer.poll(context))
            .map(|()| timed_out)
    }
}
