//! From an artifact that was changed to functions that run it: who has to be updated, the updates, and an interrupt
//! while they are under way.
//!
//! Whatever changed the artifact (a patch, a rollback), from then on it and the functions belong together: a first
//! Ctrl-C lets the updates finish. So does another deployment: [`convergence`].

mod convergence;

use crate::affected::{Effect, Effects, Judgement, judge};
use crate::aws::Cloud;
use crate::digest;
use crate::error::{Error, Result};
use crate::functions::{self, Function, Live, Staleness, staleness};
use crate::interrupt::Interrupts;
use crate::lookout::Newer;
use crate::ui::Ui;
use crate::update::{Outcome, Status, Target};
use convergence::{Converged, Convergence};

/// Who is told, and which functions were asked for.
#[derive(Clone, Debug)]
pub(crate) struct Rollout<'a> {
    pub(crate) ui: &'a Ui,
    pub(crate) cloud: &'a Cloud,
    /// Update only these; empty: all.
    pub(crate) only: &'a [String],
    /// What the change means for each function, where imports were followed: those that it doesn't affect are left
    /// alone.
    pub(crate) effects: Option<&'a Effects>,
    /// Names of functions that this run has given the artifact already, by other means: creating them, or a stack.
    pub(crate) given: Vec<String>,
}

/// What this run has done to the artifact since the functions were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    /// Nothing.
    Nothing,
    /// It has written bytes that a function may have run before: those that seem to run them are read again, because
    /// somebody else can have given them the artifact in between.
    Replaced,
    /// It has written bytes that no function can run yet.
    New,
}

/// What became of the functions.
#[derive(Debug)]
pub(crate) struct RolledOut {
    pub(crate) outcomes: Vec<Outcome>,
    /// The version that came after this run's own, and that its functions run now.
    pub(crate) newer: Option<Newer>,
}

/// Functions by what has to be done about them.
#[derive(Debug)]
pub(crate) struct Sorted {
    stale: Vec<Function>,
    /// Those that nothing is done about.
    settled: Vec<Outcome>,
}

impl Rollout<'_> {
    /// Which functions run the artifact, and which don't.
    ///
    /// # Errors
    ///
    /// The artifact had to be read to know its SHA-256, and could not be.
    pub(crate) async fn sort(&self, functions: &[Function], target: &mut Target, since: Since) -> Result<Sorted> {
        let judge_one = |function: &Function, target: &Target| {
            let live = Live {
                bucket: &target.bucket,
                key: &target.key,
                version_id: target.version_id.as_deref(),
                size: target.size,
                sha256: target.sha256.as_deref(),
            };
            if since == Since::New { Staleness::Stale } else { staleness(function, &live) }
        };
        let sort = |target: &Target| -> Vec<(Function, Staleness)> {
            functions.iter().map(|function| (function.clone(), judge_one(function, target))).collect()
        };
        let mut sorted = sort(target);
        // Where the files are known to be the same or other ones, their hash doesn't matter.
        let is_open = |function: &Function| self.effect(function).is_none();
        if sorted.iter().any(|(function, staleness)| *staleness == Staleness::Unsure && is_open(function)) {
            // Lengths are equal and nobody remembers the hash.
            let progress = self.ui.progress("Hashing the artifact");
            target.sha256 = Some(digest::sha256(self.cloud, target).await?);
            drop(progress);
            self.ui.verbose("the artifact was read once to know its SHA-256; it is remembered from now on");
            sorted = sort(target);
        }
        if since == Since::Replaced {
            let current = sorted.iter_mut().filter(|(_, staleness)| *staleness == Staleness::Current);
            let again = current.map(async |(function, staleness)| {
                // One that can't be read is sent the artifact, and its error comes of that.
                *staleness = Staleness::Stale;
                if let Ok(now) = functions::read(self.cloud, &function.name).await {
                    *staleness = judge_one(&now, target);
                    *function = now;
                }
            });
            futures::future::join_all(again).await;
        }
        let mut stale = Vec::new();
        let mut outcomes = Vec::new();
        for (function, staleness) in sorted {
            let wanted = self.only.is_empty() || self.only.iter().any(|name| is_called(&function, name));
            let (status, why) = match judge(&function, staleness, self.effect(&function)) {
                Judgement::Current => (Status::Current, None),
                Judgement::Unaffected { why } => (Status::Unaffected, Some(why)),
                Judgement::Stale { .. } if wanted => {
                    stale.push(function);
                    continue;
                }
                Judgement::Stale { why } => (Status::Stale, why),
            };
            outcomes.push(Outcome::untouched(&function, status).because(why));
        }
        Ok(Sorted { stale, settled: outcomes })
    }

    fn effect(&self, function: &Function) -> Option<&Effect> {
        self.effects?.of(&function.name)
    }

    /// Updates the stale ones, and waits until they are live. Where another version of the artifact came after this one,
    /// `target` is that version in the end.
    ///
    /// # Errors
    ///
    /// A second interrupt. That single functions could not be updated is in the outcomes.
    pub(crate) async fn update(
        &self,
        sorted: Sorted,
        target: &mut Target,
        interrupts: &Interrupts,
    ) -> Result<RolledOut> {
        let Sorted { stale, settled } = sorted;
        let mut outcomes = settled;
        if stale.is_empty() && self.given.is_empty() {
            return Ok(RolledOut { outcomes, newer: None });
        }
        let progress = self.ui.progress("Updating");
        progress.of(stale.len());
        let before = interrupts.so_far();
        let again = target.again.clone();
        let convergence = Convergence { ui: self.ui, cloud: self.cloud, stale: &stale, given: &self.given };
        let converging = convergence.reach(target, &progress);
        tokio::pin!(converging);
        let told = async {
            interrupts.nth(before.max(1)).await;
            self.ui.warning(
                "interrupted: the artifact is changed already, so the functions are brought up to it first",
                &[format!("press Ctrl-C again to leave them stale; `{again}` picks them up")],
            );
            interrupts.nth(before.max(1) + 1).await;
        };
        let newer = tokio::select! {
            Converged { outcomes: updated, newer } = &mut converging => {
                outcomes.retain(|settled| !updated.iter().any(|outcome| outcome.name == settled.name));
                outcomes.extend(updated.into_iter().map(|outcome| {
                    let reason = why(self.effects.and_then(|effects| effects.of(&outcome.name)));
                    outcome.because(reason)
                }));
                newer
            }
            () = told => {
                return Err(Error::new("Interrupted", "interrupted while functions were updated: some may run the old code")
                    .hint(format!("run `{again}` again: it brings the rest up to the artifact")));
            }
        };
        outcomes.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(RolledOut { outcomes, newer })
    }
}

/// Why a function is affected.
fn why(effect: Option<&Effect>) -> Option<String> {
    match effect {
        Some(Effect::Affected { why }) => Some(why.clone()),
        _ => None,
    }
}

impl Sorted {
    /// Names of the functions that don't run the artifact yet.
    pub(crate) fn behind(&self) -> Vec<String> {
        let left = self.settled.iter().filter(|outcome| outcome.status == Status::Stale).map(|outcome| &outcome.name);
        self.stale.iter().map(|function| &function.name).chain(left).cloned().collect()
    }

    /// The outcomes of a dry run.
    pub(crate) fn rehearsed(self, effects: Option<&Effects>) -> Vec<Outcome> {
        let stale = self.stale.iter().map(|function| {
            let reason = why(effects.and_then(|effects| effects.of(&function.name)));
            Outcome::untouched(function, Status::Stale).because(reason)
        });
        let mut outcomes: Vec<Outcome> = self.settled.into_iter().chain(stale).collect();
        outcomes.sort_by(|a, b| a.name.cmp(&b.name));
        outcomes
    }
}

/// Names of the functions that still don't run the artifact.
pub(crate) fn behind(outcomes: &[Outcome]) -> Vec<String> {
    let behind = outcomes.iter().filter(|outcome| matches!(outcome.status, Status::Failed | Status::Stale));
    behind.map(|outcome| outcome.name.clone()).collect()
}

/// The artifact's CodeSha256, as a function that was updated to it tells.
pub(crate) fn live_sha256(outcomes: &[Outcome]) -> Option<String> {
    outcomes.iter().find(|outcome| outcome.status == Status::Live).map(|outcome| outcome.code_sha256.clone())
}

/// By name or ARN.
pub(crate) fn is_called(function: &Function, name: &str) -> bool {
    function.name == name || function.arn == name
}
