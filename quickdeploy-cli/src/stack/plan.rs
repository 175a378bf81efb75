//! What can be done with a stack, by its status. Pure.
//!
//! The statuses and what they allow:
//! <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html>.

use aws_sdk_cloudformation::types::StackStatus;

use super::{Stack, how_to_watch};
use crate::error::{Error, Result};

/// How a stack comes to be what it shall be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// There is none: a change set of type CREATE makes it.
    Create,
    /// There is one that never had anything in it: a change set of type CREATE fills it.
    Fill,
    /// Its creation failed and was rolled back: CloudFormation takes nothing but its deletion, and then it is created.
    Recreate,
    /// A change set of type UPDATE.
    Update,
}

/// What can be done with `stack`, which goes by `name`.
///
/// # Errors
///
/// `StackBusy`: an operation is under way. `StackStuck`: somebody has to mend it first.
pub(crate) fn plan(stack: Option<&Stack>, name: &str) -> Result<Plan> {
    let Some(stack) = stack else { return Ok(Plan::Create) };
    match &stack.status {
        StackStatus::DeleteComplete => Ok(Plan::Create),
        StackStatus::ReviewInProgress => Ok(Plan::Fill),
        StackStatus::RollbackComplete => Ok(Plan::Recreate),
        _ if stack.is_busy() => Err(busy(stack)),
        StackStatus::UpdateRollbackFailed => Err(stuck(stack).hint(format!(
            "mend what its events name, then `aws cloudformation continue-update-rollback --stack-name {name}`"
        ))),
        StackStatus::RollbackFailed | StackStatus::DeleteFailed | StackStatus::ImportRollbackFailed => {
            Err(stuck(stack).hint(format!(
                "mend what its events name, then `aws cloudformation delete-stack --stack-name {name}`; what it holds \
                 is deleted with it"
            )))
        }
        // CREATE_FAILED and UPDATE_FAILED are left by operations without rollback, and can be updated.
        _ => Ok(Plan::Update),
    }
}

fn busy(stack: &Stack) -> Error {
    Error::new("StackBusy", format!("the stack `{}` is being changed: {}", stack.name, stack.status.as_str()))
        .hint(format!("repeat the command when that is over; {}", how_to_watch(&stack.name)))
}

fn stuck(stack: &Stack) -> Error {
    let error = Error::new(
        "StackStuck",
        format!("the stack `{}` can't be updated: it is in {}", stack.name, stack.status.as_str()),
    );
    match &stack.reason {
        Some(reason) => error.cause(reason.as_str()),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn in_status(status: &str) -> Stack {
        Stack {
            id: "arn:aws:cloudformation:us-east-1:1:stack/app/x".into(),
            name: "app".into(),
            status: StackStatus::from(status),
            reason: None,
            parameters: Vec::new(),
            outputs: BTreeMap::new(),
            tags: BTreeMap::new(),
        }
    }

    #[test]
    fn a_stack_that_is_not_there_or_never_was_more_than_planned_is_created() {
        assert_eq!(plan(None, "app").unwrap(), Plan::Create);
        assert_eq!(plan(Some(&in_status("DELETE_COMPLETE")), "app").unwrap(), Plan::Create);
        assert_eq!(plan(Some(&in_status("REVIEW_IN_PROGRESS")), "app").unwrap(), Plan::Fill);
    }

    #[test]
    fn a_failed_first_creation_is_done_over() {
        assert_eq!(plan(Some(&in_status("ROLLBACK_COMPLETE")), "app").unwrap(), Plan::Recreate);
    }

    #[test]
    fn stacks_at_rest_are_updated() {
        for status in ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE"] {
            assert_eq!(plan(Some(&in_status(status)), "app").unwrap(), Plan::Update, "{status}");
        }
    }

    #[test]
    fn a_stack_mid_update_is_left_alone_and_said_to_be() {
        for status in ["UPDATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "DELETE_IN_PROGRESS"] {
            let error = plan(Some(&in_status(status)), "app").unwrap_err();
            assert_eq!(error.error_type(), "StackBusy");
            assert!(error.message().contains(status), "{}", error.message());
        }
    }

    #[test]
    fn a_stack_that_somebody_has_to_mend_is_named_with_the_way_out() {
        let error = plan(Some(&in_status("UPDATE_ROLLBACK_FAILED")), "app").unwrap_err();
        assert!(error.hints()[0].contains("continue-update-rollback --stack-name app"), "{:?}", error.hints());
    }
}
