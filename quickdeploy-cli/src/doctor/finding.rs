//! What an examination finds.

use serde::Serialize;

use crate::error::Error;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) enum Level {
    /// As it should be.
    Ok,
    /// A deployment works, but something else doesn't, or soon won't.
    Warning,
    /// A deployment needs it, and it is broken.
    Failed,
    /// Not known: asking was not possible, or would not have been harmless.
    NotChecked,
}

/// What a finding is about, in the order in which they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) enum Area {
    /// Who asks, and where.
    Account,
    /// This directory.
    Project,
    /// The zip in S3.
    Artifact,
    /// The bucket that it is in.
    Bucket,
    /// What the caller may do.
    Permissions,
    /// The functions that run the artifact.
    Functions,
    /// The function that patches it.
    Zipedit,
}

impl Area {
    /// The heading.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Account => "Account",
            Self::Project => "Project",
            Self::Artifact => "Artifact",
            Self::Bucket => "Bucket",
            Self::Permissions => "Permissions",
            Self::Functions => "Functions",
            Self::Zipedit => "The zipedit function",
        }
    }
}

/// An action on a resource, as a policy names them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Permission {
    /// Such as `s3:PutObject`.
    pub(crate) action: String,
    /// An ARN, or `*`.
    pub(crate) resource: String,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct Finding {
    pub(crate) level: Level,
    pub(crate) area: Area,
    /// A stable name for programs, such as `clock`.
    pub(crate) check: &'static str,
    /// NAME of the `[artifacts.NAME]` that it is about, in a project with several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) artifact: Option<String>,
    /// What, and where.
    pub(crate) message: String,
    /// How to mend it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) mend: Vec<String>,
    /// What is allowed or denied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) permission: Option<Permission>,
}

impl Finding {
    /// A finding at this level.
    pub(crate) fn new(level: Level, area: Area, check: &'static str, message: impl Into<String>) -> Self {
        Self { level, area, check, artifact: None, message: message.into(), mend: Vec::new(), permission: None }
    }

    /// As it should be.
    pub(crate) fn ok(area: Area, check: &'static str, message: impl Into<String>) -> Self {
        Self::new(Level::Ok, area, check, message)
    }

    /// From an error, with its hints as the ways to mend it.
    pub(crate) fn of_error(level: Level, area: Area, check: &'static str, error: &Error) -> Self {
        let mut finding = Self::new(level, area, check, error.to_string());
        finding.mend = error.hints().to_vec();
        finding
    }

    /// Adds how to mend it.
    pub(crate) fn mend(mut self, how: impl Into<String>) -> Self {
        self.mend.push(how.into());
        self
    }

    /// About this permission.
    pub(crate) fn about(mut self, permission: Permission) -> Self {
        self.permission = Some(permission);
        self
    }
}
