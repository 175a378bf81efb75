//! What stacks are, what they have, and what has happened to them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{flag, no_stack, no_stack_with_id, page, required, tags};
use crate::cloudformation::CloudFormation;
use crate::cloudformation::errors::{Result, invalid};
use crate::cloudformation::parameters::is_secret;
use crate::cloudformation::stack::{Event, Mode, Resource, Stack};
use crate::cloudformation::template::Template;
use crate::log::timestamp;
use crate::protocol::query::{Answer, Call};
use crate::protocol::xml::Xml;

const PAGE: usize = 100;

/// `DescribeStacks`: one, or all that aren't deleted.
pub(super) fn stacks(cloudformation: &Arc<CloudFormation>, call: &Call) -> Answer {
    let state = cloudformation.state();
    let wanted: Vec<&Stack> = match call.form.get("StackName").filter(|name| !name.is_empty()) {
        Some(name) => vec![state.find(&call.caller.region, name).ok_or_else(|| no_stack_with_id(name))?],
        None => newest_first(state.stacks.values().filter(|s| s.region == call.caller.region && !s.is_deleted())),
    };
    let (stacks, next) = page(&call.form, wanted, PAGE)?;
    let mut xml = Xml::default();
    xml.list("Stacks", stacks, write_stack);
    xml.optional("NextToken", next.as_deref());
    Ok(Some(xml))
}

fn newest_first<'a>(stacks: impl Iterator<Item = &'a Stack>) -> Vec<&'a Stack> {
    let mut stacks: Vec<&Stack> = stacks.collect();
    stacks.sort_by_key(|stack| std::cmp::Reverse(stack.created));
    stacks
}

fn write_stack(xml: &mut Xml, stack: &Stack) {
    let template = Template::parse(&stack.revision.processed).unwrap_or_default();
    xml.text("StackId", &stack.id);
    xml.text("StackName", &stack.name);
    xml.optional("ChangeSetId", stack.change_set_id.as_deref());
    xml.optional("Description", template.description.as_deref());
    if !stack.revision.parameters.is_empty() {
        parameters(xml, &template, &stack.revision.parameters);
    }
    xml.text("CreationTime", &timestamp(stack.created));
    xml.optional("DeletionTime", stack.deleted.map(timestamp).as_deref());
    xml.optional("LastUpdatedTime", stack.updated.map(timestamp).as_deref());
    xml.within("RollbackConfiguration", |_| {});
    xml.text("StackStatus", stack.status.as_str());
    xml.optional("StackStatusReason", stack.reason.as_deref());
    xml.text("DisableRollback", flag(stack.options.disable_rollback));
    deployment_config(xml, stack.options.mode, None);
    xml.texts("NotificationARNs", &stack.options.notification_arns);
    xml.optional("TimeoutInMinutes", stack.options.timeout_in_minutes.map(|minutes| minutes.to_string()).as_deref());
    if !stack.revision.capabilities.is_empty() {
        xml.texts("Capabilities", &stack.revision.capabilities);
    }
    if !stack.outputs.is_empty() {
        xml.list("Outputs", &stack.outputs, |xml, output| {
            xml.text("OutputKey", &output.key);
            xml.text("OutputValue", &output.value);
            xml.optional("Description", output.description.as_deref());
            xml.optional("ExportName", output.export.as_deref());
        });
    }
    xml.optional("RoleARN", stack.options.role_arn.as_deref());
    if let Some(nested) = &stack.nested {
        xml.text("ParentId", &nested.parent_id);
        xml.text("RootId", &nested.root_id);
    }
    tags(xml, &stack.revision.tags);
    if !stack.is_deleted() {
        xml.text("EnableTerminationProtection", flag(stack.options.termination_protection));
    }
    xml.within("DriftInformation", |xml| xml.text("StackDriftStatus", "NOT_CHECKED"));
}

/// `DeploymentConfig`, when a request has set it.
pub(super) fn deployment_config(xml: &mut Xml, mode: Option<Mode>, disable_rollback: Option<bool>) {
    if mode.is_none() && disable_rollback.is_none() {
        return;
    }
    xml.within("DeploymentConfig", |xml| {
        xml.optional("Mode", mode.map(Mode::as_str));
        xml.optional("DisableRollback", disable_rollback.map(flag));
    });
}

/// Parameters with their values, except for those that are not to be shown.
pub(super) fn parameters(xml: &mut Xml, template: &Template, values: &BTreeMap<String, String>) {
    xml.list("Parameters", values, |xml, (key, value)| {
        let secret = template.parameters.get(key).is_some_and(is_secret);
        xml.text("ParameterKey", key);
        xml.text("ParameterValue", if secret { "****" } else { value });
    });
}

/// `ListStacks`: all of the last times, deleted ones included.
pub(super) fn list_stacks(cloudformation: &Arc<CloudFormation>, call: &Call) -> Answer {
    let wanted = call.form.list("StackStatusFilter").unwrap_or_default();
    let state = cloudformation.state();
    let stacks = newest_first(state.stacks.values().filter(|stack| {
        stack.region == call.caller.region
            && (wanted.is_empty() || wanted.iter().any(|status| status == stack.status.as_str()))
    }));
    let (stacks, next) = page(&call.form, stacks, PAGE)?;
    let mut xml = Xml::default();
    xml.list("StackSummaries", stacks, |xml, stack: &Stack| {
        let description = stack.revision.processed.get("Description").and_then(serde_json::Value::as_str);
        xml.text("StackId", &stack.id);
        xml.text("StackName", &stack.name);
        xml.optional("TemplateDescription", description);
        xml.text("CreationTime", &timestamp(stack.created));
        xml.optional("LastUpdatedTime", stack.updated.map(timestamp).as_deref());
        xml.optional("DeletionTime", stack.deleted.map(timestamp).as_deref());
        xml.text("StackStatus", stack.status.as_str());
        xml.optional("StackStatusReason", stack.reason.as_deref());
        xml.within("DriftInformation", |xml| xml.text("StackDriftStatus", "NOT_CHECKED"));
    });
    xml.optional("NextToken", next.as_deref());
    Ok(Some(xml))
}

/// `DescribeStackEvents`: newest first.
pub(super) fn events(cloudformation: &Arc<CloudFormation>, call: &Call) -> Answer {
    let name = required(&call.form, "StackName")?;
    let state = cloudformation.state();
    let stack = state.find(&call.caller.region, name).ok_or_else(|| no_stack(name))?;
    let (events, next) = page(&call.form, Event::newest_first(&stack.events).collect(), PAGE)?;
    let mut xml = Xml::default();
    xml.list("StackEvents", events, |xml, event| {
        xml.text("StackId", &stack.id);
        xml.text("EventId", &event.id);
        xml.text("StackName", &stack.name);
        xml.text("OperationId", &event.operation_id);
        xml.text("LogicalResourceId", &event.logical_id);
        xml.text("PhysicalResourceId", &event.physical_id);
        xml.text("ResourceType", &event.kind);
        xml.text("Timestamp", &timestamp(event.time));
        xml.text("ResourceStatus", &event.status);
        xml.optional("ResourceStatusReason", event.reason.as_deref());
        xml.optional("ResourceProperties", event.properties.as_deref());
        xml.optional("ClientRequestToken", event.token.as_deref());
    });
    xml.optional("NextToken", next.as_deref());
    Ok(Some(xml))
}

/// What every description of a resource begins with.
fn write_resource(xml: &mut Xml, logical_id: &str, resource: &Resource) {
    xml.text("LogicalResourceId", logical_id);
    xml.text("PhysicalResourceId", &resource.physical_id);
    xml.text("ResourceType", &resource.kind);
    xml.text("ResourceStatus", resource.status.as_str());
    xml.optional("ResourceStatusReason", resource.reason.as_deref());
    xml.within("DriftInformation", |xml| xml.text("StackResourceDriftStatus", "NOT_CHECKED"));
}

/// `DescribeStackResources`: those of a stack, or of the stack that has a physical resource.
pub(super) fn resources(cloudformation: &Arc<CloudFormation>, call: &Call) -> Answer {
    let form = &call.form;
    let state = cloudformation.state();
    let stack = match (form.get("StackName"), form.get("PhysicalResourceId")) {
        (Some(name), None) => state.find(&call.caller.region, name).ok_or_else(|| no_stack_with_id(name))?,
        (None, Some(physical)) => {
            let has = |stack: &&Stack| {
                !stack.is_deleted() && stack.resources.values().any(|resource| resource.physical_id == physical)
            };
            state.stacks.values().find(has).ok_or_else(|| invalid(format!("Stack for {physical} does not exist")))?
        }
        _ => return Err(invalid("Exactly one of StackName and PhysicalResourceId must be specified.")),
    };
    let logical = form.get("LogicalResourceId");
    let wanted = stack.resources.iter().filter(|(name, _)| logical.is_none_or(|logical| logical == *name));
    let mut xml = Xml::default();
    xml.list("StackResources", wanted, |xml, (name, resource)| {
        xml.text("StackName", &stack.name);
        xml.text("StackId", &stack.id);
        write_resource(xml, name, resource);
        xml.text("Timestamp", &timestamp(resource.updated));
    });
    Ok(Some(xml))
}

/// `DescribeStackResource`.
pub(super) fn resource(cloudformation: &Arc<CloudFormation>, call: &Call) -> Answer {
    let name = required(&call.form, "StackName")?;
    let logical = required(&call.form, "LogicalResourceId")?;
    let state = cloudformation.state();
    let stack =
        state.find(&call.caller.region, name).ok_or_else(|| invalid(format!("Stack '{name}' does not exist")))?;
    let resource = stack
        .resources
        .get(logical)
        .ok_or_else(|| invalid(format!("Resource {logical} does not exist for stack {name}")))?;
    let metadata = resource.metadata.as_ref().map_or_else(|| "{}".to_owned(), ToString::to_string);
    let mut xml = Xml::default();
    xml.within("StackResourceDetail", |xml| {
        xml.text("StackName", &stack.name);
        xml.text("StackId", &stack.id);
        write_resource(xml, logical, resource);
        xml.text("LastUpdatedTimestamp", &timestamp(resource.updated));
        xml.text("Metadata", &metadata);
    });
    Ok(Some(xml))
}

/// `ListStackResources`.
pub(super) fn list_resources(cloudformation: &Arc<CloudFormation>, call: &Call) -> Answer {
    let name = required(&call.form, "StackName")?;
    let state = cloudformation.state();
    let stack = state.find(&call.caller.region, name).ok_or_else(|| no_stack_with_id(name))?;
    let (resources, next): (Vec<(&String, &Resource)>, _) =
        page(&call.form, stack.resources.iter().collect::<Vec<_>>(), PAGE)?;
    let mut xml = Xml::default();
    xml.list("StackResourceSummaries", resources, |xml, (name, resource)| {
        write_resource(xml, name, resource);
        xml.text("LastUpdatedTimestamp", &timestamp(resource.updated));
    });
    xml.optional("NextToken", next.as_deref());
    Ok(Some(xml))
}

/// The stack that a request names, where a missing one is refused with its id.
pub(super) fn found(cloudformation: &CloudFormation, call: &Call, name: &str) -> Result<Stack> {
    cloudformation.state().find(&call.caller.region, name).cloned().ok_or_else(|| no_stack_with_id(name))
}
