//! 100 functions on one artifact: `quickdeploy` brings all of them to the edited code, and never asks for more than
//! Lambda's quota.

use std::process::Command;
use std::time::Duration;

use aws_sdk_lambda::types::{FunctionCode, Runtime};
use local_cloud::{Fault, LambdaSettings, LocalCloud, Service};
use quickdeploy_tests::archives::{archive, contents, project};
use quickdeploy_tests::binaries::{bootstrap, quickdeploy};
use quickdeploy_tests::cloud::{BUCKET, Cloud};
use serde_json::Value;

const FLEET: usize = 100;

async fn create_fleet(cloud: &Cloud, key: &str) -> Vec<String> {
    let names: Vec<String> = (0..FLEET).map(|at| format!("function-{at:03}")).collect();
    for name in &names {
        let code = FunctionCode::builder().s3_bucket(BUCKET).s3_key(key).build();
        let request = cloud
            .lambda
            .create_function()
            .function_name(name)
            .runtime(Runtime::Nodejs20x)
            .handler("handlers/start.handler")
            .role("arn:aws:iam::000000000000:role/function")
            .code(code);
        // The SDK retries what the quota refuses.
        request.send().await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
    }
    names
}

/// Writes the configuration and the project's own files as they are in the artifact.
fn write_project(folder: &std::path::Path, names: &[String], own: &[(&str, &[u8])]) {
    let functions: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    let config = format!(
        "artifact = \"s3://{BUCKET}/artifact.zip\"\nfunctions = [{}]\nvia = \"lambda\"\n",
        functions.join(", ")
    );
    std::fs::write(folder.join("quickdeploy.toml"), config).unwrap();
    for (name, content) in own {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
}

async fn deploy(cloud: &Cloud, folder: &std::path::Path) -> (i32, Value) {
    let mut command = Command::new(quickdeploy());
    command
        .args(["--json", "--endpoint-url", &cloud.endpoint()])
        .current_dir(folder)
        .env_remove("AWS_PROFILE")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_EC2_METADATA_DISABLED", "true");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let document = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code().unwrap(), document)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_functions_are_brought_live_within_the_quota_and_all_verified() {
    let zipedit = local_cloud::BuiltinFunction::new("zipedit", [bootstrap()]);
    let cloud = Cloud::start_from(LocalCloud::builder().function(zipedit).lambda(LambdaSettings::default())).await;
    cloud.keep_versions().await;
    let artifact = project(30, 400_000);
    cloud.put("artifact.zip", artifact.clone()).await;
    let names = create_fleet(&cloud, "artifact.zip").await;

    let folder = tempfile::tempdir().unwrap();
    let found = contents(&artifact);
    let own: Vec<(&str, &[u8])> = found
        .iter()
        .filter(|(name, _)| !name.starts_with("node_modules/"))
        .map(|(name, (content, _))| (name.as_str(), content.as_slice()))
        .collect();
    write_project(folder.path(), &names, &own);
    std::fs::write(folder.path().join("util.js"), "exports.name = 'edited';\n").unwrap();
    // One of them fails: that stops none of the others.
    cloud.functions().fail_next_update("function-042", "InternalError", "the fleet's odd one");
    // The quota's window of the creations is over.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    cloud.clear_requests();

    let (code, document) = deploy(&cloud, folder.path()).await;
    assert_eq!(code, 1, "one function failed: {document}");
    let throttled = cloud.requests().into_iter().filter(|request| request.status == 429).count();
    assert_eq!(throttled, 0);
    let updates = cloud.requests().into_iter().filter(|request| request.operation == "UpdateFunctionCode").count();
    assert_eq!(updates, FLEET, "each is sent its update once");
    let status_of = |document: &Value, name: &str| {
        let outcomes = document["functions"].as_array().unwrap();
        outcomes.iter().find(|outcome| outcome["name"] == name).unwrap()["status"].as_str().unwrap().to_owned()
    };
    assert_eq!(status_of(&document, "function-042"), "failed");
    let live = names.iter().filter(|name| status_of(&document, name) == "live").count();
    assert_eq!(live, FLEET - 1);

    // The next run updates only what is stale.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    cloud.clear_requests();
    let (code, document) = deploy(&cloud, folder.path()).await;
    assert_eq!(code, 0, "{document}");
    let updated: Vec<_> = cloud.requests().into_iter().filter(|it| it.operation == "UpdateFunctionCode").collect();
    assert_eq!(updated.len(), 1);
    assert_eq!(updated[0].resource.as_deref(), Some("function-042"));

    // What they run is what is in the bucket, to the byte.
    let shown = cloud.lambda.get_function().function_name("function-042").send().await.unwrap();
    let configuration = shown.configuration().unwrap();
    assert_eq!(configuration.code_size(), i64::try_from(cloud.get("artifact.zip").await.len()).unwrap());
    let hashes: std::collections::BTreeSet<_> =
        document["functions"].as_array().unwrap().iter().map(|it| it["codeSha256"].to_string()).collect();
    assert_eq!(hashes.len(), 1, "all run the same code");
    assert_eq!(document["functions"][0]["codeSha256"].as_str(), configuration.code_sha256());
}

#[tokio::test]
async fn an_artifact_that_cannot_be_read_changes_nothing_and_no_function() {
    let cloud = Cloud::with_zipedit(bootstrap()).await;
    cloud.put("artifact.zip", archive([("a.js".to_owned(), b"a".to_vec())])).await;
    let folder = tempfile::tempdir().unwrap();
    write_project(folder.path(), &["nobody".to_owned()], &[("a.js", b"changed")]);
    let (code, document) = deploy(&cloud, folder.path()).await;
    assert_eq!((code, document["ok"].as_bool()), (1, Some(false)));
    assert!(document.to_string().contains("nobody"), "{document}");

    cloud.faults().inject(Fault::on("GetObject").always());
    let (code, _) = deploy(&cloud, folder.path()).await;
    assert_eq!(code, 1);
    cloud.faults().clear();
    let written = cloud.requests().into_iter().filter(|request| {
        request.service == Service::Lambda && request.operation == "UpdateFunctionCode"
            || ["CompleteMultipartUpload", "Invoke"].contains(&request.operation.as_str())
    });
    assert_eq!(written.count(), 0);
    assert_eq!(contents(&cloud.get("artifact.zip").await)["a.js"].0, b"a");
}
