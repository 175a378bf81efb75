//! Work that makes more work, on as many threads as there are cores.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

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
        while let Some(item) = self.take() {
            // Gives back its place even if the work panics: else the others would wait for ever.
            let mut turn = Turn { queue: self, more: Vec::new() };
            work(item, &mut turn.more);
        }
    }

    fn take(&self) -> Option<T> {
        let mut state = self.lock();
        loop {
            if let Some(item) = state.waiting.pop() {
                state.busy += 1;
                return Some(item);
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

/// One thread's work on one item.
struct Turn<'a, T: Send> {
    queue: &'a Queue<T>,
    more: Vec<T>,
}

impl<T: Send> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        state.busy -= 1;
        let is_news = !self.more.is_empty() || (state.busy == 0 && state.waiting.is_empty());
        state.waiting.append(&mut self.more);
        drop(state);
        if is_news {
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
