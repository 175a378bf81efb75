//! Carries a plan out inside the store: kept runs are copied there, the rest is uploaded, all at the same time.

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};

use crate::artifact::Artifact;
use crate::gather::gather;
use crate::multipart::Written;
use crate::parts::Part;
use crate::store::{Slot, Store, StoreError};

/// Part copies that go on at once. They cost this process nothing but a connection.
const COPIES: usize = 32;

/// Parts that are gathered and uploaded at once: as many are in memory.
pub(crate) const UPLOADS: usize = 2;

/// Bytes between two kept pieces that are rather read over than left out by another request.
pub(crate) const GAP: u64 = 128 << 10;

/// Bodies of the first uploaded parts: they can be gathered while the upload is being created.
pub(crate) async fn gather_first<S: Store>(
    store: &S,
    artifact: &Artifact<S::Object>,
    parts: &[Part],
) -> Result<Vec<Bytes>, StoreError> {
    let pieces = parts.iter().filter_map(|part| match part {
        Part::Upload(pieces) => Some(pieces),
        Part::Copy(_) => None,
    });
    // Collected first: a stream over a borrowing iterator of closures is not known to be `Send`.
    let first: Vec<_> = pieces.take(UPLOADS).map(|pieces| gather(store, artifact, pieces, GAP)).collect();
    futures::future::try_join_all(first).await
}

/// Copies and uploads the parts; `first` are the bodies of the first uploaded ones.
pub(crate) async fn transfer<S: Store>(
    store: &S,
    artifact: &Artifact<S::Object>,
    parts: &[Part],
    upload: &S::Upload,
    first: Vec<Bytes>,
) -> Result<Written<S::Part>, StoreError> {
    let mut offset = 0;
    let (mut copies, mut uploads) = (Vec::new(), Vec::new());
    let mut first = first.into_iter();
    for (number, part) in (1..).zip(parts) {
        let slot = Slot { number, offset };
        offset += part.len();
        match part {
            Part::Copy(range) => copies.push(copy(store, artifact, upload, slot, range.clone())),
            Part::Upload(pieces) => {
                let gathered = first.next();
                uploads.push(async move {
                    let body = match gathered {
                        Some(body) => body,
                        None => gather(store, artifact, pieces, GAP).await?,
                    };
                    // The last part becomes the next edit's tail.
                    let end = (number as usize == parts.len()).then(|| body.clone());
                    Ok::<_, StoreError>((slot, store.upload_part(upload, slot, body).await?, end))
                });
            }
        }
    }
    let copying = futures::stream::iter(copies).buffer_unordered(COPIES).try_collect::<Vec<_>>();
    let uploading = futures::stream::iter(uploads).buffer_unordered(UPLOADS).try_collect::<Vec<_>>();
    // Uploads first: they take longest, and whoever comes first gets a connection that is open already.
    let (uploaded, copied) = futures::try_join!(uploading, copying)?;

    let mut written: Vec<(u32, S::Part)> = copied;
    let mut end = Bytes::new();
    for (slot, part, last) in uploaded {
        written.push((slot.number, part));
        end = last.unwrap_or(end);
    }
    written.sort_unstable_by_key(|(number, _)| *number);
    Ok(Written { parts: written.into_iter().map(|(_, part)| part).collect(), end })
}

async fn copy<S: Store>(
    store: &S,
    artifact: &Artifact<S::Object>,
    upload: &S::Upload,
    slot: Slot,
    range: std::ops::Range<u64>,
) -> Result<(u32, S::Part), StoreError> {
    Ok((slot.number, store.copy_part(upload, slot, artifact.object(), range).await?))
}
