//! What the function answers.

use serde::{Deserialize, Serialize};
use zipedit::Report;

/// What an edit did. The original QuickBuild answered `added` and `modified`, whose sum is the number of puts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// Puts of names that were not in the artifact.
    pub added: u64,
    /// Puts of names that were in the artifact, whether or not with that content.
    pub modified: u64,
    /// Deletes of names that were in the artifact.
    pub deleted: u64,
    /// Puts whose content was there already; they are in `modified`, too.
    pub identical: u64,
    /// Deletes of names that were not in the artifact. Not an error, so that an event can be sent again.
    pub missing: u64,
    /// The artifact's ETag after the edit; after a dry run, the one that it has.
    pub etag: String,
    /// The artifact's version after the edit, in a versioned bucket: deploy this one.
    pub version_id: Option<String>,
    /// The artifact's size in bytes; after a dry run, the one that it would have.
    pub size: u64,
    /// How many entries the artifact has, or would have.
    pub entries: u64,
    /// `none` (nothing to write), `small` (one conditional put), `splice` (parts copied inside S3) or `rewrite` (one
    /// stream).
    pub strategy: String,
    /// Whether nothing was written because `dryRun` was asked for.
    pub dry_run: bool,
    /// How often the edit was planned: more than once when other writers came first.
    pub attempts: u32,
    /// Bytes of the artifact that were read.
    pub bytes_read: u64,
    /// Bytes of the artifact that were sent.
    pub bytes_written: u64,
    /// Bytes of the artifact that S3 copied.
    pub bytes_copied: u64,
    /// Requests to S3.
    pub requests: u64,
    /// Requests to S3 that had to wait for another's answer: the length of the longest chain.
    pub round_trips: u64,
    /// Time that the edit took, in milliseconds.
    pub elapsed_ms: u64,
}

impl Answer {
    pub(crate) fn new(report: Report, elapsed_ms: u64) -> Self {
        Self {
            added: report.added,
            modified: report.modified,
            deleted: report.deleted,
            identical: report.identical,
            missing: report.missing,
            etag: report.etag,
            version_id: report.version_id,
            size: report.size,
            entries: report.entries,
            strategy: report.strategy.as_str().to_owned(),
            dry_run: report.dry_run,
            attempts: report.attempts,
            bytes_read: report.traffic.bytes_read,
            bytes_written: report.traffic.bytes_written,
            bytes_copied: report.traffic.bytes_copied,
            requests: report.traffic.requests,
            round_trips: report.traffic.round_trips,
            elapsed_ms,
        }
    }
}
