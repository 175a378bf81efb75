//! What a user of the local cloud can set about its CodeBuild.

use std::time::Duration;

/// How the local CodeBuild behaves.
#[derive(Clone, Debug)]
pub struct CodeBuildSettings {
    /// How long it takes until a build has its environment: the phase `PROVISIONING`. AWS takes from seconds to a minute.
    pub provisioning_delay: Duration,
    /// How many builds may run at one time. Further ones wait in the phase `QUEUED`.
    pub max_builds: usize,
    /// No build runs for longer than this, whatever its `timeoutInMinutes` says.
    pub longest_build: Duration,
}

impl Default for CodeBuildSettings {
    fn default() -> Self {
        Self {
            provisioning_delay: Duration::from_millis(200),
            max_builds: 4,
            longest_build: Duration::from_secs(60 * 60),
        }
    }
}
