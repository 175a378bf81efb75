//! Reading files: size, CRC-32 and SHA-256 of a content that held still while it was read.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use sha2::{Digest as _, Sha256};

use super::error::ProjectError;
use super::stat::Stat;

/// A file's content, as far as comparing needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Content {
    /// In bytes.
    pub(crate) size: u64,
    /// CRC-32 as in zip archives (ISO-HDLC).
    pub(crate) crc32: u32,
    /// Tells contents apart that share a CRC-32.
    pub(crate) sha256: [u8; 32],
}

impl Content {
    #[cfg(test)]
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self { size: bytes.len() as u64, crc32: crc32fast::hash(bytes), sha256: Sha256::digest(bytes).into() }
    }
}

/// A file as it was read; `None` when it was gone.
pub(crate) type Reading = Option<(Stat, Content)>;

/// How often a file that is being written is given another chance.
const ATTEMPTS: usize = 3;

/// Reads one file. The `stat` given back is the one that the content was read under.
pub(crate) fn read(path: &Path) -> Result<Reading, ProjectError> {
    let failed = |error| ProjectError::Io { action: "read", path: path.to_owned(), source: error };
    for _ in 0..ATTEMPTS {
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let before = Stat::of(&file.metadata().map_err(failed)?);
        let content = digest(&mut file).map_err(failed)?;
        let after = Stat::of(&file.metadata().map_err(failed)?);
        if before == after && content.size == before.size {
            return Ok(Some((before, content)));
        }
    }
    Err(ProjectError::Unsteady { path: path.to_owned() })
}

fn digest(source: &mut impl Read) -> std::io::Result<Content> {
    let mut buffer = vec![0; 64 * 1024];
    let mut crc32 = crc32fast::Hasher::new();
    let mut sha256 = Sha256::new();
    let mut size = 0;
    loop {
        let count = match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        crc32.update(&buffer[..count]);
        sha256.update(&buffer[..count]);
        size += count as u64;
    }
    Ok(Content { size, crc32: crc32.finalize(), sha256: sha256.finalize().into() })
}

/// Runs `work` on every item, on as many threads as there are cores, and gives the results back in order. The error
/// is that of the first item that failed.
pub(crate) fn in_parallel<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&T) -> Result<R, ProjectError> + Sync,
) -> Result<Vec<R>, ProjectError> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(items.len());
    if threads <= 1 {
        return items.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let share = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else {
                return done;
            };
            let result = work(item);
            let failed = result.is_err();
            done.push((index, result));
            if failed {
                // Nobody needs the rest.
                next.fetch_max(items.len(), Ordering::Relaxed);
            }
        }
    };
    let mut results: Vec<(usize, Result<R, ProjectError>)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (1..threads).map(|_| scope.spawn(share)).collect();
        let mut all = share();
        for worker in workers {
            match worker.join() {
                Ok(done) => all.extend(done),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        all
    });
    results.sort_unstable_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_with_its_stat_and_checksums() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        std::fs::write(&path, "123456789").unwrap();
        let (stat, content) = read(&path).unwrap().unwrap();
        assert_eq!(stat.size, 9);
        // The check value of CRC-32/ISO-HDLC.
        assert_eq!(content.crc32, 0xcbf4_3926);
        assert_eq!(content, Content::of(b"123456789"));
    }

    #[test]
    fn a_file_that_is_gone_is_no_error() {
        assert_eq!(read(Path::new("/no/such/file")).unwrap(), None);
    }

    #[test]
    fn results_come_in_order_and_the_first_error_counts() {
        let items: Vec<usize> = (0..1000).collect();
        assert_eq!(in_parallel(&items, |&item| Ok(item * 2)).unwrap()[999], 1998);
        let error = in_parallel(&items, |&item| match item {
            100.. => Err(ProjectError::Unsteady { path: item.to_string().into() }),
            _ => Ok(()),
        });
        // Later items may fail on another thread before the error is noticed; the first in order is reported.
        assert!(error.unwrap_err().to_string().starts_with("`100` "));
    }
}
