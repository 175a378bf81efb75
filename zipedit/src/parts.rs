//! Plan → the parts of a multipart upload. Pure.
//!
//! S3's rules: at most 10,000 parts, each of 5 MiB to 5 GiB, the last of any size. A run of at least the minimum is
//! copied inside the store, in parts of 16 MiB or more that go in parallel; everything between is uploaded. Where an
//! uploaded part in front of a copied run would be too short, it takes the first bytes of the run.

use std::collections::VecDeque;
use std::ops::Range;

use crate::plan::Piece;

const MIB: u64 = 1 << 20;

/// What a store's multipart uploads can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartLimits {
    /// Shortest part but for the last, and shortest run that is worth a copy, in bytes.
    pub min: u64,
    /// Length of the parts that are uploaded, in bytes; the last of a stretch has up to `min` more.
    pub upload: u64,
    /// Shortest length into which runs are cut for copying, in bytes.
    pub copy: u64,
}

impl PartLimits {
    /// S3's, with upload parts short enough that a few of them fit into a small function's memory.
    pub const S3: Self = Self { min: 5 * MIB, upload: 8 * MIB, copy: 16 * MIB };

    /// Runs are cut into so many parts at the most: they are copied all at once, and there are 10,000 in all.
    const COPIES_PER_RUN: u64 = 64;
    /// The longest part that S3 takes.
    const MAX: u64 = 5 << 30;
}

/// One part; they follow each other in the new object without gaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// These bytes of the old object, copied inside the store.
    Copy(Range<u64>),
    /// These pieces, sent by us; old bytes among them have to be read first.
    Upload(Vec<Piece>),
}

impl Part {
    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Part::Copy(range) => range.end - range.start,
            Part::Upload(pieces) => pieces.iter().map(Piece::len).sum(),
        }
    }

    /// Whether it has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Cuts `pieces` into parts.
#[must_use]
pub fn parts(pieces: &[Piece], limits: PartLimits) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut pending = Pending::default();
    for piece in pieces {
        match piece {
            Piece::Old(range) if range.end - range.start >= limits.min => {
                let missing = if pending.len == 0 { 0 } else { limits.min.saturating_sub(pending.len) };
                let rest = range.start + missing..range.end;
                if rest.end - rest.start >= limits.min {
                    pending.push(Piece::Old(range.start..rest.start));
                    pending.flush(&mut parts, limits, false);
                    parts.extend(cut(rest, limits).map(Part::Copy));
                } else {
                    pending.push(piece.clone());
                }
            }
            piece => pending.push(piece.clone()),
        }
    }
    pending.flush(&mut parts, limits, true);
    parts
}

/// Cuts a run into parts of nearly the same length.
fn cut(run: Range<u64>, limits: PartLimits) -> impl Iterator<Item = Range<u64>> {
    let len = run.end - run.start;
    let longest = limits.copy.max(len.div_ceil(PartLimits::COPIES_PER_RUN)).min(PartLimits::MAX);
    // Rounding down the count keeps every part at `longest` or more, but for a run that is shorter itself.
    let count = (len / longest).max(len.div_ceil(PartLimits::MAX)).max(1);
    let at = move |index: u64| {
        run.start + u64::try_from(u128::from(len) * u128::from(index) / u128::from(count)).unwrap_or(len)
    };
    (0..count).map(move |index| at(index)..at(index + 1))
}

#[derive(Default)]
struct Pending {
    pieces: Vec<Piece>,
    len: u64,
}

impl Pending {
    fn push(&mut self, piece: Piece) {
        if !piece.is_empty() {
            self.len += piece.len();
            self.pieces.push(piece);
        }
    }

    fn flush(&mut self, parts: &mut Vec<Part>, limits: PartLimits, last: bool) {
        let rest_min = if last { 1 } else { limits.min };
        let longest = limits.upload.max(limits.min).max(1);
        while self.len > 0 {
            let take = if self.len >= longest.saturating_add(rest_min) { longest } else { self.len };
            parts.push(Part::Upload(self.take(take)));
        }
    }

    /// Takes the first `len` bytes.
    fn take(&mut self, len: u64) -> Vec<Piece> {
        let mut taken = Vec::new();
        let mut missing = len;
        let mut rest = VecDeque::from(std::mem::take(&mut self.pieces));
        while missing > 0
            && let Some(piece) = rest.pop_front()
        {
            let (head, tail) = split(piece, missing);
            missing -= head.len();
            taken.push(head);
            if !tail.is_empty() {
                rest.push_front(tail);
            }
        }
        self.pieces = rest.into();
        self.len -= len;
        taken
    }
}

/// The first `len` bytes of a piece, all of it if it has fewer, and the rest.
fn split(piece: Piece, len: u64) -> (Piece, Piece) {
    match piece {
        Piece::Old(range) => {
            let at = range.end.min(range.start + len);
            (Piece::Old(range.start..at), Piece::Old(at..range.end))
        }
        Piece::New(mut bytes) => {
            let head = bytes.split_to(usize::try_from(len).map_or(bytes.len(), |len| len.min(bytes.len())));
            (Piece::New(head), Piece::New(bytes))
        }
    }
}
