//! What an edit did, and what it cost.

use serde::{Deserialize, Serialize};

/// How a plan is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// Everything was as it should be already: nothing was written.
    None,
    /// The whole artifact was read, and written by one conditional put.
    Small,
    /// Long kept runs were copied inside the store, the rest was uploaded.
    Splice,
    /// The artifact was read once, as a stream, and written as it went by.
    Rewrite,
}

impl Strategy {
    /// Its name, as in the Lambda's answer.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Strategy::None => "none",
            Strategy::Small => "small",
            Strategy::Splice => "splice",
            Strategy::Rewrite => "rewrite",
        }
    }
}

/// The store's work for an edit, tries that came too late included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Traffic {
    /// Bytes of objects that were read into this process.
    pub bytes_read: u64,
    /// Bytes of objects that were sent by this process.
    pub bytes_written: u64,
    /// Bytes that were copied inside the store.
    pub bytes_copied: u64,
    /// Operations that were asked for; an operation that the SDK sent again counts once.
    pub requests: u64,
    /// How many of the operations had to wait for another's answer: the length of the longest chain.
    pub round_trips: u64,
}

/// What an edit did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Puts of names that weren't there.
    pub added: u64,
    /// Puts of names that were there, whether or not with that content.
    pub modified: u64,
    /// Deletes of names that were there.
    pub deleted: u64,
    /// Puts whose content was there already; they are in `modified`, too.
    pub identical: u64,
    /// Deletes of names that weren't there. Not an error, so that an edit can be sent again.
    pub missing: u64,
    /// The artifact's ETag now; for a dry run, that of the artifact that was planned on.
    pub etag: String,
    /// The artifact's version now, in a versioned bucket: the one to deploy.
    pub version_id: Option<String>,
    /// The artifact's size in bytes; for a dry run, what it would be.
    pub size: u64,
    /// How many entries it has, or would have.
    pub entries: u64,
    /// Size of all contents in bytes, or what it would be.
    pub unzipped_size: u64,
    /// How it was done, or would be.
    pub strategy: Strategy,
    /// Whether nothing was to be written.
    pub dry_run: bool,
    /// How often the edit was planned: more than once when other writers came first.
    pub attempts: u32,
    /// What it cost.
    #[serde(flatten)]
    pub traffic: Traffic,
}
