//! One file per verb. A verb turns its flags into work and the work's result into what is seen.

mod afterwards;
mod bootstrap;
mod completions;
mod demo;
mod deploy;
mod diff;
mod doctor;
mod full;
mod history;
mod init;
mod invoke;
mod local;
mod logs;
mod man;
mod patch;
mod rollback;
#[cfg(test)]
mod schemas;
mod status;
mod watch;
mod zipedit_function;

use crate::args::{Chosen, Global, Verb};
use crate::aws::{Cloud, Place};
use crate::compare::project_error;
use crate::error::{Error, Result};
use crate::project::{ArtifactUrl, CONFIG_FILE, ConfigError, Functions, Project, Settings};
use crate::ui::Ui;

pub(crate) use zipedit_function::serve_zipedit;

/// Carries the verb out and says which code to exit with.
pub(crate) async fn run(ui: &Ui, global: &Global, verb: Verb) -> Result<u8> {
    match verb {
        Verb::Deploy(args) => deploy::run(ui, global, args).await,
        Verb::Watch(args) => watch::run(ui, global, args).await,
        Verb::Full(args) => full::run(ui, global, &args).await,
        Verb::Diff(args) => diff::run(ui, global, &args).await,
        Verb::Init(args) => init::run(ui, global, &args).await,
        Verb::Status(args) => status::run(ui, global, &args).await,
        Verb::History(args) => history::run(ui, global, &args).await,
        Verb::Rollback(args) => rollback::run(ui, global, &args).await,
        Verb::Patch(args) => patch::run(ui, global, &args).await,
        Verb::Bootstrap(args) => bootstrap::run(ui, global, &args).await,
        Verb::Doctor(args) => doctor::run(ui, global, &args).await,
        Verb::Logs(args) => logs::run(ui, global, args).await,
        Verb::Invoke(args) => invoke::run(ui, global, args).await,
        Verb::Demo(args) => demo::run(ui, &args).await,
        Verb::Local(args) => local::run(ui, &args).await,
        Verb::Completions(args) => completions::run(ui, &args),
        Verb::Man(args) => man::run(ui, &args),
        // Has no runtime to share and nothing to say: see `main`.
        Verb::ServeZipedit => Err(Error::usage("`__bootstrap` is for the local cloud to start")),
    }
}

/// The project around the current directory: one for each of its artifacts that is `chosen`, by name, and there is at
/// least one. They share the connection's settings.
fn find_projects(global: &Global, chosen: &Chosen) -> Result<Vec<Project>> {
    let here = std::env::current_dir()
        .map_err(|error| Error::new("File", "could not find out the current directory").because(&error))?;
    if Settings::locate(&here).is_none() {
        return Err(Error::new("NoConfig", format!("there is no {CONFIG_FILE} in {} or above it", here.display()))
            .hint("`quickdeploy init` writes one, from a function's or a stack's name")
            .hint(format!("or write it: artifact = \"s3://BUCKET/KEY\" and functions = [\"NAME\"] in {CONFIG_FILE}"))
            .hint("`quickdeploy demo .` shows this directory being deployed with no account and no configuration"));
    }
    let all = Project::find(&here, global.env.as_deref()).map_err(|error| project_error(&error))?;
    if chosen.names.is_empty() {
        return Ok(all);
    }
    let names = || all.iter().filter_map(|project| project.settings().name.clone());
    if let Some(unknown) = chosen.names.iter().find(|name| !names().any(|known| known == **name)) {
        let file = all.iter().find_map(|project| project.settings().file.clone()).unwrap_or_default();
        let error = ConfigError::NoSuchArtifact { file, name: unknown.clone(), known: names().collect() };
        return Err(project_error(&error.into()));
    }
    let is_chosen =
        |project: &Project| project.settings().name.as_ref().is_some_and(|name| chosen.names.contains(name));
    Ok(all.into_iter().filter(is_chosen).collect())
}

/// The same for a verb that works on one artifact.
fn find_project(global: &Global, chosen: &Chosen) -> Result<Project> {
    let mut projects = find_projects(global, chosen)?;
    if let [first, .., last] = projects.as_slice() {
        let example = first.settings().name.clone().unwrap_or_default();
        let names: Vec<String> = projects
            .iter()
            .filter_map(|project| project.settings().name.as_ref())
            .map(|name| format!("`{name}`"))
            .collect();
        let file = last.settings().file.clone().unwrap_or_default();
        return Err(Error::usage(format!("{} has several artifacts: {}", file.display(), names.join(", ")))
            .hint(format!("choose one: `--artifact {example}`")));
    }
    projects.pop().ok_or_else(|| Error::new("Bug", "a project without any artifact"))
}

/// AWS, by the flags and then by the project's settings.
async fn connect(global: &Global, settings: Option<&Settings>) -> Result<Cloud> {
    let file = settings.map_or_else(Place::default, |settings| Place {
        profile: settings.profile.clone(),
        region: settings.region.clone(),
        endpoint_url: settings.endpoint_url.clone(),
        store_check: settings.store_check,
    });
    Cloud::connect(Place::of_flags(global).or(file)).await
}

fn artifact_of(settings: &Settings) -> Result<ArtifactUrl> {
    settings.artifact.clone().ok_or_else(|| missing(settings, "artifact", "artifact = \"s3://BUCKET/KEY\""))
}

fn functions_of(settings: &Settings) -> Result<Functions> {
    settings
        .functions
        .clone()
        .ok_or_else(|| missing(settings, "functions", "functions = [\"NAME\"], or functions = { stack = \"NAME\" }"))
}

fn missing(settings: &Settings, key: &str, line: &str) -> Error {
    let file = settings.file.as_deref().map_or_else(|| CONFIG_FILE.to_owned(), |file| file.display().to_string());
    Error::new("Config", format!("{file} does not set `{key}`")).hint(format!("add a line like {line}"))
}
