//! A function's configuration: read from requests, held against Lambda's rules, written into answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::errors::{ApiError, Result};
use super::names::constraint;
use super::validation::{
    check_architectures, check_environment, check_layers, check_length, check_offered, check_runtime, checked_role,
    in_range,
};

/// Whether a function is deployed as a zip or as a container image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum PackageType {
    Zip,
    Image,
}

/// Everything about a version of a function but its code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Configuration {
    pub(super) package_type: PackageType,
    pub(super) runtime: Option<String>,
    pub(super) handler: Option<String>,
    pub(super) role: String,
    pub(super) description: String,
    /// Seconds.
    pub(super) timeout: u32,
    /// MB.
    pub(super) memory_size: u32,
    pub(super) environment: BTreeMap<String, String>,
    /// The ARNs of layer versions.
    pub(super) layers: Vec<String>,
    pub(super) architectures: Vec<String>,
    pub(super) kms_key_arn: Option<String>,
    /// Structures that are shown again as they were given and have no effect here, by their member's name.
    pub(super) recorded: BTreeMap<String, Value>,
}

/// The members that `CreateFunction` and `UpdateFunctionConfiguration` have in common. Absent members change nothing.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Settings {
    runtime: Option<String>,
    handler: Option<String>,
    role: Option<String>,
    description: Option<String>,
    timeout: Option<i64>,
    memory_size: Option<i64>,
    environment: Option<Environment>,
    layers: Option<Vec<String>>,
    #[serde(rename = "KMSKeyArn")]
    kms_key_arn: Option<String>,
    vpc_config: Option<Value>,
    dead_letter_config: Option<Value>,
    tracing_config: Option<Value>,
    file_system_configs: Option<Value>,
    image_config: Option<Value>,
    ephemeral_storage: Option<Value>,
    snap_start: Option<Value>,
    logging_config: Option<Value>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Environment {
    #[serde(rename = "Variables", default)]
    variables: BTreeMap<String, String>,
}

impl Settings {
    /// The ARNs of layer versions, where they are given.
    pub(super) fn layers(&self) -> Option<&[String]> {
        self.layers.as_deref()
    }
}

impl Configuration {
    /// The configuration before any member is set, with AWS's defaults.
    pub(super) fn new(package_type: PackageType) -> Self {
        Self {
            package_type,
            runtime: None,
            handler: None,
            role: String::new(),
            description: String::new(),
            timeout: 3,
            memory_size: 128,
            environment: BTreeMap::new(),
            layers: Vec::new(),
            architectures: vec!["x86_64".to_owned()],
            kms_key_arn: None,
            recorded: BTreeMap::new(),
        }
    }

    /// A new function's configuration.
    pub(super) fn create(package_type: PackageType, settings: Settings) -> Result<Self> {
        match package_type {
            PackageType::Zip if settings.runtime.is_none() || settings.handler.is_none() => {
                return Err(ApiError::invalid(
                    "Runtime and Handler are mandatory parameters for functions created with deployment packages.",
                ));
            }
            PackageType::Image
                if settings.runtime.is_some()
                    || settings.handler.is_some()
                    || settings.layers().is_some_and(|layers| !layers.is_empty()) =>
            {
                return Err(ApiError::invalid(
                    "Please don't provide Handler or Runtime or Layer when the intended function PackageType is Image.",
                ));
            }
            PackageType::Zip | PackageType::Image => {}
        }
        if settings.role.is_none() {
            return Err(constraint("null", "role", "Member must not be null"));
        }
        if let Some(runtime) = &settings.runtime {
            check_offered(runtime)?;
        }
        let mut configuration = Self::new(package_type);
        configuration.apply(settings)?;
        Ok(configuration)
    }

    /// Sets the members that were given. After an error the configuration may be half changed: work on a copy.
    pub(super) fn apply(&mut self, settings: Settings) -> Result<()> {
        if let Some(runtime) = settings.runtime {
            check_runtime(&runtime)?;
            self.runtime = Some(runtime);
        }
        if let Some(handler) = settings.handler {
            check_length(&handler, "handler", 128)?;
            if handler.chars().any(char::is_whitespace) || handler.is_empty() {
                return Err(constraint(&handler, "handler", r"Member must satisfy regular expression pattern: [^\s]+"));
            }
            self.handler = Some(handler);
        }
        if let Some(role) = settings.role {
            self.role = checked_role(role)?;
        }
        if let Some(description) = settings.description {
            check_length(&description, "description", 256)?;
            self.description = description;
        }
        if let Some(timeout) = settings.timeout {
            self.timeout = in_range(timeout, "timeout", 1, 900)?;
        }
        if let Some(memory) = settings.memory_size {
            self.memory_size = in_range(memory, "memorySize", 128, 10_240)?;
        }
        if let Some(environment) = settings.environment {
            check_environment(&environment.variables)?;
            self.environment = environment.variables;
        }
        if let Some(layers) = settings.layers {
            check_layers(&layers)?;
            self.layers = layers;
        }
        if let Some(key) = settings.kms_key_arn {
            self.kms_key_arn = Some(key).filter(|key| !key.is_empty());
        }
        let recorded = [
            ("VpcConfig", settings.vpc_config),
            ("DeadLetterConfig", settings.dead_letter_config),
            ("TracingConfig", settings.tracing_config),
            ("FileSystemConfigs", settings.file_system_configs),
            ("ImageConfig", settings.image_config),
            ("EphemeralStorage", settings.ephemeral_storage),
            ("SnapStart", settings.snap_start),
            ("LoggingConfig", settings.logging_config),
        ];
        self.recorded.extend(recorded.into_iter().filter_map(|(member, value)| Some((member.to_owned(), value?))));
        Ok(())
    }

    /// The log group that was set, if one was.
    pub(super) fn log_group(&self) -> Option<&str> {
        self.recorded.get("LoggingConfig")?.get("LogGroup")?.as_str()
    }

    /// Sets `Architectures`, which only changes with the code.
    pub(super) fn set_architectures(&mut self, architectures: Option<Vec<String>>) -> Result<()> {
        let Some(architectures) = architectures else { return Ok(()) };
        let shown = format!("[{}]", architectures.join(", "));
        if architectures.len() != 1 {
            let rule = if architectures.is_empty() { "greater than or equal to 1" } else { "less than or equal to 1" };
            return Err(constraint(&shown, "architectures", &format!("Member must have length {rule}")));
        }
        check_architectures(&architectures, "architectures")?;
        self.architectures = architectures;
        Ok(())
    }

    /// The members of `FunctionConfiguration` that this configuration decides, for the function `name`.
    pub(super) fn members(&self, name: &str, region: &str) -> Value {
        let mut shown = json!({
            "Role": self.role,
            "Description": self.description,
            "Timeout": self.timeout,
            "MemorySize": self.memory_size,
            "Architectures": self.architectures,
            "PackageType": match self.package_type { PackageType::Zip => "Zip", PackageType::Image => "Image" },
            "TracingConfig": self.recorded.get("TracingConfig").cloned().unwrap_or_else(|| json!({ "Mode": "PassThrough" })),
            "EphemeralStorage": self.recorded.get("EphemeralStorage").cloned().unwrap_or_else(|| json!({ "Size": 512 })),
        });
        let apply_on = self.recorded.get("SnapStart").and_then(|s| s.get("ApplyOn")).cloned();
        shown["SnapStart"] =
            json!({ "ApplyOn": apply_on.unwrap_or_else(|| "None".into()), "OptimizationStatus": "Off" });
        let mut logging = json!({ "LogFormat": "Text", "LogGroup": default_log_group(name) });
        if let Some(given) = self.recorded.get("LoggingConfig") {
            merge(&mut logging, given);
        }
        shown["LoggingConfig"] = logging;
        if let Some(runtime) = &self.runtime {
            shown["Runtime"] = runtime.as_str().into();
            shown["RuntimeVersionConfig"] =
                json!({ "RuntimeVersionArn": format!("arn:aws:lambda:{region}::runtime:{runtime}") });
        }
        if let Some(handler) = &self.handler {
            shown["Handler"] = handler.as_str().into();
        }
        if !self.environment.is_empty() {
            shown["Environment"] = json!({ "Variables": self.environment });
        }
        if let Some(key) = &self.kms_key_arn {
            shown["KMSKeyArn"] = key.as_str().into();
        }
        if let Some(vpc) = self.recorded.get("VpcConfig") {
            let mut response =
                json!({ "SubnetIds": [], "SecurityGroupIds": [], "VpcId": "", "Ipv6AllowedForDualStack": false });
            merge(&mut response, vpc);
            shown["VpcConfig"] = response;
        }
        for member in ["DeadLetterConfig", "FileSystemConfigs"] {
            if let Some(value) = self.recorded.get(member) {
                shown[member] = value.clone();
            }
        }
        if let Some(image) = self.recorded.get("ImageConfig") {
            shown["ImageConfigResponse"] = json!({ "ImageConfig": image });
        }
        shown
    }
}

/// Where a function logs unless its configuration says otherwise.
pub(super) fn default_log_group(function: &str) -> String {
    format!("/aws/lambda/{function}")
}

/// Copies the members of one object over those of another.
pub(super) fn merge(into: &mut Value, from: &Value) {
    if let (Some(into), Some(from)) = (into.as_object_mut(), from.as_object()) {
        into.extend(from.iter().map(|(member, value)| (member.clone(), value.clone())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lambda::errors::ErrorKind;

    fn created(change: &Value) -> Result<Configuration> {
        let mut settings = json!({
            "Runtime": "python3.12", "Handler": "app.handler", "Role": "arn:aws:iam::000000000000:role/r"
        });
        merge(&mut settings, change);
        Configuration::create(PackageType::Zip, serde_json::from_value(settings).unwrap())
    }

    fn refused(change: &Value) -> ErrorKind {
        created(change).unwrap_err().kind
    }

    #[test]
    fn values_outside_the_model_are_refused() {
        assert_eq!(refused(&json!({ "Runtime": "cobol85" })), ErrorKind::InvalidParameterValue);
        assert_eq!(refused(&json!({ "Runtime": "python2.7" })), ErrorKind::InvalidParameterValue);
        assert_eq!(refused(&json!({ "Runtime": null })), ErrorKind::InvalidParameterValue);
        assert_eq!(refused(&json!({ "Role": "role" })), ErrorKind::Validation);
        assert_eq!(refused(&json!({ "Timeout": 901 })), ErrorKind::Validation);
        assert_eq!(refused(&json!({ "MemorySize": 127 })), ErrorKind::Validation);
        assert_eq!(refused(&json!({ "Handler": "a b" })), ErrorKind::Validation);
        let reserved = json!({ "Environment": { "Variables": { "AWS_REGION": "x" } } });
        assert_eq!(refused(&reserved), ErrorKind::InvalidParameterValue);
        let large = json!({ "Environment": { "Variables": { "LARGE": "x".repeat(5000) } } });
        assert_eq!(refused(&large), ErrorKind::InvalidParameterValue);
    }

    #[test]
    fn defaults_are_those_of_aws() {
        let configuration = created(&json!({})).unwrap();
        let shown = configuration.members("f", "us-east-1");
        assert_eq!(shown["Timeout"], 3);
        assert_eq!(shown["MemorySize"], 128);
        assert_eq!(shown["Architectures"], json!(["x86_64"]));
        assert_eq!(shown["LoggingConfig"]["LogGroup"], "/aws/lambda/f");
        assert_eq!(shown.get("Environment"), None);
    }
}
