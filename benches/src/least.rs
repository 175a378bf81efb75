//! What an edit has to move, from the artifact's directory and the changes alone: what the function moved is held
//! against it.

use std::collections::HashSet;
use std::io::{Cursor, Write as _};

use anyhow::{Result, bail};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use zipedit::Directory;
use zipedit::directory::Search;

/// What the function reads of an artifact that it doesn't know, in bytes: a small directory is in it.
const TAIL: u64 = 512 << 10;
/// The shortest part that S3 copies if others follow it, in bytes.
const SHORTEST_COPY: u64 = 5 << 20;

/// In bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Least {
    /// What has to be moved, by the aim. For the first edit of an artifact: what changed, compressed; the directory
    /// twice; the tail. For others, as the artifact's end is known from the last: what changed, and the directory.
    pub(crate) needed: u64,
    /// What S3 can't copy, and nobody counts as needed: kept entries in runs of less than 5 MiB. They are uploaded, and
    /// by a first edit fetched, as far as they aren't in the tail.
    pub(crate) short_runs: u64,
}

impl Least {
    /// Of an edit that puts `texts` under names into the artifact of `size` bytes that has this directory.
    ///
    /// # Errors
    /// The `zip` crate refuses.
    pub(crate) fn of(directory: &Directory, size: u64, texts: &[(String, String)], is_first: bool) -> Result<Self> {
        let changed = texts.iter().map(|(name, text)| entry_size(name, text.as_bytes())).sum::<Result<u64>>()?;
        let read = if is_first { directory.size() + TAIL } else { 0 };
        let tail_start = if is_first { size.saturating_sub(TAIL) } else { 0 };
        let short_runs = short_runs(directory, texts, tail_start);
        Ok(Self { needed: changed + directory.size() + read, short_runs })
    }
}

fn short_runs(directory: &Directory, texts: &[(String, String)], tail_start: u64) -> u64 {
    let changed: HashSet<&str> = texts.iter().map(|(name, _)| name.as_str()).collect();
    let is_changed = |name: &str| changed.contains(name);
    let mut ends: Vec<_> = directory.entries().filter(|entry| is_changed(&entry.name())).map(|it| it.span()).collect();
    ends.push(directory.start()..directory.start());
    let (mut from, mut sum) = (0, 0);
    for dropped in ends {
        let run = from..dropped.start;
        if run.start < run.end && run.end - run.start < SHORTEST_COPY {
            sum += (run.end - run.start) + run.end.min(tail_start).saturating_sub(run.start);
        }
        from = dropped.end;
    }
    sum
}

/// Local header and data of an entry, in bytes.
fn entry_size(name: &str, content: &[u8]) -> Result<u64> {
    let archive = Bytes::from(zipped(name, content)?);
    match Directory::find(&archive, archive.len() as u64)? {
        Search::Found(directory) => Ok(directory.start()),
        Search::ReadFrom(_) => bail!("a zip of {name} has no directory"),
    }
}

/// A zip of one file.
///
/// # Errors
/// The `zip` crate refuses.
pub(crate) fn zipped(name: &str, content: &[u8]) -> Result<Vec<u8>> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file(name, zip::write::SimpleFileOptions::default())?;
    writer.write_all(content)?;
    Ok(writer.finish()?.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(entries: &[(&str, usize)]) -> (Directory, u64) {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        for (name, size) in entries {
            writer.start_file(*name, stored).unwrap();
            writer.write_all(&vec![b'x'; *size]).unwrap();
        }
        let archive = Bytes::from(writer.finish().unwrap().into_inner());
        let Search::Found(directory) = Directory::find(&archive, archive.len() as u64).unwrap() else {
            panic!("it is all there");
        };
        (directory, archive.len() as u64)
    }

    #[test]
    fn what_is_needed_is_the_entry_and_the_directory_and_at_first_that_again_and_the_tail() {
        let (directory, size) = archive(&[("large", 6 << 20), ("handler.js", 100)]);
        let texts = [("handler.js".to_owned(), "text".to_owned())];
        let later = Least::of(&directory, size, &texts, false).unwrap();
        let entry = 30 + "handler.js".len() as u64 + "text".len() as u64;
        // Deflate may make more of so short a text, by a few bytes.
        assert!((entry..entry + 8).contains(&(later.needed - directory.size())), "{later:?}");
        let first = Least::of(&directory, size, &texts, true).unwrap();
        assert_eq!(first.needed, later.needed + directory.size() + TAIL);
        assert_eq!((first.short_runs, later.short_runs), (0, 0));
    }

    #[test]
    fn a_run_that_is_too_short_to_be_copied_is_fetched_and_uploaded() {
        let (directory, size) = archive(&[("front", 400_000), ("handler.js", 100), ("large", 6 << 20)]);
        let texts = [("handler.js".to_owned(), "text".to_owned())];
        let front = 30 + "front".len() as u64 + 400_000;
        assert_eq!(Least::of(&directory, size, &texts, true).unwrap().short_runs, 2 * front);
        assert_eq!(Least::of(&directory, size, &texts, false).unwrap().short_runs, front);
        // What was read with the tail isn't fetched again.
        let (directory, size) = archive(&[("large", 6 << 20), ("handler.js", 100), ("behind", 1_000)]);
        let behind = 30 + "behind".len() as u64 + 1_000;
        assert_eq!(Least::of(&directory, size, &texts, true).unwrap().short_runs, behind);
    }
}
