//! Aliases: names for versions, with optional weighted routing to a second version.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::lambda::Lambda;
use crate::lambda::errors::{ApiError, Result};
use crate::lambda::function::{Alias, Function, new_id};
use crate::lambda::names::{FunctionRef, LATEST, Scope, constraint, is_alias};
use crate::lambda::request::{Reply, Request, created, no_content, ok};
use crate::lambda::validation::check_length;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AliasInput {
    name: Option<String>,
    function_version: Option<String>,
    description: Option<String>,
    routing_config: Option<RoutingConfig>,
    revision_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RoutingConfig {
    #[serde(default)]
    additional_version_weights: Option<BTreeMap<String, f64>>,
}

fn describe(alias: &Alias, function: &str, name: &str, scope: &Scope) -> Value {
    let mut shown = json!({
        "AliasArn": scope.function_arn(function, Some(name)),
        "Name": name,
        "FunctionVersion": alias.version,
        "Description": alias.description,
        "RevisionId": alias.revision_id,
    });
    if !alias.weights.is_empty() {
        shown["RoutingConfig"] = json!({ "AdditionalVersionWeights": alias.weights });
    }
    shown
}

fn not_found(function: &str, name: &str, scope: &Scope) -> ApiError {
    ApiError::not_found(format!("Cannot find alias arn: {}", scope.function_arn(function, Some(name))))
}

/// Sets the members that were given, after looking whether the versions they name are there.
fn apply(alias: &mut Alias, input: AliasInput, function: &Function, scope: &Scope) -> Result<()> {
    if let Some(description) = input.description {
        check_length(&description, "description", 256)?;
        alias.description = description;
    }
    if let Some(version) = input.function_version {
        require_version(function, &version, scope)?;
        alias.version = version;
    }
    if let Some(routing) = input.routing_config {
        alias.weights = routing.additional_version_weights.unwrap_or_default();
    }
    if !alias.weights.is_empty() && alias.version == LATEST {
        return Err(ApiError::invalid("$LATEST is not supported for an alias pointing to more than 1 version"));
    }
    if alias.weights.len() > 1 {
        return Err(ApiError::invalid("Number of items in AdditionalVersionWeights cannot be greater than 1"));
    }
    for (version, weight) in &alias.weights {
        require_version(function, version, scope)?;
        if *version == alias.version {
            return Err(ApiError::invalid(format!(
                "Invalid function version {version}. Function version {version} is already included in routing configuration."
            )));
        }
        if !(0.0..=1.0).contains(weight) {
            return Err(constraint(
                &weight.to_string(),
                "routingConfig.additionalVersionWeights",
                "Map value must satisfy constraint: [Member must have value between 0.0 and 1.0]",
            ));
        }
    }
    Ok(())
}

fn require_version(function: &Function, version: &str, scope: &Scope) -> Result<()> {
    let there = version == LATEST || version.parse::<u64>().is_ok_and(|number| function.versions.contains_key(&number));
    if there {
        return Ok(());
    }
    Err(ApiError::function_not_found(&scope.function_arn(&function.name, Some(version))))
}

/// `CreateAlias`.
pub(super) fn create(lambda: &Lambda, request: &Request) -> Result<Reply> {
    let wanted = request.function()?;
    let mut input: AliasInput = request.input()?;
    let name = input.name.take().unwrap_or_default();
    if !is_alias(&name) {
        return Err(constraint(
            &name,
            "name",
            "Member must satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)",
        ));
    }
    if input.function_version.is_none() {
        return Err(constraint("null", "functionVersion", "Member must not be null"));
    }
    let mut registry = lambda.registry();
    let function = registry.function(&wanted, &request.scope, lambda.objects())?;
    if function.aliases.contains_key(&name) {
        let arn = request.scope.function_arn(&function.name, Some(&name));
        return Err(ApiError::conflict(format!("Alias already exists: {arn}")));
    }
    let mut alias =
        Alias { version: String::new(), description: String::new(), weights: BTreeMap::new(), revision_id: new_id() };
    apply(&mut alias, input, function, &request.scope)?;
    let shown = describe(&alias, &function.name, &name, &request.scope);
    function.aliases.insert(name, alias);
    Ok(created(&shown))
}

/// `GetAlias`.
pub(super) fn get(lambda: &Lambda, request: &Request) -> Result<Reply> {
    let (wanted, name) = named(request)?;
    let mut registry = lambda.registry();
    let function = registry.function(&wanted, &request.scope, lambda.objects())?;
    let alias = function.aliases.get(name).ok_or_else(|| not_found(&wanted.name, name, &request.scope))?;
    Ok(ok(&describe(alias, &function.name, name, &request.scope)))
}

/// `UpdateAlias`.
pub(super) fn update(lambda: &Lambda, request: &Request) -> Result<Reply> {
    let (wanted, name) = named(request)?;
    let input: AliasInput = request.input()?;
    let mut registry = lambda.registry();
    let function = registry.function(&wanted, &request.scope, lambda.objects())?;
    let known = function.aliases.get(name).ok_or_else(|| not_found(&wanted.name, name, &request.scope))?;
    if input.revision_id.as_ref().is_some_and(|expected| *expected != known.revision_id) {
        return Err(ApiError::stale_revision("GetFunction/GetAlias"));
    }
    let mut alias = Alias { revision_id: new_id(), ..known.clone() };
    apply(&mut alias, input, function, &request.scope)?;
    let shown = describe(&alias, &function.name, name, &request.scope);
    function.aliases.insert(name.to_owned(), alias);
    Ok(ok(&shown))
}

/// `DeleteAlias`. An alias that isn't there is no error.
pub(super) fn delete(lambda: &Lambda, request: &Request) -> Result<Reply> {
    let (wanted, name) = named(request)?;
    let mut registry = lambda.registry();
    let function = registry.function(&wanted, &request.scope, lambda.objects())?;
    function.aliases.remove(name);
    function.policies.remove(name);
    Ok(no_content())
}

/// `ListAliases`, all or those of one version.
pub(super) fn list(lambda: &Lambda, request: &Request) -> Result<Reply> {
    let wanted = request.function()?;
    let page = request.page()?;
    let of_version = request.query("FunctionVersion");
    let mut registry = lambda.registry();
    let function = registry.function(&wanted, &request.scope, lambda.objects())?;
    let items = function
        .aliases
        .iter()
        .filter(|(_, alias)| of_version.is_none_or(|version| alias.version == version))
        .map(|(name, alias)| (name.clone(), describe(alias, &function.name, name, &request.scope)));
    let (aliases, marker) = page.cut(items);
    let mut shown = json!({ "Aliases": aliases });
    if let Some(marker) = marker {
        shown["NextMarker"] = marker.into();
    }
    Ok(ok(&shown))
}

fn named(request: &Request) -> Result<(FunctionRef, &str)> {
    Ok((FunctionRef::parse(request.segment(0), None, &request.scope)?, request.segment(1)))
}
