//! Carries out what a request began: makes, changes and deletes a stack's resources in the background, and takes back
//! what failed.
//!
//! A deployment looks at the stack before every step and writes down after it what has become of the resource, so that
//! the stack's record is true at every moment. An update keeps the stack as it was in [`Stack::fallback`]: whatever
//! differs from it is taken back when the update fails. Old resources that were replaced are deleted last, when nothing
//! can fail any more that would need them back.

mod nested;
mod resource;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tokio::sync::watch;

use super::CloudFormation;
use super::resources::{Failure, NESTED_STACK, Properties};
use super::schedule::{Failing, in_order};
use super::stack::{Goal, Mode, Resource, Snapshot, Stack};
use super::status::{ExecutionStatus, ResourceStatus, StackStatus};
use super::template::Policy;

/// What is to be done to a stack whose status says already that it is under way.
#[derive(Clone, Debug)]
pub(super) enum Task {
    Create(OnFailure),
    Update(OnFailure),
    Delete { retain: BTreeSet<String> },
    ContinueRollback { skip: BTreeSet<String> },
}

/// What follows a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnFailure {
    Rollback,
    Keep,
    Delete,
}

/// One task under way.
struct Deployment {
    cloudformation: Arc<CloudFormation>,
    stack_id: String,
    express: bool,
    /// True when steps under way shall end as soon as they can.
    halt: Arc<watch::Sender<bool>>,
    failures: Mutex<Failures>,
}

/// The resources that failed, by what was done to them.
#[derive(Debug, Default)]
struct Failures {
    create: Vec<String>,
    update: Vec<String>,
    delete: Vec<String>,
}

impl Failures {
    /// What a stack's reason says about them.
    fn reason(&self) -> String {
        let sentence = |verb: &str, names: &[String]| match names {
            [] => String::new(),
            names => format!("The following resource(s) failed to {verb}: [{}]. ", names.join(", ")),
        };
        sentence("create", &self.create) + &sentence("update", &self.update) + &sentence("delete", &self.delete)
    }

    fn is_empty(&self) -> bool {
        self.create.is_empty() && self.update.is_empty() && self.delete.is_empty()
    }
}

/// Whether an update is being completed or taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Forth,
    Back,
}

/// Whether a deleted resource is in the stack's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Record {
    /// It is, and its status is shown there.
    Kept,
    /// It has been replaced by another: only events tell of it.
    Gone,
}

/// Begins a task.
pub(super) fn spawn(cloudformation: &Arc<CloudFormation>, stack_id: &str, task: Task) {
    let halt = Arc::new(watch::Sender::new(false));
    cloudformation.state().running.insert(stack_id.to_owned(), Arc::clone(&halt));
    let mode = cloudformation.with_stack(stack_id, |stack| stack.options.mode).flatten();
    let deployment = Deployment {
        cloudformation: Arc::clone(cloudformation),
        stack_id: stack_id.to_owned(),
        express: mode == Some(Mode::Express),
        halt,
        failures: Mutex::default(),
    };
    cloudformation.spawn(async move {
        // A disk that can't be written is told to the next request that changes something.
        let _ = deployment.cloudformation.save().await;
        deployment.run(task).await;
        deployment.cloudformation.state().running.remove(&deployment.stack_id);
        let _ = deployment.cloudformation.save().await;
    });
}

impl Deployment {
    async fn run(&self, task: Task) {
        match task {
            Task::Create(on_failure) => self.create(on_failure).await,
            Task::Update(on_failure) => self.update(on_failure).await,
            Task::Delete { retain } => self.delete(&retain).await,
            Task::ContinueRollback { skip } => self.roll_back_update(&skip).await,
        }
    }

    fn with<T: Default>(&self, look: impl FnOnce(&mut Stack) -> T) -> T {
        self.cloudformation.with_stack(&self.stack_id, look).unwrap_or_default()
    }

    fn set_status(&self, status: StackStatus, reason: Option<String>) {
        self.with(|stack| stack.set_status(status, reason));
    }

    fn failures(&self) -> std::sync::MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_failures(&self) -> Failures {
        std::mem::take(&mut *self.failures())
    }

    /// What the stack is to become. It was evaluated before, when the request came.
    fn goal(&self) -> Result<Goal, String> {
        let goal = self.cloudformation.with_stack(&self.stack_id, |stack| Goal::new(&stack.revision, stack.pseudo()));
        match goal {
            Some(Ok(goal)) => Ok(goal),
            Some(Err(refusal)) => Err(refusal.message),
            None => Err("the stack is gone".to_owned()),
        }
    }

    async fn create(&self, on_failure: OnFailure) {
        let outcome = self.converge().await;
        let Err(reason) = outcome else {
            self.set_status(StackStatus::CreateComplete, None);
            self.mark_executed(ExecutionStatus::ExecuteComplete);
            return;
        };
        self.mark_executed(ExecutionStatus::ExecuteFailed);
        let delete_next = self.with(|stack| std::mem::take(&mut stack.operation.delete_next));
        let _ = self.halt.send_replace(false);
        if delete_next {
            return self.delete(&BTreeSet::new()).await;
        }
        match on_failure {
            OnFailure::Keep => self.set_status(StackStatus::CreateFailed, Some(reason)),
            OnFailure::Delete => {
                self.set_status(StackStatus::DeleteInProgress, Some(format!("{reason}Delete requested by user.")));
                self.delete(&BTreeSet::new()).await;
            }
            OnFailure::Rollback => {
                self.set_status(StackStatus::RollbackInProgress, Some(format!("{reason}Rollback requested by user.")));
                self.save().await;
                let all = self.with(|stack| stack.resources.clone());
                self.remove_all(all, |resource| resource.deletion_policy == Policy::Retain, Record::Kept).await;
                let failures = self.take_failures();
                self.with(|stack| stack.outputs.clear());
                if failures.is_empty() {
                    self.set_status(StackStatus::RollbackComplete, None);
                } else {
                    self.set_status(StackStatus::RollbackFailed, Some(failures.reason()));
                }
            }
        }
    }

    async fn update(&self, on_failure: OnFailure) {
        if let Err(reason) = self.converge().await {
            self.mark_executed(ExecutionStatus::ExecuteFailed);
            let cancelled = self.with(|stack| stack.operation.cancelled);
            let _ = self.halt.send_replace(false);
            if on_failure == OnFailure::Keep && !cancelled {
                self.set_status(StackStatus::UpdateFailed, Some(reason));
            } else {
                let reason = if cancelled { "User Initiated".to_owned() } else { reason };
                self.set_status(StackStatus::UpdateRollbackInProgress, Some(reason));
                self.roll_back_update(&BTreeSet::new()).await;
            }
            return;
        }
        self.set_status(StackStatus::UpdateCompleteCleanupInProgress, None);
        self.mark_executed(ExecutionStatus::ExecuteComplete);
        self.save().await;
        let before = self.with(|stack| stack.fallback.take().unwrap_or_default());
        let wanted = self.goal().map(|goal| goal.active()).unwrap_or_default();
        let failures = self.clean_up(&before.resources, &wanted, Direction::Forth).await;
        let reason =
            (!failures.is_empty()).then(|| "Update successful. One or more resources could not be deleted.".to_owned());
        self.set_status(StackStatus::UpdateComplete, reason);
    }

    /// Deletes what an update or its rollback has replaced, and what the stack no longer has.
    async fn clean_up(
        &self,
        before: &BTreeMap<String, Resource>,
        wanted: &BTreeSet<String>,
        direction: Direction,
    ) -> Failures {
        let keeps = |policy: Policy| match direction {
            Direction::Forth => policy != Policy::Delete,
            // Only what the update itself has made goes.
            Direction::Back => policy == Policy::Retain,
        };
        let now = self.with(|stack| stack.resources.clone());
        let replaced: BTreeMap<String, Resource> = before
            .iter()
            .filter(|(name, old)| {
                !old.physical_id.is_empty()
                    && !old.status.is_gone()
                    && now.get(*name).is_some_and(|new| new.physical_id != old.physical_id)
            })
            .map(|(name, old)| (name.clone(), old.clone()))
            .collect();
        let keeps_replaced =
            |resource: &Resource| direction == Direction::Forth && keeps(resource.update_replace_policy);
        self.remove_all(replaced, keeps_replaced, Record::Gone).await;
        let removed: BTreeMap<String, Resource> =
            now.into_iter().filter(|(name, resource)| !wanted.contains(name) && !resource.status.is_gone()).collect();
        let names: Vec<String> = removed.keys().cloned().collect();
        self.remove_all(removed, |resource| keeps(resource.deletion_policy), Record::Kept).await;
        // A resource that could not be deleted is no longer the stack's either.
        self.with(|stack| names.iter().for_each(|name| drop(stack.resources.remove(name))));
        self.take_failures()
    }

    /// Takes the stack back to its fallback.
    async fn roll_back_update(&self, skip: &BTreeSet<String>) {
        self.save().await;
        let Some(before) = self.with(|stack| stack.fallback.clone()) else {
            self.set_status(StackStatus::UpdateRollbackComplete, None);
            return;
        };
        self.take_failures();
        let attempt = self.with(|stack| stack.resources.clone());
        let needs: BTreeMap<String, BTreeSet<String>> = before
            .resources
            .iter()
            .filter(|(name, old)| !skip.contains(*name) && attempt.get(*name).is_some_and(|now| differs(now, old)))
            .map(|(name, old)| (name.clone(), old.depends_on.clone()))
            .collect();
        in_order(needs, Failing::EndsDependents, |name| async {
            let restored = self.restore(&name, &before).await;
            (name, restored)
        })
        .await;
        let failures = self.take_failures();
        if !failures.is_empty() {
            return self.set_status(StackStatus::UpdateRollbackFailed, Some(failures.reason()));
        }
        self.set_status(StackStatus::UpdateRollbackCompleteCleanupInProgress, None);
        self.save().await;
        let wanted: BTreeSet<String> = before.resources.keys().cloned().collect();
        self.clean_up(&attempt, &wanted, Direction::Back).await;
        self.with(|stack| {
            let Snapshot { revision, outputs, .. } = before;
            stack.revision = revision;
            stack.outputs = outputs;
            stack.fallback = None;
            stack.set_status(StackStatus::UpdateRollbackComplete, None);
        });
    }

    /// Takes one resource back to what it was. One that was replaced is the old one again; the new one is cleaned up.
    async fn restore(&self, name: &str, before: &Snapshot) -> bool {
        let old = &before.resources[name];
        let Some(now) = self.with(|stack| stack.resources.get(name).cloned()) else { return true };
        if now.physical_id != old.physical_id {
            self.with(|stack| {
                stack.resources.insert(name.to_owned(), old.clone());
                stack.set_resource(name, ResourceStatus::UpdateComplete, None);
            });
            return true;
        }
        let tried = now.attempted.unwrap_or(now.properties);
        self.with(|stack| {
            stack.resources.insert(name.to_owned(), Resource { attempted: Some(tried.clone()), ..old.clone() });
            stack.set_resource(name, ResourceStatus::UpdateInProgress, None);
        });
        let restored = match old.kind.as_str() {
            NESTED_STACK => self.restore_nested(&old.physical_id).await,
            _ => self.change_in_place(name, old, &tried, &old.properties).await,
        };
        match restored {
            Ok(attributes) => {
                self.with(|stack| {
                    stack.resources.insert(name.to_owned(), Resource { attributes, ..old.clone() });
                    stack.set_resource(name, ResourceStatus::UpdateComplete, None);
                });
                true
            }
            Err(Failure(reason)) => self.failed(name, ResourceStatus::UpdateFailed, &reason),
        }
    }

    async fn delete(&self, retain: &BTreeSet<String>) {
        let under_way = self.with(|stack| stack.status == StackStatus::DeleteInProgress);
        if !under_way {
            self.set_status(StackStatus::DeleteInProgress, Some("User Initiated".to_owned()));
        }
        self.save().await;
        let all = self.with(|stack| {
            for name in retain {
                stack.set_resource(name, ResourceStatus::DeleteSkipped, None);
            }
            stack.resources.clone()
        });
        self.remove_all(all, |resource| resource.deletion_policy != Policy::Delete, Record::Kept).await;
        let failures = self.take_failures();
        if failures.is_empty() {
            self.with(|stack| {
                stack.deleted = Some(SystemTime::now());
                stack.outputs.clear();
                stack.change_sets.clear();
                stack.set_status(StackStatus::DeleteComplete, None);
            });
        } else {
            self.set_status(StackStatus::DeleteFailed, Some(failures.reason()));
        }
    }

    /// Makes and changes resources until they are what the stack's revision says, and evaluates the outputs.
    async fn converge(&self) -> Result<(), String> {
        let goal = self.goal()?;
        in_order(goal.needs(), Failing::EndsAll, |name| {
            let goal = &goal;
            async move {
                let succeeded = self.reach(goal, &name).await;
                if !succeeded {
                    let _ = self.halt.send_replace(true);
                }
                (name, succeeded)
            }
        })
        .await;
        let failures = self.take_failures();
        if !failures.is_empty() {
            return Err(failures.reason());
        }
        let (cancelled, delete_next) = self.with(|stack| (stack.operation.cancelled, stack.operation.delete_next));
        if cancelled || delete_next {
            return Err(String::new());
        }
        let outputs = self.cloudformation.with_stack(&self.stack_id, |stack| {
            let outputs = goal.outputs(&|name, attribute| stack.lookup(name, attribute))?;
            stack.outputs = outputs;
            Ok(())
        });
        match outputs {
            Some(Err::<(), crate::protocol::query::Refusal>(refusal)) => Err(format!("{}. ", refusal.message)),
            _ => Ok(()),
        }
    }

    /// What has become of the change set that is being executed.
    fn mark_executed(&self, status: ExecutionStatus) {
        self.with(|stack| {
            for change_set in &mut stack.change_sets {
                if change_set.execution_status == ExecutionStatus::ExecuteInProgress {
                    change_set.execution_status = status;
                }
            }
        });
    }

    async fn save(&self) {
        // A disk that can't be written is told to the next request that changes something.
        let _ = self.cloudformation.save().await;
    }
}

/// Whether a resource is other than it was.
fn differs(now: &Resource, old: &Resource) -> bool {
    now.physical_id != old.physical_id
        || now.attempted.is_some()
        || now.properties != old.properties
        || now.kind == NESTED_STACK
}

/// The names of the properties that differ; `Tags` also when those of the stack do.
pub(super) fn changed_names(before: &Properties, wanted: &Properties) -> BTreeSet<String> {
    let names: BTreeSet<&String> = before.members.keys().chain(wanted.members.keys()).collect();
    let mut changed: BTreeSet<String> =
        names.into_iter().filter(|name| before.members.get(*name) != wanted.members.get(*name)).cloned().collect();
    if before.stack_tags != wanted.stack_tags {
        changed.insert("Tags".to_owned());
    }
    changed
}
