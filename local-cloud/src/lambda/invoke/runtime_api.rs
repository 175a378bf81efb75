//! The Lambda Runtime API for one function process, on a loopback port of its own.
//!
//! A runtime asks for the next invocation and blocks until there is one; it then posts a response or an error for that
//! invocation's request id, and asks again. Its first question ends the initialisation.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::Event;
use super::outcome::{Failure, Outcome};
use crate::lambda::clock;
use crate::logs::StreamWriter;

/// The longest response that a runtime may post, in bytes: 6 MB and 100 bytes, as AWS has it.
const MAX_RESPONSE: usize = 6_291_556;

/// An event on its way to a process.
#[derive(Clone, Debug)]
pub(super) struct Invocation {
    pub(super) event: Event,
    pub(super) deadline: SystemTime,
    /// What is logged when the process takes it.
    pub(super) start_line: String,
}

/// What a process did.
#[derive(Debug)]
pub(super) enum Sign {
    /// It asked for the next invocation.
    Polled,
    /// It was given the invocation that was waiting.
    Taken,
    /// It ended the invocation that it had.
    Done(Outcome),
    /// It reported that it can't initialise.
    InitFailed(Failure),
}

/// The API of one process. Dropping it closes the port and every connection.
#[derive(Debug)]
pub(super) struct RuntimeApi {
    pub(super) address: SocketAddr,
    invocations: mpsc::Sender<Invocation>,
    signs: mpsc::UnboundedReceiver<Sign>,
    /// How many connections are open.
    connections: watch::Receiver<usize>,
    _server: JoinSet<()>,
}

impl RuntimeApi {
    /// Binds a port and begins to listen. `log` is the process's log stream.
    pub(super) async fn listen(log: StreamWriter) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (invocations, waiting) = mpsc::channel(1);
        let (sender, signs) = mpsc::unbounded_channel();
        let waiting = tokio::sync::Mutex::new(waiting);
        let session = Arc::new(Session { waiting, current: Mutex::default(), signs: sender, log });
        let mut server = JoinSet::new();
        let (count, connections) = watch::channel(0);
        server.spawn(accept(listener, session, Arc::new(count)));
        Ok(Self { address, invocations, signs, connections, _server: server })
    }

    /// Lays an invocation ready for the next poll.
    pub(super) async fn offer(&self, invocation: Invocation) {
        // The receiver lives as long as the server, which lives as long as `self`.
        let _ = self.invocations.send(invocation).await;
    }

    /// The next thing the process does.
    pub(super) async fn sign(&mut self) -> Sign {
        match self.signs.recv().await {
            Some(sign) => sign,
            None => std::future::pending().await,
        }
    }

    /// The next sign of a process that has ended: `None` when all that it sent has been read.
    pub(super) async fn last_sign(&mut self) -> Option<Sign> {
        tokio::select! {
            biased;
            sign = self.signs.recv() => sign,
            _ = self.connections.wait_for(|open| *open == 0) => self.signs.try_recv().ok(),
        }
    }
}

struct Session {
    waiting: tokio::sync::Mutex<mpsc::Receiver<Invocation>>,
    /// The request id of the invocation that the process has.
    current: Mutex<Option<String>>,
    signs: mpsc::UnboundedSender<Sign>,
    log: StreamWriter,
}

/// A connection that is open. Dropping it ends the count.
struct Open(Arc<watch::Sender<usize>>);

impl Open {
    fn new(count: &Arc<watch::Sender<usize>>) -> Self {
        count.send_modify(|open| *open += 1);
        Self(Arc::clone(count))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

async fn accept(listener: TcpListener, session: Arc<Session>, count: Arc<watch::Sender<usize>>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        while connections.try_join_next().is_some() {}
        let session = Arc::clone(&session);
        let open = Open::new(&count);
        connections.spawn(async move {
            let _open = open;
            let service = service_fn(move |request| {
                let session = Arc::clone(&session);
                async move { Ok::<_, std::convert::Infallible>(session.answer(request).await) }
            });
            let _ = stream.set_nodelay(true);
            // A connection that breaks is the end of its process, which is noticed elsewhere.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

type Reply = Response<Full<Bytes>>;

impl Session {
    async fn answer(&self, request: Request<Incoming>) -> Reply {
        let path = request.uri().path().to_owned();
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let method = request.method().clone();
        match (&method, segments.as_slice()) {
            (&Method::GET, ["2018-06-01", "runtime", "invocation", "next"]) => self.next().await,
            (&Method::POST, ["2018-06-01", "runtime", "invocation", id, "response"]) => {
                let body = read(request).await;
                self.done(id, body, Received::outcome)
            }
            (&Method::POST, ["2018-06-01", "runtime", "invocation", id, "error"]) => {
                let body = read(request).await;
                self.done(id, body, |received| Outcome::Failure(received.failure()))
            }
            (&Method::POST, ["2018-06-01", "runtime", "init", "error"]) => match read(request).await {
                Ok(received) => {
                    let _ = self.signs.send(Sign::InitFailed(received.failure()));
                    status(StatusCode::ACCEPTED)
                }
                Err(refusal) => refusal,
            },
            _ => error(StatusCode::NOT_FOUND, "NotFound", &format!("The Runtime API has no {method} {path}")),
        }
    }

    async fn next(&self) -> Reply {
        let _ = self.signs.send(Sign::Polled);
        let Some(invocation) = self.waiting.lock().await.recv().await else {
            return error(StatusCode::GONE, "SandboxClosed", "There will be no further invocation.");
        };
        let event = invocation.event;
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(event.request_id.clone());
        let _ = self.signs.send(Sign::Taken);
        // Before the process has the event and can write about it.
        self.log.write(&invocation.start_line);
        let mut response = Response::new(Full::new(event.payload));
        let deadline = clock::epoch_millis(invocation.deadline).to_string();
        let headers = response.headers_mut();
        let mut set = |name: &'static str, value: &str| {
            // From bytes: a client context may hold more than ASCII.
            if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
                headers.insert(HeaderName::from_static(name), value);
            }
        };
        set("content-type", "application/json");
        set("lambda-runtime-aws-request-id", &event.request_id);
        set("lambda-runtime-deadline-ms", &deadline);
        set("lambda-runtime-invoked-function-arn", &event.arn);
        set("lambda-runtime-trace-id", &event.trace_id);
        if let Some(context) = &event.client_context {
            set("lambda-runtime-client-context", context);
        }
        response
    }

    /// Ends the current invocation, when `id` is its request id.
    fn done(&self, id: &str, body: Result<Received, Reply>, outcome: impl FnOnce(Received) -> Outcome) -> Reply {
        let received = match body {
            Ok(received) => received,
            Err(refusal) => return refusal,
        };
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.as_deref() != Some(id) {
            return error(StatusCode::BAD_REQUEST, "InvalidRequestID", "Invalid request ID");
        }
        *current = None;
        let too_large = received.body.is_none();
        let _ = self.signs.send(Sign::Done(outcome(received)));
        if too_large {
            let message = format!("Exceeded maximum allowed payload size ({MAX_RESPONSE} bytes).");
            return error(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", &message);
        }
        status(StatusCode::ACCEPTED)
    }
}

/// A posted body. `None` when it was longer than the limit.
struct Received {
    body: Option<Bytes>,
    headers: HeaderMap,
    trailers: HeaderMap,
}

impl Received {
    fn outcome(self) -> Outcome {
        // A streaming runtime reports an error in the middle of its response by trailers.
        if self.trailers.contains_key("lambda-runtime-function-error-type") {
            let error_type = text(&self.trailers, "lambda-runtime-function-error-type");
            let body = text(&self.trailers, "lambda-runtime-function-error-body")
                .and_then(|encoded| STANDARD.decode(encoded).ok())
                .unwrap_or_default();
            return Outcome::Failure(Failure::reported(Bytes::from(body), error_type));
        }
        match self.body {
            Some(body) => Outcome::Success(body),
            None => Outcome::Failure(Failure::response_too_large(MAX_RESPONSE)),
        }
    }

    fn failure(self) -> Failure {
        match self.body {
            Some(body) => Failure::reported(body, text(&self.headers, "lambda-runtime-function-error-type")),
            None => Failure::response_too_large(MAX_RESPONSE),
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Reads a body to its end, however long it is: a body that is cut off would cost the runtime its connection.
async fn read(request: Request<Incoming>) -> Result<Received, Reply> {
    let (parts, mut body) = request.into_parts();
    let mut bytes = BytesMut::new();
    let mut too_large = false;
    let mut trailers = HeaderMap::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| error(StatusCode::BAD_REQUEST, "InvalidBody", &e.to_string()))?;
        match frame.into_data() {
            Ok(data) => {
                too_large = too_large || bytes.len() + data.len() > MAX_RESPONSE;
                if !too_large {
                    bytes.extend_from_slice(&data);
                }
            }
            Err(frame) => trailers.extend(frame.into_trailers().unwrap_or_default()),
        }
    }
    Ok(Received { body: (!too_large).then(|| bytes.freeze()), headers: parts.headers, trailers })
}

fn status(status: StatusCode) -> Reply {
    reply(status, json!({ "status": "OK" }).to_string())
}

fn error(status: StatusCode, error_type: &str, message: &str) -> Reply {
    reply(status, json!({ "errorMessage": message, "errorType": error_type }).to_string())
}

fn reply(status: StatusCode, body: String) -> Reply {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
