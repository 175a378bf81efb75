//! The policies in `docs/permissions.md`: every command does its work under exactly the policy that the page has for it,
//! and says for want of what it can't with each single action taken out.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_lambda::types::{FunctionCode, Runtime, State};
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use bytes::Bytes;
use futures::StreamExt as _;
use local_cloud::{BuiltinFunction, Identity, LambdaSettings, LocalCloud};
use quickdeploy_tests::archives::{archive, project};
use quickdeploy_tests::binaries::{bootstrap, quickdeploy, root};
use quickdeploy_tests::cloud::Cloud;
use quickdeploy_tests::programs::is_there;
use serde_json::{Value, json};

use super::{statements, without_each};

const KEY: &str = "app/backend.zip";
const BUCKET: &str = "my-bucket";

/// One thing to do with one command.
#[derive(Clone, Copy, Debug)]
struct Scenario {
    /// The name of the policy on the page.
    policy: &'static str,
    arguments: &'static [&'static str],
    /// What is added to `quickdeploy.toml`.
    config: &'static str,
    artifact: Artifact,
}

/// What the bucket has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Artifact {
    Small,
    /// So large that it is edited by parts.
    Large,
    /// Two versions: the functions run the later one.
    TwoVersions,
    /// None, and no function either.
    Missing,
}

const FUNCTIONS: &str = "functions = [\"app-api\"]\n";
const STACK: &str = "functions = [\"app-api\"]\nstack = \"app\"\ntemplate = \"template.yaml\"\ncapabilities = [\"CAPABILITY_NAMED_IAM\"]\nexclude = [\"template.yaml\"]\n";
const TEMPLATE: &str = r#"
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      RoleName: app-made
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement: [{ Effect: Allow, Principal: { Service: lambda.amazonaws.com }, Action: sts:AssumeRole }]
  Api:
    Type: AWS::Lambda::Function
    Properties:
      FunctionName: app-api
      Runtime: nodejs22.x
      Handler: util.handler
      Role: !GetAtt Role.Arn
      Code: .
"#;

const SCENARIOS: &[Scenario] = &[
    Scenario { policy: "diff", arguments: &["diff"], config: FUNCTIONS, artifact: Artifact::Small },
    Scenario { policy: "status", arguments: &["status"], config: FUNCTIONS, artifact: Artifact::Small },
    Scenario { policy: "deploy", arguments: &["--via", "direct"], config: FUNCTIONS, artifact: Artifact::Small },
    Scenario { policy: "deploy", arguments: &["--via", "direct"], config: FUNCTIONS, artifact: Artifact::Large },
    Scenario { policy: "deploy-lambda", arguments: &["--via", "lambda"], config: FUNCTIONS, artifact: Artifact::Small },
    Scenario { policy: "history", arguments: &["history"], config: FUNCTIONS, artifact: Artifact::TwoVersions },
    Scenario { policy: "rollback", arguments: &["rollback"], config: FUNCTIONS, artifact: Artifact::TwoVersions },
    Scenario { policy: "invoke", arguments: &["invoke", "app-api"], config: FUNCTIONS, artifact: Artifact::Small },
    Scenario { policy: "logs", arguments: &["logs"], config: FUNCTIONS, artifact: Artifact::Small },
    Scenario { policy: "init", arguments: &["init", "app-api", "--dry-run"], config: "", artifact: Artifact::Small },
    Scenario { policy: "full", arguments: &["full"], config: STACK, artifact: Artifact::Missing },
    Scenario {
        policy: "bootstrap",
        arguments: &["bootstrap", "--zip", "bootstrap.zip"],
        config: FUNCTIONS,
        artifact: Artifact::Missing,
    },
];

/// Actions that a command needs only when something goes wrong. An edit that succeeds has nothing to abort; that one that
/// fails leaves its upload behind is shown for the role.
const NO_FAILURE: &[(&str, &str)] = &[("deploy", "s3:AbortMultipartUpload")];

/// Actions that a command finds missing only once the artifact is written: the next run goes on from there.
const AFTER_THE_WRITE: &[(&str, &str)] = &[
    ("deploy", "lambda:UpdateFunctionCode"),
    ("deploy", "s3:GetObjectVersion"),
    ("deploy-lambda", "lambda:UpdateFunctionCode"),
    ("deploy-lambda", "s3:GetObjectVersion"),
    ("rollback", "lambda:UpdateFunctionCode"),
];

/// The policies of the page, by name, for the account and the region of the local cloud.
fn policies() -> BTreeMap<String, Value> {
    let page = std::fs::read_to_string(root().join("docs/permissions.md")).unwrap();
    let blocks = page.split("<!-- policy: ").skip(1).map(|block| {
        let (name, rest) = block.split_once(" -->").unwrap();
        let (_, rest) = rest.split_once("```json\n").unwrap();
        let (json, _) = rest.split_once("```").unwrap();
        let json = json.replace("111122223333", "000000000000").replace("eu-west-1", "us-east-1");
        (name.to_owned(), serde_json::from_str(&json).unwrap_or_else(|error| panic!("{name}: {error}")))
    });
    blocks.collect()
}

/// What a run said, and what it left.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    said: String,
    artifact_is_new: bool,
    functions_are_new: bool,
}

/// The command in a cloud and a project of its own, as a user with this policy.
async fn run(scenario: Scenario, policy: &Value) -> Ran {
    let settings = LambdaSettings {
        update_delay: std::time::Duration::ZERO,
        create_delay: std::time::Duration::ZERO,
        ..LambdaSettings::default()
    };
    let mut builder = LocalCloud::builder().lambda(settings).enforce_iam();
    if scenario.policy != "bootstrap" {
        builder =
            builder.function(BuiltinFunction::new("zipedit", [quickdeploy().as_os_str(), "__bootstrap".as_ref()]));
    }
    // A policy has at least one statement.
    let dev = match statements(policy) {
        [] => Identity::user("dev"),
        _ => Identity::user("dev").policy(policy.to_string()),
    };
    let cloud = Cloud::start_from(builder.identity("AKIADEV", "secret", dev)).await;
    let directory = tempfile::tempdir().unwrap();
    set_up(scenario, &cloud, directory.path()).await;
    let before = state(&cloud).await;
    let output = tokio::process::Command::new(quickdeploy())
        .args(scenario.arguments)
        .arg("--json")
        .current_dir(directory.path())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", directory.path())
        .env("AWS_ENDPOINT_URL", cloud.endpoint())
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "AKIADEV")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(std::time::Duration::from_secs(60), output).await;
    let output = output.unwrap_or_else(|_| panic!("{scenario:?} takes too long")).unwrap();
    let after = state(&cloud).await;
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    Ran {
        code: output.status.code(),
        said,
        artifact_is_new: before.0 != after.0,
        functions_are_new: before.1 != after.1,
    }
}

/// The artifact's ETag and the function's hash.
async fn state(cloud: &Cloud) -> (Option<String>, Option<String>) {
    let head = cloud.s3.head_object().bucket(BUCKET).key(KEY).send().await.ok();
    let function = cloud.lambda.get_function_configuration().function_name("app-api").send().await.ok();
    (head.and_then(|head| head.e_tag), function.and_then(|function| function.code_sha256))
}

async fn set_up(scenario: Scenario, cloud: &Cloud, directory: &std::path::Path) {
    let write = |name: &str, content: &[u8]| std::fs::write(directory.join(name), content).unwrap();
    let old = b"exports.handler = async () => 'old';\n".to_vec();
    write("util.js", if scenario.policy == "init" { &old } else { b"exports.handler = async () => 'new';\n" });
    let own_config = format!("artifact = \"s3://{BUCKET}/{KEY}\"\n{}", scenario.config);
    if scenario.policy != "init" {
        write("quickdeploy.toml", own_config.as_bytes());
    }
    cloud.s3.create_bucket().bucket(BUCKET).send().await.unwrap();
    let enabled = aws_sdk_s3::types::VersioningConfiguration::builder().status("Enabled".into()).build();
    cloud.s3.put_bucket_versioning().bucket(BUCKET).versioning_configuration(enabled).send().await.unwrap();
    match scenario.policy {
        "full" => return write("template.yaml", TEMPLATE.as_bytes()),
        "bootstrap" => return write("bootstrap.zip", &release::zipped(&std::fs::read(bootstrap()).unwrap()).unwrap()),
        _ => {}
    }
    let put = async |body: Bytes| cloud.s3.put_object().bucket(BUCKET).key(KEY).body(body.into()).send().await.unwrap();
    match scenario.artifact {
        Artifact::Large => drop(put(project(24, 400_000)).await),
        artifact => {
            if artifact == Artifact::TwoVersions {
                put(archive([("util.js".to_owned(), b"exports.handler = async () => 'first';\n".to_vec())])).await;
            }
            put(archive([("util.js".to_owned(), old)])).await;
        }
    }
    create_function(cloud, BUCKET, KEY, &role(cloud).await).await;
    if scenario.policy == "logs" {
        cloud.invoke("app-api", &json!({})).await.unwrap();
    }
}

/// `app-api`, which runs this artifact.
pub(crate) async fn create_function(cloud: &Cloud, bucket: &str, key: &str, role: &str) {
    let code = FunctionCode::builder().s3_bucket(bucket).s3_key(key).build();
    let create = cloud.lambda.create_function().function_name("app-api").role(role).code(code);
    create.runtime(Runtime::Nodejs22x).handler("util.handler").send().await.unwrap();
    loop {
        let now = cloud.lambda.get_function_configuration().function_name("app-api").send().await.unwrap();
        if now.state() != Some(&State::Pending) {
            break;
        }
    }
}

/// A role that may do everything: what the functions themselves may do is not the question here.
pub(crate) async fn role(cloud: &Cloud) -> String {
    let config = aws_sdk_iam::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "tests"))
        .endpoint_url(cloud.endpoint());
    let iam = aws_sdk_iam::Client::from_conf(config.build());
    let trust = r#"{"Statement": {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}}"#;
    let made = iam.create_role().role_name("app-role").assume_role_policy_document(trust).send().await.unwrap();
    let admin = "arn:aws:iam::aws:policy/AdministratorAccess";
    iam.attach_role_policy().role_name("app-role").policy_arn(admin).send().await.unwrap();
    made.role().unwrap().arn().to_owned()
}

/// What came of a command with an action taken out of its policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Without {
    /// It says what is missing.
    Stopped,
    /// It does the same.
    Works,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_works_under_its_documented_policy_and_no_action_of_it_is_one_too_many() {
    if !is_there("node") {
        return;
    }
    quickdeploy();
    bootstrap();
    let policies = policies();
    let named: BTreeSet<&str> = SCENARIOS.iter().map(|scenario| scenario.policy).collect();
    assert_eq!(named, policies.keys().map(String::as_str).collect(), "scenarios and policies of the page");

    let mut wrong = Vec::new();
    let whole = futures::stream::iter(SCENARIOS)
        .map(async |scenario| (scenario, run(*scenario, &policies[scenario.policy]).await));
    let whole: Vec<_> = whole.buffer_unordered(4).collect().await;
    wrong.extend(
        whole
            .iter()
            .filter(|(_, ran)| ran.code != Some(0))
            .map(|(scenario, ran)| format!("{scenario:?} does not work: {ran:#?}")),
    );

    let cases = SCENARIOS.iter().flat_map(|scenario| {
        without_each(&policies[scenario.policy]).into_iter().map(move |(action, policy)| (*scenario, action, policy))
    });
    let ran = futures::stream::iter(cases).map(async |(scenario, action, policy)| {
        let ran = run(scenario, &policy).await;
        (scenario, action, ran)
    });
    let ran: Vec<_> = ran.buffer_unordered(4).collect().await;
    let mut needed: BTreeMap<(&str, &str), Without> = BTreeMap::new();
    for (scenario, action, ran) in &ran {
        let of = (scenario.policy, action.as_str());
        let without = if ran.code == Some(0) { Without::Works } else { Without::Stopped };
        if without == Without::Stopped {
            let what = format!("{:?} without {action}", scenario.arguments);
            if ran.code != Some(1) || !ran.said.contains(action.as_str()) {
                wrong.push(format!("{what} does not say what is missing: {ran:#?}"));
            }
            if ran.functions_are_new {
                wrong.push(format!("{what} changed the function: {ran:#?}"));
            }
            if ran.artifact_is_new && !AFTER_THE_WRITE.contains(&of) && scenario.policy != "full" {
                wrong.push(format!("{what} changed the artifact: {ran:#?}"));
            }
        }
        let entry = needed.entry(of).or_insert(without);
        if without == Without::Stopped {
            *entry = without;
        }
    }
    for ((policy, action), without) in &needed {
        let excused = NO_FAILURE.iter().any(|(of, named)| (of, named) == (policy, action));
        if (*without == Without::Works) != excused {
            wrong.push(format!("{policy} without {action}: {without:?}"));
        }
    }
    println!("{} commands, {} actions, {} runs without one of them", SCENARIOS.len(), needed.len(), ran.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
