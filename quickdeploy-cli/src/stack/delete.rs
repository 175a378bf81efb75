//! A stack is deleted, and watched while it goes.

use aws_sdk_cloudformation::types::StackStatus;

use super::deploy::watch;
use super::events::failures;
use super::follow::{Ended, Operation};
use super::{Stack, Stacks, how_to_watch, plan};
use crate::denial::Denial;
use crate::error::{Error, Result};
use crate::interrupt::Interrupts;
use crate::retry::retried;
use crate::ui::Ui;

/// Deletes the stack with this name, and everything in it that its template doesn't retain. The answer is whether there
/// was one.
///
/// # Errors
///
/// `StackBusy`; `StackFailed` with the first reason of each resource that would not go; `Interrupted`.
pub(crate) async fn delete(ui: &Ui, stacks: &Stacks<'_>, name: &str, interrupts: &Interrupts) -> Result<bool> {
    let Some(stack) = stacks.find(name).await? else { return Ok(false) };
    // A stack that is stuck can be deleted all the same.
    if stack.is_busy() && stack.status != StackStatus::DeleteInProgress {
        plan(Some(&stack), name)?;
    }
    delete_and_follow(ui, stacks, &stack, interrupts).await?;
    Ok(true)
}

/// Deletes this very stack, or goes on watching its deletion.
pub(super) async fn delete_and_follow(
    ui: &Ui,
    stacks: &Stacks<'_>,
    stack: &Stack,
    interrupts: &Interrupts,
) -> Result<()> {
    let token = format!("quickdeploy-{:016x}", fastrand::u64(..));
    let after = stacks.newest_event(&stack.id).await?;
    retried(&stacks.quota, || stacks.client.delete_stack().stack_name(&stack.id).client_request_token(&token).send())
        .await
        .map_err(|error| stacks.explain(&format!("could not delete the stack `{}`", stack.name), &error))?;
    let operation = Operation { stack_id: stack.id.clone(), token, after };
    let Ended { stack: left, events } = watch(ui, stacks, &operation, &stack.name, "Deleting", interrupts).await?;
    let Some(left) = left else { return Ok(()) };
    let mut error = Error::new(
        "StackFailed",
        format!("the stack `{}` could not be deleted: it is in {}", stack.name, left.status.as_str()),
    );
    for failure in failures(&events) {
        error = error.cause(format!("{} ({}): {}", failure.logical_id, failure.resource_type, failure.reason.trim()));
    }
    let denied = failures(&events).iter().find_map(|failure| Some(Denial::read(&failure.reason)?.hint()));
    Err(denied.into_iter().fold(error, Error::hint).hint(how_to_watch(&stack.name)))
}
