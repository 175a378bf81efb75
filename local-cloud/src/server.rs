//! The listener, and what happens to a request between the socket and the services.
//!
//! Each connection is HTTP/1.1 with keep-alive. For each request, in this order: name it, open its log record, count and
//! shape its body, wait the link's latency, look for an injected fault, hand it to its service (`dispatch`, which verifies
//! the signature), read what the service left of the body, and count and shape the answer. Where the body says which
//! operation is asked for, it is read before the look for a fault.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, Version, header};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use s3s::dto::{Timestamp, TimestampFormat};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::credentials;
use crate::dispatch::{ErrorCode, OperationName, Payload, Services, dispatch, injected};
use crate::faults::Action;
use crate::log::{Entry, Opening};
use crate::operation::identify;
use crate::s3;
use crate::wire::{AnyBody, Ending, Inbound, Outbound, ResetSwitch, Unread, Wire, full};

/// How long requests under way may take after a shutdown was asked for.
const GRACE: Duration = Duration::from_secs(5);

/// A running listener. Dropping it stops it too, without waiting.
#[derive(Debug)]
pub(crate) struct Server {
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl Server {
    pub(crate) fn start(listener: TcpListener, address: SocketAddr, services: Services) -> Self {
        let (stop, stopped) = watch::channel(false);
        let accepting = tokio::spawn(accept(listener, address, Arc::new(services), stopped));
        Self { stop, accepting }
    }

    pub(crate) async fn shutdown(self) {
        let _ = self.stop.send(true);
        let _ = self.accepting.await;
    }
}

/// Resolves when a shutdown was asked for, or when the server was dropped.
async fn stopping(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}

async fn accept(
    mut listener: TcpListener,
    address: SocketAddr,
    services: Arc<Services>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    let mut away = services.faults.away();
    loop {
        if is_away(*away.borrow_and_update()) {
            drop(listener);
            listener = tokio::select! {
                again = deaf(address, &mut away) => again,
                () = stopping(&mut stopped) => break,
            };
        }
        tokio::select! {
            _ = away.changed() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let _ = stream.set_nodelay(true);
                    let switch = ResetSwitch::default();
                    let wire = Wire::new(stream, switch.clone());
                    connections.spawn(serve(wire, switch, Arc::clone(&services), stopped.clone()));
                }
                // The process is out of file descriptors, or the client is gone already.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            // Ended connections are forgotten as time goes by.
            Some(_) = connections.join_next() => {}
            () = stopping(&mut stopped) => break,
        }
    }
    while connections.join_next().await.is_some() {}
    services.shutdown().await;
}

fn is_away(until: Option<Instant>) -> bool {
    until.is_some_and(|until| until > Instant::now())
}

/// Resolves when the cloud is there again.
async fn returned(away: &mut watch::Receiver<Option<Instant>>) {
    loop {
        let until = *away.borrow_and_update();
        let Some(until) = until.filter(|_| is_away(until)) else { return };
        tokio::select! {
            () = tokio::time::sleep_until(until.into()) => {}
            _ = away.changed() => {}
        }
    }
}

/// Resolves when the cloud goes away.
async fn gone(away: &mut watch::Receiver<Option<Instant>>) {
    if away.wait_for(|until| is_away(*until)).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Refuses connections to a port until the cloud is there again, and keeps others from taking it meanwhile.
async fn deaf(address: SocketAddr, away: &mut watch::Receiver<Option<Instant>>) -> TcpListener {
    loop {
        // A process that is just being started has a copy of the closed listener until it executes its program: until then
        // the port is in use.
        if let Ok(socket) = bound(address) {
            returned(away).await;
            if let Ok(listener) = socket.listen(1024) {
                return listener;
            }
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Closed connections to the port linger.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

async fn serve(wire: Wire, switch: ResetSwitch, services: Arc<Services>, mut stopped: watch::Receiver<bool>) {
    let mut away = services.faults.away();
    let reset = switch.clone();
    let service = service_fn(move |request| {
        let (services, switch) = (Arc::clone(&services), switch.clone());
        async move { exchange(&services, &switch, request).await }
    });
    let connection = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(wire), service);
    tokio::pin!(connection);
    tokio::select! {
        // An error means that the client went away or that a fault ended the connection.
        _ = connection.as_mut() => return,
        () = gone(&mut away) => {
            reset.reset();
            return;
        }
        () = stopping(&mut stopped) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(GRACE, connection).await;
}

/// One request and its answer. An error ends the connection without one.
async fn exchange(
    services: &Services,
    switch: &ResetSwitch,
    request: Request<Incoming>,
) -> io::Result<Response<Outbound>> {
    let (parts, body) = request.into_parts();
    let mut target = identify(&parts.method, &parts.uri, &parts.headers);
    let range = ["range", "x-amz-copy-source-range"].iter().find_map(|name| parts.headers.get(*name));
    let entry = services.log.begin(Opening {
        id: s3::ids::request_id(),
        service: target.service,
        operation: target.operation.clone().into_owned(),
        resource: target.resource.clone(),
        range: range.and_then(|range| range.to_str().ok()).map(str::to_owned),
        access_key_id: credentials::scope(&parts.uri, &parts.headers).map(|scope| scope.key_id),
        header_bytes: request_head_bytes(&parts.method, &parts.uri, &parts.headers),
    });
    // Whatever ends this future early (the client went away, a reset) still leaves a line in the log.
    let unfinished = Unfinished(Some(Arc::clone(&entry)));

    let latency = services.faults.latency();
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let unread = Unread::default();
    let body = Inbound::new(body, Arc::clone(&entry), Arc::clone(&services.faults), unread.clone());
    let request = Payload::read(Request::from_parts(parts, body), &mut target, &entry).await;
    let request = request.ignoring(services.faults.ignored(&target.operation));
    let fault = services.faults.hit(&target.operation, target.resource.as_deref());
    if let Some(action) = fault {
        entry.set_fault(action.to_string());
    }

    let mut response = match fault {
        Some(Action::ResetBefore) => {
            switch.reset();
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Some(Action::GoAway(time)) => {
            services.faults.go_away(time);
            switch.reset();
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Some(Action::Stall) => {
            drop(request);
            return Err(unread.gone().await);
        }
        Some(Action::Respond { status, code }) => {
            drop(request);
            injected(&target, status, code, &entry)
        }
        Some(Action::ErrorInside200 { code }) => {
            drop(request);
            injected(&target, 200, code, &entry)
        }
        Some(Action::Delay(time)) => {
            tokio::time::sleep(time).await;
            dispatch(services, &target, request, &entry).await
        }
        Some(Action::Hold { gate }) => {
            services.faults.pass(gate).await;
            dispatch(services, &target, request, &entry).await
        }
        _ => dispatch(services, &target, request, &entry).await,
    };
    let mut early_end = None;
    match fault {
        Some(Action::ResetAfter) => {
            switch.reset();
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Some(Action::StallAfter) => return Err(unread.gone().await),
        Some(Action::RespondAfter { status, code }) => response = injected(&target, status, code, &entry),
        Some(Action::CutBody { after }) => early_end = Some((after, Ending::Cut)),
        Some(Action::StallBody { after }) => early_end = Some((after, Ending::Stall)),
        Some(Action::ShortBody { missing }) => response = shortened(response, missing).await,
        _ => {}
    }
    unread.drain().await;

    let (mut parts, body) = response.into_parts();
    parts.headers.entry(header::SERVER).or_insert(HeaderValue::from_static("AmazonS3"));
    if let Some(now) = services.credentials.clock() {
        parts.headers.extend(date_of(now).map(|date| (header::DATE, date)));
    }
    if let Some(OperationName(name)) = parts.extensions.remove::<OperationName>() {
        entry.set_operation(&name);
    }
    let error = parts.extensions.remove::<ErrorCode>().map(|ErrorCode(code)| code);
    entry.answered(parts.status.as_u16(), response_head_bytes(&parts.headers, &body), error);
    let body = Outbound::new(body, Arc::clone(&entry), Arc::clone(&services.faults), early_end);
    if body.is_end_stream() {
        entry.finish();
    }
    unfinished.disarm();
    Ok(Response::from_parts(parts, body))
}

/// The answer without the last bytes of its body.
async fn shortened(response: Response<AnyBody>, missing: u64) -> Response<AnyBody> {
    let (mut parts, body) = response.into_parts();
    let whole = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let left = whole.len().saturating_sub(usize::try_from(missing).unwrap_or(usize::MAX));
    if parts.headers.contains_key(header::CONTENT_LENGTH) {
        parts.headers.insert(header::CONTENT_LENGTH, left.into());
    }
    Response::from_parts(parts, full(whole.slice(..left)))
}

/// Finishes a log entry when a request is given up.
struct Unfinished(Option<Arc<Entry>>);

impl Unfinished {
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(entry) = &self.0 {
            entry.finish();
        }
    }
}

/// As the header `Date` has it.
fn date_of(time: SystemTime) -> Option<HeaderValue> {
    let mut text = Vec::new();
    Timestamp::from(time).format(TimestampFormat::HttpDate, &mut text).ok()?;
    HeaderValue::from_bytes(&text).ok()
}

/// `name: value\r\n` for each header.
fn header_bytes(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}

fn request_head_bytes(method: &Method, uri: &Uri, headers: &HeaderMap) -> u64 {
    let target = uri.path_and_query().map_or(1, |target| target.as_str().len());
    let line = method.as_str().len() + 1 + target + 1 + format!("{:?}", Version::HTTP_11).len() + 2;
    (line + header_bytes(headers) + 2) as u64
}

/// With the `Date` and the `Content-Length` that hyper adds, and a status line of usual length.
fn response_head_bytes(headers: &HeaderMap, body: &AnyBody) -> u64 {
    let date = "date: Sun, 22 Nov 2026 14:22:30 GMT\r\n".len();
    let length = match body.size_hint().exact() {
        Some(length) if !headers.contains_key(header::CONTENT_LENGTH) => format!("content-length: {length}\r\n").len(),
        _ => 0,
    };
    ("HTTP/1.1 200 OK\r\n".len() + header_bytes(headers) + date + length + 2) as u64
}
