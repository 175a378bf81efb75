//! What the fuzz targets do, as plain functions of bytes.
//!
//! libFuzzer runs them by way of `fuzz/`, a workspace of its own; `tests/smoke.rs` runs them over the committed seeds and
//! a fixed number of pseudo-random inputs, so that they don't rot. A body panics when something doesn't hold.
//!
//! Bytes that begin as a zip archive are one; what is to be done with it then follows from their checksum, so that any
//! archive can be a seed. All others are [`Choices`]: they say which archive to write, with which oddities, which of its
//! bytes to overwrite by lies, and what to do with it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

// The integration tests' writer of archives. Not all of it is used here.
#[allow(dead_code, unreachable_pub)]
#[path = "../../../zipedit/tests/it/archive.rs"]
mod archive;
mod choices;
pub mod directory;
pub mod event;
mod made;
pub mod overlay;
pub mod parts;
pub mod plan;
pub mod readers;
mod seeds;
mod store;

pub use choices::Choices;
pub use seeds::seeds;

/// What a target does with an input. It says whether it came as far as what it is about: most inputs are refused before.
pub type Body = fn(&[u8]) -> bool;

/// Every target by its name.
pub const TARGETS: [(&str, Body); 6] = [
    ("directory", directory::run),
    ("plan", plan::run),
    ("parts", parts::run),
    ("event", event::run),
    ("overlay", overlay::run),
    ("readers", readers::run),
];
/// The archive that an input is about, to be looked at with other tools.
#[must_use]
pub fn archive_of(input: &[u8]) -> bytes::Bytes {
    made::Made::of(input).archive
}
