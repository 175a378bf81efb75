//! The build that runs here: `build = "…"`, by the shell, in the project's root.
//!
//! What it prints is passed on line by line as it comes, and the last lines are kept for the error. It is a process group
//! of its own, so that an interrupt ends the compilers and bundlers that it has started, too, and not only the shell.

use std::collections::VecDeque;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use crate::error::{Error, Result};
use crate::interrupt::{Interrupts, nothing_changed};
use crate::project::Settings;
use crate::ui::{Ui, duration};

/// So many of its last lines are in the error.
const LAST_LINES: usize = 12;
/// How long a build may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(5);

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
    let mut child = spawn(settings, command)?;
    let (sender, mut lines) = mpsc::channel(64);
    let readers = [
        child.stdout.take().map(|out| tokio::spawn(pass_on(out, sender.clone()))),
        child.stderr.take().map(|out| tokio::spawn(pass_on(out, sender.clone()))),
    ];
    drop(sender);
    let mut last = VecDeque::with_capacity(LAST_LINES);
    let progress = ui.progress("Building");
    let ended = async {
        while let Some(line) = lines.recv().await {
            ui.output(&line);
            if last.len() == LAST_LINES {
                last.pop_front();
            }
            last.push_back(line);
        }
        child.wait().await
    };
    let status = tokio::select! {
        status = ended => Some(status),
        () = interrupts.nth(1) => None,
    };
    drop(progress);
    let Some(status) = status else {
        end(&mut child).await;
        for reader in readers.into_iter().flatten() {
            reader.abort();
        }
        return Err(nothing_changed());
    };
    let status = status.map_err(|error| could_not_run(command, &error))?;
    if !status.success() {
        // Who has just read them need not read them again.
        let told = !ui.is_json() && !ui.is_quiet();
        return Err(failed(command, status, if told { VecDeque::new() } else { last }));
    }
    ui.status("Built", format!("in {}", duration(start.elapsed())));
    Ok(Built {
        command: Some(command.to_owned()),
        codebuild: None,
        elapsed_ms: u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}

fn spawn(settings: &Settings, command: &str) -> Result<Child> {
    let mut shell = shell(command);
    shell
        .current_dir(&settings.root)
        .env("QUICKDEPLOY_ROOT", &settings.root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    if let Some(artifact) = &settings.artifact {
        shell
            .env("QUICKDEPLOY_ARTIFACT", artifact.to_string())
            .env("QUICKDEPLOY_BUCKET", &artifact.bucket)
            .env("QUICKDEPLOY_KEY", &artifact.key);
    }
    for (name, value) in [("QUICKDEPLOY_ENV", &settings.env), ("QUICKDEPLOY_ARTIFACT_NAME", &settings.name)] {
        if let Some(value) = value {
            shell.env(name, value);
        }
    }
    shell.spawn().map_err(|error| could_not_run(command, &error))
}

#[cfg(unix)]
fn shell(command: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(command).process_group(0);
    shell
}

#[cfg(not(unix))]
fn shell(command: &str) -> Command {
    let mut shell = Command::new("cmd");
    shell.arg("/C").arg(command);
    shell
}

/// Asks the build's whole process group to end, then makes what is left of it.
#[cfg(unix)]
async fn end(child: &mut Child) {
    use rustix::process::{Pid, Signal, kill_process_group};
    let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let signal = |signal| {
        // What has ended already can't be asked; that is all that can go wrong.
        let _ = group.map(|group| kill_process_group(group, signal));
    };
    signal(Signal::INT);
    // A shell keeps an interrupt from what it runs in the background: that is left when the shell has ended.
    drop(tokio::time::timeout(GRACE, child.wait()).await);
    signal(Signal::KILL);
    drop(child.wait().await);
}

#[cfg(not(unix))]
async fn end(child: &mut Child) {
    drop(tokio::time::timeout(GRACE, child.kill()).await);
}

/// Line by line, whatever the bytes are. A line that was drawn over itself counts as what it came to.
async fn pass_on(out: impl AsyncRead + Unpin, lines: mpsc::Sender<String>) {
    let mut out = BufReader::new(out);
    let mut line = Vec::new();
    while matches!(out.read_until(b'\n', &mut line).await, Ok(1..)) {
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\n', '\r']);
        let text = text.rsplit('\r').next().unwrap_or_default();
        if lines.send(anstream::adapter::strip_str(text).to_string()).await.is_err() {
            return;
        }
        line.clear();
    }
}

fn could_not_run(command: &str, error: &std::io::Error) -> Error {
    Error::new("BuildFailed", format!("could not run the build `{command}`")).because(error)
}

fn failed(command: &str, status: ExitStatus, last: VecDeque<String>) -> Error {
    let how = match status.code() {
        Some(code) => format!("ended with exit code {code}"),
        None => "was ended by a signal".to_owned(),
    };
    let error = Error::new("BuildFailed", format!("the build `{command}` {how}: nothing was deployed"));
    let last: Vec<String> = last.into();
    let error = if last.is_empty() { error } else { error.cause(format!("its last lines:\n{}", last.join("\n"))) };
    match status.code() {
        Some(127) => error.hint("a program in it was not found: is it installed, and in PATH?"),
        _ => error,
    }
}
