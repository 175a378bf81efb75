//! The function `zipedit` beside a Python 3 port of the original, on the same artifacts and the same edits.

use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use zipedit::Directory;
use zipedit::directory::Search;

use crate::cloud::Cloud;
use crate::cloud::bill::Bill;
use crate::link::Place;
use crate::paths;
use crate::programs::{Peer, Programs};
use crate::progress::Progress;
use crate::project;
use crate::stage::UPDATE_MS;

const BUCKET: &str = "benches";
/// What the function reads of an artifact first, in bytes: the directory is in it.
const TAIL: u64 = 512 << 10;

/// Who edits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Editor {
    /// Ours.
    Zipedit,
    /// `tests/tools/original.py`.
    Original,
}

impl Editor {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Zipedit, Self::Original];

    /// What it is called in the report.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Zipedit => "zipedit",
            Self::Original => "the original, in Python 3",
        }
    }

    fn function(self) -> &'static str {
        match self {
            Self::Zipedit => "zipedit",
            Self::Original => "original",
        }
    }
}

/// One edit.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Edited {
    /// By whom.
    pub(crate) editor: Editor,
    /// What is varied: the artifact's size in MB, its entries, the files that change.
    pub(crate) of: u64,
    /// From the call to the answer, in ms; without the start of a process.
    pub(crate) ms: f64,
    /// From the start of the process to its first poll, in ms: for the first edit of a process.
    pub(crate) init_ms: Option<f64>,
    /// Of the function, in ms.
    pub(crate) cpu_ms: f64,
    /// The most resident memory of the function so far, in MiB.
    pub(crate) memory_mib: Option<f64>,
    /// Between function and S3, both ways, headers included, in bytes.
    pub(crate) moved: u64,
    /// Requests to S3.
    pub(crate) requests: u64,
    /// What has to be moved, in bytes. By a process that has just started: what changed, compressed; the directory twice;
    /// the tail. By one that has the artifact's end from its last edit: what changed, and the directory. Ours only.
    pub(crate) least: Option<u64>,
}

/// A cloud with both functions.
pub(crate) struct Bench {
    cloud: Cloud,
    /// Of the central directory of the artifact that was put last, in bytes.
    directory: u64,
    _scratch: tempfile::TempDir,
}

impl Bench {
    /// Starts it; no process of a function runs yet.
    ///
    /// # Errors
    /// A program is missing.
    pub(crate) fn start(programs: &Programs) -> Result<Self> {
        Peer::Python.install()?;
        let mut cloud = Cloud::start(&Place::new(None), &programs.bootstrap, UPDATE_MS, &programs.path()?)?;
        cloud.bucket(BUCKET, false)?;
        let scratch = tempfile::tempdir()?;
        let zip = scratch.path().join("original.zip");
        let code = std::fs::read(paths::workspace().join("tests/tools/original.py"))?;
        std::fs::write(&zip, zipped("original.py", &code)?)?;
        cloud.function(Editor::Original.function(), "python3.11", "original.handler", &zip)?;
        cloud.live(&[Editor::Original.function().to_owned()])?;
        Ok(Self { cloud, directory: 0, _scratch: scratch })
    }

    /// Puts the artifact that this editor is to edit.
    ///
    /// # Errors
    /// S3 refuses.
    pub(crate) fn put(&mut self, editor: Editor, artifact: &Path) -> Result<()> {
        let archive = Bytes::from(std::fs::read(artifact)?);
        let Search::Found(directory) = Directory::find(&archive, archive.len() as u64)? else {
            bail!("{} has no directory", artifact.display());
        };
        self.directory = directory.size();
        self.cloud.put(BUCKET, &key(editor), artifact)
    }

    /// Lets it put texts under names. `of` goes into the result.
    ///
    /// # Errors
    /// It fails, or answers with other counts.
    pub(crate) fn edit(&mut self, editor: Editor, of: u64, texts: &[(String, String)]) -> Result<Edited> {
        let changes: serde_json::Map<String, Value> =
            texts.iter().map(|(name, text)| (name.clone(), Value::from(text.as_str()))).collect();
        let event = json!({ "src": format!("s3://{BUCKET}/{}", key(editor)), "changes": changes });
        self.cloud.requests()?;
        let called = self.cloud.invoke(editor.function(), event)?;
        if called.failed {
            bail!("{}: {}", editor.function(), called.answer);
        }
        let counted = ["added", "modified"].map(|name| called.answer[name].as_u64().unwrap_or_default());
        ensure!(counted.iter().sum::<u64>() == texts.len() as u64, "{} answers {}", editor.function(), called.answer);
        let bill = Bill::of(&self.cloud.requests()?);
        let least = match editor {
            Editor::Original => None,
            Editor::Zipedit => {
                let changed: usize =
                    texts.iter().map(|(name, text)| Ok(zipped(name, text.as_bytes())?.len())).sum::<Result<usize>>()?;
                let read = if called.init_ms.is_some() { self.directory + TAIL } else { 0 };
                Some(changed as u64 + self.directory + read)
            }
        };
        Ok(Edited {
            editor,
            of,
            ms: called.ms - called.init_ms.unwrap_or_default(),
            init_ms: called.init_ms,
            cpu_ms: called.cpu_ms,
            memory_mib: called.memory_mib,
            moved: bill.inside,
            requests: bill.requests_inside,
            least,
        })
    }
}

fn key(editor: Editor) -> String {
    format!("{}.zip", editor.function())
}

/// A zip of one file.
fn zipped(name: &str, content: &[u8]) -> Result<Vec<u8>> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file(name, zip::write::SimpleFileOptions::default())?;
    writer.write_all(content)?;
    Ok(writer.finish()?.into_inner())
}

/// One line of one handler, at each size: cold first, then warm.
///
/// # Errors
/// A project or program is missing, or an edit fails.
pub(crate) fn by_size(sizes: &[u32], runs: usize, programs: &Programs, progress: &Progress) -> Result<Vec<Edited>> {
    let mut edits = Vec::new();
    for &size in sizes {
        let artifact = artifact(size)?;
        let handler = std::fs::read_to_string(paths::own().join("projects/common/handlers/a.js"))?;
        for process in 1..=2 {
            let mut bench = Bench::start(programs)?;
            for editor in Editor::ALL {
                bench.put(editor, &artifact)?;
            }
            for run in 0..=runs.div_ceil(2) {
                for editor in Editor::ALL {
                    let line = format!("const EDITED = {};", process * 100 + run);
                    let text = handler.replacen("const EDITED = 0;", &line, 1);
                    let edit = bench.edit(editor, u64::from(size), &[("handlers/a.js".to_owned(), text)])?;
                    progress.done(&format!("{size:>4} MB {:>10} {:9.1} ms", editor.function(), edit.ms));
                    edits.push(edit);
                }
            }
        }
    }
    Ok(edits)
}

/// The project of this size as one zips it.
fn artifact(size: u32) -> Result<PathBuf> {
    let project = project::installed(size)?;
    let zip = paths::target().join(format!("artifact-{size}.zip"));
    if zip.exists() {
        std::fs::remove_file(&zip)?;
    }
    let mut command = Command::new("zip");
    let status = command.args(["-qr"]).arg(std::path::absolute(&zip)?).arg(".").current_dir(project).status();
    ensure!(status.context("cannot run `zip`: install it")?.success(), "zip failed");
    Ok(zip)
}

/// By the number of entries, one of which changes.
///
/// # Errors
/// A program is missing, or an edit fails.
pub(crate) fn by_entries(runs: usize, programs: &Programs, progress: &Progress) -> Result<Vec<Edited>> {
    varied(&[100, 1_000, 10_000, 70_000].map(|entries| (entries, entries, 1)), runs, programs, progress)
}

/// By the number of files that change, of 20,000.
///
/// # Errors
/// A program is missing, or an edit fails.
pub(crate) fn by_changes(runs: usize, programs: &Programs, progress: &Progress) -> Result<Vec<Edited>> {
    varied(&[1, 10, 100, 1_000].map(|changes| (changes, 20_000, changes)), runs, programs, progress)
}

/// Each case: what it is called, entries, changes.
fn varied(
    cases: &[(usize, usize, usize)],
    runs: usize,
    programs: &Programs,
    progress: &Progress,
) -> Result<Vec<Edited>> {
    let mut edits = Vec::new();
    for &(of, entries, changes) in cases {
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), benches::archive(entries)?)?;
        let mut bench = Bench::start(programs)?;
        for editor in Editor::ALL {
            bench.put(editor, file.path())?;
        }
        for run in 0..=runs {
            let texts: Vec<_> = (0..changes)
                .map(|at| (benches::name(at * (entries / changes)), format!("exports.edited = {run};\n")))
                .collect();
            for editor in Editor::ALL {
                let edit = bench.edit(editor, of as u64, &texts)?;
                progress.done(&format!(
                    "{entries:>6} entries, {changes:>5} changed {:>10} {:9.1} ms",
                    editor.function(),
                    edit.ms
                ));
                edits.push(edit);
            }
        }
    }
    Ok(edits)
}
