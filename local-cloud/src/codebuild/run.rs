//! One build from its turn to its end.
//!
//! The phases follow each other as in AWS: one that fails leads to the end, except that `POST_BUILD` follows `BUILD` whatever
//! became of it, and the artifacts are uploaded after `POST_BUILD` likewise. What is under way when a build is stopped, or
//! when its time is up, ends there: its shell is killed with all that it started.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use tokio::sync::watch;

use super::Shared;
use super::build::{Build, Context, Kind, Status};
use super::buildspec::{Buildspec, Commands, OnFailure};
use super::files;
use super::shell::{Ran, Setting, Shell};
use super::source;
use crate::iam::SessionKeys;
use crate::log::timestamp;
use crate::logs::StreamWriter;

/// Carries out a build that was submitted, until it is complete.
pub(super) async fn run(shared: Arc<Shared>, build: Build, mut stop: watch::Receiver<bool>) {
    let log = build.plan.log_group.as_ref().map(|group| shared.logs.writer(group, &build.plan.log_stream));
    let mut run = Run { shared, id: build.id(), build, log, directory: None, shell: None };
    let ended = tokio::select! {
        () = run.in_time() => None,
        _ = stop.wait_for(|stop| *stop) => Some(Status::Stopped),
    };
    if let Some(shell) = run.shell.take() {
        shell.end().await;
    }
    if let Some(directory) = run.directory.take() {
        // To remove a large tree takes its time.
        let _ = tokio::task::spawn_blocking(move || drop(directory)).await;
    }
    if let Some(status) = ended {
        run.end(status, Context::default());
    }
    run.record(Build::complete);
}

/// A build under way.
struct Run {
    shared: Arc<Shared>,
    id: String,
    /// As it was submitted. What became of it since is in the shared state.
    build: Build,
    log: Option<StreamWriter>,
    directory: Option<TempDir>,
    shell: Option<Shell>,
}

/// A phase that failed, after which the build goes to its end.
struct Over;

impl Run {
    /// Waits for the build's turn, and does its work for as long as it may take.
    async fn in_time(&mut self) {
        let shared = Arc::clone(&self.shared);
        let queued = minutes(self.build.plan.queued_timeout_in_minutes);
        let Ok(Ok(_permit)) = tokio::time::timeout(queued, shared.permits.acquire()).await else {
            return self.end(Status::TimedOut, Context::new("BUILD_TIMED_OUT", "Build has timed out in the queue."));
        };
        self.end(Status::Succeeded, Context::default());
        let limit = minutes(self.build.plan.timeout_in_minutes).min(shared.settings.longest_build);
        if tokio::time::timeout(limit, self.work()).await.is_err() {
            self.say("Build timed out");
            self.end(Status::TimedOut, Context::new("BUILD_TIMED_OUT", "Build has timed out. "));
        }
    }

    async fn work(&mut self) {
        // That a phase has failed is in the record.
        let _: Result<(), Over> = self.phases().await;
    }

    async fn phases(&mut self) -> Result<(), Over> {
        self.begin(Kind::Provisioning);
        tokio::time::sleep(self.shared.settings.provisioning_delay).await;
        let directories = Directories::make();
        let directories = self.conclude(directories.map_err(|error| {
            Context::new("INTERNAL_SERVICE_ERROR", format!("no directory for the build could be made: {error}"))
        }));
        let (directory, directories) = directories?;
        self.directory = Some(directory);

        self.begin(Kind::DownloadSource);
        self.say("Waiting for DOWNLOAD_SOURCE");
        let downloaded = self.download(&directories).await;
        let spec = self.conclude(downloaded)?;
        let setting = self.setting(&spec, &directories);

        self.commands(Kind::Install, &spec.install, &setting).await?;
        self.commands(Kind::PreBuild, &spec.pre_build, &setting).await?;
        let built = self.commands(Kind::Build, &spec.build, &setting).await;
        if built.is_err() && spec.build.on_failure == Some(OnFailure::Abort) {
            return built;
        }
        let finished = self.commands(Kind::PostBuild, &spec.post_build, &setting).await;
        if finished.is_err() && spec.post_build.on_failure == Some(OnFailure::Abort) {
            return finished;
        }
        self.export(&spec, &setting).await;

        self.begin(Kind::UploadArtifacts);
        let uploaded = self.upload(&spec, &setting).await;
        self.conclude(uploaded)
    }

    async fn download(&self, directories: &Directories) -> Result<Buildspec, Context> {
        self.say("Phase is DOWNLOAD_SOURCE");
        source::fetch(&self.shared.store, &self.build.plan, &directories.source).await?;
        self.say(&format!("CODEBUILD_SRC_DIR={}", directories.source.display()));
        let spec = source::buildspec(&self.shared.store, &self.build.plan, &directories.source).await?;
        let given = self.build.plan.environment.environment_variables.iter();
        let remote = given.filter(|variable| variable.kind != "PLAINTEXT").map(|variable| &variable.name);
        match spec.remote_variables.iter().chain(remote).next() {
            None => Ok(spec),
            Some(name) => Err(Context::client(format!(
                "the variable {name} lies in Parameter Store or Secrets Manager, which the local cloud doesn't have: give it as plain text"
            ))),
        }
    }

    /// Runs the commands of a phase until one fails, and then what is to be run `finally`.
    async fn commands(&mut self, kind: Kind, commands: &Commands, setting: &Setting) -> Result<(), Over> {
        self.begin(kind);
        self.say(&format!("Entering phase {}", kind.name()));
        let mut result = self.until_one_fails(&commands.commands, setting).await;
        let finally = self.until_one_fails(&commands.finally, setting).await;
        if result.is_ok() {
            result = finally;
        }
        match self.conclude(result) {
            Err(Over) if commands.on_failure == Some(OnFailure::Continue) => Ok(()),
            other => other,
        }
    }

    async fn until_one_fails(&mut self, commands: &[String], setting: &Setting) -> Result<(), Context> {
        for command in commands {
            let shown = command.trim_end();
            self.say(&format!("Running command {shown}"));
            let reason = match self.in_shell(command, setting).await {
                Ok(Ran::Status(0) | Ran::ShellEnded(0)) => continue,
                Ok(ran) => format!("exit status {}", ran.status()),
                Err(error) => error.to_string(),
            };
            self.say(&format!("Command did not exit successfully {shown} {reason}"));
            let message = format!("Error while executing command: {shown}. Reason: {reason}");
            return Err(Context::new("COMMAND_EXECUTION_ERROR", message));
        }
        Ok(())
    }

    /// Runs a command in the build's shell, or in a new one when the last command ended that.
    async fn in_shell(&mut self, command: &str, setting: &Setting) -> std::io::Result<Ran> {
        let succeeding = self.read(Build::succeeding);
        let shell = self.shell(setting).await?;
        shell.run(&format!("export CODEBUILD_BUILD_SUCCEEDING={}", u8::from(succeeding))).await?;
        let ran = shell.run(command).await?;
        if let Ran::ShellEnded(_) = ran
            && let Some(shell) = self.shell.take()
        {
            shell.end().await;
        }
        Ok(ran)
    }

    async fn shell(&mut self, setting: &Setting) -> std::io::Result<&mut Shell> {
        if self.shell.is_none() {
            self.shell = Some(Shell::start(setting).await?);
        }
        self.shell.as_mut().ok_or_else(|| std::io::Error::other("the shell is gone"))
    }

    /// Notes the values of the variables that are shown with the build.
    async fn export(&mut self, spec: &Buildspec, setting: &Setting) {
        let mut exported = Vec::new();
        for name in spec.exported_variables.iter().filter(|name| is_variable(name)) {
            if let Ok(shell) = self.shell(setting).await
                && let Ok(value) = shell.evaluate(&format!("${{{name}-}}")).await
            {
                exported.push((name.clone(), value));
            }
        }
        self.record(|build, _| build.exported = exported);
    }

    /// Puts the artifacts into S3.
    async fn upload(&mut self, spec: &Buildspec, setting: &Setting) -> Result<(), Context> {
        let artifacts = self.build.plan.artifacts.clone();
        if artifacts.kind != "S3" {
            return Ok(());
        }
        let Some(wanted) = spec.artifacts.clone() else { return Ok(()) };
        let internal = |error: &dyn std::fmt::Display| Context::new("INTERNAL_SERVICE_ERROR", error.to_string());
        let name = match (&wanted.name, artifacts.override_artifact_name) {
            (Some(name), Some(true)) => {
                let shell = self.shell(setting).await.map_err(|error| internal(&error))?;
                Some(shell.evaluate(name).await.map_err(|error| internal(&error))?)
            }
            _ => artifacts.name.clone(),
        };
        let bucket = artifacts.location.as_deref().unwrap_or_default();
        let key = self.key(name.as_deref());
        self.say("Assembling file list");
        let (root, zip) = (setting.directory.clone(), artifacts.packaging.as_deref() == Some("ZIP"));
        let collected = tokio::task::spawn_blocking(move || {
            let files = files::collect(&root, &wanted).map_err(Context::client)?;
            let zipped = zip.then(|| files::zipped(&files)).transpose();
            zipped.map(|zipped| (files, zipped)).map_err(|error| Context::client(error.to_string()))
        });
        let (files, zipped) = collected.await.map_err(|error| internal(&error))??;
        self.say(&format!("Found {} file(s)", files.len()));
        if let Some(zipped) = zipped {
            self.put(bucket, &key, zipped).await?;
        } else {
            for file in files {
                let content = tokio::fs::read(&file.path).await.map_err(|error| internal(&error))?;
                let folder = if key.is_empty() { String::new() } else { format!("{key}/") };
                self.put(bucket, &format!("{folder}{}", file.name), content).await?;
            }
        }
        let location = format!("arn:aws:s3:::{bucket}/{key}");
        self.record(|build, _| build.artifact_location = Some(location));
        Ok(())
    }

    async fn put(&self, bucket: &str, key: &str, content: Vec<u8>) -> Result<(), Context> {
        let put = self.shared.store.put(bucket, key, content.into()).await;
        put.map_err(|refusal| {
            Context::client(format!(
                "Error in UPLOAD_ARTIFACTS phase: {}: {} (s3://{bucket}/{key})",
                refusal.code(),
                refusal.message()
            ))
        })
    }

    /// Where the artifacts go: path, build id if that is wanted, and name, of which `/` is none.
    fn key(&self, name: Option<&str>) -> String {
        let artifacts = &self.build.plan.artifacts;
        let namespace = (artifacts.namespace_type.as_deref() == Some("BUILD_ID")).then_some(&*self.build.uuid);
        let parts = [artifacts.path.as_deref(), namespace, Some(name.unwrap_or(&self.build.plan.project))];
        let parts: Vec<&str> = parts.into_iter().flatten().map(|part| part.trim_matches('/')).collect();
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
    }

    /// What commands see. Of two variables with one name the build's own counts, then the project's, then the buildspec's.
    fn setting(&self, spec: &Buildspec, directories: &Directories) -> Setting {
        let plan = &self.build.plan;
        let build = &self.build;
        let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
        let log = self.log.as_ref().map(|log| format!("{}/{}", log.group(), log.stream())).unwrap_or_default();
        let keys = self.shared.iam.session_keys(&plan.service_role, "AWSCodeBuild");
        let own: [(&str, OsString); 21] = [
            ("AWS_DEFAULT_REGION", plan.region.as_str().into()),
            ("AWS_REGION", plan.region.as_str().into()),
            ("AWS_ENDPOINT_URL", plan.endpoint.as_str().into()),
            ("AWS_EC2_METADATA_DISABLED", "true".into()),
            ("CODEBUILD_BUILD_ARN", build.arn().into()),
            ("CODEBUILD_BUILD_ID", self.id.as_str().into()),
            ("CODEBUILD_BUILD_IMAGE", plan.environment.image.as_str().into()),
            ("CODEBUILD_BUILD_NUMBER", build.number.to_string().into()),
            ("CODEBUILD_BUILD_SUCCEEDING", "1".into()),
            ("CODEBUILD_INITIATOR", plan.initiator.as_str().into()),
            ("CODEBUILD_LOG_PATH", log.into()),
            ("CODEBUILD_RESOLVED_SOURCE_VERSION", plan.source_version.as_deref().unwrap_or_default().into()),
            ("CODEBUILD_SOURCE_REPO_URL", plan.source.location.as_deref().unwrap_or_default().into()),
            ("CODEBUILD_SOURCE_VERSION", plan.source_version.as_deref().unwrap_or_default().into()),
            ("CODEBUILD_SRC_DIR", directories.source.as_os_str().into()),
            ("CODEBUILD_START_TIME", crate::lambda::epoch_millis(build.started).to_string().into()),
            ("HOME", directories.home.as_os_str().into()),
            ("LANG", "C.UTF-8".into()),
            ("PATH", path),
            ("TMPDIR", directories.temporary.as_os_str().into()),
            ("USER", "root".into()),
        ];
        let declared = spec.variables.iter().map(|(name, value)| (name.clone(), OsString::from(value)));
        let given = &plan.environment.environment_variables;
        let given = given.iter().map(|variable| (variable.name.clone(), OsString::from(&variable.value)));
        let own = own.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(SessionKeys::variables(keys));
        let environment: BTreeMap<String, OsString> = own.chain(declared).chain(given).collect();
        Setting {
            program: if spec.shell.as_deref() == Some("bash") { "bash" } else { "sh" }.to_owned(),
            environment,
            directory: directories.source.clone(),
            scratch: directories.scratch.clone(),
            log: self.log.clone(),
            watchdog: Arc::clone(&self.shared.watchdog),
        }
    }

    fn begin(&self, kind: Kind) {
        self.record(|build, now| build.begin(kind, now));
    }

    fn end(&self, status: Status, context: Context) {
        self.record(|build, now| build.end(status, context, now));
    }

    /// Ends a phase by its result, and says so in the log.
    fn conclude<T>(&self, result: Result<T, Context>) -> Result<T, Over> {
        let (status, context, result) = match result {
            Ok(value) => (Status::Succeeded, Context::default(), Ok(value)),
            Err(context) => (Status::Failed, context, Err(Over)),
        };
        let kind = self.read(Build::current_phase);
        self.say(&format!("Phase complete: {kind} State: {}", status.name()));
        self.say(&format!("Phase context status code: {} Message: {}", context.code, context.message));
        self.end(status, context);
        result
    }

    /// Writes a line of the agent into the log.
    fn say(&self, text: &str) {
        let Some(log) = &self.log else { return };
        let now = timestamp(SystemTime::now()).replace('-', "/").replace('T', " ");
        log.write(&format!("[Container] {} {text}\n", now.trim_end_matches('Z')));
    }

    fn record(&self, change: impl FnOnce(&mut Build, SystemTime)) {
        if let Some(build) = self.shared.state().builds.get_mut(&self.id) {
            change(build, SystemTime::now());
        }
        self.shared.changes.send_modify(|count| *count += 1);
    }

    fn read<T>(&self, read: impl FnOnce(&Build) -> T) -> T {
        let state = self.shared.state();
        read(state.builds.get(&self.id).unwrap_or(&self.build))
    }
}

/// Where a build works.
struct Directories {
    source: PathBuf,
    home: PathBuf,
    temporary: PathBuf,
    scratch: PathBuf,
}

impl Directories {
    fn make() -> std::io::Result<(TempDir, Self)> {
        let directory = tempfile::Builder::new().prefix("local-codebuild-").tempdir()?;
        // A path without links, as `pwd` gives it.
        let root = directory.path().canonicalize()?;
        let below = |name: &str| -> std::io::Result<PathBuf> {
            let path = Path::join(&root, name);
            std::fs::create_dir(&path).map(|()| path)
        };
        let directories =
            Self { source: below("src")?, home: below("home")?, temporary: below("tmp")?, scratch: below("agent")? };
        Ok((directory, directories))
    }
}

fn minutes(minutes: u32) -> Duration {
    Duration::from_secs(u64::from(minutes) * 60)
}

/// Whether the shell takes a name as that of a variable.
fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
