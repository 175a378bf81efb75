//! Groups and streams: created, listed, removed, and how long a group's events are kept.

use serde::Deserialize;
use serde_json::{Value, json};

use super::group::{Group, Stream};
use super::{Logs, constraint, group_arn, group_name, invalid, limit, no_such_group, no_such_stream, now};
use crate::protocol::json::{Answer, Call, Exception};

/// The days that `PutRetentionPolicy` takes.
const RETENTIONS: [u32; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];
/// The most items that a list shows at one time.
const MOST_LISTED: usize = 50;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    log_group_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NamedStream {
    log_group_name: String,
    log_stream_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Retention {
    log_group_name: String,
    retention_in_days: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DescribeGroups {
    log_group_name_prefix: Option<String>,
    log_group_name_pattern: Option<String>,
    next_token: Option<String>,
    limit: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DescribeStreams {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_name_prefix: Option<String>,
    order_by: Option<String>,
    #[serde(default)]
    descending: bool,
    next_token: Option<String>,
    limit: Option<i64>,
}

impl Logs {
    pub(super) fn create_log_group(&self, call: &Call) -> Answer {
        let Named { log_group_name: name } = call.input()?;
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-/#".contains(c);
        if !(1..=512).contains(&name.len()) || !name.chars().all(allowed) {
            let rule = r"Member must satisfy regular expression pattern: [\.\-_/#A-Za-z0-9]+";
            return Err(constraint(&name, "logGroupName", rule));
        }
        let mut groups = self.groups();
        if groups.contains_key(&name) {
            return Err(exists("log group"));
        }
        groups.insert(name, Group::new(now()));
        Ok(json!({}))
    }

    pub(super) fn delete_log_group(&self, call: &Call) -> Answer {
        let Named { log_group_name: name } = call.input()?;
        self.groups().remove(&name).map(|_| json!({})).ok_or_else(no_such_group)
    }

    pub(super) fn create_log_stream(&self, call: &Call) -> Answer {
        let NamedStream { log_group_name: group, log_stream_name: stream } = call.input()?;
        if !(1..=512).contains(&stream.len()) || stream.contains([':', '*']) {
            let rule = "Member must satisfy regular expression pattern: [^:*]*";
            return Err(constraint(&stream, "logStreamName", rule));
        }
        self.with_group(&group, |group| {
            if group.open_stream(&stream.into(), now()) { Ok(json!({})) } else { Err(exists("log stream")) }
        })
    }

    pub(super) fn delete_log_stream(&self, call: &Call) -> Answer {
        let NamedStream { log_group_name: group, log_stream_name: stream } = call.input()?;
        self.with_group(
            &group,
            |group| {
                if group.remove_stream(&stream) { Ok(json!({})) } else { Err(no_such_stream()) }
            },
        )
    }

    pub(super) fn put_retention_policy(&self, call: &Call) -> Answer {
        let Retention { log_group_name: group, retention_in_days: days } = call.input()?;
        if !RETENTIONS.contains(&days) {
            let rule = format!("Member must satisfy enum value set: {RETENTIONS:?}");
            return Err(constraint(days, "retentionInDays", &rule));
        }
        self.with_group(&group, |group| {
            group.retention_days = Some(days);
            Ok(json!({}))
        })
    }

    pub(super) fn delete_retention_policy(&self, call: &Call) -> Answer {
        let Named { log_group_name: group } = call.input()?;
        self.with_group(&group, |group| {
            group.retention_days = None;
            Ok(json!({}))
        })
    }

    /// Groups by their names, which is also what a token holds: the name of the last one shown.
    pub(super) fn describe_log_groups(&self, call: &Call) -> Answer {
        let input: DescribeGroups = call.input()?;
        let limit = limit(input.limit, MOST_LISTED)?;
        if input.log_group_name_prefix.is_some() && input.log_group_name_pattern.is_some() {
            return Err(invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters."));
        }
        let wanted = |name: &str| {
            input.log_group_name_prefix.as_deref().is_none_or(|prefix| name.starts_with(prefix))
                && input.log_group_name_pattern.as_deref().is_none_or(|pattern| name.contains(pattern))
                && input.next_token.as_deref().is_none_or(|last| name > last)
        };
        let mut groups = self.groups();
        let mut shown: Vec<Value> = Vec::new();
        let mut next = None;
        for (name, group) in groups.iter_mut().filter(|(name, _)| wanted(name)) {
            if shown.len() == limit {
                next = shown.last().and_then(|last| last["logGroupName"].as_str()).map(str::to_owned);
                break;
            }
            group.expire(now());
            shown.push(describe_group(name, group, &call.caller.region));
        }
        Ok(page("logGroups", shown, next))
    }

    /// Streams by their names or by their last events. A token holds how many were shown before.
    pub(super) fn describe_log_streams(&self, call: &Call) -> Answer {
        let input: DescribeStreams = call.input()?;
        let limit = limit(input.limit, MOST_LISTED)?;
        let by_time = match input.order_by.as_deref() {
            None | Some("LogStreamName") => false,
            Some("LastEventTime") => true,
            Some(other) => {
                let rule = "Member must satisfy enum value set: [LogStreamName, LastEventTime]";
                return Err(constraint(other, "orderBy", rule));
            }
        };
        let prefix = input.log_stream_name_prefix.as_deref();
        if by_time && prefix.is_some() {
            return Err(invalid("Cannot order by LastEventTime with a logStreamNamePrefix."));
        }
        let from = match input.next_token.as_deref().map(str::parse) {
            None => 0,
            Some(Ok(from)) => from,
            Some(Err(_)) => return Err(invalid("The specified nextToken is invalid.")),
        };
        let group_name = group_name(input.log_group_name.as_deref(), input.log_group_identifier.as_deref())?;
        self.with_group(group_name, |group| {
            let wanted = |(name, _): &(&str, &Stream)| prefix.is_none_or(|prefix| name.starts_with(prefix));
            let mut streams: Vec<(&str, &Stream)> =
                group.streams.iter().map(|(name, stream)| (&**name, stream)).filter(wanted).collect();
            if by_time {
                // A stream without events stands where it was made.
                streams.sort_by_key(|(_, stream)| stream.last_event.unwrap_or(stream.created));
            }
            if input.descending {
                streams.reverse();
            }
            let describe = |(name, stream): &(&str, &Stream)| {
                describe_stream(&group_arn(&call.caller.region, group_name), name, stream)
            };
            let shown: Vec<Value> = streams.iter().skip(from).take(limit).map(describe).collect();
            let next = (from + limit < streams.len()).then(|| (from + limit).to_string());
            Ok(page("logStreams", shown, next))
        })
    }
}

fn exists(what: &str) -> Exception {
    Exception::new("ResourceAlreadyExistsException", format!("The specified {what} already exists"))
}

fn page(member: &str, items: Vec<Value>, next: Option<String>) -> Value {
    let mut page = json!({});
    page[member] = items.into();
    if let Some(next) = next {
        page["nextToken"] = next.into();
    }
    page
}

fn describe_group(name: &str, group: &Group, region: &str) -> Value {
    let arn = group_arn(region, name);
    let mut shown = json!({
        "logGroupName": name,
        "creationTime": group.created,
        "metricFilterCount": 0,
        "arn": format!("{arn}:*"),
        "logGroupArn": arn,
        "storedBytes": group.stored(),
        "logGroupClass": "STANDARD",
    });
    if let Some(days) = group.retention_days {
        shown["retentionInDays"] = days.into();
    }
    shown
}

fn describe_stream(group_arn: &str, name: &str, stream: &Stream) -> Value {
    let mut shown = json!({
        "logStreamName": name,
        "creationTime": stream.created,
        "arn": format!("{group_arn}:log-stream:{name}"),
        // AWS has shown 0 for every stream since June 2019.
        "storedBytes": 0,
    });
    for (member, time) in [
        ("firstEventTimestamp", stream.first_event),
        ("lastEventTimestamp", stream.last_event),
        ("lastIngestionTime", stream.last_ingestion),
    ] {
        if let Some(time) = time {
            shown[member] = time.into();
        }
    }
    shown
}
