//! When warm processes end.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::support::Bench;

/// Answers every event with `1`.
const BOOTSTRAP: &str = r#"#!/bin/sh
api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation"
headers="$(mktemp)"
while curl -sS -o /dev/null -D "$headers" "$api/next"; do
  id="$(sed -n 's/^lambda-runtime-aws-request-id: *\([^[:space:]]*\).*/\1/Ip' "$headers")"
  curl -sS -o /dev/null -d 1 "$api/$id/response"
done
"#;

async fn warm(change: impl FnOnce(&mut crate::lambda::LambdaSettings)) -> Option<Bench> {
    if std::process::Command::new("curl").arg("--version").output().is_err() {
        eprintln!("skipped: `curl` is not installed");
        return None;
    }
    let bench = Bench::with(change);
    bench.create("f", "provided.al2023", "x", &[("bootstrap", BOOTSTRAP)]).await;
    let answer = bench.invoke("f", json!({})).await;
    assert_eq!((answer.status, &answer.body), (StatusCode::OK, &json!(1)));
    Some(bench)
}

async fn no_process_is_left(bench: &Bench) {
    let gone = async {
        while bench.lambda.pool().idle_processes() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone).await.expect("a process stays");
}

#[tokio::test]
async fn an_idle_process_ends_after_its_time() {
    let Some(bench) = warm(|settings| settings.idle_timeout = Duration::from_millis(50)).await else { return };
    no_process_is_left(&bench).await;
    assert_eq!(bench.invoke("f", json!({})).await.body, 1);
}

#[tokio::test]
async fn the_process_of_a_deleted_function_ends() {
    let Some(bench) = warm(|_| {}).await else { return };
    assert_eq!(bench.lambda.pool().idle_processes(), 1);
    bench.send(Method::DELETE, "/2015-03-31/functions/f", Value::Null).await;
    no_process_is_left(&bench).await;
}

#[tokio::test]
async fn the_process_of_replaced_code_ends_without_a_further_request() {
    let Some(bench) = warm(|settings| settings.update_delay = Duration::from_millis(20)).await else { return };
    let input = json!({ "MemorySize": 256 });
    bench.send(Method::PUT, "/2015-03-31/functions/f/configuration", input).await;
    no_process_is_left(&bench).await;
}

#[tokio::test]
async fn closing_ends_every_process() {
    let Some(bench) = warm(|_| {}).await else { return };
    bench.lambda.shutdown().await;
    assert_eq!(bench.lambda.pool().idle_processes(), 0);
    assert_eq!(bench.invoke("f", json!({})).await.error.as_deref(), Some("ServiceException"));
}
