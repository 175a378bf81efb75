//! What a version of a function runs: its code and its configuration, together and unchanging.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::SystemTime;

use super::clock;
use super::code::{Code, Origin};
use super::configuration::{Configuration, default_log_group};
use super::integrity::Damage;
use super::layers::Layers;

/// What a deployment runs.
#[derive(Clone, Debug)]
pub(super) enum Artifact {
    /// A zip.
    Package {
        code: Arc<Code>,
        origin: Origin,
        /// The customer's key, as given with the code: recorded only.
        kms_key_arn: Option<String>,
    },
    /// A container image: recorded, never run.
    Image { uri: String },
    /// A command of the host. Its zip, when the command is one file, is only for show.
    Builtin { command: Arc<[std::ffi::OsString]>, code: Option<Arc<Code>> },
}

impl Artifact {
    /// The zip, when there is one.
    pub(super) fn code(&self) -> Option<&Arc<Code>> {
        match self {
            Self::Package { code, .. } => Some(code),
            Self::Builtin { code, .. } => code.as_ref(),
            Self::Image { .. } => None,
        }
    }

    /// `CodeSha256`. Images and built-in commands without a zip have the hash of nothing.
    pub(super) fn sha256(&self) -> &str {
        const OF_NOTHING: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        self.code().map_or(OF_NOTHING, |code| &code.sha256)
    }

    /// `CodeSize` in bytes.
    pub(super) fn size(&self) -> u64 {
        self.code().map_or(0, |code| code.size)
    }

    /// Whether this can go live: for a package, whether it is intact. `None` while that isn't known.
    pub(super) fn integrity(&self) -> Option<Result<(), &Damage>> {
        match self {
            Self::Package { code, .. } => code.integrity(),
            Self::Image { .. } | Self::Builtin { .. } => Some(Ok(())),
        }
    }

    /// The package, while it isn't known whether it is intact.
    pub(super) fn unchecked(&self) -> Option<&Arc<Code>> {
        self.code().filter(|_| self.integrity().is_none())
    }

    pub(super) fn same_code(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Image { uri: a }, Self::Image { uri: b }) => a == b,
            (Self::Builtin { command: a, .. }, Self::Builtin { command: b, .. }) => a == b,
            (a, b) => a.sha256() == b.sha256(),
        }
    }
}

/// Code, layers and configuration that processes are started from. Never changes; an update makes a new one.
#[derive(Debug)]
pub(super) struct Deployment {
    /// Different for every deployment of this Lambda: processes belong to exactly one.
    pub(super) generation: u64,
    pub(super) function: String,
    /// `$LATEST` or a number.
    pub(super) version: String,
    /// The region that the function was made in.
    pub(super) region: String,
    pub(super) configuration: Configuration,
    pub(super) artifact: Artifact,
    pub(super) layers: Arc<Layers>,
    /// Set when no further invocation will run it.
    pub(super) retired: AtomicBool,
}

impl Deployment {
    /// The role that it acts as. A command of the host was put there by the cloud's owner, and acts for the account.
    pub(super) fn acting_role(&self) -> Option<&str> {
        let builtin = matches!(self.artifact, Artifact::Builtin { .. });
        (!builtin).then_some(self.configuration.role.as_str())
    }

    pub(super) fn new(
        function: &str,
        version: &str,
        region: &str,
        configuration: Configuration,
        artifact: Artifact,
        layers: Arc<Layers>,
    ) -> Arc<Self> {
        static GENERATIONS: AtomicU64 = AtomicU64::new(0);
        Arc::new(Self {
            generation: GENERATIONS.fetch_add(1, Ordering::Relaxed),
            function: function.to_owned(),
            version: version.to_owned(),
            region: region.to_owned(),
            configuration,
            artifact,
            layers,
            retired: AtomicBool::new(false),
        })
    }

    /// The same code, layers and configuration as a published version.
    pub(super) fn published(&self, version: &str, description: Option<String>) -> Arc<Self> {
        let mut configuration = self.configuration.clone();
        if let Some(description) = description {
            configuration.description = description;
        }
        let (artifact, layers) = (self.artifact.clone(), Arc::clone(&self.layers));
        Self::new(&self.function, version, &self.region, configuration, artifact, layers)
    }

    /// The log group that its processes write into.
    pub(super) fn log_group(&self) -> String {
        self.configuration.log_group().map_or_else(|| default_log_group(&self.function), str::to_owned)
    }

    /// The name of a new log stream: each execution environment has one. In a group of its own choice, which functions may
    /// share, a function's name is in it.
    pub(super) fn new_log_stream(&self) -> String {
        let date = clock::date_path(SystemTime::now());
        let function = if self.configuration.log_group().is_some() { &*self.function } else { "" };
        format!("{date}/{function}[{}]{}", self.version, uuid::Uuid::new_v4().simple())
    }

    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
    }
}
