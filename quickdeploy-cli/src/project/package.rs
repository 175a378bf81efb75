//! Packages the project into a zip.
//!
//! **Order.** Dependencies first ([`order`]), the project's own files last, each group sorted by name. What is edited often
//! thus stands at the end, near the central directory: an edit reads it along with the directory, and everything before
//! it is one run that S3 copies by itself.
//!
//! **Deterministic.** The same files give the same bytes on every machine: fixed time (1980-01-01), mode 0755 for
//! executables and 0644 for the rest, host byte Unix, deflate at level 6, stored where that isn't smaller. No directory
//! entries, no data descriptors, the UTF-8 flag only for names that need it.
//!
//! **Mechanism.** All cores compress; one thread writes the results in order. Workers may be ahead of the writer by a
//! bounded number of bytes only, so memory doesn't grow with the project. The file that the writer waits for is always
//! let through, whatever its size.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek, Write};
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use zip::write::{SimpleFileOptions, ZipFileBuilder};
use zip::{CompressionMethod, DateTime, PreparedZipFile, System, ZipWriter};

mod order;

use super::error::ProjectError;
use super::rules::dependency_folder;
use super::walk::LocalFile;

/// Lambda's limit for a function's code and layers together, unzipped:
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>.
pub(crate) const UNZIPPED_LIMIT: u64 = 262_144_000;

/// How many bytes of files may be compressed or waiting ahead of the writer.
const AHEAD: u64 = 32 * 1024 * 1024;

const DEFLATE_LEVEL: i64 = 6;

/// What was packaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Packaged {
    /// Number of entries.
    pub(crate) entries: usize,
    /// Length of the zip in bytes.
    pub(crate) bytes: u64,
    /// Length of all contents together, in bytes.
    pub(crate) unzipped: u64,
}

/// Writes `files` (paths relative to `root`) as a zip to `out`, from its current position on.
pub(crate) fn package<W: Write + Seek>(
    root: &Path,
    mut files: Vec<LocalFile>,
    mut out: W,
) -> Result<Packaged, ProjectError> {
    if files.is_empty() {
        return Err(ProjectError::Empty { root: root.to_owned() });
    }
    check_size(&files)?;
    order::sort(root, &mut files);
    let start = out.stream_position().map_err(zip::result::ZipError::Io)?;
    let mut writer = ZipWriter::new(out);
    let mut unzipped = 0;
    compress_in_order(root, &files, |entry| {
        unzipped += entry.uncompressed_size();
        Ok(writer.add_prepared_file(entry)?)
    })?;
    let mut out = writer.finish()?;
    out.flush().map_err(zip::result::ZipError::Io)?;
    let end = out.stream_position().map_err(zip::result::ZipError::Io)?;
    Ok(Packaged { entries: files.len(), bytes: end - start, unzipped })
}

fn compress(root: &Path, file: &LocalFile) -> Result<PreparedZipFile, ProjectError> {
    let path = root.join(file.path());
    let failed = |error| ProjectError::Io { action: "read", path: path.clone(), source: error };
    let mut content = Vec::with_capacity(usize::try_from(file.stat.size).unwrap_or_default());
    File::open(&path).and_then(|mut file| file.read_to_end(&mut content)).map_err(failed)?;
    if content.len() as u64 != file.stat.size {
        return Err(ProjectError::Unsteady { path });
    }
    let options = SimpleFileOptions::default()
        .last_modified_time(DateTime::DEFAULT)
        .unix_permissions(if file.stat.executable { 0o755 } else { 0o644 })
        .system(System::Unix);
    let prepare = |options| -> Result<PreparedZipFile, ProjectError> {
        let mut builder = ZipFileBuilder::new(&*file.name, options)?;
        builder.write_all(&content).map_err(zip::result::ZipError::Io)?;
        Ok(builder.finish()?)
    };
    let deflated =
        prepare(options.compression_method(CompressionMethod::Deflated).compression_level(Some(DEFLATE_LEVEL)))?;
    if deflated.compressed_size() < deflated.uncompressed_size() {
        Ok(deflated)
    } else {
        prepare(options.compression_method(CompressionMethod::Stored))
    }
}

/// What workers and writer share.
#[derive(Default)]
struct Line {
    /// The next file to compress.
    next: usize,
    /// How many files have been handed to the writer.
    written: usize,
    /// Bytes of files that are being compressed or wait for the writer.
    ahead: u64,
    done: BTreeMap<usize, Result<PreparedZipFile, ProjectError>>,
    stopped: bool,
}

/// Compresses `files` on all cores and gives the results to `write`, in order, on this thread.
fn compress_in_order(
    root: &Path,
    files: &[LocalFile],
    mut write: impl FnMut(PreparedZipFile) -> Result<(), ProjectError>,
) -> Result<(), ProjectError> {
    let line = Mutex::new(Line::default());
    let changed = Condvar::new();
    let lock = || -> MutexGuard<'_, Line> { line.lock().unwrap_or_else(PoisonError::into_inner) };

    let worker = || {
        loop {
            let mut state = lock();
            let (position, file) = loop {
                let Some(file) = files.get(state.next).filter(|_| !state.stopped) else {
                    return;
                };
                if state.ahead + file.stat.size <= AHEAD || state.next == state.written {
                    break (state.next, file);
                }
                state = changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            };
            state.next += 1;
            state.ahead += file.stat.size;
            drop(state);
            // A panic must reach the writer as an error, or it would wait for this file for ever.
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| compress(root, file)))
                .unwrap_or_else(|_| Err(ProjectError::Unsteady { path: root.join(file.path()) }));
            lock().done.insert(position, result);
            changed.notify_all();
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(files.len());
        for _ in 0..threads {
            scope.spawn(worker);
        }
        let mut write_all = || {
            for (position, file) in files.iter().enumerate() {
                let mut state = lock();
                let entry = loop {
                    match state.done.remove(&position) {
                        Some(entry) => break entry,
                        None => state = changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                    }
                };
                state.written += 1;
                state.ahead -= file.stat.size;
                drop(state);
                changed.notify_all();
                write(entry?)?;
            }
            Ok(())
        };
        let result = write_all();
        lock().stopped = true;
        changed.notify_all();
        result
    })
}

/// Refuses what Lambda would refuse, before anything is compressed.
fn check_size(files: &[LocalFile]) -> Result<(), ProjectError> {
    let total: u64 = files.iter().map(|file| file.stat.size).sum();
    if total <= UNZIPPED_LIMIT {
        return Ok(());
    }
    let mut folders: BTreeMap<&str, u64> = BTreeMap::new();
    for file in files {
        *folders.entry(heading(&file.name)).or_default() += file.stat.size;
    }
    let mut biggest: Vec<(&str, u64)> = folders.into_iter().collect();
    biggest.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    let list: Vec<String> =
        biggest.iter().take(5).map(|(name, size)| format!("  {:>7.1} MB  {name}", *size as f64 / 1e6)).collect();
    Err(ProjectError::TooLarge(format!(
        "the package would be {total} bytes unzipped; Lambda allows {UNZIPPED_LIMIT} with all layers. \
         The biggest parts:\n{}\nLeave out what isn't needed at run time with `exclude` in quickdeploy.toml, install \
         without development dependencies, or move large dependencies into a layer",
        list.join("\n")
    )))
}

/// Where a file is counted: its package in a dependency folder, else its first folder, else itself.
fn heading(name: &str) -> &str {
    let cut = |text: &str, from: usize| text[from..].find('/').map(|slash| from + slash);
    match dependency_folder(name) {
        Some(folder) => {
            let package = folder.len() + 1;
            let end = match cut(name, package) {
                // `@scope/name` is one package.
                Some(end) if name[package..].starts_with('@') => cut(name, end + 1).or(Some(end)),
                end => end,
            };
            &name[..end.unwrap_or(name.len())]
        }
        None => &name[..cut(name, 0).unwrap_or(name.len())],
    }
}

#[cfg(test)]
#[path = "package_tests.rs"]
mod tests;
