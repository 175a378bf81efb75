//! The steps of one resource: made, replaced, changed, stable, deleted; each written down in the stack as it goes.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::{Deployment, Record, changed_names};
use crate::cloudformation::permissions::Step;
use crate::cloudformation::resources::{Attributes, Failure, Made, NESTED_STACK, Properties, Recreation, recreation};
use crate::cloudformation::schedule::{Failing, in_order, reversed};
use crate::cloudformation::stack::{Goal, Resource};
use crate::cloudformation::status::ResourceStatus;

impl Deployment {
    /// Brings one resource to what the goal says. False when it failed or was called off.
    pub(super) async fn reach(&self, goal: &Goal, name: &str) -> bool {
        if *self.halt.borrow() {
            return false;
        }
        let declared = &goal.template.resources[name];
        let depends_on = goal.template.dependencies(declared);
        let blank = Resource {
            kind: declared.kind.clone(),
            physical_id: String::new(),
            status: ResourceStatus::CreateInProgress,
            reason: None,
            updated: SystemTime::now(),
            properties: Properties::default(),
            attempted: None,
            attributes: Attributes::new(),
            depends_on,
            deletion_policy: declared.deletion_policy,
            update_replace_policy: declared.update_replace_policy,
            metadata: declared.metadata.clone(),
        };
        let current = self.with(|stack| stack.resources.get(name).cloned());
        let current = current.filter(|current| !current.physical_id.is_empty() && !current.status.is_gone());
        let wanted = self.cloudformation.with_stack(&self.stack_id, |stack| {
            goal.properties(name, &|other, attribute| stack.lookup(other, attribute))
        });
        let wanted = match wanted {
            Some(Ok(wanted)) => wanted,
            Some(Err(refusal)) => {
                let status =
                    if current.is_some() { ResourceStatus::UpdateFailed } else { ResourceStatus::CreateFailed };
                self.with(|stack| {
                    stack.resources.entry(name.to_owned()).or_insert(blank);
                });
                return self.failed(name, status, &refusal.message);
            }
            None => return false,
        };
        match current {
            None => self.make(name, Resource { attempted: Some(wanted), ..blank }).await,
            Some(current) => {
                let before = current.attempted.as_ref().unwrap_or(&current.properties);
                // What a nested stack's template says by now, only the nested stack can tell.
                let same = current.attempted.is_none() && *before == wanted && declared.kind != NESTED_STACK;
                let described = Resource {
                    depends_on: blank.depends_on,
                    deletion_policy: blank.deletion_policy,
                    update_replace_policy: blank.update_replace_policy,
                    metadata: blank.metadata,
                    ..current.clone()
                };
                if same {
                    self.with(|stack| stack.resources.insert(name.to_owned(), described));
                    return true;
                }
                let needs_new = changed_names(before, &wanted)
                    .iter()
                    .any(|property| recreation(&declared.kind, property) == Recreation::Always);
                let wanted_resource = Resource { attempted: Some(wanted), ..described };
                if needs_new {
                    self.replace(name, wanted_resource).await
                } else {
                    self.change(name, wanted_resource).await
                }
            }
        }
    }

    async fn make(&self, name: &str, resource: Resource) -> bool {
        let wanted = resource.attempted.clone().unwrap_or_default();
        let kind = resource.kind.clone();
        self.with(|stack| {
            stack.resources.insert(name.to_owned(), resource);
            stack.set_resource(name, ResourceStatus::CreateInProgress, None);
        });
        self.create_physical(name, &kind, &wanted, ResourceStatus::CreateInProgress, ResourceStatus::CreateFailed).await
            && self.succeeded(name, ResourceStatus::CreateComplete)
    }

    async fn replace(&self, name: &str, resource: Resource) -> bool {
        let wanted = resource.attempted.clone().unwrap_or_default();
        let kind = resource.kind.clone();
        self.with(|stack| {
            stack.resources.insert(name.to_owned(), resource);
            let reason =
                "Requested update requires the creation of a new physical resource; hence creating one.".to_owned();
            stack.set_resource(name, ResourceStatus::UpdateInProgress, Some(reason));
        });
        self.create_physical(name, &kind, &wanted, ResourceStatus::UpdateInProgress, ResourceStatus::UpdateFailed).await
            && self.succeeded(name, ResourceStatus::UpdateComplete)
    }

    /// Makes a resource, writes its physical id down, and waits until it is stable.
    async fn create_physical(
        &self,
        name: &str,
        kind: &str,
        wanted: &Properties,
        under_way: ResourceStatus,
        failed: ResourceStatus,
    ) -> bool {
        let place = self.cloudformation.with_stack(&self.stack_id, |stack| stack.place(name));
        let Some(place) = place else { return false };
        let fate = self.cloudformation.take_fate(name);
        let made = match fate.failure {
            Some(reason) => Err(Failure(reason)),
            None => {
                if self.express {
                    self.until_needed_roles_are_known(name).await;
                }
                match kind {
                    NESTED_STACK => self.begin_nested(&place, wanted),
                    _ => match self.cloudformation.permit(&place, kind, "", Step::Create(wanted)) {
                        Ok(()) => self.cloudformation.services().create(&place, kind, wanted).await,
                        Err(denied) => Err(denied),
                    },
                }
            }
        };
        let Made { physical_id, attributes } = match made {
            Ok(made) => made,
            Err(Failure(reason)) => return self.failed(name, failed, &reason),
        };
        self.with(|stack| {
            if let Some(resource) = stack.resources.get_mut(name) {
                resource.physical_id.clone_from(&physical_id);
                resource.attributes = attributes;
            }
            stack.set_resource(name, under_way, Some("Resource creation Initiated".to_owned()));
        });
        self.save().await;
        match self.stable(name, kind, &physical_id, fate.delay).await {
            Ok(()) => {
                if kind == NESTED_STACK {
                    let outputs = self.nested_outputs(&physical_id);
                    self.with(|stack| stack.resources.get_mut(name).map(|resource| resource.attributes = outputs));
                }
                true
            }
            Err(Failure(reason)) => self.failed(name, failed, &reason),
        }
    }

    /// An EXPRESS deployment calls a role done before it is known everywhere, and what needs it is tried until it works.
    async fn until_needed_roles_are_known(&self, name: &str) {
        let roles: Vec<String> = self.with(|stack| {
            let needed = stack.resources.get(name).map(|resource| resource.depends_on.clone()).unwrap_or_default();
            let needed = needed.iter().filter_map(|name| stack.resources.get(name));
            needed.filter(|other| other.kind == "AWS::IAM::Role").map(|role| role.physical_id.clone()).collect()
        });
        for role in roles {
            self.cloudformation.services().iam.propagated(&role).await;
        }
    }

    async fn change(&self, name: &str, resource: Resource) -> bool {
        let wanted = resource.attempted.clone().unwrap_or_default();
        let before = resource.properties.clone();
        self.with(|stack| {
            stack.resources.insert(name.to_owned(), resource.clone());
            stack.set_resource(name, ResourceStatus::UpdateInProgress, None);
        });
        match self.change_in_place(name, &resource, &before, &wanted).await {
            Ok(attributes) => {
                self.with(|stack| {
                    if let Some(resource) = stack.resources.get_mut(name) {
                        resource.attributes = attributes;
                    }
                });
                self.succeeded(name, ResourceStatus::UpdateComplete)
            }
            Err(Failure(reason)) => self.failed(name, ResourceStatus::UpdateFailed, &reason),
        }
    }

    pub(super) async fn change_in_place(
        &self,
        name: &str,
        resource: &Resource,
        before: &Properties,
        wanted: &Properties,
    ) -> Result<Attributes, Failure> {
        let place = self.cloudformation.with_stack(&self.stack_id, |stack| stack.place(name));
        let place = place.ok_or_else(|| Failure("the stack is gone".to_owned()))?;
        let fate = self.cloudformation.take_fate(name);
        if let Some(reason) = fate.failure {
            return Err(Failure(reason));
        }
        if resource.kind == NESTED_STACK {
            self.begin_nested_update(&resource.physical_id, wanted).await?;
            self.stable(name, &resource.kind, &resource.physical_id, fate.delay).await?;
            return Ok(self.nested_outputs(&resource.physical_id));
        }
        let step = Step::Update { from: before, to: wanted };
        self.cloudformation.permit(&place, &resource.kind, &resource.physical_id, step)?;
        let services = self.cloudformation.services();
        let attributes = services.update(&place, &resource.kind, &resource.physical_id, before, wanted).await?;
        self.stable(name, &resource.kind, &resource.physical_id, fate.delay).await?;
        Ok(attributes)
    }

    /// Waits until a resource is stable, or until the deployment is called off.
    async fn stable(&self, name: &str, kind: &str, physical_id: &str, delay: Option<Duration>) -> Result<(), Failure> {
        let place = self.cloudformation.with_stack(&self.stack_id, |stack| stack.place(name));
        let place = place.ok_or_else(|| Failure("the stack is gone".to_owned()))?;
        let ready = async {
            match delay {
                Some(delay) => tokio::time::sleep(delay).await,
                None if kind == NESTED_STACK => {}
                None if self.express => return Ok(()),
                None => tokio::time::sleep(self.cloudformation.settings().resource_delay).await,
            }
            if kind == NESTED_STACK {
                return self.nested_at_rest(physical_id).await;
            }
            if self.express {
                return Ok(());
            }
            self.cloudformation.services().stabilize(&place, kind, physical_id).await
        };
        let mut halted = self.halt.subscribe();
        tokio::select! {
            result = ready => result,
            _ = halted.wait_for(|halted| *halted) => {
                if kind == NESTED_STACK {
                    self.call_nested_off(physical_id);
                }
                let status = self.with(|stack| stack.resources.get(name).map(|resource| resource.status));
                let was_new = status == Some(ResourceStatus::CreateInProgress);
                let reason = if was_new { "Resource creation cancelled" } else { "Resource update cancelled" };
                Err(Failure(reason.to_owned()))
            }
        }
    }

    fn succeeded(&self, name: &str, status: ResourceStatus) -> bool {
        self.with(|stack| {
            if let Some(resource) = stack.resources.get_mut(name)
                && let Some(wanted) = resource.attempted.take()
            {
                resource.properties = wanted;
            }
            stack.set_resource(name, status, None);
        });
        true
    }

    /// Writes a failure down. Always false.
    pub(super) fn failed(&self, name: &str, status: ResourceStatus, reason: &str) -> bool {
        self.with(|stack| stack.set_resource(name, status, Some(reason.to_owned())));
        let mut failures = self.failures();
        match status {
            ResourceStatus::CreateFailed => failures.create.push(name.to_owned()),
            ResourceStatus::DeleteFailed => failures.delete.push(name.to_owned()),
            _ => failures.update.push(name.to_owned()),
        }
        false
    }

    /// Deletes resources, those that others need last. Those that are to be kept are skipped.
    pub(super) async fn remove_all(
        &self,
        resources: BTreeMap<String, Resource>,
        keep: impl Fn(&Resource) -> bool,
        record: Record,
    ) {
        let resources: BTreeMap<String, Resource> =
            resources.into_iter().filter(|(_, resource)| !resource.status.is_gone()).collect();
        let needs = resources.iter().map(|(name, resource)| (name.clone(), resource.depends_on.clone())).collect();
        in_order(reversed(&needs), Failing::EndsDependents, |name| {
            let resource = &resources[&name];
            let keep = keep(resource);
            async move {
                let removed = self.remove(&name, resource, keep, record).await;
                (name, removed)
            }
        })
        .await;
    }

    async fn remove(&self, name: &str, resource: &Resource, keep: bool, record: Record) -> bool {
        let tell = |status: ResourceStatus, reason: Option<String>| {
            self.with(|stack| match record {
                Record::Kept => stack.set_resource(name, status, reason),
                Record::Gone => stack.tell(name, resource, status, reason),
            });
        };
        if keep && !resource.physical_id.is_empty() {
            tell(ResourceStatus::DeleteSkipped, None);
            return true;
        }
        if resource.physical_id.is_empty() {
            tell(ResourceStatus::DeleteComplete, None);
            return true;
        }
        tell(ResourceStatus::DeleteInProgress, None);
        let place = self.cloudformation.with_stack(&self.stack_id, |stack| stack.place(name));
        let Some(place) = place else { return false };
        let fate = self.cloudformation.take_fate(name);
        let last = resource.attempted.as_ref().unwrap_or(&resource.properties);
        let deleted = match fate.failure {
            Some(reason) => Err(Failure(reason)),
            None if resource.kind == NESTED_STACK => self.delete_nested(&resource.physical_id).await,
            None => match self.cloudformation.permit(&place, &resource.kind, &resource.physical_id, Step::Delete) {
                Ok(()) => {
                    let services = self.cloudformation.services();
                    services.delete(&place, &resource.kind, &resource.physical_id, last).await
                }
                Err(denied) => Err(denied),
            },
        };
        match deleted {
            Ok(()) => {
                match fate.delay {
                    Some(delay) => tokio::time::sleep(delay).await,
                    None if self.express => {}
                    None => tokio::time::sleep(self.cloudformation.settings().resource_delay).await,
                }
                tell(ResourceStatus::DeleteComplete, None);
                true
            }
            Err(Failure(reason)) => {
                tell(ResourceStatus::DeleteFailed, Some(reason));
                self.failures().delete.push(name.to_owned());
                false
            }
        }
    }
}
