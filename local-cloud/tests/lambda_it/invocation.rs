//! Invocations of custom runtimes and of built-in functions: processes, logs, ways to fail.

use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{Environment, InvocationType};
use local_cloud::{BuiltinFunction, LocalCloud};
use serde_json::json;

use crate::support::{Bench, ECHO, installed, settings};

async fn echo() -> Option<Bench> {
    if !installed("curl") {
        return None;
    }
    let bench = Bench::start().await;
    bench.create("echo", "provided.al2023", "bootstrap", &[("bootstrap", ECHO)]).await;
    Some(bench)
}

#[tokio::test]
async fn a_bootstrap_answers_and_its_log_has_lambdas_lines() {
    let Some(bench) = echo().await else { return };
    let cold = bench.invoke("echo", &json!({ "n": 1 })).await;
    assert_eq!(cold.result["echo"], json!({ "n": 1 }));
    assert_eq!(cold.version, "$LATEST");
    let lines: Vec<&str> = cold.log.lines().collect();
    assert_eq!(lines.len(), 5, "{lines:?}");
    assert_eq!(lines[0], "starting as echo");
    assert!(lines[1].starts_with("START RequestId: ") && lines[1].ends_with(" Version: $LATEST"));
    assert_eq!(lines[2], r#"event {"n":1}"#);
    assert!(lines[3].starts_with("END RequestId: "));
    assert!(lines[4].starts_with("REPORT RequestId: "));
    for part in
        ["\tDuration: ", "\tBilled Duration: ", "\tMemory Size: 128 MB", "\tMax Memory Used: ", "\tInit Duration: "]
    {
        assert!(lines[4].contains(part), "{part} in {}", lines[4]);
    }

    let warm = bench.invoke("echo", &json!({ "n": 2 })).await;
    assert_eq!(warm.result["pid"], cold.result["pid"]);
    assert!(!warm.log.contains("starting") && !warm.log.contains("Init Duration"), "{}", warm.log);
    let kept = bench.cloud.functions().logs("echo");
    assert_eq!(kept.len(), 9);
    assert_eq!(kept[6].message, r#"event {"n":2}"#);
}

#[tokio::test]
async fn an_update_replaces_the_process_and_the_old_one_answers_until_then() {
    let Some(bench) = echo().await else { return };
    let old = bench.invoke("echo", &json!(1)).await.value()["pid"].clone();
    bench.cloud.functions().delay_next_update("echo", std::time::Duration::from_secs(600));
    let update = bench.lambda.update_function_code().function_name("echo");
    update.zip_file(Blob::new(crate::support::zipped(&[("bootstrap", "#!/bin/sh\nexit 1\n")]))).send().await.unwrap();
    assert_eq!(bench.invoke("echo", &json!(2)).await.value()["pid"], old);

    let other = ECHO.replace("echo\\\"", "again\\\"");
    bench.create("second", "provided.al2023", "bootstrap", &[("bootstrap", ECHO)]).await;
    assert_eq!(bench.invoke("second", &json!(1)).await.value()["echo"], 1);
    bench.update("second", &[("bootstrap", &other)]).await;
    assert_eq!(bench.invoke("second", &json!(1)).await.value()["again"], 1);
}

#[tokio::test]
async fn invocations_at_the_same_time_have_processes_of_their_own() {
    if !installed("curl") {
        return;
    }
    let slow = ECHO.replace("echo \"event", "sleep 0.3; echo \"event");
    let bench = Bench::start().await;
    bench.create("slow", "provided.al2023", "bootstrap", &[("bootstrap", &slow)]).await;
    let event = json!({});
    let both = tokio::join!(bench.invoke("slow", &event), bench.invoke("slow", &event));
    assert_ne!(both.0.value()["pid"], both.1.value()["pid"]);
}

#[tokio::test]
async fn more_invocations_than_processes_wait_their_turn() {
    if !installed("curl") {
        return;
    }
    let mut settings = settings();
    settings.max_processes = 2;
    let bench = Bench::with(LocalCloud::builder().lambda(settings)).await;
    bench.create("a", "provided.al2023", "bootstrap", &[("bootstrap", ECHO)]).await;
    bench.create("b", "provided.al2023", "bootstrap", &[("bootstrap", ECHO)]).await;
    let events: Vec<_> = (0..12).map(|n| json!(n)).collect();
    let all = events.iter().enumerate().map(|(n, event)| bench.invoke(if n % 2 == 0 { "a" } else { "b" }, event));
    for (n, answer) in futures::future::join_all(all).await.into_iter().enumerate() {
        assert_eq!(answer.value()["echo"], n);
    }
}

#[tokio::test]
async fn a_builtin_function_is_there_from_the_start() {
    if !installed("curl") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("program");
    std::fs::write(&program, ECHO).unwrap();
    std::process::Command::new("chmod").arg("755").arg(&program).status().unwrap();
    let builder = LocalCloud::builder()
        .lambda(settings())
        .function(BuiltinFunction::new("zipedit", [&program]))
        .function(BuiltinFunction::new("through-a-shell", ["sh", program.to_str().unwrap()]));
    let bench = Bench::with(builder).await;
    for name in ["zipedit", "through-a-shell"] {
        assert_eq!(bench.invoke(name, &json!({ "x": 1 })).await.value()["echo"], json!({ "x": 1 }));
    }
    let shown = bench.settled("zipedit").await;
    assert!(shown.code_size > 0);
    assert_ne!(shown.code_sha256, bench.settled("through-a-shell").await.code_sha256);
    let listed = bench.lambda.list_functions().send().await.unwrap();
    assert_eq!(listed.functions().len(), 2);
}

#[tokio::test]
async fn an_asynchronous_invocation_is_accepted_and_runs() {
    let Some(bench) = echo().await else { return };
    let event = bench.lambda.invoke().function_name("echo").invocation_type(InvocationType::Event);
    let answer = event.payload(Blob::new(r#"{"later":true}"#)).send().await.unwrap();
    assert_eq!(answer.status_code, 202);
    let logged = async {
        while !bench.cloud.functions().logs("echo").iter().any(|event| event.message == r#"event {"later":true}"#) {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), logged).await.expect("it never runs");
}

#[tokio::test]
async fn a_dry_run_starts_no_process() {
    let Some(bench) = echo().await else { return };
    let answer =
        bench.lambda.invoke().function_name("echo").invocation_type(InvocationType::DryRun).send().await.unwrap();
    assert_eq!(answer.status_code, 204);
    assert!(bench.cloud.functions().logs("echo").is_empty());
}

#[tokio::test]
async fn an_alias_runs_the_version_it_names() {
    let Some(bench) = echo().await else { return };
    let lambda = &bench.lambda;
    lambda.publish_version().function_name("echo").send().await.unwrap();
    lambda.create_alias().function_name("echo").name("live").function_version("1").send().await.unwrap();
    let other = ECHO.replace("echo\\\"", "again\\\"");
    bench.update("echo", &[("bootstrap", &other)]).await;
    let by_alias = bench.invoke("echo:live", &json!(1)).await;
    assert_eq!((by_alias.version.as_str(), &by_alias.result["echo"]), ("1", &json!(1)));
    assert_eq!(bench.invoke("echo", &json!(1)).await.value()["again"], 1);
}

#[tokio::test]
async fn variables_of_the_function_reach_the_process_and_the_servers_do_not() {
    if !installed("curl") {
        return;
    }
    let bench = Bench::start().await;
    let show = ECHO.replace("$event,", "$event,\\\"set\\\":\\\"$GREETING\\\",\\\"cargo\\\":\\\"${CARGO_MANIFEST_DIR-}\\\",\\\"endpoint\\\":\\\"$AWS_ENDPOINT_URL\\\",");
    bench.create("env", "provided.al2023", "bootstrap", &[("bootstrap", &show)]).await;
    let environment = Environment::builder().variables("GREETING", "hello").build();
    bench.lambda.update_function_configuration().function_name("env").environment(environment).send().await.unwrap();
    bench.settled("env").await;
    let seen = bench.invoke("env", &json!(0)).await.value();
    assert_eq!(seen["set"], "hello");
    assert_eq!(seen["cargo"], "");
    assert_eq!(seen["endpoint"], bench.cloud.endpoint());
}

#[tokio::test]
async fn no_process_outlives_the_cloud() {
    let Some(bench) = echo().await else { return };
    let pid = bench.invoke("echo", &json!(1)).await.value()["pid"].clone();
    bench.cloud.shutdown().await;
    let alive = std::process::Command::new("kill").args(["-0", &pid.to_string()]).output().unwrap();
    assert!(!alive.status.success());
}
