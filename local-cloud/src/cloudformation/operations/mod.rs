//! CloudFormation's operations, one file per subject.

mod change_sets;
mod describe;
mod input;
mod stacks;
mod templates;

use std::sync::Arc;

pub(super) use input::nested_revision;

use super::errors::{Result, invalid};
use super::stack::Stack;
use super::{CloudFormation, State};
use crate::protocol::query::{Answer, Call, Form, Refusal};
use crate::protocol::xml::Xml;

/// Carries one operation out.
pub(super) async fn perform(cloudformation: &Arc<CloudFormation>, call: &Call) -> Answer {
    match call.action.as_str() {
        "CreateStack" => stacks::create(cloudformation, call).await,
        "UpdateStack" => stacks::update(cloudformation, call).await,
        "DeleteStack" => stacks::delete(cloudformation, call),
        "CancelUpdateStack" => stacks::cancel_update(cloudformation, call),
        "ContinueUpdateRollback" => stacks::continue_rollback(cloudformation, call),
        "UpdateTerminationProtection" => stacks::protect(cloudformation, call),
        "CreateChangeSet" => change_sets::create(cloudformation, call).await,
        "DescribeChangeSet" => change_sets::describe(cloudformation, call),
        "ListChangeSets" => change_sets::list(cloudformation, call),
        "ExecuteChangeSet" => change_sets::execute(cloudformation, call),
        "DeleteChangeSet" => change_sets::delete(cloudformation, call),
        "DescribeStacks" => describe::stacks(cloudformation, call),
        "ListStacks" => describe::list_stacks(cloudformation, call),
        "DescribeStackEvents" => describe::events(cloudformation, call),
        "DescribeStackResource" => describe::resource(cloudformation, call),
        "DescribeStackResources" => describe::resources(cloudformation, call),
        "ListStackResources" => describe::list_resources(cloudformation, call),
        "GetTemplate" => templates::get(cloudformation, call),
        "GetTemplateSummary" => templates::summary(cloudformation, call),
        "ValidateTemplate" => templates::validate(cloudformation, call),
        other => Err(Refusal::invalid_action("CloudFormation", other)),
    }
}

impl State {
    /// A stack by its name, as long as it isn't deleted, or by its id.
    pub(super) fn find(&self, region: &str, wanted: &str) -> Option<&Stack> {
        if wanted.starts_with("arn:") {
            return self.stacks.get(wanted);
        }
        self.stacks.values().find(|stack| stack.name == wanted && stack.region == region && !stack.is_deleted())
    }

    fn find_mut(&mut self, region: &str, wanted: &str) -> Option<&mut Stack> {
        let id = self.find(region, wanted)?.id.clone();
        self.stacks.get_mut(&id)
    }
}

/// A parameter that must be there.
fn required<'a>(form: &'a Form, name: &str) -> Result<&'a str> {
    form.get(name).filter(|value| !value.is_empty()).ok_or_else(|| invalid(format!("{name} is a required parameter.")))
}

/// Some operations say that a stack is missing in these words,
fn no_stack_with_id(name: &str) -> Refusal {
    invalid(format!("Stack with id {name} does not exist"))
}

/// and some in these.
fn no_stack(name: &str) -> Refusal {
    invalid(format!("Stack [{name}] does not exist"))
}

/// Cuts a page that begins where `NextToken` says, which is the number of its first item.
fn page<T>(form: &Form, items: Vec<T>, size: usize) -> Result<(Vec<T>, Option<String>)> {
    let start = match form.get("NextToken") {
        None => 0,
        Some(token) => token.parse::<usize>().map_err(|_| invalid(format!("NextToken is not valid: {token}")))?,
    };
    let more = items.len() > start.saturating_add(size);
    let page = items.into_iter().skip(start).take(size).collect();
    Ok((page, more.then(|| (start + size).to_string())))
}

/// A list of keys and values under the names that tags have.
fn tags<'a>(xml: &mut Xml, tags: impl IntoIterator<Item = (&'a String, &'a String)>) {
    xml.list("Tags", tags, |xml, (key, value)| {
        xml.text("Key", key);
        xml.text("Value", value);
    });
}

fn flag(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}
