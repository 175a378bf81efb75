//! A record of the central directory: what it says of its entry, and how it is written again (APPNOTE 4.3.12).

use std::borrow::Cow;
use std::ops::Range;

use super::Directory;
use crate::bytes_le::{put_u16, put_u64, u16_at, u32_at, u64_at};
use crate::changes::printable;
use crate::cp437;
use crate::error::FormatError;

const RECORD_SIGNATURE: &[u8] = b"PK\x01\x02";
pub(super) const RECORD_SIZE: usize = 46;
const FLAG_ENCRYPTED: u16 = 1;
const FLAG_UTF8: u16 = 1 << 11;
const FLAG_MASKED: u16 = 1 << 13;
const EXTRA_ZIP64: u16 = 0x0001;
const EXTRA_UNICODE_PATH: u16 = 0x7075;
const FILE_TYPE: u32 = 0o170_000;
const SYMLINK: u32 = 0o120_000;
const LONG: u32 = u32::MAX;
const SHORT: u16 = u16::MAX;

/// Where a record stands, and the numbers in it that are asked for often or stand in one of two places.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    /// Where the record stands in `Directory::bytes`, and how long it is. `MAX_DIRECTORY` fits.
    pub(super) at: u32,
    pub(super) len: u32,
    /// Offset of the local header from the start of the object.
    pub(super) offset: u64,
    pub(super) compressed_size: u64,
    pub(super) size: u64,
}

impl Record {
    /// Parses the record at `at`; the error completes "entry N of its directory …".
    pub(super) fn parse(bytes: &[u8], at: usize, before: u64) -> Result<Self, &'static str> {
        let record = &bytes[at..];
        if !record.starts_with(RECORD_SIGNATURE) {
            return Err("is not where it should be: the archive is damaged, make it again");
        }
        if record.len() < RECORD_SIZE {
            return Err("is cut short: the archive is damaged, make it again");
        }
        let lengths = [28, 30, 32].map(|at| usize::from(u16_at(record, at)));
        let len = RECORD_SIZE + lengths.iter().sum::<usize>();
        if record.len() < len {
            return Err("is cut short: the archive is damaged, make it again");
        }
        if u16_at(record, 8) & FLAG_MASKED != 0 {
            return Err("has its local header encrypted; make the archive again without");
        }
        let wide = Wide::of(&record[..len])?;
        if wide.disk != 0 {
            return Err("is on another disk of a multi-disk archive; join it first (`zip -s 0`)");
        }
        Ok(Self {
            at: u32::try_from(at).map_err(|_| "is too far from the directory's start")?,
            len: u32::try_from(len).map_err(|_| "is too long")?,
            offset: wide
                .offset
                .checked_add(before)
                .ok_or("lies outside the archive, which is damaged: make it again")?,
            compressed_size: wide.compressed_size,
            size: wide.size,
        })
    }
}

/// The numbers of a record that may stand in its zip64 extra field (APPNOTE 4.5.3).
struct Wide {
    size: u64,
    compressed_size: u64,
    offset: u64,
    disk: u32,
    /// Where the offset stands in the record, if it is in the extra field.
    offset_at: Option<usize>,
}

impl Wide {
    fn of(record: &[u8]) -> Result<Self, &'static str> {
        let name_len = usize::from(u16_at(record, 28));
        let extra_len = usize::from(u16_at(record, 30));
        let extra_at = RECORD_SIZE + name_len;
        let extra = &record[extra_at..extra_at + extra_len];
        let mut zip64 = extra_fields(extra).find(|field| field.id == EXTRA_ZIP64);
        let mut next = |width: usize| {
            let field = zip64.as_mut().filter(|field| field.data.len() >= width)?;
            let at = field.data.start;
            field.data.start += width;
            Some(extra_at + at)
        };
        const MISSING: &str = "lacks the zip64 field that its record refers to: the archive is damaged, make it again";
        let mut long = |narrow: u32| match narrow {
            LONG => {
                let at = next(8).ok_or(MISSING)?;
                Ok::<_, &'static str>((u64_at(record, at), Some(at)))
            }
            narrow => Ok((u64::from(narrow), None)),
        };
        let (size, _) = long(u32_at(record, 24))?;
        let (compressed_size, _) = long(u32_at(record, 20))?;
        let (offset, offset_at) = long(u32_at(record, 42))?;
        let disk = match u16_at(record, 34) {
            SHORT => u32_at(record, next(4).ok_or(MISSING)?),
            disk => u32::from(disk),
        };
        Ok(Self { size, compressed_size, offset, disk, offset_at })
    }
}

pub(crate) struct ExtraField {
    pub(crate) id: u16,
    /// Where its data stand in the extra block.
    pub(crate) data: Range<usize>,
}

/// The fields of an extra block; what doesn't have their form ends the list.
pub(crate) fn extra_fields(extra: &[u8]) -> impl Iterator<Item = ExtraField> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        if at + 4 > extra.len() {
            return None;
        }
        let data = at + 4..at + 4 + usize::from(u16_at(extra, at + 2));
        let field = ExtraField { id: u16_at(extra, at), data };
        at = field.data.end;
        (at <= extra.len()).then_some(field)
    })
}

/// One entry of a [`Directory`].
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    pub(super) directory: &'a Directory,
    pub(super) index: usize,
}

impl<'a> Entry<'a> {
    fn parsed(&self) -> &'a Record {
        &self.directory.records[self.index]
    }

    /// The central directory record, verbatim.
    pub(crate) fn record(&self) -> &'a [u8] {
        let Record { at, len, .. } = *self.parsed();
        &self.directory.bytes[at as usize..at as usize + len as usize]
    }

    /// Where its record stands in the directory: the order in which the entries are listed.
    pub(crate) fn listed_at(&self) -> u32 {
        self.parsed().at
    }

    fn variable(&self, before: &[usize], field: usize) -> &'a [u8] {
        let record = self.record();
        let start = before.iter().fold(RECORD_SIZE, |at, &len| at + usize::from(u16_at(record, len)));
        &record[start..start + usize::from(u16_at(record, field))]
    }

    /// The name as it stands in the record.
    #[must_use]
    pub fn name_bytes(&self) -> &'a [u8] {
        self.variable(&[], 28)
    }

    /// The extra block of the central record.
    #[must_use]
    pub fn extra(&self) -> &'a [u8] {
        self.variable(&[28], 30)
    }

    /// The entry's comment.
    #[must_use]
    pub fn comment(&self) -> &'a [u8] {
        self.variable(&[28, 30], 32)
    }

    /// The name as text: UTF-8 where the record says so, has a valid Info-ZIP Unicode Path field (0x7075), or where it
    /// *is* valid UTF-8, as many writers leave the flag out and Linux takes the bytes as they are; else code page 437.
    #[must_use]
    pub fn name(&self) -> Cow<'a, str> {
        let bytes = self.name_bytes();
        if self.flags() & FLAG_UTF8 != 0 {
            return String::from_utf8_lossy(bytes);
        }
        if let Some(path) = self.unicode_path() {
            return Cow::Borrowed(path);
        }
        match std::str::from_utf8(bytes) {
            Ok(name) => Cow::Borrowed(name),
            Err(_) => Cow::Owned(cp437::decode(bytes)),
        }
    }

    /// Info-ZIP's Unicode Path (APPNOTE 4.6.9), if it belongs to the name that is there.
    pub(crate) fn unicode_path(&self) -> Option<&'a str> {
        let extra = self.extra();
        let field = extra_fields(extra).find(|field| field.id == EXTRA_UNICODE_PATH)?;
        let data = extra.get(field.data)?;
        if data.len() < 5 || data[0] != 1 {
            return None;
        }
        let mut crc = flate2::Crc::new();
        crc.update(self.name_bytes());
        (crc.sum() == u32_at(data, 1)).then(|| std::str::from_utf8(&data[5..]).ok())?
    }

    /// What a Unicode Path says against a name that is UTF-8 already. Info-ZIP and Python go by the name, the `zip` crate
    /// by the field.
    pub(crate) fn second_name(&self) -> Option<&'a str> {
        let path = if self.utf8_flag() == 0 { None } else { self.unicode_path() };
        path.filter(|path| path.as_bytes() != self.name_bytes())
    }

    pub(crate) fn flags(&self) -> u16 {
        u16_at(self.record(), 8)
    }

    /// The bit that says that the name is UTF-8, if it is set.
    pub(crate) fn utf8_flag(&self) -> u16 {
        self.flags() & FLAG_UTF8
    }

    /// Whether the data are encrypted.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.flags() & FLAG_ENCRYPTED != 0
    }

    /// Version and host system that made the entry.
    pub(crate) fn made_by(&self) -> u16 {
        u16_at(self.record(), 4)
    }

    /// The compression method (APPNOTE 4.4.5): 0 stored, 8 deflate.
    #[must_use]
    pub fn method(&self) -> u16 {
        u16_at(self.record(), 10)
    }

    /// Time and date in MS-DOS form.
    pub(crate) fn dos_time_date(&self) -> (u16, u16) {
        (u16_at(self.record(), 12), u16_at(self.record(), 14))
    }

    /// CRC-32 of the content.
    #[must_use]
    pub fn crc32(&self) -> u32 {
        u32_at(self.record(), 16)
    }

    /// Size of the content in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.parsed().size
    }

    /// Size of the data in the archive, in bytes.
    #[must_use]
    pub fn compressed_size(&self) -> u64 {
        self.parsed().compressed_size
    }

    pub(crate) fn internal_attributes(&self) -> u16 {
        u16_at(self.record(), 36)
    }

    /// The external attributes: for an entry made on Unix, the mode is in the upper half.
    #[must_use]
    pub fn external_attributes(&self) -> u32 {
        u32_at(self.record(), 38)
    }

    /// File type and permission bits, if the entry was made on Unix or macOS.
    #[must_use]
    pub fn unix_mode(&self) -> Option<u32> {
        let host = self.made_by() >> 8;
        (host == 3 || host == 19).then(|| self.external_attributes() >> 16)
    }

    /// Whether it stands for a symbolic link, whose content is where it points to.
    #[must_use]
    pub fn is_symlink(&self) -> bool {
        self.unix_mode().is_some_and(|mode| mode & FILE_TYPE == SYMLINK)
    }

    /// Whether it stands for a directory, by its [`Entry::name`].
    #[must_use]
    pub fn is_dir(&self) -> bool {
        self.name().ends_with('/')
    }

    /// From its local header to the next entry's, or to the directory; in bytes from the start of the object.
    #[must_use]
    pub fn span(&self) -> Range<u64> {
        let next = self.directory.records.get(self.index + 1);
        self.parsed().offset..next.map_or(self.directory.start, |next| next.offset)
    }

    /// Appends the record with the local header at `offset`, everything else as it is; a zip64 field is added where
    /// the number needs one.
    ///
    /// # Errors
    /// [`FormatError::TooLarge`] when its extra block has no room for that field.
    pub(crate) fn write_record_at(&self, offset: u64, out: &mut Vec<u8>) -> Result<(), FormatError> {
        let record = self.record();
        let start = out.len();
        out.extend(record);
        let written = &mut out[start..];
        let offset_at = match u32_at(record, 42) {
            // It was parsed once, so it parses again.
            LONG => Wide::of(record).ok().and_then(|wide| wide.offset_at),
            _ => None,
        };
        match (offset_at, u32::try_from(offset)) {
            (Some(at), _) => written[at..at + 8].copy_from_slice(&offset.to_le_bytes()),
            (None, Ok(narrow)) if narrow != LONG => written[42..46].copy_from_slice(&narrow.to_le_bytes()),
            (None, _) => {
                out.truncate(start);
                self.write_widened_record(offset, out)?;
            }
        }
        Ok(())
    }

    /// The record with its offset moved into a zip64 field: behind the sizes, if they are there already.
    fn write_widened_record(&self, offset: u64, out: &mut Vec<u8>) -> Result<(), FormatError> {
        let (record, extra) = (self.record(), self.extra());
        let mut wide = Vec::new();
        for at in [24, 20] {
            if u32_at(record, at) == LONG {
                put_u64(&mut wide, if at == 24 { self.size() } else { self.compressed_size() });
            }
        }
        put_u64(&mut wide, offset);
        let mut new_extra = Vec::with_capacity(extra.len() + 12);
        put_u16(&mut new_extra, EXTRA_ZIP64);
        put_u16(&mut new_extra, u16::try_from(wide.len()).unwrap_or(SHORT));
        new_extra.extend(wide);
        for field in extra_fields(extra).filter(|field| field.id != EXTRA_ZIP64) {
            new_extra.extend(&extra[field.data.start - 4..field.data.end]);
        }
        let extra_len = u16::try_from(new_extra.len()).map_err(|_| {
            FormatError::TooLarge(format!(
                "the entry `{}` would start beyond 4 GiB and its extra block has no room to say so",
                printable(&self.name())
            ))
        })?;
        let start = out.len();
        out.extend(&record[..RECORD_SIZE]);
        out[start + 6..start + 8].copy_from_slice(&u16_at(record, 6).max(45).to_le_bytes());
        out[start + 30..start + 32].copy_from_slice(&extra_len.to_le_bytes());
        out[start + 34..start + 36].copy_from_slice(&[0, 0]);
        out[start + 42..start + 46].copy_from_slice(&LONG.to_le_bytes());
        out.extend(self.name_bytes());
        out.extend(new_extra);
        out.extend(self.comment());
        Ok(())
    }
}
