//! Stacks: create, update, delete, call off, protect.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

use super::input::{checked_name, deployment, options, revision};
use super::{no_stack, no_stack_with_id, required};
use crate::cloudformation::capabilities::check_expansion;
use crate::cloudformation::changes;
use crate::cloudformation::deployment::{OnFailure, Task, spawn};
use crate::cloudformation::errors::{Result, already_exists, invalid};
use crate::cloudformation::stack::{Goal, Operation, Options, Revision, Stack};
use crate::cloudformation::status::{ExecutionStatus, StackStatus};
use crate::cloudformation::{CloudFormation, State};
use crate::protocol::query::{Answer, Call, Form};
use crate::protocol::xml::Xml;

/// An operation that begins now.
pub(super) fn operation(form: &Form) -> Operation {
    Operation {
        id: uuid::Uuid::new_v4().to_string(),
        token: form.get("ClientRequestToken").map(str::to_owned),
        ..Operation::default()
    }
}

fn begun(stack: &Stack) -> Xml {
    let mut xml = Xml::default();
    xml.text("StackId", &stack.id);
    xml.text("OperationId", &stack.operation.id);
    xml
}

/// What a request says about failures: `OnFailure`, `DisableRollback` or `DeploymentConfig`.
fn on_failure(form: &Form) -> Result<OnFailure> {
    let disabled = form.get("DisableRollback").is_some();
    match form.get("OnFailure") {
        Some(_) if disabled => Err(invalid("You can specify either OnFailure or DisableRollback, but not both.")),
        Some("ROLLBACK") => Ok(OnFailure::Rollback),
        Some("DO_NOTHING") => Ok(OnFailure::Keep),
        Some("DELETE") => Ok(OnFailure::Delete),
        Some(other) => {
            let rule = "Member must satisfy enum value set: [DO_NOTHING, ROLLBACK, DELETE]";
            Err(crate::cloudformation::errors::constraint(other, "onFailure", rule))
        }
        None if disabled => Ok(if form.flag("DisableRollback") { OnFailure::Keep } else { OnFailure::Rollback }),
        None => Ok(if deployment(form)?.keeps_failures() { OnFailure::Keep } else { OnFailure::Rollback }),
    }
}

/// `CreateStack`.
pub(super) async fn create(cloudformation: &Arc<CloudFormation>, call: &Call) -> Answer {
    let form = &call.form;
    let name = checked_name(required(form, "StackName")?)?;
    let revision = revision(cloudformation, call, None)?;
    check_expansion(&revision.transforms, &revision.capabilities)?;
    let on_failure = on_failure(form)?;
    let options = Options { disable_rollback: on_failure == OnFailure::Keep, ..options(form, None)? };
    let (id, answer) = {
        let mut state = cloudformation.state();
        let reviewed = match state.find(&call.caller.region, name) {
            // A stack that only change sets have spoken of is made here too.
            Some(stack) if stack.status == StackStatus::ReviewInProgress => Some(stack.id.clone()),
            Some(_) => return Err(already_exists(format!("Stack [{name}] already exists"))),
            None => None,
        };
        let mut stack = match reviewed.and_then(|id| state.stacks.get(&id).cloned()) {
            Some(stack) => stack,
            None => Stack::new(name, &call.caller.region, StackStatus::CreateInProgress),
        };
        stack.options = options.clone();
        Goal::new(&revision, stack.pseudo())?;
        make_obsolete(&mut stack);
        begin_creation(&mut stack, revision, options, operation(form));
        let answer = begun(&stack);
        let id = stack.id.clone();
        state.stacks.insert(id.clone(), stack);
        (id, answer)
    };
    spawn(cloudformation, &id, Task::Create(on_failure));
    Ok(Some(answer))
}

/// Sets a stack up to be created in the background.
pub(super) fn begin_creation(stack: &mut Stack, revision: Revision, options: Options, operation: Operation) {
    stack.revision = revision;
    stack.options = options;
    stack.operation = operation;
    stack.set_status(StackStatus::CreateInProgress, Some("User Initiated".to_owned()));
}

/// Sets a stack up to be updated in the background.
pub(super) fn begin_update(stack: &mut Stack, revision: Revision, options: Options, operation: Operation) {
    // An update of a failed one still falls back to what was last whole.
    if stack.status != StackStatus::UpdateFailed || stack.fallback.is_none() {
        stack.fallback = Some(stack.snapshot());
    }
    stack.revision = revision;
    stack.options = options;
    stack.operation = operation;
    stack.updated = Some(SystemTime::now());
    stack.set_status(StackStatus::UpdateInProgress, Some("User Initiated".to_owned()));
}

/// Change sets that were made for another state of the stack can't be executed any more.
fn make_obsolete(stack: &mut Stack) {
    for change_set in &mut stack.change_sets {
        if change_set.execution_status == ExecutionStatus::Available {
            change_set.execution_status = ExecutionStatus::Obsolete;
        }
    }
}

/// Refuses to update a stack that isn't in a state for it.
pub(super) fn require_updatable(stack: &Stack) -> Result<()> {
    if stack.status.can_be_updated() {
        return Ok(());
    }
    Err(invalid(format!("Stack:{} is in {} state and can not be updated.", stack.id, stack.status.as_str())))
}

/// `UpdateStack`.
pub(super) async fn update(cloudformation: &Arc<CloudFormation>, call: &Call) -> Answer {
    let form = &call.form;
    let name = checked_name(required(form, "StackName")?)?;
    let found = cloudformation.state().find(&call.caller.region, name).cloned().ok_or_else(|| no_stack(name))?;
    require_updatable(&found)?;
    let revision = revision(cloudformation, call, Some(&found))?;
    check_expansion(&revision.transforms, &revision.capabilities)?;
    let on_failure = on_failure(form)?;
    let options = Options { disable_rollback: on_failure == OnFailure::Keep, ..options(form, Some(&found))? };
    let answer = {
        let mut state = cloudformation.state();
        let stack = state.find_mut(&call.caller.region, &found.id).ok_or_else(|| no_stack(name))?;
        // Somebody else may have begun something since.
        require_updatable(stack)?;
        let goal = Goal::new(&revision, stack.pseudo())?;
        let changes = changes::between(stack, &goal, &revision)?;
        if changes.is_empty() && !changes::beside_resources(stack, &goal, &revision) {
            return Err(invalid("No updates are to be performed."));
        }
        make_obsolete(stack);
        begin_update(stack, revision, options, operation(form));
        begun(stack)
    };
    spawn(cloudformation, &found.id, Task::Update(on_failure));
    Ok(Some(answer))
}

/// `DeleteStack`. A stack that isn't there is no error.
pub(super) fn delete(cloudformation: &Arc<CloudFormation>, call: &Call) -> Answer {
    let form = &call.form;
    let name = checked_name(required(form, "StackName")?)?;
    let retain: BTreeSet<String> = form.list("RetainResources").unwrap_or_default().into_iter().collect();
    let id = {
        let mut state = cloudformation.state();
        let Some(stack) = state.find_mut(&call.caller.region, name) else { return Ok(None) };
        if stack.options.termination_protection {
            return Err(invalid(format!(
                "Stack [{}] cannot be deleted while TerminationProtection is enabled",
                stack.name
            )));
        }
        if !retain.is_empty() && stack.status != StackStatus::DeleteFailed {
            return Err(invalid(format!(
                "Invalid operation on stack [{}]. RetainResources can be specified only for a stack that is in the DELETE_FAILED state.",
                stack.id
            )));
        }
        match stack.status {
            StackStatus::DeleteInProgress | StackStatus::DeleteComplete => return Ok(None),
            // What is being made is called off first.
            StackStatus::CreateInProgress => {
                stack.operation.delete_next = true;
                let id = stack.id.clone();
                call_off(&state, &id);
                return Ok(None);
            }
            status if status.is_in_progress() => {
                return Err(invalid(format!(
                    "Stack [{}] cannot be deleted while in status {}",
                    stack.id,
                    status.as_str()
                )));
            }
            _ => {}
        }
        stack.options.mode = deployment(form)?.mode;
        stack.operation = operation(form);
        stack.fallback = None;
        stack.set_status(StackStatus::DeleteInProgress, Some("User Initiated".to_owned()));
        stack.id.clone()
    };
    spawn(cloudformation, &id, Task::Delete { retain });
    Ok(None)
}

/// Ends the steps that are under way.
fn call_off(state: &State, stack_id: &str) {
    if let Some(halt) = state.running.get(stack_id) {
        let _ = halt.send_replace(true);
    }
}

/// `CancelUpdateStack`.
pub(super) fn cancel_update(cloudformation: &Arc<CloudFormation>, call: &Call) -> Answer {
    let name = checked_name(required(&call.form, "StackName")?)?;
    let mut state = cloudformation.state();
    let stack = state.find_mut(&call.caller.region, name).ok_or_else(|| no_stack(name))?;
    if stack.status != StackStatus::UpdateInProgress {
        return Err(invalid("CancelUpdateStack cannot be called from current stack status"));
    }
    stack.operation.cancelled = true;
    let id = stack.id.clone();
    call_off(&state, &id);
    Ok(None)
}

/// `ContinueUpdateRollback`.
pub(super) fn continue_rollback(cloudformation: &Arc<CloudFormation>, call: &Call) -> Answer {
    let form = &call.form;
    let name = checked_name(required(form, "StackName")?)?;
    let skip: BTreeSet<String> = form.list("ResourcesToSkip").unwrap_or_default().into_iter().collect();
    let id = {
        let mut state = cloudformation.state();
        let stack = state.find_mut(&call.caller.region, name).ok_or_else(|| no_stack(name))?;
        if stack.status != StackStatus::UpdateRollbackFailed {
            return Err(invalid(format!(
                "Stack:{} is in {} state and can not continue rollback update.",
                stack.id,
                stack.status.as_str()
            )));
        }
        stack.operation = operation(form);
        stack.set_status(StackStatus::UpdateRollbackInProgress, Some("User Initiated".to_owned()));
        stack.id.clone()
    };
    spawn(cloudformation, &id, Task::ContinueRollback { skip });
    Ok(Some(Xml::default()))
}

/// `UpdateTerminationProtection`.
pub(super) fn protect(cloudformation: &Arc<CloudFormation>, call: &Call) -> Answer {
    let name = checked_name(required(&call.form, "StackName")?)?;
    let mut state = cloudformation.state();
    let stack = state.find_mut(&call.caller.region, name).ok_or_else(|| no_stack_with_id(name))?;
    stack.options.termination_protection = call.form.flag("EnableTerminationProtection");
    let mut xml = Xml::default();
    xml.text("StackId", &stack.id);
    Ok(Some(xml))
}
