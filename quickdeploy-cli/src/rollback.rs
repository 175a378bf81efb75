//! One rollback from beginning to end: find the version, make it current again inside S3, bring the functions to it.
//!
//! Everything comes from S3, and nothing is uploaded: the version is copied onto its own key, on the condition that the
//! artifact is still what was seen. Until that copy, nothing has changed; from then on the functions are brought to it,
//! as after a deploy. The copy is a version of its own and says what it is a copy of, which is how the next rollback
//! knows where it stands (see [`crate::versions::back`]).

mod document;

use std::collections::BTreeMap;
use std::time::{Instant, SystemTime};

use zipedit::{Object as _, Precondition, S3Object, S3Store, Stop};

pub(crate) use self::document::{ArtifactNow, RolledBack, VersionDocument};
use crate::affected::{Coming, Effects, Question};
use crate::aws::Cloud;
use crate::compare::{self, Comparison, DiffDocument, Difference, blocking};
use crate::error::{Error, Result};
use crate::functions::{self, Function};
use crate::guards;
use crate::interrupt::{Interrupts, nothing_changed};
use crate::memory::{Deployed, Memory};
use crate::project::{Affected, ArtifactUrl, Deletion, Functions, Project, Scan};
use crate::rollout::{RolledOut, Rollout, Since, behind, live_sha256};
use crate::stamp::{self, Writer, Written};
use crate::store_check::Question as StoreQuestion;
use crate::ui::{Ui, ago, bytes, moment, plural};
use crate::update::{Status, Target};
use crate::versions::back::{Facts, Way, back};
use crate::versions::cache::Cache;
use crate::versions::changes::Changes;
use crate::versions::look::{Looked, contents};
use crate::versions::{self, Version, Versioning, short, short_length};
use crate::via::S3Artifact;

/// So many versions are looked through for an earlier one. The way back is short; ids are looked for among all.
const NEAR: usize = 1000;

/// What to roll back, and how far.
#[derive(Debug)]
pub(crate) struct Rollback<'a> {
    pub(crate) ui: &'a Ui,
    pub(crate) cloud: &'a Cloud,
    pub(crate) project: &'a Project,
    pub(crate) artifact: ArtifactUrl,
    pub(crate) functions: Functions,
    pub(crate) goal: Goal,
    pub(crate) dry_run: bool,
    /// Which of the functions that don't run the version are updated.
    pub(crate) affected: Affected,
}

/// How far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// So many times to the version before.
    Steps(u32),
    /// To the version whose id begins so.
    Version(String),
}

/// What was found out before anything is changed.
struct Found {
    /// Newest first, and at least one.
    versions: Vec<Version>,
    /// The artifact as it is; `None`: deleted.
    current: Option<S3Object>,
    functions: Vec<Function>,
    /// The project's files, as far as they could be read.
    scan: Option<Scan>,
}

/// The version to go back to.
struct Destination {
    at: usize,
    artifact: S3Artifact,
    /// What differs from what is there now.
    changes: Option<Changes>,
    /// The artifact is this version, or a copy of it, already.
    is_there: bool,
}

impl Rollback<'_> {
    /// Carries it out.
    ///
    /// # Errors
    ///
    /// Everything that ends it before the functions are updated; the artifact is then as it was. That single functions
    /// could not be updated is in the answer.
    pub(crate) async fn carry_out(&self, interrupts: &Interrupts) -> Result<RolledBack> {
        let start = Instant::now();
        let state = self.project.settings().state_dir.as_deref();
        let (memory, cache) = (Memory::in_directory(state), Cache::in_directory(state));
        let remembered = memory.recall(&self.artifact.to_string());
        let store = S3Store::new(self.cloud.s3.clone(), &self.artifact.bucket, &self.artifact.key);
        let mut looked = Looked::knowing(cache.recall(&self.artifact.to_string()));

        let finding = async {
            let _progress = self.ui.progress("Looking for the version");
            let found = self.find(&store, &remembered).await?;
            let destination = self.destination(&store, &found, &mut looked).await?;
            let effects = self.effects(&store, &found, &destination, &looked).await?;
            Ok::<_, Error>((found, destination, effects))
        };
        let (found, destination, effects) = tokio::select! {
            found = finding => found?,
            () = interrupts.nth(1) => return Err(nothing_changed()),
        };
        let length = short_length(&found.versions);
        let to = &found.versions[destination.at];
        let again = self.command(short(&to.id, length));
        let mut document = RolledBack {
            command: "rollback",
            ok: true,
            dry_run: self.dry_run,
            artifact: self.now(found.current.as_ref(), found.current.as_ref().map_or(0, zipedit::Object::size)),
            to: VersionDocument::of(to),
            before: VersionDocument::of(&found.versions[0]),
            changes: destination.changes.clone(),
            restored: false,
            local: None,
            newer: None,
            functions: Vec::new(),
            elapsed_ms: 0,
            again: again.clone(),
        };
        let size = destination.artifact.object().size();
        let code_sha256 = looked.known.get(&to.id).and_then(|known| known.code_sha256.clone());
        let mut target = Target {
            bucket: self.artifact.bucket.clone(),
            key: self.artifact.key.clone(),
            version_id: document.artifact.version_id.clone(),
            etag: String::new(),
            size,
            sha256: code_sha256,
            again,
        };
        if destination.is_there {
            self.ui.status("Unchanged", &self.artifact);
            self.ui.detail(format!("it is version {} already", self.told(to, length)));
        } else if self.dry_run {
            self.ui.status("Would change", &self.artifact);
            self.ui.detail(format!("back to version {}", self.told(to, length)));
        } else {
            if interrupts.so_far() > 0 {
                return Err(nothing_changed());
            }
            let restored = self.restore(&store, &found, to, interrupts).await?;
            document.artifact = self.now(Some(&restored), size);
            document.restored = true;
            target.version_id = document.artifact.version_id.clone();
            self.ui.status("Rolled back", &self.artifact);
            self.ui.detail(format!("to version {}", self.told(to, length)));
        }
        self.tell_changes(&destination);
        document.local = self.local(&store, found.scan, &destination.artifact).await;

        let will_differ = !destination.is_there;
        let etag = document.artifact.etag.clone().unwrap_or_default();
        if !will_differ && target.sha256.is_none() {
            target.sha256 = remembered.sha256_of(&etag, target.version_id.as_deref()).map(str::to_owned);
        }
        target.etag = etag;
        let given = Vec::new();
        let rollout = Rollout { ui: self.ui, cloud: self.cloud, only: &[], effects: effects.as_ref(), given };
        let since = match &target.sha256 {
            _ if !will_differ => Since::Nothing,
            Some(_) if self.dry_run => Since::Nothing,
            Some(_) => Since::Replaced,
            // Without its hash, a function with code of the same length may or may not run it: it is sent again.
            None => Since::New,
        };
        let sorted = rollout.sort(&found.functions, &mut target, since).await?;
        document.functions = if self.dry_run {
            sorted.rehearsed(effects.as_ref())
        } else {
            // Written down first: whatever ends this run, the next one knows who was still to be updated.
            self.remember(&memory, &cache, &target, sorted.behind());
            let RolledOut { outcomes, newer } = rollout.update(sorted, &mut target, interrupts).await?;
            target.sha256 = target.sha256.or_else(|| live_sha256(&outcomes));
            self.remember(&memory, &cache, &target, behind(&outcomes));
            document.newer = newer;
            outcomes
        };
        self.only_a_warning(cache.learn(&self.artifact.to_string(), &looked.news));
        document.ok = document.functions.iter().all(|outcome| outcome.status != Status::Failed);
        document.elapsed_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(document)
    }

    /// Versions, artifact, functions and files, at once.
    async fn find(&self, store: &S3Store, remembered: &Deployed) -> Result<Found> {
        let enough = if matches!(self.goal, Goal::Steps(_)) { NEAR } else { usize::MAX };
        let listed = async {
            let listing = versions::list(self.cloud, &self.artifact, enough);
            let (listed, versioning) = futures::join!(listing, self.check_versioning());
            versioning?;
            listed
        };
        let current = async {
            match store.head_current().await {
                Ok(object) => Ok(object),
                Err(error) => Err(self.cloud.explain_engine(&error)),
            }
        };
        let guarded = async {
            let finding = functions::find(self.cloud, &self.functions, &remembered.behind);
            let (found, note) = guards::guarded(self.cloud, finding).await?;
            if let Some(note) = note {
                self.ui.verbose(note);
            }
            Ok(found)
        };
        let scanned = async {
            let (project, url) = (self.project.clone(), self.artifact.to_string());
            // Only to say what the next deploy would do: a rollback needs no file.
            Ok(blocking(move || project.scan(&url)).await.ok())
        };
        let here = async {
            let (listed, current) = futures::join!(listed, current);
            // In this order: an answer to a HEAD has no words, such as that the credentials have expired.
            Ok((listed?, current?))
        };
        let ((versions, current), functions, scan) = tokio::try_join!(here, guarded, scanned)?;
        let Some(newest) = versions.first() else {
            return Err(Error::new("ArtifactNotFound", format!("{} has no version", self.artifact))
                .hint("check `artifact` in quickdeploy.toml, and the region"));
        };
        let seen = current.as_ref().map(|object| object.version_id().unwrap_or("null"));
        if seen != newest.object().map(|_| newest.id.as_str()) {
            return Err(self.overtaken());
        }
        Ok(Found { versions, current, functions, scan })
    }

    async fn check_versioning(&self) -> Result<()> {
        let refused = |what: String| {
            Err(Error::new("NoVersioning", what).hint(versions::how_to_keep_versions(&self.artifact.bucket)))
        };
        match versions::versioning(self.cloud, &self.artifact.bucket).await {
            Ok(Versioning::Enabled) => Ok(()),
            Ok(Versioning::Off) => refused(format!(
                "the bucket `{}` keeps no versions, so there is nothing to roll back to",
                self.artifact.bucket
            )),
            Ok(Versioning::Suspended) => refused(format!(
                "versioning of the bucket `{}` is suspended: what is there now could get lost for good",
                self.artifact.bucket
            )),
            // Then the list of versions has to tell.
            Err(error) if error.error_type() == "AccessDenied" => {
                self.ui.verbose(&error);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Finds the version to go back to, and reads it.
    async fn destination(&self, store: &S3Store, found: &Found, looked: &mut Looked) -> Result<Destination> {
        let at = match &self.goal {
            Goal::Version(prefix) => named(&found.versions, prefix, &self.artifact)?,
            Goal::Steps(steps) => self.steps_back(store, &found.versions, *steps, looked).await?,
        };
        let (to, now) = (&found.versions[at], &found.versions[0]);
        let old = store.version(&to.id);
        let new = store.version(&now.id);
        let opened = async {
            match found.current {
                // What is no archive can be replaced all the same.
                Some(_) if at != 0 => new.open().await.ok(),
                _ => None,
            }
        };
        let (artifact, current) = futures::join!(old.open(), opened);
        let artifact = artifact.map_err(|error| self.cannot_go_to(to, &error))?;
        let changes = current.as_ref().map(|current| Changes::between(&contents(current), &contents(&artifact)));
        let is_copy = current.as_ref().and_then(|current| Written::read(current.object()));
        let is_copy = is_copy.and_then(|written| written.from).is_some_and(|from| from == to.id);
        let is_there = at == 0 || (found.current.is_some() && (is_copy || to.is_same_object(now)));
        Ok(Destination { at, artifact, changes: if at == 0 { Some(Changes::default()) } else { changes }, is_there })
    }

    /// What it means for each function that the version comes back, if imports are followed. A rollback touches as few
    /// functions as a deploy of the same files would.
    async fn effects(
        &self,
        store: &S3Store,
        found: &Found,
        destination: &Destination,
        looked: &Looked,
    ) -> Result<Option<Effects>> {
        let Self { ui, cloud, project, .. } = *self;
        if self.affected == Affected::All {
            return Ok(None);
        }
        let known = looked.known.get(&found.versions[destination.at].id);
        let sha256 = known.and_then(|known| known.code_sha256.as_deref());
        let coming = Coming { store, artifact: &destination.artifact, patch: None };
        Question { ui, cloud, project, sha256 }.ask(coming, &found.functions).await.map(Some)
    }

    async fn steps_back(
        &self,
        store: &S3Store,
        versions: &[Version],
        steps: u32,
        looked: &mut Looked,
    ) -> Result<usize> {
        let mut facts = BTreeMap::new();
        let short = |at: usize| short(&versions[at].id, short_length(versions));
        loop {
            match back(versions, &facts, steps) {
                Way::To(at) => return Ok(at),
                Way::Ask(at) => {
                    let id = versions[at].id.clone();
                    looked.at_directories(self.cloud, store, [id.clone()]).await;
                    let known = looked.known.get(&id).cloned().unwrap_or_default();
                    let from = known.written.and_then(|written| written.from);
                    facts.insert(at, Facts { fingerprint: known.fingerprint, from });
                }
                Way::Nowhere { steps: 0 } => {
                    return Err(Error::new(
                        "NoEarlierVersion",
                        format!("{} has no earlier version with other files", self.artifact),
                    )
                    .hint("`quickdeploy history` lists what is there"));
                }
                Way::Nowhere { steps } => {
                    let possible = plural(steps as usize, "step");
                    return Err(Error::new(
                        "NoEarlierVersion",
                        format!("{} can be rolled back by {possible}, not more", self.artifact),
                    )
                    .hint("`quickdeploy history` lists what is there"));
                }
                Way::Lost { at } => {
                    return Err(Error::new(
                        "VersionNotFound",
                        format!(
                            "version {} is a rollback to one that is gone by now, so which came before is not known",
                            short(at)
                        ),
                    )
                    .hint("choose one from `quickdeploy history`: `quickdeploy rollback VERSION`"));
                }
            }
        }
    }

    fn cannot_go_to(&self, to: &Version, error: &zipedit::Error) -> Error {
        let told = self.cloud.explain_engine(error);
        match told.error_type() {
            "ArtifactNotFound" => Error::new("VersionNotFound", format!("version {} is gone", to.id)).because(&told),
            _ => told,
        }
        .hint("nothing was changed; `quickdeploy history` lists the versions")
    }

    /// Copies the version over the current one.
    async fn restore(&self, store: &S3Store, found: &Found, to: &Version, interrupts: &Interrupts) -> Result<S3Object> {
        let stop = Stop::never();
        let question = StoreQuestion {
            ui: self.ui,
            cloud: self.cloud,
            artifact: &self.artifact,
            of: Precondition::OF_COPIES,
            state_dir: self.project.settings().state_dir.as_deref(),
        };
        let asking = question.settle(&stop);
        interrupts.stopping(self.ui, &self.artifact.to_string(), &stop, asking).await??;
        let _progress = self.ui.progress("Rolling back");
        let stamp = stamp::stamp(Writer::Rollback, &self.project.settings().root).await;
        let version = store.clone().stamped(stamp::from(stamp, &to.id)).version(&to.id);
        let restoring = version.restore(found.current.as_ref(), &stop);
        let restored = interrupts.stopping(self.ui, &self.artifact.to_string(), &stop, restoring).await?;
        restored.map_err(|error| match error {
            zipedit::Error::Overtaken { .. } => self.overtaken(),
            zipedit::Error::Interrupted { .. } => nothing_changed(),
            error @ zipedit::Error::Unknown { .. } => self.cloud.explain_engine(&error),
            error => self.cannot_go_to(to, &error),
        })
    }

    fn overtaken(&self) -> Error {
        Error::new("Conflict", format!("{} was changed by someone else just now, and is left as it is", self.artifact))
            .hint("look at `quickdeploy history`, and roll back again if that shall go, too")
    }

    /// How the project's files differ from the artifact that is there now.
    async fn local(&self, store: &S3Store, scan: Option<Scan>, artifact: &S3Artifact) -> Option<DiffDocument> {
        let compared = compare::difference(self.project, artifact, scan?, Deletion::Owned).await;
        let (scan, difference) = compared.ok()?;
        let Difference { diff, beyond_a_patch } = difference.ok()?;
        let store = store.clone();
        Some(DiffDocument::of(&Comparison { store, artifact: artifact.clone(), scan, diff, beyond_a_patch }))
    }

    fn now(&self, object: Option<&S3Object>, size: u64) -> ArtifactNow {
        ArtifactNow {
            url: self.artifact.to_string(),
            etag: object.map(|object| object.etag().to_owned()),
            version_id: object.and_then(|object| object.version_id()).map(str::to_owned),
            size,
        }
    }

    /// This rollback as a command: run again, it only updates the functions that are left.
    fn command(&self, version: &str) -> String {
        let name = self.project.settings().name.as_ref();
        let artifact = name.map_or_else(String::new, |name| format!(" --artifact {name}"));
        format!("quickdeploy rollback {version}{artifact}")
    }

    fn told(&self, version: &Version, length: usize) -> String {
        let now = SystemTime::now();
        format!("{} of {}, {}", short(&version.id, length), moment(version.modified, now), ago(version.modified, now))
    }

    fn tell_changes(&self, destination: &Destination) {
        let size = bytes(destination.artifact.object().size());
        match &destination.changes {
            Some(changes) if changes.count() > 0 => {
                let differ = if changes.count() == 1 { "differs" } else { "differ" };
                self.ui.detail(format!("{} {differ}, {size} in all", plural(changes.count(), "file")));
                let listed = if self.ui.is_verbose() { usize::MAX } else { 8 };
                for (mark, name) in changes.marked().take(listed) {
                    self.ui.detail(format!("{mark} {}", crate::ui::printable(name)));
                }
                if changes.count() > listed {
                    self.ui.detail(format!("… and {} more", changes.count() - listed));
                }
            }
            _ => self.ui.detail(format!("{size} in all")),
        }
        if !destination.is_there && !self.dry_run {
            self.ui.verbose("it was copied inside S3; nothing was uploaded");
        }
    }

    fn remember(&self, memory: &Memory, cache: &Cache, target: &Target, behind: Vec<String>) {
        let url = self.artifact.to_string();
        let deployed = Deployed::new(&target.etag, target.version_id.as_deref(), target.sha256.clone(), behind);
        self.only_a_warning(memory.store(&url, deployed));
        if let (Some(version), Some(sha256)) = (&target.version_id, &target.sha256) {
            self.only_a_warning(cache.learn_sha256(&url, version, sha256));
        }
    }

    /// What is only there to save time must not fail a rollback.
    fn only_a_warning(&self, result: Result<()>) {
        if let Err(error) = result {
            self.ui.warning(&error, error.hints());
        }
    }
}

/// The one version with content whose id begins so.
fn named(versions: &[Version], prefix: &str, url: &ArtifactUrl) -> Result<usize> {
    let exact = versions.iter().position(|version| version.id == prefix);
    let found: Vec<usize> = match exact {
        Some(at) => vec![at],
        None => (0..versions.len()).filter(|at| versions[*at].id.starts_with(prefix)).collect(),
    };
    let error = |what: String| Err(Error::new("VersionNotFound", what).hint("`quickdeploy history` lists them"));
    match found.as_slice() {
        [] => error(format!("{url} has no version `{prefix}`: it is gone, or never was")),
        [at] if versions[*at].object().is_none() => {
            error(format!("version {} is a delete marker: it says that {url} was deleted", versions[*at].id))
        }
        [at] => Ok(*at),
        several => {
            let ids: Vec<&str> = several.iter().take(4).map(|at| versions[*at].id.as_str()).collect();
            error(format!("`{prefix}` is the beginning of {} versions: {}", several.len(), ids.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::versions::tests::{marker, object};

    #[test]
    fn a_version_is_named_by_as_much_of_its_id_as_is_unique() {
        let url = "s3://bkt/k.zip".parse().unwrap();
        let versions = [object("abc123", 4, 1), object("abd456", 3, 1), marker("xyz", 2), object("null", 1, 1)];
        let at = |prefix: &str| named(&versions, prefix, &url);
        assert_eq!(at("abd").ok(), Some(1));
        assert_eq!(at("abc123").ok(), Some(0));
        assert_eq!(at("null").ok(), Some(3));
        for (prefix, says) in [("ab", "abc123, abd456"), ("q", "gone"), ("xyz", "delete marker")] {
            let error = at(prefix).unwrap_err();
            assert_eq!(error.error_type(), "VersionNotFound");
            assert!(error.message().contains(says), "{error}");
        }
    }
}
