//! `quickdeploy full` where CloudFormation makes the functions.

use std::time::Duration;

use aws_sdk_cloudformation::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_cloudformation::types::{ChangeSetType, Stack};
use local_cloud::{Action, Fault};
use serde_json::{Value, json};

use crate::world::{BUCKET, KEY, Ran, World, sha256, zip_of};

pub(crate) const TEMPLATE: &str = r#"
Parameters:
  Level: { Type: String, Default: info }
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement: [{ Effect: Allow, Principal: { Service: lambda.amazonaws.com }, Action: sts:AssumeRole }]
  Api:
    Type: AWS::Lambda::Function
    Properties:
      FunctionName: app-api
      Runtime: nodejs22.x
      Handler: start.handler
      MemorySize: 128
      Role: !GetAtt Role.Arn
      Code: .   # the project
      Environment: { Variables: { LEVEL: !Ref Level } }
Outputs:
  Function: { Value: !Ref Api }
"#;

pub(crate) const CONFIG: &str = "stack = \"app\"\ntemplate = \"template.yaml\"\ncapabilities = [\"CAPABILITY_IAM\"]\nexclude = [\"template.yaml\"]\n";

/// A project with a template, in an account with a bucket.
pub(crate) async fn project() -> World {
    set_up(World::with_functions(&[]).await)
}

/// The same in this world.
pub(crate) fn set_up(world: World) -> World {
    world.write("template.yaml", TEMPLATE);
    configure(&world, "");
    world
}

pub(crate) fn configure(world: &World, more: &str) {
    world.write("quickdeploy.toml", &format!("artifact = \"s3://{BUCKET}/{KEY}\"\n{CONFIG}{more}"));
}

pub(crate) fn client(world: &World) -> aws_sdk_cloudformation::Client {
    let config = aws_sdk_cloudformation::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(world.cloud.endpoint())
        .build();
    aws_sdk_cloudformation::Client::from_conf(config)
}

/// The stack, unless there is none.
pub(crate) async fn stack(world: &World) -> Option<Stack> {
    client(world).describe_stacks().stack_name("app").send().await.ok()?.stacks?.pop()
}

pub(crate) async fn status(world: &World) -> Option<String> {
    Some(stack(world).await?.stack_status()?.as_str().to_owned())
}

pub(crate) async fn change_sets(world: &World) -> usize {
    let listed = client(world).list_change_sets().stack_name("app").send().await;
    listed.map_or(0, |listed| listed.summaries().len())
}

pub(crate) async fn answer(world: &World) -> Value {
    let answer = world.lambda.invoke().function_name("app-api").send().await.unwrap();
    assert_eq!(answer.function_error(), None);
    serde_json::from_slice(answer.payload().unwrap().as_ref()).unwrap()
}

pub(crate) async fn memory(world: &World) -> Option<i32> {
    world.lambda.get_function_configuration().function_name("app-api").send().await.unwrap().memory_size()
}

pub(crate) fn edit_template(world: &World, from: &str, to: &str) {
    assert!(TEMPLATE.contains(from));
    world.write("template.yaml", &TEMPLATE.replace(from, to));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_is_created_with_the_package_in_place_of_the_projects_directory() {
    let world = project().await;

    let ran = world.run(&["full", "--json"]).await.expect_code(0);

    let document = ran.json();
    assert_eq!(document["stack"]["operation"], "create");
    assert_eq!(document["stack"]["status"], "CREATE_COMPLETE");
    assert_eq!(document["stack"]["outputs"], json!({ "Function": "app-api" }));
    let changes: Vec<&str> =
        document["stack"]["changes"].as_array().unwrap().iter().map(|it| it["logicalId"].as_str().unwrap()).collect();
    assert_eq!((changes.len(), changes.contains(&"Api"), changes.contains(&"Role")), (2, true, true));
    assert_eq!(
        document["functions"],
        json!([{
            "name": "app-api", "status": "current",
            "previousCodeSha256": document["package"]["codeSha256"], "codeSha256": document["package"]["codeSha256"],
            "codeSize": document["package"]["size"], "elapsedMs": 0,
        }])
    );
    assert_eq!(answer(&world).await, json!("start"));
    assert!(ran.stderr.contains("Change set for the stack `app`: 2 to add"), "{}", ran.stderr);
    assert!(ran.stderr.contains("Api  CREATE_COMPLETE"), "{}", ran.stderr);
    // The file is not touched.
    assert_eq!(std::fs::read_to_string(world.project.path().join("template.yaml")).unwrap(), TEMPLATE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_full_build_finds_nothing_to_change_and_leaves_no_change_set() {
    let world = project().await;
    world.run(&["full"]).await.expect_code(0);
    let before = change_sets(&world).await;
    world.cloud.clear_requests();
    let document = world.run(&["full", "--json"]).await.expect_code(0).json();
    assert_eq!((&document["stack"]["changed"], &document["stack"]["executed"]), (&json!(false), &json!(false)));
    assert_eq!(document["upload"]["status"], "unchanged");
    assert!(world.requests("ExecuteChangeSet").is_empty());
    assert_eq!(change_sets(&world).await, before);
    assert_eq!(status(&world).await.as_deref(), Some("CREATE_COMPLETE"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_template_is_named_by_deploy_and_deployed_by_the_full_build() {
    let world = project().await;
    world.run(&["full"]).await.expect_code(0);
    edit_template(&world, "MemorySize: 128", "MemorySize: 512");
    let ran = world.run(&["--json"]).await.expect_code(0);
    assert!(ran.stderr.contains("`template.yaml` has changed: a patch does not deploy stacks"), "{}", ran.stderr);

    let document = world.run(&["--full-if-needed", "--json"]).await.expect_code(0).json();

    assert_eq!(document["stack"]["operation"], "update");
    assert_eq!(document["stack"]["status"], "UPDATE_COMPLETE");
    assert_eq!(memory(&world).await, Some(512));
    let quiet = world.run(&[]).await.expect_code(0);
    assert!(!quiet.stderr.contains("warning"), "{}", quiet.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_name_the_package_and_the_others_keep_the_stacks_values() {
    let world = project().await;
    let template = TEMPLATE
        .replace("Parameters:\n", "Parameters:\n  CodeBucket: { Type: String }\n  CodeKey: { Type: String }\n  CodeVersion: { Type: String }\n")
        .replace("Code: .   # the project", "Code: { S3Bucket: !Ref CodeBucket, S3Key: !Ref CodeKey, S3ObjectVersion: !Ref CodeVersion }");
    world.write("template.yaml", &template);
    let package = "[parameters]\nCodeBucket = \"{bucket}\"\nCodeKey = \"{key}\"\nCodeVersion = \"{version}\"\n";
    configure(&world, &format!("{package}Level = \"debug\"\n"));
    let first = world.run(&["full", "--json"]).await.expect_code(0).json();
    let value = |stack: &Stack, key: &str| {
        let found = stack.parameters().iter().find(|it| it.parameter_key() == Some(key)).unwrap();
        found.parameter_value().unwrap().to_owned()
    };
    let made = stack(&world).await.unwrap();
    assert_eq!(value(&made, "CodeVersion"), first["upload"]["versionId"].as_str().unwrap());

    configure(&world, package);
    world.write("start.js", "exports.handler = async () => 'second';\n");
    let second = world.run(&["full", "--json"]).await.expect_code(0).json();
    let updated = stack(&world).await.unwrap();
    assert_eq!(value(&updated, "Level"), "debug");
    assert_eq!(value(&updated, "CodeVersion"), second["upload"]["versionId"].as_str().unwrap());
    assert_eq!(answer(&world).await, json!("second"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_runs_something_else_gets_the_package_though_the_stack_did_not_change() {
    let world = project().await;
    world.run(&["full"]).await.expect_code(0);
    let other = zip_of([("start.js", b"exports.handler = async () => 'drifted';\n".to_vec())].into_iter());
    world.lambda.update_function_code().function_name("app-api").zip_file(other.into()).send().await.unwrap();
    let document = world.run(&["full", "--json"]).await.expect_code(0).json();
    assert_eq!(document["stack"]["changed"], false);
    assert_eq!(document["functions"][0]["status"], "live");
    assert_eq!(world.live("app-api").await.0, sha256(&world.artifact().await));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_that_fails_says_the_first_reason_and_the_next_run_does_it_over() {
    let world = project().await;
    world.cloud.stacks().fail_next("Api", "Function names have to be nicer");
    let ran = world.run(&["full", "--json"]).await.expect_code(1);
    let error = ran.json()["error"].clone();
    assert_eq!(error["errorType"], "StackFailed");
    assert!(error["message"].as_str().unwrap().contains("could not be created: it is in ROLLBACK_COMPLETE"), "{error}");
    assert_eq!(error["causes"], json!(["Api (AWS::Lambda::Function): Function names have to be nicer"]));
    assert_eq!(status(&world).await.as_deref(), Some("ROLLBACK_COMPLETE"));

    let document = world.run(&["full", "--json"]).await.expect_code(0).json();
    assert_eq!(document["stack"]["status"], "CREATE_COMPLETE");
    assert_eq!(answer(&world).await, json!("start"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_fails_is_rolled_back_and_the_functions_stay_what_they_were() {
    let world = project().await;
    world.run(&["full"]).await.expect_code(0);
    let before = world.live("app-api").await;
    edit_template(&world, "MemorySize: 128", "MemorySize: 512");
    world.write("start.js", "exports.handler = async () => 'second';\n");
    world.cloud.stacks().fail_next("Api", "No capacity today");
    let ran = world.run(&["full", "--json"]).await.expect_code(1);
    let error = ran.json()["error"].clone();
    assert!(error["message"].as_str().unwrap().contains("it is in UPDATE_ROLLBACK_COMPLETE"), "{error}");
    assert_eq!(error["causes"], json!(["Api (AWS::Lambda::Function): No capacity today"]));
    assert!(ran.stderr.contains("the stack is as it was before"), "{}", ran.stderr);
    assert_eq!((world.live("app-api").await, memory(&world).await), (before, Some(128)));
    // The template is still to be deployed, on whatever machine.
    std::fs::remove_dir_all(world.project.path().join(".quickdeploy")).unwrap();
    let ran = world.run(&["diff"]).await.expect_code(0);
    assert!(ran.stderr.contains("`template.yaml` has changed"), "{}", ran.stderr);
    world.cloud.clear_requests();
    let document = world.run(&["full", "--json"]).await.expect_code(0).json();
    assert_eq!((&document["upload"]["status"], &document["ok"]), (&json!("unchanged"), &json!(true)));
    assert!(world.requests("PutObject").is_empty());
    assert!(!world.run(&["diff"]).await.expect_code(0).stderr.contains("warning"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_shows_the_change_set_and_leaves_nothing() {
    let world = project().await;
    let etag = world.etag().await;
    let document = world.run(&["full", "--dry-run", "--json"]).await.expect_code(0).json();
    assert_eq!(document["stack"]["changes"].as_array().unwrap().len(), 2);
    assert_eq!(document["stack"]["executed"], false);
    assert_eq!((status(&world).await, world.etag().await), (None, etag));

    world.run(&["full"]).await.expect_code(0);
    let before = change_sets(&world).await;
    world.write("template.yaml", &TEMPLATE.replace("app-api", "app-renamed"));
    let ran = world.run(&["full", "--dry-run"]).await.expect_code(0);
    assert!(
        ran.stderr.contains("± Api  AWS::Lambda::Function") && ran.stderr.contains("will be REPLACED"),
        "{}",
        ran.stderr
    );
    assert_eq!(change_sets(&world).await, before);
    assert_eq!(status(&world).await.as_deref(), Some("CREATE_COMPLETE"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_that_somebody_else_changes_is_left_alone_before_anything_is_built() {
    let world = project().await;
    configure(&world, "build = \"touch built\"\n");
    world.run(&["full"]).await.expect_code(0);
    std::fs::remove_file(world.project.path().join("built")).unwrap();
    world.cloud.stacks().delay_next("Api", Duration::from_secs(60));
    edit_template(&world, "MemorySize: 128", "MemorySize: 256");
    let template = std::fs::read_to_string(world.project.path().join("template.yaml")).unwrap();
    let client = client(&world);
    let code = format!("{{S3Bucket: {BUCKET}, S3Key: {KEY}}}");
    client
        .update_stack()
        .stack_name("app")
        .template_body(template.replace("Code: .", &format!("Code: {code}")))
        .capabilities("CAPABILITY_IAM".into())
        .send()
        .await
        .unwrap();
    let ran = world.run(&["full", "--json"]).await.expect_code(1);
    let error = ran.json()["error"].clone();
    assert_eq!(error["errorType"], "StackBusy");
    assert!(error["message"].as_str().unwrap().contains("UPDATE_IN_PROGRESS"), "{error}");
    assert!(!world.project.path().join("built").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_that_was_only_planned_is_filled() {
    let world = project().await;
    client(&world)
        .create_change_set()
        .stack_name("app")
        .change_set_name("somebody-elses")
        .change_set_type(ChangeSetType::Create)
        .capabilities("CAPABILITY_IAM".into())
        .template_body(TEMPLATE.replace("Code: .", &format!("Code: {{S3Bucket: {BUCKET}, S3Key: {KEY}}}")))
        .send()
        .await
        .unwrap();
    assert_eq!(status(&world).await.as_deref(), Some("REVIEW_IN_PROGRESS"));
    let document = world.run(&["full", "--json"]).await.expect_code(0).json();
    assert_eq!(document["stack"]["status"], "CREATE_COMPLETE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_that_is_wrong_leaves_neither_change_set_nor_stack() {
    let world = project().await;
    edit_template(&world, "!GetAtt Role.Arn", "!GetAtt Rule.Arn");
    let ran = world.run(&["full", "--json"]).await.expect_code(1);
    assert!(ran.stderr.contains("Rule"), "{}", ran.stderr);
    assert_eq!(status(&world).await, None);

    configure(&world, "[parameters]\nLevle = \"x\"\n");
    world.write("template.yaml", TEMPLATE);
    let ran = world.run(&["full"]).await.expect_code(1);
    assert!(ran.stderr.contains("template.yaml has no parameter `Levle`"), "{}", ran.stderr);
    assert!(ran.stderr.contains("it has Level"), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn capabilities_that_are_not_acknowledged_are_named_with_the_line_to_write() {
    let world = project().await;
    world.write(
        "quickdeploy.toml",
        &format!("artifact = \"s3://{BUCKET}/{KEY}\"\n{CONFIG}").replace("\"CAPABILITY_IAM\"", ""),
    );
    let ran = world.run(&["full"]).await.expect_code(1);
    assert!(
        ran.stderr.contains("InsufficientCapabilities") && ran.stderr.contains("capabilities = ["),
        "{}",
        ran.stderr
    );
    assert_eq!(status(&world).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_too_long_for_a_request_goes_by_way_of_the_bucket_and_is_not_left_there() {
    let world = project().await;
    let long = format!("{TEMPLATE}\n{}", "# a long story\n".repeat(4000));
    world.write("template.yaml", &long);
    world.run(&["full"]).await.expect_code(0);
    assert_eq!(answer(&world).await, json!("start"));
    let versions = world.s3.list_object_versions().bucket(BUCKET).send().await.unwrap();
    assert!(versions.versions().iter().all(|version| version.key() == Some(KEY)), "{versions:?}");
    assert!(versions.delete_markers().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_is_missing_is_made_and_given_to_the_template() {
    let world = project().await;
    let own = TEMPLATE.find("  Role:\n").unwrap()..TEMPLATE.find("  Api:\n").unwrap();
    let mut template = TEMPLATE.to_owned();
    template.replace_range(own, "");
    let template = template
        .replace("!GetAtt Role.Arn", "!Ref RoleArn")
        .replace("Parameters:\n", "Parameters:\n  RoleArn: { Type: String }\n");
    world.write("template.yaml", &template);
    configure(&world, "role = \"app-role\"\n[parameters]\nRoleArn = \"{role}\"\n");
    let document = world.run(&["full", "--json"]).await.expect_code(0).json();
    assert_eq!(document["role"]["created"], true);
    let arn = document["role"]["arn"].as_str().unwrap().to_owned();
    assert!(arn.ends_with(":role/app-role"), "{arn}");
    let function = world.lambda.get_function_configuration().function_name("app-api").send().await.unwrap();
    assert_eq!(function.role(), Some(arn.as_str()));
    let again = world.run(&["full", "--json"]).await.expect_code(0).json();
    assert_eq!(again["role"], json!({ "arn": arn, "created": false }));
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_found_by_stack_are_found_by_its_resources() {
    let world = project().await;
    world.run(&["full"]).await.expect_code(0);
    world.cloud.clear_requests();
    world.write("start.js", "exports.handler = async () => 'patched';\n");
    world.run(&[]).await.expect_code(0);
    assert_eq!(answer(&world).await, json!("patched"));
    assert!(world.requests("ListFunctions").is_empty());
    assert_eq!(world.requests("ListStackResources").len(), 1);
}

/// Interrupts the program as soon as the cloud has seen `operation`.
async fn interrupted_at(world: &World, operation: &str) -> Ran {
    let child = world.command(&["full", "--json"]).spawn().unwrap();
    let seen = async {
        while world.requests(operation).is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), seen).await.unwrap_or_else(|_| panic!("{operation} never came"));
    let id = child.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    Ran::of(&child.wait_with_output().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ctrl_c_before_the_execution_leaves_neither_change_set_nor_stack() {
    let world = project().await;
    world.cloud.faults().inject(Fault::on("DescribeChangeSet").then(Action::Stall));
    let ran = interrupted_at(&world, "DescribeChangeSet").await.expect_code(1);
    assert_eq!(ran.json()["error"]["errorType"], "Interrupted");
    assert!(ran.stderr.contains("the stack `app` was not touched"), "{}", ran.stderr);
    assert_eq!(status(&world).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ctrl_c_during_the_execution_says_that_cloudformation_goes_on() {
    let world = project().await;
    world.cloud.stacks().delay_next("Api", Duration::from_secs(5));
    let ran = interrupted_at(&world, "ExecuteChangeSet").await.expect_code(1);
    assert!(ran.stderr.contains("CloudFormation goes on creating the stack `app`"), "{}", ran.stderr);
    assert!(ran.stderr.contains("describe-stack-events --stack-name app"), "{}", ran.stderr);
    assert!(ran.stderr.contains("delete-stack --stack-name app"), "{}", ran.stderr);
    let settled = async {
        while status(&world).await.as_deref() != Some("CREATE_COMPLETE") {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), settled).await.expect("it did not go on");
}
