//! Change sets: made, shown, executed, deleted.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::changes::Change;
use super::stack::{Mode, Options, Revision};
use super::status::{ChangeSetStatus, ExecutionStatus};

/// One change set of a stack.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ChangeSet {
    /// `arn:aws:cloudformation:REGION:ACCOUNT:changeSet/NAME/UUID`.
    pub(super) id: String,
    pub(super) name: String,
    pub(super) creates_stack: bool,
    pub(super) status: ChangeSetStatus,
    pub(super) reason: Option<String>,
    pub(super) execution_status: ExecutionStatus,
    pub(super) created: SystemTime,
    pub(super) description: Option<String>,
    pub(super) client_token: Option<String>,
    pub(super) revision: Revision,
    pub(super) options: Options,
    /// `ROLLBACK`, `DO_NOTHING` or `DELETE`.
    pub(super) on_stack_failure: Option<String>,
    pub(super) deployment: DeploymentConfig,
    pub(super) changes: Vec<Change>,
}

/// `DeploymentConfig` as a request has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DeploymentConfig {
    pub(super) mode: Option<Mode>,
    pub(super) disable_rollback: Option<bool>,
}

impl DeploymentConfig {
    /// Whether a failure is left as it is, when nothing else in the request says so. Express deployments aren't rolled
    /// back by default.
    pub(super) fn keeps_failures(self) -> bool {
        self.disable_rollback.unwrap_or(self.mode == Some(Mode::Express))
    }
}

/// Why a change set without changes has failed. Templates with a transform have another reason than those without.
pub(super) fn no_changes(transforms: &[String]) -> &'static str {
    if transforms.is_empty() {
        "The submitted information didn't contain changes. Submit different information to create a change set."
    } else {
        "No updates are to be performed."
    }
}
