//! `quickdeploy full`: build, package, upload, stack, functions.

use std::time::Duration;

use owo_colors::OwoColorize;
use serde::Serialize;

use crate::args::{self, Global};
use crate::aws::Cloud;
use crate::error::{Error, Result};
use crate::full::{Full, FullDocument};
use crate::interrupt::Interrupts;
use crate::project::Project;
use crate::stack::Mode;
use crate::ui::{Ui, duration, plural};
use crate::update::Status;

/// The JSON document of a project with several artifacts.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Several {
    command: &'static str,
    ok: bool,
    artifacts: Vec<Named>,
}

/// What became of one artifact.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Named {
    name: String,
    #[serde(flatten)]
    outcome: Ended,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
enum Ended {
    Full(Box<FullDocument>),
    Failed { ok: bool, error: Error },
}

pub(super) async fn run(ui: &Ui, global: &Global, args: &args::Full) -> Result<u8> {
    let interrupts = Interrupts::listen();
    let projects = super::find_projects(global, &args.artifacts)?;
    let cloud = super::connect(global, projects.first().map(Project::settings)).await?;
    let mode = match (args.dry_run, args.confirm) {
        (true, _) => Mode::DryRun,
        (_, true) => Mode::Confirm,
        _ => Mode::Execute,
    };
    if let [project] = projects.as_slice()
        && project.settings().name.is_none()
    {
        let document = build(ui, &cloud, project, mode, &interrupts).await?;
        ui.document(&document)?;
        return Ok(u8::from(!document.ok));
    }
    // One after the other: their builds would get into each other's way, and so would their changes of one stack.
    let mut artifacts = Vec::with_capacity(projects.len());
    for project in &projects {
        let name = project.settings().name.clone().unwrap_or_default();
        ui.aside(format!("[{name}]").bold());
        let outcome = match build(ui, &cloud, project, mode, &interrupts).await {
            Ok(document) => Ended::Full(Box::new(document)),
            Err(error) => {
                ui.error(&error);
                Ended::Failed { ok: false, error }
            }
        };
        artifacts.push(Named { name, outcome });
        if interrupts.so_far() > 0 {
            break;
        }
    }
    let ok = artifacts.iter().all(|artifact| matches!(&artifact.outcome, Ended::Full(document) if document.ok));
    ui.document(&Several { command: "full", ok, artifacts })?;
    Ok(u8::from(!ok))
}

/// One artifact's full build, told to its end.
pub(super) async fn build(
    ui: &Ui,
    cloud: &Cloud,
    project: &Project,
    mode: Mode,
    interrupts: &Interrupts,
) -> Result<FullDocument> {
    let artifact = super::artifact_of(project.settings())?;
    let document = Full { ui, cloud, project, artifact, mode }.carry_out(interrupts).await?;
    show(ui, &document);
    Ok(document)
}

/// The table, what failed, and one last line.
fn show(ui: &Ui, document: &FullDocument) {
    let took = duration(Duration::from_millis(document.elapsed_ms));
    if document.dry_run {
        ui.status("Dry run", "nothing was changed");
        return;
    }
    let outcomes = &document.functions;
    let with = |status| outcomes.iter().filter(move |outcome| outcome.status == status);
    let (live, failed) = (with(Status::Live).count(), with(Status::Failed).count());
    if live + failed > 0 {
        ui.result(super::deploy::table(outcomes, false).render(ui.width()));
    }
    for error in with(Status::Failed).filter_map(|outcome| outcome.error.as_ref()) {
        ui.error(error);
    }
    let total = outcomes.len();
    if failed > 0 {
        ui.warning(
            format!("{failed} of {} not running the package, after {took}", plural(total, "function")),
            &["run `quickdeploy full` again: what is done already is not done twice".to_owned()],
        );
    } else if total == 0 {
        ui.status("Finished", format!("in {took}; no functions are named in quickdeploy.toml"));
    } else {
        ui.status("Finished", format!("{} live in {took}", plural(total, "function")));
    }
}
