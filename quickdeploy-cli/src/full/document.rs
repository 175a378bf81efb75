//! What a full build did, in JSON.

use serde::Serialize;

use super::build::Built;
use super::role::Role;
use crate::lookout::Newer;
use crate::stack;
use crate::update::Outcome;

/// The document.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct FullDocument {
    pub(crate) command: &'static str,
    /// Whether everything that was asked for is done.
    pub(crate) ok: bool,
    pub(crate) dry_run: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) build: Option<Built>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) package: Option<PackageDocument>,
    pub(crate) bucket: BucketDocument,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) role: Option<Role>,
    pub(crate) upload: UploadDocument,
    /// The same for every artifact of one stack: it is deployed once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stack: Option<stack::Deployed>,
    /// What somebody else made of the artifact before this run had ended: that is what the functions run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) newer: Option<Newer>,
    pub(crate) functions: Vec<Outcome>,
    pub(crate) elapsed_ms: u64,
}

/// What was packaged here.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct PackageDocument {
    pub(crate) entries: usize,
    /// Length of the zip, in bytes.
    pub(crate) size: u64,
    /// Length of its contents, in bytes.
    pub(crate) unzipped_size: u64,
    /// base64 of its SHA-256: what Lambda calls CodeSha256.
    pub(crate) code_sha256: String,
}

/// The artifact's bucket.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct BucketDocument {
    pub(crate) name: String,
    /// Whether it was made in this run.
    pub(crate) created: bool,
}

/// The artifact as it is now.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct UploadDocument {
    pub(crate) url: String,
    pub(crate) status: Uploaded,
    /// `None`: there is no artifact.
    pub(crate) etag: Option<String>,
    pub(crate) version_id: Option<String>,
    /// In bytes.
    pub(crate) size: u64,
    pub(crate) elapsed_ms: u64,
}

/// What became of the artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) enum Uploaded {
    /// There was none.
    Created,
    Replaced,
    /// It was what the build made already.
    Unchanged,
    /// CodeBuild put it there.
    ByCodebuild,
    /// A dry run would write it.
    Pending,
}
