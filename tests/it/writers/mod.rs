//! Writers against each other: 64 edits at once while a full build takes the artifact's place, and uploads that overlap.

mod crowd;
mod overlaps;
