//! `quickdeploy full`: build, package, upload, stack, functions.

use std::time::Duration;

use owo_colors::OwoColorize;
use serde::Serialize;

use crate::args::{self, Global};
use crate::aws::Cloud;
use crate::error::{Error, Result};
use crate::full::{Broken, Full, FullDocument, Together, together};
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
    if args.confirm {
        ui.require_somebody_to_ask()?;
    }
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
        let documents = build(ui, &cloud, &projects, mode, &interrupts).await.map_err(|broken| broken.error)?;
        let Some(document) = documents.first() else { return Ok(0) };
        ui.document(document)?;
        return Ok(u8::from(!document.ok));
    }
    // One after the other: their builds would get into each other's way.
    let mut artifacts = Vec::with_capacity(projects.len());
    for group in together(projects) {
        artifacts.extend(named(ui, &group, build(ui, &cloud, &group, mode, &interrupts).await));
        if interrupts.so_far() > 0 {
            break;
        }
    }
    artifacts.sort_by(|a, b| a.name.cmp(&b.name));
    let ok = artifacts.iter().all(|artifact| matches!(&artifact.outcome, Ended::Full(document) if document.ok));
    ui.document(&Several { command: "full", ok, artifacts })?;
    Ok(u8::from(!ok))
}

/// What became of each artifact of a group. One that fails ends the others, too.
fn named(ui: &Ui, group: &[Project], built: Result<Vec<FullDocument>, Broken>) -> Vec<Named> {
    let name = |project: &Project| project.settings().name.clone().unwrap_or_default();
    match built {
        Ok(documents) => group
            .iter()
            .zip(documents)
            .map(|(project, document)| Named { name: name(project), outcome: Ended::Full(Box::new(document)) })
            .collect(),
        Err(Broken { member, error }) => {
            ui.error(&error);
            let culprit = group.get(member).map(name).unwrap_or_default();
            let mut error = Some(error);
            let ended = group.iter().enumerate().map(|(place, project)| {
                let own = if place == member { error.take() } else { None };
                let error = own.unwrap_or_else(|| {
                    Error::new(
                        "Stopped",
                        format!("`{}` ends in the same stack as `{culprit}`, which failed", name(project)),
                    )
                });
                Named { name: name(project), outcome: Ended::Failed { ok: false, error } }
            });
            ended.collect()
        }
    }
}

/// The full builds of artifacts that belong together, told to their end.
pub(super) async fn build(
    ui: &Ui,
    cloud: &Cloud,
    projects: &[Project],
    mode: Mode,
    interrupts: &Interrupts,
) -> Result<Vec<FullDocument>, Broken> {
    let head = |project: &Project| {
        if let Some(name) = &project.settings().name {
            ui.aside(format!("[{name}]").bold());
        }
    };
    let members = projects.iter().enumerate().map(|(member, project)| {
        let artifact = super::artifact_of(project.settings()).map_err(|error| Broken { member, error })?;
        Ok(Full { ui, cloud, project, artifact })
    });
    let members = members.collect::<Result<Vec<_>, Broken>>()?;
    if let [project] = projects {
        head(project);
    }
    let documents = Together { ui, cloud, members, mode }.carry_out(interrupts).await?;
    for (project, document) in projects.iter().zip(&documents) {
        if projects.len() > 1 && !document.dry_run {
            head(project);
        }
        show(ui, document);
    }
    Ok(documents)
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
