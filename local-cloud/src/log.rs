//! The request log: one record per request, kept in memory and, if asked for, as lines of JSON in a file.
//!
//! A record exists from the moment its request's head was read, and its byte counts grow as bodies pass. So a client
//! that has read the last byte of an answer finds that byte counted. The line goes to the file when the last byte of the
//! answer is handed to the connection, or when the connection is lost.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use serde::Serialize;

use crate::Error;

/// Records kept in memory. A server that runs for days forgets its oldest ones; the log file keeps them all.
const KEPT: usize = 200_000;

/// Which of the cloud's services a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// Amazon S3.
    S3,
    /// AWS Lambda.
    Lambda,
    /// AWS STS: only `GetCallerIdentity`.
    Sts,
    /// AWS CloudFormation.
    CloudFormation,
    /// AWS IAM.
    Iam,
    /// AWS CodeBuild.
    CodeBuild,
    /// Amazon CloudWatch Logs.
    Logs,
}

/// What became of one request. All sizes are in bytes.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Record {
    /// The request id that the client got as `x-amz-request-id` or `x-amzn-RequestId`.
    pub id: String,
    /// When the request's head had arrived, in UTC with milliseconds, as in `2026-11-22T14:22:30.123Z`.
    pub time: String,
    /// The same, not rounded; it isn't in the file.
    #[serde(skip)]
    pub began: SystemTime,
    /// The service that answered.
    pub service: Service,
    /// AWS's name of the operation, such as `GetObject` or `UpdateFunctionCode`.
    pub operation: String,
    /// What the operation is about: `bucket/key`, `bucket`, or the name of a function, stack, role, project or log group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// The `Range` or `x-amz-copy-source-range` header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<String>,
    /// The access key id that the request names as its signer's. It stands here whether or not the signature holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<String>,
    /// The HTTP status; 0 when the client got none.
    pub status: u16,
    /// AWS's error code, when the answer is an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Bytes of the request's body, as sent: with chunk signatures and trailers, without HTTP's own chunk framing.
    pub bytes_in: u64,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
    /// Bytes of the request line and headers.
    pub header_bytes_in: u64,
    /// Bytes of the status line and headers.
    pub header_bytes_out: u64,
    /// Milliseconds from the request's head to the last byte of the answer; to now for a request under way.
    pub ms: f64,
    /// The injected fault that hit this request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// One request under way.
#[derive(Debug)]
pub(crate) struct Entry {
    log: Arc<Sink>,
    started: Instant,
    time: SystemTime,
    id: String,
    service: Service,
    access_key_id: Option<String>,
    header_bytes_in: u64,
    status: AtomicU16,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    header_bytes_out: AtomicU64,
    finished: AtomicBool,
    named: Mutex<Named>,
}

/// What is learned about a request on its way.
#[derive(Clone, Debug, Default)]
struct Named {
    operation: String,
    resource: Option<String>,
    range: Option<String>,
    error: Option<String>,
    fault: Option<String>,
    ms: Option<f64>,
}

/// What is known when a request's head has been read.
pub(crate) struct Opening {
    pub(crate) id: String,
    pub(crate) service: Service,
    pub(crate) operation: String,
    pub(crate) resource: Option<String>,
    pub(crate) range: Option<String>,
    pub(crate) access_key_id: Option<String>,
    pub(crate) header_bytes: u64,
}

impl Entry {
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn body_bytes_in(&self, count: usize) {
        self.bytes_in.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn body_bytes_out(&self, count: usize) {
        self.bytes_out.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn answered(&self, status: u16, header_bytes: u64, error: Option<String>) {
        self.status.store(status, Ordering::Relaxed);
        self.header_bytes_out.store(header_bytes, Ordering::Relaxed);
        locked(&self.named).error = error;
    }

    pub(crate) fn set_operation(&self, operation: &str) {
        operation.clone_into(&mut locked(&self.named).operation);
    }

    pub(crate) fn set_resource(&self, resource: Option<&str>) {
        locked(&self.named).resource = resource.map(str::to_owned);
    }

    pub(crate) fn set_fault(&self, fault: String) {
        locked(&self.named).fault = Some(fault);
    }

    /// The answer is out, or will never be. The first call counts and writes the line.
    pub(crate) fn finish(&self) {
        if self.finished.swap(true, Ordering::AcqRel) {
            return;
        }
        locked(&self.named).ms = Some(self.elapsed_ms());
        self.log.write(&self.record());
    }

    fn elapsed_ms(&self) -> f64 {
        (self.started.elapsed().as_secs_f64() * 1e6).round() / 1e3
    }

    fn record(&self) -> Record {
        let named = locked(&self.named).clone();
        Record {
            id: self.id.clone(),
            time: timestamp(self.time),
            began: self.time,
            service: self.service,
            operation: named.operation,
            resource: named.resource,
            range: named.range,
            access_key_id: self.access_key_id.clone(),
            status: self.status.load(Ordering::Relaxed),
            error: named.error,
            bytes_in: self.bytes_in.load(Ordering::Relaxed),
            bytes_out: self.bytes_out.load(Ordering::Relaxed),
            header_bytes_in: self.header_bytes_in,
            header_bytes_out: self.header_bytes_out.load(Ordering::Relaxed),
            ms: named.ms.unwrap_or_else(|| self.elapsed_ms()),
            fault: named.fault,
        }
    }
}

/// The log of one cloud.
#[derive(Debug)]
pub(crate) struct Log {
    sink: Arc<Sink>,
    entries: Mutex<VecDeque<Arc<Entry>>>,
}

/// The file, if there is one.
#[derive(Debug)]
struct Sink(Option<Mutex<File>>);

impl Sink {
    fn write(&self, record: &Record) {
        let Some(file) = &self.0 else { return };
        let Ok(mut line) = serde_json::to_vec(record) else { return };
        line.push(b'\n');
        // One write per line, so that a reader never sees half of one. A full disk must not stop the cloud.
        let _ = locked(file).write_all(&line);
    }
}

impl Log {
    pub(crate) fn open(path: Option<PathBuf>) -> Result<Self, Error> {
        let file = match path {
            None => None,
            Some(path) => {
                let file = OpenOptions::new().create(true).append(true).open(&path);
                Some(Mutex::new(file.map_err(|source| Error::LogFile { path, source })?))
            }
        };
        Ok(Self { sink: Arc::new(Sink(file)), entries: Mutex::default() })
    }

    pub(crate) fn begin(&self, opening: Opening) -> Arc<Entry> {
        let entry = Arc::new(Entry {
            log: Arc::clone(&self.sink),
            started: Instant::now(),
            time: SystemTime::now(),
            id: opening.id,
            service: opening.service,
            access_key_id: opening.access_key_id,
            header_bytes_in: opening.header_bytes,
            status: AtomicU16::new(0),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            header_bytes_out: AtomicU64::new(0),
            finished: AtomicBool::new(false),
            named: Mutex::new(Named {
                operation: opening.operation,
                resource: opening.resource,
                range: opening.range,
                ..Named::default()
            }),
        });
        let mut entries = locked(&self.entries);
        if entries.len() == KEPT {
            entries.pop_front();
        }
        entries.push_back(Arc::clone(&entry));
        entry
    }

    pub(crate) fn records(&self) -> Vec<Record> {
        locked(&self.entries).iter().map(|entry| entry.record()).collect()
    }

    /// How many requests are neither answered nor given up.
    pub(crate) fn under_way(&self) -> usize {
        locked(&self.entries).iter().filter(|entry| !entry.finished.load(Ordering::Acquire)).count()
    }

    pub(crate) fn clear(&self) {
        locked(&self.entries).clear();
    }
}

/// A panic elsewhere while the lock was held leaves counters and names, nothing that could be half done.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// RFC 3339 in UTC with milliseconds.
pub(crate) fn timestamp(time: SystemTime) -> String {
    let mut text = Vec::with_capacity(24);
    let formatted = s3s::dto::Timestamp::from(time).format(s3s::dto::TimestampFormat::DateTime, &mut text);
    match formatted {
        Ok(()) => String::from_utf8(text).unwrap_or_default(),
        Err(_) => String::new(),
    }
}
