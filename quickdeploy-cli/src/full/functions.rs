//! The functions that the package is for: looked at before anything is done, created and updated after it.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::try_join_all;
use futures::stream::{FuturesUnordered, StreamExt as _};

use super::create::create;
use super::role::{self, Role};
use crate::aws::Cloud;
use crate::error::{Error, Result};
use crate::functions::{self, Function, UpdateState};
use crate::guards;
use crate::interrupt::Interrupts;
use crate::project::{Functions, NewFunction, Settings};
use crate::rollout::{RolledOut, Rollout, Since};
use crate::ui::Ui;
use crate::update::{Outcome, Status, Target};

/// A function that is under way is asked for this often.
const POLL: Duration = Duration::from_millis(300);
/// One that isn't at rest by then is given up.
const PATIENCE: Duration = Duration::from_secs(300);

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
    let mut missing = BTreeMap::new();
    let (there, _) = guards::guarded(cloud, find(cloud, settings, with_stack, &mut missing)).await?;
    Ok(Wanted { there, missing })
}

/// Those that are there. `missing` becomes those that are to be created.
async fn find(
    cloud: &Cloud,
    settings: &Settings,
    with_stack: bool,
    missing: &mut BTreeMap<String, NewFunction>,
) -> Result<Vec<Function>> {
    let mut there = Vec::new();
    match &settings.functions {
        None => {}
        Some(Functions::Names(names)) => {
            for name in names {
                match functions::read(cloud, name).await {
                    Ok(function) => there.push(function),
                    Err(error) if error.error_type() == "FunctionNotFound" => {
                        match settings.full.create.get(name) {
                            Some(new) => drop(missing.insert(name.clone(), new.clone())),
                            None if with_stack => {}
                            None => return Err(nothing_to_create_with(cloud, name)),
                        };
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Some(search) => match functions::find(cloud, search, &[]).await {
            Ok(found) => there = found,
            Err(error) if with_stack && error.error_type() == "FunctionNotFound" => {}
            Err(error) => return Err(error),
        },
    }
    if !missing.is_empty() && settings.full.role.is_none() {
        let names: Vec<String> = missing.keys().map(|name| format!("`{name}`")).collect();
        return Err(Error::new("Config", format!("{} can't be created without a role", names.join(", "))).hint(
            "add a line like role = \"NAME\" at the top of quickdeploy.toml: it is created, too, when it is missing",
        ));
    }
    Ok(there)
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
    /// Whether the artifact was written since the functions were looked at.
    pub(super) written: bool,
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
        interrupts: &Interrupts,
    ) -> Result<RolledOut> {
        let Self { ui, cloud, settings, with_stack, written } = *self;
        let Wanted { mut there, missing } = wanted;
        let mut outcomes = match role {
            Some(role) => self.create_all(&missing, role, target, interrupts).await?,
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
            there = self.at_rest(there, interrupts).await?;
        }
        there.retain(|function| !outcomes.iter().any(|outcome| outcome.name == function.name));
        let created = outcomes.iter().filter(|outcome| outcome.status == Status::Live);
        let mut given: Vec<String> = created.map(|outcome| outcome.name.clone()).collect();
        if with_stack {
            given.extend(there.iter().map(|function| function.name.clone()));
        }
        let rollout = Rollout { ui, cloud, only: &[], effects: None, given };
        // After a stack they were read anew.
        let since = if written && !with_stack { Since::Replaced } else { Since::Nothing };
        let sorted = rollout.sort(&there, target, since).await?;
        let RolledOut { outcomes: updated, newer } = rollout.update(sorted, target, interrupts).await?;
        outcomes.retain(|outcome| !updated.iter().any(|updated| updated.name == outcome.name));
        outcomes.extend(updated);
        outcomes.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(RolledOut { outcomes, newer })
    }

    async fn create_all(
        &self,
        missing: &BTreeMap<String, NewFunction>,
        role: &Role,
        target: &Target,
        interrupts: &Interrupts,
    ) -> Result<Vec<Outcome>> {
        if missing.is_empty() {
            return Ok(Vec::new());
        }
        let progress = self.ui.progress("Creating functions");
        progress.of(missing.len());
        let told = Cell::new(false);
        let waiting = || {
            if !told.replace(true) {
                let most = role::SETTLING.as_secs();
                self.ui.status("Waiting", format!("until Lambda knows the new role, {most} s at most"));
            }
        };
        let mut creating: FuturesUnordered<_> =
            missing.iter().map(|(name, new)| create(self.cloud, name, new, role, target, &waiting)).collect();
        let mut outcomes = Vec::new();
        loop {
            tokio::select! {
                created = creating.next() => match created {
                    Some(outcome) => outcomes.push(outcome),
                    None => return Ok(outcomes),
                },
                () = interrupts.nth(1) => {
                    return Err(Error::new("Interrupted", "interrupted while functions were created: some may be missing")
                        .hint(format!("`{}` creates the rest", target.again)));
                }
            }
            progress.advance();
        }
    }

    /// The functions when none of them is under way any more. A stack in EXPRESS mode is done before its functions are.
    async fn at_rest(&self, functions: Vec<Function>, interrupts: &Interrupts) -> Result<Vec<Function>> {
        let _progress = self.ui.progress("Waiting for the functions");
        let settled = functions.into_iter().map(|function| async move {
            let mut function = function;
            let started = tokio::time::Instant::now();
            while function.update == UpdateState::InProgress {
                if started.elapsed() > PATIENCE {
                    let most = PATIENCE.as_secs();
                    return Err(Error::new(
                        "Timeout",
                        format!("`{}` is still not active after {most} s", function.name),
                    ));
                }
                tokio::time::sleep(POLL).await;
                function = functions::read(self.cloud, &function.name).await?;
            }
            Ok(function)
        });
        tokio::select! {
            settled = try_join_all(settled) => settled,
            () = interrupts.nth(1) => {
                Err(Error::new("Interrupted", "interrupted: the stack is deployed, its functions are still being updated")
                    .hint("`quickdeploy status` shows when they are live"))
            }
        }
    }
}
