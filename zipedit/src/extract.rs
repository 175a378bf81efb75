//! Reads what stands in entries. An edit never needs to; who wants to know what an artifact's files say does.

use std::io::Read as _;

use bytes::Bytes;

use crate::artifact::Artifact;
use crate::bytes_le::u16_at;
use crate::directory::{Entry, LOCAL_HEADER_SIZE};
use crate::error::Error;
use crate::gather::gather;
use crate::plan::{MAX_UNZIPPED, Piece};
use crate::splice::GAP;
use crate::store::Store;

const LOCAL_SIGNATURE: &[u8] = b"PK\x03\x04";
const STORED: u16 = 0;
const DEFLATE: u16 = 8;
/// How many bytes one byte of deflate data can stand for: 258 in two bits.
const DEFLATE_RATIO: usize = 1032;

/// The contents of `wanted`, in their order. Near entries come with one request; all that is fetched is held in memory,
/// so ask for as much as may be there.
///
/// `None` for an entry that is encrypted, compressed by a method other than deflate, larger than all that Lambda takes,
/// or damaged.
///
/// # Errors
/// [`Error::Store`] and its like for what the store says, [`Error::Conflict`] when the artifact was replaced meanwhile.
pub async fn read_entries<S: Store>(
    store: &S,
    artifact: &Artifact<S::Object>,
    wanted: &[Entry<'_>],
) -> Result<Vec<Option<Bytes>>, Error> {
    let pieces: Vec<Piece> = wanted.iter().map(|entry| Piece::Old(entry.span())).collect();
    let mut spans =
        gather(store, artifact, &pieces, GAP).await.map_err(|error| Error::store(store.location(), error))?;
    let contents = wanted.iter().map(|entry| {
        let span = entry.span();
        let len = usize::try_from(span.end - span.start).unwrap_or(usize::MAX).min(spans.len());
        content(entry, &spans.split_to(len))
    });
    Ok(contents.collect())
}

/// The content of an entry whose span is given.
fn content(entry: &Entry<'_>, span: &[u8]) -> Option<Bytes> {
    let header = span.get(..usize::try_from(LOCAL_HEADER_SIZE).ok()?)?;
    if !header.starts_with(LOCAL_SIGNATURE) || entry.is_encrypted() || entry.size() > MAX_UNZIPPED {
        return None;
    }
    // The lengths of name and extra block stand in the local header, and may differ from the central record's.
    let start = header.len() + usize::from(u16_at(header, 26)) + usize::from(u16_at(header, 28));
    let data = span.get(start..)?.get(..usize::try_from(entry.compressed_size()).ok()?)?;
    let content = match entry.method() {
        STORED => Bytes::copy_from_slice(data),
        DEFLATE => {
            // Deflate makes a thousandth of its input at best: what a record says beyond that is a lie.
            let longest = data.len().saturating_mul(DEFLATE_RATIO);
            let mut content = Vec::with_capacity(usize::try_from(entry.size()).ok()?.min(longest));
            // One byte more than there may be shows that there is more.
            flate2::read::DeflateDecoder::new(data)
                .take(entry.size().saturating_add(1))
                .read_to_end(&mut content)
                .ok()?;
            Bytes::from(content)
        }
        _ => return None,
    };
    let mut crc = flate2::Crc::new();
    crc.update(&content);
    (content.len() as u64 == entry.size() && crc.sum() == entry.crc32()).then_some(content)
}
