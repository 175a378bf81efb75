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
///
/// All but the last have a rounded one. So a run that has grown or shrunk a little since the last edit, and begins where
/// it did, is cut at the same places, and a store that keeps the checksums of its parts has nothing to compute for them.
fn cut(run: Range<u64>, limits: PartLimits) -> impl Iterator<Item = Range<u64>> {
    let len = run.end - run.start;
    let longest = limits.copy.max(len.div_ceil(PartLimits::COPIES_PER_RUN)).min(PartLimits::MAX);
    // Rounding down the count keeps every part at `longest` or more, but for a run that is shorter itself.
    let count = (len / longest).max(len.div_ceil(PartLimits::MAX)).max(1);
    let even = len / count;
    // The last part gets what rounding takes from the others: of 64 no more than `copy`, of 15 a quarter of that.
    let rounding = (limits.copy / PartLimits::COPIES_PER_RUN).max(1);
    let rounded = even - even.saturating_sub(limits.copy) % rounding;
    let at = move |index: u64| {
        let from_start = match index {
            index if index == count => len,
            index if len <= PartLimits::MAX => rounded * index,
            // The last part has no room for more.
            index => u64::try_from(u128::from(len) * u128::from(index) / u128::from(count)).unwrap_or(len),
        };
        run.start + from_start
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

#[cfg(test)]
mod tests {
    use super::*;

    const S3: PartLimits = PartLimits::S3;

    fn copies(run: Range<u64>) -> Vec<Range<u64>> {
        cut(run, S3).collect()
    }

    #[test]
    fn a_run_that_has_grown_or_shrunk_a_little_is_cut_where_it_was() {
        // A project of 240 MB: what stood in front of the edited entry is behind the rest from the first edit on.
        let first = copies(400_000..230_000_000);
        let second = copies(0..230_000_000);
        let third = copies(0..229_990_000);
        let moved: Vec<_> = first.iter().map(|part| part.start - 400_000..part.end - 400_000).collect();
        let (last, others) = moved.split_last().unwrap();
        assert_eq!(others.len(), 12);
        assert_eq!((others, others), (&second[..12], &third[..12]));
        assert_eq!([last.end, second[12].end, third[12].end], [229_600_000, 230_000_000, 229_990_000]);
    }

    #[test]
    fn a_run_is_cut_into_as_few_parts_as_it_takes_and_the_last_is_not_much_longer() {
        for mib in [5, 16, 31, 32, 33, 60, 240, 250, 1_023] {
            for odd in [0, 1, 99_999, (1 << 20) - 1] {
                let len = (mib << 20) + odd;
                let parts = copies(7..7 + len);
                assert_eq!(parts.len() as u64, (len / S3.copy).max(1), "{len} bytes");
                assert_eq!((parts[0].start, parts[parts.len() - 1].end), (7, 7 + len));
                assert!(parts.windows(2).all(|pair| pair[0].end == pair[1].start), "{parts:?}");
                let shortest = parts.iter().map(|part| part.end - part.start).min().unwrap();
                let longest = parts.iter().map(|part| part.end - part.start).max().unwrap();
                assert!(shortest >= S3.copy.min(len), "{len} bytes: a part of {shortest}");
                let rounding = S3.copy / 64 * parts.len() as u64;
                assert!(longest < shortest + rounding + 64, "{len} bytes: {shortest} and {longest}");
            }
        }
    }
}
