//! What to start for a function: its `bootstrap`, or an interpreter with our runtime client for its language.
//!
//! Interpreters are those of the host. For `python3.12`, `python3.12` is tried before `python3`; for any version of
//! Node.js it is `node`. What is found is asked for its real path once, so that a version manager's shim, which needs
//! an environment that functions don't have, is not in the way.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use tempfile::TempDir;
use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::lambda::deployment::{Artifact, Deployment};
use crate::lambda::errors::{ApiError, ErrorKind, Result};
use crate::lambda::unpack::Unpacked;

const NODE_CLIENT: &str = include_str!("../runtimes/node.mjs");
const PYTHON_CLIENT: &str = include_str!("../runtimes/python.py");

/// How to start a function's process.
#[derive(Debug)]
pub(super) struct Launch {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<OsString>,
    /// `LAMBDA_TASK_ROOT`, where the code lies.
    pub(super) task_root: PathBuf,
    /// `LAMBDA_RUNTIME_DIR`, where our runtime clients lie.
    pub(super) runtime_dir: PathBuf,
    /// Keeps the code there for as long as the process needs it.
    pub(super) unpacked: Option<Arc<Unpacked>>,
    /// What lies in `/opt` in Lambda: the function's layers.
    pub(super) opt: Option<Arc<Unpacked>>,
}

/// Finds interpreters, and lays the runtime clients ready.
#[derive(Debug, Default)]
pub(super) struct Runtimes {
    clients: OnceCell<TempDir>,
    interpreters: Mutex<HashMap<String, PathBuf>>,
}

impl Runtimes {
    /// What to start for a deployment. Unpacks its code, the first time.
    pub(super) async fn launch(&self, deployment: &Deployment) -> Result<Launch> {
        let runtime_dir = self.clients().await.map_err(internal)?.to_owned();
        let code = match &deployment.artifact {
            Artifact::Package { code, .. } => code,
            Artifact::Builtin { command, .. } => return builtin(command, runtime_dir),
            Artifact::Image { uri } => {
                return Err(ApiError::new(
                    ErrorKind::InvalidRuntime,
                    format!("The local cloud doesn't run container images: {uri}"),
                ));
            }
        };
        let unpacked = code.directory().await.map_err(not_unpacked)?;
        let opt = deployment.layers.directory().await.map_err(not_unpacked)?;
        let task_root = unpacked.path().to_owned();
        let runtime = deployment.configuration.runtime.as_deref().unwrap_or_default();
        let (program, arguments) = if runtime.starts_with("provided") {
            let own = task_root.join("bootstrap");
            let of_layer = opt.as_ref().map(|opt| opt.path().join("bootstrap")).filter(|file| file.exists());
            (of_layer.filter(|_| !own.exists()).unwrap_or(own), Vec::new())
        } else if runtime.starts_with("nodejs") {
            let node = self.interpreter(&["node"], &["-p", "process.execPath"], runtime).await?;
            (node, vec![runtime_dir.join("node.mjs").into()])
        } else if runtime.starts_with("python") {
            let ask = ["-c", "import sys; print(sys.executable)"];
            let python = self.interpreter(&[runtime, "python3"], &ask, runtime).await?;
            (python, vec![runtime_dir.join("python.py").into()])
        } else {
            return Err(ApiError::new(
                ErrorKind::InvalidRuntime,
                format!("The local cloud runs functions of provided.*, nodejs* and python*, not of {runtime}"),
            ));
        };
        Ok(Launch { program, arguments, task_root, runtime_dir, unpacked: Some(unpacked), opt })
    }

    /// The directory with our runtime clients.
    async fn clients(&self) -> io::Result<&Path> {
        let write = || async {
            tokio::task::spawn_blocking(|| {
                let directory = tempfile::Builder::new().prefix("local-lambda-runtime-").tempdir()?;
                std::fs::write(directory.path().join("node.mjs"), NODE_CLIENT)?;
                std::fs::write(directory.path().join("python.py"), PYTHON_CLIENT)?;
                io::Result::Ok(directory)
            })
            .await?
        };
        self.clients.get_or_try_init(write).await.map(TempDir::path)
    }

    /// The first of the candidates that runs, by the path that it gives for itself.
    async fn interpreter(&self, candidates: &[&str], ask: &[&str], runtime: &str) -> Result<PathBuf> {
        let known = |name: &str| self.interpreters.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        for candidate in candidates {
            if let Some(path) = known(candidate) {
                return Ok(path);
            }
            let asked = Command::new(candidate).args(ask).stdin(Stdio::null()).kill_on_drop(true).output().await;
            let Ok(answer) = asked else { continue };
            let path = PathBuf::from(OsString::from_vec(answer.stdout.trim_ascii().to_vec()));
            if answer.status.success() && path.is_absolute() {
                let mut interpreters = self.interpreters.lock().unwrap_or_else(PoisonError::into_inner);
                interpreters.insert((*candidate).to_owned(), path.clone());
                return Ok(path);
            }
        }
        Err(ApiError::new(
            ErrorKind::InvalidRuntime,
            format!(
                "The runtime {runtime} needs {} on the PATH of the local cloud, and it isn't there. Install it and invoke again.",
                candidates.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ")
            ),
        ))
    }
}

fn builtin(command: &[OsString], runtime_dir: PathBuf) -> Result<Launch> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(ApiError::new(ErrorKind::InvalidRuntime, "The built-in function has an empty command"));
    };
    Ok(Launch {
        program: program.into(),
        arguments: arguments.to_vec(),
        task_root: runtime_dir.clone(),
        runtime_dir,
        unpacked: None,
        opt: None,
    })
}

fn not_unpacked(error: io::Error) -> ApiError {
    match error.kind() {
        io::ErrorKind::InvalidData => {
            let message = format!("Lambda could not unzip the deployment package: {error}");
            ApiError::new(ErrorKind::InvalidZipFile, message)
        }
        _ => internal(error),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "used as a function of an error")]
fn internal(error: io::Error) -> ApiError {
    ApiError::new(ErrorKind::Service, format!("The function's process could not be prepared: {error}"))
}
