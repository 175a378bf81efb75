//! The JSON document of a rollback.

use serde::Serialize;

use crate::compare::DiffDocument;
use crate::lookout::Newer;
use crate::ui::rfc3339;
use crate::update::Outcome;
use crate::versions::Version;
use crate::versions::changes::Changes;

/// What a rollback did: the JSON document.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct RolledBack {
    pub(crate) command: &'static str,
    /// Whether everything that was asked for is done.
    pub(crate) ok: bool,
    pub(crate) dry_run: bool,
    /// As this run left it.
    pub(crate) artifact: ArtifactNow,
    /// The version that was rolled back to.
    pub(crate) to: VersionDocument,
    /// The version that was current before.
    pub(crate) before: VersionDocument,
    /// What differs in the artifact from what it was; `None`: that was no archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) changes: Option<Changes>,
    /// Whether a new version was made; not, when the artifact was this one already.
    pub(crate) restored: bool,
    /// What the next `quickdeploy` would patch: the project's files beside the artifact as it is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) local: Option<DiffDocument>,
    /// What somebody else made of the artifact before this run had ended: that is what the functions run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) newer: Option<Newer>,
    pub(crate) functions: Vec<Outcome>,
    pub(crate) elapsed_ms: u64,
    /// The command that brings functions that failed to it.
    #[serde(skip)]
    pub(crate) again: String,
}

/// The artifact after a rollback.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct ArtifactNow {
    pub(crate) url: String,
    /// `None` while it is deleted, in a dry run.
    pub(crate) etag: Option<String>,
    pub(crate) version_id: Option<String>,
    /// In bytes.
    pub(crate) size: u64,
}

/// One version.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct VersionDocument {
    pub(crate) version_id: String,
    pub(crate) last_modified: String,
}

impl VersionDocument {
    pub(super) fn of(version: &Version) -> Self {
        Self { version_id: version.id.clone(), last_modified: rfc3339(version.modified) }
    }
}

impl RolledBack {
    /// 0 done, 1 something failed.
    pub(crate) fn exit_code(&self) -> u8 {
        u8::from(!self.ok)
    }
}
