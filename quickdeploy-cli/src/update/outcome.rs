//! What functions are updated to, and how it went for each.

use serde::Serialize;

use crate::error::Error;
use crate::functions::Function;

/// The artifact that functions are pointed at.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) bucket: String,
    pub(crate) key: String,
    /// `None` in a bucket without versions: then the object may change between two functions, and the CodeSha256 tells.
    pub(crate) version_id: Option<String>,
    pub(crate) etag: String,
    /// Length of the artifact in bytes.
    pub(crate) size: u64,
    /// base64 of its SHA-256, where it is known.
    pub(crate) sha256: Option<String>,
    /// The command that, run again, brings functions that failed up to this artifact: for hints.
    pub(crate) again: String,
}

/// How it went for one function.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct Outcome {
    pub(crate) name: String,
    pub(crate) status: Status,
    /// What it ran before.
    pub(crate) previous_code_sha256: String,
    /// What it runs now, as far as is known.
    pub(crate) code_sha256: String,
    /// Length of the zip that it runs now, in bytes.
    pub(crate) code_size: u64,
    /// From the first request about it to the last, in ms.
    pub(crate) elapsed_ms: u64,
    /// Why its status is that, where imports were followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<Error>,
}

/// What a function ended as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) enum Status {
    /// It was updated, and runs the artifact.
    Live,
    /// It ran the artifact already; nothing was sent.
    Current,
    /// It does not run the artifact.
    Failed,
    /// It was not asked for in this run, and does not run the artifact.
    Stale,
    /// It runs older code that it has no need to leave: it loads nothing of what changed since.
    Unaffected,
}

impl Outcome {
    /// For a function that nothing was done to.
    pub(crate) fn untouched(function: &Function, status: Status) -> Self {
        Self {
            name: function.name.clone(),
            status,
            previous_code_sha256: function.code_sha256.clone(),
            code_sha256: function.code_sha256.clone(),
            code_size: function.code_size,
            elapsed_ms: 0,
            reason: None,
            error: None,
        }
    }

    /// For one of which nothing is known but the error.
    pub(crate) fn unread(name: &str, error: Error) -> Self {
        Self {
            name: name.to_owned(),
            status: Status::Failed,
            previous_code_sha256: String::new(),
            code_sha256: String::new(),
            code_size: 0,
            elapsed_ms: 0,
            reason: None,
            error: Some(error),
        }
    }

    /// With the reason for its status.
    pub(crate) fn because(self, reason: Option<String>) -> Self {
        Self { reason, ..self }
    }
}
