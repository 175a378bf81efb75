//! What the last deploy of an artifact learned and the next one can use: a cache beside the local index.
//!
//! Two things. The artifact's SHA-256, which Lambda told and which nobody could otherwise know without reading the
//! artifact as a whole: it is good for exactly one ETag and version. And the functions that were left behind, because a
//! function whose update failed no longer shows the code by which "same code as" would find it. Only those: a function
//! that went live and has other code by now was given it by someone, and isn't ours to take back.
//!
//! Losing it costs time, and with `same-code-as` the functions that failed; nothing else depends on it.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

const FILE: &str = "deployed.json";

/// What is remembered of one artifact.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Deployed {
    etag: String,
    version_id: Option<String>,
    code_sha256: Option<String>,
    /// Names of the functions that should run it and don't.
    pub(crate) behind: Vec<String>,
}

impl Deployed {
    /// A deploy of the object with this ETag and version that left these functions behind.
    pub(crate) fn new(etag: &str, version_id: Option<&str>, code_sha256: Option<String>, behind: Vec<String>) -> Self {
        Self { etag: etag.to_owned(), version_id: version_id.map(str::to_owned), code_sha256, behind }
    }

    /// The SHA-256, base64, if the object is still the same.
    pub(crate) fn sha256_of(&self, etag: &str, version_id: Option<&str>) -> Option<&str> {
        (self.etag == etag && self.version_id.as_deref() == version_id).then_some(self.code_sha256.as_deref()?)
    }
}

/// The cache's file.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    file: Option<PathBuf>,
}

impl Memory {
    /// In this directory; `None`: nowhere.
    pub(crate) fn in_directory(directory: Option<&Path>) -> Self {
        Self { file: directory.map(|directory| directory.join(FILE)) }
    }

    /// What is remembered of `artifact`. A file that can't be read or understood is as good as none.
    pub(crate) fn recall(&self, artifact: &str) -> Deployed {
        self.all().remove(artifact).unwrap_or_default()
    }

    /// Remembers `deployed` for `artifact`.
    ///
    /// # Errors
    ///
    /// The file can't be written.
    pub(crate) fn store(&self, artifact: &str, deployed: Deployed) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let mut all = self.all();
        all.insert(artifact.to_owned(), deployed);
        self.write(file, &all).map_err(|error| {
            Error::file("write", file, &error).hint("the deploy itself went through; this file only saves time")
        })
    }

    fn all(&self) -> BTreeMap<String, Deployed> {
        let text = self.file.as_deref().and_then(|file| std::fs::read(file).ok());
        text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    /// Whole or not at all: another run may be reading.
    fn write(&self, file: &Path, all: &BTreeMap<String, Deployed>) -> std::io::Result<()> {
        let directory = file.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(directory)?;
        let mut new = tempfile::NamedTempFile::new_in(directory)?;
        serde_json::to_writer_pretty(&mut new, all)?;
        new.flush()?;
        new.persist(file).map(drop).map_err(|error| error.error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_recalled_for_the_same_object_only() {
        let directory = tempfile::tempdir().unwrap();
        let memory = Memory::in_directory(Some(directory.path()));
        let deployed = Deployed::new("\"e1\"", Some("v1"), Some("sha".into()), vec!["f".into()]);
        memory.store("s3://b/k", deployed.clone()).unwrap();
        memory.store("s3://b/other", Deployed::default()).unwrap();

        let recalled = memory.recall("s3://b/k");
        assert_eq!(recalled, deployed);
        assert_eq!(recalled.sha256_of("\"e1\"", Some("v1")), Some("sha"));
        assert_eq!(recalled.sha256_of("\"e1\"", Some("v2")), None);
        assert_eq!(recalled.sha256_of("\"e2\"", Some("v1")), None);
    }

    #[test]
    fn a_damaged_file_is_as_good_as_none() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(FILE), "{not json").unwrap();
        let memory = Memory::in_directory(Some(directory.path()));
        assert_eq!(memory.recall("s3://b/k"), Deployed::default());
        memory.store("s3://b/k", Deployed::default()).unwrap();
    }
}
