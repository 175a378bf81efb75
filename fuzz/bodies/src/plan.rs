//! Planning: directory and changes to a new archive, held against a plain model.

use std::collections::BTreeMap;
use std::io::Read as _;

use bytes::Bytes;
use zipedit::directory::Search;
use zipedit::plan::{Layout, Plan};
use zipedit::{Change, Changes, Directory, Entry, FormatError};

use crate::archive::{ArchiveSpec, Spec, assembled, directory};
use crate::directory::holds;
use crate::made::{Made, changes};

/// An archive, whole or full of lies, and edits one after another: each is refused, or does what it says and no more.
pub fn run(data: &[u8]) -> bool {
    let Made { archive: mut old, mut choices, mut spec } = Made::of(data);
    let mut edited = false;
    for _ in 0..=choices.below(3) {
        let Ok(Search::Found(before)) = Directory::find(&old, old.len() as u64) else {
            assert!(!spec.is_some_and(|spec| is_honest(&spec)), "an honest archive is refused");
            break;
        };
        let there: Vec<String> = before.entries().map(|entry| entry.name().into_owned()).collect();
        let edit = changes(&mut choices, &there);
        let layout = match choices.below(2) {
            0 => Layout::InOrder,
            _ => Layout::LongRunsFirst(u64::from(choices.short()) % 500),
        };
        let plan = match Plan::new(&before, &edit, layout) {
            Ok(plan) => plan,
            Err(FormatError::NotAZip(reason)) => panic!("it was a zip: {reason}"),
            Err(_) => break,
        };
        let new = assembled(plan.pieces(), &old);
        assert_eq!(new.len() as u64, plan.size());
        let after = directory(&new);
        holds(&after, plan.size());
        assert_eq!(after.len() as u64, plan.entries());
        assert_eq!(after.comment(), before.comment());
        kept(&old, &before, &new, &after, &edit);
        put(&old, &before, &new, &after, &edit);
        let again = Plan::new(&after, &edit, layout).unwrap();
        assert!(again.is_noop(), "the second time there is something to do: {:?}", again.counts());
        old = new;
        spec = None;
        edited |= !plan.is_noop();
    }
    edited
}

/// Whether nothing in it looks like another end record or gives an entry another name.
fn is_honest(spec: &ArchiveSpec) -> bool {
    let has_second_name = |entry: &Spec| !entry.name.is_ascii() && entry.extra.starts_with(b"up");
    spec.comment.is_empty() && !spec.entries.iter().any(|entry| has_second_name(entry) || entry.comment.contains("PK"))
}

/// What is not touched keeps its bytes and what its record says; entries of one name keep their turns, in the directory as
/// readers go through it and, where they weren't at odds before, in the archive.
fn kept(old: &Bytes, before: &Directory, new: &Bytes, after: &Directory, edit: &Changes) {
    let untouched = |archive: &Bytes, entries: Vec<Entry<'_>>| {
        let mut by_name: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for entry in entries.into_iter().filter(|entry| edit.get(&entry.name()).is_none()) {
            let says = (entry.crc32(), entry.external_attributes(), entry.method(), entry.comment().to_vec());
            by_name.entry(entry.name().into_owned()).or_default().push((span(archive, entry), says));
        }
        by_name
    };
    let was = untouched(old, in_listed_order(before));
    assert_eq!(was, untouched(new, in_listed_order(after)), "what wasn't touched isn't what it was");
    if was == untouched(old, before.entries().collect()) {
        assert_eq!(was, untouched(new, after.entries().collect()), "entries of one name changed their order");
    }
    let prefix = usize::try_from(before.prefix().end).unwrap();
    assert_eq!(old[..prefix], new[..prefix], "the prefix");
}

/// The new entries hold what was put, whoever inflates them.
fn put(old: &Bytes, before: &Directory, new: &Bytes, after: &Directory, edit: &Changes) {
    for (name, change) in edit.iter() {
        let there: Vec<_> = after.entries().filter(|entry| entry.name() == name.as_str()).collect();
        match change {
            Change::Delete => assert!(there.is_empty(), "{name} is still there"),
            Change::Put(content) => {
                assert_eq!(there.len(), 1, "{name} is there {} times", there.len());
                assert_eq!((there[0].size(), there[0].crc32()), (content.size(), content.crc32()), "{name}");
                if let Some(mode) = content.mode() {
                    assert_eq!(there[0].unix_mode().map(|mode| mode & 0o7777), Some(mode), "{name}");
                }
                // What is identical by its record stays as it was, whatever its data are.
                let written = span(new, there[0]);
                if before.entries().all(|entry| entry.name() != name.as_str() || span(old, entry) != written) {
                    let data_at = 30 + there[0].name_bytes().len();
                    assert_eq!(written.len() as u64, data_at as u64 + there[0].compressed_size(), "{name}");
                    assert_eq!(inflated(there[0], &written[data_at..]), content.plain(), "{name}");
                }
            }
        }
    }
}

fn inflated(entry: Entry<'_>, data: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    match entry.method() {
        0 => content.extend_from_slice(data),
        8 => drop(flate2::read::DeflateDecoder::new(data).read_to_end(&mut content).unwrap()),
        method => panic!("written by method {method}"),
    }
    content
}

fn span(archive: &Bytes, entry: Entry<'_>) -> Bytes {
    let span = entry.span();
    archive.slice(usize::try_from(span.start).unwrap()..usize::try_from(span.end).unwrap())
}

/// The entries in the order of their records, which is that of their names in memory.
fn in_listed_order(directory: &Directory) -> Vec<Entry<'_>> {
    let mut entries: Vec<_> = directory.entries().collect();
    entries.sort_by_key(|entry| entry.name_bytes().as_ptr() as usize);
    entries
}
