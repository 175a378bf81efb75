//! Points functions at the artifact, all at once, and waits until each is live.
//!
//! Every function goes its own way: send, wait, verify. They share the quota, and one piece of knowledge: the
//! CodeSha256 of the artifact, which the first answer tells (nobody else knows it, since no one has read the patched
//! artifact as a whole). Every other function has to end up with the same, and a function that already has it isn't
//! sent anything: Lambda would take it down the same path again for nothing.
//!
//! A function that fails is reported and leaves the others alone. It stays stale, and the next run picks it up.

use std::sync::Mutex;
use std::time::Duration;

use aws_sdk_lambda::operation::update_function_code::UpdateFunctionCodeError;
use aws_sdk_lambda::types::{LastUpdateStatus, S3ObjectStorageMode};
use futures::stream::{FuturesUnordered, StreamExt};
use serde::Serialize;
use tokio::time::Instant;

use crate::aws::Cloud;
use crate::error::{Error, Result};
use crate::functions::{Function, UpdateState, read};
use crate::retry::retried;

/// Polling begins with this pause …
const FIRST_POLL: Duration = Duration::from_millis(200);
/// … and slows down to this one.
const SLOWEST_POLL: Duration = Duration::from_secs(1);
/// A function that isn't live by then is given up. AWS needs seconds; a function in a VPC, or a large one, a minute.
const PATIENCE: Duration = Duration::from_secs(300);

/// The artifact that functions are pointed at.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) bucket: String,
    pub(crate) key: String,
    /// `None` in a bucket without versions: then the object may change between two functions, and the CodeSha256 tells.
    pub(crate) version_id: Option<String>,
    /// Length of the artifact in bytes.
    pub(crate) size: u64,
    /// base64 of its SHA-256, where it is known.
    pub(crate) sha256: Option<String>,
    /// The command that, run again, brings functions that failed up to this artifact: for hints.
    pub(crate) again: String,
}

/// How it went for one function.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct Outcome {
    pub(crate) name: String,
    pub(crate) status: Status,
    /// What it ran before.
    pub(crate) previous_code_sha256: String,
    /// What it runs now, as far as is known.
    pub(crate) code_sha256: String,
    /// Length of the zip that it runs now, in bytes.
    pub(crate) code_size: u64,
    /// From the first request about it to the last, in ms.
    pub(crate) elapsed_ms: u64,
    /// Why its status is that, where imports were followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<Error>,
}

/// What a function ended as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) enum Status {
    /// It was updated, and runs the artifact.
    Live,
    /// It ran the artifact already; nothing was sent.
    Current,
    /// It does not run the artifact.
    Failed,
    /// It was not asked for in this run, and does not run the artifact.
    Stale,
    /// It runs older code that it has no need to leave: it loads nothing of what changed since.
    Unaffected,
}

impl Outcome {
    /// For a function that nothing was done to.
    pub(crate) fn untouched(function: &Function, status: Status) -> Self {
        Self {
            name: function.name.clone(),
            status,
            previous_code_sha256: function.code_sha256.clone(),
            code_sha256: function.code_sha256.clone(),
            code_size: function.code_size,
            elapsed_ms: 0,
            reason: None,
            error: None,
        }
    }

    /// With the reason for its status.
    pub(crate) fn because(self, reason: Option<String>) -> Self {
        Self { reason, ..self }
    }
}

/// Updates every function, in parallel. `done` is told each outcome as it comes in.
pub(crate) async fn update_all(
    cloud: &Cloud,
    functions: &[Function],
    target: &Target,
    mut done: impl FnMut(&Outcome),
) -> Vec<Outcome> {
    let updates = Updates { cloud, target, sha256: Mutex::new(target.sha256.clone()) };
    let mut running: FuturesUnordered<_> = functions.iter().map(|function| updates.one(function)).collect();
    let mut outcomes = Vec::with_capacity(functions.len());
    while let Some(outcome) = running.next().await {
        done(&outcome);
        outcomes.push(outcome);
    }
    drop(running);
    updates.agree(&mut outcomes);
    outcomes.sort_by(|a, b| a.name.cmp(&b.name));
    outcomes
}

struct Updates<'a> {
    cloud: &'a Cloud,
    target: &'a Target,
    /// The artifact's CodeSha256, once it is known.
    sha256: Mutex<Option<String>>,
}

/// What a function runs, in an answer.
struct Runs {
    sha256: String,
    size: u64,
}

impl Updates<'_> {
    async fn one(&self, function: &Function) -> Outcome {
        let start = Instant::now();
        let result = match tokio::time::timeout(PATIENCE, self.bring_live(function)).await {
            Ok(result) => result,
            Err(_) => Err(Error::new(
                "Timeout",
                format!("`{}` is still not live after {} s", function.name, PATIENCE.as_secs()),
            )
            .hint(format!("run `{}` again to go on waiting", self.target.again))),
        };
        let mut outcome = Outcome::untouched(function, Status::Live);
        match result {
            Ok((status, runs)) => {
                outcome.status = status;
                outcome.code_sha256 = runs.sha256;
                outcome.code_size = runs.size;
            }
            Err(error) => {
                outcome.status = Status::Failed;
                outcome.error = Some(error);
            }
        }
        outcome.elapsed_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        outcome
    }

    async fn bring_live(&self, function: &Function) -> Result<(Status, Runs)> {
        if matches!(function.update, UpdateState::InProgress) {
            let settled = self.settled(&function.name, FIRST_POLL).await?;
            if let Some(runs) = self.already(&settled) {
                return Ok((Status::Current, runs));
            }
        }
        loop {
            match self.send(function).await {
                Ok(sent) => {
                    let live = self.settled(&function.name, sent.first_poll).await?;
                    return self.verify(&live, &sent.runs).map(|runs| (Status::Live, runs));
                }
                Err(Refusal::Busy) => {
                    // Someone else's update, or our own whose answer was lost.
                    let settled = self.settled(&function.name, FIRST_POLL).await?;
                    if let Some(runs) = self.already(&settled) {
                        return Ok((Status::Live, runs));
                    }
                }
                Err(Refusal::Final(error)) => return Err(error),
            }
        }
    }

    async fn send(&self, function: &Function) -> Result<Sent, Refusal> {
        let target = self.target;
        let answer = retried(&self.cloud.control_plane, || {
            let mut call = self
                .cloud
                .lambda
                .update_function_code()
                .function_name(&function.name)
                .s3_bucket(&target.bucket)
                .s3_key(&target.key)
                .set_s3_object_version(target.version_id.clone())
                // What is left out here does not stay as it is: Lambda takes its default.
                .set_source_kms_key_arn(function.kms_key.clone());
            if !function.architectures.is_empty() {
                call = call.set_architectures(Some(function.architectures.clone()));
            }
            if function.referenced.is_some() {
                call = call.s3_object_storage_mode(S3ObjectStorageMode::Reference);
            }
            call.send()
        })
        .await;
        match answer {
            Ok(answer) => {
                let runs = Runs {
                    sha256: answer.code_sha256().unwrap_or_default().to_owned(),
                    size: u64::try_from(answer.code_size()).unwrap_or(0),
                };
                self.learn(&runs.sha256);
                let settled = answer.last_update_status() == Some(&LastUpdateStatus::Successful);
                Ok(Sent { runs, first_poll: if settled { Duration::ZERO } else { FIRST_POLL } })
            }
            Err(error) => match error.as_service_error() {
                Some(UpdateFunctionCodeError::ResourceConflictException(_)) => Err(Refusal::Busy),
                _ => Err(Refusal::Final(self.refused(function, &error))),
            },
        }
    }

    fn refused(&self, function: &Function, error: &aws_sdk_lambda::error::SdkError<UpdateFunctionCodeError>) -> Error {
        let what = format!("could not update `{}`", function.name);
        let told = self.cloud.explain(&what, error);
        match error.as_service_error() {
            Some(UpdateFunctionCodeError::InvalidCodeSignatureException(_)) => {
                Error::new("CodeSigningEnforced", format!("{what}: it takes only signed code")).because(error)
            }
            Some(UpdateFunctionCodeError::CodeStorageExceededException(_)) => {
                told.hint("delete published versions or functions that are no longer needed in this region")
            }
            Some(UpdateFunctionCodeError::ResourceNotFoundException(_)) => self.gone(&function.name),
            Some(UpdateFunctionCodeError::InvalidParameterValueException(_)) => {
                told.hint(format!("`{}` again goes on from here once the cause is mended", self.target.again))
            }
            _ => told,
        }
    }

    /// It was there when this run began.
    fn gone(&self, name: &str) -> Error {
        Error::new("FunctionNotFound", format!("`{name}` is gone: it was deleted since this run began")).hint(format!(
            "create it again, or take it out of `functions` in quickdeploy.toml; then run `{}` again",
            self.target.again
        ))
    }

    /// Waits until no update is in progress. A failed update is an error, with AWS's reason.
    async fn settled(&self, name: &str, first: Duration) -> Result<Function> {
        let mut pause = first;
        loop {
            tokio::time::sleep(pause).await;
            let function = match read(self.cloud, name).await {
                Err(error) if error.error_type() == "FunctionNotFound" => return Err(self.gone(name)),
                read => read?,
            };
            match &function.update {
                UpdateState::InProgress => {}
                UpdateState::Successful => return Ok(function),
                UpdateState::Failed { code, reason } => {
                    return Err(Error::new("UpdateFailed", format!("AWS could not update `{name}`: {code}: {reason}"))
                        .hint(format!("it still runs its old code; `{}` again retries it", self.target.again)));
                }
            }
            pause = next_poll(pause);
        }
    }

    /// What a settled function runs, when that is the artifact.
    fn already(&self, function: &Function) -> Option<Runs> {
        let known = self.sha256.lock().ok()?.clone()?;
        let same = function.code_sha256 == known && function.code_size == self.target.size;
        // A reference is to a version, whatever the bytes are: let it be sent.
        (same && function.referenced.is_none())
            .then(|| Runs { sha256: function.code_sha256.clone(), size: function.code_size })
    }

    fn learn(&self, sha256: &str) {
        if let Ok(mut known) = self.sha256.lock() {
            known.get_or_insert_with(|| sha256.to_owned());
        }
    }

    /// Checks what a function ended up with against what was sent and against the artifact's length.
    fn verify(&self, live: &Function, sent: &Runs) -> Result<Runs> {
        let target = self.target;
        if live.code_sha256 != sent.sha256 {
            return Err(Error::new(
                "Overtaken",
                format!("`{}` runs other code than it was sent: someone else updated it meanwhile", live.name),
            )
            .hint(format!("run `{}` again, if this code shall win", target.again)));
        }
        if live.code_size != target.size {
            return Err(Error::new(
                "Mismatch",
                format!(
                    "`{}` runs {} bytes of code, but s3://{}/{} had {}: it was replaced meanwhile",
                    live.name, live.code_size, target.bucket, target.key, target.size
                ),
            )
            .hint(format!("run `{}` again; versioning on the bucket keeps this from happening", target.again)));
        }
        Ok(Runs { sha256: live.code_sha256.clone(), size: live.code_size })
    }

    /// All have to run the same code: those that differ from the others (or from what is known) have failed.
    fn agree(&self, outcomes: &mut [Outcome]) {
        let Some(known) = self.sha256.lock().ok().and_then(|known| known.clone()) else { return };
        for outcome in outcomes {
            if outcome.status != Status::Failed && outcome.code_sha256 != known {
                outcome.status = Status::Failed;
                outcome.error = Some(
                    Error::new(
                        "Mismatch",
                        format!(
                            "`{}` runs other code than the other functions: the artifact changed meanwhile",
                            outcome.name
                        ),
                    )
                    .hint(format!(
                        "run `{}` again; versioning on the bucket keeps this from happening",
                        self.target.again
                    )),
                );
            }
        }
    }
}

/// An update that Lambda took.
struct Sent {
    runs: Runs,
    first_poll: Duration,
}

/// Why an update was not taken.
enum Refusal {
    /// Another update of this function is in progress.
    Busy,
    Final(Error),
}

fn next_poll(pause: Duration) -> Duration {
    (pause.max(FIRST_POLL / 2) * 3 / 2).min(SLOWEST_POLL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::tests::function;

    fn updates<'a>(cloud: &'a Cloud, target: &'a Target) -> Updates<'a> {
        Updates { cloud, target, sha256: Mutex::new(target.sha256.clone()) }
    }

    fn target() -> Target {
        Target {
            bucket: "b".into(),
            key: "k".into(),
            version_id: None,
            size: 10,
            sha256: None,
            again: "quickdeploy".into(),
        }
    }

    fn cloud() -> Cloud {
        Cloud::local("http://127.0.0.1:9", "us-east-1")
    }

    #[test]
    fn polls_slow_down_from_200_ms_to_one_second() {
        let mut pauses = vec![FIRST_POLL];
        for _ in 0..6 {
            pauses.push(next_poll(pauses[pauses.len() - 1]));
        }
        let ms: Vec<u128> = pauses.iter().map(Duration::as_millis).collect();
        assert_eq!(ms, [200, 300, 450, 675, 1000, 1000, 1000]);
    }

    #[test]
    fn code_of_another_length_than_the_artifact_is_not_called_live() {
        let (cloud, target) = (cloud(), target());
        let sent = Runs { sha256: "A".into(), size: 11 };
        let error = updates(&cloud, &target).verify(&function("f", "A", 11), &sent).err().unwrap();
        assert_eq!(error.error_type(), "Mismatch");
    }

    #[test]
    fn code_that_someone_else_sent_meanwhile_is_not_called_live() {
        let (cloud, target) = (cloud(), target());
        let sent = Runs { sha256: "A".into(), size: 10 };
        let error = updates(&cloud, &target).verify(&function("f", "B", 10), &sent).err().unwrap();
        assert_eq!(error.error_type(), "Overtaken");
    }

    #[test]
    fn a_function_whose_code_differs_from_the_others_has_failed() {
        let (cloud, target) = (cloud(), target());
        let updates = updates(&cloud, &target);
        updates.learn("A");
        updates.learn("B");
        let mut outcomes = [
            Outcome::untouched(&function("a", "A", 10), Status::Live),
            Outcome::untouched(&function("b", "B", 10), Status::Live),
        ];
        updates.agree(&mut outcomes);
        assert_eq!([outcomes[0].status, outcomes[1].status], [Status::Live, Status::Failed]);
    }

    #[test]
    fn an_outcome_reads_like_awss_own_fields_in_json() {
        let outcome = Outcome::untouched(&function("f", "A", 10), Status::Current);
        assert_eq!(
            serde_json::to_value(outcome).unwrap(),
            serde_json::json!({
                "name": "f", "status": "current", "previousCodeSha256": "A", "codeSha256": "A",
                "codeSize": 10, "elapsedMs": 0,
            })
        );
    }
}
