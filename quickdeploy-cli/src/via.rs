//! Patching the artifact: directly from here, or by the zipedit function next to it.
//!
//! Both carry out the same change set with the same engine and answer with the same figures. What differs is whose
//! link the bytes and requests cross: a direct patch sends the new bytes and fetches kept runs that are too short for S3 to
//! copy, by requests that wait for one another; an invocation sends the new contents only, by one request, and pays for
//! starting the function. [`choose`] weighs the two.
//!
//! While the function works, its edit is planned here, too: its answer then tells whether the artifact has become just
//! that, and need not be read to know its directory.

use std::collections::BTreeMap;
use std::io::{Cursor, Write};
use std::path::Path;
use std::time::Duration;

use aws_sdk_lambda::operation::invoke::InvokeError;
use aws_sdk_lambda::primitives::Blob;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use zipedit::{
    Artifact, Change, Changes, MAX_OVERLAY, Options, Plan, Precondition, Report, S3Store, Stamp, Stop, Store, Strategy,
    Tail,
};
use zipedit_lambda::{Answer, STORE_CHECK};

use crate::aws::Cloud;
use crate::compare::in_background;
use crate::error::{Error, Result};
use crate::project::{ArtifactUrl, Via};
use crate::rate::Quota;
use crate::retry::retried;
use crate::store_check::{self, Question};
use crate::ui::{Ui, bytes, duration};

/// The zipedit function's name, when the configuration gives none.
pub(crate) const DEFAULT_FUNCTION: &str = "zipedit";

/// Events above this go as a staged zip. Lambda takes 6 MiB; a little is left for what gateways may add.
const LARGEST_EVENT: usize = 6_000_000;

/// What `auto` assumes of the link, since measuring it would cost more than a wrong guess: a developer's at home.
mod link {
    use std::time::Duration;

    /// Bytes per second towards AWS: 10 Mbit/s.
    pub(super) const UP: f64 = 1_250_000.0;
    /// Bytes per second from AWS: 50 Mbit/s.
    pub(super) const DOWN: f64 = 6_250_000.0;
    /// There and back.
    pub(super) const ROUND_TRIP: Duration = Duration::from_millis(40);
    /// What S3 itself takes for a small request, wherever it comes from: tens of milliseconds.
    pub(super) const S3: Duration = Duration::from_millis(30);
    /// What Lambda takes until the function runs: little, and a cold start now and then.
    pub(super) const START: Duration = Duration::from_millis(60);
}

/// An artifact in S3, as it was read.
pub(crate) type S3Artifact = Artifact<<S3Store as Store>::Object>;

/// One of the two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) enum Way {
    Lambda,
    Direct,
}

/// What decides between the ways: bytes over this machine's link, and requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Weights {
    /// What a direct patch would fetch.
    pub(crate) direct_down: u64,
    /// What a direct patch would upload.
    pub(crate) direct_up: u64,
    /// The event of an invocation.
    pub(crate) event: u64,
    /// Requests to S3 that wait for one another, whoever makes them.
    pub(crate) requests: u32,
}

impl Weights {
    fn direct(&self) -> Duration {
        self.requests * (link::ROUND_TRIP + link::S3)
            + seconds(self.direct_down, link::DOWN)
            + seconds(self.direct_up, link::UP)
    }

    /// The function reads the directory first, unless it knows it from its last edit.
    fn lambda(&self) -> Duration {
        link::ROUND_TRIP + link::START + seconds(self.event, link::UP) + (1 + self.requests) * link::S3
    }
}

fn seconds(bytes: u64, per_second: f64) -> Duration {
    Duration::from_secs_f64(bytes as f64 / per_second)
}

/// `512.0 KiB read, 3.2 KiB written, 24.0 MiB copied inside S3`, without the last when nothing was.
pub(crate) fn moved(report: &Report, copied: &str) -> String {
    let traffic = &report.traffic;
    let copies = match traffic.bytes_copied {
        0 => String::new(),
        copies => format!(", {} {copied}", bytes(copies)),
    };
    format!("{} read, {} written{copies}", bytes(traffic.bytes_read), bytes(traffic.bytes_written))
}

/// The way that `auto` takes.
pub(crate) fn choose(weights: &Weights) -> Way {
    if weights.direct() <= weights.lambda() { Way::Direct } else { Way::Lambda }
}

/// How to patch.
#[derive(Debug)]
pub(crate) struct Patcher<'a> {
    pub(crate) ui: &'a Ui,
    pub(crate) cloud: &'a Cloud,
    pub(crate) artifact: &'a ArtifactUrl,
    pub(crate) via: Via,
    /// The zipedit function's name.
    pub(crate) function: &'a str,
    /// What the new version says of its writer.
    pub(crate) stamp: Stamp,
    /// Where it is remembered what the store heeds; `None`: nowhere.
    pub(crate) state_dir: Option<&'a Path>,
}

/// What was done, and in which way.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) way: Way,
    pub(crate) report: Report,
    /// The artifact as it is now, when it was written from here.
    pub(crate) artifact: Option<S3Artifact>,
    /// The end of the artifact as it is now, as far as that is known for certain.
    pub(crate) tail: Option<Tail>,
}

impl Patcher<'_> {
    /// Carries `changes` out. `artifact` is what was read of it. `options` has `stop`, too.
    pub(crate) async fn patch(
        &self,
        store: &S3Store,
        artifact: S3Artifact,
        changes: &Changes,
        options: &Options,
        stop: &Stop,
    ) -> Result<Done> {
        let way = match self.via {
            Via::Lambda => Way::Lambda,
            Via::Direct => Way::Direct,
            Via::Auto => {
                let weights = self.weights(store, &artifact, changes)?;
                let (direct, lambda) = (duration(weights.direct()), duration(weights.lambda()));
                self.ui.verbose(format!("estimated time: {direct} from here, {lambda} by the function"));
                choose(&weights)
            }
        };
        let direct = async |artifact| {
            let Self { ui, cloud, artifact: url, state_dir, .. } = *self;
            let question = Question { ui, cloud, artifact: url, of: Precondition::OF_EDITS, state_dir };
            question.settle(stop).await?;
            let store = store.clone().stamped(self.stamp.clone());
            let edited = zipedit::edit_from(&store, Some(artifact), changes, options).await;
            let (report, artifact) = edited.map_err(|error| self.cloud.explain_engine(&error))?;
            let tail = artifact.as_ref().map(Artifact::tail);
            Ok(Done { way: Way::Direct, report, artifact, tail })
        };
        if way == Way::Direct {
            return direct(artifact).await;
        }
        let (invoked, plan) = futures::join!(self.invoke(changes), self.plan(store, &artifact, changes));
        match invoked {
            Ok(answer) => {
                let tail = proven(&answer, plan.as_ref(), &artifact.tail());
                Ok(Done { way, report: answer.report, artifact: None, tail })
            }
            Err(error) if self.via == Via::Auto && unavailable(&error) => {
                let why = format!("patching from here, as the function `{}` can't be used: {error}", self.function);
                self.ui.warning(why, error.hints());
                direct(artifact).await
            }
            Err(error) => Err(error),
        }
    }

    fn weights(&self, store: &S3Store, artifact: &S3Artifact, changes: &Changes) -> Result<Weights> {
        let prepared = artifact.prepare(store, changes).map_err(|error| self.cloud.explain_engine(&error))?;
        let cost = prepared.cost();
        let requests = match prepared.strategy() {
            Strategy::None => 0,
            Strategy::Small => 1,
            // Create, parts, Complete.
            Strategy::Splice | Strategy::Rewrite => 3,
        };
        Ok(Weights { direct_down: cost.read, direct_up: cost.written, event: event_estimate(changes), requests })
    }

    /// What the function makes of the artifact, if it is still the one that was read; worked out where it holds nothing
    /// up. `None` also where nobody would use it.
    async fn plan(&self, store: &S3Store, artifact: &S3Artifact, changes: &Changes) -> Option<Plan> {
        self.state_dir?;
        let (store, artifact, changes) = (store.clone(), artifact.clone(), changes.clone());
        let planned = in_background(move || artifact.prepare(&store, &changes).map(|prepared| prepared.plan().clone()));
        planned.await.ok()?.ok()
    }

    /// Invokes the zipedit function, with the change set in the event or, above its limit, staged in S3.
    async fn invoke(&self, changes: &Changes) -> Result<Answer> {
        let event = event(self.artifact, changes, &self.stamp);
        if event.len() <= LARGEST_EVENT {
            return self.send(event).await;
        }
        let staged = self.stage(changes).await?;
        let sent = self.send(overlay_event(self.artifact, &staged.key, changes, &self.stamp)).await;
        // What was patched is patched, whatever becomes of the change set.
        if let Err(left) = self.unstage(&staged).await {
            self.ui.warning(&left, left.hints());
        }
        sent
    }

    async fn send(&self, event: Vec<u8>) -> Result<Answer> {
        let what = format!("could not invoke the function `{}`", self.function);
        let payload = Blob::new(event);
        // Invocations have a quota of their own, far above what one deploy needs.
        let free = Quota::per_second(10);
        let answer =
            retried(&free, || self.cloud.lambda.invoke().function_name(self.function).payload(payload.clone()).send())
                .await
                .map_err(|error| {
                    if error.as_service_error().is_some_and(InvokeError::is_resource_not_found_exception) {
                        Error::new(
                    "ZipeditNotFound",
                    format!("there is no function `{}` in {} to patch with", self.function, self.cloud.region),
                )
                .hint("deploy it with the `template.yaml` of this program, or patch from here with `--via direct`")
                    } else {
                        self.cloud.explain(&what, &error)
                    }
                })?;
        let payload = answer.payload().map(Blob::as_ref).unwrap_or_default();
        if let Some(kind) = answer.function_error() {
            return Err(self.function_error(kind, payload));
        }
        serde_json::from_slice(payload).map_err(|error| {
            Error::new(
                "ZipeditAnswer",
                format!("the function `{}` gave an answer that is not understood", self.function),
            )
            .because(&error)
            .hint("is it the zipedit function, and of the same version as this program?")
        })
    }

    /// An error that the function threw. The artifact is then untouched.
    fn function_error(&self, kind: &str, payload: &[u8]) -> Error {
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        struct Thrown {
            error_type: Option<String>,
            error_message: Option<String>,
        }
        let thrown: Thrown = serde_json::from_slice(payload).unwrap_or_default();
        let error_type = thrown.error_type.unwrap_or_else(|| kind.to_owned());
        let message = thrown.error_message.unwrap_or_else(|| String::from_utf8_lossy(payload).into_owned());
        let error =
            Error::new(error_type.as_str(), message).cause(format!("reported by the function `{}`", self.function));
        match error_type.as_str() {
            "AccessDenied" => error.hint("its role has to allow this; or patch with your own rights: `--via direct`"),
            "InvalidEvent" => error.hint("an older function knows less: bring it up to this program's version"),
            "PreconditionsIgnored" => error
                .hint(store_check::BETTER)
                .hint(format!("if nobody else writes it: set `{STORE_CHECK}=warn` in the function's environment")),
            "Timeout" | "Sandbox.Timedout" => error.hint("give it a longer timeout or more memory"),
            _ => error,
        }
    }

    async fn stage(&self, changes: &Changes) -> Result<Staged> {
        let key = format!("{}.changes-{:016x}.zip", self.artifact.key, fastrand::u64(..));
        let zip = overlay_zip(changes)?;
        if zip.len() as u64 > MAX_OVERLAY {
            return Err(Error::new(
                "OverlayTooLarge",
                format!(
                    "the changes have {} zipped, and the function takes {} at once",
                    bytes(zip.len() as u64),
                    bytes(MAX_OVERLAY)
                ),
            )
            .hint("patch from here with `--via direct`"));
        }
        let put =
            self.cloud.s3.put_object().bucket(&self.artifact.bucket).key(&key).body(zip.into()).send().await.map_err(
                |error| {
                    self.cloud
                        .explain(&format!("could not stage the changes at s3://{}/{key}", self.artifact.bucket), &error)
                },
            )?;
        Ok(Staged { key, version_id: put.version_id })
    }

    async fn unstage(&self, staged: &Staged) -> Result<()> {
        let delete = || self.cloud.s3.delete_object().bucket(&self.artifact.bucket).key(&staged.key);
        if staged.version_id.is_some() && delete().set_version_id(staged.version_id.clone()).send().await.is_ok() {
            return Ok(());
        }
        delete().send().await.map(drop).map_err(|error| {
            self.cloud.explain(&format!("could not delete s3://{}/{}", self.artifact.bucket, staged.key), &error)
        })
    }
}

/// The end of the artifact after the function's edit of the one with the end `base`, which was planned here as `plan`.
/// `None`: it isn't known, as another writer came in between, the function planned otherwise, or its version doesn't tell.
fn proven(answer: &Answer, plan: Option<&Plan>, base: &Tail) -> Option<Tail> {
    let report = &answer.report;
    if report.etag == base.etag() {
        return (report.size == base.size()).then(|| base.clone());
    }
    let digest = BASE64.decode(answer.directory_sha256.as_ref()?).ok()?;
    plan?.tail_of_written(&report.etag, report.size, &digest.try_into().ok()?)
}

struct Staged {
    key: String,
    version_id: Option<String>,
}

/// Whether a direct patch may succeed where the function could not even begin.
fn unavailable(error: &Error) -> bool {
    matches!(error.error_type(), "ZipeditNotFound" | "AccessDenied" | "OverlayTooLarge")
}

fn event(artifact: &ArtifactUrl, changes: &Changes, stamp: &Stamp) -> Vec<u8> {
    let changes: BTreeMap<&str, Value> = changes.iter().map(|(name, change)| (name.as_str(), value(change))).collect();
    with_stamp(json!({ "src": artifact.to_string(), "changes": changes }), stamp)
}

fn with_stamp(mut event: Value, stamp: &Stamp) -> Vec<u8> {
    if !stamp.is_empty() {
        event["metadata"] = stamp.iter().map(|(key, value)| (key.to_owned(), json!(value))).collect();
    }
    event.to_string().into_bytes()
}

/// Deletes travel in the event even when the puts are staged.
fn overlay_event(artifact: &ArtifactUrl, overlay: &str, changes: &Changes, stamp: &Stamp) -> Vec<u8> {
    let deletes: BTreeMap<&str, Value> = changes
        .iter()
        .filter(|(_, change)| matches!(change, Change::Delete))
        .map(|(name, _)| (name.as_str(), Value::Null))
        .collect();
    let overlay = format!("s3://{}/{overlay}", artifact.bucket);
    with_stamp(json!({ "src": artifact.to_string(), "changes": deletes, "overlay": overlay }), stamp)
}

fn value(change: &Change) -> Value {
    let content = match change {
        Change::Delete => return Value::Null,
        Change::Put(content) => content,
    };
    let plain = content.plain();
    let mode = content.mode().map(|mode| format!("{mode:04o}"));
    match (std::str::from_utf8(&plain), mode) {
        (Ok(text), None) => json!(text),
        (Ok(text), Some(mode)) => json!({ "text": text, "mode": mode }),
        (Err(_), None) => json!({ "base64": BASE64.encode(&plain) }),
        (Err(_), Some(mode)) => json!({ "base64": BASE64.encode(&plain), "mode": mode }),
    }
}

/// About how long the event is, or the zip that is staged in its place.
fn event_estimate(changes: &Changes) -> u64 {
    let plain: u64 = changes.iter().map(|(name, change)| name.as_str().len() as u64 + 8 + put_size(change)).sum();
    if plain <= LARGEST_EVENT as u64 { plain } else { plain / 2 }
}

fn put_size(change: &Change) -> u64 {
    match change {
        Change::Put(content) => content.size(),
        Change::Delete => 0,
    }
}

/// The puts as a zip. The function takes no modes from it: a replaced entry keeps its own.
fn overlay_zip(changes: &Changes) -> Result<Vec<u8>> {
    let failed = |error: &dyn std::fmt::Display| Error::new("Overlay", format!("could not zip the changes: {error}"));
    let options = zip::write::SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Deflated)
        .last_modified_time(zip::DateTime::default());
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, change) in changes.iter() {
        let Change::Put(content) = change else { continue };
        zip.start_file(name.as_str(), options).map_err(|error| failed(&error))?;
        zip.write_all(&content.plain()).map_err(|error| failed(&error))?;
    }
    Ok(zip.finish().map_err(|error| failed(&error))?.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::Digest as _;
    use zipedit::{Content, EntryName};

    const KIB: u64 = 1024;
    const MIB: u64 = 1024 * KIB;

    fn changes(puts: &[(&str, &[u8])]) -> Changes {
        let mut changes = Changes::new();
        for (name, content) in puts {
            changes.put(EntryName::new(*name).unwrap(), Content::new(content.to_vec()));
        }
        changes
    }

    #[test]
    fn a_small_artifact_is_put_from_here() {
        let weights = Weights { direct_down: 0, direct_up: 60 * KIB, event: 4 * KIB, requests: 1 };
        assert_eq!(choose(&weights), Way::Direct);
    }

    #[test]
    fn requests_that_wait_for_one_another_are_left_to_the_function() {
        let weights = Weights { direct_down: 0, direct_up: 60 * KIB, event: 4 * KIB, requests: 3 };
        assert_eq!(choose(&weights), Way::Lambda);
    }

    #[test]
    fn kept_runs_that_would_have_to_cross_the_uplink_again_are_left_to_the_function() {
        for requests in [1, 3] {
            let weights = Weights { direct_down: 4 * MIB, direct_up: 4 * MIB, event: 4 * KIB, requests };
            assert_eq!(choose(&weights), Way::Lambda);
        }
    }

    #[test]
    fn large_new_contents_cross_the_link_once_either_way() {
        for requests in [1, 3] {
            let weights = Weights { direct_down: 0, direct_up: 20 * MIB, event: 21 * MIB, requests };
            assert_eq!(choose(&weights), Way::Direct);
        }
    }

    #[test]
    fn the_event_is_the_original_ones_shape_for_plain_text() {
        let url: ArtifactUrl = "s3://bkt/k.zip".parse().unwrap();
        let mut changes = changes(&[("a.js", b"x"), ("logo.png", &[0x89, 0xff])]);
        changes.delete(EntryName::new("old.js").unwrap());
        changes.put(EntryName::new("run.sh").unwrap(), Content::new(&b"#!"[..]).with_mode(0o644));
        let event: Value = serde_json::from_slice(&event(&url, &changes, &Stamp::new())).unwrap();
        assert_eq!(
            event,
            json!({ "src": "s3://bkt/k.zip", "changes": {
                "a.js": "x", "logo.png": { "base64": "if8=" }, "old.js": null, "run.sh": { "text": "#!", "mode": "0644" },
            }})
        );
    }

    #[test]
    fn what_the_function_wrote_is_known_only_when_its_answer_proves_it() {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        zip.start_file("a.js", zip::write::SimpleFileOptions::default()).unwrap();
        let base = zip.finish().unwrap().into_inner();
        let base = Tail::new("\"base\"", base.len() as u64, base.into());
        let directory = base.directory().unwrap();
        let plan = Plan::new(&directory, &changes(&[("a.js", b"x")]), zipedit::plan::Layout::InOrder).unwrap();
        let digest = BASE64.encode(sha2::Sha256::digest(plan.directory()));
        let answer = |etag: &str, size: u64, digest: Option<&str>| -> Answer {
            let mut answer = json!({
                "added": 0, "modified": 1, "deleted": 0, "identical": 0, "missing": 0, "entries": 1, "unzippedSize": 1,
                "etag": etag, "size": size, "strategy": "small", "dryRun": false, "attempts": 1, "elapsedMs": 1,
                "bytesRead": 0, "bytesWritten": 0, "bytesCopied": 0, "requests": 1, "roundTrips": 1,
            });
            if let Some(digest) = digest {
                answer["directorySha256"] = json!(digest);
            }
            serde_json::from_value(answer).unwrap()
        };
        let known = |answer: &Answer| proven(answer, Some(&plan), &base);

        let written = Tail::new("\"new\"", plan.size(), plan.directory());
        let right = answer("\"new\"", plan.size(), Some(&digest));
        assert_eq!(known(&right), Some(written));
        assert_eq!(proven(&right, None, &base), None, "nothing was planned here");
        assert_eq!(known(&answer("\"base\"", base.size(), None)), Some(base.clone()), "nothing was written");
        let other = BASE64.encode([7; 32]);
        for (what, answer) in [
            ("an older function", answer("\"new\"", plan.size(), None)),
            ("another directory", answer("\"new\"", plan.size(), Some(&other))),
            ("another size", answer("\"new\"", plan.size() + 1, Some(&digest))),
            ("no base64", answer("\"new\"", plan.size(), Some("?"))),
            ("no SHA-256", answer("\"new\"", plan.size(), Some("AAAA"))),
            ("another size under the same ETag", answer("\"base\"", base.size() + 1, None)),
        ] {
            assert_eq!(known(&answer), None, "{what}");
        }
    }

    #[test]
    fn an_overlay_holds_the_puts_and_the_event_the_deletes() {
        let url: ArtifactUrl = "s3://bkt/k.zip".parse().unwrap();
        let mut changes = changes(&[("a.js", b"x")]);
        changes.delete(EntryName::new("old.js").unwrap());
        let stamp = Stamp::new().with("quickdeploy-by", "me").unwrap();
        let event: Value =
            serde_json::from_slice(&overlay_event(&url, "k.zip.changes-1.zip", &changes, &stamp)).unwrap();
        assert_eq!(
            event,
            json!({
                "src": "s3://bkt/k.zip", "changes": { "old.js": null }, "overlay": "s3://bkt/k.zip.changes-1.zip",
                "metadata": { "quickdeploy-by": "me" },
            })
        );
        let zip = zip::ZipArchive::new(Cursor::new(overlay_zip(&changes).unwrap())).unwrap();
        assert_eq!(zip.file_names().collect::<Result<Vec<_>, _>>().unwrap(), ["a.js"]);
    }
}
