//! Ignore files, as a walk comes upon them.
//!
//! A directory that has ignore files of its own, or is the top of a repository, makes a [`Level`]; all others share the
//! one above, and where no level has any rule, no name is compared with anything. What counts is what git and the `ignore`
//! crate's walker count, which is the judge of this in the tests: of `.quickdeployignore`, `.gitignore`,
//! `.git/info/exclude` and the user's excludes the first one that has something to say, and of several files of one name
//! the nearest. Git's own don't reach from outside into a repository.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::super::rules::IGNORE_FILE;

const GIT_IGNORE: &str = ".gitignore";
const REPOSITORIES: [&str; 2] = [".git", ".jj"];

/// What of a directory's entries matters for what is ignored in it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Marks {
    own: bool,
    git_ignore: bool,
    git: bool,
    jj: bool,
}

impl Marks {
    /// Takes one entry into account.
    pub(super) fn note(&mut self, name: &OsStr) {
        if name.as_encoded_bytes().first() != Some(&b'.') {
            return;
        }
        self.own |= name == IGNORE_FILE;
        self.git_ignore |= name == GIT_IGNORE;
        self.git |= name == REPOSITORIES[0];
        self.jj |= name == REPOSITORIES[1];
    }

    /// Those of a directory that isn't listed.
    fn of(directory: &Path) -> Self {
        let has = |name: &str| directory.join(name).exists();
        Self { own: has(IGNORE_FILE), git_ignore: has(GIT_IGNORE), git: has(REPOSITORIES[0]), jj: has(REPOSITORIES[1]) }
    }

    fn any(self) -> bool {
        self.own || self.git_ignore || self.git || self.jj
    }
}

/// The rules that hold in a directory: its own, and by `above` those of the directories that it lies in.
#[derive(Debug)]
pub(super) struct Level {
    above: Option<Arc<Self>>,
    own: Gitignore,
    git: Gitignore,
    exclude: Gitignore,
    /// The user's: the same in all levels.
    global: Arc<Gitignore>,
    /// Git's rules from above end here.
    is_top: bool,
    /// Whether any rule holds here.
    rules: bool,
    /// Whether a repository's top counts as one.
    in_git: bool,
}

impl Level {
    /// What holds at `root` (canonical) before its own files are read. Ignore files above it count only where git would
    /// read them.
    pub(super) fn above(root: &Path, in_git: bool) -> Arc<Self> {
        let global = std::env::current_dir().map_or_else(
            |_| Gitignore::empty(),
            // A pattern that can't be read matches nothing.
            |here| GitignoreBuilder::new(here).build_global().0,
        );
        let none = Gitignore::empty;
        let rules = !global.is_empty();
        let global = Arc::new(global);
        let mut level = Arc::new(Self {
            above: None,
            own: none(),
            git: none(),
            exclude: none(),
            global,
            is_top: false,
            rules,
            in_git,
        });
        if in_git {
            let above: Vec<&Path> = root.ancestors().skip(1).collect();
            for directory in above.into_iter().rev() {
                level = level.enter(directory, Marks::of(directory));
            }
        }
        level
    }

    /// What holds in `directory` (canonical) below this one, in which `marks` were seen.
    pub(super) fn enter(self: &Arc<Self>, directory: &Path, marks: Marks) -> Arc<Self> {
        if !marks.any() {
            return Arc::clone(self);
        }
        let read = |wanted: bool, file: Option<PathBuf>| match file.filter(|_| wanted) {
            Some(file) => read(directory, &file),
            None => Gitignore::empty(),
        };
        let own = read(marks.own, Some(directory.join(IGNORE_FILE)));
        let git = read(marks.git_ignore, Some(directory.join(GIT_IGNORE)));
        let exclude = read(marks.git, if marks.git { exclude_file(directory) } else { None });
        let rules = self.rules || !own.is_empty() || !git.is_empty() || !exclude.is_empty();
        Arc::new(Self {
            above: Some(Arc::clone(self)),
            own,
            git,
            exclude,
            global: Arc::clone(&self.global),
            is_top: self.in_git && REPOSITORIES.iter().any(|name| directory.join(name).exists()),
            rules,
            in_git: self.in_git,
        })
    }

    /// Whether anything can be ignored here.
    pub(super) fn has_rules(&self) -> bool {
        self.rules
    }

    /// Whether an entry of this directory is ignored; of one in a directory that is ignored, it isn't asked.
    pub(super) fn ignores(&self, path: &Path, is_dir: bool) -> bool {
        let (mut own, mut git, mut exclude) = (Match::None, Match::None, Match::None);
        let mut beyond_top = false;
        let mut next = Some(self);
        while let Some(level) = next {
            if own.is_none() {
                own = level.own.matched(path, is_dir);
            }
            if !beyond_top && git.is_none() {
                git = level.git.matched(path, is_dir);
            }
            if !beyond_top && exclude.is_none() {
                exclude = level.exclude.matched(path, is_dir);
            }
            beyond_top |= level.is_top;
            next = level.above.as_deref();
        }
        own.or(git).or(exclude).or(self.global.matched(path, is_dir)).is_ignore()
    }
}

/// The patterns of `file`, relative to `directory`. Those that aren't valid match nothing, as does a file that can't be
/// read.
fn read(directory: &Path, file: &Path) -> Gitignore {
    let mut builder = GitignoreBuilder::new(directory);
    _ = builder.add(file);
    builder.build().unwrap_or_else(|_| Gitignore::empty())
}

/// The repository's own excludes. In a worktree, `.git` is a file that says where they are.
fn exclude_file(directory: &Path) -> Option<PathBuf> {
    const EXCLUDE: &str = "info/exclude";
    let git = directory.join(".git");
    if !git.is_file() {
        return Some(git.join(EXCLUDE));
    }
    let first_line = |file: &Path| fs::read_to_string(file).ok()?.lines().next().map(str::to_owned);
    let own = PathBuf::from(first_line(&git)?.strip_prefix("gitdir: ")?);
    let common = first_line(&own.join("commondir"))?;
    Some(own.join(common).join(EXCLUDE))
}
