//! Timers for a peer that takes too long.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep, sleep_until};

/// A timer that is mostly set again before it runs out. Then it stays as it is, and is put off when it wakes its task too early.
#[derive(Debug, Default)]
pub struct Alarm {
    /// When the patience ends; `None` before it begins.
    pub at: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    /// Ready with an error when the patience, which begins now if it has not yet, has ended.
    pub fn poll(&mut self, patience: Duration, cx: &mut Context<'_>) -> Poll<io::Error> {
        let at = *self.at.get_or_insert_with(|| Instant::now() + patience);
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if timer.deadline() > at {
            timer.as_mut().reset(at);
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() >= at {
                return Poll::Ready(io::Error::from(io::ErrorKind::TimedOut));
            }
            timer.as_mut().reset(at);
        }
    }
}

/// Ready with an error when the timer, which is set if it is not yet, has run out.
pub fn expired(
    timer: &mut Option<Pin<Box<Sleep>>>,
    patience: Duration,
    cx: &mut Context<'_>,
) -> Poll<io::Error> {
    let timer = timer.get_or_insert_with(|| Box::pin(sleep(patience)));
    ready!(timer.as_mut().poll(cx));
    Poll::Ready(io::Error::from(io::ErrorKind::TimedOut))
}
