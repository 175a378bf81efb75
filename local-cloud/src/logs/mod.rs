//! CloudWatch Logs: what functions and builds write, and what clients put, read back in order.
//!
//! All of it is in memory, under one lock that nothing slow happens under. A group keeps its events in the order in which
//! `FilterLogEvents` shows them, so that every read is a walk along that order: `group`. What the operations make of
//! requests is in `management`, `writing` and `reading`; filter patterns are in `pattern`.
//!
//! Lambda and CodeBuild write through a [`StreamWriter`], line by line, as the lines come. Group and stream appear with the
//! first line, as in AWS: a function that was never invoked has no log group.

mod group;
mod management;
mod pattern;
mod reading;
mod writing;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use group::Group;

use crate::protocol::json::{Answer, Call, Exception};
use crate::s3::ACCOUNT;

/// The longest event, in bytes.
const MAX_EVENT: usize = 1 << 20;
/// What AWS adds to an event's message when it counts sizes, in bytes.
const EVENT_OVERHEAD: usize = 26;

/// The CloudWatch Logs of a local cloud.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    groups: Mutex<BTreeMap<String, Group>>,
}

impl Logs {
    /// Answers one request.
    pub(crate) fn handle(&self, call: &Call) -> Answer {
        match call.operation.as_str() {
            "CreateLogGroup" => self.create_log_group(call),
            "CreateLogStream" => self.create_log_stream(call),
            "DeleteLogGroup" => self.delete_log_group(call),
            "DeleteLogStream" => self.delete_log_stream(call),
            "DeleteRetentionPolicy" => self.delete_retention_policy(call),
            "DescribeLogGroups" => self.describe_log_groups(call),
            "DescribeLogStreams" => self.describe_log_streams(call),
            "FilterLogEvents" => self.filter_log_events(call),
            "GetLogEvents" => self.get_log_events(call),
            "PutLogEvents" => self.put_log_events(call),
            "PutRetentionPolicy" => self.put_retention_policy(call),
            other => Err(Exception::unknown_operation("CloudWatch Logs", other)),
        }
    }

    /// Whether there is a group with this name.
    pub(crate) fn has(&self, group: &str) -> bool {
        self.groups().contains_key(group)
    }

    /// Something that writes into one stream of one group. Neither has to exist.
    pub(crate) fn writer(self: &Arc<Self>, group: &str, stream: &str) -> StreamWriter {
        StreamWriter { logs: Arc::clone(self), group: group.to_owned(), stream: stream.into(), kept: true }
    }

    /// Every line of a group, with its time, oldest first. Empty when there is no such group.
    pub(crate) fn lines(&self, group: &str) -> Vec<(SystemTime, String)> {
        let groups = self.groups();
        let events = groups.get(group).into_iter().flat_map(Group::events);
        let lines = events.flat_map(|(place, event)| event.message.lines().map(|text| (place.timestamp, text)));
        lines.map(|(time, text)| (UNIX_EPOCH + millis(time), text.to_owned())).collect()
    }

    fn groups(&self) -> MutexGuard<'_, BTreeMap<String, Group>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has `work` done on a group, after what its retention no longer covers is gone.
    fn with_group<T>(&self, name: &str, work: impl FnOnce(&mut Group) -> Result<T, Exception>) -> Result<T, Exception> {
        let mut groups = self.groups();
        let group = groups.get_mut(name).ok_or_else(no_such_group)?;
        group.expire(now());
        work(group)
    }
}

/// Writes events into one stream, each at the moment it is written.
#[derive(Clone, Debug)]
pub(crate) struct StreamWriter {
    logs: Arc<Logs>,
    group: String,
    stream: Arc<str>,
    kept: bool,
}

impl StreamWriter {
    /// Whether what is written is kept: who may not write a log runs without one.
    pub(crate) fn kept(self, kept: bool) -> Self {
        Self { kept, ..self }
    }

    /// The group's name.
    pub(crate) fn group(&self) -> &str {
        &self.group
    }

    /// The stream's name.
    pub(crate) fn stream(&self) -> &str {
        &self.stream
    }

    /// Writes one event, which may have several lines.
    pub(crate) fn write(&self, message: &str) {
        self.write_all(std::iter::once(message));
    }

    /// Writes each line as an event of its own. Bytes that are no UTF-8 are replaced, and a line that is too long for one
    /// event is several.
    pub(crate) fn write_lines(&self, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        self.write_all(text.split_inclusive('\n').flat_map(pieces));
    }

    fn write_all<'a>(&self, messages: impl Iterator<Item = &'a str>) {
        let mut messages = messages.peekable();
        if !self.kept || messages.peek().is_none() {
            return;
        }
        let now = now();
        let mut groups = self.logs.groups();
        let group = groups.entry(self.group.clone()).or_insert_with(|| Group::new(now));
        group.open_stream(&self.stream, now);
        for message in messages {
            group.add(&self.stream, now, now, message.to_owned());
        }
    }
}

/// A line in pieces that each fit into an event.
fn pieces(mut line: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let (piece, rest) = line.split_at(line.floor_char_boundary(MAX_EVENT));
        line = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Milliseconds since 1970, as CloudWatch Logs gives every time.
fn now() -> i64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
}

fn millis(time: i64) -> std::time::Duration {
    std::time::Duration::from_millis(u64::try_from(time).unwrap_or(0))
}

/// A group's ARN, as `logGroupArn` and policies have it.
fn group_arn(region: &str, name: &str) -> String {
    format!("arn:aws:logs:{region}:{ACCOUNT}:log-group:{name}")
}

/// The name of a group that was given by its name or by its ARN, one of which is required.
fn group_name<'a>(name: Option<&'a str>, identifier: Option<&'a str>) -> Result<&'a str, Exception> {
    match (name, identifier) {
        (Some(name), None) => Ok(name),
        (None, Some(identifier)) => Ok(match identifier.split_once(":log-group:") {
            Some((_, name)) => name.trim_end_matches(":*"),
            None => identifier,
        }),
        (Some(_), Some(_)) => Err(invalid("LogGroup name and LogGroup ARN are mutually exclusive parameters.")),
        (None, None) => Err(invalid("Either LogGroup name or LogGroup ARN must be specified.")),
    }
}

fn invalid(message: impl Into<String>) -> Exception {
    Exception::new("InvalidParameterException", message)
}

fn no_such_group() -> Exception {
    Exception::new("ResourceNotFoundException", "The specified log group does not exist.")
}

fn no_such_stream() -> Exception {
    Exception::new("ResourceNotFoundException", "The specified log stream does not exist.")
}

/// A value that breaks a rule of the service's model.
fn constraint(value: impl std::fmt::Display, member: &str, rule: &str) -> Exception {
    invalid(format!("1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {rule}"))
}

/// How many items were asked for, within 1 to `most`, which is also the default.
fn limit(asked: Option<i64>, most: usize) -> Result<usize, Exception> {
    match asked.map(usize::try_from) {
        None => Ok(most),
        Some(Ok(limit)) if (1..=most).contains(&limit) => Ok(limit),
        Some(asked_for) => {
            let rule = match asked_for {
                Ok(limit) if limit > most => format!("Member must have value less than or equal to {most}"),
                _ => "Member must have value greater than or equal to 1".to_owned(),
            };
            Err(constraint(asked.unwrap_or_default(), "limit", &rule))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_there_from_the_first_line_on() {
        let logs: Arc<Logs> = Arc::default();
        let writer = logs.writer("/aws/lambda/f", "s");
        writer.write_lines(b"");
        assert!(logs.groups().is_empty());
        writer.write_lines(b"one\ntwo");
        writer.write("three\nfour\n");
        let lines: Vec<String> = logs.lines("/aws/lambda/f").into_iter().map(|(_, line)| line).collect();
        assert_eq!(lines, ["one", "two", "three", "four"]);
        assert_eq!(logs.groups()["/aws/lambda/f"].events().count(), 3);
    }

    #[test]
    fn a_line_longer_than_an_event_is_several() {
        let long = "é".repeat(MAX_EVENT);
        let lengths: Vec<usize> = pieces(&long).map(str::len).collect();
        assert_eq!(lengths, [MAX_EVENT, MAX_EVENT]);
        assert_eq!(pieces(&format!("x{long}")).map(str::len).collect::<Vec<_>>(), [MAX_EVENT - 1, MAX_EVENT, 2]);
    }

    #[test]
    fn a_group_is_named_by_its_arn_too() {
        let arn = group_arn("us-east-1", "/a/b");
        assert_eq!(group_name(None, Some(&arn)).unwrap(), "/a/b");
        assert_eq!(group_name(None, Some(&format!("{arn}:*"))).unwrap(), "/a/b");
        assert!(group_name(Some("a"), Some(&arn)).is_err());
    }
}
