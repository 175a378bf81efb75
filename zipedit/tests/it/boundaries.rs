//! Where numbers get too wide for their fields: 65,535 entries and 4 GiB. Archives of more than 4 GiB are mostly holes
//! here, in memory and on disk, so that they cost nothing.

use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

use bytes::Bytes;
use zipedit::directory::Search;
use zipedit::parts::{Part, PartLimits, parts};
use zipedit::plan::{Layout, Piece, Plan};
use zipedit::{Changes, Directory, Error, FileStore, FormatError, Options, edit, open};

use crate::archive::{ArchiveSpec, Spec, changes, directory, edited, patched, try_directory, write_entry};

const GIB: u64 = 1 << 30;
const EDGE: u64 = 1 << 32;

/// An object that is zeros but for a few islands.
#[derive(Debug, Clone, Default)]
struct Sparse {
    len: u64,
    /// Ascending, without overlaps.
    islands: Vec<(u64, Bytes)>,
    at: u64,
}

impl Sparse {
    fn push(&mut self, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        let at = self.len;
        self.len += bytes.len() as u64;
        self.islands.push((at, bytes));
    }

    /// What of the islands stands in a range, with the offsets that it has from there.
    fn within(&self, range: std::ops::Range<u64>) -> impl Iterator<Item = (u64, Bytes)> {
        self.islands.iter().filter_map(move |(at, bytes)| {
            let (start, end) = (range.start.max(*at), range.end.min(at + bytes.len() as u64));
            (start < end).then(|| (start - range.start, bytes.slice((start - at) as usize..(end - at) as usize)))
        })
    }

    fn directory(&self) -> Directory {
        let tail_len = self.len.min(1000);
        let mut tail = vec![0; tail_len as usize];
        for (at, bytes) in self.within(self.len - tail_len..self.len) {
            tail[at as usize..at as usize + bytes.len()].copy_from_slice(&bytes);
        }
        match Directory::find(&tail.into(), self.len).unwrap() {
            Search::Found(directory) => directory,
            Search::ReadFrom(from) => panic!("the directory is in the tail, and more is wanted from {from}"),
        }
    }

    fn edited(&self, edit: &Changes, layout: Layout) -> Result<Self, FormatError> {
        let plan = Plan::new(&self.directory(), edit, layout)?;
        let mut new = Self::default();
        for piece in plan.pieces() {
            match piece {
                Piece::New(bytes) => new.push(bytes.clone()),
                Piece::Old(range) => {
                    let base = new.len;
                    new.islands.extend(self.within(range.clone()).map(|(at, bytes)| (base + at, bytes)));
                    new.len += piece.len();
                }
            }
        }
        assert_eq!(new.len, plan.size());
        Ok(new)
    }

    fn has(&self, signature: &[u8; 4]) -> bool {
        self.islands.iter().any(|(_, bytes)| bytes.windows(4).any(|window| window == signature))
    }

    /// Name and content of each entry, as the `zip` crate reads them; rawzip has to count as many.
    fn contents(&self) -> Vec<(String, Vec<u8>)> {
        let mut zip = zip::ZipArchive::new(self.clone()).unwrap();
        assert!(!zip.has_overlapping_files().unwrap());
        let contents: Vec<_> = (0..zip.len())
            .map(|index| {
                let mut file = zip.by_index(index).unwrap();
                let mut content = Vec::new();
                file.read_to_end(&mut content).unwrap();
                (file.name().unwrap().into_owned(), content)
            })
            .collect();
        let mut buffer = vec![0; rawzip::RECOMMENDED_BUFFER_SIZE];
        let raw = rawzip::ZipArchive::from_seekable(self.clone(), &mut buffer).unwrap();
        assert_eq!(raw.entries_hint(), contents.len() as u64);
        contents
    }
}

impl Read for Sparse {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let len = (self.len.saturating_sub(self.at)).min(buffer.len() as u64);
        buffer[..len as usize].fill(0);
        for (at, bytes) in self.within(self.at..self.at + len) {
            buffer[at as usize..at as usize + bytes.len()].copy_from_slice(&bytes);
        }
        self.at += len;
        Ok(len as usize)
    }
}

impl Seek for Sparse {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.len.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(std::io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// Appends a directory of `records`, and zip64 end records for it.
fn push_directory(archive: &mut Sparse, records: Vec<u8>, count: u64) {
    let (start, size) = (archive.len, records.len() as u64);
    let mut end = b"PK\x06\x06".to_vec();
    end.extend(44_u64.to_le_bytes());
    end.extend([45, 3, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    [count, count, size, start].iter().for_each(|number| end.extend(number.to_le_bytes()));
    end.extend(b"PK\x06\x07\0\0\0\0");
    end.extend((start + size).to_le_bytes());
    end.extend(b"\x01\0\0\0PK\x05\x06\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0");
    archive.push([records, end].concat());
}

/// `first`, a hole, `second` and the directory, which starts at `directory_at`.
fn with_hole(directory_at: u64) -> Sparse {
    let mut archive = Sparse::default();
    let (mut first, mut second) = (Vec::new(), Vec::new());
    let second_entry = Spec { zip64: true, ..Spec::new("second", "the second content") };
    let mut records = write_entry(&mut first, &Spec::new("first", "the first content"), 0);
    write_entry(&mut second, &second_entry, 0);
    let second_at = directory_at - second.len() as u64;
    records.extend(write_entry(&mut Vec::new(), &second_entry, second_at as usize));
    archive.push(first);
    archive.len = second_at;
    archive.push(second);
    push_directory(&mut archive, records, 2);
    archive
}

fn put_new() -> Changes {
    changes([("new", Some(&b"the new content"[..]))])
}

#[test]
fn an_entry_that_comes_to_start_at_4_gib_gets_a_zip64_field_and_one_just_below_does_not() {
    // Edited. The new entry starts where the directory was.
    for at in [EDGE - 2, EDGE - 1, EDGE, EDGE + 1, 5 * GIB, 1 << 45] {
        let archive = with_hole(at);
        let new = archive.edited(&put_new(), Layout::InOrder).unwrap();
        let directory = new.directory();
        let entry = directory.entries().last().unwrap();
        assert_eq!((entry.name().as_ref(), entry.span().start), ("new", at));
        assert_eq!(entry.extra().is_empty(), at < EDGE - 1, "{at:#x}");
        let read = new.contents();
        let expected = [("first", "the first content"), ("second", "the second content"), ("new", "the new content")];
        assert!(
            read.iter().map(|(name, content)| (&name[..], &content[..])).eq(expected.map(|(n, c)| (n, c.as_bytes())))
        );
    }
}

#[test]
fn a_directory_at_4_gib_gets_zip64_end_records_and_one_just_below_does_not() {
    // Edited: an empty put moves the directory by 30 bytes and the name.
    let grows_by = 30 + 1;
    let edit = changes([("e", Some(&b""[..]))]);
    for (at, has_zip64) in [(EDGE - 2, false), (EDGE - 1, true), (EDGE, true)] {
        let new = with_hole(at - grows_by).edited(&edit, Layout::InOrder).unwrap();
        assert_eq!(new.directory().start(), at);
        assert_eq!(new.has(b"PK\x06\x06"), has_zip64, "{at:#x}");
        assert_eq!(new.contents().len(), 3);
    }
}

#[test]
fn entries_come_back_from_behind_4_gib_and_go_there() {
    // Edited: back, when the hole goes with the entry before it …
    let archive = with_hole(6 * GIB);
    let back = archive.edited(&changes([("first", None)]), Layout::InOrder).unwrap();
    assert!(back.len < 1000 && !back.has(b"PK\x06\x06"));
    assert_eq!(back.contents(), [("second".into(), b"the second content".to_vec())]);
    // … and there, when long runs go in front: `small` had a narrow offset and needs a wide one.
    let mut far = Sparse::default();
    let (mut small, mut edited, mut large) = (Vec::new(), Vec::new(), Vec::new());
    let mut records = write_entry(&mut small, &Spec::new("small", "small"), 0);
    records.extend(write_entry(&mut edited, &Spec::new("edited", "old"), small.len()));
    records.extend(write_entry(&mut large, &Spec::new("large", "large"), small.len() + edited.len()));
    far.push([small, edited, large].concat());
    // The hole behind `large` makes it a long run.
    far.len = 5 * GIB;
    push_directory(&mut far, records, 3);
    let new = far.edited(&changes([("edited", Some(&b"new"[..]))]), Layout::LongRunsFirst(GIB)).unwrap();
    let names: Vec<_> = new.directory().entries().map(|entry| entry.name().into_owned()).collect();
    assert_eq!(names, ["large", "small", "edited"]);
    let moved = new.directory();
    let moved = moved.entries().nth(1).unwrap();
    assert!(moved.span().start > EDGE && moved.extra().starts_with(&[1, 0, 8, 0]), "{:?}", moved.extra());
    let contents = [("large", "large"), ("small", "small"), ("edited", "new")];
    assert_eq!(new.contents(), contents.map(|(name, content)| (name.to_owned(), content.as_bytes().to_vec())));
}

#[test]
fn parts_of_more_than_4_gib_are_the_pieces() {
    let archive = with_hole(23 * GIB);
    let plan = Plan::new(&archive.directory(), &put_new(), Layout::LongRunsFirst(PartLimits::S3.min)).unwrap();
    let parts = parts(plan.pieces(), PartLimits::S3);
    assert_eq!(parts.iter().map(Part::len).sum::<u64>(), plan.size());
    assert!(parts.len() < 100 && parts.iter().all(|part| part.len() <= 5 * GIB), "{}", parts.len());
    let uploaded: u64 = parts.iter().filter(|part| matches!(part, Part::Upload(_))).map(Part::len).sum();
    assert!(uploaded < 1000, "{uploaded} bytes would be uploaded");
}

/// Writes it into a file that is mostly a hole.
fn file(folder: &std::path::Path, archive: &Sparse) -> FileStore {
    let path = folder.join("large.zip");
    let file = std::fs::File::create(&path).unwrap();
    file.set_len(archive.len).unwrap();
    for (at, bytes) in &archive.islands {
        file.write_all_at(bytes, *at).unwrap();
    }
    FileStore::new(&path)
}

#[tokio::test]
async fn a_file_of_more_than_4_gib_is_edited_reading_its_tail_only() {
    // Edited: the hole goes with the first entry.
    let folder = tempfile::tempdir().unwrap();
    let store = file(folder.path(), &with_hole(9 * GIB));
    assert!(std::fs::metadata(folder.path().join("large.zip")).unwrap().blocks() < 1000, "the file is sparse");
    let edit_it = changes([("first", None), ("new", Some(&b"the new content"[..]))]);
    let report = edit(&store, &edit_it, &Options::new()).await.unwrap();
    assert!(report.traffic.bytes_read <= 512 << 10, "{:?}", report.traffic);
    let new = Bytes::from(std::fs::read(folder.path().join("large.zip")).unwrap());
    assert_eq!(directory(&new).len(), 2);
    assert_eq!(crate::archive::read_by_others(&new)["second"].0, b"the second content");
}

#[tokio::test]
async fn an_entry_of_more_than_4_gib_is_refused_by_its_size_and_may_be_deleted() {
    // Refused: Lambda would never take it.
    let mut archive = Sparse::default();
    let mut header = Vec::new();
    let mut record = write_entry(&mut header, &Spec { zip64: true, ..Spec::new("large", "").stored() }, 0);
    let size = (5 * GIB).to_le_bytes();
    // Size and compressed size, in the zip64 fields of local header and record.
    for at in [30 + 5 + 4, 30 + 5 + 12] {
        header[at..at + 8].copy_from_slice(&size);
        record[at + 16..at + 24].copy_from_slice(&size);
    }
    archive.push(header);
    archive.len += 5 * GIB;
    let small_at = archive.len;
    let mut small = Vec::new();
    write_entry(&mut small, &Spec::new("small", "small"), 0);
    archive.push(small);
    record.extend(write_entry(
        &mut Vec::new(),
        &Spec { zip64: true, ..Spec::new("small", "small") },
        small_at as usize,
    ));
    push_directory(&mut archive, record, 2);

    let folder = tempfile::tempdir().unwrap();
    let store = file(folder.path(), &archive);
    assert_eq!(open(&store).await.unwrap().directory().entries().next().unwrap().compressed_size(), 5 * GIB);
    let refused = edit(&store, &put_new(), &Options::new()).await.unwrap_err();
    assert!(matches!(&refused, Error::TooLarge(text) if text.contains("leave something out")), "{refused}");
    let report = edit(&store, &changes([("large", None)]), &Options::new()).await.unwrap();
    assert!(report.size < 1000);
}

#[test]
fn a_count_of_65_535_is_a_count_and_no_reference_to_zip64() {
    // Edited: writers without zip64 may have so many, and one less or more is written as it must be.
    let spec = ArchiveSpec::of((0..65_535).map(|at| Spec::new(&format!("f{at}"), "").stored()));
    let archive = spec.write();
    assert_eq!(directory(&archive).len(), 65_535);
    let has_zip64 = |archive: &Bytes| archive.windows(4).any(|window| window == b"PK\x06\x06");
    let more = edited(&archive, &changes([("new", Some(&b"x"[..]))]), Layout::InOrder).unwrap();
    assert_eq!((directory(&more).len(), has_zip64(&more)), (65_536, true));
    assert_eq!(zip::ZipArchive::new(std::io::Cursor::new(&more)).unwrap().len(), 65_536);
    assert_eq!(rawzip::ZipArchive::from_slice(&more).unwrap().entries().count(), 65_536);
    let again = edited(&more, &changes([("new", None)]), Layout::InOrder).unwrap();
    assert_eq!((directory(&again).len(), has_zip64(&again)), (65_535, true));
    let fewer = edited(&again, &changes([("f0", None)]), Layout::InOrder).unwrap();
    assert_eq!((directory(&fewer).len(), has_zip64(&fewer)), (65_534, false));
}

#[test]
fn a_count_that_wrapped_around_is_refused() {
    // Refused: 65,537 entries of a writer without zip64, which counts 1.
    let spec = ArchiveSpec::of((0..65_535).map(|at| Spec::new(&format!("f{at}"), "").stored()));
    let archive = edited(&spec.write(), &changes([("a", Some(&b""[..])), ("b", Some(b""))]), Layout::InOrder).unwrap();
    let (start, size) = (directory(&archive).start() as u32, directory(&archive).size() as u32);
    let mut wrapped = archive[..(start + size) as usize].to_vec();
    wrapped.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    wrapped.extend([size.to_le_bytes(), start.to_le_bytes()].concat());
    wrapped.extend([0, 0]);
    let error = try_directory(&wrapped.into()).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("counts 1 entries") && error.contains("without zip64"), "{error}");
}

#[test]
fn a_directory_that_is_said_to_be_huge_is_neither_read_nor_held_in_memory() {
    // Refused above 64 MiB; below, no more is asked for than the object has.
    let archive = ArchiveSpec::of([Spec::new("a", "a")]).write();
    let end = archive.slice(archive.len() - 22..);
    let said = |size: u32| patched(&end, 12, &size.to_le_bytes());
    let error = Directory::find(&said(u32::MAX - 1), 8 * GIB).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("leave entries out"), "{error}");
    let far = 8 * GIB - 22 - (64 << 20);
    assert!(matches!(Directory::find(&said(64 << 20), 8 * GIB), Ok(Search::ReadFrom(from)) if from == far));
    assert!(Directory::find(&said(64 << 20), 64 << 20).is_err());
}

#[test]
fn an_edit_that_would_make_a_directory_that_is_not_read_again_is_refused() {
    // Refused: just below 64 MiB, with names that take the rest.
    let archive = ArchiveSpec::of((0..1117).map(|at| Spec::new(&format!("{at:060000}"), "").stored())).write();
    let names: Vec<String> = (0..10).map(|at| format!("{at:04000}")).collect();
    let puts = |count: usize| changes(names[..count].iter().map(|name| (name.as_str(), Some(&b""[..]))));
    edited(&archive, &puts(9), Layout::InOrder).unwrap();
    let error = edited(&archive, &puts(10), Layout::InOrder).unwrap_err();
    assert!(matches!(&error, FormatError::TooLarge(text) if text.contains("leave entries out")), "{error}");
}
