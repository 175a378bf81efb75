//! What would change in the artifact. Pure functions over names, sizes and checksums.
//!
//! A file is the same as an entry when size and CRC-32 are equal: that is all that a zip's directory knows. Where the
//! index remembers what this project deployed under the name, a content that shares both by accident is told apart by
//! its SHA-256.
//!
//! Mode bits are not compared: the artifact keeps those of an entry that it already has.
//!
//! [`compare`] sorts the names, [`super::ownership`] then decides which of the absent ones are deleted.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::content::Content;
use super::error::ProjectError;
use super::manifest::ManifestChange;

/// One entry of the artifact's central directory. Entries whose name isn't UTF-8 have no local counterpart: leave them
/// out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ArtifactEntry<'a> {
    /// The entry's name.
    pub(crate) name: &'a str,
    /// Uncompressed size in bytes.
    pub(crate) size: u64,
    /// CRC-32 of the uncompressed content.
    pub(crate) crc32: u32,
    /// Whether it stands for a directory: such entries are neither compared nor deleted.
    pub(crate) is_dir: bool,
}

/// Which names that are missing here are deleted from the artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deletion {
    /// Those that this project put there.
    Owned,
    /// All that the project could have put there (`--delete`). What ignore files or `exclude` hide stays, and so does
    /// a dependency folder that isn't here at all.
    Everything,
}

/// A file whose content goes into the artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// Its entry name.
    pub(crate) name: String,
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// Its CRC-32.
    pub(crate) crc32: u32,
    /// Whether its owner may execute it.
    pub(crate) executable: bool,
}

impl Change {
    /// Reads the content. An error when it is no longer the one that was compared.
    pub(crate) fn read(&self) -> Result<Vec<u8>, ProjectError> {
        let bytes = match std::fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(ProjectError::ChangedSince { path: self.path.clone() });
            }
            Err(error) => return Err(ProjectError::io("read", &self.path)(error)),
        };
        if bytes.len() as u64 == self.size && crc32fast::hash(&bytes) == self.crc32 {
            Ok(bytes)
        } else {
            Err(ProjectError::ChangedSince { path: self.path.clone() })
        }
    }
}

/// What would change. All lists are sorted by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Diff {
    /// Files that the artifact doesn't have.
    pub(crate) added: Vec<Change>,
    /// Files that the artifact has with another content.
    pub(crate) modified: Vec<Change>,
    /// Entries to delete.
    pub(crate) deleted: Vec<String>,
    /// How many files the artifact has as they are.
    pub(crate) unchanged: usize,
    /// Entries that have no file here and stay.
    pub(crate) only_in_artifact: Vec<String>,
    /// Files that declare dependencies or infrastructure, and changed: patching the artifact doesn't carry that out.
    pub(crate) manifests: Vec<ManifestChange>,
}

impl Diff {
    /// Whether there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.added.is_empty() && self.modified.is_empty() && self.deleted.is_empty()
    }

    /// Leaves out the changes of all names but these.
    pub(crate) fn retain(&mut self, names: &BTreeSet<String>) {
        self.added.retain(|change| names.contains(&change.name));
        self.modified.retain(|change| names.contains(&change.name));
        self.deleted.retain(|name| names.contains(name));
    }

    /// The files to put, sorted by name within *added* and within *modified*.
    pub(crate) fn puts(&self) -> impl Iterator<Item = &Change> {
        self.added.iter().chain(&self.modified)
    }

    /// How many bytes the contents of [`Diff::puts`] have.
    pub(crate) fn put_bytes(&self) -> u64 {
        self.puts().map(|change| change.size).sum()
    }
}

/// A local file, for [`compare`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct LocalEntry<'a> {
    /// Its entry name.
    pub(crate) name: &'a str,
    /// What is in it.
    pub(crate) content: &'a Content,
    /// What this project last deployed under the name.
    pub(crate) deployed: Option<&'a Content>,
}

impl LocalEntry<'_> {
    fn is(&self, entry: &ArtifactEntry<'_>) -> bool {
        let like_entry = |content: &Content| content.size == entry.size && content.crc32 == entry.crc32;
        let deployed_another =
            self.deployed.is_some_and(|deployed| like_entry(deployed) && deployed.sha256 != self.content.sha256);
        like_entry(self.content) && !deployed_another
    }
}

/// What [`compare`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Comparison<'a> {
    /// Positions in the local list.
    pub(crate) added: Vec<usize>,
    /// Positions in the local list.
    pub(crate) modified: Vec<usize>,
    /// How many are the same.
    pub(crate) unchanged: usize,
    /// Names that are only in the artifact, sorted, each once.
    pub(crate) absent: Vec<&'a str>,
}

/// Compares `local`, sorted by name with each name once, with the artifact's entries in whatever order. A name that
/// the artifact has twice counts as modified unless each of them is the file: putting it leaves one.
pub(crate) fn compare<'a>(local: &[LocalEntry<'_>], artifact: &[ArtifactEntry<'a>]) -> Comparison<'a> {
    let mut entries: Vec<&ArtifactEntry<'a>> = artifact.iter().filter(|entry| !entry.is_dir).collect();
    entries.sort_by_key(|entry| entry.name);
    let mut groups = entries.chunk_by(|a, b| a.name == b.name).peekable();
    let mut comparison = Comparison::default();
    for (position, file) in local.iter().enumerate() {
        while let Some(group) = groups.next_if(|group| group[0].name < file.name) {
            comparison.absent.push(group[0].name);
        }
        match groups.next_if(|group| group[0].name == file.name) {
            None => comparison.added.push(position),
            Some(group) if group.iter().all(|entry| file.is(entry)) => comparison.unchanged += 1,
            Some(_) => comparison.modified.push(position),
        }
    }
    comparison.absent.extend(groups.map(|group| group[0].name));
    comparison
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    type Files = BTreeMap<String, Vec<u8>>;

    fn files() -> impl Strategy<Value = Files> {
        prop::collection::btree_map("[ab]{1,3}", prop::collection::vec(0..3u8, 0..3), 0..12)
    }

    fn entries(files: &Files) -> Vec<ArtifactEntry<'_>> {
        files
            .iter()
            .map(|(name, bytes)| {
                let content = Content::of(bytes);
                ArtifactEntry { name, size: content.size, crc32: content.crc32, is_dir: false }
            })
            .collect()
    }

    fn with_local<R>(files: &Files, test: impl FnOnce(&[LocalEntry<'_>]) -> R) -> R {
        let contents: Vec<(&String, Content)> = files.iter().map(|(name, bytes)| (name, Content::of(bytes))).collect();
        let local: Vec<LocalEntry<'_>> =
            contents.iter().map(|(name, content)| LocalEntry { name, content, deployed: None }).collect();
        test(&local)
    }

    proptest! {
        #[test]
        fn carrying_out_a_comparison_makes_the_artifact_the_directory(local in files(), artifact in files()) {
            let mut result = artifact.clone();
            with_local(&local, |entries_here| {
                let comparison = compare(entries_here, &entries(&artifact));
                for &position in comparison.added.iter().chain(&comparison.modified) {
                    let name = entries_here[position].name;
                    prop_assert_eq!(result.contains_key(name), comparison.modified.contains(&position));
                    let before = result.insert(name.to_owned(), local[name].clone());
                    prop_assert_ne!(before.as_ref(), Some(&local[name]));
                }
                for name in comparison.absent {
                    prop_assert!(result.remove(name).is_some());
                }
                let counted = comparison.added.len() + comparison.modified.len() + comparison.unchanged;
                prop_assert_eq!(counted, local.len());
                Ok(())
            })?;
            prop_assert_eq!(result, local);
        }

        #[test]
        fn the_artifacts_order_does_not_matter(local in files(), artifact in files()) {
            with_local(&local, |local| {
                let forwards = entries(&artifact);
                let mut backwards = forwards.clone();
                backwards.reverse();
                prop_assert_eq!(compare(local, &forwards), compare(local, &backwards));
                Ok(())
            })?;
        }

        #[test]
        fn a_directory_compared_with_itself_has_no_changes(files in files()) {
            with_local(&files, |local| {
                let comparison = compare(local, &entries(&files));
                prop_assert_eq!(comparison, Comparison { unchanged: files.len(), ..Comparison::default() });
                Ok(())
            })?;
        }
    }

    fn entry<'a>(name: &'a str, bytes: &[u8]) -> ArtifactEntry<'a> {
        let content = Content::of(bytes);
        ArtifactEntry { name, size: content.size, crc32: content.crc32, is_dir: false }
    }

    #[test]
    fn directory_entries_are_passed_over() {
        let artifact = [ArtifactEntry { name: "a/", size: 0, crc32: 0, is_dir: true }];
        assert_eq!(compare(&[], &artifact), Comparison::default());
    }

    #[test]
    fn a_name_that_the_artifact_has_twice_is_modified_unless_both_are_the_file() {
        let content = Content::of(b"new");
        let local = [LocalEntry { name: "a", content: &content, deployed: None }];
        assert_eq!(compare(&local, &[entry("a", b"new"), entry("a", b"old")]).modified, [0]);
        assert_eq!(compare(&local, &[entry("a", b"new"), entry("a", b"new")]).unchanged, 1);
        assert_eq!(compare(&[], &[entry("a", b"new"), entry("a", b"old")]).absent, ["a"]);
    }

    #[test]
    fn a_content_with_the_deployed_ones_crc_and_another_sha_is_modified() {
        let content = Content::of(b"one");
        let deployed = Content { sha256: [7; 32], ..content };
        let local = [LocalEntry { name: "a", content: &content, deployed: Some(&deployed) }];
        assert_eq!(compare(&local, &[entry("a", b"one")]).modified, [0]);
        // Deployed long ago, then replaced by somebody: the entry is not what was deployed, so that says nothing.
        let older = Content { crc32: 1, ..deployed };
        let local = [LocalEntry { name: "a", content: &content, deployed: Some(&older) }];
        assert_eq!(compare(&local, &[entry("a", b"one")]).unchanged, 1);
    }

    #[test]
    fn a_file_that_changed_since_the_comparison_is_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        std::fs::write(&path, "old").unwrap();
        let content = Content::of(b"old");
        let change = Change {
            name: "a".to_owned(),
            path: path.clone(),
            size: content.size,
            crc32: content.crc32,
            executable: false,
        };
        assert_eq!(change.read().unwrap(), b"old");
        std::fs::write(&path, "new").unwrap();
        assert!(matches!(change.read(), Err(ProjectError::ChangedSince { .. })));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(change.read(), Err(ProjectError::ChangedSince { .. })));
    }
}
