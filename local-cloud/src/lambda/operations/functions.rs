//! Functions as a whole: create, describe, list, delete.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::code::{CodeInput, location};
use crate::lambda::Lambda;
use crate::lambda::configuration::{Configuration, PackageType, Settings};
use crate::lambda::deployment::{Artifact, Deployment};
use crate::lambda::errors::{ApiError, Result};
use crate::lambda::function::Function;
use crate::lambda::layers::Layers;
use crate::lambda::names::{FunctionRef, LATEST, constraint};
use crate::lambda::request::{Reply, Request, created, no_content, ok};
use crate::lambda::version::Version;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CreateFunction {
    function_name: Option<String>,
    code: Option<CodeInput>,
    package_type: Option<String>,
    #[serde(default)]
    publish: bool,
    architectures: Option<Vec<String>>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    code_signing_config_arn: Option<String>,
    #[serde(flatten)]
    settings: Settings,
}

/// `CreateFunction`.
pub(super) async fn create(lambda: &Arc<Lambda>, request: &Request) -> Result<Reply> {
    let input: CreateFunction = request.large_input().await?;
    let name = input.function_name.ok_or_else(|| constraint("null", "functionName", "Member must not be null"))?;
    let wanted = FunctionRef::parse(&name, None, &request.scope)?;
    let package_type = match input.package_type.as_deref() {
        None | Some("Zip") => PackageType::Zip,
        Some("Image") => PackageType::Image,
        Some(other) => {
            return Err(constraint(other, "packageType", "Member must satisfy enum value set: [Zip, Image]"));
        }
    };
    let mut configuration = Configuration::create(package_type, input.settings)?;
    configuration.set_architectures(input.architectures)?;
    super::tags::check(&input.tags)?;
    lambda.registry().require_absent(&wanted.name)?;
    lambda.require_assumable(&configuration.role)?;
    let layers = Layers::find(&lambda.registry().layers, &configuration.layers, &request.scope)?;
    let signing =
        input.code_signing_config_arn.map(|arn| lambda.registry().require_signing_config(&arn, &request.scope));
    let signing = signing.transpose()?;
    lambda.registry().require_unsigned_allowed(signing.as_deref())?;
    let code = input.code.ok_or_else(|| constraint("null", "code", "Member must not be null"))?;
    let artifact = code.load(lambda, request, package_type, "CreateFunction").await?;
    layers.check_size(artifact.code())?;

    let mut registry = lambda.registry();
    registry.require_absent(&wanted.name)?;
    let (at, failure) = registry.take_fate(&wanted.name, lambda.settings().create_delay);
    let deployment = Deployment::new(&wanted.name, LATEST, &request.scope.region, configuration, artifact, layers);
    lambda.see_through(&deployment.artifact, at);
    let mut function = Function::new(Version::pending(deployment, at, failure.clone()));
    function.tags = input.tags;
    function.code_signing_config = signing;
    let shown = if input.publish {
        let version = function.publish(None, at, failure);
        version.details(&request.scope, Some(&version.shown().version))
    } else {
        function.latest.details(&request.scope, None)
    };
    if let Some(stand_in) = registry.functions.insert(wanted.name, function) {
        stand_in.retire();
    }
    drop(registry);
    lambda.end_retired();
    Ok(created(&shown))
}

impl crate::lambda::registry::Registry {
    /// A built-in function only stands in until one of its name is created.
    fn require_absent(&self, name: &str) -> Result<()> {
        let is_builtin = |function: &Function| matches!(function.latest.shown().artifact, Artifact::Builtin { .. });
        if self.functions.get(name).is_some_and(|function| !is_builtin(function)) {
            return Err(ApiError::conflict(format!("Function already exist: {name}")));
        }
        Ok(())
    }
}

/// `GetFunction`.
pub(super) fn get(lambda: &Lambda, request: &Request) -> Result<Reply> {
    let wanted = request.function()?;
    let mut registry = lambda.registry();
    let function = registry.function(&wanted, &request.scope, lambda.objects())?;
    let version = function.require_version(&wanted, &request.scope)?;
    let mut shown = json!({
        "Configuration": version.details(&request.scope, wanted.qualifier.as_deref()),
        "Code": location(version, &lambda.endpoint()),
    });
    if !function.tags.is_empty() {
        match lambda.permit_tags(request, &function.name) {
            Ok(()) => shown["Tags"] = json!(function.tags),
            Err(message) => {
                shown["TagsError"] = json!({ "ErrorCode": "AccessDeniedException", "Message": message });
            }
        }
    }
    if let Some(reserved) = function.reserved_concurrency {
        shown["Concurrency"] = json!({ "ReservedConcurrentExecutions": reserved });
    }
    Ok(ok(&shown))
}

/// `GetFunctionConfiguration`.
pub(super) fn get_configuration(lambda: &Lambda, request: &Request) -> Result<Reply> {
    let wanted = request.function()?;
    let mut registry = lambda.registry();
    let function = registry.function(&wanted, &request.scope, lambda.objects())?;
    let version = function.require_version(&wanted, &request.scope)?;
    Ok(ok(&version.details(&request.scope, wanted.qualifier.as_deref())))
}

/// `ListFunctions`: `$LATEST` of each function, or with `FunctionVersion=ALL` every version.
pub(super) fn list(lambda: &Lambda, request: &Request) -> Result<Reply> {
    let all = match request.query("FunctionVersion") {
        None => false,
        Some("ALL") => true,
        Some(other) => {
            return Err(constraint(other, "functionVersion", "Member must satisfy enum value set: [ALL]"));
        }
    };
    let page = request.page()?;
    let registry = lambda.settled_registry();
    let scope = &request.scope;
    let items = registry.functions.values().flat_map(|function| {
        let versions: Vec<(String, Value)> = if all {
            let qualified = |(key, version): (String, &Version)| {
                (format!("{}:{key}", function.name), version.summary(scope, Some(&version.shown().version)))
            };
            function.all_versions().map(qualified).collect()
        } else {
            vec![(function.name.clone(), function.latest.summary(scope, None))]
        };
        versions
    });
    let (functions, marker) = page.cut(items);
    let mut shown = json!({ "Functions": functions });
    if let Some(marker) = marker {
        shown["NextMarker"] = marker.into();
    }
    Ok(ok(&shown))
}

/// `DeleteFunction`: the whole function, or with a qualifier one published version.
pub(super) fn delete(lambda: &Lambda, request: &Request) -> Result<Reply> {
    let wanted = request.function()?;
    let mut registry = lambda.registry();
    let function = registry.function(&wanted, &request.scope, lambda.objects())?;
    match wanted.qualifier.as_deref() {
        None => {
            function.retire();
            registry.functions.remove(&wanted.name);
        }
        Some(LATEST) => {
            return Err(ApiError::invalid("$LATEST version cannot be deleted without deleting the function."));
        }
        Some(qualifier) => {
            let Ok(number) = qualifier.parse::<u64>() else {
                return Err(ApiError::invalid("Deletion of aliases is not currently supported."));
            };
            let uses = |alias: &crate::lambda::function::Alias| {
                alias.version == qualifier || alias.weights.contains_key(qualifier)
            };
            let names: Vec<&str> =
                function.aliases.iter().filter(|(_, alias)| uses(alias)).map(|(name, _)| name.as_str()).collect();
            if !names.is_empty() {
                return Err(ApiError::conflict(format!(
                    "Unable to delete version because the following aliases reference it: [{}]",
                    names.join(", ")
                )));
            }
            // Deleting a version that isn't there is no error.
            if let Some(version) = function.versions.remove(&number) {
                version.retire();
            }
        }
    }
    drop(registry);
    lambda.end_retired();
    Ok(no_content())
}

impl Lambda {
    /// Puts a built-in function where it is looked for, unless one of its name was kept on disk: active at once.
    pub(in crate::lambda) fn insert_builtin(
        &self,
        name: &str,
        region: &str,
        configuration: Configuration,
        artifact: Artifact,
    ) {
        let deployment = Deployment::new(name, LATEST, region, configuration, artifact, Arc::default());
        let stand_in = || Function::new(Version::active(deployment));
        self.registry().functions.entry(name.to_owned()).or_insert_with(stand_in);
    }
}
