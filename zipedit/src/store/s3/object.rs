//! An object in S3, as it was read.

use std::time::SystemTime;

use super::attributes::Attributes;
use crate::stamp::STAMP_PREFIX;

/// An object in S3, as it was read.
#[derive(Debug, Clone)]
pub struct S3Object {
    pub(super) size: u64,
    pub(super) etag: String,
    pub(super) version_id: Option<String>,
    pub(super) last_modified: Option<SystemTime>,
    pub(super) attributes: Attributes,
    /// Requests that it took to read it.
    pub(super) requests: u64,
}

impl crate::store::Object for S3Object {
    fn size(&self) -> u64 {
        self.size
    }

    fn etag(&self) -> &str {
        &self.etag
    }

    fn version_id(&self) -> Option<&str> {
        self.version_id.as_deref()
    }

    fn requests(&self) -> u64 {
        self.requests
    }
}

impl S3Object {
    /// When it was written, for a multipart upload: begun. Not known of an object that was just written from here.
    #[must_use]
    pub fn last_modified(&self) -> Option<SystemTime> {
        self.last_modified
    }

    /// Its storage class, such as `STANDARD`.
    #[must_use]
    pub fn storage_class(&self) -> &str {
        self.attributes.storage_class()
    }

    /// How it is encrypted, such as `AES256` or `aws:kms`, and for KMS the key's ARN.
    #[must_use]
    pub fn encryption(&self) -> Option<(&str, Option<&str>)> {
        self.attributes.encryption()
    }

    /// What its writer said of itself under this key; see [`crate::Stamp`].
    #[must_use]
    pub fn stamp(&self, key: &str) -> Option<&str> {
        self.attributes.metadata(key).filter(|_| key.starts_with(STAMP_PREFIX))
    }

    /// The user metadata under this key, in lower case, and without `x-amz-meta-`.
    #[must_use]
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.attributes.metadata(key)
    }

    /// Whether it stands for no object: see [`super::S3Store::absent`].
    pub(super) fn is_absent(&self) -> bool {
        self.etag.is_empty()
    }
}
