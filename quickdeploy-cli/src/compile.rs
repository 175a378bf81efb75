//! `compile = "…"`: what makes the deployed files from their sources, before they are compared with the artifact.
//!
//! Of artifacts that share a root and a command, one run is for all. So the command is told nothing about artifacts:
//! in its environment are `QUICKDEPLOY_ROOT` and, with `--env`, `QUICKDEPLOY_ENV`.

use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::interrupt::{Interrupts, nothing_changed};
use crate::project::{Project, Settings};
use crate::shell::{Ended, Script};
use crate::ui::{Ui, duration};

/// So many of its last lines are in the error.
const LAST_LINES: usize = 20;

/// The stable name of the error that the command did not succeed.
pub(crate) const FAILED: &str = "CompileFailed";

/// The command of a project's settings.
#[derive(Clone, Debug)]
pub(crate) struct Compile {
    script: Script,
}

impl Compile {
    /// `None`: the files are deployed as they are.
    pub(crate) fn of(settings: &Settings) -> Option<Self> {
        let command = settings.compile.clone()?;
        let mut variables = vec![("QUICKDEPLOY_ROOT", settings.root.clone().into_os_string())];
        variables.extend(settings.env.as_ref().map(|env| ("QUICKDEPLOY_ENV", env.into())));
        Some(Self { script: Script { command, directory: settings.root.clone(), variables } })
    }

    /// As it is written.
    pub(crate) fn command(&self) -> &str {
        &self.script.command
    }

    /// Whether one run is for both.
    pub(crate) fn is_the_same(&self, other: &Self) -> bool {
        (&self.script.command, &self.script.directory) == (&other.script.command, &other.script.directory)
    }

    /// Runs it to its end and says how long that took. What it prints is told with `-v`; when it fails, the last lines are
    /// in the error.
    ///
    /// # Errors
    ///
    /// [`FAILED`] with its exit code; `Interrupted`, after it has been ended.
    pub(crate) async fn run(&self, ui: &Ui, interrupts: &Interrupts) -> Result<Duration> {
        let start = Instant::now();
        let told = |line: &str| {
            if ui.is_verbose() {
                ui.output(line);
            }
        };
        let ended = self.script.run(LAST_LINES, told, interrupts).await;
        let ended = ended.map_err(|error| could_not_run(self.command(), &error))?.ok_or_else(nothing_changed)?;
        if !ended.status.success() {
            return Err(failed(self.command(), &ended));
        }
        Ok(start.elapsed())
    }
}

/// Before a deployment of these projects: each command once.
///
/// # Errors
///
/// As for [`Compile::run`]: nothing is deployed then.
pub(crate) async fn compile(ui: &Ui, projects: &[Project], interrupts: &Interrupts) -> Result<()> {
    let mut done: Vec<Compile> = Vec::new();
    for compile in projects.iter().filter_map(|project| Compile::of(project.settings())) {
        if done.iter().any(|other| other.is_the_same(&compile)) {
            continue;
        }
        let progress = ui.progress(&format!("Compiling by `{}`", compile.command()));
        let took = compile.run(ui, interrupts).await;
        drop(progress);
        ui.status("Compiled", ui.fitting(&format!("in {} by `{}`", duration(took?), compile.command())));
        done.push(compile);
    }
    Ok(())
}

fn could_not_run(command: &str, error: &std::io::Error) -> Error {
    Error::new(FAILED, format!("could not run `{command}`, which `compile` in quickdeploy.toml names")).because(error)
}

fn failed(command: &str, ended: &Ended) -> Error {
    let error = Error::new(FAILED, format!("`{command}` {}: nothing was deployed", ended.how()));
    let shown = ended.last.len();
    let error = match ended.lines {
        0 => error.hint("it has printed nothing that says why: run it by hand"),
        all if all == shown => error.cause(format!("it says:\n{}", ended.last.join("\n"))),
        all => error.cause(format!("the last {shown} of the {all} lines that it printed:\n{}", ended.last.join("\n"))),
    };
    match ended.hint() {
        Some(hint) => error.hint(hint),
        None => error,
    }
}
