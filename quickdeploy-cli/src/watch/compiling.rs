//! When a save calls for the compiler, and when what was written while it ran calls for it again.
//!
//! A compiler may read every file that no ignore file hides, so a save of any of them is a reason to run it, if the
//! content is another one. Hidden files are made by tools: a `dist` that is git-ignored and mapped goes out when it has
//! changed, and is never compiled.
//!
//! # What is written during a run
//!
//! It was written by the compiler or by somebody who saves meanwhile, and the system doesn't say by whom. So what has
//! another content than before is taken for a save and compiled once more. What [`REPEATED`] runs in a row have written is
//! an output and no reason for another one; unless it was ever changed between runs, because then somebody works on it.
//! When there is still something new after [`LONGEST`] further runs in a row, it is taken for an output whatever it is,
//! and that is told. What changes between runs is no output, whatever it was before.
//!
//! # Several artifacts
//!
//! Those with the same command and root share the compiler and all that is known of it. Who comes while it runs waits, and
//! finds its own save done.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::compare::in_background;
use crate::compile::Compile;
use crate::error::Result;
use crate::project::{Look, Project, Sources};

/// What so many runs in a row have written is an output. Two would be too few: somebody may save a file twice while a slow
/// compiler runs, and the second save would be lost.
const REPEATED: usize = 3;

/// So many runs in a row may be caused by what was written during the one before.
const LONGEST: usize = 4;

/// A compiler, and what is known of its sources and outputs.
#[derive(Debug)]
pub(crate) struct Compiler {
    pub(super) compile: Compile,
    project: Project,
    state: Mutex<State>,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct State {
    /// What was found at the last look.
    known: BTreeMap<PathBuf, Look>,
    /// What changed between runs.
    saved: BTreeSet<PathBuf>,
    /// What the compiler writes, as far as it could be a source.
    outputs: BTreeSet<PathBuf>,
    /// What the next run is for, when it was written during the last one; and how many runs in a row have written it.
    cause: BTreeMap<PathBuf, usize>,
    /// Runs in a row that had a cause.
    in_a_row: usize,
    /// When the last run ended; `None`: it never ran.
    pub(super) ended: Option<Instant>,
    /// Whether the last run failed.
    pub(super) failed: bool,
}

/// What comes after a run.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing that was written needs another one.
    Done,
    /// Another one.
    Again,
    /// Nothing, although this is written anew by every run.
    GivenUp(Vec<PathBuf>),
}

impl Compiler {
    /// Those of the projects, in their order, the same one where it is shared.
    pub(crate) fn of(projects: &[Project]) -> Vec<Option<Arc<Self>>> {
        let mut all: Vec<Option<Arc<Self>>> = Vec::with_capacity(projects.len());
        for project in projects {
            let compiler = Compile::of(project.settings()).map(|compile| {
                let known = all.iter().flatten().find(|other| other.compile.is_the_same(&compile)).cloned();
                let new = || Arc::new(Self { compile, project: project.clone(), state: Mutex::default() });
                known.unwrap_or_else(new)
            });
            all.push(compiler);
        }
        all
    }

    /// The compiler for oneself, when nobody runs it.
    pub(super) async fn take(&self) -> MutexGuard<'_, State> {
        self.state.lock().await
    }

    /// What there is now at these paths.
    pub(super) async fn look(&self, paths: &BTreeSet<PathBuf>) -> Result<Sources> {
        let (project, paths) = (self.project.clone(), paths.clone());
        in_background(move || project.sources(&paths)).await
    }
}

impl State {
    /// Whether what was saved from `at` on has to be compiled.
    pub(super) fn is_due(&mut self, found: Sources, at: Instant) -> bool {
        let mut changed = false;
        for (path, look) in found.looks {
            if self.known.insert(path.clone(), look) != Some(look) {
                self.outputs.remove(&path);
                self.saved.insert(path);
                changed = true;
            }
        }
        // Who saves again after a failure wants it to be tried again.
        let again = self.failed && found.concerned && self.ended.is_some_and(|ended| at > ended);
        changed || again || !self.cause.is_empty() || self.ended.is_none()
    }

    /// Takes in a run that has ended, and what was written during it.
    pub(super) fn ran(&mut self, ok: bool, written: Sources) -> Next {
        self.ended = Some(Instant::now());
        self.failed = !ok;
        let cause = std::mem::take(&mut self.cause);
        let mut changed = BTreeMap::new();
        for (path, look) in written.looks {
            if self.known.insert(path.clone(), look) == Some(look) {
                continue;
            }
            let times = cause.get(&path).map_or(1, |before| before + 1);
            if times == REPEATED && !self.saved.contains(&path) {
                self.outputs.insert(path);
            } else {
                changed.insert(path, times);
            }
        }
        changed.retain(|path, _| !self.is_output(path));
        if changed.is_empty() {
            self.in_a_row = 0;
            return Next::Done;
        }
        if self.in_a_row == LONGEST {
            self.in_a_row = 0;
            self.outputs.extend(changed.keys().cloned());
            return Next::GivenUp(changed.into_keys().collect());
        }
        self.in_a_row += 1;
        self.cause = changed;
        Next::Again
    }

    fn is_output(&self, path: &Path) -> bool {
        path.ancestors().any(|above| self.outputs.contains(above))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A compiler with its files, without either: `.0` is what the next look finds.
    #[derive(Default)]
    struct Tried(State);

    fn found(files: &[(&str, u8)]) -> Sources {
        let looks = files.iter().map(|(name, content)| (PathBuf::from(name), Look::File([*content; 32])));
        Sources { looks: looks.collect(), concerned: !files.is_empty() }
    }

    impl Tried {
        /// After a first run that wrote nothing.
        fn new() -> Self {
            let mut new = Self::default();
            assert!(new.is_due(&[]));
            assert_eq!(new.ran(&[]), Next::Done);
            new
        }

        fn is_due(&mut self, saved: &[(&str, u8)]) -> bool {
            self.0.is_due(found(saved), Instant::now())
        }

        fn ran(&mut self, written: &[(&str, u8)]) -> Next {
            self.0.ran(true, found(written))
        }
    }

    #[test]
    fn a_save_is_compiled_and_the_same_content_again_is_not() {
        let mut compiler = Tried::new();
        assert!(compiler.is_due(&[("a.ts", 1)]));
        assert_eq!(compiler.ran(&[]), Next::Done);
        assert!(!compiler.is_due(&[("a.ts", 1)]));
        assert!(compiler.is_due(&[("a.ts", 2)]));
    }

    #[test]
    fn outputs_that_are_rewritten_as_they_were_cause_one_more_run_at_most() {
        let mut compiler = Tried::new();
        assert!(compiler.is_due(&[("a.ts", 1)]));
        // Nobody knows yet what was in it before.
        assert_eq!(compiler.ran(&[("a.js", 1)]), Next::Again);
        assert_eq!(compiler.ran(&[("a.js", 1)]), Next::Done);
        assert!(!compiler.is_due(&[("a.js", 1)]));
        assert!(compiler.is_due(&[("a.ts", 2)]));
        assert_eq!(compiler.ran(&[("a.js", 1)]), Next::Done);
    }

    #[test]
    fn outputs_with_the_time_in_them_cause_two_more_runs_once() {
        let mut compiler = Tried::new();
        assert!(compiler.is_due(&[("a.ts", 1)]));
        assert_eq!(compiler.ran(&[("a.js", 1)]), Next::Again);
        assert_eq!(compiler.ran(&[("a.js", 2)]), Next::Again);
        assert_eq!(compiler.ran(&[("a.js", 3)]), Next::Done);
        for content in 4..7 {
            assert!(compiler.is_due(&[("a.ts", content)]));
            assert_eq!(compiler.ran(&[("a.js", content)]), Next::Done);
        }
    }

    #[test]
    fn a_save_during_a_run_is_compiled_by_the_next_one() {
        let mut compiler = Tried::new();
        assert!(compiler.is_due(&[("a.ts", 1)]));
        assert_eq!(compiler.ran(&[("a.ts", 2)]), Next::Again);
        // And again: it is known to be somebody's.
        assert_eq!(compiler.ran(&[("a.ts", 3)]), Next::Again);
        assert_eq!(compiler.ran(&[]), Next::Done);
    }

    #[test]
    fn a_file_that_is_first_saved_during_a_run_and_again_during_the_next_is_compiled() {
        let mut compiler = Tried::new();
        assert_eq!(compiler.ran(&[("a.ts", 1), ("a.js", 1)]), Next::Again);
        assert_eq!(compiler.ran(&[("a.ts", 2), ("a.js", 2)]), Next::Again);
        assert_eq!(compiler.ran(&[("a.js", 3)]), Next::Done);
    }

    #[test]
    fn an_output_that_somebody_edits_is_a_source_again() {
        let mut compiler = Tried::new();
        for content in 1..REPEATED {
            assert_eq!(compiler.ran(&[("a.js", u8::try_from(content).unwrap())]), Next::Again);
        }
        assert_eq!(compiler.ran(&[("a.js", 7)]), Next::Done);
        assert!(compiler.is_due(&[("a.js", 8)]));
        for content in 9..11 {
            assert_eq!(compiler.ran(&[("a.js", content)]), Next::Again);
        }
    }

    #[test]
    fn a_compiler_that_writes_other_names_every_time_comes_to_an_end() {
        let mut compiler = Tried::new();
        for number in 0..LONGEST {
            assert_eq!(compiler.ran(&[(&format!("chunk-{number}.js"), 1)]), Next::Again);
        }
        assert_eq!(compiler.ran(&[("chunk-x.js", 1)]), Next::GivenUp(vec![PathBuf::from("chunk-x.js")]));
        assert!(!compiler.is_due(&[("chunk-x.js", 1)]));
    }

    #[test]
    fn after_a_failure_the_same_content_is_compiled_again() {
        let mut compiler = Tried::new();
        assert!(compiler.is_due(&[("a.ts", 1)]));
        assert_eq!(compiler.0.ran(false, found(&[])), Next::Done);
        assert!(compiler.is_due(&[("a.ts", 1)]));
        assert!(!compiler.is_due(&[]), "nothing was saved");
    }
}
