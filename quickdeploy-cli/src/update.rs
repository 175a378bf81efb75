//! Points functions at the artifact, all at once, and waits until each is live.
//!
//! Every function goes its own way: send, wait, verify. They share the quota, and one piece of knowledge: the
//! CodeSha256 of the artifact, which the first answer tells (nobody else knows it, since no one has read the patched
//! artifact as a whole). Every other function has to end up with the same, and a function that already has it isn't
//! sent anything: Lambda would take it down the same path again for nothing.
//!
//! A function that fails is reported and leaves the others alone. It stays stale, and the next run picks it up.
//!
//! That others deploy the same artifact at the same time is the matter of `rollout/convergence.rs`: it is told when
//! the last update was taken, and may want a further [`Round`].

mod latch;
mod outcome;
mod pace;

use std::sync::Mutex;
use std::time::Duration;

use aws_sdk_lambda::operation::update_function_code::UpdateFunctionCodeError;
use aws_sdk_lambda::types::{LastUpdateStatus, S3ObjectStorageMode};
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::time::Instant;

use crate::aws::Cloud;
use crate::error::{Error, Result};
use crate::functions::{Function, UpdateState, read};
use crate::lookout::Lookout;
use crate::retry::retried;
pub(crate) use latch::Latch;
use latch::Ticket;
pub(crate) use outcome::{Outcome, Status, Target};
use pace::Pace;

/// A function that isn't live by then is given up. AWS needs seconds; a function in a VPC, or a large one, a minute.
const PATIENCE: Duration = Duration::from_secs(300);
/// AWS could not carry an update out.
const UPDATE_FAILED: &str = "UpdateFailed";
/// A function was given other code by somebody else, after this run's update.
pub(crate) const OVERTAKEN: &str = "Overtaken";
/// A function got other code than the artifact was, or than the other functions got.
pub(crate) const MISMATCH: &str = "Mismatch";

/// Which time it is that these functions are updated in one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Round {
    /// They are known to run something else, as they were read.
    First,
    /// Others update them too: each is looked at before it is sent anything.
    Further,
}

/// One round of updates.
pub(crate) struct Updates<'a> {
    cloud: &'a Cloud,
    target: &'a Target,
    round: Round,
    lookout: &'a Lookout<'a>,
    pace: Pace,
    /// The artifact's CodeSha256, once it is known.
    sha256: Mutex<Option<String>>,
    /// In a further round, held by the one whose update is to tell the CodeSha256: the others may run it already.
    pilot: tokio::sync::Mutex<()>,
}

/// What a function runs, in an answer.
struct Runs {
    sha256: String,
    size: u64,
}

impl<'a> Updates<'a> {
    /// To this target, of so many functions. `lookout` is asked where somebody else deploys, too.
    pub(crate) fn of(
        cloud: &'a Cloud,
        target: &'a Target,
        round: Round,
        functions: usize,
        lookout: &'a Lookout<'a>,
    ) -> Self {
        let sha256 = Mutex::new(target.sha256.clone());
        let (pace, pilot) = (Pace::of(functions), tokio::sync::Mutex::new(()));
        Self { cloud, target, round, lookout, pace, sha256, pilot }
    }
}

impl Updates<'_> {
    /// Updates every function, in parallel. `sent` opens when Lambda has taken the last update that this sends. `done` is
    /// told each outcome as it comes in.
    pub(crate) async fn all(
        &self,
        functions: &[Function],
        sent: &Latch,
        mut done: impl FnMut(&Outcome),
    ) -> Vec<Outcome> {
        // All tickets at once: those that wait for their turn have not come by.
        let tickets: Vec<Ticket<'_>> = functions.iter().map(|_| sent.ticket()).collect();
        let mut running: FuturesUnordered<_> =
            functions.iter().zip(tickets).map(|(function, ticket)| self.one(function, ticket)).collect();
        let mut outcomes = Vec::with_capacity(functions.len());
        while let Some(outcome) = running.next().await {
            done(&outcome);
            outcomes.push(outcome);
        }
        drop(running);
        self.agree(&mut outcomes);
        outcomes.sort_by(|a, b| a.name.cmp(&b.name));
        outcomes
    }

    async fn one(&self, function: &Function, ticket: Ticket<'_>) -> Outcome {
        let start = Instant::now();
        let result = match tokio::time::timeout(PATIENCE, self.bring_live(function, ticket)).await {
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

    /// The ticket goes when nothing more is sent about this function.
    async fn bring_live(&self, function: &Function, ticket: Ticket<'_>) -> Result<(Status, Runs)> {
        let pilot = match self.round {
            Round::First => {
                if matches!(function.update, UpdateState::InProgress) {
                    let settled = self.settled(&function.name, self.pace.first()).await?;
                    if let Some(runs) = self.already(&settled) {
                        return Ok((Status::Current, runs));
                    }
                }
                None
            }
            Round::Further => {
                let settled = match self.settled(&function.name, Duration::ZERO).await {
                    Ok(settled) => Some(settled),
                    // Of code that is to be replaced anyway.
                    Err(error) if error.error_type() == UPDATE_FAILED => None,
                    Err(error) => return Err(error),
                };
                let pilot = self.pilot.lock().await;
                let pilot = self.known().is_none().then_some(pilot);
                if let Some(runs) = settled.and_then(|settled| self.already(&settled)) {
                    return Ok((Status::Live, runs));
                }
                pilot
            }
        };
        loop {
            match self.send(function).await {
                Ok(sent) => {
                    drop((ticket, pilot));
                    let live = self.settled(&function.name, sent.first_poll).await?;
                    return self.verify(&live, &sent.runs).map(|runs| (Status::Live, runs));
                }
                Err(Refusal::Busy) => {
                    // Someone else's update, or our own whose answer was lost.
                    let settled = self.settled(&function.name, self.pace.first()).await?;
                    if let Some(runs) = self.already(&settled) {
                        return Ok((Status::Live, runs));
                    }
                    if self.lookout.is_out_of_date().await {
                        return Err(self.out_of_date(&function.name));
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
                Ok(Sent { runs, first_poll: if settled { Duration::ZERO } else { self.pace.first() } })
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

    /// A further round brings it to the version that came after.
    fn out_of_date(&self, name: &str) -> Error {
        let Target { bucket, key, again, .. } = self.target;
        Error::new(OVERTAKEN, format!("`{name}` was not updated: s3://{bucket}/{key} has a newer version"))
            .hint(format!("run `{again}` again"))
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
                    return Err(Error::new(UPDATE_FAILED, format!("AWS could not update `{name}`: {code}: {reason}"))
                        .hint(format!("it still runs its old code; `{}` again retries it", self.target.again)));
                }
            }
            pause = self.pace.after(pause);
        }
    }

    /// What a settled function runs, when that is the artifact.
    fn already(&self, function: &Function) -> Option<Runs> {
        let target = self.target;
        let same = match &function.referenced {
            // Whatever the bytes are, it is the version that counts.
            Some(reference) => {
                (&reference.bucket, &reference.key) == (&target.bucket, &target.key)
                    && reference.version_id.is_some()
                    && reference.version_id == target.version_id
            }
            None => self.known()? == function.code_sha256 && function.code_size == target.size,
        };
        same.then(|| Runs { sha256: function.code_sha256.clone(), size: function.code_size })
    }

    fn known(&self) -> Option<String> {
        self.sha256.lock().ok()?.clone()
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
                OVERTAKEN,
                format!("`{}` runs other code than it was sent: someone else updated it meanwhile", live.name),
            )
            .hint(format!("run `{}` again, if this code shall win", target.again)));
        }
        if live.code_size != target.size {
            return Err(Error::new(
                MISMATCH,
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
        let Some(known) = self.known() else { return };
        for outcome in outcomes {
            if outcome.status != Status::Failed && outcome.code_sha256 != known {
                outcome.status = Status::Failed;
                outcome.error = Some(
                    Error::new(
                        MISMATCH,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::tests::function;

    fn target() -> Target {
        Target {
            bucket: "b".into(),
            key: "k".into(),
            version_id: None,
            etag: "\"e\"".into(),
            size: 10,
            sha256: None,
            again: "quickdeploy".into(),
        }
    }

    fn cloud() -> Cloud {
        Cloud::local("http://127.0.0.1:9", "us-east-1")
    }

    #[test]
    fn code_of_another_length_than_the_artifact_is_not_called_live() {
        let (cloud, target) = (cloud(), target());
        let lookout = Lookout::of(&cloud, &target);
        let sent = Runs { sha256: "A".into(), size: 11 };
        let error = Updates::of(&cloud, &target, Round::First, 1, &lookout)
            .verify(&function("f", "A", 11), &sent)
            .err()
            .unwrap();
        assert_eq!(error.error_type(), "Mismatch");
    }

    #[test]
    fn code_that_someone_else_sent_meanwhile_is_not_called_live() {
        let (cloud, target) = (cloud(), target());
        let lookout = Lookout::of(&cloud, &target);
        let sent = Runs { sha256: "A".into(), size: 10 };
        let error = Updates::of(&cloud, &target, Round::First, 1, &lookout)
            .verify(&function("f", "B", 10), &sent)
            .err()
            .unwrap();
        assert_eq!(error.error_type(), "Overtaken");
    }

    #[test]
    fn a_function_whose_code_differs_from_the_others_has_failed() {
        let (cloud, target) = (cloud(), target());
        let lookout = Lookout::of(&cloud, &target);
        let updates = Updates::of(&cloud, &target, Round::First, 1, &lookout);
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
