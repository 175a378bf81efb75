//! Other people's programs: interpreters, and the zip readers in `tests/tools/readers`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use crate::binaries::root;

/// Whether `program` can be started; says so if not, so that a skipped test is seen to be one.
pub fn is_there(program: &str) -> bool {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        println!("skipped: `{program}` is not installed");
    }
    found
}

/// Runs a program; its standard output.
///
/// # Panics
/// When it can't be started or fails, with what it printed.
pub fn output_of(command: &mut Command) -> String {
    let Output { status, stdout, stderr } =
        command.output().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?} failed: {status}\n{stdout}\n{stderr}");
    stdout.into_owned()
}

/// What each reader that is installed prints of `archive`, by the reader's name. All of them read every entry, and fail
/// on whatever they have to remark. `streamable`: also by a reader that goes from local header to local header.
///
/// # Panics
/// When a reader complains.
#[must_use]
pub fn read_by_all(archive: &Path, streamable: bool) -> Vec<(&'static str, String)> {
    let readers = root().join("tests/tools/readers");
    let mut printed = Vec::new();
    if is_there("python3") {
        printed.push(("CPython", output_of(Command::new("python3").arg(readers.join("read.py")).arg(archive))));
    }
    if is_there("java") {
        let mut java = Command::new("java");
        java.arg(readers.join("Read.java"));
        if !streamable {
            java.arg("--no-stream");
        }
        printed.push(("Java", output_of(java.arg(archive))));
    }
    if is_there("npm") {
        let node = output_of(Command::new("node").arg(node_reader()).arg(archive));
        printed.push(("Node", node));
    }
    if is_there("unzip") {
        printed.push(("Info-ZIP", output_of(Command::new("bash").arg(readers.join("info-zip.sh")).arg(archive))));
    }
    printed
}

/// The Node reader, in a copy of its directory with its packages installed.
fn node_reader() -> &'static Path {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let from = root().join("tests/tools/readers");
        let to = cache().join("readers");
        std::fs::create_dir_all(&to).expect("the cache can be written");
        for file in ["read.mjs", "package.json", "package-lock.json"] {
            std::fs::copy(from.join(file), to.join(file)).expect("the reader is there");
        }
        output_of(Command::new("npm").args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&to));
        to.join("read.mjs")
    })
}

/// Where what is downloaded or takes long to make is kept from run to run.
#[must_use]
pub fn cache() -> PathBuf {
    root().join("target/test-cache")
}
