//! What a user of the local cloud can set about its CloudFormation.

use std::time::Duration;

/// How long the local CloudFormation takes. AWS takes seconds where these defaults take milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloudFormationSettings {
    /// How long each resource takes after its call, until it is stable. An EXPRESS deployment doesn't wait for it.
    pub resource_delay: Duration,
    /// How long a change set is `CREATE_IN_PROGRESS`.
    pub change_set_delay: Duration,
}

impl Default for CloudFormationSettings {
    fn default() -> Self {
        Self { resource_delay: Duration::from_millis(50), change_set_delay: Duration::from_millis(20) }
    }
}
