//! Invocations of functions that really run, alone and after a deployment.

use std::io::Write as _;
use std::process::Stdio;

use local_cloud::{Action, Fault};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use crate::world::{Ran, World, installed};

const HANDLER: &str = "exports.handler = async (event) => {
  console.log('got', JSON.stringify(event));
  if (event.boom) throw new TypeError(event.boom);
  return { zulu: 1, echo: event, alpha: 12345678901234567890n.toString() };
};
";

/// A world with one function, whose handler is `HANDLER`.
async fn with_a_function() -> Option<World> {
    if !installed("node") {
        return None;
    }
    let world = World::with_functions(&["api"]).await;
    world.write("start.js", HANDLER);
    world.run(&[]).await.expect_code(0);
    world.cloud.clear_requests();
    Some(world)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_result_is_on_stdout_and_the_log_beside_it() {
    let Some(world) = with_a_function().await else { return };
    world.write("event.json", "{\"id\": 7}");
    let ran = world.run(&["invoke", "api", "--event", "event.json"]).await.expect_code(0);
    let result: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(result["echo"], json!({ "id": 7 }));
    // In the order in which the function gave them.
    assert!(ran.stdout.starts_with("{\n  \"zulu\": 1,\n  \"echo\": {\n"), "{}", ran.stdout);
    assert!(ran.stderr.contains("INFO got {\"id\":7}"), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("Invoked `api`: 200 in ") && ran.stderr.contains(" of 128 MB, init "),
        "{}",
        ran.stderr
    );
    assert!(!ran.stderr.contains("REPORT"), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_event_can_come_from_standard_input_and_is_an_empty_object_otherwise() {
    let Some(world) = with_a_function().await else { return };
    let mut child = world.command(&["invoke", "api", "--event", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"[1, 2]").await.unwrap();
    drop(stdin);
    let ran = Ran::of(&child.wait_with_output().await.unwrap()).expect_code(0);
    assert_eq!(serde_json::from_str::<Value>(&ran.stdout).unwrap()["echo"], json!([1, 2]));
    let ran = world.run(&["invoke", "api", "-q"]).await.expect_code(0);
    assert_eq!(serde_json::from_str::<Value>(&ran.stdout).unwrap()["echo"], json!({}));
    assert_eq!(ran.stderr, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn json_has_result_figures_and_log() {
    let Some(world) = with_a_function().await else { return };
    let document = world.run(&["invoke", "api", "--json"]).await.expect_code(0).json();
    assert_eq!((&document["ok"], &document["statusCode"]), (&json!(true), &json!(200)));
    assert_eq!(document["executedVersion"], "$LATEST");
    assert_eq!(document["result"]["zulu"], 1);
    assert_eq!(document["report"]["memorySizeMb"], 128);
    assert!(document["report"]["durationMs"].as_f64().unwrap() > 0.0);
    assert!(document["logTail"].as_str().unwrap().contains("REPORT RequestId: "), "{document:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_functions_own_error_is_shown_with_its_trace() {
    let Some(world) = with_a_function().await else { return };
    world.write("boom.json", "{\"boom\": \"it is broken\"}");
    let ran = world.run(&["invoke", "api", "--event", "boom.json"]).await.expect_code(1);
    assert_eq!(ran.stdout, "");
    assert!(ran.stderr.contains("error: `api` failed: TypeError: it is broken"), "{}", ran.stderr);
    assert!(ran.stderr.contains("start.js:3"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("node:internal") && !ran.stderr.contains("Invoke Error"), "{}", ran.stderr);
    let document = world.run(&["invoke", "api", "--event", "boom.json", "--json"]).await.expect_code(1).json();
    assert_eq!((&document["ok"], &document["error"]["errorType"]), (&json!(false), &json!("TypeError")));
    assert!(document["trace"].to_string().contains("start.js:3"), "{document:#}");
    assert_eq!(document.get("result"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_lambda_would_not_take_is_not_sent() {
    let world = World::with_functions(&["api"]).await;
    world.write("wrong.json", "{'id': 7}");
    let mut large = std::fs::File::create(world.project.path().join("large.json")).unwrap();
    large.write_all(format!("\"{}\"", "x".repeat(6 << 20)).as_bytes()).unwrap();
    for (event, error_type, said) in [
        ("wrong.json", "InvalidEvent", "the event in `wrong.json` is not JSON"),
        ("large.json", "EventTooLarge", "Lambda takes 6.0 MiB"),
        ("absent.json", "File", "could not read the event from `absent.json`"),
    ] {
        let ran = world.run(&["invoke", "api", "--event", event, "--json"]).await.expect_code(1);
        assert_eq!(ran.json()["error"]["errorType"], error_type);
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
    }
    assert!(world.cloud.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_function_and_a_missing_permission_are_told() {
    let world = World::with_functions(&["api"]).await;
    let ran = world.run(&["invoke", "apu"]).await.expect_code(1);
    assert!(ran.stderr.contains("there is no Lambda function `apu` in us-east-1"), "{}", ran.stderr);
    let denied = Action::Respond { status: 403, code: "AccessDeniedException" };
    world.cloud.faults().inject(Fault::on("Invoke").then(denied));
    let ran = world.run(&["invoke", "api"]).await.expect_code(1);
    assert!(ran.stderr.contains("lambda:InvokeFunction"), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_repeated_only_when_lambda_did_not_run_it() {
    let Some(world) = with_a_function().await else { return };
    let throttled = Action::Respond { status: 429, code: "TooManyRequestsException" };
    world.cloud.faults().inject(Fault::on("Invoke").times(2).then(throttled));
    world.run(&["invoke", "api"]).await.expect_code(0);
    assert_eq!(world.requests("Invoke").len(), 3);

    world.cloud.clear_requests();
    world.cloud.faults().inject(Fault::on("Invoke").then(Action::ResetAfter));
    world.run(&["invoke", "api"]).await.expect_code(1);
    assert_eq!(world.requests("Invoke").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_is_followed_by_an_invocation_of_the_new_code() {
    if !installed("node") {
        return;
    }
    let world = World::with_functions(&["api"]).await;
    world.write("start.js", HANDLER);
    let ran = world.run(&["--invoke", "api"]).await.expect_code(0);
    let (table, result) = ran.stdout.split_once('{').expect("no result");
    assert!(table.contains("live"), "{table}");
    assert_eq!(serde_json::from_str::<Value>(&format!("{{{result}")).unwrap()["zulu"], 1);

    world.write("boom.json", "{\"boom\": \"it is broken\"}");
    let ran = world.run(&["--json", "--invoke", "api", "--invoke", "api=boom.json"]).await.expect_code(1);
    let lines: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let commands: Vec<_> = lines.iter().map(|line| (line["command"].as_str().unwrap(), line["ok"].clone())).collect();
    assert_eq!(commands, [("deploy", json!(true)), ("invoke", json!(true)), ("invoke", json!(false))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_deployed_when_the_event_cannot_be_read() {
    let world = World::with_functions(&["api"]).await;
    world.write("start.js", HANDLER);
    let ran = world.run(&["--invoke", "api=absent.json"]).await.expect_code(1);
    assert!(ran.stderr.contains("could not read the event from `absent.json`"), "{}", ran.stderr);
    world.assert_nothing_was_changed();
    world.run(&["--dry-run", "--invoke", "api"]).await.expect_code(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_deployment_is_followed_by_nothing() {
    let world = World::with_functions(&["api"]).await;
    world.write("start.js", HANDLER);
    world.cloud.functions().fail_next_update("api", "InvalidZipFileException", "it is no zip");
    world.run(&["--invoke", "api", "--logs"]).await.expect_code(1);
    assert!(world.requests("Invoke").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_is_followed_by_what_the_functions_log_from_then_on() {
    let Some(world) = with_a_function().await else { return };
    world.run(&["invoke", "api"]).await.expect_code(0);
    world.write("start.js", &HANDLER.replace("'got'", "'got it'"));
    let ran = world.run(&["--invoke", "api", "--logs-for", "2s"]).await.expect_code(0);
    let logged: Vec<&str> = ran.stdout.lines().filter(|line| line.contains("INFO got")).collect();
    let [line] = logged[..] else { panic!("{ran:#?}") };
    assert!(line.contains("api INFO got it {}"), "{line}");
}
