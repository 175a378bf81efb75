//! `PutLogEvents`, with the rules that AWS has for a batch.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::json;

use super::{EVENT_OVERHEAD, Logs, MAX_EVENT, constraint, invalid, no_such_stream, now};
use crate::protocol::json::{Answer, Call, Exception};

const HOUR: i64 = 60 * 60 * 1_000;
const DAY: i64 = 24 * HOUR;
/// The most events of one batch.
const MAX_EVENTS: usize = 10_000;
/// The largest batch in bytes, overheads included.
const MAX_BATCH: usize = 1_048_576;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Put {
    log_group_name: String,
    log_stream_name: String,
    log_events: Vec<InputEvent>,
}

#[derive(Deserialize)]
struct InputEvent {
    timestamp: i64,
    message: String,
}

impl Logs {
    /// Adds a batch. Events that are too old or too new are left out and told of; the others are added.
    pub(super) fn put_log_events(&self, call: &Call) -> Answer {
        let Put { log_group_name, log_stream_name, log_events } = call.input()?;
        check(&log_events)?;
        let now = now();
        self.with_group(&log_group_name, |group| {
            let stream: Arc<str> = log_stream_name.into();
            if !group.streams.contains_key(&stream) {
                return Err(no_such_stream());
            }
            // They are in chronological order, so what is refused stands at the two ends.
            let before = |time: i64| log_events.partition_point(|event| event.timestamp < time);
            let too_old = before(now - 14 * DAY);
            let expired = group.retention_days.map_or(0, |days| before(now - i64::from(days) * DAY));
            let too_new = before(now + 2 * HOUR + 1);
            let accepted = too_old.max(expired)..too_new.max(too_old).max(expired);
            for event in &log_events[accepted] {
                group.add(&stream, event.timestamp, now, event.message.clone());
            }
            let mut rejected = json!({});
            if too_old > 0 {
                rejected["tooOldLogEventEndIndex"] = too_old.into();
            }
            if expired > too_old {
                rejected["expiredLogEventEndIndex"] = expired.into();
            }
            if too_new < log_events.len() {
                rejected["tooNewLogEventStartIndex"] = too_new.into();
            }
            let mut answer = json!({ "nextSequenceToken": now.to_string() });
            if rejected != json!({}) {
                answer["rejectedLogEventsInfo"] = rejected;
            }
            Ok(answer)
        })
    }
}

fn check(events: &[InputEvent]) -> Result<(), Exception> {
    if !(1..=MAX_EVENTS).contains(&events.len()) {
        let rule = format!("Member must have length between 1 and {MAX_EVENTS}");
        return Err(constraint(format!("[{} events]", events.len()), "logEvents", &rule));
    }
    if events.iter().any(|event| event.message.is_empty()) {
        return Err(constraint("", "logEvents.member.message", "Member must have length greater than or equal to 1"));
    }
    if let Some(large) = events.iter().map(|event| event.message.len()).find(|length| *length > MAX_EVENT) {
        return Err(invalid(format!("Log event too large: {large} bytes exceeds limit of {MAX_EVENT}")));
    }
    let size: usize = events.iter().map(|event| event.message.len() + EVENT_OVERHEAD).sum();
    if size > MAX_BATCH {
        return Err(invalid(format!("Upload too large: {size} bytes exceeds limit of {MAX_BATCH}")));
    }
    if !events.is_sorted_by_key(|event| event.timestamp) {
        return Err(invalid("Log events in a single PutLogEvents request must be in chronological order."));
    }
    let span = events.last().map_or(0, |last| last.timestamp - events[0].timestamp);
    if span > DAY {
        return Err(invalid(
            "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.",
        ));
    }
    Ok(())
}
