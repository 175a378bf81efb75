//! A local cloud with a project, its artifact and functions, and the program to run in it.

use std::io::{Cursor, Write};
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use aws_sdk_lambda::types::{FunctionCode, LastUpdateStatus, Runtime, State};
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use base64::Engine;
use local_cloud::{BuiltinFunction, LambdaSettings, LocalCloud, Record};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::process::Command;

use crate::schema;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_quickdeploy");
pub(crate) const BUCKET: &str = "artifacts";
pub(crate) const KEY: &str = "app/app.zip";

/// Handlers in the project, besides a file that they share.
const HANDLERS: [&str; 3] = ["start", "stop", "util"];

pub(crate) struct World {
    pub(crate) cloud: LocalCloud,
    pub(crate) s3: aws_sdk_s3::Client,
    pub(crate) lambda: aws_sdk_lambda::Client,
    pub(crate) project: tempfile::TempDir,
}

/// What a run of the program said.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().expect("the program was ended by a signal"),
            stdout: String::from_utf8(output.stdout.clone()).unwrap(),
            stderr: String::from_utf8(output.stderr.clone()).unwrap(),
        }
    }

    /// stdout as exactly one JSON document, one that its verb's schema describes.
    pub(crate) fn json(&self) -> Value {
        let document = serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"));
        schema::assert_described(&document);
        document
    }

    pub(crate) fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }
}

impl World {
    /// Functions with these names run the project's artifact.
    pub(crate) async fn with_functions(names: &[&str]) -> Self {
        Self::with_settings(
            names,
            LambdaSettings {
                update_delay: Duration::from_millis(50),
                create_delay: Duration::ZERO,
                ..LambdaSettings::default()
            },
        )
        .await
    }

    pub(crate) async fn with_settings(names: &[&str], settings: LambdaSettings) -> Self {
        Self::in_cloud(names, LocalCloud::builder().lambda(settings)).await
    }

    /// The same in a cloud that behaves as its builder says.
    pub(crate) async fn in_cloud(names: &[&str], cloud: local_cloud::Builder) -> Self {
        let zipedit = BuiltinFunction::new("zipedit", [PROGRAM, "__bootstrap"]);
        // As the program's own local cloud.
        let cloud = cloud.function(zipedit).function_environment("QUICKDEPLOY_STORE_CHECK", "off");
        let cloud = cloud.start().await.unwrap();
        let credentials = Credentials::new("test", "test", None, None, "test");
        let s3 = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .endpoint_url(cloud.endpoint())
            .credentials_provider(credentials.clone())
            .force_path_style(true)
            .build();
        let lambda = aws_sdk_lambda::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .endpoint_url(cloud.endpoint())
            .credentials_provider(credentials)
            .build();
        let world = Self {
            cloud,
            s3: aws_sdk_s3::Client::from_conf(s3),
            lambda: aws_sdk_lambda::Client::from_conf(lambda),
            project: tempfile::tempdir().unwrap(),
        };
        world.set_up(names).await;
        world
    }

    async fn set_up(&self, names: &[&str]) {
        for name in HANDLERS {
            self.write(&format!("{name}.js"), &format!("exports.handler = async () => '{name}';\n"));
        }
        self.write("quickdeploy.toml", &config(names, "direct"));
        self.s3.create_bucket().bucket(BUCKET).send().await.unwrap();
        let enabled = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        self.s3.put_bucket_versioning().bucket(BUCKET).versioning_configuration(enabled).send().await.unwrap();
        let files = HANDLERS.map(|name| format!("{name}.js"));
        let artifact = zip_of(files.iter().map(|name| (name.as_str(), self.read(name))));
        self.s3.put_object().bucket(BUCKET).key(KEY).body(artifact.into()).send().await.unwrap();
        for name in names {
            self.create_function(name).await;
        }
        self.cloud.clear_requests();
    }

    async fn create_function(&self, name: &str) {
        self.lambda
            .create_function()
            .function_name(name)
            .role("arn:aws:iam::000000000000:role/test")
            .runtime(Runtime::Nodejs22x)
            .handler("start.handler")
            .code(FunctionCode::builder().s3_bucket(BUCKET).s3_key(KEY).build())
            .send()
            .await
            .unwrap();
        // As on AWS, a function that is still being created takes no update.
        self.settled(name).await;
    }

    /// Waits until the function is neither being created nor updated. It is polled by `GetFunction`, which has a quota of its
    /// own: on a busy machine the others' is soon used up.
    pub(crate) async fn settled(&self, name: &str) {
        loop {
            let now = self.lambda.get_function().function_name(name).send().await.unwrap().configuration.unwrap();
            let is_busy =
                now.state() == Some(&State::Pending) || now.last_update_status() == Some(&LastUpdateStatus::InProgress);
            if !is_busy {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn write(&self, name: &str, content: &str) {
        let path = self.project.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.project.path().join(name)).unwrap()
    }

    /// The program in the project's directory, with nothing of the environment but what it needs.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        command(self.project.path(), &self.cloud.endpoint(), arguments)
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(&self.command(arguments).output().await.unwrap())
    }

    /// CodeSha256 and CodeSize of a function.
    pub(crate) async fn live(&self, name: &str) -> (String, i64) {
        let function = self.lambda.get_function().function_name(name).send().await.unwrap();
        let configuration = function.configuration().unwrap();
        (configuration.code_sha256().unwrap().to_owned(), configuration.code_size())
    }

    /// The artifact's bytes.
    pub(crate) async fn artifact(&self) -> Vec<u8> {
        let object = self.s3.get_object().bucket(BUCKET).key(KEY).send().await.unwrap();
        object.body.collect().await.unwrap().to_vec()
    }

    /// What the artifact holds under `name`.
    pub(crate) async fn entry(&self, name: &str) -> Option<String> {
        let mut archive = zip::ZipArchive::new(Cursor::new(self.artifact().await)).unwrap();
        let mut entry = archive.by_name(name).ok()?;
        Some(std::io::read_to_string(&mut entry).unwrap())
    }

    pub(crate) async fn etag(&self) -> String {
        self.s3.head_object().bucket(BUCKET).key(KEY).send().await.unwrap().e_tag.unwrap()
    }

    /// What was asked of the cloud, of one operation.
    pub(crate) fn requests(&self, operation: &str) -> Vec<Record> {
        self.cloud.requests().into_iter().filter(|record| record.operation == operation).collect()
    }

    /// Asserts that nothing was written to S3 and no function was updated since the requests were last cleared.
    pub(crate) fn assert_nothing_was_changed(&self) {
        let changing =
            ["PutObject", "CreateMultipartUpload", "CompleteMultipartUpload", "DeleteObject", "UpdateFunctionCode"];
        for record in self.cloud.requests() {
            assert!(!changing.contains(&record.operation.as_str()), "{record:?}");
        }
    }
}

/// The program in `directory`, as a client of `endpoint`.
pub(crate) fn command(directory: &Path, endpoint: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", directory)
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        // The local cloud heeds preconditions; requests are counted here. See `store_check.rs` for runs that ask.
        .env("QUICKDEPLOY_STORE_CHECK", "off")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

pub(crate) fn config(functions: &[&str], via: &str) -> String {
    format!("artifact = \"s3://{BUCKET}/{KEY}\"\nfunctions = {functions:?}\nvia = \"{via}\"\n")
}

pub(crate) fn zip_of<'a>(files: impl Iterator<Item = (&'a str, Vec<u8>)>) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(&content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// As Lambda shows it.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(Sha256::digest(bytes))
}

/// Whether an interpreter is installed. Says so when a test is skipped for want of it.
pub(crate) fn installed(interpreter: &str) -> bool {
    let there = std::process::Command::new(interpreter).arg("--version").output().is_ok_and(|o| o.status.success());
    if !there {
        eprintln!("skipped: `{interpreter}` is not installed");
    }
    there
}
