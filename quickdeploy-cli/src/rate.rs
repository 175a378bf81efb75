//! Staying under a request quota, whatever the network does to the spacing of the requests.
//!
//! AWS counts calls where they arrive, and a burst that left here evenly spaced can arrive bunched up. So a token is
//! not refilled by the clock alone: it comes back one second after the *answer* of the call that took it. A call
//! arrives no later than its answer comes back, so of any two calls that used the same token the second arrives at
//! least a second after the first. With N tokens, no window of one second ever sees more than N calls.
//!
//! Up to N calls start at once, which is the usual case: a handful of functions waits for nothing.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;

/// The window in which AWS counts.
const WINDOW: Duration = Duration::from_secs(1);

/// At most so many calls in any one second.
#[derive(Clone, Debug)]
pub(crate) struct Quota {
    tokens: Arc<Semaphore>,
    /// The server answered in this run, whatever it said.
    answered: Arc<AtomicBool>,
}

impl Quota {
    /// Lambda's control plane: 15/s for all calls of an account and region together. Whoever else comes in between costs a
    /// retry; to leave them one would cost every large deployment a fifteenth of its time.
    pub(crate) fn control_plane() -> Self {
        Self::per_second(15)
    }

    /// `GetFunction` has 100/s of its own. Some are left to others who are waiting too.
    pub(crate) fn get_function() -> Self {
        Self::per_second(80)
    }

    /// At most `calls` in any window of one second.
    pub(crate) fn per_second(calls: usize) -> Self {
        Self { tokens: Arc::new(Semaphore::new(calls)), answered: Arc::default() }
    }

    /// Remembers that the server is there.
    pub(crate) fn heard(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    /// Whether the server was ever there in this run.
    pub(crate) fn was_heard(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    /// Makes one call as soon as there is a token for it.
    pub(crate) async fn call<F: Future>(&self, call: F) -> F::Output {
        // The semaphore is never closed; were it, going on without a token would still be right.
        let token = Arc::clone(&self.tokens).acquire_owned().await.ok();
        let answer = Held { token };
        let output = call.await;
        drop(answer);
        output
    }
}

/// A token in use. When the call is over, or given up half-way, the token rests for a window and then returns.
struct Held {
    token: Option<tokio::sync::OwnedSemaphorePermit>,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(token) = self.token.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(async move {
                tokio::time::sleep(WINDOW).await;
                drop(token);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::time::Instant;

    use super::*;

    /// Runs `calls` calls at once, each taking `latency`, on a clock that only moves when nothing else can.
    async fn arrivals(quota: &Quota, calls: usize, latency: Duration) -> Vec<Duration> {
        let start = Instant::now();
        let seen = Mutex::new(Vec::new());
        futures::future::join_all((0..calls).map(|_| {
            quota.call(async {
                tokio::time::sleep(latency / 2).await;
                seen.lock().unwrap().push(start.elapsed());
                tokio::time::sleep(latency / 2).await;
            })
        }))
        .await;
        let mut seen = seen.into_inner().unwrap();
        seen.sort();
        seen
    }

    fn most_in_a_window(arrivals: &[Duration]) -> usize {
        let within = |first: Duration| arrivals.iter().filter(|&&at| at >= first && at - first < WINDOW).count();
        arrivals.iter().map(|&first| within(first)).max().unwrap_or(0)
    }

    #[tokio::test(start_paused = true)]
    async fn a_hundred_calls_never_exceed_the_quota_in_any_second() {
        let seen = arrivals(&Quota::per_second(14), 100, Duration::from_millis(80)).await;
        assert_eq!(seen.len(), 100);
        assert_eq!(most_in_a_window(&seen), 14);
    }

    #[tokio::test(start_paused = true)]
    async fn a_handful_of_calls_waits_for_nothing() {
        let seen = arrivals(&Quota::per_second(14), 14, Duration::from_millis(80)).await;
        assert_eq!(seen.last(), Some(&Duration::from_millis(40)));
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_come_back_and_are_not_lost_when_a_call_is_given_up() {
        let quota = Quota::per_second(2);
        for _ in 0..3 {
            let never = quota.call(std::future::pending::<()>());
            assert!(tokio::time::timeout(Duration::from_millis(10), never).await.is_err());
        }
        let start = Instant::now();
        quota.call(async {}).await;
        assert!(start.elapsed() <= WINDOW, "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn calls_whose_answers_are_slow_still_hold_their_tokens() {
        let seen = arrivals(&Quota::per_second(3), 9, Duration::from_secs(4)).await;
        assert_eq!(most_in_a_window(&seen), 3);
    }
}
