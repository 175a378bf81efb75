//! Work that makes more work, on as many threads as there are cores.
//!
//! Where much is waiting, a thread takes some of it at once: threads that come back for every directory get into each
//! other's way.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A thread takes at most so many items at once,
const MOST: usize = 16;
/// and no more than this part of what is waiting: others want some, and are to end at the same time.
const SHARE: usize = 8;

/// What is to be done, and how many threads are doing something.
#[derive(Debug)]
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    waiting: Vec<T>,
    busy: usize,
}

impl<T: Send> Queue<T> {
    pub(super) fn new(first: Vec<T>) -> Self {
        Self { state: Mutex::new(State { waiting: first, busy: 0 }), changed: Condvar::new() }
    }

    /// Takes work until there is none left and nobody is making any. What `work` adds to its second argument is done
    /// later, by whoever comes first, and what was added last before all other.
    pub(super) fn run(&self, mut work: impl FnMut(T, &mut Vec<T>)) {
        while let Some(items) = self.take() {
            // Gives back its place even if the work panics: else the others would wait for ever.
            let mut turn = Turn { queue: self, more: Vec::new() };
            for item in items.into_iter().rev() {
                work(item, &mut turn.more);
                turn.hand_over();
            }
        }
    }

    /// The last one first.
    fn take(&self) -> Option<Vec<T>> {
        let mut state = self.lock();
        loop {
            let count = state.waiting.len();
            if count > 0 {
                state.busy += 1;
                return Some(state.waiting.split_off(count - (count / SHARE).clamp(1, MOST)));
            }
            if state.busy == 0 {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One thread's work on some items.
struct Turn<'a, T: Send> {
    queue: &'a Queue<T>,
    more: Vec<T>,
}

impl<T: Send> Turn<'_, T> {
    /// Gives others what has come up: they may have nothing to do.
    fn hand_over(&mut self) {
        if !self.more.is_empty() {
            self.queue.lock().waiting.append(&mut self.more);
            self.queue.changed.notify_all();
        }
    }
}

impl<T: Send> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        self.hand_over();
        let mut state = self.queue.lock();
        state.busy -= 1;
        let is_end = state.busy == 0 && state.waiting.is_empty();
        drop(state);
        if is_end {
            self.queue.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn all_work_is_done_once_however_it_came_up() {
        // Each number stands for as many more, each one less.
        let (queue, done) = (Queue::new(vec![7_usize, 7]), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    queue.run(|number, more| {
                        done.fetch_add(1, Ordering::Relaxed);
                        more.extend((0..number).map(|_| number - 1));
                    });
                });
            }
        });
        // 1 + 7 + 7·6 + 7·6·5 + … for each.
        assert_eq!(done.into_inner(), 2 * 13_700);
    }

    #[test]
    fn a_panic_leaves_nobody_waiting() {
        let queue = Queue::new(vec![0]);
        let ended = std::thread::scope(|scope| {
            let fails = scope.spawn(|| queue.run(|_, _| panic!("on purpose")));
            fails.join().is_err()
        });
        queue.run(|_, _| {});
        assert!(ended);
    }
}
