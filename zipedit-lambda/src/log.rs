//! One JSON line for every event, in the form of Lambda's own JSON logs. What is in the files is never logged.

use std::time::SystemTime;

use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use serde_json::{Value, json};

/// Writes a line: to standard output, which Lambda collects.
#[allow(clippy::print_stdout)]
pub(crate) fn line(level: &str, request_id: &str, message: &str, details: &Value) {
    let now = DateTime::from(SystemTime::now()).fmt(DateTimeFormat::DateTime).unwrap_or_default();
    println!(
        "{}",
        json!({
            "timestamp": now,
            "level": level,
            "requestId": request_id,
            "message": message,
            "details": details,
        })
    );
}
