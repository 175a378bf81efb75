//! The boto3 conformance suite: what any client expects of S3 and Lambda, of the local cloud and of the independent
//! implementations. What is known to be wrong with one of those is in `tests/conformance/peers.toml`, and must be wrong.

use std::process::Stdio;
use std::time::Duration;

use local_cloud::LocalCloud;
use quickdeploy_tests::binaries::root;
use quickdeploy_tests::programs::is_there;
use tokio::process::Command;

use crate::peers::{LOCALSTACK, MINISTACK, MOTO, Server};

/// The suite takes a minute or two, and longer on a machine with better things to do.
const PATIENCE: Duration = Duration::from_secs(900);

/// Whether the suite can be run; says so if not.
async fn installed() -> bool {
    let packages = ["-c", "import awscrt, boto3, pytest, pytest_timeout"];
    let there = is_there("python3") && Command::new("python3").args(packages).output().await.unwrap().status.success();
    if !there {
        println!("skipped: install tests/conformance/requirements.txt for the conformance suite");
    }
    there
}

/// Runs the whole suite on what is behind `endpoint`, which must pass but for what is listed for `peer`.
async fn conforms(endpoint: &str, peer: &str) {
    let mut pytest = Command::new("python3");
    pytest
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "--peer", peer, "tests/conformance"])
        .current_dir(root())
        .env("ENDPOINT_URL", endpoint)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, pytest.spawn().unwrap().wait_with_output()).await;
    let output = output.unwrap_or_else(|_| panic!("the suite has not ended within {PATIENCE:?}")).unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    println!("{peer}: {}", printed.lines().last().unwrap_or_default());
    assert!(output.status.success(), "{printed}\n{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_local_cloud_is_what_boto3_expects_of_s3_and_lambda() {
    if installed().await {
        // Known keys only, as at AWS; the default lets unknown ones in.
        let cloud = LocalCloud::builder().require_known_credentials().start().await.unwrap();
        conforms(&cloud.endpoint(), "local-cloud").await;
        cloud.shutdown().await;
    }
}

#[tokio::test]
async fn the_independent_implementations_differ_from_that_in_what_is_listed_and_nothing_else() {
    if !installed().await {
        return;
    }
    // All at once: most of the time, each waits for functions and for the quota of calls.
    futures::future::join_all([(&MINISTACK, [("AUTH", "false")].as_slice()), (&LOCALSTACK, &[]), (&MOTO, &[])].map(
        async |(peer, environment)| {
            if let Some(server) = Server::start_with(peer, environment).await {
                conforms(&server.endpoint, peer.name).await;
            }
        },
    ))
    .await;
}
