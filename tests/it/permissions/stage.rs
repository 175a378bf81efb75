//! A cloud that enforces IAM with what a scenario begins with, and the program in it as a user with one policy.

use std::process::{Output, Stdio};
use std::time::Duration;

use aws_sdk_codebuild::types::{
    ArtifactPackaging, ArtifactsType, ComputeType, EnvironmentType, ProjectArtifacts, ProjectEnvironment,
    ProjectSource, SourceType,
};
use aws_sdk_lambda::types::{FunctionCode, Runtime};
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use bytes::Bytes;
use local_cloud::{BuiltinFunction, Identity, LambdaSettings, LocalCloud};
use quickdeploy_tests::archives::{archive, project};
use quickdeploy_tests::binaries::{bootstrap, quickdeploy};
use quickdeploy_tests::cli::cli_at;
use quickdeploy_tests::cloud::Cloud;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::Command;

use super::scenarios::{Scenario, Start};
use super::statements;

const KEY: &str = "app/backend.zip";
const BUCKET: &str = "my-bucket";
const OLD: &[u8] = b"exports.handler = async () => 'old';\n";
const NEW: &[u8] = b"exports.handler = async () => 'new';\n";

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
      MemorySize: 128
      Code: .
"#;

const BUILDSPEC: &str = "version: 0.2
phases:
  build:
    commands: [\"mkdir dist\", \"echo 'exports.handler = async () => 1;' >dist/util.js\"]
artifacts: { base-directory: dist, files: ['**/*'] }
";

/// What a run said, and what it left.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) code: Option<i32>,
    pub(super) said: String,
    pub(super) artifact_is_new: bool,
    pub(super) functions_are_new: bool,
}

/// Someone who uses the program.
#[derive(Clone, Copy)]
enum User {
    /// The account itself.
    Account,
    /// Who has the policy.
    Dev,
}

struct Stage {
    cloud: Cloud,
    directory: tempfile::TempDir,
}

/// The command in a cloud and a project of its own, as a user with this policy.
pub(super) async fn run(scenario: Scenario, policy: &Value) -> Ran {
    run_in_bucket(scenario, policy, None).await
}

/// The same, where the bucket has a policy of its own.
pub(super) async fn run_in_bucket(scenario: Scenario, policy: &Value, of_bucket: Option<&Value>) -> Ran {
    let settings =
        LambdaSettings { update_delay: Duration::ZERO, create_delay: Duration::ZERO, ..LambdaSettings::default() };
    let mut builder = LocalCloud::builder().lambda(settings).enforce_iam();
    if !matches!(scenario.start, Start::Empty | Start::Bootstrapped) {
        let program = [quickdeploy().as_os_str(), "__bootstrap".as_ref()];
        builder = builder.function(BuiltinFunction::new("zipedit", program));
    }
    // A policy has at least one statement.
    let dev = match statements(policy) {
        [] => Identity::user("dev"),
        _ => Identity::user("dev").policy(policy.to_string()),
    };
    let cloud = Cloud::start_from(builder.identity("AKIADEV", "secret", dev)).await;
    let stage = Stage { cloud, directory: tempfile::tempdir().unwrap() };
    stage.set_up(scenario).await;
    let before = stage.state().await;
    let arguments = stage.filled(scenario.arguments).await;
    if let Some(policy) = of_bucket {
        stage.cloud.s3.put_bucket_policy().bucket(BUCKET).policy(policy.to_string()).send().await.unwrap();
    }
    let output = stage.quickdeploy(User::Dev, &arguments).await;
    if of_bucket.is_some() {
        // It may deny even the look at what is there now.
        stage.cloud.s3.delete_bucket_policy().bucket(BUCKET).send().await.unwrap();
    }
    let after = stage.state().await;
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    Ran {
        code: output.status.code(),
        said,
        artifact_is_new: before.0 != after.0,
        functions_are_new: before.1 != after.1,
    }
}

impl Stage {
    async fn quickdeploy(&self, user: User, arguments: &[String]) -> Output {
        let (key_id, secret) = match user {
            User::Account => ("test", "test"),
            User::Dev => ("AKIADEV", "secret"),
        };
        let mut command = cli_at(&self.cloud.endpoint(), self.directory.path(), arguments);
        command.arg("--json").env("AWS_ACCESS_KEY_ID", key_id).env("AWS_SECRET_ACCESS_KEY", secret);
        let output = async {
            if arguments[0] == "watch" { watched(&mut command).await } else { command.output().await.unwrap() }
        };
        let output = tokio::time::timeout(Duration::from_secs(60), output).await;
        output.unwrap_or_else(|_| panic!("{arguments:?} takes too long"))
    }

    async fn filled(&self, arguments: &[&str]) -> Vec<String> {
        let mut filled: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        for argument in filled.iter_mut().filter(|argument| *argument == "{first}") {
            let versions = self.cloud.s3.list_object_versions().bucket(BUCKET).prefix(KEY).send().await.unwrap();
            versions.versions().last().unwrap().version_id().unwrap().clone_into(argument);
        }
        filled
    }

    /// The artifact's ETag and the function's hash.
    async fn state(&self) -> (Option<String>, Option<String>) {
        let head = self.cloud.s3.head_object().bucket(BUCKET).key(KEY).send().await.ok();
        let function = self.cloud.lambda.get_function_configuration().function_name("app-api").send().await.ok();
        (head.and_then(|head| head.e_tag), function.and_then(|function| function.code_sha256))
    }

    fn write(&self, name: &str, content: &[u8]) {
        std::fs::write(self.directory.path().join(name), content).unwrap();
    }

    async fn set_up(&self, scenario: Scenario) {
        let Scenario { start, config, .. } = scenario;
        self.write("util.js", if start == Start::Unconfigured { OLD } else { NEW });
        if !config.is_empty() {
            self.write("quickdeploy.toml", format!("artifact = \"s3://{BUCKET}/{KEY}\"\n{config}").as_bytes());
        }
        if start == Start::Nothing {
            return;
        }
        self.create_bucket().await;
        match start {
            Start::Empty | Start::Bootstrapped => {
                self.write("template.yaml", TEMPLATE.as_bytes());
                if scenario.arguments[0] == "bootstrap" {
                    self.write("bootstrap.zip", &release::zipped(&std::fs::read(bootstrap()).unwrap()).unwrap());
                }
                if start == Start::Bootstrapped {
                    self.do_as_the_account(&["bootstrap", "--zip", "bootstrap.zip"]).await;
                }
                return;
            }
            Start::Full => {
                self.write("template.yaml", TEMPLATE.as_bytes());
                self.do_as_the_account(&["full"]).await;
                self.write("util.js", b"exports.handler = async () => 'newer';\n");
                self.write("template.yaml", TEMPLATE.replace("128", "256").as_bytes());
                return;
            }
            Start::Stacked => {
                self.write("util.js", OLD);
                self.write("template.yaml", TEMPLATE.as_bytes());
                self.write(
                    "quickdeploy.toml",
                    format!("artifact = \"s3://{BUCKET}/{KEY}\"\n{}", super::scenarios::STACK).as_bytes(),
                );
                self.do_as_the_account(&["full"]).await;
                let arn = "arn:aws:lambda:us-east-1:000000000000:function:app-api";
                self.cloud.lambda.tag_resource().resource(arn).tags("team", "blue").send().await.unwrap();
                std::fs::remove_file(self.directory.path().join("template.yaml")).unwrap();
                std::fs::remove_dir_all(self.directory.path().join(".quickdeploy")).ok();
                if config.is_empty() {
                    return std::fs::remove_file(self.directory.path().join("quickdeploy.toml")).unwrap();
                }
                self.write("util.js", NEW);
                return self
                    .write("quickdeploy.toml", format!("artifact = \"s3://{BUCKET}/{KEY}\"\n{config}").as_bytes());
            }
            _ => {}
        }
        let old = archive([("util.js".to_owned(), OLD.to_vec())]);
        match start {
            Start::Large => self.put(project(24, 400_000)).await,
            Start::TwoVersions => {
                self.put(archive([("util.js".to_owned(), b"exports.handler = async () => 'first';\n".to_vec())])).await;
                self.put(old).await;
            }
            _ => self.put(old).await,
        }
        create_function(&self.cloud, BUCKET, KEY, &role(&self.cloud).await).await;
        match start {
            Start::LargeChange => self.write("large.bin", &noise(7_000_000)),
            Start::CodeBuild => self.create_codebuild_project().await,
            Start::Small if scenario.policy == "logs" => drop(self.cloud.invoke("app-api", &json!({})).await.unwrap()),
            Start::Small if scenario.policy == "patch" => {
                self.write("more.zip", &archive([("util.js".to_owned(), NEW.to_vec())]));
            }
            _ => {}
        }
    }

    async fn create_bucket(&self) {
        self.cloud.s3.create_bucket().bucket(BUCKET).send().await.unwrap();
        let enabled = aws_sdk_s3::types::VersioningConfiguration::builder().status("Enabled".into()).build();
        self.cloud.s3.put_bucket_versioning().bucket(BUCKET).versioning_configuration(enabled).send().await.unwrap();
    }

    async fn put(&self, body: Bytes) {
        self.cloud.s3.put_object().bucket(BUCKET).key(KEY).body(body.into()).send().await.unwrap();
    }

    async fn do_as_the_account(&self, arguments: &[&str]) {
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let output = self.quickdeploy(User::Account, &arguments).await;
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// `app-build`, whose builds leave a zip beside the artifact.
    async fn create_codebuild_project(&self) {
        let config = aws_sdk_codebuild::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "tests"))
            .endpoint_url(self.cloud.endpoint())
            .build();
        let environment = ProjectEnvironment::builder()
            .r#type(EnvironmentType::LinuxContainer)
            .image("aws/codebuild/standard:7.0")
            .compute_type(ComputeType::BuildGeneral1Small);
        let zip = ProjectArtifacts::builder().r#type(ArtifactsType::S3).location(BUCKET).path("app").name("built.zip");
        let source = ProjectSource::builder().r#type(SourceType::NoSource).buildspec(BUILDSPEC).build().unwrap();
        let create = aws_sdk_codebuild::Client::from_conf(config).create_project().name("app-build");
        create
            .service_role("arn:aws:iam::000000000000:role/app-role")
            .source(source)
            .artifacts(zip.packaging(ArtifactPackaging::Zip).build().unwrap())
            .environment(environment.build().unwrap())
            .send()
            .await
            .unwrap();
    }
}

/// Runs it until it says something for the first time, and ends it by Ctrl-C.
async fn watched(command: &mut Command) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut said = Vec::new();
    lines.read_until(b'\n', &mut said).await.unwrap();
    if let Some(pid) = child.id() {
        // It may have ended by itself.
        let _ = std::process::Command::new("kill").args(["-INT", &pid.to_string()]).stderr(Stdio::null()).status();
    }
    let mut more = Vec::new();
    tokio::try_join!(lines.read_to_end(&mut said), stderr.read_to_end(&mut more)).unwrap();
    Output { status: child.wait().await.unwrap(), stdout: said, stderr: more }
}

/// Bytes that don't get smaller by compression.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    std::iter::repeat_with(|| next().to_le_bytes()).flatten().take(length).collect()
}

/// `app-api`, which runs this artifact.
pub(crate) async fn create_function(cloud: &Cloud, bucket: &str, key: &str, role: &str) {
    let code = FunctionCode::builder().s3_bucket(bucket).s3_key(key).build();
    let create = cloud.lambda.create_function().function_name("app-api").role(role).code(code);
    create.runtime(Runtime::Nodejs22x).handler("util.handler").send().await.unwrap();
    cloud.settled("app-api").await;
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
