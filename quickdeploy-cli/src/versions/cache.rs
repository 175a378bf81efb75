//! What was found out about versions, beside the local index. A version never changes, so it never gets old; losing it
//! costs a read per version that is shown.
//!
//! One thing in it can't be read from S3: the CodeSha256 of versions that were deployed from here.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::changes::Changes;
use crate::error::{Error, Result};
use crate::stamp::Written;

const FILE: &str = "versions.json";
/// More versions than this of one artifact are not remembered: the file is read as a whole.
const MOST: usize = 2000;
/// What stands in the file has this form.
const FORMAT: u32 = 1;

/// What is known of a version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Known {
    /// Whether its metadata was read: then it is known who wrote it, or that nobody says so.
    pub(crate) is_read: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) written: Option<Written>,
    /// Of its files; `None`: its directory was not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fingerprint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) entries: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<Since>,
    /// base64 of its SHA-256, as Lambda tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) code_sha256: Option<String>,
}

/// What changed since another version, which was the one before: that one may be gone by now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Since {
    pub(crate) version: String,
    pub(crate) changes: Changes,
}

/// Versions by id.
pub(crate) type Versions = BTreeMap<String, Known>;

#[derive(Default, Serialize, Deserialize)]
struct Content {
    format: u32,
    artifacts: BTreeMap<String, Versions>,
}

/// The cache's file.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    file: Option<PathBuf>,
}

impl Cache {
    /// In this directory; `None`: nowhere.
    pub(crate) fn in_directory(directory: Option<&Path>) -> Self {
        Self { file: directory.map(|directory| directory.join(FILE)) }
    }

    /// What is known of an artifact's versions. A file that can't be read or understood is as good as none.
    pub(crate) fn recall(&self, artifact: &str) -> Versions {
        self.all().artifacts.remove(artifact).unwrap_or_default()
    }

    /// Adds to what is known of an artifact's versions. Another run may have done so meanwhile, and is not forgotten.
    ///
    /// # Errors
    ///
    /// The file can't be written.
    pub(crate) fn learn(&self, artifact: &str, news: &Versions) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let mut all = self.all();
        let known = all.artifacts.entry(artifact.to_owned()).or_default();
        // An object from before versions were kept can be replaced under its id.
        let news: Versions =
            news.iter().filter(|(id, _)| *id != "null").map(|(id, it)| (id.clone(), it.clone())).collect();
        if known.len() + news.len() > MOST {
            known.clear();
        }
        for (id, it) in news {
            let sha256 = known.get(&id).and_then(|before| before.code_sha256.clone());
            let it = Known { code_sha256: it.code_sha256.clone().or(sha256), ..it };
            known.insert(id, it);
        }
        all.format = FORMAT;
        write(file, &all).map_err(|error| Error::file("write", file, &error).hint("this file only saves time"))
    }

    /// Remembers what Lambda calls the code of this version.
    ///
    /// # Errors
    ///
    /// The file can't be written.
    pub(crate) fn learn_sha256(&self, artifact: &str, version: &str, sha256: &str) -> Result<()> {
        let known = self.recall(artifact).remove(version).unwrap_or_default();
        if known.code_sha256.as_deref() == Some(sha256) {
            return Ok(());
        }
        let known = Known { code_sha256: Some(sha256.to_owned()), ..known };
        self.learn(artifact, &Versions::from([(version.to_owned(), known)]))
    }

    fn all(&self) -> Content {
        let text = self.file.as_deref().and_then(|file| std::fs::read(file).ok());
        let content = text.and_then(|text| serde_json::from_slice::<Content>(&text).ok());
        content.filter(|content| content.format == FORMAT).unwrap_or_default()
    }
}

/// Whole or not at all: another run may be reading.
fn write(file: &Path, content: &Content) -> std::io::Result<()> {
    let directory = file.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory)?;
    let mut new = tempfile::NamedTempFile::new_in(directory)?;
    serde_json::to_writer(&mut new, content)?;
    new.flush()?;
    new.persist(file).map(drop).map_err(|error| error.error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read() -> Known {
        Known { is_read: true, fingerprint: Some("f".into()), entries: Some(3), ..Known::default() }
    }

    #[test]
    fn what_was_learned_comes_together_and_nothing_is_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::in_directory(Some(directory.path()));
        cache.learn_sha256("s3://b/k", "v1", "sha").unwrap();
        cache.learn("s3://b/k", &Versions::from([("v1".into(), read()), ("null".into(), read())])).unwrap();
        cache.learn("s3://b/other", &Versions::from([("v1".into(), Known::default())])).unwrap();
        let known = cache.recall("s3://b/k");
        assert_eq!(known["v1"], Known { code_sha256: Some("sha".into()), ..read() });
        assert_eq!(known.len(), 1, "the null version can be replaced");
    }

    #[test]
    fn a_damaged_file_is_as_good_as_none() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(FILE), "{not json").unwrap();
        let cache = Cache::in_directory(Some(directory.path()));
        assert_eq!(cache.recall("s3://b/k"), Versions::new());
        cache.learn_sha256("s3://b/k", "v1", "sha").unwrap();
        assert_eq!(cache.recall("s3://b/k").len(), 1);
    }
}
