//! An operation's events as they come in.
//!
//! CloudFormation lists a stack's events newest first, from all of its operations. Those of one operation are newer than
//! the newest event from before it, and carry its token where they carry one. A nested stack has a list of its own: it is
//! read as soon as the operation names it, from the time on at which the operation began.

use std::collections::{BTreeMap, BTreeSet};

use super::events::Event;
use super::{FIRST_POLL, Stack, Stacks, is_missing, next_poll};
use crate::error::Result;
use crate::retry::retried;

/// What is followed.
#[derive(Debug)]
pub(super) struct Operation {
    /// The ARN: a deleted stack's events are found by nothing else.
    pub(super) stack_id: String,
    /// The token that it was started with.
    pub(super) token: String,
    /// The newest event from before it.
    pub(super) after: Option<String>,
}

/// How an operation ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// `None`: the stack is gone.
    pub(super) stack: Option<Stack>,
    /// Its own events and those of nested stacks, oldest first.
    pub(super) events: Vec<Event>,
}

impl Stacks<'_> {
    /// The newest event of a stack: where the next operation's events begin.
    pub(super) async fn newest_event(&self, stack_id: &str) -> Result<Option<String>> {
        let (events, _) = self.page_of_events(stack_id, None).await?;
        Ok(events.into_iter().next().map(|event| event.id))
    }

    /// Tells every event until the stack is at rest.
    pub(super) async fn follow(&self, operation: &Operation, mut tell: impl FnMut(&Event)) -> Result<Ended> {
        let mut log = Log::default();
        let mut pause = FIRST_POLL;
        loop {
            // Asked before the events are: once it is at rest, no event of the operation is missing from what follows.
            let stack = self.find(&operation.stack_id).await?;
            let new = self.new_events(operation, &mut log).await?;
            let quiet = new.is_empty();
            for event in &new {
                tell(event);
            }
            log.events.extend(new);
            let ended = match &stack {
                None => true,
                Some(stack) => !stack.is_busy() && log.says_ended(&operation.stack_id, stack.status.as_str()),
            };
            if ended {
                return Ok(Ended { stack, events: log.events });
            }
            tokio::time::sleep(pause).await;
            pause = if quiet { next_poll(pause) } else { FIRST_POLL * 2 };
        }
    }

    /// What is new in the stack's list and in those of its nested stacks, oldest first.
    async fn new_events(&self, operation: &Operation, log: &mut Log) -> Result<Vec<Event>> {
        let mut new = Vec::new();
        let mut next = None;
        'pages: loop {
            let (events, more) = self.page_of_events(&operation.stack_id, next).await?;
            for event in events {
                if operation.after.as_ref() == Some(&event.id) || log.seen.contains(&event.id) {
                    break 'pages;
                }
                if event.token.as_ref().is_none_or(|token| *token == operation.token) {
                    new.push(event);
                }
            }
            next = more;
            if next.is_none() {
                break;
            }
        }
        log.seen.extend(new.iter().map(|event| event.id.clone()));
        new.reverse();
        log.learn_of_nested(&new);

        // A nested stack may hold further ones.
        let mut unread: Vec<String> = log.nested.keys().cloned().collect();
        while let Some(nested) = unread.pop() {
            let since = log.nested.get(&nested).copied().unwrap_or(0);
            let inner = self.new_events_since(&nested, since, log).await?;
            let known: BTreeSet<String> = log.nested.keys().cloned().collect();
            log.learn_of_nested(&inner);
            unread.extend(log.nested.keys().filter(|id| !known.contains(*id)).cloned());
            new = merged(new, inner);
        }
        Ok(new)
    }

    async fn new_events_since(&self, stack_id: &str, since: i64, log: &mut Log) -> Result<Vec<Event>> {
        let mut new = Vec::new();
        let mut next = None;
        'pages: loop {
            let (events, more) = self.page_of_events(stack_id, next).await?;
            for event in events {
                // Ids are made of name, status and time: of what happens fast, two in one answer may be the same.
                if event.at < since || log.seen.contains(&event.id) {
                    break 'pages;
                }
                new.push(event);
            }
            next = more;
            if next.is_none() {
                break;
            }
        }
        log.seen.extend(new.iter().map(|event| event.id.clone()));
        new.reverse();
        Ok(new)
    }

    /// Newest first. None of a stack that isn't there: one that is only just being nested, say.
    async fn page_of_events(&self, stack_id: &str, next: Option<String>) -> Result<(Vec<Event>, Option<String>)> {
        let page = retried(&self.quota, || {
            self.client.describe_stack_events().stack_name(stack_id).set_next_token(next.clone()).send()
        })
        .await;
        match page {
            Ok(page) => {
                let events = page.stack_events().iter().filter_map(Event::read).collect();
                Ok((events, page.next_token.filter(|token| !token.is_empty())))
            }
            Err(error) if is_missing(&error) => Ok((Vec::new(), None)),
            Err(error) => Err(self.explain("could not read the stack's events", &error)),
        }
    }
}

/// The events of a stack and of one that is nested in it, each oldest first, in one order of time. Of those of the same
/// millisecond, what is in the nested stack is over before the outer resource is, and begins after it.
fn merged(outer: Vec<Event>, inner: Vec<Event>) -> Vec<Event> {
    let mut all = Vec::with_capacity(outer.len() + inner.len());
    let mut inner = inner.into_iter().peekable();
    for event in outer {
        let ends = event.is_complete() || event.is_failure();
        while let Some(before) = inner.next_if(|it| it.at < event.at || (ends && it.at == event.at)) {
            all.push(before);
        }
        all.push(event);
    }
    all.extend(inner);
    all
}

/// What has been heard so far.
#[derive(Default)]
struct Log {
    events: Vec<Event>,
    seen: BTreeSet<String>,
    /// Nested stacks, with the time from which on their events belong to the operation.
    nested: BTreeMap<String, i64>,
    /// When the operation's first event was.
    began: Option<i64>,
}

impl Log {
    fn learn_of_nested(&mut self, events: &[Event]) {
        for event in events {
            let began = *self.began.get_or_insert(event.at);
            let is_nested = event.resource_type == "AWS::CloudFormation::Stack" && !event.is_about_its_stack();
            if is_nested && event.physical_id.starts_with("arn:") {
                self.nested.entry(event.physical_id.clone()).or_insert(began);
            }
        }
    }

    /// Whether the stack's own last event has this status. A stack that was at rest before looks so for a moment longer.
    fn says_ended(&self, stack_id: &str, status: &str) -> bool {
        let last = self.events.iter().rev().find(|event| event.stack_id == stack_id && event.is_about_its_stack());
        last.is_some_and(|event| event.status == status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str, logical: &str, physical: &str, status: &str, at: i64) -> Event {
        Event {
            id: id.into(),
            stack_id: "arn:app".into(),
            stack_name: "app".into(),
            logical_id: logical.into(),
            physical_id: physical.into(),
            resource_type: "AWS::CloudFormation::Stack".into(),
            status: status.into(),
            reason: None,
            at,
            token: None,
        }
    }

    #[test]
    fn a_stack_that_still_shows_its_old_rest_is_waited_for() {
        let mut log = Log::default();
        assert!(!log.says_ended("arn:app", "UPDATE_COMPLETE"));
        log.events.push(event("1", "app", "arn:app", "UPDATE_IN_PROGRESS", 1));
        assert!(!log.says_ended("arn:app", "UPDATE_COMPLETE"));
        log.events.push(event("2", "app", "arn:app", "UPDATE_COMPLETE", 2));
        assert!(log.says_ended("arn:app", "UPDATE_COMPLETE"));
    }

    #[test]
    fn what_happens_within_a_millisecond_is_told_in_the_order_of_its_causes() {
        let outer = vec![
            event("1", "Inner", "arn:inner", "CREATE_IN_PROGRESS", 10),
            event("2", "Role", "", "CREATE_COMPLETE", 20),
            event("3", "Inner", "arn:inner", "CREATE_COMPLETE", 20),
            event("4", "Api", "", "CREATE_IN_PROGRESS", 20),
        ];
        let inner = vec![
            event("5", "inner", "arn:inner", "CREATE_IN_PROGRESS", 10),
            event("6", "Bucket", "", "CREATE_COMPLETE", 20),
            event("7", "inner", "arn:inner", "CREATE_COMPLETE", 20),
        ];
        let order: Vec<_> = merged(outer, inner).into_iter().map(|event| event.id).collect();
        assert_eq!(order, ["1", "5", "6", "7", "2", "3", "4"]);
    }

    #[test]
    fn a_nested_stack_is_followed_from_the_operations_beginning_on() {
        let mut log = Log::default();
        log.learn_of_nested(&[
            event("1", "app", "arn:app", "CREATE_IN_PROGRESS", 10),
            event("2", "Inner", "", "CREATE_IN_PROGRESS", 11),
            event("3", "Inner", "arn:inner", "CREATE_IN_PROGRESS", 12),
        ]);
        assert_eq!(log.nested, BTreeMap::from([("arn:inner".to_owned(), 10)]));
    }
}
