//! What became of a write that wasn't answered by a yes.
//!
//! It may have been carried out all the same: its answer can get lost on the way, and the SDK's second try then finds the
//! first one's result in the way. What the object is now tells, if the writer left its [`crate::Stamp`] on it.

use std::time::Duration;

use super::{S3Object, S3Store};
use crate::error::Error;
use crate::stop::Stop;
use crate::store::{Store as _, StoreError};

/// How often it is asked what the object is now, while there is no connection.
const LOOKS: u32 = 3;

/// For a write whose answer isn't waited for any longer.
pub(super) fn no_answer(operation: &'static str) -> StoreError {
    StoreError::Unreachable { operation, reason: "there was no answer in time".to_owned() }
}

impl S3Store {
    /// The successor of `before`, if it is `wanted` after all (by its size and its writer's stamp: a time in it tells our
    /// write from any other). `error` is what was answered instead.
    ///
    /// # Errors
    /// [`Error::Overtaken`], [`Error::Unknown`], or `error`, if it is certain that nothing was written.
    pub(super) async fn settled(
        &self,
        wanted: &S3Object,
        before: Option<&S3Object>,
        error: StoreError,
        stop: &Stop,
    ) -> Result<S3Object, Error> {
        let unknown = |reason: String| Error::Unknown { location: self.location.clone(), reason };
        let looking = async {
            let mut looks = 0;
            loop {
                looks += 1;
                match self.head().await {
                    Err(StoreError::Unreachable { .. }) if looks < LOOKS => {
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                    now => return now,
                }
            }
        };
        let Ok(now) = stop.or_late_result_of(looking).await else { return Err(unknown(error.to_string())) };
        let is_new = |now: &S3Object| before.is_none_or(|it| it.version_id != now.version_id || it.etag != now.etag);
        // Without a stamp nothing tells a write of ours from another's.
        let is_ours = |now: &S3Object| {
            !self.stamp.is_empty() && now.size == wanted.size && now.attributes.has_metadata_of(&wanted.attributes)
        };
        let overtaken = || Error::Overtaken { location: self.location.clone() };
        match (now, error) {
            (Ok(now), _) if is_new(&now) && is_ours(&now) => Ok(now),
            (_, StoreError::Changed { .. }) => Err(overtaken()),
            // If-Match on a key that is gone.
            (Err(StoreError::NotFound { .. }), StoreError::NotFound { .. }) => Err(overtaken()),
            // Its own first try may have ended the upload, and somebody else have built upon that.
            (Ok(now), error @ StoreError::NoSuchUpload { .. }) if is_new(&now) => Err(unknown(error.to_string())),
            (_, error) if error.is_refusal() => Err(Error::store(&self.location, error)),
            (Err(looking), error) => Err(unknown(format!("{error}; {looking}"))),
            // It may still be under way.
            (Ok(_), error) => Err(unknown(error.to_string())),
        }
    }
}
