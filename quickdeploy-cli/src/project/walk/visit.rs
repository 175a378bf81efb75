//! One thread's share of the parallel walk.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use ignore::{DirEntry, ParallelVisitor, ParallelVisitorBuilder, WalkState};

use super::super::error::ProjectError;
use super::super::mapping::slashed_below;
use super::super::rules::DEPENDENCY_FOLDERS;
use super::super::stat::Stat;
use super::{Filter, Found, Scope, Walker, by_name};

/// Makes a [`Visitor`] for each thread.
pub(super) struct VisitorBuilder<'a> {
    pub(super) walker: &'a Walker,
    pub(super) scope: Scope,
    pub(super) filter: Filter<'a>,
    pub(super) collected: &'a Mutex<Found>,
}

impl<'s, 'a: 's> ParallelVisitorBuilder<'s> for VisitorBuilder<'a> {
    fn build(&mut self) -> Box<dyn ParallelVisitor + 's> {
        Box::new(Visitor {
            walker: self.walker,
            scope: self.scope,
            filter: self.filter,
            collected: self.collected,
            found: Found::default(),
        })
    }
}

/// One thread's share of a walk.
struct Visitor<'a> {
    walker: &'a Walker,
    scope: Scope,
    filter: Filter<'a>,
    collected: &'a Mutex<Found>,
    found: Found,
}

impl Drop for Visitor<'_> {
    fn drop(&mut self) {
        // Each thread sorts its share; what is left for one thread is to merge them.
        self.found.files.sort_unstable_by(by_name);
        let mut all = self.collected.lock().unwrap_or_else(PoisonError::into_inner);
        let found = std::mem::take(&mut self.found);
        all.files.extend(found.files);
        all.links.extend(found.links);
        all.dependency_folders.extend(found.dependency_folders);
        all.mapped.extend(found.mapped);
        all.errors.extend(found.errors);
    }
}

impl ParallelVisitor for Visitor<'_> {
    fn visit(&mut self, entry: Result<DirEntry, ignore::Error>) -> WalkState {
        match entry {
            Ok(entry) => self.entry(&entry).unwrap_or_else(|error| {
                self.found.errors.push((entry.path().to_owned(), error));
                WalkState::Continue
            }),
            Err(error) => {
                self.walk_error(error);
                WalkState::Continue
            }
        }
    }
}

impl Visitor<'_> {
    fn entry(&mut self, entry: &DirEntry) -> Result<WalkState, ProjectError> {
        let walker = self.walker;
        let full = entry.path();
        let Some(kind) = entry.file_type() else {
            return Ok(WalkState::Continue);
        };
        let path = match slashed_below(&walker.root, full) {
            Ok(path) => path,
            Err(reason) => {
                return Err(ProjectError::Unnameable { path: full.to_owned(), reason });
            }
        };
        if entry.depth() > 0 && walker.rules.excludes(&path, kind.is_dir()) {
            return Ok(WalkState::Skip);
        }
        if kind.is_dir() {
            return Ok(self.directory(entry, &path));
        }
        if self.filter.is_some_and(|filter| !filter(&path)) {
            return Ok(WalkState::Continue);
        }
        if kind.is_symlink() {
            if walker.mapping.entry_name(&path).is_some() {
                self.found.links.push(path);
            }
        } else if kind.is_file() {
            match entry.metadata() {
                Ok(metadata) => self.found.files.extend(walker.file(path, Stat::of(&metadata))?),
                Err(error) => self.walk_error(error),
            }
        }
        // Sockets, pipes and devices are no files to anybody: git passes over them too.
        Ok(WalkState::Continue)
    }

    fn directory(&mut self, entry: &DirEntry, path: &str) -> WalkState {
        let mapping = &self.walker.mapping;
        if !mapping.concerns_directory(path) {
            return WalkState::Skip;
        }
        if mapping.directories().any(|directory| directory == path) {
            self.found.mapped.push(path.to_owned());
        }
        if self.scope == Scope::Package {
            let is_folder = |name: &std::ffi::OsStr| DEPENDENCY_FOLDERS.iter().any(|folder| name == *folder);
            if entry.depth() > 0 && is_folder(entry.file_name()) {
                // Already noted from the directory above.
                return WalkState::Skip;
            }
            for folder in DEPENDENCY_FOLDERS {
                let below = if path.is_empty() { folder.to_owned() } else { format!("{path}/{folder}") };
                let kind = entry.path().join(folder).symlink_metadata().map(|metadata| metadata.file_type());
                let wanted = mapping.concerns_directory(&below) && !self.walker.rules.excludes(&below, true);
                match kind {
                    Ok(kind) if kind.is_dir() && wanted => self.found.dependency_folders.push(below),
                    // A link that is not ignored comes along by itself; twice is the same file.
                    Ok(kind) if kind.is_symlink() && wanted => self.found.links.push(below),
                    _ => {}
                }
            }
        }
        WalkState::Continue
    }

    fn walk_error(&mut self, error: ignore::Error) {
        let path = path_of(&error).unwrap_or(&self.walker.root).to_owned();
        // What vanished between being listed and being looked at is a deleted file.
        if error.io_error().is_some_and(|error| error.kind() == std::io::ErrorKind::NotFound)
            && path != self.walker.root
        {
            return;
        }
        let message = error.to_string();
        let source = error.into_io_error().unwrap_or_else(|| std::io::Error::other(message));
        self.found.errors.push((path.clone(), ProjectError::Io { action: "read", path, source }));
    }
}

fn path_of(error: &ignore::Error) -> Option<&Path> {
    match error {
        ignore::Error::WithPath { path, .. } => Some(path),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => path_of(err),
        ignore::Error::Partial(errors) => errors.iter().find_map(path_of),
        _ => None,
    }
}
