//! Names that are there twice, in another code page or in two forms: an edit touches all that readers take for the name,
//! and what it doesn't touch is to every reader what it was.

use bytes::Bytes;
use zipedit::plan::Layout;

use crate::archive::{ArchiveSpec, Spec, changes, directory, edited, name, patched, read_by_others, try_directory};

fn long(name: &str, byte: u8) -> Spec {
    Spec::new(name, vec![byte; 3000]).stored()
}

fn short(name: &str, byte: u8) -> Spec {
    Spec::new(name, vec![byte; 30]).stored()
}

/// The first byte of each entry of this name: as the directory lists them, and as they stand in the archive.
fn turns(archive: &Bytes, name: &str) -> (Vec<u8>, Vec<u8>) {
    let directory = directory(archive);
    let mut entries: Vec<_> = directory.entries().filter(|entry| entry.name() == name).collect();
    let first_bytes = |entries: &[zipedit::Entry<'_>]| {
        entries.iter().map(|entry| archive[entry.span().start as usize + 30 + name.len()]).collect()
    };
    let standing = first_bytes(&entries);
    entries.sort_by_key(|entry| entry.name_bytes().as_ptr() as usize);
    (first_bytes(&entries), standing)
}

#[test]
fn twins_that_are_not_touched_keep_their_order_though_long_runs_go_first() {
    // Edited: readers take the last of the two, which by its length would go in front.
    let archive = ArchiveSpec::of([short("twin", 1), short("edited", 0), long("twin", 2)]).write();
    let new = edited(&archive, &changes([("edited", Some(&b"x"[..]))]), Layout::LongRunsFirst(1000)).unwrap();
    assert_eq!(read_by_others(&archive)["twin"].0[0], 2);
    assert_eq!(read_by_others(&new)["twin"].0[0], 2);
    assert_eq!(turns(&new, "twin"), (vec![1, 2], vec![1, 2]));
}

#[test]
fn twins_that_are_listed_in_another_order_than_they_stand_stay_so() {
    // Edited: readers that go by the directory see the first one, as before.
    let spec = ArchiveSpec::of([short("twin", 1), short("edited", 0), short("twin", 2)]);
    let archive = ArchiveSpec { directory_reversed: true, ..spec }.write();
    assert_eq!(read_by_others(&archive)["twin"].0[0], 1);
    for layout in [Layout::InOrder, Layout::LongRunsFirst(10)] {
        let new = edited(&archive, &changes([("edited", Some(&b"x"[..]))]), layout).unwrap();
        assert_eq!(read_by_others(&new)["twin"].0[0], 1);
        assert_eq!(turns(&new, "twin"), (vec![2, 1], vec![1, 2]));
        let again = edited(&new, &changes([("edited", None)]), layout).unwrap();
        assert_eq!(read_by_others(&again)["twin"].0[0], 1);
    }
}

#[test]
fn of_twins_the_one_that_readers_take_gives_the_new_entry_its_mode() {
    // Edited: both go, and one comes that is like the one listed last.
    let spec = ArchiveSpec::of([short("twin", 1).mode(0o100_700), short("twin", 2).mode(0o100_644)]);
    for (directory_reversed, mode) in [(false, 0o100_644), (true, 0o100_700)] {
        let archive = ArchiveSpec { directory_reversed, ..spec.clone() }.write();
        let new = edited(&archive, &changes([("twin", Some(&b"x"[..]))]), Layout::InOrder).unwrap();
        assert_eq!(directory(&new).len(), 1);
        assert_eq!(read_by_others(&new)["twin"], (b"x".to_vec(), mode));
    }
}

#[test]
fn a_name_in_two_code_pages_is_one_name() {
    // Edited: `ä.txt` in code page 437 and in UTF-8 are twins, as readers make one file of them.
    let mut archive = ArchiveSpec::of([Spec::new("X.txt", "old"), Spec::new("ä.txt", "newer")]).write().to_vec();
    archive.iter_mut().filter(|byte| **byte == b'X').for_each(|byte| *byte = 0x84);
    let new = edited(&archive.clone().into(), &changes([("ä.txt", Some(&b"new"[..]))]), Layout::InOrder).unwrap();
    assert_eq!(read_by_others(&new).len(), 1);
    assert_eq!(read_by_others(&new)["ä.txt"].0, b"new");
    let without = edited(&archive.into(), &changes([("ä.txt", None)]), Layout::InOrder).unwrap();
    assert!(directory(&without).is_empty());
}

#[test]
fn names_that_differ_in_case_are_two_names() {
    // Edited: Lambda's file system tells them apart, and so does an edit.
    let archive = ArchiveSpec::of([Spec::new("Index.js", "upper"), Spec::new("index.js", "lower")]).write();
    let edit = changes([("index.js", Some(&b"new"[..])), ("INDEX.js", Some(&b"third"[..]))]);
    let found = read_by_others(&edited(&archive, &edit, Layout::InOrder).unwrap());
    let contents: Vec<_> = found.iter().map(|(name, (content, _))| (&name[..], &content[..])).collect();
    assert_eq!(contents, [("INDEX.js", &b"third"[..]), ("Index.js", b"upper"), ("index.js", b"new")]);
}

#[test]
fn names_that_lead_out_of_the_archive_stay_as_they_are_and_cannot_be_put_or_deleted() {
    // Edited: an edit makes no such names, and cleans none away either.
    let names = ["../up", "/etc/passwd", "C:\\x", "a//b", "./a", "a\\b"];
    let archive = ArchiveSpec::of(names.map(|name| Spec::new(name, name)).into_iter().chain([Spec::new("a", "a")]));
    let new = edited(&archive.write(), &changes([("a", Some(&b"new"[..]))]), Layout::InOrder).unwrap();
    let names_in = |archive: &Bytes| {
        let names: Vec<_> = directory(archive).entries().map(|entry| entry.name_bytes().to_vec()).collect();
        names
    };
    assert_eq!(names_in(&new), names_in(&archive.write()));
    for name in names {
        assert!(zipedit::EntryName::new(name).is_err(), "{name}");
    }
}

#[test]
fn bytes_that_are_no_utf_8_stay_as_they_are_though_their_flag_says_so() {
    // Edited: the name can be named by what readers show of it.
    let mut archive = ArchiveSpec::of([Spec::new("ü.txt", "old"), Spec::new("b", "b")]).write().to_vec();
    let broken = [0xff, 0xbc];
    for at in 0..archive.len() - 1 {
        if archive[at..at + 2] == *"ü".as_bytes() {
            archive[at..at + 2].copy_from_slice(&broken);
        }
    }
    let archive = Bytes::from(archive);
    let new = edited(&archive, &changes([("b", Some(&b"new"[..]))]), Layout::InOrder).unwrap();
    assert_eq!(directory(&new).entries().next().unwrap().name_bytes(), b"\xff\xbc.txt");
    let shown = directory(&new).entries().next().unwrap().name().into_owned();
    assert_eq!(shown, "\u{fffd}\u{fffd}.txt");
    assert_eq!(directory(&edited(&new, &changes([(shown.as_str(), None)]), Layout::InOrder).unwrap()).len(), 1);
}

/// Info-ZIP's extra field 0x7075: the name in UTF-8, and the CRC-32 of the one in the header.
fn unicode_path(of: &str, path: &str) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(of.as_bytes());
    let mut field = vec![0x75, 0x70, 5 + u8::try_from(path.len()).unwrap(), 0, 1];
    field.extend(crc.sum().to_le_bytes());
    field.extend(path.as_bytes());
    field
}

#[test]
fn an_entry_with_two_unicode_names_is_refused() {
    // Refused: Info-ZIP goes by the header, the `zip` crate by the field; an edit of `safe.js` would be one of `ü.js`.
    let two = Spec { extra: unicode_path("ü.js", "safe.js"), ..Spec::new("ü.js", "x") };
    let error = try_directory(&ArchiveSpec::of([two]).write()).map(|_| ()).unwrap_err().to_string();
    assert!(
        error.contains("`ü.js`") && error.contains("`safe.js`") && error.contains("make the archive again"),
        "{error}"
    );
    // Edited: where both say the same.
    let one = Spec { extra: unicode_path("ü.js", "ü.js"), ..Spec::new("ü.js", "x") };
    let new =
        edited(&ArchiveSpec::of([one]).write(), &changes([("ü.js", Some(&b"new"[..]))]), Layout::InOrder).unwrap();
    assert_eq!(read_by_others(&new)["ü.js"].0, b"new");
}

#[test]
fn a_directory_in_the_header_that_is_a_file_by_its_unicode_path_is_a_file() {
    let archive = ArchiveSpec::of([Spec { extra: unicode_path("d/", "ä.js"), ..Spec::new("d/", "x") }]).write();
    let directory = directory(&archive);
    let entry = directory.entries().next().unwrap();
    assert_eq!((entry.name().as_ref(), entry.is_dir()), ("ä.js", false));
}

#[test]
fn a_name_in_a_message_is_cut_and_changes_nothing_of_how_the_message_reads() {
    // Refused, in fewer words than the 500 kB that the name took.
    let evil = format!("\u{202e}\u{1b}[2J{}", "x".repeat(60_000));
    let archive = ArchiveSpec::of([Spec::new(&evil, "a").stored()]).write();
    let record = directory(&archive).start() as usize;
    let refused = try_directory(&patched(&archive, record + 20, &[99])).map(|_| ()).unwrap_err().to_string();
    assert!(refused.len() < 600 && refused.contains("xxx"), "{} bytes", refused.len());
    assert!(!refused.contains(['\u{1b}', '\u{202e}']), "{refused}");
    let below = ArchiveSpec::of([Spec::new(&format!("dir/{evil}"), "a").stored()]).write();
    let refused = edited(&below, &changes([("dir", Some(&b"x"[..]))]), Layout::InOrder).unwrap_err().to_string();
    assert!(refused.len() < 600 && refused.contains("xxx"), "{} bytes", refused.len());
}

#[test]
fn a_directory_of_long_names_in_code_page_437_is_planned_in_no_time() {
    // Each name took 128 steps for each of its bytes: minutes for a directory of such names.
    let mut archive = ArchiveSpec::of((0..30).map(|_| Spec::new(&"~".repeat(60_000), "").stored())).write().to_vec();
    let name_bytes = |at: &usize| archive[*at..].starts_with(b"~~") || archive[..=*at].ends_with(b"~~");
    (0..archive.len()).filter(name_bytes).collect::<Vec<_>>().into_iter().for_each(|at| archive[at] = 0xff);
    let mut edit = changes([("a", Some(&b"x"[..]))]);
    edit.delete(name("b"));
    edited(&archive.into(), &edit, Layout::LongRunsFirst(10)).unwrap();
}
