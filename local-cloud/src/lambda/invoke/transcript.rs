//! The log of one invocation: what the function wrote, between the lines that Lambda writes.
//!
//! It is made twice. The log stream gets each piece when it is there: `START` as the event is handed over, the function's
//! lines as they come, the rest at the end. The whole of it is for the tail that `Invoke` returns.

use std::time::Duration;

use super::outcome::{Outcome, Status};

/// How much of an invocation's log `LogType=Tail` returns, in bytes.
const TAIL: usize = 4_096;

/// The figures of a `REPORT` line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usage {
    pub(super) duration: Duration,
    /// For a cold start: how long it took until the first poll.
    pub(super) init: Option<Duration>,
    /// MB.
    pub(super) memory_size: u32,
    /// MB: the peak resident set of the process.
    pub(super) max_memory: u64,
}

/// The line before anything that the function writes about an event.
pub(super) fn start(request_id: &str, version: &str) -> String {
    format!("START RequestId: {request_id} Version: {version}\n")
}

/// What comes after everything that the function wrote, one event each. What Lambda itself found out is one, too.
pub(super) fn end(request_id: &str, outcome: &Outcome, usage: &Usage) -> Vec<String> {
    let found = match outcome {
        Outcome::Failure(failure) => failure.log_line.as_deref(),
        Outcome::Success(_) => None,
    };
    let mut events: Vec<String> = Vec::new();
    if let Some(found) = found {
        let newline = if found.ends_with('\n') { "" } else { "\n" };
        events.push(format!("{found}{newline}"));
    }
    events.push(format!("END RequestId: {request_id}\n"));
    events.push(report(request_id, outcome, usage));
    events
}

/// The whole log of an invocation. What was written during a cold start comes before `START`.
pub(super) fn whole(before: &[u8], start: &str, during: &[u8], end: &[String]) -> Vec<u8> {
    let mut log = Vec::with_capacity(before.len() + during.len() + 512);
    append_lines(&mut log, before);
    log.extend(start.bytes());
    append_lines(&mut log, during);
    log.extend(end.iter().flat_map(|event| event.bytes()));
    log
}

fn append_lines(log: &mut Vec<u8>, text: &[u8]) {
    log.extend(text);
    if text.last().is_some_and(|last| *last != b'\n') {
        log.push(b'\n');
    }
}

/// Initialisation is billed, and time is billed in whole milliseconds.
fn report(request_id: &str, outcome: &Outcome, usage: &Usage) -> String {
    let millis = |duration: Duration| duration.as_secs_f64() * 1_000.0;
    let billed = millis(usage.duration + usage.init.unwrap_or_default()).ceil();
    let mut line = format!(
        "REPORT RequestId: {request_id}\tDuration: {:.2} ms\tBilled Duration: {billed:.0} ms\tMemory Size: {} MB\tMax Memory Used: {} MB\t",
        millis(usage.duration),
        usage.memory_size,
        usage.max_memory,
    );
    if let Some(init) = usage.init {
        line += &format!("Init Duration: {:.2} ms\t", millis(init));
    }
    // An error that the handler threw is an answer like any other to Lambda: only its own findings are marked.
    if let Outcome::Failure(failure) = outcome
        && failure.log_line.is_some()
    {
        line += &match failure.status {
            Status::Timeout => "Status: timeout".to_owned(),
            Status::Error => format!("Status: error\tError Type: {}", failure.error_type),
        };
    }
    line + "\n"
}

/// The last 4 KB of a log, from the beginning of a character.
pub(super) fn tail(log: &[u8]) -> &[u8] {
    let mut from = log.len().saturating_sub(TAIL);
    while log.get(from).is_some_and(|byte| byte & 0xC0 == 0x80) {
        from += 1;
    }
    &log[from..]
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn the_report_has_lambdas_form() {
        let usage = Usage {
            duration: Duration::from_micros(1_234),
            init: Some(Duration::from_millis(100)),
            memory_size: 128,
            max_memory: 35,
        };
        let outcome = Outcome::Success(Bytes::new());
        let log = whole(b"loading", &start("id", "$LATEST"), b"hello\n", &end("id", &outcome, &usage));
        assert_eq!(
            String::from_utf8(log).unwrap(),
            "loading\nSTART RequestId: id Version: $LATEST\nhello\nEND RequestId: id\n\
             REPORT RequestId: id\tDuration: 1.23 ms\tBilled Duration: 102 ms\tMemory Size: 128 MB\tMax Memory Used: 35 MB\tInit Duration: 100.00 ms\t\n"
        );
    }

    #[test]
    fn the_tail_is_four_kilobytes_of_whole_characters() {
        let log = "é".repeat(4_000) + "x";
        let tail = tail(log.as_bytes());
        assert_eq!(tail.len(), 4_095);
        assert!(std::str::from_utf8(tail).is_ok());
        assert_eq!(super::tail(b"short"), b"short");
    }
}
