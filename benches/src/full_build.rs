//! The full build: what a pipeline does for one changed line, phase by phase.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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
    /// Of the project's zip, about, in MB; 0 for a project of the user's.
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

/// The real services, and what of them.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Services {
    /// Run this CodeBuild project instead, on AWS. It costs what a build costs.
    #[arg(long, value_name = "NAME")]
    codebuild_project: Option<String>,
    /// Then update this stack by a change set.
    #[arg(long, value_name = "NAME", requires = "codebuild_project")]
    stack: Option<String>,
    /// With these parameters; all others stay. `{number}` in a value is the build's number.
    #[arg(long = "parameter", value_name = "KEY=VALUE", requires = "stack")]
    parameters: Vec<String>,
}

impl Services {
    /// Whether they are wanted.
    pub(crate) fn are_wanted(&self) -> bool {
        self.codebuild_project.is_some()
    }

    /// Runs so many builds, with the credentials of the environment.
    ///
    /// # Errors
    /// A build or an update fails.
    pub(crate) fn builds(&self, runs: usize, programs: &Programs, progress: &Progress) -> Result<Vec<FullBuild>> {
        Peer::Python.install()?;
        let mut builds = Vec::new();
        for _ in 0..runs {
            let mut command = Command::new("python3");
            command.env("PATH", programs.path()?).arg(paths::own().join("full-build/services/build.py"));
            let options = [("--codebuild-project", &self.codebuild_project), ("--stack", &self.stack)];
            for (name, value) in options.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
                command.args([name, value]);
            }
            command.args(self.parameters.iter().flat_map(|parameter| ["--parameter", parameter]));
            let output = command.stderr(Stdio::inherit()).output()?;
            ensure!(output.status.success(), "the full build failed: {}", output.status);
            let build = FullBuild { size: 0, phases: serde_json::from_slice(&output.stdout)? };
            progress.done(&format!("a full build by CodeBuild and CloudFormation {:8.2} s", build.total()));
            builds.push(build);
        }
        Ok(builds)
    }
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
