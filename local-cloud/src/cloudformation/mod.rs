//! CloudFormation.

use crate::protocol::query::{Answer, Call, Refusal};

/// Of CloudFormation's documents.
pub(crate) const NAMESPACE: &str = "http://cloudformation.amazonaws.com/doc/2010-05-15/";

/// The CloudFormation of a local cloud.
#[derive(Debug, Default)]
pub(crate) struct CloudFormation {}

impl CloudFormation {
    /// Answers one request.
    #[expect(clippy::unused_async, reason = "the operations to come wait")]
    pub(crate) async fn handle(&self, call: &Call) -> Answer {
        Err(Refusal::invalid_action("CloudFormation", &call.action))
    }
}
