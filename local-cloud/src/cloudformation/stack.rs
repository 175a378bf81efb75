//! A stack: what it is meant to be, the resources it has, and all that has happened to it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::change_set::ChangeSet;
use super::errors::Result;
use super::functions::{Evaluator, Lookup, Pseudo, conditions};
use super::resources::{self, Attributes, Place, Properties};
use super::status::{ResourceStatus, StackStatus};
use super::template::{Policy, Template};
use super::{errors, parameters};
use crate::log::timestamp;

/// One stack.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Stack {
    /// `arn:aws:cloudformation:REGION:ACCOUNT:stack/NAME/UUID`.
    pub(super) id: String,
    pub(super) name: String,
    pub(super) region: String,
    pub(super) status: StackStatus,
    pub(super) reason: Option<String>,
    pub(super) created: SystemTime,
    pub(super) updated: Option<SystemTime>,
    pub(super) deleted: Option<SystemTime>,
    pub(super) revision: Revision,
    /// What an update that isn't finished can be taken back to.
    pub(super) fallback: Option<Snapshot>,
    pub(super) resources: BTreeMap<String, Resource>,
    pub(super) outputs: Vec<Output>,
    pub(super) options: Options,
    pub(super) change_set_id: Option<String>,
    /// Oldest first.
    pub(super) events: Vec<Event>,
    pub(super) change_sets: Vec<ChangeSet>,
    pub(super) operation: Operation,
    /// Of a stack that is a resource of another.
    #[serde(default)]
    pub(super) nested: Option<Nested>,
}

/// What a nested stack belongs to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Nested {
    pub(super) parent_id: String,
    /// Of the stack that is in no other.
    pub(super) root_id: String,
    /// What it was made from before its parent's last update.
    pub(super) before: Option<Revision>,
}

/// The text and the values that a stack is made from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Revision {
    /// The template as it was sent.
    pub(super) original: String,
    /// The template after its transforms.
    pub(super) processed: Value,
    pub(super) transforms: Vec<String>,
    pub(super) parameters: BTreeMap<String, String>,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) capabilities: Vec<String>,
}

/// What a stack was.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Snapshot {
    pub(super) revision: Revision,
    pub(super) resources: BTreeMap<String, Resource>,
    pub(super) outputs: Vec<Output>,
}

/// What requests set about a stack besides its template.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Options {
    pub(super) disable_rollback: bool,
    pub(super) role_arn: Option<String>,
    pub(super) notification_arns: Vec<String>,
    pub(super) timeout_in_minutes: Option<u32>,
    pub(super) termination_protection: bool,
    pub(super) mode: Option<Mode>,
}

/// When a resource counts as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Mode {
    /// When it is ready for use.
    #[serde(rename = "STANDARD")]
    Standard,
    /// When its call has succeeded.
    #[serde(rename = "EXPRESS")]
    Express,
}

impl Mode {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "STANDARD",
            Self::Express => "EXPRESS",
        }
    }
}

/// What is or was last under way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Operation {
    pub(super) id: String,
    /// The client's token for it, which its events carry.
    pub(super) token: Option<String>,
    /// It was called off.
    pub(super) cancelled: bool,
    /// The stack is to be deleted as soon as what is under way has stopped.
    pub(super) delete_next: bool,
}

/// One resource of a stack.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Resource {
    pub(super) kind: String,
    /// Empty until it is made.
    pub(super) physical_id: String,
    pub(super) status: ResourceStatus,
    pub(super) reason: Option<String>,
    pub(super) updated: SystemTime,
    /// What it was last made or changed to with success.
    pub(super) properties: Properties,
    /// What a change under way, or one that failed, wanted.
    pub(super) attempted: Option<Properties>,
    pub(super) attributes: Attributes,
    pub(super) depends_on: BTreeSet<String>,
    pub(super) deletion_policy: Policy,
    pub(super) update_replace_policy: Policy,
    pub(super) metadata: Option<Value>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Output {
    pub(super) key: String,
    pub(super) value: String,
    pub(super) description: Option<String>,
    pub(super) export: Option<String>,
}

/// Something that happened to a stack or to one of its resources.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Event {
    pub(super) id: String,
    pub(super) time: SystemTime,
    pub(super) logical_id: String,
    pub(super) physical_id: String,
    pub(super) kind: String,
    pub(super) status: String,
    pub(super) reason: Option<String>,
    /// JSON.
    pub(super) properties: Option<String>,
    pub(super) token: Option<String>,
    pub(super) operation_id: String,
}

/// The type of the events of stacks.
const STACK_TYPE: &str = "AWS::CloudFormation::Stack";

impl Stack {
    pub(super) fn new(name: &str, region: &str, status: StackStatus) -> Self {
        let account = crate::s3::ACCOUNT;
        let id = format!("arn:aws:cloudformation:{region}:{account}:stack/{name}/{}", uuid::Uuid::new_v4());
        Self {
            id,
            name: name.to_owned(),
            region: region.to_owned(),
            status,
            reason: None,
            created: SystemTime::now(),
            updated: None,
            deleted: None,
            revision: Revision::default(),
            fallback: None,
            resources: BTreeMap::new(),
            outputs: Vec::new(),
            options: Options::default(),
            change_set_id: None,
            events: Vec::new(),
            change_sets: Vec::new(),
            operation: Operation::default(),
            nested: None,
        }
    }

    /// Whether it can only be found by its id.
    pub(super) fn is_deleted(&self) -> bool {
        self.status == StackStatus::DeleteComplete
    }

    pub(super) fn set_status(&mut self, status: StackStatus, reason: Option<String>) {
        self.status = status;
        self.reason.clone_from(&reason);
        let event = Event {
            id: uuid::Uuid::new_v4().to_string(),
            time: SystemTime::now(),
            logical_id: self.name.clone(),
            physical_id: self.id.clone(),
            kind: STACK_TYPE.to_owned(),
            status: status.as_str().to_owned(),
            reason,
            properties: None,
            token: self.operation.token.clone(),
            operation_id: self.operation.id.clone(),
        };
        self.events.push(event);
    }

    /// Changes a resource's status and tells it.
    pub(super) fn set_resource(&mut self, logical_id: &str, status: ResourceStatus, reason: Option<String>) {
        let Some(resource) = self.resources.get_mut(logical_id) else { return };
        resource.status = status;
        resource.reason.clone_from(&reason);
        resource.updated = SystemTime::now();
        let resource = resource.clone();
        self.tell(logical_id, &resource, status, reason);
    }

    /// Adds an event about a resource, which need not be one of the stack's any more.
    pub(super) fn tell(
        &mut self,
        logical_id: &str,
        resource: &Resource,
        status: ResourceStatus,
        reason: Option<String>,
    ) {
        let time = SystemTime::now();
        let shown = resource.attempted.as_ref().unwrap_or(&resource.properties);
        let event = Event {
            id: format!("{logical_id}-{}-{}", status.as_str(), timestamp(time)),
            time,
            logical_id: logical_id.to_owned(),
            physical_id: resource.physical_id.clone(),
            kind: resource.kind.clone(),
            status: status.as_str().to_owned(),
            reason,
            properties: Some(Value::Object(shown.members.clone()).to_string()),
            token: self.operation.token.clone(),
            operation_id: self.operation.id.clone(),
        };
        self.events.push(event);
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot { revision: self.revision.clone(), resources: self.resources.clone(), outputs: self.outputs.clone() }
    }

    pub(super) fn place(&self, logical_id: &str) -> Place {
        Place {
            stack_name: self.name.clone(),
            stack_id: self.id.clone(),
            region: self.region.clone(),
            logical_id: logical_id.to_owned(),
        }
    }

    pub(super) fn pseudo(&self) -> Pseudo {
        Pseudo {
            region: self.region.clone(),
            stack_id: self.id.clone(),
            stack_name: self.name.clone(),
            notification_arns: self.options.notification_arns.clone(),
        }
    }

    /// What `Ref` and `Fn::GetAtt` give for a resource as it is now.
    pub(super) fn lookup(&self, name: &str, attribute: Option<&str>) -> Result<Value> {
        let missing = || {
            errors::invalid(format!(
                "Template format error: Unresolved resource dependencies [{name}] in the Resources block of the template"
            ))
        };
        let resource = self.resources.get(name).filter(|resource| !resource.status.is_gone()).ok_or_else(missing)?;
        match attribute {
            None => Ok(resource.physical_id.as_str().into()),
            Some(attribute) => attribute_of(resource, attribute),
        }
    }
}

/// An attribute of a resource.
pub(super) fn attribute_of(resource: &Resource, attribute: &str) -> Result<Value> {
    resource.attributes.get(attribute).cloned().ok_or_else(|| unsupported_attribute(&resource.kind, attribute))
}

pub(super) fn unsupported_attribute(kind: &str, attribute: &str) -> crate::protocol::query::Refusal {
    errors::invalid(format!("Template error: resource type {kind} does not support attribute {{{attribute}}}"))
}

/// A revision that is ready to be evaluated: parsed, with typed parameters and known conditions.
pub(super) struct Goal {
    pub(super) template: Template,
    pub(super) parameters: BTreeMap<String, Value>,
    pub(super) conditions: BTreeMap<String, bool>,
    pub(super) pseudo: Pseudo,
    pub(super) tags: BTreeMap<String, String>,
}

impl Goal {
    pub(super) fn new(revision: &Revision, pseudo: Pseudo) -> Result<Self> {
        let template = Template::parse(&revision.processed)?;
        let parameters = parameters::typed(&template.parameters, &revision.parameters);
        let conditions = conditions(&template, &parameters, &pseudo)?;
        let goal = Self { template, parameters, conditions, pseudo, tags: revision.tags.clone() };
        goal.check_conditional_references()?;
        Ok(goal)
    }

    /// Whether the condition of a resource or an output, if it has one, holds.
    fn holds(&self, condition: Option<&str>) -> bool {
        condition.is_none_or(|name| self.conditions.get(name).copied().unwrap_or(false))
    }

    /// The resources whose conditions hold.
    pub(super) fn active(&self) -> BTreeSet<String> {
        let declared = self.template.resources.iter();
        declared
            .filter(|(_, declared)| self.holds(declared.condition.as_deref()))
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// What each active resource needs before it.
    pub(super) fn needs(&self) -> BTreeMap<String, BTreeSet<String>> {
        let active = self.active();
        active
            .iter()
            .map(|name| {
                let mut needs = self.template.dependencies(&self.template.resources[name]);
                needs.retain(|needed| active.contains(needed));
                (name.clone(), needs)
            })
            .collect()
    }

    /// Refuses references from what is made to what isn't.
    fn check_conditional_references(&self) -> Result<()> {
        let active = self.active();
        let missing_in = |value: &Value| -> Result<BTreeSet<String>> {
            let missing = std::cell::RefCell::new(BTreeSet::new());
            let lookup = |name: &str, attribute: Option<&str>| {
                if let Some(attribute) = attribute
                    && let Some(declared) = self.template.resources.get(name)
                    && !resources::has_attribute(&declared.kind, attribute)
                {
                    return Err(unsupported_attribute(&declared.kind, attribute));
                }
                if !active.contains(name) {
                    missing.borrow_mut().insert(name.to_owned());
                }
                Ok(super::changes::UNKNOWN.into())
            };
            self.evaluator(&lookup).value(value)?;
            Ok(missing.into_inner())
        };
        let listed = |names: BTreeSet<String>| names.into_iter().collect::<Vec<_>>().join(", ");
        let mut missing = BTreeSet::new();
        for name in &active {
            missing.extend(missing_in(&Value::Object(self.template.resources[name].properties.clone()))?);
        }
        if !missing.is_empty() {
            return Err(errors::invalid(format!(
                "Template format error: Unresolved resource dependencies [{}] in the Resources block of the template",
                listed(missing)
            )));
        }
        for output in self.template.outputs.values() {
            if self.holds(output.get("Condition").and_then(Value::as_str)) {
                missing.extend(missing_in(&output["Value"])?);
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let message =
            format!("Unresolved resource dependencies [{}] in the Outputs block of the template", listed(missing));
        Err(errors::invalid(message))
    }

    pub(super) fn evaluator<'a>(&'a self, resources: &'a Lookup<'a>) -> Evaluator<'a> {
        Evaluator {
            template: &self.template,
            parameters: &self.parameters,
            pseudo: &self.pseudo,
            conditions: &self.conditions,
            resources,
        }
    }

    /// A resource's properties, with `resources` to look others up.
    pub(super) fn properties(&self, name: &str, resources: &Lookup<'_>) -> Result<Properties> {
        let declared = &self.template.resources[name];
        let members = self.evaluator(resources).object(&declared.properties)?;
        let stack_tags = if resources::is_taggable(&declared.kind) { self.tags.clone() } else { BTreeMap::new() };
        Ok(Properties { members, stack_tags })
    }

    /// The outputs of a stack as it is now.
    pub(super) fn outputs(&self, resources: &Lookup<'_>) -> Result<Vec<Output>> {
        let evaluator = self.evaluator(resources);
        let mut outputs = Vec::new();
        for (key, declared) in &self.template.outputs {
            if !self.holds(declared.get("Condition").and_then(Value::as_str)) {
                continue;
            }
            let export = declared.get("Export").and_then(|export| export.get("Name"));
            outputs.push(Output {
                key: key.clone(),
                value: evaluator.text(&declared["Value"])?,
                description: declared.get("Description").and_then(Value::as_str).map(str::to_owned),
                export: export.map(|name| evaluator.text(name)).transpose()?,
            });
        }
        Ok(outputs)
    }
}
