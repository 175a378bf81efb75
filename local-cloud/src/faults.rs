//! Faults that tests inject, and the link between clients and the cloud.
//!
//! Both are wrapped around the services by the server: no service knows of them.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::HeaderName;
use tokio::sync::watch;

/// What happens to a request that a [`Fault`] hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Answers with this error; nothing is done.
    Respond {
        /// The HTTP status.
        status: u16,
        /// AWS's error code, such as `SlowDown`.
        code: &'static str,
    },
    /// Does what was asked, and then answers with this error all the same.
    RespondAfter {
        /// The HTTP status.
        status: u16,
        /// AWS's error code, such as `InternalError`.
        code: &'static str,
    },
    /// Answers 200 with an S3 error in the body; nothing is done. S3 does so for `CopyObject`, `UploadPartCopy` and
    /// `CompleteMultipartUpload`.
    ErrorInside200 {
        /// AWS's error code, such as `InternalError`.
        code: &'static str,
    },
    /// Resets the connection before anything is done.
    ResetBefore,
    /// Does what was asked, then resets the connection instead of answering.
    ResetAfter,
    /// Never answers and does nothing, until the client goes away.
    Stall,
    /// Does what was asked, then never answers.
    StallAfter,
    /// Waits this long, then does what was asked.
    Delay(Duration),
    /// Waits until [`Faults::open`] opens this gate, then does what was asked.
    Hold {
        /// The gate's number, of the test's own choosing.
        gate: u32,
    },
    /// Answers, but closes the connection after this many bytes of the body.
    CutBody {
        /// Bytes of the body that still arrive.
        after: u64,
    },
    /// Answers, but sends nothing more after this many bytes of the body.
    StallBody {
        /// Bytes of the body that still arrive.
        after: u64,
    },
    /// Answers with the last bytes of the body left out, and with a `Content-Length` that agrees with what is sent.
    ShortBody {
        /// Bytes of the body that are left out.
        missing: u64,
    },
    /// The whole cloud goes away for this long, before anything is done: every connection is reset, further ones are
    /// refused. As [`Faults::go_away`], begun by a request.
    GoAway(Duration),
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Respond { status, code } => write!(f, "{status} {code}"),
            Self::RespondAfter { status, code } => write!(f, "{status} {code} after acting"),
            Self::ErrorInside200 { code } => write!(f, "{code} inside a 200"),
            Self::ResetBefore => write!(f, "reset before acting"),
            Self::ResetAfter => write!(f, "reset after acting"),
            Self::Stall => write!(f, "stall before acting"),
            Self::StallAfter => write!(f, "stall after acting"),
            Self::Delay(time) => write!(f, "delay of {} ms", time.as_millis()),
            Self::Hold { gate } => write!(f, "held at gate {gate}"),
            Self::CutBody { after } => write!(f, "body cut after {after} bytes"),
            Self::StallBody { after } => write!(f, "body stalled after {after} bytes"),
            Self::ShortBody { missing } => write!(f, "body short of {missing} bytes"),
            Self::GoAway(time) => write!(f, "connections refused for {} ms", time.as_millis()),
        }
    }
}

/// A fault to come: which requests it hits, and what it does to them.
///
/// ```
/// use local_cloud::{Action, Fault};
///
/// // The second part copy from now on is throttled.
/// Fault::on("UploadPartCopy").nth(2).then(Action::Respond { status: 503, code: "SlowDown" });
/// // Every answer with an object's bytes is cut off, three times.
/// Fault::on("GetObject").times(3).then(Action::CutBody { after: 1000 });
/// ```
#[derive(Clone, Debug)]
pub struct Fault {
    operation: String,
    resource: Option<String>,
    first: usize,
    times: usize,
    action: Action,
}

impl Fault {
    /// Hits the next call of this operation (AWS's name), once; `*` is any operation. Until [`then`](Fault::then) says
    /// otherwise it answers 500 `InternalError` and does nothing.
    pub fn on(operation: impl Into<String>) -> Self {
        Self {
            operation: operation.into(),
            resource: None,
            first: 1,
            times: 1,
            action: Action::Respond { status: 500, code: "InternalError" },
        }
    }

    /// Lets `n - 1` matching calls pass before the first hit. The calls are counted from the injection; 1 is the next.
    #[must_use]
    pub fn nth(mut self, n: usize) -> Self {
        self.first = n.max(1);
        self
    }

    /// Hits this many matching calls in a row.
    #[must_use]
    pub fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }

    /// Hits every matching call, until [`Faults::clear`].
    #[must_use]
    pub fn always(self) -> Self {
        self.times(usize::MAX)
    }

    /// Only calls about this resource: `bucket/key`, `bucket`, or the name of a function, stack, role, project or log
    /// group as the call gives it.
    #[must_use]
    pub fn about(mut self, resource: impl Into<String>) -> Self {
        self.resource = Some(resource.into());
        self
    }

    /// What happens to the calls that are hit.
    #[must_use]
    pub fn then(mut self, action: Action) -> Self {
        self.action = action;
        self
    }

    fn matches(&self, operation: &str, resource: Option<&str>) -> bool {
        (self.operation == "*" || self.operation == operation)
            && self.resource.as_deref().is_none_or(|wanted| resource == Some(wanted))
    }
}

/// Latency and bandwidth between clients and the cloud. The bandwidth is shared by all connections, as a developer's
/// uplink is; it shapes bodies, not headers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Added before each request is acted on: the round trip.
    pub latency: Duration,
    /// Bytes a second from clients to the cloud; `None` is as fast as loopback.
    pub up: Option<u64>,
    /// Bytes a second from the cloud to clients; `None` is as fast as loopback.
    pub down: Option<u64>,
}

/// Which way a body goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Up,
    Down,
}

/// The faults and the link of one cloud.
#[derive(Debug)]
pub struct Faults {
    state: Mutex<State>,
    /// Until when there is no connection.
    away: watch::Sender<Option<Instant>>,
    /// Those that were opened.
    gates: watch::Sender<BTreeSet<u32>>,
}

#[derive(Debug)]
struct State {
    /// Operations, each with a header that it doesn't see.
    ignored: Vec<(String, HeaderName)>,
    /// Each with the number of matching calls so far.
    faults: Vec<(Fault, usize)>,
    link: Link,
    /// When the line is free again, per direction.
    free: [Option<Instant>; 2],
}

impl Faults {
    pub(crate) fn new(link: Link) -> Self {
        let state = Mutex::new(State { faults: Vec::new(), ignored: Vec::new(), link, free: [None; 2] });
        Self { state, away: watch::Sender::new(None), gates: watch::Sender::default() }
    }

    /// Adds a fault. Of several that match a call, the one injected first decides.
    pub fn inject(&self, fault: Fault) {
        self.state().faults.push((fault, 0));
    }

    /// Forgets every fault that is still to come, and what is ignored.
    pub fn clear(&self) {
        let mut state = self.state();
        state.faults.clear();
        state.ignored.clear();
    }

    /// This operation of S3 ignores this header from now on, as if it had not been sent: a store that knows the request
    /// but not its precondition. Until [`Faults::clear`].
    ///
    /// ```
    /// # fn of(faults: &local_cloud::Faults) {
    /// faults.ignore("CompleteMultipartUpload", "if-match");
    /// # }
    /// ```
    pub fn ignore(&self, operation: impl Into<String>, header: &'static str) {
        self.state().ignored.push((operation.into(), HeaderName::from_static(header)));
    }

    /// The headers that this operation ignores.
    pub(crate) fn ignored(&self, operation: &str) -> Vec<HeaderName> {
        let state = self.state();
        let of_it = state.ignored.iter().filter(|(ignoring, _)| ignoring == operation);
        of_it.map(|(_, header)| header.clone()).collect()
    }

    /// The whole cloud can't be reached for this long, as when the network is gone: every connection is reset, further
    /// ones are refused. Requests under way are given up, done or not.
    pub fn go_away(&self, time: Duration) {
        self.away.send_replace(Some(Instant::now() + time));
    }

    /// Ends a [`Faults::go_away`] before its time.
    pub fn come_back(&self) {
        self.away.send_replace(None);
    }

    /// Opens a gate, for good: what is held at it goes on.
    pub fn open(&self, gate: u32) {
        self.gates.send_modify(|open| {
            open.insert(gate);
        });
    }

    /// Waits until the gate is open.
    pub(crate) async fn pass(&self, gate: u32) {
        // Its sender is `self`: it can't be gone.
        let _ = self.gates.subscribe().wait_for(|open| open.contains(&gate)).await;
    }

    /// Until when the cloud is away, if it is, and every change of that.
    pub(crate) fn away(&self) -> watch::Receiver<Option<Instant>> {
        self.away.subscribe()
    }

    /// Changes latency and bandwidth, for requests and bytes from now on.
    pub fn set_link(&self, link: Link) {
        let mut state = self.state();
        state.link = link;
        state.free = [None; 2];
    }

    pub(crate) fn latency(&self) -> Duration {
        self.state().link.latency
    }

    /// Counts a call and says what is to happen to it.
    pub(crate) fn hit(&self, operation: &str, resource: Option<&str>) -> Option<Action> {
        let mut state = self.state();
        let mut hit = None;
        for (fault, seen) in &mut state.faults {
            if !fault.matches(operation, resource) {
                continue;
            }
            *seen += 1;
            if hit.is_none() && *seen >= fault.first && *seen - fault.first < fault.times {
                hit = Some(fault.action);
            }
        }
        state.faults.retain(|(fault, seen)| *seen < fault.first || *seen - fault.first < fault.times.saturating_sub(1));
        hit
    }

    /// Books the line for `bytes` and says how long until they are through. Zero when the line has no limit.
    pub(crate) fn reserve(&self, direction: Direction, bytes: usize) -> Duration {
        let mut state = self.state();
        let rate = match direction {
            Direction::Up => state.link.up,
            Direction::Down => state.link.down,
        };
        let Some(rate) = rate.filter(|rate| *rate > 0) else { return Duration::ZERO };
        let now = Instant::now();
        let free = &mut state.free[direction as usize];
        let start = free.map_or(now, |free| free.max(now));
        #[allow(clippy::cast_precision_loss)] // A rounding error of nanoseconds.
        let end = start + Duration::from_secs_f64(bytes as f64 / rate as f64);
        *free = Some(end);
        end - now
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOW: Action = Action::Respond { status: 503, code: "SlowDown" };

    #[test]
    fn a_fault_hits_the_nth_matching_call_and_no_other() {
        let faults = Faults::new(Link::default());
        faults.inject(Fault::on("UploadPartCopy").nth(2).then(SLOW));
        assert_eq!(faults.hit("UploadPartCopy", None), None);
        assert_eq!(faults.hit("GetObject", None), None);
        assert_eq!(faults.hit("UploadPartCopy", None), Some(SLOW));
        assert_eq!(faults.hit("UploadPartCopy", None), None);
        assert!(faults.state().faults.is_empty(), "a spent fault is forgotten");
    }

    #[test]
    fn a_fault_hits_as_many_calls_as_it_was_told() {
        let faults = Faults::new(Link::default());
        faults.inject(Fault::on("*").nth(2).times(2).then(SLOW));
        let hits: Vec<bool> = (0..5).map(|_| faults.hit("PutObject", None).is_some()).collect();
        assert_eq!(hits, [false, true, true, false, false]);
    }

    #[test]
    fn a_fault_about_one_resource_spares_the_others() {
        let faults = Faults::new(Link::default());
        faults.inject(Fault::on("GetObject").about("b/k").always().then(SLOW));
        assert_eq!(faults.hit("GetObject", Some("b/other")), None);
        assert_eq!(faults.hit("GetObject", Some("b/k")), Some(SLOW));
        assert_eq!(faults.hit("GetObject", Some("b/k")), Some(SLOW));
    }

    #[test]
    fn two_bodies_share_the_line() {
        let faults = Faults::new(Link { up: Some(1_000), ..Link::default() });
        let begun = Instant::now();
        let first = faults.reserve(Direction::Up, 500_000);
        let second = faults.reserve(Direction::Up, 500_000);
        // The second one asked a little later, and no later than this.
        let between = begun.elapsed();
        assert_eq!(first, Duration::from_secs(500));
        assert!(second <= Duration::from_secs(1000) && second + between >= Duration::from_secs(1000), "{second:?}");
        assert_eq!(faults.reserve(Direction::Down, 500_000), Duration::ZERO);
    }
}
