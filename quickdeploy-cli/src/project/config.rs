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
//! `include` and `exclude` hold patterns in the syntax of `.gitignore`, relative to the root.
//!
//! Reading is in two steps: `serde` turns the text into values that know where in the text they stand, then each value
//! is checked. Whatever fails, in either step, is shown with file, line and column.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::config_error::ConfigError;
use super::rules;

mod artifact_url;
mod functions;

pub(crate) use artifact_url::ArtifactUrl;
pub(crate) use functions::Functions;
use functions::RawFunctions;

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
    /// The command that a full build runs, by the shell, in the root.
    pub(crate) build: Option<String>,
    /// Name or ARN of the Lambda function that edits artifacts.
    pub(crate) zipedit: Option<String>,
    /// AWS region.
    pub(crate) region: Option<String>,
    /// Profile in the AWS configuration files.
    pub(crate) profile: Option<String>,
    /// Endpoint instead of AWS's own.
    pub(crate) endpoint_url: Option<String>,
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

impl Settings {
    /// The nearest `quickdeploy.toml` at or above `start`.
    pub(crate) fn locate(start: &Path) -> Option<PathBuf> {
        start.ancestors().map(|directory| directory.join(CONFIG_FILE)).find(|file| file.is_file())
    }

    /// Reads and checks `file`, with the overrides of `[env.NAME]` when `env` names one.
    pub(crate) fn read(file: &Path, env: Option<&str>) -> Result<Self, ConfigError> {
        let text = std::fs::read(file).map_err(|source| ConfigError::Read { file: file.to_owned(), source })?;
        let text = String::from_utf8(text).map_err(|_| ConfigError::NotText { file: file.to_owned() })?;
        Self::parse(file, &text, env)
    }

    /// What a directory without a configuration file gets.
    pub(crate) fn of_directory(root: PathBuf, state_dir: Option<PathBuf>) -> Self {
        Self {
            file: None,
            env: None,
            root,
            state_dir,
            artifact: None,
            functions: None,
            map: whole_root(),
            include: Vec::new(),
            exclude: Vec::new(),
            via: Via::Auto,
            build: None,
            zipedit: None,
            region: None,
            profile: None,
            endpoint_url: None,
        }
    }

    fn parse(file: &Path, text: &str, env: Option<&str>) -> Result<Self, ConfigError> {
        let at = |span: Range<usize>, message: String| ConfigError::at(file, text, span, message);
        let mut keys: Keys = toml::from_str(text).map_err(|error| ConfigError::from_toml(file, text, &error))?;

        let environments = keys.env.take().unwrap_or_default();
        // Every environment is checked, not only the one in use: a typo shouldn't wait for the day of the release.
        let mut overrides = None;
        for (name, own) in environments {
            let span = own.span();
            let own = own.into_inner();
            if own.env.is_some() {
                return Err(at(span, format!("`[env.{name}]` can't hold environments of its own")));
            }
            own.check(file, &at)?;
            if env == Some(name.get_ref().as_str()) {
                overrides = Some(own);
            }
        }
        keys.check(file, &at)?;
        match (env, overrides) {
            (Some(name), None) => {
                return Err(ConfigError::NoSuchEnvironment {
                    file: file.to_owned(),
                    name: name.to_owned(),
                    known: Keys::environment_names(text),
                });
            }
            (_, Some(overrides)) => keys = overrides.or(keys),
            (None, None) => {}
        }
        keys.resolve(file, env, &at)
    }
}

fn whole_root() -> Vec<(String, String)> {
    vec![(String::new(), String::new())]
}

/// The file as `serde` sees it. `check` and `resolve` know the meaning.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Keys {
    artifact: Option<Spanned<String>>,
    functions: Option<Spanned<RawFunctions>>,
    root: Option<Spanned<String>>,
    map: Option<BTreeMap<Spanned<String>, Spanned<String>>>,
    include: Option<Vec<Spanned<String>>>,
    exclude: Option<Vec<Spanned<String>>>,
    via: Option<Via>,
    build: Option<Spanned<String>>,
    zipedit: Option<Spanned<String>>,
    region: Option<Spanned<String>>,
    profile: Option<Spanned<String>>,
    endpoint_url: Option<Spanned<String>>,
    env: Option<BTreeMap<Spanned<String>, Spanned<Keys>>>,
}

impl Keys {
    /// `self`, and where it says nothing, `general`.
    fn or(self, general: Self) -> Self {
        Self {
            artifact: self.artifact.or(general.artifact),
            functions: self.functions.or(general.functions),
            root: self.root.or(general.root),
            map: self.map.or(general.map),
            include: self.include.or(general.include),
            exclude: self.exclude.or(general.exclude),
            via: self.via.or(general.via),
            build: self.build.or(general.build),
            zipedit: self.zipedit.or(general.zipedit),
            region: self.region.or(general.region),
            profile: self.profile.or(general.profile),
            endpoint_url: self.endpoint_url.or(general.endpoint_url),
            env: None,
        }
    }

    fn environment_names(text: &str) -> Vec<String> {
        toml::from_str::<Self>(text)
            .ok()
            .and_then(|keys| keys.env)
            .map(|env| env.into_keys().map(Spanned::into_inner).collect())
            .unwrap_or_default()
    }

    /// Checks everything that is written here, whether or not it will be used.
    fn check(&self, file: &Path, at: &impl Fn(Range<usize>, String) -> ConfigError) -> Result<(), ConfigError> {
        self.clone().resolve(file, None, at).map(drop)
    }

    fn resolve(
        self,
        file: &Path,
        env: Option<&str>,
        at: &impl Fn(Range<usize>, String) -> ConfigError,
    ) -> Result<Settings, ConfigError> {
        // Absolute, so that a later change of directory means nothing; the file stays as it was named, for messages.
        let directory = match file.parent() {
            Some(parent) if parent != Path::new("") => std::path::absolute(parent),
            _ => std::env::current_dir(),
        }
        .map_err(|source| ConfigError::Read { file: file.to_owned(), source })?;
        let not_empty = |value: Option<Spanned<String>>, key: &str| match value {
            Some(value) if value.get_ref().trim().is_empty() => {
                Err(at(value.span(), format!("`{key}` is empty: give it a value or leave it out")))
            }
            value => Ok(value.map(Spanned::into_inner)),
        };
        let endpoint_url = match &self.endpoint_url {
            Some(url) if !["http://", "https://"].iter().any(|scheme| url.get_ref().starts_with(scheme)) => {
                let message = format!("`{}` is not a URL: it starts with `http://` or `https://`", url.get_ref());
                return Err(at(url.span(), message));
            }
            url => url.as_ref().map(|url| url.get_ref().clone()),
        };
        Ok(Settings {
            file: Some(file.to_owned()),
            env: env.map(str::to_owned),
            root: resolve_root(&directory, self.root.as_ref(), at)?,
            state_dir: Some(directory.join(STATE_DIR)),
            artifact: match &self.artifact {
                Some(url) => Some(url.get_ref().parse().map_err(|message| at(url.span(), message))?),
                None => None,
            },
            functions: match self.functions {
                Some(functions) => {
                    let span = functions.span();
                    Some(functions.into_inner().check().map_err(|message| at(span, message))?)
                }
                None => None,
            },
            map: resolve_map(self.map, at)?,
            include: check_patterns(self.include, at)?,
            exclude: check_patterns(self.exclude, at)?,
            via: self.via.unwrap_or_default(),
            build: not_empty(self.build, "build")?,
            zipedit: not_empty(self.zipedit, "zipedit")?,
            region: not_empty(self.region, "region")?,
            profile: not_empty(self.profile, "profile")?,
            endpoint_url,
        })
    }
}

fn resolve_root(
    directory: &Path,
    root: Option<&Spanned<String>>,
    at: &impl Fn(Range<usize>, String) -> ConfigError,
) -> Result<PathBuf, ConfigError> {
    let Some(root) = root else {
        return Ok(directory.to_owned());
    };
    let text = root.get_ref();
    if Path::new(text).is_absolute() {
        let message = format!("`root` is relative to the directory of {CONFIG_FILE}; `{text}` is absolute");
        return Err(at(root.span(), message));
    }
    let path = directory.join(text);
    if !path.is_dir() {
        return Err(at(root.span(), format!("there is no directory `{text}` here")));
    }
    // `a/..` is a fine root; a clean path makes every message about it clean too.
    path.canonicalize().map_err(|source| ConfigError::Read { file: path, source })
}

/// Cleans a relative path: `./src/` is `src`. `None` when it is absolute or climbs out.
fn clean(text: &str) -> Option<String> {
    let mut parts = Vec::new();
    for component in Path::new(text).components() {
        match component {
            Component::Normal(part) => parts.push(part.to_str()?.to_owned()),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts.join("/"))
}

fn resolve_map(
    map: Option<BTreeMap<Spanned<String>, Spanned<String>>>,
    at: &impl Fn(Range<usize>, String) -> ConfigError,
) -> Result<Vec<(String, String)>, ConfigError> {
    let Some(map) = map else {
        return Ok(whole_root());
    };
    let mut rules = Vec::with_capacity(map.len());
    let mut locals = BTreeSet::new();
    for (local, prefix) in map {
        let Some(clean_local) = clean(local.get_ref()) else {
            let message = format!("`{}` leaves the root: `map` takes directories below it", local.get_ref());
            return Err(at(local.span(), message));
        };
        let text = prefix.get_ref();
        let trimmed = text.strip_suffix('/').unwrap_or(text);
        let bad = !trimmed.is_empty()
            && (text.contains(['\\', '\0'])
                || trimmed.split('/').any(|part| part.is_empty() || part == "." || part == ".."));
        if bad {
            let message = format!(
                "`{text}` is not a place in a zip: use names joined by `/`, without a leading `/`, `.` or `..`; \
                 `\"\"` is the top"
            );
            return Err(at(prefix.span(), message));
        }
        if !locals.insert(clean_local.clone()) {
            return Err(at(local.span(), format!("`{clean_local}` is mapped twice")));
        }
        let zip_prefix = if trimmed.is_empty() { String::new() } else { format!("{trimmed}/") };
        rules.push((clean_local, zip_prefix));
    }
    if rules.is_empty() {
        return Ok(whole_root());
    }
    Ok(rules)
}

fn check_patterns(
    patterns: Option<Vec<Spanned<String>>>,
    at: &impl Fn(Range<usize>, String) -> ConfigError,
) -> Result<Vec<String>, ConfigError> {
    let mut checked = Vec::new();
    for pattern in patterns.unwrap_or_default() {
        let text = pattern.get_ref();
        rules::check_pattern(text).map_err(|message| at(pattern.span(), message))?;
        checked.push(pattern.into_inner());
    }
    Ok(checked)
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
