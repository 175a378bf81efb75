//! Where things are.

use std::path::PathBuf;

/// This crate's directory.
#[must_use]
pub(crate) fn own() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The workspace's.
#[must_use]
pub(crate) fn workspace() -> PathBuf {
    own().join("..")
}

/// For what is downloaded, built and measured.
#[must_use]
pub(crate) fn target() -> PathBuf {
    workspace().join("target/benches")
}
