//! `GetLogEvents`, which goes along one stream in both directions, and `FilterLogEvents`, which goes along all of them.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use serde::Deserialize;
use serde_json::{Value, json};

use super::group::{Event, Place};
use super::pattern::Pattern;
use super::{EVENT_OVERHEAD, Logs, group_name, invalid, limit, no_such_stream};
use crate::protocol::json::{Answer, Call, Exception};

/// The most events of one page.
const MAX_EVENTS: usize = 10_000;
/// The most bytes of one page, overheads included.
const MAX_PAGE: usize = 1 << 20;
/// 2024-01-01: `FilterLogEvents` goes backwards to here and no further.
const BACKWARDS_SINCE: i64 = 1_704_067_200_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Get {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_name: String,
    start_time: Option<i64>,
    end_time: Option<i64>,
    next_token: Option<String>,
    limit: Option<i64>,
    #[serde(default)]
    start_from_head: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filter {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_names: Option<Vec<String>>,
    log_stream_name_prefix: Option<String>,
    start_time: Option<i64>,
    end_time: Option<i64>,
    filter_pattern: Option<String>,
    next_token: Option<String>,
    limit: Option<i64>,
    start_from_head: Option<bool>,
}

/// Which way a page goes, and the place it goes on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    /// To later events than this one.
    Forward(Place),
    /// To earlier events than this one.
    Backward(Place),
}

impl Course {
    fn token(self) -> String {
        match self {
            Self::Forward(place) => format!("f/{}/s", place.token()),
            Self::Backward(place) => format!("b/{}/s", place.token()),
        }
    }

    fn of_token(token: &str) -> Result<Self, Exception> {
        let course = match token.strip_suffix("/s").and_then(|token| token.split_once('/')) {
            Some(("f", place)) => Place::of_token(place).map(Self::Forward),
            Some(("b", place)) => Place::of_token(place).map(Self::Backward),
            _ => None,
        };
        course.ok_or_else(|| invalid("The specified nextToken is invalid."))
    }

    /// From the first or from the last moment of a time range.
    fn from_end(times: &RangeInclusive<i64>, from_head: bool) -> Self {
        if from_head {
            Self::Forward(Place { timestamp: *times.start(), arrival: 0 })
        } else {
            Self::Backward(Place { timestamp: *times.end(), arrival: u64::MAX })
        }
    }
}

/// The next events along a course, in the order of the course, and whether there are more.
fn walk<'a>(
    events: impl DoubleEndedIterator<Item = (&'a Place, &'a Event)>,
    course: Course,
    limit: usize,
) -> (Vec<(&'a Place, &'a Event)>, bool) {
    let ahead: &mut dyn Iterator<Item = (&'a Place, &'a Event)> = match course {
        Course::Forward(from) => &mut events.skip_while(move |(place, _)| **place <= from),
        Course::Backward(from) => &mut events.rev().skip_while(move |(place, _)| **place >= from),
    };
    let mut page = Vec::new();
    let mut bytes = 0;
    for found in ahead {
        bytes += found.1.message.len() + EVENT_OVERHEAD;
        if page.len() == limit || (bytes > MAX_PAGE && !page.is_empty()) {
            return (page, true);
        }
        page.push(found);
    }
    (page, false)
}

impl Logs {
    /// A page of a stream in chronological order, and the tokens that go on from both ends of it. At the end of a stream
    /// the token is the one that was given.
    pub(super) fn get_log_events(&self, call: &Call) -> Answer {
        let input: Get = call.input()?;
        let limit = limit(input.limit, MAX_EVENTS)?;
        // The end is exclusive here, and inclusive in FilterLogEvents.
        let times = input.start_time.unwrap_or(0)..=input.end_time.map_or(i64::MAX, |end| end.saturating_sub(1));
        let course = match input.next_token.as_deref() {
            Some(token) => Course::of_token(token)?,
            None => Course::from_end(&times, input.start_from_head),
        };
        let group = group_name(input.log_group_name.as_deref(), input.log_group_identifier.as_deref())?;
        self.with_group(group, |group| {
            if !group.streams.contains_key(input.log_stream_name.as_str()) {
                return Err(no_such_stream());
            }
            let of_stream = group.between(&times).filter(|(_, event)| *event.stream == *input.log_stream_name);
            let (mut page, _) = walk(of_stream, course, limit);
            if matches!(course, Course::Backward(_)) {
                page.reverse();
            }
            let (first, last) = match (page.first(), page.last(), course) {
                (Some((first, _)), Some((last, _)), _) => (**first, **last),
                (_, _, Course::Forward(place) | Course::Backward(place)) => (place, place),
            };
            let events: Vec<Value> = page.iter().map(|(place, event)| shown(**place, event)).collect();
            Ok(json!({
                "events": events,
                "nextForwardToken": Course::Forward(last).token(),
                "nextBackwardToken": Course::Backward(first).token(),
            }))
        })
    }

    /// A page of what matches, of all streams interleaved.
    pub(super) fn filter_log_events(&self, call: &Call) -> Answer {
        let input: Filter = call.input()?;
        let limit = limit(input.limit, MAX_EVENTS)?;
        let streams = Streams::of(&input)?;
        let pattern = Pattern::read(input.filter_pattern.as_deref().unwrap_or_default())?;
        let times = input.start_time.unwrap_or(0)..=input.end_time.unwrap_or(i64::MAX);
        let course = match input.next_token.as_deref() {
            Some(token) => Course::of_token(token)?,
            None => Course::from_end(&times, input.start_from_head.unwrap_or(true)),
        };
        if matches!(course, Course::Backward(_)) && *times.start() < BACKWARDS_SINCE {
            return Err(invalid(
                "startFromHead can be false only with a startTime on or after Jan 1, 2024 00:00:00 UTC.",
            ));
        }
        let group = group_name(input.log_group_name.as_deref(), input.log_group_identifier.as_deref())?;
        self.with_group(group, |group| {
            let missing = |name: &String| !group.streams.contains_key(name.as_str());
            if input.log_stream_names.iter().flatten().any(missing) {
                return Err(no_such_stream());
            }
            let matching = group
                .between(&times)
                .filter(|(_, event)| streams.have(&event.stream) && pattern.matches(&event.message));
            let (page, more) = walk(matching, course, limit);
            let next = page.last().filter(|_| more).map(|(place, _)| match course {
                Course::Forward(_) => Course::Forward(**place),
                Course::Backward(_) => Course::Backward(**place),
            });
            let events: Vec<Value> = page
                .iter()
                .map(|(place, event)| {
                    let mut shown = shown(**place, event);
                    shown["logStreamName"] = (*event.stream).into();
                    shown["eventId"] = place.event_id().into();
                    shown
                })
                .collect();
            let mut answer = json!({ "events": events, "searchedLogStreams": [] });
            if let Some(next) = next {
                answer["nextToken"] = next.token().into();
            }
            Ok(answer)
        })
    }
}

/// Which streams a search goes through.
enum Streams<'a> {
    All,
    Named(BTreeSet<&'a str>),
    Prefixed(&'a str),
}

impl<'a> Streams<'a> {
    fn of(input: &'a Filter) -> Result<Self, Exception> {
        match (&input.log_stream_names, &input.log_stream_name_prefix) {
            (None, None) => Ok(Self::All),
            (Some(names), None) => Ok(Self::Named(names.iter().map(String::as_str).collect())),
            (None, Some(prefix)) => Ok(Self::Prefixed(prefix)),
            (Some(_), Some(_)) => {
                Err(invalid("logStreamNames and logStreamNamePrefix are mutually exclusive parameters."))
            }
        }
    }

    fn have(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Named(names) => names.contains(name),
            Self::Prefixed(prefix) => name.starts_with(prefix),
        }
    }
}

fn shown(place: Place, event: &Event) -> Value {
    json!({ "timestamp": place.timestamp, "message": event.message, "ingestionTime": event.ingested })
}
