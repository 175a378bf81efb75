//! The end of central directory record: finding it in an object's tail, reading it, writing it (APPNOTE 4.3.14–16).
//!
//! The record is searched from the end backwards. A candidate counts only if its comment ends where the object ends:
//! that rejects most end records that stand *inside* an archive comment or an entry, and there may be a few only, as each
//! could name another directory that would have to be read. What it says of the directory is
//! believed only after the directory was found there (see [`crate::directory`]), else the search goes on below it.

use crate::bytes_le::{put_u16, put_u32, put_u64, u16_at, u32_at, u64_at};
use crate::error::FormatError;

const SIGNATURE: &[u8] = b"PK\x05\x06";
const SIZE: usize = 22;
const ZIP64_SIGNATURE: &[u8] = b"PK\x06\x06";
const ZIP64_SIZE: usize = 56;
const LOCATOR_SIGNATURE: &[u8] = b"PK\x06\x07";
const LOCATOR_SIZE: usize = 20;

/// Whatever the comment, the end record and its zip64 companions are within so many bytes of the object's end.
pub(crate) const MAX_TAIL: u64 = (SIZE + u16::MAX as usize + LOCATOR_SIZE + ZIP64_SIZE) as u64;

/// So many end records may fit the object's end. More were put there to keep readers busy.
const MAX_CANDIDATES: usize = 16;

/// What an end record says. Offsets are bytes from the start of the object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EndRecord {
    /// How many entries there are, by its word.
    pub(crate) entries: u64,
    /// Size of the central directory, by its word.
    pub(crate) directory_size: u64,
    /// Offset of the central directory, by its word; less than the truth when something was put before the archive.
    pub(crate) directory_offset: u64,
    /// Where the (zip64) end record itself starts: the directory can't reach further.
    pub(crate) directory_limit: u64,
    /// The archive's comment.
    pub(crate) comment: Vec<u8>,
}

/// The end records in `tail`, the last bytes of an object of `size` bytes; the likeliest first.
///
/// # Errors
/// `NotAZip` when there is none; `Unsupported` when there is one, but for a multi-disk archive, or with zip64 records
/// that contradict it, or with bytes behind it; and when there are too many.
pub(crate) fn candidates(tail: &[u8], size: u64) -> Result<Vec<EndRecord>, FormatError> {
    let tail_start = size - tail.len() as u64;
    let mut found = Vec::new();
    let mut refused = None;
    let Some(last) = tail.len().checked_sub(SIZE) else {
        return Err(FormatError::NotAZip(format!("it has {size} bytes, an end record alone has {SIZE}")));
    };
    let lowest = last.saturating_sub(usize::from(u16::MAX));
    let mut with_bytes_behind = false;
    for at in (lowest..=last).rev() {
        if !tail[at..].starts_with(SIGNATURE) {
            continue;
        }
        let comment_size = usize::from(u16_at(tail, at + 20));
        if at + SIZE + comment_size != tail.len() {
            with_bytes_behind |= at + SIZE + comment_size < tail.len();
            continue;
        }
        match read(tail, tail_start, at) {
            Ok(_) if found.len() == MAX_CANDIDATES => {
                return Err(FormatError::Unsupported(format!(
                    "its comment holds more than {MAX_CANDIDATES} end records, each of which could be the archive's own; \
                     make it again without that comment"
                )));
            }
            Ok(record) => found.push(record),
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    // An empty archive behind other bytes is more likely a comment that looks like an end record.
    found.sort_by_key(|record| record.entries == 0 && record.directory_offset < record.directory_limit);
    match (found.is_empty(), refused) {
        (false, _) => Ok(found),
        (true, Some(error)) => Err(error),
        (true, None) if with_bytes_behind => Err(FormatError::Unsupported(
            "there are bytes behind its end record; make it again, or cut them off (`zip -F`)".into(),
        )),
        (true, None) => Err(FormatError::NotAZip(
            "there is no end of central directory record at its end: it is something else, or cut short".into(),
        )),
    }
}

/// Whether nothing behind the end record's first byte looks like another one, whole or cut off; `tail` ends with it and
/// its `comment`.
pub(crate) fn is_the_last(tail: &[u8], comment: &[u8]) -> bool {
    let behind = tail.len().saturating_sub(SIZE + comment.len()) + 1;
    !tail.get(behind..).is_some_and(|behind| behind.windows(SIGNATURE.len()).any(|bytes| bytes == SIGNATURE))
}

fn read(tail: &[u8], tail_start: u64, at: usize) -> Result<EndRecord, FormatError> {
    let record = EndRecord {
        entries: u64::from(u16_at(tail, at + 10)),
        directory_size: u64::from(u32_at(tail, at + 12)),
        directory_offset: u64::from(u32_at(tail, at + 16)),
        directory_limit: tail_start + at as u64,
        comment: tail[at + SIZE..].to_vec(),
    };
    let on_disk = u64::from(u16_at(tail, at + 8));
    let disks = [u16_at(tail, at + 4), u16_at(tail, at + 6)];
    let zip64 = at.checked_sub(LOCATOR_SIZE).filter(|&at| tail[at..].starts_with(LOCATOR_SIGNATURE));
    if let Some(locator) = zip64 {
        let refers_to_zip64 = record.entries == u64::from(u16::MAX)
            || record.directory_size == u64::from(u32::MAX)
            || record.directory_offset == u64::from(u32::MAX);
        match zip64_record(tail, tail_start, locator) {
            Ok(at) => return read_zip64(tail, tail_start, at, record, on_disk, disks),
            Err(error) if refers_to_zip64 => return Err(error),
            // The end of a name or of a comment that looks like a locator.
            Err(_) => {}
        }
    }
    if disks != [0, 0] || on_disk != record.entries {
        return Err(multi_disk());
    }
    Ok(record)
}

/// Where the zip64 end record stands that the locator at `locator` points at.
fn zip64_record(tail: &[u8], tail_start: u64, locator: usize) -> Result<usize, FormatError> {
    if u32_at(tail, locator + 4) != 0 || u32_at(tail, locator + 16) > 1 {
        return Err(multi_disk());
    }
    // Where the locator says, or, when something was put before the archive, right before the locator.
    let named = u64_at(tail, locator + 8).checked_sub(tail_start).and_then(|at| usize::try_from(at).ok());
    [named, locator.checked_sub(ZIP64_SIZE)]
        .into_iter()
        .flatten()
        .find(|&at| {
            at.checked_add(ZIP64_SIZE).is_some_and(|end| end <= locator) && tail[at..].starts_with(ZIP64_SIGNATURE)
        })
        .ok_or_else(|| {
            FormatError::Unsupported(
                "its zip64 locator points at no zip64 end record; make it again, or mend it (`zip -F`)".into(),
            )
        })
}

fn read_zip64(
    tail: &[u8],
    tail_start: u64,
    at: usize,
    classic: EndRecord,
    on_disk: u64,
    disks: [u16; 2],
) -> Result<EndRecord, FormatError> {
    let zip64 = EndRecord {
        entries: u64_at(tail, at + 32),
        directory_size: u64_at(tail, at + 40),
        directory_offset: u64_at(tail, at + 48),
        directory_limit: tail_start + at as u64,
        comment: classic.comment,
    };
    let agrees = |classic: u64, sentinel: u64, zip64: u64| classic == sentinel || classic == zip64;
    let (short, long) = (u64::from(u16::MAX), u64::from(u32::MAX));
    if !agrees(classic.entries, short, zip64.entries)
        || !agrees(on_disk, short, zip64.entries)
        || !agrees(classic.directory_size, long, zip64.directory_size)
        || !agrees(classic.directory_offset, long, zip64.directory_offset)
    {
        return Err(FormatError::Unsupported(
            "its end record and its zip64 end record contradict each other; make it again, or mend it (`zip -F`)"
                .into(),
        ));
    }
    let on_first_disk = |disk: u16| disk == 0 || disk == u16::MAX;
    if !disks.into_iter().all(on_first_disk)
        || u32_at(tail, at + 16) != 0
        || u32_at(tail, at + 20) != 0
        || u64_at(tail, at + 24) != zip64.entries
    {
        return Err(multi_disk());
    }
    Ok(zip64)
}

fn multi_disk() -> FormatError {
    FormatError::Unsupported("it is part of a multi-disk archive; join it first (`zip -s 0`)".into())
}

impl EndRecord {
    /// Appends this end record as it stands at `directory_limit`, preceded by the zip64 records if a number needs them.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let (short, long) = (u64::from(u16::MAX), u64::from(u32::MAX));
        if self.entries >= short || self.directory_size >= long || self.directory_offset >= long {
            out.extend(ZIP64_SIGNATURE);
            put_u64(out, (ZIP64_SIZE - 12) as u64);
            put_u16(out, 3 << 8 | 45); // made by: Unix, version 4.5, the first with zip64
            put_u16(out, 45);
            put_u32(out, 0);
            put_u32(out, 0);
            put_u64(out, self.entries);
            put_u64(out, self.entries);
            put_u64(out, self.directory_size);
            put_u64(out, self.directory_offset);
            out.extend(LOCATOR_SIGNATURE);
            put_u32(out, 0);
            put_u64(out, self.directory_limit);
            put_u32(out, 1);
        }
        let entries = u16::try_from(self.entries).unwrap_or(u16::MAX);
        out.extend(SIGNATURE);
        put_u16(out, 0);
        put_u16(out, 0);
        put_u16(out, entries);
        put_u16(out, entries);
        put_u32(out, u32::try_from(self.directory_size).unwrap_or(u32::MAX));
        put_u32(out, u32::try_from(self.directory_offset).unwrap_or(u32::MAX));
        // The comment came out of such a field, so its length fits.
        put_u16(out, u16::try_from(self.comment.len()).unwrap_or(u16::MAX));
        out.extend(&self.comment);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(entries: u64, directory_size: u64, directory_offset: u64, comment: &[u8]) -> (EndRecord, Vec<u8>) {
        let record = EndRecord {
            entries,
            directory_size,
            directory_offset,
            directory_limit: directory_offset + directory_size,
            comment: comment.to_vec(),
        };
        let mut bytes = Vec::new();
        record.write(&mut bytes);
        (record, bytes)
    }

    #[test]
    fn what_is_written_is_read_again() {
        for (entries, size, offset, zip64) in [
            (0, 0, 0, false),
            (1, 47, 100, false),
            (65_534, 4_000_000, 77, false),
            (65_535, 4_000_000, 77, true),
            (65_536, 4_000_000, 77, true),
            (3, 200, 0xFFFF_FFFE, false),
            (3, 200, 0xFFFF_FFFF, true),
            (3, 200, 1 << 40, true),
            (3, 0xFFFF_FFFF, 1, true),
        ] {
            for comment in [&b""[..], b"hello", &[b'x'; 65_535]] {
                let (record, bytes) = written(entries, size, offset, comment);
                assert_eq!(bytes.len() > SIZE + comment.len(), zip64, "{entries} {size} {offset}");
                let total = record.directory_limit + bytes.len() as u64;
                assert_eq!(candidates(&bytes, total), Ok(vec![record]));
            }
        }
    }

    #[test]
    fn an_end_record_inside_the_comment_does_not_hide_the_real_one() {
        let (_, fake) = written(0, 0, 0, b"");
        let (record, bytes) = written(2, 100, 50, &fake);
        let found = candidates(&bytes, 150 + bytes.len() as u64).unwrap();
        assert_eq!(found[0], record);
    }

    #[test]
    fn bytes_behind_the_end_record_are_named() {
        let (_, mut bytes) = written(0, 0, 0, b"");
        bytes.extend(b"junk");
        let error = candidates(&bytes, bytes.len() as u64).unwrap_err();
        assert!(error.to_string().contains("behind its end record"), "{error}");
    }

    #[test]
    fn a_part_of_a_multi_disk_archive_is_refused() {
        let (_, mut bytes) = written(1, 50, 0, b"");
        bytes[4] = 1;
        let error = candidates(&bytes, 50 + bytes.len() as u64).unwrap_err();
        assert!(error.to_string().contains("multi-disk"), "{error}");
    }
}
