//! What a stack was made of.

use std::collections::BTreeMap;

use aws_sdk_cloudformation::types::TemplateStage;

use super::{Stacks, is_missing};
use crate::error::Result;
use crate::retry::retried;

/// A stack's template and what was filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Made {
    /// The stack's ARN.
    pub(crate) id: String,
    /// The template's text after all transforms, YAML or JSON.
    pub(crate) template: String,
    /// Values of its parameters; those from Parameter Store as they were resolved. `****` for secret ones (NoEcho).
    pub(crate) parameters: BTreeMap<String, String>,
}

impl Stacks<'_> {
    /// What the stack was made of, as CloudFormation understood it (`TemplateStage=Processed`).
    ///
    /// # Errors
    ///
    /// `StackNotFound`; no permission for `cloudformation:DescribeStacks` or `cloudformation:GetTemplate`.
    pub(crate) async fn made(&self, name: &str) -> Result<Made> {
        let described = retried(&self.quota, || self.client.describe_stacks().stack_name(name).send()).await;
        let described = described.map_err(|error| match is_missing(&error) {
            true => self.not_found(name),
            false => self.explain(&format!("could not describe the stack `{name}`"), &error),
        })?;
        let stack = described.stacks().first().ok_or_else(|| self.not_found(name))?;
        let parameters = stack.parameters().iter().filter_map(|parameter| {
            let value = parameter.resolved_value().or(parameter.parameter_value()).unwrap_or_default();
            Some((parameter.parameter_key()?.to_owned(), value.to_owned()))
        });
        let parameters = parameters.collect();
        let id = stack.stack_id().unwrap_or(name).to_owned();
        let template = retried(&self.quota, || {
            self.client.get_template().stack_name(name).template_stage(TemplateStage::Processed).send()
        })
        .await
        .map_err(|error| self.explain(&format!("could not read the template of the stack `{name}`"), &error))?;
        Ok(Made { id, template: template.template_body.unwrap_or_default(), parameters })
    }
}
