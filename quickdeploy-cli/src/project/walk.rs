//! The tree walk: which files there are, with their `stat`. No content is read.
//!
//! # Two scopes
//!
//! `node_modules` is git-ignored in nearly every project, yet the artifact needs it. So there are two questions:
//!
//! - [`Scope::Edit`], "what did the developer write?": the files that no ignore file hides. A git-ignored
//!   `node_modules` isn't walked, is not compared with the artifact's and is never deleted from it. One that is *not*
//!   ignored is walked like any other directory.
//! - [`Scope::Package`], "what does a whole artifact hold?": those, and the folders that package managers fill
//!   ([`rules::DEPENDENCY_FOLDERS`](super::rules::DEPENDENCY_FOLDERS)) wherever they stand beside visible files.
//!   Inside them no ignore file counts: packages are published with `.gitignore` files that were written for their own
//!   repositories.
//!
//! `exclude` and the names that are never packaged hold in both, inside dependency folders too. Other git-ignored
//! output (`dist/`) is taken when the configuration names it, in `map` or in `include`.
//!
//! # Symbolic links
//!
//! A link is packaged as what it points to, as `zip -r` does and as Lambda wants it: to a file, as that file; to a
//! directory, as that directory under the link's name (npm workspaces and pnpm are made of these). A link that is
//! broken, leads out of the root, or back into a directory that it lies in, is an error that names it: silently
//! leaving out a file would only show once the function fails.
//!
//! # Mechanism
//!
//! One parallel walk (`ignore::WalkParallel`) from the root, pruned to the directories that lead to mapped ones; each
//! thread collects into a vector of its own. What that walk can't see because an ignore file hides it (dependency
//! folders, mapped directories, places of `include`) is walked after it with ignore rules off. Links, which are few,
//! are followed at the end by one thread.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ignore::{DirEntry, ParallelVisitor, ParallelVisitorBuilder, WalkBuilder, WalkState};

use super::error::ProjectError;
use super::mapping::{self, Mapping, Unnameable, slashed_below};
use super::rules::{DEPENDENCY_FOLDERS, IGNORE_FILE, Rules};
use super::stat::Stat;

/// Which files are wanted: see the module's documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The developer's own files.
    Edit,
    /// Those, and dependency folders.
    Package,
}

/// A file that belongs into the artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LocalFile {
    /// Its entry name.
    pub(crate) name: String,
    /// Its path, relative to the root, joined by `/`.
    pub(crate) path: String,
    /// Of the file itself, also where `path` is a symbolic link.
    pub(crate) stat: Stat,
}

/// Walks one root by one set of rules.
#[derive(Debug, Clone)]
pub(crate) struct Walker {
    root: PathBuf,
    canonical_root: PathBuf,
    mapping: Mapping,
    rules: Rules,
    /// Ignore files above the root count only where git would read them.
    in_git: bool,
}

/// What a walk came across.
#[derive(Debug, Default)]
struct Found {
    files: Vec<LocalFile>,
    /// Symbolic links, as paths relative to the root.
    links: Vec<String>,
    /// Dependency folders, as paths relative to the root. Not entered.
    dependency_folders: Vec<String>,
    /// Mapped directories that the walk came to.
    mapped: Vec<String>,
    errors: Vec<(PathBuf, ProjectError)>,
}

/// How a walk treats ignore files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum IgnoreFiles {
    Respected,
    Off,
}

impl Walker {
    pub(crate) fn new(root: &Path, mapping: Mapping, rules: Rules) -> Result<Self, ProjectError> {
        let canonical_root = root.canonicalize().map_err(ProjectError::io("open", root))?;
        let in_git = canonical_root.ancestors().any(|directory| directory.join(".git").exists());
        Ok(Self { root: root.to_owned(), canonical_root, mapping, rules, in_git })
    }

    /// The directory that is walked.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// All files of the project, sorted by entry name, each name once.
    pub(crate) fn files(&self, scope: Scope) -> Result<Vec<LocalFile>, ProjectError> {
        for directory in self.mapping.directories() {
            if !self.root.join(directory).is_dir() {
                return Err(ProjectError::NoSuchDirectory { directory: directory.to_owned(), root: self.root.clone() });
            }
        }
        let mut visible = self.run(self.builder(&self.root, IgnoreFiles::Respected), scope, None)?;
        let mut files = std::mem::take(&mut visible.files);
        self.follow_all(&visible.links, IgnoreFiles::Respected, &mut files)?;

        let mut hidden = std::mem::take(&mut visible.dependency_folders);
        hidden.extend(
            self.mapping
                .directories()
                .filter(|directory| !visible.mapped.iter().any(|seen| seen == directory))
                .map(str::to_owned),
        );
        self.add_hidden(&hidden, false, &mut files)?;
        self.add_hidden(self.rules.include_bases(), true, &mut files)?;
        unique(files)
    }

    /// Adds what is in `directories` whatever ignore files say; only what `include` names, when `included_only`.
    fn add_hidden(
        &self,
        directories: &[String],
        included_only: bool,
        files: &mut Vec<LocalFile>,
    ) -> Result<(), ProjectError> {
        let mut existing =
            directories.iter().map(|directory| self.root.join(directory)).filter(|directory| directory.is_dir());
        let Some(first) = existing.next() else {
            return Ok(());
        };
        let mut builder = self.builder(&first, IgnoreFiles::Off);
        for directory in existing {
            builder.add(directory);
        }
        let keep = |path: &str| self.rules.includes(Path::new(path));
        let filter: Option<&(dyn Fn(&str) -> bool + Sync)> = if included_only { Some(&keep) } else { None };
        let found = self.run(builder, Scope::Edit, filter)?;
        files.extend(found.files);
        self.follow_all(&found.links, IgnoreFiles::Off, files)
    }

    fn builder(&self, directory: &Path, ignore_files: IgnoreFiles) -> WalkBuilder {
        let mut builder = WalkBuilder::new(directory);
        builder.standard_filters(false).follow_links(false);
        if ignore_files == IgnoreFiles::Respected {
            builder
                .git_ignore(true)
                .git_exclude(true)
                .git_global(true)
                .parents(self.in_git)
                .require_git(self.in_git)
                .add_custom_ignore_filename(IGNORE_FILE);
        }
        builder
    }

    fn run(
        &self,
        mut builder: WalkBuilder,
        scope: Scope,
        filter: Option<&(dyn Fn(&str) -> bool + Sync)>,
    ) -> Result<Found, ProjectError> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let collected = Mutex::new(Found::default());
        builder.threads(threads).build_parallel().visit(&mut VisitorBuilder {
            walker: self,
            scope,
            filter,
            collected: &collected,
        });
        let mut found = collected.into_inner().unwrap_or_else(PoisonError::into_inner);
        // Threads meet errors in any order; people should see the same one every time.
        match found.errors.iter().enumerate().min_by(|(_, a), (_, b)| a.0.cmp(&b.0)).map(|(index, _)| index) {
            Some(first) => Err(found.errors.swap_remove(first).1),
            None => Ok(found),
        }
    }

    /// Whether the rules keep `path` (relative to the root, existing or not) out of the package.
    pub(crate) fn visibility(&self) -> Visibility<'_> {
        let matcher = self.builder(&self.root, IgnoreFiles::Respected).build_matchers().into_iter().next();
        Visibility { walker: self, matcher }
    }

    fn file(&self, path: String, stat: Stat) -> Result<Option<LocalFile>, ProjectError> {
        let Some(name) = self.mapping.entry_name(&path) else {
            return Ok(None);
        };
        mapping::check_entry_name(&name).map_err(|reason| self.unnameable(Path::new(&path), reason))?;
        Ok(Some(LocalFile { name, path, stat }))
    }

    fn unnameable(&self, path: &Path, reason: Unnameable) -> ProjectError {
        ProjectError::Unnameable { path: self.root.join(path), reason }
    }

    fn follow_all(
        &self,
        links: &[String],
        ignore_files: IgnoreFiles,
        files: &mut Vec<LocalFile>,
    ) -> Result<(), ProjectError> {
        if links.is_empty() {
            return Ok(());
        }
        let mut links: Vec<&String> = links.iter().collect();
        links.sort();
        let mut visibility = (ignore_files == IgnoreFiles::Respected).then(|| self.visibility());
        for link in links {
            let parent = self.root.join(link);
            let parent = parent.parent().unwrap_or(&self.root);
            let within = vec![parent.canonicalize().map_err(ProjectError::io("open", parent))?];
            self.follow(link, &within, visibility.as_mut(), files)?;
        }
        Ok(())
    }

    /// Adds what the link at `path` leads to. `within` are the real directories that one has come through.
    fn follow(
        &self,
        path: &str,
        within: &[PathBuf],
        mut visibility: Option<&mut Visibility<'_>>,
        files: &mut Vec<LocalFile>,
    ) -> Result<(), ProjectError> {
        let link = self.root.join(path);
        let bad = |problem: String| ProjectError::Link { path: link.clone(), problem };
        let target = match link.canonicalize() {
            Ok(target) => target,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let target = std::fs::read_link(&link).map_err(ProjectError::io("read", &link))?;
                return Err(bad(format!("points to `{}`, which does not exist", target.display())));
            }
            Err(error) => return Err(bad(format!("can't be followed ({error})"))),
        };
        if !target.starts_with(&self.canonical_root) {
            return Err(bad(format!("leads out of the project, to `{}`", target.display())));
        }
        let metadata = std::fs::metadata(&target).map_err(ProjectError::io("read", &target))?;
        if metadata.is_file() {
            files.extend(self.file(path.to_owned(), Stat::of(&metadata))?);
            return Ok(());
        }
        if !metadata.is_dir() {
            return Ok(());
        }
        if within.iter().any(|directory| directory.starts_with(&target)) {
            return Err(bad(format!("leads back to `{}`, a directory that it lies in", target.display())));
        }
        let mut within = within.to_vec();
        within.push(target);
        let mut directories = vec![path.to_owned()];
        while let Some(directory) = directories.pop() {
            let full = self.root.join(&directory);
            for entry in std::fs::read_dir(&full).map_err(ProjectError::io("list", &full))? {
                let entry = entry.map_err(ProjectError::io("list", &full))?;
                let kind = entry.file_type().map_err(ProjectError::io("read", &entry.path()))?;
                let child = slashed_below(&self.root, &entry.path())
                    .map_err(|reason| ProjectError::Unnameable { path: entry.path(), reason })?;
                if self.rules.excludes(Path::new(&child), kind.is_dir())
                    || visibility.as_mut().is_some_and(|visibility| visibility.is_ignored(&child, kind.is_dir()))
                {
                    continue;
                }
                if kind.is_dir() {
                    directories.push(child);
                } else if kind.is_symlink() {
                    self.follow(&child, &within, visibility.as_deref_mut(), files)?;
                } else if kind.is_file() {
                    let metadata = entry.metadata().map_err(ProjectError::io("read", &entry.path()))?;
                    files.extend(self.file(child, Stat::of(&metadata))?);
                }
            }
        }
        Ok(())
    }
}

/// Answers for single names what the walk would do with them, whether or not there is a file.
pub(crate) struct Visibility<'a> {
    walker: &'a Walker,
    matcher: Option<ignore::IncrementalIgnore>,
}

impl Visibility<'_> {
    fn is_ignored(&mut self, path: &str, is_dir: bool) -> bool {
        self.matcher.as_mut().is_some_and(|matcher| matcher.matched(path, is_dir).is_ignore())
    }

    /// Whether a file at `path` would be found by [`Scope::Edit`].
    pub(crate) fn shows(&mut self, path: &str) -> bool {
        let as_path = Path::new(path);
        if self.walker.rules.excludes_with_parents(as_path) {
            return false;
        }
        !self.is_ignored(path, false)
            || self.walker.rules.includes(as_path)
            || self.is_below_hidden_mapped_directory(path)
    }

    fn is_below_hidden_mapped_directory(&mut self, path: &str) -> bool {
        let walker = self.walker;
        walker.mapping.directories().any(|directory| {
            let inside = path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'));
            inside && self.is_ignored(directory, true)
        })
    }
}

struct VisitorBuilder<'a> {
    walker: &'a Walker,
    scope: Scope,
    filter: Option<&'a (dyn Fn(&str) -> bool + Sync)>,
    collected: &'a Mutex<Found>,
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
    filter: Option<&'a (dyn Fn(&str) -> bool + Sync)>,
    collected: &'a Mutex<Found>,
    found: Found,
}

impl Drop for Visitor<'_> {
    fn drop(&mut self) {
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
        if entry.depth() > 0 && walker.rules.excludes(Path::new(&path), kind.is_dir()) {
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
                let wanted = mapping.concerns_directory(&below) && !self.walker.rules.excludes(Path::new(&below), true);
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

/// Sorts by name. The same file found twice is one; two files with one name are an error.
fn unique(mut files: Vec<LocalFile>) -> Result<Vec<LocalFile>, ProjectError> {
    files.sort_unstable_by(|a, b| a.name.cmp(&b.name).then_with(|| a.path.cmp(&b.path)));
    files.dedup_by(|b, a| a.name == b.name && a.path == b.path);
    match files.windows(2).find(|pair| pair[0].name == pair[1].name) {
        Some(pair) => Err(ProjectError::NameClash {
            name: pair[0].name.clone(),
            first: pair[0].path.clone(),
            second: pair[1].path.clone(),
        }),
        None => Ok(files),
    }
}

#[cfg(test)]
#[path = "walk_tests.rs"]
mod tests;
