//! MiniStack has all that QuickDeploy talks to: our template goes through its CloudFormation, our executable runs in its
//! Lambda under the template's role, whose policies it enforces, and functions in Node.js and Python run what was deployed.

mod clients;
mod deployments;
mod function;
mod stack;

use aws_sdk_iam::config::{BehaviorVersion, Credentials, Region};
use quickdeploy_tests::site::{BUCKET, Site};

use super::project::Project;
use super::{MINISTACK, Server};

/// MiniStack with a bucket that keeps versions. `None`: it is not installed, and that was said.
async fn ministack() -> Option<Server> {
    let server = Server::start(&MINISTACK).await?;
    server.keep_versions().await;
    Some(server)
}

/// Installs the zipedit function with `quickdeploy bootstrap`; it may edit below `app/`.
async fn bootstrapped(project: &Project<'_>) {
    let zip = project.release();
    let arguments = ["bootstrap", "--bucket", BUCKET, "--prefix", "app/", "--zip"];
    let document = project.quickdeploy(&[arguments.as_slice(), &[zip.to_str().unwrap()]].concat()).await;
    assert_eq!(document["answered"], true, "{document:#}");
}

/// Makes a role that functions may take: unlike ours, MiniStack wants it to be there.
async fn make_role(site: &Site, name: &str) {
    let config = aws_sdk_iam::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "tests"))
        .endpoint_url(&site.endpoint);
    let trust = serde_json::json!({ "Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Principal": { "Service": "lambda.amazonaws.com" }, "Action": "sts:AssumeRole",
    } });
    let iam = aws_sdk_iam::Client::from_conf(config.build());
    iam.create_role().role_name(name).assume_role_policy_document(trust.to_string()).send().await.unwrap();
}
