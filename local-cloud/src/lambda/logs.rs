//! What functions logged, line by line, as tests and demos look at it. The logs themselves are in CloudWatch Logs.

use std::time::SystemTime;

/// One line of a function's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEvent {
    /// When it was written.
    pub time: SystemTime,
    /// The line, without its end. Bytes that are no UTF-8 are replaced.
    pub message: String,
}
