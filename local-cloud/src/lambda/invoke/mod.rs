//! `Invoke`: one event to one answer of a function.
//!
//! An invocation runs in a task of its own, so that it ends even when its caller hangs up. Asynchronous invocations
//! (`Event`) run once: a failed one is in the function's log and is not tried again.

mod environment;
mod outcome;
mod output;
mod pool;
mod process;
mod runtime_api;
mod runtimes;
mod transcript;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode};

pub(super) use pool::Pool;

use super::Lambda;
use super::deployment::Deployment;
use super::errors::{ApiError, ErrorKind, Result};
use super::function::{Function, new_id};
use super::names::{FunctionRef, Scope};
use super::request::{Reply, Request};
use super::router::Operation;
use outcome::Outcome;
use pool::Completed;

/// The limit on the payload of a synchronous invocation, in bytes.
const MAX_SYNC_PAYLOAD: usize = 6_291_456;
/// The limit on the payload of an asynchronous invocation, in bytes.
const MAX_ASYNC_PAYLOAD: usize = 1_048_576;

/// How an invocation was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InvocationType {
    RequestResponse,
    Event,
    DryRun,
}

/// What a function process gets to see of an invocation.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) request_id: String,
    pub(super) payload: Bytes,
    /// The ARN with the qualifier that the caller used.
    pub(super) arn: String,
    pub(super) trace_id: String,
    /// JSON, already decoded from base64.
    pub(super) client_context: Option<String>,
}

/// `Invoke` and its forerunner `InvokeAsync`.
pub(super) async fn invoke(lambda: &Lambda, operation: Operation, request: &Request) -> Result<Reply> {
    let kind = invocation_type(operation, request)?;
    let payload = payload(request, kind)?;
    let client_context = client_context(request)?;
    let wanted = request.function()?;
    let (deployment, slot) = admit(lambda, &wanted, &request.scope)?;
    if kind == InvocationType::DryRun {
        return Ok(answer(StatusCode::NO_CONTENT, Bytes::new(), &new_id(), &deployment.version));
    }
    let event = Event {
        request_id: new_id(),
        payload,
        arn: wanted.arn(&request.scope),
        trace_id: trace_id(request),
        client_context,
    };
    let request_id = event.request_id.clone();
    let version = deployment.version.clone();
    let pool = Arc::clone(lambda.pool());
    let running = tokio::spawn(async move {
        let completed = pool.run(deployment, event).await;
        drop(slot);
        completed
    });
    if kind == InvocationType::Event {
        return Ok(answer(StatusCode::ACCEPTED, Bytes::new(), &request_id, &version));
    }
    let completed =
        running.await.map_err(|e| ApiError::new(ErrorKind::Service, format!("The invocation broke off: {e}")))??;
    Ok(completed_answer(request, completed, &request_id, &version))
}

fn invocation_type(operation: Operation, request: &Request) -> Result<InvocationType> {
    if operation == Operation::InvokeAsync {
        return Ok(InvocationType::Event);
    }
    match request.header("x-amz-invocation-type") {
        None | Some("RequestResponse") => Ok(InvocationType::RequestResponse),
        Some("Event") => Ok(InvocationType::Event),
        Some("DryRun") => Ok(InvocationType::DryRun),
        Some(other) => {
            let rule = "Member must satisfy enum value set: [Event, RequestResponse, DryRun]";
            Err(super::names::constraint(other, "invocationType", rule))
        }
    }
}

/// The event: JSON within the limits. Nothing at all means an empty object.
fn payload(request: &Request, kind: InvocationType) -> Result<Bytes> {
    let (limit, name) = match kind {
        InvocationType::Event => (MAX_ASYNC_PAYLOAD, "Event"),
        InvocationType::RequestResponse | InvocationType::DryRun => (MAX_SYNC_PAYLOAD, "RequestResponse"),
    };
    let size = request.body.len();
    if size > limit {
        return Err(ApiError::new(
            ErrorKind::RequestTooLarge,
            format!("{size} byte payload is too large for the {name} invocation type (limit {limit} bytes)"),
        ));
    }
    if request.body.is_empty() {
        return Ok(Bytes::from_static(b"{}"));
    }
    serde_json::from_slice::<serde::de::IgnoredAny>(&request.body).map_err(|e| {
        ApiError::new(
            ErrorKind::InvalidRequestContent,
            format!("Could not parse request body into json: Could not parse payload into json: {e}"),
        )
    })?;
    Ok(request.body.clone())
}

/// `X-Amz-Client-Context`: JSON in base64.
fn client_context(request: &Request) -> Result<Option<String>> {
    let Some(encoded) = request.header("x-amz-client-context") else { return Ok(None) };
    let decoded = STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    match decoded {
        Some(json) if serde_json::from_str::<serde::de::IgnoredAny>(&json).is_ok() => Ok(Some(json)),
        _ => Err(ApiError::new(
            ErrorKind::InvalidRequestContent,
            "Client context must be a valid Base64-encoded JSON object.",
        )),
    }
}

fn trace_id(request: &Request) -> String {
    match request.header("x-amzn-trace-id") {
        Some(given) => given.to_owned(),
        None => {
            let random = uuid::Uuid::new_v4().simple().to_string();
            let seconds = super::clock::epoch_millis(std::time::SystemTime::now()) / 1_000;
            format!("Root=1-{seconds:08x}-{};Parent={};Sampled=0", &random[..24], &random[16..])
        }
    }
}

/// One of the invocations that a function has under way. Dropping it ends the count.
struct Slot(Arc<AtomicUsize>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Finds what to run and holds the function's reserved concurrency against what is already running.
fn admit(lambda: &Lambda, wanted: &FunctionRef, scope: &Scope) -> Result<(Arc<Deployment>, Slot)> {
    let mut registry = lambda.registry();
    let function = registry.function(wanted, scope, lambda.objects())?;
    let routed = FunctionRef { name: wanted.name.clone(), qualifier: route(function, wanted.qualifier.as_deref()) };
    let deployment = Arc::clone(function.require_version(&routed, scope)?.runnable()?);
    let running = function.running.fetch_add(1, Ordering::AcqRel);
    let slot = Slot(Arc::clone(&function.running));
    if function.reserved_concurrency.is_some_and(|reserved| running >= reserved as usize) {
        return Err(ApiError::throttled("Rate Exceeded.", "ReservedFunctionConcurrentInvocationLimitExceeded"));
    }
    Ok((deployment, slot))
}

/// The version that an alias with weights sends this invocation to; any other qualifier stays as it is.
fn route(function: &Function, qualifier: Option<&str>) -> Option<String> {
    let weights = qualifier.and_then(|qualifier| function.aliases.get(qualifier)).map(|alias| &alias.weights);
    let mut rest = f64::from(uuid::Uuid::new_v4().as_fields().0) / f64::from(u32::MAX);
    for (version, weight) in weights.into_iter().flatten() {
        if rest < *weight {
            return Some(version.clone());
        }
        rest -= weight;
    }
    qualifier.map(str::to_owned)
}

fn answer(status: StatusCode, body: Bytes, request_id: &str, version: &str) -> Reply {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let mut set = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    set("x-amzn-requestid", request_id);
    set("x-amz-executed-version", version);
    set("content-type", "application/json");
    response
}

fn completed_answer(request: &Request, completed: Completed, request_id: &str, version: &str) -> Reply {
    let (body, error) = match completed.outcome {
        Outcome::Success(body) => (body, None),
        Outcome::Failure(failure) => {
            let mark = if failure.handled { "Handled" } else { "Unhandled" };
            (failure.payload, Some(mark))
        }
    };
    let mut response = answer(StatusCode::OK, body, request_id, version);
    if let Some(mark) = error {
        response.headers_mut().insert("x-amz-function-error", HeaderValue::from_static(mark));
    }
    if request.header("x-amz-log-type") == Some("Tail")
        && let Ok(value) = HeaderValue::from_str(&STANDARD.encode(transcript::tail(&completed.log)))
    {
        response.headers_mut().insert("x-amz-log-result", value);
    }
    response
}
