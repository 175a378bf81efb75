//! Counts what an edit asks of its store.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;

use crate::parts::PartLimits;
use crate::report::Traffic;
use crate::store::{Object as _, Slot, Store, StoreError};

/// A store that counts what is asked of it.
#[derive(Debug)]
pub(crate) struct Metered<'a, S> {
    store: &'a S,
    read: AtomicU64,
    written: AtomicU64,
    copied: AtomicU64,
    requests: AtomicU64,
    round_trips: AtomicU64,
}

impl<'a, S: Store> Metered<'a, S> {
    pub(crate) fn new(store: &'a S) -> Self {
        let zero = || AtomicU64::new(0);
        Self { store, read: zero(), written: zero(), copied: zero(), requests: zero(), round_trips: zero() }
    }

    /// The step that begins now waits for the answers of the step before.
    pub(crate) fn next_round_trip(&self) {
        self.round_trips.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn traffic(&self) -> Traffic {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Traffic {
            bytes_read: of(&self.read),
            bytes_written: of(&self.written),
            bytes_copied: of(&self.copied),
            requests: of(&self.requests),
            round_trips: of(&self.round_trips),
        }
    }

    fn further_requests(&self, object: &S::Object) {
        let further = object.requests() - 1;
        self.requests.fetch_add(further, Ordering::Relaxed);
        self.round_trips.fetch_add(further, Ordering::Relaxed);
    }

    fn request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }
}

impl<S: Store> Store for Metered<'_, S> {
    type Object = S::Object;
    type Upload = S::Upload;
    type Part = S::Part;

    fn location(&self) -> &str {
        self.store.location()
    }

    fn part_limits(&self) -> PartLimits {
        self.store.part_limits()
    }

    fn small(&self) -> u64 {
        self.store.small()
    }

    fn carries_the_same(&self, one: &S::Object, other: &S::Object) -> bool {
        self.store.carries_the_same(one, other)
    }

    async fn tail(&self, len: u64) -> Result<(S::Object, Bytes), StoreError> {
        self.request();
        let found = self.store.tail(len).await?;
        self.further_requests(&found.0);
        self.read.fetch_add(found.1.len() as u64, Ordering::Relaxed);
        Ok(found)
    }

    async fn head(&self) -> Result<S::Object, StoreError> {
        self.request();
        let found = self.store.head().await?;
        self.further_requests(&found);
        Ok(found)
    }

    async fn read(&self, object: &S::Object, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.request();
        let bytes = self.store.read(object, range).await?;
        self.read.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(bytes)
    }

    async fn stream(
        &self,
        object: &S::Object,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes, StoreError>>, StoreError> {
        self.request();
        // A stream outlives this borrow, so it is counted as what was asked for.
        self.read.fetch_add(range.end - range.start, Ordering::Relaxed);
        Ok(self.store.stream(object, range).await?.boxed())
    }

    async fn put(&self, base: &S::Object, body: Bytes) -> Result<S::Object, StoreError> {
        self.request();
        self.written.fetch_add(body.len() as u64, Ordering::Relaxed);
        self.store.put(base, body).await
    }

    async fn create(&self, base: &S::Object) -> Result<S::Upload, StoreError> {
        self.request();
        self.store.create(base).await
    }

    async fn upload_part(&self, upload: &S::Upload, slot: Slot, body: Bytes) -> Result<S::Part, StoreError> {
        self.request();
        self.written.fetch_add(body.len() as u64, Ordering::Relaxed);
        self.store.upload_part(upload, slot, body).await
    }

    async fn copy_part(
        &self,
        upload: &S::Upload,
        slot: Slot,
        base: &S::Object,
        range: Range<u64>,
    ) -> Result<S::Part, StoreError> {
        self.request();
        self.copied.fetch_add(range.end - range.start, Ordering::Relaxed);
        self.store.copy_part(upload, slot, base, range).await
    }

    async fn complete(
        &self,
        upload: &S::Upload,
        base: &S::Object,
        parts: Vec<S::Part>,
        size: u64,
    ) -> Result<S::Object, StoreError> {
        self.request();
        self.store.complete(upload, base, parts, size).await
    }

    async fn abort(&self, upload: &S::Upload) -> Result<(), StoreError> {
        self.request();
        self.store.abort(upload).await
    }
}
