//! `quickdeploy full` of several artifacts that end in one stack: one change set for all of them.

use serde_json::{Value, json};

use crate::full_stack::status;
use crate::world::{BUCKET, World, sha256};

const ROLE: &str = r#"
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement: [{ Effect: Allow, Principal: { Service: lambda.amazonaws.com }, Action: sts:AssumeRole }]
"#;

fn function(id: &str, name: &str, handler: &str, code: &str) -> String {
    format!(
        "  {id}:\n    Type: AWS::Lambda::Function\n    Properties:\n      FunctionName: {name}\n      \
         Runtime: nodejs22.x\n      Handler: {handler}\n      Role: !GetAtt Role.Arn\n      Code: {code}\n"
    )
}

/// Both functions' code is where their packages are made of.
fn template() -> String {
    let functions =
        [function("Api", "app-api", "start.handler", "."), function("Worker", "app-worker", "job.handler", "worker")];
    format!("Resources:{ROLE}{}", functions.concat())
}

/// Both functions' code is told by parameters.
fn template_with_parameters() -> String {
    let code = |of: &str| format!("{{S3Bucket: {BUCKET}, S3Key: !Ref {of}Key, S3ObjectVersion: !Ref {of}Version}}");
    let parameters =
        ["Api", "Worker"].map(|of| format!("  {of}Key: {{Type: String}}\n  {of}Version: {{Type: String}}\n"));
    let functions = [
        function("Api", "app-api", "start.handler", &code("Api")),
        function("Worker", "app-worker", "job.handler", &code("Worker")),
    ];
    format!("Parameters:\n{}Resources:{ROLE}{}", parameters.concat(), functions.concat())
}

/// Two artifacts in the stack `app`. `api`, `worker`: further lines of each.
async fn project(template: &str, api: &str, worker: &str) -> World {
    let world = World::with_functions(&[]).await;
    world.write("template.yaml", template);
    world.write("worker/job.js", "exports.handler = async () => 'job';\n");
    configure(&world, api, worker);
    world
}

fn configure(world: &World, api: &str, worker: &str) {
    world.write(
        "quickdeploy.toml",
        &format!(
            "stack = \"app\"\ntemplate = \"template.yaml\"\ncapabilities = [\"CAPABILITY_IAM\"]\n\
             exclude = [\"template.yaml\", \"/worker\"]\n\
             [artifacts.api]\nartifact = \"s3://{BUCKET}/app/api.zip\"\nfunctions = [\"app-api\"]\n{api}\n\
             [artifacts.worker]\nartifact = \"s3://{BUCKET}/app/worker.zip\"\nfunctions = [\"app-worker\"]\n\
             root = \"worker\"\n{worker}\n"
        ),
    );
}

async fn answer(world: &World, name: &str) -> Value {
    let answer = world.lambda.invoke().function_name(name).send().await.unwrap();
    serde_json::from_slice(answer.payload().unwrap().as_ref()).unwrap()
}

async fn assert_each_runs_its_own(world: &World) {
    for (name, key) in [("app-api", "app/api.zip"), ("app-worker", "app/worker.zip")] {
        let object = world.s3.get_object().bucket(BUCKET).key(key).send().await.unwrap();
        let zip = object.body.collect().await.unwrap().to_vec();
        assert_eq!(world.live(name).await.0, sha256(&zip), "{name}");
    }
}

fn assert_one_change_set(world: &World) {
    for operation in ["CreateChangeSet", "ExecuteChangeSet"] {
        assert_eq!(world.requests(operation).len(), 1, "{operation}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_is_made_with_one_change_set_for_all_its_artifacts() {
    let world = project(&template(), "", "").await;
    let ran = world.run(&["full", "--json"]).await.expect_code(0);
    let document = ran.json();
    assert_one_change_set(&world);
    let [api, worker] = document["artifacts"].as_array().unwrap().as_slice() else { panic!("{document:#}") };
    assert_eq!((&api["name"], &worker["name"]), (&json!("api"), &json!("worker")));
    assert_eq!(api["stack"], worker["stack"]);
    assert_eq!(api["stack"]["status"], "CREATE_COMPLETE");
    assert_eq!(
        (&api["functions"][0]["name"], &worker["functions"][0]["name"]),
        (&json!("app-api"), &json!("app-worker"))
    );
    assert_eq!((answer(&world, "app-api").await, answer(&world, "app-worker").await), (json!("start"), json!("job")));
    assert_each_runs_its_own(&world).await;
    // Everything is uploaded before the stack is touched.
    let requests = world.cloud.requests();
    let last_upload = requests.iter().rposition(|record| record.operation == "PutObject").unwrap();
    let change_set = requests.iter().position(|record| record.operation == "CreateChangeSet").unwrap();
    assert!(last_upload < change_set);

    world.cloud.clear_requests();
    world.write("start.js", "exports.handler = async () => 'second';\n");
    world.write("worker/job.js", "exports.handler = async () => 'second job';\n");
    world.run(&["full"]).await.expect_code(0);
    assert_one_change_set(&world);
    assert_each_runs_its_own(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_artifact_fills_in_its_own_parameters() {
    let own = |of: &str, name: &str| {
        format!("[artifacts.{name}.parameters]\n{of}Key = \"{{key}}\"\n{of}Version = \"{{version}}\"")
    };
    let world = project(&template_with_parameters(), &own("Api", "api"), &own("Worker", "worker")).await;
    world.run(&["full"]).await.expect_code(0);
    assert_one_change_set(&world);
    assert_each_runs_its_own(&world).await;

    // One alone keeps what the stack has of the others.
    world.write("worker/job.js", "exports.handler = async () => 'other';\n");
    world.run(&["full", "--artifact", "worker"]).await.expect_code(0);
    assert_eq!((answer(&world, "app-api").await, answer(&world, "app-worker").await), (json!("start"), json!("other")));
    assert_each_runs_its_own(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_fails_stops_all_of_them_before_anything_is_uploaded() {
    let world = project(&template(), "build = \"touch ../built\"", "build = \"echo no such module; exit 3\"").await;
    let ran = world.run(&["full", "--json"]).await.expect_code(1);
    let document = ran.json();
    assert_eq!(document["ok"], false);
    let [api, worker] = document["artifacts"].as_array().unwrap().as_slice() else { panic!("{document:#}") };
    assert_eq!(worker["error"]["errorType"], "BuildFailed");
    assert_eq!(api["error"]["errorType"], "Stopped");
    assert_eq!(api["error"]["message"], "`api` ends in the same stack as `worker`, which failed");
    world.assert_nothing_was_changed();
    assert!(world.requests("CreateChangeSet").is_empty());
    assert_eq!(status(&world).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_that_fails_fails_for_all_of_them_and_is_told_once() {
    let world = project(&template(), "", "").await;
    world.cloud.stacks().fail_next("Worker", "No capacity today");
    let ran = world.run(&["full", "--json"]).await.expect_code(1);
    let document = ran.json();
    assert_eq!(document["artifacts"][0]["error"]["errorType"], "StackFailed");
    assert_eq!(document["artifacts"][1]["error"]["errorType"], "Stopped");
    assert_eq!(ran.stderr.matches("error:").count(), 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("the packages are uploaded already"), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_together_is_named_before_anything_is_done() {
    for (template, api, worker, said) in [
        (
            template(),
            "tags = { team = \"a\" }",
            "",
            "`api` and `worker` are in the stack `app`, but have not the same `tags`",
        ),
        (template(), "", "stack = \"app\"\ntemplate = \"worker/other.yaml\"", "have not the same `template`"),
    ] {
        let world = project(&template, api, worker).await;
        let ran = world.run(&["full"]).await.expect_code(1);
        assert!(ran.stderr.replace("\n             ", " ").contains(said), "{}", ran.stderr);
        world.assert_nothing_was_changed();
    }
    let world = project(&template_with_parameters(), "", "").await;
    let text = std::fs::read_to_string(world.project.path().join("quickdeploy.toml")).unwrap();
    let text = text
        .replace("template = \"template.yaml\"", "template = \"template.yaml\"\nparameters = { ApiKey = \"{key}\" }");
    world.write("quickdeploy.toml", &text);
    let ran = world.run(&["full"]).await.expect_code(1);
    assert!(ran.stderr.contains("`api` and `worker` give the parameter `ApiKey` different values"), "{}", ran.stderr);
    assert_eq!(status(&world).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn which_functions_run_which_artifact_has_to_be_said() {
    let world = project(&template(), "", "").await;
    let text = std::fs::read_to_string(world.project.path().join("quickdeploy.toml")).unwrap();
    world.write("quickdeploy.toml", &text.replace("functions = [\"app-worker\"]\n", ""));
    let ran = world.run(&["full"]).await.expect_code(1);
    assert!(ran.stderr.contains("`worker` does not say which functions run it"), "{}", ran.stderr);
    assert!(ran.stderr.contains("[artifacts.worker]"), "{}", ran.stderr);
    world.assert_nothing_was_changed();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_template_is_deployed_once_by_a_deploy_that_may() {
    let world = project(&template(), "", "").await;
    world.run(&["full"]).await.expect_code(0);
    world.cloud.clear_requests();
    world.write(
        "template.yaml",
        &template().replace("Runtime: nodejs22.x", "Runtime: nodejs22.x\n      MemorySize: 256"),
    );
    let document = world.run(&["--full-if-needed", "--json"]).await.expect_code(0).json();
    assert_eq!(document["artifacts"].as_array().unwrap().len(), 2);
    assert_one_change_set(&world);
}
