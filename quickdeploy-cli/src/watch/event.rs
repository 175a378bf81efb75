//! What `watch --json` prints.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::deployment::Deploy;
use crate::error::Error;

/// What is told about one save, as a line of JSON.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", tag = "event")]
pub(crate) enum Event<'a> {
    /// Saves are waited for from now on.
    #[serde(rename_all = "camelCase")]
    Watching { artifact: String, directories: usize, functions: usize, deploy: &'a Deploy },
    /// What is deployed is made from its sources now.
    #[serde(rename_all = "camelCase")]
    Compiling { compile: &'a str },
    /// It is made. That it could not be is `failed`.
    #[serde(rename_all = "camelCase")]
    Compiled { compile: &'a str, elapsed_ms: u64 },
    /// A save is live.
    #[serde(rename_all = "camelCase")]
    Live {
        files: &'a BTreeSet<String>,
        /// From the first event of the save until every function is live, in ms.
        edit_to_live_ms: u64,
        deploy: &'a Deploy,
    },
    /// A save is not live, or not in every function.
    #[serde(rename_all = "camelCase")]
    Failed {
        files: &'a BTreeSet<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<&'a Error>,
        #[serde(skip_serializing_if = "Option::is_none")]
        deploy: Option<&'a Deploy>,
    },
}
