//! One thread's share of a walk.
//!
//! Work is a directory to list, or a lot of files to look at: of a directory with very many files, other threads take
//! some. A file costs one `stat`, relative to its directory, which is still open; none is opened.
//!
//! What is found is in *blocks*: files beside each other in one directory, in order, with no subdirectory between them.
//! Whatever is in no block of a directory's comes before all of it or after, so of thousands of files only the blocks'
//! first names have to be sorted.

use std::cmp::Ordering;
use std::ffi::OsString;
use std::fs::{self, FileType};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::error::ProjectError;
use super::super::mapping::slashed_name;
use super::super::rules::DEPENDENCY_FOLDERS;
use super::super::stat::Stat;
use super::levels::{Level, Marks};
use super::{Filter, Found, Scope, Walker};

/// So many files are looked at in one go, and make a block.
const LOT: usize = 256;

/// One entry of a directory.
struct Entry {
    name: OsString,
    kind: FileType,
    entry: fs::DirEntry,
}

impl Entry {
    /// The order in which paths through these entries are sorted: a directory's are followed by a slash.
    fn in_path_order(a: &Self, b: &Self) -> Ordering {
        let (one, other) = (a.name.as_encoded_bytes(), b.name.as_encoded_bytes());
        let common = one.len().min(other.len());
        let next = |bytes: &[u8], kind: FileType| bytes.get(common).copied().or(kind.is_dir().then_some(b'/'));
        one[..common].cmp(&other[..common]).then_with(|| next(one, a.kind).cmp(&next(other, b.kind)))
    }
}

/// Adds a directory's entries; those that come before an error, when there is one.
fn list(directory: &Path, entries: &mut Vec<Entry>) -> std::io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        match entry.file_type() {
            Ok(kind) => entries.push(Entry { name: entry.file_name(), kind, entry }),
            // Some file systems have to be asked; by then it may be gone.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What a thread takes at a time.
#[derive(Debug)]
pub(super) enum Work {
    /// To be listed.
    Directory {
        /// Relative to the root.
        path: String,
        /// What is ignored in the directory above it; `None`: nothing.
        above: Option<Arc<Level>>,
        /// It is where the walk begins, so it is neither excluded nor ignored.
        is_start: bool,
    },
    /// With their paths.
    Files(Vec<(String, fs::DirEntry)>),
}

/// One thread's share of a walk.
pub(super) struct Visitor<'a> {
    pub(super) walker: &'a Walker,
    pub(super) scope: Scope,
    pub(super) filter: Filter<'a>,
    pub(super) found: Found,
}

impl Visitor<'_> {
    /// Does it. `more` is what is to be done after it.
    pub(super) fn visit(&mut self, work: Work, more: &mut Vec<Work>) {
        match work {
            Work::Directory { path, above, is_start } => self.directory(&path, above.as_ref(), is_start, more),
            Work::Files(files) => self.files(files),
        }
    }

    fn directory(&mut self, path: &str, above: Option<&Arc<Level>>, is_start: bool, more: &mut Vec<Work>) {
        if !self.enters(path, is_start) {
            return;
        }
        let walker = self.walker;
        let full = if path.is_empty() { walker.root.clone() } else { walker.root.join(path) };
        let mut entries = Vec::new();
        if let Err(error) = list(&full, &mut entries) {
            self.failed(full.clone(), error);
        }
        let mut marks = Marks::default();
        entries.iter().for_each(|entry| marks.note(&entry.name));
        entries.sort_unstable_by(Entry::in_path_order);
        let mut judged = walker.canonical_root.join(path);
        let level = above.map(|above| above.enter(&judged, marks));
        let rules = level.as_deref().filter(|level| level.has_rules());

        let mut files = Vec::new();
        for Entry { name, kind, entry } in entries {
            if let Some(rules) = rules {
                judged.push(&name);
                let ignored = rules.ignores(&judged, kind.is_dir());
                judged.pop();
                if ignored {
                    continue;
                }
            }
            let below = match slashed_name(&name) {
                Ok(name) if path.is_empty() => name.to_owned(),
                Ok(name) => [path, "/", name].concat(),
                Err(reason) => {
                    let path = entry.path();
                    self.found.errors.push((path.clone(), ProjectError::Unnameable { path, reason }));
                    continue;
                }
            };
            if walker.rules.excludes(&below, kind.is_dir()) {
                continue;
            }
            if kind.is_dir() {
                // What comes after it comes after all that is in it.
                self.lots(&mut files, more);
                more.push(Work::Directory { path: below, above: level.clone(), is_start: false });
            } else if self.filter.is_some_and(|filter| !filter(&below)) {
                // Not asked for.
            } else if kind.is_symlink() {
                if walker.mapping.entry_name(&below).is_some() {
                    self.found.links.push(below);
                }
            } else if kind.is_file() {
                files.push((below, entry));
            }
            // Sockets, pipes and devices are no files to anybody: git passes over them too.
        }
        self.lots(&mut files, more);
    }

    /// Looks at files that stand beside each other, if they aren't too many: then others take some.
    fn lots(&mut self, files: &mut Vec<(String, fs::DirEntry)>, more: &mut Vec<Work>) {
        while files.len() > LOT {
            more.push(Work::Files(files.split_off(files.len() - LOT)));
        }
        if !files.is_empty() {
            self.files(std::mem::take(files));
        }
    }

    /// Whether the walk goes into this directory; notes what it is.
    fn enters(&mut self, path: &str, is_start: bool) -> bool {
        let mapping = &self.walker.mapping;
        if !mapping.concerns_directory(path) {
            return false;
        }
        if mapping.directories().any(|directory| directory == path) {
            self.found.mapped.push(path.to_owned());
        }
        if self.scope == Scope::Package {
            let name = path.rsplit('/').next().unwrap_or(path);
            if !is_start && DEPENDENCY_FOLDERS.contains(&name) {
                // Already noted from the directory above.
                return false;
            }
            for folder in DEPENDENCY_FOLDERS {
                let below = if path.is_empty() { folder.to_owned() } else { format!("{path}/{folder}") };
                let kind = self.walker.root.join(&below).symlink_metadata().map(|metadata| metadata.file_type());
                let wanted = mapping.concerns_directory(&below) && !self.walker.rules.excludes(&below, true);
                match kind {
                    Ok(kind) if kind.is_dir() && wanted => self.found.dependency_folders.push(below),
                    // A link that is not ignored comes along by itself; twice is the same file.
                    Ok(kind) if kind.is_symlink() && wanted => self.found.links.push(below),
                    _ => {}
                }
            }
        }
        true
    }

    fn files(&mut self, files: Vec<(String, fs::DirEntry)>) {
        let mut block = Vec::with_capacity(files.len());
        for (path, entry) in files {
            match entry.metadata() {
                Ok(metadata) => match self.walker.file(path, Stat::of(&metadata)) {
                    Ok(file) => block.extend(file),
                    Err(error) => self.found.errors.push((entry.path(), error)),
                },
                Err(error) => self.failed(entry.path(), error),
            }
        }
        self.found.blocks.push(block);
    }

    fn failed(&mut self, path: PathBuf, source: std::io::Error) {
        // What vanished between being listed and being looked at is a deleted file.
        if source.kind() == ErrorKind::NotFound && path != self.walker.root {
            return;
        }
        self.found.errors.push((path.clone(), ProjectError::Io { action: "read", path, source }));
    }
}
