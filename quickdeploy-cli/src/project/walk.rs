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
//! One walk from the root, pruned to the directories that lead to mapped ones, on as many threads as there are cores:
//! each takes a directory from a common [`queue`], lists it ([`entries`]), judges its entries by name ([`levels`] for
//! ignore files), and collects what it finds for itself ([`visit`]). What that walk can't see because an ignore file hides
//! it (dependency folders, mapped directories, places of `include`) is walked after it with ignore rules off. Links, which
//! are few, are followed at the end by one thread. All of it together is a [`Listing`].
//!
//! The walk is the dear part of a comparison in which nothing has changed, so what it does per file is counted: one
//! `stat`, and no allocation. The `ignore` crate's own walker makes a path and a matcher's handle for each file, and has
//! the file system walk down from its root to each.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use ignore::WalkBuilder;

use super::error::ProjectError;
use super::mapping::{self, Mapping};
use super::rules::{IGNORE_FILE, Rules};
use super::stat::Stat;
use levels::Level;
use listing::{Blocks, Part};
use queue::Queue;
use visit::{Visitor, Work};

pub(crate) use listing::Listing;

mod directories;
mod entries;
mod levels;
mod links;
mod listing;
mod queue;
mod visit;

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
    pub(crate) name: Box<str>,
    /// Its path, when that isn't the name too, as it is without a `map`.
    other_path: Option<Box<str>>,
    /// Of the file itself, also where `path` is a symbolic link.
    pub(crate) stat: Stat,
    /// Whether a symbolic link leads to it.
    pub(crate) linked: bool,
}

impl LocalFile {
    pub(crate) fn new(name: String, path: String, stat: Stat) -> Self {
        let other_path = (name != path).then(|| path.into());
        Self { name: name.into(), other_path, stat, linked: false }
    }

    /// Its path, relative to the root, joined by `/`.
    pub(crate) fn path(&self) -> &str {
        self.other_path.as_deref().unwrap_or(&self.name)
    }
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
    blocks: Blocks,
    /// Symbolic links, as paths relative to the root.
    links: Vec<String>,
    /// Dependency folders, as paths relative to the root. Not entered.
    dependency_folders: Vec<String>,
    /// Mapped directories that the walk came to.
    mapped: Vec<String>,
    errors: Vec<(PathBuf, ProjectError)>,
}

impl Found {
    fn add(&mut self, other: Self) {
        self.blocks.add(other.blocks);
        self.links.extend(other.links);
        self.dependency_folders.extend(other.dependency_folders);
        self.mapped.extend(other.mapped);
        self.errors.extend(other.errors);
    }
}

/// Which files, by their path, a walk is to find; `None`: all.
type Filter<'a> = Option<&'a (dyn Fn(&str) -> bool + Sync)>;

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
        self.named(self.list(scope)?)
    }

    /// The same where mapped directories may still be missing: a build makes them.
    pub(crate) fn files_so_far(&self, scope: Scope) -> Result<Vec<LocalFile>, ProjectError> {
        self.named(self.list_so_far(scope)?)
    }

    /// All files of the project, without their entry names.
    pub(crate) fn list(&self, scope: Scope) -> Result<Listing, ProjectError> {
        for directory in self.mapping.directories() {
            if !self.root.join(directory).is_dir() {
                return Err(ProjectError::NoSuchDirectory { directory: directory.to_owned(), root: self.root.clone() });
            }
        }
        self.list_so_far(scope)
    }

    fn list_so_far(&self, scope: Scope) -> Result<Listing, ProjectError> {
        let mut visible = self.run(vec![String::new()], IgnoreFiles::Respected, scope, None)?;
        let mut hidden = std::mem::take(&mut visible.dependency_folders);
        hidden.extend(
            self.mapping
                .directories()
                .filter(|directory| !visible.mapped.iter().any(|seen| seen == directory))
                .map(str::to_owned),
        );
        let mut listing = Listing { parts: vec![self.part(visible, IgnoreFiles::Respected)?] };
        self.add_hidden(&hidden, None, &mut listing)?;
        self.add_hidden(self.rules.include_bases(), Some(&|path| self.rules.includes(path)), &mut listing)?;
        Ok(listing)
    }

    /// The files with their entry names, by which they are sorted, each name once.
    pub(crate) fn named(&self, listing: Listing) -> Result<Vec<LocalFile>, ProjectError> {
        let files = listing.files(self)?;
        self.check_folders(&files)?;
        Ok(files)
    }

    fn part(&self, found: Found, ignore_files: IgnoreFiles) -> Result<Part, ProjectError> {
        let mut part = Part { blocks: found.blocks, linked: Vec::new() };
        part.blocks.sort();
        self.follow_all(&found.links, ignore_files, &mut part.linked)?;
        Ok(part)
    }

    /// A name can't be a file and a folder at once. On one disk it isn't, but two mapped directories can make it so.
    fn check_folders(&self, files: &[LocalFile]) -> Result<(), ProjectError> {
        if self.mapping.directories().count() < 2 {
            return Ok(());
        }
        for below in files {
            for (slash, _) in below.name.match_indices('/') {
                let folder = &below.name[..slash];
                if let Ok(position) = files.binary_search_by(|file| (*file.name).cmp(folder)) {
                    return Err(ProjectError::FileAndFolder {
                        name: folder.to_owned(),
                        file: files[position].path().to_owned(),
                        below: below.path().to_owned(),
                    });
                }
            }
        }
        Ok(())
    }

    /// Adds what is in `directories` and passes `filter`, whatever ignore files say.
    fn add_hidden(
        &self,
        directories: &[String],
        filter: Filter<'_>,
        listing: &mut Listing,
    ) -> Result<(), ProjectError> {
        let is_there = |directory: &&String| self.root.join(directory).is_dir();
        let existing: Vec<String> = directories.iter().filter(is_there).cloned().collect();
        if existing.is_empty() {
            return Ok(());
        }
        let found = self.run(existing, IgnoreFiles::Off, Scope::Edit, filter)?;
        listing.parts.push(self.part(found, IgnoreFiles::Off)?);
        Ok(())
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

    /// Walks from these directories, relative to the root.
    fn run(
        &self,
        starts: Vec<String>,
        ignore_files: IgnoreFiles,
        scope: Scope,
        filter: Filter<'_>,
    ) -> Result<Found, ProjectError> {
        let above = match ignore_files {
            IgnoreFiles::Respected => Some(Level::above(&self.canonical_root, self.in_git)),
            IgnoreFiles::Off => None,
        };
        let start = |path| Work::Directory { path, above: above.clone(), is_start: true };
        let queue = Queue::new(starts.into_iter().map(start).collect());
        let share = || {
            let found = Found { blocks: Blocks::of_thread(), ..Found::default() };
            let mut visitor = Visitor { walker: self, scope, filter, found };
            queue.run(|work, more| visitor.visit(work, more));
            visitor.found
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let mut found = std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(share)).collect();
            let mut all = share();
            for other in others {
                match other.join() {
                    Ok(found) => all.add(found),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            all
        });
        // Threads meet errors in any order; people should see the same one every time.
        match found.errors.iter().enumerate().min_by(|(_, a), (_, b)| a.0.cmp(&b.0)).map(|(index, _)| index) {
            Some(first) => Err(found.errors.swap_remove(first).1),
            None => Ok(found),
        }
    }

    /// Judges single paths.
    pub(crate) fn visibility(&self) -> Visibility<'_> {
        let matcher = self.builder(&self.root, IgnoreFiles::Respected).build_matchers().into_iter().next();
        Visibility { walker: self, matcher }
    }

    fn file(&self, path: String, stat: Stat) -> Result<Option<LocalFile>, ProjectError> {
        let file = if self.mapping.keeps_names() {
            LocalFile { name: path.into(), other_path: None, stat, linked: false }
        } else {
            let Some(name) = self.mapping.entry_name(&path) else {
                return Ok(None);
            };
            LocalFile::new(name, path, stat)
        };
        match mapping::check_entry_name(&file.name) {
            Ok(()) => Ok(Some(file)),
            Err(reason) => Err(ProjectError::Unnameable { path: self.root.join(file.path()), reason }),
        }
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
        if self.walker.rules.excludes_with_parents(path) {
            return false;
        }
        !self.is_ignored(path, false) || self.walker.rules.includes(path) || self.is_below_hidden_mapped_directory(path)
    }

    fn is_below_hidden_mapped_directory(&mut self, path: &str) -> bool {
        let walker = self.walker;
        walker.mapping.directories().any(|directory| {
            let inside = path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'));
            inside && self.is_ignored(directory, true)
        })
    }
}

fn by_name(a: &LocalFile, b: &LocalFile) -> Ordering {
    a.name.cmp(&b.name).then_with(|| a.path().cmp(b.path()))
}

/// Sorts by name. The same file found twice is one; two files with one name are an error.
fn unique(mut files: Vec<LocalFile>) -> Result<Vec<LocalFile>, ProjectError> {
    if files.is_sorted_by(|a, b| a.name < b.name) {
        return Ok(files);
    }
    files.sort_by(by_name);
    files.dedup_by(|b, a| a.name == b.name && a.path() == b.path());
    match files.windows(2).find(|pair| pair[0].name == pair[1].name) {
        Some(pair) => Err(ProjectError::NameClash {
            name: pair[0].name.to_string(),
            first: pair[0].path().to_owned(),
            second: pair[1].path().to_owned(),
        }),
        None => Ok(files),
    }
}

#[cfg(test)]
#[path = "walk_tests.rs"]
mod tests;
