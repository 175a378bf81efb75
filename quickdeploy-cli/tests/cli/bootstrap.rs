//! `quickdeploy bootstrap`: what it refuses before anything is asked of AWS. What it does is tested with the real
//! executable, among the end-to-end tests.

use crate::world::World;

#[tokio::test]
async fn a_zip_that_lambda_could_not_run_is_refused_before_anything_is_sent() {
    let world = World::with_functions(&["start"]).await;
    let script = release::zipped(b"#!/bin/sh\n").unwrap();
    std::fs::write(world.project.path().join("bootstrap.zip"), script).unwrap();
    let ran = world.run(&["bootstrap", "--zip", "bootstrap.zip", "--json"]).await.expect_code(1);
    assert_eq!(ran.json()["error"]["errorType"], "WrongBootstrap");
    assert!(ran.stderr.contains("no Linux executable"), "{}", ran.stderr);
    assert!(world.cloud.requests().is_empty());
}

#[tokio::test]
async fn a_zip_that_is_missing_is_told_with_the_command_that_makes_it() {
    let world = World::with_functions(&["start"]).await;
    let ran = world.run(&["bootstrap", "--zip", "gone.zip", "--json"]).await.expect_code(1);
    assert!(ran.json()["error"]["hints"].to_string().contains("-p release"), "{ran:#?}");
    assert!(world.cloud.requests().is_empty());
}

#[tokio::test]
async fn nothing_is_deleted_without_a_yes() {
    let world = World::with_functions(&["start"]).await;
    let ran = world.run(&["bootstrap", "--delete"]).await.expect_code(2);
    assert!(ran.stderr.contains("--yes"), "{}", ran.stderr);
    assert!(world.cloud.requests().is_empty());
}

#[tokio::test]
async fn flags_that_contradict_each_other_are_wrong_usage() {
    let world = World::with_functions(&["start"]).await;
    for wrong in [
        ["bootstrap", "--delete", "--dry-run"].as_slice(),
        &["bootstrap", "--yes"],
        &["bootstrap", "--memory", "64"],
        &["bootstrap", "--timeout", "901"],
        &["bootstrap", "--arch", "riscv"],
        &["bootstrap", "--prefix", "/app"],
    ] {
        world.run(wrong).await.expect_code(2);
    }
    assert!(world.cloud.requests().is_empty());
}
