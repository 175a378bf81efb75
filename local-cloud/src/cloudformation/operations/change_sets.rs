//! Change sets: create, describe, list, execute, delete.

use std::sync::Arc;
use std::time::SystemTime;

use super::input::{checked_name, deployment, options, revision};
use super::stacks::{begin_creation, begin_update, operation, require_updatable};
use super::{flag, no_stack, page, required, tags};
use crate::cloudformation::CloudFormation;
use crate::cloudformation::change_set::{ChangeSet, no_changes};
use crate::cloudformation::changes::{self, Change, Detail};
use crate::cloudformation::deployment::{OnFailure, Task, spawn};
use crate::cloudformation::errors::{Result, already_exists, change_set_not_found, constraint, invalid};
use crate::cloudformation::stack::{Goal, Stack};
use crate::cloudformation::status::{ChangeSetStatus, ExecutionStatus, StackStatus};
use crate::cloudformation::template::Template;
use crate::log::timestamp;
use crate::protocol::query::{Answer, Call, Form, Refusal};
use crate::protocol::xml::Xml;
use crate::s3::ACCOUNT;

/// Changes in one page of an answer.
const PAGE: usize = 100;

/// `CreateChangeSet`.
pub(super) async fn create(cloudformation: &Arc<CloudFormation>, call: &Call) -> Answer {
    let form = &call.form;
    let stack_name = checked_name(required(form, "StackName")?)?;
    let name = required(form, "ChangeSetName")?;
    let valid = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.len() <= 128
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if !valid {
        let rule = "Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*";
        return Err(constraint(name, "changeSetName", rule));
    }
    let creates_stack = match form.get("ChangeSetType") {
        None | Some("UPDATE") => false,
        Some("CREATE") => true,
        Some("IMPORT") => return Err(invalid("The local cloud's CloudFormation doesn't import resources.")),
        Some(other) => {
            let rule = "Member must satisfy enum value set: [IMPORT, UPDATE, CREATE]";
            return Err(constraint(other, "changeSetType", rule));
        }
    };
    let found = cloudformation.state().find(&call.caller.region, stack_name).cloned();
    let stack = match (found, creates_stack) {
        (None, true) if !stack_name.starts_with("arn:") => {
            let mut stack = Stack::new(stack_name, &call.caller.region, StackStatus::ReviewInProgress);
            stack.operation = operation(form);
            stack.set_status(StackStatus::ReviewInProgress, Some("User Initiated".to_owned()));
            stack
        }
        (None, _) => return Err(no_stack(stack_name)),
        (Some(stack), true) if stack.status == StackStatus::ReviewInProgress => stack,
        (Some(_), true) => {
            return Err(invalid(format!(
                "Stack [{stack_name}] already exists and cannot be created again with the changeSet [{name}]."
            )));
        }
        (Some(stack), false) => {
            require_updatable(&stack)?;
            stack
        }
    };
    let change_set = new_change_set(cloudformation, call, &stack, name, creates_stack)?;
    let mut xml = Xml::default();
    {
        let mut state = cloudformation.state();
        let stack = state.stacks.entry(stack.id.clone()).or_insert(stack);
        if let Some(known) = stack.change_sets.iter().find(|known| known.name == name) {
            return of_known(known, &change_set, stack);
        }
        xml.text("Id", &change_set.id);
        xml.text("StackId", &stack.id);
        stack.change_sets.push(change_set.clone());
    }
    complete_later(cloudformation, call, change_set);
    Ok(Some(xml))
}

/// A change set of the same name: the same one, asked for again, or another.
fn of_known(known: &ChangeSet, wanted: &ChangeSet, stack: &Stack) -> Answer {
    let differs = match () {
        () if known.client_token != wanted.client_token => "ClientToken",
        () if known.revision.original != wanted.revision.original => "Template",
        () if known.revision.parameters != wanted.revision.parameters => "Parameters",
        () if known.revision.tags != wanted.revision.tags => "Tags",
        () => {
            let mut xml = Xml::default();
            xml.text("Id", &known.id);
            xml.text("StackId", &stack.id);
            return Ok(Some(xml));
        }
    };
    let message =
        format!("ChangeSet {} cannot be created due to a mismatch with existing attribute {differs}", known.name);
    Err(already_exists(message))
}

fn new_change_set(
    cloudformation: &CloudFormation,
    call: &Call,
    stack: &Stack,
    name: &str,
    creates_stack: bool,
) -> Result<ChangeSet> {
    let form = &call.form;
    let revision = revision(cloudformation, call, (!creates_stack).then_some(stack))?;
    let on_stack_failure = form.get("OnStackFailure").map(str::to_owned);
    if let Some(other) =
        on_stack_failure.as_deref().filter(|wanted| !["DELETE", "DO_NOTHING", "ROLLBACK"].contains(wanted))
    {
        let rule = "Member must satisfy enum value set: [DO_NOTHING, ROLLBACK, DELETE]";
        return Err(constraint(other, "onStackFailure", rule));
    }
    if on_stack_failure.as_deref() == Some("DELETE") && !creates_stack {
        return Err(invalid("OnStackFailure DELETE is only valid for a change set of type CREATE."));
    }
    let region = &call.caller.region;
    let goal = Goal::new(&revision, stack.pseudo())?;
    let changes = changes::between(stack, &goal, &revision)?;
    let empty = !creates_stack && changes.is_empty() && !changes::beside_resources(stack, &goal, &revision);
    Ok(ChangeSet {
        id: format!("arn:aws:cloudformation:{region}:{ACCOUNT}:changeSet/{name}/{}", uuid::Uuid::new_v4()),
        name: name.to_owned(),
        creates_stack,
        status: ChangeSetStatus::CreateInProgress,
        reason: empty.then(|| no_changes(&revision.transforms).to_owned()),
        execution_status: ExecutionStatus::Unavailable,
        created: SystemTime::now(),
        description: form.get("Description").map(str::to_owned),
        client_token: form.get("ClientToken").map(str::to_owned),
        options: options(form, (!creates_stack).then_some(stack))?,
        deployment: deployment(form)?,
        on_stack_failure,
        changes,
        revision,
    })
}

/// Lets a change set be in progress for a while, as AWS's are.
fn complete_later(cloudformation: &Arc<CloudFormation>, call: &Call, change_set: ChangeSet) {
    let region = call.caller.region.clone();
    let background = Arc::clone(cloudformation);
    cloudformation.spawn(async move {
        let cloudformation = background;
        tokio::time::sleep(cloudformation.settings().change_set_delay).await;
        cloudformation.change(&region, &change_set.id, |known| {
            let failed = known.reason.is_some();
            known.status = if failed { ChangeSetStatus::Failed } else { ChangeSetStatus::CreateComplete };
            if !failed && known.execution_status == ExecutionStatus::Unavailable {
                known.execution_status = ExecutionStatus::Available;
            }
        });
        // A disk that can't be written is told to the next request that changes something.
        let _ = cloudformation.save().await;
    });
}

impl CloudFormation {
    fn change(&self, region: &str, id: &str, change: impl FnOnce(&mut ChangeSet)) {
        let mut state = self.state();
        let mut all = state.stacks.values_mut().filter(|stack| stack.region == region);
        if let Some(known) = all.find_map(|stack| stack.change_sets.iter_mut().find(|known| known.id == id)) {
            change(known);
        }
    }
}

/// The change set that a request names, with its stack.
fn named(cloudformation: &CloudFormation, call: &Call) -> Result<(Stack, ChangeSet)> {
    let form = &call.form;
    let name = required(form, "ChangeSetName")?;
    let state = cloudformation.state();
    let stack_name = form.get("StackName").filter(|name| !name.is_empty());
    let of_stack = |stack: &Stack| {
        let found = stack.change_sets.iter().find(|known| known.name == name || known.id == name);
        found.map(|found| (stack.clone(), found.clone()))
    };
    if name.starts_with("arn:") {
        return state.stacks.values().find_map(of_stack).ok_or_else(|| change_set_not_found(name));
    }
    let stack_name = stack_name
        .ok_or_else(|| invalid("StackName must be specified if ChangeSetName is not specified as an ARN."))?;
    let stack = state.find(&call.caller.region, stack_name).ok_or_else(|| no_stack(stack_name))?;
    of_stack(stack).ok_or_else(|| change_set_not_found(name))
}

/// `DescribeChangeSet`.
pub(super) fn describe(cloudformation: &Arc<CloudFormation>, call: &Call) -> Answer {
    let (stack, change_set) = named(cloudformation, call)?;
    let values = call.form.flag("IncludePropertyValues");
    // A change set that is still being made shows no changes.
    let shown =
        if change_set.status == ChangeSetStatus::CreateInProgress { &[] } else { change_set.changes.as_slice() };
    let changes: Vec<&Change> = if values {
        shown
            .iter()
            .filter(|change| {
                change.action != "Modify" || change.before != change.after || change.details.iter().any(|d| d.is_static)
            })
            .collect()
    } else {
        shown.iter().collect()
    };
    let (changes, next) = page(&call.form, changes, PAGE)?;
    let mut xml = Xml::default();
    xml.text("ChangeSetName", &change_set.name);
    xml.text("ChangeSetId", &change_set.id);
    xml.text("StackId", &stack.id);
    xml.text("StackName", &stack.name);
    xml.optional("Description", change_set.description.as_deref());
    parameters(&mut xml, &change_set);
    xml.text("CreationTime", &timestamp(change_set.created));
    xml.text("ExecutionStatus", change_set.execution_status.as_str());
    xml.text("Status", change_set.status.as_str());
    if change_set.status != ChangeSetStatus::CreateInProgress {
        xml.optional("StatusReason", change_set.reason.as_deref());
    }
    xml.texts("NotificationARNs", &change_set.options.notification_arns);
    xml.within("RollbackConfiguration", |_| {});
    xml.texts("Capabilities", &change_set.revision.capabilities);
    if !change_set.revision.tags.is_empty() {
        tags(&mut xml, &change_set.revision.tags);
    }
    xml.list("Changes", changes, |xml, change| write_change(xml, change, values));
    xml.optional("NextToken", next.as_deref());
    xml.text("IncludeNestedStacks", flag(false));
    xml.optional("OnStackFailure", change_set.on_stack_failure.as_deref());
    super::describe::deployment_config(&mut xml, change_set.deployment.mode, change_set.deployment.disable_rollback);
    Ok(Some(xml))
}

fn parameters(xml: &mut Xml, change_set: &ChangeSet) {
    let revision = &change_set.revision;
    if !revision.parameters.is_empty() {
        let template = Template::parse(&revision.processed).unwrap_or_default();
        super::describe::parameters(xml, &template, &revision.parameters);
    }
}

fn write_change(xml: &mut Xml, change: &Change, values: bool) {
    xml.text("Type", "Resource");
    xml.within("ResourceChange", |xml| {
        xml.optional("PolicyAction", change.policy_action.as_deref());
        xml.text("Action", &change.action);
        xml.text("LogicalResourceId", &change.logical_id);
        xml.optional("PhysicalResourceId", change.physical_id.as_deref());
        xml.text("ResourceType", &change.kind);
        xml.optional("Replacement", change.replacement.as_deref());
        xml.texts("Scope", change.scope());
        let details =
            change.details.iter().filter(|detail| !values || detail.is_static || detail.before != detail.after);
        xml.list("Details", details, |xml, detail| write_detail(xml, detail, values));
        if values {
            xml.optional("BeforeContext", change.before.as_deref());
            xml.optional("AfterContext", change.after.as_deref());
        }
    });
}

fn write_detail(xml: &mut Xml, detail: &Detail, values: bool) {
    xml.within("Target", |xml| {
        xml.text("Attribute", &detail.attribute);
        xml.optional("Name", detail.name.as_deref());
        xml.text("RequiresRecreation", &detail.requires_recreation);
        if values && let Some(name) = &detail.name {
            xml.text("Path", &format!("/Properties/{name}"));
            xml.optional("BeforeValue", detail.before.as_deref());
            xml.optional("AfterValue", detail.after.as_deref());
            let kind = match (&detail.before, &detail.after) {
                (None, _) => "Add",
                (_, None) => "Remove",
                _ => "Modify",
            };
            xml.text("AttributeChangeType", kind);
        }
    });
    xml.text("Evaluation", if detail.is_static { "Static" } else { "Dynamic" });
    xml.text("ChangeSource", &detail.source);
    xml.optional("CausingEntity", detail.causing_entity.as_deref());
}

/// `ListChangeSets`.
pub(super) fn list(cloudformation: &Arc<CloudFormation>, call: &Call) -> Answer {
    let name = required(&call.form, "StackName")?;
    let state = cloudformation.state();
    let stack = state.find(&call.caller.region, name).ok_or_else(|| no_stack(name))?;
    let (summaries, next) = page(&call.form, stack.change_sets.iter().collect(), PAGE)?;
    let mut xml = Xml::default();
    xml.list("Summaries", summaries, |xml, change_set: &ChangeSet| {
        xml.text("StackId", &stack.id);
        xml.text("StackName", &stack.name);
        xml.text("ChangeSetId", &change_set.id);
        xml.text("ChangeSetName", &change_set.name);
        xml.text("ExecutionStatus", change_set.execution_status.as_str());
        xml.text("Status", change_set.status.as_str());
        xml.optional("StatusReason", change_set.reason.as_deref());
        xml.text("CreationTime", &timestamp(change_set.created));
        xml.optional("Description", change_set.description.as_deref());
        xml.text("IncludeNestedStacks", flag(false));
    });
    xml.optional("NextToken", next.as_deref());
    Ok(Some(xml))
}

/// What a failure leads to, by what was asked for when the change set was made and when it is executed.
fn on_failure(form: &Form, change_set: &ChangeSet) -> Result<OnFailure> {
    let disabled = form.get("DisableRollback").map(|_| form.flag("DisableRollback"));
    match (change_set.on_stack_failure.as_deref(), disabled) {
        (Some(_), Some(_)) => {
            Err(invalid("DisableRollback cannot be specified for a change set that has OnStackFailure."))
        }
        (Some("DELETE"), None) => Ok(OnFailure::Delete),
        (Some("DO_NOTHING"), None) | (None, Some(true)) => Ok(OnFailure::Keep),
        (Some(_), None) | (None, Some(false)) => Ok(OnFailure::Rollback),
        (None, None) => Ok(if change_set.deployment.keeps_failures() { OnFailure::Keep } else { OnFailure::Rollback }),
    }
}

fn invalid_status(change_set: &ChangeSet) -> Refusal {
    let message = format!(
        "ChangeSet [{}] cannot be executed in its current status of [{}]",
        change_set.id,
        if change_set.status == ChangeSetStatus::CreateComplete {
            change_set.execution_status.as_str()
        } else {
            change_set.status.as_str()
        }
    );
    Refusal::new(400, "InvalidChangeSetStatus", message)
}

/// `ExecuteChangeSet`.
pub(super) fn execute(cloudformation: &Arc<CloudFormation>, call: &Call) -> Answer {
    let (found, change_set) = named(cloudformation, call)?;
    let on_failure = on_failure(&call.form, &change_set)?;
    let task = {
        let mut state = cloudformation.state();
        let Some(stack) = state.stacks.get_mut(&found.id) else { return Err(no_stack(&found.name)) };
        let Some(known) = stack.change_sets.iter_mut().find(|known| known.id == change_set.id) else {
            return Err(change_set_not_found(&change_set.name));
        };
        if known.execution_status != ExecutionStatus::Available {
            return Err(invalid_status(known));
        }
        let (creates, revision, mut options) = (known.creates_stack, known.revision.clone(), known.options.clone());
        if !creates {
            require_updatable(stack)?;
        }
        options.disable_rollback = on_failure == OnFailure::Keep;
        // The others were made for a state of the stack that is no more.
        stack.change_sets.retain(|other| other.id == change_set.id);
        for executed in &mut stack.change_sets {
            executed.execution_status = ExecutionStatus::ExecuteInProgress;
        }
        stack.change_set_id = Some(change_set.id.clone());
        if creates {
            begin_creation(stack, revision, options, operation(&call.form));
            stack.updated = Some(SystemTime::now());
            Task::Create(on_failure)
        } else {
            begin_update(stack, revision, options, operation(&call.form));
            Task::Update(on_failure)
        }
    };
    spawn(cloudformation, &found.id, task);
    Ok(Some(Xml::default()))
}

/// `DeleteChangeSet`. One that isn't there is no error when it is named by its id.
pub(super) fn delete(cloudformation: &Arc<CloudFormation>, call: &Call) -> Answer {
    let (found, change_set) = match named(cloudformation, call) {
        Ok(found) => found,
        Err(refusal) if refusal.code == "ChangeSetNotFound" => return Ok(Some(Xml::default())),
        Err(refusal) => return Err(refusal),
    };
    if change_set.execution_status == ExecutionStatus::ExecuteInProgress {
        return Err(invalid_status(&change_set));
    }
    cloudformation.with_stack(&found.id, |stack| stack.change_sets.retain(|known| known.id != change_set.id));
    Ok(Some(Xml::default()))
}
