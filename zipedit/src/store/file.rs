//! Artifacts in local files.
//!
//! A successor is written beside the file and renamed over it, so that whoever opens the path finds the whole old or the
//! whole new archive. Kept ranges go from file to file without passing through this process where the kernel can do that
//! (`copy_file_range`, which shares the blocks on file systems with reflinks).
//!
//! The ETag of a file is made from what stat says of it: inode, size and time of the last change. Writers that use this
//! store take turns by a lock on the file; a change by anybody else is noticed up to the moment of the rename. Owner and
//! permissions are the successor's, too; another hard link to the file keeps the old archive.

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tempfile::NamedTempFile;

use super::{Slot, Store, StoreError};
use crate::parts::PartLimits;

/// How long a commit waits for a lock that another program has on the file, and how often it asks.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// Chunks in which a file is streamed.
const CHUNK: u64 = 1 << 20;

/// One file.
#[derive(Debug, Clone)]
pub struct FileStore {
    path: PathBuf,
    location: String,
}

/// A file, as it was read.
#[derive(Debug, Clone)]
pub struct FileObject {
    size: u64,
    etag: String,
    /// Open, so that reads find this file even if another took its place.
    file: Arc<File>,
}

impl super::Object for FileObject {
    fn size(&self) -> u64 {
        self.size
    }

    fn etag(&self) -> &str {
        &self.etag
    }

    fn version_id(&self) -> Option<&str> {
        None
    }
}

/// A successor that is being written; it is removed unless it takes the file's place.
#[derive(Debug)]
pub struct FileUpload {
    path: PathBuf,
    /// Taken by whoever ends the upload. A commit holds the lock while it goes on, so that an abort waits for it.
    temporary: Arc<Mutex<Option<NamedTempFile>>>,
}

impl FileStore {
    /// The file at `path`; where that is a symbolic link, the file that it points to.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let location = path.display().to_string();
        Self { path, location }
    }

    fn open(&self) -> io::Result<FileObject> {
        let file = File::open(&self.path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is not a regular file"));
        }
        Ok(FileObject { size: metadata.len(), etag: etag(&metadata), file: Arc::new(file) })
    }

    /// Puts the finished `temporary` into the place of `base`, if that is still there.
    fn commit(&self, base: &FileObject, temporary: NamedTempFile) -> io::Result<Option<FileObject>> {
        // Whoever may not write to the file may not replace it either.
        let old = OpenOptions::new().read(true).write(true).open(&self.path)?;
        dress_as(temporary.as_file(), &old.metadata()?)?;
        temporary.as_file().sync_all()?;
        // The lock is on the file that is to be replaced: the next writer gets it on a file that is no longer there,
        // and sees that by the ETag. It ends with `old`.
        lock(&old)?;
        if etag(&old.metadata()?) != base.etag || self.open()?.etag != base.etag {
            return Ok(None);
        }
        let new = temporary.persist(&self.path).map_err(|error| error.error)?;
        if let Some(directory) = self.path.parent() {
            sync_directory(directory);
        }
        // Not by the path: another writer may be there already.
        let metadata = new.metadata()?;
        Ok(Some(FileObject { size: metadata.len(), etag: etag(&metadata), file: Arc::new(new) }))
    }

    fn temporary(&self) -> io::Result<NamedTempFile> {
        let directory = self.path.parent().unwrap_or(Path::new("."));
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        tempfile::Builder::new().prefix(&format!(".{name}.")).suffix(".quickdeploy").tempfile_in(directory)
    }

    async fn run<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Self) -> io::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = self.clone();
        match tokio::task::spawn_blocking(move || work(&store)).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(store_error(operation, &error)),
            Err(error) => Err(StoreError::unusable(operation, error.to_string())),
        }
    }
}

fn lock(file: &File) -> io::Result<()> {
    let start = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if start.elapsed() < LOCK_PATIENCE => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::other("another program keeps a lock on it: end that program, or wait for it"));
            }
        }
    }
}

/// Gives a new file the owner and the permissions of the one that it replaces.
fn dress_as(new: &File, old: &Metadata) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt as _, fchown};
        let is = new.metadata()?;
        if (is.uid(), is.gid()) != (old.uid(), old.gid()) {
            // Only root may give files away; anybody else's edit leaves a file of their own, as an editor does.
            let _ = fchown(new, Some(old.uid()), Some(old.gid()));
        }
    }
    new.set_permissions(old.permissions())
}

/// Makes the rename last over a power failure; a file system that can't sync a directory has its own ways.
fn sync_directory(directory: &Path) {
    if let Ok(directory) = File::open(directory) {
        let _ = directory.sync_all();
    }
}

#[cfg(unix)]
fn etag(metadata: &Metadata) -> String {
    use std::os::unix::fs::MetadataExt as _;
    let changed = metadata.ctime_nsec().unsigned_abs() + 1_000_000_000 * metadata.ctime().unsigned_abs();
    format!("\"{:x}-{:x}-{changed:x}\"", metadata.ino(), metadata.len())
}

#[cfg(not(unix))]
fn etag(metadata: &Metadata) -> String {
    let modified =
        metadata.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok()).unwrap_or_default();
    format!("\"{:x}-{:x}\"", metadata.len(), modified.as_nanos())
}

fn store_error(operation: &'static str, error: &io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::NotFound => StoreError::NotFound { reason: "there is no such file".into() },
        io::ErrorKind::PermissionDenied => {
            StoreError::AccessDenied { action: operation.to_owned(), reason: error.to_string() }
        }
        _ => StoreError::unusable(operation, error.to_string()),
    }
}

fn read_range(file: &File, range: &Range<u64>) -> io::Result<Bytes> {
    // A handle of its own position would need another open, which could find another file.
    let mut bytes = vec![0; usize::try_from(range.end - range.start).map_err(io::Error::other)?];
    read_exact_at(file, &mut bytes, range.start)?;
    Ok(bytes.into())
}

#[cfg(unix)]
fn read_exact_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut bytes: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, bytes, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                bytes = &mut bytes[read..];
                offset += read as u64;
            }
        }
    }
    Ok(())
}

impl Store for FileStore {
    type Object = FileObject;
    type Upload = FileUpload;
    type Part = ();

    fn location(&self) -> &str {
        &self.location
    }

    fn part_limits(&self) -> PartLimits {
        // There is no minimum here, but a copy costs a system call or two.
        PartLimits { min: 64 << 10, upload: 8 << 20, copy: 1 << 30 }
    }

    fn small(&self) -> u64 {
        1 << 20
    }

    async fn tail(&self, len: u64) -> Result<(FileObject, Bytes), StoreError> {
        let read = move |store: &Self| {
            let object = store.open()?;
            let tail = read_range(&object.file, &(object.size.saturating_sub(len)..object.size))?;
            Ok((object, tail))
        };
        match self.run("read", read).await? {
            (object, _) if object.size == 0 => Err(StoreError::Empty),
            found => Ok(found),
        }
    }

    async fn head(&self) -> Result<FileObject, StoreError> {
        self.run("read", Self::open).await
    }

    fn carries_the_same(&self, _one: &FileObject, _other: &FileObject) -> bool {
        true
    }

    async fn read(&self, object: &FileObject, range: Range<u64>) -> Result<Bytes, StoreError> {
        let file = Arc::clone(&object.file);
        self.run("read", move |_| read_range(&file, &range)).await
    }

    async fn stream(
        &self,
        object: &FileObject,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes, StoreError>>, StoreError> {
        let (store, object) = (self.clone(), object.clone());
        let stream = futures::stream::try_unfold(range, move |rest| {
            let (store, object) = (store.clone(), object.clone());
            async move {
                if rest.start == rest.end {
                    return Ok(None);
                }
                let until = rest.end.min(rest.start + CHUNK);
                let chunk = store.read(&object, rest.start..until).await?;
                Ok(Some((chunk, until..rest.end)))
            }
        });
        Ok(stream.boxed())
    }

    async fn put(&self, base: &FileObject, body: Bytes) -> Result<FileObject, StoreError> {
        let base = base.clone();
        let committed = self.run("write", move |store| {
            let mut temporary = store.temporary()?;
            temporary.write_all(&body)?;
            store.commit(&base, temporary)
        });
        committed.await?.ok_or(StoreError::Changed { operation: "write" })
    }

    async fn create(&self, _base: &FileObject) -> Result<FileUpload, StoreError> {
        let temporary = self.run("write", Self::temporary).await?;
        Ok(FileUpload { path: temporary.path().to_owned(), temporary: Arc::new(Mutex::new(Some(temporary))) })
    }

    async fn upload_part(&self, upload: &FileUpload, slot: Slot, body: Bytes) -> Result<(), StoreError> {
        let path = upload.path.clone();
        self.run("write", move |_| {
            let mut file = OpenOptions::new().write(true).open(path)?;
            file.seek(SeekFrom::Start(slot.offset))?;
            file.write_all(&body)
        })
        .await
    }

    async fn copy_part(
        &self,
        upload: &FileUpload,
        slot: Slot,
        base: &FileObject,
        range: Range<u64>,
    ) -> Result<(), StoreError> {
        let (path, base) = (upload.path.clone(), base.clone());
        self.run("write", move |store| {
            // Positions belong to open files, so parts that go in parallel each open their own.
            let now = store.open()?;
            if now.etag != base.etag {
                return Ok(None);
            }
            let mut source = &*now.file;
            source.seek(SeekFrom::Start(range.start))?;
            let mut target = OpenOptions::new().write(true).open(path)?;
            target.seek(SeekFrom::Start(slot.offset))?;
            let copied = io::copy(&mut source.take(range.end - range.start), &mut target)?;
            if copied != range.end - range.start {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            Ok(Some(()))
        })
        .await?
        .ok_or(StoreError::Changed { operation: "write" })
    }

    async fn complete(
        &self,
        upload: &FileUpload,
        base: &FileObject,
        _parts: Vec<()>,
        size: u64,
    ) -> Result<FileObject, StoreError> {
        let (temporary, base) = (Arc::clone(&upload.temporary), base.clone());
        let committed = self.run("write", move |store| {
            let mut temporary = temporary.lock().unwrap_or_else(PoisonError::into_inner);
            let finished = temporary.take().ok_or_else(|| io::Error::other("the edit was ended"))?;
            if finished.as_file().metadata()?.len() != size {
                return Err(io::Error::other("the new archive has another length than was planned"));
            }
            store.commit(&base, finished)
        });
        committed.await?.ok_or(StoreError::Changed { operation: "write" })
    }

    async fn abort(&self, upload: &FileUpload) -> Result<(), StoreError> {
        let temporary = Arc::clone(&upload.temporary);
        self.run("remove", move |_| match temporary.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(temporary) => temporary.close(),
            None => Ok(()),
        })
        .await
    }
}
