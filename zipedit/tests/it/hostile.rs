//! Archives made to do harm: bombs, overlaps, numbers that lie. Each is edited so that all readers agree on what came of
//! it, or refused by an error that says what to do; each test says which.

use std::path::Path;

use bytes::Bytes;
use zipedit::plan::Layout;
use zipedit::{Changes, Error, FileStore, FormatError, Options, Stop, edit, open, read_entries, read_overlay};

use crate::archive::{
    ArchiveSpec, Descriptor, Spec, changes, directory, edited, patched, read_by_others, try_directory,
};

fn refusal(archive: &Bytes) -> String {
    match try_directory(archive).map(|_| ()).expect_err("it is refused") {
        FormatError::Unsupported(reason) => reason,
        other => panic!("{other}"),
    }
}

fn written(folder: &Path, archive: &Bytes) -> FileStore {
    let path = folder.join("archive.zip");
    std::fs::write(&path, archive).unwrap();
    FileStore::new(&path)
}

async fn overlay(archive: &Bytes) -> Result<Changes, Error> {
    let folder = tempfile::tempdir().unwrap();
    read_overlay(&written(folder.path(), archive), &Stop::never()).await
}

/// Where the record of the only entry stands.
fn record(archive: &Bytes) -> usize {
    directory(archive).start() as usize
}

fn put_x() -> Changes {
    changes([("x", Some(&b"x"[..]))])
}

const MIB: usize = 1 << 20;

#[test]
fn a_bomb_that_says_so_is_not_added_to_but_may_be_defused() {
    // Refused, until the edit itself takes the bomb away.
    let archive = ArchiveSpec::of([Spec::new("bomb", vec![0; 300 * MIB]), Spec::new("a", "a")]).write();
    assert!(archive.len() < 4 * MIB);
    let error = edited(&archive, &put_x(), Layout::InOrder).unwrap_err();
    assert!(matches!(&error, FormatError::TooLarge(text) if text.contains("leave something out")), "{error}");
    let new = edited(&archive, &changes([("bomb", None), ("x", Some(&b"x"[..]))]), Layout::InOrder).unwrap();
    assert_eq!(read_by_others(&new).len(), 2);
}

#[test]
fn sizes_that_add_up_beyond_64_bits_are_too_large_and_no_overflow() {
    // Refused.
    let wide = |name: &str| Spec { zip64: true, ..Spec::new(name, "a").stored() };
    let mut archive = ArchiveSpec::of([wide("a"), wide("b")]).write().to_vec();
    let at: Vec<usize> = (0..archive.len()).filter(|at| archive[*at..].starts_with(b"\x01\0\x18\0")).collect();
    assert_eq!(at.len(), 2, "two zip64 fields in the directory");
    at.into_iter().for_each(|at| archive[at + 4..at + 12].fill(0xff));
    let error = edited(&archive.into(), &put_x(), Layout::InOrder).unwrap_err();
    assert!(matches!(error, FormatError::TooLarge(_)), "{error}");
}

#[test]
fn a_bomb_that_lies_about_its_size_is_passed_by_unopened() {
    // Edited: nothing kept is ever inflated, and readers refuse the entry as they did before.
    let archive = ArchiveSpec::of([Spec::new("bomb", vec![0; 30 * MIB]), Spec::new("a", "a")]).write();
    let archive = patched(&archive, record(&archive) + 24, &10_u32.to_le_bytes());
    let new = edited(&archive, &put_x(), Layout::InOrder).unwrap();
    let bomb = directory(&archive).entries().next().unwrap().span();
    assert_eq!(new[..bomb.end as usize], archive[..bomb.end as usize]);
}

#[tokio::test]
async fn contents_of_a_bomb_are_not_read_whatever_it_says_of_itself() {
    // `read_entries` answers none.
    let spec = ArchiveSpec::of([Spec { zip64: true, ..Spec::new("bomb", vec![0; 3 * MIB]) }]).write();
    let size_at = record(&spec) + 46 + 4 + 4;
    for size in [u64::MAX, 1 << 40, 300 << 20, 10, 0, 3 << 20] {
        let folder = tempfile::tempdir().unwrap();
        let store = written(folder.path(), &patched(&spec, size_at, &size.to_le_bytes()));
        let artifact = open(&store).await.unwrap();
        let entries: Vec<_> = artifact.directory().entries().collect();
        assert_eq!(entries[0].size(), size);
        let contents = read_entries(&store, &artifact, &entries).await.unwrap();
        assert_eq!(contents[0].is_some(), size == 3 << 20, "{size}");
    }
}

#[tokio::test]
async fn an_overlay_that_inflates_to_more_than_it_says_is_refused_before_it_is_held_in_memory() {
    // Refused.
    let archive = ArchiveSpec::of([Spec::new("bomb", vec![0; 30 * MIB])]).write();
    let error = overlay(&patched(&archive, record(&archive) + 24, &10_u32.to_le_bytes())).await.unwrap_err();
    assert!(matches!(&error, Error::UnsupportedZip { reason, .. } if reason.contains("inflates to more")), "{error}");
    let error = overlay(&patched(&archive, record(&archive) + 24, &(300_u32 << 20).to_le_bytes())).await.unwrap_err();
    assert!(matches!(&error, Error::TooLarge(text) if text.contains("314572800")), "{error}");
}

#[tokio::test]
async fn an_overlay_whose_entries_lie_in_each_other_is_refused() {
    // Refused: by its records, or by a local header that reaches out of its entry.
    let error = overlay(&quoted_overlap(20)).await.unwrap_err();
    assert!(matches!(&error, Error::UnsupportedZip { reason, .. } if reason.contains("overlap")), "{error}");
    let archive = ArchiveSpec::of([Spec::new("a", "a").stored(), Spec::new("b", "b").stored()]).write();
    let error = overlay(&patched(&archive, 28, &[10])).await.unwrap_err();
    assert!(matches!(&error, Error::UnsupportedZip { reason, .. } if reason.contains("`a`")), "{error}");
}

/// A bomb after Fifield: every entry is all that follows it, headers and all, and the last one is a kernel of zeros.
fn quoted_overlap(entries: usize) -> Bytes {
    let archive =
        ArchiveSpec::of((0..entries).map(|at| Spec::new(&format!("{at:04}"), vec![0; 1000]).stored())).write();
    let (start, record_len, span) = (record(&archive), 46 + 4, 30 + 4 + 1000);
    (0..entries).fold(archive, |archive, entry| {
        let covers = (span * (entries - entry) - 34) as u32;
        patched(&archive, start + entry * record_len + 20, &covers.to_le_bytes())
    })
}

#[test]
fn a_bomb_of_entries_that_quote_each_other_is_refused() {
    let reason = refusal(&quoted_overlap(250));
    assert!(reason.contains("`0000`") && reason.contains("overlap") && reason.contains("make it again"), "{reason}");
}

#[test]
fn an_entry_inside_another_ones_data_is_refused() {
    // A stored archive in an archive, with a record that points at the inner entry as if it were one of the outer's.
    let inner = ArchiveSpec::of([Spec::new("i", "inner").stored()]).write();
    let archive = ArchiveSpec::of([Spec::new("o", inner.to_vec()).stored(), Spec::new("i", "outer").stored()]).write();
    let inner_at = (30 + 1) as u32;
    let archive = patched(&archive, record(&archive) + 46 + 1 + 42, &inner_at.to_le_bytes());
    assert!(refusal(&archive).contains("overlap"));
    // Edited: without such a record the inner archive is content like any other.
    let honest = ArchiveSpec::of([Spec::new("o", inner.to_vec()).stored()]).write();
    let new = edited(&honest, &put_x(), Layout::InOrder).unwrap();
    assert_eq!(read_by_others(&new)["o"].0, inner);
}

#[test]
fn entries_that_start_at_one_place_in_the_directory_or_behind_the_end_are_refused() {
    let archive = ArchiveSpec::of([Spec::new("a", "a").stored(), Spec::new("b", "b").stored()]).write();
    let second = record(&archive) + 46 + 1 + 42;
    for offset in [0, record(&archive), archive.len() - 22, archive.len(), u32::MAX as usize - 1] {
        let reason = refusal(&patched(&archive, second, &(offset as u32).to_le_bytes()));
        assert!(reason.contains("make it again"), "{offset}: {reason}");
    }
}

/// One entry whose numbers all stand in zip64 fields, and zip64 end records, though nothing needs them.
fn zip64() -> (Bytes, usize, usize) {
    let classic = ArchiveSpec::of([Spec { zip64: true, ..Spec::new("a", "content").stored() }]).write();
    let (record, end) = (record(&classic), classic.len() - 22);
    let mut archive = classic[..end].to_vec();
    archive.extend(b"PK\x06\x06");
    archive.extend(44_u64.to_le_bytes());
    archive.extend([45, 3, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for number in [1, 1, end - record, record] {
        archive.extend((number as u64).to_le_bytes());
    }
    archive.extend(b"PK\x06\x07\0\0\0\0");
    archive.extend((end as u64).to_le_bytes());
    archive.extend([1, 0, 0, 0]);
    archive.extend(b"PK\x05\x06\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0");
    (archive.into(), record, end)
}

#[test]
fn zip64_numbers_that_lie_are_refused_and_overflow_nothing() {
    let (archive, record, end) = zip64();
    // Edited: as long as they are true.
    let new = edited(&archive, &put_x(), Layout::InOrder).unwrap();
    assert_eq!(read_by_others(&new)["a"].0, b"content");

    let (size, compressed, offset) = (record + 46 + 1 + 4, record + 46 + 1 + 12, record + 46 + 1 + 20);
    let (entries, directory_size, directory_offset, locator) = (end + 32, end + 40, end + 48, end + 56 + 8);
    for lie in [u64::MAX, u64::MAX - 30, 1 << 63, 1 << 40, 1 << 32, u64::from(u32::MAX), 1 << 20] {
        for at in [compressed, offset, entries, directory_size, directory_offset] {
            let reason = refusal(&patched(&archive, at, &lie.to_le_bytes()));
            let says_what_to_do =
                ["again", "mend it", "leave entries out", "join it"].iter().any(|it| reason.contains(it));
            assert!(says_what_to_do, "{lie} at {}: {reason}", at - record);
        }
        // What an entry says of its unzipped size concerns only the sum.
        let refused = edited(&patched(&archive, size, &lie.to_le_bytes()), &put_x(), Layout::InOrder);
        assert_eq!(refused.is_err(), lie > 262_144_000, "{lie}");
        // A locator that leads astray: the record right before it is taken, as behind a prefix that isn't counted.
        try_directory(&patched(&archive, locator, &lie.to_le_bytes())).unwrap();
    }
    // Fields that are shorter than what they should hold, or not there.
    for (at, bytes) in [(record + 46 + 1 + 2, [23, 0]), (record + 46 + 1 + 2, [0, 0]), (record + 46 + 1, [2, 0])] {
        let reason = refusal(&patched(&archive, at, &bytes));
        assert!(reason.contains("zip64"), "{reason}");
    }
    // Other disks.
    for at in [end + 16, end + 20, end + 24, end + 56 + 4] {
        assert!(refusal(&patched(&archive, at, &[7])).contains("multi-disk"), "{}", at - end);
    }
}

#[test]
fn an_edit_under_a_comment_with_an_end_record_is_refused() {
    // Refused: Python goes by the last one, whatever it says, the `zip` crate by the last that is plausible, which an edit
    // may make it, and rawzip stumbles over one that is cut off. Found by fuzzing.
    let whole = [&b"PK\x05\x06"[..], &[0; 18]].concat();
    let short_of_the_end = [&whole[..], b"more"].concat();
    for comment in [whole, short_of_the_end, b"hello PK\x05\x06".to_vec()] {
        let archive = ArchiveSpec { comment, ..ArchiveSpec::of([Spec::new("a", "content")]) }.write();
        assert_eq!(directory(&archive).len(), 1);
        let error = edited(&archive, &put_x(), Layout::InOrder).unwrap_err().to_string();
        assert!(error.contains("make the archive again without"), "{error}");
    }
    // Edited: what is none.
    let archive = ArchiveSpec { comment: b"PK\x05 \x06".to_vec(), ..ArchiveSpec::of([Spec::new("a", "content")]) };
    assert_eq!(read_by_others(&edited(&archive.write(), &put_x(), Layout::InOrder).unwrap()).len(), 2);
}

#[test]
fn a_comment_full_of_end_records_is_refused_before_it_costs_anything() {
    // Each names a directory of its own and reaches to the archive's end, so that each would have to be looked at.
    let end_records = |count: usize| {
        let mut comment = Vec::new();
        for left in (0..count).rev() {
            comment.extend(b"PK\x05\x06\0\0\0\0\x02\0\x02\0");
            comment.extend(30_u32.to_le_bytes());
            comment.extend(1_u32.to_le_bytes());
            comment.extend(u16::try_from(left * 22).unwrap().to_le_bytes());
        }
        ArchiveSpec { comment, ..ArchiveSpec::of([Spec::new("a", "content")]) }.write()
    };
    // A few: the archive's own is found, and an edit refused, as other readers might find another.
    assert_eq!(directory(&end_records(3)).len(), 1);
    let error = edited(&end_records(3), &put_x(), Layout::InOrder).unwrap_err().to_string();
    assert!(error.contains("make the archive again without"), "{error}");
    // Refused: many.
    let reason = refusal(&end_records(2_900));
    assert!(reason.contains("without that comment"), "{reason}");
}

#[test]
fn gaps_travel_with_the_entry_before_them() {
    // Edited: what stands in them is kept as long as that entry is, and goes with it.
    let gap = |name: &str| Spec { padding: 100, ..Spec::new(name, name) };
    let archive = ArchiveSpec::of([gap("a"), gap("b"), gap("c")]).write();
    let gaps = |archive: &Bytes| archive.windows(100).filter(|bytes| bytes.iter().all(|byte| *byte == 0xaa)).count();
    assert_eq!(gaps(&archive), 3);
    let new = edited(&archive, &changes([("b", Some(&b"new"[..])), ("c", None)]), Layout::InOrder).unwrap();
    assert_eq!(gaps(&new), 1);
    assert_eq!(read_by_others(&new)["b"].0, b"new");
}

#[test]
fn links_and_encrypted_entries_are_kept_and_deleted_but_not_replaced() {
    let link = Spec::new("link", "../../etc/passwd").stored().mode(0o120_777);
    let secret = Spec::new("secret", "ciphertext").stored();
    let archive = ArchiveSpec::of([secret, link, Spec::new("a", "a")]).write();
    let archive = patched(&patched(&archive, record(&archive) + 8, &[1]), 6, &[1]);
    // Edited: they keep their bytes.
    let new = edited(&archive, &changes([("a", Some(&b"new"[..]))]), Layout::InOrder).unwrap();
    let kept = directory(&archive).entries().nth(1).unwrap().span().end as usize;
    assert_eq!(new[..kept], archive[..kept]);
    assert!(directory(&new).entries().nth(1).unwrap().is_symlink());
    // Refused: by name, with a way out.
    for entry in ["link", "secret"] {
        let error = edited(&archive, &changes([(entry, Some(&b"x"[..]))]), Layout::InOrder).unwrap_err().to_string();
        assert!(error.contains(&format!("`{entry}`")) && error.contains("in an edit of its own"), "{error}");
        let without = edited(&archive, &changes([(entry, None)]), Layout::InOrder).unwrap();
        assert_eq!(directory(&without).len(), 2);
    }
}

#[test]
fn descriptors_of_every_form_go_when_their_entry_is_replaced() {
    // Edited: the new entry has its sizes in its header, and its flag says so.
    for descriptor in [Descriptor::Signed, Descriptor::Bare] {
        for zip64 in [false, true] {
            let archive = ArchiveSpec::of([Spec { descriptor, zip64, ..Spec::new("a", "old") }, Spec::new("b", "b")]);
            let new = edited(&archive.write(), &changes([("a", Some(&b"new"[..]))]), Layout::InOrder).unwrap();
            assert!(!new.windows(4).any(|bytes| bytes == b"PK\x07\x08"));
            let mut zip = zip::ZipArchive::new(std::io::Cursor::new(&new)).unwrap();
            zip.validate_header_consistency().unwrap();
            assert_eq!(read_by_others(&new)["a"].0, b"new");
        }
    }
}

#[test]
fn a_tail_that_is_longer_than_the_object_is_refused() {
    let archive = ArchiveSpec::of([Spec::new("a", "a")]).write();
    let error = zipedit::Directory::find(&archive, archive.len() as u64 - 1).map(|_| ()).unwrap_err();
    assert!(matches!(&error, FormatError::NotAZip(reason) if reason.contains("were read")), "{error}");
}

#[tokio::test]
async fn an_archive_that_is_refused_keeps_every_byte() {
    let folder = tempfile::tempdir().unwrap();
    let archive = quoted_overlap(50);
    let store = written(folder.path(), &archive);
    let error = edit(&store, &put_x(), &Options::new()).await.unwrap_err();
    assert_eq!(error.kind(), "UnsupportedZip", "{error}");
    assert!(error.to_string().contains("archive.zip"), "{error}");
    assert_eq!(std::fs::read(folder.path().join("archive.zip")).unwrap(), archive);
}
