//! `quickdeploy.toml`: found, read, checked.
//!
//! It is looked for in the current directory and then upwards, like `Cargo.toml`. Every key may be left out; every key
//! except `env` may be given again under `[env.NAME]`, where it replaces the general one as a whole.
//!
//! ```toml
//! artifact = "s3://my-bucket/app/backend.zip"
//! functions = ["app-api", "app-worker"]       # or { stack = "app" }, { tag = "project=app" }, { same-code-as = "app-api" }
//! root = "."                                  # default: the directory of this file
//! include = ["dist/**"]                       # also these, although an ignore file excludes them
//! exclude = ["*.test.js", "docs/"]            # never these
//! via = "auto"                                # or "lambda", "direct"
//! affected = "traced"                         # or "all": which functions are updated; "traced" with several artifacts
//! assume-static = ["node_modules/express/"]   # names in the zip whose computed imports load nothing of the project
//! compile = "npx tsc"                         # before a deployment: what makes the deployed files from their sources
//! build = "npm run build"
//! zipedit = "zipedit"                         # name of the Lambda function that edits artifacts
//! region = "eu-central-1"
//! profile = "work"
//! endpoint-url = "http://127.0.0.1:4566"
//!
//! [map]                                       # local directory = prefix in the zip; default: "." = ""
//! "src" = ""
//! "lib" = "lib"
//!
//! [env.production]
//! artifact = "s3://my-bucket-prod/app/backend.zip"
//! functions = { stack = "app-production" }
//! ```
//!
//! A project with several artifacts has a table for each, in which every key but the connection's (`region`, `profile`,
//! `endpoint-url`) may be given again:
//!
//! ```toml
//! [artifacts.api]
//! artifact = "s3://my-bucket/app/api.zip"
//! functions = ["api-read", "api-write"]
//!
//! [artifacts.worker]
//! artifact = "s3://my-bucket/app/worker.zip"
//! functions = ["worker"]
//! root = "worker"
//!
//! [env.production.artifacts.api]
//! artifact = "s3://my-bucket-prod/app/api.zip"
//! ```
//!
//! The nearest table wins: `[env.NAME.artifacts.NAME]`, `[artifacts.NAME]`, `[env.NAME]`, the top of the file.
//!
//! `include` and `exclude` hold patterns in the syntax of `.gitignore`, relative to the root.
//!
//! Reading is in two steps: `serde` turns the text into values that know where in the text they stand, then each value
//! is checked. Whatever fails, in either step, is shown with file, line and column.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::config_error::ConfigError;
use crate::store_check::StoreCheck;

mod artifact_url;
mod artifacts;
mod full;
mod functions;
mod keys;

pub(crate) use artifact_url::ArtifactUrl;
use artifacts::Layer;
use full::FullBuild;
pub(crate) use full::{Architecture, NewFunction};
pub(crate) use functions::Functions;
use keys::Keys;

/// The file's name.
pub(crate) const CONFIG_FILE: &str = "quickdeploy.toml";

/// The directory beside the configuration file that holds the index.
pub(crate) const STATE_DIR: &str = ".quickdeploy";

/// What the configuration says, checked, with the environment's overrides applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// The file it was read from; `None` for a directory that has none.
    pub(crate) file: Option<PathBuf>,
    /// The `[env.NAME]` that was applied.
    pub(crate) env: Option<String>,
    /// The NAME of its `[artifacts.NAME]`; `None` for the only artifact of a project.
    pub(crate) name: Option<String>,
    /// The directory that `map`, `include` and `exclude` are relative to: absolute and existing.
    pub(crate) root: PathBuf,
    /// Where the index is kept; `None`: nowhere.
    pub(crate) state_dir: Option<PathBuf>,
    /// The object that functions are deployed from.
    pub(crate) artifact: Option<ArtifactUrl>,
    /// The functions that run it.
    pub(crate) functions: Option<Functions>,
    /// Local directory (`/`-separated, relative to the root, "" for the root itself) and zip prefix ("" or `lib/`).
    pub(crate) map: Vec<(String, String)>,
    /// Patterns of files that are taken although an ignore file excludes them.
    pub(crate) include: Vec<String>,
    /// Patterns of files that are never taken.
    pub(crate) exclude: Vec<String>,
    /// Who edits the artifact.
    pub(crate) via: Via,
    /// Which functions are updated.
    pub(crate) affected: Affected,
    /// Patterns of entry names: what these files load without saying what is taken for nothing of the project.
    pub(crate) assume_static: Vec<String>,
    /// The command that makes the deployed files from their sources, run by the shell in the root.
    pub(crate) compile: Option<String>,
    /// What a full build does.
    pub(crate) full: FullBuild,
    /// Name or ARN of the Lambda function that edits artifacts.
    pub(crate) zipedit: Option<String>,
    /// AWS region.
    pub(crate) region: Option<String>,
    /// Profile in the AWS configuration files.
    pub(crate) profile: Option<String>,
    /// Endpoint instead of AWS's own.
    pub(crate) endpoint_url: Option<String>,
    /// What follows when a store other than AWS's ignores preconditions.
    pub(crate) store_check: Option<StoreCheck>,
}

/// Who edits the artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Via {
    /// Whichever moves fewer bytes over the developer's uplink.
    #[default]
    Auto,
    /// The zipedit Lambda.
    Lambda,
    /// This machine.
    Direct,
}

/// Which of the functions that don't run the artifact are updated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Affected {
    /// All of them.
    #[default]
    All,
    /// Those that may load or read something of what changed.
    Traced,
}

impl Settings {
    /// The nearest `quickdeploy.toml` at or above `start`.
    pub(crate) fn locate(start: &Path) -> Option<PathBuf> {
        start.ancestors().map(|directory| directory.join(CONFIG_FILE)).find(|file| file.is_file())
    }

    /// Reads and checks `file`, with the overrides of `[env.NAME]` when `env` names one. One for each `[artifacts.NAME]`,
    /// by name; a file without these describes one artifact.
    pub(crate) fn read(file: &Path, env: Option<&str>) -> Result<Vec<Self>, ConfigError> {
        let text = std::fs::read(file).map_err(|source| ConfigError::Read { file: file.to_owned(), source })?;
        let text = String::from_utf8(text).map_err(|_| ConfigError::NotText { file: file.to_owned() })?;
        Self::parse(file, &text, env)
    }

    /// What a directory without a configuration file gets.
    pub(crate) fn of_directory(root: PathBuf, state_dir: Option<PathBuf>) -> Self {
        Self {
            file: None,
            env: None,
            name: None,
            root,
            state_dir,
            artifact: None,
            functions: None,
            map: keys::whole_root(),
            include: Vec::new(),
            exclude: Vec::new(),
            via: Via::Auto,
            affected: Affected::All,
            assume_static: Vec::new(),
            compile: None,
            full: FullBuild::default(),
            zipedit: None,
            region: None,
            profile: None,
            endpoint_url: None,
            store_check: None,
        }
    }

    /// The same for the text of a file.
    pub(super) fn parse(file: &Path, text: &str, env: Option<&str>) -> Result<Vec<Self>, ConfigError> {
        let at = |span: Range<usize>, message: String| ConfigError::at(file, text, span, message);
        let mut keys: Keys = toml::from_str(text).map_err(|error| ConfigError::from_toml(file, text, &error))?;

        let environments = keys.env.take().unwrap_or_default();
        let known = environments.keys().map(|name| name.get_ref().clone()).collect();
        let general = Layer::new(keys, file, &at)?;
        // Every environment is checked, not only the one in use: a typo shouldn't wait for the day of the release.
        let mut overrides = None;
        for (name, own) in environments {
            let span = own.span();
            let own = own.into_inner();
            if own.env.is_some() {
                return Err(at(span, format!("`[env.{name}]` can't hold environments of its own")));
            }
            let own = Layer::new(own, file, &at)?;
            if env == Some(name.get_ref().as_str()) {
                overrides = Some(own);
            }
        }
        let layer = match (env, overrides) {
            (Some(name), None) => {
                return Err(ConfigError::NoSuchEnvironment { file: file.to_owned(), name: name.to_owned(), known });
            }
            (_, Some(overrides)) => overrides.over(general),
            (None, None) => general,
        };
        layer.resolve(file, env, &at)
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
