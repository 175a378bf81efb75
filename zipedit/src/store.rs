//! The few object verbs that an edit needs, and what their answers mean.
//!
//! A store knows no zip format. Everything it does to an artifact is pinned to the [`Object`] that was read first: reads
//! and part copies fail with [`StoreError::Changed`] when the object is another one by then, and so do the two verbs
//! that commit, [`Store::put`] and [`Store::complete`]. Until one of them succeeds nothing is to be seen of the new
//! artifact, and from then on nothing of the old one.

pub mod file;
pub mod s3;

use std::future::Future;
use std::ops::Range;

use bytes::Bytes;
use futures::stream::BoxStream;

use crate::parts::PartLimits;

/// What a store knows of an artifact: which one it is, and all that has to be carried over to its successor.
pub trait Object: Clone + Send + Sync {
    /// Size in bytes.
    fn size(&self) -> u64;
    /// The ETag, as the store writes it (S3: with its quotes).
    fn etag(&self) -> &str;
    /// The version, where the store keeps versions.
    fn version_id(&self) -> Option<&str>;

    /// How many requests it took to read it, each after the first waiting for the one before.
    fn requests(&self) -> u64 {
        1
    }
}

/// Where a part goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// From 1, without holes.
    pub number: u32,
    /// Offset of its first byte in the new object.
    pub offset: u64,
}

/// Where artifacts lie.
pub trait Store: Send + Sync {
    /// An artifact as it was read.
    type Object: Object;
    /// A multipart upload that was begun.
    type Upload: Send + Sync;
    /// A part that is there: what [`Store::complete`] needs to know of it.
    type Part: Send;

    /// `s3://bucket/key`, or a path: for messages.
    fn location(&self) -> &str;

    /// What multipart uploads are like here.
    fn part_limits(&self) -> PartLimits;

    /// An artifact of at most so many bytes is read and written as a whole.
    fn small(&self) -> u64;

    /// The object as it is now, and its last `len` bytes (all of them when there are fewer).
    fn tail(&self, len: u64) -> impl Future<Output = Result<(Self::Object, Bytes), StoreError>> + Send;

    /// The object as it is now, when only its identity and what is carried over are wanted.
    fn head(&self) -> impl Future<Output = Result<Self::Object, StoreError>> + Send;

    /// Whether all that is carried over from one to its successor is the same in both.
    fn carries_the_same(&self, one: &Self::Object, other: &Self::Object) -> bool;

    /// A range of the object, never empty.
    fn read(&self, object: &Self::Object, range: Range<u64>) -> impl Future<Output = Result<Bytes, StoreError>> + Send;

    /// A range of the object as it comes in; the stream ends early only with an error.
    fn stream(
        &self,
        object: &Self::Object,
        range: Range<u64>,
    ) -> impl Future<Output = Result<BoxStream<'static, Result<Bytes, StoreError>>, StoreError>> + Send;

    /// Replaces `base` by `body` at once.
    fn put(&self, base: &Self::Object, body: Bytes) -> impl Future<Output = Result<Self::Object, StoreError>> + Send;

    /// Begins to write a successor of `base`.
    fn create(&self, base: &Self::Object) -> impl Future<Output = Result<Self::Upload, StoreError>> + Send;

    /// Writes a part.
    fn upload_part(
        &self,
        upload: &Self::Upload,
        slot: Slot,
        body: Bytes,
    ) -> impl Future<Output = Result<Self::Part, StoreError>> + Send;

    /// Writes a part that is a range of `base`.
    fn copy_part(
        &self,
        upload: &Self::Upload,
        slot: Slot,
        base: &Self::Object,
        range: Range<u64>,
    ) -> impl Future<Output = Result<Self::Part, StoreError>> + Send;

    /// Replaces `base` by the parts, in the order of their numbers; `size` is what they must come to.
    fn complete(
        &self,
        upload: &Self::Upload,
        base: &Self::Object,
        parts: Vec<Self::Part>,
        size: u64,
    ) -> impl Future<Output = Result<Self::Object, StoreError>> + Send;

    /// Discards what was written. An upload that is gone already is no error.
    fn abort(&self, upload: &Self::Upload) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Why a store didn't do what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No such object, bucket or file.
    #[error("{reason}")]
    NotFound {
        /// What isn't there, and what to do.
        reason: String,
    },
    /// There is an object, but no byte in it.
    #[error("it is empty")]
    Empty,
    /// Not allowed.
    #[error("{action} is not permitted: {reason}")]
    AccessDenied {
        /// The IAM action, or the file operation.
        action: String,
        /// What the store said.
        reason: String,
    },
    /// The object is not the one that was read.
    #[error("it was changed by another writer")]
    Changed {
        /// The API operation.
        operation: &'static str,
    },
    /// The upload is gone: aborted by another, or completed.
    #[error("the multipart upload was ended by another")]
    NoSuchUpload {
        /// The API operation.
        operation: &'static str,
    },
    /// The store doesn't have this operation, or not with these conditions.
    #[error("the store does not implement it")]
    NotImplemented {
        /// The API operation.
        operation: &'static str,
    },
    /// The object can be read, but a successor couldn't be made like it.
    #[error("{reason}")]
    Unsupported {
        /// What would get lost, and what to do.
        reason: String,
    },
    /// There was no answer: no connection, or none in time.
    #[error("{operation} got no answer: {reason}")]
    Unreachable {
        /// The API operation.
        operation: &'static str,
        /// What happened on the way.
        reason: String,
    },
    /// Anything else.
    #[error("{operation} failed: {reason}")]
    Other {
        /// The API operation.
        operation: &'static str,
        /// The store's own name for the error, if it gave one.
        code: Option<String>,
        /// Whether the store refused it (HTTP 4xx): then it was not carried out.
        refused: bool,
        /// What the store said.
        reason: String,
    },
}

impl StoreError {
    /// An answer, or a want of one, that can't be used; in our own words.
    pub(crate) fn unusable(operation: &'static str, reason: impl Into<String>) -> Self {
        StoreError::Other { operation, code: None, refused: false, reason: reason.into() }
    }

    /// Whether what was answered so was not carried out, and won't be. An earlier try of the same request, whose answer
    /// got lost, may have been.
    pub(crate) fn is_refusal(&self) -> bool {
        match self {
            StoreError::NotFound { .. }
            | StoreError::Empty
            | StoreError::AccessDenied { .. }
            | StoreError::Changed { .. }
            | StoreError::NoSuchUpload { .. }
            | StoreError::NotImplemented { .. }
            | StoreError::Unsupported { .. } => true,
            StoreError::Unreachable { .. } => false,
            StoreError::Other { refused, .. } => *refused,
        }
    }
}
