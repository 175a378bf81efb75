//! The record of one build: its phases, how it stands, and how that is shown.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::project::{Artifacts, Environment, Source};
use crate::s3::ACCOUNT;

/// How a build or a phase stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    InProgress,
    Succeeded,
    Failed,
    Stopped,
    TimedOut,
}

impl Status {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::InProgress => "IN_PROGRESS",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::Stopped => "STOPPED",
            Self::TimedOut => "TIMED_OUT",
        }
    }
}

/// The phases, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Submitted,
    Queued,
    Provisioning,
    DownloadSource,
    Install,
    PreBuild,
    Build,
    PostBuild,
    UploadArtifacts,
    Finalizing,
    Completed,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Submitted => "SUBMITTED",
            Self::Queued => "QUEUED",
            Self::Provisioning => "PROVISIONING",
            Self::DownloadSource => "DOWNLOAD_SOURCE",
            Self::Install => "INSTALL",
            Self::PreBuild => "PRE_BUILD",
            Self::Build => "BUILD",
            Self::PostBuild => "POST_BUILD",
            Self::UploadArtifacts => "UPLOAD_ARTIFACTS",
            Self::Finalizing => "FINALIZING",
            Self::Completed => "COMPLETED",
        }
    }

    /// Whether it happens inside the build environment, whose agent says how it went.
    fn has_context(self) -> bool {
        !matches!(self, Self::Submitted | Self::Queued | Self::Provisioning | Self::Completed)
    }
}

/// Why a phase failed, under AWS's code for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Context {
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl Context {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// Something about the source, the artifacts or the configuration.
    pub(super) fn client(message: impl Into<String>) -> Self {
        Self::new("CLIENT_ERROR", message)
    }
}

/// A phase that was begun.
#[derive(Clone, Debug)]
struct Phase {
    kind: Kind,
    status: Status,
    began: SystemTime,
    ended: Option<SystemTime>,
    context: Context,
}

/// What a build was started with: the project's settings, and the overrides in their place.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) project: String,
    pub(super) region: String,
    /// Where the local cloud is reached.
    pub(super) endpoint: String,
    pub(super) source: Source,
    pub(super) source_version: Option<String>,
    pub(super) artifacts: Artifacts,
    pub(super) environment: Environment,
    pub(super) service_role: String,
    pub(super) timeout_in_minutes: u32,
    pub(super) queued_timeout_in_minutes: u32,
    pub(super) initiator: String,
    pub(super) cache: Value,
    pub(super) encryption_key: Value,
    /// `None` when the project has CloudWatch Logs disabled.
    pub(super) log_group: Option<String>,
    pub(super) log_stream: String,
}

/// One build.
#[derive(Clone, Debug)]
pub(super) struct Build {
    pub(super) uuid: String,
    pub(super) number: u64,
    pub(super) plan: Plan,
    pub(super) started: SystemTime,
    ended: Option<SystemTime>,
    status: Status,
    phases: Vec<Phase>,
    /// Where the artifacts were put: an ARN.
    pub(super) artifact_location: Option<String>,
    pub(super) exported: Vec<(String, String)>,
}

impl Build {
    /// A build that waits for its turn.
    pub(super) fn submitted(uuid: String, number: u64, plan: Plan, now: SystemTime) -> Self {
        let mut build = Self {
            uuid,
            number,
            plan,
            started: now,
            ended: None,
            status: Status::InProgress,
            phases: Vec::new(),
            artifact_location: None,
            exported: Vec::new(),
        };
        build.begin(Kind::Submitted, now);
        build.end(Status::Succeeded, Context::default(), now);
        build.begin(Kind::Queued, now);
        build
    }

    pub(super) fn id(&self) -> String {
        format!("{}:{}", self.plan.project, self.uuid)
    }

    pub(super) fn arn(&self) -> String {
        format!("arn:aws:codebuild:{}:{ACCOUNT}:build/{}", self.plan.region, self.id())
    }

    pub(super) fn is_complete(&self) -> bool {
        self.ended.is_some()
    }

    pub(super) fn begin(&mut self, kind: Kind, now: SystemTime) {
        let phase = Phase { kind, status: Status::InProgress, began: now, ended: None, context: Context::default() };
        self.phases.push(phase);
    }

    /// Ends the phase that is under way. The first one that doesn't succeed decides what becomes of the build.
    pub(super) fn end(&mut self, status: Status, context: Context, now: SystemTime) {
        let Some(phase) = self.phases.last_mut().filter(|phase| phase.ended.is_none()) else { return };
        phase.status = status;
        phase.ended = Some(now);
        phase.context = context;
        if status != Status::Succeeded && self.status == Status::InProgress {
            self.status = status;
        }
    }

    /// Ends the build: by its last two phases.
    pub(super) fn complete(&mut self, now: SystemTime) {
        self.begin(Kind::Finalizing, now);
        self.end(Status::Succeeded, Context::default(), now);
        self.begin(Kind::Completed, now);
        if self.status == Status::InProgress {
            self.status = Status::Succeeded;
        }
        self.ended = Some(now);
    }

    /// The name of the phase that was begun last.
    pub(super) fn current_phase(&self) -> &'static str {
        self.phases.last().map_or("SUBMITTED", |phase| phase.kind.name())
    }

    /// Whether no phase has failed so far.
    pub(super) fn succeeding(&self) -> bool {
        matches!(self.status, Status::InProgress | Status::Succeeded)
    }

    /// As `BatchGetBuilds` shows it.
    pub(super) fn shown(&self) -> Value {
        let plan = &self.plan;
        let mut shown = json!({
            "id": self.id(),
            "arn": self.arn(),
            "buildNumber": self.number,
            "startTime": seconds(self.started),
            "currentPhase": self.current_phase(),
            "buildStatus": self.status.name(),
            "projectName": plan.project,
            "phases": self.phases.iter().map(Phase::shown).collect::<Vec<_>>(),
            "source": plan.source,
            "secondarySources": [],
            "artifacts": self.shown_artifacts(),
            "cache": plan.cache,
            "environment": plan.environment,
            "serviceRole": plan.service_role,
            "logs": self.shown_logs(),
            "timeoutInMinutes": plan.timeout_in_minutes,
            "queuedTimeoutInMinutes": plan.queued_timeout_in_minutes,
            "buildComplete": self.is_complete(),
            "initiator": plan.initiator,
            "encryptionKey": plan.encryption_key,
            "exportedEnvironmentVariables":
                self.exported.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect::<Vec<_>>(),
        });
        if let Some(version) = &plan.source_version {
            shown["sourceVersion"] = version.as_str().into();
            shown["resolvedSourceVersion"] = version.as_str().into();
        }
        if let Some(ended) = self.ended {
            shown["endTime"] = seconds(ended).into();
        }
        shown
    }

    fn shown_artifacts(&self) -> Value {
        let mut shown = json!({ "location": self.artifact_location.as_deref().unwrap_or_default() });
        if let Some(overridden) = self.plan.artifacts.override_artifact_name {
            shown["overrideArtifactName"] = overridden.into();
        }
        shown
    }

    /// Where the output is. Before there is any, group and stream are not named, as in AWS.
    fn shown_logs(&self) -> Value {
        let plan = &self.plan;
        let Some(group) = &plan.log_group else {
            return json!({ "cloudWatchLogs": { "status": "DISABLED" }, "s3Logs": { "status": "DISABLED" } });
        };
        let (region, stream) = (&plan.region, &plan.log_stream);
        let link = format!(
            "https://console.aws.amazon.com/cloudwatch/home?region={region}#logEvent:group={group};stream={stream}"
        );
        let mut shown = json!({
            "deepLink": link,
            "cloudWatchLogsArn": format!("arn:aws:logs:{region}:{ACCOUNT}:log-group:{group}:log-stream:{stream}"),
            "cloudWatchLogs": { "status": "ENABLED" },
            "s3Logs": { "status": "DISABLED" },
        });
        if self.phases.iter().any(|phase| phase.kind == Kind::DownloadSource) {
            shown["groupName"] = group.as_str().into();
            shown["streamName"] = stream.as_str().into();
        }
        shown
    }
}

impl Phase {
    fn shown(&self) -> Value {
        let mut shown = json!({ "phaseType": self.kind.name(), "startTime": seconds(self.began) });
        if let Some(ended) = self.ended {
            shown["phaseStatus"] = self.status.name().into();
            shown["endTime"] = seconds(ended).into();
            shown["durationInSeconds"] = ended.duration_since(self.began).unwrap_or_default().as_secs().into();
            if self.kind.has_context() || self.status != Status::Succeeded {
                shown["contexts"] = json!([{ "statusCode": self.context.code, "message": self.context.message }]);
            }
        }
        shown
    }
}

/// Seconds since 1970, with milliseconds.
pub(super) fn seconds(time: SystemTime) -> f64 {
    let millis = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    millis as f64 / 1_000.0
}
