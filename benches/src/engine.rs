//! The function `zipedit` beside a Python 3 port of the original, on the same artifacts and the same edits.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use zipedit::directory::Search;
use zipedit::{Directory, Strategy};

use crate::cloud::Cloud;
use crate::cloud::bill::{Bill, artifacts_bytes};
use crate::least::{Least, zipped};
use crate::link::Place;
use crate::paths;
use crate::programs::{Peer, Programs};
use crate::progress::Progress;
use crate::project;
use crate::stage::UPDATE_MS;

const BUCKET: &str = "benches";
/// What is read of an artifact to find its directory, in bytes.
const END: u64 = 1 << 20;
/// So many edits of an artifact at least are measured after its second.
const LATER: usize = 5;

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
    /// Its place among the edits of an artifact, from 1.
    pub(crate) nth: u32,
    /// From the call to the answer, in ms; without the start of a process.
    pub(crate) ms: f64,
    /// From the start of the process to its first poll, in ms: for the first edit of a process.
    pub(crate) init_ms: Option<f64>,
    /// Of the function, in ms.
    pub(crate) cpu_ms: f64,
    /// The most resident memory of the function so far, in MiB.
    pub(crate) memory_mib: Option<f64>,
    /// The artifact's own bytes that went between function and S3, both ways.
    pub(crate) moved: u64,
    /// What else went: headers, and XML.
    pub(crate) overhead: u64,
    /// Requests to S3.
    pub(crate) requests: u64,
    /// How it was done, and what had to be moved for it. Ours only.
    pub(crate) done: Option<Way>,
}

/// How ours did it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Way {
    /// By its own word.
    pub(crate) strategy: Strategy,
    /// What had to be moved.
    #[serde(flatten)]
    pub(crate) least: Least,
}

impl Edited {
    /// Whether the artifact's kept entries were copied inside S3, and not read and written with all the rest.
    pub(crate) fn is_spliced(&self) -> bool {
        self.done.is_some_and(|done| done.strategy == Strategy::Splice)
    }

    /// What was moved over what had to be.
    pub(crate) fn over_least(&self) -> Option<f64> {
        self.done.map(|done| self.moved as f64 / done.least.needed as f64)
    }

    /// The same without what S3 can't copy.
    pub(crate) fn over_least_but_short_runs(&self) -> Option<f64> {
        self.done.map(|done| self.moved.saturating_sub(done.least.short_runs) as f64 / done.least.needed as f64)
    }
}

/// A cloud with both functions.
pub(crate) struct Bench {
    cloud: Cloud,
    scratch: tempfile::TempDir,
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
        Ok(Self { cloud, scratch })
    }

    /// Puts the artifact that this editor is to edit.
    ///
    /// # Errors
    /// S3 refuses.
    pub(crate) fn put(&mut self, editor: Editor, artifact: &Path) -> Result<()> {
        self.cloud.put(BUCKET, &key(editor), artifact)
    }

    /// The directory of the artifact as it is, and the artifact's size in bytes.
    fn directory(&mut self, editor: Editor) -> Result<(Directory, u64)> {
        let file = self.scratch.path().join("end");
        let mut length = END;
        for _ in 0..2 {
            let size = self.cloud.end(BUCKET, &key(editor), length, &file)?;
            match Directory::find(&Bytes::from(std::fs::read(&file)?), size)? {
                Search::Found(directory) => return Ok((directory, size)),
                Search::ReadFrom(from) => length = size - from,
            }
        }
        bail!("{} has no directory", key(editor))
    }

    /// Lets it put texts under names, as the `nth` edit of the artifact. `of` goes into the result.
    ///
    /// # Errors
    /// It fails, or answers with other counts.
    pub(crate) fn edit(&mut self, editor: Editor, of: u64, nth: u32, texts: &[(String, String)]) -> Result<Edited> {
        let least = match editor {
            Editor::Original => None,
            Editor::Zipedit => {
                let (directory, size) = self.directory(editor)?;
                Some(Least::of(&directory, size, texts, nth == 1)?)
            }
        };
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
        ensure!(
            called.init_ms.is_some() == (nth == 1),
            "{} was to answer edit {nth} of its artifact by {} process",
            editor.function(),
            if nth == 1 { "a new" } else { "the same" }
        );
        let requests = self.cloud.requests()?;
        let (bill, moved) = (Bill::of(&requests), artifacts_bytes(&requests));
        let strategy = || serde_json::from_value(called.answer["strategy"].clone()).context("it names no strategy");
        Ok(Edited {
            editor,
            of,
            nth,
            ms: called.ms - called.init_ms.unwrap_or_default(),
            init_ms: called.init_ms,
            cpu_ms: called.cpu_ms,
            memory_mib: called.memory_mib,
            moved,
            overhead: bill.inside - moved,
            requests: bill.requests_inside,
            done: least.map(|least| Ok::<_, anyhow::Error>(Way { strategy: strategy()?, least })).transpose()?,
        })
    }
}

fn key(editor: Editor) -> String {
    format!("{}.zip", editor.function())
}

/// One line of one handler, at each size: by a new process first, then by the same. Twice.
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
            for nth in edits_of(runs.max(LATER).div_ceil(2)) {
                for editor in Editor::ALL {
                    let line = format!("const EDITED = {};", process * 1_000 + nth);
                    let text = handler.replacen("const EDITED = 0;", &line, 1);
                    let edit = bench.edit(editor, u64::from(size), nth, &[("handlers/a.js".to_owned(), text)])?;
                    progress.done(&format!("{size:>4} MB {:>10} {:9.1} ms", editor.function(), edit.ms));
                    edits.push(edit);
                }
            }
        }
    }
    Ok(edits)
}

/// The first edit of an artifact, the second, and so many later ones.
fn edits_of(later: usize) -> impl Iterator<Item = u32> {
    (1..).take(2 + later)
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
        for nth in edits_of(runs.max(LATER)) {
            let texts: Vec<_> = (0..changes)
                .map(|at| (benches::name(at * (entries / changes)), format!("exports.edited = {nth};\n")))
                .collect();
            for editor in Editor::ALL {
                let edit = bench.edit(editor, of as u64, nth, &texts)?;
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
