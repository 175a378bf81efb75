//! `quickdeploy deploy`: what changed goes live.

use std::time::Duration;

use owo_colors::OwoColorize;
use serde::Serialize;

use super::afterwards::Afterwards;
use crate::args::{self, Global, ViaArg};
use crate::aws::Cloud;
use crate::compare;
use crate::compile;
use crate::deployment::{Deploy, Deployment};
use crate::error::{Error, Result};
use crate::full::{FullDocument, together};
use crate::interrupt::{Interrupts, nothing_changed};
use crate::project::{Affected, Deletion, ManifestChange, ManifestKind, Project, Via};
use crate::stack::Mode;
use crate::ui::{Align, Table, Ui, duration, plural, printable, short_sha};
use crate::update::{Outcome, Status};
use crate::via::DEFAULT_FUNCTION;

/// So many names are listed in a warning.
const LISTED: usize = 4;

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
    Deploy(Box<Deploy>),
    Full(Box<FullDocument>),
    Failed { ok: bool, error: Error },
}

impl Ended {
    /// The functions that run the artifact.
    fn functions(&self) -> &[Outcome] {
        match self {
            Self::Deploy(deploy) => &deploy.functions,
            Self::Full(full) => &full.functions,
            Self::Failed { .. } => &[],
        }
    }
}

pub(super) async fn run(ui: &Ui, global: &Global, args: args::Deploy) -> Result<u8> {
    let interrupts = Interrupts::listen();
    let afterwards = Afterwards::prepare(&args.afterwards)?;
    let mut projects = super::find_projects(global, &args.artifacts)?;
    check_functions(&projects, &args)?;
    let cloud = super::connect(global, projects.first().map(Project::settings)).await?;
    let mut built = Vec::new();
    if args.full_if_needed {
        let mode = if args.dry_run { Mode::DryRun } else { Mode::Execute };
        let mut rest = Vec::with_capacity(projects.len());
        for group in together(projects) {
            let mut needed = false;
            for project in &group {
                let full = &project.settings().full;
                let is_built = full.build.is_some() || full.codebuild.is_some();
                if project.missing_directory().is_some() && !is_built && !args.dry_run && !args.no_compile {
                    // What is to be compared is made by nothing else.
                    compile::compile(ui, std::slice::from_ref(project), &interrupts).await?;
                }
                needed |= needs_full(ui, &cloud, project, &interrupts).await?;
            }
            if !needed {
                rest.extend(group);
                continue;
            }
            let documents = super::full::build(ui, &cloud, &group, mode, &interrupts).await;
            for (project, document) in group.iter().zip(documents.map_err(|broken| broken.error)?) {
                let Some(name) = project.settings().name.clone() else {
                    afterwards.document(ui, &document)?;
                    return afterwards.carry_out(ui, &cloud, document.ok, &document.functions, &interrupts).await;
                };
                built.push(Named { name, outcome: Ended::Full(Box::new(document)) });
            }
        }
        projects = rest;
    }
    if args.dry_run && !args.no_compile && projects.iter().any(|project| project.settings().compile.is_some()) {
        ui.status("Dry run", "of the files as they are: `compile` is not run");
    } else if !args.no_compile {
        compile::compile(ui, &projects, &interrupts).await?;
    }
    let deployments = projects
        .iter()
        .map(|project| deployment(ui, &cloud, project, &args))
        .collect::<Result<Vec<Deployment<'_>>>>()?;
    if let [Deployment { project, .. }] = deployments.as_slice()
        && project.settings().name.is_none()
    {
        let deploy = deployments[0].carry_out(&interrupts).await?;
        show(ui, &deploy);
        afterwards.document(ui, &deploy)?;
        return afterwards.carry_out(ui, &cloud, deploy.ok, &deploy.functions, &interrupts).await;
    }
    let deployed = several(ui, deployments, built, &interrupts).await;
    afterwards.document(ui, &deployed)?;
    let functions = deployed.artifacts.iter().flat_map(|artifact| artifact.outcome.functions());
    afterwards.carry_out(ui, &cloud, deployed.ok, functions, &interrupts).await
}

/// Whether a patch can't do what changed: there is no artifact, or dependencies or the stack's template were edited since
/// the last full build.
async fn needs_full(ui: &Ui, cloud: &Cloud, project: &Project, interrupts: &Interrupts) -> Result<bool> {
    let url = super::artifact_of(project.settings())?;
    let full = &project.settings().full;
    if let Some(directory) = project.missing_directory().filter(|_| full.build.is_some() || full.codebuild.is_some()) {
        ui.status("Full build", format!("as `{directory}` was never built here"));
        return Ok(true);
    }
    let compared = {
        let _progress = ui.progress("Comparing");
        let quiet = ui.part();
        tokio::select! {
            compared = compare::compare(&quiet, cloud, project, &url, Deletion::Owned) => compared,
            () = interrupts.nth(1) => return Err(nothing_changed()),
        }
    };
    let why = match compared {
        Ok(comparison) => {
            let template = project.settings().full.template.as_ref();
            let counts = |change: &&ManifestChange| {
                change.kind != ManifestKind::Template || template.is_some_and(|(name, _)| *name == change.path)
            };
            let changed: Vec<String> =
                comparison.beyond_a_patch.iter().filter(counts).map(|change| format!("`{}`", change.path)).collect();
            match changed.as_slice() {
                [] => return Ok(false),
                [one] => format!("{one} has changed since the last one"),
                many => format!("{} have changed since the last one", many.join(", ")),
            }
        }
        Err(error) if error.error_type() == "ArtifactNotFound" => format!("there is no {url} yet"),
        Err(error) => return Err(error),
    };
    ui.status("Full build", format!("as {why}"));
    Ok(true)
}

/// A function runs one artifact: of several projects, nobody could say which one is meant.
pub(super) fn check_functions(projects: &[Project], args: &args::Deploy) -> Result<()> {
    if projects.len() > 1 && !args.functions.is_empty() {
        return Err(Error::usage("`--function` is about the functions of one artifact, and the project has several")
            .hint("say which: `--artifact NAME --function NAME`"));
    }
    Ok(())
}

/// What the flags and the settings of `project` ask for.
pub(super) fn deployment<'a>(
    ui: &'a Ui,
    cloud: &'a Cloud,
    project: &'a Project,
    args: &args::Deploy,
) -> Result<Deployment<'a>> {
    let settings = project.settings();
    Ok(Deployment {
        ui,
        cloud,
        project,
        artifact: super::artifact_of(settings)?,
        functions: super::functions_of(settings)?,
        via: args.via.map_or(settings.via, via),
        zipedit: settings.zipedit.clone().unwrap_or_else(|| DEFAULT_FUNCTION.to_owned()),
        deletion: if args.delete { Deletion::Everything } else { Deletion::Owned },
        dry_run: args.dry_run,
        only: args.functions.clone(),
        affected: if args.all { Affected::All } else { settings.affected },
    })
}

/// All at once. What one has to tell stays together; that one fails doesn't stop the others.
async fn several(ui: &Ui, deployments: Vec<Deployment<'_>>, built: Vec<Named>, interrupts: &Interrupts) -> Several {
    let progress = ui.progress("Deploying");
    progress.of(deployments.len());
    let all = deployments.into_iter().map(async |deployment| {
        let part = ui.part();
        let name = deployment.project.settings().name.clone().unwrap_or_default();
        part.aside(format!("[{name}]").bold());
        let outcome = match (Deployment { ui: &part, ..deployment }).carry_out(interrupts).await {
            Ok(deploy) => {
                show(&part, &deploy);
                Ended::Deploy(Box::new(deploy))
            }
            Err(error) => {
                part.error(&error);
                Ended::Failed { ok: false, error }
            }
        };
        progress.advance();
        ui.tell(&part);
        Named { name, outcome }
    });
    let mut artifacts = futures::future::join_all(all).await;
    drop(progress);
    artifacts.extend(built);
    artifacts.sort_by(|a, b| a.name.cmp(&b.name));
    let ok = artifacts.iter().all(|artifact| match &artifact.outcome {
        Ended::Deploy(deploy) => deploy.ok,
        Ended::Full(full) => full.ok,
        Ended::Failed { .. } => false,
    });
    Several { command: "deploy", ok, artifacts }
}

fn via(arg: ViaArg) -> Via {
    match arg {
        ViaArg::Auto => Via::Auto,
        ViaArg::Lambda => Via::Lambda,
        ViaArg::Direct => Via::Direct,
    }
}

/// The table, what failed, and one last line.
pub(super) fn show(ui: &Ui, deploy: &Deploy) {
    let failed: Vec<&Outcome> = with(deploy, Status::Failed).collect();
    let stale = with(deploy, Status::Stale).count();
    let live = with(deploy, Status::Live).count();
    let unaffected = with(deploy, Status::Unaffected).count();
    if live + failed.len() + stale > 0 {
        ui.result(table(&deploy.functions, deploy.dry_run).render(ui.width()));
    }
    for error in failed.iter().filter_map(|outcome| outcome.error.as_ref()) {
        ui.error(error);
    }
    if let Some(newer) = &deploy.newer {
        tell_superseded(ui, &newer.superseded);
    }
    let took = duration(Duration::from_millis(deploy.elapsed_ms));
    let total = deploy.functions.len();
    let left = if unaffected == 0 { String::new() } else { format!(", {unaffected} not affected") };
    let settled = format!("{} already live{left}", plural(total - unaffected, "function"));
    for outcome in with(deploy, Status::Unaffected) {
        ui.verbose(format!("`{}` is not affected: {}", outcome.name, outcome.reason.as_deref().unwrap_or_default()));
    }
    if !failed.is_empty() {
        ui.warning(
            format!("{} of {} not running the artifact, after {took}", failed.len(), plural(total, "function")),
            &["run `quickdeploy` again: only those are updated".to_owned()],
        );
    } else if deploy.dry_run && stale == 0 {
        ui.status("Dry run", format!("nothing to do: {settled}"));
    } else if deploy.dry_run {
        let would = format!("{stale} of {} would be updated{left}", plural(total, "function"));
        ui.status("Dry run", format!("nothing was changed; {would}"));
    } else if live == 0 && stale == 0 {
        ui.status("Finished", format!("nothing to do: {settled}, in {took}"));
    } else if stale > 0 {
        ui.status("Finished", format!("{live} live in {took}{left}; {stale} left stale, as they were not asked for"));
    } else {
        ui.status("Finished", format!("{} live in {took}{left}", plural(total - unaffected, "function")));
    }
}

/// Changes of this run that are not in the version that came after it.
fn tell_superseded(ui: &Ui, names: &[String]) {
    let listed: Vec<String> = names.iter().take(LISTED).map(|name| format!("`{}`", printable(name))).collect();
    let more = names.len().saturating_sub(LISTED);
    let list = if more == 0 { listed.join(", ") } else { format!("{} and {more} more", listed.join(", ")) };
    if !names.is_empty() {
        ui.warning(
            format!("superseded: the version that came after this one has something else as {list}"),
            &["what was deployed from here is not live; run `quickdeploy` again, if it shall win".to_owned()],
        );
    }
}

fn with(deploy: &Deploy, status: Status) -> impl Iterator<Item = &Outcome> {
    deploy.functions.iter().filter(move |outcome| outcome.status == status)
}

/// Functions, with what they ran before and run now.
pub(super) fn table(outcomes: &[Outcome], dry_run: bool) -> Table {
    let columns =
        [("FUNCTION", Align::Left), ("STATUS", Align::Left), ("CODE SHA-256", Align::Left), ("TIME", Align::Right)];
    // In a dry run nothing takes any time.
    let shown = if dry_run { &columns[..3] } else { &columns[..] };
    let mut table = Table::new(shown);
    for outcome in outcomes {
        let (before, now) = (short_sha(&outcome.previous_code_sha256), short_sha(&outcome.code_sha256));
        let code = if before == now || before.is_empty() { now.to_owned() } else { format!("{before} → {now}") };
        let time = match outcome.elapsed_ms {
            0 => String::new(),
            ms => duration(Duration::from_millis(ms)),
        };
        table.row([outcome.name.clone(), word(outcome.status, dry_run).to_owned(), code, time]);
    }
    table
}

fn word(status: Status, dry_run: bool) -> &'static str {
    match status {
        Status::Live => "live",
        Status::Current => "already live",
        Status::Failed => "FAILED",
        Status::Stale if dry_run => "would be updated",
        Status::Stale => "stale",
        Status::Unaffected => "not affected",
    }
}
