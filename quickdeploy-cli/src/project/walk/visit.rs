//! One thread's share of a walk.
//!
//! Work is a directory to list, or a lot of files to look at: of a directory with very many files, other threads take
//! some. A file costs one `stat`, relative to its directory, which is still open; none is opened.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use super::super::error::ProjectError;
use super::super::mapping::slashed_name;
use super::super::rules::DEPENDENCY_FOLDERS;
use super::entries::{Entries, Kind};
use super::levels::{Level, Marks};
use super::{Filter, Found, Scope, Walker};

/// So many files are looked at in one go, and make a block.
const LOT: usize = 256;

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
    Files(Lot),
}

/// Files that stand beside each other.
#[derive(Debug)]
pub(super) struct Lot {
    /// Relative to the root; with its slash, or "".
    directory: String,
    entries: Arc<Entries>,
    /// Positions among the entries, of those whose names are UTF-8.
    files: Vec<usize>,
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
            Work::Files(lot) => self.files(&lot),
        }
    }

    fn directory(&mut self, path: &str, above: Option<&Arc<Level>>, is_start: bool, more: &mut Vec<Work>) {
        if !self.enters(path, is_start) {
            return;
        }
        let walker = self.walker;
        let full = if path.is_empty() { walker.root.clone() } else { walker.root.join(path) };
        let entries = match Entries::read(&full) {
            Ok(entries) => Arc::new(entries),
            Err(error) => return self.failed(full, error),
        };
        let mut marks = Marks::default();
        entries.iter().for_each(|(_, name, _)| marks.note(name));
        let mut judged = walker.canonical_root.join(path);
        let level = above.map(|above| above.enter(&judged, marks));
        let rules = level.as_deref().filter(|level| level.has_rules());

        let directory = if path.is_empty() { String::new() } else { [path, "/"].concat() };
        let mut below = directory.clone();
        let mut lot = Lot { directory, entries: Arc::clone(&entries), files: Vec::new() };
        for (at, name, kind) in entries.iter() {
            let is_dir = kind == Kind::Directory;
            if let Some(rules) = rules {
                judged.push(name);
                let ignored = rules.ignores(&judged, is_dir);
                judged.pop();
                if ignored {
                    continue;
                }
            }
            match slashed_name(name) {
                Ok(name) => {
                    below.truncate(lot.directory.len());
                    below.push_str(name);
                }
                Err(reason) => {
                    let path = full.join(name);
                    self.found.errors.push((path.clone(), ProjectError::Unnameable { path, reason }));
                    continue;
                }
            }
            if walker.rules.excludes(&below, is_dir) {
                continue;
            }
            if is_dir {
                // What comes after it comes after all that is in it.
                self.look_at(&mut lot, more);
                more.push(Work::Directory { path: below.clone(), above: level.clone(), is_start: false });
            } else if self.filter.is_some_and(|filter| !filter(&below)) || !walker.mapping.maps(&below) {
                // Not asked for.
            } else if kind == Kind::Link {
                self.found.links.push(below.clone());
            } else if kind == Kind::File {
                lot.files.push(at);
            }
            // Sockets, pipes and devices are no files to anybody: git passes over them too.
        }
        self.look_at(&mut lot, more);
    }

    /// Looks at the lot's files, if they aren't too many: then others take some. None is left in it.
    fn look_at(&mut self, lot: &mut Lot, more: &mut Vec<Work>) {
        while lot.files.len() > LOT {
            let files = lot.files.split_off(lot.files.len() - LOT);
            more.push(Work::Files(Lot { directory: lot.directory.clone(), entries: Arc::clone(&lot.entries), files }));
        }
        self.files(lot);
        lot.files.clear();
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

    fn files(&mut self, Lot { directory, entries, files }: &Lot) {
        let mut failures = Vec::new();
        self.found.blocks.write(directory, |block| {
            for &at in files {
                match entries.stat(at) {
                    Ok(stat) => block.push(entries.name(at).as_encoded_bytes(), stat),
                    Err(error) => failures.push((at, error)),
                }
            }
        });
        for (at, error) in failures {
            self.failed(self.walker.root.join(directory).join(entries.name(at)), error);
        }
    }

    fn failed(&mut self, path: PathBuf, source: std::io::Error) {
        // What vanished between being listed and being looked at is a deleted file.
        if source.kind() == ErrorKind::NotFound && path != self.walker.root {
            return;
        }
        self.found.errors.push((path.clone(), ProjectError::Io { action: "read", path, source }));
    }
}
