//! What CloudFormation refuses with.

use crate::protocol::query::Refusal;

pub(super) type Result<T> = std::result::Result<T, Refusal>;

/// The code of nearly everything.
pub(super) fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(400, "ValidationError", message)
}

pub(super) fn insufficient_capabilities(needed: &str) -> Refusal {
    Refusal::new(400, "InsufficientCapabilitiesException", format!("Requires capabilities : [{needed}]"))
}

pub(super) fn change_set_not_found(name: &str) -> Refusal {
    Refusal::new(404, "ChangeSetNotFound", format!("ChangeSet [{name}] does not exist"))
}

pub(super) fn already_exists(message: impl Into<String>) -> Refusal {
    Refusal::new(400, "AlreadyExistsException", message)
}

pub(super) fn constraint(value: &str, member: &str, rule: &str) -> Refusal {
    invalid(format!("1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {rule}"))
}
