//! What can be done to the stacks of a local cloud beyond AWS's API: let a resource fail or take its time.

use std::sync::Arc;
use std::time::Duration;

use super::CloudFormation;

/// A handle on the CloudFormation of a local cloud, for tests and demos.
#[derive(Clone)]
pub struct StackControl {
    cloudformation: Arc<CloudFormation>,
}

/// What shall become of the next thing that happens to a resource.
#[derive(Clone, Debug, Default)]
pub(super) struct Fate {
    pub(super) failure: Option<String>,
    pub(super) delay: Option<Duration>,
}

impl StackControl {
    pub(crate) fn new(cloudformation: Arc<CloudFormation>) -> Self {
        Self { cloudformation }
    }

    /// Lets the next creation, update or deletion of the resource with this logical id fail with a reason, in whatever
    /// stack it is. Nothing is done to the resource then.
    pub fn fail_next(&self, logical_id: &str, reason: &str) {
        self.fate(logical_id, |fate| fate.failure = Some(reason.to_owned()));
    }

    /// Lets the next creation, update or deletion of the resource with this logical id take this long, instead of
    /// [`resource_delay`](super::CloudFormationSettings::resource_delay). Meanwhile its stack is `…_IN_PROGRESS`.
    pub fn delay_next(&self, logical_id: &str, delay: Duration) {
        self.fate(logical_id, |fate| fate.delay = Some(delay));
    }

    fn fate(&self, logical_id: &str, change: impl FnOnce(&mut Fate)) {
        change(self.cloudformation.state().fates.entry(logical_id.to_owned()).or_default());
    }
}

impl std::fmt::Debug for StackControl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StackControl").finish_non_exhaustive()
    }
}
