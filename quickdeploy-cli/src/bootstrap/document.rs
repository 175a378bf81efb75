//! What `bootstrap` did, for programs.

use std::time::Instant;

use serde::Serialize;

use super::zip::Zip;
use crate::stack::Deployed;

/// The document of `--json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct BootstrapDocument {
    pub(crate) command: &'static str,
    pub(crate) ok: bool,
    /// Whether code, template or parameters differ from what the stack had.
    pub(crate) changed: bool,
    /// The function's name; `null` as long as there is none.
    pub(crate) function: Option<String>,
    /// Version of the program that deployed it, which is that of the function.
    pub(crate) version: &'static str,
    /// Whether it has answered since; `null`: it was not asked, or may not be.
    pub(crate) answered: Option<bool>,
    pub(crate) code: Code,
    pub(crate) stack: Option<Deployed>,
    pub(crate) elapsed_ms: u64,
}

/// The function's code.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct Code {
    pub(crate) file: String,
    pub(crate) bucket: String,
    pub(crate) key: String,
    /// In bytes.
    pub(crate) size: u64,
    /// In hexadecimal.
    pub(crate) sha256: String,
    pub(crate) architecture: String,
    /// Whether it was not there yet.
    pub(crate) uploaded: bool,
}

impl Code {
    pub(super) fn new(zip: &Zip, bucket: &str, key: &str) -> Self {
        Self {
            file: zip.path.display().to_string(),
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            size: zip.bytes.len() as u64,
            sha256: zip.sha256.clone(),
            architecture: zip.architecture().to_string(),
            uploaded: false,
        }
    }
}

impl BootstrapDocument {
    pub(super) fn new(code: Code) -> Self {
        Self {
            command: "bootstrap",
            ok: true,
            changed: false,
            function: None,
            version: env!("CARGO_PKG_VERSION"),
            answered: None,
            code,
            stack: None,
            elapsed_ms: 0,
        }
    }

    pub(super) fn took(&mut self, since: Instant) {
        self.elapsed_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
    }
}
