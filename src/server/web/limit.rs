//! The rate limit of requests: a bucket of tokens, as Go's `x/time/rate`.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// A bucket that holds `burst` tokens and gets one more every `interval`.
#[derive(Debug)]
pub struct Limiter {
    burst: f64,
    /// Seconds; zero or less means no limit.
    interval: f64,
    bucket: Mutex<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled_at: Instant,
}

impl Limiter {
    /// A full bucket; `interval` in nanoseconds.
    pub fn new(burst: i64, interval: i64) -> Self {
        let burst = burst.max(0) as f64;
        Self {
            burst,
            interval: interval as f64 / 1e9,
            bucket: Mutex::new(Bucket {
                tokens: burst,
                filled_at: Instant::now(),
            }),
        }
    }

    /// Takes a token, if there is one.
    pub fn allow(&self) -> bool {
        self.allow_at(Instant::now())
    }

    fn allow_at(&self, now: Instant) -> bool {
        if self.interval <= 0.0 {
            return true;
        }
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.saturating_duration_since(bucket.filled_at).as_secs_f64();
        bucket.tokens = (bucket.tokens + passed / self.interval).min(self.burst);
        bucket.filled_at = now;
        if bucket.tokens < 1.0 {
            return false;
        }
        bucket.tokens -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn fills_up_again() {
        let limiter = Limiter::new(2, 1_000_000_000);
        let start = Instant::now();
        let at = |seconds| limiter.allow_at(start + Duration::from_secs_f64(seconds));
        assert_eq!(
            [at(0.0), at(0.1), at(0.2), at(1.2), at(1.3)],
            [true, true, false, true, false]
        );
        assert_eq!([at(60.0), at(60.0), at(60.0)], [true, true, false]);
        assert!(!Limiter::new(0, 1).allow());
        assert!(Limiter::new(0, -1).allow());
    }
}
