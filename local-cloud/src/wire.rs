//! What is between the socket and the services: a connection that can be reset, and bodies that are counted, shaped and
//! cut as they pass.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use crate::faults::{Direction, Faults};
use crate::log::Entry;

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Any body, on its way in or out.
pub(crate) type AnyBody = UnsyncBoxBody<Bytes, BoxError>;

/// A body of bytes that are all there.
pub(crate) fn full(bytes: impl Into<Bytes>) -> AnyBody {
    http_body_util::Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// Says that a connection is to end with a TCP reset rather than an orderly close.
#[derive(Clone, Debug, Default)]
pub(crate) struct ResetSwitch(Arc<AtomicBool>);

impl ResetSwitch {
    pub(crate) fn reset(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// A TCP connection that looks at its [`ResetSwitch`] when it is dropped.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    switch: ResetSwitch,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream, switch: ResetSwitch) -> Self {
        Self { stream, switch }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.switch.0.load(Ordering::Acquire) {
            // With no time to linger, closing sends RST.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.switch.0.load(Ordering::Acquire) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Where an unread rest of a request's body goes, so that the server can read it to its end before the next request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unread {
    rest: Arc<Mutex<Option<Inbound>>>,
    /// The client went away in the middle of it.
    cut: Arc<AtomicBool>,
}

impl Unread {
    /// Reads what the service left. Without that the next request on the connection would begin inside this body.
    pub(crate) async fn drain(&self) {
        let rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut rest) = rest else { return };
        rest.home = None;
        while let Some(frame) = rest.frame().await {
            if frame.is_err() {
                return self.cut.store(true, Ordering::Release);
            }
        }
    }

    /// Ends when the client has gone in the middle of its body. When it goes later, hyper drops who waits for it: it sees
    /// that only of a connection without unread bytes.
    pub(crate) async fn gone(&self) -> io::Error {
        self.drain().await;
        if !self.cut.load(Ordering::Acquire) {
            std::future::pending::<()>().await;
        }
        io::ErrorKind::ConnectionReset.into()
    }
}

/// A request's body: counted, slowed to the link's rate, and given back unread when it is dropped early.
#[derive(Debug)]
pub(crate) struct Inbound {
    inner: Option<Incoming>,
    entry: Arc<Entry>,
    pace: Pace,
    home: Option<Unread>,
}

impl Inbound {
    pub(crate) fn new(inner: Incoming, entry: Arc<Entry>, faults: Arc<Faults>, home: Unread) -> Self {
        Self { inner: Some(inner), entry, pace: Pace::new(faults, Direction::Up), home: Some(home) }
    }
}

impl Body for Inbound {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if let Some(frame) = ready!(this.pace.poll_held(cx)) {
            return Poll::Ready(Some(Ok(frame)));
        }
        let Some(inner) = &mut this.inner else { return Poll::Ready(None) };
        match ready!(Pin::new(inner).poll_frame(cx)) {
            None => {
                this.inner = None;
                Poll::Ready(None)
            }
            Some(Err(error)) => {
                this.inner = None;
                if let Some(home) = &this.home {
                    home.cut.store(true, Ordering::Release);
                }
                Poll::Ready(Some(Err(error.into())))
            }
            Some(Ok(frame)) => {
                this.entry.body_bytes_in(frame.data_ref().map_or(0, Bytes::len));
                this.pace.hold(frame);
                this.pace.poll_held(cx).map(|frame| frame.map(Ok))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.pace.held.is_none() && self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Inbound {
    fn drop(&mut self) {
        let (Some(inner), Some(home)) = (self.inner.take(), self.home.take()) else { return };
        if inner.is_end_stream() {
            return;
        }
        let pace = Pace::new(Arc::clone(&self.pace.faults), Direction::Up);
        let rest = Self { inner: Some(inner), entry: Arc::clone(&self.entry), pace, home: None };
        *home.rest.lock().unwrap_or_else(PoisonError::into_inner) = Some(rest);
    }
}

/// What the bytes before a cut get to reach the client.
const FLUSH: Duration = Duration::from_millis(50);

/// How an answer's body ends before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The connection is closed.
    Cut,
    /// Nothing more is sent.
    Stall,
}

/// An answer's body: counted, slowed to the link's rate, and ended early when a fault says so.
pub(crate) struct Outbound {
    inner: AnyBody,
    entry: Arc<Entry>,
    pace: Pace,
    /// Bytes that may still pass, and what happens then.
    early_end: Option<(u64, Ending)>,
    /// When a cut body's last bytes are out.
    flushed: Option<Pin<Box<Sleep>>>,
    /// Bytes until the log line can be written, if the length is known.
    remaining: Option<u64>,
}

impl Outbound {
    pub(crate) fn new(
        inner: AnyBody,
        entry: Arc<Entry>,
        faults: Arc<Faults>,
        early_end: Option<(u64, Ending)>,
    ) -> Self {
        let remaining = inner.size_hint().exact();
        Self { inner, entry, pace: Pace::new(faults, Direction::Down), early_end, flushed: None, remaining }
    }

    fn early_end(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some((_, Ending::Cut)) = self.early_end else {
            // No waker: hyper drops the body when the client closes the connection.
            return Poll::Pending;
        };
        // An error at once would make hyper throw away what it has not written yet.
        let flushed = self.flushed.get_or_insert_with(|| Box::pin(tokio::time::sleep(FLUSH)));
        ready!(flushed.as_mut().poll(cx));
        Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::ConnectionAborted, "injected fault").into())))
    }
}

impl Body for Outbound {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let mut held = ready!(this.pace.poll_held(cx));
        if held.is_none() {
            if matches!(this.early_end, Some((0, _))) {
                return this.early_end(cx);
            }
            match ready!(Pin::new(&mut this.inner).poll_frame(cx)) {
                None => {
                    this.entry.finish();
                    return Poll::Ready(None);
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(frame)) => {
                    let frame = match (frame.into_data(), &mut this.early_end) {
                        (Ok(data), Some((left, _))) => {
                            let passing = data.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                            *left -= passing as u64;
                            Frame::data(data.slice(..passing))
                        }
                        (Ok(data), None) => Frame::data(data),
                        (Err(other), _) => other,
                    };
                    this.pace.hold(frame);
                    held = ready!(this.pace.poll_held(cx));
                }
            }
        }
        let Some(frame) = held else { return Poll::Pending };
        let length = frame.data_ref().map_or(0, Bytes::len);
        this.entry.body_bytes_out(length);
        if let Some(remaining) = &mut this.remaining {
            *remaining = remaining.saturating_sub(length as u64);
            if *remaining == 0 {
                this.entry.finish();
            }
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.early_end.is_none() && self.pace.held.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Outbound {
    fn drop(&mut self) {
        self.entry.finish();
    }
}

/// Holds a frame back until the link has let it through.
#[derive(Debug)]
struct Pace {
    faults: Arc<Faults>,
    direction: Direction,
    held: Option<Frame<Bytes>>,
    until: Option<Pin<Box<Sleep>>>,
}

impl Pace {
    fn new(faults: Arc<Faults>, direction: Direction) -> Self {
        Self { faults, direction, held: None, until: None }
    }

    fn hold(&mut self, frame: Frame<Bytes>) {
        let wait = self.faults.reserve(self.direction, frame.data_ref().map_or(0, Bytes::len));
        if !wait.is_zero() {
            self.until = Some(Box::pin(tokio::time::sleep(wait)));
        }
        self.held = Some(frame);
    }

    /// The held frame once its time has come; `None` when there is none.
    fn poll_held(&mut self, cx: &mut Context<'_>) -> Poll<Option<Frame<Bytes>>> {
        if let Some(until) = &mut self.until {
            ready!(until.as_mut().poll(cx));
            self.until = None;
        }
        Poll::Ready(self.held.take())
    }
}
