//! Writers against each other: 64 edits at once while a full build takes the artifact's place, uploads that overlap, and

mod crowd;
mod overlaps;
