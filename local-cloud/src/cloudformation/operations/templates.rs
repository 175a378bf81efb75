//! Templates: those of stacks and change sets, summaries, validation.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::describe::found;
use super::input::{processed, template_text};
use super::{flag, no_stack, required};
use crate::cloudformation::CloudFormation;
use crate::cloudformation::capabilities::needed;
use crate::cloudformation::errors::{change_set_not_found, constraint, invalid};
use crate::cloudformation::functions::as_text;
use crate::cloudformation::parameters::is_secret;
use crate::cloudformation::stack::{Revision, Stack};
use crate::cloudformation::status::StackStatus;
use crate::cloudformation::template::Template;
use crate::protocol::query::{Answer, Call};
use crate::protocol::xml::Xml;

/// `GetTemplate`: as it was sent, or with its transforms expanded.
pub(super) fn get(cloudformation: &Arc<CloudFormation>, call: &Call) -> Answer {
    let form = &call.form;
    let stage = match form.get("TemplateStage") {
        None | Some("Original") => "Original",
        Some("Processed") => "Processed",
        Some(other) => {
            let rule = "Member must satisfy enum value set: [Processed, Original]";
            return Err(constraint(other, "templateStage", rule));
        }
    };
    let stack_name = form.get("StackName").filter(|name| !name.is_empty());
    let revision: Revision = match (form.get("ChangeSetName"), stack_name) {
        (None, None) => return Err(invalid("StackName is required if ChangeSetName is not specified.")),
        (None, Some(name)) => found(cloudformation, call, name)?.revision,
        (Some(name), stack_name) => {
            let state = cloudformation.state();
            let of_stack = |stack: &Stack| {
                let wanted = stack.change_sets.iter().find(|known| known.id == name || known.name == name);
                wanted.map(|wanted| wanted.revision.clone())
            };
            let revision = if name.starts_with("arn:") {
                state.stacks.values().find_map(of_stack)
            } else {
                let stack_name = required(form, "StackName").ok().or(stack_name);
                let stack_name = stack_name.ok_or_else(|| invalid("StackName is a required parameter."))?;
                of_stack(state.find(&call.caller.region, stack_name).ok_or_else(|| no_stack(stack_name))?)
            };
            revision.ok_or_else(|| change_set_not_found(name))?
        }
    };
    let mut xml = Xml::default();
    let expanded = stage == "Processed" && !revision.transforms.is_empty();
    xml.text("TemplateBody", &if expanded { revision.processed.to_string() } else { revision.original });
    xml.texts("StagesAvailable", ["Original", "Processed"]);
    Ok(Some(xml))
}

/// `GetTemplateSummary`: of a template, or of a stack's.
pub(super) fn summary(cloudformation: &Arc<CloudFormation>, call: &Call) -> Answer {
    let text = match call.form.get("StackName").filter(|name| !name.is_empty()) {
        Some(name) => {
            let stack = found(cloudformation, call, name)?;
            if stack.status == StackStatus::ReviewInProgress {
                return Err(invalid("GetTemplateSummary cannot be called on REVIEW_IN_PROGRESS stacks."));
            }
            stack.revision.original
        }
        None => template_text(cloudformation, &call.form, None)?,
    };
    let (document, transforms) = processed(&text)?;
    let template = Template::parse(&document)?;
    let mut kinds: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, declared) in &template.resources {
        kinds.entry(&declared.kind).or_default().push(name);
    }
    let mut xml = Xml::default();
    xml.list("Parameters", &template.parameters, |xml, (name, declared)| {
        xml.text("ParameterKey", name);
        xml.optional("DefaultValue", declared.get("Default").and_then(as_text).as_deref());
        xml.optional("ParameterType", declared.get("Type").and_then(Value::as_str));
        xml.text("NoEcho", flag(is_secret(declared)));
        xml.optional("Description", declared.get("Description").and_then(Value::as_str));
        xml.within("ParameterConstraints", |xml| {
            if let Some(allowed) = declared.get("AllowedValues").and_then(Value::as_array) {
                xml.texts("AllowedValues", allowed.iter().filter_map(as_text));
            }
        });
    });
    xml.optional("Description", template.description.as_deref());
    write_capabilities(&mut xml, &template);
    xml.texts("ResourceTypes", kinds.keys());
    xml.optional("Version", template.version.as_deref());
    xml.optional("Metadata", template.metadata.as_ref().map(ToString::to_string).as_deref());
    if !transforms.is_empty() {
        xml.texts("DeclaredTransforms", &transforms);
    }
    xml.list("ResourceIdentifierSummaries", kinds, |xml, (kind, names)| {
        xml.text("ResourceType", kind);
        xml.texts("LogicalResourceIds", names);
    });
    Ok(Some(xml))
}

fn write_capabilities(xml: &mut Xml, template: &Template) {
    if let Some((capability, kinds)) = needed(template) {
        let kinds: Vec<String> = kinds.into_iter().collect();
        xml.texts("Capabilities", [capability]);
        let reason = format!("The following resource(s) require capabilities: [{}]", kinds.join(", "));
        xml.text("CapabilitiesReason", &reason);
    }
}

/// `ValidateTemplate`.
pub(super) fn validate(cloudformation: &Arc<CloudFormation>, call: &Call) -> Answer {
    let text = template_text(cloudformation, &call.form, None)?;
    let (document, transforms) = processed(&text)?;
    let template = Template::parse(&document)?;
    let mut xml = Xml::default();
    xml.list("Parameters", &template.parameters, |xml, (name, declared): (&String, &Map<String, Value>)| {
        xml.text("ParameterKey", name);
        xml.optional("DefaultValue", declared.get("Default").and_then(as_text).as_deref());
        xml.text("NoEcho", flag(is_secret(declared)));
        xml.optional("Description", declared.get("Description").and_then(Value::as_str));
    });
    xml.optional("Description", template.description.as_deref());
    write_capabilities(&mut xml, &template);
    if !transforms.is_empty() {
        xml.texts("DeclaredTransforms", &transforms);
    }
    Ok(Some(xml))
}
