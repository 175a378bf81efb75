//! What is being measured, for whoever waits: on stderr.

use std::time::Instant;

/// Tells it.
#[derive(Debug)]
pub(crate) struct Progress {
    start: Instant,
}

impl Default for Progress {
    fn default() -> Self {
        Self { start: Instant::now() }
    }
}

impl Progress {
    /// What is going on.
    pub(crate) fn say(&self, what: &str) {
        let seconds = self.start.elapsed().as_secs();
        eprintln!("[{:>3}:{:02}] {what}", seconds / 60, seconds % 60);
    }

    /// What came out.
    pub(crate) fn done(&self, what: &str) {
        eprintln!("         {what}");
    }

    /// What didn't work.
    pub(crate) fn warn(&self, what: &str) {
        eprintln!("         ! {what}");
    }
}
