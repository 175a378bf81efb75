//! What happened in a stack, and why it failed. Pure.
//!
//! When one resource fails, CloudFormation cancels those that were under way, fails the stack with a list of all of
//! them, fails the parent's resource that stands for the stack, and so on. Only the first failure of each resource that
//! is no such echo says anything.

use std::collections::BTreeSet;

use aws_sdk_cloudformation::types::{HookStatus, ResourceStatus, StackEvent};
use serde::Serialize;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) stack_id: String,
    pub(crate) stack_name: String,
    pub(crate) logical_id: String,
    pub(crate) physical_id: String,
    pub(crate) resource_type: String,
    /// Such as `CREATE_COMPLETE`; empty for an event of a hook only.
    pub(crate) status: String,
    pub(crate) reason: Option<String>,
    /// Milliseconds since 1970, by AWS's clock.
    pub(crate) at: i64,
    /// The token of the operation that it belongs to, where it is told.
    pub(crate) token: Option<String>,
}

impl Event {
    pub(super) fn read(event: &StackEvent) -> Option<Self> {
        let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
        let hook = event.hook_type().zip(event.hook_status_reason());
        let failed_hook = event.hook_status() == Some(&HookStatus::HookCompleteFailed)
            || event.hook_status() == Some(&HookStatus::HookFailed);
        let reason = match hook.filter(|_| failed_hook) {
            Some((hook, reason)) => Some(format!("the hook {hook} refuses it: {reason}")),
            None => event.resource_status_reason().filter(|reason| !reason.is_empty()).map(str::to_owned),
        };
        Some(Self {
            id: event.event_id()?.to_owned(),
            stack_id: text(event.stack_id()),
            stack_name: text(event.stack_name()),
            logical_id: text(event.logical_resource_id()),
            physical_id: text(event.physical_resource_id()),
            resource_type: text(event.resource_type()),
            status: event.resource_status().map_or("", ResourceStatus::as_str).to_owned(),
            reason,
            at: event.timestamp().and_then(|time| time.to_millis().ok()).unwrap_or(0),
            token: event.client_request_token().map(str::to_owned),
        })
    }

    /// Whether it is about the stack as a whole.
    pub(crate) fn is_about_its_stack(&self) -> bool {
        self.resource_type == "AWS::CloudFormation::Stack" && self.physical_id == self.stack_id
    }

    pub(crate) fn is_failure(&self) -> bool {
        self.status.ends_with("_FAILED")
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.status.ends_with("_COMPLETE")
    }

    /// Whether it only says that something else has failed.
    pub(super) fn is_echo(&self) -> bool {
        // CloudFormation's own wordings; a reason that isn't among them is taken for a cause.
        const ECHOES: [&str; 7] = [
            "Resource creation cancelled",
            "Resource update cancelled",
            "Resource deletion cancelled",
            "Resource creation Initiated",
            "The following resource(s) failed to",
            "Embedded stack ",
            "No cleanup required",
        ];
        match &self.reason {
            None => true,
            Some(reason) => ECHOES.iter().any(|echo| reason.starts_with(echo)),
        }
    }
}

/// Why one resource failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct Failure {
    /// The stack that it is in: that of the operation, or one nested in it.
    pub(crate) stack: String,
    pub(crate) logical_id: String,
    pub(crate) resource_type: String,
    pub(crate) status: String,
    /// AWS's words.
    pub(crate) reason: String,
}

/// The first failure of each resource, in the order in which they happened, without those that only follow from
/// another. `events`: oldest first.
pub(crate) fn failures(events: &[Event]) -> Vec<Failure> {
    let of = |event: &Event| Failure {
        stack: event.stack_name.clone(),
        logical_id: event.logical_id.clone(),
        resource_type: event.resource_type.clone(),
        status: event.status.clone(),
        reason: event.reason.clone().unwrap_or_else(|| "AWS gives no reason".to_owned()),
    };
    let mut seen = BTreeSet::new();
    let mut first = |event: &&Event| seen.insert((event.stack_id.clone(), event.logical_id.clone()));
    let failed = || events.iter().filter(|event| event.is_failure());
    let causes: Vec<Failure> = failed().filter(|event| !event.is_echo()).filter(&mut first).map(of).collect();
    if !causes.is_empty() {
        return causes;
    }
    // No resource is to blame: what is said of the stack as a whole (a rollback's reason, say) is all there is.
    let told = events.iter().filter(|event| event.reason.is_some() && event.is_about_its_stack());
    failed().chain(told.filter(|event| event.status.contains("ROLLBACK"))).take(1).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(logical_id: &str, status: &str, reason: &str) -> Event {
        Event {
            id: format!("{logical_id}-{status}"),
            stack_id: "arn:app".into(),
            stack_name: "app".into(),
            logical_id: logical_id.into(),
            physical_id: if logical_id == "app" { "arn:app".into() } else { String::new() },
            resource_type: if logical_id == "app" { "AWS::CloudFormation::Stack" } else { "AWS::SQS::Queue" }.into(),
            status: status.into(),
            reason: (!reason.is_empty()).then(|| reason.to_owned()),
            at: 0,
            token: None,
        }
    }

    #[test]
    fn the_cause_is_told_and_not_what_was_cancelled_because_of_it() {
        let failures = failures(&[
            event("app", "CREATE_IN_PROGRESS", "User Initiated"),
            event("Queue", "CREATE_FAILED", "QueueName is too long"),
            event("Role", "CREATE_FAILED", "Resource creation cancelled"),
            event("app", "ROLLBACK_IN_PROGRESS", "The following resource(s) failed to create: [Queue, Role]. "),
            event("Queue", "DELETE_FAILED", "something later"),
        ]);
        assert_eq!(failures.len(), 1);
        assert_eq!((failures[0].logical_id.as_str(), failures[0].reason.as_str()), ("Queue", "QueueName is too long"));
    }

    #[test]
    fn two_resources_that_failed_by_themselves_are_both_told() {
        let failures = failures(&[event("A", "CREATE_FAILED", "no"), event("B", "UPDATE_FAILED", "neither")]);
        assert_eq!(failures.iter().map(|failure| failure.logical_id.as_str()).collect::<Vec<_>>(), ["A", "B"]);
    }

    #[test]
    fn the_resource_inside_a_nested_stack_is_told_and_not_the_stack_around_it() {
        let nested = Event {
            stack_id: "arn:nested".into(),
            stack_name: "app-Nested".into(),
            ..event("Q", "CREATE_FAILED", "no")
        };
        let around = event("Nested", "CREATE_FAILED", "Embedded stack arn:nested was not successfully created: …");
        let failures = failures(&[nested, around]);
        assert_eq!(failures.len(), 1);
        assert_eq!(failures[0].stack, "app-Nested");
    }

    #[test]
    fn a_rollback_that_no_resource_is_to_blame_for_has_the_stacks_own_reason() {
        let failures = failures(&[event("app", "ROLLBACK_IN_PROGRESS", "Rollback requested by user.")]);
        assert_eq!(failures[0].reason, "Rollback requested by user.");
    }

    #[test]
    fn a_failure_without_any_reason_is_still_a_failure() {
        assert_eq!(failures(&[event("A", "CREATE_FAILED", "")])[0].reason, "AWS gives no reason");
        assert_eq!(failures(&[event("A", "CREATE_COMPLETE", "")]), []);
    }
}
