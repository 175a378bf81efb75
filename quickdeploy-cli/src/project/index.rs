//! The local index: what was read before, and what this project has deployed.
//!
//! For each entry name it holds the file's [`Stat`] with the checksums of the content that was read under it, and the
//! checksums of the content that this project last deployed under that name. The first saves reading, the second tells
//! a file that was deleted here from one that somebody else put into the artifact. It also remembers dependency
//! manifests ([`super::manifest`]) and what git answered ([`super::ownership`]).
//!
//! There is one file per artifact, `.quickdeploy/index/<hash of its URL>`, beside the configuration; the directory
//! carries a `.gitignore` that ignores itself. **Losing it costs time, never correctness**: a file that is missing,
//! damaged, of another version or about another artifact is an empty index.
//!
//! # When a `stat` can be trusted
//!
//! Git's "racy" problem: a file that is changed again within the same tick of the file system's clock has the same
//! `stat` and another content. A [`Session`] therefore notes the file system's own time (not the system's, which may be
//! ahead of it) before it reads anything, and stores no `stat` for a file that was touched at that moment or later. Such
//! a file is read again next time. This is stricter than comparing with the time of the index's own write, which would
//! miss a change between reading and writing.
//!
//! # Two processes at once
//!
//! A new index is written to a temporary file and renamed over the old one, so readers need no lock. Writers take an
//! advisory lock for the milliseconds of merging and renaming: what the other one has *deployed* is kept. The lock dies
//! with its process.
//!
//! # Format
//!
//! Magic, version, CRC-32 of the rest; then the artifact's URL, a digest of root and `map` (under another layout a name
//! is another file), git's answers, manifests, and the entries sorted by name. Integers are little-endian.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::content::Content;
use super::index_format;
use super::ownership::GitAnswers;
use super::stat::Stat;

/// What is known about one entry name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// The entry name.
    pub(crate) name: Box<str>,
    /// The content that was read while the file had this `stat`.
    pub(crate) seen: Option<(Stat, Content)>,
    /// The content that this project last deployed.
    pub(crate) deployed: Option<Content>,
}

/// Everything that is in the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Data {
    /// Sorted by name, each name once.
    pub(crate) records: Vec<Record>,
    /// Digest of the dependencies that a manifest declared when it was last deployed, by path relative to the root.
    pub(crate) manifests: BTreeMap<String, [u8; 32]>,
    /// What git said.
    pub(crate) git: Option<GitAnswers>,
}

impl Data {
    pub(crate) fn get(&self, name: &str) -> Option<&Record> {
        self.records.binary_search_by(|record| record.name.as_ref().cmp(name)).ok().map(|index| &self.records[index])
    }
}

/// Whose index it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    /// The artifact's URL.
    pub(crate) artifact: String,
    /// Digest of root and `map`.
    pub(crate) layout: [u8; 32],
}

/// The place on disk.
#[derive(Debug)]
pub(crate) struct Store {
    /// `None`: nothing is kept.
    directory: Option<PathBuf>,
    key: Key,
}

/// What a save replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Save {
    /// Files were read: what another process has deployed meanwhile stays.
    Seen,
    /// A deployment is done: ours is the newest word about what is deployed.
    Deployed,
}

impl Store {
    /// `state_dir` is `.quickdeploy`; nothing is created yet.
    pub(crate) fn new(state_dir: Option<&Path>, key: Key) -> Self {
        Self { directory: state_dir.map(|directory| directory.join("index")), key }
    }

    fn file(&self) -> Option<PathBuf> {
        let digest = Sha256::digest(&self.key.artifact);
        let name: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        self.directory.as_ref().map(|directory| directory.join(name))
    }

    /// What is stored; empty when there is nothing usable.
    pub(crate) fn load(&self) -> Data {
        self.file()
            .and_then(|file| std::fs::read(file).ok())
            .and_then(|bytes| index_format::decode(&bytes, &self.key))
            .unwrap_or_default()
    }

    /// A digest that is another one as soon as somebody replaces what is stored, whether by something else or not. `None`:
    /// nothing is stored. Reads little of it, however long it is.
    pub(crate) fn identity(&self) -> Option<[u8; 32]> {
        let mut file = File::open(self.file()?).ok()?;
        let Stat { size, mtime, ctime, inode, .. } = Stat::of(&file.metadata().ok()?);
        // In the header is a checksum of all that follows.
        let mut header = [0; index_format::HEADER_LEN];
        file.read_exact(&mut header).ok()?;
        let mut digest = Sha256::new_with_prefix(header);
        for field in [size.to_le_bytes(), mtime.to_le_bytes(), ctime.to_le_bytes(), inode.to_le_bytes()] {
            digest.update(field);
        }
        Some(digest.finalize().into())
    }

    /// Begins a time of reading files, after which [`Store::save`] can be called. `None` when nothing can be stored
    /// here (a read-only checkout): that is no reason to fail.
    pub(crate) fn begin(&self) -> Option<Session> {
        let directory = self.directory.as_ref()?;
        std::fs::create_dir_all(directory).ok()?;
        let ignore = directory.parent()?.join(".gitignore");
        if !ignore.exists() {
            std::fs::write(ignore, "*\n").ok()?;
        }
        let file = tempfile::Builder::new().prefix(".new-").tempfile_in(directory).ok()?;
        let moment = Stat::of(&file.as_file().metadata().ok()?).mtime;
        Some(Session { file, moment })
    }

    /// Replaces the stored index by `data`, merged with what another process has written since `data` was loaded.
    pub(crate) fn save(&self, session: Session, data: &Data, save: Save) -> std::io::Result<()> {
        let (Some(directory), Some(target)) = (&self.directory, self.file()) else {
            return Ok(());
        };
        let lock = File::options().create(true).truncate(false).write(true).open(directory.join("lock"))?;
        lock.lock()?;
        let mut merged;
        let data = match save {
            Save::Deployed => data,
            Save::Seen => {
                merged = data.clone();
                keep_deployed(&mut merged, self.load());
                &merged
            }
        };
        let mut file = session.file;
        file.write_all(&index_format::encode(data, &self.key))?;
        file.persist(target).map_err(|error| error.error)?;
        lock.unlock()
    }
}

/// Takes over what `stored` says about deployments, which may be newer than what was loaded.
fn keep_deployed(data: &mut Data, stored: Data) {
    data.manifests = stored.manifests;
    let mut merged = Vec::with_capacity(data.records.len());
    let mut ours = std::mem::take(&mut data.records).into_iter().peekable();
    for theirs in stored.records {
        while let Some(record) = ours.next_if(|record| record.name < theirs.name) {
            merged.push(Record { deployed: None, ..record });
        }
        match ours.next_if(|record| record.name == theirs.name) {
            Some(record) => merged.push(Record { deployed: theirs.deployed, ..record }),
            None if theirs.deployed.is_some() => merged.push(Record { seen: None, ..theirs }),
            None => {}
        }
    }
    merged.extend(ours.map(|record| Record { deployed: None, ..record }));
    merged.retain(|record| record.seen.is_some() || record.deployed.is_some());
    data.records = merged;
}

/// A time of reading files: knows the file system's time at its beginning.
#[derive(Debug)]
pub(crate) struct Session {
    file: tempfile::NamedTempFile,
    moment: i64,
}

impl Session {
    /// `stat` with `content`, when the one will tell whether the other has changed.
    pub(crate) fn trusted(&self, stat: Stat, content: Content) -> Option<(Stat, Content)> {
        (!stat.is_racy(self.moment)).then_some((stat, content))
    }
}

/// Identifies a version of a file that other programs replace: size, time and inode.
pub(crate) fn stamp(metadata: &Metadata) -> [u64; 3] {
    let stat = Stat::of(metadata);
    [stat.size, stat.mtime.cast_unsigned(), stat.inode]
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
