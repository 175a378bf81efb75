//! `quickdeploy status`: how things stand, in one round of requests.

use std::time::Duration;

use aws_sdk_lambda::types::{CodeSigningPolicies, CodeSigningPolicy, FunctionCode, Runtime, S3ObjectStorageMode};
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use local_cloud::{Action, Fault, LambdaSettings};
use serde_json::{Value, json};

use crate::world::{BUCKET, KEY, World, config};

async fn status(world: &World) -> Value {
    world.run(&["status", "--json"]).await.expect_code(0).json()
}

fn states(document: &Value) -> Vec<(&str, &str)> {
    let functions = document["functions"].as_array().unwrap();
    functions.iter().map(|it| (it["name"].as_str().unwrap(), it["state"].as_str().unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn with_everything_live_there_is_nothing_to_do() {
    let world = World::with_functions(&["a", "b"]).await;
    let document = status(&world).await;
    assert_eq!(states(&document), [("a", "live"), ("b", "live")]);
    assert_eq!((&document["clean"], &document["ok"]), (&json!(true), &json!(true)));
    assert_eq!(document["artifact"]["entries"], 3);
    assert_eq!(
        (&document["artifact"]["versioning"], &document["artifact"]["storageClass"]),
        (&json!("enabled"), &json!("STANDARD"))
    );
    world.assert_nothing_was_changed();
    world.run(&["status", "--exit-code"]).await.expect_code(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_takes_one_round_of_requests_and_one_per_function() {
    let world = World::with_functions(&["a", "b", "c"]).await;
    world.write("start.js", "// edited\n");
    world.run(&[]).await.expect_code(0);
    world.cloud.clear_requests();
    status(&world).await;
    let mut operations: Vec<String> = world.cloud.requests().into_iter().map(|request| request.operation).collect();
    operations.sort();
    let expected = [
        "GetBucketVersioning",
        "GetFunction",
        "GetFunction",
        "GetFunction",
        "HeadObject",
        "ListCodeSigningConfigs",
        "ListObjectVersions",
    ];
    assert_eq!(operations, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_and_stale_functions_are_shown_with_how_far_they_are_behind() {
    let world = World::with_functions(&["a", "b"]).await;
    world.write("start.js", "// 1, of another length\n");
    world.run(&["--function", "a"]).await.expect_code(0);
    world.write("stop.js", "// not deployed\n");
    let ran = world.run(&["status", "--json", "--exit-code"]).await.expect_code(1);
    let document = ran.json();
    assert_eq!(states(&document), [("a", "live"), ("b", "stale")]);
    assert_eq!(document["changes"]["modified"][0]["name"], "stop.js");
    assert_eq!(document["functions"][1]["versionsBehind"], 1);
    assert!(ran.stderr.contains("1 file not deployed; 1 of 2 functions stale"), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_failed_or_is_under_way_is_shown_with_awss_reason() {
    let settings = LambdaSettings {
        update_delay: Duration::from_secs(60),
        create_delay: Duration::ZERO,
        ..LambdaSettings::default()
    };
    let world = World::with_settings(&["a", "b"], settings).await;
    world.lambda.update_function_code().function_name("a").s3_bucket(BUCKET).s3_key(KEY).send().await.unwrap();
    let document = status(&world).await;
    assert_eq!(states(&document), [("a", "inProgress"), ("b", "live")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn enforced_code_signing_and_references_are_shown() {
    let world = World::with_functions(&["a", "b"]).await;
    let version = world.s3.head_object().bucket(BUCKET).key(KEY).send().await.unwrap().version_id.unwrap();
    let update = world.lambda.update_function_code().function_name("a").s3_bucket(BUCKET).s3_key(KEY);
    let update = update.s3_object_version(&version).s3_object_storage_mode(S3ObjectStorageMode::Reference);
    update.send().await.unwrap();
    let policies = CodeSigningPolicies::builder().untrusted_artifact_on_deployment(CodeSigningPolicy::Enforce).build();
    let publishers = aws_sdk_lambda::types::AllowedPublishers::builder()
        .signing_profile_version_arns("arn:aws:signer:us-east-1:000000000000:/signing-profiles/p/1234567890")
        .build()
        .unwrap();
    let config = world
        .lambda
        .create_code_signing_config()
        .allowed_publishers(publishers)
        .code_signing_policies(policies)
        .send()
        .await
        .unwrap();
    let arn = config.code_signing_config().unwrap().code_signing_config_arn().to_owned();
    world
        .lambda
        .put_function_code_signing_config()
        .function_name("b")
        .code_signing_config_arn(arn)
        .send()
        .await
        .unwrap();
    let document = status(&world).await;
    assert_eq!(document["functions"][0]["storageMode"], "REFERENCE");
    assert_eq!(document["functions"][0]["versionId"], version);
    assert_eq!(document["functions"][1]["codeSigningEnforced"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_question_that_is_not_answered_leaves_the_other_answers_standing() {
    let world = World::with_functions(&["a"]).await;
    let refused = Action::Respond { status: 403, code: "AccessDenied" };
    world.cloud.faults().inject(Fault::on("GetBucketVersioning").always().then(refused));
    let document = world.run(&["status", "--json"]).await.expect_code(1).json();
    assert_eq!((&document["ok"], &document["clean"]), (&json!(false), &json!(false)));
    assert_eq!(states(&document), [("a", "live")]);
    assert_eq!(document["errors"].as_array().unwrap().len(), 1);
    assert!(document["errors"][0].to_string().contains("GetBucketVersioning"), "{document}");

    world.cloud.faults().clear();
    world.s3.delete_object().bucket(BUCKET).key(KEY).send().await.unwrap();
    let document = world.run(&["status", "--json"]).await.expect_code(1).json();
    assert_eq!(states(&document), [("a", "unknown")]);
    assert_eq!(document["errors"][0]["errorType"], "ArtifactNotFound");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_zipedit_function_is_shown_where_it_is_used_and_missed_where_it_is_needed() {
    let world = World::with_functions(&["a"]).await;
    world.write("quickdeploy.toml", &config(&["a"], "auto"));
    let document = status(&world).await;
    assert_eq!((&document["zipedit"]["isThere"], &document["clean"]), (&json!(true), &json!(true)));
    world.write("quickdeploy.toml", &format!("{}zipedit = \"nowhere\"\n", config(&["a"], "lambda")));
    let ran = world.run(&["status", "--json"]).await.expect_code(0);
    assert_eq!((&ran.json()["zipedit"]["isThere"], &ran.json()["clean"]), (&json!(false), &json!(false)));
    assert!(ran.stderr.contains("via = \"direct\""), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_without_versions_is_told_how_to_keep_them() {
    let world = World::with_functions(&["a"]).await;
    let suspended = VersioningConfiguration::builder().status(BucketVersioningStatus::Suspended).build();
    world.s3.put_bucket_versioning().bucket(BUCKET).versioning_configuration(suspended).send().await.unwrap();
    let ran = world.run(&["status"]).await.expect_code(0);
    assert!(ran.stdout.contains("versioning suspended"), "{}", ran.stdout);
    assert!(ran.stderr.contains("put-bucket-versioning"), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zipedit_function_of_an_older_version_is_told_with_the_command_that_updates_it() {
    let world = World::with_functions(&["a"]).await;
    world.write("quickdeploy.toml", &format!("{}zipedit = \"tool\"\n", config(&["a"], "lambda")));
    let code = FunctionCode::builder().s3_bucket(BUCKET).s3_key(KEY).build();
    let create = world.lambda.create_function().function_name("tool").role("arn:aws:iam::000000000000:role/test");
    let create = create.runtime(Runtime::Nodejs22x).handler("start.handler").code(code);
    create.description("Edits a zip artifact where it lies in S3 (zipedit 0.0.1)").send().await.unwrap();
    let ran = world.run(&["status", "--json"]).await.expect_code(0);
    let zipedit = &ran.json()["zipedit"];
    assert_eq!((&zipedit["version"], &zipedit["older"]), (&json!("0.0.1"), &json!(true)));
    assert!(ran.stderr.contains("the function `tool` 0.0.1 ("), "{}", ran.stderr);
    assert!(ran.stderr.contains("`tool` is older than this quickdeploy"), "{}", ran.stderr);
    assert!(ran.stderr.contains("run `quickdeploy bootstrap`"), "{}", ran.stderr);

    let ours = format!("Edits a zip artifact where it lies in S3 (zipedit {})", env!("CARGO_PKG_VERSION"));
    world.lambda.update_function_configuration().function_name("tool").description(ours).send().await.unwrap();
    let zipedit = status(&world).await["zipedit"].clone();
    assert_eq!((&zipedit["version"], &zipedit["older"]), (&json!(env!("CARGO_PKG_VERSION")), &json!(false)));
}
