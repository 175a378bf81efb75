//! `quickdeploy doctor`: what is wrong is found, named and mended, and nothing is changed by looking.

use aws_sdk_lambda::types::S3ObjectStorageMode;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::types::{
    BucketLifecycleConfiguration, BucketVersioningStatus, ExpirationStatus, LifecycleExpiration, LifecycleRule,
    LifecycleRuleFilter, NoncurrentVersionExpiration, VersioningConfiguration,
};
use local_cloud::{Action, Fault, LocalCloud};
use serde_json::Value;

use crate::world::{BUCKET, KEY, Ran, World, command, config};

const DENIED: Action = Action::Respond { status: 403, code: "AccessDenied" };
const LAMBDA_DENIED: Action = Action::Respond { status: 403, code: "AccessDeniedException" };

async fn examine(world: &World) -> Ran {
    world.run(&["doctor", "--json"]).await
}

/// The findings of one check, or about one action.
fn findings<'a>(document: &'a Value, name: &str) -> Vec<&'a Value> {
    let all = document["findings"].as_array().unwrap();
    all.iter().filter(|finding| finding["check"] == name || finding["permission"]["action"] == name).collect()
}

fn only<'a>(document: &'a Value, name: &str) -> &'a Value {
    match findings(document, name)[..] {
        [one] => one,
        ref others => panic!("{name}: {others:#?}\n{document:#}"),
    }
}

fn mend(finding: &Value) -> String {
    finding["mend"].to_string()
}

#[tokio::test]
async fn a_healthy_project_has_all_that_a_deployment_needs_and_looking_changes_nothing() {
    let world = World::with_functions(&["start", "stop"]).await;
    let before = (world.etag().await, world.live("start").await);
    let ran = examine(&world).await.expect_code(0);
    let document = ran.json();
    assert_eq!(document["ok"], true);
    assert_eq!(document["policy"], Value::Null);
    for action in [
        "s3:GetObject",
        "s3:GetObjectTagging",
        "s3:PutObject",
        "s3:AbortMultipartUpload",
        "s3:ListBucketVersions",
        "logs:FilterLogEvents",
    ] {
        assert_eq!(only(&document, action)["level"], "ok", "{action}");
    }
    assert_eq!(findings(&document, "lambda:UpdateFunctionCode").len(), 2);
    assert_eq!(findings(&document, "function").len(), 2);
    for finding in document["findings"].as_array().unwrap() {
        assert_ne!(finding["level"], "failed", "{finding:#}");
    }
    assert_eq!((world.etag().await, world.live("start").await), before);
    assert_eq!(world.requests("CompleteMultipartUpload").len() + world.requests("PutObject").len(), 0);
    let left = world.s3.list_multipart_uploads().bucket(BUCKET).send().await.unwrap();
    assert!(left.uploads().is_empty(), "{left:?}");
}

#[tokio::test]
async fn each_permission_that_is_missing_is_named_with_its_resource_and_statement() {
    let object = format!("arn:aws:s3:::{BUCKET}/{KEY}");
    let function = "arn:aws:lambda:us-east-1:000000000000:function:start".to_owned();
    let cases = [
        ("CreateMultipartUpload", DENIED, "s3:PutObject", &object, "failed"),
        ("AbortMultipartUpload", DENIED, "s3:AbortMultipartUpload", &object, "failed"),
        ("GetObject", DENIED, "s3:GetObject", &object, "failed"),
        ("GetObjectTagging", DENIED, "s3:GetObjectTagging", &object, "warning"),
        ("UpdateFunctionCode", LAMBDA_DENIED, "lambda:UpdateFunctionCode", &function, "failed"),
        ("GetFunction", LAMBDA_DENIED, "lambda:GetFunction", &function, "failed"),
    ];
    let world = World::with_functions(&["start"]).await;
    for (operation, refused, action, resource, level) in cases {
        world.cloud.faults().clear();
        world.cloud.faults().inject(Fault::on(operation).always().then(refused));
        let ran = examine(&world).await.expect_code(i32::from(level == "failed"));
        let document = ran.json();
        let finding = only(&document, action);
        assert_eq!(finding["level"], *level, "{finding:#}");
        assert_eq!(finding["permission"]["resource"], **resource);
        assert!(mend(finding).contains(action) && mend(finding).contains(resource.as_str()), "{finding:#}");
        let statements = document["policy"]["Statement"].as_array().unwrap();
        let named = statements.iter().any(|statement| {
            statement["Resource"] == **resource && statement["Action"].as_array().unwrap().contains(&action.into())
        });
        assert!(named, "{statements:#?}");
    }
}

#[tokio::test]
async fn an_upload_is_not_begun_where_it_could_not_be_aborted() {
    let world = World::with_functions(&["start"]).await;
    world.cloud.faults().inject(Fault::on("AbortMultipartUpload").always().then(DENIED));
    let document = examine(&world).await.expect_code(1).json();
    assert_eq!(only(&document, "s3:PutObject")["level"], "notChecked");
    assert_eq!(world.requests("CreateMultipartUpload").len(), 0);
}

#[tokio::test]
async fn a_function_that_is_missing_does_not_hide_the_others() {
    let world = World::with_functions(&["start"]).await;
    world.write("quickdeploy.toml", &config(&["start", "gone"], "direct"));
    let document = examine(&world).await.expect_code(1).json();
    let found = findings(&document, "function");
    assert_eq!(found.len(), 2);
    let gone = found.iter().find(|finding| finding["level"] == "failed").unwrap();
    assert!(gone["message"].as_str().unwrap().contains("`gone`"), "{gone:#}");
}

#[tokio::test]
async fn only_a_configuration_that_uses_the_function_needs_it() {
    let world = World::with_functions(&["start"]).await;
    world.lambda.delete_function().function_name("zipedit").send().await.unwrap();
    for (via, code, level) in [("lambda", 1, Some("failed")), ("auto", 0, Some("warning")), ("direct", 0, None)] {
        world.write("quickdeploy.toml", &config(&["start"], via));
        let document = examine(&world).await.expect_code(code).json();
        let found = findings(&document, "zipedit");
        assert_eq!(found.first().map(|finding| finding["level"].as_str().unwrap()), level, "{via}: {found:#?}");
        if let Some(finding) = found.first() {
            assert!(mend(finding).contains("quickdeploy bootstrap"), "{finding:#}");
        }
    }
}

#[tokio::test]
async fn the_function_is_asked_whether_it_can_read_the_artifact() {
    let world = World::with_functions(&["start"]).await;
    world.write("quickdeploy.toml", &config(&["start"], "lambda"));
    let document = examine(&world).await.expect_code(0).json();
    let zipedit = only(&document, "zipedit");
    let expected = format!("`zipedit` {} can read the artifact", env!("CARGO_PKG_VERSION"));
    assert_eq!(zipedit["message"], expected);
    assert_eq!(zipedit["level"], "ok");
}

#[tokio::test]
async fn a_bucket_without_versions_is_a_warning_with_the_command_that_mends_it() {
    let world = World::with_functions(&["start"]).await;
    let off = VersioningConfiguration::builder().status(BucketVersioningStatus::Suspended).build();
    world.s3.put_bucket_versioning().bucket(BUCKET).versioning_configuration(off).send().await.unwrap();
    let document = examine(&world).await.expect_code(0).json();
    let versioning = only(&document, "versioning");
    assert_eq!(versioning["level"], "warning");
    assert!(mend(versioning).contains("put-bucket-versioning --bucket artifacts"), "{versioning:#}");
}

#[tokio::test]
async fn a_rule_that_expires_the_artifact_is_found_by_its_filter() {
    let world = World::with_functions(&["start"]).await;
    let rule = |id: &str, prefix: &str| {
        LifecycleRule::builder()
            .id(id)
            .status(ExpirationStatus::Enabled)
            .filter(LifecycleRuleFilter::builder().prefix(prefix).build())
            .expiration(LifecycleExpiration::builder().days(30).build())
            .build()
            .unwrap()
    };
    let rules = BucketLifecycleConfiguration::builder().rules(rule("logs", "logs/")).rules(rule("tidy", "app/"));
    let rules = rules.build().unwrap();
    world.s3.put_bucket_lifecycle_configuration().bucket(BUCKET).lifecycle_configuration(rules).send().await.unwrap();
    let document = examine(&world).await.expect_code(0).json();
    let found = only(&document, "lifecycle");
    assert_eq!(found["level"], "warning");
    let message = found["message"].as_str().unwrap();
    assert!(message.contains("`tidy`") && message.contains("30 days"), "{message}");
    // The rules that are there would be replaced by a command that names only the new one.
    assert!(mend(only(&document, "unfinishedUploads")).contains("add to the rules"), "{document:#}");
}

#[tokio::test]
async fn what_would_stop_a_function_that_runs_from_the_bucket_is_a_failure() {
    let world = World::with_functions(&["start"]).await;
    let update = world.lambda.update_function_code().function_name("start").s3_bucket(BUCKET).s3_key(KEY);
    update.s3_object_storage_mode(S3ObjectStorageMode::Reference).send().await.unwrap();
    let rule = LifecycleRule::builder()
        .id("tidy")
        .status(ExpirationStatus::Enabled)
        .filter(LifecycleRuleFilter::builder().prefix("").build())
        .expiration(LifecycleExpiration::builder().days(30).build())
        .noncurrent_version_expiration(NoncurrentVersionExpiration::builder().noncurrent_days(7).build())
        .build()
        .unwrap();
    let rules = BucketLifecycleConfiguration::builder().rules(rule).build().unwrap();
    world.s3.put_bucket_lifecycle_configuration().bucket(BUCKET).lifecycle_configuration(rules).send().await.unwrap();
    let off = VersioningConfiguration::builder().status(BucketVersioningStatus::Suspended).build();
    world.s3.put_bucket_versioning().bucket(BUCKET).versioning_configuration(off).send().await.unwrap();

    let document = examine(&world).await.expect_code(1).json();
    let levels: Vec<&str> =
        findings(&document, "lifecycle").iter().map(|finding| finding["level"].as_str().unwrap()).collect();
    assert_eq!(levels, ["failed", "warning"]);
    assert_eq!(only(&document, "versioning")["level"], "failed");
    for finding in findings(&document, "lifecycle").into_iter().chain([only(&document, "versioning")]) {
        assert!(finding["message"].as_str().unwrap().contains("`start` runs from it"), "{finding:#}");
    }
}

#[tokio::test]
async fn an_update_that_failed_is_told_with_the_reason_of_aws() {
    let world = World::with_functions(&["start"]).await;
    world.cloud.functions().fail_next_update("start", "DisabledKMSKey", "The key is disabled");
    let update = world.lambda.update_function_code().function_name("start").s3_bucket(BUCKET).s3_key(KEY);
    update.send().await.unwrap();
    world.settled("start").await;
    let document = examine(&world).await.expect_code(0).json();
    let function = only(&document, "function");
    assert_eq!(function["level"], "warning");
    assert!(function["message"].as_str().unwrap().contains("The key is disabled (DisabledKMSKey)"), "{function:#}");
}

#[tokio::test]
async fn what_a_full_build_needs_is_looked_for_where_one_is_configured() {
    let world = World::with_functions(&["start"]).await;
    let document = examine(&world).await.expect_code(0).json();
    assert_eq!(findings(&document, "codebuild:BatchGetProjects").len(), 0);
    assert_eq!(findings(&document, "cloudformation:DescribeStacks").len(), 0, "no zipedit stack with via = \"direct\"");

    let more = "codebuild = \"gone\"\nstack = \"app\"\n";
    world.write("quickdeploy.toml", &format!("{}{more}", config(&["start"], "direct")));
    world.cloud.faults().inject(Fault::on("DescribeStacks").always().then(DENIED));
    let document = examine(&world).await.expect_code(0).json();
    assert_eq!(only(&document, "codebuild:BatchGetProjects")["level"], "ok");
    assert!(only(&document, "codebuild")["message"].as_str().unwrap().contains("no CodeBuild project `gone`"));
    let stacks = only(&document, "cloudformation:DescribeStacks");
    assert_eq!(stacks["level"], "warning");
    let resource = "arn:aws:cloudformation:us-east-1:000000000000:stack/app/*";
    assert_eq!(stacks["permission"]["resource"], resource);
}

#[tokio::test]
async fn uploads_of_today_are_left_alone() {
    let world = World::with_functions(&["start"]).await;
    world.s3.create_multipart_upload().bucket(BUCKET).key(KEY).send().await.unwrap();
    let ran = world.run(&["doctor", "--json", "--fix", "--yes"]).await.expect_code(0);
    let document = ran.json();
    assert_eq!(only(&document, "uploads")["level"], "ok");
    assert!(only(&document, "uploads")["message"].as_str().unwrap().contains("1 upload under way"));
    assert_eq!(document["aborted"], serde_json::json!([]));
    let left = world.s3.list_multipart_uploads().bucket(BUCKET).send().await.unwrap();
    assert_eq!(left.uploads().len(), 1);
}

/// Makes every unfinished upload in a local cloud's directory two days older.
fn age_uploads(data: &std::path::Path) -> usize {
    let uploads = std::fs::read_dir(data.join("buckets").join(BUCKET).join("uploads")).unwrap();
    let mut aged = 0;
    for file in uploads.map(|file| file.unwrap().path()) {
        let mut record: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        record["started"] = (record["started"].as_i64().unwrap() - 2 * 24 * 3600).into();
        std::fs::write(&file, record.to_string()).unwrap();
        aged += 1;
    }
    aged
}

#[tokio::test]
async fn uploads_that_are_left_behind_are_told_and_with_a_yes_aborted() {
    let data = tempfile::tempdir().unwrap();
    let project = tempfile::tempdir().unwrap();
    std::fs::write(project.path().join("quickdeploy.toml"), config(&["start"], "direct")).unwrap();
    let started = async || LocalCloud::builder().data_dir(data.path()).start().await.unwrap();
    let run = async |cloud: &LocalCloud, arguments: &[&str]| {
        Ran::of(&command(project.path(), &cloud.endpoint(), arguments).output().await.unwrap()).json()
    };

    let cloud = started().await;
    let s3 = s3_client(&cloud);
    s3.create_bucket().bucket(BUCKET).send().await.unwrap();
    for key in [KEY, "app/app.zip.bak"] {
        s3.create_multipart_upload().bucket(BUCKET).key(key).send().await.unwrap();
    }
    cloud.shutdown().await;
    assert_eq!(age_uploads(data.path()), 2);

    let cloud = started().await;
    let document = run(&cloud, &["doctor", "--json"]).await;
    let uploads = only(&document, "uploads");
    assert_eq!(uploads["level"], "warning");
    assert!(uploads["message"].as_str().unwrap().contains("begun 2 days ago"), "{uploads:#}");
    assert!(mend(uploads).contains("doctor --fix"), "{uploads:#}");
    assert_eq!(document["aborted"], serde_json::json!([]));

    let document = run(&cloud, &["doctor", "--fix", "--yes", "--json"]).await;
    assert_eq!(document["aborted"].as_array().unwrap().len(), 1, "{document:#}");
    assert_eq!(document["aborted"][0]["key"], KEY);
    // That of another key is somebody else's to judge.
    let left = s3_client(&cloud).list_multipart_uploads().bucket(BUCKET).send().await.unwrap();
    let left: Vec<_> = left.uploads().iter().map(|upload| upload.key().unwrap()).collect();
    assert_eq!(left, ["app/app.zip.bak"]);
}

fn s3_client(cloud: &LocalCloud) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(cloud.endpoint())
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .force_path_style(true);
    aws_sdk_s3::Client::from_conf(config.build())
}

#[tokio::test]
async fn without_anybody_to_ask_nothing_is_fixed() {
    let world = World::with_functions(&["start"]).await;
    let ran = world.run(&["doctor", "--fix"]).await.expect_code(2);
    assert!(ran.stderr.contains("--yes"), "{ran:#?}");
    assert!(world.cloud.requests().is_empty());
}

#[tokio::test]
async fn without_a_configuration_the_account_is_examined_all_the_same() {
    let world = World::with_functions(&["start"]).await;
    std::fs::remove_file(world.project.path().join("quickdeploy.toml")).unwrap();
    let document = examine(&world).await.expect_code(1).json();
    assert_eq!(only(&document, "config")["level"], "failed");
    let who = only(&document, "credentials");
    assert_eq!(who["message"], "you are arn:aws:iam::000000000000:user/test");
    assert_eq!(only(&document, "clock")["level"], "ok");
}

#[tokio::test]
async fn credentials_that_aws_does_not_accept_are_one_finding_and_not_twenty() {
    let world = World::with_functions(&["start"]).await;
    let expired = Action::Respond { status: 403, code: "ExpiredToken" };
    world.cloud.faults().inject(Fault::on("*").always().then(expired));
    let document = examine(&world).await.expect_code(1).json();
    assert_eq!(only(&document, "credentials")["level"], "failed");
    let failed: Vec<&Value> =
        document["findings"].as_array().unwrap().iter().filter(|finding| finding["level"] == "failed").collect();
    assert_eq!(failed.len(), 1, "{failed:#?}");
}

#[tokio::test]
async fn an_artifact_that_is_no_zip_and_one_that_is_missing_are_told_apart() {
    let world = World::with_functions(&["start"]).await;
    world.s3.put_object().bucket(BUCKET).key(KEY).body(b"hello".to_vec().into()).send().await.unwrap();
    let document = examine(&world).await.expect_code(1).json();
    assert!(only(&document, "artifact")["message"].as_str().unwrap().contains("not a zip"), "{document:#}");
    world.s3.delete_object().bucket(BUCKET).key(KEY).send().await.unwrap();
    let document = examine(&world).await.expect_code(1).json();
    let missing = only(&document, "artifact");
    assert!(missing["message"].as_str().unwrap().contains("there is no artifact"), "{missing:#}");
    assert!(mend(missing).contains("quickdeploy full"), "{missing:#}");
}

#[tokio::test]
async fn people_see_headings_marks_and_the_way_out() {
    let world = World::with_functions(&["start"]).await;
    world.cloud.faults().inject(Fault::on("CreateMultipartUpload").always().then(DENIED));
    let ran = world.run(&["doctor"]).await.expect_code(1);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert!(lines.contains(&"Account") && lines.contains(&"Permissions"), "{}", ran.stdout);
    let failed = lines.iter().position(|line| line.starts_with("      FAILED s3:PutObject on ")).unwrap();
    assert!(lines[failed + 1].trim_start().starts_with("→ allow it: {\"Effect\""), "{}", ran.stdout);
    assert!(ran.stderr.contains("1 thing that a deployment needs is broken"), "{}", ran.stderr);
}

/// A rule that deletes what was replaced seven days ago, except for the newest of them.
async fn delete_noncurrent(world: &World, kept: Option<i32>) {
    let noncurrent = NoncurrentVersionExpiration::builder().noncurrent_days(7).set_newer_noncurrent_versions(kept);
    let rule = LifecycleRule::builder()
        .id("tidy")
        .status(ExpirationStatus::Enabled)
        .filter(LifecycleRuleFilter::builder().prefix("app/").build())
        .noncurrent_version_expiration(noncurrent.build())
        .build()
        .unwrap();
    let rules = BucketLifecycleConfiguration::builder().rules(rule).build().unwrap();
    world.s3.put_bucket_lifecycle_configuration().bucket(BUCKET).lifecycle_configuration(rules).send().await.unwrap();
}

#[tokio::test]
async fn a_function_that_is_left_on_an_older_version_stops_with_it() {
    let world = World::with_functions(&["start", "stop"]).await;
    let version = world.s3.head_object().bucket(BUCKET).key(KEY).send().await.unwrap().version_id.unwrap();
    let update = world.lambda.update_function_code().function_name("stop").s3_bucket(BUCKET).s3_key(KEY);
    let update = update.s3_object_version(&version).s3_object_storage_mode(S3ObjectStorageMode::Reference);
    update.send().await.unwrap();
    let document = examine(&world).await.expect_code(0).json();
    assert!(findings(&document, "reference").is_empty(), "it runs from the current one");

    world.write("start.js", "// newer\n");
    world.run(&["--function", "start"]).await.expect_code(0);
    let document = examine(&world).await.expect_code(0).json();
    let reference = only(&document, "reference");
    assert_eq!(reference["level"], "ok");
    let message = reference["message"].as_str().unwrap();
    assert!(message.starts_with("`stop` runs from version ") && message.contains("1 version behind"), "{message}");

    delete_noncurrent(&world, Some(2)).await;
    let document = examine(&world).await.expect_code(0).json();
    let reference = only(&document, "reference");
    assert_eq!(reference["level"], "warning");
    let message = reference["message"].as_str().unwrap();
    assert!(message.contains("`tidy` deletes that some time after 2 more versions"), "{message}");

    delete_noncurrent(&world, None).await;
    let document = examine(&world).await.expect_code(1).json();
    let reference = only(&document, "reference");
    assert_eq!(reference["level"], "failed");
    let replaced = std::time::SystemTime::now() + std::time::Duration::from_secs(8 * 24 * 3600);
    let day = aws_sdk_s3::primitives::DateTime::from(replaced).to_string();
    let day = day.split('T').next().unwrap();
    assert!(reference["message"].as_str().unwrap().contains(&format!("deletes that on {day}, and then it stops")));
    assert!(mend(reference).contains("quickdeploy deploy --all"), "{reference:#}");

    world.s3.delete_object().bucket(BUCKET).key(KEY).version_id(&version).send().await.unwrap();
    let document = examine(&world).await.expect_code(1).json();
    assert!(only(&document, "reference")["message"].as_str().unwrap().contains("which is gone"), "{document:#}");
    // What it says mends it.
    world.run(&["deploy", "--all"]).await.expect_code(0);
    let document = examine(&world).await.expect_code(0).json();
    assert!(findings(&document, "reference").is_empty(), "{document:#}");
}

#[tokio::test]
async fn credentials_that_end_soon_are_a_warning_with_the_way_to_renew_them() {
    let world = World::with_functions(&["start"]).await;
    let examine = async |minutes: i64| {
        let now = aws_sdk_s3::primitives::DateTime::from(std::time::SystemTime::now());
        let end = aws_sdk_s3::primitives::DateTime::from_secs(now.secs() + minutes * 60).to_string();
        let mut command = world.command(&["doctor", "--json"]);
        command.env("AWS_SESSION_TOKEN", "token").env("AWS_CREDENTIAL_EXPIRATION", end);
        Ran::of(&command.output().await.unwrap()).expect_code(0).json()
    };

    let document = examine(5).await;
    let expiry = only(&document, "expiry");
    assert_eq!(expiry["level"], "warning");
    assert!(expiry["message"].as_str().unwrap().starts_with("the credentials end in 4 min "), "{expiry:#}");
    assert!(mend(expiry).contains("aws configure export-credentials"), "{expiry:#}");

    let document = examine(-2).await;
    assert!(only(&document, "expiry")["message"].as_str().unwrap().starts_with("the credentials ended 2 min "));
    let document = examine(60).await;
    assert_eq!(only(&document, "expiry")["level"], "ok");
}

#[cfg(unix)]
#[tokio::test]
async fn a_profile_whose_credentials_end_soon_is_named() {
    let world = World::with_functions(&["start"]).await;
    let end = std::time::SystemTime::now() + std::time::Duration::from_secs(10 * 60);
    let end = aws_sdk_s3::primitives::DateTime::from(end).to_string();
    let keys = format!(
        r#"{{"Version": 1, "AccessKeyId": "test", "SecretAccessKey": "test", "SessionToken": "t", "Expiration": "{end}"}}"#
    );
    world.write("keys.json", &keys);
    let keys = world.project.path().join("keys.json");
    world.write("aws-config", &format!("[profile dev]\ncredential_process = cat {}\n", keys.display()));
    let mut command = world.command(&["doctor", "--json", "--profile", "dev"]);
    command.env("AWS_CONFIG_FILE", world.project.path().join("aws-config"));
    let document = Ran::of(&command.output().await.unwrap()).expect_code(0).json();
    let expiry = only(&document, "expiry");
    assert_eq!(expiry["level"], "warning");
    assert!(mend(expiry).contains("aws sso login --profile dev"), "{expiry:#}");
}

#[tokio::test]
async fn what_is_permitted_fits_into_80_columns() {
    let world = World::with_functions(&["start"]).await;
    let ran = world.run(&["doctor"]).await.expect_code(0);
    let permissions = ran.stdout.split_once("Permissions\n").unwrap().1;
    let listed: Vec<&str> = permissions.lines().take_while(|line| !line.contains("not checked")).collect();
    assert!(listed.len() > 1 && listed[0].starts_with("          ok "), "{permissions}");
    for line in listed.iter().take_while(|line| line.contains("s3:") || line.contains("lambda:")) {
        assert!(line.chars().count() <= 80, "{line}");
    }
}
