//! How an invocation ends, in Lambda's words.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde_json::json;

use crate::lambda::clock;

/// What a function gave back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The handler's result.
    Success(Bytes),
    /// An error of the function: to the caller, HTTP is still 200.
    Failure(Failure),
}

/// An error of the function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// JSON with `errorType` and `errorMessage`.
    pub(super) payload: Bytes,
    /// For the log: `Runtime.ExitError` and the like.
    pub(super) error_type: String,
    /// A line for the log, from Lambda itself. Runtimes write their errors themselves.
    pub(super) log_line: Option<String>,
    /// `X-Amz-Function-Error: Handled`. Only when a runtime says so.
    pub(super) handled: bool,
    pub(super) status: Status,
}

/// The `Status` in the `REPORT` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Error,
    Timeout,
}

impl Failure {
    /// An error that a runtime reported.
    pub(super) fn reported(payload: Bytes, error_type: Option<&str>) -> Self {
        let handled = error_type == Some("Handled");
        let error_type = error_type.unwrap_or("Runtime.Unknown").to_owned();
        let payload = if payload.is_empty() {
            Bytes::from(json!({ "errorType": error_type, "errorMessage": "" }).to_string())
        } else {
            payload
        };
        Self { payload, error_type, log_line: None, handled, status: Status::Error }
    }

    /// An error that Lambda found.
    fn found(request_id: &str, error_type: &str, message: &str) -> Self {
        let message = format!("RequestId: {request_id} Error: {message}");
        Self {
            payload: Bytes::from(json!({ "errorType": error_type, "errorMessage": message }).to_string()),
            error_type: error_type.to_owned(),
            log_line: Some(format!("{message}\n{error_type}")),
            handled: false,
            status: Status::Error,
        }
    }

    /// The process ended before it answered.
    pub(super) fn exited(request_id: &str, status: ExitStatus) -> Self {
        let how = match (status.code(), status.signal()) {
            (Some(0), _) => "Runtime exited without providing a reason".to_owned(),
            (Some(code), _) => format!("Runtime exited with error: exit status {code}"),
            (None, Some(9)) => "Runtime exited with error: signal: killed".to_owned(),
            (None, Some(11)) => "Runtime exited with error: signal: segmentation fault".to_owned(),
            (None, Some(6)) => "Runtime exited with error: signal: aborted".to_owned(),
            (None, Some(signal)) => format!("Runtime exited with error: signal: {signal}"),
            (None, None) => "Runtime exited without providing a reason".to_owned(),
        };
        Self::found(request_id, "Runtime.ExitError", &how)
    }

    /// There is nothing to start, or it can't be started.
    pub(super) fn entrypoint(request_id: &str, message: &str) -> Self {
        Self::found(request_id, "Runtime.InvalidEntrypoint", message)
    }

    /// The function took longer than its timeout.
    pub(super) fn timed_out(request_id: &str, timeout: Duration) -> Self {
        let what = format!("Task timed out after {:.2} seconds", timeout.as_secs_f64());
        Self {
            // The log has it in another form than the answer.
            log_line: Some(format!("{} {request_id} {what}\n", clock::rfc3339(SystemTime::now()))),
            status: Status::Timeout,
            ..Self::found(request_id, "Sandbox.Timedout", &what)
        }
    }

    /// The answer is longer than Lambda carries.
    pub(super) fn response_too_large(limit: usize) -> Self {
        let error_type = "Function.ResponseSizeTooLarge";
        let message = format!("Response payload size exceeded maximum allowed payload size ({limit} bytes).");
        Self {
            payload: Bytes::from(json!({ "errorMessage": message, "errorType": error_type }).to_string()),
            error_type: error_type.to_owned(),
            log_line: Some(format!("{message}\n{error_type}")),
            handled: false,
            status: Status::Error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(failure: &Failure) -> String {
        let payload: serde_json::Value = serde_json::from_slice(&failure.payload).unwrap();
        payload["errorMessage"].as_str().unwrap().to_owned()
    }

    #[test]
    fn an_exit_is_told_as_lambda_tells_it() {
        let killed = Failure::exited("id", ExitStatus::from_raw(9));
        assert_eq!(message(&killed), "RequestId: id Error: Runtime exited with error: signal: killed");
        let failed = Failure::exited("id", ExitStatus::from_raw(1 << 8));
        assert_eq!(message(&failed), "RequestId: id Error: Runtime exited with error: exit status 1");
        assert_eq!(failed.error_type, "Runtime.ExitError");
    }

    #[test]
    fn a_timeout_names_the_seconds_with_two_digits() {
        let failure = Failure::timed_out("id", Duration::from_secs(3));
        assert_eq!(message(&failure), "RequestId: id Error: Task timed out after 3.00 seconds");
        let logged = failure.log_line.unwrap();
        assert!(logged.ends_with("Z id Task timed out after 3.00 seconds\n"), "{logged}");
    }
}
