//! Reads versions, as many as are needed and not yet known: the tail of each, several at once.

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt as _};
use zipedit::S3Store;

use super::cache::{Known, Since, Versions};
use super::changes::{Changes, Contents};
use super::{Version, What};
use crate::aws::Cloud;
use crate::error::Error;
use crate::stamp::Written;
use crate::via::S3Artifact;

/// So many versions are read at once.
const AT_ONCE: usize = 8;

/// What was found out, by version id, and what couldn't be read.
#[derive(Debug, Default)]
pub(crate) struct Looked {
    pub(crate) known: Versions,
    pub(crate) failed: BTreeMap<String, Error>,
    /// What was not known before.
    pub(crate) news: Versions,
}

/// Files of an archive.
pub(crate) fn contents(artifact: &S3Artifact) -> Contents {
    let entries = artifact.directory().entries().filter(|entry| !entry.is_dir());
    Contents(
        entries.map(|entry| (entry.name().into_owned(), (entry.size(), entry.crc32(), entry.unix_mode()))).collect(),
    )
}

impl Looked {
    pub(crate) fn knowing(known: Versions) -> Self {
        Self { known, ..Self::default() }
    }

    fn learn(&mut self, id: &str, change: impl FnOnce(&mut Known)) {
        let known = self.known.entry(id.to_owned()).or_default();
        change(known);
        self.news.insert(id.to_owned(), known.clone());
    }

    /// Reads who wrote the first `rows` of `versions`, and nothing else.
    pub(crate) async fn at_writers(&mut self, cloud: &Cloud, store: &S3Store, versions: &[Version], rows: usize) {
        let wanted = versions.iter().take(rows).filter(|version| {
            version.object().is_some() && self.known.get(&version.id).is_none_or(|known| !known.is_read)
        });
        let ids: Vec<String> = wanted.map(|version| version.id.clone()).collect();
        let heads = stream::iter(ids).map(|id| async move { (store.version(&id).head().await, id) });
        let heads: Vec<_> = heads.buffered(AT_ONCE).collect().await;
        for (head, id) in heads {
            match head {
                Ok(object) => self.learn(&id, |known| {
                    known.is_read = true;
                    known.written = Written::read(&object);
                }),
                Err(error) => drop(self.failed.insert(id, cloud.explain_engine(&error))),
            }
        }
    }

    /// Reads the directories of these versions.
    pub(crate) async fn at_directories(
        &mut self,
        cloud: &Cloud,
        store: &S3Store,
        ids: impl IntoIterator<Item = String>,
    ) {
        let unread = ids.into_iter().filter(|id| self.known.get(id).is_none_or(|known| known.fingerprint.is_none()));
        let unread: Vec<String> = unread.collect();
        let read = stream::iter(unread).map(|id| async move { (store.version(&id).open().await, id) });
        let read: Vec<_> = read.buffered(AT_ONCE).collect().await;
        for (artifact, id) in read {
            self.note(cloud, &id, artifact);
        }
    }

    /// Reads what changed in the first `rows` of `versions`, each against the one before it. Two directories are
    /// in memory at a time.
    pub(crate) async fn at_changes(&mut self, cloud: &Cloud, store: &S3Store, versions: &[Version], rows: usize) {
        let mut wanted: Vec<String> = Vec::new();
        let mut pairs: BTreeMap<String, String> = BTreeMap::new();
        for (at, version) in versions.iter().enumerate().take(rows) {
            if version.object().is_none() {
                continue;
            }
            let known = self.known.get(&version.id);
            let mut read = |id: &str| {
                if wanted.last().is_none_or(|last| last != id) {
                    wanted.push(id.to_owned());
                }
            };
            match before(versions, at) {
                Some(old) if known.is_none_or(|it| it.since.as_ref().is_none_or(|it| it.version != old.id)) => {
                    read(&version.id);
                    read(&old.id);
                    pairs.insert(version.id.clone(), old.id.clone());
                }
                None if known.is_none_or(|it| it.entries.is_none()) => read(&version.id),
                _ => {}
            }
        }
        let reading = stream::iter(wanted).map(|id| async move { (store.version(&id).open().await, id) });
        let mut reading = std::pin::pin!(reading.buffered(AT_ONCE));
        let mut newer: Option<(String, Contents)> = None;
        while let Some((artifact, id)) = reading.next().await {
            let Some(contents) = self.note(cloud, &id, artifact) else {
                newer = None;
                continue;
            };
            if let Some((new, of_new)) = newer.filter(|(new, _)| pairs.get(new) == Some(&id)) {
                let changes = Changes::between(&contents, &of_new);
                self.learn(&new, |known| known.since = Some(Since { version: id.clone(), changes }));
            }
            newer = Some((id, contents));
        }
    }

    fn note(
        &mut self,
        cloud: &Cloud,
        id: &str,
        artifact: std::result::Result<S3Artifact, zipedit::Error>,
    ) -> Option<Contents> {
        match artifact {
            Ok(artifact) => {
                let contents = contents(&artifact);
                self.learn(id, |known| {
                    known.is_read = true;
                    known.written = Written::read(artifact.object());
                    known.fingerprint = Some(contents.fingerprint());
                    known.entries = Some(artifact.directory().len() as u64);
                });
                Some(contents)
            }
            Err(error) => {
                self.failed.insert(id.to_owned(), cloud.explain_engine(&error));
                None
            }
        }
    }
}

/// The version with content that is next older than the one at `at`.
pub(crate) fn before(versions: &[Version], at: usize) -> Option<&Version> {
    versions.get(at + 1..)?.iter().find(|version| matches!(version.what, What::Object { .. }))
}
