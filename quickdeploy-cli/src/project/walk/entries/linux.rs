//! By the calls of 64-bit Linux.

use std::ffi::{CStr, OsStr};
use std::io::{Error, ErrorKind, Result};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir};

use super::super::super::stat::Stat;
use super::{Kind, in_path_order};

/// What the kernel may answer at a time, in bytes: some 800 entries.
const BUFFER: usize = 32 * 1024;

/// A directory that is open, with its entries in the order of their paths.
#[derive(Debug)]
pub(in super::super) struct Entries {
    directory: OwnedFd,
    /// Each with its NUL.
    names: Vec<u8>,
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Where its name begins.
    start: usize,
    /// Its NUL not counted.
    len: usize,
    kind: Kind,
}

impl Entries {
    /// Lists a directory.
    pub(in super::super) fn read(path: &Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(path, flags, Mode::empty())?;
        let mut found = Self { directory, names: Vec::new(), entries: Vec::new() };
        let mut buffer = [MaybeUninit::uninit(); BUFFER];
        let mut raw = RawDir::new(&found.directory, &mut buffer);
        while let Some(entry) = raw.next() {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let kind = match entry.file_type() {
                // Some file systems have to be asked; by then it may be gone.
                FileType::Unknown => match stat(&found.directory, name) {
                    Ok(stat) => FileType::from_raw_mode(stat.st_mode),
                    Err(error) if error.kind() == ErrorKind::NotFound => continue,
                    Err(error) => return Err(error),
                },
                known => known,
            };
            let kind = match kind {
                FileType::RegularFile => Kind::File,
                FileType::Directory => Kind::Directory,
                FileType::Symlink => Kind::Link,
                _ => Kind::Other,
            };
            found.entries.push(Entry { start: found.names.len(), len: name.count_bytes(), kind });
            found.names.extend_from_slice(name.to_bytes_with_nul());
        }
        let Self { names, entries, .. } = &mut found;
        let key = |entry: &Entry| (&names[entry.start..entry.start + entry.len], entry.kind);
        entries.sort_unstable_by(|a, b| in_path_order(key(a), key(b)));
        Ok(found)
    }

    /// Position, name and kind of each.
    pub(in super::super) fn iter(&self) -> impl Iterator<Item = (usize, &OsStr, Kind)> {
        self.entries.iter().enumerate().map(|(at, entry)| (at, self.name(at), entry.kind))
    }

    /// The name of the one at this position.
    pub(in super::super) fn name(&self, at: usize) -> &OsStr {
        let Entry { start, len, .. } = self.entries[at];
        OsStr::from_bytes(&self.names[start..start + len])
    }

    /// What there is to know of the one at this position; of a link, not of what it leads to.
    pub(in super::super) fn stat(&self, at: usize) -> Result<Stat> {
        let Entry { start, len, .. } = self.entries[at];
        let name = CStr::from_bytes_with_nul(&self.names[start..=start + len]).map_err(Error::other)?;
        let stat = stat(&self.directory, name)?;
        let nanoseconds = |seconds: i64, rest: u64| seconds.saturating_mul(1_000_000_000).saturating_add_unsigned(rest);
        Ok(Stat {
            size: stat.st_size.cast_unsigned(),
            mtime: nanoseconds(stat.st_mtime, stat.st_mtime_nsec),
            ctime: nanoseconds(stat.st_ctime, stat.st_ctime_nsec),
            inode: stat.st_ino,
            executable: stat.st_mode & 0o100 != 0,
        })
    }
}

fn stat(directory: &OwnedFd, name: &CStr) -> Result<rustix::fs::Stat> {
    Ok(rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?)
}
