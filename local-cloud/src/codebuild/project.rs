//! A build project: what it builds from, with what, and where the result goes.
//!
//! Members that change how a build runs have fields of their own. All others are kept as they were given and shown again.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Exception, invalid};

/// A build project, in the form in which it is shown and kept on disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Project {
    pub(super) name: String,
    pub(super) arn: String,
    pub(super) source: Source,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) source_version: Option<String>,
    pub(super) artifacts: Artifacts,
    pub(super) environment: Environment,
    pub(super) service_role: String,
    pub(super) timeout_in_minutes: u32,
    pub(super) queued_timeout_in_minutes: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) logs_config: Option<LogsConfig>,
    /// Seconds since 1970.
    created: f64,
    last_modified: f64,
    #[serde(flatten)]
    recorded: Map<String, Value>,
}

/// What `CreateProject` and `UpdateProject` take. What is absent stays as it is.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Settings {
    pub(super) name: String,
    source: Option<Source>,
    source_version: Option<String>,
    artifacts: Option<Artifacts>,
    environment: Option<Environment>,
    service_role: Option<String>,
    timeout_in_minutes: Option<u32>,
    queued_timeout_in_minutes: Option<u32>,
    logs_config: Option<LogsConfig>,
    #[serde(flatten)]
    recorded: Map<String, Value>,
}

/// Where the source code comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Source {
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// For S3 `bucket/key`, or `bucket/prefix/` for all objects that begin so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) location: Option<String>,
    /// The buildspec itself, or where it lies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) buildspec: Option<String>,
    #[serde(flatten)]
    recorded: Map<String, Value>,
}

/// Where the result goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Artifacts {
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// A bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) location: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) namespace_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) packaging: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) override_artifact_name: Option<bool>,
    #[serde(flatten)]
    recorded: Map<String, Value>,
}

/// What a build runs in: on this machine, whatever image is named.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Environment {
    #[serde(rename = "type")]
    kind: String,
    pub(super) image: String,
    compute_type: String,
    #[serde(default)]
    pub(super) environment_variables: Vec<Variable>,
    #[serde(flatten)]
    recorded: Map<String, Value>,
}

/// An environment variable of a build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) value: String,
    #[serde(rename = "type", default = "plaintext")]
    pub(super) kind: String,
}

fn plaintext() -> String {
    "PLAINTEXT".to_owned()
}

/// Where the output goes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogsConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cloud_watch_logs: Option<CloudWatchLogs>,
    #[serde(flatten)]
    recorded: Map<String, Value>,
}

/// The log group and the beginning of the stream's name, where they were chosen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CloudWatchLogs {
    pub(super) status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) group_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stream_name: Option<String>,
}

impl Project {
    /// A new project. `now` is in seconds since 1970.
    pub(super) fn create(settings: Settings, arn: String, now: f64) -> Result<Self, Exception> {
        let name = settings.name.clone();
        let first = name.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if !first || !(2..=150).contains(&name.len()) || !name.chars().all(allowed) {
            return Err(invalid(format!(
                "Invalid project name {name}: 2 to 150 letters, digits, hyphens and underscores, and no hyphen or underscore first"
            )));
        }
        let missing = |what: &str| invalid(format!("Project {what} is required"));
        let project = Self {
            name,
            arn,
            source: settings.source.ok_or_else(|| missing("source"))?,
            source_version: settings.source_version,
            artifacts: settings.artifacts.ok_or_else(|| missing("artifacts"))?,
            environment: settings.environment.ok_or_else(|| missing("environment"))?,
            service_role: settings.service_role.ok_or_else(|| missing("service role"))?,
            timeout_in_minutes: settings.timeout_in_minutes.unwrap_or(60),
            queued_timeout_in_minutes: settings.queued_timeout_in_minutes.unwrap_or(480),
            logs_config: settings.logs_config,
            created: now,
            last_modified: now,
            recorded: with_defaults(settings.recorded),
        };
        project.checked()
    }

    /// The project with what `settings` give instead of what it had.
    pub(super) fn updated(&self, settings: Settings, now: f64) -> Result<Self, Exception> {
        let mut project = self.clone();
        macro_rules! take {
            ($($field:ident),*) => { $(if let Some(given) = settings.$field { project.$field = given; })* };
        }
        take!(source, artifacts, environment, service_role, timeout_in_minutes, queued_timeout_in_minutes);
        project.source_version = settings.source_version.or(project.source_version);
        project.logs_config = settings.logs_config.or(project.logs_config);
        project.recorded.extend(settings.recorded);
        project.last_modified = now;
        project.checked()
    }

    fn checked(self) -> Result<Self, Exception> {
        check_timeout(self.timeout_in_minutes)?;
        self.source.check()?;
        self.artifacts.check()?;
        Ok(self)
    }

    pub(super) fn last_modified(&self) -> f64 {
        self.last_modified
    }

    pub(super) fn created(&self) -> f64 {
        self.created
    }

    /// `cache`, `encryptionKey` and the like, for builds that are shown with them.
    pub(super) fn recorded(&self, member: &str) -> Option<&Value> {
        self.recorded.get(member)
    }
}

/// Members that AWS shows of every project.
fn with_defaults(mut recorded: Map<String, Value>) -> Map<String, Value> {
    for (member, value) in
        [("cache", json!({ "type": "NO_CACHE" })), ("badge", json!({ "badgeEnabled": false })), ("tags", json!([]))]
    {
        recorded.entry(member).or_insert(value);
    }
    recorded
}

pub(super) fn check_timeout(minutes: u32) -> Result<(), Exception> {
    if (5..=2_160).contains(&minutes) {
        return Ok(());
    }
    Err(invalid(format!("Invalid timeout: {minutes} minutes; it must be between 5 and 2160")))
}

impl Source {
    pub(super) fn check(&self) -> Result<(), Exception> {
        let known =
            ["BITBUCKET", "CODECOMMIT", "CODEPIPELINE", "GITHUB", "GITHUB_ENTERPRISE", "GITLAB", "NO_SOURCE", "S3"];
        match self.kind.as_str() {
            "S3" => match self.location.as_deref().and_then(|location| location.split_once('/')) {
                Some((bucket, key)) if !bucket.is_empty() && !key.is_empty() => Ok(()),
                _ => Err(invalid(
                    "Invalid project source: location must be a valid S3 source: BUCKET/KEY of a zip, or BUCKET/PREFIX/",
                )),
            },
            "NO_SOURCE" if self.inline_buildspec().is_none() => {
                Err(invalid("Invalid project source: source type NO_SOURCE needs its buildspec in `buildspec`"))
            }
            kind if known.contains(&kind) => Ok(()),
            other => Err(invalid(format!("Invalid project source: {other} is none of {}", known.join(", ")))),
        }
    }

    /// The buildspec, when it is given itself and not by its place.
    pub(super) fn inline_buildspec(&self) -> Option<&str> {
        self.buildspec.as_deref().filter(|text| text.contains('\n') || text.trim_start().starts_with('{'))
    }
}

impl Artifacts {
    pub(super) fn check(&self) -> Result<(), Exception> {
        match self.kind.as_str() {
            "NO_ARTIFACTS" | "CODEPIPELINE" => Ok(()),
            "S3" if self.location.as_deref().is_some_and(|bucket| !bucket.is_empty()) => {
                let one_of = |member: &str, value: Option<&str>, known: [&str; 2]| match value {
                    Some(value) if !known.contains(&value) => {
                        Err(invalid(format!("Invalid artifacts: {member} {value} is none of {}", known.join(", "))))
                    }
                    _ => Ok(()),
                };
                one_of("packaging", self.packaging.as_deref(), ["NONE", "ZIP"])?;
                one_of("namespaceType", self.namespace_type.as_deref(), ["NONE", "BUILD_ID"])
            }
            "S3" => Err(invalid("Invalid artifacts: location must be the name of a bucket")),
            other => Err(invalid(format!("Invalid artifacts: {other} is none of CODEPIPELINE, NO_ARTIFACTS, S3"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(change: &Value) -> Settings {
        let mut settings = json!({
            "name": "app",
            "source": { "type": "S3", "location": "b/src.zip", "gitCloneDepth": 1 },
            "artifacts": { "type": "NO_ARTIFACTS" },
            "environment": { "type": "LINUX_CONTAINER", "image": "i", "computeType": "BUILD_GENERAL1_SMALL" },
            "serviceRole": "role",
            "description": "kept as it is",
        });
        settings.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        serde_json::from_value(settings).unwrap()
    }

    fn created(change: &Value) -> Result<Project, Exception> {
        Project::create(settings(change), "arn".to_owned(), 1.0)
    }

    #[test]
    fn what_has_no_effect_is_shown_again() {
        let shown = serde_json::to_value(created(&json!({})).unwrap()).unwrap();
        assert_eq!(shown["description"], "kept as it is");
        assert_eq!(shown["source"]["gitCloneDepth"], 1);
        assert_eq!(shown["timeoutInMinutes"], 60);
        assert_eq!(shown["cache"]["type"], "NO_CACHE");
    }

    #[test]
    fn an_update_leaves_what_it_does_not_name() {
        let project = created(&json!({})).unwrap();
        let update = json!({ "name": "app", "timeoutInMinutes": 10, "description": "new" });
        let updated = project.updated(serde_json::from_value(update).unwrap(), 2.0).unwrap();
        assert_eq!((updated.timeout_in_minutes, updated.last_modified(), updated.created()), (10, 2.0, 1.0));
        assert_eq!(updated.recorded("description"), Some(&json!("new")));
        assert_eq!(updated.source, project.source);
    }

    #[test]
    fn what_no_build_could_use_is_refused() {
        for (change, why) in [
            (json!({ "name": "-app" }), "Invalid project name"),
            (json!({ "source": null }), "Project source is required"),
            (json!({ "source": { "type": "S3", "location": "b" } }), "BUCKET/KEY"),
            (json!({ "source": { "type": "NO_SOURCE" } }), "NO_SOURCE needs its buildspec"),
            (json!({ "source": { "type": "FLOPPY" } }), "FLOPPY is none of"),
            (json!({ "artifacts": { "type": "S3" } }), "name of a bucket"),
            (json!({ "artifacts": { "type": "S3", "location": "b", "packaging": "TAR" } }), "packaging TAR"),
            (json!({ "timeoutInMinutes": 4 }), "between 5 and 2160"),
        ] {
            let refused = created(&change).unwrap_err();
            assert_eq!(refused.kind, "InvalidInputException");
            assert!(refused.message.contains(why), "{change}: {}", refused.message);
        }
    }
}
