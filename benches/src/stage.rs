//! One tool with a project and a cloud of its own.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::cloud::Cloud;
use crate::cloud::bill::Bill;
use crate::link::Place;
use crate::paths;
use crate::programs::{Programs, peers};
use crate::project;
use crate::project::edits::{Changed, Edit, Edited};
use crate::run::{Took, run};
use crate::tools::Tool;

/// How long an update of a function takes in Lambda, in ms: what is measured here is the tools.
pub(crate) const UPDATE_MS: u64 = 300;
/// A deployment that takes longer than this is given up.
const LONGEST: Duration = Duration::from_secs(900);
/// Of stores that aren't AWS's the CLI and the function ask whether they heed preconditions. On AWS they don't.
pub(crate) const STORE_CHECK: &str = "off";
const BUCKET: &str = "benches";

/// What one deployment took, from the moment when the edit was saved until all functions ran it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Deployment {
    /// In seconds.
    pub(crate) wall: f64,
    /// Of the tool, in seconds.
    pub(crate) cpu: f64,
    /// The resident memory of the tool's largest process, in bytes.
    pub(crate) memory: u64,
    /// What crossed the network.
    #[serde(flatten)]
    pub(crate) bill: Bill,
}

/// The tool, its project, its cloud.
#[derive(Debug)]
pub(crate) struct Stage<'a> {
    tool: &'a Tool,
    place: Place<'a>,
    directory: PathBuf,
    environment: Vec<(String, String)>,
    functions: Vec<String>,
    cloud: Cloud,
    edited: Edited,
    watch: Option<Watch>,
}

impl<'a> Stage<'a> {
    /// Brings a copy of the project to life.
    ///
    /// # Errors
    /// The tool can't.
    pub(crate) fn set(tool: &'a Tool, project: &Path, place: Place<'a>, programs: &Programs) -> Result<Self> {
        let directory = stages().join(std::process::id().to_string()).join(tool.name);
        fs::create_dir_all(&directory)?;
        let directory = directory.canonicalize()?;
        project::copied(project, &directory.join("project"))?;
        let path = programs.path()?;
        let mut cloud = Cloud::start(&place, &programs.bootstrap, UPDATE_MS, &path)?;
        // Ours pins functions to versions; the others overwrite.
        cloud.bucket(BUCKET, tool.is_ours())?;
        let functions: Vec<_> = ["a", "b", "c", "d"].map(|letter| format!("{}-{letter}", tool.name)).into();
        if tool.finds_functions {
            let seed = directory.join("seed.zip");
            fs::write(&seed, seed_zip()?)?;
            for (function, letter) in functions.iter().zip(["a", "b", "c", "d"]) {
                cloud.function(function, "nodejs20.x", &format!("handlers/{letter}.handler"), &seed)?;
            }
            cloud.live(&functions)?;
        }
        let script = paths::own().join("tools").join(if tool.is_ours() { "quickdeploy" } else { tool.name });
        let mut environment: Vec<(String, String)> = [
            ("PATH", path),
            ("TOOL", script.canonicalize()?.display().to_string()),
            ("PEERS", peers().canonicalize().unwrap_or_else(|_| peers()).display().to_string()),
            ("PREFIX", tool.name.to_owned()),
            ("FUNCTIONS", functions.join(" ")),
            ("BUCKET", BUCKET.to_owned()),
            ("KEY", "artifact.zip".to_owned()),
            ("XDG_CACHE_HOME", directory.join("cache").display().to_string()),
            ("AWS_CONFIG_FILE", "/dev/null".to_owned()),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null".to_owned()),
            ("AWS_PAGER", String::new()),
            ("QUICKDEPLOY_STORE_CHECK", STORE_CHECK.to_owned()),
            ("npm_config_offline", "true".to_owned()),
            ("npm_config_update_notifier", "false".to_owned()),
            ("SAM_CLI_TELEMETRY", "0".to_owned()),
            ("CDK_DISABLE_CLI_TELEMETRY", "true".to_owned()),
            ("SLS_NOTIFICATIONS_MODE", "off".to_owned()),
            ("NO_COLOR", "1".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        environment.extend(cloud.environment().into_iter().map(|(name, value)| (name.to_owned(), value)));
        let edited = Edited::default();
        let mut stage = Self { tool, place, directory, environment, functions, cloud, edited, watch: None };
        // What is done once is done from the fast side of a link.
        let (command, log) = stage.script("prepare.sh", Place::cloud_side, &Changed::default());
        run(&mut { command }, &log).with_context(|| format!("{} can't deploy the project", tool.title))?;
        stage.cloud.live(&stage.functions)?;
        stage.check().context("after the first deployment")?;
        if tool.watches {
            stage.watch = Some(Watch::start(&stage)?);
        }
        Ok(stage)
    }

    /// Makes an edit, deploys it, and sees it live.
    ///
    /// # Errors
    /// The tool fails, or not every function answers with the edit.
    pub(crate) fn deploy(&mut self, edit: Edit) -> Result<Deployment> {
        if let Some(before) = self.edited.needed_before(edit) {
            self.deploy_once(before)?;
        }
        self.deploy_once(edit)
    }

    fn deploy_once(&mut self, edit: Edit) -> Result<Deployment> {
        // Tools that go by times see an edit only in another second, of two, as zip's clock counts.
        std::thread::sleep(Duration::from_millis(if self.tool.name.starts_with("aws") { 2_100 } else { 50 }));
        self.cloud.requests()?;
        let project = self.directory.join("project");
        let (begin, took, end);
        if let Some(watch) = &mut self.watch {
            let before = watch.cpu()?;
            begin = Instant::now();
            self.edited.apply(edit, &project)?;
            watch.wait_for("live")?;
            end = begin.elapsed();
            took = Took { wall: end, cpu: watch.cpu()? - before, memory: watch.memory()? };
        } else {
            let changed = self.edited.apply(edit, &project)?;
            let (mut command, log) = self.script("deploy.sh", Place::developer_side, &changed);
            begin = Instant::now();
            took = run(&mut command, &log)?;
            self.cloud.live(&self.functions)?;
            end = begin.elapsed();
        }
        let bill = Bill::of(&self.cloud.requests()?);
        self.check()?;
        Ok(Deployment { wall: end.as_secs_f64(), cpu: took.cpu.as_secs_f64(), memory: took.memory, bill })
    }

    /// Whether every function answers with what the project now holds.
    fn check(&mut self) -> Result<()> {
        for (function, letter) in self.functions.clone().iter().zip(["a", "b", "c", "d"]) {
            let called = self.cloud.invoke(function, json!({}))?;
            let expected = self.edited.answer(letter);
            ensure!(
                !called.failed && called.answer == expected,
                "{function} answers {}, and not {expected}",
                called.answer
            );
        }
        Ok(())
    }

    /// A script of the tool, and where what it prints goes.
    fn script(
        &self,
        name: &str,
        side: impl Fn(&Place<'a>, &'static str) -> Command,
        changed: &Changed,
    ) -> (Command, PathBuf) {
        let tool = self.environment.iter().find(|(name, _)| name == "TOOL").map(|(_, tool)| tool.clone());
        let mut command = side(&self.place, "timeout");
        command.args(["--kill-after", "5", &LONGEST.as_secs().to_string(), "bash", "-euo", "pipefail"]);
        command.arg(Path::new(&tool.unwrap_or_default()).join(name)).current_dir(&self.directory);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.env("CHANGED", changed.written.join(" ")).env("DELETED", changed.deleted.join(" "));
        (command, self.directory.join(format!("{name}.log")))
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        self.watch = None;
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn stages() -> PathBuf {
    paths::target().join("stages")
}

/// Removes the stages of harnesses that were killed.
///
/// # Errors
/// The directory can't be read.
pub(crate) fn remove_orphans() -> Result<()> {
    fs::create_dir_all(stages())?;
    for entry in fs::read_dir(stages())? {
        let entry = entry?;
        if !Path::new("/proc").join(entry.file_name()).exists() {
            fs::remove_dir_all(entry.path()).with_context(|| format!("cannot remove {}", entry.path().display()))?;
        }
    }
    Ok(())
}

/// Code for functions to be made with.
pub(crate) fn seed_zip() -> Result<Vec<u8>> {
    use std::io::Write as _;
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    writer.start_file("index.js", zip::write::SimpleFileOptions::default())?;
    writer.write_all(b"exports.handler = async () => 'not deployed yet';\n")?;
    Ok(writer.finish()?.into_inner())
}

/// `quickdeploy watch`, under way.
#[derive(Debug)]
struct Watch {
    child: Child,
    events: Receiver<Value>,
}

impl Watch {
    fn start(stage: &Stage<'_>) -> Result<Self> {
        let mut command = stage.place.developer_side("quickdeploy");
        command.args(["watch", "--json"]).current_dir(stage.directory.join("project"));
        command.envs(stage.environment.iter().map(|(name, value)| (name, value)));
        let log = fs::File::create(stage.directory.join("watch.log"))?;
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn()?;
        let stdout = child.stdout.take().context("watch has no stdout")?;
        let (sender, events) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let Ok(event) = serde_json::from_str(&line) else { continue };
                if sender.send(event).is_err() {
                    return;
                }
            }
        });
        let mut watch = Self { child, events };
        watch.wait_for("watching")?;
        Ok(watch)
    }

    fn wait_for(&mut self, wanted: &str) -> Result<()> {
        loop {
            let event = self.events.recv_timeout(LONGEST).context("watch says nothing more")?;
            match event["event"].as_str() {
                Some(name) if name == wanted => return Ok(()),
                Some("failed") => bail!("watch says {event}"),
                _ => {}
            }
        }
    }

    /// So far, user and kernel mode.
    fn cpu(&self) -> Result<Duration> {
        crate::process::cpu(self.child.id())
    }

    /// The most resident memory so far, in bytes.
    fn memory(&self) -> Result<u64> {
        crate::process::peak_memory(self.child.id())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
