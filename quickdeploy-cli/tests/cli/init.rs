//! `quickdeploy init`: from a function or a stack to a configuration that deploys.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_cloudformation::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_cloudformation::types::{Capability, Parameter, StackStatus};
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{FunctionCode, Runtime, S3ObjectStorageMode};
use local_cloud::{Action, Fault};
use serde_json::{Value, json};

use crate::world::{BUCKET, KEY, World, sha256, zip_of};

/// A world whose project has no configuration yet.
async fn world(functions: &[&str]) -> World {
    let world = World::with_functions(functions).await;
    std::fs::remove_file(world.project.path().join("quickdeploy.toml")).unwrap();
    world
}

fn config(world: &World) -> String {
    std::fs::read_to_string(world.project.path().join("quickdeploy.toml")).unwrap()
}

/// A function that was uploaded to Lambda directly.
async fn upload(world: &World, name: &str, handler: &str, files: &[(&str, &str)]) -> Vec<u8> {
    let zip = zip_of(files.iter().map(|(name, content)| (*name, content.as_bytes().to_vec())));
    world
        .lambda
        .create_function()
        .function_name(name)
        .role("arn:aws:iam::000000000000:role/test")
        .runtime(Runtime::Nodejs22x)
        .handler(handler)
        .code(FunctionCode::builder().zip_file(Blob::new(zip.clone())).build())
        .send()
        .await
        .unwrap();
    world.cloud.clear_requests();
    zip
}

fn names(document: &Value) -> Vec<&str> {
    document["artifacts"][0]["functions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|function| function["name"].as_str().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn from_one_function_to_a_deployment_of_all_that_share_its_code() {
    let world = world(&["a", "b", "c"]).await;
    upload(&world, "other", "x.handler", &[("x.js", "exports.handler = async () => 'x';")]).await;

    let document = world.run(&["init", "b", "--json"]).await.expect_code(0).json();

    assert_eq!(document["artifacts"][0]["artifact"], format!("s3://{BUCKET}/{KEY}"));
    assert_eq!(document["artifacts"][0]["runs"], true);
    assert_eq!(names(&document), ["a", "b", "c"]);
    let a = &document["artifacts"][0]["functions"][0];
    assert_eq!(*a, json!({ "name": "a", "handler": "start.handler", "entry": "start.js", "file": "start.js" }));
    assert_eq!(document["artifacts"][0]["identical"], 3);
    world.assert_nothing_was_changed();

    world.run(&["diff", "--exit-code"]).await.expect_code(0);
    world.write("start.js", "exports.handler = async () => 'edited';\n");
    let document = world.run(&["--json"]).await.expect_code(0).json();
    let deployed: Vec<(&str, &str)> = document["functions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|function| (function["name"].as_str().unwrap(), function["status"].as_str().unwrap()))
        .collect();
    assert_eq!(deployed, [("a", "live"), ("b", "live"), ("c", "live")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_see_what_was_found_in_80_columns() {
    let world = world(&["a", "b"]).await;
    world.write("README.md", "# read me\n");
    world.write("tests/start.js", "// a test\n");
    let ran = world.run(&["init", "a"]).await.expect_code(0);
    for said in [
        "Found 2 functions",
        "a, b",
        &format!("Located s3://{BUCKET}/{KEY}"),
        "3 as they are",
        "Wrote quickdeploy.toml",
        "next: ",
    ] {
        assert!(ran.stderr.contains(said), "{said}: {}", ran.stderr);
    }
    assert!(ran.stderr.contains("left out: /README.md (1), /tests/ (1)"), "{}", ran.stderr);
    assert_eq!(ran.stdout.lines().nth(1), Some("a         start.handler  start.js"));
    assert!(ran.stdout.lines().chain(ran.stderr.lines()).all(|line| line.chars().count() <= 80), "{ran:#?}");
    world.run(&["diff", "--exit-code"]).await.expect_code(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mapping_between_the_tree_and_the_zip_is_found() {
    let world = world(&[]).await;
    let files = [("start.js", "exports.handler = async () => 1;\n"), ("lib/util.js", "exports.util = 'some text';\n")];
    let zip = zip_of(files.iter().map(|(name, content)| (*name, content.as_bytes().to_vec())));
    world.s3.put_object().bucket(BUCKET).key("f.zip").body(zip.clone().into()).send().await.unwrap();
    upload(&world, "f", "start.handler", &files).await;
    for handler in ["start", "stop", "util"] {
        std::fs::remove_file(world.project.path().join(format!("{handler}.js"))).unwrap();
    }
    for (name, content) in files {
        world.write(&format!("src/{name}"), content);
    }
    world.write("package.json", "{}\n");

    let document = world.run(&["init", "f", "--json"]).await.expect_code(0).json();

    assert_eq!(document["artifacts"][0]["artifact"], format!("s3://{BUCKET}/f.zip"));
    assert_eq!(document["artifacts"][0]["map"], json!([["src", ""]]));
    assert_eq!(document["artifacts"][0]["functions"][0]["file"], "src/start.js");
    world.run(&["diff", "--exit-code"]).await.expect_code(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_was_uploaded_directly_is_adopted() {
    let world = world(&[]).await;
    let files = [("start.js", "exports.handler = async () => 'start';\n"), ("more.js", "exports.more = 'direct';\n")];
    let zip = upload(&world, "direct", "start.handler", &files).await;
    world.write("more.js", files[1].1);

    let ran = world.run(&["init", "direct"]).await.expect_code(1);
    assert!(ran.stderr.contains("was not found in S3"), "{}", ran.stderr);
    assert!(ran.stderr.contains("--adopt"), "{}", ran.stderr);
    let ran = world.run(&["init", "direct", "--artifact", "s3://artifacts/direct.zip"]).await.expect_code(1);
    assert!(ran.stderr.contains("there is no such object"), "{}", ran.stderr);

    // In the wrong directory, nothing is put anywhere.
    let adopt = ["init", "direct", "--artifact", "s3://artifacts/direct.zip", "--adopt"];
    let elsewhere = tempfile::tempdir().unwrap();
    let output = world.command(&adopt).current_dir(elsewhere.path()).output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    world.assert_nothing_was_changed();
    world.run(&[&adopt[..], &["--dry-run"]].concat()).await.expect_code(0);
    world.assert_nothing_was_changed();
    let document = world.run(&[&adopt[..], &["--json"]].concat()).await.expect_code(0).json();
    assert_eq!(document["artifacts"][0]["adopted"], true);
    let object = world.s3.get_object().bucket(BUCKET).key("direct.zip").send().await.unwrap();
    assert_eq!(object.body.collect().await.unwrap().to_vec(), zip);

    world.run(&["diff", "--exit-code"]).await.expect_code(1);
    let document = world.run(&["--json"]).await.expect_code(0).json();
    assert_eq!(document["changes"]["added"].as_array().unwrap().len(), 2, "stop.js and util.js are new: {document}");
    assert_eq!(document["functions"][0]["status"], "live");
}

#[tokio::test(flavor = "multi_thread")]
async fn adopting_never_overwrites() {
    let world = world(&[]).await;
    upload(&world, "direct", "start.handler", &[("start.js", "exports.handler = async () => 'other';\n")]).await;
    let before = world.etag().await;
    let url = format!("s3://{BUCKET}/{KEY}");
    let ran = world.run(&["init", "direct", "--artifact", &url, "--adopt"]).await.expect_code(1);
    assert!(ran.stderr.contains("is there already, with other code"), "{}", ran.stderr);
    assert_eq!(world.etag().await, before);
    world.assert_nothing_was_changed();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_object_of_a_function_in_reference_mode_is_known() {
    let world = world(&["a"]).await;
    let update = world.lambda.update_function_code().function_name("a").s3_bucket(BUCKET).s3_key(KEY);
    update.s3_object_storage_mode(S3ObjectStorageMode::Reference).send().await.unwrap();
    world.cloud.clear_requests();
    let document = world.run(&["init", "a", "--json"]).await.expect_code(0).json();
    assert_eq!(document["artifacts"][0]["artifact"], format!("s3://{BUCKET}/{KEY}"));
    assert!(document["artifacts"][0]["foundBy"].as_str().unwrap().contains("REFERENCE"));
    assert!(world.requests("ListBuckets").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_artifact_that_the_functions_do_not_run_is_said_to_be_one() {
    let world = world(&["a"]).await;
    let other = zip_of([("start.js", b"exports.handler = async () => 'hotfix';\n".to_vec())].into_iter());
    world.lambda.update_function_code().function_name("a").zip_file(Blob::new(other)).send().await.unwrap();
    let url = format!("s3://{BUCKET}/{KEY}");
    let ran = world.run(&["init", "a", "--artifact", &url]).await.expect_code(0);
    assert!(ran.stderr.contains("the functions run other code"), "{}", ran.stderr);
    let words = config(&world).replace("\n# ", " ");
    assert!(words.contains("The functions run other code now"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_places_are_listed_with_the_flag_that_chooses() {
    let world = world(&["a"]).await;
    let copy = world.artifact().await;
    world.s3.put_object().bucket(BUCKET).key("copy.zip").body(copy.into()).send().await.unwrap();
    let ran = world.run(&["init", "a"]).await.expect_code(2);
    for url in [format!("--artifact s3://{BUCKET}/{KEY}"), format!("--artifact s3://{BUCKET}/copy.zip")] {
        assert!(ran.stderr.contains(&url), "{}", ran.stderr);
    }
    let url = format!("s3://{BUCKET}/copy.zip");
    world.run(&["init", "a", "--artifact", &url]).await.expect_code(0);
    assert!(config(&world).contains("copy.zip"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_is_not_overwritten_unless_it_shall_be() {
    let world = World::with_functions(&["a"]).await;
    let before = config(&world);
    let ran = world.run(&["init", "a"]).await.expect_code(1);
    assert!(ran.stderr.contains("--force"), "{}", ran.stderr);
    let ran = world.run(&["init", "a", "--dry-run"]).await.expect_code(0);
    assert!(ran.stdout.contains(&format!("artifact = \"s3://{BUCKET}/{KEY}\"")), "{}", ran.stdout);
    assert_eq!(config(&world), before);
    world.run(&["init", "a", "--force"]).await.expect_code(0);
    assert_ne!(config(&world), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_list_gets_as_far_as_can_be() {
    let world = world(&["a", "b"]).await;
    let denied = Action::Respond { status: 403, code: "AccessDeniedException" };
    world.cloud.faults().inject(Fault::on("ListFunctions").always().then(denied));
    let document = world.run(&["init", "a", "--json"]).await.expect_code(0).json();
    assert_eq!(names(&document), ["a"]);
    assert!(document["notes"][0].as_str().unwrap().contains("not looked for"), "{document}");

    let denied = Action::Respond { status: 403, code: "AccessDenied" };
    world.cloud.faults().inject(Fault::on("ListBuckets").always().then(denied));
    let ran = world.run(&["init", "a", "--force"]).await.expect_code(1);
    assert!(ran.stderr.contains("buckets: they may not be listed"), "{}", ran.stderr);
    let url = format!("s3://{BUCKET}/{KEY}");
    world.run(&["init", "a", "--force", "--artifact", &url]).await.expect_code(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_is_not_there_is_told_with_names_like_it() {
    let world = world(&["orders-start", "orders-stop"]).await;
    let ran = world.run(&["init", "orders-strat"]).await.expect_code(1);
    assert!(ran.stderr.contains("there is no Lambda function `orders-strat` in us-east-1"), "{}", ran.stderr);
    assert!(ran.stderr.contains("`orders-start`"), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_projects_directory_is_not_taken_for_this_one() {
    let world = world(&["a"]).await;
    let elsewhere = world.project.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::write(elsewhere.join("main.go"), "package main").unwrap();
    let output = world.command(&["init", "a"]).current_dir(&elsewhere).output().await.unwrap();
    let ran = crate::world::Ran::of(&output).expect_code(1);
    assert!(ran.stderr.contains("none of the 1 file below"), "{}", ran.stderr);
    assert!(!elsewhere.join("quickdeploy.toml").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_name_and_without_files_it_says_what_is_missing() {
    let world = world(&["a"]).await;
    let ran = world.run(&["init"]).await.expect_code(2);
    assert!(ran.stderr.contains("quickdeploy init FUNCTION"), "{}", ran.stderr);
    assert!(world.cloud.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_serverless_file_names_the_functions_when_the_stack_may_not_be_asked() {
    let world = world(&["shop-dev-start", "shop-dev-stop"]).await;
    world.write(
        "serverless.yml",
        "service: shop\nprovider: {name: aws, region: us-east-1}\nfunctions:\n  start: {handler: start.handler}\n  stop: {handler: \
         stop.handler}\n",
    );
    let denied = Action::Respond { status: 403, code: "AccessDenied" };
    for operation in ["ListStackResources", "DescribeStacks"] {
        world.cloud.faults().inject(Fault::on(operation).always().then(denied));
    }
    let document = world.run(&["init", "--json"]).await.expect_code(0).json();
    assert_eq!(names(&document), ["shop-dev-start", "shop-dev-stop"]);
    assert!(document["artifacts"][0]["exclude"].as_array().unwrap().contains(&json!("/serverless.yml")), "{document}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_package_is_recognised_without_reading_it() {
    let world = world(&[]).await;
    // Does not compress: digits of a generator.
    let mut random = fastrand::Rng::with_seed(7);
    let large: String = (0..3_000_000).map(|_| random.alphanumeric()).collect();
    let files = [("start.js", "exports.handler = async () => 'start';\n".to_owned()), ("data.txt", large)];
    let files: BTreeMap<&str, &str> = files.iter().map(|(name, content)| (*name, content.as_str())).collect();
    let files: Vec<(&str, &str)> = files.into_iter().collect();
    let zip = upload(&world, "large", "start.handler", &files).await;
    world.s3.put_object().bucket(BUCKET).key("large.zip").body(zip.clone().into()).send().await.unwrap();
    world.cloud.clear_requests();

    world.run(&["init", "large"]).await.expect_code(0);

    let read: u64 = world.requests("GetObject").iter().map(|record| record.bytes_out).sum();
    assert!(read < zip.len() as u64, "{read} of {} bytes", zip.len());
    assert!(config(&world).contains("large.zip"), "{}", config(&world));
    assert_eq!(world.live("large").await.0, sha256(&zip));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_packages_of_a_file_can_be_adopted_at_once() {
    let world = world(&[]).await;
    let (api, worker) = ("exports.handler = async () => 'api';\n", "exports.handler = async () => 'worker';\n");
    upload(&world, "shop-dev-api", "index.handler", &[("index.js", api)]).await;
    upload(&world, "shop-dev-worker", "index.handler", &[("index.js", worker)]).await;
    world.write("api/index.js", api);
    world.write("worker/index.js", worker);
    world.write(
        "template.yaml",
        "Resources:\n  Api: {Type: AWS::Lambda::Function, Properties: {FunctionName: shop-dev-api, Code: api}}\n  Worker: {Type: \
         AWS::Lambda::Function, Properties: {FunctionName: shop-dev-worker, Code: worker}}\n",
    );

    let ran = world.run(&["init"]).await.expect_code(1);
    assert!(ran.stderr.contains("--artifact s3://BUCKET/PREFIX/ --adopt"), "{}", ran.stderr);
    world.assert_nothing_was_changed();
    let adopt = ["init", "--artifact", "s3://artifacts/quickdeploy/", "--adopt", "--json"];
    let document = world.run(&adopt).await.expect_code(0).json();

    let found: Vec<(&str, &str, Value)> = document["artifacts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|artifact| {
            let text = |key: &str| artifact[key].as_str().unwrap();
            (text("name"), text("artifact"), artifact["map"].clone())
        })
        .collect();
    assert_eq!(
        found,
        [
            ("api", "s3://artifacts/quickdeploy/api.zip", json!([["api", ""]])),
            ("worker", "s3://artifacts/quickdeploy/worker.zip", json!([["worker", ""]])),
        ]
    );
    world.run(&["diff", "--exit-code"]).await.expect_code(0);
    world.write("worker/index.js", "exports.handler = async () => 'edited';\n");
    world.cloud.clear_requests();
    world.run(&[]).await.expect_code(0);
    let updated: Vec<Option<String>> = world.requests("UpdateFunctionCode").into_iter().map(|r| r.resource).collect();
    assert_eq!(updated, [Some("shop-dev-worker".to_owned())]);
}

/// A stack with these functions, made of packages in S3 as its parameters say, and at rest.
async fn create_stack(world: &World, name: &str, template: &str, parameters: &[(&str, &str)]) {
    let credentials = Credentials::new("test", "test", None, None, "test");
    let config = aws_sdk_cloudformation::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(world.cloud.endpoint())
        .credentials_provider(credentials)
        .build();
    let client = aws_sdk_cloudformation::Client::from_conf(config);
    let parameters =
        parameters.iter().map(|(key, value)| Parameter::builder().parameter_key(*key).parameter_value(*value).build());
    client
        .create_stack()
        .stack_name(name)
        .template_body(template)
        .set_parameters(Some(parameters.collect()))
        .capabilities(Capability::CapabilityIam)
        .send()
        .await
        .unwrap();
    let settled = async {
        loop {
            let described = client.describe_stacks().stack_name(name).send().await.unwrap();
            match described.stacks()[0].stack_status() {
                Some(StackStatus::CreateComplete) => return,
                Some(StackStatus::CreateInProgress) => tokio::time::sleep(Duration::from_millis(20)).await,
                other => panic!("{other:?}: {:?}", described.stacks()[0].stack_status_reason()),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), settled).await.unwrap();
    world.cloud.clear_requests();
}

const STACK: &str = "
Parameters: {Bucket: {Type: String}, Key: {Type: String, Default: app/app.zip}}
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: '2012-10-17'
        Statement: [{Effect: Allow, Principal: {Service: lambda.amazonaws.com}, Action: sts:AssumeRole}]
  Start:
    Type: AWS::Lambda::Function
    Properties:
      Code: {S3Bucket: !Ref Bucket, S3Key: !Sub '${Key}'}
      Handler: start.handler
      Role: !GetAtt Role.Arn
      Runtime: nodejs22.x
  Stop:
    Type: AWS::Lambda::Function
    Properties:
      Code: {S3Bucket: !Ref Bucket, S3Key: !Join ['', [!Ref Key]]}
      Handler: stop.handler
      Role: !GetAtt Role.Arn
      Runtime: nodejs22.x
";

#[tokio::test(flavor = "multi_thread")]
async fn a_stacks_template_says_where_its_code_is() {
    let world = world(&[]).await;
    create_stack(&world, "shop", STACK, &[("Bucket", BUCKET)]).await;
    let document = world.run(&["init", "--stack", "shop", "--json"]).await.expect_code(0).json();
    assert_eq!(document["artifacts"][0]["artifact"], format!("s3://{BUCKET}/{KEY}"));
    assert_eq!(document["artifacts"][0]["foundBy"], "the stack's template");
    assert_eq!(document["artifacts"][0]["runs"], true);
    assert_eq!(names(&document).len(), 2);
    assert!(config(&world).contains("functions = { stack = \"shop\" }"), "{}", config(&world));
    assert!(world.requests("ListBuckets").is_empty(), "no search is needed");
    world.assert_nothing_was_changed();

    world.run(&["diff", "--exit-code"]).await.expect_code(0);
    world.write("util.js", "module.exports = 'edited';\n");
    let document = world.run(&["--json"]).await.expect_code(0).json();
    let functions = document["functions"].as_array().unwrap();
    assert!(functions.len() == 2 && functions.iter().all(|function| function["status"] == "live"), "{document}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_leads_to_the_stack_that_made_it() {
    let world = world(&[]).await;
    create_stack(&world, "shop", STACK, &[("Bucket", BUCKET)]).await;
    let all = world.lambda.list_functions().send().await.unwrap();
    let names: Vec<&str> = all.functions().iter().filter_map(|function| function.function_name()).collect();
    let name = names.iter().find(|name| name.starts_with("shop-Start")).unwrap();
    let document = world.run(&["init", name, "--json"]).await.expect_code(0).json();
    assert_eq!(document["artifacts"][0]["foundBy"], "the stack's template");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_hotfix_by_hand_the_stacks_artifact_is_said_not_to_run() {
    let world = world(&[]).await;
    create_stack(&world, "shop", STACK, &[("Bucket", BUCKET)]).await;
    let all = world.lambda.list_functions().send().await.unwrap();
    let hotfix = zip_of([("start.js", b"exports.handler = async () => 'hotfix';\n".to_vec())].into_iter());
    for function in
        all.functions().iter().filter_map(|function| function.function_name()).filter(|name| name.starts_with("shop-"))
    {
        world
            .lambda
            .update_function_code()
            .function_name(function)
            .zip_file(Blob::new(hotfix.clone()))
            .send()
            .await
            .unwrap();
    }
    let ran = world.run(&["init", "--stack", "shop", "--json"]).await.expect_code(0);
    assert_eq!(ran.json()["artifacts"][0]["runs"], false);
    assert!(ran.stderr.contains("does not run what is in"), "{}", ran.stderr);
    assert!(ran.stderr.contains("--adopt --force"), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stack_and_its_template_are_written_for_full_builds() {
    let world = world(&[]).await;
    create_stack(&world, "shop", STACK, &[("Bucket", BUCKET)]).await;
    world.write("template.yaml", STACK);
    world.run(&["init", "--stack", "shop"]).await.expect_code(0);
    let text = config(&world);
    assert!(
        text.contains("\nstack = \"shop\"\ntemplate = \"template.yaml\"\ncapabilities = [\"CAPABILITY_IAM\"]\n"),
        "{text}"
    );
    assert!(text.contains("\nparameters = { Bucket = \"{bucket}\", Key = \"{key}\" }\n"), "{text}");
    // A full build does with it what it should: there is nothing to change but the code.
    world.write("start.js", "exports.handler = async () => 'built';\n");
    let document = world.run(&["full", "--json"]).await.expect_code(0).json();
    assert_eq!(document["ok"], true, "{document:#}");
    world.run(&["status", "--exit-code"]).await.expect_code(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_that_a_full_build_could_not_deploy_is_only_suggested() {
    let world = world(&[]).await;
    create_stack(&world, "shop", STACK, &[("Bucket", BUCKET)]).await;
    world.write("template.yaml", &STACK.replace("{S3Bucket: !Ref Bucket, S3Key: !Sub '${Key}'}", "src"));
    world.write("samconfig.toml", "version = 0.1\n[default.deploy.parameters]\nstack_name = \"shop\"\n");
    world.run(&["init"]).await.expect_code(0);
    let text = config(&world);
    assert!(text.contains("\n# stack = \"shop\"\n# template = \"template.yaml\"\n"), "{text}");
    assert!(text.contains("`quickdeploy full` could deploy the stack, too. Left out,"), "{text}");
    world.run(&["diff", "--exit-code"]).await.expect_code(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sam_project_needs_no_argument() {
    let world = world(&[]).await;
    let key = "shop/0f343b0931126a20f133d67c2b018a3b";
    world.s3.put_object().bucket(BUCKET).key(key).body(world.artifact().await.into()).send().await.unwrap();
    create_stack(&world, "shop", STACK, &[("Bucket", BUCKET), ("Key", key)]).await;
    world
        .write("template.yaml", &format!("Transform: AWS::Serverless-2016-10-31{}", STACK.replace("Code:", "# Code:")));
    world.write("samconfig.toml", "version = 0.1\n[default.deploy.parameters]\nstack_name = \"shop\"\n");
    let ran = world.run(&["init"]).await.expect_code(0);
    assert!(ran.stderr.contains("template.yaml (SAM, stack `shop`)"), "{}", ran.stderr);
    assert!(ran.stderr.contains("named after its content"), "{}", ran.stderr);
    world.run(&["diff", "--exit-code"]).await.expect_code(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_that_is_not_there_is_told() {
    let world = world(&["a"]).await;
    let ran = world.run(&["init", "--stack", "nowhere"]).await.expect_code(1);
    assert!(ran.stderr.contains("there is no stack `nowhere` in us-east-1"), "{}", ran.stderr);
}
