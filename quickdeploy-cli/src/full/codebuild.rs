//! The build that runs at AWS: `codebuild = "project"`.
//!
//! The build is started and its phases are told as they end, until it is over. When it fails, the phase that failed says
//! why, and the last lines of its log say what. A Ctrl-C stops it.
//!
//! Where the package is then depends on the project's `artifacts`: see [`Output`].

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use aws_sdk_codebuild::operation::start_build::StartBuildError;
use aws_sdk_codebuild::types::{Build, BuildPhase, BuildPhaseType, LogsLocation, StatusType};

use super::build::Built;
use crate::aws::Cloud;
use crate::error::{Error, Result};
use crate::interrupt::Interrupts;
use crate::project::ArtifactUrl;
use crate::ui::{Ui, duration};

const FIRST_POLL: Duration = Duration::from_millis(500);
const SLOWEST_POLL: Duration = Duration::from_secs(3);
/// A build that can't be asked after for so many times in a row is given up.
const TRIES: u32 = 5;
/// So many lines of a failed build's log are shown.
const LAST_LINES: i32 = 20;

/// What a build left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Output {
    /// A zip at another place than the artifact's.
    Elsewhere(ArtifactUrl),
    /// The artifact itself: because the project's artifacts are configured so, or because its commands upload it.
    Artifact,
}

/// Starts a build of `project` and waits until it has succeeded.
///
/// # Errors
///
/// There is no such project; `BuildFailed` with the phase's context and the log's last lines; `Interrupted`.
pub(super) async fn build(
    ui: &Ui,
    cloud: &Cloud,
    project: &str,
    artifact: &ArtifactUrl,
    interrupts: &Interrupts,
) -> Result<(Built, Output)> {
    let start = Instant::now();
    let client = cloud.codebuild();
    let token = format!("quickdeploy-{:016x}", fastrand::u64(..));
    // Whoever asks twice with the token gets the same build.
    let started = client.start_build().project_name(project).idempotency_token(token).send().await;
    let started = started.map_err(|error| {
        let missing = error.as_service_error().is_some_and(StartBuildError::is_resource_not_found_exception);
        let told = cloud.explain(&format!("could not start a build of the CodeBuild project `{project}`"), &error);
        if missing { told.hint("check `codebuild` in quickdeploy.toml, and the region") } else { told }
    })?;
    let unusable =
        || Error::new("CodeBuild", format!("CodeBuild started `{project}` without telling which build it is"));
    let id = started.build_value().and_then(Build::id).ok_or_else(unusable)?.to_owned();
    ui.status("Building", format!("`{project}` at CodeBuild"));
    ui.detail(format!("build {id}"));

    let following = follow(ui, cloud, &client, &id, project);
    let build = tokio::select! {
        build = following => build?,
        () = interrupts.nth(1) => return Err(stop(ui, cloud, &client, &id).await),
    };
    if build.build_status() != Some(&StatusType::Succeeded) {
        return Err(failed(cloud, project, &build).await);
    }
    ui.status("Built", format!("in {}", duration(start.elapsed())));
    let built = Built {
        command: None,
        codebuild: Some(id),
        elapsed_ms: u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
    };
    let location = build.artifacts().and_then(|artifacts| artifacts.location());
    Ok((built, output(location, artifact)))
}

/// Tells each phase as it ends.
async fn follow(ui: &Ui, cloud: &Cloud, client: &aws_sdk_codebuild::Client, id: &str, project: &str) -> Result<Build> {
    let progress = ui.progress("Waiting for CodeBuild");
    let mut told = BTreeSet::new();
    let mut pause = FIRST_POLL;
    let mut failures = 0;
    loop {
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(SLOWEST_POLL);
        let answer = match client.batch_get_builds().ids(id).send().await {
            Ok(answer) => answer,
            Err(error) => {
                failures += 1;
                if failures < TRIES && error.as_service_error().is_none() {
                    continue;
                }
                return Err(cloud
                    .explain(&format!("could not ask after the build of `{project}`"), &error)
                    .hint(format!("it goes on at CodeBuild: `aws codebuild batch-get-builds --ids {id}`")));
            }
        };
        failures = 0;
        let Some(build) = answer.builds.unwrap_or_default().into_iter().next() else {
            return Err(Error::new("BuildFailed", format!("the build {id} is gone: somebody deleted it")));
        };
        for phase in build.phases() {
            let (Some(kind), Some(status)) = (phase.phase_type(), phase.phase_status()) else { continue };
            if told.insert(kind.clone()) {
                pause = FIRST_POLL;
                tell(ui, kind, status, phase);
            }
        }
        if build.build_complete() {
            return Ok(build);
        }
        if let Some(current) = build.current_phase() {
            progress.say(&format!("CodeBuild: {}", current.to_lowercase().replace('_', " ")));
        }
    }
}

fn tell(ui: &Ui, kind: &BuildPhaseType, status: &StatusType, phase: &BuildPhase) {
    let took = phase.duration_in_seconds().and_then(|seconds| u64::try_from(seconds).ok());
    let took = took.map(|seconds| duration(Duration::from_secs(seconds))).unwrap_or_default();
    let outcome = if *status == StatusType::Succeeded { took } else { format!("{} {took}", status.as_str()) };
    ui.detail(format!("{:<16} {}", kind.as_str(), outcome.trim_end()));
}

/// Where the package is, by the ARN that CodeBuild gives.
fn output(location: Option<&str>, artifact: &ArtifactUrl) -> Output {
    let object = location.and_then(|arn| arn.split_once(":::")).and_then(|(_, path)| path.split_once('/'));
    match object {
        Some((bucket, key)) if bucket != artifact.bucket || key != artifact.key => {
            Output::Elsewhere(ArtifactUrl { bucket: bucket.to_owned(), key: key.to_owned() })
        }
        _ => Output::Artifact,
    }
}

async fn stop(ui: &Ui, cloud: &Cloud, client: &aws_sdk_codebuild::Client, id: &str) -> Error {
    ui.status("Stopping", format!("the build {id}"));
    match client.stop_build().id(id).send().await {
        Ok(_) => Error::new("Interrupted", "interrupted: the build was stopped, and nothing was changed"),
        Err(error) => cloud
            .explain("interrupted, and could not stop the build", &error)
            .hint(format!("it goes on at CodeBuild: `aws codebuild stop-build --id {id}`")),
    }
}

/// Why it failed: what the phase says, and the end of the log.
async fn failed(cloud: &Cloud, project: &str, build: &Build) -> Error {
    let status = build.build_status().map_or("UNKNOWN", StatusType::as_str);
    let bad = |phase: &&BuildPhase| {
        matches!(
            phase.phase_status(),
            Some(StatusType::Failed | StatusType::Fault | StatusType::TimedOut | StatusType::Stopped)
        )
    };
    let phase = build.phases().iter().find(bad);
    let place =
        phase.and_then(BuildPhase::phase_type).map_or_else(String::new, |kind| format!(" in {}", kind.as_str()));
    let mut error = Error::new(
        "BuildFailed",
        format!("the CodeBuild project `{project}` ended {status}{place}: nothing was deployed"),
    );
    for context in phase.map(BuildPhase::contexts).unwrap_or_default() {
        match (context.status_code(), context.message()) {
            (Some(code), Some(message)) if !message.is_empty() => error = error.cause(format!("{code}: {message}")),
            (_, Some(message)) if !message.is_empty() => error = error.cause(message),
            _ => {}
        }
    }
    let Some(logs) = build.logs() else { return error };
    match last_lines(cloud, logs).await {
        Some(lines) if !lines.is_empty() => error = error.cause(format!("the log's last lines:\n{}", lines.join("\n"))),
        _ => {}
    }
    match logs.deep_link() {
        Some(link) => error.hint(format!("the whole log: {link}")),
        None => error,
    }
}

/// Of the build's log in CloudWatch. `None`: it has none there, or it may not be read.
async fn last_lines(cloud: &Cloud, logs: &LogsLocation) -> Option<Vec<String>> {
    let (group, stream) = (logs.group_name()?, logs.stream_name()?);
    let page = cloud
        .logs()
        .get_log_events()
        .log_group_name(group)
        .log_stream_name(stream)
        .limit(LAST_LINES)
        .start_from_head(false)
        .send()
        .await
        .ok()?;
    let line = |event: &aws_sdk_cloudwatchlogs::types::OutputLogEvent| Some(event.message()?.trim_end().to_owned());
    Some(page.events().iter().filter_map(line).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn artifact() -> ArtifactUrl {
        "s3://code/app/app.zip".parse().unwrap()
    }

    #[test]
    fn codebuilds_own_output_is_the_package_when_it_lies_elsewhere() {
        let elsewhere = Output::Elsewhere("s3://builds/x/out.zip".parse().unwrap());
        assert_eq!(output(Some("arn:aws:s3:::builds/x/out.zip"), &artifact()), elsewhere);
        assert_eq!(output(Some("arn:aws-cn:s3:::builds/x/out.zip"), &artifact()), elsewhere);
    }

    #[test]
    fn a_build_that_writes_the_artifact_itself_is_taken_at_its_word() {
        assert_eq!(output(Some("arn:aws:s3:::code/app/app.zip"), &artifact()), Output::Artifact);
        assert_eq!(output(None, &artifact()), Output::Artifact);
        assert_eq!(output(Some(""), &artifact()), Output::Artifact);
    }
}
