//! `quickdeploy patch`: one edit of one artifact, with no configuration.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use serde::Serialize;
use zipedit::{
    Changes, Content, EntryName, FileStore, NameError, Options, Precondition, Report, S3Store, Stop, Store, Strategy,
};

use crate::args::{self, Global, Mode};
use crate::aws::engine_error;
use crate::error::{Error, Result};
use crate::interrupt::Interrupts;
use crate::project::ArtifactUrl;
use crate::stamp::{self, Writer};
use crate::store_check::Question;
use crate::ui::{Ui, bytes, count};
use crate::via::moved;

/// The JSON document: the engine's report.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Document<'a> {
    command: &'static str,
    artifact: &'a str,
    #[serde(flatten)]
    report: &'a Report,
}

pub(super) async fn run(ui: &Ui, global: &Global, args: &args::Patch) -> Result<u8> {
    let interrupts = Interrupts::listen();
    let changes = changes(args)?;
    if changes.is_empty() {
        return Err(Error::usage("there is nothing to change")
            .hint("give `--put NAME=FILE`, `--delete NAME` or `--overlay ZIP`"));
    }
    let stop = Stop::never();
    let mut options = Options::new().stop(stop.clone());
    if let Some(etag) = &args.if_match {
        options = options.if_match(quoted(etag));
    }
    if args.dry_run {
        options = options.dry_run();
    }
    let edit = Edit { ui, interrupts, stop, changes, options };
    let report = if args.artifact.starts_with("s3://") {
        let url: ArtifactUrl = args.artifact.parse().map_err(Error::usage)?;
        let cloud = super::connect(global, None).await?;
        if !args.dry_run {
            let of = Precondition::OF_EDITS;
            let question = Question { ui, cloud: &cloud, artifact: &url, of, state_dir: None };
            edit.interrupts.stopping(ui, &args.artifact, &edit.stop, question.settle(&edit.stop)).await??;
        }
        let stamp = stamp::stamp(Writer::Patch, Path::new(".")).await;
        let edited = edit.carry_out(&S3Store::new(cloud.s3.clone(), url.bucket, url.key).stamped(stamp)).await?;
        edited.map_err(|error| cloud.explain_engine(&error))?
    } else {
        let path = Path::new(&args.artifact);
        if path.is_dir() {
            return Err(Error::new("NotAZip", format!("`{}` is a directory, not a zip archive", path.display())));
        }
        let edited = edit.carry_out(&FileStore::new(path)).await?;
        edited.map_err(|error| engine_error(&error))?
    };
    tell(ui, &args.artifact, &report);
    ui.document(&Document { command: "patch", artifact: &args.artifact, report: &report })?;
    Ok(0)
}

struct Edit<'a> {
    ui: &'a Ui,
    interrupts: Interrupts,
    stop: Stop,
    changes: Changes,
    options: Options,
}

impl Edit<'_> {
    /// An interrupt before the commit discards what was uploaded, and waits for that.
    async fn carry_out(&self, store: &impl Store) -> Result<Result<Report, zipedit::Error>> {
        let _progress = self.ui.progress("Patching");
        let editing = zipedit::edit(store, &self.changes, &self.options);
        self.interrupts.stopping(self.ui, store.location(), &self.stop, editing).await
    }
}

fn changes(args: &args::Patch) -> Result<Changes> {
    let mut modes: BTreeMap<&str, u16> = BTreeMap::new();
    for Mode { name, mode } in &args.modes {
        modes.insert(name, *mode);
    }
    let mut changes = Changes::new();
    if let Some(overlay) = &args.overlay {
        read_overlay(overlay, &mut modes, &mut changes)?;
    }
    for (place, put) in args.puts.iter().enumerate() {
        if args.puts[..place].iter().any(|earlier| earlier.name == put.name) {
            return Err(Error::usage(format!("`{}` can't be put twice", put.name)));
        }
        let content = with_mode(Content::new(read_file(&put.file)?), modes.remove(put.name.as_str()));
        changes.put(name(&put.name)?, content);
    }
    for deleted in &args.deletes {
        if args.puts.iter().any(|put| put.name == *deleted) {
            return Err(Error::usage(format!("`{deleted}` can't be both put and deleted")));
        }
        changes.delete(name(deleted)?);
    }
    match modes.into_keys().next() {
        None => Ok(changes),
        Some(unused) => Err(Error::usage(format!("`--mode {unused}=…` needs a `--put {unused}=FILE`"))
            .hint("a mode is set together with a content")),
    }
}

/// An ETag as S3 has it, between quotes; people leave them out.
fn quoted(etag: &str) -> String {
    if etag.starts_with('"') || etag.starts_with("W/") { etag.to_owned() } else { format!("\"{etag}\"") }
}

/// `-` is standard input.
fn read_file(path: &Path) -> Result<Vec<u8>> {
    if path != Path::new("-") {
        return std::fs::read(path).map_err(|error| Error::file("read", path, &error));
    }
    let mut content = Vec::new();
    std::io::stdin()
        .read_to_end(&mut content)
        .map_err(|error| Error::new("File", "could not read standard input").because(&error))?;
    Ok(content)
}

/// Every file of a zip. Its permissions count where it was made on Unix; other archives have none.
fn read_overlay(path: &Path, modes: &mut BTreeMap<&str, u16>, changes: &mut Changes) -> Result<()> {
    let broken = |error: zip::result::ZipError| {
        let error_of = |what: &str| Error::new("Overlay", format!("`{}` {what}", path.display()));
        match error {
            zip::result::ZipError::InvalidArchive(_) => error_of("is not a zip archive, or a damaged one"),
            error => error_of("can't be read as a zip archive").because(&error),
        }
    };
    let file = std::fs::File::open(path).map_err(|error| Error::file("open", path, &error))?;
    let mut archive = zip::ZipArchive::new(file).map_err(broken)?;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(broken)?;
        if entry.is_dir() {
            continue;
        }
        let entry_name = entry.name().map_err(broken)?.into_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(|error| Error::file("unpack", path, &error))?;
        let mode = modes.remove(entry_name.as_str());
        let own = entry.unix_mode().and_then(|mode| u16::try_from(mode & 0o7777).ok()).filter(|mode| *mode != 0);
        changes.put(name(&entry_name)?, with_mode(Content::new(content), mode.or(own)));
    }
    Ok(())
}

fn with_mode(content: Content, mode: Option<u16>) -> Content {
    match mode {
        Some(mode) => content.with_mode(mode.into()),
        None => content,
    }
}

fn name(text: &str) -> Result<EntryName> {
    EntryName::new(text).map_err(|error: NameError| {
        Error::new("InvalidEntryName", error.to_string())
            .hint("names in a zip are relative, with `/` between their parts")
    })
}

fn tell(ui: &Ui, artifact: &str, report: &Report) {
    let counts = [
        (report.added, "added"),
        (report.modified - report.identical, "modified"),
        (report.deleted, "deleted"),
        (report.identical, "identical"),
        (report.missing, "not there to delete"),
    ];
    let counts: Vec<String> = counts
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| format!("{} {what}", count(*number)))
        .collect();
    let verb = match (report.strategy, report.dry_run) {
        (Strategy::None, _) => "Unchanged",
        (_, true) => "Would patch",
        (_, false) => "Patched",
    };
    ui.status(verb, format!("{artifact}: {}; {}", counts.join(", "), bytes(report.size)));
    // What a dry run reads says nothing about what the edit will move.
    if !report.dry_run {
        let copied = if artifact.starts_with("s3://") { "copied inside S3" } else { "copied from file to file" };
        match report.strategy {
            Strategy::None => ui.detail(format!("{} read, nothing written", bytes(report.traffic.bytes_read))),
            strategy => ui.detail(format!("{}: {}", strategy.as_str(), moved(report, copied))),
        }
    }
    ui.verbose(format!(
        "ETag {}{}",
        report.etag,
        report.version_id.as_ref().map(|id| format!(", version {id}")).unwrap_or_default()
    ));
}
