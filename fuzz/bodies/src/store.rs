//! An object in memory, as strict as S3 about parts.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use zipedit::parts::PartLimits;
use zipedit::store::Slot;
use zipedit::{Object, Store, StoreError};

/// One object.
#[derive(Debug)]
pub(crate) struct MemoryStore {
    now: Mutex<MemoryObject>,
    pub(crate) limits: PartLimits,
    pub(crate) small: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct MemoryObject {
    pub(crate) bytes: Bytes,
    etag: String,
}

impl Object for MemoryObject {
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn etag(&self) -> &str {
        &self.etag
    }

    fn version_id(&self) -> Option<&str> {
        None
    }
}

type Parts = Mutex<BTreeMap<u32, (u64, Bytes)>>;

impl MemoryStore {
    pub(crate) fn new(bytes: Bytes, limits: PartLimits, small: u64) -> Self {
        Self { now: Mutex::new(MemoryObject { bytes, etag: "\"0\"".into() }), limits, small }
    }

    pub(crate) fn bytes(&self) -> Bytes {
        self.lock().bytes.clone()
    }

    fn lock(&self) -> MutexGuard<'_, MemoryObject> {
        self.now.lock().unwrap()
    }

    fn replace(&self, base: &MemoryObject, bytes: Bytes) -> Result<MemoryObject, StoreError> {
        let mut now = self.lock();
        if now.etag != base.etag {
            return Err(StoreError::Changed { operation: "PutObject" });
        }
        *now = MemoryObject { bytes, etag: format!("{}'", base.etag) };
        Ok(now.clone())
    }
}

fn range_of(object: &MemoryObject, range: &Range<u64>) -> Bytes {
    assert!(range.start < range.end, "an empty range is read");
    object.bytes.slice(usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap())
}

impl Store for MemoryStore {
    type Object = MemoryObject;
    type Upload = Parts;
    type Part = u32;

    fn location(&self) -> &'static str {
        "memory"
    }

    fn part_limits(&self) -> PartLimits {
        self.limits
    }

    fn small(&self) -> u64 {
        self.small
    }

    async fn tail(&self, len: u64) -> Result<(MemoryObject, Bytes), StoreError> {
        let now = self.lock().clone();
        // Less than is asked for: small archives shall have a front that isn't read with the tail, too.
        let len = len.min(self.small / 2 + 100).min(now.size());
        let tail = now.bytes.slice(now.bytes.len() - usize::try_from(len).unwrap()..);
        if now.bytes.is_empty() { Err(StoreError::Empty) } else { Ok((now, tail)) }
    }

    async fn head(&self) -> Result<MemoryObject, StoreError> {
        Ok(self.lock().clone())
    }

    fn carries_the_same(&self, _one: &MemoryObject, _other: &MemoryObject) -> bool {
        true
    }

    async fn read(&self, object: &MemoryObject, range: Range<u64>) -> Result<Bytes, StoreError> {
        Ok(range_of(object, &range))
    }

    async fn stream(
        &self,
        object: &MemoryObject,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes, StoreError>>, StoreError> {
        let chunks: Vec<_> = range_of(object, &range).chunks(17).map(Bytes::copy_from_slice).map(Ok).collect();
        Ok(futures::stream::iter(chunks).boxed())
    }

    async fn put(&self, base: &MemoryObject, body: Bytes) -> Result<MemoryObject, StoreError> {
        self.replace(base, body)
    }

    async fn create(&self, _base: &MemoryObject) -> Result<Parts, StoreError> {
        Ok(Parts::default())
    }

    async fn upload_part(&self, upload: &Parts, slot: Slot, body: Bytes) -> Result<u32, StoreError> {
        assert!(upload.lock().unwrap().insert(slot.number, (slot.offset, body)).is_none(), "a part is there twice");
        Ok(slot.number)
    }

    async fn copy_part(
        &self,
        upload: &Parts,
        slot: Slot,
        base: &MemoryObject,
        range: Range<u64>,
    ) -> Result<u32, StoreError> {
        self.upload_part(upload, slot, range_of(base, &range)).await
    }

    async fn complete(
        &self,
        upload: &Parts,
        base: &MemoryObject,
        parts: Vec<u32>,
        size: u64,
    ) -> Result<MemoryObject, StoreError> {
        let written = upload.lock().unwrap();
        assert!(parts.iter().copied().eq(1..=written.len() as u32), "not all parts, or not in their order: {parts:?}");
        let mut whole = Vec::new();
        for (number, (offset, body)) in written.iter() {
            assert_eq!(*offset, whole.len() as u64, "part {number} is not where the one before ends");
            let is_last = *number as usize == written.len();
            assert!(is_last || body.len() as u64 >= self.limits.min, "EntityTooSmall: part {number}");
            whole.extend_from_slice(body);
        }
        assert_eq!(size, whole.len() as u64);
        self.replace(base, whole.into())
    }

    async fn abort(&self, _upload: &Parts) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Drives an edit of an object in memory, which waits for nothing.
pub(crate) fn finish<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(work)
}
