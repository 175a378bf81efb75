//! The build that runs here: `build = "…"`, by the shell, in the project's root.

use std::time::Instant;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::interrupt::{Interrupts, nothing_changed};
use crate::project::Settings;
use crate::shell::{Ended, Script};
use crate::ui::{Ui, duration};

/// So many of its last lines are in the error.
const LAST_LINES: usize = 12;

/// What was built, in JSON.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct Built {
    /// The command that built here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) command: Option<String>,
    /// The CodeBuild build that did, by its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) codebuild: Option<String>,
    pub(crate) elapsed_ms: u64,
}

/// Runs the command to its end.
///
/// # Errors
///
/// `BuildFailed` with its exit code and last lines; `Interrupted`, after the command has been ended.
pub(super) async fn build(ui: &Ui, settings: &Settings, command: &str, interrupts: &Interrupts) -> Result<Built> {
    let start = Instant::now();
    ui.status("Building", ui.fitting(&format!("`{command}`")));
    let script =
        Script { command: command.to_owned(), directory: settings.root.clone(), variables: variables(settings) };
    let progress = ui.progress("Building");
    let ended = script.run(LAST_LINES, |line| ui.output(line), interrupts).await;
    drop(progress);
    let ended = ended.map_err(|error| could_not_run(command, &error))?.ok_or_else(nothing_changed)?;
    if !ended.status.success() {
        // Who has just read them need not read them again.
        let told = !ui.is_json() && !ui.is_quiet();
        return Err(failed(command, &ended, told));
    }
    ui.status("Built", format!("in {}", duration(start.elapsed())));
    Ok(Built {
        command: Some(command.to_owned()),
        codebuild: None,
        elapsed_ms: u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}

/// What is built, and for which artifact.
fn variables(settings: &Settings) -> Vec<(&'static str, std::ffi::OsString)> {
    let mut variables = vec![("QUICKDEPLOY_ROOT", settings.root.clone().into_os_string())];
    if let Some(artifact) = &settings.artifact {
        variables.push(("QUICKDEPLOY_ARTIFACT", artifact.to_string().into()));
        variables.push(("QUICKDEPLOY_BUCKET", artifact.bucket.clone().into()));
        variables.push(("QUICKDEPLOY_KEY", artifact.key.clone().into()));
    }
    for (name, value) in [("QUICKDEPLOY_ENV", &settings.env), ("QUICKDEPLOY_ARTIFACT_NAME", &settings.name)] {
        variables.extend(value.as_ref().map(|value| (name, value.into())));
    }
    variables
}

fn could_not_run(command: &str, error: &std::io::Error) -> Error {
    Error::new("BuildFailed", format!("could not run the build `{command}`")).because(error)
}

fn failed(command: &str, ended: &Ended, told: bool) -> Error {
    let error = Error::new("BuildFailed", format!("the build `{command}` {}: nothing was deployed", ended.how()));
    let error = if told || ended.last.is_empty() {
        error
    } else {
        error.cause(format!("its last lines:\n{}", ended.last.join("\n")))
    };
    match ended.hint() {
        Some(hint) => error.hint(hint),
        None => error,
    }
}
