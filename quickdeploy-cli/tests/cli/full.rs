//! `quickdeploy full`, from nothing to functions that answer.

use std::time::Duration;

use local_cloud::{Action, Fault};
use serde_json::{Value, json};

use crate::world::{BUCKET, KEY, Ran, World, command, config, sha256};

const ROLE: &str = "arn:aws:iam::000000000000:role/test";

/// A project whose bucket isn't there yet.
async fn nothing() -> World {
    let world = World::with_functions(&[]).await;
    world.write("quickdeploy.toml", &from_nothing(""));
    world
}

fn from_nothing(more: &str) -> String {
    format!(
        "artifact = \"s3://fresh/app/app.zip\"\nrole = \"{ROLE}\"\n{more}\n\
         [create.api]\nhandler = \"start.handler\"\nruntime = \"nodejs22.x\"\nmemory = 256\n\
         environment = {{ LEVEL = \"info\" }}\n\
         [create.worker]\nhandler = \"stop.handler\"\nruntime = \"nodejs22.x\"\n"
    )
}

/// What the function answers to an empty event.
async fn answer(world: &World, name: &str) -> Value {
    let answer = world.lambda.invoke().function_name(name).send().await.unwrap();
    assert_eq!(answer.function_error(), None);
    serde_json::from_slice(answer.payload().unwrap().as_ref()).unwrap()
}

async fn object(world: &World, bucket: &str, key: &str) -> Vec<u8> {
    world.s3.get_object().bucket(bucket).key(key).send().await.unwrap().body.collect().await.unwrap().to_vec()
}

fn statuses(document: &Value) -> Vec<(&str, &str)> {
    let functions = document["functions"].as_array().unwrap();
    functions.iter().map(|it| (it["name"].as_str().unwrap(), it["status"].as_str().unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_is_deployed_from_nothing_to_functions_that_answer() {
    let world = nothing().await;

    let document = world.run(&["full", "--json"]).await.expect_code(0).json();

    assert_eq!(document["bucket"], json!({ "name": "fresh", "created": true }));
    assert_eq!(document["upload"]["status"], "created");
    assert_eq!(statuses(&document), [("api", "live"), ("worker", "live")]);
    assert_eq!(answer(&world, "api").await, json!("start"));
    assert_eq!(answer(&world, "worker").await, json!("stop"));
    let package = object(&world, "fresh", "app/app.zip").await;
    assert_eq!(world.live("api").await.0, sha256(&package));
    assert_eq!(document["package"]["codeSha256"], json!(sha256(&package)));
    let api = world.lambda.get_function_configuration().function_name("api").send().await.unwrap();
    assert_eq!(
        (api.memory_size(), api.environment().unwrap().variables().unwrap()["LEVEL"].as_str()),
        (Some(256), "info")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_made_keeps_versions_and_is_private_and_tidy() {
    let world = nothing().await;
    world.run(&["full"]).await.expect_code(0);
    let versions = world.s3.get_bucket_versioning().bucket("fresh").send().await.unwrap();
    assert_eq!(versions.status().unwrap().as_str(), "Enabled");
    let access = world.s3.get_public_access_block().bucket("fresh").send().await.unwrap();
    assert_eq!(access.public_access_block_configuration().unwrap().block_public_policy(), Some(true));
    let rules = world.s3.get_bucket_lifecycle_configuration().bucket("fresh").send().await.unwrap();
    let rule = rules.rules()[0].abort_incomplete_multipart_upload().unwrap();
    assert_eq!(rule.days_after_initiation(), Some(7));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_whose_settings_are_refused_is_not_left_behind() {
    let world = nothing().await;
    let refused = Action::Respond { status: 403, code: "AccessDenied" };
    world.cloud.faults().inject(Fault::on("PutPublicAccessBlock").always().then(refused));
    let ran = world.run(&["full"]).await.expect_code(1);
    assert!(ran.stderr.contains("the block of public access on the new bucket `fresh`"), "{}", ran.stderr);
    assert!(world.s3.head_bucket().bucket("fresh").send().await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_full_build_does_nothing_twice() {
    let world = nothing().await;
    let first = world.run(&["full", "--json"]).await.expect_code(0).json();
    world.cloud.clear_requests();

    let second = world.run(&["full", "--json"]).await.expect_code(0).json();

    assert_eq!(second["upload"]["status"], "unchanged");
    assert_eq!(second["upload"]["versionId"], first["upload"]["versionId"]);
    assert_eq!(second["bucket"]["created"], false);
    assert_eq!(statuses(&second), [("api", "current"), ("worker", "current")]);
    world.assert_nothing_was_changed();
    for operation in ["CreateBucket", "CreateFunction", "CreateRole"] {
        assert!(world.requests(operation).is_empty(), "{operation}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_that_are_there_get_the_package() {
    let world = World::with_functions(&["a", "b"]).await;
    world.write("start.js", "exports.handler = async () => 'rebuilt';\n");
    let document = world.run(&["full", "--json"]).await.expect_code(0).json();
    assert_eq!(document["upload"]["status"], "replaced");
    assert_eq!(statuses(&document), [("a", "live"), ("b", "live")]);
    assert_eq!(answer(&world, "a").await, json!("rebuilt"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_function_that_nothing_describes_is_an_error_before_anything_is_done() {
    let world = World::with_functions(&["a"]).await;
    world.write("quickdeploy.toml", &format!("build = \"touch built\"\n{}", config(&["a", "b"], "direct")));
    let ran = world.run(&["full"]).await.expect_code(1);
    assert!(ran.stderr.contains("there is no Lambda function `b`"), "{}", ran.stderr);
    assert!(ran.stderr.contains("[create.b]"), "{}", ran.stderr);
    assert!(!world.project.path().join("built").exists());
    world.assert_nothing_was_changed();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_build_runs_in_the_root_and_what_it_makes_is_packaged() {
    let world = World::with_functions(&["a"]).await;
    let build = "echo building $QUICKDEPLOY_KEY; pwd > where.txt; echo made > made.txt; echo oh >&2";
    world.write("quickdeploy.toml", &format!("build = \"{build}\"\n{}", config(&["a"], "direct")));
    let ran = world.run(&["full"]).await.expect_code(0);
    assert!(ran.stderr.contains(&format!("│ building {KEY}")) && ran.stderr.contains("│ oh"), "{}", ran.stderr);
    assert_eq!(world.entry("made.txt").await.unwrap(), "made\n");
    let root = world.project.path().canonicalize().unwrap();
    assert_eq!(world.entry("where.txt").await.unwrap().trim(), root.to_str().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_fails_leaves_all_as_it_was_and_shows_why() {
    let world = nothing().await;
    world.write("quickdeploy.toml", &from_nothing("build = \"echo no such module; exit 3\""));
    let ran = world.run(&["full", "--json"]).await.expect_code(1);
    let error = ran.json()["error"].clone();
    assert_eq!(error["errorType"], "BuildFailed");
    assert!(error["message"].as_str().unwrap().contains("ended with exit code 3"), "{error}");
    assert_eq!(error["causes"], json!(["its last lines:\nno such module"]));
    assert!(world.s3.head_bucket().bucket("fresh").send().await.is_err());
    assert!(world.requests("CreateFunction").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_files_give_the_same_bytes_in_another_directory() {
    let world = nothing().await;
    let first = world.run(&["full", "--json"]).await.expect_code(0).json();
    let other = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(world.project.path()).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_file() {
            std::fs::copy(entry.path(), other.path().join(entry.file_name())).unwrap();
        }
    }
    let output = command(other.path(), &world.cloud.endpoint(), &["full", "--json"]).output().await.unwrap();
    let second = Ran::of(&output).expect_code(0).json();
    assert_eq!(second["package"]["codeSha256"], first["package"]["codeSha256"]);
    assert_eq!(second["upload"]["status"], "unchanged");
}

/// A file that doesn't compress.
fn noise(length: usize) -> String {
    let mut random = fastrand::Rng::with_seed(7);
    (0..length).map(|_| random.alphanumeric()).collect()
}

async fn uploads(world: &World, bucket: &str) -> usize {
    world.s3.list_multipart_uploads().bucket(bucket).send().await.unwrap().uploads().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_package_goes_up_in_parts() {
    let world = World::with_functions(&["a"]).await;
    world.write("large.txt", &noise(24_000_000));
    let document = world.run(&["full", "--json"]).await.expect_code(0).json();
    assert!(world.requests("UploadPart").len() > 1);
    assert_eq!(document["package"]["codeSha256"], json!(sha256(&world.artifact().await)));
    assert_eq!(uploads(&world, BUCKET).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_artifact_is_not_overwritten_and_no_part_is_left_behind() {
    let world = World::with_functions(&["a"]).await;
    world.write("large.txt", &noise(24_000_000));
    let changed = Action::Respond { status: 412, code: "PreconditionFailed" };
    world.cloud.faults().inject(Fault::on("CompleteMultipartUpload").always().then(changed));
    let before = world.etag().await;
    let error = world.run(&["full", "--json"]).await.expect_code(1).json()["error"].clone();
    assert_eq!(error["errorType"], "Conflict");
    assert_eq!(world.etag().await, before);
    assert_eq!(uploads(&world, BUCKET).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_lock_file_is_said_until_the_next_full_build_on_any_machine() {
    let world = World::with_functions(&["a"]).await;
    world.write("package-lock.json", "{\"lockfileVersion\": 3}\n");
    world.run(&["full"]).await.expect_code(0);
    let quiet = world.run(&[]).await.expect_code(0);
    assert!(!quiet.stderr.contains("warning"), "{}", quiet.stderr);

    world.write("package-lock.json", "{\"lockfileVersion\": 3, \"packages\": {}}\n");
    // The patch brings the file's text up to date, but not what it stands for.
    for _ in 0..2 {
        let ran = world.run(&["--json"]).await.expect_code(0);
        assert!(ran.stderr.contains("`package-lock.json` has changed: a patch does not install"), "{}", ran.stderr);
        assert!(ran.stderr.contains("`quickdeploy full`"), "{}", ran.stderr);
        assert_eq!(ran.json()["changes"]["manifests"], json!(["package-lock.json"]));
        std::fs::remove_dir_all(world.project.path().join(".quickdeploy")).unwrap();
    }
    let ran = world.run(&["--full-if-needed", "--json"]).await.expect_code(0);
    assert_eq!(ran.json()["command"], "full");
    assert!(ran.stderr.contains("as `package-lock.json` has changed since the last one"), "{}", ran.stderr);
    let quiet = world.run(&["--full-if-needed", "--json"]).await.expect_code(0);
    assert_eq!(quiet.json()["command"], "deploy");
    assert!(!quiet.stderr.contains("warning"), "{}", quiet.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_artifact_a_deploy_names_the_full_build_and_does_it_when_asked_to() {
    let world = nothing().await;
    world.run(&["full"]).await.expect_code(0);
    world.s3.delete_object().bucket("fresh").key("app/app.zip").send().await.unwrap();
    let ran = world.run(&[]).await.expect_code(1);
    assert!(ran.stderr.contains("`quickdeploy full`"), "{}", ran.stderr);
    let document = world.run(&["--full-if-needed", "--json"]).await.expect_code(0).json();
    assert_eq!((document["command"].as_str(), document["upload"]["status"].as_str()), (Some("full"), Some("created")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_says_who_built_it_and_from_what() {
    let world = World::with_functions(&["a"]).await;
    world.write("package.json", "{\"dependencies\": {}}\n");
    world.run(&["full"]).await.expect_code(0);
    let head = world.s3.head_object().bucket(BUCKET).key(KEY).send().await.unwrap();
    let metadata = head.metadata().unwrap();
    assert_eq!(metadata["quickdeploy-verb"], "full");
    assert!(metadata["quickdeploy-by"].contains('@') && metadata["quickdeploy-at"].ends_with('Z'), "{metadata:?}");
    assert!(metadata["built-from"].starts_with("1;package.json="), "{metadata:?}");
    // A patch carries the origin over.
    world.write("start.js", "// edited\n");
    world.run(&[]).await.expect_code(0);
    let after = world.s3.head_object().bucket(BUCKET).key(KEY).send().await.unwrap();
    assert_eq!(after.metadata().unwrap()["built-from"], metadata["built-from"]);
}

/// Runs the program, interrupts it when it does `until`, and gives back what it said.
async fn interrupted(world: &World, arguments: &[&str], until: impl Fn(&World) -> bool) -> Ran {
    let child = world.command(arguments).spawn().unwrap();
    let id = child.id().unwrap();
    let waited = tokio::time::timeout(Duration::from_secs(30), async {
        while !until(world) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    waited.await.expect("what was waited for");
    let killed = std::process::Command::new("kill").args(["-INT", &id.to_string()]).status().unwrap();
    assert!(killed.success());
    Ran::of(&child.wait_with_output().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ctrl_c_in_the_build_ends_all_of_it() {
    let world = World::with_functions(&["a"]).await;
    let build = "sleep 60 & echo $! > pid; touch started; wait";
    world.write("quickdeploy.toml", &format!("build = \"{build}\"\n{}", config(&["a"], "direct")));
    let started = |world: &World| world.project.path().join("started").exists();
    let ran = interrupted(&world, &["full"], started).await.expect_code(1);
    assert!(ran.stderr.contains("nothing was changed"), "{}", ran.stderr);
    world.assert_nothing_was_changed();
    // A shell keeps an interrupt from what it runs in the background.
    let pid = std::fs::read_to_string(world.project.path().join("pid")).unwrap();
    let alive = || std::process::Command::new("kill").args(["-0", pid.trim()]).output().unwrap().status.success();
    let gone = async {
        while alive() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone).await.expect("what the build had started goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ctrl_c_in_the_upload_leaves_the_artifact_and_no_parts() {
    let world = World::with_functions(&["a"]).await;
    world.write("large.txt", &noise(24_000_000));
    let before = world.etag().await;
    world.cloud.faults().inject(Fault::on("UploadPart").always().then(Action::Stall));
    let ran = interrupted(&world, &["full"], |world| !world.requests("UploadPart").is_empty()).await.expect_code(1);
    assert!(ran.stderr.contains("nothing was changed"), "{}", ran.stderr);
    assert_eq!(world.etag().await, before);
    assert_eq!(uploads(&world, BUCKET).await, 0);
}
