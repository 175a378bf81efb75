//! The boto3 conformance suite against the local cloud: the same one that runs against independent implementations.

use std::process::Command;

use local_cloud::LocalCloud;
use quickdeploy_tests::binaries::root;
use quickdeploy_tests::programs::is_there;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_local_cloud_is_what_boto3_expects_of_s3_and_lambda() {
    let packages = ["-c", "import awscrt, boto3, pytest, pytest_timeout"];
    let installed = is_there("python3") && Command::new("python3").args(packages).output().unwrap().status.success();
    if !installed {
        println!("skipped: install tests/conformance/requirements.txt for the conformance suite");
        return;
    }
    // Known keys only, as at AWS; the default lets unknown ones in.
    let cloud = LocalCloud::builder().require_known_credentials().start().await.unwrap();
    let mut pytest = Command::new("python3");
    pytest
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/conformance"])
        .current_dir(root())
        .env("ENDPOINT_URL", cloud.endpoint())
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test");
    let output = tokio::task::spawn_blocking(move || pytest.output().unwrap()).await.unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    println!("{}", printed.lines().last().unwrap_or_default());
    assert!(output.status.success(), "{printed}\n{}", String::from_utf8_lossy(&output.stderr));
    cloud.shutdown().await;
}
