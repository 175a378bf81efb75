//! Plan and parts against a plain model: a map of names to contents, on which an edit is an insert or a remove.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use zipedit::parts::{Part, PartLimits, parts};
use zipedit::plan::{Layout, Piece, Plan};
use zipedit::{Change, Changes, Content};

use crate::archive::{ArchiveSpec, Descriptor, Model, Spec, assembled, directory, edited, name, read_by_others};

/// Few names, so that puts and deletes often hit; none is a directory of another.
const NAMES: [&str; 10] =
    ["a.js", "b", "src/x.js", "src/y.js", "node_modules/m/index.js", "ü/ö.txt", "mimetype", "d/e/f", "d/e/g", "z z"];

fn spec() -> impl Strategy<Value = Spec> {
    let descriptor = prop_oneof![Just(Descriptor::None), Just(Descriptor::Signed), Just(Descriptor::Bare)];
    let content = prop_oneof![vec(any::<u8>(), 0..200), "[ab]{0,400}".prop_map(String::into_bytes)];
    let mode = prop_oneof![Just(0o100_644), Just(0o100_755), Just(0o100_600)];
    let extra =
        prop_oneof![Just(vec![]), Just(b"UT\x05\0\x01\x12\x34\x56\x57".to_vec()), Just(b"\xfe\xca\0\0".to_vec())];
    let padding = prop_oneof![4 => Just(0_usize), 1 => 1..40_usize];
    (content, any::<bool>(), descriptor, any::<bool>(), mode, extra, "[a-z]{0,5}", padding).prop_map(
        |(content, deflate, descriptor, zip64, mode, extra, comment, padding)| Spec {
            name: String::new(),
            content,
            // A stored entry with a descriptor can't be read as a stream; writers don't make them.
            deflate: deflate || descriptor != Descriptor::None,
            descriptor,
            zip64,
            mode,
            extra,
            comment,
            padding,
        },
    )
}

fn archive() -> impl Strategy<Value = ArchiveSpec> {
    let entries = btree_map(0..NAMES.len(), spec(), 0..NAMES.len());
    let prefix = prop_oneof![2 => Just(vec![]), 1 => vec(any::<u8>(), 1..60)];
    let comment = prop_oneof![2 => Just(vec![]), 1 => vec(any::<u8>(), 1..60)];
    (entries, prefix, any::<bool>(), comment, any::<bool>()).prop_map(
        |(entries, prefix, offsets_count_prefix, comment, directory_reversed)| ArchiveSpec {
            entries: entries.into_iter().map(|(at, entry)| Spec { name: NAMES[at].to_owned(), ..entry }).collect(),
            prefix,
            offsets_count_prefix,
            comment,
            directory_reversed,
        },
    )
}

type ModelChange = Option<(Vec<u8>, Option<u32>)>;

fn edit() -> impl Strategy<Value = BTreeMap<usize, ModelChange>> {
    let content = prop_oneof![vec(any::<u8>(), 0..100), "[xy]{0,300}".prop_map(String::into_bytes)];
    let mode = prop_oneof![3 => Just(None), 1 => Just(Some(0o640))];
    btree_map(0..NAMES.len(), proptest::option::weighted(0.7, (content, mode)), 0..NAMES.len())
}

fn to_changes(edit: &BTreeMap<usize, ModelChange>) -> Changes {
    edit.iter()
        .map(|(&at, change)| {
            let change = match change {
                None => Change::Delete,
                Some((content, None)) => Change::Put(Content::new(content.clone())),
                Some((content, Some(mode))) => Change::Put(Content::new(content.clone()).with_mode(*mode)),
            };
            (name(NAMES[at]), change)
        })
        .collect()
}

fn apply(model: &mut Model, edit: &BTreeMap<usize, ModelChange>) {
    for (&at, change) in edit {
        match change {
            None => drop(model.remove(NAMES[at])),
            Some((content, mode)) => {
                let kept = model.get(NAMES[at]).map_or(0o100_755, |(_, mode)| *mode);
                let mode = mode.map_or(kept, |mode| 0o100_000 | mode);
                model.insert(NAMES[at].to_owned(), (content.clone(), mode));
            }
        }
    }
}

fn layout() -> impl Strategy<Value = Layout> {
    prop_oneof![Just(Layout::InOrder), (1..600_u64).prop_map(Layout::LongRunsFirst)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn edits_one_after_another_do_what_the_model_does(
        archive in archive(),
        edits in vec((edit(), layout()), 1..4),
    ) {
        let mut model = archive.model();
        let mut bytes = archive.write();
        for (edit, layout) in edits {
            let old = directory(&bytes);
            let changes = to_changes(&edit);
            let plan = Plan::new(&old, &changes, layout).unwrap();
            let counts = plan.counts();

            let there = |at: &usize| model.contains_key(NAMES[*at]);
            let puts = edit.iter().filter(|(_, change)| change.is_some());
            let (modified, added): (Vec<_>, Vec<_>) = puts.partition(|(at, _)| there(at));
            let (deleted, missing): (Vec<_>, Vec<_>) =
                edit.iter().filter(|(_, change)| change.is_none()).partition(|(at, _)| there(at));
            prop_assert_eq!(counts.added, added.len() as u64);
            prop_assert_eq!(counts.modified, modified.len() as u64);
            prop_assert_eq!(counts.deleted, deleted.len() as u64);
            prop_assert_eq!(counts.missing, missing.len() as u64);

            let before = model.clone();
            apply(&mut model, &edit);
            prop_assert_eq!(plan.is_noop(), before == model);
            bytes = assembled(plan.pieces(), &bytes);
            prop_assert_eq!(plan.size(), bytes.len() as u64);
            prop_assert_eq!(plan.entries(), model.len() as u64);
            prop_assert_eq!(&read_by_others(&bytes), &model);
            prop_assert!(bytes.starts_with(&archive.prefix));
            prop_assert!(bytes.ends_with(&archive.comment));
        }
    }

    #[test]
    fn what_is_not_touched_keeps_its_bytes_and_its_record(
        archive in archive(),
        edit in edit(),
        layout in layout(),
    ) {
        let old = archive.write();
        let changes = to_changes(&edit);
        let new = edited(&old, &changes, layout).unwrap();
        let (before, after) = (directory(&old), directory(&new));
        for entry in before.entries().filter(|entry| !edit.keys().any(|&at| NAMES[at] == entry.name())) {
            let kept = after.entries().find(|kept| kept.name() == entry.name()).unwrap();
            let span = |bytes: &Bytes, span: std::ops::Range<u64>| bytes.slice(span.start as usize..span.end as usize);
            prop_assert_eq!(span(&old, entry.span()), span(&new, kept.span()));
            prop_assert_eq!(entry.extra().len(), kept.extra().len());
            prop_assert_eq!(entry.comment(), kept.comment());
            prop_assert_eq!(entry.external_attributes(), kept.external_attributes());
        }
        prop_assert_eq!(before.prefix(), after.prefix());
        prop_assert_eq!(before.comment(), after.comment());
    }

    #[test]
    fn the_new_directory_is_in_the_order_of_the_entries_without_gaps(
        archive in archive(),
        edit in edit(),
        layout in layout(),
    ) {
        let new = edited(&archive.write(), &to_changes(&edit), layout).unwrap();
        let listed = rawzip::ZipArchive::from_slice(&new).unwrap();
        let mut offsets = Vec::new();
        let mut entries = listed.entries();
        while let Some(entry) = entries.next_entry().unwrap() {
            offsets.push(entry.local_header_offset());
        }
        prop_assert!(offsets.is_sorted_by(|one, next| one < next), "{offsets:?}");
        let directory = directory(&new);
        let padding = archive.entries.iter().any(|entry| entry.padding > 0);
        prop_assert!(padding || !offsets.is_empty() || directory.prefix().end == directory.start());
    }

    #[test]
    fn the_same_artifact_and_changes_give_the_same_bytes(archive in archive(), edit in edit(), layout in layout()) {
        let old = archive.write();
        let once = edited(&old, &to_changes(&edit), layout).unwrap();
        let again = edited(&old, &to_changes(&edit), layout).unwrap();
        prop_assert_eq!(once, again);
    }

    #[test]
    fn an_edit_that_was_done_is_a_noop(archive in archive(), edit in edit(), layout in layout()) {
        let changes = to_changes(&edit);
        let new = edited(&archive.write(), &changes, layout).unwrap();
        let again = Plan::new(&directory(&new), &changes, layout).unwrap();
        prop_assert!(again.is_noop());
        let puts = edit.values().filter(|change| change.is_some()).count() as u64;
        prop_assert_eq!(again.counts().identical, puts);
        prop_assert_eq!(again.counts().missing, edit.len() as u64 - puts);
    }

    #[test]
    fn parts_are_the_pieces_and_keep_the_limits(
        pieces in vec(prop_oneof![
            (0..3_000_u64, 1..900_u64).prop_map(|(start, len)| Piece::Old(start..start + len)),
            vec(any::<u8>(), 1..700).prop_map(|bytes| Piece::New(bytes.into())),
        ], 1..30),
        min in 1..300_u64,
        upload in 0..300_u64,
        copy in 0..300_u64,
    ) {
        let limits = PartLimits { min, upload: min + upload, copy: min + copy };
        let old: Bytes = (0..4_000_u32).map(|at| (at % 251) as u8).collect::<Vec<_>>().into();
        let cut = parts(&pieces, limits);
        let mut whole = Vec::new();
        for part in &cut {
            match part {
                Part::Copy(range) => {
                    prop_assert!(part.len() >= min, "a copy of {} bytes", part.len());
                    whole.extend(&old[range.start as usize..range.end as usize]);
                }
                Part::Upload(pieces) => whole.extend(assembled(pieces, &old)),
            }
        }
        prop_assert_eq!(whole, assembled(&pieces, &old));
        for part in &cut[..cut.len() - 1] {
            prop_assert!(part.len() >= min, "a part of {} bytes that isn't the last", part.len());
        }
        for part in cut.iter().filter(|part| matches!(part, Part::Upload(_))) {
            prop_assert!(part.len() < limits.upload + 2 * min.max(1), "an uploaded part of {} bytes", part.len());
        }
        // Old bytes are uploaded only where a run is short, or to fill a part up.
        let long: u64 = pieces.iter().filter(|piece| matches!(piece, Piece::Old(_)) && piece.len() >= 2 * min).map(Piece::len).sum();
        let copied: u64 = cut.iter().filter(|part| matches!(part, Part::Copy(_))).map(Part::len).sum();
        let runs = pieces.iter().filter(|piece| matches!(piece, Piece::Old(_))).count() as u64;
        prop_assert!(copied + runs * min >= long, "{copied} of {long} bytes are copied");
    }
}
