//! A stack is brought to what its template says: change set, look, execution, events, end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::change_set::ChangeSet;
use super::changes::Changes;
use super::delete::delete_and_follow;
use super::events::{Event, Failure, failures};
use super::follow::{Ended, Operation};
use super::{Plan, Request, Stack, Stacks, how_to_watch, plan};
use crate::denial::Denial;
use crate::error::{Error, Result};
use crate::interrupt::Interrupts;
use crate::ui::{Progress, Ui, duration};

/// What becomes of the change set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It is shown and executed.
    Execute,
    /// It is shown, and executed if the answer is yes.
    Confirm,
    /// It is shown and deleted.
    DryRun,
}

/// What was done, in JSON.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct Deployed {
    pub(crate) name: String,
    /// The stack's ARN. `None`: it doesn't exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    /// `create` or `update`.
    pub(crate) operation: &'static str,
    /// Whether the template, the parameters or the tags differ from what the stack has.
    pub(crate) changed: bool,
    /// Whether that was carried out.
    pub(crate) executed: bool,
    pub(crate) changes: Changes,
    /// As it is now, such as `UPDATE_COMPLETE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<String>,
    pub(crate) outputs: BTreeMap<String, String>,
    pub(crate) elapsed_ms: u64,
}

/// Brings the stack to what the request says.
///
/// # Errors
///
/// `StackBusy`, `StackStuck`; what the template or its parameters have wrong; `StackFailed` with the first reason of each
/// resource; `Interrupted`.
pub(crate) async fn deploy(
    ui: &Ui,
    stacks: &Stacks<'_>,
    request: &Request,
    mode: Mode,
    interrupts: &Interrupts,
) -> Result<Deployed> {
    let start = Instant::now();
    let name = &request.stack;
    let mut existing = stacks.find(name).await?;
    let plan = plan(existing.as_ref(), name)?;
    let mut document = Deployed {
        name: name.clone(),
        id: existing.as_ref().map(|stack| stack.id.clone()),
        operation: if plan == Plan::Update { "update" } else { "create" },
        changed: true,
        executed: false,
        changes: Changes::default(),
        status: existing.as_ref().map(|stack| stack.status.as_str().to_owned()),
        outputs: existing.as_ref().map(|stack| stack.outputs.clone()).unwrap_or_default(),
        elapsed_ms: 0,
    };
    if plan == Plan::Recreate {
        if mode == Mode::DryRun {
            ui.status("Dry run", format!("the stack `{name}` is what a failed creation left (ROLLBACK_COMPLETE):"));
            ui.detail("it would be deleted and created again");
            return Ok(document);
        }
        if let Some(left) = existing.take() {
            ui.status("Deleting", format!("the stack `{name}`: it is what a failed creation left"));
            delete_and_follow(ui, stacks, &left, interrupts).await?;
        }
    }

    let change_set = prepare(ui, stacks, request, plan, existing.as_ref(), interrupts).await?;
    document.id = Some(change_set.stack_id.clone());
    let decided = decide(ui, stacks, request, &change_set, mode, interrupts).await;
    let changes = match decided {
        Ok(Decision { changes, execute: true }) => changes,
        Ok(Decision { changes, execute: false }) => {
            stacks.discard(&change_set).await?;
            document.changed = changes.is_some();
            document.changes = changes.unwrap_or_default();
            if plan != Plan::Update {
                document.id = None;
                document.status = None;
            }
            document.elapsed_ms = millis(start);
            return Ok(document);
        }
        Err(error) => {
            // What went wrong first is what has to be told.
            if let Err(left) = stacks.discard(&change_set).await {
                ui.warning(&left, left.hints());
            }
            return Err(error);
        }
    };
    document.changes = changes.unwrap_or_default();

    let begun = async {
        let after = stacks.newest_event(&change_set.stack_id).await?;
        Ok((after, stacks.execute(&change_set, name).await?))
    };
    let (after, token) = match begun.await {
        Ok(begun) => begun,
        Err(error) => {
            if let Err(left) = stacks.discard(&change_set).await {
                ui.warning(&left, left.hints());
            }
            return Err(error);
        }
    };
    let operation = Operation { stack_id: change_set.stack_id.clone(), token, after };
    let verb = if plan == Plan::Update { "Updating" } else { "Creating" };
    let Ended { stack, events } = watch(ui, stacks, &operation, name, verb, interrupts).await?;
    let stack = stack.ok_or_else(|| {
        Error::new("StackFailed", format!("the stack `{name}` was deleted while it was being deployed"))
    })?;
    if !matches!(stack.status.as_str(), "CREATE_COMPLETE" | "UPDATE_COMPLETE") {
        return Err(failed(&stack, plan, &failures(&events)));
    }
    let did = if plan == Plan::Update { "Updated" } else { "Created" };
    ui.status(did, format!("the stack `{name}` in {}", duration(start.elapsed())));
    for (key, value) in &stack.outputs {
        ui.detail(format!("{key}: {value}"));
    }
    document.executed = true;
    document.status = Some(stack.status.as_str().to_owned());
    document.outputs = stack.outputs;
    document.elapsed_ms = millis(start);
    Ok(document)
}

/// Makes the change set. Its template's upload, where there is one, is not left behind.
async fn prepare(
    ui: &Ui,
    stacks: &Stacks<'_>,
    request: &Request,
    plan: Plan,
    existing: Option<&Stack>,
    interrupts: &Interrupts,
) -> Result<ChangeSet> {
    if interrupts.so_far() > 0 {
        return Err(untouched(&request.stack));
    }
    let _progress = ui.progress("Creating a change set");
    let location = stacks.locate_template(request).await?;
    let created = stacks.create_change_set(request, plan, existing, &location).await;
    // CloudFormation has read it by the time it answers.
    if let Err(left) = stacks.discard_template(&location).await {
        ui.warning(&left, left.hints());
    }
    created
}

struct Decision {
    /// `None`: there is nothing to do.
    changes: Option<Changes>,
    execute: bool,
}

/// Shows what the change set would do, and asks if that is wanted.
async fn decide(
    ui: &Ui,
    stacks: &Stacks<'_>,
    request: &Request,
    change_set: &ChangeSet,
    mode: Mode,
    interrupts: &Interrupts,
) -> Result<Decision> {
    let name = &request.stack;
    let changes = {
        let _progress = ui.progress("Waiting for the change set");
        tokio::select! {
            changes = stacks.changes_of(change_set, name) => changes?,
            () = interrupts.nth(1) => return Err(untouched(name)),
        }
    };
    let Some(changes) = changes else {
        ui.status("Unchanged", format!("the stack `{name}`: template and parameters are what it has"));
        return Ok(Decision { changes: None, execute: false });
    };
    ui.status("Change set", format!("for the stack `{name}`: {}", changes.summary()));
    for line in changes.lines() {
        ui.detail(line);
    }
    let execute = match mode {
        Mode::Execute => true,
        Mode::DryRun => false,
        Mode::Confirm => tokio::select! {
            answer = ui.confirm("Execute it?") => answer?,
            () = interrupts.nth(1) => return Err(untouched(name)),
        },
    };
    // The answer to the question may have been a Ctrl-C.
    if execute && interrupts.so_far() > 0 {
        return Err(untouched(name));
    }
    Ok(Decision { changes: Some(changes), execute })
}

/// Follows an operation until its end, or until nobody wants to see more of it.
pub(super) async fn watch(
    ui: &Ui,
    stacks: &Stacks<'_>,
    operation: &Operation,
    name: &str,
    verb: &str,
    interrupts: &Interrupts,
) -> Result<Ended> {
    let progress = ui.progress(&format!("{verb} the stack `{name}`"));
    let mut teller = Teller { ui, verb, name, progress: &progress, started: BTreeMap::new() };
    let following = stacks.follow(operation, |event| teller.tell(event));
    tokio::select! {
        ended = following => ended,
        // One that came while the operation was being started counts, too.
        () = interrupts.nth(1) => Err(left_alone(name, verb)),
    }
}

/// Prints events as they come.
struct Teller<'a> {
    ui: &'a Ui,
    verb: &'a str,
    name: &'a str,
    progress: &'a Progress<'a>,
    /// Resources under way, with the time since when, in ms.
    started: BTreeMap<(String, String), i64>,
}

impl Teller<'_> {
    fn tell(&mut self, event: &Event) {
        let key = (event.stack_id.clone(), event.logical_id.clone());
        let place = if event.stack_name == self.name || event.stack_name.is_empty() {
            event.logical_id.clone()
        } else {
            format!("{}/{}", event.stack_name, event.logical_id)
        };
        if event.is_about_its_stack() {
            self.tell_of_stack(event);
        } else if event.is_failure() {
            self.started.remove(&key);
            self.ui.detail(format!("{place}  {}", event.status));
            if let Some(reason) = event.reason.as_ref().filter(|_| !event.is_echo()) {
                // The error at the end has all of it.
                let line = reason.lines().next().unwrap_or_default();
                self.ui.detail(self.ui.fitting(&format!("    {line}")));
            }
        } else if event.is_complete() {
            let took = self.started.remove(&key).and_then(|since| u64::try_from(event.at - since).ok());
            let took = took.map(|ms| format!(", {}", duration(Duration::from_millis(ms)))).unwrap_or_default();
            self.ui.detail(format!("{place}  {}{took}", event.status));
        } else if !event.status.is_empty() {
            self.started.entry(key).or_insert(event.at);
            self.ui.verbose(format!("{place}  {}", event.status));
        }
        let waiting: Vec<&str> = self.started.keys().map(|(_, id)| id.as_str()).collect();
        let of_what = if waiting.is_empty() { String::new() } else { format!(": {}", waiting.join(", ")) };
        self.progress.say(&format!("{} the stack `{}`{of_what}", self.verb, self.name));
    }

    /// The stack's own events: its rollback is news, its beginning and end are told by others.
    fn tell_of_stack(&self, event: &Event) {
        if event.status.contains("ROLLBACK_IN_PROGRESS") {
            self.ui.detail(format!("{}  {}", event.logical_id, event.status));
        } else {
            self.ui.verbose(format!("{}  {}", event.logical_id, event.status));
        }
    }
}

/// Why the stack isn't what it should be.
fn failed(stack: &Stack, plan: Plan, failures: &[Failure]) -> Error {
    let Stack { name, status, .. } = stack;
    let did = if plan == Plan::Update { "updated" } else { "created" };
    let mut error =
        Error::new("StackFailed", format!("the stack `{name}` could not be {did}: it is in {}", status.as_str()));
    for Failure { stack: within, logical_id, resource_type, reason, .. } in failures {
        let place = if within == name { String::new() } else { format!(" in {within}") };
        error = error.cause(format!("{logical_id} ({resource_type}{place}): {}", reason.trim()));
    }
    if failures.is_empty()
        && let Some(reason) = &stack.reason
    {
        error = error.cause(reason.as_str());
    }
    let error = match failures.iter().find_map(|failure| Denial::read(&failure.reason)) {
        Some(denial) => error.hint(denial.hint()),
        None => error,
    };
    match status.as_str() {
        "UPDATE_ROLLBACK_COMPLETE" => error.hint("CloudFormation took everything back: the stack is as it was before"),
        "ROLLBACK_COMPLETE" => {
            error.hint("mend the cause and run the command again: it deletes what is left and creates the stack anew")
        }
        "UPDATE_ROLLBACK_FAILED" => error.hint(format!(
            "taking it back failed, too: `aws cloudformation continue-update-rollback --stack-name {name}`"
        )),
        _ => error.hint(how_to_watch(name)),
    }
}

/// Nothing of the stack was changed yet.
fn untouched(name: &str) -> Error {
    Error::new("Interrupted", format!("interrupted: the stack `{name}` was not touched"))
}

/// CloudFormation goes on without anybody watching.
fn left_alone(name: &str, verb: &str) -> Error {
    let error = Error::new(
        "Interrupted",
        format!("interrupted: CloudFormation goes on {} the stack `{name}`", verb.to_lowercase()),
    )
    .hint(how_to_watch(name));
    match verb {
        "Updating" => {
            error.hint(format!("take it back with `aws cloudformation cancel-update-stack --stack-name {name}`"))
        }
        "Creating" => error.hint(format!("take it back with `aws cloudformation delete-stack --stack-name {name}`")),
        _ => error,
    }
}

fn millis(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}
