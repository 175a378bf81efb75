//! A whole new artifact takes the place of the one that is there: what a full build makes.

use std::future::Future;
use std::io;
use std::ops::Range;

use bytes::Bytes;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use super::settle::no_answer;
use super::{S3Object, S3Store, SMALL};
use crate::error::Error;
use crate::stop::Stop;
use crate::store::{Slot, Store, StoreError};

/// Length of the parts of a longer one, in bytes. S3 takes 10,000 parts: enough for far more than Lambda does.
const PART: u64 = 8 << 20;
/// So many parts are under way at once, and in memory.
const AT_ONCE: usize = 4;

impl S3Store {
    /// Writes `size` bytes, which `read` gives by their ranges, in the place of `base`, if that is still there (or, when it
    /// is [`S3Store::absent`], if there still is none). They get `base`'s headers, metadata, tags, encryption and locks,
    /// and the store's [`crate::Stamp`], by which a write whose answer got lost is recognised. `sent` hears of each stretch
    /// of bytes that arrived.
    ///
    /// # Errors
    /// [`Error::Overtaken`] when somebody else wrote in the meantime, what `stop` says, and those of the store. Every
    /// [`Error`] leaves the object as it was; only after [`Error::Unknown`] it may be the new one. What had been uploaded
    /// is discarded.
    pub async fn replace<R: Future<Output = io::Result<Bytes>>>(
        &self,
        base: &S3Object,
        size: u64,
        read: impl Fn(Range<u64>) -> R,
        sent: impl Fn(u64),
        stop: &Stop,
    ) -> Result<S3Object, Error> {
        let whole = Whole { store: self, base, size, stop };
        if size <= SMALL { whole.put(&read, &sent).await } else { whole.upload(&read, &sent).await }
    }
}

struct Whole<'a> {
    store: &'a S3Store,
    base: &'a S3Object,
    size: u64,
    stop: &'a Stop,
}

impl Whole<'_> {
    async fn put<R: Future<Output = io::Result<Bytes>>>(
        &self,
        read: &impl Fn(Range<u64>) -> R,
        sent: &impl Fn(u64),
    ) -> Result<S3Object, Error> {
        let Self { store, base, size, stop } = self;
        let reading = stop.or_result_of(read(0..*size)).await;
        let body = reading.map_err(|stopped| Error::stopped(store.location(), stopped))?;
        let body = body.map_err(|error| Error::store(store.location(), unreadable("PutObject", &error)))?;
        match stop.or_late_result_of(store.put(base, body)).await {
            Ok(Ok(object)) => {
                sent(*size);
                Ok(object)
            }
            Ok(Err(error)) => self.settled(error).await,
            Err(_) => self.settled(no_answer("PutObject")).await,
        }
    }

    async fn upload<R: Future<Output = io::Result<Bytes>>>(
        &self,
        read: &impl Fn(Range<u64>) -> R,
        sent: &impl Fn(u64),
    ) -> Result<S3Object, Error> {
        let Self { store, base, size, stop } = self;
        // Created under a grace: an upload whose id isn't known can't be aborted.
        let created = stop.or_late_result_of(store.create(base)).await;
        let upload = created.map_err(|stopped| Error::stopped(store.location(), stopped))?;
        let upload = upload.map_err(|error| Error::store(store.location(), error))?;
        let sending = stream::iter((0..size.div_ceil(PART)).zip(1..))
            .map(|(part, number)| {
                let range = part * PART..((part + 1) * PART).min(*size);
                let upload = &upload;
                async move {
                    let (offset, length) = (range.start, range.end - range.start);
                    let body = read(range).await.map_err(|error| unreadable("UploadPart", &error))?;
                    let part = store.upload_part(upload, Slot { number, offset }, body).await?;
                    sent(length);
                    Ok::<_, StoreError>(part)
                }
            })
            .buffered(AT_ONCE)
            .try_collect();
        let failed = match stop.or_result_of(sending).await {
            Ok(Ok(parts)) => match stop.or_late_result_of(store.complete(&upload, base, parts, *size)).await {
                Ok(Ok(object)) => return Ok(object),
                Ok(Err(error)) => Failed::AtCommit(error),
                Err(_) => Failed::AtCommit(no_answer("CompleteMultipartUpload")),
            },
            Ok(Err(error)) => Failed::Before(Error::store(store.location(), error)),
            Err(stopped) => Failed::Before(Error::stopped(store.location(), stopped)),
        };
        // Parts that were under way can still be stored after the abort, so it is said twice.
        let _ = stop
            .or_late_result_of(async {
                let _ = store.abort(&upload).await;
                let _ = store.abort(&upload).await;
            })
            .await;
        match failed {
            Failed::Before(error) => Err(error),
            Failed::AtCommit(error) => self.settled(error).await,
        }
    }

    async fn settled(&self, error: StoreError) -> Result<S3Object, Error> {
        let attributes = self.base.attributes.stamped(&self.store.stamp);
        let wanted = S3Object { size: self.size, attributes, ..self.base.clone() };
        let before = Some(self.base).filter(|base| !base.is_absent());
        self.store.settled(&wanted, before, error, self.stop).await
    }
}

enum Failed {
    Before(Error),
    AtCommit(StoreError),
}

fn unreadable(operation: &'static str, error: &io::Error) -> StoreError {
    StoreError::unusable(operation, format!("the new artifact could not be read: {error}"))
}
