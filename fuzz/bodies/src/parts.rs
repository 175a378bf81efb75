//! Cutting a plan's pieces into the parts of an upload.

use bytes::Bytes;
use zipedit::parts::{Part, PartLimits, parts};
use zipedit::plan::Piece;

use crate::choices::Choices;

/// Any pieces, any limits: the parts are the pieces in their order, without gaps, and as long as a store wants them.
pub fn run(data: &[u8]) -> bool {
    let mut choices = Choices::new(data);
    let min = u64::from(choices.short() % 400) + 1;
    let limits = PartLimits {
        min,
        upload: min + u64::from(choices.short() % 400),
        copy: min + u64::from(choices.short() % 400),
    };
    // Behind 4 GiB, or far behind, everything is as it is before.
    let base = choices.pick(&[0, 0xFFFF_FF00, 1 << 50]);
    let mut pieces = Vec::new();
    while !choices.is_empty() && pieces.len() < 64 {
        let len = u64::from(choices.short() % 2000);
        pieces.push(match choices.once_in(2) {
            true => Piece::New(Bytes::from(vec![choices.byte(); usize::try_from(len).unwrap()])),
            false => {
                let start = base + u64::from(choices.short());
                let len = len * choices.pick(&[1, 1, 1, 100, 1 << 30]);
                Piece::Old(start..start + len)
            }
        });
    }
    let cut = parts(&pieces, limits);
    let mut flat = Vec::new();
    for (index, part) in cut.iter().enumerate() {
        assert!(!part.is_empty(), "part {index} is empty");
        assert!(index + 1 == cut.len() || part.len() >= min, "part {index} has {} bytes only", part.len());
        match part {
            Part::Copy(range) => {
                assert!(part.len() >= min && part.len() <= 5 << 30, "a copy of {} bytes", part.len());
                flat.push(Piece::Old(range.clone()));
            }
            Part::Upload(pieces) => {
                assert!(part.len() < limits.upload + 2 * min, "part {index} has {} bytes to upload", part.len());
                flat.extend(pieces.iter().cloned());
            }
        }
    }
    assert_eq!(merged(&flat), merged(&pieces), "the parts are not the pieces");
    cut.len() > 1
}

/// The same stretch of bytes in as few pieces as it can be said with.
fn merged(pieces: &[Piece]) -> Vec<Piece> {
    let mut merged: Vec<Piece> = Vec::new();
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        match (merged.last_mut(), piece) {
            (Some(Piece::Old(last)), Piece::Old(next)) if last.end == next.start => last.end = next.end,
            (Some(Piece::New(last)), Piece::New(next)) => *last = [&last[..], next].concat().into(),
            (_, piece) => merged.push(piece.clone()),
        }
    }
    merged
}
