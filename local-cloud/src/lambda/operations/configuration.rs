//! `UpdateFunctionConfiguration`.

use std::sync::Arc;

use serde::Deserialize;

use super::code::require_latest;
use crate::lambda::Lambda;
use crate::lambda::configuration::Settings;
use crate::lambda::deployment::Deployment;
use crate::lambda::errors::Result;
use crate::lambda::layers::Layers;
use crate::lambda::names::LATEST;
use crate::lambda::request::{Reply, Request, ok};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateFunctionConfiguration {
    revision_id: Option<String>,
    #[serde(flatten)]
    settings: Settings,
}

/// Changes the members that were given, and runs through the same states as an update of the code.
pub(super) fn update(lambda: &Arc<Lambda>, request: &Request) -> Result<Reply> {
    let wanted = request.function()?;
    let input: UpdateFunctionConfiguration = request.input()?;
    let mut registry = lambda.registry();
    let found = input.settings.layers().map(|arns| Layers::find(&registry.layers, arns, &request.scope));
    let function = registry.function(&wanted, &request.scope, lambda.objects())?;
    require_latest(&wanted)?;
    function.latest.require_settled(&wanted.arn(&request.scope))?;
    function.latest.require_revision(input.revision_id.as_deref())?;
    let shown = function.latest.shown();
    let mut configuration = shown.configuration.clone();
    configuration.apply(input.settings)?;
    let layers = found.transpose()?.unwrap_or_else(|| Arc::clone(&shown.layers));
    layers.check_size(shown.artifact.code())?;
    if configuration.role != shown.configuration.role {
        lambda.require_assumable(&configuration.role)?;
    }
    let artifact = shown.artifact.clone();
    let deployment = Deployment::new(&wanted.name, LATEST, &shown.region, configuration, artifact, layers);
    let (at, failure) = registry.take_fate(&wanted.name, lambda.settings().update_delay);
    lambda.see_through(&deployment.artifact, at);
    let function = registry.function(&wanted, &request.scope, lambda.objects())?;
    function.latest.begin_update(deployment, at, failure);
    let described = function.latest.details(&request.scope, None);
    Ok(ok(&described))
}
