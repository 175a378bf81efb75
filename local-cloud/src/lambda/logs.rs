//! What functions logged, in memory: the last events of each function.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// How many events are kept for each function.
const KEPT: usize = 10_000;

/// One line of a function's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEvent {
    /// When the invocation that it belongs to ended.
    pub time: SystemTime,
    /// The line, without its end. Bytes that are no UTF-8 are replaced.
    pub message: String,
}

/// The logs of all functions, by the functions' names. They outlive their functions.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    rings: Mutex<BTreeMap<String, VecDeque<LogEvent>>>,
}

impl Logs {
    /// Adds the log of one invocation, in one piece.
    pub(super) fn append(&self, function: &str, log: &[u8]) {
        let time = SystemTime::now();
        let mut rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
        let ring = rings.entry(function.to_owned()).or_default();
        ring.extend(String::from_utf8_lossy(log).lines().map(|line| LogEvent { time, message: line.to_owned() }));
        let excess = ring.len().saturating_sub(KEPT);
        ring.drain(..excess);
    }

    /// A function's events, oldest first.
    pub(super) fn of(&self, function: &str) -> Vec<LogEvent> {
        let rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
        rings.get(function).map(|ring| ring.iter().cloned().collect()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_events_are_kept() {
        let logs = Logs::default();
        logs.append("f", "old\n".repeat(KEPT).as_bytes());
        logs.append("f", b"new\nnewest\n");
        let events = logs.of("f");
        assert_eq!(events.len(), KEPT);
        assert_eq!(events.last().unwrap().message, "newest");
        assert!(logs.of("g").is_empty());
    }
}
