//! The one store behind S3: all state under one lock, and on disk if there is a data directory.
//!
//! Every change is one closure under the lock: it checks its conditions and changes the state, or refuses and changes
//! nothing. What it changed is on disk before anybody is told.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::Refusal;
use super::disk::Disk;
use super::ids;
use super::model::{Bucket, Moment, Object, Upload, Version, Versioning};
use super::rope::{Rope, Segment};
use crate::Error;
use crate::iam::PolicyDocument;
use crate::lambda::{ObjectError, Objects, StoredObject};

/// All buckets, and which records of them a change has touched.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) buckets: BTreeMap<String, Bucket>,
    touched: Vec<Touched>,
}

/// A record that has to be written, or removed because what it described is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Touched {
    Bucket(String),
    Key(String, String),
    Upload(String, String, Moment),
}

impl State {
    pub(crate) fn bucket(&self, name: &str) -> Result<&Bucket, Refusal> {
        self.buckets.get(name).ok_or_else(|| Refusal::no_such_bucket(name))
    }

    /// A bucket whose own configuration is about to change.
    pub(crate) fn bucket_mut(&mut self, name: &str) -> Result<&mut Bucket, Refusal> {
        self.touched.push(Touched::Bucket(name.to_owned()));
        self.buckets.get_mut(name).ok_or_else(|| Refusal::no_such_bucket(name))
    }

    /// A bucket of which one key is about to change.
    pub(crate) fn key_mut(&mut self, name: &str, key: &str) -> Result<&mut Bucket, Refusal> {
        self.touched.push(Touched::Key(name.to_owned(), key.to_owned()));
        self.buckets.get_mut(name).ok_or_else(|| Refusal::no_such_bucket(name))
    }

    pub(crate) fn upload(&self, bucket: &str, key: &str, id: &str) -> Result<&Upload, Refusal> {
        self.bucket(bucket)?.upload(key, id).ok_or_else(|| Refusal::no_such_upload(id))
    }

    pub(crate) fn upload_mut(&mut self, bucket: &str, key: &str, id: &str) -> Result<&mut Upload, Refusal> {
        let moment = self.upload(bucket, key, id)?.initiated;
        self.touched.push(Touched::Upload(bucket.to_owned(), key.to_owned(), moment));
        let found = self.buckets.get_mut(bucket).and_then(|bucket| bucket.upload_mut(key, id));
        found.ok_or_else(|| Refusal::no_such_upload(id))
    }

    pub(crate) fn add_upload(&mut self, bucket: &str, upload: Upload) -> Result<(), Refusal> {
        let place = (upload.key.clone(), upload.initiated);
        self.touched.push(Touched::Upload(bucket.to_owned(), place.0.clone(), place.1));
        let bucket = self.buckets.get_mut(bucket).ok_or_else(|| Refusal::no_such_bucket(bucket))?;
        bucket.uploads.insert(place, upload);
        Ok(())
    }

    pub(crate) fn remove_upload(&mut self, bucket: &str, key: &str, id: &str) -> Result<Upload, Refusal> {
        let moment = self.upload_mut(bucket, key, id)?.initiated;
        let bucket = self.buckets.get_mut(bucket).ok_or_else(|| Refusal::no_such_bucket(bucket))?;
        bucket.uploads.remove(&(key.to_owned(), moment)).ok_or_else(|| Refusal::no_such_upload(id))
    }

    /// The version that a read is for, with its object. AWS's errors for a key, a version or a delete marker that
    /// can't be read.
    pub(crate) fn readable(
        &self,
        bucket: &str,
        key: &str,
        version_id: Option<&str>,
    ) -> Result<(&Bucket, &Version, &Object), Refusal> {
        let bucket = self.bucket(bucket)?;
        let Some(id) = version_id else {
            let Some(version) = bucket.latest(key) else { return Err(Refusal::no_such_key(key)) };
            let Some(object) = &version.object else {
                return Err(Refusal::no_such_key(key)
                    .header("x-amz-delete-marker", "true")
                    .header("x-amz-version-id", &version.id));
            };
            return Ok((bucket, version, object));
        };
        let Some(version) = bucket.version(key, id) else {
            return Err(match bucket.versioning {
                Versioning::Never if id == super::model::NULL => Refusal::no_such_key(key),
                Versioning::Never => Refusal::invalid_argument("Invalid version id specified", "versionId", id),
                _ => Refusal::no_such_version(key, id),
            });
        };
        let Some(object) = &version.object else {
            let message = "The specified method is not allowed against this resource.";
            return Err(Refusal::new("MethodNotAllowed", 405, message)
                .with("Method", "GET")
                .with("ResourceType", "DeleteMarker")
                .header("allow", "DELETE")
                .header("x-amz-delete-marker", "true")
                .header("x-amz-version-id", &version.id));
        };
        Ok((bucket, version, object))
    }
}

/// The store. Shared by S3's operations and by Lambda, which reads code from it.
#[derive(Debug)]
pub(crate) struct Store {
    /// Dropped first: from then on the segments' files outlive the state that uses them.
    disk: Option<Disk>,
    state: Mutex<State>,
    moments: AtomicU64,
}

impl Store {
    pub(crate) fn in_memory() -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), moments: AtomicU64::new(1), disk: None })
    }

    /// A store in a directory, with what an earlier one left there.
    pub(crate) async fn open(path: PathBuf) -> Result<Arc<Self>, Error> {
        let failed = |path: PathBuf, message: String| Error::DataDir { path, message };
        let directory = path.clone();
        let opened = tokio::task::spawn_blocking(move || Disk::open(directory)).await;
        let (disk, buckets, last) = match opened {
            Ok(opened) => opened.map_err(|(path, message)| failed(path, message))?,
            Err(error) => return Err(failed(path, error.to_string())),
        };
        let state = State { buckets, touched: Vec::new() };
        Ok(Arc::new(Self { state: Mutex::new(state), moments: AtomicU64::new(last + 1), disk: Some(disk) }))
    }

    /// The next position in the order of everything.
    pub(crate) fn moment(&self) -> Moment {
        self.moments.fetch_add(1, Ordering::Relaxed)
    }

    /// Reads the state.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.locked())
    }

    /// Reads what may not be there.
    pub(crate) fn try_read<T>(&self, read: impl FnOnce(&State) -> Result<T, Refusal>) -> Result<T, Refusal> {
        self.read(read)
    }

    /// Changes the state: all of `change` or, if it refuses, nothing. The moment is that of the commit.
    pub(crate) async fn commit<T: Send + 'static>(
        self: &Arc<Self>,
        change: impl FnOnce(&mut State, Moment) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        if self.disk.is_none() {
            return self.commit_now(change);
        }
        // Waiting for the disk is no work for the reactor.
        let store = Arc::clone(self);
        match tokio::task::spawn_blocking(move || store.commit_now(change)).await {
            Ok(result) => result,
            Err(error) => Err(Refusal::internal(error)),
        }
    }

    fn commit_now<T>(&self, change: impl FnOnce(&mut State, Moment) -> Result<T, Refusal>) -> Result<T, Refusal> {
        let mut state = self.locked();
        state.touched.clear();
        let result = change(&mut state, self.moment())?;
        let touched = std::mem::take(&mut state.touched);
        if let Some(disk) = &self.disk {
            for record in &touched {
                disk.write(record, &state)
                    .map_err(|error| Refusal::internal(format!("{}: {error}", disk.path().display())))?;
            }
        }
        Ok(result)
    }

    /// Puts an object for another service of the cloud.
    pub(crate) async fn put(self: &Arc<Self>, bucket: &str, key: &str, data: Bytes) -> Result<(), Refusal> {
        super::operations::write::put_plainly(self, bucket, key, data).await
    }

    /// The keys of a bucket that begin with `prefix` and have an object, in their order.
    pub(crate) fn keys(&self, bucket: &str, prefix: &str) -> Result<Vec<String>, Refusal> {
        self.try_read(|state| {
            let bucket = state.bucket(bucket)?;
            let keys = bucket.keys.range(prefix.to_owned()..).map(|(key, _)| key);
            let keys = keys.take_while(|key| key.starts_with(prefix)).filter(|key| bucket.current(key).is_some());
            Ok(keys.cloned().collect())
        })
    }

    /// Keeps uploaded bytes, on disk too if there is one.
    pub(crate) async fn keep(self: &Arc<Self>, chunks: Vec<Bytes>) -> Result<Rope, Refusal> {
        let id = ids::segment_id();
        let file = match &self.disk {
            Some(_) if chunks.is_empty() => None,
            None => None,
            Some(_) => {
                let (store, id, chunks) = (Arc::clone(self), id.clone(), chunks.clone());
                let written = tokio::task::spawn_blocking(move || {
                    store.disk.as_ref().map(|disk| disk.write_segment(&id, &chunks)).transpose()
                });
                match written.await {
                    Ok(Ok(file)) => file,
                    Ok(Err(error)) => return Err(Refusal::internal(error)),
                    Err(error) => return Err(Refusal::internal(error)),
                }
            }
        };
        Ok(Rope::of_segment(Arc::new(Segment::new(id, chunks, file))))
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        // A change that panicked is a bug; the state it left is still the best there is.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Objects for Store {
    fn object(&self, bucket: &str, key: &str, version_id: Option<&str>) -> Result<StoredObject, ObjectError> {
        self.read(|state| {
            let (bucket, version, object) =
                state.readable(bucket, key, version_id).map_err(|refusal| match refusal.code() {
                    "NoSuchBucket" => ObjectError::NoSuchBucket,
                    "NoSuchKey" => ObjectError::NoSuchKey,
                    _ => ObjectError::NoSuchVersion,
                })?;
            Ok(StoredObject {
                chunks: object.content.data.chunks(),
                size: object.size(),
                version_id: (bucket.versioning != Versioning::Never).then(|| version.id.clone()),
                etag: object.etag().to_owned(),
            })
        })
    }

    fn bucket_policy(&self, bucket: &str) -> Option<PolicyDocument> {
        let document = self.read(|state| state.bucket(bucket).ok()?.settings.get("policy").cloned())?;
        Some(PolicyDocument::read(&document))
    }
}
