//! The data directory.
//!
//! ```text
//! format                                  says that the directory is ours
//! segments/ID                             the bytes of one uploaded body
//! buckets/NAME/bucket.json                a bucket's configuration
//! buckets/NAME/keys/HASH.json             a key with all its versions; HASH is the SHA-256 of the key
//! buckets/NAME/uploads/ID.json            an unfinished upload
//! ```
//!
//! A file is written under another name, synced, renamed, and its directory synced: after a crash there is the old
//! record or the new one. Bytes are on disk before the record that names them. Segments that nothing names any more, and
//! files that a crash left half written, are removed at the next start.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use s3s::crypto::{Checksum as _, Sha256};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::checksum::hex;
use super::model::{Bucket, Moment, Upload, Version};
use super::rope::{Rope, Segment, SegmentFile};
use super::store::{State, Touched};

const FORMAT: &str = "local-cloud data 1\n";
/// Bytes that are read into one chunk.
const CHUNK: usize = 1 << 20;

/// What is wrong with which file.
type Fault = (PathBuf, String);

#[derive(Debug)]
pub(super) struct Disk {
    path: PathBuf,
    /// Locked as long as this process uses the directory.
    _lock: File,
    /// Whether a segment's file goes with its last user. Not while records are still being read, nor once the store is
    /// being closed.
    open: Arc<AtomicBool>,
}

/// A key as it is on disk.
#[derive(Serialize, Deserialize)]
struct KeyRecord<V> {
    key: String,
    versions: V,
}

impl Disk {
    /// Opens or creates a directory, and reads what is there: all buckets, and the last moment on record.
    pub(super) fn open(path: PathBuf) -> Result<(Self, BTreeMap<String, Bucket>, Moment), Fault> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |error: io::Error| (path, error.to_string())
        };
        fs::create_dir_all(&path).map_err(at(&path))?;
        let format = path.join("format");
        match fs::read_to_string(&format) {
            Ok(found) if found == FORMAT => {}
            Ok(_) => {
                return Err((
                    format,
                    "was not written by this version of the local cloud; choose another directory".to_owned(),
                ));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut others = fs::read_dir(&path).map_err(at(&path))?;
                if others.next().is_some() {
                    return Err((
                        path,
                        "is not empty and holds no local cloud's data; choose another directory".to_owned(),
                    ));
                }
                write_atomically(&format, FORMAT.as_bytes()).map_err(at(&format))?;
            }
            Err(error) => return Err(at(&format)(error)),
        }
        let lock = File::open(&format).map_err(at(&format))?;
        if lock.try_lock().is_err() {
            return Err((
                path,
                "is in use by another local cloud; stop that one or choose another directory".to_owned(),
            ));
        }
        for directory in ["segments", "buckets"] {
            let directory = path.join(directory);
            fs::create_dir_all(&directory).map_err(at(&directory))?;
        }
        let disk = Self { path, _lock: lock, open: Arc::new(AtomicBool::new(false)) };
        let segments = disk.read_segments()?;
        let (buckets, last) = disk.read_buckets(&segments)?;
        // Every record has been read: segments that none of them names go, with their files.
        disk.open.store(true, Ordering::Release);
        drop(segments);
        Ok((disk, buckets, last))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes or removes the record of something that has changed.
    pub(super) fn write(&self, touched: &Touched, state: &State) -> io::Result<()> {
        match touched {
            Touched::Bucket(name) => {
                let directory = self.bucket(name);
                match state.buckets.get(name) {
                    None if directory.exists() => {
                        // Without its record the rest counts as nothing, should a crash leave it.
                        remove(&directory.join("bucket.json"))?;
                        fs::remove_dir_all(&directory)?;
                        sync_directory(&self.path.join("buckets"))
                    }
                    None => Ok(()),
                    Some(bucket) => {
                        fs::create_dir_all(directory.join("keys"))?;
                        fs::create_dir_all(directory.join("uploads"))?;
                        write_record(&directory.join("bucket.json"), bucket)?;
                        sync_directory(&self.path.join("buckets"))
                    }
                }
            }
            Touched::Key(name, key) => {
                let path = self.bucket(name).join("keys").join(format!("{}.json", hash(key)));
                let versions = state.buckets.get(name).and_then(|bucket| bucket.keys.get(key));
                match versions {
                    None => remove(&path),
                    Some(versions) => write_record(&path, &KeyRecord { key: key.clone(), versions }),
                }
            }
            Touched::Upload(name, key, moment) => {
                let path = self.bucket(name).join("uploads").join(format!("{moment}-{}.json", hash(key)));
                let upload = state.buckets.get(name).and_then(|bucket| bucket.uploads.get(&(key.clone(), *moment)));
                match upload {
                    None => remove(&path),
                    Some(upload) => write_record(&path, upload),
                }
            }
        }
    }

    /// Writes the bytes of a body. They are safe when this returns, and nobody knows of them yet.
    pub(super) fn write_segment(&self, id: &str, chunks: &[Bytes]) -> io::Result<SegmentFile> {
        let path = self.path.join("segments").join(id);
        let file = SegmentFile { path, open: Arc::clone(&self.open) };
        let mut out = File::create_new(&file.path)?;
        for chunk in chunks {
            out.write_all(chunk)?;
        }
        out.sync_all()?;
        sync_directory(&self.path.join("segments"))?;
        Ok(file)
    }

    fn bucket(&self, name: &str) -> PathBuf {
        self.path.join("buckets").join(name)
    }

    fn read_segments(&self) -> Result<HashMap<String, Arc<Segment>>, Fault> {
        let mut segments = HashMap::new();
        for path in files(&self.path.join("segments"))? {
            let Some(id) = path.file_name().and_then(|name| name.to_str()).map(str::to_owned) else { continue };
            let chunks = read_chunks(&path).map_err(|error| (path.clone(), error.to_string()))?;
            let file = SegmentFile { path, open: Arc::clone(&self.open) };
            segments.insert(id.clone(), Arc::new(Segment::new(id, chunks, Some(file))));
        }
        Ok(segments)
    }

    fn read_buckets(
        &self,
        segments: &HashMap<String, Arc<Segment>>,
    ) -> Result<(BTreeMap<String, Bucket>, Moment), Fault> {
        let find = |id: &str| segments.get(id).cloned();
        let mut buckets = BTreeMap::new();
        let mut last = 0;
        for directory in entries(&self.path.join("buckets"))? {
            let record = directory.join("bucket.json");
            if !record.exists() {
                // A crash came between creating the directory and writing the record: the bucket was never confirmed.
                fs::remove_dir_all(&directory).map_err(|error| (directory.clone(), error.to_string()))?;
                continue;
            }
            let mut bucket: Bucket = read_record(&record)?;
            for path in files(&directory.join("keys"))? {
                let mut record: KeyRecord<Vec<Version>> = read_record(&path)?;
                for version in &mut record.versions {
                    last = last.max(version.initiated).max(version.committed);
                    let content = version.object.as_mut().and_then(|object| Arc::get_mut(&mut object.content));
                    if let Some(content) = content {
                        resolve(&mut content.data, &find, &path)?;
                    }
                }
                bucket.keys.insert(record.key, record.versions);
            }
            for path in files(&directory.join("uploads"))? {
                let mut upload: Upload = read_record(&path)?;
                last = last.max(upload.initiated);
                for part in upload.parts.values_mut() {
                    resolve(&mut part.data, &find, &path)?;
                }
                bucket.uploads.insert((upload.key.clone(), upload.initiated), upload);
            }
            let name = directory.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            buckets.insert(name.to_owned(), bucket);
        }
        Ok((buckets, last))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.open.store(false, Ordering::Release);
    }
}

fn resolve(data: &mut Rope, find: &impl Fn(&str) -> Option<Arc<Segment>>, record: &Path) -> Result<(), Fault> {
    data.resolve(find).ok_or_else(|| (record.to_owned(), "names bytes that are missing from `segments`".to_owned()))
}

fn hash(key: &str) -> String {
    hex(Sha256::checksum(key.as_bytes()).as_ref())
}

fn write_record(path: &Path, record: &impl Serialize) -> io::Result<()> {
    write_atomically(path, &serde_json::to_vec(record)?)
}

fn read_record<T: DeserializeOwned>(path: &Path) -> Result<T, Fault> {
    let bytes = fs::read(path).map_err(|error| (path.to_owned(), error.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|error| (path.to_owned(), format!("is damaged: {error}")))
}

fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    path.parent().map_or(Ok(()), sync_directory)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => path.parent().filter(|parent| parent.exists()).map_or(Ok(()), sync_directory),
    }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn read_chunks(path: &Path) -> io::Result<Vec<Bytes>> {
    let mut file = File::open(path)?;
    let mut chunks = Vec::new();
    loop {
        let mut chunk = Vec::with_capacity(CHUNK);
        if Read::by_ref(&mut file).take(CHUNK as u64).read_to_end(&mut chunk)? == 0 {
            return Ok(chunks);
        }
        chunks.push(chunk.into());
    }
}

/// The entries of a directory, in the order of their names.
fn entries(directory: &Path) -> Result<Vec<PathBuf>, Fault> {
    let fault = |error: io::Error| (directory.to_owned(), error.to_string());
    let entries = fs::read_dir(directory).map_err(fault)?;
    let paths: Result<HashSet<PathBuf>, Fault> = entries.map(|entry| Ok(entry.map_err(fault)?.path())).collect();
    let mut paths: Vec<PathBuf> = paths?.into_iter().collect();
    paths.sort();
    Ok(paths)
}

/// The files of a directory, without those that a crash left half written: they are removed.
fn files(directory: &Path) -> Result<Vec<PathBuf>, Fault> {
    let mut files = entries(directory)?;
    files.retain(|path| {
        let half_written = path.extension().is_some_and(|extension| extension == "new");
        if half_written {
            let _ = fs::remove_file(path);
        }
        !half_written
    });
    Ok(files)
}
