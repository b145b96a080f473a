//! When to ask.

use std::time::{Duration, Instant};

/// How many connections share a rate.
pub const PACED: usize = 16;

/// When which connection asks, and for how long.
#[derive(Clone, Copy)]
pub struct Pace {
    pub connections: usize,
    /// Between two requests of one connection; `None` for no time at all.
    interval: Option<Duration>,
    end: Instant,
}

impl Pace {
    pub fn new(connections: usize, rate: Option<f64>, seconds: u64) -> Self {
        Self {
            connections,
            interval: rate.map(|rate| Duration::from_secs_f64(connections as f64 / rate)),
            end: Instant::now() + Duration::from_secs(seconds),
        }
    }

    /// The turns of one connection: its first comes when its part of the interval has passed.
    pub fn turns(self, connection: usize) -> Turns {
        Turns {
            interval: self.interval.map(|interval| {
                let first = interval * connection as u32 / self.connections as u32;
                tokio::time::interval_at(tokio::time::Instant::now() + first, interval)
            }),
            end: self.end,
        }
    }
}

pub struct Turns {
    interval: Option<tokio::time::Interval>,
    end: Instant,
}

impl Turns {
    /// Waits for the next turn; false when the time is up.
    pub async fn next(&mut self) -> bool {
        if let Some(interval) = &mut self.interval {
            interval.tick().await;
        }
        Instant::now() < self.end
    }
}
