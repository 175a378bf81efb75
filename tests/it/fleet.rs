//! 500 functions on one artifact: whatever happens to single ones and to the network, `quickdeploy` brings all others to the
//! edited code, never asks for more than Lambda's quota, says who is left, and does only the rest the next time.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::{Duration, Instant};

use aws_sdk_lambda::types::{FunctionCode, Runtime};
use futures::StreamExt as _;
use local_cloud::{Action, Fault, LambdaSettings, LocalCloud, Service};
use quickdeploy_tests::archives::{archive, contents, project};
use quickdeploy_tests::binaries::{bootstrap, quickdeploy};
use quickdeploy_tests::cloud::{BUCKET, Cloud};
use serde_json::Value;

const FLEET: usize = 500;
/// How long the network is gone. Longer than single calls are tried again when nobody was ever reached.
const OUTAGE: Duration = Duration::from_secs(10);

async fn create_fleet(cloud: &Cloud, key: &str) -> Vec<String> {
    let names: Vec<String> = (0..FLEET).map(|at| format!("function-{at:03}")).collect();
    futures::stream::iter(&names)
        .map(|name| async move {
            let code = FunctionCode::builder().s3_bucket(BUCKET).s3_key(key).build();
            let request = cloud
                .lambda
                .create_function()
                .function_name(name)
                .runtime(Runtime::Nodejs20x)
                .handler("handlers/start.handler")
                .role("arn:aws:iam::000000000000:role/function")
                .code(code);
            request.send().await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        })
        .buffer_unordered(16)
        .collect::<Vec<()>>()
        .await;
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

/// What went wrong, by function.
fn failures(document: &Value) -> BTreeMap<String, String> {
    let outcomes = document["functions"].as_array().unwrap().iter();
    let failed = outcomes.filter(|outcome| outcome["status"] == "failed");
    failed.map(|it| (it["name"].as_str().unwrap().to_owned(), it["error"].to_string())).collect()
}

fn count(document: &Value, status: &str) -> usize {
    document["functions"].as_array().unwrap().iter().filter(|outcome| outcome["status"] == status).count()
}

/// Names in the order in which they were asked to be updated, again and again if they were.
fn updates(cloud: &Cloud) -> Vec<String> {
    let requests = cloud.requests().into_iter().filter(|request| request.operation == "UpdateFunctionCode");
    requests.filter_map(|request| request.resource).collect()
}

/// Waits until so many updates were asked for.
async fn under_way(cloud: &Cloud, wanted: usize) {
    while updates(cloud).len() < wanted {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_500_functions_all_that_can_be_brought_live_are_and_the_next_run_does_only_the_rest() {
    let zipedit = local_cloud::BuiltinFunction::new("zipedit", [bootstrap()]);
    let settings =
        LambdaSettings { control_plane_rate: 0.0, create_delay: Duration::ZERO, ..LambdaSettings::default() };
    let cloud = Cloud::start_from(LocalCloud::builder().function(zipedit).lambda(settings)).await;
    cloud.keep_versions().await;
    let artifact = project(3, 1000);
    cloud.put("artifact.zip", artifact.clone()).await;
    let mut names = create_fleet(&cloud, "artifact.zip").await;
    cloud.functions().set_control_plane_rate(LambdaSettings::default().control_plane_rate);

    let folder = tempfile::tempdir().unwrap();
    let found = contents(&artifact);
    let own: Vec<(&str, &[u8])> = found
        .iter()
        .filter(|(name, _)| !name.starts_with("node_modules/"))
        .map(|(name, (content, _))| (name.as_str(), content.as_slice()))
        .collect();
    write_project(folder.path(), &names, &own);
    std::fs::write(folder.path().join("util.js"), "exports.name = 'edited';\n").unwrap();
    cloud.clear_requests();

    // AWS fails one, another has a network to be attached to, some are throttled or being updated by somebody else.
    cloud.functions().fail_next_update("function-042", "InternalError", "the fleet's odd one");
    cloud.functions().delay_next_update("function-007", Duration::from_secs(8));
    let throttled = Action::Respond { status: 429, code: "TooManyRequestsException" };
    let conflict = Action::Respond { status: 409, code: "ResourceConflictException" };
    for at in 0..10 {
        let on = |at: usize| Fault::on("UpdateFunctionCode").about(format!("function-{at:03}"));
        cloud.faults().inject(on(100 + at).times(2).then(throttled));
        cloud.faults().inject(on(200 + at).then(conflict));
    }
    quickdeploy();
    let begun = Instant::now();
    let (deployed, deleted) = tokio::join!(deploy(&cloud, folder.path()), async {
        under_way(&cloud, FLEET / 5).await;
        let sent = updates(&cloud);
        let special = |name: &str| ["function-007", "function-042"].contains(&name);
        let waiting = names.iter().rev().find(|&name| !special(name) && !sent.contains(name)).unwrap().clone();
        cloud.lambda.delete_function().function_name(&waiting).send().await.unwrap();
        under_way(&cloud, FLEET / 2).await;
        let before = cloud.requests().len();
        cloud.faults().go_away(OUTAGE);
        tokio::time::sleep(OUTAGE - Duration::from_millis(500)).await;
        let during = cloud.requests().len() - before;
        println!("the network was gone for {OUTAGE:?}, {during} requests came through");
        assert!(during < 10, "it wasn't gone");
        waiting
    });
    let (code, document) = deployed;
    let took = begun.elapsed();
    let failed = failures(&document);
    println!(
        "{FLEET} functions in {took:.1?}: {} live, {} failed, {} updates asked for",
        count(&document, "live"),
        failed.len(),
        updates(&cloud).len()
    );
    assert_eq!((code, &document["ok"]), (1, &Value::Bool(false)));
    assert_eq!(failed.keys().map(String::as_str).collect::<Vec<_>>(), ["function-042", &deleted], "{failed:#?}");
    assert!(failed["function-042"].contains("the fleet's odd one"), "{failed:#?}");
    assert!(failed[&deleted].contains("FunctionNotFound"), "{failed:#?}");
    assert_eq!(count(&document, "live"), FLEET - 2);
    // The quota was kept: whoever was throttled, was by the fault. But for one now and then that was on its way for longer
    // than those after it, on a busy machine.
    let throttled = cloud.requests().into_iter().filter(|it| it.status == 429 && it.fault.is_none()).count();
    assert!(throttled <= 3, "{throttled} calls were throttled");
    let most = updates(&cloud).iter().fold(BTreeMap::<String, usize>::new(), |mut of, name| {
        *of.entry(name.clone()).or_default() += 1;
        of
    });
    let again: usize = most.values().map(|times| times - 1).sum();
    println!("{again} updates were asked for again, one function's at most {} times", most.values().max().unwrap());

    // A function that is named and gone is no typing error that may be passed over.
    cloud.clear_requests();
    let (code, document) = deploy(&cloud, folder.path()).await;
    assert_eq!((code, updates(&cloud).len()), (1, 0), "{document}");
    assert!(document["error"]["message"].as_str().unwrap().contains(&deleted), "{document}");

    names.retain(|name| *name != deleted);
    write_project(folder.path(), &names, &[]);
    cloud.clear_requests();
    let (code, document) = deploy(&cloud, folder.path()).await;
    assert_eq!((code, updates(&cloud)), (0, vec!["function-042".to_owned()]), "{document}");
    assert_eq!((count(&document, "current"), count(&document, "live")), (FLEET - 2, 1));

    // What they run is what is in the bucket, to the byte.
    let size = i64::try_from(cloud.get("artifact.zip").await.len()).unwrap();
    let mut hashes = BTreeSet::new();
    for name in &names {
        let shown = cloud.lambda.get_function().function_name(name).send().await.unwrap();
        let configuration = shown.configuration().unwrap();
        assert_eq!(configuration.code_size(), size, "{name}");
        hashes.insert(configuration.code_sha256().unwrap().to_owned());
    }
    assert_eq!(hashes.len(), 1, "all run the same code");
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
