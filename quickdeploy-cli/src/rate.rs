//! Staying under a request quota, whatever the network does to the spacing of the requests.
//!
//! AWS counts calls where they arrive, and a burst that left here evenly spaced can arrive bunched up. So a token is
//! not refilled by the clock alone: it comes back one second after the call that took it has arrived. When that was isn't
//! known, but that the answer took the rest of the way since, and that the next call has its way to go, too: what the fastest
//! call took as a whole lies between one's arrival and the other's at least, and the token rests for so much less than a
//! second after the *answer*. With N tokens, no window of one second sees more than N calls, and the distance to AWS costs
//! little of the rate. Only a call that is faster than all before it by more than a third could come too early: it is refused
//! with 429 then, and sent again.
//!
//! Up to N calls start at once, which is the usual case: a handful of functions waits for nothing.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

/// The window in which AWS counts.
const WINDOW: Duration = Duration::from_secs(1);

/// At most so many calls in any one second.
#[derive(Clone, Debug)]
pub(crate) struct Quota {
    tokens: Arc<Semaphore>,
    /// What the fastest call took, in ns.
    fastest: Arc<AtomicU64>,
    /// The server answered in this run, whatever it said.
    answered: Arc<AtomicBool>,
}

impl Quota {
    /// Lambda's control plane: 15/s for all calls of an account and region together. Whoever else comes in between costs a
    /// retry; to leave them one would cost every large deployment a fifteenth of its time.
    pub(crate) fn control_plane() -> Self {
        Self::per_second(15)
    }

    /// `GetFunction` has 100/s of its own.
    pub(crate) fn get_function() -> Self {
        Self::per_second(100)
    }

    /// At most `calls` in any window of one second.
    pub(crate) fn per_second(calls: usize) -> Self {
        let (tokens, fastest) = (Arc::new(Semaphore::new(calls)), Arc::new(AtomicU64::new(u64::MAX)));
        Self { tokens, fastest, answered: Arc::default() }
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
        // Of a call that is given up half-way it isn't known when it arrives.
        let mut held = Held { token, rest: WINDOW };
        let begin = Instant::now();
        let output = call.await;
        held.rest = self.rest_after(begin.elapsed());
        drop(held);
        output
    }

    /// How long a token rests after an answer that took so long. A third of the fastest call's time is left for one that
    /// would be faster still.
    fn rest_after(&self, took: Duration) -> Duration {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let fastest = self.fastest.fetch_min(took, Ordering::Relaxed).min(took);
        WINDOW.saturating_sub(Duration::from_nanos(fastest) * 2 / 3)
    }
}

/// A token in use. When the call is over, or given up half-way, the token rests and then returns.
struct Held {
    token: Option<tokio::sync::OwnedSemaphorePermit>,
    rest: Duration,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(token) = self.token.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let rest = self.rest;
            runtime.spawn(async move {
                tokio::time::sleep(rest).await;
                drop(token);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Runs `calls` calls at once, each taking `latency`, on a clock that only moves when nothing else can.
    async fn arrivals(quota: &Quota, calls: usize, latency: Duration) -> Vec<Duration> {
        arrivals_of(quota, (0..calls).map(|_| [latency / 2; 2])).await
    }

    /// As [`arrivals`]: each call takes so long to arrive, and so long from there until it is answered.
    async fn arrivals_of(quota: &Quota, ways: impl Iterator<Item = [Duration; 2]>) -> Vec<Duration> {
        let start = Instant::now();
        let seen = &Mutex::new(Vec::new());
        let calls = ways.map(|[there, back]| {
            quota.call(async move {
                tokio::time::sleep(there).await;
                seen.lock().unwrap().push(start.elapsed());
                tokio::time::sleep(back).await;
            })
        });
        futures::future::join_all(calls).await;
        let mut seen = std::mem::take(&mut *seen.lock().unwrap());
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
    async fn calls_that_take_their_time_unevenly_never_exceed_the_quota_either() {
        let mut state = 1_u64;
        let mut up_to = |most: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            Duration::from_millis((state >> 33) % most)
        };
        let (there, service, back) = (Duration::from_millis(40), Duration::from_millis(30), Duration::from_millis(40));
        let ways: Vec<_> = (0..300).map(|_| [there + up_to(60), service + up_to(200) + back + up_to(60)]).collect();
        let seen = arrivals_of(&Quota::per_second(15), ways.into_iter()).await;
        assert_eq!(most_in_a_window(&seen), 15);
    }

    #[tokio::test(start_paused = true)]
    async fn the_distance_costs_next_to_nothing_of_the_rate() {
        let seen = arrivals(&Quota::per_second(15), 500, Duration::from_millis(200)).await;
        let (first, last) = (seen[0], seen[seen.len() - 1]);
        let allowed = Duration::from_secs(33);
        assert!(last - first < allowed * 107 / 100, "{:?}", last - first);
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
