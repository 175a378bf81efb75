//! Object bytes as a list of slices of shared, unchangeable segments.
//!
//! A body that was uploaded is one segment. A part copy takes slices of its source's segments, and completing an upload
//! puts the slices of its parts in a row: neither copies a byte.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The bytes of one uploaded body.
#[derive(Debug, Default)]
pub(crate) struct Segment {
    /// Its name on disk.
    pub(crate) id: String,
    chunks: Vec<Bytes>,
    /// Where each chunk begins, and the end of the last.
    bounds: Vec<u64>,
    /// Where a data directory keeps it: dropped with the segment.
    _file: Option<SegmentFile>,
}

impl Segment {
    pub(crate) fn new(id: String, chunks: Vec<Bytes>, file: Option<SegmentFile>) -> Self {
        let mut bounds = vec![0];
        let mut end = 0;
        for chunk in &chunks {
            end += chunk.len() as u64;
            bounds.push(end);
        }
        Self { id, chunks, bounds, _file: file }
    }

    pub(crate) fn size(&self) -> u64 {
        self.bounds.last().copied().unwrap_or(0)
    }

    /// The chunks that make up a range, cut to it.
    fn chunks(&self, range: Range<u64>) -> impl Iterator<Item = Bytes> {
        let first = self.bounds.partition_point(|bound| *bound <= range.start).saturating_sub(1);
        self.chunks.iter().zip(&self.bounds).skip(first).map_while(move |(chunk, begin)| {
            let from = usize::try_from(range.start.saturating_sub(*begin)).ok()?;
            let to = usize::try_from(range.end.saturating_sub(*begin)).ok()?.min(chunk.len());
            (from < to).then(|| chunk.slice(from..to))
        })
    }
}

/// A segment's file. It goes when the last object that uses it has gone, unless the whole store is being closed.
#[derive(Debug)]
pub(crate) struct SegmentFile {
    pub(crate) path: PathBuf,
    pub(crate) open: Arc<AtomicBool>,
}

impl Drop for SegmentFile {
    fn drop(&mut self) {
        if self.open.load(Ordering::Acquire) {
            // If it can't be removed now, the next start finds that nothing uses it.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// A piece of a segment.
#[derive(Clone, Debug)]
struct Slice {
    segment: Arc<Segment>,
    begin: u64,
    end: u64,
}

/// A run of bytes, in memory shared with other ropes. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rope {
    slices: Vec<Slice>,
    size: u64,
}

impl Rope {
    pub(crate) fn of_segment(segment: Arc<Segment>) -> Self {
        let mut rope = Self::default();
        let end = segment.size();
        rope.push(Slice { segment, begin: 0, end });
        rope
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    fn push(&mut self, slice: Slice) {
        if slice.begin == slice.end {
            return;
        }
        self.size += slice.end - slice.begin;
        match self.slices.last_mut() {
            // Neighbours in one segment are one slice again: a rope doesn't fragment.
            Some(last) if Arc::ptr_eq(&last.segment, &slice.segment) && last.end == slice.begin => last.end = slice.end,
            _ => self.slices.push(slice),
        }
    }

    pub(crate) fn append(&mut self, other: &Self) {
        for slice in &other.slices {
            self.push(slice.clone());
        }
    }

    /// The bytes of a range that lies within the rope.
    pub(crate) fn slice(&self, range: Range<u64>) -> Self {
        let mut rope = Self::default();
        let mut at = 0;
        for slice in &self.slices {
            let length = slice.end - slice.begin;
            let from = range.start.saturating_sub(at).min(length);
            let to = range.end.saturating_sub(at).min(length);
            if from < to {
                rope.push(Slice {
                    segment: Arc::clone(&slice.segment),
                    begin: slice.begin + from,
                    end: slice.begin + to,
                });
            }
            at += length;
        }
        rope
    }

    /// The bytes, without copying any.
    pub(crate) fn chunks(&self) -> Vec<Bytes> {
        self.slices.iter().flat_map(|slice| slice.segment.chunks(slice.begin..slice.end)).collect()
    }

    /// Replaces the segments that were read from a record by the ones that hold the bytes. `None` when one is missing.
    pub(crate) fn resolve(&mut self, segments: &impl Fn(&str) -> Option<Arc<Segment>>) -> Option<()> {
        for slice in &mut self.slices {
            slice.segment = segments(&slice.segment.id).filter(|segment| segment.size() >= slice.end)?;
        }
        Some(())
    }
}

/// On disk a rope is a list of segment ids and positions.
impl Serialize for Rope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.slices.iter().map(|slice| (&slice.segment.id, slice.begin, slice.end)))
    }
}

/// Read back, it names its segments but lacks their bytes until [`Rope::resolve`].
impl<'de> Deserialize<'de> for Rope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let slices: Vec<(String, u64, u64)> = Deserialize::deserialize(deserializer)?;
        let mut rope = Self::default();
        for (id, begin, end) in slices {
            rope.push(Slice { segment: Arc::new(Segment { id, ..Segment::default() }), begin, end: end.max(begin) });
        }
        Ok(rope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rope(chunks: &[&'static [u8]]) -> Rope {
        let chunks = chunks.iter().map(|chunk| Bytes::from_static(chunk)).collect();
        Rope::of_segment(Arc::new(Segment::new("s".to_owned(), chunks, None)))
    }

    fn bytes(rope: &Rope) -> Vec<u8> {
        rope.chunks().concat()
    }

    #[test]
    fn every_slice_has_the_bytes_of_its_range() {
        let mut rope = rope(&[b"abc", b"defg", b"h"]);
        rope.append(&self::rope(&[b"ijk"]));
        let whole = b"abcdefghijk";
        assert_eq!(rope.size(), 11);
        for begin in 0..=11_usize {
            for end in begin..=11 {
                let slice = rope.slice(begin as u64..end as u64);
                assert_eq!(bytes(&slice), &whole[begin..end], "{begin}..{end}");
                assert_eq!(slice.size(), (end - begin) as u64);
            }
        }
    }

    #[test]
    fn slices_that_meet_again_are_one() {
        let rope = rope(&[b"abcdef"]);
        let mut joined = rope.slice(0..3);
        joined.append(&rope.slice(3..6));
        assert_eq!(joined.slices.len(), 1);
        assert_eq!(bytes(&joined), b"abcdef");
    }

    #[test]
    fn slicing_copies_no_bytes() {
        let rope = rope(&[b"abcdef"]);
        let original = rope.chunks()[0].as_ptr() as usize;
        assert_eq!(rope.slice(2..4).chunks()[0].as_ptr() as usize, original + 2);
    }
}
