//! The full build: what a pipeline does for one changed line, phase by phase.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::cloud::Cloud;
use crate::link::Place;
use crate::paths;
use crate::programs::{Peer, Programs};
use crate::progress::Progress;
use crate::project;
use crate::project::edits::{Edit, Edited};
use crate::run::run;
use crate::stage::UPDATE_MS;

const BUCKET: &str = "benches";
const STACK: &str = "full";

/// One full build.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FullBuild {
    /// Of the project's zip, about, in MB.
    pub(crate) size: u32,
    /// Each phase and its seconds, in order.
    pub(crate) phases: Vec<(String, f64)>,
}

impl FullBuild {
    /// All of it, in seconds.
    pub(crate) fn total(&self) -> f64 {
        self.phases.iter().map(|(_, seconds)| seconds).sum()
    }
}

/// Builds after each of so many edits; each is seen live.
///
/// # Errors
/// A phase fails.
pub(crate) fn full_builds(size: u32, runs: usize, programs: &Programs, progress: &Progress) -> Result<Vec<FullBuild>> {
    Peer::Python.install()?;
    let installed = project::installed(size)?;
    let scratch = tempfile::tempdir_in(paths::target())?;
    let repository = repository(&installed, scratch.path())?;
    let path = programs.path()?;
    let mut cloud = Cloud::start(&Place::new(None), &programs.bootstrap, UPDATE_MS, &path)?;
    cloud.bucket(BUCKET, false)?;
    let mut edited = Edited::default();
    let mut builds = Vec::new();
    for number in 0..=runs {
        // The first one makes the stack.
        if number > 0 {
            edited.apply(Edit::OneLine, &repository)?;
            run(
                git(&repository).args(["commit", "--quiet", "--all", "--message", "one line"]),
                &scratch.path().join("log"),
            )?;
        }
        let directory = scratch.path().join(format!("build-{number}"));
        fs::create_dir(&directory)?;
        let mut build = FullBuild { size, phases: Vec::new() };
        for (name, script) in phases()? {
            let mut command = Command::new("bash");
            command.args(["-euo", "pipefail"]).arg(&script).current_dir(&directory).env("PATH", &path);
            command.envs(cloud.environment()).env("AWS_PAGER", "").env("REPOSITORY", &repository);
            command.env("BUCKET", BUCKET).env("STACK", STACK).env("RUN", format!("run-{number}"));
            command.env("TYPE", if number == 0 { "CREATE" } else { "UPDATE" });
            command.env("HERE", std::path::absolute(paths::own().join("full-build"))?);
            let took = run(&mut command, &directory.join("log")).with_context(|| format!("the phase {name}"))?;
            build.phases.push((name, took.wall.as_secs_f64()));
        }
        fs::remove_dir_all(&directory)?;
        let called = cloud.invoke("full-a", json!({}))?;
        ensure!(called.answer == edited.answer("a"), "the build is done, and full-a answers {}", called.answer);
        if number > 0 {
            progress.done(&format!("{size:>4} MB, a full build {:8.2} s", build.total()));
            builds.push(build);
        }
    }
    Ok(builds)
}

/// The scripts, by their phases' names, in order.
fn phases() -> Result<Vec<(String, PathBuf)>> {
    let mut scripts = Vec::new();
    for entry in fs::read_dir(paths::own().join("full-build/phases"))? {
        let path = std::path::absolute(entry?.path())?;
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        scripts.push((stem, path));
    }
    scripts.sort();
    let name = |stem: &str| stem.split_once('-').map_or(stem, |(_, name)| name).to_owned();
    Ok(scripts.into_iter().map(|(stem, path)| (name(&stem), path)).collect())
}

/// A repository of what the project is without what is installed.
fn repository(project: &Path, scratch: &Path) -> Result<PathBuf> {
    let repository = scratch.join("repository");
    project::copied(project, &repository)?;
    fs::remove_dir_all(repository.join("node_modules"))?;
    let log = scratch.join("log");
    run(git(&repository).args(["init", "--quiet"]), &log)?;
    run(git(&repository).args(["add", "--all"]), &log)?;
    run(git(&repository).args(["commit", "--quiet", "--message", "the project"]), &log)?;
    Ok(repository)
}

fn git(repository: &Path) -> Command {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=benches", "-c", "user.email=benches@localhost"]).current_dir(repository);
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    command
}
