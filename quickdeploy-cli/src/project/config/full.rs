//! The keys of the full build: what is built, which stack and which functions come of it.
//!
//! ```toml
//! build = "npm ci && npm run build"    # or codebuild = "my-project"
//! role = "app-role"                    # created when missing
//!
//! stack = "app"
//! template = "template.yaml"           # relative to this file
//! capabilities = ["CAPABILITY_IAM"]
//! deployment-mode = "express"          # or "standard"
//! parameters = { CodeBucket = "{bucket}", CodeKey = "{key}", CodeVersion = "{version}" }
//! tags = { team = "backend" }
//!
//! [create.app-api]                     # without a stack: created when missing
//! handler = "api.handler"
//! runtime = "nodejs22.x"
//! ```

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::Functions;
use super::keys::Keys;
use crate::project::config_error::ConfigError;
use crate::stack::DeploymentMode;

/// What a full build does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FullBuild {
    /// The command that builds, run by the shell in the root.
    pub(crate) build: Option<String>,
    /// The CodeBuild project that builds.
    pub(crate) codebuild: Option<String>,
    /// Name or ARN of the functions' execution role.
    pub(crate) role: Option<String>,
    /// Name of the CloudFormation stack.
    pub(crate) stack: Option<String>,
    /// Its template: as it was written, and where that is.
    pub(crate) template: Option<(String, PathBuf)>,
    /// Values of the template's parameters; placeholders are not yet filled in.
    pub(crate) parameters: BTreeMap<String, String>,
    /// What CloudFormation wants to have acknowledged.
    pub(crate) capabilities: Vec<String>,
    /// Tags of the stack.
    pub(crate) tags: BTreeMap<String, String>,
    /// How long CloudFormation waits for a resource.
    pub(crate) deployment_mode: DeploymentMode,
    /// Functions to create when they are missing, by name.
    pub(crate) create: BTreeMap<String, NewFunction>,
}

/// What a function is created with. What is left out is Lambda's default.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct NewFunction {
    /// Such as `api.handler`.
    pub(crate) handler: String,
    /// Such as `nodejs22.x`.
    pub(crate) runtime: String,
    /// In MB.
    pub(crate) memory: Option<i32>,
    /// In seconds.
    pub(crate) timeout: Option<i32>,
    pub(crate) architecture: Option<Architecture>,
    #[serde(default)]
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) description: Option<String>,
}

/// The processor that a function runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum Architecture {
    #[serde(rename = "x86_64")]
    X86,
    #[serde(rename = "arm64")]
    Arm,
}

/// A parameter's value: CloudFormation takes texts, and a number or a boolean means its text.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "a text, a number or a boolean")]
pub(super) enum Scalar {
    Text(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
}

impl Scalar {
    fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Integer(number) => number.to_string(),
            Self::Float(number) => number.to_string(),
            Self::Boolean(value) => value.to_string(),
        }
    }
}

impl FullBuild {
    /// The functions that are meant when nothing else says so: the stack's, or those that it creates.
    pub(super) fn functions(&self) -> Option<Functions> {
        match &self.stack {
            Some(stack) => Some(Functions::Stack(stack.clone())),
            None if self.create.is_empty() => None,
            None => Some(Functions::Names(self.create.keys().cloned().collect())),
        }
    }
}

impl Keys {
    /// Checks what is written here about full builds. What is missing may be in another table.
    pub(super) fn full_build(
        &self,
        directory: &Path,
        at: &impl Fn(Range<usize>, String) -> ConfigError,
    ) -> Result<FullBuild, ConfigError> {
        let not_empty = |value: &Option<Spanned<String>>, key: &str| match value {
            Some(value) if value.get_ref().trim().is_empty() => {
                Err(at(value.span(), format!("`{key}` is empty: give it a value or leave it out")))
            }
            value => Ok(value.as_ref().map(|value| value.get_ref().clone())),
        };
        let mut capabilities = Vec::new();
        for capability in self.capabilities.iter().flatten() {
            check_capability(capability.get_ref()).map_err(|message| at(capability.span(), message))?;
            capabilities.push(capability.get_ref().clone());
        }
        let mut create = BTreeMap::new();
        for (name, function) in self.create.iter().flatten() {
            super::functions::check_function_name(name.get_ref()).map_err(|message| at(name.span(), message))?;
            create.insert(name.get_ref().clone(), function.clone());
        }
        let texts = |values: &Option<BTreeMap<String, Scalar>>| {
            values.iter().flatten().map(|(key, value)| (key.clone(), value.clone().text())).collect()
        };
        let full = FullBuild {
            build: not_empty(&self.build, "build")?,
            codebuild: not_empty(&self.codebuild, "codebuild")?,
            role: not_empty(&self.role, "role")?,
            stack: not_empty(&self.stack, "stack")?,
            template: not_empty(&self.template, "template")?.map(|text| {
                let path = directory.join(&text);
                (text, path)
            }),
            parameters: texts(&self.parameters),
            capabilities,
            tags: texts(&self.tags),
            deployment_mode: self.deployment_mode.unwrap_or_default(),
            create,
        };
        if let (Some(_), Some(codebuild)) = (&self.build, &self.codebuild) {
            let message = "either `build`, which builds here, or `codebuild`, which builds at AWS".to_owned();
            return Err(at(codebuild.span(), message));
        }
        Ok(full)
    }
}

fn check_capability(name: &str) -> Result<(), String> {
    const KNOWN: [&str; 3] = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"];
    if KNOWN.contains(&name) {
        return Ok(());
    }
    Err(format!("`{name}` is no capability: there are {}", KNOWN.join(", ")))
}
