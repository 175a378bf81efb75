//! What the function answers.

use serde::{Deserialize, Serialize};
use zipedit::Report;

/// What an edit did. The original QuickBuild answered `added` and `modified`, whose sum is the number of puts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// What the engine did.
    #[serde(flatten)]
    pub report: Report,
    /// base64 of the SHA-256 of the artifact's bytes from its central directory on, to its end: who has planned the same
    /// edit knows by it that this is what was written. Absent after a dry run, and where the directory isn't at hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory_sha256: Option<String>,
    /// Time that the edit took, in milliseconds.
    pub elapsed_ms: u64,
    /// Version of the function that made the edit, such as `0.1.0`. The first ones didn't say: empty.
    #[serde(default)]
    pub version: String,
}
