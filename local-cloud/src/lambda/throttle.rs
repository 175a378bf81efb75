//! The request rates of the control plane, as token buckets.
//!
//! AWS allows 15 requests a second for all control-plane operations together, per account and region, and 100 a
//! second for `GetFunction` by itself. A bucket holds one second's worth, so that a short burst passes.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Tokens that come back at a steady rate, up to one second's worth.
#[derive(Debug)]
pub(super) struct TokenBucket {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    per_second: f64,
    tokens: f64,
    since: Instant,
}

impl TokenBucket {
    /// A full bucket. A rate of zero or less never refuses.
    pub(super) fn new(per_second: f64) -> Self {
        Self { state: Mutex::new(State { per_second, tokens: per_second.max(1.0), since: Instant::now() }) }
    }

    /// Another rate from now on, with a full bucket.
    pub(super) fn set_rate(&self, per_second: f64) {
        *self.state() = State { per_second, tokens: per_second.max(1.0), since: Instant::now() };
    }

    /// Takes one token, if there is one.
    pub(super) fn take(&self) -> bool {
        self.take_at(Instant::now())
    }

    fn take_at(&self, now: Instant) -> bool {
        let mut state = self.state();
        if state.per_second <= 0.0 {
            return true;
        }
        let refilled = state.tokens + now.saturating_duration_since(state.since).as_secs_f64() * state.per_second;
        let tokens = refilled.min(state.per_second.max(1.0));
        let allowed = tokens >= 1.0;
        state.tokens = if allowed { tokens - 1.0 } else { tokens };
        state.since = now.max(state.since);
        allowed
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
    fn a_rate_that_is_changed_holds_from_then_on() {
        let bucket = TokenBucket::new(0.0);
        bucket.set_rate(2.0);
        let now = Instant::now();
        assert_eq!((0..20).filter(|_| bucket.take_at(now)).count(), 2);
    }

    #[test]
    fn a_rate_of_zero_means_no_limit() {
        let bucket = TokenBucket::new(0.0);
        assert!((0..1000).all(|_| bucket.take()));
    }
}
