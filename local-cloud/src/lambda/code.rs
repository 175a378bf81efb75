//! Deployment packages: where a function's zip comes from, its hash, its limits.
//!
//! A package is looked at once, off the reactor's threads: its SHA-256 over the exact bytes, and the sizes in its
//! central directory. Whether its entries are intact is found out after the request. Functions that are deployed from the same version of the same object share one [`Code`], so an
//! artifact of four functions is hashed once, checked once and unpacked once.

use std::collections::VecDeque;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::OnceCell;

use super::errors::{ApiError, ErrorKind, Result};
use super::integrity::{self, Damage};
use super::unpack::{self, Unpacked};
use super::{ObjectError, Objects, StoredObject};

/// The limit on a package's unzipped size, in bytes.
pub(super) const MAX_UNZIPPED: u64 = 262_144_000;
/// The limit on a zip inside a request, in bytes.
const MAX_DIRECT_ZIP: usize = 52_428_800;
/// How many packages are remembered by the identity of their object.
const REMEMBERED: usize = 32;

/// The sum of the sizes in the central directory; `None` when an entry's record is broken, or the sum no number.
///
/// `ZipArchive::decompressed_size` has no answer when an entry has a data descriptor, though the central directory has
/// its size all the same: what streams into a zip (Node's archivers, Java) writes one for each entry.
fn unzipped_size(archive: &mut zip::ZipArchive<ChunkReader>) -> Option<u64> {
    (0..archive.len()).try_fold(0_u64, |sum, at| sum.checked_add(archive.by_index_raw(at).ok()?.size()))
}

/// One deployment package.
#[derive(Debug)]
pub(super) struct Code {
    chunks: Vec<Bytes>,
    /// Its length in bytes: `CodeSize`.
    pub(super) size: u64,
    /// Base64 of the SHA-256 of the exact bytes: `CodeSha256`.
    pub(super) sha256: String,
    /// The sum of what its entries unzip to, in bytes.
    pub(super) unzipped: u64,
    integrity: OnceCell<Result<(), Damage>>,
    unpacked: OnceCell<Arc<Unpacked>>,
}

impl Code {
    /// Hashes a package and holds it against Lambda's limits. Blocks: for a thread of its own.
    pub(super) fn inspect(chunks: Vec<Bytes>) -> Result<Self> {
        let mut hash = Sha256::new();
        let mut size = 0;
        for chunk in &chunks {
            hash.update(chunk);
            size += chunk.len() as u64;
        }
        let mut archive = zip::ZipArchive::new(ChunkReader::new(chunks.clone())).map_err(|_| {
            ApiError::invalid("Could not unzip uploaded file. Please check your file, then try to upload again.")
        })?;
        if archive.is_empty() {
            return Err(ApiError::invalid("Uploaded file must be a non-empty zip"));
        }
        let Some(unzipped) = unzipped_size(&mut archive).filter(|unzipped| *unzipped < MAX_UNZIPPED) else {
            return Err(ApiError::invalid(format!("Unzipped size must be smaller than {MAX_UNZIPPED} bytes")));
        };
        Ok(Self {
            chunks,
            size,
            sha256: STANDARD.encode(hash.finalize()),
            unzipped,
            integrity: OnceCell::new(),
            unpacked: OnceCell::new(),
        })
    }

    /// Takes the package for intact, because it was checked in an earlier life.
    pub(super) fn trusted(self) -> Self {
        Self { integrity: OnceCell::new_with(Some(Ok(()))), ..self }
    }

    /// [`Code::inspect`] on a blocking thread.
    pub(super) async fn inspect_apart(chunks: Vec<Bytes>) -> Result<Self> {
        run_apart(move || Self::inspect(chunks)).await?
    }

    /// A package from the base64 text of `ZipFile`.
    pub(super) async fn from_base64(text: String, operation: &str) -> Result<Self> {
        let operation = operation.to_owned();
        run_apart(move || {
            let zip = STANDARD
                .decode(text.as_bytes())
                .map_err(|e| ApiError::new(ErrorKind::Serialization, format!("ZipFile is not base64: {e}")))?;
            if zip.len() > MAX_DIRECT_ZIP {
                return Err(too_large(&operation));
            }
            Self::inspect(vec![Bytes::from(zip)])
        })
        .await?
    }

    /// Whether every entry can be unpacked. `None` until [`Code::check`] has found out.
    pub(super) fn integrity(&self) -> Option<Result<(), &Damage>> {
        self.integrity.get().map(|found| found.as_ref().copied())
    }

    /// Finds out whether every entry can be unpacked, unless that is known. Callers that come at the same time wait for
    /// one look at it.
    pub(super) async fn check(&self) {
        self.integrity.get_or_init(|| integrity::check_apart(self.reader())).await;
    }

    /// The directory that the package is unpacked in, for the first user unpacked now.
    pub(super) async fn directory(&self) -> io::Result<Arc<Unpacked>> {
        let unpack = || async {
            let archive = self.reader();
            tokio::task::spawn_blocking(move || unpack::unpack([archive])).await?.map(Arc::new)
        };
        self.unpacked.get_or_try_init(unpack).await.cloned()
    }

    /// Reads the package as one file.
    pub(super) fn reader(&self) -> ChunkReader {
        ChunkReader::new(self.chunks.clone())
    }

    /// Writes the package to a file. Blocks.
    pub(super) fn write_to(&self, file: &mut impl io::Write) -> io::Result<()> {
        self.chunks.iter().try_for_each(|chunk| file.write_all(chunk))
    }

    /// The package in one piece, for a download.
    pub(super) fn bytes(&self) -> Bytes {
        match self.chunks.as_slice() {
            [one] => one.clone(),
            many => many.concat().into(),
        }
    }
}

/// A `CodeSha256` in the form that it has in URLs.
pub(super) fn url_hash(sha256: &str) -> String {
    sha256.replace('+', "-").replace('/', "_").replace('=', "")
}

/// The answer to a request that is longer than Lambda takes.
pub(super) fn too_large(operation: &str) -> ApiError {
    ApiError::new(
        ErrorKind::RequestEntityTooLarge,
        format!("Request must be smaller than {} bytes for the {operation} operation", super::MAX_REQUEST_BYTES),
    )
}

async fn run_apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|e| ApiError::new(ErrorKind::Service, e.to_string()))
}

/// Where a function's package came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Origin {
    /// From a request's `ZipFile`.
    Upload,
    /// Copied from S3: the object may change or go.
    Copied,
    /// Referenced in S3: the function runs from this very version.
    Referenced(ObjectRef),
}

/// One version of one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ObjectRef {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) version: String,
}

impl ObjectRef {
    /// `ResolvedS3Object`.
    pub(super) fn shown(&self) -> Value {
        json!({ "S3Bucket": self.bucket, "S3Key": self.key, "S3ObjectVersion": self.version })
    }
}

/// Packages by the identity of the object they were read from.
#[derive(Default)]
pub(super) struct CodeCache {
    recent: Mutex<VecDeque<(Identity, Arc<Slot>)>>,
}

/// A package for as long as a function holds it. The lock makes callers of one package wait for one look at it.
type Slot = tokio::sync::Mutex<Weak<Code>>;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Identity {
    bucket: String,
    key: String,
    version: Option<String>,
    etag: String,
    size: u64,
}

impl CodeCache {
    /// The package that an object holds. Callers that come at the same time wait for one look at it.
    pub(super) async fn load(
        &self,
        objects: &dyn Objects,
        bucket: &str,
        key: &str,
        version: Option<&str>,
    ) -> Result<(Arc<Code>, StoredObject)> {
        let object = objects.object(bucket, key, version).map_err(|e| refused(&e, bucket))?;
        let identity = Identity {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            version: object.version_id.clone(),
            etag: object.etag.clone(),
            size: object.size,
        };
        let slot = self.slot(identity);
        let mut slot = slot.lock().await;
        if let Some(code) = slot.upgrade() {
            return Ok((code, object));
        }
        let code = Arc::new(Code::inspect_apart(object.chunks.clone()).await?);
        *slot = Arc::downgrade(&code);
        Ok((code, object))
    }

    fn slot(&self, identity: Identity) -> Arc<Slot> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, slot)) = recent.iter().find(|(known, _)| *known == identity) {
            return Arc::clone(slot);
        }
        let slot = Arc::default();
        recent.push_front((identity, Arc::clone(&slot)));
        recent.truncate(REMEMBERED);
        slot
    }
}

/// What Lambda says when S3 refuses it.
fn refused(error: &ObjectError, bucket: &str) -> ApiError {
    let code = match error {
        ObjectError::NoSuchBucket => {
            return ApiError::invalid(format!(
                "Error occurred while GetObject. S3 Error Code: NoSuchBucket. S3 Error Message: {error} ({bucket})"
            ));
        }
        ObjectError::NoSuchKey => "NoSuchKey",
        ObjectError::NoSuchVersion => "NoSuchVersion",
    };
    ApiError::invalid(format!("Error occurred while GetObject. S3 Error Code: {code}. S3 Error Message: {error}"))
}

/// Reads bytes that lie in several chunks as one seekable file, without joining them.
#[derive(Clone, Debug)]
pub(super) struct ChunkReader {
    /// Each chunk with the offset of its first byte.
    chunks: Vec<(u64, Bytes)>,
    size: u64,
    at: u64,
}

impl ChunkReader {
    pub(super) fn new(chunks: Vec<Bytes>) -> Self {
        let mut size = 0;
        let chunks = chunks
            .into_iter()
            .filter(|chunk| !chunk.is_empty())
            .map(|chunk| {
                let offset = size;
                size += chunk.len() as u64;
                (offset, chunk)
            })
            .collect();
        Self { chunks, size, at: 0 }
    }
}

impl Read for ChunkReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.size {
            return Ok(0);
        }
        let index = self.chunks.partition_point(|(offset, _)| *offset <= self.at) - 1;
        let (offset, chunk) = &self.chunks[index];
        let rest = &chunk[usize::try_from(self.at - offset).map_err(io::Error::other)?..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for ChunkReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = target.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "seek before the beginning"))?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_read_and_seek_like_one_file() {
        let chunks = ["ab", "", "cde", "f"].map(|s| Bytes::from_static(s.as_bytes())).to_vec();
        let mut reader = ChunkReader::new(chunks);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "abcdef");
        reader.seek(SeekFrom::End(-3)).unwrap();
        let mut tail = String::new();
        reader.read_to_string(&mut tail).unwrap();
        assert_eq!(tail, "def");
        assert!(reader.seek(SeekFrom::End(-7)).is_err());
        assert_eq!(reader.seek(SeekFrom::Start(100)).unwrap(), 100);
        assert_eq!(reader.read(&mut [0; 4]).unwrap(), 0);
    }
}
