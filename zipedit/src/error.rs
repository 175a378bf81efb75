use std::time::Duration;

use crate::changes::NameError;
use crate::stop::Stopped;
use crate::store::StoreError;

/// Why an edit was refused or failed. The artifact is then what it was before, byte for byte.
///
/// [`Error::kind`] is the stable name that the Lambda answers as `errorType`; the message names the thing and the way
/// out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name that must not be written into an archive.
    #[error(transparent)]
    InvalidEntryName(#[from] NameError),

    /// Changes that contradict each other or the archive: a file where a directory is, or the other way round.
    #[error("cannot put `{name}`: {reason}")]
    NameClash {
        /// The entry that was to be put.
        name: String,
        /// What stands in its way, and what to do.
        reason: String,
    },

    /// The object, bucket or file isn't there.
    #[error("there is no artifact at {location}: {reason}")]
    ArtifactNotFound {
        /// `s3://bucket/key`, or a path.
        location: String,
        /// What the store said, and what to do.
        reason: String,
    },

    /// The store refused one action.
    #[error("{action} on {location} is not permitted: {reason}")]
    AccessDenied {
        /// The IAM action, or the file operation.
        action: String,
        /// `s3://bucket/key`, or a path.
        location: String,
        /// What the store said, and what to do.
        reason: String,
    },

    /// The bytes don't end in a zip archive's end record.
    #[error("{location} is not a zip archive: {reason}")]
    NotAZip {
        /// `s3://bucket/key`, or a path.
        location: String,
        /// What is missing.
        reason: String,
    },

    /// A zip archive that can't be edited without guessing.
    #[error("{location} cannot be edited: {reason}")]
    UnsupportedZip {
        /// `s3://bucket/key`, or a path.
        location: String,
        /// What was found, and what to do.
        reason: String,
    },

    /// The result would break a limit of Lambda or of the format.
    #[error("{0}")]
    TooLarge(String),

    /// Other writers came first, every time.
    #[error(
        "{location} was changed by other writers {attempts} times in a row while it was being edited; nothing was \
         written, run the edit again"
    )]
    Conflict {
        /// `s3://bucket/key`, or a path.
        location: String,
        /// How often the edit was planned.
        attempts: u32,
    },

    /// Another writer came first, and what it wrote was not to be hidden.
    #[error("{location} was written by somebody else at the same time; what that one made of it was left as it is")]
    Overtaken {
        /// `s3://bucket/key`, or a path.
        location: String,
    },

    /// The artifact is not the one that the caller named.
    #[error("{location} has ETag {found}, not {expected}: read it again and repeat the edit on what it is now")]
    PreconditionFailed {
        /// `s3://bucket/key`, or a path.
        location: String,
        /// The ETag that the caller asked for.
        expected: String,
        /// The ETag that the artifact has.
        found: String,
    },

    /// The store carries requests out whose preconditions don't hold: nothing keeps writers apart there.
    #[error(
        "{location} is in a store that ignores {ignored}: what somebody else writes at the same time would be lost, and \
         nobody would notice; nothing was written"
    )]
    PreconditionsIgnored {
        /// `s3://bucket/key`.
        location: String,
        /// Which ones: headers and operations.
        ignored: String,
    },

    /// The time allowed ran out; what had been uploaded was discarded.
    #[error(
        "editing {location} did not finish in time; nothing was changed, repeat it with a longer timeout or more memory"
    )]
    Timeout {
        /// `s3://bucket/key`, or a path.
        location: String,
    },

    /// The caller stopped the edit; what had been uploaded was discarded.
    #[error("editing {location} was interrupted; nothing was changed")]
    Interrupted {
        /// `s3://bucket/key`, or a path.
        location: String,
    },

    /// The store gave no answer.
    #[error("{operation} on {location} got no answer: {reason}; check the network, the endpoint and the region")]
    Unreachable {
        /// The API operation.
        operation: &'static str,
        /// `s3://bucket/key`, or a path.
        location: String,
        /// What happened on the way.
        reason: String,
    },

    /// Anything else that the store answered.
    #[error("{operation} on {location} failed: {reason}")]
    Store {
        /// The API operation.
        operation: &'static str,
        /// `s3://bucket/key`, or a path.
        location: String,
        /// The store's own name for the error, such as `ExpiredToken`, if it gave one.
        code: Option<String>,
        /// What the store said.
        reason: String,
    },

    /// The commit was sent and its fate could not be learned.
    #[error(
        "{location}: the commit was sent, and whether it arrived could not be learned ({reason}); the artifact is whole \
         in either case: repeat the edit, which does nothing if it is there already"
    )]
    Unknown {
        /// `s3://bucket/key`, or a path.
        location: String,
        /// Why that could not be learned.
        reason: String,
    },
}

impl Error {
    /// The stable name of this kind of error: the Lambda's `errorType`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Error::InvalidEntryName(_) | Error::NameClash { .. } => "InvalidEntryName",
            Error::ArtifactNotFound { .. } => "ArtifactNotFound",
            Error::AccessDenied { .. } => "AccessDenied",
            Error::NotAZip { .. } => "NotAZip",
            Error::UnsupportedZip { .. } => "UnsupportedZip",
            Error::TooLarge(_) => "TooLarge",
            Error::Conflict { .. } | Error::Overtaken { .. } => "Conflict",
            Error::PreconditionFailed { .. } => "PreconditionFailed",
            Error::PreconditionsIgnored { .. } => "PreconditionsIgnored",
            Error::Timeout { .. } => "Timeout",
            Error::Interrupted { .. } => "Interrupted",
            Error::Unreachable { .. } | Error::Store { .. } | Error::Unknown { .. } => "Store",
        }
    }

    /// Gives a pure part's complaint the place that it is about.
    pub(crate) fn at(location: &str, found: FormatError) -> Error {
        let location = location.to_owned();
        match found {
            FormatError::NotAZip(reason) => Error::NotAZip { location, reason },
            FormatError::Unsupported(reason) => Error::UnsupportedZip { location, reason },
            FormatError::TooLarge(reason) => Error::TooLarge(reason),
            FormatError::Clash { name, reason } => Error::NameClash { name, reason },
        }
    }

    /// Says why the work on `location` was ended.
    pub(crate) fn stopped(location: &str, stopped: Stopped) -> Error {
        let location = location.to_owned();
        match stopped {
            Stopped::Deadline => Error::Timeout { location },
            Stopped::Token => Error::Interrupted { location },
        }
    }

    /// Gives a store's answer the place that it is about.
    pub fn store(location: &str, error: StoreError) -> Error {
        let location = location.to_owned();
        match error {
            StoreError::NotFound { reason } => Error::ArtifactNotFound { location, reason },
            StoreError::AccessDenied { action, reason } => Error::AccessDenied { action, location, reason },
            StoreError::Changed { operation }
            | StoreError::NoSuchUpload { operation }
            | StoreError::NotImplemented { operation } => {
                let reason = error.to_string();
                Error::Store { operation, location, code: None, reason }
            }
            StoreError::Empty => Error::NotAZip { location, reason: "it is empty".into() },
            StoreError::Unsupported { reason } => Error::UnsupportedZip { location, reason },
            StoreError::Unreachable { operation, reason } => Error::Unreachable { operation, location, reason },
            StoreError::Other { operation, code, reason, .. } => Error::Store { operation, location, code, reason },
        }
    }
}

/// What the pure half has to say of bytes that it was given: it doesn't know where they come from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// No end record.
    #[error("not a zip archive: {0}")]
    NotAZip(String),
    /// A zip archive that can't be edited without guessing.
    #[error("{0}")]
    Unsupported(String),
    /// The result would break a limit.
    #[error("{0}")]
    TooLarge(String),
    /// A put contradicts another change or the archive.
    #[error("cannot put `{name}`: {reason}")]
    Clash {
        /// The entry that was to be put.
        name: String,
        /// What stands in its way.
        reason: String,
    },
}

/// How long before a deadline an edit stops: time enough to abort the upload and to answer.
pub const DEADLINE_MARGIN: Duration = Duration::from_millis(1500);
