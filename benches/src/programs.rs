//! What is measured: our own programs, built as they are released, and others', installed into a directory of their own.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::paths;

/// Our programs, and where the others are.
#[derive(Debug)]
pub(crate) struct Programs {
    /// The CLI.
    pub(crate) quickdeploy: PathBuf,
    /// The function.
    pub(crate) bootstrap: PathBuf,
}

/// Where other tools come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// The AWS CLI and boto3, from PyPI.
    Python,
    /// The SAM CLI, from PyPI.
    Sam,
    /// CDK and osls, from npm.
    Node,
}

impl Peer {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Python, Self::Sam, Self::Node];

    fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Sam => "sam",
            Self::Node => "node",
        }
    }

    fn directory(self) -> PathBuf {
        peers().join(self.name())
    }

    /// Installs the pinned versions, unless they are there.
    ///
    /// # Errors
    /// The registry can't be reached, or `python3` or `npm` is missing.
    pub(crate) fn install(self) -> Result<()> {
        let tools = paths::own().join("tools");
        let directory = self.directory();
        let pins = match self {
            Self::Node => tools.join("node/package-lock.json"),
            _ => tools.join(format!("{}-requirements.txt", self.name())),
        };
        let (wanted, mark) = (fs::read(&pins)?, directory.join(".installed"));
        if fs::read(&mark).is_ok_and(|there| there == wanted) {
            return Ok(());
        }
        if directory.exists() {
            fs::remove_dir_all(&directory)?;
        }
        fs::create_dir_all(&directory)?;
        if self == Self::Node {
            for file in ["package.json", "package-lock.json", ".npmrc"] {
                fs::copy(tools.join("node").join(file), directory.join(file))?;
            }
            succeed(Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&directory))?;
        } else {
            succeed(Command::new("python3").args(["-m", "venv"]).arg(&directory))?;
            succeed(Command::new(directory.join("bin/pip")).args(["install", "--quiet", "-r"]).arg(&pins))?;
        }
        fs::write(mark, wanted)?;
        Ok(())
    }
}

/// Where the others are installed.
#[must_use]
pub(crate) fn peers() -> PathBuf {
    paths::target().join("peers")
}

impl Programs {
    /// Builds ours, as a user does.
    ///
    /// # Errors
    /// They don't compile.
    pub(crate) fn build() -> Result<Self> {
        let build = |arguments: &[&str]| {
            let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            succeed(Command::new(cargo).arg("build").args(arguments).current_dir(paths::workspace()))
        };
        build(&["--release", "--package", "quickdeploy-cli"])?;
        build(&["--profile", "lambda", "--package", "zipedit-lambda", "--bin", "bootstrap"])?;
        let built = |path: &str| paths::workspace().join("target").join(path).canonicalize();
        Ok(Self { quickdeploy: built("release/quickdeploy")?, bootstrap: built("lambda/bootstrap")? })
    }

    /// Takes programs that are built already.
    ///
    /// # Errors
    /// They aren't there, or the first isn't called `quickdeploy`: the scripts call it by that name.
    pub(crate) fn there(quickdeploy: &Path, bootstrap: &Path) -> Result<Self> {
        if quickdeploy.file_name() != Some("quickdeploy".as_ref()) {
            bail!("{} must be called quickdeploy", quickdeploy.display());
        }
        let found = |path: &Path| path.canonicalize().with_context(|| format!("cannot find {}", path.display()));
        Ok(Self { quickdeploy: found(quickdeploy)?, bootstrap: found(bootstrap)? })
    }

    /// The `PATH` of tools and functions: ours and the pinned ones first.
    ///
    /// # Errors
    /// A directory's name can't be in one.
    pub(crate) fn path(&self) -> Result<String> {
        let own = self.quickdeploy.parent().map(Path::to_owned);
        let bins = [Peer::Python.directory().join("bin"), Peer::Sam.directory().join("bin")];
        let bins = own.into_iter().chain(bins).chain([Peer::Node.directory().join("node_modules/.bin")]);
        let inherited = env::var_os("PATH").unwrap_or_default();
        let joined: OsString = env::join_paths(bins.chain(env::split_paths(&inherited)))?;
        joined.into_string().ok().context("PATH is not UTF-8")
    }
}

/// What a program says of its version: the first line that has one.
#[must_use]
pub(crate) fn version(program: &str, path: &str) -> Option<String> {
    // zip's --version is a licence first.
    let flag = if program == "zip" { "-v" } else { "--version" };
    let output = Command::new(program).arg(flag).env("PATH", path).output().ok()?;
    let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    let text = String::from_utf8_lossy(&text);
    let mut lines = text.lines().map(str::trim).filter(|line| !line.to_lowercase().contains("copyright"));
    lines.find(|line| line.contains(|letter: char| letter.is_ascii_digit())).map(str::to_owned)
}

fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
    if !status.success() {
        bail!("{command:?} failed: {status}");
    }
    Ok(())
}
