//! The statuses of stacks, resources and change sets, under AWS's names.

use serde::{Deserialize, Serialize};

macro_rules! statuses {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub(super) enum $name { $(#[serde(rename = $text)] $variant),* }

        impl $name {
            /// AWS's name of the status.
            pub(super) const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }
    };
}

statuses! {
    /// Of a stack.
    StackStatus {
        ReviewInProgress = "REVIEW_IN_PROGRESS",
        CreateInProgress = "CREATE_IN_PROGRESS",
        CreateComplete = "CREATE_COMPLETE",
        CreateFailed = "CREATE_FAILED",
        RollbackInProgress = "ROLLBACK_IN_PROGRESS",
        RollbackComplete = "ROLLBACK_COMPLETE",
        RollbackFailed = "ROLLBACK_FAILED",
        UpdateInProgress = "UPDATE_IN_PROGRESS",
        UpdateCompleteCleanupInProgress = "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        UpdateComplete = "UPDATE_COMPLETE",
        UpdateFailed = "UPDATE_FAILED",
        UpdateRollbackInProgress = "UPDATE_ROLLBACK_IN_PROGRESS",
        UpdateRollbackCompleteCleanupInProgress = "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
        UpdateRollbackComplete = "UPDATE_ROLLBACK_COMPLETE",
        UpdateRollbackFailed = "UPDATE_ROLLBACK_FAILED",
        DeleteInProgress = "DELETE_IN_PROGRESS",
        DeleteComplete = "DELETE_COMPLETE",
        DeleteFailed = "DELETE_FAILED",
    }
}

statuses! {
    /// Of a resource.
    ResourceStatus {
        CreateInProgress = "CREATE_IN_PROGRESS",
        CreateComplete = "CREATE_COMPLETE",
        CreateFailed = "CREATE_FAILED",
        UpdateInProgress = "UPDATE_IN_PROGRESS",
        UpdateComplete = "UPDATE_COMPLETE",
        UpdateFailed = "UPDATE_FAILED",
        DeleteInProgress = "DELETE_IN_PROGRESS",
        DeleteComplete = "DELETE_COMPLETE",
        DeleteFailed = "DELETE_FAILED",
        DeleteSkipped = "DELETE_SKIPPED",
    }
}

statuses! {
    /// Of a change set.
    ChangeSetStatus {
        CreateInProgress = "CREATE_IN_PROGRESS",
        CreateComplete = "CREATE_COMPLETE",
        Failed = "FAILED",
    }
}

statuses! {
    /// Whether a change set can be executed.
    ExecutionStatus {
        Unavailable = "UNAVAILABLE",
        Available = "AVAILABLE",
        ExecuteInProgress = "EXECUTE_IN_PROGRESS",
        ExecuteComplete = "EXECUTE_COMPLETE",
        ExecuteFailed = "EXECUTE_FAILED",
        Obsolete = "OBSOLETE",
    }
}

impl StackStatus {
    /// Whether an update may begin.
    pub(super) fn can_be_updated(self) -> bool {
        matches!(
            self,
            Self::CreateComplete
                | Self::CreateFailed
                | Self::UpdateComplete
                | Self::UpdateFailed
                | Self::UpdateRollbackComplete
        )
    }

    /// Whether something is under way. A stack in review waits for a change set to be executed.
    pub(super) fn is_in_progress(self) -> bool {
        self != Self::ReviewInProgress && self.as_str().ends_with("_IN_PROGRESS")
    }

    /// What a stack is in after its operation was cut off, as at a crash.
    pub(super) fn settled(self) -> Self {
        match self {
            Self::CreateInProgress => Self::CreateFailed,
            Self::RollbackInProgress => Self::RollbackFailed,
            Self::UpdateInProgress => Self::UpdateFailed,
            Self::UpdateCompleteCleanupInProgress => Self::UpdateComplete,
            Self::UpdateRollbackInProgress => Self::UpdateRollbackFailed,
            Self::UpdateRollbackCompleteCleanupInProgress => Self::UpdateRollbackComplete,
            Self::DeleteInProgress => Self::DeleteFailed,
            other => other,
        }
    }
}

impl ResourceStatus {
    pub(super) fn settled(self) -> Self {
        match self {
            Self::CreateInProgress => Self::CreateFailed,
            Self::UpdateInProgress => Self::UpdateFailed,
            Self::DeleteInProgress => Self::DeleteFailed,
            other => other,
        }
    }

    /// Whether the resource is no longer the stack's.
    pub(super) fn is_gone(self) -> bool {
        matches!(self, Self::DeleteComplete | Self::DeleteSkipped)
    }
}
