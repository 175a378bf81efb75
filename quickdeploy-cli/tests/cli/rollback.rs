//! `quickdeploy rollback`: nothing is uploaded, nobody's version is hidden, and every function runs the old code.

use aws_sdk_s3::types::{BucketVersioningStatus, StorageClass, VersioningConfiguration};
use local_cloud::{Action, Fault};
use serde_json::{Value, json};

use crate::interrupts::{interrupt, seen};
use crate::world::{BUCKET, KEY, Ran, World, sha256};

/// Deploys `start.js` with this content.
async fn deploy(world: &World, content: &str) -> Vec<u8> {
    world.write("start.js", content);
    world.run(&[]).await.expect_code(0);
    world.artifact().await
}

async fn rollback(world: &World, arguments: &[&str]) -> Value {
    let arguments: Vec<&str> = ["rollback", "--json"].iter().chain(arguments).copied().collect();
    world.run(&arguments).await.expect_code(0).json()
}

async fn assert_runs(world: &World, functions: &[&str], artifact: &[u8]) {
    assert_eq!(world.artifact().await, artifact);
    for name in functions {
        assert_eq!(world.live(name).await.0, sha256(artifact), "{name}");
    }
}

/// Version ids, newest first.
async fn versions(world: &World) -> Vec<String> {
    let listing = world.s3.list_object_versions().bucket(BUCKET).prefix(KEY).send().await.unwrap();
    listing.versions().iter().map(|version| version.version_id().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_version_before_is_live_again_and_nothing_was_uploaded() {
    let world = World::with_functions(&["a", "b"]).await;
    let good = deploy(&world, "// good\n").await;
    deploy(&world, "// bad\n").await;
    world.cloud.clear_requests();

    let document = rollback(&world, &[]).await;

    assert_runs(&world, &["a", "b"], &good).await;
    assert_eq!(document["restored"], true);
    assert_eq!(document["changes"]["modified"], json!({ "count": 1, "names": ["start.js"] }));
    assert_eq!(document["to"]["versionId"], versions(&world).await[2]);
    assert_eq!(document["artifact"]["versionId"], versions(&world).await[0]);
    let s3 = world.cloud.requests().into_iter().filter(|it| it.service == local_cloud::Service::S3);
    assert_eq!(s3.map(|request| request.bytes_in).sum::<u64>(), 0, "bytes went up to S3");
    for operation in ["PutObject", "UploadPart", "CreateMultipartUpload"] {
        assert_eq!(world.requests(operation).len(), 0, "{operation}");
    }
    assert_eq!(world.requests("CopyObject").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_after_a_rollback_goes_further_back_and_to_the_first_one_by_its_name() {
    let world = World::with_functions(&["a"]).await;
    let original = world.artifact().await;
    let first = deploy(&world, "// 1\n").await;
    let second = deploy(&world, "// 2\n").await;
    let bad = versions(&world).await[0].clone();

    rollback(&world, &[]).await;
    assert_runs(&world, &["a"], &first).await;
    rollback(&world, &[]).await;
    assert_runs(&world, &["a"], &original).await;
    let ran = world.run(&["rollback", "--json"]).await.expect_code(1);
    assert_eq!(ran.json()["error"]["errorType"], "NoEarlierVersion");

    rollback(&world, &[&bad[..12]]).await;
    assert_runs(&world, &["a"], &second).await;
    rollback(&world, &["--steps", "2"]).await;
    assert_runs(&world, &["a"], &original).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_machine_with_no_memory_rolls_back_the_same_way() {
    let world = World::with_functions(&["a"]).await;
    let original = world.artifact().await;
    let first = deploy(&world, "// 1\n").await;
    deploy(&world, "// 2\n").await;
    for expected in [&first, &original] {
        std::fs::remove_dir_all(world.project.path().join(".quickdeploy")).unwrap();
        rollback(&world, &[]).await;
        assert_runs(&world, &["a"], expected).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_here_now_differs_from_the_artifact_and_that_is_said() {
    let world = World::with_functions(&["a"]).await;
    deploy(&world, "// 1\n").await;
    let second = deploy(&world, "// 2\n").await;
    let ran = world.run(&["rollback", "--json"]).await.expect_code(0);
    assert_eq!(ran.json()["local"]["modified"][0]["name"], "start.js");
    assert!(ran.stderr.contains("the next `quickdeploy` would patch 1 file"), "{}", ran.stderr);
    // And it does.
    world.run(&[]).await.expect_code(0);
    assert_runs(&world, &["a"], &second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_changes_nothing() {
    let world = World::with_functions(&["a"]).await;
    deploy(&world, "// 1\n").await;
    let second = deploy(&world, "// 2\n").await;
    world.cloud.clear_requests();
    let document = rollback(&world, &["--dry-run"]).await;
    assert_eq!((&document["restored"], &document["functions"][0]["status"]), (&json!(false), &json!("stale")));
    world.assert_nothing_was_changed();
    assert_eq!(world.requests("CopyObject").len(), 0);
    assert_runs(&world, &["a"], &second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_in_between_is_not_hidden() {
    let world = World::with_functions(&["a"]).await;
    deploy(&world, "// 1\n").await;
    deploy(&world, "// 2\n").await;
    world.cloud.faults().inject(Fault::on("CopyObject").then(Action::Hold { gate: 1 }));
    let child = world.command(&["rollback", "--json"]).spawn().unwrap();
    seen(&world, "CopyObject").await;
    world.s3.put_object().bucket(BUCKET).key(KEY).body(b"theirs".to_vec().into()).send().await.unwrap();
    world.cloud.faults().open(1);
    let ran = Ran::of(&child.wait_with_output().await.unwrap()).expect_code(1);
    assert_eq!(ran.json()["error"]["errorType"], "Conflict");
    assert_eq!(world.artifact().await, b"theirs");
    assert_eq!(world.requests("UpdateFunctionCode").len(), 2, "those of the deploys");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_to_the_copy_is_no_failure() {
    for action in [Action::ResetAfter, Action::RespondAfter { status: 500, code: "InternalError" }] {
        let world = World::with_functions(&["a"]).await;
        let first = deploy(&world, "// 1\n").await;
        deploy(&world, "// 2\n").await;
        world.cloud.faults().inject(Fault::on("CopyObject").then(action));
        rollback(&world, &[]).await;
        assert_runs(&world, &["a"], &first).await;
        assert_eq!(versions(&world).await.len(), 4, "copied once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_fails_is_brought_along_by_the_same_rollback_again() {
    let world = World::with_functions(&["a", "b", "c"]).await;
    let first = deploy(&world, "// 1\n").await;
    deploy(&world, "// 2\n").await;
    let refused = Action::Respond { status: 403, code: "AccessDeniedException" };
    world.cloud.faults().inject(Fault::on("UpdateFunctionCode").about("b").always().then(refused));
    let ran = world.run(&["rollback", "--json"]).await.expect_code(1);
    assert_eq!(ran.json()["ok"], false);
    assert_runs(&world, &["a", "c"], &first).await;

    world.cloud.faults().clear();
    world.cloud.clear_requests();
    let (_, after) = ran.stderr.split_once("run `quickdeploy rollback ").expect("it says how to go on");
    let version = after.split('`').next().unwrap();
    let document = rollback(&world, &[version]).await;
    assert_eq!(document["restored"], false);
    assert_runs(&world, &["a", "b", "c"], &first).await;
    let updated: Vec<Option<String>> = world.requests("UpdateFunctionCode").into_iter().map(|it| it.resource).collect();
    assert_eq!(updated, [Some("b".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_s3_refuses_nothing_has_changed() {
    for operation in ["ListObjectVersions", "HeadObject", "GetObject", "CopyObject"] {
        let world = World::with_functions(&["a"]).await;
        deploy(&world, "// 1\n").await;
        let second = deploy(&world, "// 2\n").await;
        let refused = Action::Respond { status: 403, code: "AccessDenied" };
        world.cloud.faults().inject(Fault::on(operation).always().then(refused));
        let ran = world.run(&["rollback", "--json"]).await.expect_code(1);
        assert_eq!(ran.json()["error"]["errorType"], "AccessDenied", "{operation}: {}", ran.stderr);
        world.cloud.faults().clear();
        assert_runs(&world, &["a"], &second).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_ask_for_versioning_the_versions_tell() {
    let world = World::with_functions(&["a"]).await;
    let first = deploy(&world, "// 1\n").await;
    deploy(&world, "// 2\n").await;
    let refused = Action::Respond { status: 403, code: "AccessDenied" };
    world.cloud.faults().inject(Fault::on("GetBucketVersioning").always().then(refused));
    rollback(&world, &[]).await;
    assert_runs(&world, &["a"], &first).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_that_cannot_be_gone_back_to_are_named_with_the_reason() {
    let world = World::with_functions(&["a"]).await;
    let second = deploy(&world, "// 2\n").await;
    let put = world.s3.put_object().bucket(BUCKET).key(KEY).body(world.artifact().await.into());
    let archived = put.storage_class(StorageClass::Glacier).send().await.unwrap().version_id.unwrap();
    let marker = world.s3.delete_object().bucket(BUCKET).key(KEY).send().await.unwrap().version_id.unwrap();
    world.s3.put_object().bucket(BUCKET).key(KEY).body(second.clone().into()).send().await.unwrap();
    let gone = "3sL4kqtJlcpXroDTDmJrmSpXd3dIbrHY";
    for (version, says) in [(gone, "gone"), (&marker, "delete marker"), (&archived, "restore-object")] {
        let ran = world.run(&["rollback", version, "--json"]).await.expect_code(1);
        let error = ran.json()["error"].to_string();
        assert!(error.contains(says) && error.contains(version), "{error}");
        assert_eq!(world.artifact().await, second);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_artifact_comes_back() {
    let world = World::with_functions(&["a"]).await;
    let first = deploy(&world, "// 1\n").await;
    world.s3.delete_object().bucket(BUCKET).key(KEY).send().await.unwrap();
    rollback(&world, &[]).await;
    assert_runs(&world, &["a"], &first).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_zip_can_be_rolled_back_from() {
    let world = World::with_functions(&["a"]).await;
    let first = deploy(&world, "// 1\n").await;
    world.s3.put_object().bucket(BUCKET).key(KEY).body(b"broken".to_vec().into()).send().await.unwrap();
    rollback(&world, &[]).await;
    assert_runs(&world, &["a"], &first).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_versioning_it_is_said_how_to_turn_it_on() {
    let world = World::with_functions(&["a"]).await;
    let suspended = VersioningConfiguration::builder().status(BucketVersioningStatus::Suspended).build();
    world.s3.put_bucket_versioning().bucket(BUCKET).versioning_configuration(suspended).send().await.unwrap();
    let ran = world.run(&["rollback", "--json"]).await.expect_code(1);
    let error = &ran.json()["error"];
    assert_eq!(error["errorType"], "NoVersioning");
    assert!(error["hints"][0].as_str().unwrap().contains("put-bucket-versioning"), "{error}");

    world.s3.create_bucket().bucket("plain").send().await.unwrap();
    world.s3.put_object().bucket("plain").key(KEY).body(world.artifact().await.into()).send().await.unwrap();
    world.write("quickdeploy.toml", &format!("artifact = \"s3://plain/{KEY}\"\nfunctions = [\"a\"]\n"));
    let ran = world.run(&["rollback", "--json"]).await.expect_code(1);
    assert_eq!(ran.json()["error"]["errorType"], "NoVersioning");
    assert_eq!(world.requests("CopyObject").len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_before_the_copy_leaves_all_as_it_was_and_one_after_it_finishes_the_functions() {
    let world = World::with_functions(&["a", "b"]).await;
    let first = deploy(&world, "// 1\n").await;
    let second = deploy(&world, "// 2\n").await;
    world.cloud.faults().inject(Fault::on("ListObjectVersions").then(Action::Stall));
    let child = world.command(&["rollback", "--json"]).spawn().unwrap();
    seen(&world, "ListObjectVersions").await;
    interrupt(&child);
    let ran = Ran::of(&child.wait_with_output().await.unwrap()).expect_code(1);
    assert_eq!(ran.json()["error"]["errorType"], "Interrupted");
    assert_runs(&world, &["a", "b"], &second).await;

    world.cloud.faults().clear();
    world.cloud.clear_requests();
    world.cloud.faults().inject(Fault::on("CopyObject").then(Action::Hold { gate: 1 }));
    let child = world.command(&["rollback", "--json"]).spawn().unwrap();
    seen(&world, "CopyObject").await;
    interrupt(&child);
    world.cloud.faults().open(1);
    let ran = Ran::of(&child.wait_with_output().await.unwrap()).expect_code(0);
    assert_eq!(ran.json()["ok"], true);
    assert_runs(&world, &["a", "b"], &first).await;
}
