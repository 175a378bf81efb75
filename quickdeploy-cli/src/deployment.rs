//! One deploy from beginning to end: compare, guard, patch, update, wait, verify, remember.
//!
//! What reads runs at once: the artifact's tail, the project's files, the functions and what guards them. Nothing is
//! written until all of it has been found in order. From the patch on, everything is finished (see
//! [`crate::interrupt`]), because the artifact and the functions belong together.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;
use zipedit::{Artifact, Changes, Content, EntryName, Object as _, Options, Report, S3Store, Stop, Strategy, Tail};

use crate::affected::{Effects, Question};
use crate::aws::Cloud;
use crate::compare::{self, ArtifactDocument, Comparison, DiffDocument, blocking, in_background, project_error};
use crate::error::{Error, Result};
use crate::functions::{self, Function};
use crate::guards;
use crate::interrupt::{Interrupts, nothing_changed};
use crate::lookout::Newer;
use crate::memory::{Deployed, Memory};
use crate::project::{Affected, ArtifactUrl, Deletion, Diff, Functions, Project, Scan, Via};
use crate::rollout::{RolledOut, Rollout, Since, behind, is_called, live_sha256};
use crate::stamp::{self, Writer};
use crate::tails::Tails;
use crate::ui::{Ui, bytes, count, duration};
use crate::update::{Outcome, Status, Target};
use crate::versions::cache::Cache;
use crate::via::{Done, Patcher, S3Artifact, Way, moved};

/// What is to be deployed, where, and how.
#[derive(Debug)]
pub(crate) struct Deployment<'a> {
    pub(crate) ui: &'a Ui,
    pub(crate) cloud: &'a Cloud,
    pub(crate) project: &'a Project,
    pub(crate) artifact: ArtifactUrl,
    pub(crate) functions: Functions,
    pub(crate) via: Via,
    /// The zipedit function's name.
    pub(crate) zipedit: String,
    pub(crate) deletion: Deletion,
    pub(crate) dry_run: bool,
    /// Update only these; empty: all.
    pub(crate) only: Vec<String>,
    /// Which of the functions that don't run the artifact are updated.
    pub(crate) affected: Affected,
}

/// What a deploy did: the JSON document.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct Deploy {
    pub(crate) command: &'static str,
    /// Whether everything that was asked for is done.
    pub(crate) ok: bool,
    pub(crate) dry_run: bool,
    /// As this run left it.
    pub(crate) artifact: ArtifactDocument,
    pub(crate) changes: DiffDocument,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) patch: Option<PatchDocument>,
    /// What somebody else made of it before this run had ended: that is what the functions run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) newer: Option<Newer>,
    pub(crate) functions: Vec<Outcome>,
    pub(crate) elapsed_ms: u64,
}

/// How the artifact was patched.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct PatchDocument {
    pub(crate) via: Way,
    #[serde(flatten)]
    pub(crate) report: Report,
}

impl Deploy {
    /// 0 done, 1 something failed.
    pub(crate) fn exit_code(&self) -> u8 {
        u8::from(!self.ok)
    }
}

/// What was found out before anything is written.
pub(crate) struct Found {
    pub(crate) comparison: Comparison,
    pub(crate) functions: Vec<Function>,
}

/// The artifact after the first half of a deploy.
pub(crate) struct Changed {
    deploy: Deploy,
    /// As it is now; `None` when somebody else wrote it.
    artifact: Option<S3Artifact>,
    /// Its end, as far as that is known.
    tail: Option<Tail>,
    /// What the change means for each function, if imports are followed.
    effects: Option<Effects>,
}

/// What is known at the end of a deploy, for one that follows.
pub(crate) struct Known {
    /// The artifact as it was written; `None` when somebody else wrote it.
    pub(crate) artifact: Option<S3Artifact>,
    pub(crate) scan: Scan,
    /// As they were before the update.
    pub(crate) functions: Vec<Function>,
}

impl Deployment<'_> {
    /// Finds out what there is to do, and does it.
    ///
    /// # Errors
    ///
    /// Everything that ends a deploy before the functions are updated. That single functions could not be updated is
    /// in the answer.
    pub(crate) async fn carry_out(&self, interrupts: &Interrupts) -> Result<Deploy> {
        let start = Instant::now();
        let found = tokio::select! {
            found = self.find() => found?,
            () = interrupts.nth(1) => return Err(nothing_changed()),
        };
        let changed = self.change(&found, start, interrupts).await?;
        self.roll_out(found, changed, start, interrupts).await.map(|(deploy, _)| deploy)
    }

    /// The first half of a deploy that began at `start`: the artifact is patched with what was found.
    ///
    /// # Errors
    ///
    /// The artifact is as it was; or the error says that nobody could be asked.
    pub(crate) async fn change(&self, found: &Found, start: Instant, interrupts: &Interrupts) -> Result<Changed> {
        let comparison = &found.comparison;
        self.tell_comparison(comparison, start.elapsed());
        compare::warn_of_manifests(self.ui, &comparison.beyond_a_patch);
        let mut effects = self.effects(found).await?;
        let mut deploy = Deploy {
            command: "deploy",
            ok: true,
            dry_run: self.dry_run,
            artifact: ArtifactDocument::of(&self.artifact, &comparison.artifact),
            changes: DiffDocument::of(comparison),
            patch: None,
            newer: None,
            functions: Vec::new(),
            elapsed_ms: 0,
        };
        let (mut artifact, mut tail) = (Some(comparison.artifact.clone()), None);
        if !comparison.diff.is_empty() && self.dry_run {
            self.rehearse(comparison).await?;
        } else if !comparison.diff.is_empty() {
            let done = self.patch(comparison, interrupts).await?;
            self.tell_patch(&done);
            deploy.artifact.etag = done.report.etag.clone();
            deploy.artifact.version_id = done.report.version_id.clone();
            deploy.artifact.size = done.report.size;
            deploy.artifact.entries = done.report.entries;
            (artifact, tail) = (done.artifact, done.tail);
            if effects.as_ref().is_some_and(Effects::leave_some) {
                if tail.is_none() {
                    tail = self.read_tail(&comparison.store, &deploy.artifact.etag).await;
                }
                effects = self.still_true(effects, tail.as_ref());
            }
            deploy.patch = Some(PatchDocument { via: done.way, report: done.report });
        }
        Ok(Changed { deploy, artifact, tail, effects })
    }

    /// What the change means for each function, if imports are followed.
    async fn effects(&self, found: &Found) -> Result<Option<Effects>> {
        let Self { ui, cloud, project, .. } = *self;
        if self.affected == Affected::All {
            return Ok(None);
        }
        let object = found.comparison.artifact.object();
        let remembered = self.memory().recall(&self.artifact.to_string());
        let sha256 = remembered.sha256_of(object.etag(), object.version_id());
        Question { ui, cloud, project, sha256 }.ask((&found.comparison).into(), &found.functions).await.map(Some)
    }

    /// The effects, if the artifact became the one that imports were followed in: another writer's change may be in it.
    fn still_true(&self, effects: Option<Effects>, tail: Option<&Tail>) -> Option<Effects> {
        let directory = tail.and_then(Tail::directory);
        let effects = effects.filter(|effects| directory.is_some_and(|directory| effects.hold_for(&directory)));
        if effects.is_none() {
            self.ui.verbose("somebody else changed the artifact meanwhile: every function is updated");
        }
        effects
    }

    /// The end of the artifact, if it still has this ETag.
    async fn read_tail(&self, store: &S3Store, etag: &str) -> Option<Tail> {
        let tail = zipedit::open(store).await.ok().as_ref().map(Artifact::tail);
        tail.filter(|tail| tail.etag() == etag)
    }

    /// The second half: the functions are updated to the artifact.
    ///
    /// # Errors
    ///
    /// A second interrupt, or an artifact that can't be read where that is needed to know who runs it. That single
    /// functions could not be updated is in the answer.
    pub(crate) async fn roll_out(
        &self,
        found: Found,
        changed: Changed,
        start: Instant,
        interrupts: &Interrupts,
    ) -> Result<(Deploy, Known)> {
        let Found { comparison: Comparison { store, scan, diff, .. }, functions } = found;
        let Changed { mut deploy, mut artifact, tail, effects } = changed;
        let memory = self.memory();
        // What was just patched in runs nowhere yet: no need to know any hash for that.
        let written = deploy.patch.as_ref().is_some_and(|patch| patch.report.strategy != Strategy::None);
        let is_new = written || (self.dry_run && !deploy.changes.is_empty());
        let since = if is_new { Since::New } else { Since::Nothing };
        let mut target = self.target(&deploy.artifact);
        if !written {
            let remembered = memory.recall(&self.artifact.to_string());
            let sha256 = remembered.sha256_of(&deploy.artifact.etag, target.version_id.as_deref());
            target.sha256 = sha256.map(str::to_owned);
        }
        let given = Vec::new();
        let rollout = Rollout { ui: self.ui, cloud: self.cloud, only: &self.only, effects: effects.as_ref(), given };
        let sorted = rollout.sort(&functions, &mut target, since).await?;
        let scan = if self.dry_run {
            deploy.functions = sorted.rehearsed(effects.as_ref());
            scan
        } else {
            // Written down first: whatever ends this run, the next one knows who was still to be updated.
            self.remember(&memory, &target, sorted.behind());
            let tails = self.tails();
            let learning = async {
                if deploy.patch.is_some() {
                    tails.learn(self.ui, tail).await;
                }
            };
            // Nobody has to wait for what is written here while functions are being updated.
            let recording = self.record_deployed(scan, diff);
            let ((), recorded, rolled_out) =
                tokio::join!(learning, recording, rollout.update(sorted, &mut target, interrupts));
            let ((scan, diff), RolledOut { outcomes, newer }) = (recorded?, rolled_out?);
            target.sha256 = target.sha256.or_else(|| live_sha256(&outcomes));
            self.remember(&memory, &target, behind(&outcomes));
            deploy.functions = outcomes;
            if let Some(newer) = newer {
                artifact = None;
                let superseded = if written { self.superseded(&store, &diff).await } else { Vec::new() };
                deploy.ok = superseded.is_empty();
                deploy.newer = Some(Newer { superseded, ..newer });
            }
            scan
        };
        deploy.ok &= deploy.functions.iter().all(|outcome| outcome.status != Status::Failed);
        deploy.elapsed_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok((deploy, Known { artifact, scan, functions }))
    }

    /// Teaches the index what the artifact holds now. It learns from a run without changes, too.
    async fn record_deployed(&self, mut scan: Scan, diff: Diff) -> Result<(Scan, Diff)> {
        let (scan, diff, recorded) = in_background(move || {
            let recorded = scan.record_deployed(&diff);
            (scan, diff, recorded)
        })
        .await?;
        self.only_a_warning(recorded.map_err(|error| project_error(&error)));
        Ok((scan, diff))
    }

    fn memory(&self) -> Memory {
        Memory::in_directory(self.project.settings().state_dir.as_deref())
    }

    /// Where the artifact's end is kept.
    pub(crate) fn tails(&self) -> Tails {
        Tails::of(self.project.settings().state_dir.as_deref(), &self.artifact)
    }

    /// Both sides of the comparison and the functions, at once; then the guards.
    pub(crate) async fn find(&self) -> Result<Found> {
        let remembered = self.memory().recall(&self.artifact.to_string());
        let _progress = self.ui.progress("Comparing");
        let compared = compare::compare(self.ui, self.cloud, self.project, &self.artifact, self.deletion);
        let guarded = async {
            let finding = async {
                let found = functions::find(self.cloud, &self.functions, &remembered.behind).await?;
                self.refuse_unknown(&found)?;
                Ok(found)
            };
            let (mut found, note) = guards::guarded(self.cloud, finding).await?;
            if let Some(note) = note {
                self.ui.verbose(note);
            }
            // Those that weren't asked for are still read, so that the table can say that they are stale.
            found.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(found)
        };
        let (comparison, functions) = tokio::try_join!(compared, guarded)?;
        Ok(Found { comparison, functions })
    }

    /// `--function` restricts what the configuration finds; it doesn't add to it.
    fn refuse_unknown(&self, found: &[Function]) -> Result<()> {
        let unknown = self.only.iter().find(|name| !found.iter().any(|function| is_called(function, name)));
        match unknown {
            None => Ok(()),
            Some(name) => {
                let known: Vec<String> = found.iter().take(8).map(|function| format!("`{}`", function.name)).collect();
                Err(Error::new(
                    "FunctionNotFound",
                    format!("`--function {name}`: it is not one that this project deploys"),
                )
                .hint(format!("the configuration finds {}", known.join(", "))))
            }
        }
    }

    /// What `--dry-run` can know of the patch: that the engine accepts it, and what it would move from here.
    async fn rehearse(&self, comparison: &Comparison) -> Result<()> {
        let changes = read_changes(&comparison.diff).await?;
        let prepared = comparison
            .artifact
            .prepare(&comparison.store, &changes)
            .map_err(|error| self.cloud.explain_engine(&error))?;
        let (before, after) = (comparison.artifact.object().size(), prepared.plan().size());
        self.ui.status("Would patch", format!("{}: {} → {}", self.artifact, bytes(before), bytes(after)));
        Ok(())
    }

    /// Patches the artifact. An interrupt stops a direct patch before its commit; a function that was invoked can't
    /// be stopped and is waited for.
    async fn patch(&self, comparison: &Comparison, interrupts: &Interrupts) -> Result<Done> {
        let _progress = self.ui.progress("Patching");
        let stamping = stamp::stamp(Writer::Deploy, &self.project.settings().root);
        let (changes, stamp) = futures::join!(read_changes(&comparison.diff), stamping);
        let changes = changes?;
        let patcher = Patcher {
            ui: self.ui,
            cloud: self.cloud,
            artifact: &self.artifact,
            via: self.via,
            function: &self.zipedit,
            stamp,
            state_dir: self.project.settings().state_dir.as_deref(),
        };
        let stop = Stop::never();
        let options = Options::new().stop(stop.clone());
        if interrupts.so_far() > 0 {
            return Err(nothing_changed());
        }
        let patching = patcher.patch(&comparison.store, comparison.artifact.clone(), &changes, &options, &stop);
        interrupts.stopping(self.ui, &self.artifact.to_string(), &stop, patching).await?
    }

    /// Names of what this run has put or deleted and is something else by now. None, where the artifact can't be read:
    /// then nobody knows.
    async fn superseded(&self, store: &S3Store, diff: &Diff) -> Vec<String> {
        let Ok(artifact) = self.tails().read(self.ui, store).await else { return Vec::new() };
        let entries: BTreeMap<String, (u64, u32)> = artifact
            .directory()
            .entries()
            .map(|entry| (entry.name().into_owned(), (entry.size(), entry.crc32())))
            .collect();
        let put = diff.puts().filter(|put| entries.get(&put.name) != Some(&(put.size, put.crc32)));
        let deleted = diff.deleted.iter().filter(|name| entries.contains_key(*name));
        put.map(|put| &put.name).chain(deleted).cloned().collect()
    }

    fn target(&self, artifact: &ArtifactDocument) -> Target {
        Target {
            bucket: self.artifact.bucket.clone(),
            key: self.artifact.key.clone(),
            version_id: artifact.version_id.clone(),
            etag: artifact.etag.clone(),
            size: artifact.size,
            sha256: None,
            again: "quickdeploy".to_owned(),
        }
    }

    fn remember(&self, memory: &Memory, target: &Target, behind: Vec<String>) {
        let url = self.artifact.to_string();
        let deployed = Deployed::new(&target.etag, target.version_id.as_deref(), target.sha256.clone(), behind);
        self.only_a_warning(memory.store(&url, deployed));
        if let (Some(version), Some(sha256)) = (&target.version_id, &target.sha256) {
            let cache = Cache::in_directory(self.project.settings().state_dir.as_deref());
            self.only_a_warning(cache.learn_sha256(&url, version, sha256));
        }
    }

    /// What is only there to save time must not fail a deploy.
    fn only_a_warning(&self, result: Result<()>) {
        if let Err(error) = result {
            self.ui.warning(&error, error.hints());
        }
    }

    fn tell_comparison(&self, comparison: &Comparison, elapsed: Duration) {
        let Comparison { artifact, diff, .. } = comparison;
        let found = compare::counts(diff);
        self.ui.status("Compared", format!("{}: {found} in {}", self.artifact, duration(elapsed)));
        self.ui.verbose(format!(
            "{} entries, {}, ETag {}",
            count(artifact.directory().len() as u64),
            bytes(artifact.object().size()),
            artifact.object().etag()
        ));
        compare::tell(self.ui, diff);
    }

    fn tell_patch(&self, done: &Done) {
        let Report { size, strategy, traffic, .. } = &done.report;
        let by = match done.way {
            Way::Lambda => format!("by the function `{}`", self.zipedit),
            Way::Direct => "from here".to_owned(),
        };
        if *strategy == Strategy::None {
            // Another run was faster, or was killed after its commit.
            self.ui.status("Unchanged", format!("{}: the changes were there already, {}", self.artifact, bytes(*size)));
        } else {
            self.ui.status("Patched", format!("{}, now {}", self.artifact, bytes(*size)));
        }
        self.ui.detail(format!(
            "{by}: {}, {} to S3",
            strategy.as_str(),
            format_args!("{} requests", count(traffic.requests))
        ));
        self.ui.detail(moved(&done.report, "copied inside S3"));
    }
}

/// Reads the changed files and checks that they are still what was compared. They have no modes: a replaced entry keeps
/// its own, a new one gets 0755, whichever way the patch takes.
async fn read_changes(diff: &Diff) -> Result<Changes> {
    let invalid = |error: zipedit::NameError| Error::new("InvalidEntryName", error.to_string());
    let puts: Vec<_> = diff.puts().cloned().collect();
    let contents = blocking(move || {
        puts.iter().map(|put| Ok((put.name.clone(), Content::new(put.read()?)))).collect::<Result<Vec<_>, _>>()
    })
    .await?;
    let mut changes = Changes::new();
    for (name, content) in contents {
        changes.put(EntryName::new(name).map_err(invalid)?, content);
    }
    for name in &diff.deleted {
        changes.delete(EntryName::new(name.as_str()).map_err(invalid)?);
    }
    Ok(changes)
}
