//! Invokes a function and makes sense of what comes back: the result or the error, the figures of the `REPORT` line, and
//! the end of the log.
//!
//! An invocation may not be made twice unasked: whoever's function it is may send mail. So a call is repeated only when
//! Lambda says that it was throttled and not run.

use std::io::Read as _;
use std::path::Path;
use std::time::{Duration, Instant};

use aws_sdk_lambda::error::ProvideErrorMetadata as _;
use aws_sdk_lambda::operation::RequestId as _;
use aws_sdk_lambda::operation::invoke::{InvokeError, InvokeOutput};
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::LogType;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::aws::Cloud;
use crate::error::{Error, Result};
use crate::ui::{bytes, duration};

/// The largest event of a synchronous invocation, in bytes.
const LARGEST_EVENT: usize = 6 * 1024 * 1024;
/// A throttled call is made so often in all.
const TRIES: u32 = 5;

/// What to invoke, and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// The function's name or ARN.
    pub(crate) function: String,
    /// A version or an alias.
    pub(crate) qualifier: Option<String>,
    /// JSON.
    pub(crate) event: Vec<u8>,
}

/// What an invocation came to: the JSON document.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct Invocation {
    pub(crate) command: &'static str,
    /// Whether the function gave a result.
    pub(crate) ok: bool,
    pub(crate) function: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) executed_version: Option<String>,
    pub(crate) status_code: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) request_id: Option<String>,
    /// What the function returned. Text when that is no JSON; absent when it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) result: Option<Value>,
    /// The same as it came: with the order of its members, and numbers as they were written.
    #[serde(skip)]
    pub(crate) raw: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<Error>,
    /// Where in the function the error came from, as its runtime tells it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) trace: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) report: Option<Report>,
    /// The last 4 KB of the invocation's log.
    pub(crate) log_tail: String,
    /// From here and back, in milliseconds.
    pub(crate) elapsed_ms: u64,
}

/// The figures that Lambda reports at the end of an invocation. Times are in milliseconds, memory is in MB.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all(serialize = "camelCase"))]
pub(crate) struct Report {
    #[serde(rename(deserialize = "durationMs"))]
    pub(crate) duration_ms: f64,
    #[serde(rename(deserialize = "billedDurationMs"))]
    pub(crate) billed_duration_ms: f64,
    #[serde(rename(deserialize = "memorySizeMB"))]
    pub(crate) memory_size_mb: u64,
    #[serde(rename(deserialize = "maxMemoryUsedMB"))]
    pub(crate) max_memory_used_mb: u64,
    /// Of a cold start only.
    #[serde(rename(deserialize = "initDurationMs"), skip_serializing_if = "Option::is_none")]
    pub(crate) init_duration_ms: Option<f64>,
}

/// An error as runtimes report it. Node.js calls the trace `trace`, Python `stackTrace`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Thrown {
    error_type: Option<String>,
    error_message: Option<String>,
    #[serde(alias = "stackTrace")]
    trace: Vec<Value>,
}

/// Reads an event: from a file, from standard input (`-`), or `{}` when there is none.
///
/// # Errors
///
/// The file can't be read, isn't JSON, or is longer than Lambda takes. All of it is known before anything is sent.
pub(crate) fn event(path: Option<&Path>) -> Result<Vec<u8>> {
    let Some(path) = path else { return Ok(b"{}".to_vec()) };
    let mut event = Vec::new();
    let (read, shown) = if path == Path::new("-") {
        (std::io::stdin().read_to_end(&mut event).map(drop), "standard input".to_owned())
    } else {
        let read = std::fs::read(path).map(|bytes| event = bytes);
        (read, format!("`{}`", path.display()))
    };
    read.map_err(|error| Error::new("File", format!("could not read the event from {shown}")).because(&error))?;
    if event.len() > LARGEST_EVENT {
        let (length, limit) = (bytes(event.len() as u64), bytes(LARGEST_EVENT as u64));
        return Err(Error::new(
            "EventTooLarge",
            format!("the event in {shown} has {length}, and Lambda takes {limit}"),
        )
        .hint("put what is large into S3, and its place into the event"));
    }
    if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(&event) {
        return Err(Error::new("InvalidEvent", format!("the event in {shown} is not JSON"))
            .because(&error)
            .hint("Lambda takes any JSON: an object, a text in quotes, a number"));
    }
    Ok(event)
}

/// Invokes the function and waits for its answer.
///
/// # Errors
///
/// It could not be invoked. That the function itself failed is in the answer.
pub(crate) async fn invoke(cloud: &Cloud, request: &Request) -> Result<Invocation> {
    let start = Instant::now();
    let payload = Blob::new(request.event.clone());
    let mut tries = 1;
    let answer = loop {
        let call = cloud.lambda.invoke().function_name(&request.function).set_qualifier(request.qualifier.clone());
        match call.log_type(LogType::Tail).payload(payload.clone()).send().await {
            Ok(answer) => break answer,
            Err(error) if tries < TRIES && error.code() == Some("TooManyRequestsException") => {
                tokio::time::sleep(Duration::from_millis(250) * 2_u32.pow(tries)).await;
                tries += 1;
            }
            Err(error) => {
                if error.as_service_error().is_some_and(InvokeError::is_resource_not_found_exception) {
                    let of = request.qualifier.as_ref().map_or_else(String::new, |name| format!(", version `{name}`,"));
                    let what = format!("there is no Lambda function `{}`{of} in {}", request.function, cloud.region);
                    return Err(Error::new("FunctionNotFound", what).hint("check the name, and the region"));
                }
                let told = cloud.explain(&format!("could not invoke the function `{}`", request.function), &error);
                let denied = told.error_type() == "AccessDenied";
                return Err(if denied { told.hint("invoking needs `lambda:InvokeFunction`") } else { told });
            }
        }
    };
    Ok(Invocation::of(request, &answer, start.elapsed()))
}

impl Invocation {
    fn of(request: &Request, answer: &InvokeOutput, elapsed: Duration) -> Self {
        let payload = answer.payload().map(Blob::as_ref).unwrap_or_default();
        let log = answer.log_result().and_then(|log| BASE64.decode(log).ok()).unwrap_or_default();
        let log_tail = String::from_utf8_lossy(&log).into_owned();
        let failed = answer.function_error().map(|kind| failure(&request.function, kind, payload));
        let (error, trace) = failed.map_or((None, Vec::new()), |(error, trace)| (Some(error), trace));
        Self {
            command: "invoke",
            ok: error.is_none(),
            function: request.function.clone(),
            executed_version: answer.executed_version().map(str::to_owned),
            status_code: answer.status_code(),
            request_id: answer.request_id().map(str::to_owned),
            result: error.is_none().then(|| value(payload)),
            raw: String::from_utf8_lossy(payload).into_owned(),
            error,
            trace,
            report: log_tail.lines().rev().find_map(Report::of_line),
            log_tail,
            elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// A payload as JSON, or as the text that it is instead.
fn value(payload: &[u8]) -> Value {
    match serde_json::from_slice(payload) {
        Ok(value) => value,
        Err(_) if payload.is_empty() => Value::Null,
        Err(_) => Value::String(String::from_utf8_lossy(payload).into_owned()),
    }
}

/// The function's own error, and its trace.
fn failure(function: &str, kind: &str, payload: &[u8]) -> (Error, Vec<String>) {
    let thrown: Thrown = serde_json::from_slice(payload).unwrap_or_default();
    let error_type = thrown.error_type.unwrap_or_else(|| kind.to_owned());
    let message = thrown.error_message.unwrap_or_else(|| String::from_utf8_lossy(payload).into_owned());
    let told = if message.is_empty() {
        format!("`{function}` failed: {error_type}")
    } else {
        format!("`{function}` failed: {error_type}: {message}")
    };
    let error = Error::new(error_type.as_str(), told);
    let error = match error_type.as_str() {
        "Sandbox.Timedout" => error.hint("give the function a longer timeout, or more memory"),
        "Runtime.ImportModuleError" => error.hint(
            "what the handler needs is not in the artifact: `quickdeploy diff` shows what is, and a full build brings new dependencies",
        ),
        "Runtime.HandlerNotFound" => error.hint("does the function's handler name the file and the export that there are?"),
        _ => error,
    };
    // Python's lines end with a line break and hold one; the first line of Node.js repeats the error.
    let lines = thrown.trace.iter().map(|line| line.as_str().map_or_else(|| line.to_string(), str::to_owned));
    let lines = lines.flat_map(|entry| entry.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>());
    let repeats = |line: &String| line.starts_with(&error_type) && line.ends_with(message.as_str());
    (error, lines.filter(|line| !line.is_empty() && !repeats(line)).collect())
}

impl Report {
    /// `1.2 ms, billed 102 ms, 35 of 128 MB, init 100 ms`.
    pub(crate) fn summary(&self) -> String {
        format!("{}, {}", millis(self.duration_ms), self.costs())
    }

    /// The same without the time that the handler took.
    pub(crate) fn costs(&self) -> String {
        let billed = duration(Duration::from_secs_f64(self.billed_duration_ms.max(0.0) / 1_000.0));
        let cold = self.init_duration_ms.map_or_else(String::new, |ms| format!(", init {}", millis(ms)));
        format!("billed {billed}, {} of {} MB{cold}", self.max_memory_used_mb, self.memory_size_mb)
    }

    /// The figures in a line of the log: `REPORT …`, or the event `platform.report` of functions that log JSON.
    pub(crate) fn of_line(line: &str) -> Option<Self> {
        if line.starts_with('{') {
            let event: Value = serde_json::from_str(line).ok()?;
            let report = event.get("type")?.as_str()? == "platform.report";
            return Self::deserialize(event.get("record")?.get("metrics")?).ok().filter(|_| report);
        }
        let figures = line.strip_prefix("REPORT ")?;
        let figure = |name: &str| {
            let found = figures.split('\t').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix(": "))?;
            found.split(' ').next()?.parse::<f64>().ok()
        };
        Some(Self {
            duration_ms: figure("Duration")?,
            billed_duration_ms: figure("Billed Duration")?,
            memory_size_mb: figure("Memory Size")? as u64,
            max_memory_used_mb: figure("Max Memory Used")? as u64,
            init_duration_ms: figure("Init Duration"),
        })
    }
}

/// `1.2 ms`, and longer times as everywhere.
pub(crate) fn millis(ms: f64) -> String {
    if ms < 10.0 { format!("{ms:.1} ms") } else { duration(Duration::from_secs_f64(ms / 1_000.0)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_in_a_few_words() {
        let warm = Report {
            duration_ms: 1.234,
            billed_duration_ms: 2.0,
            memory_size_mb: 128,
            max_memory_used_mb: 35,
            init_duration_ms: None,
        };
        assert_eq!(warm.summary(), "1.2 ms, billed 2 ms, 35 of 128 MB");
        let cold = Report { duration_ms: 1_500.0, init_duration_ms: Some(12.5), ..warm };
        assert_eq!(cold.summary(), "1.5 s, billed 2 ms, 35 of 128 MB, init 12 ms");
    }

    #[test]
    fn the_report_is_read_from_text_and_from_json() {
        let line = "REPORT RequestId: 8286a188\tDuration: 1.23 ms\tBilled Duration: 102 ms\tMemory Size: 128 MB\tMax Memory Used: 35 MB\tInit Duration: 100.00 ms\t";
        let expected = Report {
            duration_ms: 1.23,
            billed_duration_ms: 102.0,
            memory_size_mb: 128,
            max_memory_used_mb: 35,
            init_duration_ms: Some(100.0),
        };
        assert_eq!(Report::of_line(line), Some(expected.clone()));
        let warm = line.split("Init").next().unwrap();
        assert_eq!(Report::of_line(warm), Some(Report { init_duration_ms: None, ..expected.clone() }));
        let json = r#"{"time":"t","type":"platform.report","record":{"requestId":"r","metrics":{"durationMs":1.23,"billedDurationMs":102,"memorySizeMB":128,"maxMemoryUsedMB":35,"initDurationMs":100.0},"status":"success"}}"#;
        assert_eq!(Report::of_line(json), Some(expected));
        assert_eq!(Report::of_line("REPORT of the day"), None);
        assert_eq!(Report::of_line(r#"{"type":"report"}"#), None);
    }

    #[test]
    fn errors_of_node_and_of_python_have_their_traces() {
        let node = br#"{"errorType":"TypeError","errorMessage":"boom","trace":["TypeError: boom","    at handler (index.js:5)"]}"#;
        let (error, trace) = failure("f", "Unhandled", node);
        assert_eq!((error.error_type(), error.message()), ("TypeError", "`f` failed: TypeError: boom"));
        assert_eq!(trace, ["    at handler (index.js:5)"]);
        let python = br#"{"errorType":"ValueError","errorMessage":"boom","stackTrace":["  File \"app.py\", line 2\n    raise\n"]}"#;
        let (_, trace) = failure("f", "Unhandled", python);
        assert_eq!(trace, ["  File \"app.py\", line 2", "    raise"]);
        let (error, _) = failure("f", "Unhandled", b"not JSON");
        assert_eq!((error.error_type(), error.message()), ("Unhandled", "`f` failed: Unhandled: not JSON"));
    }

    #[test]
    fn a_result_that_is_no_json_is_text() {
        assert_eq!(value(br#"{"a":1}"#), serde_json::json!({ "a": 1 }));
        assert_eq!(value(b"plain"), Value::String("plain".to_owned()));
        assert_eq!(value(b""), Value::Null);
    }

    #[test]
    fn an_event_is_checked_before_it_is_sent() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &[u8]| {
            let path = directory.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        assert_eq!(event(None).unwrap(), b"{}");
        assert_eq!(event(Some(&file("ok.json", b"[1]"))).unwrap(), b"[1]");
        let wrong = event(Some(&file("wrong.json", b"{\n  'a': 1\n}"))).unwrap_err();
        assert_eq!(wrong.error_type(), "InvalidEvent");
        assert!(wrong.causes()[0].contains("line 2"), "{:?}", wrong.causes());
        let large = vec![b'1'; LARGEST_EVENT + 1];
        assert_eq!(event(Some(&file("large.json", &large))).unwrap_err().error_type(), "EventTooLarge");
        assert_eq!(event(Some(Path::new("not-there.json"))).unwrap_err().error_type(), "File");
    }
}
