//! A function: everything under one name.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use super::Objects;
use super::configuration::PackageType;
use super::errors::{ApiError, Result};
use super::names::{FunctionRef, LATEST, Scope};
use super::version::{Failure, Version};

/// A name for a version, with an optional second version that takes a share of the invocations.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Alias {
    pub(super) version: String,
    pub(super) description: String,
    /// Versions with their share of the invocations, between 0 and 1.
    pub(super) weights: BTreeMap<String, f64>,
    pub(super) revision_id: String,
}

/// A resource policy: its statements by id, in the order they were added.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Policy {
    pub(super) statements: Vec<Value>,
    pub(super) revision_id: String,
}

/// A function: everything under one name.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) name: String,
    pub(super) latest: Version,
    pub(super) versions: BTreeMap<u64, Version>,
    pub(super) last_version: u64,
    pub(super) aliases: BTreeMap<String, Alias>,
    pub(super) tags: BTreeMap<String, String>,
    /// By qualifier; `""` for the function itself.
    pub(super) policies: BTreeMap<String, Policy>,
    pub(super) reserved_concurrency: Option<u32>,
    pub(super) code_signing_config: Option<String>,
    /// Invocations under way.
    pub(super) running: Arc<AtomicUsize>,
}

impl Function {
    pub(super) fn new(latest: Version) -> Self {
        Self {
            name: latest.shown().function.clone(),
            latest,
            versions: BTreeMap::new(),
            last_version: 0,
            aliases: BTreeMap::new(),
            tags: BTreeMap::new(),
            policies: BTreeMap::new(),
            reserved_concurrency: None,
            code_signing_config: None,
            running: Arc::default(),
        }
    }

    /// Settles every version.
    pub(super) fn settle(&mut self, now: Instant, objects: &dyn Objects) {
        self.latest.settle(now, objects);
        for version in self.versions.values_mut() {
            version.settle(now, objects);
        }
    }

    /// The version that a qualifier leads to: nothing and `$LATEST`, a number, or an alias.
    pub(super) fn version(&self, qualifier: Option<&str>) -> Option<&Version> {
        match qualifier {
            None | Some(LATEST) => Some(&self.latest),
            Some(qualifier) => match self.aliases.get(qualifier) {
                Some(alias) if alias.version == LATEST => Some(&self.latest),
                Some(alias) => self.numbered(&alias.version),
                None => self.numbered(qualifier),
            },
        }
    }

    /// [`Function::version`], or the error that names what is missing.
    pub(super) fn require_version(&self, wanted: &FunctionRef, scope: &Scope) -> Result<&Version> {
        self.version(wanted.qualifier.as_deref()).ok_or_else(|| ApiError::function_not_found(&wanted.arn(scope)))
    }

    fn numbered(&self, version: &str) -> Option<&Version> {
        self.versions.get(&version.parse::<u64>().ok()?)
    }

    /// Publishes `$LATEST`. When nothing changed since the last version, that one is the answer.
    ///
    /// The new version becomes active at a moment, or fails together with the update that it is published from.
    pub(super) fn publish(&mut self, description: Option<String>, at: Instant, failure: Option<Failure>) -> &Version {
        let latest = self.latest.shown();
        let unchanged = self.versions.last_key_value().is_some_and(|(_, last)| {
            let (last, mut configuration) = (last.shown(), latest.configuration.clone());
            configuration.description.clone_from(&last.configuration.description);
            last.artifact.same_code(&latest.artifact) && last.configuration == configuration
        });
        if !unchanged {
            self.last_version += 1;
            let deployment = latest.published(&self.last_version.to_string(), description);
            let mut version = Version::pending(deployment, at, failure);
            version.last_modified.clone_from(&self.latest.last_modified);
            self.versions.insert(self.last_version, version);
        }
        self.versions.last_key_value().map_or(&self.latest, |(_, version)| version)
    }

    /// Whether the function has a zip.
    pub(super) fn is_zip(&self) -> bool {
        self.latest.shown().configuration.package_type == PackageType::Zip
    }

    /// All versions, `$LATEST` first, with keys that sort in this order.
    pub(super) fn all_versions(&self) -> impl Iterator<Item = (String, &Version)> {
        let numbered = self.versions.iter().map(|(number, version)| (format!("{number:020}"), version));
        std::iter::once((LATEST.to_owned(), &self.latest)).chain(numbered)
    }

    /// No invocation will run any version again.
    pub(super) fn retire(&self) {
        self.latest.retire();
        for version in self.versions.values() {
            version.retire();
        }
    }
}

/// A random id in the form of a UUID.
pub(super) fn new_id() -> String {
    uuid::Uuid::new_v4().to_string()
}
