//! Carries a plan out as one stream: the old artifact is read once, the new one is written as it goes by.
//!
//! Memory holds the part that is being filled and those that are being uploaded, however large the artifact is.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use futures::stream::{BoxStream, FuturesUnordered};
use futures::{StreamExt as _, TryStreamExt as _};

use crate::artifact::Artifact;
use crate::multipart::Written;
use crate::plan::{Piece, Plan};
use crate::store::{Slot, Store, StoreError};

/// Parts that are uploaded at once, besides the one that is being filled.
const UPLOADS: usize = 2;

/// S3 takes 10,000 parts; a rest for rounding.
const MAX_PARTS: u64 = 9_900;

pub(crate) async fn transfer<S: Store>(
    store: &S,
    artifact: &Artifact<S::Object>,
    plan: &Plan,
    upload: &S::Upload,
) -> Result<Written<S::Part>, StoreError> {
    let part_len = store.part_limits().upload.max(plan.size().div_ceil(MAX_PARTS));
    let part_len = usize::try_from(part_len).unwrap_or(usize::MAX);
    let mut old = OldBytes::open(store, artifact, plan).await?;
    let mut uploading = FuturesUnordered::new();
    let mut written = Vec::new();
    let mut slot = Slot { number: 1, offset: 0 };
    let mut filling = BytesMut::with_capacity(part_len);
    let mut send = |body: Bytes| {
        let here = slot;
        slot = Slot { number: here.number + 1, offset: here.offset + body.len() as u64 };
        async move { Ok::<_, StoreError>((here.number, store.upload_part(upload, here, body).await?)) }
    };
    for piece in plan.pieces() {
        let mut rest = piece.clone();
        while !rest.is_empty() {
            let chunk = match &mut rest {
                Piece::New(bytes) => bytes.split_to(bytes.len().min(part_len - filling.len())),
                Piece::Old(range) => {
                    let chunk = old.next(range.clone(), part_len - filling.len()).await?;
                    range.start += chunk.len() as u64;
                    chunk
                }
            };
            filling.extend_from_slice(&chunk);
            if filling.len() == part_len {
                uploading.push(send(std::mem::replace(&mut filling, BytesMut::with_capacity(part_len)).freeze()));
                while uploading.len() >= UPLOADS {
                    written.extend(uploading.try_next().await?);
                }
            }
        }
    }
    // The directory's end record is never empty, so there is a last part unless a part ended just there.
    let end = filling.freeze();
    if !end.is_empty() {
        uploading.push(send(end.clone()));
    }
    while let Some(part) = uploading.try_next().await? {
        written.push(part);
    }
    written.sort_unstable_by_key(|(number, _)| *number);
    Ok(Written { parts: written.into_iter().map(|(_, part)| part).collect(), end })
}

/// The old artifact, read from front to back.
struct OldBytes<'a, O> {
    artifact: &'a Artifact<O>,
    stream: BoxStream<'static, Result<Bytes, StoreError>>,
    /// What came in and wasn't taken yet, and where it stands in the artifact.
    chunk: Bytes,
    at: u64,
}

impl<'a, O: crate::store::Object> OldBytes<'a, O> {
    async fn open<S: Store<Object = O>>(store: &S, artifact: &'a Artifact<O>, plan: &Plan) -> Result<Self, StoreError> {
        let old = plan.pieces().iter().filter_map(|piece| match piece {
            Piece::Old(range) => Some(range.start..range.end.min(artifact.tail_start())),
            Piece::New(_) => None,
        });
        let range = old.filter(|range| range.start < range.end).reduce(|all, next| all.start..next.end);
        let (stream, at) = match range {
            Some(range) => (store.stream(artifact.object(), range.clone()).await?, range.start),
            None => (futures::stream::empty().boxed(), 0),
        };
        Ok(Self { artifact, stream, chunk: Bytes::new(), at })
    }

    /// The first bytes of `range`, `max` at most, never none. Ranges are asked for in ascending order.
    async fn next(&mut self, range: Range<u64>, max: usize) -> Result<Bytes, StoreError> {
        let max = usize::try_from(range.end - range.start).map_or(max, |len| len.min(max));
        if range.start >= self.artifact.tail_start() {
            return Ok(self.artifact.in_tail(&(range.start..range.start + max as u64)));
        }
        loop {
            let skip =
                usize::try_from(range.start - self.at).map_or(self.chunk.len(), |skip| skip.min(self.chunk.len()));
            self.drop_front(skip);
            if !self.chunk.is_empty() {
                let taken = self.chunk.slice(..self.chunk.len().min(max));
                self.drop_front(taken.len());
                return Ok(taken);
            }
            self.chunk = self.stream.try_next().await?.ok_or_else(|| {
                StoreError::unusable("GetObject", "the store answered fewer bytes than were asked for")
            })?;
        }
    }

    fn drop_front(&mut self, len: usize) {
        let _ = self.chunk.split_to(len);
        self.at += len as u64;
    }
}
