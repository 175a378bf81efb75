//! `[artifacts.NAME]`: several artifacts in one project.
//!
//! The file is a stack of layers, each with general keys and a table per artifact. [`Layer::over`] lays an environment's
//! layer over the general one; [`Layer::resolve`] makes the settings of every artifact.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;

use super::Settings;
use super::keys::Keys;
use crate::project::config_error::ConfigError;

/// Keys for all artifacts, and for single ones.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    general: Keys,
    artifacts: BTreeMap<Spanned<String>, Keys>,
}

impl Layer {
    /// Takes `[artifacts.NAME]` out of `keys`, and checks everything that is written in either, used or not.
    pub(super) fn new(
        mut keys: Keys,
        file: &Path,
        at: &impl Fn(Range<usize>, String) -> ConfigError,
    ) -> Result<Self, ConfigError> {
        let mut artifacts = BTreeMap::new();
        for (name, own) in keys.artifacts.take().unwrap_or_default() {
            let span = own.span();
            let own = own.into_inner();
            check_name(&name).map_err(|message| at(name.span(), message))?;
            if own.artifacts.is_some() || own.env.is_some() {
                return Err(at(span, format!("`[artifacts.{name}]` can't hold other artifacts or environments")));
            }
            let span_of = |value: &Option<Spanned<String>>| value.as_ref().map(Spanned::span);
            let connection = [
                ("region", span_of(&own.region)),
                ("profile", span_of(&own.profile)),
                ("endpoint-url", span_of(&own.endpoint_url)),
                ("store-check", own.store_check.as_ref().map(Spanned::span)),
            ];
            if let Some((key, span)) = connection.into_iter().find_map(|(key, span)| Some((key, span?))) {
                let message = format!("`{key}` is for the whole project: put it at the top, or into an `[env.NAME]`");
                return Err(at(span, message));
            }
            own.clone().resolve(file, None, None, at)?;
            artifacts.insert(name, own);
        }
        keys.clone().resolve(file, None, None, at)?;
        Ok(Self { general: keys, artifacts })
    }

    /// `self`, and where it says nothing, `below`. What is said of one artifact wins over what is said of all.
    pub(super) fn over(self, below: Self) -> Self {
        let mut artifacts = below.artifacts;
        for (name, own) in self.artifacts {
            let merged = match artifacts.remove(&name) {
                Some(general) => own.or(general),
                None => own,
            };
            artifacts.insert(name, merged);
        }
        Self { general: self.general.or(below.general), artifacts }
    }

    /// The settings of every artifact, by name; of the only one, when none has a name.
    pub(super) fn resolve(
        self,
        file: &Path,
        env: Option<&str>,
        at: &impl Fn(Range<usize>, String) -> ConfigError,
    ) -> Result<Vec<Settings>, ConfigError> {
        if self.artifacts.is_empty() {
            return Ok(vec![self.general.resolve(file, env, None, at)?]);
        }
        if let Some(artifact) = &self.general.artifact {
            let message = "either one `artifact` for the project, or one in each `[artifacts.NAME]`".to_owned();
            return Err(at(artifact.span(), message));
        }
        let mut all: Vec<Settings> = Vec::with_capacity(self.artifacts.len());
        for (name, own) in self.artifacts {
            let span = own.artifact.as_ref().map_or_else(|| name.span(), Spanned::span);
            let settings = own.or(self.general.clone()).resolve(file, env, Some(name.get_ref()), at)?;
            let same = all.iter().find(|other| other.artifact.is_some() && other.artifact == settings.artifact);
            if let Some(other) = same.and_then(|other| other.name.as_deref()) {
                return Err(at(span, format!("`[artifacts.{other}]` has the same artifact: one object, one table")));
            }
            all.push(settings);
        }
        Ok(all)
    }
}

fn check_name(name: &Spanned<String>) -> Result<(), String> {
    let name = name.get_ref();
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !name.is_empty() && name.chars().all(plain) {
        return Ok(());
    }
    Err(format!("`{name}` is not a name for an artifact: use letters, digits, `-`, `_` and `.`"))
}
