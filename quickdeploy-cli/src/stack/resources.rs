//! What a stack holds.

use aws_sdk_cloudformation::types::{ResourceStatus, StackResourceSummary};

use super::{Stacks, is_missing};
use crate::error::Result;
use crate::retry::retried;

/// One resource of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resource {
    pub(crate) logical_id: String,
    /// Its name or id at AWS.
    pub(crate) physical_id: String,
    /// Such as `AWS::Lambda::Function`.
    pub(crate) resource_type: String,
}

impl Resource {
    /// `None`: it isn't there (any more).
    fn read(summary: &StackResourceSummary) -> Option<Self> {
        if summary.resource_status() == Some(&ResourceStatus::DeleteComplete) {
            return None;
        }
        Some(Self {
            logical_id: summary.logical_resource_id()?.to_owned(),
            physical_id: summary.physical_resource_id().filter(|id| !id.is_empty())?.to_owned(),
            resource_type: summary.resource_type()?.to_owned(),
        })
    }
}

impl Stacks<'_> {
    /// All resources of the stack, without those of nested stacks.
    ///
    /// # Errors
    ///
    /// `StackNotFound`; no permission.
    pub(crate) async fn resources(&self, stack: &str) -> Result<Vec<Resource>> {
        let mut resources = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let page = retried(&self.quota, || {
                self.client.list_stack_resources().stack_name(stack).set_next_token(next.clone()).send()
            })
            .await
            .map_err(|error| match is_missing(&error) {
                true => self.not_found(stack),
                false => self.explain(&format!("could not list the resources of the stack `{stack}`"), &error),
            })?;
            resources.extend(page.stack_resource_summaries().iter().filter_map(Resource::read));
            next = page.next_token.filter(|token| !token.is_empty());
            if next.is_none() {
                return Ok(resources);
            }
        }
    }

    /// Names of the Lambda functions in the stack and in the stacks that are nested in it.
    ///
    /// # Errors
    ///
    /// As [`Self::resources`].
    pub(crate) async fn functions(&self, stack: &str) -> Result<Vec<String>> {
        let mut functions = Vec::new();
        let mut stacks = vec![stack.to_owned()];
        while let Some(stack) = stacks.pop() {
            for resource in self.resources(&stack).await? {
                match resource.resource_type.as_str() {
                    "AWS::Lambda::Function" => functions.push(resource.physical_id),
                    "AWS::CloudFormation::Stack" => stacks.push(resource.physical_id),
                    _ => {}
                }
            }
        }
        functions.sort();
        Ok(functions)
    }
}
