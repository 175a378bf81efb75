//! Published versions.

use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use crate::lambda::Lambda;
use crate::lambda::errors::{ApiError, Result};
use crate::lambda::request::{Reply, Request, created, ok};
use crate::lambda::validation::check_length;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PublishVersion {
    #[serde(rename = "CodeSha256")]
    code_sha256: Option<String>,
    description: Option<String>,
    revision_id: Option<String>,
}

/// `PublishVersion`.
pub(super) fn publish(lambda: &Lambda, request: &Request) -> Result<Reply> {
    let wanted = request.function()?;
    let input: PublishVersion = request.input()?;
    if let Some(description) = &input.description {
        check_length(description, "description", 256)?;
    }
    let mut registry = lambda.registry();
    let function = registry.function(&wanted, &request.scope, lambda.objects())?;
    function.latest.require_settled(&wanted.arn(&request.scope))?;
    function.latest.require_revision(input.revision_id.as_deref())?;
    let current = function.latest.shown().artifact.sha256();
    if let Some(expected) = input.code_sha256.filter(|expected| !expected.is_empty() && expected != current) {
        return Err(ApiError::invalid(format!(
            "CodeSHA256 ({expected}) is different from current CodeSHA256 in $LATEST ({current}). Please try again with the CodeSHA256 in $LATEST."
        )));
    }
    let at = Instant::now() + lambda.settings().update_delay;
    let version = function.publish(input.description, at, None);
    Ok(created(&version.details(&request.scope, Some(&version.shown().version))))
}

/// `ListVersionsByFunction`: `$LATEST` first.
pub(super) fn list(lambda: &Lambda, request: &Request) -> Result<Reply> {
    let wanted = request.function()?;
    let page = request.page()?;
    let mut registry = lambda.registry();
    let function = registry.function(&wanted, &request.scope, lambda.objects())?;
    let items = function
        .all_versions()
        .map(|(key, version)| (key, version.summary(&request.scope, Some(&version.shown().version))));
    let (versions, marker) = page.cut(items);
    let mut shown = json!({ "Versions": versions });
    if let Some(marker) = marker {
        shown["NextMarker"] = marker.into();
    }
    Ok(ok(&shown))
}
