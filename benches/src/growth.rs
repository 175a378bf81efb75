//! How a deployment grows: with the functions, and `diff` with the tree.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::cloud::Cloud;
use crate::cloud::protocol::Request;
use crate::link::Place;
use crate::programs::Programs;
use crate::progress::Progress;
use crate::run::{Took, run};
use crate::stage::{STORE_CHECK, UPDATE_MS};

const BUCKET: &str = "benches";
/// Control-plane calls a second that Lambda takes, and at once after a pause.
const QUOTA: f64 = 15.0;

/// An edit deployed to many functions.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Fleet {
    /// How many.
    pub(crate) functions: usize,
    /// Until all are live, in seconds.
    pub(crate) wall: f64,
    /// Control-plane calls from the first update on.
    pub(crate) calls: usize,
    /// Those refused with 429.
    pub(crate) throttled: usize,
    /// From the first of them to the last, in seconds.
    pub(crate) calling: f64,
    /// What the quota asks for that at least, in seconds.
    pub(crate) allowed: f64,
}

/// Deploys an edit to 1, 10, 100 and 500 functions of one artifact.
///
/// # Errors
/// A deployment fails.
pub(crate) fn by_functions(programs: &Programs, progress: &Progress) -> Result<Vec<Fleet>> {
    let mut fleets = Vec::new();
    for functions in [1, 10, 100, 500] {
        let scratch = tempfile::tempdir()?;
        let (mut cloud, project) = project(scratch.path(), programs, functions)?;
        let mut deploy = quickdeploy(programs, &cloud, &project);
        deploy.arg("--quiet");
        fs::write(project.join("index.js"), "exports.handler = async () => 'edited';\n")?;
        // The quota is full again.
        std::thread::sleep(Duration::from_secs(2));
        cloud.requests()?;
        let took = run(&mut deploy, &scratch.path().join("log"))?;
        let fleet = fleet(functions, took, &cloud.requests()?);
        progress.done(&format!("{functions:>4} functions {:8.2} s, {} throttled", fleet.wall, fleet.throttled));
        fleets.push(fleet);
    }
    Ok(fleets)
}

fn fleet(functions: usize, took: Took, requests: &[Request]) -> Fleet {
    // GetFunction has a quota of its own, and so has S3.
    let calls = ["UpdateFunctionCode", "ListCodeSigningConfigs", "GetFunctionConfiguration", "ListFunctions"];
    // Before the first update, functions are read, at the rate of another quota.
    let updates = requests.iter().filter(|request| request.operation == "UpdateFunctionCode");
    let first = updates.map(|update| update.begin).fold(f64::INFINITY, f64::min);
    let calls = requests.iter().filter(|it| calls.contains(&it.operation.as_str()) && it.begin >= first);
    let calls: Vec<_> = calls.collect();
    let last = calls.iter().map(|call| call.begin).fold(0.0, f64::max);
    Fleet {
        functions,
        wall: took.wall.as_secs_f64(),
        calls: calls.len(),
        throttled: requests.iter().filter(|request| request.status == 429).count(),
        calling: (last - first).max(0.0) / 1e3,
        allowed: ((calls.len() as f64 - QUOTA) / QUOTA).max(0.0),
    }
}

/// `diff` beside `git status`, nothing changed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Tree {
    /// How many.
    pub(crate) files: usize,
    /// Each run of `quickdeploy diff`, in ms.
    pub(crate) diff_ms: Vec<f64>,
    /// Each run of `git status --porcelain`, in ms.
    pub(crate) git_ms: Vec<f64>,
    /// CPU of `quickdeploy diff`, in ms.
    pub(crate) diff_cpu_ms: Vec<f64>,
    /// CPU of `git status`, in ms.
    pub(crate) git_cpu_ms: Vec<f64>,
}

/// Looks for changes, of which there are none, in trees of up to 20,000 files.
///
/// # Errors
/// `git` is missing, or a command fails.
pub(crate) fn by_tree(runs: usize, programs: &Programs, progress: &Progress) -> Result<Vec<Tree>> {
    let mut trees = Vec::new();
    for files in [1_000, 5_000, 20_000] {
        let scratch = tempfile::tempdir()?;
        let (cloud, project) = project(scratch.path(), programs, 1)?;
        for at in 0..files {
            let file = project.join(format!("src/part-{}/module-{at}.js", at / 40));
            if at % 40 == 0 {
                fs::create_dir_all(file.parent().context("it has a directory")?)?;
            }
            fs::write(file, format!("exports.number = {at};\n").repeat(at % 60 + 1))?;
        }
        let log = scratch.path().join("log");
        let full = |arguments: &[&str]| {
            let mut command = quickdeploy(programs, &cloud, &project);
            command.args(arguments);
            command
        };
        run(&mut full(&["full", "--quiet"]), &log)?;
        for arguments in [
            &["init", "--quiet"][..],
            &["add", "--all"],
            &["-c", "user.name=b", "-c", "user.email=b@b", "commit", "-qm", "all"],
        ] {
            run(git(&project).args(arguments), &log)?;
        }
        let mut tree =
            Tree { files, diff_ms: Vec::new(), git_ms: Vec::new(), diff_cpu_ms: Vec::new(), git_cpu_ms: Vec::new() };
        // The first two write their indexes; files that are younger than an index are read again.
        for round in 0..runs + 3 {
            if round < 3 {
                std::thread::sleep(Duration::from_millis(1_100));
            }
            let diff = run(&mut full(&["diff", "--quiet", "--exit-code"]), &log)?;
            let status = run(git(&project).args(["status", "--porcelain"]), &log)?;
            if round >= 3 {
                tree.diff_ms.push(diff.wall.as_secs_f64() * 1e3);
                tree.git_ms.push(status.wall.as_secs_f64() * 1e3);
                tree.diff_cpu_ms.push(diff.cpu.as_secs_f64() * 1e3);
                tree.git_cpu_ms.push(status.cpu.as_secs_f64() * 1e3);
            }
        }
        progress.done(&format!("{files:>6} files: diff {:.1?} ms, git status {:.1?} ms", tree.diff_ms, tree.git_ms));
        trees.push(tree);
    }
    Ok(trees)
}

/// A small project that runs in so many functions.
fn project(scratch: &Path, programs: &Programs, functions: usize) -> Result<(Cloud, std::path::PathBuf)> {
    let mut cloud = Cloud::start(&Place::new(None), &programs.bootstrap, UPDATE_MS, &programs.path()?)?;
    cloud.bucket(BUCKET, true)?;
    let project = scratch.join("project");
    fs::create_dir(&project)?;
    fs::write(project.join("index.js"), "exports.handler = async () => 'first';\n")?;
    let names: Vec<_> = (0..functions).map(|at| format!("f{at:03}")).collect();
    fs::write(
        project.join("quickdeploy.toml"),
        format!("artifact = \"s3://{BUCKET}/artifact.zip\"\nfunctions = {names:?}\n"),
    )?;
    let seed = scratch.join("seed.zip");
    fs::write(&seed, crate::stage::seed_zip()?)?;
    cloud.quota(0.0)?;
    for name in &names {
        cloud.function(name, "nodejs20.x", "index.handler", &seed)?;
    }
    cloud.live(&names)?;
    let full = run(quickdeploy(programs, &cloud, &project).args(["full", "--quiet"]), &scratch.join("log"));
    full.context("the first deployment")?;
    cloud.quota(QUOTA)?;
    Ok((cloud, project))
}

fn quickdeploy(programs: &Programs, cloud: &Cloud, project: &Path) -> Command {
    let mut command = Command::new(&programs.quickdeploy);
    let cache = project.with_file_name("cache");
    command.current_dir(project).envs(cloud.environment()).env("XDG_CACHE_HOME", cache);
    command.env("QUICKDEPLOY_STORE_CHECK", STORE_CHECK);
    command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    command
}

fn git(project: &Path) -> Command {
    let mut command = Command::new("git");
    command.current_dir(project).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    command
}
