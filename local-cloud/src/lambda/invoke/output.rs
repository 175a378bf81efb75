//! Collects what a function process writes to its standard output and error, and passes each line on to its log stream as
//! it comes.
//!
//! A process writes its lines, then posts its response: when the response is here, the lines are in the pipes. So
//! [`Output::take`] reads both pipes until they are empty before it answers, and a line is never left for the next
//! invocation.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{ChildStderr, ChildStdout};
use tokio::sync::{mpsc, oneshot};

use crate::logs::StreamWriter;

/// What is kept of one invocation's output, in bytes: the end of it.
const KEPT: usize = 256 * 1024;
/// How long to wait for a reader that keeps reading.
const PATIENCE: Duration = Duration::from_secs(1);
/// A line that is longer than this is cut in pieces, in bytes: nobody may write until the memory is full.
const LONGEST_LINE: usize = 1 << 20;

/// The two pipes of a process, read by a task.
#[derive(Debug)]
pub(super) struct Output {
    written: Arc<Mutex<Vec<u8>>>,
    flushes: mpsc::Sender<oneshot::Sender<()>>,
}

impl Output {
    /// Starts reading.
    pub(super) fn collect(stdout: Option<ChildStdout>, stderr: Option<ChildStderr>, log: StreamWriter) -> Self {
        let written = Arc::default();
        let (flushes, requests) = mpsc::channel(1);
        tokio::spawn(read(stdout, stderr, Arc::clone(&written), log, requests));
        Self { written, flushes }
    }

    /// Everything that was written since the last call.
    pub(super) async fn take(&self) -> Vec<u8> {
        let (done, empty) = oneshot::channel();
        // An error means that the task is through with both pipes: then all is here.
        if self.flushes.send(done).await.is_ok() {
            let _ = tokio::time::timeout(PATIENCE, empty).await;
        }
        std::mem::take(&mut *self.written.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One pipe, and the beginning of a line of which the end hasn't come yet.
struct Pipe<R> {
    source: Option<R>,
    partial: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Pipe<R> {
    async fn read(&mut self) -> Vec<u8> {
        let Some(source) = &mut self.source else { return std::future::pending().await };
        let mut buffer = Vec::with_capacity(8 * 1024);
        let end = !matches!(source.read_buf(&mut buffer).await, Ok(1..));
        self.partial.append(&mut buffer);
        let whole = if end || self.partial.len() > LONGEST_LINE {
            if end {
                self.source = None;
            }
            self.partial.len()
        } else {
            self.partial.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1)
        };
        self.partial.drain(..whole).collect()
    }
}

async fn read(
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    written: Arc<Mutex<Vec<u8>>>,
    log: StreamWriter,
    mut flushes: mpsc::Receiver<oneshot::Sender<()>>,
) {
    let mut out = Pipe { source: stdout, partial: Vec::new() };
    let mut err = Pipe { source: stderr, partial: Vec::new() };
    let keep = |mut text: Vec<u8>| {
        log.write_lines(&text);
        let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
        written.append(&mut text);
        if written.len() > KEPT {
            let excess = written.len() - KEPT;
            written.drain(..excess);
        }
    };
    while out.source.is_some() || err.source.is_some() {
        tokio::select! {
            // The order matters: a flush is only seen when both pipes are empty.
            biased;
            text = out.read() => keep(text),
            text = err.read() => keep(text),
            request = flushes.recv() => {
                let Some(done) = request else { return };
                keep(std::mem::take(&mut out.partial));
                keep(std::mem::take(&mut err.partial));
                let _ = done.send(());
            }
        }
    }
}
