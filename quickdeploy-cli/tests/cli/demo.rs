//! The demo where it goes wrong: what it says, and what it leaves behind. That it goes right is tested in `local`.

use std::path::Path;

use crate::world::{Ran, command};

/// Nobody is there: the demo brings its own cloud.
const NOWHERE: &str = "http://127.0.0.1:9";

async fn demo(directory: &Path, arguments: &[&str]) -> Ran {
    let arguments: Vec<&str> = ["demo", "--json"].iter().chain(arguments).copied().collect();
    Ran::of(&command(directory, NOWHERE, &arguments).output().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_not_there_is_wrong_usage_and_starts_nothing() {
    let here = tempfile::tempdir().unwrap();
    std::fs::write(here.path().join("file.js"), "").unwrap();
    for (given, why) in [("nowhere", "does not exist"), ("file.js", "is not a directory")] {
        let ran = demo(here.path(), &[given]).await.expect_code(2);
        assert!(ran.stderr.contains(&format!("`{given}` {why}")), "{}", ran.stderr);
        assert!(!ran.stderr.contains("Started"), "{}", ran.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_names_the_users_directory_and_not_the_copy() {
    let here = tempfile::tempdir().unwrap();
    std::fs::create_dir(here.path().join("nothing in it")).unwrap();
    let ran = demo(here.path(), &["nothing in it"]).await.expect_code(1);
    let document = ran.json();
    let message = document["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("`nothing in it` has no files"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn why_a_handler_failed_is_told_in_full() {
    let here = tempfile::tempdir().unwrap();
    let why = "the table whose name is a long one is not there";
    std::fs::write(here.path().join("a.js"), format!("exports.handler = async () => {{ throw Error('{why}') }};\n"))
        .unwrap();
    let ran = demo(here.path(), &["."]).await.expect_code(0);
    if ran.stderr.contains("`node` is not installed") {
        return;
    }
    assert!(ran.stderr.contains(&format!("warning: `a` failed: Error: {why}")), "{}", ran.stderr);
    // Four functions with one handler fail alike: once before the edit, once after.
    assert_eq!(ran.stderr.matches("` failed: ").count(), 2, "{}", ran.stderr);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_leaves_nothing_behind() {
    use tokio::io::{AsyncBufReadExt, BufReader};

    let (here, temporary) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut child = command(here.path(), NOWHERE, &["demo"]).env("TMPDIR", temporary.path()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
    // Now it packages, in the background.
    while !stderr.next_line().await.unwrap().expect("it ended early").contains("Wrote") {}
    let id = child.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    assert_eq!(child.wait().await.unwrap().code(), Some(1));
    let left: Vec<_> = std::fs::read_dir(temporary.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}
