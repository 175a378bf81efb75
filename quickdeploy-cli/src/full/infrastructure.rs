//! The stack that the template describes, with the package in it.

use std::time::Duration;

use super::Full;
use super::placeholders;
use super::role::{self, Role};
use super::template::{PackageLocation, Template};
use crate::error::{Error, Result};
use crate::interrupt::Interrupts;
use crate::project::Settings;
use crate::stack::{self, Deployed, Request, Stacks};

/// A stack that comes to nothing because Lambda doesn't know the new role yet is tried so often.
const ROLE_TRIES: u32 = 3;
const ROLE_PAUSE: Duration = Duration::from_secs(10);

/// The stack and its template.
#[derive(Debug)]
pub(super) struct Infrastructure {
    pub(super) stack: String,
    pub(super) template: Template,
}

impl Infrastructure {
    /// What the settings ask for. `None`: no stack.
    ///
    /// # Errors
    ///
    /// The template can't be read, or the settings don't fit to it.
    pub(super) fn of(settings: &Settings) -> Result<Option<Self>> {
        let full = &settings.full;
        let Some((written, path)) = &full.template else {
            return match full.parameters.keys().next() {
                Some(name) => Err(Error::new("Config", format!("`parameters` has `{name}`, but there is no template"))
                    .hint("add a line like template = \"template.yaml\" to quickdeploy.toml")),
                None => Ok(None),
            };
        };
        let Some(stack) = stack_of(settings) else {
            return Err(Error::new("Config", format!("`template` is {written}, but no stack is named"))
                .hint("add a line like stack = \"NAME\" to quickdeploy.toml"));
        };
        let template = Template::read(path, &settings.root)?;
        if let Some(unknown) = full.parameters.keys().find(|name| !template.declared.contains(name)) {
            return Err(Error::new("Config", format!("{written} has no parameter `{unknown}`")).hint(
                match template.declared.as_slice() {
                    [] => "it has no parameters at all".to_owned(),
                    known => format!("it has {}", known.join(", ")),
                },
            ));
        }
        Ok(Some(Self { stack, template }))
    }
}

impl Full<'_> {
    /// Creates or updates the stack.
    ///
    /// # Errors
    ///
    /// As [`stack::deploy`].
    pub(super) async fn deploy_stack(
        &self,
        infrastructure: &Infrastructure,
        package: &PackageLocation,
        role: Option<&Role>,
        interrupts: &Interrupts,
    ) -> Result<Deployed> {
        let full = &self.project.settings().full;
        let Infrastructure { stack, template } = infrastructure;
        let request = Request {
            stack: stack.clone(),
            template: template.packaged_at(package),
            declared: template.declared.clone(),
            parameters: placeholders::fill(&full.parameters, package, role)?,
            capabilities: full.capabilities.clone(),
            tags: full.tags.clone(),
            mode: full.deployment_mode,
            upload_to: Some((package.bucket.clone(), beside(&package.key))),
        };
        let stacks = Stacks::new(self.cloud);
        let mut tries = 1;
        loop {
            let error = match stack::deploy(self.ui, &stacks, &request, self.mode, interrupts).await {
                Ok(deployed) => return Ok(deployed),
                Err(error) => error,
            };
            let new_role = role.is_some_and(|role| role.created);
            if !new_role || tries == ROLE_TRIES || !error.causes().iter().any(|cause| role::is_unknown_yet(cause)) {
                return Err(error);
            }
            tries += 1;
            self.ui.status("Waiting", "Lambda does not know the new role yet; the stack is tried again");
            tokio::select! {
                () = tokio::time::sleep(ROLE_PAUSE) => {}
                () = interrupts.nth(1) => return Err(error),
            }
        }
    }
}

/// The stack's name: `stack`, or that of `functions = { stack = … }`.
fn stack_of(settings: &Settings) -> Option<String> {
    let of_functions = match &settings.functions {
        Some(crate::project::Functions::Stack(stack)) => Some(stack.clone()),
        _ => None,
    };
    settings.full.stack.clone().or(of_functions)
}

/// The prefix of the artifact's neighbours: `app/` of `app/code.zip`.
fn beside(key: &str) -> String {
    key.rsplit_once('/').map_or_else(String::new, |(directory, _)| format!("{directory}/"))
}
