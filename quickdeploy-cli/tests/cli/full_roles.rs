//! `quickdeploy full` and roles that Lambda can't assume: not yet, or not at all.

use std::time::Duration;

use aws_sdk_iam::config::{BehaviorVersion, Credentials, Region};
use local_cloud::{IamSettings, LocalCloud};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::full_stack::{self, TEMPLATE, configure};
use crate::interrupts::interrupt;
use crate::world::{Ran, World};

/// For so long a role is new: until the test says that it is known.
const LONG: Duration = Duration::from_secs(3600);

/// A project that has its functions made, with a role that isn't there, in a cloud where a new role takes this long to
/// be known.
async fn project(propagation: Duration, role: &str) -> World {
    let world = World::in_cloud(&[], LocalCloud::builder().iam(IamSettings { propagation })).await;
    let function = |name: &str| format!("[create.{name}]\nhandler = \"start.handler\"\nruntime = \"nodejs22.x\"\n");
    let functions = ["api", "worker"].map(function).concat();
    world.write("quickdeploy.toml", &format!("artifact = \"s3://fresh/app.zip\"\nrole = \"{role}\"\n{functions}"));
    world
}

/// A role that only EC2 may assume.
async fn role_of_somebody_else(world: &World, name: &str) -> String {
    let config = aws_sdk_iam::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(world.cloud.endpoint())
        .build();
    let trust = json!({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    });
    let iam = aws_sdk_iam::Client::from_conf(config);
    let made = iam.create_role().role_name(name).assume_role_policy_document(trust.to_string()).send().await.unwrap();
    made.role.unwrap().arn
}

/// Waits until a function was refused for its role, and tried again.
async fn tried_again(world: &World) {
    let waiting = async {
        while world.requests("CreateFunction").len() < 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("no function was tried again");
}

fn errors(document: &Value) -> Vec<&Value> {
    document["functions"].as_array().unwrap().iter().map(|function| &function["error"]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_role_is_waited_for_and_that_is_said_once() {
    let world = project(LONG, "app-role").await;
    let child = world.command(&["full", "--json"]).spawn().unwrap();
    tried_again(&world).await;
    world.cloud.end_propagation();
    let ran = Ran::of(&child.wait_with_output().await.unwrap()).expect_code(0);
    let document = ran.json();
    assert_eq!(document["role"]["created"], true);
    assert_eq!(
        (&document["functions"][0]["status"], &document["functions"][1]["status"]),
        (&json!("live"), &json!("live"))
    );
    assert_eq!(ran.stderr.matches("until Lambda knows the new role, 30 s at most").count(), 1, "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_the_run_before_has_made_is_still_new() {
    let world = project(LONG, "app-role").await;
    let child = world.command(&["full", "--json"]).spawn().unwrap();
    crate::interrupts::seen(&world, "CreateFunction").await;
    interrupt(&child);
    let ran = Ran::of(&child.wait_with_output().await.unwrap()).expect_code(1);
    assert_eq!(ran.json()["error"]["errorType"], "Interrupted");
    world.cloud.clear_requests();
    let child = world.command(&["full", "--json"]).spawn().unwrap();
    tried_again(&world).await;
    world.cloud.end_propagation();
    let document = Ran::of(&child.wait_with_output().await.unwrap()).expect_code(0).json();
    assert_eq!(document["role"]["created"], false);
    assert_eq!(document["functions"][0]["status"], "live");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ctrl_c_ends_the_waiting_at_once() {
    let world = project(LONG, "app-role").await;
    let mut child = world.command(&["full", "--json"]).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
    while !stderr.next_line().await.unwrap().expect("it did not say that it waits").contains("Waiting") {}
    interrupt(&child);
    let ended = tokio::time::timeout(Duration::from_secs(10), child.wait_with_output()).await;
    let ran = Ran::of(&ended.expect("it goes on waiting").unwrap()).expect_code(1);
    let error = ran.json()["error"].clone();
    assert_eq!(error["errorType"], "Interrupted");
    assert!(error["message"].as_str().unwrap().contains("some may be missing"), "{error}");
}

/// It takes as long as a new role is given.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_role_that_never_becomes_known_is_given_up_with_what_to_look_at() {
    let world = project(LONG, "app-role").await;
    let ran = world.run(&["full", "--json"]).await.expect_code(1);
    for error in errors(&ran.json()) {
        let text = error.to_string();
        assert!(error["message"].as_str().unwrap().contains("could not create the function"), "{text}");
        assert!(text.contains("cannot be assumed by Lambda") && text.contains("still so 30 s after"), "{text}");
        assert!(text.contains("run `quickdeploy full` again in a minute") && text.contains(":role/app-role"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_trusts_somebody_else_fails_at_once_with_its_trust_policy_named() {
    let world = project(Duration::ZERO, "arn:aws:iam::000000000000:role/theirs").await;
    let arn = role_of_somebody_else(&world, "theirs").await;
    let document = world.run(&["full", "--json"]).await.expect_code(1).json();
    let hint = format!("let lambda.amazonaws.com assume {arn}, in its trust policy");
    for error in errors(&document) {
        assert!(error["hints"].to_string().contains(&hint), "{error}");
    }
    assert_eq!(world.requests("CreateFunction").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_that_fails_for_a_role_that_is_too_new_is_tried_again() {
    let cloud = LocalCloud::builder().iam(IamSettings { propagation: LONG });
    let world = full_stack::set_up(World::in_cloud(&[], cloud).await);
    let own = TEMPLATE.find("  Role:\n").unwrap()..TEMPLATE.find("  Api:\n").unwrap();
    let mut template = TEMPLATE.to_owned();
    template.replace_range(own, "");
    let template = template.replace("!GetAtt Role.Arn", "!Ref RoleArn");
    world.write("template.yaml", &template.replace("Parameters:\n", "Parameters:\n  RoleArn: { Type: String }\n"));
    configure(&world, "role = \"app-role\"\n[parameters]\nRoleArn = \"{role}\"\n");
    let mut child = world.command(&["full", "--json"]).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
    let told = "as Lambda does not know the new role yet";
    while !stderr.next_line().await.unwrap().expect("it did not say that it tries again").contains(told) {}
    world.cloud.end_propagation();
    let ran = Ran::of(&child.wait_with_output().await.unwrap()).expect_code(0);
    assert_eq!(ran.json()["stack"]["status"], "CREATE_COMPLETE");
    assert_eq!(world.requests("ExecuteChangeSet").len(), 2);
}
