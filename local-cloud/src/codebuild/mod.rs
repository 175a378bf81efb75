//! CodeBuild: projects, and builds that really run.
//!
//! A build is a task of its own (`run`), which works through the phases with a directory, a shell (`shell`) and the
//! commands of a buildspec (`buildspec`), on this machine instead of in the container that the project names. Source comes
//! from the local S3 (`source`), artifacts go there (`files`), and the output goes line by line into CloudWatch Logs.
//! `BatchGetBuilds` shows the record (`build`) that the task keeps up to date. Projects are kept on disk where there is a
//! data directory; builds are not.

mod build;
mod buildspec;
mod files;
mod operations;
mod project;
mod run;
mod settings;
mod shell;
mod source;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use build::Build;
use project::Project;
pub use settings::CodeBuildSettings;

use crate::iam::Iam;
use crate::logs::Logs;
use crate::protocol::json::{Answer, Call, Exception};
use crate::s3::Store;
use crate::watchdog::Watchdog;

/// Builds of which the record is kept. After that the oldest complete ones are forgotten.
const KEPT: usize = 1_000;
/// How long to wait for builds to end, when all are told to.
const PATIENCE: Duration = Duration::from_secs(5);

/// The CodeBuild of a local cloud.
#[derive(Debug)]
pub(crate) struct CodeBuild {
    shared: Arc<Shared>,
    /// One task for each build. Dropping them ends the builds.
    running: Mutex<JoinSet<()>>,
    /// Where projects are kept, once [`CodeBuild::keep_in`] was called.
    file: OnceLock<PathBuf>,
    /// One writer at a time, so that the last change is the last one written.
    writing: tokio::sync::Mutex<()>,
}

/// What operations and builds have in common.
#[derive(Debug)]
struct Shared {
    settings: CodeBuildSettings,
    store: Arc<Store>,
    logs: Arc<Logs>,
    iam: Arc<Iam>,
    state: Mutex<State>,
    /// One permit for each build that runs.
    permits: Semaphore,
    watchdog: Arc<Watchdog>,
    /// Changes whenever a record does.
    changes: watch::Sender<u64>,
}

/// Projects by name, builds by id.
#[derive(Debug, Default)]
struct State {
    projects: BTreeMap<String, Project>,
    builds: BTreeMap<String, Build>,
    /// The builds' ids, the oldest first.
    order: Vec<String>,
    /// The number of the last build of each project.
    numbers: BTreeMap<String, u64>,
    /// What stops a build, by its id.
    stops: BTreeMap<String, watch::Sender<bool>>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CodeBuild {
    /// A CodeBuild without projects.
    pub(crate) fn new(settings: CodeBuildSettings, store: Arc<Store>, logs: Arc<Logs>, iam: Arc<Iam>) -> Arc<Self> {
        let permits = Semaphore::new(settings.max_builds.max(1));
        Arc::new(Self {
            shared: Arc::new(Shared {
                settings,
                store,
                logs,
                iam,
                state: Mutex::default(),
                permits,
                watchdog: Arc::default(),
                changes: watch::Sender::new(0),
            }),
            running: Mutex::default(),
            file: OnceLock::new(),
            writing: tokio::sync::Mutex::default(),
        })
    }

    /// Keeps projects in a directory, and brings back those that are already in it.
    ///
    /// # Errors
    /// The file that can't be used, and what is wrong with it.
    pub(crate) async fn keep_in(&self, directory: PathBuf) -> Result<(), (PathBuf, String)> {
        let file = directory.join("projects.json");
        match tokio::fs::read(&file).await {
            Ok(text) => {
                let projects = serde_json::from_slice(&text).map_err(|error| (file.clone(), error.to_string()))?;
                self.shared.state().projects = projects;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err((file, error.to_string())),
        }
        let _ = self.file.set(file);
        Ok(())
    }

    /// Answers one request.
    pub(crate) async fn handle(&self, call: &Call) -> Answer {
        match call.operation.as_str() {
            "BatchGetBuilds" => self.batch_get_builds(call),
            "BatchGetProjects" => self.batch_get_projects(call),
            "CreateProject" => self.create_project(call).await,
            "DeleteProject" => self.delete_project(call).await,
            "ListBuilds" => self.list_builds(call, None),
            "ListBuildsForProject" => self.list_builds_for_project(call),
            "ListProjects" => self.list_projects(call),
            "StartBuild" => self.start_build(call),
            "StopBuild" => self.stop_build(call).await,
            "UpdateProject" => self.update_project(call).await,
            other => Err(Exception::unknown_operation("CodeBuild", other)),
        }
    }

    /// Stops every build and waits for them.
    pub(crate) async fn shutdown(&self) {
        for stop in self.shared.state().stops.values() {
            stop.send_replace(true);
        }
        let mut running = std::mem::take(&mut *self.running());
        let all = async { while running.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(PATIENCE, all).await;
        self.shared.watchdog.close().await;
    }

    /// Brings what is on disk up to date, where projects are kept there.
    async fn save(&self) -> Result<(), Exception> {
        let Some(file) = self.file.get() else { return Ok(()) };
        let _turn = self.writing.lock().await;
        let text = serde_json::to_vec_pretty(&self.shared.state().projects);
        let written = async {
            if let Some(directory) = file.parent() {
                tokio::fs::create_dir_all(directory).await?;
            }
            // A new file beside the old one, then in its place.
            let new = file.with_extension("new");
            tokio::fs::write(&new, text?).await?;
            tokio::fs::rename(&new, file).await
        };
        written.await.map_err(|error: io::Error| Exception {
            status: 500,
            kind: "ServiceUnavailableException",
            message: format!("The projects could not be saved in {}: {error}", file.display()),
        })
    }

    fn running(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn invalid(message: impl Into<String>) -> Exception {
    Exception::new("InvalidInputException", message)
}
