//! Events as people read them: a time, the function, and what it said, in as little room as it takes.
//!
//! Runtimes put the time and the request id in front of every line, and Lambda the request id into its own. Here both are
//! said already, or are not what somebody looks for who watches a terminal, so they are left away; `--json` and `-v` have
//! every message as it is.

use aws_sdk_cloudwatchlogs::primitives::{DateTime, DateTimeFormat};
use owo_colors::{AnsiColors, OwoColorize};

use super::Event;
use crate::invoke::Report;
use crate::ui::Ui;

/// Colours that tell functions apart, and are legible on dark and on light.
const COLORS: [AnsiColors; 6] = [
    AnsiColors::Cyan,
    AnsiColors::Magenta,
    AnsiColors::Blue,
    AnsiColors::Yellow,
    AnsiColors::Green,
    AnsiColors::BrightMagenta,
];

/// How Node.js begins the reports of errors that ended an invocation.
const NODE_ERRORS: [&str; 2] = ["Invoke Error \t", "Uncaught Exception \t"];

/// Prints events under each other.
#[derive(Debug)]
pub(crate) struct Printer<'a> {
    ui: &'a Ui,
    /// The functions' names, each in the place of its colour.
    functions: Vec<String>,
    /// The day of the last event, as `2026-11-22`.
    day: String,
    width: usize,
}

impl<'a> Printer<'a> {
    /// For the events of these functions.
    pub(crate) fn new<'n>(ui: &'a Ui, functions: impl IntoIterator<Item = &'n str>) -> Self {
        let functions: Vec<String> = functions.into_iter().map(str::to_owned).collect();
        let width = functions.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        Self { ui, functions, day: day_and_time(super::millis(std::time::SystemTime::now())).0, width }
    }

    /// Prints one event. The first one of another day is preceded by the day.
    pub(crate) fn print(&mut self, event: &Event) {
        let (day, time) = day_and_time(event.timestamp);
        if day != self.day {
            self.ui.result(format_args!("{}", format_args!("{day} (UTC)").bold()));
            self.day = day;
        }
        let place = self.functions.iter().position(|name| *name == event.function).unwrap_or(0);
        let color = COLORS[place % COLORS.len()];
        let message = if self.ui.is_verbose() { event.message.clone() } else { short(&event.message) };
        let of_lambda = is_of_lambda(&event.message);
        for (number, line) in message.trim_end().split('\n').enumerate() {
            let line = harmless(line.trim_end_matches('\r'));
            let line = if of_lambda { line.dimmed().to_string() } else { line };
            if number == 0 {
                let name = format!("{:width$}", event.function, width = self.width);
                self.ui.result(format_args!("{} {} {line}", time.dimmed(), name.color(color)));
            } else {
                self.ui.result(format_args!("{:indent$} {line}", "", indent = time.len() + 1 + self.width));
            }
        }
    }
}

/// A line of a log as a terminal may have it.
pub(crate) fn readable(line: &str) -> String {
    harmless(line.trim_end())
}

/// The lines of an invocation's log, each shortened and as a terminal may have it: what the function itself wrote.
pub(crate) fn written_by_the_function(log: &str) -> Vec<String> {
    let own = log.lines().filter(|line| !is_of_lambda(line) && !repeats_the_answer(line));
    own.map(|line| harmless(short(line).trim_end())).collect()
}

/// `2026-11-22` and `17:03:12.045`, in UTC.
fn day_and_time(millis: i64) -> (String, String) {
    let text = DateTime::from_millis(millis).fmt(DateTimeFormat::DateTime).unwrap_or_default();
    let (day, time) = text.trim_end_matches('Z').split_once('T').unwrap_or((&text, ""));
    // Zeros at the end of a fraction are left away there.
    let (seconds, fraction) = time.split_once('.').unwrap_or((time, ""));
    (day.to_owned(), format!("{seconds}.{fraction:0<3}"))
}

/// Whether Lambda itself wrote this, about the invocation.
fn is_of_lambda(message: &str) -> bool {
    ["INIT_START ", "START RequestId: ", "END RequestId: ", "REPORT RequestId: "]
        .iter()
        .any(|begin| message.starts_with(begin))
}

/// A message without the time and the request id that runtimes and Lambda put in front of it.
fn short(message: &str) -> String {
    let fields: Vec<&str> = message.splitn(4, '\t').collect();
    match fields.as_slice() {
        // Node.js: 2026-11-22T17:03:12.345Z, request id, INFO, message.
        [time, id, level, rest] if is_time(time) && (is_request_id(id) || *id == "undefined") => {
            thrown_in_node(rest).map_or_else(|| format!("{level} {rest}"), |thrown| format!("{level} {thrown}"))
        }
        // Python: [INFO], 2026-11-22T17:03:12.345Z, request id, message.
        [level, time, id, rest] if level.starts_with('[') && is_time(time) && is_request_id(id) => {
            format!("{} {rest}", level.trim_matches(['[', ']']))
        }
        _ => without_request_id(message),
    }
}

/// `TypeError: it is broken` and where in the function's own code, of `Invoke Error`, a tab, and all of it as JSON.
fn thrown_in_node(text: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Thrown {
        stack: Vec<String>,
    }
    let (_, json) = text.split_once(NODE_ERRORS[0]).or_else(|| text.split_once(NODE_ERRORS[1]))?;
    let thrown: Thrown = serde_json::from_str(json.trim()).ok()?;
    let lines: Vec<&str> = thrown.stack.iter().map(String::as_str).filter(|line| is_of_function(line)).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// Whether a line of a stack is about the function's code, not about the runtime that called it.
pub(crate) fn is_of_function(line: &str) -> bool {
    let of_runtime = ["/var/runtime/", "/local-lambda-runtime-", "node:internal/", "new Promise (<anonymous>)"];
    !(line.trim_start().starts_with("at ") && of_runtime.iter().any(|place| line.contains(place)))
}

/// Whether a runtime reports with this line what it also answers to the caller.
fn repeats_the_answer(line: &str) -> bool {
    NODE_ERRORS.iter().any(|begin| line.contains(&format!("\tERROR\t{begin}")))
}

/// `END RequestId: ID` as `END`, and `REPORT` with its figures only.
fn without_request_id(message: &str) -> String {
    if let Some(report) = Report::of_line(message.trim_end()).filter(|_| message.starts_with("REPORT ")) {
        // How it ended, if not well.
        let of_the_end = |field: &&str| field.starts_with("Status: ") || field.starts_with("Error Type: ");
        let end = message.split('\t').map(str::trim).filter(of_the_end);
        return end.fold(format!("REPORT {}", report.summary()), |line, field| format!("{line}, {field}"));
    }
    let Some((word, rest)) = message.split_once(" RequestId: ").filter(|_| is_of_lambda(message)) else {
        return message.to_owned();
    };
    let id = rest.split([' ', '\t', '\n']).next().unwrap_or_default();
    let figures = rest[id.len()..].trim().split('\t').map(str::trim).collect::<Vec<_>>().join("  ");
    format!("{word} {figures}")
}

fn is_time(text: &str) -> bool {
    text.len() >= 20 && text.ends_with('Z') && text.as_bytes().get(10) == Some(&b'T')
}

fn is_request_id(text: &str) -> bool {
    text.len() == 36 && text.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
}

/// A line that a terminal may have: with its colours, without anything else that a terminal would obey.
fn harmless(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut colored = false;
    let mut rest = line;
    while let Some(character) = rest.chars().next() {
        if let Some(length) = color_sequence(rest) {
            text.push_str(&rest[..length]);
            colored = true;
            rest = &rest[length..];
            continue;
        }
        if character.is_control() && character != '\t' {
            text.extend(character.escape_default());
        } else {
            text.push(character);
        }
        rest = &rest[character.len_utf8()..];
    }
    if colored {
        text.push_str("\u{1b}[0m");
    }
    text
}

/// The length of the sequence at the beginning of a text that sets colours.
fn color_sequence(text: &str) -> Option<usize> {
    let parameters = text.strip_prefix("\u{1b}[")?;
    let end = parameters.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    parameters[end..].starts_with('m').then_some(2 + end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "8286a188-ba32-4475-8077-530cd35c09a9";

    #[test]
    fn what_every_line_begins_with_is_left_away() {
        let node = format!("2026-11-22T17:03:12.345Z\t{ID}\tINFO\tgot\ta tab\n");
        assert_eq!(short(&node), "INFO got\ta tab\n");
        let loading = "2026-11-22T17:03:12.345Z\tundefined\tERROR\tat load\n";
        assert_eq!(short(loading), "ERROR at load\n");
        let python = format!("[WARNING]\t2026-11-22T17:03:12.345Z\t{ID}\tlow\n");
        assert_eq!(short(&python), "WARNING low\n");
        assert_eq!(short("plain\ttext\n"), "plain\ttext\n");
        assert_eq!(short("a\tb\tc\td\n"), "a\tb\tc\td\n");
    }

    #[test]
    fn lambdas_own_lines_keep_their_figures() {
        assert_eq!(short(&format!("START RequestId: {ID} Version: $LATEST\n")), "START Version: $LATEST");
        assert_eq!(short(&format!("END RequestId: {ID}\n")).trim_end(), "END");
        let report = format!(
            "REPORT RequestId: {ID}\tDuration: 1.23 ms\tBilled Duration: 2 ms\tMemory Size: 128 MB\tMax Memory Used: 35 MB\t\n"
        );
        assert_eq!(short(&report), "REPORT 1.2 ms, billed 2 ms, 35 of 128 MB");
        let late = report.replace("\t\n", "\tStatus: timeout\t\n");
        assert_eq!(short(&late), "REPORT 1.2 ms, billed 2 ms, 35 of 128 MB, Status: timeout");
        let other = format!("REPORT RequestId: {ID}\tDuration: 1.23 ms\tXRAY TraceId: 1\t\n");
        assert_eq!(short(&other), "REPORT Duration: 1.23 ms  XRAY TraceId: 1");
        let error = format!("RequestId: {ID} Error: Runtime exited\n");
        assert_eq!(short(&error), error);
    }

    #[test]
    fn an_error_of_node_is_shown_without_the_runtimes_own_frames() {
        let stack =
            r#"["TypeError: broken","    at handler (/var/task/a.js:5:25)","    at file:///var/runtime/index.mjs:1"]"#;
        let json = format!(r#"{{"errorType":"TypeError","errorMessage":"broken","stack":{stack}}}"#);
        let line = format!("2026-11-22T17:03:12.345Z\t{ID}\tERROR\tInvoke Error \t{json}");
        assert_eq!(short(&line), "ERROR TypeError: broken\n    at handler (/var/task/a.js:5:25)");
        assert!(repeats_the_answer(&line));
        assert!(is_of_function("  File \"/var/runtime/bootstrap.py\", line 1"), "of Python, two lines belong together");
        assert!(!repeats_the_answer("2026-11-22T17:03:12.345Z\tid\tERROR\tmy own"));
    }

    #[test]
    fn times_have_milliseconds() {
        assert_eq!(day_and_time(1_700_000_000_000), ("2023-11-14".to_owned(), "22:13:20.000".to_owned()));
        assert_eq!(day_and_time(1_700_000_000_120), ("2023-11-14".to_owned(), "22:13:20.120".to_owned()));
    }

    #[test]
    fn colours_pass_and_nothing_else_that_a_terminal_obeys() {
        assert_eq!(harmless("plain\ttext"), "plain\ttext");
        assert_eq!(harmless("\u{1b}[1;31mred"), "\u{1b}[1;31mred\u{1b}[0m");
        assert_eq!(harmless("\u{1b}[2J\u{7}\u{1b}]0;title"), "\\u{1b}[2J\\u{7}\\u{1b}]0;title");
        assert_eq!(harmless("\u{1b}[31"), "\\u{1b}[31");
    }
}
