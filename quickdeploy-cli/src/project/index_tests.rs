use super::*;

fn content(byte: u8) -> Content {
    Content::of(&[byte])
}

fn record(name: &str, seen: Option<u8>, deployed: Option<u8>) -> Record {
    let stat = Stat { size: 1, mtime: 2, ctime: 3, inode: 4, executable: true };
    Record { name: name.into(), seen: seen.map(|byte| (stat, content(byte))), deployed: deployed.map(content) }
}

fn data() -> Data {
    Data {
        records: vec![
            record("a", Some(1), None),
            record("b", Some(1), Some(1)),
            record("c", Some(1), Some(2)),
            record("d/ä", None, Some(3)),
        ],
        manifests: [("package.json".to_owned(), [5; 32])].into(),
        git: Some(GitAnswers {
            index_stamp: [1, 2, 3],
            head: "abc".to_owned(),
            asked: ["x".to_owned(), "y".to_owned()].into(),
            tracked: ["y".to_owned()].into(),
        }),
    }
}

fn key(artifact: &str) -> Key {
    Key { artifact: artifact.to_owned(), layout: [9; 32] }
}

fn store(directory: &tempfile::TempDir, artifact: &str) -> Store {
    Store::new(Some(&directory.path().join(".quickdeploy")), key(artifact))
}

#[test]
fn what_was_saved_is_loaded() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(&directory, "s3://b/a.zip");
    store.save(store.begin().unwrap(), &data(), Save::Deployed).unwrap();
    assert_eq!(store.load(), data());
    assert_eq!(data().get("c"), Some(&record("c", Some(1), Some(2))));
}

#[test]
fn the_state_directory_is_never_committed() {
    let directory = tempfile::tempdir().unwrap();
    let _session = store(&directory, "s3://b/a.zip").begin().unwrap();
    assert_eq!(std::fs::read_to_string(directory.path().join(".quickdeploy/.gitignore")).unwrap(), "*\n");
}

#[test]
fn each_artifact_has_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let (one, other) = (store(&directory, "s3://b/one.zip"), store(&directory, "s3://b/other.zip"));
    one.save(one.begin().unwrap(), &data(), Save::Deployed).unwrap();
    assert_eq!(other.load(), Data::default());
    std::fs::copy(one.file().unwrap(), other.file().unwrap()).unwrap();
    assert_eq!(other.load(), Data::default(), "an index about another artifact is empty");
}

#[test]
fn every_damaged_byte_and_every_truncation_make_an_empty_index() {
    let bytes = index_format::encode(&data(), &key("u"));
    assert_eq!(index_format::decode(&bytes, &key("u")), Some(data()));
    for position in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[position] ^= 0x40;
        assert_eq!(index_format::decode(&damaged, &key("u")), None, "byte {position}");
        assert_eq!(index_format::decode(&bytes[..position], &key("u")), None, "length {position}");
    }
}

#[test]
fn under_another_layout_only_deployments_are_remembered() {
    let bytes = index_format::encode(&data(), &key("u"));
    let loaded = index_format::decode(&bytes, &Key { layout: [8; 32], ..key("u") }).unwrap();
    assert_eq!(loaded.get("b"), Some(&record("b", None, Some(1))));
    assert_eq!(loaded.git, None);
}

#[test]
fn a_file_touched_since_the_session_began_is_not_trusted() {
    let directory = tempfile::tempdir().unwrap();
    let session = store(&directory, "u").begin().unwrap();
    let stat = |mtime, ctime| Stat { size: 1, mtime, ctime, inode: 1, executable: false };
    let moment = session.moment;
    assert!(session.trusted(stat(moment - 1, moment - 1), content(1)).is_some());
    assert!(session.trusted(stat(moment, moment - 1), content(1)).is_none());
    assert!(session.trusted(stat(moment - 1, moment), content(1)).is_none());
}

#[test]
fn a_scan_keeps_what_another_process_has_deployed_meanwhile() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(&directory, "u");
    let theirs = Data {
        records: vec![record("a", Some(1), Some(1)), record("gone", Some(1), None), record("z", None, Some(1))],
        ..Data::default()
    };
    store.save(store.begin().unwrap(), &theirs, Save::Deployed).unwrap();
    let ours = Data {
        records: vec![record("a", Some(2), None), record("b", Some(2), None), record("y", None, Some(1))],
        ..Data::default()
    };
    store.save(store.begin().unwrap(), &ours, Save::Seen).unwrap();
    assert_eq!(
        store.load().records,
        [record("a", Some(2), Some(1)), record("b", Some(2), None), record("z", None, Some(1))]
    );
}

#[test]
fn nothing_is_kept_without_a_directory_or_where_none_can_be_made() {
    assert!(Store::new(None, key("u")).begin().is_none());
    assert_eq!(Store::new(None, key("u")).load(), Data::default());
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("file"), "").unwrap();
    assert!(Store::new(Some(&directory.path().join("file")), key("u")).begin().is_none());
}

#[test]
fn a_session_that_saves_nothing_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(&directory, "u");
    drop(store.begin().unwrap());
    assert_eq!(std::fs::read_dir(directory.path().join(".quickdeploy/index")).unwrap().count(), 0);
}

#[test]
fn many_writers_at_once_leave_a_whole_index_and_readers_never_wait_or_see_half() {
    let directory = tempfile::tempdir().unwrap();
    let first = store(&directory, "u");
    first.save(first.begin().unwrap(), &data(), Save::Deployed).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let store = store(&directory, "u");
                for _ in 0..50 {
                    store.save(store.begin().unwrap(), &data(), Save::Seen).unwrap();
                    assert_eq!(store.load(), data());
                }
            });
        }
    });
    // The index, the lock, and no temporary file.
    assert_eq!(std::fs::read_dir(directory.path().join(".quickdeploy/index")).unwrap().count(), 2);
}
