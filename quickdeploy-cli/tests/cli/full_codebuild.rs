//! `quickdeploy full` where CodeBuild builds.

use std::time::Duration;

use aws_sdk_codebuild::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_codebuild::types::{
    ArtifactPackaging, ArtifactsType, ComputeType, EnvironmentType, ProjectArtifacts, ProjectEnvironment,
    ProjectSource, SourceType, StatusType,
};
use serde_json::{Value, json};

use crate::world::{BUCKET, KEY, Ran, World, config, sha256};

const SPEC: &str = "version: 0.2
phases:
  build:
    commands:
      - mkdir dist
      - echo \"exports.handler = async () => 'from codebuild';\" >dist/start.js
artifacts: { base-directory: dist, files: ['**/*'] }
";

fn client(world: &World) -> aws_sdk_codebuild::Client {
    let config = aws_sdk_codebuild::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(world.cloud.endpoint())
        .build();
    aws_sdk_codebuild::Client::from_conf(config)
}

/// A world whose project is built by a CodeBuild project with this buildspec and these artifacts.
async fn built_by(spec: &str, artifacts: ProjectArtifacts) -> World {
    let world = World::with_functions(&["a"]).await;
    world.write("quickdeploy.toml", &format!("codebuild = \"builder\"\n{}", config(&["a"], "direct")));
    let environment = ProjectEnvironment::builder()
        .r#type(EnvironmentType::LinuxContainer)
        .image("aws/codebuild/standard:7.0")
        .compute_type(ComputeType::BuildGeneral1Small)
        .build()
        .unwrap();
    client(&world)
        .create_project()
        .name("builder")
        .service_role("arn:aws:iam::000000000000:role/build")
        .source(ProjectSource::builder().r#type(SourceType::NoSource).buildspec(spec).build().unwrap())
        .artifacts(artifacts)
        .environment(environment)
        .send()
        .await
        .unwrap();
    world
}

fn zip_at(path: &str, name: &str) -> ProjectArtifacts {
    ProjectArtifacts::builder()
        .r#type(ArtifactsType::S3)
        .location(BUCKET)
        .path(path)
        .name(name)
        .packaging(ArtifactPackaging::Zip)
        .build()
        .unwrap()
}

fn none() -> ProjectArtifacts {
    ProjectArtifacts::builder().r#type(ArtifactsType::NoArtifacts).build().unwrap()
}

async fn assert_it_was_taken_over(world: &World) {
    let document = world.run(&["full", "--json"]).await.expect_code(0).json();
    assert!(document["build"]["codebuild"].as_str().unwrap().starts_with("builder:"), "{document}");
    assert_eq!(document["upload"]["status"], "byCodebuild");
    assert_eq!(document.get("package"), None);
    assert_eq!(document["functions"][0]["status"], "live");
    assert_eq!(world.live("a").await.0, sha256(&world.artifact().await));
    let answer = world.lambda.invoke().function_name("a").send().await.unwrap();
    let answer: Value = serde_json::from_slice(answer.payload().unwrap().as_ref()).unwrap();
    assert_eq!(answer, json!("from codebuild"));
    // It says of itself what a build here would have said.
    let head = world.s3.head_object().bucket(BUCKET).key(KEY).send().await.unwrap();
    assert_eq!(head.metadata().unwrap()["quickdeploy-verb"], "full");
    assert!(head.metadata().unwrap().contains_key("built-from"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zip_that_codebuild_leaves_elsewhere_becomes_the_artifact_inside_s3() {
    let world = built_by(SPEC, zip_at("builds", "out.zip")).await;
    assert_it_was_taken_over(&world).await;
    assert_eq!(world.requests("CopyObject").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn codebuild_may_write_the_artifact_itself() {
    let (path, name) = KEY.split_once('/').unwrap();
    let world = built_by(SPEC, zip_at(path, name)).await;
    assert_it_was_taken_over(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_leaves_no_package_is_an_error_that_says_how_it_could() {
    let world = built_by("version: 0.2\nphases: { build: { commands: [echo tested] } }\n", none()).await;
    let before = world.etag().await;
    let ran = world.run(&["full", "--json"]).await.expect_code(1);
    assert_eq!(ran.json()["error"]["errorType"], "NoPackage");
    assert!(ran.stderr.contains("artifacts of type S3 with packaging ZIP"), "{}", ran.stderr);
    assert_eq!(world.etag().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phase_that_fails_says_why_and_what_its_log_says() {
    let spec = "version: 0.2\nphases: { build: { commands: [\"echo cannot find module x\", \"exit 4\"] } }\n";
    let world = built_by(spec, zip_at("builds", "out.zip")).await;
    let ran = world.run(&["full", "--json"]).await.expect_code(1);
    let error = ran.json()["error"].clone();
    assert_eq!(error["errorType"], "BuildFailed");
    assert!(error["message"].as_str().unwrap().contains("ended FAILED in BUILD"), "{error}");
    let causes: Vec<&str> = error["causes"].as_array().unwrap().iter().map(|cause| cause.as_str().unwrap()).collect();
    assert!(causes[0].starts_with("COMMAND_EXECUTION_ERROR") && causes[0].contains("exit status 4"), "{causes:?}");
    assert!(causes[1].contains("cannot find module x"), "{causes:?}");
    assert!(ran.stderr.contains("BUILD            FAILED"), "{}", ran.stderr);
    world.assert_nothing_was_changed();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_that_is_not_there_is_named() {
    let world = World::with_functions(&["a"]).await;
    world.write("quickdeploy.toml", &format!("codebuild = \"biulder\"\n{}", config(&["a"], "direct")));
    let ran = world.run(&["full"]).await.expect_code(1);
    assert!(ran.stderr.contains("could not start a build of the CodeBuild project `biulder`"), "{}", ran.stderr);
    assert!(ran.stderr.contains("check `codebuild` in quickdeploy.toml"), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ctrl_c_stops_the_build() {
    let spec = "version: 0.2\nphases: { build: { commands: [\"sleep 60\"] } }\n";
    let world = built_by(spec, zip_at("builds", "out.zip")).await;
    let child = world.command(&["full"]).spawn().unwrap();
    let client = client(&world);
    let building = async {
        loop {
            let ids =
                client.list_builds_for_project().project_name("builder").send().await.unwrap().ids.unwrap_or_default();
            if let Some(id) = ids.first() {
                let build = client.batch_get_builds().ids(id).send().await.unwrap().builds.unwrap().remove(0);
                if build.current_phase() == Some("BUILD") && !world.requests("BatchGetBuilds").is_empty() {
                    return id.clone();
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let id = tokio::time::timeout(Duration::from_secs(30), building).await.expect("it never built");
    let pid = child.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let ran = Ran::of(&child.wait_with_output().await.unwrap()).expect_code(1);
    assert!(ran.stderr.contains("the build was stopped, and nothing was changed"), "{}", ran.stderr);
    let build = client.batch_get_builds().ids(id).send().await.unwrap().builds.unwrap().remove(0);
    assert_eq!(build.build_status(), Some(&StatusType::Stopped));
    world.assert_nothing_was_changed();
}
