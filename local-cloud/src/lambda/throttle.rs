//! The request rates of the control plane, as token buckets.
//!
//! AWS allows 15 requests a second for all control-plane operations together, per account and region, and 100 a
//! second for `GetFunction` by itself. A bucket holds one second's worth, so that a short burst passes.

use std::sync::Mutex;
use std::time::Instant;

/// Tokens that come back at a steady rate, up to one second's worth.
#[derive(Debug)]
pub(super) struct TokenBucket {
    per_second: f64,
    state: Mutex<(f64, Instant)>,
}

impl TokenBucket {
    /// A full bucket. A rate of zero or less never refuses.
    pub(super) fn new(per_second: f64) -> Self {
        Self { per_second, state: Mutex::new((per_second.max(1.0), Instant::now())) }
    }

    /// Takes one token, if there is one.
    pub(super) fn take(&self) -> bool {
        self.take_at(Instant::now())
    }

    fn take_at(&self, now: Instant) -> bool {
        if self.per_second <= 0.0 {
            return true;
        }
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (tokens, since) = *state;
        let refilled = tokens + now.saturating_duration_since(since).as_secs_f64() * self.per_second;
        let tokens = refilled.min(self.per_second.max(1.0));
        let allowed = tokens >= 1.0;
        *state = (if allowed { tokens - 1.0 } else { tokens }, now.max(since));
        allowed
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_of_one_second_passes_and_the_next_request_is_refused() {
        let bucket = TokenBucket::new(15.0);
        let now = Instant::now();
        assert_eq!((0..20).filter(|_| bucket.take_at(now)).count(), 15);
        assert_eq!((0..20).filter(|_| bucket.take_at(now + Duration::from_millis(200))).count(), 3);
        assert_eq!((0..50).filter(|_| bucket.take_at(now + Duration::from_secs(60))).count(), 15);
    }

    #[test]
    fn a_rate_of_zero_means_no_limit() {
        let bucket = TokenBucket::new(0.0);
        assert!((0..1000).all(|_| bucket.take()));
    }
}
