//! Archives to measure with.

use std::io::{Cursor, Write as _};

use bytes::Bytes;
use zip::result::ZipResult;
use zip::write::SimpleFileOptions;

/// An archive of so many entries with names as in `node_modules`. They have little content: a directory says the same
/// of small files and of large ones.
///
/// # Errors
/// When the `zip` crate refuses.
pub fn archive(entries: usize) -> ZipResult<Bytes> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for at in 0..entries {
        writer.start_file(name(at), options)?;
        writer.write_all(at.to_string().as_bytes())?;
    }
    Ok(writer.finish()?.into_inner().into())
}

/// The name of an entry of [`archive`].
#[must_use]
pub fn name(at: usize) -> String {
    format!("node_modules/@scope/package-{}/dist/lib/module-{at}.js", at / 40)
}
