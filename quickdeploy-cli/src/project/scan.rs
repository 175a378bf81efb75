//! The project as it is on disk now: every file with its checksums, at the price of reading those that changed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::content::{self, Content};
use super::diff::{self, ArtifactEntry, Change, Deletion, Diff, LocalEntry};
use super::error::ProjectError;
use super::index::{Data, Record, Save, Store};
use super::manifest::{self, ManifestChange, ManifestKind};
use super::mapping::Mapping;
use super::ownership::{self, RestsOn};
use super::walk::{Listing, LocalFile, Scope, Walker};

mod refresh;

pub(crate) use refresh::Refreshed;

/// The project's files and the index for one artifact.
#[derive(Debug)]
pub(crate) struct Scan {
    root: PathBuf,
    mapping: Mapping,
    walker: Walker,
    store: Store,
    data: Data,
    /// Sorted by name.
    files: Vec<LocalFile>,
    /// Of the file at the same position.
    contents: Vec<Content>,
    /// How many files had to be read.
    read: usize,
    /// What the last [`Scan::diff`] rests on.
    rests_on: RestsOn,
}

impl Scan {
    /// Walks and reads. Stores what was read, so that the next scan needn't.
    pub(crate) fn new(root: PathBuf, mapping: Mapping, walker: Walker, store: Store) -> Result<Self, ProjectError> {
        let (data, listing) = meanwhile(|| store.load(), || walker.list(Scope::Edit))?;
        Self::of_listing(root, mapping, walker, store, (listing, data))
    }

    /// The same where the files were listed, and the index was loaded.
    pub(crate) fn of_listing(
        root: PathBuf,
        mapping: Mapping,
        walker: Walker,
        store: Store,
        (listing, mut data): (Listing, Data),
    ) -> Result<Self, ProjectError> {
        let found = walker.named(listing)?;
        if found.is_empty() {
            // Everything ever deployed would be deleted: a wrong `map`, or a build that has just emptied its output.
            return Err(ProjectError::Empty { root });
        }
        if let Some(contents) = unchanged(&found, &data.records) {
            let (files, read, rests_on) = (found, 0, RestsOn::default());
            return Ok(Self { root, mapping, walker, store, data, files, contents, read, rests_on });
        }
        let known = align(&found, std::mem::take(&mut data.records));

        let is_fresh =
            |position: usize| known.here[position].seen.is_some_and(|(stat, _)| stat == found[position].stat);
        let stale: Vec<usize> = (0..found.len()).filter(|&position| !is_fresh(position)).collect();
        let session = if stale.is_empty() { None } else { store.begin() };
        let readings = content::in_parallel(&stale, |&position| content::read(&root.join(found[position].path())))?;

        let mut readings = stale.iter().copied().zip(readings).peekable();
        let mut gone = known.gone;
        let mut records = Vec::with_capacity(found.len());
        let mut files = Vec::with_capacity(found.len());
        let mut contents = Vec::with_capacity(found.len());
        for (position, (mut file, mut record)) in found.into_iter().zip(known.here).enumerate() {
            match readings.next_if(|(stale, _)| *stale == position) {
                Some((_, Some((stat, content)))) => {
                    file.stat = stat;
                    contents.push(content);
                    record.seen = session.as_ref().and_then(|session| session.trusted(stat, content));
                }
                // It vanished since the walk: a deleted file.
                Some((_, None)) => {
                    gone.push(record);
                    continue;
                }
                None => contents.extend(record.seen.map(|(_, content)| content)),
            }
            files.push(file);
            records.push(record);
        }
        gone.retain_mut(|record| {
            record.seen = None;
            record.deployed.is_some()
        });
        records.extend(gone);
        // Two sorted runs: this is a merge.
        records.sort_by(|a, b| a.name.cmp(&b.name));
        data.records = records;
        if let Some(session) = session {
            // An index that can't be written costs time at the next run, nothing else.
            _ = store.save(session, &data, Save::Seen);
        }
        let (read, rests_on) = (stale.len(), RestsOn::default());
        Ok(Self { root, mapping, walker, store, data, files, contents, read, rests_on })
    }

    /// The directory that paths are relative to.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// How many files belong to the project.
    pub(crate) fn len(&self) -> usize {
        self.files.len()
    }

    /// Their paths, relative to the root.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(LocalFile::path)
    }

    /// How many of them had to be read.
    pub(crate) fn read(&self) -> usize {
        self.read
    }

    /// What the last [`Scan::diff`] rests on besides the files, the index and the configuration.
    pub(crate) fn rests_on(&self) -> RestsOn {
        self.rests_on
    }

    /// Entry names of the files that came, went or have another content than in an earlier scan; of all, when there is
    /// none.
    pub(crate) fn changed_since(&self, before: Option<&Self>) -> BTreeSet<String> {
        let contents = |scan: &Self| {
            let named = scan.files.iter().zip(&scan.contents);
            named.map(|(file, content)| (file.name.to_string(), *content)).collect::<BTreeMap<_, _>>()
        };
        let (old, new) = (before.map(contents).unwrap_or_default(), contents(self));
        let changed = new.iter().filter(|(name, content)| old.get(*name) != Some(*content));
        let gone = old.keys().filter(|name| !new.contains_key(*name));
        changed.map(|(name, _)| name).chain(gone).cloned().collect()
    }

    /// Compares with the artifact's entries. Asks git when names are only in the artifact and the index knows nothing
    /// of them.
    pub(crate) fn diff(&mut self, artifact: &[ArtifactEntry<'_>], deletion: Deletion) -> Result<Diff, ProjectError> {
        let local = self.local_entries();
        let comparison = diff::compare(&local, artifact);
        let git_before = self.data.git.clone();
        let (deleted, rests_on) = ownership::deletable(
            &comparison.absent,
            deletion,
            &self.files,
            &self.mapping,
            &self.walker,
            &mut self.data,
        );
        if self.data.git != git_before
            && let Some(session) = self.store.begin()
        {
            _ = self.store.save(session, &self.data, Save::Seen);
        }
        let stays = |name: &&&str| deleted.binary_search(*name).is_err();
        let mut diff = Diff {
            added: comparison.added.iter().map(|&position| self.change(position)).collect(),
            modified: comparison.modified.iter().map(|&position| self.change(position)).collect(),
            unchanged: comparison.unchanged,
            only_in_artifact: comparison.absent.iter().filter(stays).map(|&name| name.to_owned()).collect(),
            deleted: deleted.into_iter().map(str::to_owned).collect(),
            manifests: Vec::new(),
        };
        diff.manifests = self.changed_manifests(&comparison.modified)?;
        self.rests_on = rests_on;
        Ok(diff)
    }

    fn local_entries(&self) -> Vec<LocalEntry<'_>> {
        let mut records = self.data.records.iter().peekable();
        self.files
            .iter()
            .zip(&self.contents)
            .map(|(file, content)| {
                while records.next_if(|record| record.name < file.name).is_some() {}
                let record = records.next_if(|record| record.name == file.name);
                LocalEntry { name: &file.name, content, deployed: record.and_then(|record| record.deployed.as_ref()) }
            })
            .collect()
    }

    fn change(&self, position: usize) -> Change {
        let (file, content) = (&self.files[position], &self.contents[position]);
        Change {
            name: file.name.to_string(),
            path: self.root.join(file.path()),
            size: content.size,
            crc32: content.crc32,
            executable: file.stat.executable,
        }
    }

    fn changed_manifests(&self, modified: &[usize]) -> Result<Vec<ManifestChange>, ProjectError> {
        let mut changes = Vec::new();
        for &position in modified {
            let path = self.files[position].path();
            let Some(kind) = ManifestKind::of(path) else {
                continue;
            };
            let bytes = self.change(position).read()?;
            if self.data.manifests.get(path) != Some(&manifest::digest(path, &bytes)) {
                changes.push(ManifestChange { path: path.to_owned(), kind });
            }
        }
        for (path, digest) in self.manifests_outside_the_package()? {
            if let (Some(kind), Some(known)) = (ManifestKind::of(&path), self.data.manifests.get(&path))
                && *known != digest
            {
                changes.push(ManifestChange { path, kind });
            }
        }
        changes.sort();
        Ok(changes)
    }

    /// A project that packages `src` still has its `package.json` beside it.
    fn manifests_outside_the_package(&self) -> Result<Vec<(String, [u8; 32])>, ProjectError> {
        let mut manifests = Vec::new();
        for entry in std::fs::read_dir(&self.root).map_err(ProjectError::io("list", &self.root))? {
            let entry = entry.map_err(ProjectError::io("list", &self.root))?;
            let Ok(path) = entry.file_name().into_string() else {
                continue;
            };
            if ManifestKind::of(&path).is_some() && self.mapping.entry_name(&path).is_none() && entry.path().is_file() {
                let bytes = std::fs::read(entry.path()).map_err(ProjectError::io("read", &entry.path()))?;
                let digest = manifest::digest(&path, &bytes);
                manifests.push((path, digest));
            }
        }
        Ok(manifests)
    }

    /// Remembers that the artifact now holds these files, after `diff` was carried out, all of it. To be called also
    /// when there was nothing to do: a file that the artifact already had becomes the project's by that.
    ///
    /// A failure costs the knowledge of which files to delete later: worth a warning, not worth failing a deployment
    /// that is done.
    pub(crate) fn record_deployed(&mut self, diff: &Diff) -> Result<(), ProjectError> {
        let mut manifests = BTreeMap::new();
        for (file, content) in self.files.iter().zip(&self.contents) {
            if ManifestKind::of(file.path()).is_none() {
                continue;
            }
            let unchanged = self.data.get(&file.name).is_some_and(|record| record.deployed == Some(*content));
            let digest = match self.data.manifests.get(file.path()) {
                Some(digest) if unchanged => *digest,
                _ => {
                    let path = self.root.join(file.path());
                    let bytes = std::fs::read(&path).map_err(ProjectError::io("read", &path))?;
                    manifest::digest(file.path(), &bytes)
                }
            };
            manifests.insert(file.path().to_owned(), digest);
        }
        manifests.extend(self.manifests_outside_the_package()?);

        let still_there = |name: &str| diff.only_in_artifact.binary_search_by(|other| other.as_str().cmp(name)).is_ok();
        let mut old = std::mem::take(&mut self.data.records).into_iter().peekable();
        let mut records = Vec::with_capacity(self.files.len());
        for (file, content) in self.files.iter().zip(&self.contents) {
            while let Some(gone) = old.next_if(|record| record.name < file.name) {
                records.extend(still_there(&gone.name).then_some(gone));
            }
            let seen = old.next_if(|record| record.name == file.name).and_then(|record| record.seen);
            records.push(Record { name: file.name.clone(), seen, deployed: Some(*content) });
        }
        records.extend(old.filter(|record| still_there(&record.name)));

        let new = Data { records, manifests, git: self.data.git.take() };
        let stored = self.store.load();
        let changed = stored != new;
        self.data = new;
        if changed && let Some(session) = self.store.begin() {
            self.store
                .save(session, &self.data, Save::Deployed)
                .map_err(ProjectError::io("write the index of", &self.root))?;
        }
        Ok(())
    }
}

/// Loads the index on a thread of its own, while files are listed.
pub(crate) fn meanwhile<I: Default + Send>(
    load: impl FnOnce() -> I + Send,
    list: impl FnOnce() -> Result<Listing, ProjectError>,
) -> Result<(I, Listing), ProjectError> {
    std::thread::scope(|scope| {
        let index = scope.spawn(load);
        let listing = list();
        // An index that makes its reader panic is an index that can't be used.
        listing.map(|listing| (index.join().unwrap_or_default(), listing))
    })
}

/// The index's records beside the files.
struct Aligned {
    /// One for each file, in the same order; an empty one where the index had none.
    here: Vec<Record>,
    /// Those whose file is gone.
    gone: Vec<Record>,
}

/// The contents of `files` when the index knows exactly these and none has changed: the usual case, for which nothing
/// needs to be moved.
fn unchanged(files: &[LocalFile], records: &[Record]) -> Option<Vec<Content>> {
    if files.len() != records.len() {
        return None;
    }
    let content = |(file, record): (&LocalFile, &Record)| match record.seen {
        Some((stat, content)) if stat == file.stat && record.name == file.name => Some(content),
        _ => None,
    };
    files.iter().zip(records).map(content).collect()
}

/// `files` and `records` are both sorted by name.
fn align(files: &[LocalFile], records: Vec<Record>) -> Aligned {
    let mut records = records.into_iter().peekable();
    let mut aligned = Aligned { here: Vec::with_capacity(files.len()), gone: Vec::new() };
    for file in files {
        while let Some(gone) = records.next_if(|record| record.name < file.name) {
            aligned.gone.push(gone);
        }
        let known = records.next_if(|record| record.name == file.name);
        aligned.here.push(known.unwrap_or_else(|| Record { name: file.name.clone(), seen: None, deployed: None }));
    }
    aligned.gone.extend(records);
    aligned
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
