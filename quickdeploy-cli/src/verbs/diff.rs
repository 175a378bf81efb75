//! `quickdeploy diff`: what a deploy would change in the artifact. Functions are not looked at.

use futures::future::try_join_all;
use owo_colors::OwoColorize;
use serde::Serialize;

use crate::args::{self, Global};
use crate::compare::{self, ArtifactDocument, Comparison, DiffDocument};
use crate::error::{Error, Result};
use crate::project::{ArtifactUrl, Deletion, Diff, Project};
use crate::ui::{Ui, bytes, count, printable};

/// The JSON document.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    command: &'static str,
    #[serde(flatten)]
    difference: Difference,
}

/// One artifact beside the project.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Difference {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    different: bool,
    artifact: ArtifactDocument,
    changes: DiffDocument,
}

/// The JSON document of a project with several artifacts.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Several {
    command: &'static str,
    different: bool,
    artifacts: Vec<Difference>,
}

pub(super) async fn run(ui: &Ui, global: &Global, args: &args::Diff) -> Result<u8> {
    let projects = super::find_projects(global, &args.artifacts)?;
    let cloud = super::connect(global, projects.first().map(Project::settings)).await?;
    let several = projects.iter().any(|project| project.settings().name.is_some());
    let deletion = if args.delete { Deletion::Everything } else { Deletion::Owned };
    let compared = {
        let _progress = ui.progress("Comparing");
        try_join_all(projects.iter().map(async |project| {
            let part = ui.part();
            let url = super::artifact_of(project.settings())?;
            let comparison = compare::compare(&part, &cloud, project, &url, deletion).await?;
            Ok::<_, Error>((part, url, comparison))
        }))
        .await?
    };
    let mut differences = Vec::with_capacity(projects.len());
    for (project, (part, url, comparison)) in projects.iter().zip(compared) {
        ui.tell(&part);
        let name = project.settings().name.clone();
        if let Some(name) = &name {
            ui.result(format!("[{name}]").bold());
        }
        tell(ui, &url, &comparison, deletion);
        let diff = &comparison.diff;
        differences.push(Difference {
            name,
            different: !diff.is_empty(),
            artifact: ArtifactDocument::of(&url, &comparison.artifact),
            changes: DiffDocument::of(&comparison),
        });
    }
    let different = differences.iter().any(|difference| difference.different);
    match differences.pop() {
        Some(difference) if !several => ui.document(&Document { command: "diff", difference })?,
        last => {
            differences.extend(last);
            ui.document(&Several { command: "diff", different, artifacts: differences })?;
        }
    }
    Ok(u8::from(args.exit_code && different))
}

fn tell(ui: &Ui, url: &ArtifactUrl, comparison: &Comparison, deletion: Deletion) {
    let diff = &comparison.diff;
    for line in lines(diff) {
        ui.result(line);
    }
    ui.status("Compared", format!("{url}: {}, {} unchanged", compare::counts(diff), diff.unchanged));
    if deletion == Deletion::Owned && !diff.only_in_artifact.is_empty() {
        ui.verbose(format!(
            "{} more entries are in the artifact only; a build put them there, `--delete` would delete them",
            count(diff.only_in_artifact.len() as u64)
        ));
    }
    compare::warn_of_manifests(ui, &comparison.beyond_a_patch);
}

/// `A name  size`, `M name  size`, `D name`: legible without colour, easy to cut by columns.
fn lines(diff: &Diff) -> Vec<String> {
    let added = diff
        .added
        .iter()
        .map(|file| format!("{} {}  {}", "A".green(), printable(&file.name), bytes(file.size).dimmed()));
    let modified = diff
        .modified
        .iter()
        .map(|file| format!("{} {}  {}", "M".yellow(), printable(&file.name), bytes(file.size).dimmed()));
    let deleted = diff.deleted.iter().map(|name| format!("{} {}", "D".red(), printable(name)));
    added.chain(modified).chain(deleted).collect()
}
