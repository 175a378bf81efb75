//! Archives with every oddity that real writers produce, written byte by byte, and readers to judge what came of them.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};

use bytes::Bytes;
use zipedit::directory::{Directory, Search};
use zipedit::plan::{Layout, Piece, Plan};
use zipedit::{Change, Changes, Content, EntryName, FormatError};

/// One entry, and how its writer wrote it.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    pub(crate) name: String,
    pub(crate) content: Vec<u8>,
    pub(crate) deflate: bool,
    pub(crate) descriptor: Descriptor,
    pub(crate) zip64: bool,
    pub(crate) mode: u32,
    pub(crate) extra: Vec<u8>,
    pub(crate) comment: String,
    /// Bytes behind the entry that belong to nothing.
    pub(crate) padding: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Descriptor {
    None,
    Signed,
    Bare,
}

impl Spec {
    pub(crate) fn new(name: &str, content: impl Into<Vec<u8>>) -> Self {
        Self {
            name: name.to_owned(),
            content: content.into(),
            deflate: true,
            descriptor: Descriptor::None,
            zip64: false,
            mode: 0o100_644,
            extra: Vec::new(),
            comment: String::new(),
            padding: 0,
        }
    }

    pub(crate) fn stored(mut self) -> Self {
        self.deflate = false;
        self
    }

    pub(crate) fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    fn data(&self) -> Vec<u8> {
        if !self.deflate {
            return self.content.clone();
        }
        let mut deflater = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        deflater.write_all(&self.content).unwrap();
        deflater.finish().unwrap()
    }

    fn crc32(&self) -> u32 {
        let mut crc = flate2::Crc::new();
        crc.update(&self.content);
        crc.sum()
    }
}

/// An archive, and how its writer wrote it.
#[derive(Debug, Clone, Default)]
pub(crate) struct ArchiveSpec {
    pub(crate) entries: Vec<Spec>,
    pub(crate) prefix: Vec<u8>,
    /// Whether offsets count from the start of the file, or (as when something is put before an archive) from behind
    /// the prefix.
    pub(crate) offsets_count_prefix: bool,
    pub(crate) comment: Vec<u8>,
    /// Whether the directory lists the entries in another order than the one in which they stand.
    pub(crate) directory_reversed: bool,
}

impl ArchiveSpec {
    pub(crate) fn of(entries: impl IntoIterator<Item = Spec>) -> Self {
        Self { entries: entries.into_iter().collect(), offsets_count_prefix: true, ..Self::default() }
    }

    pub(crate) fn write(&self) -> Bytes {
        let mut out = self.prefix.clone();
        let before = if self.offsets_count_prefix { 0 } else { self.prefix.len() };
        let mut records = Vec::new();
        for entry in &self.entries {
            let offset = out.len() - before;
            records.push(write_entry(&mut out, entry, offset));
        }
        if self.directory_reversed {
            records.reverse();
        }
        let start = out.len() - before;
        out.extend(records.concat());
        let size = out.len() - before - start;
        out.extend(b"PK\x05\x06\0\0\0\0");
        let count = u16::try_from(self.entries.len()).unwrap();
        out.extend(count.to_le_bytes());
        out.extend(count.to_le_bytes());
        out.extend(u32::try_from(size).unwrap().to_le_bytes());
        out.extend(u32::try_from(start).unwrap().to_le_bytes());
        out.extend(u16::try_from(self.comment.len()).unwrap().to_le_bytes());
        out.extend(&self.comment);
        out.into()
    }

    /// What the archive says, as a map: of several entries of one name, the last counts.
    pub(crate) fn model(&self) -> Model {
        self.entries.iter().map(|entry| (entry.name.clone(), (entry.content.clone(), entry.mode))).collect()
    }
}

/// Writes local header, data and descriptor; gives back the central record.
pub(crate) fn write_entry(out: &mut Vec<u8>, entry: &Spec, offset: usize) -> Vec<u8> {
    let data = entry.data();
    let described = entry.descriptor != Descriptor::None;
    let utf8 = if entry.name.is_ascii() { 0 } else { 1 << 11 };
    let flags: u16 = utf8 | if described { 1 << 3 } else { 0 };
    let method: u16 = if entry.deflate { 8 } else { 0 };
    let sizes = [data.len() as u64, entry.content.len() as u64];
    let fields = |crc: u32, sizes: [u64; 2], wide: bool| {
        let mut fields = Vec::new();
        fields.extend(if wide { 45_u16 } else { 20 }.to_le_bytes());
        fields.extend(flags.to_le_bytes());
        fields.extend(method.to_le_bytes());
        fields.extend([0x21, 0x43, 0x65, 0x57]); // some time in 2023
        fields.extend(crc.to_le_bytes());
        for size in sizes {
            fields.extend(if wide { u32::MAX } else { u32::try_from(size).unwrap() }.to_le_bytes());
        }
        fields
    };
    let zip64_field = |numbers: &[u64]| {
        let mut field = vec![1, 0, u8::try_from(8 * numbers.len()).unwrap(), 0];
        numbers.iter().for_each(|number| field.extend(number.to_le_bytes()));
        field
    };

    let local_extra = if entry.zip64 { zip64_field(&[sizes[1], sizes[0]]) } else { Vec::new() };
    out.extend(b"PK\x03\x04");
    out.extend(if described { fields(0, [0, 0], entry.zip64) } else { fields(entry.crc32(), sizes, entry.zip64) });
    out.extend(u16::try_from(entry.name.len()).unwrap().to_le_bytes());
    out.extend(u16::try_from(local_extra.len()).unwrap().to_le_bytes());
    out.extend(entry.name.as_bytes());
    out.extend(local_extra);
    out.extend(&data);
    if described {
        if entry.descriptor == Descriptor::Signed {
            out.extend(b"PK\x07\x08");
        }
        out.extend(entry.crc32().to_le_bytes());
        for size in sizes {
            if entry.zip64 {
                out.extend(size.to_le_bytes());
            } else {
                out.extend(u32::try_from(size).unwrap().to_le_bytes());
            }
        }
    }
    out.extend(std::iter::repeat_n(0xAA, entry.padding));

    let mut extra = if entry.zip64 { zip64_field(&[sizes[1], sizes[0], offset as u64]) } else { Vec::new() };
    extra.extend(&entry.extra);
    let mut record = b"PK\x01\x02".to_vec();
    record.extend([if entry.zip64 { 45 } else { 20 }, 3]);
    record.extend(fields(entry.crc32(), sizes, entry.zip64));
    record.extend(u16::try_from(entry.name.len()).unwrap().to_le_bytes());
    record.extend(u16::try_from(extra.len()).unwrap().to_le_bytes());
    record.extend(u16::try_from(entry.comment.len()).unwrap().to_le_bytes());
    record.extend([0; 4]);
    record.extend((entry.mode << 16).to_le_bytes());
    let narrow = if entry.zip64 { u32::MAX } else { u32::try_from(offset).unwrap() };
    record.extend(narrow.to_le_bytes());
    record.extend(entry.name.as_bytes());
    record.extend(extra);
    record.extend(entry.comment.as_bytes());
    record
}

/// name → content and mode: what an archive says, whatever it looks like.
pub(crate) type Model = BTreeMap<String, (Vec<u8>, u32)>;

pub(crate) fn directory(archive: &Bytes) -> Directory {
    match try_directory(archive).unwrap() {
        Search::Found(directory) => directory,
        Search::ReadFrom(from) => panic!("the whole archive is there, and more is wanted from {from}"),
    }
}

pub(crate) fn try_directory(archive: &Bytes) -> Result<Search, FormatError> {
    Directory::find(archive, archive.len() as u64)
}

/// The archive with these bytes at that place.
pub(crate) fn patched(archive: &Bytes, at: usize, bytes: &[u8]) -> Bytes {
    let mut patched = archive.to_vec();
    patched[at..at + bytes.len()].copy_from_slice(bytes);
    patched.into()
}

pub(crate) fn assembled(pieces: &[Piece], old: &Bytes) -> Bytes {
    let mut new = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Old(range) => new.extend(&old[range.start as usize..range.end as usize]),
            Piece::New(bytes) => new.extend(bytes),
        }
    }
    new.into()
}

pub(crate) fn edited(archive: &Bytes, changes: &Changes, layout: Layout) -> Result<Bytes, FormatError> {
    let plan = Plan::new(&directory(archive), changes, layout)?;
    let new = assembled(plan.pieces(), archive);
    assert_eq!(new.len() as u64, plan.size());
    Ok(new)
}

pub(crate) fn name(name: &str) -> EntryName {
    EntryName::new(name).unwrap()
}

/// A change set from puts (`Some`) and deletes (`None`).
pub(crate) fn changes<'a>(of: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>) -> Changes {
    of.into_iter()
        .map(|(entry, content)| match content {
            Some(content) => (name(entry), Change::Put(Content::new(content.to_vec()))),
            None => (name(entry), Change::Delete),
        })
        .collect()
}

/// Reads an archive with the `zip` crate, and makes sure that it and `rawzip` see no contradiction in it.
pub(crate) fn read_by_others(archive: &[u8]) -> Model {
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(archive)).expect("the zip crate reads it");
    assert!(!zip.has_overlapping_files().unwrap(), "the zip crate sees overlapping entries");
    let mut model = Model::new();
    for index in 0..zip.len() {
        let mut file = zip.by_index(index).unwrap();
        let name = file.name().unwrap().into_owned();
        let mut content = Vec::new();
        file.read_to_end(&mut content).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mode = file.unix_mode().unwrap_or(0);
        model.insert(name, (content, mode));
    }
    let raw = rawzip::ZipArchive::from_slice(archive).expect("rawzip reads it");
    assert_eq!(raw.entries_hint() as usize, raw.entries().count(), "rawzip counts the entries");
    model
}
