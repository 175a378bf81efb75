//! The project beside its artifact: what differs.
//!
//! The artifact's tail is read while the project's files are, since neither needs the other; or it is the one that was
//! kept of the last run (see [`crate::tails`]).

use std::borrow::Cow;

use serde::Serialize;
use tokio::sync::RwLock;
use zipedit::{Object as _, S3Object, S3Store};

use crate::aws::Cloud;
use crate::built_from::{self, BuiltFrom};
use crate::error::{Error, Result};
use crate::project::{
    ArtifactEntry, ArtifactUrl, Deletion, Diff, ManifestChange, ManifestKind, Project, ProjectError, Scan,
};
use crate::tails::Tails;
use crate::ui::{Ui, bytes, printable};
use crate::via::S3Artifact;

/// Only so many changed names are listed without `-v`.
const LISTED: usize = 12;

/// Both sides, and the difference.
pub(crate) struct Comparison {
    pub(crate) store: S3Store,
    pub(crate) artifact: S3Artifact,
    pub(crate) scan: Scan,
    pub(crate) diff: Diff,
    /// What was declared anew since the last full build and a patch can't bring about. Templates come last.
    pub(crate) beyond_a_patch: Vec<ManifestChange>,
}

/// Reads both sides and compares them.
///
/// # Errors
///
/// The artifact isn't there, may not be read or is no zip; the project can't be read.
pub(crate) async fn compare(
    ui: &Ui,
    cloud: &Cloud,
    project: &Project,
    url: &ArtifactUrl,
    deletion: Deletion,
) -> Result<Comparison> {
    let store = S3Store::new(cloud.s3.clone(), &url.bucket, &url.key);
    let tails = Tails::of(project.settings().state_dir.as_deref(), url);
    let scanned = {
        let (project, url) = (project.clone(), url.to_string());
        blocking(move || project.scan(&url))
    };
    let opened = async { tails.open(ui, &store).await.map_err(|error| artifact_error(cloud, &error)) };
    let (artifact, scan) = tokio::try_join!(opened, scanned)?;
    whole(ui, project, store, artifact, scan, deletion).await
}

/// Compares what was read of both sides.
///
/// # Errors
///
/// A file of the project can't be read.
pub(crate) async fn whole(
    ui: &Ui,
    project: &Project,
    store: S3Store,
    artifact: S3Artifact,
    scan: Scan,
    deletion: Deletion,
) -> Result<Comparison> {
    let (scan, difference) = difference(project, &artifact, scan, deletion).await?;
    let Difference { diff, beyond_a_patch } = difference?;
    ui.verbose(format!("{} files here, {} of them read; the others are known to the index", scan.len(), scan.read()));
    Ok(Comparison { store, artifact, scan, diff, beyond_a_patch })
}

/// What differs, and what of it a patch can't bring about.
pub(crate) struct Difference {
    pub(crate) diff: Diff,
    /// As in [`Comparison`].
    pub(crate) beyond_a_patch: Vec<ManifestChange>,
}

/// What differs between the artifact and the project's files; an error when a file can't be read. The scan comes back
/// either way.
pub(crate) async fn difference(
    project: &Project,
    artifact: &S3Artifact,
    scan: Scan,
    deletion: Deletion,
) -> Result<(Scan, Result<Difference>)> {
    // Its bytes are shared, not copied.
    let directory = artifact.directory().clone();
    let built = artifact.object().metadata(built_from::KEY).and_then(BuiltFrom::decode);
    let mut scan = scan;
    let project = project.clone();
    in_background(move || {
        let names: Vec<Cow<'_, str>> = directory.entries().map(|entry| entry.name()).collect();
        let entries: Vec<ArtifactEntry<'_>> = directory
            .entries()
            .zip(&names)
            .map(|(entry, name)| ArtifactEntry {
                name,
                size: entry.size(),
                crc32: entry.crc32(),
                is_dir: entry.is_dir(),
            })
            .collect();
        let difference = scan.diff(&entries, deletion).and_then(|diff| {
            let beyond_a_patch = beyond_a_patch(&project, &scan, &diff, built.as_ref())?;
            Ok(Difference { diff, beyond_a_patch })
        });
        (scan, difference.map_err(|error| project_error(&error)))
    })
    .await
}

/// What was declared anew since the full build that the artifact tells of; without one, since the artifact's own files.
fn beyond_a_patch(
    project: &Project,
    scan: &Scan,
    diff: &Diff,
    built: Option<&BuiltFrom>,
) -> Result<Vec<ManifestChange>, ProjectError> {
    let Some(built) = built else { return Ok(diff.manifests.clone()) };
    let now = BuiltFrom::new(&project.manifests_of(scan)?);
    let template = project.settings().full.template.as_ref();
    let is_template = |path: &str| template.is_some_and(|(name, _)| name == path);
    let mut changes = now.changed_since(built, is_template);
    // Templates that no full build deploys are only known by the artifact.
    let others = diff.manifests.iter().filter(|change| change.kind == ManifestKind::Template);
    let others: Vec<ManifestChange> = others.filter(|change| !changes.contains(change)).cloned().collect();
    changes.extend(others);
    Ok(changes)
}

/// Runs what reads the disk where it doesn't hold up the network.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ProjectError> + Send + 'static,
) -> Result<T> {
    in_background(work).await?.map_err(|error| project_error(&error))
}

/// Held for reading by everything that [`in_background`] runs.
static UNDER_WAY: RwLock<()> = RwLock::const_new(());

/// Runs what holds a thread up on one of its own. It runs to its end even if nobody waits for it any more.
pub(crate) async fn in_background<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let under_way = UNDER_WAY.read().await;
    let running = tokio::task::spawn_blocking(move || {
        let done = work();
        drop(under_way);
        done
    });
    running.await.map_err(|error| Error::new("Bug", "work in the background broke off").because(&error))
}

/// Waits for what nobody waited for: it may still be writing files.
pub(crate) async fn background_is_quiet() {
    drop(UNDER_WAY.write().await);
}

/// The project's error; its messages name the way out themselves.
pub(crate) fn project_error(error: &ProjectError) -> Error {
    match error {
        ProjectError::Config(config) => Error::new("Config", config.to_string()),
        ProjectError::Io { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
            Error::new("Project", error.to_string()).hint("give yourself permission, or add it to `exclude`")
        }
        other => Error::new("Project", other.to_string()).because(other),
    }
}

/// The engine's error, with what it means for a project.
pub(crate) fn artifact_error(cloud: &Cloud, error: &zipedit::Error) -> Error {
    let told = cloud.explain_engine(error);
    match told.error_type() {
        "ArtifactNotFound" => told
            .hint("check `artifact` in quickdeploy.toml, and the region")
            .hint("the first artifact comes from a full build: `quickdeploy full`"),
        "NotAZip" => {
            told.hint("check `artifact` in quickdeploy.toml: is it the zip that the functions are deployed from?")
        }
        _ => told,
    }
}

/// Tells what differs, `git status` style.
pub(crate) fn tell(ui: &Ui, diff: &Diff) {
    let lines = diff
        .added
        .iter()
        .map(|change| format!("+ {}  {}", printable(&change.name), bytes(change.size)))
        .chain(diff.modified.iter().map(|change| format!("~ {}  {}", printable(&change.name), bytes(change.size))))
        .chain(diff.deleted.iter().map(|name| format!("- {}", printable(name))));
    let limit = if ui.is_verbose() { usize::MAX } else { LISTED };
    for line in lines.clone().take(limit) {
        ui.detail(line);
    }
    let more = lines.count().saturating_sub(limit);
    if more > 0 {
        ui.detail(format!("… and {more} more (`-v` lists all)"));
    }
}

/// `2 added, 1 modified (4.1 KiB)`; `no difference` when there is none.
pub(crate) fn counts(diff: &Diff) -> String {
    if diff.is_empty() {
        return "no difference".to_owned();
    }
    let counts: Vec<String> =
        [(diff.added.len(), "added"), (diff.modified.len(), "modified"), (diff.deleted.len(), "deleted")]
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
    let size = if diff.puts().next().is_some() { format!(" ({})", bytes(diff.put_bytes())) } else { String::new() };
    format!("{}{size}", counts.join(", "))
}

/// Warns of what was declared since the last full build: a patch carries the text of manifests, not what they stand for.
/// One warning for those that install something, one for templates.
pub(crate) fn warn_of_manifests(ui: &Ui, changes: &[ManifestChange]) {
    let of = |template: bool| {
        let is_template = |kind: &ManifestKind| matches!(kind, ManifestKind::Template);
        let chosen = changes.iter().filter(move |ManifestChange { kind, .. }| is_template(kind) == template);
        chosen.map(|ManifestChange { path, .. }| format!("`{path}`")).collect::<Vec<_>>()
    };
    let have = |paths: &[String]| if paths.len() == 1 { "has" } else { "have" };
    let (installing, templates) = (of(false), of(true));
    if !installing.is_empty() {
        ui.warning(
            format!("{} {} changed: a patch does not install dependencies", installing.join(", "), have(&installing)),
            &["a full build does: `quickdeploy full`".to_owned()],
        );
    }
    if !templates.is_empty() {
        ui.warning(
            format!("{} {} changed: a patch does not deploy stacks", templates.join(", "), have(&templates)),
            &["`quickdeploy full` deploys the stack that `template` names; deploy others as you usually do".to_owned()],
        );
    }
}

/// The artifact, in JSON.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct ArtifactDocument {
    pub(crate) url: String,
    pub(crate) etag: String,
    pub(crate) version_id: Option<String>,
    /// In bytes.
    pub(crate) size: u64,
    pub(crate) entries: u64,
}

impl ArtifactDocument {
    pub(crate) fn of(url: &ArtifactUrl, artifact: &S3Artifact) -> Self {
        Self::new(url, artifact.object(), artifact.directory().len() as u64)
    }

    pub(crate) fn new(url: &ArtifactUrl, object: &S3Object, entries: u64) -> Self {
        Self {
            url: url.to_string(),
            etag: object.etag().to_owned(),
            version_id: object.version_id().map(str::to_owned),
            size: object.size(),
            entries,
        }
    }
}

/// The difference, in JSON.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct DiffDocument {
    pub(crate) added: Vec<FileDocument>,
    pub(crate) modified: Vec<FileDocument>,
    pub(crate) deleted: Vec<String>,
    pub(crate) unchanged: usize,
    /// In the artifact, not here, and not for this project to delete.
    pub(crate) only_in_artifact: usize,
    /// Dependency manifests and templates that were edited since the last full build, as far as that is known.
    pub(crate) manifests: Vec<String>,
}

/// One changed file.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct FileDocument {
    pub(crate) name: String,
    /// In bytes.
    pub(crate) size: u64,
}

impl DiffDocument {
    /// Whether there is no difference.
    pub(crate) fn is_empty(&self) -> bool {
        self.added.is_empty() && self.modified.is_empty() && self.deleted.is_empty()
    }

    pub(crate) fn of(comparison: &Comparison) -> Self {
        let Comparison { diff, beyond_a_patch, .. } = comparison;
        Self::new(diff, diff.only_in_artifact.len(), beyond_a_patch)
    }

    pub(crate) fn new(diff: &Diff, only_in_artifact: usize, beyond_a_patch: &[ManifestChange]) -> Self {
        let files = |changes: &[crate::project::Change]| {
            changes.iter().map(|change| FileDocument { name: change.name.clone(), size: change.size }).collect()
        };
        Self {
            added: files(&diff.added),
            modified: files(&diff.modified),
            deleted: diff.deleted.clone(),
            unchanged: diff.unchanged,
            only_in_artifact,
            manifests: beyond_a_patch.iter().map(|manifest| manifest.path.clone()).collect(),
        }
    }
}
