//! Ways for an invocation to fail, in Lambda's words.

use aws_sdk_lambda::error::ProvideErrorMetadata as _;
use aws_sdk_lambda::primitives::Blob;
use serde_json::json;

use crate::support::{Bench, ECHO, installed};

#[tokio::test]
async fn a_package_without_bootstrap_has_an_invalid_entrypoint() {
    let bench = Bench::start().await;
    bench.create("f", "provided.al2023", "x", &[("readme.txt", "nothing to run")]).await;
    let failed = bench.invoke("f", &json!({})).await;
    assert_eq!(failed.error_type(), "Runtime.InvalidEntrypoint");
    assert!(failed.error_message().contains("Couldn't find valid bootstrap(s)"));
}

#[tokio::test]
async fn a_process_that_exits_before_its_first_poll_is_an_exit_error() {
    let bench = Bench::start().await;
    bench.create("f", "provided.al2023", "x", &[("bootstrap", "#!/bin/sh\necho last words\nexit 3\n")]).await;
    let failed = bench.invoke("f", &json!({})).await;
    assert_eq!(failed.error_type(), "Runtime.ExitError");
    assert!(failed.error_message().ends_with("Error: Runtime exited with error: exit status 3"));
    assert!(failed.log.contains("last words\n") && failed.log.contains("\tStatus: error\t"), "{}", failed.log);
}

#[tokio::test]
async fn a_process_that_exits_during_an_invocation_is_replaced() {
    if !installed("curl") {
        return;
    }
    let bench = Bench::start().await;
    let fragile = ECHO.replace("echo \"event", "test \"$event\" != 13 || exit 1; echo \"event");
    bench.create("f", "provided.al2023", "x", &[("bootstrap", &fragile)]).await;
    assert_eq!(bench.invoke("f", &json!(12)).await.value()["echo"], 12);
    assert_eq!(bench.invoke("f", &json!(13)).await.error_type(), "Runtime.ExitError");
    assert_eq!(bench.invoke("f", &json!(14)).await.value()["echo"], 14);
}

#[tokio::test]
async fn a_function_that_takes_too_long_is_ended() {
    if !installed("curl") {
        return;
    }
    let bench = Bench::start().await;
    let slow = ECHO.replace("echo \"event", "test \"$event\" != 13 || sleep 600; echo \"event");
    // Enough for the last invocation, which starts a process again, on a busy machine.
    bench.create_with_timeout("f", "provided.al2023", "x", &[("bootstrap", &slow)], 5).await;
    let failed = bench.invoke("f", &json!(13)).await;
    assert_eq!(failed.error_type(), "Sandbox.Timedout");
    let (id, what) = failed.error_message().strip_prefix("RequestId: ").unwrap().split_once(' ').unwrap();
    assert_eq!(what, "Error: Task timed out after 5.00 seconds");
    assert!(failed.log.contains(&format!("Z {id} Task timed out after 5.00 seconds\n")), "{}", failed.log);
    assert!(failed.log.contains("\tStatus: timeout"));
    assert_eq!(bench.invoke("f", &json!(1)).await.value()["echo"], 1);
}

#[tokio::test]
async fn events_that_are_no_json_or_too_large_are_refused() {
    let bench = Bench::start().await;
    bench.create("f", "provided.al2023", "x", &[("bootstrap", "#!/bin/sh\n")]).await;
    let invoke = |payload: Vec<u8>| bench.lambda.invoke().function_name("f").payload(Blob::new(payload)).send();
    let refused = invoke(b"{nonsense".to_vec()).await.unwrap_err();
    assert_eq!(refused.code(), Some("InvalidRequestContentException"));
    let refused = invoke(vec![b' '; 6_291_457]).await.unwrap_err();
    assert_eq!(refused.code(), Some("RequestTooLargeException"));
    assert_eq!(refused.raw_response().unwrap().status().as_u16(), 413);
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_an_error_of_the_function() {
    if !installed("curl") {
        return;
    }
    let bench = Bench::start().await;
    let large = ECHO.replace(
        "curl -sS -o /dev/null -d",
        "test \"$event\" != 13 || { head -c 7000000 /dev/zero | tr '\\0' 1 | curl -sS -o /dev/null -H Expect: --data-binary @- \"$api/$id/response\"; continue; }; curl -sS -o /dev/null -d",
    );
    bench.create("f", "provided.al2023", "x", &[("bootstrap", &large)]).await;
    assert_eq!(bench.invoke("f", &json!(13)).await.error_type(), "Function.ResponseSizeTooLarge");
    assert_eq!(bench.invoke("f", &json!(1)).await.value()["echo"], 1);
}

#[tokio::test]
async fn a_runtime_that_cannot_be_run_here_is_refused_by_name() {
    let bench = Bench::start().await;
    bench.create("f", "ruby3.4", "app.handler", &[("app.rb", "")]).await;
    let refused = bench.lambda.invoke().function_name("f").send().await.unwrap_err();
    assert_eq!(refused.code(), Some("InvalidRuntimeException"));
    assert!(refused.message().unwrap().contains("ruby3.4"));
}

#[tokio::test]
async fn reserved_concurrency_of_zero_throttles_every_invocation() {
    let bench = Bench::start().await;
    bench.create("f", "provided.al2023", "x", &[("bootstrap", "#!/bin/sh\n")]).await;
    let reserve = bench.lambda.put_function_concurrency().function_name("f").reserved_concurrent_executions(0);
    reserve.send().await.unwrap();
    let refused = bench.lambda.invoke().function_name("f").send().await.unwrap_err();
    assert_eq!(refused.code(), Some("TooManyRequestsException"));
}

#[tokio::test]
async fn a_function_that_is_not_there_is_named_by_its_arn() {
    let bench = Bench::start().await;
    let refused = bench.lambda.invoke().function_name("none").qualifier("7").send().await.unwrap_err();
    assert_eq!(refused.code(), Some("ResourceNotFoundException"));
    let expected = "Function not found: arn:aws:lambda:us-east-1:000000000000:function:none:7";
    assert_eq!(refused.message(), Some(expected));
}
