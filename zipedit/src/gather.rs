//! Brings the pieces of an uploaded part together in memory.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, TryStreamExt as _};

use crate::artifact::Artifact;
use crate::plan::Piece;
use crate::store::{Store, StoreError};

/// Reads that go on at once.
const READS: usize = 8;

/// The longest request that is made of several pieces, in bytes: what is read over is held in memory for a while.
const MAX_MERGED: u64 = 8 << 20;

/// The bytes of `pieces`. Old ones are fetched where they weren't read with the tail; two that have no more than `gap`
/// bytes between them by one request.
pub(crate) async fn gather<S: Store>(
    store: &S,
    artifact: &Artifact<S::Object>,
    pieces: &[Piece],
    gap: u64,
) -> Result<Bytes, StoreError> {
    if let [Piece::New(bytes)] = pieces {
        return Ok(bytes.clone());
    }
    let wanted = requests(pieces, artifact.tail_start(), gap);
    let fetched: Vec<(u64, Bytes)> = futures::stream::iter(wanted)
        .map(|range| async move { Ok((range.start, store.read(artifact.object(), range).await?)) })
        .buffered(READS)
        .try_collect()
        .await?;

    let len = pieces.iter().map(Piece::len).sum::<u64>();
    let mut body = BytesMut::with_capacity(usize::try_from(len).unwrap_or(0));
    for piece in pieces {
        match piece {
            Piece::New(bytes) => body.extend_from_slice(bytes),
            Piece::Old(range) => {
                let before_tail = range.start..range.end.min(artifact.tail_start());
                if before_tail.start < before_tail.end {
                    body.extend_from_slice(find(&fetched, &before_tail).ok_or_else(not_fetched)?);
                }
                body.extend_from_slice(&artifact.in_tail(range));
            }
        }
    }
    Ok(body.freeze())
}

/// What has to be fetched for `pieces`, ascending by where it starts, as the pieces need not be.
pub(crate) fn requests(pieces: &[Piece], tail_start: u64, gap: u64) -> Vec<Range<u64>> {
    let mut wanted: Vec<Range<u64>> = pieces
        .iter()
        .filter_map(|piece| match piece {
            Piece::Old(range) if range.start < tail_start => Some(range.start..range.end.min(tail_start)),
            _ => None,
        })
        .collect();
    wanted.sort_unstable_by_key(|range| range.start);
    wanted.dedup_by(|next, last| {
        let near = next.start.saturating_sub(last.end) <= gap && next.end.saturating_sub(last.start) <= MAX_MERGED;
        if near {
            last.end = last.end.max(next.end);
        }
        near
    });
    wanted
}

fn find<'a>(fetched: &'a [(u64, Bytes)], range: &Range<u64>) -> Option<&'a [u8]> {
    let (start, bytes) = fetched.iter().rev().find(|(start, _)| *start <= range.start)?;
    bytes.get(usize::try_from(range.start - start).ok()?..usize::try_from(range.end - start).ok()?)
}

fn not_fetched() -> StoreError {
    StoreError::unusable("GetObject", "the store answered fewer bytes than were asked for")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_pieces_share_a_request_and_the_tail_needs_none() {
        let pieces = [
            Piece::Old(1000..1100),
            Piece::New(Bytes::from_static(b"new")),
            Piece::Old(0..100),
            Piece::Old(110..200),
            Piece::Old(1900..2100),
            Piece::Old(2500..2600),
        ];
        assert_eq!(requests(&pieces, 2000, 10), [0..200, 1000..1100, 1900..2000]);
        assert_eq!(format!("{:?}", requests(&pieces, 2000, u64::MAX)), "[0..2000]");
        assert_eq!(requests(&pieces, 0, 0), []);
    }
}
