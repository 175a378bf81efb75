//! Whole edits, on local files.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use zipedit::{Error, FileStore, Options, Stop, Strategy, edit, open};

use crate::archive::{ArchiveSpec, Model, Spec, changes, directory, read_by_others};

fn written(folder: &Path, spec: &ArchiveSpec) -> FileStore {
    let path = folder.join("artifact.zip");
    std::fs::write(&path, spec.write()).unwrap();
    FileStore::new(&path)
}

fn read(folder: &Path) -> Bytes {
    std::fs::read(folder.join("artifact.zip")).unwrap().into()
}

fn files_in(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

/// Incompressible, and different for every `seed`.
fn noise(seed: u32, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as u8
        })
        .collect()
}

fn project(files: u32, size: usize) -> ArchiveSpec {
    let dependencies =
        (0..files).map(|at| Spec::new(&format!("node_modules/m{at}/index.js"), noise(at, size)).stored());
    ArchiveSpec::of(dependencies.chain([Spec::new("a.js", "a"), Spec::new("b.js", "b"), Spec::new("c.js", "c")]))
}

fn expected(spec: &ArchiveSpec, puts: &[(&str, &str)]) -> Model {
    let mut model: BTreeMap<_, _> = spec.model();
    for (name, content) in puts {
        let mode = model.get(*name).map_or(0o100_755, |(_, mode)| *mode);
        model.insert((*name).to_owned(), (content.as_bytes().to_vec(), mode));
    }
    model
}

#[tokio::test]
async fn every_strategy_makes_an_archive_of_the_same_content() {
    let edit_of = |names: &[String]| {
        let mut edit = changes([("a.js", Some(&b"new a"[..])), ("new.js", Some(&b"new"[..]))]);
        for name in names {
            edit.delete(crate::archive::name(name));
        }
        edit
    };
    // Small: less than 1 MiB. Splice: one long run is kept. Rewrite: only short runs are kept.
    let every_fourth =
        |files: u32| (0..files).step_by(4).map(|at| format!("node_modules/m{at}/index.js")).collect::<Vec<_>>();
    for (spec, deleted, strategy) in [
        (project(3, 100_000), vec![], Strategy::Small),
        (project(30, 100_000), vec![], Strategy::Splice),
        (project(200, 20_000), every_fourth(200), Strategy::Rewrite),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let store = written(folder.path(), &spec);
        let report = edit(&store, &edit_of(&deleted), &Options::new()).await.unwrap();
        assert_eq!(report.strategy, strategy);
        assert_eq!((report.added, report.modified, report.deleted), (1, 1, deleted.len() as u64));
        let mut model = expected(&spec, &[("a.js", "new a"), ("new.js", "new")]);
        model.retain(|name, _| !deleted.contains(name));
        let new = read(folder.path());
        assert_eq!(read_by_others(&new), model, "{strategy:?}");
        assert_eq!(report.size, new.len() as u64);
        assert_eq!(report.entries, model.len() as u64);
        zip::ZipArchive::new(std::io::Cursor::new(&new)).unwrap().validate_header_consistency().unwrap();
        assert_eq!(files_in(folder.path()), 1, "nothing is left beside the artifact");
        assert_eq!(report.etag, zipedit::Object::etag(open(&store).await.unwrap().object()));
    }
}

#[tokio::test]
async fn a_splice_reads_the_tail_and_writes_what_is_new() {
    let folder = tempfile::tempdir().unwrap();
    let store = written(folder.path(), &project(40, 200_000));
    let report = edit(&store, &changes([("b.js", Some(&b"new b"[..]))]), &Options::new()).await.unwrap();
    let directory_size = directory(&read(folder.path())).size();
    assert_eq!(report.strategy, Strategy::Splice);
    assert_eq!(report.traffic.bytes_read, 512 << 10);
    assert!(report.traffic.bytes_written < directory_size + 500, "{:?}", report.traffic);
    assert_eq!(report.traffic.bytes_copied + report.traffic.bytes_written, report.size);
}

#[tokio::test]
async fn an_edit_that_is_there_already_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = written(folder.path(), &project(3, 1000));
    let before = open(&store).await.unwrap();
    let same = changes([("a.js", Some(&b"a"[..])), ("not-there", None)]);
    let report = edit(&store, &same, &Options::new()).await.unwrap();
    assert_eq!((report.modified, report.identical, report.missing, report.added), (1, 1, 1, 0));
    assert_eq!(report.strategy, Strategy::None);
    assert_eq!(report.etag, zipedit::Object::etag(before.object()));
    assert_eq!(report.traffic.bytes_written, 0);
}

#[tokio::test]
async fn a_dry_run_writes_nothing_and_says_what_would_come() {
    let folder = tempfile::tempdir().unwrap();
    let store = written(folder.path(), &project(3, 1000));
    let (before, edit_b) = (read(folder.path()), changes([("b.js", Some(&b"longer than before"[..]))]));
    let dry = edit(&store, &edit_b, &Options::new().dry_run()).await.unwrap();
    assert_eq!(read(folder.path()), before);
    assert!(dry.dry_run);
    let done = edit(&store, &edit_b, &Options::new()).await.unwrap();
    assert_eq!((dry.size, dry.entries, dry.modified), (done.size, done.entries, done.modified));
}

#[tokio::test]
async fn a_precondition_on_another_etag_is_refused_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = written(folder.path(), &project(3, 1000));
    let before = read(folder.path());
    let edit_b = changes([("b.js", Some(&b"x"[..]))]);
    let refused = edit(&store, &edit_b, &Options::new().if_match("\"other\"")).await.unwrap_err();
    assert!(matches!(refused, Error::PreconditionFailed { .. }), "{refused}");
    assert_eq!(read(folder.path()), before);
    let etag = zipedit::Object::etag(open(&store).await.unwrap().object()).to_owned();
    edit(&store, &edit_b, &Options::new().if_match(etag.trim_matches('"'))).await.unwrap();
}

#[tokio::test]
async fn writers_at_the_same_time_lose_no_change() {
    for spec in [project(2, 1000), project(30, 100_000)] {
        let folder = tempfile::tempdir().unwrap();
        let store = written(folder.path(), &spec);
        let names: Vec<String> = (0..12).map(|at| format!("writer-{at}.js")).collect();
        let edits =
            names.iter().map(|name| {
                let store = store.clone();
                async move {
                    edit(&store, &changes([(name.as_str(), Some(name.as_bytes()))]), &Options::new()).await.unwrap()
                }
            });
        let reports = futures::future::join_all(edits).await;
        assert!(reports.iter().any(|report| report.attempts > 1), "nobody was in anybody's way");
        let puts: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), name.as_str())).collect();
        assert_eq!(read_by_others(&read(folder.path())), expected(&spec, &puts));
        assert_eq!(files_in(folder.path()), 1);
    }
}

#[tokio::test]
async fn an_edit_that_is_stopped_leaves_the_artifact_and_no_rubbish() {
    let folder = tempfile::tempdir().unwrap();
    let store = written(folder.path(), &project(40, 100_000));
    let before = read(folder.path());
    let stop = Stop::never();
    stop.now();
    let edit_b = changes([("b.js", Some(&b"x"[..]))]);
    let stopped = edit(&store, &edit_b, &Options::new().stop(stop)).await.unwrap_err();
    assert!(matches!(stopped, Error::Interrupted { .. }), "{stopped}");
    let late = edit(&store, &edit_b, &Options::new().stop(Stop::after(std::time::Duration::ZERO))).await.unwrap_err();
    assert!(matches!(late, Error::Timeout { .. }), "{late}");
    assert_eq!(read(folder.path()), before);
    assert_eq!(files_in(folder.path()), 1);
}

#[tokio::test]
async fn a_file_that_is_missing_empty_or_no_zip_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("artifact.zip");
    let attempt = async || edit(&FileStore::new(&path), &changes([("b", None)]), &Options::new()).await.unwrap_err();
    assert!(matches!(attempt().await, Error::ArtifactNotFound { .. }));
    std::fs::write(&path, "").unwrap();
    assert!(matches!(attempt().await, Error::NotAZip { .. }));
    std::fs::write(&path, "hello").unwrap();
    let error = attempt().await;
    assert!(matches!(error, Error::NotAZip { .. }) && error.to_string().contains("artifact.zip"), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_keeps_its_permissions_and_a_link_its_target() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    written(folder.path(), &project(3, 1000));
    let (path, link) = (folder.path().join("artifact.zip"), folder.path().join("link.zip"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    edit(&FileStore::new(&link), &changes([("b.js", Some(&b"x"[..]))]), &Options::new()).await.unwrap();
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(read_by_others(&read(folder.path()))["b.js"].0, b"x");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_who_know_what_they_wrote_lose_nothing_to_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let store = written(folder.path(), &project(3, 1000));
    let writers = (0..6).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            let (name, mut known) = (format!("w{writer}.js"), None);
            for round in 0..60 {
                // All archives have one size, so that nothing but the identity of the file tells them apart.
                let content = format!("{writer}-{round:03}");
                let changes = changes([(name.as_str(), Some(content.as_bytes()))]);
                (_, known) = zipedit::edit_from(&store, known, &changes, &Options::new()).await.unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let found = read_by_others(&read(folder.path()));
    for writer in 0..6 {
        assert_eq!(found[&format!("w{writer}.js")].0, format!("{writer}-059").into_bytes());
    }
}

#[tokio::test]
async fn kept_scraps_between_large_replaced_entries_are_read_in_one_stream() {
    let folder = tempfile::tempdir().unwrap();
    let entries = (0..60).flat_map(|at| {
        [
            Spec::new(&format!("kept-{at}"), noise(at, 1000)).stored(),
            Spec::new(&format!("big-{at}"), noise(at, 90_000)).stored(),
        ]
    });
    let store = written(folder.path(), &ArchiveSpec::of(entries));
    let names: Vec<String> = (0..60).map(|at| format!("big-{at}")).collect();
    let smaller = changes(names.iter().map(|name| (name.as_str(), Some(&b"small now"[..]))));
    let report = edit(&store, &smaller, &Options::new()).await.unwrap();
    assert_eq!(report.strategy, Strategy::Rewrite, "to read over the gaps is to read everything");
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_is_not_to_be_written_to_is_not_replaced() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let store = written(folder.path(), &project(3, 1000));
    let (path, before) = (folder.path().join("artifact.zip"), read(folder.path()));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o444)).unwrap();
    if std::fs::OpenOptions::new().write(true).open(&path).is_ok() {
        println!("skipped: root may write to everything");
        return;
    }
    let error = edit(&store, &changes([("b.js", Some(&b"x"[..]))]), &Options::new()).await.unwrap_err();
    assert_eq!(error.kind(), "AccessDenied", "{error}");
    assert_eq!(read(folder.path()), before);
}

#[tokio::test]
async fn a_lock_of_another_program_ends_an_edit_that_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let store = written(folder.path(), &project(3, 1000));
    let before = read(folder.path());
    let held = std::fs::File::open(folder.path().join("artifact.zip")).unwrap();
    held.lock_shared().unwrap();
    let options = Options::new().stop(Stop::after(std::time::Duration::from_millis(200)));
    let error = edit(&store, &changes([("b.js", Some(&b"x"[..]))]), &options).await.unwrap_err();
    assert!(matches!(error, Error::Unknown { .. } | Error::Timeout { .. }), "{error}");
    assert_eq!(read(folder.path()), before);
}
