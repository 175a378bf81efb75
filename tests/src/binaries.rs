//! Our own executables. Each is built at its first use, as cargo knows best whether it is up to date.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The workspace's root.
#[must_use]
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are in the workspace").to_owned()
}

/// `bootstrap`, as Lambda gets it: small, optimised for size. The variable `QUICKDEPLOY_TEST_BOOTSTRAP` names one that
/// is there already, such as the release's own.
pub fn bootstrap() -> &'static PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| match std::env::var_os("QUICKDEPLOY_TEST_BOOTSTRAP") {
        Some(file) => root().join(file),
        None => built(&["--package", "zipedit-lambda", "--bin", "bootstrap", "--profile", "lambda"]),
    })
}

/// The CLI, with the features that its dependencies have in `cargo test --workspace`: there it is built already, while
/// `--package quickdeploy-cli` alone would build the AWS SDKs a second time.
pub fn quickdeploy() -> &'static PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| built(&["--workspace", "--tests", "--bin", "quickdeploy"]))
}

/// The program that `cargo build` makes of these arguments.
fn built(arguments: &[&str]) -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--message-format", "json"])
        .args(arguments)
        .current_dir(root())
        .stderr(std::process::Stdio::inherit())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo build {arguments:?} failed");
    let messages = String::from_utf8(output.stdout).expect("cargo's messages are UTF-8");
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["kind"][0] == "bin" && message["profile"]["test"] == false)
        .filter_map(|message| message["executable"].as_str().map(PathBuf::from))
        .next_back()
        .unwrap_or_else(|| panic!("cargo named no executable for {arguments:?}"))
}
