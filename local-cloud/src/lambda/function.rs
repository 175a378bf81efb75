//! A function with its versions and aliases, and the life of an update.
//!
//! An update is described at once and takes effect later. Until its moment comes, the function is `InProgress` (or
//! `Pending`, when new) and invocations run what was deployed before. The moment is not kept by a task: every look at
//! a function first *settles* it, which makes the outcome depend on the clock alone. Both beginning and end of an
//! update give a new `RevisionId`. After a failed update, the function is again what it was.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::SystemTime;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::clock;
use super::code::{Code, Origin};
use super::configuration::{Configuration, merge};
use super::errors::{ApiError, Result};
use super::names::{FunctionRef, LATEST, Scope};
use super::{Objects, configuration::PackageType};

/// What a deployment runs.
#[derive(Clone, Debug)]
pub(super) enum Artifact {
    /// A zip.
    Package {
        code: Arc<Code>,
        origin: Origin,
        /// The customer's key, as given with the code: recorded only.
        kms_key_arn: Option<String>,
    },
    /// A container image: recorded, never run.
    Image { uri: String },
    /// A command of the host. Its zip, when the command is one file, is only for show.
    Builtin { command: Arc<[std::ffi::OsString]>, code: Option<Arc<Code>> },
}

impl Artifact {
    /// The zip, when there is one.
    pub(super) fn code(&self) -> Option<&Arc<Code>> {
        match self {
            Self::Package { code, .. } => Some(code),
            Self::Builtin { code, .. } => code.as_ref(),
            Self::Image { .. } => None,
        }
    }

    /// `CodeSha256`. Images and built-in commands without a zip have the hash of nothing.
    pub(super) fn sha256(&self) -> &str {
        const OF_NOTHING: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        self.code().map_or(OF_NOTHING, |code| &code.sha256)
    }

    /// `CodeSize` in bytes.
    pub(super) fn size(&self) -> u64 {
        self.code().map_or(0, |code| code.size)
    }

    fn same_code(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Image { uri: a }, Self::Image { uri: b }) => a == b,
            (Self::Builtin { command: a, .. }, Self::Builtin { command: b, .. }) => a == b,
            (a, b) => a.sha256() == b.sha256(),
        }
    }
}

/// Code and configuration that processes are started from. Never changes; an update makes a new one.
#[derive(Debug)]
pub(super) struct Deployment {
    /// Different for every deployment of this Lambda: processes belong to exactly one.
    pub(super) generation: u64,
    pub(super) function: String,
    /// `$LATEST` or a number.
    pub(super) version: String,
    /// The region that the function was made in.
    pub(super) region: String,
    pub(super) configuration: Configuration,
    pub(super) artifact: Artifact,
    /// Set when no further invocation will run it.
    pub(super) retired: AtomicBool,
}

impl Deployment {
    pub(super) fn new(
        function: &str,
        version: &str,
        region: &str,
        configuration: Configuration,
        artifact: Artifact,
    ) -> Arc<Self> {
        static GENERATIONS: AtomicU64 = AtomicU64::new(0);
        Arc::new(Self {
            generation: GENERATIONS.fetch_add(1, Ordering::Relaxed),
            function: function.to_owned(),
            version: version.to_owned(),
            region: region.to_owned(),
            configuration,
            artifact,
            retired: AtomicBool::new(false),
        })
    }

    /// The same code and configuration as a published version.
    fn published(&self, version: &str, description: Option<String>) -> Arc<Self> {
        let mut configuration = self.configuration.clone();
        if let Some(description) = description {
            configuration.description = description;
        }
        Self::new(&self.function, version, &self.region, configuration, self.artifact.clone())
    }

    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
    }
}

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

/// A reason code of the service model, and words.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    last_modified: String,
    transition: Option<Transition>,
}

#[derive(Debug)]
struct Transition {
    at: Instant,
    failure: Option<Failure>,
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

    /// Lets an update whose moment has come take effect, and looks whether a referenced object is still there.
    pub(super) fn settle(&mut self, now: Instant, objects: &dyn Objects) {
        if let Some(transition) = self.transition.take_if(|transition| transition.at <= now) {
            self.revision_id = new_id();
            match (transition.failure, self.live.take()) {
                (None, previous) => {
                    if let Some(previous) = previous {
                        previous.retire();
                    }
                    self.live = Some(Arc::clone(&self.shown));
                    self.state = State::Active;
                    self.update = UpdateStatus::Successful;
                }
                (Some(failure), Some(previous)) => {
                    self.shown = Arc::clone(&previous);
                    self.live = Some(previous);
                    self.update = UpdateStatus::Failed(failure);
                }
                (Some(failure), None) => {
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

/// A name for a version, with an optional second version that takes a share of the invocations.
#[derive(Clone, Debug)]
pub(super) struct Alias {
    pub(super) version: String,
    pub(super) description: String,
    /// Versions with their share of the invocations, between 0 and 1.
    pub(super) weights: BTreeMap<String, f64>,
    pub(super) revision_id: String,
}

/// A resource policy: its statements by id, in the order they were added.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    pub(super) statements: Vec<Value>,
    pub(super) revision_id: String,
}

/// A function: everything under one name.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) name: String,
    pub(super) latest: Version,
    pub(super) versions: BTreeMap<u64, Version>,
    last_version: u64,
    pub(super) aliases: BTreeMap<String, Alias>,
    pub(super) tags: BTreeMap<String, String>,
    /// By qualifier; `""` for the function itself.
    pub(super) policies: BTreeMap<String, Policy>,
    pub(super) reserved_concurrency: Option<u32>,
    pub(super) code_signing_config: Option<String>,
    /// Invocations under way.
    pub(super) running: Arc<AtomicUsize>,
}

impl Function {
    pub(super) fn new(latest: Version) -> Self {
        Self {
            name: latest.shown.function.clone(),
            latest,
            versions: BTreeMap::new(),
            last_version: 0,
            aliases: BTreeMap::new(),
            tags: BTreeMap::new(),
            policies: BTreeMap::new(),
            reserved_concurrency: None,
            code_signing_config: None,
            running: Arc::default(),
        }
    }

    /// Settles every version.
    pub(super) fn settle(&mut self, now: Instant, objects: &dyn Objects) {
        self.latest.settle(now, objects);
        for version in self.versions.values_mut() {
            version.settle(now, objects);
        }
    }

    /// The version that a qualifier leads to: nothing and `$LATEST`, a number, or an alias.
    pub(super) fn version(&self, qualifier: Option<&str>) -> Option<&Version> {
        match qualifier {
            None | Some(LATEST) => Some(&self.latest),
            Some(qualifier) => match self.aliases.get(qualifier) {
                Some(alias) if alias.version == LATEST => Some(&self.latest),
                Some(alias) => self.numbered(&alias.version),
                None => self.numbered(qualifier),
            },
        }
    }

    /// [`Function::version`], or the error that names what is missing.
    pub(super) fn require_version(&self, wanted: &FunctionRef, scope: &Scope) -> Result<&Version> {
        self.version(wanted.qualifier.as_deref()).ok_or_else(|| ApiError::function_not_found(&wanted.arn(scope)))
    }

    fn numbered(&self, version: &str) -> Option<&Version> {
        self.versions.get(&version.parse::<u64>().ok()?)
    }

    /// Publishes `$LATEST`. When nothing changed since the last version, that one is the answer.
    ///
    /// The new version becomes active at a moment, or fails together with the update that it is published from.
    pub(super) fn publish(&mut self, description: Option<String>, at: Instant, failure: Option<Failure>) -> &Version {
        let latest = &self.latest.shown;
        let unchanged = self.versions.last_key_value().is_some_and(|(_, last)| {
            let (last, mut configuration) = (&last.shown, latest.configuration.clone());
            configuration.description.clone_from(&last.configuration.description);
            last.artifact.same_code(&latest.artifact) && last.configuration == configuration
        });
        if !unchanged {
            self.last_version += 1;
            let deployment = latest.published(&self.last_version.to_string(), description);
            let mut version = Version::pending(deployment, at, failure);
            version.last_modified.clone_from(&self.latest.last_modified);
            self.versions.insert(self.last_version, version);
        }
        self.versions.last_key_value().map_or(&self.latest, |(_, version)| version)
    }

    /// Whether the function has a zip.
    pub(super) fn is_zip(&self) -> bool {
        self.latest.shown.configuration.package_type == PackageType::Zip
    }

    /// All versions, `$LATEST` first, with keys that sort in this order.
    pub(super) fn all_versions(&self) -> impl Iterator<Item = (String, &Version)> {
        let numbered = self.versions.iter().map(|(number, version)| (format!("{number:020}"), version));
        std::iter::once((LATEST.to_owned(), &self.latest)).chain(numbered)
    }

    /// No invocation will run any version again.
    pub(super) fn retire(&self) {
        self.latest.retire();
        for version in self.versions.values() {
            version.retire();
        }
    }
}

/// A random id in the form of a UUID.
pub(super) fn new_id() -> String {
    uuid::Uuid::new_v4().to_string()
}
