//! Nested stacks: the resource `AWS::CloudFormation::Stack`.
//!
//! A nested stack is a stack like any other, with a record, events and a deployment of its own; the resource that stands
//! for it is stable when that deployment is at rest, and has its outputs as attributes. One that can't be created is left
//! as it failed, and deleted when its parent is rolled back. One that can't be updated rolls back by itself; one that was
//! updated, and whose parent is rolled back, is taken back to the template text that it had, whatever the template's URL
//! leads to by then. The mode of the parent's deployment is that of its nested stacks, too.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::{Deployment, OnFailure, Task, spawn};
use crate::cloudformation::changes;
use crate::cloudformation::functions::as_text;
use crate::cloudformation::operations::nested_revision;
use crate::cloudformation::parameters::Given;
use crate::cloudformation::resources::{self, Attributes, Failure, Made, NESTED_STACK, Place, Properties};
use crate::cloudformation::stack::{Goal, Nested, Operation, Options, Revision, Stack};
use crate::cloudformation::status::StackStatus;
use crate::protocol::query::Refusal;

/// How often a nested stack under way is looked at.
const POLL: Duration = Duration::from_millis(10);

fn operation() -> Operation {
    Operation { id: uuid::Uuid::new_v4().to_string(), ..Operation::default() }
}

fn refused(refusal: Refusal) -> Failure {
    Failure(refusal.message)
}

impl Deployment {
    /// Begins to create the nested stack of a resource.
    pub(super) fn begin_nested(&self, place: &Place, wanted: &Properties) -> Result<Made, Failure> {
        let (revision, options) = self.nested_goal(wanted)?;
        let root_id = self.with(|parent| parent.nested.as_ref().map(|nested| nested.root_id.clone()));
        let mut nested = Stack::new(&place.generated_name(128), &place.region, StackStatus::CreateInProgress);
        Goal::new(&revision, nested.pseudo()).map_err(refused)?;
        nested.nested = Some(Nested {
            parent_id: self.stack_id.clone(),
            root_id: root_id.unwrap_or_else(|| self.stack_id.clone()),
            before: None,
        });
        nested.revision = revision;
        nested.options = options;
        nested.operation = operation();
        nested.set_status(StackStatus::CreateInProgress, Some("User Initiated".to_owned()));
        let physical_id = nested.id.clone();
        self.cloudformation.state().stacks.insert(physical_id.clone(), nested);
        spawn(&self.cloudformation, &physical_id, Task::Create(OnFailure::Keep));
        Ok(Made { physical_id, attributes: Attributes::new() })
    }

    /// Begins to update a nested stack, if there is something to update.
    pub(super) async fn begin_nested_update(&self, id: &str, wanted: &Properties) -> Result<(), Failure> {
        let (revision, options) = self.nested_goal(wanted)?;
        self.nested_at_rest(id).await?;
        let begun = self.cloudformation.with_stack(id, |nested| {
            if let Some(known) = &mut nested.nested {
                known.before = Some(nested.revision.clone());
            }
            begin_update(nested, revision, options)
        });
        if begun.ok_or_else(|| gone(id))?? {
            spawn(&self.cloudformation, id, Task::Update(OnFailure::Rollback));
        }
        Ok(())
    }

    /// Takes a nested stack back to what it was before its parent's update.
    pub(super) async fn restore_nested(&self, id: &str) -> Result<Attributes, Failure> {
        self.until_nested_rests(id).await;
        let begun = self.cloudformation.with_stack(id, |nested| {
            let before = nested.nested.as_mut().and_then(|known| known.before.take());
            match before {
                Some(before) if before != nested.revision => begin_update(nested, before, nested.options.clone()),
                _ => Ok(false),
            }
        });
        if begun.ok_or_else(|| gone(id))?? {
            spawn(&self.cloudformation, id, Task::Update(OnFailure::Rollback));
            self.nested_at_rest(id).await?;
        }
        Ok(self.nested_outputs(id))
    }

    /// Deletes a nested stack. One that is gone already is no error.
    pub(super) async fn delete_nested(&self, id: &str) -> Result<(), Failure> {
        self.until_nested_rests(id).await;
        let begun = self.cloudformation.with_stack(id, |nested| {
            if nested.is_deleted() {
                return false;
            }
            nested.operation = operation();
            nested.fallback = None;
            nested.set_status(StackStatus::DeleteInProgress, Some("User Initiated".to_owned()));
            true
        });
        if begun != Some(true) {
            return Ok(());
        }
        spawn(&self.cloudformation, id, Task::Delete { retain: std::collections::BTreeSet::new() });
        self.until_nested_rests(id).await;
        match self.cloudformation.with_stack(id, |nested| (nested.status, nested.reason.clone())) {
            Some((StackStatus::DeleteComplete, _)) | None => Ok(()),
            Some((_, reason)) => Err(Failure(format!(
                "Embedded stack {id} was not successfully deleted: {}",
                reason.unwrap_or_default()
            ))),
        }
    }

    /// Waits until a nested stack is at rest. An error, unless it is what was wanted.
    pub(super) async fn nested_at_rest(&self, id: &str) -> Result<(), Failure> {
        self.until_nested_rests(id).await;
        let ended = self.cloudformation.with_stack(id, |nested| (nested.status, nested.reason.clone()));
        let (status, reason) = ended.ok_or_else(|| gone(id))?;
        let reason = reason.unwrap_or_default();
        match status {
            StackStatus::CreateComplete | StackStatus::UpdateComplete => Ok(()),
            StackStatus::CreateFailed => {
                Err(Failure(format!("Embedded stack {id} was not successfully created: {reason}")))
            }
            status => Err(Failure(format!(
                "Embedded stack {id} was not successfully updated. Currently in {} with reason: {reason}",
                status.as_str()
            ))),
        }
    }

    async fn until_nested_rests(&self, id: &str) {
        while self.cloudformation.state().running.contains_key(id) {
            tokio::time::sleep(POLL).await;
        }
    }

    /// Calls off what is under way in a nested stack, as its parent is.
    pub(super) fn call_nested_off(&self, id: &str) {
        self.cloudformation.with_stack(id, |nested| {
            nested.operation.cancelled = nested.status == StackStatus::UpdateInProgress;
        });
        if let Some(halt) = self.cloudformation.state().running.get(id) {
            let _ = halt.send_replace(true);
        }
    }

    /// `Outputs.NAME` of a nested stack.
    pub(super) fn nested_outputs(&self, id: &str) -> Attributes {
        let outputs = self.cloudformation.with_stack(id, |nested| nested.outputs.clone()).unwrap_or_default();
        outputs.into_iter().map(|output| (format!("Outputs.{}", output.key), output.value.into())).collect()
    }

    /// What a nested stack shall become, by the properties of its resource.
    fn nested_goal(&self, wanted: &Properties) -> Result<(Revision, Options), Failure> {
        resources::check_properties(NESTED_STACK, wanted)?;
        let mut given = Vec::new();
        for (key, value) in wanted.object("Parameters")?.into_iter().flatten() {
            let value = match value {
                Value::Array(items) => items.iter().filter_map(as_text).collect::<Vec<_>>().join(","),
                other => as_text(other).unwrap_or_default(),
            };
            given.push(Given { key: key.clone(), value: Some(value) });
        }
        let (mode, capabilities) = self.with(|parent| (parent.options.mode, parent.revision.capabilities.clone()));
        let url = wanted.required("TemplateURL")?;
        let revision = nested_revision(&self.cloudformation, &url, &given, wanted.tags()?, capabilities);
        Ok((revision.map_err(refused)?, Options { mode, ..Options::default() }))
    }
}

/// Sets a nested stack up to be updated in the background. False: nothing in it changes.
fn begin_update(nested: &mut Stack, revision: Revision, options: Options) -> Result<bool, Failure> {
    let goal = Goal::new(&revision, nested.pseudo()).map_err(refused)?;
    let changes = changes::between(nested, &goal, &revision).map_err(refused)?;
    if changes.is_empty() && !changes::beside_resources(nested, &goal, &revision) {
        return Ok(false);
    }
    nested.fallback = Some(nested.snapshot());
    nested.revision = revision;
    nested.options = options;
    nested.operation = operation();
    nested.updated = Some(SystemTime::now());
    nested.set_status(StackStatus::UpdateInProgress, Some("User Initiated".to_owned()));
    Ok(true)
}

fn gone(id: &str) -> Failure {
    Failure(format!("Stack with id {id} does not exist"))
}
