//! CloudWatch Logs.

use crate::protocol::json::{Answer, Call, Exception};

/// The CloudWatch Logs of a local cloud.
#[derive(Debug, Default)]
pub(crate) struct Logs {}

impl Logs {
    /// Answers one request.
    #[expect(clippy::unused_async, reason = "the operations to come wait")]
    pub(crate) async fn handle(&self, call: &Call) -> Answer {
        Err(Exception::unknown_operation("CloudWatch Logs", &call.operation))
    }
}
