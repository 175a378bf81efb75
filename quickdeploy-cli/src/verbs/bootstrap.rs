//! `quickdeploy bootstrap`: the zipedit function's stack.

use std::io::IsTerminal as _;

use serde::Serialize;

use crate::args::{self, Chosen, Global};
use crate::aws::Cloud;
use crate::bootstrap::{self, BootstrapDocument, DEFAULT_NAME, Scope, Wanted};
use crate::error::{Error, Result};
use crate::interrupt::{Interrupts, nothing_changed};
use crate::project::{Project, Settings};
use crate::stack::Mode;
use crate::ui::Ui;

/// The document of `--json` for a deletion.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Deleted<'a> {
    command: &'static str,
    ok: bool,
    stack: &'a str,
    /// Whether there was one.
    deleted: bool,
}

pub(super) async fn run(ui: &Ui, global: &Global, args: &args::Bootstrap) -> Result<u8> {
    if args.confirm {
        ui.require_somebody_to_ask()?;
    }
    let interrupts = Interrupts::listen();
    let projects = projects(global, &args.artifacts)?;
    let settings: Vec<&Settings> = projects.iter().map(Project::settings).collect();
    let stack = args.stack_name.clone().unwrap_or_else(|| DEFAULT_NAME.to_owned());
    if args.delete {
        let cloud = super::connect(global, settings.first().copied()).await?;
        return delete(ui, &cloud, args, &stack, &interrupts).await;
    }
    let artifacts: Vec<_> = settings.iter().filter_map(|settings| settings.artifact.clone()).collect();
    let configured = settings.iter().find_map(|settings| settings.zipedit.clone());
    let wanted = Wanted {
        scope: Scope::of(args.bucket.as_deref(), args.prefix.as_deref(), &artifacts)?,
        // An ARN names a function that is somebody else's to deploy.
        function: args.function_name.clone().or_else(|| configured.clone().filter(|name| !name.contains(':'))),
        stack,
        architecture: args.arch,
        zip: args.zip.clone(),
        code_bucket: args.code_bucket.clone(),
        memory: args.memory,
        timeout: args.timeout,
        kms_key: args.kms_key.clone(),
        object_lock: args.object_lock,
    };
    let cloud = super::connect(global, settings.first().copied()).await?;
    let mode = match (args.dry_run, args.confirm) {
        (true, _) => Mode::DryRun,
        (_, true) => Mode::Confirm,
        _ => Mode::Execute,
    };
    let document = bootstrap::install(ui, &cloud, &wanted, mode, &interrupts).await?;
    show(ui, &document, mode, configured.as_deref());
    ui.document(&document)?;
    Ok(0)
}

/// The project's artifacts. It is no error if there is no project: the flags may say all.
fn projects(global: &Global, chosen: &Chosen) -> Result<Vec<Project>> {
    match super::find_projects(global, chosen) {
        Err(error) if error.error_type() == "NoConfig" => Ok(Vec::new()),
        found => found,
    }
}

fn show(ui: &Ui, document: &BootstrapDocument, mode: Mode, configured: Option<&str>) {
    let executed = document.stack.as_ref().is_some_and(|stack| stack.executed);
    if mode == Mode::DryRun {
        let what = if document.changed { "nothing was changed" } else { "nothing to do" };
        return ui.status("Dry run", what);
    }
    let Some(function) = &document.function else { return };
    if !executed && document.changed {
        return ui.status("Finished", "nothing was changed");
    }
    let answers = if document.answered == Some(true) { " answers" } else { "" };
    let done = if executed { String::new() } else { ", nothing to do".to_owned() };
    ui.status("Finished", format!("`{function}` {}{answers}{done}", document.version));
    if function != configured.unwrap_or(DEFAULT_NAME) {
        ui.detail(format!("say so in quickdeploy.toml: zipedit = \"{function}\""));
    }
}

async fn delete(ui: &Ui, cloud: &Cloud, args: &args::Bootstrap, stack: &str, interrupts: &Interrupts) -> Result<u8> {
    if !args.yes && !std::io::stdin().is_terminal() {
        return Err(Error::usage("`--delete` asks before it deletes the stack, and there is nobody to ask")
            .hint("`--delete --yes` doesn't ask"));
    }
    let function = bootstrap::installed(cloud, stack).await?;
    let mut deleted = false;
    match function {
        None => ui.status("Finished", format!("nothing to do: there is no stack `{stack}` in {}", cloud.region)),
        Some(function) => {
            let question = format!("Delete the stack `{stack}` with the function `{function}` and its log?");
            let sure = args.yes
                || tokio::select! {
                    answer = ui.confirm(&question) => answer?,
                    () = interrupts.nth(1) => return Err(nothing_changed()),
                };
            if sure {
                deleted = bootstrap::remove(ui, cloud, stack, interrupts).await?;
                ui.status("Deleted", format!("the stack `{stack}`, with the function `{function}`"));
                ui.detail("its code is still in the bucket, under quickdeploy/zipedit-*.zip");
            } else {
                ui.status("Finished", "nothing was deleted");
            }
        }
    }
    ui.document(&Deleted { command: "bootstrap", ok: true, stack, deleted })?;
    Ok(0)
}
