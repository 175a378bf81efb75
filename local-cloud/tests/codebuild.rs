//! CodeBuild as clients of the SDK see it: builds that really run.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{Cursor, Read as _, Write as _};
use std::path::Path;
use std::time::Duration;

use aws_sdk_codebuild::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_codebuild::error::ProvideErrorMetadata;
use aws_sdk_codebuild::types::{
    ArtifactNamespace, ArtifactPackaging, ArtifactsType, Build, ComputeType, EnvironmentType, EnvironmentVariable,
    ProjectArtifacts, ProjectEnvironment, ProjectSource, SourceType, StatusType,
};
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use local_cloud::{Builder, CodeBuildSettings, LocalCloud};

const BUCKET: &str = "builds";

struct Bench {
    cloud: LocalCloud,
    codebuild: aws_sdk_codebuild::Client,
    s3: aws_sdk_s3::Client,
    logs: aws_sdk_cloudwatchlogs::Client,
}

fn quick() -> CodeBuildSettings {
    CodeBuildSettings { provisioning_delay: Duration::ZERO, ..CodeBuildSettings::default() }
}

impl Bench {
    async fn start() -> Self {
        let bench = Self::with(LocalCloud::builder().codebuild(quick())).await;
        bench.s3.create_bucket().bucket(BUCKET).send().await.unwrap();
        let enabled = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        bench.s3.put_bucket_versioning().bucket(BUCKET).versioning_configuration(enabled).send().await.unwrap();
        bench
    }

    async fn with(builder: Builder) -> Self {
        let cloud = builder.start().await.unwrap();
        let credentials = Credentials::new("test", "test", None, None, "test");
        let region = Region::new("us-east-1");
        let codebuild = aws_sdk_codebuild::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(region.clone())
            .credentials_provider(credentials.clone())
            .endpoint_url(cloud.endpoint())
            .build();
        let s3 = aws_sdk_s3::Config::builder()
            .behavior_version(aws_sdk_s3::config::BehaviorVersion::latest())
            .region(region.clone())
            .credentials_provider(credentials.clone())
            .endpoint_url(cloud.endpoint())
            .force_path_style(true)
            .build();
        let logs = aws_sdk_cloudwatchlogs::Config::builder()
            .behavior_version(aws_sdk_cloudwatchlogs::config::BehaviorVersion::latest())
            .region(region)
            .credentials_provider(credentials)
            .endpoint_url(cloud.endpoint())
            .build();
        Self {
            codebuild: aws_sdk_codebuild::Client::from_conf(codebuild),
            s3: aws_sdk_s3::Client::from_conf(s3),
            logs: aws_sdk_cloudwatchlogs::Client::from_conf(logs),
            cloud,
        }
    }

    async fn create(&self, source: ProjectSource, artifacts: ProjectArtifacts) {
        let variable =
            |name: &str, value: &str| EnvironmentVariable::builder().name(name).value(value).build().unwrap();
        let environment = ProjectEnvironment::builder()
            .r#type(EnvironmentType::LinuxContainer)
            .image("aws/codebuild/standard:7.0")
            .compute_type(ComputeType::BuildGeneral1Small)
            .environment_variables(variable("STAGE", "project"))
            .environment_variables(variable("OVERRIDDEN", "project"))
            .build()
            .unwrap();
        let create = self.codebuild.create_project().name("app").service_role("arn:aws:iam::000000000000:role/build");
        create.source(source).artifacts(artifacts).environment(environment).send().await.unwrap();
    }

    async fn put(&self, key: &str, bytes: Vec<u8>) -> Option<String> {
        self.s3.put_object().bucket(BUCKET).key(key).body(bytes.into()).send().await.unwrap().version_id
    }

    async fn get(&self, key: &str) -> Vec<u8> {
        let object = self.s3.get_object().bucket(BUCKET).key(key).send().await.unwrap();
        object.body.collect().await.unwrap().to_vec()
    }

    async fn build(&self, id: &str) -> Build {
        self.codebuild.batch_get_builds().ids(id).send().await.unwrap().builds.unwrap().remove(0)
    }

    /// Polls as clients do, until the build is complete.
    async fn completed(&self, started: Option<Build>) -> Build {
        let id = started.unwrap().id.unwrap();
        let poll = async {
            loop {
                let build = self.build(&id).await;
                if build.build_complete {
                    return build;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), poll).await.expect("the build never ends")
    }

    /// A build of an inline buildspec, to its end.
    async fn run(&self, buildspec: &str) -> Build {
        self.create(no_source(buildspec), no_artifacts()).await;
        let started = self.codebuild.start_build().project_name("app").send().await.unwrap();
        self.completed(started.build_value).await
    }

    /// What the build wrote, without what the agent did.
    async fn output(&self, build: &Build) -> Vec<String> {
        let logs = build.logs.as_ref().unwrap();
        let events = self.logs.get_log_events().start_from_head(true).log_group_name(logs.group_name().unwrap());
        let events = events.log_stream_name(logs.stream_name().unwrap()).send().await.unwrap().events.unwrap();
        let lines = events.into_iter().map(|event| event.message.unwrap().trim_end().to_owned());
        lines.filter(|line| !line.starts_with("[Container] ")).collect()
    }

    /// Waits until a build has written a line.
    async fn seen(&self, text: &str) {
        let look = async {
            loop {
                let found = self.logs.filter_log_events().log_group_name("/aws/codebuild/app").filter_pattern(text);
                if found.send().await.is_ok_and(|found| {
                    found.events().iter().any(|event| event.message().is_some_and(|line| line.starts_with(text)))
                }) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), look).await.unwrap_or_else(|_| panic!("`{text}` never came"));
    }
}

fn no_source(buildspec: &str) -> ProjectSource {
    ProjectSource::builder().r#type(SourceType::NoSource).buildspec(buildspec).build().unwrap()
}

fn from_s3(location: &str) -> ProjectSource {
    ProjectSource::builder().r#type(SourceType::S3).location(location).build().unwrap()
}

fn no_artifacts() -> ProjectArtifacts {
    ProjectArtifacts::builder().r#type(ArtifactsType::NoArtifacts).build().unwrap()
}

fn zipped(files: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in files {
        let options = zip::write::SimpleFileOptions::default().unix_permissions(0o755);
        writer.start_file(*name, options).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn phases(build: &Build) -> Vec<(&str, Option<&str>)> {
    let phases = build.phases().iter();
    phases.map(|phase| (phase.phase_type().unwrap().as_str(), phase.phase_status().map(StatusType::as_str))).collect()
}

/// Code and message of the phase that failed.
fn failure(build: &Build) -> (&str, &str) {
    let failed = build
        .phases()
        .iter()
        .find(|phase| phase.phase_status().is_some_and(|status| !matches!(status, StatusType::Succeeded)));
    let context = &failed.expect("no phase failed").contexts()[0];
    (context.status_code().unwrap(), context.message().unwrap())
}

fn is_alive(pid: &str) -> bool {
    std::process::Command::new("kill").args(["-0", pid]).output().unwrap().status.success()
}

const SPEC: &str = r#"
version: 0.2
env:
  variables:
    STAGE: buildspec
    OVERRIDDEN: buildspec
    NAME: world
  exported-variables: [RESULT]
phases:
  install:
    commands:
      - cd tools
  pre_build:
    commands:
      - basename "$PWD"
      - export RESULT="built for $NAME"
      - cd "$CODEBUILD_SRC_DIR"
  build:
    commands:
      - echo "$STAGE $OVERRIDDEN $CODEBUILD_BUILD_NUMBER $CODEBUILD_BUILD_SUCCEEDING"
      - |
        mkdir -p dist/lib
        ./tools/compile.sh >dist/lib/app.js
        echo map >dist/app.js.map
    finally:
      - echo at last
artifacts:
  base-directory: dist
  files: ['**/*']
  exclude-paths: ['**/*.map']
"#;

#[tokio::test]
async fn a_source_zip_becomes_an_artifact_zip() {
    let bench = Bench::start().await;
    let source = zipped(&[("buildspec.yml", SPEC), ("tools/compile.sh", "#!/bin/sh\necho \"// $NAME\"\n")]);
    bench.put("src/app.zip", source).await;
    let artifacts = ProjectArtifacts::builder()
        .r#type(ArtifactsType::S3)
        .location(BUCKET)
        .path("out")
        .name("app.zip")
        .packaging(ArtifactPackaging::Zip)
        .build()
        .unwrap();
    bench.create(from_s3("builds/src/app.zip"), artifacts).await;
    let overridden = EnvironmentVariable::builder().name("OVERRIDDEN").value("build").build().unwrap();
    let start = bench.codebuild.start_build().project_name("app").environment_variables_override(overridden);
    let started = start.send().await.unwrap().build_value.unwrap();
    assert_eq!((started.current_phase(), started.build_complete), (Some("QUEUED"), false));
    assert_eq!(started.build_status(), Some(&StatusType::InProgress));

    let build = bench.completed(Some(started)).await;
    assert_eq!(build.build_status(), Some(&StatusType::Succeeded), "{build:#?}");
    let all = [
        "SUBMITTED",
        "QUEUED",
        "PROVISIONING",
        "DOWNLOAD_SOURCE",
        "INSTALL",
        "PRE_BUILD",
        "BUILD",
        "POST_BUILD",
        "UPLOAD_ARTIFACTS",
        "FINALIZING",
    ];
    let mut expected: Vec<_> = all.iter().map(|name| (*name, Some("SUCCEEDED"))).collect();
    expected.push(("COMPLETED", None));
    assert_eq!(phases(&build), expected);
    assert_eq!(build.current_phase(), Some("COMPLETED"));
    assert!(build.end_time().unwrap() >= build.start_time().unwrap());
    assert_eq!(bench.output(&build).await, ["tools", "project build 1 1", "at last"]);
    let exported = &build.exported_environment_variables()[0];
    assert_eq!((exported.name(), exported.value()), (Some("RESULT"), Some("built for world")));

    assert_eq!(build.artifacts().unwrap().location(), Some("arn:aws:s3:::builds/out/app.zip"));
    let mut zip = zip::ZipArchive::new(Cursor::new(bench.get("out/app.zip").await)).unwrap();
    assert_eq!(zip.len(), 1);
    let mut text = String::new();
    zip.by_name("lib/app.js").unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "// world\n");
}

#[tokio::test]
async fn a_command_that_fails_is_named_and_post_build_still_runs() {
    let bench = Bench::start().await;
    let build = bench
        .run(
            "version: 0.2
phases:
  build:
    commands: [echo first, npm-that-is-not-there test, echo never]
    finally: [echo finally]
  post_build:
    commands: ['echo \"succeeding: $CODEBUILD_BUILD_SUCCEEDING\"']
",
        )
        .await;
    assert_eq!(build.build_status(), Some(&StatusType::Failed));
    let message = "Error while executing command: npm-that-is-not-there test. Reason: exit status 127";
    assert_eq!(failure(&build), ("COMMAND_EXECUTION_ERROR", message));
    assert!(phases(&build).contains(&("BUILD", Some("FAILED"))));
    assert!(phases(&build).contains(&("POST_BUILD", Some("SUCCEEDED"))));
    let output = bench.output(&build).await;
    assert!(output.contains(&"succeeding: 0".to_owned()) && output.contains(&"finally".to_owned()), "{output:?}");
    assert!(!output.contains(&"never".to_owned()), "{output:?}");
}

#[tokio::test]
async fn a_failure_before_the_build_leads_to_the_end() {
    let bench = Bench::start().await;
    let spec = "version: 0.2\nphases:\n  pre_build:\n    commands: [exit 3]\n  build:\n    commands: [echo built]\n";
    let build = bench.run(spec).await;
    assert_eq!(failure(&build).1, "Error while executing command: exit 3. Reason: exit status 3");
    let names: Vec<_> = phases(&build).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names[5..], ["PRE_BUILD", "FINALIZING", "COMPLETED"]);
    assert!(bench.output(&build).await.is_empty());
}

#[tokio::test]
async fn files_go_one_by_one_into_the_folder_of_the_build() {
    let bench = Bench::start().await;
    let artifacts = ProjectArtifacts::builder()
        .r#type(ArtifactsType::S3)
        .location(BUCKET)
        .namespace_type(ArtifactNamespace::BuildId)
        .override_artifact_name(true)
        .build()
        .unwrap();
    let spec = "version: 0.2
env: { variables: { V: '1.10' } }
phases: { build: { commands: [mkdir d, echo a >d/a, echo b >b] } }
artifacts: { files: ['**/*'], name: app-$V-$(echo x) }
";
    bench.create(no_source(spec), artifacts).await;
    let started = bench.codebuild.start_build().project_name("app").send().await.unwrap();
    let build = bench.completed(started.build_value).await;
    let uuid = build.id().unwrap().strip_prefix("app:").unwrap();
    assert_eq!(bench.get(&format!("{uuid}/app-1.10-x/d/a")).await, b"a\n");
    assert_eq!(bench.get(&format!("{uuid}/app-1.10-x/b")).await, b"b\n");
}

#[tokio::test]
async fn a_build_takes_the_version_and_the_buildspec_that_it_is_given() {
    let bench = Bench::start().await;
    let show = "version: 0.2\nphases:\n  build:\n    commands: [cat version.txt]\n";
    let source = |version| zipped(&[("version.txt", version), ("ci/show.yml", show)]);
    let old = bench.put("src.zip", source("old")).await.unwrap();
    bench.put("src.zip", source("new")).await;
    bench.create(from_s3("builds/src.zip"), no_artifacts()).await;
    let start = || bench.codebuild.start_build().project_name("app");
    let missing = bench.completed(start().send().await.unwrap().build_value).await;
    assert_eq!(failure(&missing).0, "YAML_FILE_ERROR");
    assert!(failure(&missing).1.starts_with("YAML file does not exist"), "{:?}", failure(&missing));
    let newest = bench.completed(start().buildspec_override("ci/show.yml").send().await.unwrap().build_value).await;
    assert_eq!(bench.output(&newest).await, ["new"]);
    let pinned = start().buildspec_override(show).source_version(&old).send().await.unwrap();
    let pinned = bench.completed(pinned.build_value).await;
    assert_eq!((pinned.source_version(), pinned.build_number()), (Some(old.as_str()), Some(3)));
    assert_eq!(bench.output(&pinned).await, ["old"]);
    let listed = bench.codebuild.list_builds_for_project().project_name("app").send().await.unwrap().ids.unwrap();
    assert_eq!(listed, [pinned.id().unwrap(), newest.id().unwrap(), missing.id().unwrap()]);
}

#[tokio::test]
async fn source_and_artifacts_that_are_not_to_be_had_fail_their_phases() {
    let bench = Bench::start().await;
    let lost = ProjectArtifacts::builder().r#type(ArtifactsType::S3).location("no-such-bucket").build().unwrap();
    bench.create(from_s3("builds/absent.zip"), lost.clone()).await;
    let start = || bench.codebuild.start_build().project_name("app");
    let build = bench.completed(start().send().await.unwrap().build_value).await;
    assert_eq!(phases(&build)[3], ("DOWNLOAD_SOURCE", Some("FAILED")));
    let (code, message) = failure(&build);
    assert_eq!(code, "CLIENT_ERROR");
    assert!(message.contains("NoSuchKey") && message.contains("s3://builds/absent.zip"), "{message}");

    let spec = "version: 0.2\nphases: {build: {commands: [echo a >a]}}\nartifacts: {files: [a]}\n";
    let inline = || start().source_type_override(SourceType::NoSource);
    let build = bench.completed(inline().buildspec_override(spec).send().await.unwrap().build_value).await;
    assert!(failure(&build).1.contains("NoSuchBucket"), "{:?}", failure(&build));
    let none = spec.replace("[a]", "[b]");
    let build = bench.completed(inline().buildspec_override(none).send().await.unwrap().build_value).await;
    assert_eq!(failure(&build), ("CLIENT_ERROR", "no matching artifact paths found"));
}

const ENDLESS: &str = "version: 0.2\nphases:\n  build:\n    commands:\n      - echo \"pid $$\"; sleep 600\n";

/// Starts a build that never ends and gives the process that it runs.
async fn endless(bench: &Bench) -> (String, String) {
    bench.create(no_source(ENDLESS), no_artifacts()).await;
    let started = bench.codebuild.start_build().project_name("app").send().await.unwrap().build_value.unwrap();
    let id = started.id.unwrap();
    // The line comes while the command still runs.
    bench.seen("pid").await;
    let line = bench.output(&bench.build(&id).await).await.remove(0);
    let pid = line.strip_prefix("pid ").unwrap().to_owned();
    assert!(is_alive(&pid));
    (id, pid)
}

#[tokio::test]
async fn a_build_that_is_stopped_leaves_no_process() {
    let bench = Bench::start().await;
    let (id, pid) = endless(&bench).await;
    assert_eq!(bench.build(&id).await.current_phase(), Some("BUILD"));
    let stopped = bench.codebuild.stop_build().id(&id).send().await.unwrap().build_value.unwrap();
    assert_eq!((stopped.build_status(), stopped.build_complete), (Some(&StatusType::Stopped), true));
    assert!(phases(&stopped).contains(&("BUILD", Some("STOPPED"))));
    assert!(!is_alive(&pid));
    let again = bench.codebuild.stop_build().id(&id).send().await.unwrap().build_value.unwrap();
    assert_eq!(again.build_status(), Some(&StatusType::Stopped));
}

#[tokio::test]
async fn no_build_outlives_the_cloud() {
    let bench = Bench::start().await;
    let (_, pid) = endless(&bench).await;
    bench.cloud.shutdown().await;
    assert!(!is_alive(&pid));
}

#[tokio::test]
async fn a_build_ends_when_its_time_is_up() {
    let settings = CodeBuildSettings { longest_build: Duration::from_millis(300), ..quick() };
    let bench = Bench::with(LocalCloud::builder().codebuild(settings)).await;
    let build = bench.run(ENDLESS).await;
    assert_eq!(build.build_status(), Some(&StatusType::TimedOut));
    assert_eq!(failure(&build).0, "BUILD_TIMED_OUT");
}

#[tokio::test]
async fn more_builds_than_may_run_wait_in_the_queue() {
    let settings = CodeBuildSettings { max_builds: 1, ..quick() };
    let bench = Bench::with(LocalCloud::builder().codebuild(settings)).await;
    let (first, _) = endless(&bench).await;
    let second = bench.codebuild.start_build().project_name("app").send().await.unwrap().build_value.unwrap();
    let id = second.id().unwrap();
    assert_eq!(bench.build(id).await.current_phase(), Some("QUEUED"));
    bench.codebuild.stop_build().id(first).send().await.unwrap();
    let begun = async {
        while bench.build(id).await.current_phase() == Some("QUEUED") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), begun).await.expect("it stays in the queue");
    bench.cloud.shutdown().await;
}

#[tokio::test]
async fn projects_come_and_go_by_their_names() {
    let bench = Bench::start().await;
    bench.create(no_source(ENDLESS), no_artifacts()).await;
    let client = &bench.codebuild;
    let found = client.batch_get_projects().names("app").names("other").send().await.unwrap();
    assert_eq!(found.projects()[0].arn(), Some("arn:aws:codebuild:us-east-1:000000000000:project/app"));
    assert_eq!(found.projects_not_found(), ["other"]);
    let updated = client.update_project().name("app").timeout_in_minutes(7).description("d").send().await.unwrap();
    let updated = updated.project.unwrap();
    assert_eq!((updated.timeout_in_minutes(), updated.description()), (Some(7), Some("d")));
    assert_eq!(client.list_projects().send().await.unwrap().projects(), ["app"]);
    client.delete_project().name("app").send().await.unwrap();
    let missing = client.start_build().project_name("app").send().await.unwrap_err();
    assert_eq!(missing.code(), Some("ResourceNotFoundException"));
    let arn = "arn:aws:codebuild:us-east-1:000000000000:project/app";
    assert_eq!(missing.message(), Some(format!("Project cannot be found: {arn}").as_str()));
    let unknown = client.stop_build().id("app:0").send().await.unwrap_err();
    assert_eq!(unknown.code(), Some("ResourceNotFoundException"));
}

#[tokio::test]
async fn projects_are_kept_in_the_data_directory() {
    let directory = tempfile::tempdir().unwrap();
    let start = async |path: &Path| Bench::with(LocalCloud::builder().data_dir(path).codebuild(quick())).await;
    let bench = start(directory.path()).await;
    bench.create(no_source("version: 0.2\nphases: {build: {commands: [echo kept]}}\n"), no_artifacts()).await;
    bench.cloud.shutdown().await;
    let bench = start(directory.path()).await;
    let started = bench.codebuild.start_build().project_name("app").send().await.unwrap();
    let build = bench.completed(started.build_value).await;
    assert_eq!(bench.output(&build).await, ["kept"]);
}
