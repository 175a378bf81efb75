use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{Architecture, S3ObjectStorageMode};
use local_cloud::{Action, Fault, LambdaSettings};
use serde_json::{Value, json};

use crate::world::{BUCKET, KEY, World, config, sha256, zip_of};

fn statuses(document: &Value) -> Vec<(&str, &str)> {
    let functions = document["functions"].as_array().unwrap();
    functions
        .iter()
        .map(|function| (function["name"].as_str().unwrap(), function["status"].as_str().unwrap()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_goes_live_on_every_function() {
    let world = World::with_functions(&["a", "b", "c"]).await;
    world.write("start.js", "exports.handler = async () => 'edited';\n");

    let document = world.run(&["--json"]).await.expect_code(0).json();

    assert_eq!(statuses(&document), [("a", "live"), ("b", "live"), ("c", "live")]);
    assert_eq!(document["changes"]["modified"], json!([{ "name": "start.js", "size": 40 }]));
    assert_eq!(document["ok"], true);
    assert_eq!(world.entry("start.js").await.unwrap(), "exports.handler = async () => 'edited';\n");
    let artifact = world.artifact().await;
    for name in ["a", "b", "c"] {
        assert_eq!(world.live(name).await, (sha256(&artifact), i64::try_from(artifact.len()).unwrap()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_nothing_changed_nothing_is_sent() {
    let world = World::with_functions(&["a", "b"]).await;
    let document = world.run(&["--json"]).await.expect_code(0).json();
    assert_eq!(statuses(&document), [("a", "current"), ("b", "current")]);
    world.assert_nothing_was_changed();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_remembers_hash_and_tail_and_reads_nothing() {
    let world = World::with_functions(&["a"]).await;
    world.write("start.js", "// edited\n");
    world.run(&[]).await.expect_code(0);
    world.cloud.clear_requests();
    world.run(&[]).await.expect_code(0);
    world.assert_nothing_was_changed();
    assert_eq!((world.requests("GetObject").len(), world.requests("HeadObject").len()), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_failed_is_picked_up_by_the_next_run_and_the_others_are_left_alone() {
    let world = World::with_functions(&["a", "b", "c"]).await;
    world.write("start.js", "// edited\n");
    let refused = Action::Respond { status: 403, code: "AccessDeniedException" };
    world.cloud.faults().inject(Fault::on("UpdateFunctionCode").about("b").always().then(refused));

    let ran = world.run(&["--json"]).await.expect_code(1);
    let document = ran.json();
    assert_eq!(statuses(&document), [("a", "live"), ("b", "failed"), ("c", "live")]);
    assert_eq!(document["ok"], false);
    assert_eq!(document["functions"][1]["error"]["errorType"], "AccessDenied");
    assert!(ran.stderr.contains("could not update `b`"), "{}", ran.stderr);

    world.cloud.faults().clear();
    world.cloud.clear_requests();
    let document = world.run(&["--json"]).await.expect_code(0).json();
    assert_eq!(statuses(&document), [("a", "current"), ("b", "live"), ("c", "current")]);
    let updated: Vec<Option<String>> = world.requests("UpdateFunctionCode").into_iter().map(|r| r.resource).collect();
    assert_eq!(updated, [Some("b".to_owned())]);
    assert_eq!(world.live("b").await.0, sha256(&world.artifact().await));
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_that_were_not_asked_for_are_stale_until_they_are() {
    let world = World::with_functions(&["a", "b"]).await;
    world.write("start.js", "// edited\n");
    let document = world.run(&["deploy", "--function", "a", "--json"]).await.expect_code(0).json();
    assert_eq!(statuses(&document), [("a", "live"), ("b", "stale")]);
    let document = world.run(&["--json"]).await.expect_code(0).json();
    assert_eq!(statuses(&document), [("a", "current"), ("b", "live")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let world = World::with_functions(&["a"]).await;
    world.write("start.js", "// edited\n");
    let ran = world.run(&["--dry-run", "--json"]).await.expect_code(0);
    assert_eq!(statuses(&ran.json()), [("a", "stale")]);
    assert_eq!(ran.json()["changes"]["modified"][0]["name"], "start.js");
    world.assert_nothing_was_changed();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_zipedit_function_patches_when_the_configuration_says_so() {
    let world = World::with_functions(&["a"]).await;
    world.write("quickdeploy.toml", &config(&["a"], "lambda"));
    world.write("start.js", "// edited\n");
    let document = world.run(&["--json"]).await.expect_code(0).json();
    assert_eq!(document["patch"]["via"], "lambda");
    assert_eq!(document["patch"]["modified"], 1);
    assert_eq!(world.requests("Invoke").len(), 1);
    assert_eq!(world.entry("start.js").await.unwrap(), "// edited\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_too_large_for_an_event_are_staged_and_the_staged_zip_is_removed() {
    let world = World::with_functions(&["a"]).await;
    world.write("quickdeploy.toml", &config(&["a"], "lambda"));
    // Does not compress: digits of a generator.
    let mut random = fastrand::Rng::with_seed(1);
    let large: String = (0..7_000_000).map(|_| random.alphanumeric()).collect();
    world.write("large.txt", &large);
    world.write("start.js", "// edited\n");

    let document = world.run(&["--json"]).await.expect_code(0).json();

    assert_eq!(document["patch"]["added"], 1);
    assert_eq!(world.entry("large.txt").await.unwrap(), large);
    assert_eq!(world.entry("start.js").await.unwrap(), "// edited\n");
    let versions = world.s3.list_object_versions().bucket(BUCKET).send().await.unwrap();
    let left: Vec<&str> =
        versions.versions().iter().filter_map(|version| version.key()).filter(|key| *key != KEY).collect();
    assert_eq!(left, [] as [&str; 0]);
    assert!(versions.delete_markers().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn auto_patches_directly_where_there_is_no_zipedit_function() {
    let world = World::with_functions(&["a"]).await;
    world.write("quickdeploy.toml", &format!("{}zipedit = \"nowhere\"\n", config(&["a"], "auto")));
    world.write("start.js", "// edited\n");
    let document = world.run(&["--json"]).await.expect_code(0).json();
    assert_eq!(document["patch"]["via"], "direct");
    assert_eq!(statuses(&document), [("a", "live")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_functions_are_updated_as_fast_as_the_quota_allows_and_no_faster() {
    let names: Vec<String> = (0..40).map(|number| format!("f{number:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    // To create them is not what the quota is for here.
    let settings = LambdaSettings { control_plane_rate: 0.0, ..LambdaSettings::default() };
    let world = World::with_settings(&names, settings).await;
    world.cloud.functions().set_control_plane_rate(LambdaSettings::default().control_plane_rate);
    world.write("start.js", "// edited\n");
    let document = world.run(&["--json"]).await.expect_code(0).json();
    assert!(statuses(&document).iter().all(|(_, status)| *status == "live"));
    // A call that is on its way for longer than the ones after it leaves them less of the second that they are counted in.
    // On a busy machine that happens to one now and then: it is refused, and sent again.
    let throttled = world.cloud.requests().iter().filter(|record| record.status == 429).count();
    assert!(throttled <= 3, "{throttled} calls were throttled");
    assert_eq!(world.requests("UpdateFunctionCode").iter().filter(|record| record.status == 200).count(), 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn throttled_and_conflicting_updates_are_tried_again() {
    let world = World::with_functions(&["a", "b"]).await;
    world.write("start.js", "// edited\n");
    let faults = world.cloud.faults();
    let throttled = Action::Respond { status: 429, code: "TooManyRequestsException" };
    let conflict = Action::Respond { status: 409, code: "ResourceConflictException" };
    faults.inject(Fault::on("UpdateFunctionCode").about("a").times(2).then(throttled));
    faults.inject(Fault::on("UpdateFunctionCode").about("b").then(conflict));
    let document = world.run(&["--json"]).await.expect_code(0).json();
    assert_eq!(statuses(&document), [("a", "live"), ("b", "live")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_whose_answer_is_lost_still_ends_live() {
    let world = World::with_functions(&["a"]).await;
    world.write("start.js", "// edited\n");
    world.cloud.faults().inject(Fault::on("UpdateFunctionCode").then(Action::ResetAfter));
    let document = world.run(&["--json"]).await.expect_code(0).json();
    assert_eq!(statuses(&document), [("a", "live")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_are_found_by_the_code_they_share_even_after_one_failed() {
    let world = World::with_functions(&["a", "b"]).await;
    let config = config(&[], "direct").replace("functions = []", "functions = { same-code-as = \"a\" }");
    world.write("quickdeploy.toml", &config);
    world.write("start.js", "// edited\n");
    let refused = Action::Respond { status: 403, code: "AccessDeniedException" };
    world.cloud.faults().inject(Fault::on("UpdateFunctionCode").about("b").always().then(refused));
    let document = world.run(&["--json"]).await.expect_code(1).json();
    assert_eq!(statuses(&document), [("a", "live"), ("b", "failed")]);
    world.cloud.faults().clear();
    let document = world.run(&["--json"]).await.expect_code(0).json();
    assert_eq!(statuses(&document), [("a", "current"), ("b", "live")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_that_keeps_the_artifacts_length_needs_no_hash_of_it() {
    let world = World::with_functions(&["a"]).await;
    let before = world.artifact().await.len();
    world.write("start.js", "exports.handler = async () => 'sTarT';\n");
    world.cloud.clear_requests();
    let document = world.run(&["--json"]).await.expect_code(0).json();
    assert_eq!(statuses(&document), [("a", "live")]);
    assert_eq!(document["artifact"]["size"], before);
    assert_eq!(world.requests("GetObject").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_was_given_other_code_since_is_not_taken_back() {
    let world = World::with_functions(&["a", "b"]).await;
    let config = config(&[], "direct").replace("functions = []", "functions = { same-code-as = \"a\" }");
    world.write("quickdeploy.toml", &config);
    world.write("start.js", "// edited\n");
    world.run(&[]).await.expect_code(0);
    let other = zip_of([("start.js", b"other".to_vec())].into_iter());
    world.lambda.update_function_code().function_name("b").zip_file(Blob::new(other)).send().await.unwrap();
    world.write("start.js", "// edited again\n");
    let document = world.run(&["--json"]).await.expect_code(0).json();
    assert_eq!(statuses(&document), [("a", "live")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_without_versions_will_do() {
    let world = World::with_functions(&["a"]).await;
    world.s3.create_bucket().bucket("plain").send().await.unwrap();
    world.s3.put_object().bucket("plain").key(KEY).body(world.artifact().await.into()).send().await.unwrap();
    world.write("quickdeploy.toml", &config(&["a"], "direct").replace(BUCKET, "plain"));
    world.write("start.js", "// edited\n");
    let document = world.run(&["--json"]).await.expect_code(0).json();
    assert_eq!(statuses(&document), [("a", "live")]);
    assert_eq!(document["artifact"]["versionId"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn storage_mode_key_and_architecture_stay_as_they_are() {
    let world = World::with_functions(&["copied", "referenced"]).await;
    let key = "arn:aws:kms:us-east-1:000000000000:key/0123";
    let update = |name: &str| world.lambda.update_function_code().function_name(name).s3_bucket(BUCKET).s3_key(KEY);
    update("copied").source_kms_key_arn(key).architectures(Architecture::Arm64).send().await.unwrap();
    update("referenced").s3_object_storage_mode(S3ObjectStorageMode::Reference).send().await.unwrap();
    world.write("start.js", "// edited\n");

    let document = world.run(&["--json"]).await.expect_code(0).json();

    assert_eq!(statuses(&document), [("copied", "live"), ("referenced", "live")]);
    let copied = world.lambda.get_function().function_name("copied").send().await.unwrap();
    assert_eq!(copied.code().unwrap().source_kms_key_arn(), Some(key));
    assert_eq!(copied.configuration().unwrap().architectures(), [Architecture::Arm64]);
    let referenced = world.lambda.get_function().function_name("referenced").send().await.unwrap();
    let object = referenced.code().unwrap().resolved_s3_object().expect("it runs from a copy now");
    assert_eq!(object.s3_object_version(), document["artifact"]["versionId"].as_str());

    let document = world.run(&["--json"]).await.expect_code(0).json();
    assert_eq!(statuses(&document), [("copied", "current"), ("referenced", "current")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_are_found_by_a_tag() {
    let world = World::with_functions(&["a", "b"]).await;
    let arn = "arn:aws:lambda:us-east-1:000000000000:function:b";
    world.lambda.tag_resource().resource(arn).tags("project", "app").send().await.unwrap();
    let config = config(&[], "direct").replace("functions = []", "functions = { tag = \"project=app\" }");
    world.write("quickdeploy.toml", &config);
    world.write("start.js", "// edited\n");
    let document = world.run(&["--json"]).await.expect_code(0).json();
    assert_eq!(statuses(&document), [("b", "live")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_read_a_table_on_stdout_and_the_story_on_stderr() {
    let world = World::with_functions(&["a"]).await;
    world.write("start.js", "// edited\n");
    let ran = world.run(&[]).await.expect_code(0);
    assert!(ran.stdout.starts_with("FUNCTION"), "{}", ran.stdout);
    assert!(ran.stdout.contains("live"), "{}", ran.stdout);
    assert!(ran.stderr.contains("~ start.js"), "{}", ran.stderr);
    assert!(!ran.stdout.contains('\x1b') && !ran.stderr.contains('\x1b'), "colours without a terminal: {ran:?}");
    assert!(ran.stdout.lines().chain(ran.stderr.lines()).all(|line| line.chars().count() <= 80), "{ran:#?}");
}
