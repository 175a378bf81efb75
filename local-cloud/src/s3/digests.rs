//! Digests of a range of an object, for copies.
//!
//! A part copy needs the MD5 of its bytes, because that is its entity tag. Reading them is the only cost of a copy, so it
//! is done off the reactor, and not at all when the range is a part that was hashed on its way in, or was copied before.

use std::ops::Range;
use std::sync::{Arc, PoisonError};

use super::Refusal;
use super::checksum::{Algorithm, Digester, Digests};
use super::model::Content;

/// The digests of a range, with that of `further` among them.
pub(crate) async fn of_range(
    content: &Arc<Content>,
    range: Range<u64>,
    further: Option<Algorithm>,
) -> Result<Digests, Refusal> {
    if let Some(known) = known(content, &range, further) {
        return Ok(known);
    }
    let data = content.data.slice(range.clone());
    let hashed = tokio::task::spawn_blocking(move || {
        let mut digester = Digester::new(further);
        for chunk in data.chunks() {
            digester.update(&chunk);
        }
        digester.finish()
    });
    let digests = hashed.await.map_err(Refusal::internal)?;
    remember(content, &range, digests.clone());
    Ok(digests)
}

/// Keeps digests that are known anyway, such as those of a body that was just received.
pub(crate) fn remember(content: &Content, range: &Range<u64>, digests: Digests) {
    content.known.lock().unwrap_or_else(PoisonError::into_inner).insert((range.start, range.end), digests);
}

fn known(content: &Content, range: &Range<u64>, further: Option<Algorithm>) -> Option<Digests> {
    let suits = |digests: &&Digests| further.is_none_or(|algorithm| digests.get(algorithm).is_some());
    let mut begin = 0;
    for part in &content.parts {
        if begin == range.start && begin + part.digests.size == range.end {
            return Some(&part.digests).filter(suits).cloned();
        }
        begin += part.digests.size;
    }
    let known = content.known.lock().unwrap_or_else(PoisonError::into_inner);
    known.get(&(range.start, range.end)).filter(suits).cloned()
}
