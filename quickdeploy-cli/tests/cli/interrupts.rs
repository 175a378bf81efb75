//! Ctrl-C at the moments that matter. Each waits for the moment by what the cloud has seen, not by time.
#![cfg(unix)]

use std::time::{Duration, Instant};

use local_cloud::{Action, Fault};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;

use crate::world::{Ran, World, sha256};

/// What ends at once has ended by then, on a busy machine, too. What is waited for in these tests would take longer.
const AT_ONCE: Duration = Duration::from_secs(10);

/// Presses Ctrl-C.
pub(crate) fn interrupt(child: &Child) {
    let id = child.id().expect("it still runs").to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
}

/// Waits until the cloud has seen a call of this operation.
pub(crate) async fn seen(world: &World, operation: &str) {
    let waiting = async {
        while world.requests(operation).is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting).await.unwrap_or_else(|_| panic!("{operation} never came"));
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_patch_nothing_has_changed() {
    let world = World::with_functions(&["a"]).await;
    world.write("start.js", "// edited\n");
    world.cloud.faults().inject(Fault::on("GetObject").then(Action::Stall));
    let child = world.command(&["--json"]).spawn().unwrap();
    seen(&world, "GetObject").await;
    interrupt(&child);
    let ran = Ran::of(&child.wait_with_output().await.unwrap()).expect_code(1);
    assert_eq!(ran.json()["error"]["errorType"], "Interrupted");
    world.assert_nothing_was_changed();
}

#[tokio::test(flavor = "multi_thread")]
async fn during_the_updates_they_are_finished_first() {
    let world = World::with_functions(&["a", "b"]).await;
    world.write("start.js", "// edited\n");
    world.cloud.faults().inject(Fault::on("UpdateFunctionCode").times(2).then(Action::Hold { gate: 1 }));
    let mut child = world.command(&["--json"]).spawn().unwrap();
    seen(&world, "UpdateFunctionCode").await;
    interrupt(&child);
    says(&mut child, "warning: interrupted").await;
    world.cloud.faults().open(1);
    let ran = Ran::of(&child.wait_with_output().await.unwrap()).expect_code(0);
    assert_eq!(ran.json()["ok"], true);
    let artifact = sha256(&world.artifact().await);
    for name in ["a", "b"] {
        assert_eq!(world.live(name).await.0, artifact);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_one_ends_the_updates_and_the_next_run_resumes() {
    let world = World::with_functions(&["a", "b"]).await;
    world.write("start.js", "// edited\n");
    world.cloud.faults().inject(Fault::on("UpdateFunctionCode").about("b").then(Action::Stall));
    let mut child = world.command(&["--json"]).spawn().unwrap();
    seen(&world, "UpdateFunctionCode").await;
    interrupt(&child);
    let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
    while !stderr.next_line().await.unwrap().expect("it did not say that it goes on").contains("press Ctrl-C again") {}
    interrupt(&child);
    let ran = Ran::of(&child.wait_with_output().await.unwrap()).expect_code(1);
    assert_eq!(ran.json()["error"]["errorType"], "Interrupted");

    world.cloud.faults().clear();
    world.run(&[]).await.expect_code(0);
    let artifact = sha256(&world.artifact().await);
    for name in ["a", "b"] {
        assert_eq!(world.live(name).await.0, artifact);
    }
}

/// Waits until the process says so on stderr.
async fn says(child: &mut Child, wanted: &str) {
    let mut lines = BufReader::new(child.stderr.as_mut().unwrap()).lines();
    let reading = async {
        while !lines.next_line().await.unwrap().unwrap_or_else(|| panic!("it never said {wanted}")).contains(wanted) {}
    };
    tokio::time::timeout(Duration::from_secs(30), reading).await.unwrap_or_else(|_| panic!("it never said {wanted}"));
}

/// Presses Ctrl-C, and once more when it says what that would do: it ends at once.
async fn interrupted_twice(mut child: Child) -> Ran {
    interrupt(&child);
    says(&mut child, "press Ctrl-C again to end at once").await;
    let pressed = Instant::now();
    interrupt(&child);
    let ran = Ran::of(&child.wait_with_output().await.unwrap()).expect_code(1);
    assert!(pressed.elapsed() < AT_ONCE, "{:?}", pressed.elapsed());
    assert_eq!(ran.json()["error"]["errorType"], "Interrupted");
    ran
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_one_ends_a_patch_whose_commit_is_not_answered() {
    let world = World::with_functions(&["a"]).await;
    world.write("start.js", "// edited\n");
    world.cloud.faults().inject(Fault::on("PutObject").always().then(Action::StallAfter));
    world.cloud.faults().inject(Fault::on("HeadObject").nth(2).times(100).then(Action::Stall));
    let child = world.command(&["--json"]).spawn().unwrap();
    seen(&world, "PutObject").await;
    let ran = interrupted_twice(child).await;
    let error = &ran.json()["error"];
    assert!(error.to_string().contains("not certain whether s3://artifacts/app/app.zip"), "{error}");

    // It was changed, and the same command again finds that out.
    world.cloud.faults().clear();
    let document = world.run(&["--json"]).await.expect_code(0).json();
    assert_eq!(document["changes"]["modified"].as_array().map(Vec::len), Some(0));
    assert_eq!(world.live("a").await.0, sha256(&world.artifact().await));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_one_ends_a_wait_for_the_zipedit_function() {
    let world = World::with_functions(&["a"]).await;
    world.write("quickdeploy.toml", &crate::world::config(&["a"], "lambda"));
    world.write("start.js", "// edited\n");
    world.cloud.faults().inject(Fault::on("Invoke").always().then(Action::Stall));
    let before = world.etag().await;
    let child = world.command(&["--json"]).spawn().unwrap();
    seen(&world, "Invoke").await;
    interrupted_twice(child).await;
    assert_eq!(world.etag().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_one_ends_a_compiler_that_ignores_the_first() {
    let world = World::with_functions(&["a"]).await;
    let compile = "compile = \"trap 'touch asked' INT; touch begun; while :; do sleep 1; done\"\n";
    world.write("quickdeploy.toml", &format!("{compile}{}", crate::world::config(&["a"], "direct")));
    let child = world.command(&["--json"]).spawn().unwrap();
    let there = async |name: &str| {
        while !world.project.path().join(name).exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    there("begun").await;
    let pressed = Instant::now();
    interrupt(&child);
    there("asked").await;
    interrupt(&child);
    let ran = Ran::of(&child.wait_with_output().await.unwrap()).expect_code(1);
    assert!(pressed.elapsed() < AT_ONCE, "{:?}", pressed.elapsed());
    assert_eq!(ran.json()["error"]["errorType"], "Interrupted");
    world.assert_nothing_was_changed();
}
