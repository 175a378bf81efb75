//! Other projects' test archives, when they are there: each is edited rightly, or refused by name.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bytes::Bytes;
use zipedit::directory::Search;
use zipedit::plan::{Layout, Plan};

use crate::archive::{assembled, changes, directory, try_directory};

/// `QUICKDEPLOY_CORPUS`, or `shared/corpus` beside the checkout.
fn corpus() -> Vec<PathBuf> {
    let default = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus");
    let root = std::env::var_os("QUICKDEPLOY_CORPUS").map_or(default, PathBuf::from);
    let folders = std::fs::read_dir(&root).into_iter().flatten().flatten();
    let mut files: Vec<_> = folders
        .filter_map(|folder| std::fs::read_dir(folder.path()).ok())
        .flatten()
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it != "md"))
        .collect();
    files.sort();
    files
}

/// Every entry's bytes by its name and its turn among entries of that name.
fn spans(archive: &Bytes) -> BTreeMap<(String, usize), Bytes> {
    let mut spans = BTreeMap::new();
    for entry in directory(archive).entries() {
        let name = entry.name().into_owned();
        let turn = (0..).find(|&turn| !spans.contains_key(&(name.clone(), turn))).unwrap();
        spans.insert((name, turn), archive.slice(entry.span().start as usize..entry.span().end as usize));
    }
    spans
}

#[test]
fn every_archive_of_the_corpus_is_edited_rightly_or_refused_by_name() {
    let files = corpus();
    if files.is_empty() {
        println!("skipped: no corpus (set QUICKDEPLOY_CORPUS)");
        return;
    }
    let (mut edited, mut refused) = (0, 0);
    for path in files {
        let archive = Bytes::from(std::fs::read(&path).unwrap());
        match try_directory(&archive) {
            Err(error) => {
                refused += 1;
                println!("refused {}: {error}", path.display());
            }
            Ok(Search::ReadFrom(from)) => panic!("{}: wants to read from {from}", path.display()),
            Ok(Search::Found(_)) => {
                edit_every_way(&path.display().to_string(), &archive);
                edited += 1;
            }
        }
    }
    println!("{edited} edited, {refused} refused");
    assert!(edited >= 40, "only {edited} archives of the corpus could be edited");
}

fn edit_every_way(path: &str, archive: &Bytes) {
    let before = spans(archive);
    let found = directory(archive);
    let plain = |entry: &zipedit::Entry<'_>| !entry.is_dir() && !entry.is_encrypted() && !entry.name().contains('\\');
    let victim = found.entries().find(plain).map(|entry| entry.name().into_owned());
    let mut edits = vec![changes([("quickdeploy-new/entry.js", Some(&b"new content"[..]))])];
    if let Some(victim) = victim.as_deref().filter(|name| zipedit::EntryName::new(*name).is_ok()) {
        edits.push(changes([(victim, Some(&b"replaced"[..]))]));
        edits.push(changes([(victim, None)]));
    }
    for (edit, layout) in edits.iter().flat_map(|edit| [(edit, Layout::InOrder), (edit, Layout::LongRunsFirst(200))]) {
        let plan = match Plan::new(&found, edit, layout) {
            Ok(plan) => plan,
            Err(error) => {
                println!("{path}: {error}");
                continue;
            }
        };
        let new = assembled(plan.pieces(), archive);
        let after = spans(&new);
        for ((name, turn), span) in &before {
            if !edit.iter().any(|(touched, _)| touched.as_str() == name) {
                assert_eq!(after.get(&(name.clone(), *turn)), Some(span), "{path}: {name} did not keep its bytes");
            }
        }
        let zip_reads_it = zip::ZipArchive::new(std::io::Cursor::new(archive)).is_ok_and(|it| it.len() == found.len());
        if zip_reads_it {
            let again =
                zip::ZipArchive::new(std::io::Cursor::new(&new)).unwrap_or_else(|error| panic!("{path}: {error}"));
            assert_eq!(again.len() as u64, plan.entries(), "{path}");
        }
    }
}
