//! Archives and edits out of [`Choices`].

use std::collections::BTreeMap;

use bytes::Bytes;
use zipedit::{Change, Changes, Content, EntryName};

use crate::archive::{ArchiveSpec, Descriptor, Spec};
use crate::choices::Choices;

/// Few names, so that puts and deletes often hit, some of them clash, and some are there twice.
const NAMES: [&str; 12] =
    ["a.js", "b", "src/x.js", "src/y.js", "lib/m/index.js", "ü/ö.txt", "A.js", "d/e/f", "d/", "z z", "b/c", "../x"];

/// Numbers at which formats break.
pub(crate) const EDGES: [u64; 14] =
    [0, 1, 21, 22, 30, 46, 0xFFFE, 0xFFFF, 0x1_0000, 0x7FFF_FFFF, 0xFFFF_FFFE, 0xFFFF_FFFF, 0x1_0000_0000, u64::MAX];

/// An archive, and what to do with it.
pub(crate) struct Made {
    pub(crate) archive: Bytes,
    /// What it was written from, if none of its bytes were overwritten afterwards.
    pub(crate) spec: Option<ArchiveSpec>,
    pub(crate) choices: Choices,
}

impl Made {
    pub(crate) fn of(data: &[u8]) -> Self {
        if data.starts_with(b"PK") {
            let mut crc = flate2::Crc::new();
            crc.update(data);
            let choices = Choices::scattered(crc.sum().into(), 256);
            return Self { archive: Bytes::copy_from_slice(data), spec: None, choices };
        }
        let mut choices = Choices::new(data);
        let spec = archive(&mut choices);
        let mut archive = spec.write().to_vec();
        let lies = choices.below(8).saturating_sub(4);
        for _ in 0..lies {
            lie(&mut choices, &mut archive);
        }
        Self { archive: archive.into(), spec: (lies == 0).then_some(spec), choices }
    }
}

fn archive(choices: &mut Choices) -> ArchiveSpec {
    let entries: Vec<Spec> = (0..choices.below(7)).map(|_| entry(choices)).collect();
    let prefix = if choices.once_in(4) { choices.bytes(60) } else { Vec::new() };
    let comment = match choices.below(5) {
        0..3 => Vec::new(),
        3 => choices.bytes(60),
        _ => false_end(choices),
    };
    ArchiveSpec {
        entries,
        offsets_count_prefix: !choices.once_in(2),
        prefix,
        comment,
        directory_reversed: choices.once_in(4),
    }
}

fn entry(choices: &mut Choices) -> Spec {
    let name = choices.pick(&NAMES);
    let content = match choices.below(4) {
        0 => choices.bytes(40),
        1 => vec![choices.byte(); choices.below(200)],
        2 => b"some text, some text, some text\n".repeat(choices.below(20)),
        // Data that look like records.
        _ => Spec::new("x", "y").stored_archive(),
    };
    let mut entry = Spec::new(name, content);
    entry.deflate = !choices.once_in(3);
    entry.descriptor = choices.pick(&[Descriptor::None, Descriptor::None, Descriptor::Signed, Descriptor::Bare]);
    entry.zip64 = choices.once_in(4);
    entry.mode = choices.pick(&[0o100_644, 0o100_755, 0, 0o120_777, 0o40_755]);
    entry.extra = match choices.below(6) {
        0..3 => Vec::new(),
        3 => b"UT\x05\0\x01\x12\x34\x56\x57".to_vec(),
        4 => unicode_path(name.as_bytes(), choices.pick(&NAMES)),
        _ => choices.bytes(20),
    };
    entry.comment =
        choices.pick(&["", "", "mine", "PK\u{5}\u{6}", "PK\u{6}\u{7}\0\0\0\0\0\0\0\0\0\0\0\0\u{1}\0\0\0"]).into();
    entry.padding = if choices.once_in(5) { choices.below(40) } else { 0 };
    entry
}

impl Spec {
    fn stored_archive(self) -> Vec<u8> {
        ArchiveSpec::of([self.stored()]).write().to_vec()
    }
}

/// Info-ZIP's extra field 0x7075.
fn unicode_path(name: &[u8], path: &str) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(name);
    let mut field = vec![0x75, 0x70, 5 + u8::try_from(path.len()).unwrap(), 0, 1];
    field.extend(crc.sum().to_le_bytes());
    field.extend(path.as_bytes());
    field
}

/// An end record to stand in a comment, which perhaps reaches as far as the comment does.
fn false_end(choices: &mut Choices) -> Vec<u8> {
    let mut end = b"PK\x05\x06\0\0\0\0".to_vec();
    let entries = u8::try_from(choices.below(3)).unwrap();
    end.extend([entries, 0, entries, 0]);
    end.extend((choices.below(200) as u32).to_le_bytes());
    end.extend((choices.below(200) as u32).to_le_bytes());
    let behind = choices.bytes(30);
    end.extend((behind.len() as u16).to_le_bytes());
    end.extend(behind);
    end
}

/// Overwrites a number, counted from the end, where directory and end record stand.
fn lie(choices: &mut Choices, archive: &mut [u8]) {
    let at = archive.len().saturating_sub(usize::from(choices.short()) % (archive.len() + 1));
    let number = if choices.once_in(2) { u64::from(choices.short()) } else { choices.pick(&EDGES) };
    let width = choices.pick(&[1, 2, 4, 8]);
    for (byte, new) in archive[at..].iter_mut().zip(&number.to_le_bytes()[..width]) {
        *byte = *new;
    }
}

/// Some puts and deletes, of names that are there and others.
pub(crate) fn changes(choices: &mut Choices, there: &[String]) -> Changes {
    let mut changes = BTreeMap::new();
    for _ in 0..choices.below(5) {
        let name = match choices.once_in(2) || there.is_empty() {
            true => choices.pick(&NAMES).to_owned(),
            false => choices.pick(there),
        };
        let Ok(name) = EntryName::new(name) else { continue };
        let change = match choices.below(4) {
            0 => Change::Delete,
            1 => Change::Put(Content::new(b"new, new, new, new, new, new, new".repeat(choices.below(9)))),
            2 => Change::Put(Content::new(choices.bytes(50))),
            _ => Change::Put(Content::new(choices.bytes(9)).with_mode(u32::from(choices.short()))),
        };
        changes.insert(name, change);
    }
    changes.into_iter().collect()
}
