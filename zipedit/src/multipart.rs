//! One multipart upload from Create to Complete: whatever happens in between, it is completed or aborted.

use std::future::poll_fn;
use std::pin::{Pin, pin};

use bytes::Bytes;
use futures::future::{MaybeDone, maybe_done};

use crate::artifact::{Artifact, Prepared, Way};
use crate::meter::Metered;
use crate::stop::{Stop, Stopped};
use crate::store::{Object as _, Store, StoreError};
use crate::{rewrite, splice};

/// What a transfer leaves: the parts in order, and the last bytes of the new artifact as far as they are at hand.
#[derive(Debug)]
pub(crate) struct Written<P> {
    pub(crate) parts: Vec<P>,
    pub(crate) end: Bytes,
}

/// Why a plan was not carried out, or not known to be.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The artifact turned out to be another one; nothing was committed.
    Raced,
    /// The store can't copy parts; nothing was committed.
    NoCopy,
    /// It was stopped; nothing was committed.
    Stopped(Stopped),
    /// The store refused; nothing was committed.
    Store(StoreError),
    /// The commit was sent, and what came back doesn't prove that it had no effect.
    Commit {
        /// What came back.
        cause: Unanswered,
        /// Whether it can't take effect any more, if it hasn't already.
        settled: bool,
    },
}

/// What came instead of a yes to a commit.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// An error: of the store, or for want of an answer.
    Error(StoreError),
    /// There was no time to wait for the answer.
    Stopped(Stopped),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Changed { .. } => Failure::Raced,
            StoreError::NotImplemented { operation: "UploadPartCopy" } => Failure::NoCopy,
            error => Failure::Store(error),
        }
    }
}

/// Carries `prepared` out. `known` says that the artifact was read some time ago: whether it is still the same is asked
/// meanwhile, and known before the commit.
pub(crate) async fn write<S: Store>(
    store: &Metered<'_, S>,
    artifact: &Artifact<S::Object>,
    prepared: &Prepared,
    known: bool,
    stop: &Stop,
) -> Result<(S::Object, Bytes), Failure> {
    let parts = match &prepared.way {
        Way::Splice(parts) => parts.as_slice(),
        Way::Small | Way::Rewrite => &[],
    };
    store.next_round_trip();
    // Nothing but the commit waits for this look: it may have to open a connection first.
    let mut looking = pin!(maybe_done(async { if known { still(store, artifact).await } else { Ok(()) } }));
    // Kept apart from what it waits for, so that an upload that was created is known even if the rest was stopped.
    let mut creating = pin!(maybe_done(store.create(artifact.object())));
    let beginning = async { futures::join!(creating.as_mut(), splice::gather_first(store, artifact, parts)) };
    let begun = stop.or_result_of(beside(looking.as_mut(), beginning)).await;
    if begun.is_err() {
        let _ = stop.or_late_result_of(creating.as_mut()).await;
    }
    let created = creating.as_mut().take_output();
    let (upload, first) = match (begun, created) {
        (Ok(((), first)), Some(created)) => (created?, first),
        (Err(stopped), created) => {
            if let Some(Ok(upload)) = created {
                let _ = stop.or_late_result_of(store.abort(&upload)).await;
            }
            return Err(Failure::Stopped(stopped));
        }
        (Ok(_), None) => return Err(Failure::Store(unfinished())),
    };

    let transferring = async {
        let first = first?;
        store.next_round_trip();
        match &prepared.way {
            Way::Splice(parts) => splice::transfer(store, artifact, parts, &upload, first).await,
            Way::Small | Way::Rewrite => rewrite::transfer(store, artifact, &prepared.plan, &upload).await,
        }
    };
    let looked = async {
        looking.as_mut().await;
        looking.as_mut().take_output().unwrap_or(Ok(()))
    };
    let transferred = stop
        .or_result_of(async { futures::try_join!(looked, transferring) })
        .await
        .map_err(Failure::Stopped)
        .and_then(|transferred| transferred.map(|((), written)| written).map_err(Failure::from));
    let Written { parts, end } = match transferred {
        Ok(written) => written,
        Err(failure) => {
            // Parts that were under way can still be stored after the abort, so it is said twice.
            let twice = async {
                let _ = store.abort(&upload).await;
                let _ = store.abort(&upload).await;
            };
            let _ = stop.or_late_result_of(twice).await;
            return Err(failure);
        }
    };

    store.next_round_trip();
    let completing = store.complete(&upload, artifact.object(), parts, prepared.plan.size());
    let cause = match stop.or_late_result_of(completing).await {
        Ok(Ok(object)) => return Ok((object, end)),
        Ok(Err(error)) => Unanswered::Error(error),
        Err(stopped) => Unanswered::Stopped(stopped),
    };
    // Settles a commit that is still under way: either it was first, or it fails.
    let settled = matches!(stop.or_late_result_of(store.abort(&upload)).await, Ok(Ok(())));
    Err(Failure::Commit { cause, settled })
}

/// The result of `work`, while `other` goes on, too.
async fn beside<T>(mut other: Pin<&mut MaybeDone<impl Future>>, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    poll_fn(|context| {
        let _ = other.as_mut().poll(context);
        work.as_mut().poll(context)
    })
    .await
}

/// Makes sure that the artifact is what it was when it was read, down to its metadata and tags.
pub(crate) async fn still<S: Store>(store: &S, artifact: &Artifact<S::Object>) -> Result<(), StoreError> {
    let now = store.head().await?;
    let same = now.etag() == artifact.object().etag() && store.carries_the_same(&now, artifact.object());
    if same { Ok(()) } else { Err(StoreError::Changed { operation: "HeadObject" }) }
}

/// Can't happen: what was waited for is there.
fn unfinished() -> StoreError {
    StoreError::unusable("CreateMultipartUpload", "it has not been answered")
}
