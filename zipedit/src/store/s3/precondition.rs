//! The preconditions that keep writers apart, and what a store makes of them.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// A precondition of a request. A store that takes the request and ignores the precondition lets one writer undo what
/// another wrote at the same time, and nobody notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Precondition {
    /// `If-Match` of `GetObject`: all reads of an edit are of one object.
    GetIfMatch,
    /// `If-Match` of `PutObject`: the commit of a small artifact.
    PutIfMatch,
    /// `If-None-Match: *` of `PutObject`: the first artifact of its name.
    PutIfNoneMatch,
    /// `x-amz-copy-source-if-match` of `UploadPartCopy`: what is copied is of the object that was read.
    PartCopySourceIfMatch,
    /// `If-Match` of `CompleteMultipartUpload`: the commit of a spliced or rewritten artifact.
    CompleteIfMatch,
    /// `If-None-Match: *` of `CompleteMultipartUpload`: the first artifact of its name, if it is a large one.
    CompleteIfNoneMatch,
    /// `If-Match` of `CopyObject`: an earlier version, or what a build left, takes the artifact's place.
    CopyIfMatch,
    /// `If-None-Match: *` of `CopyObject`: the same where the artifact is deleted.
    CopyIfNoneMatch,
    /// `x-amz-copy-source-if-match` of `CopyObject`: what is copied is what was looked at.
    CopySourceIfMatch,
}

impl Precondition {
    /// What an edit rests on.
    pub const OF_EDITS: &'static [Self] =
        &[Self::GetIfMatch, Self::PutIfMatch, Self::PartCopySourceIfMatch, Self::CompleteIfMatch];
    /// What a whole artifact in the place of another rests on ([`S3Store::replace`](super::S3Store::replace)).
    pub const OF_REPLACEMENTS: &'static [Self] =
        &[Self::PutIfMatch, Self::PutIfNoneMatch, Self::CompleteIfMatch, Self::CompleteIfNoneMatch];
    /// What a copy in its place rests on ([`S3Store::copy_from`](super::S3Store::copy_from) and
    /// [`crate::S3Version::restore`]).
    pub const OF_COPIES: &'static [Self] = &[Self::CopyIfMatch, Self::CopyIfNoneMatch, Self::CopySourceIfMatch];
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::GetIfMatch,
        Self::PutIfMatch,
        Self::PutIfNoneMatch,
        Self::PartCopySourceIfMatch,
        Self::CompleteIfMatch,
        Self::CompleteIfNoneMatch,
        Self::CopyIfMatch,
        Self::CopyIfNoneMatch,
        Self::CopySourceIfMatch,
    ];

    /// The API operation.
    #[must_use]
    pub fn operation(self) -> &'static str {
        match self {
            Self::GetIfMatch => "GetObject",
            Self::PutIfMatch | Self::PutIfNoneMatch => "PutObject",
            Self::PartCopySourceIfMatch => "UploadPartCopy",
            Self::CompleteIfMatch | Self::CompleteIfNoneMatch => "CompleteMultipartUpload",
            Self::CopyIfMatch | Self::CopyIfNoneMatch | Self::CopySourceIfMatch => "CopyObject",
        }
    }

    /// The header.
    #[must_use]
    pub fn header(self) -> &'static str {
        match self {
            Self::GetIfMatch | Self::PutIfMatch | Self::CompleteIfMatch | Self::CopyIfMatch => "If-Match",
            Self::PutIfNoneMatch | Self::CompleteIfNoneMatch | Self::CopyIfNoneMatch => "If-None-Match",
            Self::PartCopySourceIfMatch | Self::CopySourceIfMatch => "x-amz-copy-source-if-match",
        }
    }

    /// Whether it is of a request about a multipart upload.
    pub(super) fn is_of_uploads(self) -> bool {
        matches!(self, Self::PartCopySourceIfMatch | Self::CompleteIfMatch | Self::CompleteIfNoneMatch)
    }
}

impl fmt::Display for Precondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.header(), self.operation())
    }
}

/// What a store made of a request whose precondition didn't hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heed {
    /// It refused the request because of it.
    Heeded,
    /// It doesn't have the operation, or not with this precondition, and says so: nothing goes unguarded.
    NotImplemented,
    /// It carried the request out.
    Ignored,
    /// Its answer says nothing about that.
    Unknown {
        /// What it answered instead.
        reason: String,
    },
}

/// What [`S3Store::probe`](super::S3Store::probe) found out.
#[derive(Debug, Clone, Default)]
pub struct Probed {
    pub(super) found: BTreeMap<Precondition, Heed>,
    pub(super) left_behind: Vec<String>,
}

impl Probed {
    /// What was asked, with the answers.
    pub fn iter(&self) -> impl Iterator<Item = (Precondition, &Heed)> {
        self.found.iter().map(|(precondition, heed)| (*precondition, heed))
    }

    /// Those that can be relied upon: nothing is written where they don't hold.
    pub fn reliable(&self) -> impl Iterator<Item = Precondition> {
        let reliable = |heed: &Heed| matches!(heed, Heed::Heeded | Heed::NotImplemented);
        self.iter().filter(move |(_, heed)| reliable(heed)).map(|(precondition, _)| precondition)
    }

    /// Those that the store ignores.
    pub fn ignored(&self) -> impl Iterator<Item = Precondition> {
        self.iter().filter(|(_, heed)| **heed == Heed::Ignored).map(|(precondition, _)| precondition)
    }

    /// Those of which it isn't known, each with what was answered instead.
    pub fn unknown(&self) -> impl Iterator<Item = (Precondition, &str)> {
        self.iter().filter_map(|(precondition, heed)| match heed {
            Heed::Unknown { reason } => Some((precondition, reason.as_str())),
            _ => None,
        })
    }

    /// What the probe made and could not remove again, each with the reason.
    #[must_use]
    pub fn left_behind(&self) -> &[String] {
        &self.left_behind
    }

    /// Refuses a store that ignores any of what was asked. `location` is what was to be written.
    ///
    /// # Errors
    /// [`Error::PreconditionsIgnored`].
    pub fn refuse_ignored(&self, location: &str) -> Result<(), Error> {
        match enumerated(self.ignored()) {
            None => Ok(()),
            Some(ignored) => Err(Error::PreconditionsIgnored { location: location.to_owned(), ignored }),
        }
    }
}

/// `If-Match of PutObject, If-Match of CopyObject`. `None`: there is none.
pub fn enumerated(preconditions: impl Iterator<Item = Precondition>) -> Option<String> {
    let list: Vec<String> = preconditions.map(|precondition| precondition.to_string()).collect();
    (!list.is_empty()).then(|| list.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_implemented_is_reliable_and_what_is_not_known_is_neither() {
        let found = BTreeMap::from([
            (Precondition::GetIfMatch, Heed::Heeded),
            (Precondition::PutIfMatch, Heed::Ignored),
            (Precondition::PartCopySourceIfMatch, Heed::NotImplemented),
            (Precondition::CompleteIfMatch, Heed::Unknown { reason: "AccessDenied".into() }),
        ]);
        let probed = Probed { found, left_behind: Vec::new() };
        let reliable: Vec<_> = probed.reliable().collect();
        assert_eq!(reliable, [Precondition::GetIfMatch, Precondition::PartCopySourceIfMatch]);
        assert_eq!(probed.unknown().collect::<Vec<_>>(), [(Precondition::CompleteIfMatch, "AccessDenied")]);
        let error = probed.refuse_ignored("s3://b/k").unwrap_err();
        assert_eq!(error.kind(), "PreconditionsIgnored");
        assert!(error.to_string().contains("ignores If-Match of PutObject:"), "{error}");
    }

    #[test]
    fn what_each_way_of_writing_rests_on_is_known() {
        for of in [Precondition::OF_EDITS, Precondition::OF_REPLACEMENTS, Precondition::OF_COPIES] {
            assert!(of.iter().all(|one| Precondition::ALL.contains(one)));
        }
        let used = [Precondition::OF_EDITS, Precondition::OF_REPLACEMENTS, Precondition::OF_COPIES].concat();
        assert!(Precondition::ALL.iter().all(|one| used.contains(one)));
    }
}
