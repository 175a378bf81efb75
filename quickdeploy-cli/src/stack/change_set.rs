//! One change set: made, waited for, executed or deleted.

use aws_sdk_cloudformation::operation::execute_change_set::ExecuteChangeSetError;
use aws_sdk_cloudformation::types::{
    Capability, ChangeSetStatus, ChangeSetType, DeploymentConfig, DeploymentConfigMode, EventFilter, ExecutionStatus,
    Parameter, StackStatus, Tag,
};

use super::changes::{Change, Changes};
use super::template_location::TemplateLocation;
use super::{DeploymentMode, FIRST_POLL, Plan, Request, Stack, Stacks, is_missing, next_poll};
use crate::error::{Error, Result};
use crate::retry::retried;

/// A change set that exists.
#[derive(Debug)]
pub(super) struct ChangeSet {
    /// Its ARN.
    id: String,
    name: String,
    /// The ARN of the stack that it is for.
    pub(super) stack_id: String,
    /// The stack came into being for it, with nothing in it.
    made_its_stack: bool,
}

impl Stacks<'_> {
    /// Makes a change set. It must not be given up half-way, or nobody knows whether there is one.
    pub(super) async fn create_change_set(
        &self,
        request: &Request,
        plan: Plan,
        existing: Option<&Stack>,
        template: &TemplateLocation,
    ) -> Result<ChangeSet> {
        let name = format!("quickdeploy-{:016x}", fastrand::u64(..));
        let kept = existing.filter(|_| plan == Plan::Update).map_or(&[] as &[String], |stack| &stack.parameters);
        let parameters = parameters(request, kept);
        let tags: Vec<Tag> =
            request.tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect();
        let capabilities: Vec<Capability> =
            request.capabilities.iter().map(|name| Capability::from(name.as_str())).collect();
        let created = retried(&self.quota, || {
            let call = self
                .client
                .create_change_set()
                .stack_name(&request.stack)
                .change_set_name(&name)
                // Whoever asks twice with it gets the same change set.
                .client_token(&name)
                .change_set_type(if plan == Plan::Update { ChangeSetType::Update } else { ChangeSetType::Create })
                .set_parameters(Some(parameters.clone()).filter(|parameters| !parameters.is_empty()))
                .set_tags(Some(tags.clone()).filter(|tags| !tags.is_empty()))
                .set_capabilities(Some(capabilities.clone()).filter(|capabilities| !capabilities.is_empty()))
                .set_deployment_config(deployment_config(request.mode));
            match template {
                TemplateLocation::Body(text) => call.template_body(text),
                TemplateLocation::Object { url, .. } => call.template_url(url),
            }
            .send()
        })
        .await
        .map_err(|error| {
            self.explain(&format!("could not create a change set for the stack `{}`", request.stack), &error)
        })?;
        Ok(ChangeSet {
            id: created.id.unwrap_or_else(|| name.clone()),
            name,
            stack_id: created.stack_id.unwrap_or_else(|| request.stack.clone()),
            made_its_stack: matches!(plan, Plan::Create | Plan::Recreate),
        })
    }

    /// Waits until CloudFormation knows what the change set would do. `None`: nothing.
    pub(super) async fn changes_of(&self, change_set: &ChangeSet, stack: &str) -> Result<Option<Changes>> {
        let mut pause = FIRST_POLL;
        loop {
            let mut changes = Vec::new();
            let mut next: Option<String> = None;
            let (status, reason, execution) = loop {
                let page = retried(&self.quota, || {
                    self.client
                        .describe_change_set()
                        .change_set_name(&change_set.id)
                        .stack_name(&change_set.stack_id)
                        .set_next_token(next.clone())
                        .send()
                })
                .await
                .map_err(|error| {
                    self.explain(&format!("could not read the change set of the stack `{stack}`"), &error)
                })?;
                changes.extend(page.changes().iter().filter_map(|change| change.resource_change().map(Change::read)));
                next = page.next_token.filter(|token| !token.is_empty());
                if next.is_none() {
                    break (page.status, page.status_reason.unwrap_or_default(), page.execution_status);
                }
            };
            match status {
                Some(ChangeSetStatus::CreateComplete) if execution == Some(ExecutionStatus::Available) => {
                    return Ok(Some(Changes(changes)));
                }
                Some(ChangeSetStatus::Failed) if says_no_changes(&reason) => return Ok(None),
                Some(ChangeSetStatus::Failed) => {
                    let error =
                        Error::new("ChangeSetFailed", format!("CloudFormation can't change the stack `{stack}`"));
                    let findings = self.validation_findings(change_set).await;
                    return Err(findings.into_iter().fold(error.cause(reason), Error::cause));
                }
                Some(ChangeSetStatus::CreateComplete)
                    if matches!(execution, Some(ExecutionStatus::Obsolete | ExecutionStatus::ExecuteFailed)) =>
                {
                    return Err(overtaken(stack));
                }
                _ => {}
            }
            tokio::time::sleep(pause).await;
            pause = next_poll(pause);
        }
    }

    /// What CloudFormation's validation before a deployment found: a failed change set only says that there is
    /// something. Whoever may not read it, or whose endpoint doesn't know it, has the change set's own reason.
    async fn validation_findings(&self, change_set: &ChangeSet) -> Vec<String> {
        let failed_only = EventFilter::builder().failed_events(true).build();
        let call = self.client.describe_events().change_set_name(&change_set.id).filters(failed_only);
        let Ok(output) = call.send().await else { return Vec::new() };
        let finding = |event: &aws_sdk_cloudformation::types::OperationEvent| {
            let reason = event.validation_status_reason().or(event.resource_status_reason())?;
            let path = event.validation_path().or(event.logical_resource_id()).unwrap_or_default();
            Some(if path.is_empty() { reason.to_owned() } else { format!("{path}: {reason}") })
        };
        output.operation_events().iter().filter_map(finding).collect()
    }

    /// Starts it. The answer is the token that the operation's events carry.
    pub(super) async fn execute(&self, change_set: &ChangeSet, stack: &str) -> Result<String> {
        let token = change_set.name.clone();
        let executed = retried(&self.quota, || {
            self.client
                .execute_change_set()
                .change_set_name(&change_set.id)
                .stack_name(&change_set.stack_id)
                .client_request_token(&token)
                .send()
        })
        .await;
        match executed {
            Ok(_) => Ok(token),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(ExecuteChangeSetError::is_invalid_change_set_status_exception) =>
            {
                Err(overtaken(stack).because(&error))
            }
            Err(error) => {
                Err(self.explain(&format!("could not execute the change set of the stack `{stack}`"), &error))
            }
        }
    }

    /// Deletes a change set that wasn't executed, and the stack that was made for it, if it is still empty.
    pub(super) async fn discard(&self, change_set: &ChangeSet) -> Result<()> {
        retried(&self.quota, || {
            self.client.delete_change_set().change_set_name(&change_set.id).stack_name(&change_set.stack_id).send()
        })
        .await
        .map_err(|error| self.explain(&format!("could not delete the change set `{}`", change_set.name), &error))?;
        if !change_set.made_its_stack {
            return Ok(());
        }
        let empty = self.find(&change_set.stack_id).await?;
        if empty.is_some_and(|stack| stack.status == StackStatus::ReviewInProgress) {
            let deleted =
                retried(&self.quota, || self.client.delete_stack().stack_name(&change_set.stack_id).send()).await;
            match deleted {
                Ok(_) => {}
                Err(error) if is_missing(&error) => {}
                Err(error) => return Err(self.explain("could not delete the empty stack of the change set", &error)),
            }
        }
        Ok(())
    }
}

/// The values that are given, and for what the template declares besides: those that the stack has (`kept`).
fn parameters(request: &Request, kept: &[String]) -> Vec<Parameter> {
    let given = request
        .parameters
        .iter()
        .map(|(key, value)| Parameter::builder().parameter_key(key).parameter_value(value).build());
    let previous = request
        .declared
        .iter()
        .filter(|name| kept.contains(name) && !request.parameters.contains_key(*name))
        .map(|name| Parameter::builder().parameter_key(name).use_previous_value(true).build());
    given.chain(previous).collect()
}

/// STANDARD is what CloudFormation does when nothing is said, and endpoints that know no modes take nothing else. EXPRESS
/// leaves a failed stack as it failed unless it is told to roll back
/// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-express-mode.html>); a deployment that
/// fails shall leave things as they were in either mode.
fn deployment_config(mode: DeploymentMode) -> Option<DeploymentConfig> {
    match mode {
        DeploymentMode::Standard => None,
        DeploymentMode::Express => {
            Some(DeploymentConfig::builder().mode(DeploymentConfigMode::Express).disable_rollback(false).build())
        }
    }
}

/// A change set without changes has failed, by CloudFormation's lights, in one of two wordings.
fn says_no_changes(reason: &str) -> bool {
    reason.contains("didn't contain changes") || reason.contains("No updates are to be performed")
}

fn overtaken(stack: &str) -> Error {
    Error::new("Overtaken", format!("the stack `{stack}` was changed by somebody else meanwhile"))
        .hint("run the command again: it looks at the stack anew")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn request() -> Request {
        Request {
            stack: "app".into(),
            template: String::new(),
            declared: ["Bucket", "Key", "Size"].map(str::to_owned).into(),
            parameters: BTreeMap::from([("Key".into(), "new.zip".into())]),
            capabilities: Vec::new(),
            tags: BTreeMap::new(),
            mode: DeploymentMode::Standard,
            upload_to: None,
        }
    }

    #[test]
    fn what_is_not_given_keeps_the_value_that_the_stack_has() {
        let kept = ["Bucket", "Key", "Gone"].map(str::to_owned);
        let parameters = parameters(&request(), &kept);
        let told: Vec<_> = parameters
            .iter()
            .map(|parameter| {
                (parameter.parameter_key().unwrap(), parameter.parameter_value(), parameter.use_previous_value())
            })
            .collect();
        // `Size` is new in the template and takes its default; `Gone` is no longer in it.
        assert_eq!(told, [("Key", Some("new.zip"), None), ("Bucket", None, Some(true))]);
    }

    #[test]
    fn both_of_awss_wordings_for_no_changes_are_understood() {
        assert!(says_no_changes(
            "The submitted information didn't contain changes. Submit different information to create a change set."
        ));
        assert!(says_no_changes("No updates are to be performed."));
        assert!(!says_no_changes("Template error: instance of Fn::GetAtt references undefined resource Role"));
    }
}
