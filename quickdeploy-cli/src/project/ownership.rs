//! Who put an entry there? Decides which names that are only in the artifact are deleted from it.
//!
//! A checkout lacks most of what a build puts into an artifact, so a missing file alone says nothing. An entry is
//! deleted when the project owned it:
//!
//! 1. The index says that the project deployed this name, or found it deployed and equal to the local file.
//! 2. Or git tracked the file: it is in git's index although not in the working tree, or a commit in the history of
//!    `HEAD` deleted it (by this developer or by one whose commits were pulled).
//!
//! Three things stay, whatever the index, git or `--delete` say: names that `map` leads nowhere; names that ignore
//! files or `exclude` hide; and names in a dependency folder that isn't here at all (`node_modules` before an install).
//!
//! # What asking git costs
//!
//! Nothing, unless there are names of which the local index says nothing. Then two processes of a few milliseconds,
//! and for names that were never asked about, one look through the history. The answers are kept in the local index and
//! hold as long as git's own index file is the same; after that, known names only need the commits since. Files that a
//! sparse checkout leaves out are tracked but not deleted, and are left alone.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::diff::Deletion;
use super::index::{Data, stamp};
use super::mapping::Mapping;
use super::rules::dependency_folder;
use super::walk::{LocalFile, Walker};

/// What git said about names that are missing from the working tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct GitAnswers {
    /// Identifies the state of git's index file; commits, checkouts, merges and `git rm` all replace it.
    pub(crate) index_stamp: [u64; 3],
    /// The commit whose history was searched; empty when there was none.
    pub(crate) head: String,
    /// Paths that were asked about, relative to the root.
    pub(crate) asked: BTreeSet<String>,
    /// Those of them that git tracked.
    pub(crate) tracked: BTreeSet<String>,
}

/// What an answer rests on besides the names, the index and the configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RestsOn {
    /// Git's index.
    pub(crate) git: bool,
    /// Ignore files: they hide a name that would be deleted.
    pub(crate) ignore_files: bool,
}

/// The names among `absent` to delete, sorted. May replace `data.git`.
pub(crate) fn deletable<'a>(
    absent: &[&'a str],
    deletion: Deletion,
    local: &[LocalFile],
    mapping: &Mapping,
    walker: &Walker,
    data: &mut Data,
) -> (Vec<&'a str>, RestsOn) {
    let mut rests_on = RestsOn::default();
    let candidates: Vec<(&str, Vec<String>)> = absent
        .iter()
        .filter(|name| dependency_folder(name).is_none_or(|folder| has_folder(local, folder)))
        .map(|&name| (name, mapping.local_paths(name)))
        .filter(|(_, paths)| !paths.is_empty())
        .collect();
    let owned: Vec<(&str, Vec<String>)> = match deletion {
        Deletion::Everything => candidates,
        Deletion::Owned => {
            let (known, unknown): (Vec<_>, Vec<_>) = candidates
                .into_iter()
                .partition(|(name, _)| data.get(name).is_some_and(|record| record.deployed.is_some()));
            let asked: BTreeSet<&str> = unknown.iter().flat_map(|(_, paths)| paths).map(String::as_str).collect();
            rests_on.git = !asked.is_empty();
            let tracked = tracked(walker.root(), &asked, &mut data.git);
            let mut owned = known;
            owned.extend(unknown.into_iter().filter(|(_, paths)| paths.iter().any(|path| tracked.contains(path))));
            owned.sort_unstable_by_key(|(name, _)| *name);
            owned
        }
    };
    if owned.is_empty() {
        return (Vec::new(), rests_on);
    }
    let count = owned.len();
    let mut visibility = walker.visibility();
    let shown: Vec<&str> = owned
        .into_iter()
        .filter(|(_, paths)| paths.iter().any(|path| visibility.shows(path)))
        .map(|(name, _)| name)
        .collect();
    rests_on.ignore_files = shown.len() < count;
    (shown, rests_on)
}

/// Identifies the state of the git repository that `root` is in, as far as answers depend on it; `None`: it is in none.
pub(crate) fn git_stamp(root: &Path) -> Option<[u64; 3]> {
    git_index(root).and_then(|file| file.metadata().ok()).map(|metadata| stamp(&metadata))
}

/// Whether any of `local` (sorted by name) is in `folder`.
fn has_folder(local: &[LocalFile], folder: &str) -> bool {
    let first = local.partition_point(|file| {
        let name = file.name.as_bytes();
        let folder = folder.as_bytes();
        // Compares with `folder` followed by a slash, without building it.
        name.iter().cmp(folder.iter().chain(b"/")).is_lt()
    });
    local.get(first).is_some_and(|file| file.name.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')))
}

fn tracked(root: &Path, asked: &BTreeSet<&str>, answers: &mut Option<GitAnswers>) -> BTreeSet<String> {
    if asked.is_empty() {
        return BTreeSet::new();
    }
    let Some(index_stamp) = git_stamp(root) else {
        return BTreeSet::new();
    };
    let known = answers.take().unwrap_or_default();
    let is_asked = |path: &&String| asked.contains(path.as_str());
    if known.index_stamp == index_stamp && asked.iter().all(|path| known.asked.contains(*path)) {
        let tracked = known.tracked.iter().filter(is_asked).cloned().collect();
        *answers = Some(known);
        return tracked;
    }
    let Some(tracked) = Git { root }.tracked(asked, &known) else {
        return BTreeSet::new();
    };
    *answers = Some(GitAnswers {
        index_stamp,
        head: tracked.head,
        asked: asked.iter().map(|&path| path.to_owned()).collect(),
        tracked: tracked.paths.clone(),
    });
    tracked.paths
}

/// Git's index file for the repository that `root` is in.
fn git_index(root: &Path) -> Option<PathBuf> {
    let root = root.canonicalize().ok()?;
    let (top, dot_git) =
        root.ancestors().map(|directory| (directory, directory.join(".git"))).find(|(_, dot_git)| dot_git.exists())?;
    if dot_git.is_dir() {
        return Some(dot_git.join("index"));
    }
    // A worktree or submodule: `.git` is a file that says where.
    let text = std::fs::read_to_string(&dot_git).ok()?;
    Some(top.join(text.strip_prefix("gitdir:")?.trim()).join("index"))
}

struct Tracked {
    head: String,
    paths: BTreeSet<String>,
}

/// The git command, run in the root. Every failure means "git doesn't know", and then nothing is deleted.
struct Git<'a> {
    root: &'a Path,
}

impl Git<'_> {
    fn tracked(&self, asked: &BTreeSet<&str>, known: &GitAnswers) -> Option<Tracked> {
        // `H path` for a tracked file, `S path` for one that a sparse checkout leaves out.
        let listing = self.run(&["ls-files", "-z", "-t"])?;
        let mut paths = BTreeSet::new();
        let mut left_out = HashSet::new();
        for line in listing.split('\0') {
            match line.split_once(' ') {
                Some(("H", path)) if asked.contains(path) => _ = paths.insert(path.to_owned()),
                Some(("S", path)) if asked.contains(path) => _ = left_out.insert(path.to_owned()),
                _ => {}
            }
        }
        // A repository without a commit has no history.
        let head = self.run(&["rev-parse", "-q", "--verify", "HEAD"]).unwrap_or_default().trim().to_owned();
        if !head.is_empty() {
            let mut deleted = HashSet::new();
            let incremental = !known.head.is_empty() && asked.iter().all(|path| known.asked.contains(*path));
            let since = if incremental { self.deleted_in(&format!("{}..{head}", known.head)) } else { None };
            match since {
                Some(since) => {
                    deleted.extend(since);
                    paths.extend(known.tracked.iter().filter(|path| asked.contains(path.as_str())).cloned());
                }
                None => deleted.extend(self.deleted_in(&head)?),
            }
            paths.extend(deleted.into_iter().filter(|path| asked.contains(path.as_str())));
        }
        paths.retain(|path| !left_out.contains(path));
        Some(Tracked { head, paths })
    }

    /// All paths that a commit in `range` deleted; a rename counts as deleting the old name.
    fn deleted_in(&self, range: &str) -> Option<Vec<String>> {
        let arguments = ["log", "-z", "--format=", "--name-only", "--diff-filter=D", "--no-renames", "--relative"];
        let output = self.run(&[&arguments[..], &[range, "--"]].concat())?;
        Some(output.split(['\0', '\n']).filter(|path| !path.is_empty()).map(str::to_owned).collect())
    }

    fn run(&self, arguments: &[&str]) -> Option<String> {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(self.root)
            // A hook sets these for another repository or another index.
            .env_remove("GIT_DIR")
            .env_remove("GIT_WORK_TREE")
            .env_remove("GIT_INDEX_FILE")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }
}
