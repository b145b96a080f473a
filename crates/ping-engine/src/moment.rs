//! Time between something that this process did and what the kernel stamped later.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// Tolerated drift between the two clocks: the time between the two reads.
const SAME: Duration = Duration::from_millis(1);

/// A moment on both clocks: the kernel stamps packets with wall time, which may jump.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    steady: Instant,
    wall: SystemTime,
}

impl Moment {
    /// This moment.
    pub fn now() -> Self {
        Self {
            steady: Instant::now(),
            wall: SystemTime::now(),
        }
    }

    /// The moment on the clock that does not jump.
    pub fn steady(self) -> Instant {
        self.steady
    }

    /// The moment on the clock on the wall.
    pub fn wall(self) -> SystemTime {
        self.wall
    }

    /// Wall time at a moment that is not before this one, unless it was set in between.
    pub fn wall_at(self, at: Instant) -> SystemTime {
        self.wall + at.saturating_duration_since(self.steady)
    }

    /// Time until the kernel's stamp, or until now if there is none or wall time was set in between.
    pub fn until(self, now: Self, stamp: Option<SystemTime>) -> Duration {
        let longest = now.steady - self.steady;
        let by_wall = now.wall.duration_since(self.wall).unwrap_or_default();
        stamp
            .filter(|_| by_wall.abs_diff(longest) <= SAME)
            .and_then(|stamp| stamp.duration_since(self.wall).ok())
            .filter(|took| *took <= longest)
            .unwrap_or(longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_time_may_jump() {
        let sent = Moment::now();
        // By how many milliseconds the clock is put on meanwhile, and when the stamp came by it; the answer is read after a second.
        for (put_on, stamp, took) in [
            (0, Some(300), 300),
            (0, None, 1000),
            (0, Some(-5), 1000),
            (0, Some(1001), 1000),
            (3_600_000, Some(3_600_300), 1000),
            (-3_600_000, Some(-3_599_700), 1000),
            // Less than the second: the stamp alone does not tell.
            (-200, Some(100), 1000),
            (200, Some(500), 1000),
        ] {
            let by = |millis: i64| {
                let long = Duration::from_millis(millis.unsigned_abs());
                if millis < 0 {
                    sent.wall - long
                } else {
                    sent.wall + long
                }
            };
            let now = Moment {
                steady: sent.steady + Duration::from_secs(1),
                wall: by(1000 + put_on),
            };
            let got = sent.until(now, stamp.map(by));
            assert_eq!(got, Duration::from_millis(took), "{put_on} {stamp:?}");
        }
    }
}
