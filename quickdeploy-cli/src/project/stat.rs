//! What `stat` says of a file: enough to tell that its content can't have changed.

use std::fs::Metadata;

/// The fields that change when content does. Times are nanoseconds since 1970 (UTC), 0 where the platform has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    /// Length in bytes.
    pub(crate) size: u64,
    /// Last change of the content.
    pub(crate) mtime: i64,
    /// Last change of the inode (Unix): catches tools that put an old `mtime` back.
    pub(crate) ctime: i64,
    /// Inode number (Unix): catches a file that was replaced by another of the same size and time.
    pub(crate) inode: u64,
    /// Whether its owner may execute it. Always false where the platform doesn't know.
    pub(crate) executable: bool,
}

impl Stat {
    #[cfg(unix)]
    pub(crate) fn of(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        let nanoseconds = |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
        Self {
            size: metadata.size(),
            mtime: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            ctime: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
            executable: metadata.mode() & 0o100 != 0,
        }
    }

    #[cfg(not(unix))]
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let nanoseconds = |time: std::io::Result<std::time::SystemTime>| {
            time.ok()
                .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok())
                .and_then(|since| i64::try_from(since.as_nanos()).ok())
                .unwrap_or(0)
        };
        Self {
            size: metadata.len(),
            mtime: nanoseconds(metadata.modified()),
            ctime: nanoseconds(metadata.created()),
            inode: 0,
            executable: false,
        }
    }

    /// Whether the file was touched at `moment` or later: another change within the same tick of the file system's
    /// clock would leave the same times behind.
    pub(crate) fn is_racy(&self, moment: i64) -> bool {
        self.mtime >= moment || self.ctime >= moment
    }
}
