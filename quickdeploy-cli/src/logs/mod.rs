//! What functions log, read from CloudWatch Logs: what is there, and what comes.
//!
//! CloudWatch Logs has no way to wait for events, so [`Tail::run`] asks again and again: one `FilterLogEvents` for each log
//! group, all groups of a round at once, with a pause between the rounds. The quota of that call is an account's and a
//! region's, for all that read logs in it, and is as low as 5 per second in some regions: never more than 4 are made.
//!
//! Events arrive late, and not in the order of their times. So each round asks again for the last seconds that it has seen,
//! and an event that was shown is known by its id.
//!
//! Several functions can share a log group. It is read once, and whose an event is says the name of its stream.

mod pattern;
mod show;

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_config::retry::RetryConfig;
use aws_sdk_cloudwatchlogs::operation::filter_log_events::FilterLogEventsError;
use aws_sdk_cloudwatchlogs::types::FilteredLogEvent;
use serde::Serialize;

pub(crate) use show::{Printer, is_of_function, readable, written_by_the_function};

use crate::aws::Cloud;
use crate::error::{Error, Result};
use crate::functions::Function;
use crate::rate::Quota;
use crate::retry::retried;

/// Between two rounds.
const PAUSE: Duration = Duration::from_secs(1);
/// How far back each round asks again, for events that arrived after others with later times. Milliseconds.
const LATE: i64 = 15_000;
/// `FilterLogEvents` per second: one less than the lowest quota that a region has.
const REQUESTS_PER_SECOND: usize = 4;

/// One event of a function's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct Event {
    /// The function's name.
    pub(crate) function: String,
    /// Milliseconds since 1970.
    pub(crate) timestamp: i64,
    pub(crate) log_group: String,
    pub(crate) log_stream: String,
    pub(crate) event_id: String,
    /// Of any number of lines, with the line break that it ends with.
    pub(crate) message: String,
}

/// A log group, and the functions that write into it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    name: String,
    functions: Vec<String>,
}

impl Group {
    /// Whose an event is. A stream that a function's execution environment made in a group of its own choice has the
    /// function's name; in a function's own group all is its own.
    fn owner(&self, stream: &str) -> Option<&str> {
        let named = function_of_stream(stream);
        let known = |name: &&String| named.is_none_or(|named| named == **name);
        match self.functions.as_slice() {
            [only] => Some(only).filter(known).map(String::as_str),
            several => several.iter().find(|name| named == Some(name.as_str())).map(String::as_str),
        }
    }
}

/// `f` of `2026/11/22/f[$LATEST]0123…`; `None` of `2026/11/22/[$LATEST]0123…` and of what Lambda didn't name.
fn function_of_stream(stream: &str) -> Option<&str> {
    let (name, _) = stream.split('/').nth(3)?.split_once('[')?;
    Some(name).filter(|name| !name.is_empty())
}

/// What was found in the logs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// In the order of their times.
    pub(crate) events: Vec<Event>,
    /// Log groups that aren't there: nothing was ever logged to them.
    pub(crate) missing: Vec<String>,
}

/// Reads the logs of functions from a moment on.
#[derive(Debug)]
pub(crate) struct Tail<'a> {
    cloud: &'a Cloud,
    client: aws_sdk_cloudwatchlogs::Client,
    quota: Quota,
    groups: Vec<Group>,
    /// The filter pattern, as CloudWatch Logs takes it.
    pattern: Option<String>,
    /// Events before this moment are not asked for. Milliseconds since 1970.
    since: i64,
    /// The newest event so far.
    newest: i64,
    /// The ids of the events that later rounds can see again, with their times.
    seen: HashMap<String, i64>,
}

impl<'a> Tail<'a> {
    /// The logs of these functions, from now on.
    pub(crate) fn new(cloud: &'a Cloud, functions: &[Function]) -> Self {
        let mut groups: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for function in functions {
            groups.entry(&function.log_group).or_default().push(function.name.clone());
        }
        let groups = groups.into_iter().map(|(name, functions)| Group { name: name.to_owned(), functions });
        let now = millis(SystemTime::now());
        Self {
            cloud,
            client: cloud.logs(),
            quota: Quota::per_second(REQUESTS_PER_SECOND),
            groups: groups.collect(),
            pattern: None,
            since: now,
            newest: now,
            seen: HashMap::new(),
        }
    }

    /// From this moment on.
    pub(crate) fn since(mut self, moment: SystemTime) -> Self {
        self.since = millis(moment);
        self.newest = self.since;
        self
    }

    /// Only events that match: words, or a filter pattern of CloudWatch Logs.
    pub(crate) fn filter(mut self, words: Option<&str>) -> Self {
        self.pattern = words.map(pattern::of_words);
        self
    }

    /// The names of the log groups.
    pub(crate) fn groups(&self) -> impl Iterator<Item = &str> {
        self.groups.iter().map(|group| group.name.as_str())
    }

    /// Everything that wasn't read before.
    ///
    /// # Errors
    ///
    /// No permission, a filter pattern that CloudWatch Logs refuses, or CloudWatch Logs can't be reached.
    pub(crate) async fn read(&mut self) -> Result<Found> {
        let from = self.since.max(self.newest - LATE);
        let reads = self.groups.iter().map(|group| self.read_group(group, from));
        let read = futures::future::try_join_all(reads).await?;
        let mut found = Found::default();
        for (group, events) in self.groups.iter().zip(read) {
            match events {
                None => found.missing.push(group.name.clone()),
                Some(events) => found.events.extend(events.into_iter().filter_map(|event| named(group, event))),
            }
        }
        found.events.retain(|event| self.seen.insert(event.event_id.clone(), event.timestamp).is_none());
        // Sorting is stable: events of one group and moment stay in the order that CloudWatch Logs gives them.
        found.events.sort_by_key(|event| event.timestamp);
        self.newest = found.events.last().map_or(self.newest, |event| event.timestamp.max(self.newest));
        let again = self.newest - LATE;
        self.seen.retain(|_, timestamp| *timestamp >= again);
        Ok(found)
    }

    /// Reads again and again and hands over each event, until it is dropped or `on_event` says that it is enough.
    ///
    /// # Errors
    ///
    /// As for [`Tail::read`].
    pub(crate) async fn run(&mut self, mut on_event: impl FnMut(&Event) -> Next) -> Result<()> {
        loop {
            for event in self.read().await?.events {
                if on_event(&event) == Next::Enough {
                    return Ok(());
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// All pages of one group. `None`: there is no such group.
    async fn read_group(&self, group: &Group, from: i64) -> Result<Option<Vec<FilteredLogEvent>>> {
        let mut events = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let request = || {
                let request = self.client.filter_log_events().log_group_name(&group.name).start_time(from);
                let request = request.set_filter_pattern(self.pattern.clone()).set_next_token(token.clone());
                // Retries of the SDK's own would not be counted.
                let once = aws_sdk_cloudwatchlogs::Config::builder().retry_config(RetryConfig::disabled());
                request.customize().config_override(once).send()
            };
            match retried(&self.quota, request).await {
                // A page may be empty and have another one after it.
                Ok(page) => {
                    events.extend(page.events.unwrap_or_default());
                    token = page.next_token;
                    if token.is_none() {
                        identify(&mut events);
                        return Ok(Some(events));
                    }
                }
                Err(error) => {
                    return match error.as_service_error() {
                        Some(FilterLogEventsError::ResourceNotFoundException(_)) => Ok(None),
                        Some(FilterLogEventsError::InvalidParameterException(refused)) if self.pattern.is_some() => {
                            Err(self.refused_pattern(refused.message().unwrap_or_default()))
                        }
                        _ => {
                            let what = format!("could not read the log group `{}`", group.name);
                            let told = self.cloud.explain(&what, &error);
                            let denied = told.error_type() == "AccessDenied";
                            Err(if denied { told.hint("reading logs needs `logs:FilterLogEvents`") } else { told })
                        }
                    };
                }
            }
        }
    }

    fn refused_pattern(&self, why: &str) -> Error {
        let pattern = self.pattern.as_deref().unwrap_or_default();
        Error::new("InvalidFilter", format!("CloudWatch Logs does not take the filter pattern `{pattern}`"))
            .cause(why)
            .hint("give words, or a pattern as in CloudWatch Logs' \"Filter pattern syntax\"")
    }
}

/// Whether a tail goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    GoOn,
    Enough,
}

/// Gives an id to each event that has none: the API calls it optional, and not every implementation sends it. A read has
/// all events of a stream and moment or none of them, in the same order, so their number among those tells them apart.
fn identify(events: &mut [FilteredLogEvent]) {
    let mut numbers: HashMap<(String, i64), usize> = HashMap::new();
    for event in events.iter_mut().filter(|event| event.event_id.as_deref().unwrap_or_default().is_empty()) {
        let stream = event.log_stream_name.clone().unwrap_or_default();
        let timestamp = event.timestamp.unwrap_or_default();
        let number = numbers.entry((stream.clone(), timestamp)).or_default();
        event.event_id = Some(format!("{stream}/{timestamp}/{number}"));
        *number += 1;
    }
}

/// An event with its function's name. `None`: it is another function's, which was not asked for.
fn named(group: &Group, event: FilteredLogEvent) -> Option<Event> {
    let log_stream = event.log_stream_name.unwrap_or_default();
    Some(Event {
        function: group.owner(&log_stream)?.to_owned(),
        timestamp: event.timestamp.unwrap_or_default(),
        log_group: group.name.clone(),
        log_stream,
        event_id: event.event_id.unwrap_or_default(),
        message: event.message.unwrap_or_default(),
    })
}

fn millis(moment: SystemTime) -> i64 {
    let since_1970 = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_in_a_shared_group_names_its_function() {
        assert_eq!(function_of_stream("2026/11/22/api[$LATEST]00"), Some("api"));
        assert_eq!(function_of_stream("2026/11/22/[$LATEST]00"), None);
        assert_eq!(function_of_stream("my-own-stream"), None);
    }

    #[test]
    fn events_without_an_id_are_told_apart_and_known_again() {
        let event = |timestamp: i64, message: &str| {
            FilteredLogEvent::builder().log_stream_name("one").timestamp(timestamp).message(message).build()
        };
        let ids = |events: &[FilteredLogEvent]| -> Vec<Option<String>> {
            events.iter().map(|event| event.event_id().map(str::to_owned)).collect()
        };
        let mut read = vec![event(1, "START"), event(1, "START"), event(2, "END")];
        identify(&mut read);
        let distinct: std::collections::HashSet<_> = ids(&read).into_iter().collect();
        assert_eq!(distinct.len(), 3);
        let mut later = vec![event(2, "END"), event(3, "START")];
        identify(&mut later);
        assert_eq!(later[0].event_id, read[2].event_id);
        let mut given = vec![FilteredLogEvent::builder().event_id("37").build()];
        identify(&mut given);
        assert_eq!(given[0].event_id(), Some("37"));
    }

    #[test]
    fn events_of_functions_that_were_not_asked_for_are_left_out() {
        let group = |functions: &[&str]| Group {
            name: "/my/app".to_owned(),
            functions: functions.iter().map(|name| (*name).to_owned()).collect(),
        };
        let two = group(&["api", "job"]);
        assert_eq!(two.owner("2026/11/22/job[$LATEST]00"), Some("job"));
        assert_eq!(two.owner("2026/11/22/other[$LATEST]00"), None);
        assert_eq!(two.owner("my-own-stream"), None);
        let one = group(&["api"]);
        assert_eq!(one.owner("2026/11/22/[$LATEST]00"), Some("api"));
        assert_eq!(one.owner("my-own-stream"), Some("api"));
        assert_eq!(one.owner("2026/11/22/other[$LATEST]00"), None);
    }
}
