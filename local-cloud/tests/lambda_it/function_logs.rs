//! What functions write, as CloudWatch Logs shows it.

use std::time::Duration;

use aws_sdk_cloudwatchlogs::types::{FilteredLogEvent, OrderBy};
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{InvocationType, LoggingConfig};
use serde_json::json;

use crate::support::{Bench, ECHO, installed};

const GROUP: &str = "/aws/lambda/echo";

async fn echo() -> Option<Bench> {
    if !installed("curl") {
        return None;
    }
    let bench = Bench::start().await;
    bench.create("echo", "provided.al2023", "bootstrap", &[("bootstrap", ECHO)]).await;
    Some(bench)
}

fn client(bench: &Bench) -> aws_sdk_cloudwatchlogs::Client {
    use aws_sdk_cloudwatchlogs::config::{BehaviorVersion, Config, Credentials, Region};
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(bench.cloud.endpoint())
        .build();
    aws_sdk_cloudwatchlogs::Client::from_conf(config)
}

async fn events(bench: &Bench, group: &str) -> Vec<FilteredLogEvent> {
    client(bench).filter_log_events().log_group_name(group).send().await.unwrap().events.unwrap()
}

fn messages(events: &[FilteredLogEvent]) -> Vec<&str> {
    events.iter().map(|event| event.message().unwrap()).collect()
}

#[tokio::test]
async fn a_function_that_was_never_invoked_has_no_log_group() {
    let Some(bench) = echo().await else { return };
    let error = client(&bench).filter_log_events().log_group_name(GROUP).send().await.unwrap_err().into_service_error();
    assert!(error.is_resource_not_found_exception(), "{error:?}");
    assert_eq!(error.meta().message(), Some("The specified log group does not exist."));
}

#[tokio::test]
async fn an_environment_has_one_stream_for_all_its_invocations() {
    let Some(bench) = echo().await else { return };
    bench.invoke("echo", &json!({ "n": 1 })).await;
    bench.invoke("echo", &json!({ "n": 2 })).await;
    let events = events(&bench, GROUP).await;
    let messages = messages(&events);
    assert_eq!(messages.len(), 9, "{messages:?}");
    assert_eq!(messages[0], "starting as echo\n");
    assert!(messages[1].starts_with("START RequestId: ") && messages[1].ends_with(" Version: $LATEST\n"));
    assert_eq!(messages[2], "event {\"n\":1}\n");
    assert!(messages[3].starts_with("END RequestId: ") && messages[4].starts_with("REPORT RequestId: "));
    assert_eq!(messages[6], "event {\"n\":2}\n");

    let streams = client(&bench).describe_log_streams().log_group_name(GROUP).order_by(OrderBy::LastEventTime);
    let streams = streams.send().await.unwrap().log_streams.unwrap();
    assert_eq!(streams.len(), 1);
    let name = streams[0].log_stream_name().unwrap();
    let (date, environment) = name.split_once("/[$LATEST]").unwrap();
    assert!(date.len() == 10 && date.split('/').count() == 3, "{name}");
    assert!(environment.len() == 32 && environment.chars().all(|c| c.is_ascii_hexdigit()), "{name}");
    assert!(events.iter().all(|event| event.log_stream_name() == Some(name)));
    assert_eq!(streams[0].last_event_timestamp(), events.last().unwrap().timestamp());
}

#[tokio::test]
async fn lines_arrive_while_the_invocation_runs() {
    if !installed("curl") {
        return;
    }
    let bench = Bench::start().await;
    // It goes on when the file is there, and that is made only when its line was read.
    let directory = tempfile::tempdir().unwrap();
    let gate = directory.path().join("gate");
    let waiting = format!("echo waiting; while [ ! -e '{}' ]; do sleep 0.01; done; echo \"event", gate.display());
    let slow = ECHO.replace("echo \"event", &waiting);
    bench.create("echo", "provided.al2023", "bootstrap", &[("bootstrap", &slow)]).await;
    let event = bench.lambda.invoke().function_name("echo").invocation_type(InvocationType::Event);
    event.payload(Blob::new("{}")).send().await.unwrap();
    let logs = client(&bench);
    let seen = async |text: &str| {
        let look = async {
            loop {
                let found = logs.filter_log_events().log_group_name(GROUP).filter_pattern(text).send().await;
                if found.is_ok_and(|found| !found.events().is_empty()) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), look).await.unwrap_or_else(|_| panic!("`{text}` never came"));
    };
    seen("waiting").await;
    let so_far = events(&bench, GROUP).await;
    assert!(messages(&so_far).iter().any(|line| line.starts_with("START ")));
    assert!(!messages(&so_far).iter().any(|line| line.starts_with("REPORT ")), "{so_far:?}");
    std::fs::write(&gate, "").unwrap();
    seen("REPORT").await;
}

#[tokio::test]
async fn what_lambda_finds_out_is_logged_before_the_end() {
    if !installed("curl") {
        return;
    }
    let bench = Bench::start().await;
    let dying = ECHO.replace("echo \"event", "exit 3; echo \"event");
    bench.create("echo", "provided.al2023", "bootstrap", &[("bootstrap", &dying)]).await;
    let failed = bench.invoke("echo", &json!({})).await;
    assert_eq!(failed.error_type(), "Runtime.ExitError");
    let events = events(&bench, GROUP).await;
    let messages = messages(&events);
    assert_eq!(messages.len(), 5, "{messages:?}");
    assert!(messages[1].starts_with("START "));
    assert!(messages[2].ends_with(" Error: Runtime exited with error: exit status 3\nRuntime.ExitError\n"));
    assert!(messages[3].starts_with("END ") && messages[4].contains("Status: error\tError Type: Runtime.ExitError"));
    assert_eq!(messages.concat(), failed.log);
}

#[tokio::test]
async fn a_process_that_dies_at_its_start_leaves_its_words() {
    let bench = Bench::start().await;
    let dying = "#!/bin/sh\necho 'no such table'; exit 1\n";
    bench.create("echo", "provided.al2023", "bootstrap", &[("bootstrap", dying)]).await;
    let failed = bench.invoke("echo", &json!({})).await;
    let events = events(&bench, GROUP).await;
    let messages = messages(&events);
    assert_eq!(messages[0], "no such table\n");
    assert!(messages[1].starts_with("START "), "{messages:?}");
    assert_eq!(messages.concat(), failed.log);
}

#[tokio::test]
async fn functions_may_share_a_log_group_of_their_choice() {
    let Some(bench) = echo().await else { return };
    let logging = LoggingConfig::builder().log_group("/my/app").build();
    bench.lambda.update_function_configuration().function_name("echo").logging_config(logging).send().await.unwrap();
    bench.settled("echo").await;
    bench.invoke("echo", &json!({})).await;
    let events = events(&bench, "/my/app").await;
    assert_eq!(events.len(), 5);
    assert!(events[0].log_stream_name().unwrap().contains("/echo[$LATEST]"), "{:?}", events[0]);
    assert_eq!(bench.cloud.functions().logs("echo").len(), 5);
    let groups = client(&bench).describe_log_groups().send().await.unwrap();
    let names: Vec<_> = groups.log_groups().iter().map(|group| group.log_group_name().unwrap()).collect();
    assert_eq!(names, ["/my/app"]);
}
