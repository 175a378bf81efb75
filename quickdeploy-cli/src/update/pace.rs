//! How often functions are asked whether they are live.
//!
//! Somebody waits for the answer, and GetFunction has a quota. A few functions are asked as often as it allows, and the
//! pauses grow with the time that has passed, so that a long wait is noticed to be over not much later. Of many functions,
//! updates begin one after the other, at the rate of another quota: each is asked less often, or those that have just
//! begun would hold up those that have ended.

use std::time::Duration;

/// The least pause for each function: as many as there may be then send what GetFunction's quota allows.
const PER_FUNCTION: Duration = Duration::from_millis(10);
/// So many share the quota by their first pause.
const FEW: u32 = 20;
/// For one or two functions a round trip is longer than it pays to be quicker.
const FEWEST: u32 = 4;
/// The longest pause.
const SLOWEST: Duration = Duration::from_secs(1);

/// The pauses between one function's polls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    first: Duration,
    /// However long it takes, that is the part of it after which it is noticed, at most.
    late: u32,
}

impl Pace {
    /// For each of so many functions.
    pub(super) fn of(functions: usize) -> Self {
        let functions = u32::try_from(functions).unwrap_or(u32::MAX);
        let late = if functions <= FEW { 8 } else { 3 };
        Self { first: PER_FUNCTION * functions.clamp(FEWEST, FEW), late }
    }

    /// Before the first poll.
    pub(super) fn first(self) -> Duration {
        self.first
    }

    /// After `pause`, the one before the next poll.
    pub(super) fn after(self, pause: Duration) -> Duration {
        let pause = pause.max(self.first);
        (pause + pause / self.late).min(SLOWEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_together_ask_as_often_as_the_quota_allows_and_more_slowly_the_longer_it_takes() {
        for (functions, first) in [(1, 40), (4, 40), (5, 50), (20, 200), (21, 200), (500, 200)] {
            assert_eq!(Pace::of(functions).first().as_millis(), first, "{functions}");
        }
        for (functions, late) in [(4, 8), (20, 8), (500, 3)] {
            let pace = Pace::of(functions);
            let (mut passed, mut pause) = (Duration::ZERO, pace.first());
            while pause < SLOWEST {
                passed += pause;
                pause = pace.after(pause);
                assert!(pause <= pace.first() + passed / late, "{pause:?} after {passed:?}");
            }
            assert_eq!(pace.after(pause), SLOWEST);
        }
    }

    #[test]
    fn a_poll_without_any_pause_is_followed_by_the_usual_ones() {
        assert_eq!(Pace::of(4).after(Duration::ZERO), Duration::from_millis(45));
    }
}
