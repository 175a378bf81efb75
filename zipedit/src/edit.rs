//! One edit from its changes to the answer: read, plan, carry out; and again when another writer came first.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use bytes::Bytes;

use crate::artifact::{Artifact, Prepared, Way, open_metered};
use crate::changes::Changes;
use crate::error::Error;
use crate::gather::gather;
use crate::meter::Metered;
use crate::multipart::{self, Failure, Unanswered};
use crate::report::Report;
use crate::stop::{Stop, Stopped};
use crate::store::{Object as _, Store, StoreError};

/// How often an edit is planned before it gives up against other writers.
const ATTEMPTS: u32 = 30;

/// What an edit shall heed.
#[derive(Debug, Clone, Default)]
pub struct Options {
    if_match: Option<String>,
    dry_run: bool,
    stop: Stop,
}

impl Options {
    /// Edits whatever is there, now.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Edits only an artifact with this ETag (with or without its quotes).
    #[must_use]
    pub fn if_match(mut self, etag: impl Into<String>) -> Self {
        self.if_match = Some(etag.into());
        self
    }

    /// Plans, and writes nothing.
    #[must_use]
    pub fn dry_run(mut self) -> Self {
        self.dry_run = true;
        self
    }

    /// Gives up when `stop` says so.
    #[must_use]
    pub fn stop(mut self, stop: Stop) -> Self {
        self.stop = stop;
        self
    }
}

/// Edits the artifact in `store`.
///
/// # Errors
/// Every [`Error`] leaves the artifact as it was; only after [`Error::Unknown`] it may hold the edit. What had been
/// uploaded is discarded.
pub async fn edit<S: Store>(store: &S, changes: &Changes, options: &Options) -> Result<Report, Error> {
    edit_from(store, None, changes, options).await.map(|(report, _)| report)
}

/// Edits the artifact in `store`, starting from what an earlier edit left known of it: if it is still the same, nothing
/// is read again. Gives back what is known afterwards.
///
/// # Errors
/// As [`edit`].
pub async fn edit_from<S: Store>(
    store: &S,
    known: Option<Artifact<S::Object>>,
    changes: &Changes,
    options: &Options,
) -> Result<(Report, Option<Artifact<S::Object>>), Error> {
    let store = Metered::new(store);
    let mut edit = Edit { store: &store, changes, options, attempts: 0, may_copy: true };
    // Without a write there is no commit to find out that the artifact was replaced, so it is read.
    // Nor is what is known worth anything to one who knows better.
    let known = known.filter(|artifact| {
        !options.dry_run
            && edit.check_precondition(artifact).is_ok()
            && edit.prepare(artifact).is_ok_and(|it| !it.plan.is_noop())
    });
    let (mut artifact, mut is_known) = match known {
        Some(artifact) => (artifact, true),
        None => (edit.open().await?, false),
    };
    loop {
        match edit.attempt(&artifact, is_known).await? {
            Attempt::Done(done) => return Ok(*done),
            Attempt::Again(now) => artifact = *now,
        }
        is_known = false;
    }
}

type Done<S> = (Report, Option<Artifact<<S as Store>::Object>>);

enum Attempt<S: Store> {
    Done(Box<Done<S>>),
    /// Plan again, on what the artifact is now.
    Again(Box<Artifact<S::Object>>),
}

struct Edit<'a, S> {
    store: &'a Metered<'a, S>,
    changes: &'a Changes,
    options: &'a Options,
    attempts: u32,
    may_copy: bool,
}

impl<S: Store> Edit<'_, S> {
    async fn open(&self) -> Result<Artifact<S::Object>, Error> {
        let opening = open_metered(self.store, || self.store.next_round_trip());
        match self.options.stop.or_result_of(opening).await {
            Ok(opened) => opened,
            Err(stopped) => Err(self.stopped(stopped)),
        }
    }

    fn prepare(&self, artifact: &Artifact<S::Object>) -> Result<Prepared, Error> {
        let prepared = artifact.prepare_for(self.store, self.changes, self.may_copy);
        prepared.map_err(|error| Error::at(self.store.location(), error))
    }

    async fn attempt(&mut self, artifact: &Artifact<S::Object>, is_known: bool) -> Result<Attempt<S>, Error> {
        self.check_precondition(artifact)?;
        self.attempts += 1;
        let prepared = self.prepare(artifact)?;
        if prepared.plan.is_noop() || self.options.dry_run {
            let report = self.report(&prepared, artifact.object());
            return Ok(Attempt::Done(Box::new((report, Some(artifact.clone())))));
        }
        let carried_out = match prepared.way {
            Way::Small => self.put(artifact, &prepared, is_known).await,
            Way::Splice(_) | Way::Rewrite => {
                multipart::write(self.store, artifact, &prepared, is_known, &self.options.stop).await
            }
        };
        match carried_out {
            Ok((object, end)) => {
                let report = self.report(&prepared, &object);
                let directory_len = prepared.plan.directory().len() as u64;
                Ok(Attempt::Done(Box::new((report, Artifact::written(object, &end, directory_len)))))
            }
            Err(failure) => self.recover(&prepared, failure).await,
        }
    }

    fn check_precondition(&self, artifact: &Artifact<S::Object>) -> Result<(), Error> {
        let found = artifact.object().etag();
        match &self.options.if_match {
            Some(expected) if expected.trim_matches('"') != found.trim_matches('"') => Err(Error::PreconditionFailed {
                location: self.store.location().to_owned(),
                expected: expected.clone(),
                found: found.to_owned(),
            }),
            _ => Ok(()),
        }
    }

    /// Reads what wasn't read with the tail, and replaces the artifact as a whole.
    async fn put(
        &self,
        artifact: &Artifact<S::Object>,
        prepared: &Prepared,
        is_known: bool,
    ) -> Result<(S::Object, Bytes), Failure> {
        let gathering = async {
            if is_known || artifact.tail_start() > 0 {
                self.store.next_round_trip();
            }
            let (body, still) = futures::join!(gather(self.store, artifact, prepared.plan.pieces(), u64::MAX), async {
                if is_known { multipart::still(self.store, artifact).await } else { Ok(()) }
            });
            still.and(body)
        };
        let body = self.options.stop.or_result_of(gathering).await.map_err(Failure::Stopped)??;
        self.store.next_round_trip();
        match self.options.stop.or_late_result_of(self.store.put(artifact.object(), body.clone())).await {
            Ok(Ok(object)) => Ok((object, body)),
            Ok(Err(error)) => {
                let settled = error.is_refusal();
                Err(Failure::Commit { cause: Unanswered::Error(error), settled })
            }
            // An upload can be aborted, a put can't: it may still arrive.
            Err(stopped) => Err(Failure::Commit { cause: Unanswered::Stopped(stopped), settled: false }),
        }
    }

    /// What to do after a try that didn't end with a plain yes.
    async fn recover(&mut self, prepared: &Prepared, failure: Failure) -> Result<Attempt<S>, Error> {
        match failure {
            Failure::Raced => {
                self.wait_for_turn().await?;
                Ok(Attempt::Again(Box::new(self.open().await?)))
            }
            Failure::NoCopy => {
                self.may_copy = false;
                Ok(Attempt::Again(Box::new(self.open().await?)))
            }
            Failure::Stopped(stopped) => Err(self.stopped(stopped)),
            Failure::Store(error) => Err(Error::store(self.store.location(), error)),
            Failure::Commit { cause, settled } => self.after_commit(prepared, cause, settled).await,
        }
    }

    /// The commit wasn't answered by a yes. It may have been carried out all the same: its answer can get lost on the
    /// way, and the SDK's second try then finds its own first one in the way. What the artifact is now tells; and so
    /// does, when another writer came in between, that the edit is in it.
    async fn after_commit(
        &mut self,
        prepared: &Prepared,
        cause: Unanswered,
        settled: bool,
    ) -> Result<Attempt<S>, Error> {
        let looking = open_metered(self.store, || self.store.next_round_trip());
        let looked = self.options.stop.or_late_result_of(looking).await;
        let now = match (looked, &cause) {
            (Ok(Ok(now)), _) => now,
            // It was refused for another reason than what an earlier try of ours had left.
            (_, Unanswered::Error(error)) if settled && error.is_refusal() && !lost_race(error) => {
                return Err(Error::store(self.store.location(), error.clone()));
            }
            (Ok(Err(reading)), _) => return Err(self.unknown(&reading.to_string())),
            (Err(_), Unanswered::Error(error)) => return Err(self.unknown(&error.to_string())),
            (Err(_), Unanswered::Stopped(_)) => return Err(self.unknown("there was no answer in time")),
        };
        if now.is(&prepared.plan) || self.prepare(&now).is_ok_and(|again| again.plan.is_noop()) {
            let mut report = self.report(prepared, now.object());
            report.size = now.object().size();
            report.entries = now.directory().len() as u64;
            return Ok(Attempt::Done(Box::new((report, Some(now)))));
        }
        match cause {
            Unanswered::Error(error) if lost_race(&error) => {
                let waited = self.wait_for_turn().await?;
                Ok(Attempt::Again(Box::new(if waited { self.open().await? } else { now })))
            }
            Unanswered::Error(error) if settled => Err(Error::store(self.store.location(), error)),
            Unanswered::Error(error) => Err(self.unknown(&error.to_string())),
            Unanswered::Stopped(stopped) if settled => Err(self.stopped(stopped)),
            Unanswered::Stopped(_) => Err(self.unknown("there was no answer in time")),
        }
    }

    /// Waits a little before the next try, but for the first: longer and less predictably from try to try, so that many
    /// writers get through one after the other. Says whether it waited.
    async fn wait_for_turn(&self) -> Result<bool, Error> {
        if self.attempts >= ATTEMPTS {
            let location = self.store.location().to_owned();
            return Err(Error::Conflict { location, attempts: self.attempts });
        }
        if self.attempts == 1 {
            return Ok(false);
        }
        let longest = 25_u64 << self.attempts.min(6);
        let wait = Duration::from_millis(RandomState::new().hash_one(self.attempts) % longest);
        let waited = self.options.stop.or_result_of(tokio::time::sleep(wait)).await;
        waited.map(|()| true).map_err(|stopped| self.stopped(stopped))
    }

    fn stopped(&self, stopped: Stopped) -> Error {
        Error::stopped(self.store.location(), stopped)
    }

    fn unknown(&self, reason: &str) -> Error {
        Error::Unknown { location: self.store.location().to_owned(), reason: reason.to_owned() }
    }

    fn report(&self, prepared: &Prepared, object: &S::Object) -> Report {
        let (plan, counts) = (&prepared.plan, prepared.plan.counts());
        // A plan that isn't carried out for want of changes would still drop dead bytes: the artifact keeps its size.
        let size = if plan.is_noop() { object.size() } else { plan.size() };
        Report {
            added: counts.added,
            modified: counts.modified,
            deleted: counts.deleted,
            identical: counts.identical,
            missing: counts.missing,
            etag: object.etag().to_owned(),
            version_id: object.version_id().map(str::to_owned),
            size,
            entries: plan.entries(),
            unzipped_size: plan.unzipped(),
            strategy: prepared.strategy(),
            dry_run: self.options.dry_run,
            attempts: self.attempts,
            traffic: self.store.traffic(),
        }
    }
}

/// Whether the artifact was another one when the commit came.
fn lost_race(error: &StoreError) -> bool {
    matches!(error, StoreError::Changed { .. } | StoreError::NoSuchUpload { .. } | StoreError::NotFound { .. })
}
