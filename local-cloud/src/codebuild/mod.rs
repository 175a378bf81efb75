//! CodeBuild.

use crate::protocol::json::{Answer, Call, Exception};

/// The CodeBuild of a local cloud.
#[derive(Debug, Default)]
pub(crate) struct CodeBuild {}

impl CodeBuild {
    /// Answers one request.
    #[expect(clippy::unused_async, reason = "the operations to come wait")]
    pub(crate) async fn handle(&self, call: &Call) -> Answer {
        Err(Exception::unknown_operation("CodeBuild", &call.operation))
    }
}
