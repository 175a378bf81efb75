//! Which functions a change affects.
//!
//! Without tracing, every function that doesn't run the artifact is updated. With it, a function that reaches nothing of
//! what changed stays on its older code on purpose, so "its code differs from the artifact" no longer says anything.
//! What does: the names whose content differs between the zip that the function *runs* and the artifact as it will be
//! ([`Coming`]): with what a deploy patches in, as an earlier version was, or for `status` simply as it is.
//! Both are known from central directories, the live one's read from Lambda ([`live`]), so any machine comes to the same
//! answer without having been there before.
//!
//! A function is affected by such a name if
//!
//! - it may load the file as code: the imports from its handler lead there ([`crate::trace`]), or could lead anywhere;
//! - or the file may be read as data. Imports can't tell who reads a template or a JSON file, so it affects every
//!   function, and so does a source file that no handler imports (a script that is served to browsers, say), and a
//!   deleted file, of which the new artifact doesn't tell whose it was.
//!
//! All of it happens before anything is written, and only when it was asked for. Where something can't be found out,
//! the function counts as affected.

mod contents;
mod judgement;
mod live;
mod verdict;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::Serialize;
use zipedit::S3Store;

use self::contents::Shelf;
pub(crate) use self::judgement::{Judgement, judge};
use self::verdict::Name;
use crate::aws::Cloud;
use crate::compare::{Comparison, in_background};
use crate::error::Result;
use crate::functions::Function;
use crate::project::{Diff, Project};
use crate::trace::{Entrance, Reach, Tracer};
use crate::ui::{Ui, plural};
use crate::via::S3Artifact;

/// What the functions are compared with: name → size and CRC-32.
type Names = BTreeMap<String, (u64, u32)>;

/// What a change means for each function.
#[derive(Debug)]
pub(crate) struct Effects {
    /// By the function's name.
    functions: BTreeMap<String, Effect>,
    /// What the next deploy puts and deletes, with those that it affects.
    pub(crate) files: Vec<FileEffect>,
    /// The artifact as it will be.
    expected: Names,
}

/// What a change means for one function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It reaches something that differs from what it runs.
    Affected { why: String },
    /// It doesn't.
    Unaffected { why: String },
    /// Every file in its zip is as in the artifact.
    Same,
}

/// One file that will be put or deleted.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct FileEffect {
    pub(crate) name: String,
    /// The functions that it affects.
    pub(crate) affects: Vec<FunctionEffect>,
}

/// Why a file affects a function.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct FunctionEffect {
    pub(crate) function: String,
    /// `start.js → lib/shared.js`, or why it can't be excluded.
    pub(crate) why: String,
}

impl Effects {
    /// What the change means for this function.
    pub(crate) fn of(&self, function: &str) -> Option<&Effect> {
        self.functions.get(function)
    }

    /// Whether any function is left on the code that it runs.
    pub(crate) fn leave_some(&self) -> bool {
        self.functions.values().any(|effect| matches!(effect, Effect::Unaffected { .. }))
    }

    /// How many functions are affected.
    pub(crate) fn affected(&self) -> usize {
        self.functions.values().filter(|effect| matches!(effect, Effect::Affected { .. })).count()
    }

    /// Every function, by name.
    pub(crate) fn functions(&self) -> impl Iterator<Item = (&str, &Effect)> {
        self.functions.iter().map(|(name, effect)| (name.as_str(), effect))
    }

    /// Whether the artifact became what it was expected to: another writer's change may be in it.
    pub(crate) fn hold_for(&self, directory: &zipedit::Directory) -> bool {
        names_of(directory) == self.expected
    }
}

/// The artifact's files.
fn names(artifact: &S3Artifact) -> Names {
    names_of(artifact.directory())
}

fn names_of(directory: &zipedit::Directory) -> Names {
    let files = directory.entries().filter(|entry| !entry.is_dir());
    files.map(|entry| (entry.name().into_owned(), (entry.size(), entry.crc32()))).collect()
}

/// The artifact as it is to be: one that is in S3, and what is to be patched into it.
#[derive(Clone, Copy)]
pub(crate) struct Coming<'a> {
    pub(crate) store: &'a S3Store,
    /// May be an earlier version, which becomes the current one.
    pub(crate) artifact: &'a S3Artifact,
    /// `None`: nothing.
    pub(crate) patch: Option<&'a Diff>,
}

impl<'a> From<&'a Comparison> for Coming<'a> {
    /// The artifact with all that differs here.
    fn from(comparison: &'a Comparison) -> Self {
        Self { store: &comparison.store, artifact: &comparison.artifact, patch: Some(&comparison.diff) }
    }
}

impl Coming<'_> {
    /// Names and contents of its files, of an artifact with these.
    fn expected(&self, current: &Names) -> Names {
        let mut expected = current.clone();
        let Some(patch) = self.patch else { return expected };
        for put in patch.puts() {
            expected.insert(put.name.clone(), (put.size, put.crc32));
        }
        for name in &patch.deleted {
            expected.remove(name);
        }
        expected
    }
}

/// What one project's change is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    pub(crate) ui: &'a Ui,
    pub(crate) cloud: &'a Cloud,
    pub(crate) project: &'a Project,
    /// base64 of the SHA-256 of the artifact in S3, where it is remembered: functions with this code need not be asked for
    /// what they run.
    pub(crate) sha256: Option<&'a str>,
}

impl Question<'_> {
    /// Finds out what it means for each function that the artifact becomes the one that is `coming`.
    ///
    /// # Errors
    ///
    /// Only when work in the background broke off. What can't be read makes functions affected.
    pub(crate) async fn ask(&self, coming: Coming<'_>, functions: &[Function]) -> Result<Effects> {
        let _progress = self.ui.progress("Following imports");
        let start = std::time::Instant::now();
        let current = Arc::new(names(coming.artifact));
        let expected = coming.expected(&current);

        let live = live::all(self.cloud, coming.artifact, &current, self.sha256, functions);
        let traced = self.trace(coming, &expected, functions);
        let (live, traced) = tokio::join!(live, traced);
        let traced = traced?;
        let reaches: Vec<&Reach> = traced.values().collect();

        // Most functions run the same zip: what differs is found once for each.
        let differences: HashMap<&str, Result<Vec<Name<'_>>, &String>> = live
            .iter()
            .map(|(sha256, runs)| (*sha256, runs.as_ref().map(|runs| verdict::changes(runs, &expected))))
            .collect();
        let mut effects = BTreeMap::new();
        for function in functions {
            let effect = match (differences.get(function.code_sha256.as_str()), traced.get(&entrance(function))) {
                (Some(Ok(changes)), Some(reach)) => effect(changes, reach, &reaches),
                (Some(Err(why)), _) => Effect::Affected { why: format!("what it runs could not be read: {why}") },
                _ => Effect::Affected { why: "what it runs is not known".to_owned() },
            };
            effects.insert(function.name.clone(), effect);
        }
        let changed = verdict::changes(&current, &expected);
        let files = changed.iter().map(|change| FileEffect {
            name: change.name.to_owned(),
            affects: functions
                .iter()
                .filter_map(|function| {
                    let why = verdict::why(change, traced.get(&entrance(function))?, &reaches)?;
                    Some(FunctionEffect { function: function.name.clone(), why })
                })
                .collect(),
        });
        let files = files.collect();
        self.ui.verbose(format!(
            "followed the imports of {} through {} in {} ms",
            plural(traced.len(), "handler"),
            plural(reaches.iter().map(|reach| reach.len()).sum(), "file"),
            start.elapsed().as_millis()
        ));
        Ok(Effects { functions: effects, files, expected })
    }

    /// What each distinct handler reaches in the artifact as it will be.
    async fn trace(
        &self,
        coming: Coming<'_>,
        expected: &Names,
        functions: &[Function],
    ) -> Result<HashMap<Entrance, Reach>> {
        let entrances: Vec<Entrance> = functions.iter().map(entrance).collect::<BTreeSet<_>>().into_iter().collect();
        let shelf = Arc::new(Shelf::new(self.project, coming.patch, expected));
        let tree = shelf.tree(coming.artifact, expected);
        let is_static = self.project.taken_as_static();
        let tracer = Tracer::new(tree, Arc::clone(&shelf) as _, is_static);

        let walk = |tracer: Tracer, entrances: Vec<Entrance>| {
            in_background(move || {
                let reaches: Vec<Reach> = entrances.iter().map(|entrance| tracer.reach(entrance)).collect();
                (tracer, entrances, reaches)
            })
        };
        let (tracer, entrances, mut reaches) = walk(tracer, entrances).await?;
        let absent: BTreeSet<String> = reaches.iter().flat_map(|reach| reach.absent.iter().cloned()).collect();
        if absent.is_empty() {
            return Ok(entrances.into_iter().zip(reaches).collect());
        }
        // node_modules that aren't installed here, files that a build made elsewhere: the artifact has them.
        match contents::fetch(&shelf, coming, &absent).await {
            Ok(()) => {
                let (_, entrances, reaches) = walk(tracer.again(), entrances).await?;
                Ok(entrances.into_iter().zip(reaches.into_iter().map(Reach::bounded_by_absence)).collect())
            }
            Err(why) => {
                self.ui.verbose(format!("{why}; functions that load them count as affected"));
                reaches = reaches.into_iter().map(Reach::bounded_by_absence).collect();
                Ok(entrances.into_iter().zip(reaches).collect())
            }
        }
    }
}

fn entrance(function: &Function) -> Entrance {
    Entrance {
        handler: function.handler.clone().unwrap_or_default(),
        runtime: function.runtime.clone().unwrap_or_default(),
        environment: function.loading.clone(),
    }
}

/// What the changes between what a function runs and the artifact mean for it.
fn effect(changes: &[Name<'_>], reach: &Reach, all: &[&Reach]) -> Effect {
    if changes.is_empty() {
        return Effect::Same;
    }
    // What it loads for certain says more than what it may load.
    let certain = changes.iter().find_map(|change| reach.chain(change.name).map(|chain| chain.join(" → ")));
    let why = certain.or_else(|| changes.iter().find_map(|change| verdict::why(change, reach, all)));
    match why {
        Some(why) => Effect::Affected { why },
        None if changes.len() == 1 => Effect::Unaffected { why: "does not load the changed file".to_owned() },
        None => Effect::Unaffected { why: format!("loads none of the {} changed files", changes.len()) },
    }
}

#[cfg(test)]
mod tests {
    use super::verdict::Changed;
    use super::*;

    #[test]
    fn a_zip_of_the_same_files_is_the_same_whatever_its_bytes() {
        let names = Names::from([("a.js".to_owned(), (1, 2))]);
        assert_eq!(effect(&verdict::changes(&names, &names), &Reach::default(), &[]), Effect::Same);
    }

    #[test]
    fn changes_are_told_by_size_or_checksum() {
        let before = Names::from([("same".into(), (1, 1)), ("crc".into(), (1, 1)), ("gone".into(), (1, 1))]);
        let after = Names::from([("same".into(), (1, 1)), ("crc".into(), (1, 2)), ("new".into(), (1, 1))]);
        let changes: Vec<(&str, Changed)> =
            verdict::changes(&before, &after).iter().map(|change: &Name<'_>| (change.name, change.changed)).collect();
        assert_eq!(changes, [("crc", Changed::Put), ("gone", Changed::Deleted), ("new", Changed::Put)]);
    }
}
