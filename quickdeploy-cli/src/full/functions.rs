//! The functions that the package is for: looked at before anything is done, created and updated after it.

use std::collections::BTreeMap;

use futures::stream::{FuturesUnordered, StreamExt as _};

use super::create::create;
use super::role::Role;
use crate::aws::Cloud;
use crate::error::{Error, Result};
use crate::functions::{self, Function};
use crate::guards;
use crate::interrupt::Interrupts;
use crate::project::{Functions, NewFunction, Settings};
use crate::rollout::Rollout;
use crate::ui::Ui;
use crate::update::{Outcome, Target};

/// What there is, and what is to be made.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// Those that are there.
    pub(super) there: Vec<Function>,
    /// Those that are missing, with what they are created with.
    pub(super) missing: BTreeMap<String, NewFunction>,
}

/// Looks at the functions. With a stack, those that aren't there yet are the stack's to make.
///
/// # Errors
///
/// A function is missing and nothing says how it is created; it takes no zip, or only signed ones.
pub(super) async fn look(cloud: &Cloud, settings: &Settings, with_stack: bool) -> Result<Wanted> {
    let mut wanted = Wanted::default();
    match &settings.functions {
        None => {}
        Some(Functions::Names(names)) => {
            for name in names {
                match functions::read(cloud, name).await {
                    Ok(function) => wanted.there.push(function),
                    Err(error) if error.error_type() == "FunctionNotFound" => {
                        match settings.full.create.get(name) {
                            Some(new) => drop(wanted.missing.insert(name.clone(), new.clone())),
                            None if with_stack => {}
                            None => return Err(nothing_to_create_with(cloud, name)),
                        };
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Some(search) => match functions::find(cloud, search, &[]).await {
            Ok(found) => wanted.there = found,
            Err(error) if with_stack && error.error_type() == "FunctionNotFound" => {}
            Err(error) => return Err(error),
        },
    }
    if !wanted.missing.is_empty() && settings.full.role.is_none() {
        let names: Vec<String> = wanted.missing.keys().map(|name| format!("`{name}`")).collect();
        return Err(Error::new("Config", format!("{} can't be created without a role", names.join(", ")))
            .hint("add a line like role = \"NAME\" to quickdeploy.toml: it is created, too, when it is missing"));
    }
    guards::guard(cloud, &wanted.there).await?;
    Ok(wanted)
}

fn nothing_to_create_with(cloud: &Cloud, name: &str) -> Error {
    Error::new("FunctionNotFound", format!("there is no Lambda function `{name}` in {}", cloud.region))
        .hint("check `functions` in quickdeploy.toml, and the region")
        .hint(format!(
            "to have it created, add [create.{name}] with handler = \"file.handler\" and runtime = \"nodejs22.x\""
        ))
}

/// The last step's surroundings.
pub(super) struct Part<'a> {
    pub(super) ui: &'a Ui,
    pub(super) cloud: &'a Cloud,
    pub(super) settings: &'a Settings,
    pub(super) with_stack: bool,
}

impl Part<'_> {
    /// Creates what is missing and updates what runs other code than the package.
    ///
    /// # Errors
    ///
    /// The functions can't be found; a second interrupt. That single functions failed is in the outcomes.
    pub(super) async fn bring_up(
        &self,
        wanted: Wanted,
        role: Option<&Role>,
        target: &mut Target,
        etag: &str,
        interrupts: &Interrupts,
    ) -> Result<Vec<Outcome>> {
        let Self { ui, cloud, settings, with_stack } = *self;
        let Wanted { mut there, missing } = wanted;
        let mut outcomes = match role {
            Some(role) => self.create_all(&missing, role, target).await,
            None => Vec::new(),
        };
        if let Some(search) = settings.functions.as_ref().filter(|_| with_stack) {
            // The stack may have made or removed some, and given others its own code.
            there = match functions::find(cloud, search, &[]).await {
                Ok(found) => found,
                // A stack may do without any, where nothing was said but the stack's name.
                Err(error) if error.error_type() == "FunctionNotFound" && settings.full.stack.is_some() => Vec::new(),
                Err(error) => return Err(error),
            };
            there.retain(|function| function.zip_package);
        }
        there.retain(|function| !outcomes.iter().any(|outcome| outcome.name == function.name));
        let rollout = Rollout { ui, cloud, only: &[], effects: None };
        let sorted = rollout.sort(&there, target, etag, false).await?;
        outcomes.extend(rollout.update(sorted, target, interrupts).await?);
        outcomes.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(outcomes)
    }

    async fn create_all(&self, missing: &BTreeMap<String, NewFunction>, role: &Role, target: &Target) -> Vec<Outcome> {
        if missing.is_empty() {
            return Vec::new();
        }
        let progress = self.ui.progress("Creating functions");
        progress.of(missing.len());
        let mut creating: FuturesUnordered<_> =
            missing.iter().map(|(name, new)| create(self.cloud, name, new, role, target)).collect();
        let mut outcomes = Vec::new();
        while let Some(outcome) = creating.next().await {
            progress.advance();
            outcomes.push(outcome);
        }
        outcomes
    }
}
