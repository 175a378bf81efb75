//! Archives in the shape of real artifacts: dependencies first, the project's own files last.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use zip::write::SimpleFileOptions;

use crate::binaries::root;
use crate::programs::{cache, output_of};

/// Bytes that don't compress, others for every `seed`.
#[must_use]
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// An archive with `entries` dependencies of `size` bytes each that don't compress, and three handlers and a `util.js`
/// behind them.
#[must_use]
pub fn project(entries: u64, size: usize) -> Bytes {
    let dependencies = (0..entries).map(|at| (format!("node_modules/package-{at:05}/index.js"), noise(at, size)));
    let own = ["handlers/list.js", "handlers/start.js", "handlers/stop.js", "util.js"]
        .map(|name| (name.to_owned(), format!("exports.name = '{name}';\n").repeat(20).into_bytes()));
    archive(dependencies.chain(own))
}

/// An archive of these files, mode 0644, in this order. What doesn't compress is stored, to save the tests' time.
pub fn archive(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Bytes {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        let method = if name.starts_with("node_modules/package-") {
            zip::CompressionMethod::Stored
        } else {
            zip::CompressionMethod::Deflated
        };
        let options = SimpleFileOptions::default().compression_method(method).unix_permissions(0o644);
        writer.start_file(name, options).expect("the name is new");
        writer.write_all(&content).expect("memory takes it");
    }
    writer.finish().expect("memory takes it").into_inner().into()
}

/// name → content and mode.
///
/// # Panics
/// When the `zip` crate has anything against the archive.
#[must_use]
pub fn contents(archive: &[u8]) -> BTreeMap<String, (Vec<u8>, Option<u32>)> {
    let mut zip = zip::ZipArchive::new(Cursor::new(archive)).expect("it is an archive");
    zip.validate_header_consistency().expect("its headers agree");
    assert!(!zip.has_overlapping_entries().expect("its entries can be found"), "entries overlap");
    let mut contents = BTreeMap::new();
    for index in 0..zip.len() {
        let mut file = zip.by_index(index).expect("the entry is there");
        let name = file.name().expect("the name is text").into_owned();
        let mut content = Vec::new();
        file.read_to_end(&mut content).unwrap_or_else(|error| panic!("{name}: {error}"));
        contents.insert(name, (content, file.unix_mode()));
    }
    contents
}

/// The big project with real npm dependencies, as artifacts of about 80 and 240 MB with directories of equal length.
/// They are made once and kept.
///
/// # Panics
/// When npm can't install the dependencies.
#[must_use]
pub fn big_projects() -> (PathBuf, PathBuf) {
    let prepare = root().join("tests/tools/big-project/prepare.py");
    let printed = output_of(Command::new("python3").arg(prepare).arg(cache().join("big-project")));
    let made: serde_json::Value = serde_json::from_str(&printed).expect("it prints JSON");
    let packaged = |project: &serde_json::Value| {
        let project = PathBuf::from(project.as_str().expect("it names the directories"));
        let archive = project.with_extension("zip");
        if !archive.exists() {
            let unfinished = project.with_extension("unfinished");
            std::fs::write(&unfinished, self::archive(files(&project))).expect("the cache can be written");
            std::fs::rename(&unfinished, &archive).expect("the cache can be written");
        }
        archive
    };
    (packaged(&made["normal"]), packaged(&made["large"]))
}

/// A project's files: its dependencies first, its own last, each sorted by name.
fn files(project: &Path) -> Vec<(String, Vec<u8>)> {
    let mut names = Vec::new();
    let mut folders = vec![project.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the project can be read") {
            let entry = entry.expect("the project can be read");
            match entry.file_type().expect("the project can be read") {
                it if it.is_dir() => folders.push(entry.path()),
                it if it.is_file() => names.push(entry.path()),
                _ => {}
            }
        }
    }
    let mut files: Vec<_> = names
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(project).expect("it is below").to_str().expect("its name is text").to_owned();
            let content = std::fs::read(&path).expect("the project can be read");
            (name, content)
        })
        .collect();
    files.sort_by(|(one, _), (other, _)| {
        let own = |name: &str| !name.starts_with("node_modules/");
        own(one).cmp(&own(other)).then_with(|| one.cmp(other))
    });
    files
}
