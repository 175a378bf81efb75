//! The examples of an IDE backend, with the AWS SDKs that they are written for, and the real `bootstrap`.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;

use aws_sdk_lambda::types::{FunctionCode, Runtime};
use quickdeploy_tests::archives::{contents, project};
use quickdeploy_tests::binaries::{bootstrap, root};
use quickdeploy_tests::cloud::{BUCKET, Cloud};
use quickdeploy_tests::programs::{cache, is_there, output_of};
use quickdeploy_tests::site::{ENVIRONMENT, Site};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

const KEY: &str = "app/artifact.zip";
/// The functions' role.
pub(crate) const ROLE: &str = "test";

/// Two functions that run an artifact, in a bucket that keeps versions.
async fn set_up(site: &Site) {
    site.keep_versions().await;
    site.put(KEY, project(5, 1000)).await;
    for name in ["one", "two"] {
        let code = FunctionCode::builder().s3_bucket(BUCKET).s3_key(KEY).build();
        let role = format!("arn:aws:iam::000000000000:role/{ROLE}");
        let create = site.lambda.create_function().function_name(name).role(role).code(code);
        create.runtime(Runtime::Nodejs22x).handler("util.handler").send().await.unwrap();
        // As on AWS, a function that is still being created takes no update.
        site.settled(name).await;
    }
}

/// Runs an example with `changes` on stdin; its answer and exit code.
async fn run(site: &Site, program: &Path, script: &Path, functions: &[&str], changes: &Value) -> (Value, i32) {
    let mut child = Command::new(program)
        .arg(script)
        .arg(format!("s3://{BUCKET}/{KEY}"))
        .args(functions)
        .env("AWS_ENDPOINT_URL", &site.endpoint)
        .envs(ENVIRONMENT)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(changes.to_string().as_bytes()).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    let answer = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (answer, output.status.code().unwrap())
}

/// A save reaches both functions; one that can't is an error that names its kind.
/// The site has the function `zipedit`.
pub(crate) async fn saves(site: &Site, program: &Path, script: &Path) {
    set_up(site).await;
    let changes = json!({ "util.js": "saved", "logo.png": { "base64": "iVBORw==" }, "handlers/list.js": null });
    let (answer, code) = run(site, program, script, &["one", "two"], &changes).await;
    assert_eq!((code, &answer["added"], &answer["modified"], &answer["deleted"]), (0, &json!(1), &json!(1), &json!(1)));
    let artifact = site.get(KEY).await;
    assert_eq!(contents(&artifact)["util.js"].0, b"saved");
    for name in ["one", "two"] {
        let live = site.lambda.get_function().function_name(name).send().await.unwrap();
        let sha256 = live.configuration().unwrap().code_sha256().unwrap();
        let told = answer["functions"].as_array().unwrap().iter().find(|function| function["name"] == name).unwrap();
        assert_eq!(told["codeSha256"], sha256, "{answer:#}");
        assert_eq!(live.configuration().unwrap().code_size(), i64::try_from(artifact.len()).unwrap());
    }

    let (answer, code) = run(site, program, script, &["one"], &json!({ "../evil.js": "x" })).await;
    assert_eq!((code, &answer["errorType"]), (1, &json!("InvalidEntryName")), "{answer:#}");
    assert_eq!(site.get(KEY).await, artifact);

    let (answer, code) = run(site, program, script, &["one", "gone"], &json!({ "util.js": "again" })).await;
    assert_eq!(code, 1);
    let functions = answer["functions"].as_array().unwrap();
    assert!(functions[0]["codeSha256"].is_string() && functions[1]["error"].is_string(), "{answer:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_in_javascript_saves() {
    if let Some(script) = javascript() {
        let cloud = Cloud::with_zipedit(bootstrap()).await;
        saves(cloud.site(), Path::new("node"), script).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_in_python_saves() {
    let boto3 = std::process::Command::new("python3").args(["-c", "import boto3"]).output();
    if !boto3.is_ok_and(|output| output.status.success()) {
        println!("skipped: python3 has no boto3");
        return;
    }
    let cloud = Cloud::with_zipedit(bootstrap()).await;
    saves(cloud.site(), Path::new("python3"), &python()).await;
}

/// The example in JavaScript, with its packages installed. `None`: there is no npm, and that was said.
pub(crate) fn javascript() -> Option<&'static Path> {
    if !is_there("npm") {
        return None;
    }
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    let script = INSTALLED.get_or_init(|| {
        let (from, to) = (root().join("examples/ide-backend"), cache().join("ide-backend"));
        std::fs::create_dir_all(&to).unwrap();
        for file in ["deploy.mjs", "package.json", "package-lock.json"] {
            std::fs::copy(from.join(file), to.join(file)).unwrap();
        }
        let mut npm = std::process::Command::new("npm");
        output_of(npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&to));
        to.join("deploy.mjs")
    });
    Some(script)
}

/// The example in Python, which needs boto3.
pub(crate) fn python() -> PathBuf {
    root().join("examples/ide-backend/deploy.py")
}
