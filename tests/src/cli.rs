//! The CLI as a process: how it is started, and what it used.

use std::path::Path;
use std::process::Stdio;

use tokio::process::{Child, Command};

use crate::binaries::quickdeploy;
use crate::cloud::Cloud;
use crate::site::ENVIRONMENT;

/// `quickdeploy` with these arguments in `directory`, as a client of `cloud`, with nothing of the environment but what it
/// needs. It is killed when it is dropped.
#[must_use]
pub fn cli(cloud: &Cloud, directory: &Path, arguments: &[impl AsRef<std::ffi::OsStr>]) -> Command {
    let mut command = cli_at(&cloud.endpoint(), directory, arguments);
    // The local cloud heeds preconditions; requests are counted here.
    command.env("QUICKDEPLOY_STORE_CHECK", "off");
    command
}

/// As [`cli`], a client of whatever answers at `endpoint`.
#[must_use]
pub fn cli_at(endpoint: &str, directory: &Path, arguments: &[impl AsRef<std::ffi::OsStr>]) -> Command {
    let mut command = Command::new(quickdeploy());
    command
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", directory)
        .env("AWS_ENDPOINT_URL", endpoint)
        .envs(ENVIRONMENT)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Presses Ctrl-C.
///
/// # Panics
/// When the process is over already and was waited for.
pub fn interrupt(child: &Child) {
    let id = child.id().expect("it still runs").to_string();
    let pressed = std::process::Command::new("kill").args(["-INT", &id]).status().expect("`kill` is there");
    assert!(pressed.success(), "process {id} is gone");
}

/// Writes a file below `directory`, with the directories that it is in.
///
/// # Panics
/// When it can't.
pub fn write(directory: &Path, name: &str, content: impl AsRef<[u8]>) {
    let path = directory.join(name);
    std::fs::create_dir_all(path.parent().expect("it is below a directory")).expect("a directory can be made");
    std::fs::write(path, content).expect("a file can be written");
}
