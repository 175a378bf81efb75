//! What a `diff` found that found nothing changed, so that the next one needn't compare.
//!
//! With thousands of files, reading index and directory and comparing them costs as much as looking at the files does. So
//! a run that finds nothing changed keeps what it told, sealed with what it depends on: the [`Basis`] on this side, and of
//! the artifact its ETag, size and the metadata that tell what it was built from. A run that finds the same seal tells the
//! same. It has asked S3 by one HEAD and each file by one `stat`; neither index nor directory was read.
//!
//! It never makes a run trust what it wouldn't trust without it: a `stat` that the index doesn't take for a content keeps
//! nothing here, either. Losing a file costs time. `--delete` and `--functions` ask for more and compare every time.
//!
//! # What is kept
//!
//! One file per artifact, `.quickdeploy/unchanged/<hash of its URL>`: the seal, a SHA-256, and what was told, as JSON,
//! which is under the seal, too. A run that compares and finds a change, or can't seal what it found, removes it: while
//! there is none, the index is loaded while files are listed, not after it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::task::JoinHandle;
use zipedit::{Object as _, S3Object, S3Store};

use crate::aws::Cloud;
use crate::built_from;
use crate::compare::{self, ArtifactDocument, Comparison, artifact_error, blocking, in_background};
use crate::error::{Error, Result};
use crate::project::{ArtifactUrl, Basis, Deletion, Listing, ManifestChange, Project, Scan};
use crate::state;
use crate::tails::Tails;
use crate::ui::Ui;

const DIRECTORY: &str = "unchanged";
/// In the seal: raised with every change of what it is made of, or of what is told.
const VERSION: &[u8] = b"QDSAME 1";
/// As many artifacts as a project may have in all of its environments.
const MOST_FILES: usize = 16;

/// What was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Told {
    /// In the artifact.
    pub(crate) entries: u64,
    /// Files that are in the artifact as they are here.
    pub(crate) unchanged: usize,
    /// Entries that have no file here and stay.
    pub(crate) only_in_artifact: usize,
    /// As in [`Comparison`].
    pub(crate) beyond_a_patch: Vec<ManifestChange>,
    /// Whether git was asked.
    git: bool,
}

/// What was told, and what it depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kept {
    seal: [u8; 32],
    told: Told,
}

/// An artifact, as far as a comparison depends on it.
#[derive(Clone, Copy, Debug)]
struct Side<'a> {
    url: &'a str,
    etag: &'a str,
    size: u64,
    built_from: Option<&'a str>,
}

impl<'a> Side<'a> {
    fn of(url: &'a str, object: &'a S3Object) -> Self {
        Self { url, etag: object.etag(), size: object.size(), built_from: object.metadata(built_from::KEY) }
    }
}

impl Kept {
    fn new(side: Side<'_>, basis: &Basis, told: Told) -> Self {
        Self { seal: seal(side, basis, &told), told }
    }

    /// Whether a comparison would find what was told.
    fn is_true(&self, side: Side<'_>, basis: &Basis) -> bool {
        self.seal == seal(side, basis, &self.told)
    }

    /// What is in `file`; `None` for anything that can't be read.
    fn recall(file: &Path) -> Option<Self> {
        let bytes = std::fs::read(file).ok()?;
        let (seal, told) = bytes.split_first_chunk()?;
        Some(Self { seal: *seal, told: serde_json::from_slice(told).ok()? })
    }

    fn encode(&self) -> Vec<u8> {
        [&self.seal[..], &json(&self.told)].concat()
    }
}

fn seal(side: Side<'_>, basis: &Basis, told: &Told) -> [u8; 32] {
    let mut seal = Sha256::new_with_prefix(VERSION);
    for part in [side.url, side.etag, side.built_from.unwrap_or_default()] {
        seal.update(Sha256::digest(part));
    }
    seal.update([u8::from(side.built_from.is_some())]);
    seal.update(side.size.to_le_bytes());
    seal.update(basis.digest(told.git));
    seal.update(json(told));
    seal.finalize().into()
}

fn json(told: &Told) -> Vec<u8> {
    // Numbers, names and booleans: there is nothing that JSON couldn't hold.
    serde_json::to_vec(told).unwrap_or_default()
}

/// What `diff` found.
pub(crate) enum Found {
    /// Both sides were compared.
    Compared(Box<Comparison>),
    /// The same as last time: nothing changed.
    Unchanged(ArtifactDocument, Told),
}

/// A look at a project's files that is under way. It goes on to its end even if nobody waits for it.
#[derive(Debug)]
pub(crate) struct Looking {
    /// Where what is told is kept; `None`: nowhere.
    file: Option<PathBuf>,
    files: Files,
    deletion: Deletion,
}

#[derive(Debug)]
enum Files {
    /// With what an earlier run kept.
    Listing(Kept, JoinHandle<Result<(Listing, Option<Basis>)>>),
    Scanning(JoinHandle<Result<(Scan, Option<Basis>)>>),
}

impl Looking {
    /// Begins a look of which the next one will know what it found.
    pub(crate) fn begin(project: &Project, url: &ArtifactUrl) -> Self {
        let url = url.to_string();
        let state_dir = project.settings().state_dir.as_ref();
        let file = state_dir.map(|directory| directory.join(DIRECTORY).join(state::name_of(&url)));
        let kept = file.as_deref().and_then(Kept::recall);
        let project = project.clone();
        let files = match kept {
            Some(kept) => Files::Listing(kept, tokio::spawn(blocking(move || project.list(&url)))),
            None => Files::Scanning(tokio::spawn(blocking(move || project.scan_with_basis(&url)))),
        };
        Self { file, files, deletion: Deletion::Owned }
    }

    /// Begins one that compares whatever is known, and keeps nothing.
    pub(crate) fn anew(project: &Project, url: &ArtifactUrl, deletion: Deletion) -> Self {
        let (project, url) = (project.clone(), url.to_string());
        let scan = move || project.scan(&url).map(|scan| (scan, None));
        Self { file: None, files: Files::Scanning(tokio::spawn(blocking(scan))), deletion }
    }

    /// Compares with the artifact, unless it is known that nothing has changed.
    ///
    /// # Errors
    ///
    /// As [`compare::compare`].
    pub(crate) async fn compare(self, ui: &Ui, cloud: &Cloud, project: &Project, url: &ArtifactUrl) -> Result<Found> {
        let store = S3Store::new(cloud.s3.clone(), &url.bucket, &url.key);
        let tails = Tails::of(project.settings().state_dir.as_deref(), url);
        let name = url.to_string();
        let told =
            |result: std::result::Result<_, zipedit::Error>| result.map_err(|error| artifact_error(cloud, &error));
        let had_kept = matches!(self.files, Files::Listing(..));
        let (artifact, scan, basis) = match self.files {
            Files::Scanning(scanning) => {
                let (artifact, (scan, basis)) =
                    tokio::try_join!(async { told(tails.open(ui, &store).await) }, end(scanning))?;
                (artifact, scan, basis)
            }
            Files::Listing(kept, listing) => {
                let head = async { zipedit::head(&store).await.map_err(|error| artifact_error(cloud, &error)) };
                let (object, (listing, basis)) = tokio::try_join!(head, end(listing))?;
                let object = match (object, &basis) {
                    (Some(object), Some(basis)) if kept.is_true(Side::of(&name, &object), basis) => {
                        ui.verbose(
                            "nothing has changed since the last run that compared; neither index nor directory read",
                        );
                        return Ok(Found::Unchanged(ArtifactDocument::new(url, &object, kept.told.entries), kept.told));
                    }
                    (object, _) => object,
                };
                let scanned = {
                    let (project, name) = (project.clone(), name.clone());
                    blocking(move || project.scan_of(&name, listing))
                };
                let opened = async { told(tails.open_as(ui, &store, object).await) };
                let (artifact, scan) = tokio::try_join!(opened, scanned)?;
                (artifact, scan, basis)
            }
        };
        let comparison = compare::whole(ui, project, store, artifact, scan, self.deletion).await?;
        let kept = basis.and_then(|basis| {
            let told = what_to_tell(&comparison)?;
            Some(Kept::new(Side::of(&name, comparison.artifact.object()), &basis, told))
        });
        if let Some(file) = self.file
            && (kept.is_some() || had_kept)
        {
            // What can't be kept, or removed, costs time only.
            in_background(move || match kept {
                Some(kept) => drop(state::replace(&file, &kept.encode(), MOST_FILES)),
                None => drop(std::fs::remove_file(&file)),
            })
            .await?;
        }
        Ok(Found::Compared(Box::new(comparison)))
    }
}

/// What the next run may tell without comparing; `None` when there is a change, or the comparison rests on more than its
/// basis.
fn what_to_tell(comparison: &Comparison) -> Option<Told> {
    let Comparison { artifact, diff, beyond_a_patch, scan, .. } = comparison;
    let git = Basis::speaks_for(scan)?;
    diff.is_empty().then(|| Told {
        entries: artifact.directory().len() as u64,
        unchanged: diff.unchanged,
        only_in_artifact: diff.only_in_artifact.len(),
        beyond_a_patch: beyond_a_patch.clone(),
        git,
    })
}

async fn end<T>(files: JoinHandle<Result<T>>) -> Result<T> {
    files.await.map_err(|error| Error::new("Bug", "work in the background broke off").because(&error))?
}
