//! IAM: roles and policies are kept and checked for their shape, never enforced.

use crate::protocol::query::{Answer, Call, Refusal};

/// Of IAM's documents.
pub(crate) const NAMESPACE: &str = "https://iam.amazonaws.com/doc/2010-05-08/";

/// The IAM of a local cloud.
#[derive(Debug, Default)]
pub(crate) struct Iam {}

impl Iam {
    /// Answers one request.
    pub(crate) fn handle(&self, call: &Call) -> Answer {
        Err(Refusal::invalid_action("IAM", &call.action))
    }
}
