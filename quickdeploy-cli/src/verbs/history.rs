//! `quickdeploy history`: the artifact's versions, newest first.

use std::time::SystemTime;

use owo_colors::OwoColorize;
use serde::Serialize;
use zipedit::S3Store;

use crate::args::{self, Global};
use crate::aws::Cloud;
use crate::error::{Error, Result};
use crate::functions::{self, Function};
use crate::memory::Memory;
use crate::project::{ArtifactUrl, Settings};
use crate::ui::{Ui, ago, bytes, moment, plural, printable, rfc3339};
use crate::versions::cache::{Cache, Known};
use crate::versions::look::{Looked, before};
use crate::versions::runs::{Runs, runs};
use crate::versions::{self, Version, Versioning, What, short, short_length};

/// Names that are shown of one version without `-v`.
const LISTED: usize = 5;

/// The JSON document.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Document {
    command: &'static str,
    ok: bool,
    artifact: String,
    /// Newest first.
    versions: Vec<Row>,
    /// Whether there are older versions than these.
    more: bool,
    /// Functions that run none of these versions, as far as is known.
    functions_elsewhere: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    versioning: Option<&'static str>,
}

/// One version.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct Row {
    version_id: String,
    current: bool,
    delete_marker: bool,
    last_modified: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    storage_class: Option<String>,
    #[serde(flatten)]
    known: KnownDocument,
    /// Why it could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    functions: Vec<RunsDocument>,
}

/// What was read of a version.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct KnownDocument {
    #[serde(skip_serializing_if = "Option::is_none")]
    entries: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    /// `deploy`, `full`, `patch` or `rollback`; `other` when the version says nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    writer: Option<&'static str>,
    /// The version that was rolled back to.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<versions::cache::Since>,
}

/// A function that runs a version.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct RunsDocument {
    name: String,
    /// Known by hash or reference; else by the code's length alone.
    certain: bool,
    /// It runs from the version itself: the version must not be deleted.
    referenced: bool,
}

pub(super) async fn run(ui: &Ui, global: &Global, args: &args::History) -> Result<u8> {
    let project = super::find_project(global, &args.artifacts)?;
    let settings = project.settings();
    let url = super::artifact_of(settings)?;
    let cloud = super::connect(global, Some(settings)).await?;
    let cache = Cache::in_directory(settings.state_dir.as_deref());
    let store = S3Store::new(cloud.s3.clone(), &url.bucket, &url.key);
    let mut looked = Looked::knowing(cache.recall(&url.to_string()));

    let progress = ui.progress("Reading the history");
    // The last row is compared with one that is not shown.
    let reading = async {
        let versions = versions::list(&cloud, &url, args.number.saturating_add(1)).await?;
        if args.no_changes {
            looked.at_writers(&cloud, &store, &versions, args.number).await;
        } else {
            looked.at_changes(&cloud, &store, &versions, args.number).await;
        }
        Ok::<_, Error>(versions)
    };
    let asking = async {
        let versioning = versions::versioning(&cloud, &url.bucket).await;
        Ok(versioning.map_err(|error| ui.warning(&error, error.hints())).ok())
    };
    let (versions, functions, versioning) = tokio::try_join!(reading, found(ui, &cloud, settings, &url), asking)?;
    drop(progress);
    if let Err(error) = cache.learn(&url.to_string(), &looked.news) {
        ui.warning(&error, error.hints());
    }
    if versions.is_empty() {
        return Err(Error::new("ArtifactNotFound", format!("{url} has no version: it is not there"))
            .hint("check `artifact` in quickdeploy.toml, and the region"));
    }
    let document = document(&url, &versions, args.number, &looked, &functions, versioning);
    show(ui, &document, &versions, &looked);
    // What mends one mends all.
    for hint in looked.failed.values().next().map_or(&[][..], Error::hints) {
        ui.hint(hint);
    }
    ui.document(&document)?;
    Ok(0)
}

/// The functions that are configured. Without them a history is still one.
async fn found(ui: &Ui, cloud: &Cloud, settings: &Settings, url: &ArtifactUrl) -> Result<Vec<Function>> {
    let Some(wanted) = &settings.functions else { return Ok(Vec::new()) };
    let remembered = Memory::in_directory(settings.state_dir.as_deref()).recall(&url.to_string());
    Ok(functions::find(cloud, wanted, &remembered.behind).await.unwrap_or_else(|error| {
        ui.warning(format!("which versions the functions run is not known: {error}"), error.hints());
        Vec::new()
    }))
}

fn document(
    url: &ArtifactUrl,
    versions: &[Version],
    number: usize,
    looked: &Looked,
    functions: &[Function],
    versioning: Option<Versioning>,
) -> Document {
    let mut rows: Vec<Row> = versions.iter().take(number).map(|version| row(version, looked)).collect();
    let mut functions_elsewhere = Vec::new();
    for function in functions {
        let (places, certain) = match runs(function, url, versions, &looked.known) {
            Runs::This(at) => (vec![at], true),
            Runs::Likely(at) => (vec![at], false),
            Runs::OneOf(places) => (places, false),
            Runs::Other => (Vec::new(), true),
        };
        let referenced = function.referenced.is_some();
        let shown: Vec<usize> = places.into_iter().filter(|at| *at < rows.len()).collect();
        if shown.is_empty() {
            functions_elsewhere.push(function.name.clone());
        }
        for at in shown {
            rows[at].functions.push(RunsDocument { name: function.name.clone(), certain, referenced });
        }
    }
    Document {
        command: "history",
        ok: true,
        artifact: url.to_string(),
        versions: rows,
        more: versions.len() > number,
        functions_elsewhere,
        versioning: versioning.map(Versioning::as_str),
    }
}

fn row(version: &Version, looked: &Looked) -> Row {
    let (size, etag, storage_class) = match &version.what {
        What::Object { size, etag, storage_class } => (Some(*size), Some(etag.clone()), Some(storage_class.clone())),
        What::DeleteMarker => (None, None, None),
    };
    let known = looked.known.get(&version.id).filter(|known| known.is_read);
    Row {
        version_id: version.id.clone(),
        current: version.is_latest,
        delete_marker: version.object().is_none(),
        last_modified: rfc3339(version.modified),
        size,
        etag,
        storage_class,
        known: known.map(known_document).unwrap_or_default(),
        error: looked.failed.get(&version.id).map(ToString::to_string),
        functions: Vec::new(),
    }
}

fn known_document(known: &Known) -> KnownDocument {
    let written = known.written.as_ref();
    KnownDocument {
        entries: known.entries,
        by: written.map(|written| written.by.clone()),
        writer: Some(written.map_or("other", |written| written.writer.as_str())),
        from: written.and_then(|written| written.from.clone()),
        changes: known.since.clone(),
    }
}

/// A line per version with what is known of it below, as `git log` shows commits.
fn show(ui: &Ui, document: &Document, versions: &[Version], looked: &Looked) {
    let length = short_length(versions);
    let now = SystemTime::now();
    for (at, (row, version)) in document.versions.iter().zip(versions).enumerate() {
        let mark = if row.current { "*" } else { " " };
        let id = short(&row.version_id, length);
        let when = format!("{}, {}", moment(version.modified, now), ago(version.modified, now));
        let what = match (row.size, row.known.writer) {
            (None, _) => "deleted".red().to_string(),
            (Some(size), None) => bytes(size),
            (Some(size), Some(writer)) => format!("{:>9}  {}", bytes(size), told(ui, row, writer, length)),
        };
        ui.result(format!("{mark} {}  {when:<26}{what}", format_args!("{id:<length$}").yellow()));
        let indent = " ".repeat(length + 4);
        let line = |text: String| ui.result(format!("{indent}{}", ui.cut(&text, length + 4)));
        if ui.is_verbose() && id != row.version_id {
            line(row.version_id.clone());
        }
        if let Some(error) = &row.error {
            line(format!("not read: {error}"));
        }
        if let Some(from) = &row.known.from {
            line(format!("back to {}", short(from, length)));
        }
        for text in changes(ui, row, before(versions, at), length) {
            line(text);
        }
        if let Some(class) = row.storage_class.as_deref().filter(|class| *class != "STANDARD") {
            line(format!("storage class {class}"));
        }
        if !row.functions.is_empty() {
            line(format!("runs in {}", functions_of(row)));
        }
    }
    if document.more {
        ui.detail(format!("older versions are there; `-n NUMBER` lists more than {}", document.versions.len()));
    }
    if !document.functions_elsewhere.is_empty() {
        ui.detail(format!("not known to run any of these: {}", document.functions_elsewhere.join(", ")));
    }
    if document.versions.iter().any(|row| row.functions.iter().any(|function| !function.certain)) {
        ui.detail("`?`: by the length of its code alone");
    }
    let bucket = document.artifact.trim_start_matches("s3://").split('/').next().unwrap_or_default();
    if document.versioning.is_some_and(|state| state != Versioning::Enabled.as_str()) {
        ui.warning(
            format!("the bucket `{bucket}` keeps no versions of what is written from now on"),
            &[versions::how_to_keep_versions(bucket)],
        );
    }
    let unread = looked.failed.len();
    if unread > 0 {
        ui.warning(format!("{} could not be read", plural(unread, "version")), &[]);
    }
}

/// Columns in front of who wrote a version, besides its id.
const BEFORE_WRITER: usize = 2 + 2 + 26 + 9 + 2;

/// `deploy by ada@example.com`.
fn told(ui: &Ui, row: &Row, writer: &str, length: usize) -> String {
    match &row.known.by {
        None => "by another program".dimmed().to_string(),
        Some(by) => {
            let by = ui.cut(&format!(" by {}", printable(by)), BEFORE_WRITER + length + writer.len());
            format!("{}{by}", writer.green())
        }
    }
}

fn functions_of(row: &Row) -> String {
    let names = row.functions.iter().map(|function| {
        let doubt = if function.certain { "" } else { "?" };
        let reference = if function.referenced { " (REFERENCE)" } else { "" };
        format!("{}{doubt}{reference}", function.name)
    });
    names.collect::<Vec<_>>().join(", ")
}

/// What changed in a version against the one before, in lines.
fn changes(ui: &Ui, row: &Row, older: Option<&Version>, length: usize) -> Vec<String> {
    let Some(since) = &row.known.changes else {
        let entries = row.known.entries.map(plural_entries);
        return entries.filter(|_| older.is_none() && !row.delete_marker).into_iter().collect();
    };
    let total = since.changes.count();
    if total == 0 {
        return vec![format!("the same files as {}", short(&since.version, length))];
    }
    let listed = if ui.is_verbose() { usize::MAX } else { LISTED };
    let names: Vec<String> =
        since.changes.marked().take(listed).map(|(mark, name)| format!("{mark} {}", printable(name))).collect();
    let more = total - names.len();
    if ui.is_verbose() {
        let rest = (more > 0).then(|| format!("… and {more} more"));
        return names.into_iter().chain(rest).collect();
    }
    if total <= LISTED {
        return vec![names.join("  ")];
    }
    let counts =
        [(&since.changes.added, "added"), (&since.changes.modified, "modified"), (&since.changes.deleted, "deleted")];
    let counts =
        counts.iter().filter(|(names, _)| names.count > 0).map(|(names, what)| format!("{} {what}", names.count));
    vec![counts.collect::<Vec<_>>().join(", "), format!("{}  …", names.join("  "))]
}

fn plural_entries(entries: u64) -> String {
    match entries {
        1 => "the oldest: 1 entry".to_owned(),
        entries => format!("the oldest: {} entries", crate::ui::count(entries)),
    }
}
