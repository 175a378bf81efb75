//! One version of an object: reading it, and making it the current one again.
//!
//! S3 can't change which version is current. It is made so by a copy onto its own key, inside S3: nothing is read or
//! sent. A copy inherits less than one would think (storage class, encryption and locks come from the request or the
//! bucket), so everything but the bytes is read before and sent with it, as for an edit.
//!
//! The copy is conditional on the object being what the caller saw: another writer's version is never hidden unseen.

use aws_sdk_s3::types::{MetadataDirective, TaggingDirective};

use super::errors::store_error;
use super::settle::no_answer;
use super::{S3Object, S3Store, encode_key};
use crate::artifact::{self, Artifact};
use crate::error::Error;
use crate::stop::Stop;
use crate::store::Store as _;

/// One version of an object.
#[derive(Debug, Clone)]
pub struct S3Version {
    /// Reads only this version.
    pinned: S3Store,
    store: S3Store,
    id: String,
}

impl S3Store {
    /// The object as it was in one version; `null` is the one from before versions were kept.
    #[must_use]
    pub fn version(&self, id: impl Into<String>) -> S3Version {
        let id = id.into();
        let mut pinned = self.clone();
        pinned.location = format!("{} (version {id})", self.location);
        pinned.version = Some(id.clone());
        S3Version { pinned, store: self.clone(), id }
    }
}

impl S3Version {
    /// Reads its directory. Its tags are not read: they can't be of use before it is restored.
    ///
    /// # Errors
    /// As [`crate::open`]; a version that is gone, or is a delete marker, is [`Error::ArtifactNotFound`].
    pub async fn open(&self) -> Result<Artifact<S3Object>, Error> {
        let untagged = S3Store { reads_tags: false, ..self.pinned.clone() };
        artifact::open(&untagged).await
    }

    /// Reads what there is besides its bytes.
    ///
    /// # Errors
    /// As [`S3Version::open`].
    pub async fn head(&self) -> Result<S3Object, Error> {
        let untagged = S3Store { reads_tags: false, ..self.pinned.clone() };
        untagged.head().await.map_err(|error| Error::store(&self.pinned.location, error))
    }

    /// Makes it the current version again, if the current one is still `current` (`None`: the object is deleted, and
    /// is to be still). The copy gets this version's headers, metadata, tags, encryption and locks, and the store's
    /// [`crate::Stamp`]. Its storage class is that of the current version: a lifecycle rule may have moved this one to a
    /// class that functions can't be deployed from. With a stamp that nobody else writes (a time in it will do), a copy
    /// whose answer was lost is recognised.
    ///
    /// # Errors
    /// Those of the store, and what `stop` says. Every [`Error`] leaves the object as it was; only after [`Error::Unknown`] it may be restored.
    pub async fn restore(&self, current: Option<&S3Object>, stop: &Stop) -> Result<S3Object, Error> {
        let found = stop.or_result_of(self.pinned.head()).await;
        let found = found.map_err(|stopped| Error::stopped(&self.store.location, stopped))?;
        let mut version = found.map_err(|error| Error::store(&self.pinned.location, error))?;
        version.attributes = version.attributes.restored(current.map(|it| &it.attributes)).stamped(&self.store.stamp);
        let store = &self.store;
        let source = format!("{}/{}?versionId={}", store.bucket, encode_key(&store.key), self.id);
        let request = store
            .client
            .copy_object()
            .bucket(&store.bucket)
            .key(&store.key)
            .copy_source(source)
            .copy_source_if_match(&version.etag)
            .metadata_directive(MetadataDirective::Replace)
            .tagging_directive(TaggingDirective::Replace);
        let request = match current {
            Some(current) => request.if_match(&current.etag),
            None => request.if_none_match("*"),
        };
        match stop.or_late_result_of(version.attributes.on_copy(request).send()).await {
            Ok(Ok(answer)) => {
                let etag = answer.copy_object_result().and_then(|result| result.e_tag());
                store
                    .successor("CopyObject", &version, version.size, etag, answer.version_id())
                    .map_err(|error| Error::store(&store.location, error))
            }
            Ok(Err(error)) => {
                let error = store_error("CopyObject", "s3:PutObject", &error);
                store.settled(&version, current, error, stop).await
            }
            Err(_) => store.settled(&version, current, no_answer("CopyObject"), stop).await,
        }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}
