//! `quickdeploy diff`: what a deploy would change in the artifact. Functions are not looked at.

use owo_colors::OwoColorize;
use serde::Serialize;

use crate::args::{self, Global};
use crate::compare::{self, ArtifactDocument, DiffDocument};
use crate::error::Result;
use crate::project::{Deletion, Diff};
use crate::ui::{Ui, bytes, count, printable};

/// The JSON document.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    command: &'static str,
    different: bool,
    artifact: ArtifactDocument,
    changes: DiffDocument,
}

pub(super) async fn run(ui: &Ui, global: &Global, args: &args::Diff) -> Result<u8> {
    let project = super::find_project(global)?;
    let settings = project.settings();
    let url = super::artifact_of(settings)?;
    let cloud = super::connect(global, Some(settings)).await?;
    let deletion = if args.delete { Deletion::Everything } else { Deletion::Owned };
    let comparison = {
        let _progress = ui.progress("Comparing");
        compare::compare(ui, &cloud, &project, &url, deletion).await?
    };
    let diff = &comparison.diff;
    for line in lines(diff) {
        ui.result(line);
    }
    ui.status("Compared", format!("{url}: {}, {} unchanged", compare::counts(diff), diff.unchanged));
    if !args.delete && !diff.only_in_artifact.is_empty() {
        ui.verbose(format!(
            "{} more entries are in the artifact only; a build put them there, `--delete` would delete them",
            count(diff.only_in_artifact.len() as u64)
        ));
    }
    compare::warn_of_manifests(ui, diff);
    ui.document(&Document {
        command: "diff",
        different: !diff.is_empty(),
        artifact: ArtifactDocument::of(&url, &comparison.artifact),
        changes: DiffDocument::of(diff),
    })?;
    Ok(u8::from(args.exit_code && !diff.is_empty()))
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
