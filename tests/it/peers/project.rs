//! A developer's directory, with the programs that are run in it as clients of a peer.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use quickdeploy_tests::binaries::bootstrap;
use quickdeploy_tests::cli::{cli_at, write};
use quickdeploy_tests::site::{ENVIRONMENT, Site};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use super::installation::clients;

/// No program runs longer.
const PATIENCE: Duration = Duration::from_secs(120);

/// A directory, and the endpoint that it is deployed to.
pub(super) struct Project<'a> {
    site: &'a Site,
    directory: TempDir,
}

/// What a run of `quickdeploy --json` said.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) code: Option<i32>,
    pub(super) document: Value,
    /// For the message of a failure, by `Debug`.
    _stderr: String,
}

impl<'a> Project<'a> {
    pub(super) fn new(site: &'a Site, files: &[(&str, &str)]) -> Self {
        let project = Self { site, directory: tempfile::tempdir().unwrap() };
        for (name, content) in files {
            project.write(name, content);
        }
        project
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(super) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        write(self.path(), name, content);
    }

    /// The zip of a release, outside of what is deployed from here.
    pub(super) fn release(&self) -> PathBuf {
        self.write(".release/bootstrap.zip", release::zipped(&std::fs::read(bootstrap()).unwrap()).unwrap());
        self.path().join(".release/bootstrap.zip")
    }

    /// Runs `quickdeploy`, whatever comes of it.
    pub(super) async fn run(&self, arguments: &[&str]) -> Ran {
        let output = ended(cli_at(&self.site.endpoint, self.path(), &[arguments, &["--json"]].concat())).await;
        let stderr = String::from_utf8(output.stderr).unwrap();
        let document = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {stderr}"));
        Ran { code: output.status.code(), document, _stderr: stderr }
    }

    /// The document of a run that succeeds.
    pub(super) async fn quickdeploy(&self, arguments: &[&str]) -> Value {
        let ran = self.run(arguments).await;
        assert_eq!(ran.code, Some(0), "{arguments:?}: {ran:#?}");
        ran.document
    }

    /// What a program of the [`clients`] prints, which succeeds: `aws`, or `python` with boto3.
    pub(super) async fn client(&self, program: &str, arguments: &[&str]) -> String {
        let programs = clients().expect("whoever runs a client has looked whether it is there");
        let mut command = Command::new(programs.join(program));
        command
            .args(arguments)
            .current_dir(self.path())
            .envs(ENVIRONMENT)
            .env("AWS_ENDPOINT_URL", &self.site.endpoint)
            .env("HOME", self.path())
            .env("AWS_PAGER", "")
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true);
        let Output { status, stdout, stderr } = ended(command).await;
        let (stdout, stderr) = (String::from_utf8(stdout).unwrap(), String::from_utf8_lossy(&stderr));
        assert!(status.success(), "{program} {arguments:?}: {status}\n{stdout}\n{stderr}");
        stdout
    }

    /// An object, fetched by the AWS CLI.
    pub(super) async fn fetched(&self, url: &str) -> PathBuf {
        let file = self.path().join(".release/fetched.zip");
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        self.client("aws", &["s3", "cp", "--only-show-errors", url, file.to_str().unwrap()]).await;
        file
    }
}

async fn ended(mut command: Command) -> Output {
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let started = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let output = tokio::time::timeout(PATIENCE, started.wait_with_output()).await;
    output.unwrap_or_else(|_| panic!("{command:?} has not ended within {PATIENCE:?}")).unwrap()
}
