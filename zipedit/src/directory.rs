//! The central directory: found and parsed from the object's tail alone.
//!
//! Everything that an edit needs stands here: names, CRC-32s, sizes and where each entry starts. The *span* of an entry
//! runs from its local header to the next one's (to the directory for the last), so data descriptors and padding travel
//! with their entry, and no local header is ever read, let alone trusted. The records themselves are kept as they are
//! and copied into the new directory verbatim, only their offset patched: extra fields, comments and whatever future
//! versions put there survive.
//!
//! What makes that unsafe is refused: counts that don't match, spans that overlap, offsets outside, entries on other
//! disks, an encrypted directory, an entry with two names.

mod record;

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

pub use self::record::Entry;
pub(crate) use self::record::extra_fields;
use self::record::{RECORD_SIZE, Record};
use crate::changes::printable;
use crate::end_record::{self, EndRecord};
use crate::error::FormatError;

/// The longest central directory that is read: about 500,000 entries. More is refused rather than held in memory.
pub const MAX_DIRECTORY: u64 = 64 << 20;

/// The most that may stand between a directory and its end record, in bytes.
const MAX_BEHIND: u64 = 1 << 20;

pub(crate) const LOCAL_HEADER_SIZE: u64 = 30;

/// The central directory of an archive.
#[derive(Debug, Clone)]
pub struct Directory {
    /// The records, verbatim.
    bytes: Bytes,
    /// Offset of the directory: where the last entry's span ends.
    start: u64,
    /// In the order in which the entries stand in the archive. Shared, as the bytes are: of many thousands a copy costs more
    /// than a comparison.
    records: Arc<Vec<Record>>,
    comment: Vec<u8>,
}

/// What came of looking for a directory in a tail.
#[derive(Debug)]
pub enum Search {
    /// It is all there.
    Found(Directory),
    /// It starts before the tail: read from this offset on, and look again.
    ReadFrom(u64),
}

impl Directory {
    /// Looks for the directory in `tail`, the last bytes of an object of `size` bytes: all of them, or so many that an
    /// end record with the longest comment is among them (64 KiB and some).
    ///
    /// # Errors
    /// [`FormatError::NotAZip`] without an end record, [`FormatError::Unsupported`] when directory and end record don't
    /// fit together or the archive is of a kind that can't be edited without guessing.
    pub fn find(tail: &Bytes, size: u64) -> Result<Search, FormatError> {
        let Some(tail_start) = size.checked_sub(tail.len() as u64) else {
            return Err(FormatError::NotAZip(format!("it has {size} bytes, and {} were read at its end", tail.len())));
        };
        let end_records_in = tail.len().saturating_sub(usize::try_from(end_record::MAX_TAIL).unwrap_or(usize::MAX));
        let mut first_error = None;
        for end in end_record::candidates(&tail[end_records_in..], size)? {
            match Self::find_by(&end, tail, tail_start) {
                Ok(search) => return Ok(search),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        Err(first_error.unwrap_or_else(|| FormatError::NotAZip("there is no end record".into())))
    }

    fn find_by(end: &EndRecord, tail: &Bytes, tail_start: u64) -> Result<Search, FormatError> {
        let room = end.directory_limit.checked_sub(end.directory_size);
        let Some((start, before)) = room.and_then(|start| Some((start, start.checked_sub(end.directory_offset)?)))
        else {
            return Err(FormatError::Unsupported(format!(
                "its end record names a central directory of {} bytes at offset {}, which does not fit before the end \
                 record at {}: the archive is cut short or damaged, make it again",
                end.directory_size, end.directory_offset, end.directory_limit
            )));
        };
        if end.directory_size > MAX_DIRECTORY {
            return Err(FormatError::Unsupported(format!(
                "its central directory has {} bytes, more than the {MAX_DIRECTORY} that are edited: leave \
                 entries out, or give them shorter names",
                end.directory_size
            )));
        }
        let window = |start: u64| {
            let from = usize::try_from(start.checked_sub(tail_start)?).ok()?;
            Some(tail.slice(from..from + usize::try_from(end.directory_size).ok()?))
        };
        let Some(bytes) = window(start) else { return Ok(Search::ReadFrom(start)) };
        // `before` bytes were put before the archive (a self-extractor's program) …
        let first = Self::parse(bytes, start, before, end);
        let far = end.directory_limit - end.directory_offset > end.directory_size + MAX_BEHIND;
        if first.is_ok() || before == 0 || far {
            return first.map(Search::Found);
        }
        // … or they stand between the directory and its end record (a signature of the archive, which an edit breaks).
        match window(end.directory_offset) {
            None => Ok(Search::ReadFrom(end.directory_offset)),
            Some(bytes) => match Self::parse(bytes, end.directory_offset, 0, end) {
                Ok(directory) => Ok(Search::Found(directory)),
                Err(_) => first.map(Search::Found),
            },
        }
    }

    fn parse(bytes: Bytes, start: u64, before: u64, end: &EndRecord) -> Result<Self, FormatError> {
        let mut records = Vec::with_capacity(bytes.len() / (RECORD_SIZE + 8));
        let mut at = 0;
        while at < bytes.len() {
            let record = Record::parse(&bytes, at, before)
                .map_err(|what| FormatError::Unsupported(format!("entry {} of its directory {what}", records.len())))?;
            at += record.len as usize;
            records.push(record);
        }
        if records.len() as u64 != end.entries {
            return Err(FormatError::Unsupported(format!(
                "its end record counts {} entries and its directory has {}: the archive is damaged, or was \
                 written without zip64 by a program that needs it for so many; make it again",
                end.entries,
                records.len()
            )));
        }
        if !records.is_sorted_by_key(|record| record.offset) {
            records.sort_by_key(|record| record.offset);
        }
        let directory = Self { bytes, start, records: Arc::new(records), comment: end.comment.clone() };
        directory.check_spans()?;
        directory.check_names()?;
        Ok(directory)
    }

    /// Some readers would take one name and some the other, and an edit of one would be an edit of both.
    fn check_names(&self) -> Result<(), FormatError> {
        match self.entries().find_map(|entry| Some((entry, entry.second_name()?))) {
            None => Ok(()),
            Some((entry, second)) => Err(FormatError::Unsupported(format!(
                "its entry `{}` says that its name is UTF-8, and has an extra field by which it is `{}`: make the archive \
                 again, so that readers agree",
                printable(&entry.name()),
                printable(second)
            ))),
        }
    }

    fn check_spans(&self) -> Result<(), FormatError> {
        for entry in self.entries() {
            let span = entry.span();
            let needed = LOCAL_HEADER_SIZE
                .checked_add(entry.name_bytes().len() as u64)
                .and_then(|header| header.checked_add(entry.compressed_size()));
            if needed.is_none_or(|needed| span.end.saturating_sub(span.start) < needed) {
                return Err(FormatError::Unsupported(format!(
                    "the entry `{}` at offset {} does not end before what follows it at {}: entries overlap, or the \
                     archive is damaged; make it again",
                    printable(&entry.name()),
                    span.start,
                    span.end
                )));
            }
        }
        Ok(())
    }

    /// Whether the entries are listed in the order in which they stand in the archive.
    pub(crate) fn is_listed_in_order(&self) -> bool {
        self.records.is_sorted_by_key(|record| record.at)
    }

    /// The entries, in the order in which they stand in the archive.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = Entry<'_>> + DoubleEndedIterator {
        (0..self.records.len()).map(|index| self.entry(index))
    }

    pub(crate) fn entry(&self, index: usize) -> Entry<'_> {
        Entry { directory: self, index }
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Size of the records in bytes, without the end record.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Offset of the directory from the start of the object.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.start
    }

    /// The bytes before the first entry: a self-extractor's program, an interpreter line.
    #[must_use]
    pub fn prefix(&self) -> Range<u64> {
        0..self.records.first().map_or(self.start, |record| record.offset)
    }

    /// The archive's comment.
    #[must_use]
    pub fn comment(&self) -> &[u8] {
        &self.comment
    }
}
