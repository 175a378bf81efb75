//! Further puts for an edit, out of another zip: for change sets that are too large for a request.
//!
//! Deflated entries are taken over as they stand, after a check that they inflate to what their record says. Each is a
//! put like any other: it has no mode of its own, so a replaced entry keeps its mode and a new one gets 0755.

use bytes::Bytes;

use crate::artifact::{TAIL, joined};
use crate::bytes_le::u16_at;
use crate::changes::{Change, Changes, Content, EntryName, printable};
use crate::directory::{Directory, Entry, LOCAL_HEADER_SIZE, Search};
use crate::entry::{DEFLATED, STORED};
use crate::error::{Error, FormatError};
use crate::plan::MAX_UNZIPPED;
use crate::stop::Stop;
use crate::store::{Object as _, Store};

/// The largest overlay, in bytes: it is held in memory.
pub const MAX_OVERLAY: u64 = 64 << 20;

/// Reads the puts in the zip that `store` has.
///
/// # Errors
/// As for an artifact; [`Error::TooLarge`] above [`MAX_OVERLAY`], [`Error::UnsupportedZip`] for entries that can't be
/// puts (encrypted, links, methods other than deflate, contents that don't match their records); what `stop` says.
pub async fn read_overlay<S: Store>(store: &S, stop: &Stop) -> Result<Changes, Error> {
    let location = store.location();
    let read = async {
        let (object, tail) = store.tail(TAIL).await?;
        let before = object.size() - tail.len() as u64;
        if before == 0 || object.size() > MAX_OVERLAY {
            return Ok((object.size(), tail));
        }
        let front = store.read(&object, 0..before).await?;
        Ok((object.size(), joined(&front, &tail)))
    };
    let read = stop.or_result_of(read).await.map_err(|stopped| Error::stopped(location, stopped))?;
    let (size, archive) = read.map_err(|error| Error::store(location, error))?;
    if size > MAX_OVERLAY {
        return Err(Error::TooLarge(format!(
            "the overlay {location} has {size} bytes, {MAX_OVERLAY} at most are taken: send it in several edits"
        )));
    }
    puts_in(&archive).map_err(|error| Error::at(location, error))
}

fn puts_in(archive: &Bytes) -> Result<Changes, FormatError> {
    let Search::Found(directory) = Directory::find(archive, archive.len() as u64)? else {
        return Err(FormatError::Unsupported("its directory is not in it".into()));
    };
    let unzipped = directory.entries().fold(0_u64, |sum, entry| sum.saturating_add(entry.size()));
    if unzipped > MAX_UNZIPPED {
        return Err(FormatError::TooLarge(format!(
            "the overlay has {unzipped} bytes unzipped, more than the {MAX_UNZIPPED} that Lambda takes of an artifact"
        )));
    }
    let mut puts = Changes::new();
    for entry in directory.entries().filter(|entry| !entry.is_dir()) {
        let refuse = |what: &str| FormatError::Unsupported(format!("its entry `{}` {what}", printable(&entry.name())));
        let name = EntryName::new(entry.name()).map_err(|error| refuse(error.reason))?;
        let content = content(archive, entry).map_err(refuse)?;
        if puts.put(name, content).is_some() {
            return Err(refuse("is there twice"));
        }
    }
    Ok(puts)
}

fn content(archive: &Bytes, entry: Entry<'_>) -> Result<Content, &'static str> {
    if entry.is_encrypted() {
        return Err("is encrypted");
    }
    if entry.is_symlink() {
        return Err("is a symbolic link; put the file that it points to");
    }
    let data = data(archive, entry).ok_or("does not have its data where its record says")?;
    match entry.method() {
        DEFLATED => Content::from_deflated(data, entry.size(), entry.crc32()),
        STORED => {
            let content = Content::new(data);
            match content.size() == entry.size() && content.crc32() == entry.crc32() {
                true => Ok(content),
                false => Err("does not have the size and CRC-32 of its record"),
            }
        }
        _ => Err("is compressed by a method other than deflate"),
    }
}

/// The data of an entry. Here, unlike in an artifact, the local header has to be asked how long it is.
fn data(archive: &Bytes, entry: Entry<'_>) -> Option<Bytes> {
    let span = entry.span();
    let span = archive.get(usize::try_from(span.start).ok()?..usize::try_from(span.end).ok()?)?;
    if !span.starts_with(b"PK\x03\x04") {
        return None;
    }
    let header = usize::try_from(LOCAL_HEADER_SIZE).ok()?;
    let start = header + usize::from(u16_at(span, header - 4)) + usize::from(u16_at(span, header - 2));
    let data = span.get(start..start.checked_add(usize::try_from(entry.compressed_size()).ok()?)?)?;
    Some(archive.slice_ref(data))
}

impl Changes {
    /// Adds the puts of an overlay.
    ///
    /// # Errors
    /// The name that both have.
    pub fn merge(&mut self, overlay: Changes) -> Result<(), EntryName> {
        for (name, change) in overlay {
            if self.get(name.as_str()).is_some() {
                return Err(name);
            }
            match change {
                Change::Put(content) => drop(self.put(name, content)),
                Change::Delete => drop(self.delete(name)),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write as _};

    use zip::write::SimpleFileOptions;

    use super::*;

    fn archive(entries: &[(&str, &[u8], SimpleFileOptions)]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content, options) in entries {
            if name.ends_with('/') {
                writer.add_directory(*name, *options).unwrap();
            } else {
                writer.start_file(*name, *options).unwrap();
                writer.write_all(content).unwrap();
            }
        }
        writer.finish().unwrap().into_inner()
    }

    fn options() -> SimpleFileOptions {
        SimpleFileOptions::default()
    }

    #[test]
    fn entries_become_puts_and_deflated_ones_stay_deflated() {
        let text = b"some text, some text, some text".repeat(10);
        let stored = options().compression_method(zip::CompressionMethod::Stored);
        let entries = [("a/b", &text[..], options()), ("c", b"x", stored), ("d/", b"", options())];
        let puts = puts_in(&archive(&entries).into()).unwrap();
        let contents: Vec<_> = puts
            .iter()
            .map(|(name, change)| match change {
                Change::Put(content) => (name.as_str(), content.plain(), content.deflated()),
                Change::Delete => panic!("an overlay has puts only"),
            })
            .collect();
        assert_eq!(contents.len(), 2, "directories are no puts");
        assert_eq!((contents[0].0, &contents[0].1[..]), ("a/b", &text[..]));
        assert!(contents[0].2.len() < text.len());
        assert_eq!((contents[1].0, &contents[1].1[..]), ("c", &b"x"[..]));
    }

    #[test]
    fn what_cannot_be_a_put_is_refused_by_name() {
        for name in ["../x", "/x", "a\\b"] {
            let error = puts_in(&archive(&[(name, b"x", options())]).into()).unwrap_err();
            assert!(error.to_string().contains(&format!("`{name}`")), "{error}");
        }
        let mut damaged = archive(&[("a", b"content", options().compression_method(zip::CompressionMethod::Stored))]);
        damaged[31] ^= 1;
        let error = puts_in(&damaged.into()).unwrap_err();
        assert!(error.to_string().contains("CRC-32"), "{error}");
    }
}
