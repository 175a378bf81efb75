//! One event after the other: parse, edit, answer.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use aws_sdk_s3::Client;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use lambda_runtime::{Context, Diagnostic, LambdaEvent};
use serde_json::{Value, json};
use zipedit::store::s3::S3Object;
use zipedit::{Artifact, DEADLINE_MARGIN, Options, S3Store, Stop, edit_from, read_overlay};

use crate::answer::Answer;
use crate::event::{Event, InvalidEvent, Source};
use crate::log;
use crate::store_check::StoreCheck;

/// Why an event was not carried out.
#[derive(Debug)]
pub enum Refusal {
    /// It doesn't say what to do.
    Event(InvalidEvent),
    /// The edit was refused or failed.
    Edit(zipedit::Error),
}

impl Refusal {
    /// The function error's `errorType`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Refusal::Event(InvalidEvent::Field(_)) => "InvalidEvent",
            Refusal::Event(InvalidEvent::Name(_)) => "InvalidEntryName",
            Refusal::Edit(error) => error.kind(),
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refusal::Event(error) => error.fmt(f),
            Refusal::Edit(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Refusal {}

impl From<InvalidEvent> for Refusal {
    fn from(error: InvalidEvent) -> Self {
        Refusal::Event(error)
    }
}

impl From<zipedit::Error> for Refusal {
    fn from(error: zipedit::Error) -> Self {
        Refusal::Edit(error)
    }
}

impl From<Refusal> for Diagnostic {
    fn from(refusal: Refusal) -> Self {
        Diagnostic { error_type: refusal.kind().to_owned(), error_message: refusal.to_string() }
    }
}

pub(crate) struct Handler {
    client: Client,
    store_check: StoreCheck,
    /// The artifact that was edited last, as it was afterwards.
    known: Mutex<Option<(Source, Artifact<S3Object>)>>,
}

impl Handler {
    pub(crate) fn new(client: Client, store_check: StoreCheck) -> Self {
        Self { client, store_check, known: Mutex::new(None) }
    }

    pub(crate) async fn handle(&self, event: LambdaEvent<Value>) -> Result<Answer, Refusal> {
        let started = Instant::now();
        let LambdaEvent { payload, context } = event;
        let src = payload.get("src").cloned().unwrap_or_default();
        let result = self.edit(payload, &context, started).await;
        match &result {
            Ok(answer) => {
                let details = json!({ "src": src, "answer": answer });
                log::line("INFO", &context.request_id, "edited", &details);
            }
            Err(refusal) => {
                let details = json!({ "src": src, "errorType": refusal.kind(), "errorMessage": refusal.to_string() });
                log::line("ERROR", &context.request_id, "refused", &details);
            }
        }
        result
    }

    async fn edit(&self, payload: Value, context: &Context, started: Instant) -> Result<Answer, Refusal> {
        let mut event = Event::parse(payload)?;
        let source = Source::parse(&event.src)?;
        let overlay = event.overlay.as_deref().map(Source::parse).transpose()?;
        let stamp = event.stamp()?;
        let mut changes = event.changes()?;
        let left = context.deadline().duration_since(SystemTime::now()).unwrap_or(Duration::ZERO);
        let stop = Stop::after(left.saturating_sub(DEADLINE_MARGIN));
        if let Some(overlay) = overlay {
            changes.merge(read_overlay(&self.store(&overlay), &stop).await?).map_err(|name| {
                InvalidEvent::Field(format!("`{name}` is in `changes` and in the overlay: leave one of them out"))
            })?;
        }

        let mut options = Options::new().stop(stop.clone());
        if let Some(etag) = event.if_match {
            options = options.if_match(etag);
        }
        if event.dry_run {
            options = options.dry_run();
        }
        let store = self.store(&source).stamped(stamp);
        if !event.dry_run {
            self.store_check.check(&store, &source.bucket, &context.request_id, &stop).await?;
        }
        let (report, known) = edit_from(&store, self.recall(&source), &changes, &options).await?;
        let written = known.as_ref().filter(|_| !report.dry_run);
        let directory_sha256 = written.map(|artifact| BASE64.encode(artifact.directory_sha256()));
        self.remember(source, known);
        let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(Answer { report, directory_sha256, elapsed_ms, version: env!("CARGO_PKG_VERSION").to_owned() })
    }

    fn store(&self, at: &Source) -> S3Store {
        S3Store::new(self.client.clone(), &at.bucket, &at.key)
    }

    /// What is known of the artifact, if it was the last one.
    fn recall(&self, source: &Source) -> Option<Artifact<S3Object>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).take();
        known.filter(|(known, _)| known == source).map(|(_, artifact)| artifact)
    }

    fn remember(&self, source: Source, artifact: Option<Artifact<S3Object>>) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = artifact.map(|artifact| (source, artifact));
    }
}
