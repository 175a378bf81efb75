//! Files in the state directory, `.quickdeploy`, of which each artifact has one: replaced as a whole, ignored by git, and
//! not more of them than are good for anything.

use std::io::Write as _;
use std::path::Path;
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};

/// The name of the file about this artifact.
pub(crate) fn name_of(artifact: &str) -> String {
    let digest = Sha256::digest(artifact);
    digest[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Replaces a file in a directory of the state directory: whole or not at all, since another run may be reading. It can be
/// read by its owner only. Of more than `most` files in its directory, the oldest go.
pub(crate) fn replace(file: &Path, content: &[u8], most: usize) -> std::io::Result<()> {
    let Some(directory) = file.parent() else { return Ok(()) };
    std::fs::create_dir_all(directory)?;
    if let Some(ignore) = directory.parent().map(|state| state.join(".gitignore")).filter(|it| !it.exists()) {
        std::fs::write(ignore, "*\n")?;
    }
    // Readable by its owner only.
    let mut new = tempfile::Builder::new().prefix(".new-").tempfile_in(directory)?;
    new.write_all(content)?;
    new.persist(file).map_err(|error| error.error)?;
    prune(directory, most)
}

/// Removes what has not been written for the longest time, also of runs that were killed while they wrote.
fn prune(directory: &Path, most: usize) -> std::io::Result<()> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        // Another run may have removed it.
        if let Ok(metadata) = entry.metadata() {
            files.push((metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH), entry.path()));
        }
    }
    files.sort_unstable_by(|(a, _), (b, _)| b.cmp(a));
    for (_, path) in files.iter().skip(most) {
        let _ = std::fs::remove_file(path);
    }
    Ok(())
}
