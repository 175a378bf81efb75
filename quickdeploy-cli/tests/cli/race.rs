//! Several machines that deploy one artifact at the same time: whatever the order of their updates, all functions run the
//! artifact's current version in the end, and each run says so of itself.

use std::time::Duration;

use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use local_cloud::{Action, Fault, Link};
use serde_json::{Value, json};
use tokio::process::Child;

use crate::interrupts::seen;
use crate::world::{BUCKET, KEY, Ran, World, command, config, sha256};

const FUNCTIONS: [&str; 3] = ["a", "b", "c"];
const GATE: u32 = 1;

/// Another machine: a directory of its own, with the project's files.
struct Machine(tempfile::TempDir);

impl Machine {
    fn of(world: &World) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(world.project.path()).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                std::fs::copy(entry.path(), directory.path().join(entry.file_name())).unwrap();
            }
        }
        Self(directory)
    }

    fn write(&self, name: &str, content: &str) {
        std::fs::write(self.0.path().join(name), content).unwrap();
    }

    fn spawn(&self, world: &World, arguments: &[&str]) -> Child {
        command(self.0.path(), &world.cloud.endpoint(), arguments).spawn().unwrap()
    }

    async fn run(&self, world: &World, arguments: &[&str]) -> Ran {
        ended(self.spawn(world, arguments)).await
    }
}

async fn ended(child: Child) -> Ran {
    Ran::of(&child.wait_with_output().await.unwrap())
}

/// What is written from now on takes the place of what is there.
async fn keep_no_versions(world: &World) {
    let suspended = VersioningConfiguration::builder().status(BucketVersioningStatus::Suspended).build();
    world.s3.put_bucket_versioning().bucket(BUCKET).versioning_configuration(suspended).send().await.unwrap();
}

/// An artifact in a bucket that never kept versions.
async fn move_to_a_plain_bucket(world: &World, functions: &[&str]) {
    world.s3.create_bucket().bucket("plain").send().await.unwrap();
    world.s3.put_object().bucket("plain").key(KEY).body(world.artifact().await.into()).send().await.unwrap();
    world.write("quickdeploy.toml", &config(functions, "direct").replace(BUCKET, "plain"));
}

async fn bytes(world: &World, bucket: &str) -> Vec<u8> {
    let object = world.s3.get_object().bucket(bucket).key(KEY).send().await.unwrap();
    object.body.collect().await.unwrap().to_vec()
}

async fn assert_all_run(world: &World, functions: &[&str], artifact: &[u8]) {
    for name in functions {
        assert_eq!(world.live(name).await.0, sha256(artifact), "`{name}`");
    }
}

fn statuses(document: &Value) -> Vec<&str> {
    document["functions"].as_array().unwrap().iter().map(|it| it["status"].as_str().unwrap()).collect()
}

/// One deployment's updates of `held` reach Lambda when another deployment is through with all of its own.
async fn one_after_the_other(bucket: &str, held: &[&str], keeps_versions: bool) {
    let world = World::with_functions(&FUNCTIONS).await;
    if bucket != BUCKET {
        move_to_a_plain_bucket(&world, &FUNCTIONS).await;
    } else if !keeps_versions {
        keep_no_versions(&world).await;
    }
    let other = Machine::of(&world);
    for name in held {
        world.cloud.faults().inject(Fault::on("UpdateFunctionCode").about(*name).then(Action::Hold { gate: GATE }));
    }
    world.cloud.clear_requests();
    world.write("first.js", "// the first one's\n");
    let first = world.command(&["--json"]).spawn().unwrap();
    seen(&world, "UpdateFunctionCode").await;
    while world.requests("UpdateFunctionCode").len() < FUNCTIONS.len() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    other.write("second.js", "// the second one's\n");
    let second = other.run(&world, &["--json"]).await.expect_code(0).json();
    let artifact = bytes(&world, bucket).await;
    assert_all_run(&world, &FUNCTIONS, &artifact).await;
    assert_eq!(second["newer"], Value::Null);

    world.cloud.faults().open(GATE);
    let first = ended(first).await.expect_code(0);

    let case = format!("{bucket}, held {held:?}");
    assert_eq!(bytes(&world, bucket).await, artifact, "{case}: somebody wrote again");
    assert_all_run(&world, &FUNCTIONS, &artifact).await;
    assert!(first.stderr.contains("another version came after"), "{case}: {}", first.stderr);
    let first = first.json();
    assert_eq!(statuses(&first), ["live"; 3], "{case}");
    for function in first["functions"].as_array().unwrap() {
        assert_eq!(function["codeSha256"], json!(sha256(&artifact)), "{case}");
    }
    assert_ne!(first["artifact"]["etag"], second["artifact"]["etag"], "{case}");
    assert_eq!(first["newer"]["etag"], second["artifact"]["etag"], "{case}");
    assert_eq!(first["newer"]["versionId"], second["artifact"]["versionId"], "{case}");
    assert_eq!(first["newer"]["size"], json!(artifact.len()), "{case}");
    assert_eq!(first["newer"]["superseded"], Value::Null, "{case}: it has what the first one changed");

    // Both remember it right.
    world.cloud.clear_requests();
    for again in [world.run(&["--json"]).await, other.run(&world, &["--json", "--function", "a"]).await] {
        let again = again.expect_code(0).json();
        assert!(statuses(&again).iter().all(|status| *status == "current"), "{case}: {again:#}");
    }
    assert_eq!(world.requests("UpdateFunctionCode").len(), 0, "{case}");
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_that_come_after_those_of_a_newer_deployment_are_made_good() {
    one_after_the_other(BUCKET, &FUNCTIONS, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_comes_after_those_of_a_newer_deployment_leaves_no_two_versions_live() {
    for held in FUNCTIONS {
        one_after_the_other(BUCKET, &[held], true).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_versions_too_a_function_does_not_end_on_another_version_than_the_others() {
    one_after_the_other("plain", &FUNCTIONS, false).await;
    one_after_the_other("plain", &["b"], false).await;
    one_after_the_other(BUCKET, &["b"], false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_deployments_at_the_same_time_every_function_runs_the_current_version() {
    const MACHINES: usize = 6;
    let names: Vec<String> = (0..10).map(|number| format!("function-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for keeps_versions in [true, false] {
        let world = World::with_functions(&names).await;
        let bucket = if keeps_versions { BUCKET } else { "plain" };
        if !keeps_versions {
            move_to_a_plain_bucket(&world, &names).await;
        }
        // The first update waits until there is a newer version; some take longer than others, each time others.
        world.cloud.faults().inject(Fault::on("UpdateFunctionCode").then(Action::Hold { gate: GATE }));
        for nth in [2, 5, 11, 17, 23, 31] {
            let slow = Action::Delay(Duration::from_millis(40 * nth as u64));
            world.cloud.faults().inject(Fault::on("UpdateFunctionCode").nth(nth).then(slow));
        }
        world.cloud.faults().set_link(Link { latency: Duration::from_millis(5), ..Link::default() });
        world.cloud.clear_requests();
        let machines: Vec<Machine> = (0..MACHINES).map(|_| Machine::of(&world)).collect();
        let runs = machines.iter().enumerate().map(async |(at, machine)| {
            machine.write(&format!("of-{at}.js"), &format!("// machine {at}\n"));
            machine.run(&world, &["--json"]).await
        });
        let overtaken = async {
            while world.requests("PutObject").iter().filter(|it| it.status == 200).count() < 2 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            world.cloud.faults().open(GATE);
        };
        let (runs, ()) = tokio::join!(futures::future::join_all(runs), overtaken);

        let artifact = bytes(&world, bucket).await;
        assert_all_run(&world, &names, &artifact).await;
        let mut archive = zip::ZipArchive::new(std::io::Cursor::new(&artifact)).unwrap();
        let mut followed = 0;
        for (at, ran) in runs.into_iter().enumerate() {
            let document = ran.expect_code(0).json();
            // One that another machine has just brought there is sent nothing.
            let runs_it = |status: &&str| ["live", "current"].contains(status);
            assert!(statuses(&document).iter().all(runs_it), "{document:#}");
            followed += usize::from(!document["newer"].is_null());
            assert!(archive.by_name(&format!("of-{at}.js")).is_ok(), "machine {at}'s file is not in the artifact");
        }
        // In a further round, only functions that don't run the newer version yet are sent it.
        let taken = world.requests("UpdateFunctionCode").iter().filter(|it| it.status == 200).count();
        assert!(taken < 2 * MACHINES * names.len(), "Lambda took {taken} updates; versions kept: {keeps_versions}");
        assert!(followed > 0, "they were not in each other's way");
    }
}

/// A good deployment, what the artifact is after it, and a bad one that waits at the gate with its updates.
async fn held_after_a_good_one() -> (World, Vec<u8>, Child) {
    let world = World::with_functions(&FUNCTIONS).await;
    world.write("start.js", "// good\n");
    world.run(&[]).await.expect_code(0);
    let good = world.artifact().await;
    world.cloud.faults().inject(Fault::on("UpdateFunctionCode").times(3).then(Action::Hold { gate: GATE }));
    world.cloud.clear_requests();
    world.write("start.js", "// bad\n");
    let deploying = world.command(&["--json"]).spawn().unwrap();
    seen(&world, "UpdateFunctionCode").await;
    (world, good, deploying)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_during_the_updates_is_what_the_functions_run() {
    let (world, good, deploying) = held_after_a_good_one().await;
    while world.requests("UpdateFunctionCode").len() < FUNCTIONS.len() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    // As far as it can see, the functions run that version still.
    let rollback = world.run(&["rollback", "--json"]).await.expect_code(0).json();
    assert_eq!(statuses(&rollback), ["current"; 3]);
    world.cloud.faults().open(GATE);
    let deploy = ended(deploying).await.expect_code(1);

    assert_all_run(&world, &FUNCTIONS, &good).await;
    assert!(deploy.stderr.contains("something else as `start.js`"), "{}", deploy.stderr);
    let deploy = deploy.json();
    assert_eq!(deploy["newer"]["versionId"], rollback["artifact"]["versionId"]);
    assert_eq!(deploy["newer"]["superseded"], json!(["start.js"]));
    assert_eq!(deploy["ok"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_looks_at_functions_after_its_copy_that_seemed_to_need_nothing() {
    let (world, good, deploying) = held_after_a_good_one().await;
    world.cloud.faults().inject(Fault::on("CopyObject").then(Action::Hold { gate: GATE + 1 }));
    let rolling_back = world.command(&["rollback", "--json"]).spawn().unwrap();
    seen(&world, "CopyObject").await;
    // The deployment ends before the copy is made, and the rollback has read the functions before that.
    world.cloud.faults().open(GATE);
    ended(deploying).await.expect_code(0);
    world.cloud.faults().open(GATE + 1);

    let rollback = ended(rolling_back).await.expect_code(0).json();

    assert_eq!(world.artifact().await, good);
    assert_all_run(&world, &FUNCTIONS, &good).await;
    assert_eq!(statuses(&rollback), ["live"; 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_a_full_build_replaced_meanwhile_is_not_called_done() {
    let world = World::with_functions(&FUNCTIONS).await;
    let other = Machine::of(&world);
    world.cloud.faults().inject(Fault::on("UpdateFunctionCode").about("b").then(Action::Hold { gate: GATE }));
    world.write("start.js", "// of the deployment\n");
    let deploying = world.command(&["--json"]).spawn().unwrap();
    seen(&world, "UpdateFunctionCode").await;
    other.write("util.js", "// of the full build\n");
    let full = other.run(&world, &["full", "--json"]).await.expect_code(0).json();
    assert_eq!(statuses(&full), ["live"; 3]);
    world.cloud.faults().open(GATE);

    let deploy = ended(deploying).await.expect_code(1).json();

    assert_all_run(&world, &FUNCTIONS, &world.artifact().await).await;
    assert_eq!(statuses(&deploy), ["live"; 3]);
    assert_eq!(deploy["newer"]["superseded"], json!(["start.js"]));
    assert_eq!(deploy["newer"]["versionId"], full["upload"]["versionId"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_build_that_is_edited_before_its_functions_are_updated_follows_the_edit() {
    let world = World::with_functions(&FUNCTIONS).await;
    let other = Machine::of(&world);
    world.cloud.faults().inject(Fault::on("UpdateFunctionCode").about("c").then(Action::Hold { gate: GATE }));
    world.write("util.js", "// of the full build\n");
    let building = world.command(&["full", "--json"]).spawn().unwrap();
    seen(&world, "UpdateFunctionCode").await;
    other.write("util.js", "// of the full build\n");
    other.write("start.js", "// of the deployment\n");
    let deploy = other.run(&world, &["--json"]).await.expect_code(0).json();
    world.cloud.faults().open(GATE);

    let full = ended(building).await.expect_code(0).json();

    assert_all_run(&world, &FUNCTIONS, &world.artifact().await).await;
    assert_eq!(world.entry("start.js").await.unwrap(), "// of the deployment\n");
    assert_eq!(full["newer"]["versionId"], deploy["artifact"]["versionId"]);
    assert_eq!(statuses(&full), ["live"; 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_was_given_other_code_meanwhile_is_sent_the_artifact_again() {
    let world = World::with_functions(&FUNCTIONS).await;
    world.write("start.js", "// edited\n");
    // Its first look at how `b` does finds what somebody else has sent by then.
    world.cloud.faults().inject(Fault::on("GetFunction").about("b").nth(2).then(Action::Hold { gate: GATE }));
    let old = world.artifact().await;
    world.cloud.clear_requests();
    let deploying = world.command(&["--json"]).spawn().unwrap();
    while world.requests("GetFunction").iter().filter(|it| it.resource.as_deref() == Some("b")).count() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // As on AWS, one update waits for the other.
    let update = || world.lambda.update_function_code().function_name("b").zip_file(old.clone().into()).send();
    while update().await.is_err() {}
    world.cloud.faults().open(GATE);

    let document = ended(deploying).await.expect_code(0).json();

    assert_eq!(statuses(&document), ["live"; 3]);
    assert_eq!(document["newer"], Value::Null);
    assert_all_run(&world, &FUNCTIONS, &world.artifact().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_the_look_at_the_artifact() {
    let world = World::with_functions(&FUNCTIONS).await;
    world.write("start.js", "// edited\n");
    world.run(&[]).await.expect_code(0);

    let requests = world.cloud.requests();
    let of = |operation: &str| requests.iter().filter(|it| it.operation == operation).count();
    assert_eq!(["GetObject", "PutObject", "HeadObject", "UpdateFunctionCode"].map(of), [1, 1, 2, 3], "{requests:#?}");
    let last = |wanted: &str| requests.iter().rposition(|it| it.operation == wanted).unwrap();
    // The first one is the patch's, which reads what it has to carry over.
    let look = last("HeadObject");
    assert!(look > last("UpdateFunctionCode"), "it has to come after the last update");
    assert!(look < last("GetFunction"), "it came when the functions were live already");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_that_fails_is_told_and_the_functions_are_live() {
    let world = World::with_functions(&FUNCTIONS).await;
    world.write("start.js", "// edited\n");
    let refused = Action::Respond { status: 403, code: "AccessDenied" };
    world.cloud.faults().inject(Fault::on("HeadObject").nth(2).then(refused));
    let ran = world.run(&["--json"]).await.expect_code(0);
    assert!(ran.stderr.contains("could not look whether"), "{}", ran.stderr);
    assert_eq!(statuses(&ran.json()), ["live"; 3]);
}
