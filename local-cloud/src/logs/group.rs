//! A log group: its streams, and the events of all of them in one order. No I/O, no clock.
//!
//! Events are ordered by their timestamp and then by their arrival, which is the order in which `FilterLogEvents`
//! interleaves streams. A position in a page token is a place in this order, so an event that arrives between two pages is
//! shown once, or not at all when its timestamp lies before the position; that is so in AWS, too.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::EVENT_OVERHEAD;

/// Events kept in a group. After that the oldest go, as nobody has set a retention for a test.
pub(super) const KEPT: usize = 100_000;

const DAY: i64 = 24 * 60 * 60 * 1_000;

/// Where an event stands among all events of its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Milliseconds since 1970.
    pub(super) timestamp: i64,
    /// Its number in the order of arrival, from 1.
    pub(super) arrival: u64,
}

/// One event.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) stream: Arc<str>,
    /// Milliseconds since 1970.
    pub(super) ingested: i64,
    pub(super) message: String,
}

/// What is known of a stream besides its events. Times are in milliseconds since 1970.
#[derive(Clone, Debug, Default)]
pub(super) struct Stream {
    pub(super) created: i64,
    pub(super) first_event: Option<i64>,
    pub(super) last_event: Option<i64>,
    pub(super) last_ingestion: Option<i64>,
    /// Bytes of its events, as AWS counts them.
    pub(super) stored: usize,
}

/// A log group.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// Milliseconds since 1970.
    pub(super) created: i64,
    pub(super) retention_days: Option<u32>,
    pub(super) streams: BTreeMap<Arc<str>, Stream>,
    events: BTreeMap<Place, Event>,
    arrivals: u64,
}

impl Group {
    pub(super) fn new(created: i64) -> Self {
        Self { created, retention_days: None, streams: BTreeMap::new(), events: BTreeMap::new(), arrivals: 0 }
    }

    /// Makes a stream, unless it is there. Says whether it wasn't.
    pub(super) fn open_stream(&mut self, name: &Arc<str>, now: i64) -> bool {
        if self.streams.contains_key(name) {
            return false;
        }
        self.streams.insert(Arc::clone(name), Stream { created: now, ..Stream::default() });
        true
    }

    /// Adds an event to a stream that is there.
    pub(super) fn add(&mut self, name: &Arc<str>, timestamp: i64, ingested: i64, message: String) {
        let Some(stream) = self.streams.get_mut(name) else { return };
        stream.first_event = Some(stream.first_event.map_or(timestamp, |first| first.min(timestamp)));
        stream.last_event = stream.last_event.max(Some(timestamp));
        stream.last_ingestion = stream.last_ingestion.max(Some(ingested));
        stream.stored += message.len() + EVENT_OVERHEAD;
        self.arrivals += 1;
        let place = Place { timestamp, arrival: self.arrivals };
        self.events.insert(place, Event { stream: Arc::clone(name), ingested, message });
        if self.events.len() > KEPT {
            self.forget_oldest();
        }
    }

    /// Drops what the retention no longer covers.
    pub(super) fn expire(&mut self, now: i64) {
        let Some(days) = self.retention_days else { return };
        let oldest = now - i64::from(days) * DAY;
        while self.events.first_key_value().is_some_and(|(place, _)| place.timestamp < oldest) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, event)) = self.events.pop_first()
            && let Some(stream) = self.streams.get_mut(&event.stream)
        {
            stream.stored = stream.stored.saturating_sub(event.message.len() + EVENT_OVERHEAD);
        }
    }

    /// Removes a stream with its events. Says whether it was there.
    pub(super) fn remove_stream(&mut self, name: &str) -> bool {
        self.events.retain(|_, event| *event.stream != *name);
        self.streams.remove(name).is_some()
    }

    /// All events, in their order.
    pub(super) fn events(&self) -> impl DoubleEndedIterator<Item = (&Place, &Event)> {
        self.events.iter()
    }

    /// The events of a time range, in their order.
    pub(super) fn between(&self, times: &RangeInclusive<i64>) -> impl DoubleEndedIterator<Item = (&Place, &Event)> {
        let first = Place { timestamp: *times.start(), arrival: 0 };
        let last = Place { timestamp: *times.end(), arrival: u64::MAX };
        // A range that ends before it begins is empty here, and a panic in a map.
        let range = (first <= last).then(|| self.events.range(first..=last));
        range.into_iter().flatten()
    }

    /// Bytes of all events, as AWS counts them.
    pub(super) fn stored(&self) -> usize {
        self.streams.values().map(|stream| stream.stored).sum()
    }
}

impl Place {
    /// 56 digits, as AWS's event ids have. They are in the order of the events.
    pub(super) fn event_id(self) -> String {
        format!("{:018}{:038}", self.timestamp, self.arrival)
    }

    pub(super) fn token(self) -> String {
        format!("{}.{}", self.timestamp, self.arrival)
    }

    pub(super) fn of_token(token: &str) -> Option<Self> {
        let (timestamp, arrival) = token.split_once('.')?;
        Some(Self { timestamp: timestamp.parse().ok()?, arrival: arrival.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(events: &[(&str, i64)]) -> Group {
        let mut group = Group::new(0);
        for (stream, timestamp) in events {
            let stream: Arc<str> = (*stream).into();
            group.open_stream(&stream, 0);
            group.add(&stream, *timestamp, 1_000, format!("{stream}{timestamp}"));
        }
        group
    }

    fn messages<'a>(events: impl Iterator<Item = (&'a Place, &'a Event)>) -> Vec<&'a str> {
        events.map(|(_, event)| event.message.as_str()).collect()
    }

    #[test]
    fn events_of_all_streams_are_in_the_order_of_their_times_and_of_their_arrival() {
        let group = group(&[("b", 5), ("a", 7), ("b", 7), ("a", 6)]);
        assert_eq!(messages(group.events()), ["b5", "a6", "a7", "b7"]);
        assert_eq!(messages(group.between(&(6..=6))), ["a6"]);
        #[expect(clippy::reversed_empty_ranges, reason = "a client may ask for one")]
        let backwards = 7..=5;
        assert!(messages(group.between(&backwards)).is_empty());
        let ids: Vec<String> = group.events().map(|(place, _)| place.event_id()).collect();
        assert!(ids.is_sorted() && ids.iter().all(|id| id.len() == 56));
    }

    #[test]
    fn only_the_newest_events_are_kept() {
        let mut group = group(&[("s", 1), ("s", 2)]);
        let stream: Arc<str> = "s".into();
        for n in 0..KEPT {
            group.add(&stream, 10, 10, n.to_string());
        }
        assert_eq!(group.events().count(), KEPT);
        assert_eq!(messages(group.events())[0], "0");
    }

    #[test]
    fn retention_drops_what_is_older() {
        let mut group = group(&[("s", 1), ("s", DAY)]);
        group.retention_days = Some(1);
        group.expire(DAY + 500);
        assert_eq!(messages(group.events()), ["s86400000"]);
        assert_eq!(group.stored(), "s86400000".len() + EVENT_OVERHEAD);
    }

    #[test]
    fn a_removed_stream_takes_its_events_with_it() {
        let mut group = group(&[("a", 1), ("b", 2)]);
        assert!(group.remove_stream("a"));
        assert!(!group.remove_stream("a"));
        assert_eq!(messages(group.events()), ["b2"]);
    }
}
