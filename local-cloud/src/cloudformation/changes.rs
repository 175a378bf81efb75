//! What an update would do: the changes of a change set, found by comparing the stack with a goal.
//!
//! A change is *static* when its value is known now, and *dynamic* when it depends on a resource that itself changes:
//! AWS lists a resource that reads an attribute of a changed one, even if the attribute turns out to be the same.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::deployment::changed_names;
use super::errors::{Result, invalid};
use super::functions::as_text;
use super::resources::{NESTED_STACK, Recreation, is_taggable, recreation};
use super::stack::{Goal, Resource, Revision, Stack, attribute_of};
use super::template::{Declaration, Policy, Template};

/// Stands for what is only known when the change set is executed.
pub(super) const UNKNOWN: &str = "{{changeSet:KNOWN_AFTER_APPLY}}";

/// What happens to one resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Change {
    /// `Add`, `Modify` or `Remove`.
    pub(super) action: String,
    pub(super) logical_id: String,
    pub(super) physical_id: Option<String>,
    pub(super) kind: String,
    /// `True`, `False` or `Conditional`, for a modification.
    pub(super) replacement: Option<String>,
    /// What happens to what is there, such as `ReplaceAndDelete`.
    pub(super) policy_action: Option<String>,
    pub(super) details: Vec<Detail>,
    /// JSON of the properties before and after.
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
}

/// One changed property and one cause of the change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Detail {
    /// `Properties`, `Tags` or `Metadata`.
    pub(super) attribute: String,
    pub(super) name: Option<String>,
    /// `Never` or `Always`, for a property.
    pub(super) requires_recreation: String,
    /// Whether the value is known now.
    pub(super) is_static: bool,
    /// `DirectModification`, `ParameterReference`, `ResourceReference`, `ResourceAttribute` or `Automatic`.
    pub(super) source: String,
    pub(super) causing_entity: Option<String>,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
}

impl Change {
    /// The attributes that change, without repetition.
    pub(super) fn scope(&self) -> BTreeSet<&str> {
        self.details.iter().map(|detail| detail.attribute.as_str()).collect()
    }
}

/// What is known about the resources that were looked at already.
#[derive(Default)]
struct Seen {
    replaced: BTreeSet<String>,
    modified: BTreeSet<String>,
}

/// The changes that lead from a stack as it is to a goal, by logical id.
///
/// # Errors
/// `ValidationError` when a property can't be evaluated, or a resource's type would change.
pub(super) fn between(stack: &Stack, goal: &Goal, revision: &Revision) -> Result<Vec<Change>> {
    let active = goal.active();
    let existing: BTreeMap<&String, &Resource> =
        stack.resources.iter().filter(|(_, resource)| is_there(resource)).collect();
    let retyped: Vec<&str> = active
        .iter()
        .filter(|name| existing.get(name).is_some_and(|resource| resource.kind != goal.template.resources[*name].kind))
        .map(String::as_str)
        .collect();
    if !retyped.is_empty() {
        return Err(invalid(format!(
            "Update of resource type is not permitted. The new template modifies resource type of the following resources: [{}]",
            retyped.join(", ")
        )));
    }
    // The stack has been made from it.
    let old = Template::parse(&stack.revision.processed).unwrap_or_default();
    let mut changes = BTreeMap::new();
    let mut seen = Seen::default();
    for name in ordered(goal) {
        let change = match existing.get(&name) {
            None => Some(addition(stack, goal, &name, &seen)?),
            Some(resource) => {
                let before = Before { resource, declared: old.resources.get(&name), revision: &stack.revision };
                modification(stack, goal, revision, &name, &before, &seen)?
            }
        };
        let Some(change) = change else { continue };
        if change.replacement.as_deref() == Some("True") || change.action == "Add" {
            seen.replaced.insert(name.clone());
        }
        seen.modified.insert(name.clone());
        changes.insert(name, change);
    }
    for (name, resource) in existing {
        if !active.contains(name) {
            changes.insert(name.clone(), removal(name, resource));
        }
    }
    Ok(changes.into_values().collect())
}

/// Whether a stack's outputs or its own tags would change. These make no entry among the changes.
pub(super) fn beside_resources(stack: &Stack, goal: &Goal, revision: &Revision) -> bool {
    let old = Template::parse(&stack.revision.processed).unwrap_or_default();
    if old.outputs != goal.template.outputs || stack.revision.tags != revision.tags {
        return true;
    }
    let now = goal.outputs(&|name, attribute| stack.lookup(name, attribute));
    now.is_ok_and(|now| now != stack.outputs)
}

fn is_there(resource: &Resource) -> bool {
    !resource.physical_id.is_empty() && !resource.status.is_gone()
}

/// The active resources, each after those that it needs.
fn ordered(goal: &Goal) -> Vec<String> {
    let mut needs = goal.needs();
    let mut order = Vec::new();
    while !needs.is_empty() {
        let ready: Vec<String> = needs
            .iter()
            .filter(|(_, needed)| needed.iter().all(|name| order.contains(name)))
            .map(|(name, _)| name.clone())
            .collect();
        if ready.is_empty() {
            // A template with a cycle was refused before.
            break;
        }
        for name in &ready {
            needs.remove(name);
        }
        order.extend(ready);
    }
    order
}

/// Looks resources up as far as they are known before the update.
fn lookup(stack: &Stack, seen: &Seen, name: &str, attribute: Option<&str>) -> Result<Value> {
    match stack.resources.get(name).filter(|resource| is_there(resource)) {
        Some(resource) if !seen.replaced.contains(name) => match attribute {
            None => Ok(resource.physical_id.as_str().into()),
            Some(attribute) => attribute_of(resource, attribute),
        },
        _ => Ok(UNKNOWN.into()),
    }
}

fn addition(stack: &Stack, goal: &Goal, name: &str, seen: &Seen) -> Result<Change> {
    let wanted = goal.properties(name, &|other, attribute| lookup(stack, seen, other, attribute))?;
    Ok(Change {
        action: "Add".to_owned(),
        logical_id: name.to_owned(),
        physical_id: None,
        kind: goal.template.resources[name].kind.clone(),
        replacement: None,
        policy_action: None,
        details: Vec::new(),
        before: None,
        after: Some(context(&Value::Object(wanted.members))),
    })
}

fn removal(name: &str, resource: &Resource) -> Change {
    let kept = resource.deletion_policy != Policy::Delete;
    Change {
        action: "Remove".to_owned(),
        logical_id: name.to_owned(),
        physical_id: Some(resource.physical_id.clone()),
        kind: resource.kind.clone(),
        replacement: None,
        policy_action: Some(if kept { "Retain" } else { "Delete" }.to_owned()),
        details: Vec::new(),
        before: Some(context(&Value::Object(resource.properties.members.clone()))),
        after: None,
    }
}

fn context(properties: &Value) -> String {
    serde_json::json!({ "Properties": properties }).to_string()
}

/// A resource before the update.
struct Before<'a> {
    resource: &'a Resource,
    declared: Option<&'a Declaration>,
    revision: &'a Revision,
}

fn modification(
    stack: &Stack,
    goal: &Goal,
    revision: &Revision,
    name: &str,
    before: &Before<'_>,
    seen: &Seen,
) -> Result<Option<Change>> {
    let resource = before.resource;
    let declared = &goal.template.resources[name];
    let wanted = goal.properties(name, &|other, attribute| lookup(stack, seen, other, attribute))?;
    let held = resource.attempted.as_ref().unwrap_or(&resource.properties);
    let changed = changed_names(held, &wanted);
    let mut details = Vec::new();
    let names: BTreeSet<&String> = declared.properties.keys().chain(&changed).collect();
    for property in names {
        let text = declared.properties.get(property);
        if changed.contains(property) && held.members.get(property) == wanted.members.get(property) {
            // Only the tags that the stack passes on.
            details.push(of_stack_tags());
            continue;
        }
        let values = (held.members.get(property).map(shown), wanted.members.get(property).map(shown));
        let causes = if changed.contains(property) {
            static_causes(before, revision, property, text, seen)
        } else {
            dynamic_causes(text, seen)
        };
        details.extend(causes.into_iter().map(|cause| cause.detail(&declared.kind, property, &values)));
    }
    if declared.metadata != resource.metadata {
        details.push(of_metadata());
    }
    // A nested stack's template may have changed where it lies; and what was begun and not ended is tried again.
    if details.is_empty() && (declared.kind == NESTED_STACK || resource.attempted.is_some()) {
        details.push(Detail {
            attribute: "Properties".to_owned(),
            is_static: false,
            source: "Automatic".to_owned(),
            ..of_stack_tags()
        });
    }
    if details.is_empty() {
        return Ok(None);
    }
    let recreates =
        |known: bool| details.iter().any(|detail| detail.requires_recreation == "Always" && detail.is_static == known);
    let replacement = match () {
        () if recreates(true) => "True",
        () if recreates(false) => "Conditional",
        () => "False",
    };
    let policy_action = (replacement == "True").then(|| {
        let kept = declared.update_replace_policy != Policy::Delete;
        if kept { "ReplaceAndRetain" } else { "ReplaceAndDelete" }.to_owned()
    });
    Ok(Some(Change {
        action: "Modify".to_owned(),
        logical_id: name.to_owned(),
        physical_id: Some(resource.physical_id.clone()),
        kind: declared.kind.clone(),
        replacement: Some(replacement.to_owned()),
        policy_action,
        details,
        before: Some(context(&Value::Object(held.members.clone()))),
        after: Some(context(&Value::Object(wanted.members))),
    }))
}

fn shown(value: &Value) -> String {
    as_text(value).unwrap_or_else(|| value.to_string())
}

fn of_stack_tags() -> Detail {
    Detail {
        attribute: "Tags".to_owned(),
        name: None,
        requires_recreation: "Never".to_owned(),
        is_static: true,
        source: "DirectModification".to_owned(),
        causing_entity: None,
        before: None,
        after: None,
    }
}

fn of_metadata() -> Detail {
    Detail { attribute: "Metadata".to_owned(), ..of_stack_tags() }
}

/// Why a property changes.
struct Cause {
    source: &'static str,
    is_static: bool,
    entity: Option<String>,
}

impl Cause {
    fn detail(self, kind: &str, property: &str, (before, after): &(Option<String>, Option<String>)) -> Detail {
        let always = recreation(kind, property) == Recreation::Always;
        let is_tags = property == "Tags" && is_taggable(kind);
        Detail {
            attribute: if is_tags { "Tags" } else { "Properties" }.to_owned(),
            name: (!is_tags).then(|| property.to_owned()),
            requires_recreation: if always { "Always" } else { "Never" }.to_owned(),
            is_static: self.is_static,
            source: self.source.to_owned(),
            causing_entity: self.entity,
            before: before.clone(),
            after: after.clone(),
        }
    }
}

/// The causes of a change that is known: the text, parameters, and resources that are replaced.
fn static_causes(
    before: &Before<'_>,
    revision: &Revision,
    property: &str,
    text: Option<&Value>,
    seen: &Seen,
) -> Vec<Cause> {
    let direct = |is_static| Cause { source: "DirectModification", is_static, entity: None };
    let old_text = before.declared.and_then(|declared| declared.properties.get(property));
    if old_text != text {
        return vec![direct(true)];
    }
    let mut references = References::default();
    if let Some(text) = text {
        references.collect(text);
    }
    let mut causes: Vec<Cause> = references
        .names
        .iter()
        .filter(|name| before.revision.parameters.get(*name) != revision.parameters.get(*name))
        .map(|name| Cause { source: "ParameterReference", is_static: true, entity: Some(name.clone()) })
        .collect();
    if !causes.is_empty() {
        // A parameter's new value counts as a modification of the property too, as in AWS.
        causes.push(direct(false));
    }
    for name in references.names.iter().filter(|name| seen.replaced.contains(*name)) {
        causes.push(Cause { source: "ResourceReference", is_static: true, entity: Some(name.clone()) });
    }
    for (name, attribute) in references.attributes.iter().filter(|(name, _)| seen.replaced.contains(name)) {
        let entity = Some(format!("{name}.{attribute}"));
        causes.push(Cause { source: "ResourceAttribute", is_static: true, entity });
    }
    if causes.is_empty() {
        // A condition or a mapping gives something else, or the last update of the resource failed.
        causes.push(direct(true));
    }
    causes
}

/// The attributes of changed resources that a property reads. Their values may stay what they are.
fn dynamic_causes(text: Option<&Value>, seen: &Seen) -> Vec<Cause> {
    let mut references = References::default();
    if let Some(text) = text {
        references.collect(text);
    }
    references
        .attributes
        .iter()
        .filter(|(name, _)| seen.modified.contains(name))
        .map(|(name, attribute)| Cause {
            source: "ResourceAttribute",
            is_static: false,
            entity: Some(format!("{name}.{attribute}")),
        })
        .collect()
}

/// What the functions in a property refer to.
#[derive(Default)]
struct References {
    /// By `Ref`, or by name alone in a substitution.
    names: BTreeSet<String>,
    attributes: BTreeSet<(String, String)>,
}

impl References {
    fn collect(&mut self, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.collect(item)),
            Value::Object(members) => {
                if let (Some((function, argument)), 1) = (members.iter().next(), members.len()) {
                    match (function.as_str(), argument) {
                        ("Ref", Value::String(name)) => drop(self.names.insert(name.clone())),
                        ("Fn::GetAtt", Value::Array(parts)) => {
                            if let [Value::String(name), Value::String(attribute)] = parts.as_slice() {
                                self.attributes.insert((name.clone(), attribute.clone()));
                            }
                        }
                        ("Fn::GetAtt", Value::String(text)) => self.path(text),
                        ("Fn::Sub", Value::String(text)) => self.substitution(text),
                        ("Fn::Sub", Value::Array(parts)) => {
                            self.substitution(parts.first().and_then(Value::as_str).unwrap_or_default());
                        }
                        _ => {}
                    }
                }
                members.values().for_each(|member| self.collect(member));
            }
            _ => {}
        }
    }

    fn substitution(&mut self, text: &str) {
        for name in super::functions::placeholders(text) {
            self.path(name);
        }
    }

    fn path(&mut self, text: &str) {
        match text.split_once('.') {
            Some((name, attribute)) => drop(self.attributes.insert((name.to_owned(), attribute.to_owned()))),
            None => drop(self.names.insert(text.to_owned())),
        }
    }
}
