//! `quickdeploy full` with `deployment-mode = "express"`: CloudFormation is done before the resources are ready, and
//! nobody is told that they are before it is true.

use std::time::Duration;

use aws_sdk_cloudformation::types::DeploymentConfigMode;
use aws_sdk_lambda::types::State;
use local_cloud::{CloudFormationSettings, LambdaSettings, LocalCloud};
use serde_json::json;

use crate::full_stack::{answer, change_sets, configure, edit_template, memory, set_up, stack, status};
use crate::world::World;

/// A project whose stack takes an hour for each resource, unless it is deployed in EXPRESS mode.
async fn project() -> World {
    let lambda = LambdaSettings { create_delay: Duration::from_millis(900), ..LambdaSettings::default() };
    let stacks = CloudFormationSettings { resource_delay: Duration::from_secs(3600), ..Default::default() };
    let world = set_up(World::in_cloud(&[], LocalCloud::builder().lambda(lambda).cloudformation(stacks)).await);
    configure(&world, "deployment-mode = \"express\"\n");
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_is_not_waited_for_until_it_is_stable_but_its_functions_are_until_they_are_active() {
    let world = project().await;
    let document = world.run(&["full", "--json"]).await.expect_code(0).json();
    // At once: not a moment is left for a function to become active after the end.
    let function = world.lambda.get_function_configuration().function_name("app-api").send().await.unwrap();
    assert_eq!(function.state(), Some(&State::Active));
    assert_eq!(document["stack"]["status"], "CREATE_COMPLETE");
    assert_eq!(document["functions"][0]["status"], "current");
    assert_eq!(answer(&world).await, json!("start"));
    let config = stack(&world).await.unwrap().deployment_config.unwrap();
    assert_eq!(config.mode, Some(DeploymentConfigMode::Express));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_is_express_too_and_then_there_is_nothing_to_change() {
    let world = project().await;
    world.run(&["full"]).await.expect_code(0);
    edit_template(&world, "MemorySize: 128", "MemorySize: 512");
    world.write("start.js", "exports.handler = async () => 'second';\n");
    let document = world.run(&["full", "--json"]).await.expect_code(0).json();
    assert_eq!(document["stack"]["status"], "UPDATE_COMPLETE");
    assert_eq!((memory(&world).await, answer(&world).await), (Some(512), json!("second")));
    let document = world.run(&["full", "--json"]).await.expect_code(0).json();
    assert_eq!(document["stack"]["changed"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_that_fails_is_taken_back_though_express_mode_would_leave_it() {
    let world = project().await;
    world.cloud.stacks().fail_next("Api", "Function names have to be nicer");
    let error = world.run(&["full", "--json"]).await.expect_code(1).json()["error"].clone();
    assert_eq!(error["causes"], json!(["Api (AWS::Lambda::Function): Function names have to be nicer"]));
    assert_eq!(status(&world).await.as_deref(), Some("ROLLBACK_COMPLETE"));
    world.run(&["full"]).await.expect_code(0);
    assert_eq!(status(&world).await.as_deref(), Some("CREATE_COMPLETE"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_fails_is_taken_back_and_the_functions_stay_what_they_were() {
    let world = project().await;
    world.run(&["full"]).await.expect_code(0);
    let (before, sets) = (world.live("app-api").await, change_sets(&world).await);
    edit_template(&world, "MemorySize: 128", "MemorySize: 512");
    world.write("start.js", "exports.handler = async () => 'second';\n");
    world.cloud.stacks().fail_next("Api", "No capacity today");
    let error = world.run(&["full", "--json"]).await.expect_code(1).json()["error"].clone();
    assert!(error["message"].as_str().unwrap().ends_with("it is in UPDATE_ROLLBACK_COMPLETE"), "{error}");
    assert_eq!((world.live("app-api").await, memory(&world).await), (before, Some(128)));
    assert_eq!(change_sets(&world).await, sets);
}
