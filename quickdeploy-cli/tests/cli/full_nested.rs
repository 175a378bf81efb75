//! `quickdeploy full` of a stack with a stack in it.

use std::time::Duration;

use serde_json::json;

use crate::full_stack::{TEMPLATE, answer, project, status};
use crate::interrupts::interrupt;
use crate::world::{BUCKET, Ran, World};

/// What is nested: a log group and a role, one of which can be made to fail.
const NESTED: &str = r"
Parameters: { Name: { Type: String } }
Resources:
  Logs:
    Type: AWS::Logs::LogGroup
    Properties: { LogGroupName: !Sub '/nested/${Name}', RetentionInDays: 7 }
  Bucket:
    Type: AWS::S3::Bucket
    DependsOn: Logs
Outputs:
  Group: { Value: !Ref Logs }
";

/// The project's function is told what the nested stack has made.
async fn nesting() -> World {
    let world = project().await;
    let url = format!("{}/{BUCKET}/nested.yaml", world.cloud.endpoint());
    let resource = format!(
        "Resources:\n  Nested:\n    Type: AWS::CloudFormation::Stack\n    Properties:\n      TemplateURL: {url}\n      \
         Parameters: {{ Name: !Ref Level }}\n"
    );
    let template =
        TEMPLATE.replace("Resources:\n", &resource).replace("!Ref Level }", "!GetAtt Nested.Outputs.Group }");
    // The nested stack's own parameter is still the level.
    let template = template.replace("Name: !GetAtt Nested.Outputs.Group }", "Name: !Ref Level }");
    world.write("template.yaml", &template);
    put(&world, NESTED).await;
    world
}

async fn put(world: &World, template: &str) {
    let body = template.as_bytes().to_vec().into();
    world.s3.put_object().bucket(BUCKET).key("nested.yaml").body(body).send().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_the_nested_stack_are_told_with_its_name() {
    let world = nesting().await;
    let ran = world.run(&["full"]).await.expect_code(0);
    assert_eq!(answer(&world).await, json!("start"));
    let inner: Vec<&str> = ran.stderr.lines().filter(|line| line.contains("app-Nested-")).collect();
    assert!(inner.iter().any(|line| line.contains("/Logs  CREATE_COMPLETE")), "{}", ran.stderr);
    assert!(inner.iter().any(|line| line.contains("/Bucket  CREATE_COMPLETE")), "{}", ran.stderr);
    // The resource is done after what is in it.
    let place = |text: &str| ran.stderr.find(text).unwrap_or_else(|| panic!("no {text}: {}", ran.stderr));
    assert!(place("/Bucket  CREATE_COMPLETE") < place("  Nested  CREATE_COMPLETE"), "{}", ran.stderr);
    assert!(ran.stderr.lines().all(|line| line.chars().count() <= 80), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reason_of_the_innermost_resource_is_what_is_reported() {
    let world = nesting().await;
    world.cloud.stacks().fail_next("Bucket", "Bucket names have to be nicer");
    let ran = world.run(&["full", "--json"]).await.expect_code(1);
    let error = ran.json()["error"].clone();
    assert_eq!(error["errorType"], "StackFailed");
    let [cause] = error["causes"].as_array().unwrap().as_slice() else { panic!("{error:#}") };
    let cause = cause.as_str().unwrap();
    assert!(cause.starts_with("Bucket (AWS::S3::Bucket in app-Nested-"), "{cause}");
    assert!(cause.ends_with("): Bucket names have to be nicer"), "{cause}");
    assert_eq!(status(&world).await.as_deref(), Some("ROLLBACK_COMPLETE"));

    let document = world.run(&["full", "--json"]).await.expect_code(0).json();
    assert_eq!(document["stack"]["status"], "CREATE_COMPLETE");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_fails_inside_is_told_without_the_events_of_earlier_operations() {
    let world = nesting().await;
    world.cloud.stacks().fail_next("Logs", "an earlier reason");
    world.run(&["full"]).await.expect_code(1);
    world.run(&["full"]).await.expect_code(0);
    let before = world.live("app-api").await;
    put(&world, &NESTED.replace("RetentionInDays: 7", "RetentionInDays: 14")).await;
    world.cloud.stacks().fail_next("Logs", "No retention today");
    let ran = world.run(&["full", "--json"]).await.expect_code(1);
    let error = ran.json()["error"].clone();
    let causes = error["causes"].to_string();
    assert!(causes.contains("No retention today") && !causes.contains("an earlier reason"), "{error:#}");
    assert_eq!(error["causes"].as_array().unwrap().len(), 1, "{error:#}");
    assert_eq!(status(&world).await.as_deref(), Some("UPDATE_ROLLBACK_COMPLETE"));
    assert_eq!(world.live("app-api").await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ctrl_c_while_the_nested_stack_is_made_leaves_it_to_cloudformation() {
    let world = nesting().await;
    world.cloud.stacks().delay_next("Bucket", Duration::from_secs(5));
    let child = world.command(&["full", "--json"]).spawn().unwrap();
    crate::interrupts::seen(&world, "ExecuteChangeSet").await;
    interrupt(&child);
    let ran = Ran::of(&child.wait_with_output().await.unwrap()).expect_code(1);
    assert!(ran.stderr.contains("CloudFormation goes on creating the stack `app`"), "{}", ran.stderr);
    let settled = async {
        while status(&world).await.as_deref() != Some("CREATE_COMPLETE") {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), settled).await.expect("it did not go on");
}
