use super::*;
use crate::project::stat::Stat;
use std::io::Cursor;
use zip::ZipArchive;

fn file(name: &str, size: u64, executable: bool) -> LocalFile {
    let stat = Stat { size, mtime: 0, ctime: 0, inode: 0, executable };
    LocalFile::new(name.to_owned(), name.to_owned(), stat)
}

fn directory(files: &[(&str, &[u8])]) -> (tempfile::TempDir, Vec<LocalFile>) {
    let directory = tempfile::tempdir().unwrap();
    let files = files
        .iter()
        .map(|(name, content)| {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
            file(name, content.len() as u64, name.ends_with(".sh"))
        })
        .collect();
    (directory, files)
}

fn packaged(root: &Path, files: Vec<LocalFile>) -> (Packaged, Vec<u8>) {
    let mut out = Cursor::new(Vec::new());
    let packaged = package(root, files, &mut out).unwrap();
    (packaged, out.into_inner())
}

/// Names in the order in which the entries stand in the file, not in the directory.
fn physical_order(bytes: &[u8]) -> Vec<String> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).unwrap();
    let names: BTreeMap<u64, String> = (0..archive.len())
        .map(|index| {
            let entry = archive.by_index(index).unwrap();
            (entry.header_start(), entry.name().unwrap().into_owned())
        })
        .collect();
    names.into_values().collect()
}

/// Bytes that deflate can't shrink.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

#[test]
fn dependencies_come_first_and_the_projects_own_files_last_each_sorted() {
    let (root, files) = directory(&[
        ("b.js", b"b"),
        ("a.js", b"a"),
        ("node_modules/z/i.js", b"z"),
        ("api/node_modules/y/i.js", b"y"),
        ("src/c.js", b"c"),
    ]);
    let (report, bytes) = packaged(root.path(), files);
    assert_eq!(physical_order(&bytes), ["api/node_modules/y/i.js", "node_modules/z/i.js", "a.js", "b.js", "src/c.js"]);
    assert_eq!(report, Packaged { entries: 5, bytes: bytes.len() as u64, unzipped: 5 });
}

#[test]
fn entries_carry_fixed_times_unix_modes_and_no_data_descriptor() {
    let text = "text ".repeat(100);
    let (root, files) =
        directory(&[("run.sh", text.as_bytes()), ("ä.js", text.as_bytes()), ("noise", &noise(1000)), ("empty", b"")]);
    let (_, bytes) = packaged(root.path(), files);
    let mut archive = ZipArchive::new(Cursor::new(&bytes)).unwrap();
    for (name, mode, method) in [
        ("run.sh", 0o100_755, CompressionMethod::Deflated),
        ("ä.js", 0o100_644, CompressionMethod::Deflated),
        ("noise", 0o100_644, CompressionMethod::Stored),
        ("empty", 0o100_644, CompressionMethod::Stored),
    ] {
        let entry = archive.by_name(name).unwrap();
        assert_eq!(entry.unix_mode(), Some(mode), "{name}");
        assert_eq!(entry.compression(), method, "{name}");
        assert_eq!(entry.last_modified(), Some(DateTime::DEFAULT), "{name}");
        // Local header: general purpose flags, APPNOTE 4.4.4. Bit 3: data descriptor; bit 11: UTF-8.
        let header = usize::try_from(entry.header_start()).unwrap();
        let flags = u16::from_le_bytes([bytes[header + 6], bytes[header + 7]]);
        assert_eq!(flags & (1 << 3), 0, "{name}");
        assert_eq!(flags & (1 << 11) != 0, !name.is_ascii(), "{name}");
        // Central header: version made by; its high byte 3 is Unix, APPNOTE 4.4.2.
        let central = usize::try_from(entry.central_header_start()).unwrap();
        assert_eq!(bytes[central + 5], 3, "{name}");
    }
}

#[test]
fn the_same_files_give_the_same_bytes() {
    let contents: Vec<(String, Vec<u8>)> = (0..200).map(|i| (format!("d{}/f{i}", i % 7), noise(i * 37))).collect();
    let list: Vec<(&str, &[u8])> = contents.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    let (root, files) = directory(&list);
    let mut reversed = files.clone();
    reversed.reverse();
    let (_, bytes) = packaged(root.path(), files);
    assert!(bytes == packaged(root.path(), reversed).1);
    let mut archive = ZipArchive::new(Cursor::new(&bytes)).unwrap();
    for (name, content) in &contents {
        let mut found = Vec::new();
        archive.by_name(name).unwrap().read_to_end(&mut found).unwrap();
        assert!(&found == content, "{name}");
    }
}

#[test]
fn files_larger_than_the_window_are_packaged_in_order_too() {
    let big = vec![7; usize::try_from(AHEAD).unwrap() + 1];
    let (root, files) = directory(&[("a", &big), ("b", b"b"), ("c", &big), ("d", b"d")]);
    let (report, bytes) = packaged(root.path(), files);
    assert_eq!(report.unzipped, 2 * (AHEAD + 1) + 2);
    assert_eq!(physical_order(&bytes), ["a", "b", "c", "d"]);
}

#[test]
fn more_than_lambda_takes_is_refused_with_the_biggest_parts() {
    let files = vec![
        file("node_modules/@aws/sdk/a.js", 150_000_000, false),
        file("node_modules/@aws/sdk/b.js", 50_000_000, false),
        file("node_modules/typescript/lib/t.js", 60_000_000, false),
        file("assets/video.mp4", 9_000_000, false),
        file("a.js", 1, false),
    ];
    let error = package(Path::new("/nowhere"), files, Cursor::new(Vec::new())).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the package would be 269000001 bytes unzipped; Lambda allows 262144000 with all layers. The biggest parts:\n\
         \x20   200.0 MB  node_modules/@aws/sdk\n\
         \x20    60.0 MB  node_modules/typescript\n\
         \x20     9.0 MB  assets\n\
         \x20     0.0 MB  a.js\n\
         Leave out what isn't needed at run time with `exclude` in quickdeploy.toml, install without development \
         dependencies, or move large dependencies into a layer"
    );
}

#[test]
fn nothing_to_package_is_an_error() {
    let error = package(Path::new("/p"), Vec::new(), Cursor::new(Vec::new())).unwrap_err();
    assert_eq!(error.to_string(), "`/p` has no files to package: check `map`, `exclude` and the ignore files");
}

#[test]
fn a_file_that_vanishes_or_grows_meanwhile_is_an_error_and_does_not_hang() {
    let (root, mut files) = directory(&[("a", b"a"), ("c", b"c")]);
    files.push(file("b", 1, false));
    let error = package(root.path(), files.clone(), Cursor::new(Vec::new())).unwrap_err();
    assert!(error.to_string().starts_with("can't read `"), "{error}");
    std::fs::write(root.path().join("b"), "grown").unwrap();
    let error = package(root.path(), files, Cursor::new(Vec::new())).unwrap_err();
    assert!(matches!(error, ProjectError::Unsteady { .. }), "{error}");
}
