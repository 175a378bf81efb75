//! One version of a function, and the life of an update.
//!
//! An update is described at once and takes effect later. Until its moment comes, the version is `InProgress` (or
//! `Pending`, when new) and invocations run what was deployed before. The moment is not kept by a task: every look at
//! a version first *settles* it, which makes the outcome depend on two things alone: the clock, and whether the package
//! is intact. While that isn't known, the update goes on. Both beginning and end of an update give a new `RevisionId`.
//! After a failed update, the version is again what it was.

use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Objects;
use super::clock;
use super::code::Origin;
use super::configuration::merge;
use super::deployment::{Artifact, Deployment};
use super::errors::{ApiError, Result};
use super::function::new_id;
use super::integrity::Damage;
use super::names::Scope;

/// `State`, with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    Pending,
    Active,
    /// A referenced object version is gone.
    Inactive {
        reason: String,
    },
    /// The function could not be made.
    Failed(Failure),
}

impl State {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Active => "Active",
            Self::Inactive { .. } => "Inactive",
            Self::Failed(_) => "Failed",
        }
    }
}

/// `LastUpdateStatus`, with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum UpdateStatus {
    Successful,
    InProgress,
    Failed(Failure),
}

/// A reason code of the service model (`StateReasonCode`, `LastUpdateStatusReasonCode`), and words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Failure {
    pub(super) code: String,
    pub(super) reason: String,
}

/// `$LATEST` or one published version.
#[derive(Debug)]
pub(super) struct Version {
    /// What the API describes.
    shown: Arc<Deployment>,
    /// What invocations run. Nothing yet, while the first deployment is pending.
    live: Option<Arc<Deployment>>,
    state: State,
    update: UpdateStatus,
    pub(super) revision_id: String,
    pub(super) last_modified: String,
    transition: Option<Transition>,
}

/// A change that is under way.
#[derive(Debug)]
struct Transition {
    /// It ends at this moment, or with the check of its package when that takes longer.
    at: Instant,
    /// How it ends, whatever is in the package.
    failure: Option<Failure>,
}

impl From<&Damage> for Failure {
    fn from(damage: &Damage) -> Self {
        Self { code: "InvalidZipFileException".to_owned(), reason: damage.to_string() }
    }
}

impl Version {
    /// A version that becomes active at a moment.
    pub(super) fn pending(deployment: Arc<Deployment>, at: Instant, failure: Option<Failure>) -> Self {
        Self {
            shown: deployment,
            live: None,
            state: State::Pending,
            update: UpdateStatus::Successful,
            revision_id: new_id(),
            last_modified: clock::last_modified(SystemTime::now()),
            transition: Some(Transition { at, failure }),
        }
    }

    /// A version that is active now.
    pub(super) fn active(deployment: Arc<Deployment>) -> Self {
        Self {
            live: Some(Arc::clone(&deployment)),
            state: State::Active,
            transition: None,
            ..Self::pending(deployment, Instant::now(), None)
        }
    }

    /// A version as it was kept on disk: what will be live when all that is under way has ended.
    pub(super) fn restored(deployment: Arc<Deployment>, revision_id: String, last_modified: String) -> Self {
        Self { revision_id, last_modified, ..Self::active(deployment) }
    }

    /// What will be live when all that is under way has ended, as far as that is known: a package that isn't checked
    /// yet counts for nothing. `None` when the function could not be made, or perhaps can't.
    pub(super) fn settled_deployment(&self) -> Option<&Arc<Deployment>> {
        match self.ending() {
            Some(Ok(())) => Some(&self.shown),
            Some(Err(_)) | None => self.live.as_ref(),
        }
    }

    /// How the change that is under way ends. `None` while that isn't known, and when there is none.
    fn ending(&self) -> Option<Result<(), Failure>> {
        match &self.transition.as_ref()?.failure {
            Some(failure) => Some(Err(failure.clone())),
            None => Some(self.shown.artifact.integrity()?.map_err(Failure::from)),
        }
    }

    pub(super) fn shown(&self) -> &Arc<Deployment> {
        &self.shown
    }

    /// Begins an update that ends at a moment.
    pub(super) fn begin_update(&mut self, deployment: Arc<Deployment>, at: Instant, failure: Option<Failure>) {
        self.shown = deployment;
        self.update = UpdateStatus::InProgress;
        self.revision_id = new_id();
        self.last_modified = clock::last_modified(SystemTime::now());
        self.transition = Some(Transition { at, failure });
    }

    /// Lets an update whose moment has come, and whose package is checked, take effect; and looks whether a referenced object is still there.
    pub(super) fn settle(&mut self, now: Instant, objects: &dyn Objects) {
        let due = self.transition.as_ref().is_some_and(|transition| transition.at <= now);
        if due && let Some(ending) = self.ending() {
            self.transition = None;
            self.revision_id = new_id();
            match (ending, self.live.take()) {
                (Ok(()), previous) => {
                    if let Some(previous) = previous {
                        previous.retire();
                    }
                    self.live = Some(Arc::clone(&self.shown));
                    self.state = State::Active;
                    self.update = UpdateStatus::Successful;
                }
                (Err(failure), Some(previous)) => {
                    self.shown = Arc::clone(&previous);
                    self.live = Some(previous);
                    self.update = UpdateStatus::Failed(failure);
                }
                (Err(failure), None) => {
                    self.state = State::Failed(failure.clone());
                    self.update = UpdateStatus::Failed(failure);
                }
            }
        }
        let Some(live) = &self.live else { return };
        if let Artifact::Package { origin: Origin::Referenced(object), .. } = &live.artifact {
            match objects.object(&object.bucket, &object.key, Some(&object.version)) {
                Ok(_) => self.state = State::Active,
                Err(error) => {
                    self.state = State::Inactive {
                        reason: format!(
                            "The function's code can no longer be read from s3://{}/{} (version {}): {error}",
                            object.bucket, object.key, object.version
                        ),
                    };
                }
            }
        }
    }

    /// Refuses what may not happen while a change is under way.
    pub(super) fn require_settled(&self, arn: &str) -> Result<()> {
        if matches!(self.state, State::Pending) {
            return Err(self.unusable());
        }
        if self.update == UpdateStatus::InProgress {
            return Err(ApiError::conflict(format!(
                "The operation cannot be performed at this time. An update is in progress for resource: {arn}"
            )));
        }
        Ok(())
    }

    /// Refuses a revision that is not the latest one.
    pub(super) fn require_revision(&self, expected: Option<&str>) -> Result<()> {
        match expected {
            Some(expected) if expected != self.revision_id => Err(ApiError::stale_revision("GetFunction/GetAlias")),
            _ => Ok(()),
        }
    }

    /// The deployment to run.
    pub(super) fn runnable(&self) -> Result<&Arc<Deployment>> {
        match (&self.state, &self.live) {
            (State::Active, Some(live)) => Ok(live),
            _ => Err(self.unusable()),
        }
    }

    fn unusable(&self) -> ApiError {
        ApiError::conflict(format!(
            "The operation cannot be performed at this time. The function is currently in the following state: {}",
            self.state.name()
        ))
    }

    /// No invocation will run this version again.
    pub(super) fn retire(&self) {
        self.shown.retire();
        if let Some(live) = &self.live {
            live.retire();
        }
    }

    /// `FunctionConfiguration`, without the members about state, as listings have it.
    pub(super) fn summary(&self, scope: &Scope, qualifier: Option<&str>) -> Value {
        self.describe(&self.shown, scope, qualifier)
    }

    /// [`Version::summary`] of a deployment that this version doesn't have, for a dry run.
    pub(super) fn describe(&self, deployment: &Deployment, scope: &Scope, qualifier: Option<&str>) -> Value {
        let mut shown = json!({
            "FunctionName": deployment.function,
            "FunctionArn": scope.function_arn(&deployment.function, qualifier),
            "Version": deployment.version,
            "CodeSha256": deployment.artifact.sha256(),
            "CodeSize": deployment.artifact.size(),
            "LastModified": self.last_modified,
            "RevisionId": self.revision_id,
        });
        merge(&mut shown, &deployment.configuration.members(&deployment.function, &scope.region));
        if let Some(layers) = deployment.layers.shown() {
            shown["Layers"] = layers;
        }
        shown
    }

    /// `FunctionConfiguration` with `State` and `LastUpdateStatus`.
    pub(super) fn details(&self, scope: &Scope, qualifier: Option<&str>) -> Value {
        let mut shown = self.summary(scope, qualifier);
        merge(&mut shown, &self.status());
        shown
    }

    /// The members about state.
    pub(super) fn status(&self) -> Value {
        let mut shown = json!({ "State": self.state.name() });
        match &self.state {
            State::Pending => {
                shown["StateReason"] = "The function is being created.".into();
                shown["StateReasonCode"] = "Creating".into();
                return shown;
            }
            State::Active => {}
            State::Inactive { reason } => {
                shown["StateReason"] = reason.as_str().into();
                shown["StateReasonCode"] = "DependencyError".into();
            }
            State::Failed(failure) => {
                shown["StateReason"] = failure.reason.as_str().into();
                shown["StateReasonCode"] = failure.code.as_str().into();
            }
        }
        match &self.update {
            UpdateStatus::Successful => shown["LastUpdateStatus"] = "Successful".into(),
            UpdateStatus::InProgress => {
                shown["LastUpdateStatus"] = "InProgress".into();
                shown["LastUpdateStatusReason"] = "The function is being created.".into();
                shown["LastUpdateStatusReasonCode"] = "Creating".into();
            }
            UpdateStatus::Failed(failure) => {
                shown["LastUpdateStatus"] = "Failed".into();
                shown["LastUpdateStatusReason"] = failure.reason.as_str().into();
                shown["LastUpdateStatusReasonCode"] = failure.code.as_str().into();
            }
        }
        shown
    }
}
