//! By the standard library.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{ErrorKind, Result};
use std::path::Path;

use super::super::super::stat::Stat;
use super::{Kind, in_path_order};

/// A directory's entries, in the order of their paths.
#[derive(Debug)]
pub(in super::super) struct Entries(Vec<(OsString, Kind, fs::DirEntry)>);

impl Entries {
    /// Lists a directory.
    pub(in super::super) fn read(path: &Path) -> Result<Self> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let kind = match entry.file_type() {
                Ok(kind) if kind.is_file() => Kind::File,
                Ok(kind) if kind.is_dir() => Kind::Directory,
                Ok(kind) if kind.is_symlink() => Kind::Link,
                Ok(_) => Kind::Other,
                // Some file systems have to be asked; by then it may be gone.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            entries.push((entry.file_name(), kind, entry));
        }
        entries.sort_unstable_by(|(one, kind, _), (other, other_kind, _)| {
            in_path_order((one.as_encoded_bytes(), *kind), (other.as_encoded_bytes(), *other_kind))
        });
        Ok(Self(entries))
    }

    /// Position, name and kind of each.
    pub(in super::super) fn iter(&self) -> impl Iterator<Item = (usize, &OsStr, Kind)> {
        self.0.iter().enumerate().map(|(at, (name, kind, _))| (at, name.as_os_str(), *kind))
    }

    /// The name of the one at this position.
    // Where this is only compiled to be compared with, nobody walks by it.
    #[cfg_attr(test, allow(dead_code))]
    pub(in super::super) fn name(&self, at: usize) -> &OsStr {
        &self.0[at].0
    }

    /// What there is to know of the one at this position; of a link, not of what it leads to.
    pub(in super::super) fn stat(&self, at: usize) -> Result<Stat> {
        Ok(Stat::of(&self.0[at].2.metadata()?))
    }
}
