//! The contents of the artifact as it will be, for following imports: files of this machine where they are the same,
//! else the artifact's own entries.
//!
//! Whether a file here is the same is told by size and CRC-32, also for what isn't deployed from here (`node_modules`
//! that is ignored, but installed). What is left is read from S3 in one go: everything that is source or a
//! `package.json` and isn't here, because asking level by level would cost a round trip each. Above [`MOST`] it isn't
//! worth it: the functions count as affected then.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use zipedit::Entry;

use super::{Coming, Names};
use crate::project::{Diff, Project};
use crate::trace::{Contents, Tree, is_code};
use crate::ui::bytes;
use crate::via::S3Artifact;

/// The most that is read of the artifact, in bytes as they are compressed in it.
const MOST: u64 = 16 << 20;

/// Where contents are found.
#[derive(Debug)]
pub(super) struct Shelf {
    /// Size, CRC-32 and the places on this machine where it may be.
    files: HashMap<String, (u64, u32, Vec<PathBuf>)>,
    /// What was read from the artifact.
    fetched: Mutex<BTreeMap<String, Bytes>>,
}

impl Shelf {
    pub(super) fn new(project: &Project, patch: Option<&Diff>, expected: &Names) -> Self {
        let puts = patch.into_iter().flat_map(Diff::puts);
        let puts: HashMap<&str, &PathBuf> = puts.map(|put| (put.name.as_str(), &put.path)).collect();
        let places = |name: &str| match puts.get(name) {
            Some(path) => vec![(*path).clone()],
            None => project.local_paths(name),
        };
        let files = expected.iter().filter(|(name, _)| is_wanted(name));
        let files = files.map(|(name, (size, crc32))| (name.clone(), (*size, *crc32, places(name)))).collect();
        Self { files, fetched: Mutex::default() }
    }

    /// The names, and which of them are symbolic links in the artifact.
    pub(super) fn tree(&self, artifact: &S3Artifact, expected: &Names) -> Tree {
        let links: BTreeSet<String> =
            artifact.directory().entries().filter(Entry::is_symlink).map(|entry| entry.name().into_owned()).collect();
        Tree::new(expected.keys().map(|name| (name.as_str(), links.contains(name))))
    }

    /// Whether a file of the right size is here. Its content is checked when it is read.
    fn is_here(&self, name: &str) -> bool {
        let Some((size, _, places)) = self.files.get(name) else { return false };
        places.iter().any(|path| path.metadata().is_ok_and(|found| found.len() == *size))
    }
}

impl Contents for Shelf {
    fn read(&self, name: &str) -> Option<Vec<u8>> {
        if let Some(content) = self.fetched.lock().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Some(content.to_vec());
        }
        let (size, crc32, places) = self.files.get(name)?;
        let here = places.iter().filter_map(|path| std::fs::read(path).ok());
        let same = |content: &Vec<u8>| content.len() as u64 == *size && crc32fast::hash(content) == *crc32;
        here.into_iter().find(same)
    }
}

/// What imports are followed through.
fn is_wanted(name: &str) -> bool {
    // A handler's file may have no suffix.
    let base = name.rsplit('/').next().unwrap_or(name);
    is_code(name) || base == "package.json" || !base.contains('.')
}

/// Reads from the artifact what isn't here: `absent`, and what may turn out to be absent next.
///
/// `Err`: why it was not done.
pub(super) async fn fetch(shelf: &Shelf, coming: Coming<'_>, absent: &BTreeSet<String>) -> Result<(), String> {
    let Coming { artifact, store, .. } = coming;
    let wanted: Vec<Entry<'_>> = artifact
        .directory()
        .entries()
        .filter(|entry| {
            let name = entry.name();
            absent.contains(name.as_ref()) || (shelf.files.contains_key(name.as_ref()) && !shelf.is_here(&name))
        })
        .collect();
    let size: u64 = wanted.iter().map(Entry::compressed_size).sum();
    if size > MOST {
        let (missing, size) = (wanted.len(), bytes(size));
        return Err(format!("{missing} files are not on this machine, and to read them ({size}) would take too long"));
    }
    let contents = zipedit::read_entries(store, artifact, &wanted).await.map_err(|error| error.to_string())?;
    let mut fetched = shelf.fetched.lock().unwrap_or_else(PoisonError::into_inner);
    for (entry, content) in wanted.iter().zip(contents) {
        if let Some(content) = content {
            fetched.insert(entry.name().into_owned(), content);
        }
    }
    Ok(())
}
