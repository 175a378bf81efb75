//! Archives that can't be edited without guessing, and edits that contradict the archive: refused by name.

use bytes::Bytes;
use zipedit::FormatError;
use zipedit::directory::Search;
use zipedit::plan::{Layout, Plan};
use zipedit::{Change, Changes, Content};

use crate::archive::{ArchiveSpec, Spec, changes, directory, edited, name, patched, read_by_others, try_directory};

fn refusal(archive: &Bytes) -> FormatError {
    try_directory(archive).map(|_| ()).expect_err("it is refused")
}

fn two() -> Bytes {
    ArchiveSpec::of([Spec::new("a", "first").stored(), Spec::new("b", "second").stored()]).write()
}

#[test]
fn what_is_not_a_zip_is_told_so() {
    for bytes in [&b""[..], b"PK", b"hello, this is not a zip archive at all", &[0; 70_000]] {
        assert!(matches!(refusal(&Bytes::copy_from_slice(bytes)), FormatError::NotAZip(_)), "{bytes:?}");
    }
}

#[test]
fn every_truncation_is_refused() {
    let archive = two();
    for len in 0..archive.len() {
        refusal(&archive.slice(..len));
    }
}

#[test]
fn an_end_record_that_lies_of_the_number_of_entries_is_refused() {
    let archive = two();
    let end = archive.len() - 22;
    for count in [0_u16, 1, 3, 77] {
        let lying = [count.to_le_bytes(), count.to_le_bytes()].concat();
        let error = refusal(&patched(&archive, end + 8, &lying));
        assert!(error.to_string().contains("counts"), "{error}");
    }
}

#[test]
fn overlapping_entries_are_refused() {
    let archive = two();
    let found = directory(&archive);
    let second_record = found.start() as usize + 46 + 1;
    // The second entry says that it starts where the first one does, or inside it.
    for offset in [0_u32, 10] {
        let error = refusal(&patched(&archive, second_record + 42, &offset.to_le_bytes()));
        assert!(error.to_string().contains("overlap"), "{error}");
    }
    // The first one says that it reaches into the second.
    let error = refusal(&patched(&archive, found.start() as usize + 20, &50_u32.to_le_bytes()));
    assert!(error.to_string().contains("overlap"), "{error}");
}

#[test]
fn offsets_outside_the_archive_are_refused() {
    let archive = two();
    let record = directory(&archive).start() as usize;
    for offset in [archive.len() as u32, u32::MAX - 1, directory(&archive).start() as u32] {
        refusal(&patched(&archive, record + 42, &offset.to_le_bytes()));
    }
    // A sentinel without the field that it refers to.
    let error = refusal(&patched(&archive, record + 42, &u32::MAX.to_le_bytes()));
    assert!(error.to_string().contains("zip64"), "{error}");
}

#[test]
fn a_directory_that_does_not_fit_is_refused() {
    let archive = two();
    let end = archive.len() - 22;
    let size = refusal(&patched(&archive, end + 12, &5000_u32.to_le_bytes()));
    assert!(size.to_string().contains("does not fit"), "{size}");
    refusal(&patched(&archive, end + 12, &10_u32.to_le_bytes()));
    refusal(&patched(&archive, end + 16, &(archive.len() as u32).to_le_bytes()));
}

#[test]
fn multi_disk_archives_and_encrypted_directories_are_refused() {
    let archive = two();
    let (end, record) = (archive.len() - 22, directory(&archive).start() as usize);
    for at in [end + 4, end + 6, record + 34] {
        let error = refusal(&patched(&archive, at, &[1]));
        assert!(error.to_string().contains("multi-disk"), "{error}");
    }
    let error = refusal(&patched(&archive, record + 9, &[1 << 5]));
    assert!(error.to_string().contains("encrypted"), "{error}");
}

#[test]
fn an_encrypted_entry_may_be_kept_or_deleted_but_not_replaced() {
    let archive = two();
    let record = directory(&archive).start() as usize;
    let archive = patched(&archive, record + 8, &[1]);
    let error = edited(&archive, &changes([("a", Some(&b"x"[..]))]), Layout::InOrder).unwrap_err();
    assert!(error.to_string().contains("`a` is encrypted"), "{error}");
    edited(&archive, &changes([("b", Some(&b"x"[..]))]), Layout::InOrder).unwrap();
    let without = edited(&archive, &changes([("a", None)]), Layout::InOrder).unwrap();
    assert_eq!(directory(&without).len(), 1);
}

#[test]
fn a_symbolic_link_is_not_replaced_by_content() {
    let archive = ArchiveSpec::of([Spec::new("link", "target").stored().mode(0o120_777)]).write();
    let error = edited(&archive, &changes([("link", Some(&b"x"[..]))]), Layout::InOrder).unwrap_err();
    assert!(error.to_string().contains("symbolic link"), "{error}");
}

#[test]
fn a_put_below_a_file_is_refused_unless_the_file_goes() {
    let archive =
        ArchiveSpec::of([Spec::new("lib", "a file"), Spec::new("src/a.js", "x"), Spec::new("dir/", "")]).write();
    let put = |entry: &'static str| changes([(entry, Some(&b"x"[..]))]);
    for (entry, other) in [("lib/x.js", "lib"), ("lib/a/b/c", "lib"), ("src", "src/a.js"), ("dir", "dir/")] {
        let error = edited(&archive, &put(entry), Layout::InOrder).unwrap_err();
        assert!(
            matches!(&error, FormatError::Clash { name, reason } if name == entry && reason.contains(other)),
            "{error}"
        );
    }
    edited(&archive, &changes([("lib", None), ("lib/x.js", Some(&b"x"[..]))]), Layout::InOrder).unwrap();
    edited(&archive, &changes([("src/a.js", None), ("src", Some(&b"x"[..]))]), Layout::InOrder).unwrap();
    edited(&archive, &changes([("library", Some(&b"x"[..])), ("src/a.js.map", Some(&b""[..]))]), Layout::InOrder)
        .unwrap();
    let both = changes([("new", Some(&b"x"[..])), ("new/below", Some(&b"x"[..]))]);
    assert!(matches!(edited(&archive, &both, Layout::InOrder), Err(FormatError::Clash { .. })));
}

#[test]
fn more_than_lambda_takes_unzipped_is_refused() {
    let archive = ArchiveSpec::of([Spec::new("zeros", vec![0; 262_143_990])]).write();
    let just = changes([("x", Some(&[0; 10][..]))]);
    edited(&archive, &just, Layout::InOrder).unwrap();
    let error = edited(&archive, &changes([("x", Some(&[0; 11][..]))]), Layout::InOrder).unwrap_err();
    assert!(matches!(&error, FormatError::TooLarge(text) if text.contains("262144001")), "{error}");
}

#[test]
fn a_comment_that_looks_like_an_end_record_fools_nobody() {
    let fake_end = two().slice(two().len() - 22..);
    let spec = ArchiveSpec { comment: fake_end.to_vec(), ..ArchiveSpec::of([Spec::new("real", "content")]) };
    let archive = spec.write();
    assert_eq!(directory(&archive).entries().next().unwrap().name(), "real");
    // One that claims to be of an empty archive, as `zip` and `unzip` believe.
    let empty = [&b"PK\x05\x06"[..], &[0; 18]].concat();
    let archive = ArchiveSpec { comment: empty, ..spec }.write();
    assert_eq!(directory(&archive).len(), 1);
}

#[test]
fn a_directory_before_the_tail_is_asked_for() {
    let archive = two();
    let start = directory(&archive).start();
    let tail = archive.slice(archive.len() - 30..);
    match zipedit::Directory::find(&tail, archive.len() as u64).unwrap() {
        Search::ReadFrom(from) => assert_eq!(from, start),
        Search::Found(_) => panic!("it can't be there"),
    }
}

#[test]
fn a_directory_of_unreasonable_size_is_refused_before_it_is_read() {
    let archive = two();
    let end = archive.slice(archive.len() - 22..);
    let end = patched(&patched(&end, 12, &(80_u32 << 20).to_le_bytes()), 16, &1000_u32.to_le_bytes());
    let error = zipedit::Directory::find(&end, 1000 + (80 << 20) + 22).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("more than"), "{error}");
}

#[test]
fn no_flip_of_a_bit_makes_the_planner_panic() {
    let archive = two();
    let edit: Changes =
        [(name("b"), Change::Put(Content::new("new"))), (name("c"), Change::Delete)].into_iter().collect();
    for bit in 0..archive.len() * 8 {
        let mut broken = archive.to_vec();
        broken[bit / 8] ^= 1 << (bit % 8);
        let broken = Bytes::from(broken);
        if let Ok(Search::Found(directory)) = try_directory(&broken) {
            let _ = Plan::new(&directory, &edit, Layout::LongRunsFirst(10));
        }
    }
}

#[test]
fn a_damaged_archive_behind_a_long_prefix_is_refused_without_reading_all_of_it() {
    let spec = ArchiveSpec { prefix: vec![1; 3 << 20], ..ArchiveSpec::of([Spec::new("a", "x"), Spec::new("b", "y")]) };
    let archive = ArchiveSpec { offsets_count_prefix: false, ..spec }.write();
    let record = directory(&archive).start() as usize;
    let archive = patched(&archive, record, b"XX");
    let tail = archive.slice(archive.len() - 100_000..);
    let error = zipedit::Directory::find(&tail, archive.len() as u64).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("damaged"), "{error}");
}

#[test]
fn what_looks_like_a_zip64_locator_in_a_name_or_comment_is_none() {
    let locator = "PK\u{6}\u{7}".to_owned() + &"\u{1}".repeat(16);
    let archive = ArchiveSpec::of([Spec { comment: locator, ..Spec::new("a", "x") }, Spec::new("b", "y")]).write();
    let new = edited(&archive, &changes([("b", None)]), Layout::InOrder).unwrap();
    assert_eq!(directory(&new).len(), 1);
    assert_eq!(read_by_others(&new)["a"].0, b"x");
}

#[test]
fn a_comment_that_would_be_misread_behind_the_edit_is_refused() {
    // A whole zip64 end record with its locator, which stand right before the end record once `b` is gone.
    let mut record = vec![0; 56];
    record[..4].copy_from_slice(b"PK\x06\x06");
    record[32] = 5;
    let mut locator = vec![0; 20];
    locator[..4].copy_from_slice(b"PK\x06\x07");
    locator[16] = 1;
    let comment = String::from_utf8([record, locator].concat()).unwrap();
    let archive = ArchiveSpec::of([Spec { comment, ..Spec::new("a", "x") }, Spec::new("b", "y")]).write();
    let error = edited(&archive, &changes([("b", None)]), Layout::InOrder).unwrap_err();
    assert!(error.to_string().contains("misread"), "{error}");
    edited(&archive, &changes([("c", Some(&b"z"[..]))]), Layout::InOrder).unwrap();
}

#[test]
fn long_names_of_many_parts_are_planned_in_no_time() {
    let long = "a/".repeat(30_000) + "x";
    let archive = ArchiveSpec::of((0..20).map(|at| Spec::new(&format!("{at}/{long}"), "")));
    // It took seconds when every part of every name was looked up; the suite's time tells, no clock does.
    edited(&archive.write(), &changes([("new", Some(&b"x"[..]))]), Layout::InOrder).unwrap();
}
