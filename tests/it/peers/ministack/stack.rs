//! Our template through somebody else's CloudFormation, by `quickdeploy bootstrap` and by the AWS CLI.

use quickdeploy_tests::archives;
use quickdeploy_tests::binaries::root;
use quickdeploy_tests::cloud::Cloud;
use quickdeploy_tests::site::{BUCKET, Site};
use serde_json::{Value, json};

use super::super::edits::{KEY, assert_holds, puts};
use super::super::installation::clients;
use super::super::project::Project;
use super::ministack;

#[tokio::test]
async fn bootstrap_brings_the_stack_up_changes_it_leaves_it_and_takes_it_down() {
    let Some(server) = ministack().await else { return };
    let project = Project::new(&server, &[]);
    let zip = project.release();
    let bootstrap = ["bootstrap", "--bucket", BUCKET, "--prefix", "app/", "--zip", zip.to_str().unwrap()];

    let document = project.quickdeploy(&bootstrap).await;
    assert_eq!((&document["changed"], &document["answered"]), (&json!(true), &json!(true)), "{document:#}");
    let function = async || server.lambda.get_function_configuration().function_name("zipedit").send().await;
    let first = function().await.unwrap();
    assert!(first.description().unwrap().contains(document["version"].as_str().unwrap()), "{first:?}");

    let document = project.quickdeploy(&bootstrap).await;
    assert_eq!((&document["changed"], &document["answered"]), (&json!(false), &json!(true)), "{document:#}");

    let document = project.quickdeploy(&[bootstrap.as_slice(), &["--memory", "512"]].concat()).await;
    assert_eq!((&document["changed"], &document["answered"]), (&json!(true), &json!(true)), "{document:#}");
    let second = function().await.unwrap();
    assert_eq!((first.memory_size(), second.memory_size()), (Some(1769), Some(512)));
    assert_eq!(first.code_sha256(), second.code_sha256());

    for deleted in [true, false] {
        let document = project.quickdeploy(&["bootstrap", "--delete", "--yes"]).await;
        assert_eq!(document["deleted"], deleted, "{document:#}");
        assert!(function().await.is_err(), "the function went with the stack");
    }
}

#[tokio::test]
async fn the_aws_cli_deploys_the_template_and_invokes_the_function_that_came_of_it() {
    let Some(server) = ministack().await else { return };
    if clients().is_some() {
        deploys_and_invokes_by_the_aws_cli(&server).await;
    }
}

#[tokio::test]
async fn the_aws_cli_does_the_same_with_the_local_cloud() {
    if clients().is_some() {
        deploys_and_invokes_by_the_aws_cli(Cloud::start().await.site()).await;
    }
}

async fn deploys_and_invokes_by_the_aws_cli(site: &Site) {
    let project = Project::new(site, &[]);
    let zip = project.release();
    let aws = async |arguments: &[&str]| project.client("aws", arguments).await;
    aws(&["s3", "cp", "--only-show-errors", zip.to_str().unwrap(), &format!("s3://{BUCKET}/code/bootstrap.zip")]).await;
    let template = root().join("template.yaml");
    let (code, artifacts) = (format!("CodeBucket={BUCKET}"), format!("ArtifactBucket={BUCKET}"));
    let deploy = ["cloudformation", "deploy", "--stack-name", "editor", "--template-file", template.to_str().unwrap()];
    let rights = ["--capabilities", "CAPABILITY_IAM", "--parameter-overrides", code.as_str(), artifacts.as_str()];
    let more = ["CodeKey=code/bootstrap.zip", "ArtifactPrefix=app/", "FunctionName=editor", "Architecture=x86_64"];
    aws(&[deploy.as_slice(), &rights, &more].concat()).await;
    let query = ["--query", "Stacks[0].Outputs[?OutputKey=='FunctionName'].OutputValue", "--output", "text"];
    let describe = ["cloudformation", "describe-stacks", "--stack-name", "editor"];
    assert_eq!(aws(&[describe.as_slice(), &query].concat()).await.trim(), "editor");

    // Long enough for part copies.
    let old = archives::project(30, 400_000);
    site.put(KEY, old.clone()).await;
    project.write("event.json", json!({ "src": format!("{BUCKET}/{KEY}"), "changes": { "new.js": "1" } }).to_string());
    let invoke = ["lambda", "invoke", "--function-name", "editor", "--payload", "file://event.json", "answer.json"];
    let said: Value = serde_json::from_str(&aws(&invoke).await).unwrap();
    assert_eq!((&said["StatusCode"], said.get("FunctionError")), (&json!(200), None), "{said:#}");
    let answer: Value = serde_json::from_slice(&std::fs::read(project.path().join("answer.json")).unwrap()).unwrap();
    assert_eq!((&answer["added"], &answer["strategy"]), (&json!(1), &json!("splice")), "{answer:#}");

    let fetched = std::fs::read(project.fetched(&format!("s3://{BUCKET}/{KEY}")).await).unwrap();
    assert_holds(&fetched.into(), &old, &puts([("new.js", "1")]));
}
