//! Code signing configurations.
//!
//! No signature is ever checked: no zip here is signed. So a configuration that enforces signatures refuses every
//! deployment, which is what it does to a zip that was patched after it was signed.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::lambda::Lambda;
use crate::lambda::clock;
use crate::lambda::errors::{ApiError, ErrorKind, Result};
use crate::lambda::function::new_id;
use crate::lambda::names::{Scope, constraint};
use crate::lambda::registry::Registry;
use crate::lambda::request::{Reply, Request, created, no_content, ok};
use crate::lambda::validation::check_length;

/// One code signing configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::lambda) struct SigningConfig {
    id: String,
    description: String,
    allowed_publishers: Value,
    enforce: bool,
    last_modified: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SigningInput {
    description: Option<String>,
    allowed_publishers: Option<Value>,
    code_signing_policies: Option<Policies>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Policies {
    untrusted_artifact_on_deployment: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutOnFunction {
    code_signing_config_arn: Option<String>,
}

impl SigningConfig {
    fn apply(&mut self, input: SigningInput) -> Result<()> {
        if let Some(description) = input.description {
            check_length(&description, "description", 256)?;
            self.description = description;
        }
        if let Some(publishers) = input.allowed_publishers {
            self.allowed_publishers = publishers;
        }
        match input.code_signing_policies.and_then(|policies| policies.untrusted_artifact_on_deployment).as_deref() {
            None => {}
            Some("Enforce") => self.enforce = true,
            Some("Warn") => self.enforce = false,
            Some(other) => {
                return Err(constraint(
                    other,
                    "codeSigningPolicies.untrustedArtifactOnDeployment",
                    "Member must satisfy enum value set: [Warn, Enforce]",
                ));
            }
        }
        self.last_modified = clock::last_modified(SystemTime::now());
        Ok(())
    }

    fn describe(&self, scope: &Scope) -> Value {
        json!({
            "CodeSigningConfigId": self.id,
            "CodeSigningConfigArn": scope.code_signing_arn(&self.id),
            "Description": self.description,
            "AllowedPublishers": self.allowed_publishers,
            "CodeSigningPolicies": {
                "UntrustedArtifactOnDeployment": if self.enforce { "Enforce" } else { "Warn" }
            },
            "LastModified": self.last_modified,
        })
    }
}

impl Registry {
    /// The id of a configuration, by its ARN.
    pub(super) fn require_signing_config(&self, arn: &str, scope: &Scope) -> Result<String> {
        let id = arn.rsplit(':').next().unwrap_or_default();
        if !self.signing.contains_key(id) || scope.code_signing_arn(id) != arn {
            return Err(ApiError::new(
                ErrorKind::CodeSigningConfigNotFound,
                format!(
                    "The code signing configuration cannot be found. Check that the provided configuration is not deleted: {arn}."
                ),
            ));
        }
        Ok(id.to_owned())
    }

    /// Refuses unsigned code where a configuration enforces signatures.
    pub(super) fn require_unsigned_allowed(&self, id: Option<&str>) -> Result<()> {
        let enforced = id.and_then(|id| self.signing.get(id)).is_some_and(|config| config.enforce);
        if enforced {
            return Err(ApiError::new(
                ErrorKind::CodeVerificationFailed,
                "The code signature failed one or more of the validation checks for signature mismatch or expiry, and the code signing policy is set to ENFORCE. Lambda blocks the deployment.",
            ));
        }
        Ok(())
    }

    fn signing_config(&mut self, arn: &str, scope: &Scope) -> Result<&mut SigningConfig> {
        let missing = ApiError::not_found(format!("The Lambda code signing configuration {arn} can not be found."));
        match self.require_signing_config(arn, scope) {
            Ok(id) => self.signing.get_mut(&id).ok_or(missing),
            Err(_) => Err(missing),
        }
    }
}

/// `CreateCodeSigningConfig`.
pub(super) fn create(lambda: &Lambda, request: &Request) -> Result<Reply> {
    let input: SigningInput = request.input()?;
    if input.allowed_publishers.is_none() {
        return Err(constraint("null", "allowedPublishers", "Member must not be null"));
    }
    let id: String = new_id().chars().filter(char::is_ascii_alphanumeric).take(17).collect();
    let mut config = SigningConfig {
        id: format!("csc-{id}"),
        description: String::new(),
        allowed_publishers: Value::Null,
        enforce: false,
        last_modified: String::new(),
    };
    config.apply(input)?;
    let shown = json!({ "CodeSigningConfig": config.describe(&request.scope) });
    lambda.registry().signing.insert(config.id.clone(), config);
    Ok(created(&shown))
}

/// `GetCodeSigningConfig`.
pub(super) fn get(lambda: &Lambda, request: &Request) -> Result<Reply> {
    let mut registry = lambda.registry();
    let config = registry.signing_config(request.segment(0), &request.scope)?;
    Ok(ok(&json!({ "CodeSigningConfig": config.describe(&request.scope) })))
}

/// `UpdateCodeSigningConfig`.
pub(super) fn update(lambda: &Lambda, request: &Request) -> Result<Reply> {
    let input: SigningInput = request.input()?;
    let mut registry = lambda.registry();
    let config = registry.signing_config(request.segment(0), &request.scope)?;
    config.apply(input)?;
    Ok(ok(&json!({ "CodeSigningConfig": config.describe(&request.scope) })))
}

/// `DeleteCodeSigningConfig`: not while a function uses it.
pub(super) fn delete(lambda: &Lambda, request: &Request) -> Result<Reply> {
    let mut registry = lambda.registry();
    let id = registry.signing_config(request.segment(0), &request.scope)?.id.clone();
    if registry.functions.values().any(|function| function.code_signing_config.as_deref() == Some(id.as_str())) {
        return Err(ApiError::conflict(
            "This code signing configuration is used by a function and cannot be deleted. Remove it from the functions first.",
        ));
    }
    registry.signing.remove(&id);
    Ok(no_content())
}

/// `ListCodeSigningConfigs`.
pub(super) fn list(lambda: &Lambda, request: &Request) -> Result<Reply> {
    let page = request.page()?;
    let registry = lambda.registry();
    let items = registry.signing.iter().map(|(id, config)| (id.clone(), config.describe(&request.scope)));
    let (configs, marker) = page.cut(items);
    let mut shown = json!({ "CodeSigningConfigs": configs });
    if let Some(marker) = marker {
        shown["NextMarker"] = marker.into();
    }
    Ok(ok(&shown))
}

/// `ListFunctionsByCodeSigningConfig`.
pub(super) fn list_functions(lambda: &Lambda, request: &Request) -> Result<Reply> {
    let page = request.page()?;
    let mut registry = lambda.registry();
    let id = registry.signing_config(request.segment(0), &request.scope)?.id.clone();
    let items = registry
        .functions
        .values()
        .filter(|function| function.code_signing_config.as_deref() == Some(id.as_str()))
        .map(|function| (function.name.clone(), request.scope.function_arn(&function.name, None)));
    let (arns, marker) = page.cut(items);
    let mut shown = json!({ "FunctionArns": arns });
    if let Some(marker) = marker {
        shown["NextMarker"] = marker.into();
    }
    Ok(ok(&shown))
}

/// `GetFunctionCodeSigningConfig`. The service model says that the function's name is always there, so it is, although
/// AWS has been seen to leave it out when the function has no configuration.
pub(super) fn get_of_function(lambda: &Lambda, request: &Request) -> Result<Reply> {
    let wanted = request.function()?;
    let mut registry = lambda.registry();
    let function = registry.function(&wanted, &request.scope, lambda.objects())?;
    let mut shown = json!({ "FunctionName": function.name });
    if let Some(id) = &function.code_signing_config {
        shown["CodeSigningConfigArn"] = request.scope.code_signing_arn(id).into();
    }
    Ok(ok(&shown))
}

/// `PutFunctionCodeSigningConfig`.
pub(super) fn put_on_function(lambda: &Lambda, request: &Request) -> Result<Reply> {
    let wanted = request.function()?;
    let input: PutOnFunction = request.input()?;
    let arn = input
        .code_signing_config_arn
        .ok_or_else(|| constraint("null", "codeSigningConfigArn", "Member must not be null"))?;
    let mut registry = lambda.registry();
    let id = registry.require_signing_config(&arn, &request.scope)?;
    let function = registry.function(&wanted, &request.scope, lambda.objects())?;
    if !function.is_zip() {
        return Err(ApiError::invalid("Code signing is not supported for functions of package type Image."));
    }
    function.code_signing_config = Some(id);
    Ok(ok(&json!({ "CodeSigningConfigArn": arn, "FunctionName": function.name })))
}

/// `DeleteFunctionCodeSigningConfig`.
pub(super) fn delete_from_function(lambda: &Lambda, request: &Request) -> Result<Reply> {
    let wanted = request.function()?;
    let mut registry = lambda.registry();
    let function = registry.function(&wanted, &request.scope, lambda.objects())?;
    function.code_signing_config = None;
    Ok(no_content())
}
