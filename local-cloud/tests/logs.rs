//! CloudWatch Logs as clients of the SDK see it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::config::{BehaviorVersion, Config, Credentials, Region};
use aws_sdk_cloudwatchlogs::error::ProvideErrorMetadata;
use aws_sdk_cloudwatchlogs::types::{InputLogEvent, OrderBy};
use local_cloud::{LocalCloud, Service};

const GROUP: &str = "/app";

struct Bench {
    cloud: LocalCloud,
    logs: Client,
}

impl Bench {
    /// A cloud with one group that has these streams.
    async fn with_streams(streams: &[&str]) -> Self {
        let cloud = LocalCloud::builder().start().await.unwrap();
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-west-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .endpoint_url(cloud.endpoint())
            .build();
        let bench = Self { cloud, logs: Client::from_conf(config) };
        bench.logs.create_log_group().log_group_name(GROUP).send().await.unwrap();
        for stream in streams {
            bench.logs.create_log_stream().log_group_name(GROUP).log_stream_name(*stream).send().await.unwrap();
        }
        bench
    }

    /// Puts `messages` as events that are one millisecond apart, beginning `ago` milliseconds before now.
    async fn put(&self, stream: &str, ago: i64, messages: &[&str]) {
        let put = self.logs.put_log_events().log_group_name(GROUP).log_stream_name(stream);
        let events = messages.iter().zip(now() - ago..).map(|(message, time)| event(time, message)).collect();
        put.set_log_events(Some(events)).send().await.unwrap();
    }

    /// The messages that match, over all pages of at most `limit` events.
    async fn filter(&self, pattern: &str, limit: i32) -> Vec<String> {
        let filter = self.logs.filter_log_events().log_group_name(GROUP).filter_pattern(pattern).limit(limit);
        let mut pages = filter.into_paginator().send();
        let mut messages = Vec::new();
        while let Some(page) = pages.next().await {
            messages.extend(page.unwrap().events.unwrap().into_iter().map(|event| event.message.unwrap()));
        }
        messages
    }
}

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

fn event(time: i64, message: &str) -> InputLogEvent {
    InputLogEvent::builder().timestamp(time).message(message).build().unwrap()
}

#[tokio::test]
async fn streams_are_interleaved_by_time_and_paged() {
    let bench = Bench::with_streams(&["a", "b"]).await;
    bench.put("a", 2_000, &["a1", "a2"]).await;
    bench.put("b", 1_000, &["b1", "b2"]).await;
    bench.put("a", 500, &["a3"]).await;
    for limit in [1, 2, 3, 100] {
        assert_eq!(bench.filter("", limit).await, ["a1", "a2", "b1", "b2", "a3"], "{limit}");
    }
}

#[tokio::test]
async fn a_search_keeps_to_its_streams_times_and_pattern() {
    let bench = Bench::with_streams(&["a-1", "a-2", "b"]).await;
    let start = now() - 10_000;
    for stream in ["a-1", "a-2", "b"] {
        let put = bench.logs.put_log_events().log_group_name(GROUP).log_stream_name(stream);
        let events = (0..3).map(|n| event(start + n, &format!("{stream} ERROR {n}"))).collect();
        put.set_log_events(Some(events)).send().await.unwrap();
    }
    let filter = || bench.logs.filter_log_events().log_group_name(GROUP);
    let found = filter().log_stream_name_prefix("a-").start_time(start + 1).end_time(start + 1).send().await.unwrap();
    let messages: Vec<_> = found.events().iter().map(|event| event.message().unwrap()).collect();
    assert_eq!(messages, ["a-1 ERROR 1", "a-2 ERROR 1"]);
    let found = filter().log_stream_names("b").filter_pattern(r#""ERROR 2""#).send().await.unwrap();
    assert_eq!(found.events().len(), 1);
    let event = &found.events()[0];
    assert_eq!((event.message(), event.timestamp()), (Some("b ERROR 2"), Some(start + 2)));
    assert!(event.ingestion_time().unwrap() >= start && event.event_id().unwrap().len() == 56);
    let refused = filter().filter_pattern("user-1").send().await.unwrap_err();
    assert_eq!(refused.code(), Some("InvalidParameterException"));
    let refused = filter().log_stream_names("c").send().await.unwrap_err();
    assert_eq!(refused.message(), Some("The specified log stream does not exist."));
}

#[tokio::test]
async fn a_stream_is_read_in_both_directions_and_its_ends_repeat_their_token() {
    let bench = Bench::with_streams(&["s"]).await;
    bench.put("s", 1_000, &["1", "2", "3", "4", "5"]).await;
    let get = |token: Option<String>, from_head| {
        let get = bench.logs.get_log_events().log_group_name(GROUP).log_stream_name("s").limit(2);
        get.start_from_head(from_head).set_next_token(token).send()
    };
    let shown = |page: &aws_sdk_cloudwatchlogs::operation::get_log_events::GetLogEventsOutput| {
        page.events().iter().map(|event| event.message().unwrap()).collect::<String>()
    };
    let last = get(None, false).await.unwrap();
    assert_eq!(shown(&last), "45");
    let before = get(last.next_backward_token.clone(), false).await.unwrap();
    assert_eq!(shown(&before), "23");
    let again = get(before.next_forward_token.clone(), true).await.unwrap();
    assert_eq!(shown(&again), "45");
    let end = get(again.next_forward_token.clone(), true).await.unwrap();
    assert_eq!((shown(&end), &end.next_forward_token), (String::new(), &again.next_forward_token));

    bench.put("s", 500, &["6"]).await;
    assert_eq!(shown(&get(end.next_forward_token, true).await.unwrap()), "6");
    assert_eq!(shown(&get(None, true).await.unwrap()), "12");
    let wrong = get(Some("nonsense".to_owned()), true).await.unwrap_err();
    assert_eq!(wrong.code(), Some("InvalidParameterException"));
}

#[tokio::test]
async fn a_batch_is_held_to_its_rules() {
    let bench = Bench::with_streams(&["s"]).await;
    let put = |events: Vec<InputLogEvent>| {
        let put = bench.logs.put_log_events().log_group_name(GROUP).log_stream_name("s");
        put.set_log_events(Some(events)).send()
    };
    let now = now();
    let (hour, day) = (3_600_000, 86_400_000);
    let mixed = put(vec![event(now, "now"), event(now + 3 * hour, "in three hours")]).await.unwrap();
    assert_eq!(mixed.rejected_log_events_info().unwrap().too_new_log_event_start_index(), Some(1));
    let old = put(vec![event(now - 15 * day, "old")]).await.unwrap();
    assert_eq!(old.rejected_log_events_info().unwrap().too_old_log_event_end_index(), Some(1));
    for (why, events) in [
        ("chronological order", vec![event(now, "b"), event(now - 1, "a")]),
        ("24 hours", vec![event(now - 2 * day, "a"), event(now, "b")]),
        ("length between 1 and", vec![]),
        ("Upload too large", vec![event(now, &"x".repeat(600_000)); 2]),
    ] {
        let refused = put(events).await.unwrap_err();
        assert_eq!(refused.code(), Some("InvalidParameterException"));
        assert!(refused.message().unwrap().contains(why), "{refused:?}");
    }
    assert_eq!(bench.filter("", 100).await, ["now"]);
}

#[tokio::test]
async fn groups_and_streams_come_and_go_by_their_names() {
    let bench = Bench::with_streams(&["b", "a"]).await;
    let logs = &bench.logs;
    let again = logs.create_log_group().log_group_name(GROUP).send().await.unwrap_err();
    assert_eq!(again.code(), Some("ResourceAlreadyExistsException"));
    for name in ["/app-2", "/other"] {
        logs.create_log_group().log_group_name(name).send().await.unwrap();
    }
    logs.put_retention_policy().log_group_name(GROUP).retention_in_days(7).send().await.unwrap();
    assert!(logs.put_retention_policy().log_group_name(GROUP).retention_in_days(8).send().await.is_err());
    let page = logs.describe_log_groups().log_group_name_prefix("/app").limit(1).send().await.unwrap();
    let group = &page.log_groups()[0];
    assert_eq!((group.log_group_name(), group.retention_in_days()), (Some(GROUP), Some(7)));
    assert_eq!(group.arn(), Some("arn:aws:logs:eu-west-1:000000000000:log-group:/app:*"));
    let rest = logs.describe_log_groups().log_group_name_prefix("/app").set_next_token(page.next_token);
    let rest = rest.send().await.unwrap();
    assert_eq!((rest.log_groups()[0].log_group_name(), rest.next_token()), (Some("/app-2"), None));

    bench.put("b", 1_000, &["old"]).await;
    bench.put("a", 500, &["new"]).await;
    let streams = async |order: OrderBy, descending| {
        let describe = logs.describe_log_streams().log_group_name(GROUP).order_by(order).descending(descending);
        let found = describe.send().await.unwrap().log_streams.unwrap();
        found.into_iter().map(|stream| stream.log_stream_name.unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(streams(OrderBy::LogStreamName, false).await, ["a", "b"]);
    assert_eq!(streams(OrderBy::LastEventTime, true).await, ["a", "b"]);
    assert_eq!(streams(OrderBy::LastEventTime, false).await, ["b", "a"]);

    logs.delete_log_stream().log_group_name(GROUP).log_stream_name("b").send().await.unwrap();
    assert_eq!(bench.filter("", 100).await, ["new"]);
    logs.delete_log_group().log_group_name(GROUP).send().await.unwrap();
    let gone = logs.delete_log_group().log_group_name(GROUP).send().await.unwrap_err();
    assert_eq!(gone.code(), Some("ResourceNotFoundException"));
}

#[tokio::test]
async fn requests_are_in_the_log_by_their_group() {
    let bench = Bench::with_streams(&[]).await;
    bench.filter("", 10).await;
    let record = bench.cloud.requests().pop().unwrap();
    assert_eq!((record.service, record.operation.as_str()), (Service::Logs, "FilterLogEvents"));
    assert_eq!(record.resource.as_deref(), Some(GROUP));
}
