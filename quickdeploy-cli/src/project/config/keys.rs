//! The keys of `quickdeploy.toml`: as `serde` reads them, and each value checked.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::full::{NewFunction, Scalar};
use super::functions::{Functions, RawFunctions};
use super::{Affected, CONFIG_FILE, STATE_DIR, Settings, Via};
use crate::project::config_error::ConfigError;
use crate::project::rules;
use crate::stack::DeploymentMode;
use crate::store_check::StoreCheck;

pub(super) fn whole_root() -> Vec<(String, String)> {
    vec![(String::new(), String::new())]
}

/// One table of the file as `serde` sees it. `resolve` knows the meaning.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Keys {
    pub(super) artifact: Option<Spanned<String>>,
    pub(super) functions: Option<Spanned<RawFunctions>>,
    pub(super) root: Option<Spanned<String>>,
    pub(super) map: Option<BTreeMap<Spanned<String>, Spanned<String>>>,
    pub(super) include: Option<Vec<Spanned<String>>>,
    pub(super) exclude: Option<Vec<Spanned<String>>>,
    pub(super) via: Option<Via>,
    pub(super) affected: Option<Spanned<Affected>>,
    pub(super) assume_static: Option<Vec<Spanned<String>>>,
    pub(super) compile: Option<Spanned<String>>,
    pub(super) build: Option<Spanned<String>>,
    pub(super) codebuild: Option<Spanned<String>>,
    pub(super) role: Option<Spanned<String>>,
    pub(super) stack: Option<Spanned<String>>,
    pub(super) template: Option<Spanned<String>>,
    pub(super) parameters: Option<BTreeMap<String, Scalar>>,
    pub(super) capabilities: Option<Vec<Spanned<String>>>,
    pub(super) tags: Option<BTreeMap<String, Scalar>>,
    pub(super) deployment_mode: Option<DeploymentMode>,
    pub(super) create: Option<BTreeMap<Spanned<String>, NewFunction>>,
    pub(super) zipedit: Option<Spanned<String>>,
    pub(super) region: Option<Spanned<String>>,
    pub(super) profile: Option<Spanned<String>>,
    pub(super) endpoint_url: Option<Spanned<String>>,
    pub(super) store_check: Option<Spanned<StoreCheck>>,
    pub(super) artifacts: Option<BTreeMap<Spanned<String>, Spanned<Keys>>>,
    pub(super) env: Option<BTreeMap<Spanned<String>, Spanned<Keys>>>,
}

impl Keys {
    /// `self`, and where it says nothing, `general`.
    pub(super) fn or(self, general: Self) -> Self {
        Self {
            artifact: self.artifact.or(general.artifact),
            functions: self.functions.or(general.functions),
            root: self.root.or(general.root),
            map: self.map.or(general.map),
            include: self.include.or(general.include),
            exclude: self.exclude.or(general.exclude),
            via: self.via.or(general.via),
            affected: self.affected.or(general.affected),
            assume_static: self.assume_static.or(general.assume_static),
            compile: self.compile.or(general.compile),
            // Who says how to build says it for both keys: one of them replaces the other.
            build: if self.codebuild.is_some() { self.build.clone() } else { self.build.clone().or(general.build) },
            codebuild: if self.build.is_some() { self.codebuild } else { self.codebuild.or(general.codebuild) },
            role: self.role.or(general.role),
            stack: self.stack.or(general.stack),
            template: self.template.or(general.template),
            parameters: self.parameters.or(general.parameters),
            capabilities: self.capabilities.or(general.capabilities),
            tags: self.tags.or(general.tags),
            deployment_mode: self.deployment_mode.or(general.deployment_mode),
            create: self.create.or(general.create),
            zipedit: self.zipedit.or(general.zipedit),
            region: self.region.or(general.region),
            profile: self.profile.or(general.profile),
            endpoint_url: self.endpoint_url.or(general.endpoint_url),
            store_check: self.store_check.or(general.store_check),
            artifacts: None,
            env: None,
        }
    }

    /// Checks the values that are written here and makes settings of them; what is missing gets its default.
    pub(super) fn resolve(
        self,
        file: &Path,
        env: Option<&str>,
        name: Option<&str>,
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
        let full = self.full_build(&directory, at)?;
        let functions = match self.functions {
            Some(functions) => {
                let span = functions.span();
                Some(functions.into_inner().check().map_err(|message| at(span, message))?)
            }
            None => full.functions(),
        };
        let affected = resolve_affected(self.affected.as_ref(), functions.as_ref(), name, at)?;
        Ok(Settings {
            file: Some(file.to_owned()),
            env: env.map(str::to_owned),
            name: name.map(str::to_owned),
            root: resolve_root(&directory, self.root.as_ref(), at)?,
            state_dir: Some(directory.join(STATE_DIR)),
            artifact: match &self.artifact {
                Some(url) => Some(url.get_ref().parse().map_err(|message| at(url.span(), message))?),
                None => None,
            },
            functions,
            full,
            map: resolve_map(self.map, at)?,
            include: check_patterns(self.include, at)?,
            exclude: check_patterns(self.exclude, at)?,
            via: self.via.unwrap_or_default(),
            affected,
            assume_static: check_patterns(self.assume_static, at)?,
            compile: not_empty(self.compile, "compile")?,
            zipedit: not_empty(self.zipedit, "zipedit")?,
            region: not_empty(self.region, "region")?,
            profile: not_empty(self.profile, "profile")?,
            endpoint_url,
            store_check: self.store_check.map(Spanned::into_inner),
        })
    }
}

/// By default, one of several artifacts is traced, and the only one isn't.
fn resolve_affected(
    affected: Option<&Spanned<Affected>>,
    functions: Option<&Functions>,
    name: Option<&str>,
    at: &impl Fn(Range<usize>, String) -> ConfigError,
) -> Result<Affected, ConfigError> {
    let by_code = matches!(functions, Some(Functions::SameCodeAs(_)));
    match affected {
        Some(affected) if by_code && *affected.get_ref() == Affected::Traced => {
            let message = "`affected = \"traced\"` leaves functions on older code, and `same-code-as` would no longer \
                           find them: name the functions, or find them by stack or tag";
            Err(at(affected.span(), message.to_owned()))
        }
        Some(affected) => Ok(*affected.get_ref()),
        None if name.is_some() && !by_code => Ok(Affected::Traced),
        None => Ok(Affected::All),
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
