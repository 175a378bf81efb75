//! `quickdeploy full` where AWS says no: each error names what, where and what next, and leaves things as they were.

use local_cloud::{Action, Fault};

use crate::full_stack::{change_sets, edit_template, memory, project, status};
use crate::world::World;

const DENIED: Action = Action::Respond { status: 403, code: "AccessDenied" };

/// The error of a run that fails.
async fn refused(world: &World, arguments: &[&str]) -> (serde_json::Value, String) {
    let ran = world.run(&[arguments, &["--json"]].concat()).await.expect_code(1);
    (ran.json()["error"].clone(), ran.stderr)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permission_that_is_missing_is_named_and_a_new_stack_is_not_left_half_made() {
    for (operation, said) in [
        ("DescribeStacks", "could not describe the stack `app`"),
        ("HeadBucket", "could not look at the bucket `artifacts`"),
        ("PutObject", "s3://artifacts/app/app.zip"),
        ("CreateChangeSet", "could not create a change set for the stack `app`"),
        ("DescribeChangeSet", "could not read the change set of the stack `app`"),
        ("DescribeStackEvents", "could not read the stack's events"),
        ("ExecuteChangeSet", "could not execute the change set of the stack `app`"),
    ] {
        let world = project().await;
        world.cloud.faults().inject(Fault::on(operation).always().then(DENIED));
        if operation == "HeadBucket" {
            // The same permission.
            world.cloud.faults().inject(Fault::on("ListObjectsV2").always().then(DENIED));
        }
        let (error, stderr) = refused(&world, &["full"]).await;
        assert_eq!(error["errorType"], "AccessDenied", "{operation}: {stderr}");
        assert!(error["message"].as_str().unwrap().contains(said), "{operation}: {stderr}");
        // What next: in the hints, or in the words of the engine that writes artifacts.
        assert!(error["hints"].is_array() || stderr.contains("grant it to the role or user"), "{operation}: {stderr}");
        world.cloud.faults().clear();
        assert_eq!(status(&world).await, None, "{operation}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permission_that_is_missing_leaves_a_stack_that_is_there_as_it_was() {
    let world = project().await;
    world.run(&["full"]).await.expect_code(0);
    let (live, sets) = (world.live("app-api").await, change_sets(&world).await);
    edit_template(&world, "MemorySize: 128", "MemorySize: 512");
    for operation in ["DescribeChangeSet", "DescribeStackEvents", "ExecuteChangeSet"] {
        world.cloud.faults().inject(Fault::on(operation).always().then(DENIED));
        let (error, stderr) = refused(&world, &["full"]).await;
        assert_eq!(error["errorType"], "AccessDenied", "{operation}: {stderr}");
        world.cloud.faults().clear();
        assert_eq!(change_sets(&world).await, sets, "{operation}");
        assert_eq!((memory(&world).await, world.live("app-api").await), (Some(128), live.clone()), "{operation}");
        let ran = world.run(&["diff"]).await.expect_code(0);
        assert!(ran.stderr.contains("`template.yaml` has changed"), "{operation}: {}", ran.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_have_expired_are_said_to_be_before_anything_is_built() {
    for verb in ["full", "bootstrap"] {
        let world = project().await;
        let build = "build = \"touch built\"\n";
        crate::full_stack::configure(&world, build);
        std::fs::write(world.project.path().join("bootstrap.zip"), static_bootstrap()).unwrap();
        let expired = Action::Respond { status: 403, code: "ExpiredToken" };
        world.cloud.faults().inject(Fault::on("*").always().then(expired));
        let arguments: &[&str] = if verb == "full" { &["full"] } else { &["bootstrap", "--zip", "bootstrap.zip"] };
        let (error, stderr) = refused(&world, arguments).await;
        assert!(error.to_string().contains("expired"), "{verb}: {stderr}");
        assert!(!error["hints"].as_array().unwrap().is_empty(), "{verb}: {stderr}");
        assert!(!world.project.path().join("built").exists(), "{verb}");
        world.assert_nothing_was_changed();
    }
}

/// The answer to a HEAD request has no words: it is a 403 like any other.
#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_have_expired_are_said_to_be_when_the_bucket_is_the_first_to_refuse_them() {
    let world = project().await;
    for operation in ["HeadBucket", "ListObjectsV2"] {
        let expired = Action::Respond { status: 403, code: "ExpiredToken" };
        world.cloud.faults().inject(Fault::on(operation).always().then(expired));
    }
    let (error, stderr) = refused(&world, &["full"]).await;
    assert_eq!(error["errorType"], "ExpiredCredentials", "{stderr}");
    world.assert_nothing_was_changed();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wrong_region_is_named_with_the_right_one_and_no_second_stack_is_made_there() {
    let world = project().await;
    world.run(&["full"]).await.expect_code(0);
    world.cloud.clear_requests();
    std::fs::write(world.project.path().join("bootstrap.zip"), static_bootstrap()).unwrap();
    for arguments in [
        ["full", "--region", "eu-west-1"].as_slice(),
        &["bootstrap", "--zip", "bootstrap.zip", "--function-name", "zip", "--region", "eu-west-1"],
    ] {
        let (error, stderr) = refused(&world, arguments).await;
        assert_eq!(error["errorType"], "WrongRegion", "{stderr}");
        assert!(error["message"].as_str().unwrap().contains("is in us-east-1, not in eu-west-1"), "{stderr}");
        assert!(stderr.contains("`--region us-east-1`"), "{stderr}");
        assert!(world.requests("CreateChangeSet").is_empty());
    }
    world.assert_nothing_was_changed();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permission_that_bootstrap_lacks_is_named_and_no_stack_is_left_half_made() {
    for operation in
        ["DescribeStacks", "CreateChangeSet", "DescribeChangeSet", "DescribeStackEvents", "ExecuteChangeSet"]
    {
        let world = project().await;
        std::fs::write(world.project.path().join("bootstrap.zip"), static_bootstrap()).unwrap();
        world.cloud.faults().inject(Fault::on(operation).always().then(DENIED));
        let arguments = ["bootstrap", "--zip", "bootstrap.zip", "--stack-name", "app", "--function-name", "zip"];
        let (error, stderr) = refused(&world, &arguments).await;
        assert_eq!(error["errorType"], "AccessDenied", "{operation}: {stderr}");
        world.cloud.faults().clear();
        assert_eq!(status(&world).await, None, "{operation}");
    }
}

/// The zip of an executable that needs no library: 64 bytes of header for x86_64, and nothing to run.
fn static_bootstrap() -> Vec<u8> {
    let mut elf = vec![0_u8; 64];
    elf[..8].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1, 0]);
    elf[16..20].copy_from_slice(&[2, 0, 62, 0]);
    elf[20] = 1;
    elf[52] = 64;
    release::zipped(&elf).unwrap()
}
