//! All functions of a Lambda, under one lock.
//!
//! Nothing that takes long happens under the lock: packages are hashed before it is taken, processes are started after
//! it is released.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use super::Objects;
use super::errors::{ApiError, Result};
use super::function::Function;
use super::layers::Layer;
use super::names::{FunctionRef, Scope};
use super::operations::SigningConfig;
use super::version::Failure;

/// Functions, and what is kept beside them.
#[derive(Default)]
pub(super) struct Registry {
    pub(super) functions: BTreeMap<String, Function>,
    pub(super) layers: BTreeMap<String, Layer>,
    /// Code signing configurations by id.
    pub(super) signing: BTreeMap<String, SigningConfig>,
    /// What shall become of a function's next update, by the function's name.
    pub(super) fates: HashMap<String, Fate>,
}

/// What shall become of an update, instead of success after the usual delay.
#[derive(Clone, Debug, Default)]
pub(super) struct Fate {
    pub(super) delay: Option<Duration>,
    pub(super) failure: Option<Failure>,
}

impl Registry {
    /// A function, settled, or the error that names what is missing.
    pub(super) fn function(
        &mut self,
        wanted: &FunctionRef,
        scope: &Scope,
        objects: &dyn Objects,
    ) -> Result<&mut Function> {
        let function =
            self.functions.get_mut(&wanted.name).ok_or_else(|| ApiError::function_not_found(&wanted.arn(scope)))?;
        function.settle(Instant::now(), objects);
        Ok(function)
    }

    /// When an update that begins now ends, and how.
    pub(super) fn take_fate(&mut self, name: &str, usual: Duration) -> (Instant, Option<Failure>) {
        let fate = self.fates.remove(name).unwrap_or_default();
        (Instant::now() + fate.delay.unwrap_or(usual), fate.failure)
    }
}
