//! The operations of the control plane, one file per subject.

mod account;
mod aliases;
mod code;
mod concurrency;
mod configuration;
mod functions;
mod layers;
mod permissions;
mod signing;
mod tags;
mod versions;

use std::sync::Arc;

use super::Lambda;
use super::errors::Result;
use super::request::{Reply, Request};
use super::router::Operation;

pub(super) use signing::SigningConfig;

/// Carries out any operation but the invocations.
pub(super) async fn perform(lambda: &Arc<Lambda>, operation: Operation, request: &Request) -> Result<Reply> {
    match operation {
        Operation::CreateFunction => functions::create(lambda, request).await,
        Operation::GetFunction => functions::get(lambda, request),
        Operation::GetFunctionConfiguration => functions::get_configuration(lambda, request),
        Operation::ListFunctions => functions::list(lambda, request),
        Operation::DeleteFunction => functions::delete(lambda, request),
        Operation::UpdateFunctionCode => code::update(lambda, request).await,
        Operation::DownloadCode => code::download(lambda, request),
        Operation::PublishLayerVersion => layers::publish(lambda, request).await,
        Operation::GetLayerVersion => layers::get(lambda, request),
        Operation::GetLayerVersionByArn => layers::get_by_arn(lambda, request),
        Operation::ListLayers => layers::list(lambda, request),
        Operation::ListLayerVersions => layers::list_versions(lambda, request),
        Operation::DeleteLayerVersion => layers::delete(lambda, request),
        Operation::DownloadLayer => layers::download(lambda, request),
        Operation::UpdateFunctionConfiguration => configuration::update(lambda, request),
        Operation::PublishVersion => versions::publish(lambda, request),
        Operation::ListVersionsByFunction => versions::list(lambda, request),
        Operation::CreateAlias => aliases::create(lambda, request),
        Operation::GetAlias => aliases::get(lambda, request),
        Operation::UpdateAlias => aliases::update(lambda, request),
        Operation::DeleteAlias => aliases::delete(lambda, request),
        Operation::ListAliases => aliases::list(lambda, request),
        Operation::ListTags => tags::list(lambda, request),
        Operation::TagResource => tags::tag(lambda, request),
        Operation::UntagResource => tags::untag(lambda, request),
        Operation::AddPermission => permissions::add(lambda, request),
        Operation::GetPolicy => permissions::get(lambda, request),
        Operation::RemovePermission => permissions::remove(lambda, request),
        Operation::PutFunctionConcurrency => concurrency::put(lambda, request),
        Operation::GetFunctionConcurrency => concurrency::get(lambda, request),
        Operation::DeleteFunctionConcurrency => concurrency::delete(lambda, request),
        Operation::CreateCodeSigningConfig => signing::create(lambda, request),
        Operation::GetCodeSigningConfig => signing::get(lambda, request),
        Operation::ListCodeSigningConfigs => signing::list(lambda, request),
        Operation::UpdateCodeSigningConfig => signing::update(lambda, request),
        Operation::DeleteCodeSigningConfig => signing::delete(lambda, request),
        Operation::ListFunctionsByCodeSigningConfig => signing::list_functions(lambda, request),
        Operation::GetFunctionCodeSigningConfig => signing::get_of_function(lambda, request),
        Operation::PutFunctionCodeSigningConfig => signing::put_on_function(lambda, request),
        Operation::DeleteFunctionCodeSigningConfig => signing::delete_from_function(lambda, request),
        Operation::GetAccountSettings => Ok(account::get(lambda, request)),
        Operation::Invoke | Operation::InvokeAsync => super::invoke::invoke(lambda, operation, request).await,
    }
}
