//! One new entry: local header, data, and the record that stands for it in the central directory.
//!
//! A replaced entry keeps what it was (name bytes, mode, time, host, method where we can write it, extra fields of the
//! central record, comment); a new one is what the original QuickBuild made: mode 0755, the earliest time that zip can
//! say, deflate, or stored when deflate doesn't make it smaller. There is never a data descriptor: sizes are known
//! beforehand, and Java's streaming reader refuses descriptors on stored entries.

use bytes::Bytes;

use crate::bytes_le::{put_u16, put_u32};
use crate::changes::{Content, EntryName};
use crate::directory::{Entry, extra_fields};
use crate::error::FormatError;

/// Stored (APPNOTE 4.4.5).
pub(crate) const STORED: u16 = 0;
/// Deflate (APPNOTE 4.4.5).
pub(crate) const DEFLATED: u16 = 8;

/// Type and mode of an entry that is new: a regular file, 0755, as the original QuickBuild wrote it.
pub(crate) const NEW_MODE: u32 = 0o100_755;

const MADE_BY_UNIX_2_0: u16 = 3 << 8 | 20;
const NEEDS_2_0: u16 = 20;
const REGULAR_FILE: u32 = 0o100_000;
const FILE_TYPE: u32 = 0o170_000;
/// 1980-01-01 00:00:00, the first time that MS-DOS form can say.
const FIRST_TIME_DATE: (u16, u16) = (0, 1 << 5 | 1);
/// Extra fields that don't outlive the entry's data or local header: zip64 sizes, the headers of encryption, and the
/// Unicode Path, which Info-ZIP wants in both headers or in none.
const EXTRA_NOT_KEPT: [u16; 4] = [0x0001, 0x0017, 0x9901, 0x7075];
const FLAG_UTF8: u16 = 1 << 11;

/// An entry that is to be written.
#[derive(Debug, Clone)]
pub(crate) struct NewEntry {
    header: Bytes,
    data: Bytes,
    size: u64,
    record: Vec<u8>,
}

impl NewEntry {
    /// An entry for `content`, in the place of `replaced` if there was one of that name.
    pub(crate) fn new(name: &EntryName, content: &Content, replaced: Option<Entry<'_>>) -> Result<Self, FormatError> {
        let keep_stored = replaced.is_some_and(|entry| entry.method() == STORED);
        let deflated = (!keep_stored).then(|| content.deflated());
        let (method, data) = match deflated {
            // An entry that was deflated stays so; that costs a handful of bytes where it doesn't pay.
            Some(data) if replaced.is_some() || (data.len() as u64) < content.size() => (DEFLATED, data),
            _ => (STORED, content.plain()),
        };
        let too_large = |_| FormatError::TooLarge(format!("the content for `{name}` has 4 GiB or more"));
        let fields = Fields {
            flags: match replaced {
                Some(entry) if entry.unicode_path().is_none() => entry.utf8_flag(),
                _ if name.as_str().is_ascii() => 0,
                _ => FLAG_UTF8,
            },
            method,
            time_date: replaced.map_or(FIRST_TIME_DATE, |entry| entry.dos_time_date()),
            crc32: content.crc32(),
            compressed_size: u32::try_from(data.len()).map_err(too_large)?,
            size: u32::try_from(content.size()).map_err(too_large)?,
        };
        let as_it_was = replaced.filter(|entry| entry.unicode_path().is_none());
        let name = as_it_was.map_or(name.as_str().as_bytes(), |entry| entry.name_bytes());
        Ok(Self {
            header: fields.local_header(name).into(),
            data,
            size: content.size(),
            record: fields.record(name, content.mode(), replaced),
        })
    }

    /// The bytes that go into the archive: local header and data.
    pub(crate) fn chunks(&self) -> [Bytes; 2] {
        [self.header.clone(), self.data.clone()]
    }

    /// How many bytes go into the archive, without the central record.
    pub(crate) fn len(&self) -> u64 {
        (self.header.len() + self.data.len()) as u64
    }

    /// Size of the content, not compressed.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Appends the central record for the entry at `offset`.
    pub(crate) fn write_record_at(&self, offset: u64, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend(&self.record);
        match u32::try_from(offset) {
            Ok(narrow) if narrow != u32::MAX => out[start + 42..start + 46].copy_from_slice(&narrow.to_le_bytes()),
            _ => {
                // The zip64 field goes before the others, behind the name; `record` leaves room in the length.
                out[start + 42..start + 46].copy_from_slice(&u32::MAX.to_le_bytes());
                out[start + 6..start + 8].copy_from_slice(&45_u16.to_le_bytes());
                let extra_len = crate::bytes_le::u16_at(out, start + 30) + 12;
                out[start + 30..start + 32].copy_from_slice(&extra_len.to_le_bytes());
                let name_len = usize::from(crate::bytes_le::u16_at(out, start + 28));
                let mut field = Vec::with_capacity(12);
                put_u16(&mut field, 0x0001);
                put_u16(&mut field, 8);
                field.extend(offset.to_le_bytes());
                let at = start + 46 + name_len;
                out.splice(at..at, field);
            }
        }
    }
}

/// What local header and central record say alike.
struct Fields {
    flags: u16,
    method: u16,
    time_date: (u16, u16),
    crc32: u32,
    compressed_size: u32,
    size: u32,
}

impl Fields {
    fn write(&self, out: &mut Vec<u8>) {
        put_u16(out, NEEDS_2_0);
        put_u16(out, self.flags);
        put_u16(out, self.method);
        put_u16(out, self.time_date.0);
        put_u16(out, self.time_date.1);
        put_u32(out, self.crc32);
        put_u32(out, self.compressed_size);
        put_u32(out, self.size);
    }

    fn local_header(&self, name: &[u8]) -> Vec<u8> {
        let mut header = Vec::with_capacity(30 + name.len());
        header.extend(b"PK\x03\x04");
        self.write(&mut header);
        put_u16(&mut header, u16_len(name));
        put_u16(&mut header, 0);
        header.extend(name);
        header
    }

    fn record(&self, name: &[u8], mode: Option<u32>, replaced: Option<Entry<'_>>) -> Vec<u8> {
        let mut extra = replaced.map_or_else(Vec::new, |entry| kept_extra(entry.extra()));
        if extra.len() > usize::from(u16::MAX) - 12 {
            extra.clear(); // No room for a zip64 field: what can't be kept whole is left out.
        }
        let comment = replaced.map_or(&[][..], |entry| entry.comment());
        let (made_by, attributes) = attributes(mode, replaced);
        let mut record = Vec::with_capacity(46 + name.len() + extra.len() + comment.len());
        record.extend(b"PK\x01\x02");
        put_u16(&mut record, made_by);
        self.write(&mut record);
        put_u16(&mut record, u16_len(name));
        put_u16(&mut record, u16_len(&extra));
        put_u16(&mut record, u16_len(comment));
        put_u16(&mut record, 0);
        put_u16(&mut record, replaced.map_or(0, |entry| entry.internal_attributes()));
        put_u32(&mut record, attributes);
        put_u32(&mut record, 0);
        record.extend(name);
        record.extend(extra);
        record.extend(comment);
        record
    }
}

/// Names and comments come out of 16-bit fields or through `EntryName`, so they fit into one.
fn u16_len(bytes: &[u8]) -> u16 {
    u16::try_from(bytes.len()).unwrap_or(u16::MAX)
}

/// *Version made by* and external attributes: those that were there, unless a mode was asked for.
fn attributes(mode: Option<u32>, replaced: Option<Entry<'_>>) -> (u16, u32) {
    match (mode, replaced) {
        (None, None) => (MADE_BY_UNIX_2_0, NEW_MODE << 16),
        (Some(mode), None) => (MADE_BY_UNIX_2_0, (REGULAR_FILE | mode) << 16),
        (None, Some(entry)) => (entry.made_by(), entry.external_attributes()),
        (Some(mode), Some(entry)) => {
            // Readers, Lambda among them, heed the mode only if the host is Unix (APPNOTE 4.4.2).
            let file_type = entry.unix_mode().map_or(0, |mode| mode & FILE_TYPE);
            let file_type = if file_type == 0 { REGULAR_FILE } else { file_type };
            let dos = entry.external_attributes() & 0xFFFF;
            (3 << 8 | entry.made_by() & 0xFF, (file_type | mode) << 16 | dos)
        }
    }
}

fn kept_extra(extra: &[u8]) -> Vec<u8> {
    extra_fields(extra)
        .filter(|field| !EXTRA_NOT_KEPT.contains(&field.id))
        .flat_map(|field| &extra[field.data.start - 4..field.data.end])
        .copied()
        .collect()
}
