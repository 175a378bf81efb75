//! An object that becomes a copy of another one, inside S3.

use aws_sdk_s3::types::{MetadataDirective, TaggingDirective};

use super::errors::store_error;
use super::settle::no_answer;
use super::{S3Object, S3Store, encode_key};
use crate::error::Error;
use crate::stop::Stop;

impl S3Store {
    /// Replaces `base` by a copy of the object `key` in `bucket`, which may be `base` itself: then only its metadata
    /// changes. The copy gets `base`'s headers, metadata, tags, encryption and locks, and the store's [`crate::Stamp`].
    ///
    /// `etag` and `size` are those of the source: if it is another object by now, nothing is copied.
    ///
    /// # Errors
    /// [`Error::Overtaken`]: either of the two is not what it was. Those of the store. Only after [`Error::Unknown`] it may
    /// be copied.
    pub async fn copy_from(
        &self,
        bucket: &str,
        key: &str,
        etag: &str,
        size: u64,
        base: &S3Object,
        stop: &Stop,
    ) -> Result<S3Object, Error> {
        let attributes = base.attributes.stamped(&self.stamp);
        let request = self
            .client
            .copy_object()
            .bucket(&self.bucket)
            .key(&self.key)
            .copy_source(format!("{bucket}/{}", encode_key(key)))
            .copy_source_if_match(etag)
            .metadata_directive(MetadataDirective::Replace)
            .tagging_directive(TaggingDirective::Replace);
        let request = if base.is_absent() { request.if_none_match("*") } else { request.if_match(&base.etag) };
        let error = match stop.or_late_result_of(attributes.on_copy(request).send()).await {
            Ok(Ok(answer)) => {
                let etag = answer.copy_object_result().and_then(|result| result.e_tag());
                let successor = self.successor("CopyObject", base, size, etag, answer.version_id());
                return successor.map_err(|error| Error::store(&self.location, error));
            }
            Ok(Err(error)) => store_error("CopyObject", "s3:PutObject", &error),
            Err(_) => no_answer("CopyObject"),
        };
        let wanted = S3Object { size, attributes, ..base.clone() };
        self.settled(&wanted, Some(base).filter(|base| !base.is_absent()), error, stop).await
    }
}
