//! Logs of functions that really run.

use std::time::Duration;

use aws_sdk_lambda::primitives::Blob;
use local_cloud::{Action, Fault};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

use crate::world::{Ran, World, installed};

const HANDLER: &str = "exports.handler = async (event) => { console.log('got', event.text); return event.text; };\n";

/// A world in which `api` and `job` log the text of their event.
async fn with_talking_functions() -> Option<World> {
    if !installed("node") {
        return None;
    }
    let world = World::with_functions(&["api", "job"]).await;
    world.write("start.js", HANDLER);
    world.run(&[]).await.expect_code(0);
    world.cloud.clear_requests();
    Some(world)
}

async fn say(world: &World, function: &str, text: &str) {
    let event = Blob::new(serde_json::json!({ "text": text }).to_string());
    let answer = world.lambda.invoke().function_name(function).payload(event).send().await.unwrap();
    assert_eq!(answer.function_error(), None, "{answer:?}");
}

/// A program that follows, once it has begun to.
async fn following(world: &World, arguments: &[&str]) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut child = world.command(arguments).spawn().unwrap();
    let begun = async {
        while world.requests("FilterLogEvents").is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), begun).await.expect("it never asked for events");
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines)
}

/// The next line with this text in it.
async fn line_with(lines: &mut Lines<BufReader<ChildStdout>>, text: &str) -> String {
    let look = async {
        loop {
            let line = lines.next_line().await.unwrap().unwrap_or_else(|| panic!("it ended before `{text}`"));
            if line.contains(text) {
                return line;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), look).await.unwrap_or_else(|_| panic!("`{text}` never came"))
}

/// Presses Ctrl-C and waits for the end.
async fn interrupted(child: Child) -> Ran {
    let id = child.id().expect("it still runs").to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    Ran::of(&child.wait_with_output().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_functions_are_interleaved_each_with_its_name() {
    let Some(world) = with_talking_functions().await else { return };
    say(&world, "job", "first").await;
    say(&world, "api", "second").await;
    say(&world, "job", "third").await;
    let ran = world.run(&["logs"]).await.expect_code(0);
    let said: Vec<&str> = ran.stdout.lines().filter(|line| line.contains("got")).map(|line| &line[13..]).collect();
    assert_eq!(said, ["job INFO got first", "api INFO got second", "job INFO got third"], "{ran:#?}");
    assert!(ran.stdout.contains(" REPORT ") && ran.stdout.contains(" of 128 MB, init "), "{}", ran.stdout);

    let ran = world.run(&["logs", "--function", "api", "--filter", "got", "-v"]).await.expect_code(0);
    let [line] = ran.stdout.lines().collect::<Vec<_>>()[..] else { panic!("{ran:#?}") };
    assert!(line.contains(" api ") && line.ends_with("\tINFO\tgot second"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn json_is_one_document_with_every_message_as_it_is() {
    let Some(world) = with_talking_functions().await else { return };
    say(&world, "api", "hello").await;
    let document = world.run(&["logs", "--json"]).await.expect_code(0).json();
    assert_eq!((&document["command"], &document["ok"]), (&"logs".into(), &true.into()));
    assert_eq!(document["functions"][0]["logGroup"], "/aws/lambda/api");
    assert_eq!(document["functions"][0]["hasLogged"], true);
    assert_eq!(document["functions"][1]["hasLogged"], false);
    let events = document["events"].as_array().unwrap();
    let got = events.iter().find(|event| event["message"].as_str().unwrap().contains("got hello")).unwrap();
    assert_eq!(got["function"], "api");
    assert!(got["message"].as_str().unwrap().ends_with("\tINFO\tgot hello\n"), "{got:#}");
    assert!(got["logStream"].as_str().unwrap().contains("[$LATEST]") && got["timestamp"].as_i64().unwrap() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_that_never_ran_have_no_logs_and_that_is_no_error() {
    let world = World::with_functions(&["api"]).await;
    let ran = world.run(&["logs"]).await.expect_code(0);
    assert!(ran.stdout.is_empty());
    assert!(ran.stderr.contains("`api` never logged anything: not invoked yet"), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn following_waits_for_the_first_invocation_and_shows_each_event_once() {
    let Some(world) = with_talking_functions().await else { return };
    let (child, mut lines) = following(&world, &["logs", "--follow", "--json"]).await;
    say(&world, "api", "one").await;
    let event: Value = serde_json::from_str(&line_with(&mut lines, "got one").await).unwrap();
    assert_eq!((&event["function"], &event["logGroup"]), (&"api".into(), &"/aws/lambda/api".into()));
    say(&world, "job", "two").await;
    line_with(&mut lines, "got two").await;
    let ran = interrupted(child).await.expect_code(0);
    assert!(!ran.stderr.contains("error"), "{}", ran.stderr);
    let mut rest = 0;
    while let Some(line) = lines.next_line().await.unwrap() {
        assert!(!line.contains("got one") && !line.contains("got two"), "{line}");
        rest += 1;
    }
    assert!(rest <= 2, "only END and REPORT can follow, and {rest} lines did");
}

#[tokio::test(flavor = "multi_thread")]
async fn following_ends_when_its_time_is_over() {
    let world = World::with_functions(&["api"]).await;
    let ran = world.run(&["logs", "--follow", "--for", "1s"]).await.expect_code(0);
    assert!(ran.stderr.contains("Logs of `api`"), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn throttling_is_waited_out() {
    let Some(world) = with_talking_functions().await else { return };
    say(&world, "api", "hello").await;
    let throttle = Action::Respond { status: 400, code: "ThrottlingException" };
    world.cloud.faults().inject(Fault::on("FilterLogEvents").times(3).then(throttle));
    let ran = world.run(&["logs", "--function", "api"]).await.expect_code(0);
    assert!(ran.stdout.contains("got hello"), "{ran:#?}");
    assert_eq!(world.requests("FilterLogEvents").len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_permission_is_named() {
    let world = World::with_functions(&["api"]).await;
    let denied = Action::Respond { status: 400, code: "AccessDeniedException" };
    world.cloud.faults().inject(Fault::on("FilterLogEvents").then(denied));
    let ran = world.run(&["logs", "--json"]).await.expect_code(1);
    let error = &ran.json()["error"];
    assert_eq!(error["errorType"], "AccessDenied");
    assert!(error["message"].as_str().unwrap().contains("/aws/lambda/api"), "{error:#}");
    assert!(error["hints"].to_string().contains("logs:FilterLogEvents"), "{error:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn words_with_special_characters_are_searched_for_and_wrong_patterns_refused() {
    let Some(world) = with_talking_functions().await else { return };
    say(&world, "api", "user-7 failed").await;
    say(&world, "api", "user-8 failed").await;
    let ran = world.run(&["logs", "--function", "api", "--filter", "failed user-7"]).await.expect_code(0);
    assert_eq!(ran.stdout.lines().count(), 1, "{ran:#?}");
    let ran = world.run(&["logs", "--function", "api", "--filter", "\"open"]).await.expect_code(1);
    assert!(ran.stderr.contains("does not take the filter pattern `\"open`"), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_is_named_needs_no_project() {
    let Some(world) = with_talking_functions().await else { return };
    say(&world, "job", "hello").await;
    std::fs::remove_file(world.project.path().join("quickdeploy.toml")).unwrap();
    let ran = world.run(&["logs", "--function", "job"]).await.expect_code(0);
    assert!(ran.stdout.contains("got hello"), "{ran:#?}");
    let ran = world.run(&["logs"]).await.expect_code(1);
    assert!(ran.stderr.contains("there is no quickdeploy.toml"), "{}", ran.stderr);
    let ran = world.run(&["logs", "--function", "jbo"]).await.expect_code(1);
    assert!(ran.stderr.contains("no Lambda function `jbo`"), "{}", ran.stderr);
}
