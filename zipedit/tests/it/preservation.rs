//! What a replaced and a new entry are like, exactly.

use bytes::Bytes;
use zipedit::plan::{Layout, Plan};
use zipedit::{Change, Changes, Content};

use crate::archive::{ArchiveSpec, Descriptor, Spec, changes, directory, edited, name, read_by_others};

fn one(archive: &Bytes, entry: &str) -> (u16, u32, usize, Vec<u8>, Vec<u8>) {
    let directory = directory(archive);
    let found: Vec<_> = directory.entries().filter(|found| found.name() == entry).collect();
    assert_eq!(found.len(), 1, "{entry} is there once");
    let found = found[0];
    let span = (found.span().end - found.span().start) as usize;
    (found.method(), found.external_attributes(), span, found.extra().to_vec(), found.comment().to_vec())
}

#[test]
fn a_new_entry_is_deflated_with_mode_0755_on_unix_at_the_first_time_of_zip() {
    let archive = ArchiveSpec::of([Spec::new("a", "old")]).write();
    let new = edited(&archive, &changes([("b.js", Some(&[b'x'; 1000][..]))]), Layout::InOrder).unwrap();
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(&new)).unwrap();
    let entry = zip.by_name("b.js").unwrap();
    assert_eq!(entry.unix_mode(), Some(0o100_755));
    assert_eq!(entry.compression(), zip::CompressionMethod::Deflated);
    assert_eq!(entry.last_modified(), Some(zip::DateTime::default()));
    assert_eq!((entry.version_made_by().0, entry.version_made_by().1), (2, 0));
    drop(entry);
    let directory = directory(&new);
    let entry = directory.entries().last().unwrap();
    assert_eq!(entry.external_attributes(), 0o100_755 << 16);
    assert_eq!(entry.span().end - entry.span().start, 30 + 4 + entry.compressed_size(), "no extra, no descriptor");
}

#[test]
fn a_new_entry_that_deflate_does_not_shrink_is_stored() {
    let archive = ArchiveSpec::of([]).write();
    let new =
        edited(&archive, &changes([("tiny", Some(&b"xyz"[..])), ("none", Some(&b""[..]))]), Layout::InOrder).unwrap();
    assert_eq!(one(&new, "tiny").0, 0);
    assert_eq!(one(&new, "none").0, 0);
    assert_eq!(read_by_others(&new)["tiny"].0, b"xyz");
}

#[test]
fn a_replaced_entry_keeps_mode_method_time_extra_fields_and_comment() {
    let timestamp = b"UT\x05\0\x01\x12\x34\x56\x57".to_vec();
    let spec = Spec { extra: timestamp.clone(), comment: "mine".into(), ..Spec::new("run.sh", "#!/bin/sh").stored() };
    let archive = ArchiveSpec::of([Spec { mode: 0o100_750, zip64: true, ..spec }, Spec::new("b", "b")]).write();
    let new = edited(&archive, &changes([("run.sh", Some(&[b'x'; 500][..]))]), Layout::InOrder).unwrap();
    let (method, attributes, span, extra, comment) = one(&new, "run.sh");
    assert_eq!(method, 0, "stored stays stored");
    assert_eq!(attributes, 0o100_750 << 16);
    assert_eq!(extra, timestamp, "without the zip64 field, which no number needs any more");
    assert_eq!(comment, b"mine");
    assert_eq!(span, 30 + 6 + 500);
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(&new)).unwrap();
    let written = zip.by_name("run.sh").unwrap().last_modified().unwrap();
    assert_eq!((written.year(), written.month(), written.day()), (2023, 11, 5));
    drop(zip);
    assert_eq!(read_by_others(&new)["run.sh"].0, [b'x'; 500]);
}

#[test]
fn a_deflated_entry_stays_deflated_even_if_it_grows() {
    let archive = ArchiveSpec::of([Spec::new("a", "aaaaaaaaaaaaaaaaaaaaaaaa")]).write();
    let new = edited(&archive, &changes([("a", Some(&b"q"[..]))]), Layout::InOrder).unwrap();
    assert_eq!(one(&new, "a").0, 8);
}

#[test]
fn a_mode_that_is_asked_for_is_set_on_new_and_replaced_entries() {
    let archive = ArchiveSpec::of([Spec::new("a", "old").mode(0o100_600)]).write();
    let changes: Changes =
        ["a", "b"].map(|entry| (name(entry), Change::Put(Content::new("new").with_mode(0o640)))).into_iter().collect();
    let new = edited(&archive, &changes, Layout::InOrder).unwrap();
    assert_eq!(one(&new, "a").1, 0o100_640 << 16);
    assert_eq!(one(&new, "b").1, 0o100_640 << 16);
}

#[test]
fn a_mode_alone_is_a_change() {
    let archive = ArchiveSpec::of([Spec::new("a", "same").mode(0o100_600)]).write();
    let with_mode = |mode| [(name("a"), Change::Put(Content::new("same").with_mode(mode)))].into_iter().collect();
    let plan = |changes: &Changes| Plan::new(&directory(&archive), changes, Layout::InOrder).unwrap();
    assert!(!plan(&with_mode(0o644)).is_noop());
    assert!(plan(&with_mode(0o600)).is_noop());
}

#[test]
fn every_duplicate_of_a_touched_name_goes_and_others_stay() {
    let archive = ArchiveSpec::of([
        Spec::new("a", "first"),
        Spec::new("b", "one"),
        Spec::new("a", "second").mode(0o100_600),
        Spec::new("b", "two"),
    ])
    .write();
    let new = edited(&archive, &changes([("a", Some(&b"new"[..]))]), Layout::InOrder).unwrap();
    let names: Vec<_> = directory(&new).entries().map(|entry| entry.name().into_owned()).collect();
    assert_eq!(names, ["b", "b", "a"]);
    assert_eq!(one(&new, "a").1, 0o100_600 << 16, "as the last one was, which is the one that readers take");
}

#[test]
fn names_are_matched_as_readers_decode_them() {
    // "ä" in code page 437, without the UTF-8 flag.
    let mut archive = ArchiveSpec::of([Spec::new("X.txt", "old")]).write().to_vec();
    archive.iter_mut().filter(|byte| **byte == b'X').for_each(|byte| *byte = 0x84);
    let archive = Bytes::from(archive);
    let new = edited(&archive, &changes([("ä.txt", Some(&b"new"[..]))]), Layout::InOrder).unwrap();
    let directory = directory(&new);
    assert_eq!(directory.len(), 1);
    assert_eq!(directory.entries().next().unwrap().name_bytes(), b"\x84.txt", "the name keeps its bytes");
}

#[test]
fn long_runs_go_first_and_what_is_edited_gathers_at_the_end() {
    let big = |name: &str| Spec::new(name, vec![7; 2000]).stored();
    let small = |name: &str| Spec::new(name, vec![7; 50]).stored();
    let archive = ArchiveSpec::of([small("s1"), small("e1"), big("b1"), small("e2"), big("b2"), small("e3")]).write();
    let edit = changes(["e1", "e2", "e3"].map(|name| (name, Some(&b"x"[..]))));
    let new = edited(&archive, &edit, Layout::LongRunsFirst(1000)).unwrap();
    let names: Vec<_> = directory(&new).entries().map(|entry| entry.name().into_owned()).collect();
    assert_eq!(names, ["b1", "b2", "s1", "e1", "e2", "e3"]);
}

#[test]
fn a_prefix_stays_in_front_even_when_the_first_entry_is_replaced() {
    let spec = ArchiveSpec {
        prefix: b"#!/usr/bin/env python3\n".to_vec(),
        ..ArchiveSpec::of([Spec::new("__main__.py", "old"), Spec::new("lib", vec![1; 3000]).stored()])
    };
    let edit = changes([("__main__.py", Some(&b"new"[..]))]);
    for counted in [true, false] {
        let archive = ArchiveSpec { offsets_count_prefix: counted, ..spec.clone() }.write();
        let new = edited(&archive, &edit, Layout::LongRunsFirst(1000)).unwrap();
        assert!(new.starts_with(&spec.prefix));
        assert_eq!(read_by_others(&new)["__main__.py"].0, b"new");
    }
}

#[test]
fn zip64_is_written_where_the_number_of_entries_needs_it_and_not_before() {
    for (entries, has_zip64) in [(65_533, false), (65_534, true)] {
        let spec = ArchiveSpec::of((0..entries).map(|at| Spec::new(&format!("f{at}"), "").stored()));
        let archive = spec.write();
        let new = edited(&archive, &changes([("one-more", Some(&b"x"[..]))]), Layout::InOrder).unwrap();
        assert_eq!(new.windows(4).any(|bytes| bytes == b"PK\x06\x06"), has_zip64, "{entries}");
        assert_eq!(directory(&new).len(), entries + 1);
        assert_eq!(zip::ZipArchive::new(std::io::Cursor::new(&new)).unwrap().len(), entries + 1);
        // And back.
        let back = edited(&new, &changes([("one-more", None), ("f7", None)]), Layout::InOrder).unwrap();
        assert!(!back.windows(4).any(|bytes| bytes == b"PK\x06\x06"));
        assert_eq!(directory(&back).len(), entries - 1);
    }
}

#[test]
fn descriptors_travel_with_their_entries() {
    let entries = [Descriptor::Signed, Descriptor::Bare, Descriptor::None]
        .map(|descriptor| Spec { descriptor, ..Spec::new(&format!("{descriptor:?}"), "some content, some content") });
    let archive = ArchiveSpec::of(entries).write();
    let new = edited(&archive, &changes([("Bare", None), ("new", Some(&b"n"[..]))]), Layout::InOrder).unwrap();
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(&new)).unwrap();
    zip.validate_header_consistency().unwrap();
    assert_eq!(read_by_others(&new).len(), 3);
}

#[test]
fn a_unicode_path_becomes_the_name_itself_as_the_local_header_has_none() {
    // Info-ZIP's field 0x7075: version, CRC-32 of the name in the header, the name in UTF-8.
    let mut crc = flate2::Crc::new();
    crc.update(b"x.txt");
    let path = "ä.txt".as_bytes();
    let mut field = vec![0x75, 0x70, 5 + path.len() as u8, 0, 1];
    field.extend(crc.sum().to_le_bytes());
    field.extend(path);
    let archive = ArchiveSpec::of([Spec { extra: field, ..Spec::new("x.txt", "old") }]).write();
    assert_eq!(directory(&archive).entries().next().unwrap().name(), "ä.txt");
    let new = edited(&archive, &changes([("ä.txt", Some(&b"new"[..]))]), Layout::InOrder).unwrap();
    assert_eq!(one(&new, "ä.txt").3, b"", "the field is gone");
    assert_eq!(read_by_others(&new)["ä.txt"].0, b"new");
    zip::ZipArchive::new(std::io::Cursor::new(&new)).unwrap().validate_header_consistency().unwrap();
}
