//! `quickdeploy bootstrap`, from the zip of a release to a function that answers: the real program, the real template,
//! the real executable.

use std::path::PathBuf;

use aws_sdk_cloudformation::config::{BehaviorVersion, Credentials, Region};
use quickdeploy_tests::archives::archive;
use quickdeploy_tests::binaries::bootstrap;
use quickdeploy_tests::cli::cli_at;
use quickdeploy_tests::cloud::{BUCKET, Cloud};
use serde_json::{Value, json};

/// A directory with the zip and a project, and a cloud that has no zipedit function yet.
struct Place {
    cloud: Cloud,
    directory: tempfile::TempDir,
}

/// What a run said.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    document: Value,
    stderr: String,
}

impl Place {
    async fn new() -> Self {
        let place = Self { cloud: Cloud::start().await, directory: tempfile::tempdir().unwrap() };
        place.write_zip(&std::fs::read(bootstrap()).unwrap());
        let handler = [("handler.js".to_owned(), b"exports.handler = async () => 1;\n".to_vec())];
        place.cloud.put("app/api.zip", archive(handler)).await;
        let config = format!("artifact = \"s3://{BUCKET}/app/api.zip\"\nfunctions = [\"api\"]\nvia = \"lambda\"\n");
        std::fs::write(place.directory.path().join("quickdeploy.toml"), config).unwrap();
        place
    }

    fn zip(&self) -> PathBuf {
        self.directory.path().join("release/bootstrap.zip")
    }

    fn write_zip(&self, executable: &[u8]) {
        std::fs::create_dir_all(self.zip().parent().unwrap()).unwrap();
        std::fs::write(self.zip(), release::zipped(executable).unwrap()).unwrap();
    }

    async fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = cli_at(&self.cloud.endpoint(), self.directory.path(), arguments);
        let output = command.arg("--json").output().await.unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        let document = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {stderr}"));
        Ran { code: output.status.code(), document, stderr }
    }

    /// `bootstrap` with the zip, which succeeds.
    async fn install(&self, more: &[&str]) -> Value {
        let zip = self.zip();
        let ran = self.run(&[&["bootstrap", "--zip", zip.to_str().unwrap()], more].concat()).await;
        assert_eq!(ran.code, Some(0), "{ran:#?}");
        ran.document
    }

    fn cloudformation(&self) -> aws_sdk_cloudformation::Client {
        let config = aws_sdk_cloudformation::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "tests"))
            .endpoint_url(self.cloud.endpoint());
        aws_sdk_cloudformation::Client::from_conf(config.build())
    }

    fn asked(&self, operation: &str) -> usize {
        self.cloud.requests().iter().filter(|record| record.operation == operation).count()
    }

    /// The function's CodeSha256; `None`: there is no such function.
    async fn code(&self, function: &str) -> Option<String> {
        let found = self.cloud.lambda.get_function().function_name(function).send().await.ok()?;
        found.configuration().and_then(|configuration| configuration.code_sha256()).map(str::to_owned)
    }
}

#[tokio::test]
async fn a_function_comes_into_being_that_edits_the_artifact_and_the_second_run_has_nothing_to_do() {
    let place = Place::new().await;
    let document = place.install(&[]).await;
    assert_eq!((&document["function"], &document["answered"]), (&json!("zipedit"), &json!(true)));
    assert_eq!((&document["changed"], &document["code"]["uploaded"]), (&json!(true), &json!(true)));
    let event = json!({ "src": format!("{BUCKET}/app/api.zip"), "changes": { "new.js": "1" } });
    let answer = place.cloud.invoke("zipedit", &event).await.unwrap();
    assert_eq!((&answer["added"], &answer["version"]), (&json!(1), &document["version"]));
    // Who looks at the function without asking it sees the version, too.
    let found = place.cloud.lambda.get_function_configuration().function_name("zipedit").send().await.unwrap();
    let version = document["version"].as_str().unwrap();
    assert!(found.description().unwrap().ends_with(&format!("(zipedit {version})")), "{found:?}");

    place.cloud.clear_requests();
    let again = place.install(&[]).await;
    assert_eq!((&again["changed"], &again["answered"]), (&json!(false), &json!(true)));
    assert_eq!(again["code"]["uploaded"], false);
    assert_eq!(place.asked("PutObject") + place.asked("ExecuteChangeSet"), 0);
}

#[tokio::test]
async fn new_code_is_deployed_under_a_key_of_its_own_and_what_is_not_said_stays() {
    let place = Place::new().await;
    let first = place.install(&["--memory", "512"]).await;
    let before = place.code("zipedit").await.unwrap();
    let mut executable = std::fs::read(bootstrap()).unwrap();
    // Behind its sections: another file, the same program.
    executable.push(0);
    place.write_zip(&executable);
    let second = place.install(&[]).await;
    assert_ne!(first["code"]["key"], second["code"]["key"]);
    assert_ne!(place.code("zipedit").await.unwrap(), before);
    let function = place.cloud.lambda.get_function_configuration().function_name("zipedit").send().await.unwrap();
    assert_eq!(function.memory_size(), Some(512));
}

#[tokio::test]
async fn a_dry_run_shows_the_change_set_and_leaves_nothing() {
    let place = Place::new().await;
    let zip = place.zip();
    let ran = place.run(&["bootstrap", "--zip", zip.to_str().unwrap(), "--dry-run"]).await;
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    assert!(ran.stderr.contains("AWS::Lambda::Function"), "{}", ran.stderr);
    assert_eq!((place.code("zipedit").await, place.asked("PutObject")), (None, 0), "nothing was put");
    let ran = place.run(&["bootstrap", "--delete", "--yes"]).await;
    assert_eq!((ran.code, &ran.document["deleted"]), (Some(0), &json!(false)), "{ran:#?}");
}

#[tokio::test]
async fn deleting_takes_the_function_away_and_can_be_repeated() {
    let place = Place::new().await;
    place.install(&["--function-name", "editor", "--stack-name", "tools"]).await;
    assert!(place.code("editor").await.is_some());
    let ran = place.run(&["bootstrap", "--delete", "--yes", "--stack-name", "tools"]).await;
    assert_eq!((ran.code, &ran.document["deleted"]), (Some(0), &json!(true)), "{ran:#?}");
    assert_eq!(place.code("editor").await, None);
    let again = place.run(&["bootstrap", "--delete", "--yes", "--stack-name", "tools"]).await;
    assert_eq!((again.code, &again.document["deleted"]), (Some(0), &json!(false)), "{again:#?}");
}

#[tokio::test]
async fn a_creation_that_fails_says_why_and_the_next_run_does_it_over() {
    let place = Place::new().await;
    place.cloud.stacks().fail_next("Function", "The runtime parameter of provided.al2023 is not liked today");
    let zip = place.zip();
    let ran = place.run(&["bootstrap", "--zip", zip.to_str().unwrap()]).await;
    assert_eq!(ran.code, Some(1), "{ran:#?}");
    assert!(ran.document["error"]["causes"].to_string().contains("not liked today"), "{ran:#?}");
    assert_eq!(place.code("zipedit").await, None);
    assert_eq!(place.install(&[]).await["answered"], true);
}

#[tokio::test]
async fn an_executable_that_is_something_else_is_found_out_by_asking_it() {
    let place = Place::new().await;
    // It is an executable for Lambda, but no function.
    place.write_zip(&std::fs::read("/bin/true").unwrap());
    let zip = place.zip();
    let ran = place.run(&["bootstrap", "--zip", zip.to_str().unwrap()]).await;
    assert_eq!(ran.code, Some(1), "{ran:#?}");
    assert_eq!(ran.document["error"]["errorType"], "ZipeditAnswer", "{ran:#?}");
}

#[tokio::test]
async fn a_stack_that_is_somebody_elses_is_neither_replaced_nor_deleted() {
    let place = Place::new().await;
    let template = json!({ "Resources": { "Logs": { "Type": "AWS::Logs::LogGroup" } } }).to_string();
    place.cloudformation().create_stack().stack_name("app").template_body(template).send().await.unwrap();
    let zip = place.zip();
    for arguments in [vec!["--zip", zip.to_str().unwrap()], vec!["--delete", "--yes"]] {
        let ran = place.run(&[&["bootstrap", "--stack-name", "app"], arguments.as_slice()].concat()).await;
        assert_eq!((ran.code, &ran.document["error"]["errorType"]), (Some(1), &json!("AnotherStack")), "{ran:#?}");
    }
    assert_eq!(place.asked("DeleteStack") + place.asked("CreateChangeSet"), 0);
}

#[tokio::test]
async fn a_function_that_is_there_without_its_stack_is_not_fought_over() {
    let place = Place::new().await;
    place.install(&[]).await;
    let zip = place.zip();
    let ran = place.run(&["bootstrap", "--stack-name", "second", "--zip", zip.to_str().unwrap()]).await;
    assert_eq!((ran.code, &ran.document["error"]["errorType"]), (Some(1), &json!("FunctionExists")), "{ran:#?}");
    assert!(ran.document["error"]["hints"].to_string().contains("--function-name"), "{ran:#?}");
}
