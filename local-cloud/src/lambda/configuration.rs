//! A function's configuration: read from requests, held against Lambda's rules, written into answers.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::errors::{ApiError, Result};
use super::names::constraint;

/// Every runtime the service model knows.
const RUNTIMES: &[&str] = &[
    "dotnet10",
    "dotnet6",
    "dotnet8",
    "dotnetcore1.0",
    "dotnetcore2.0",
    "dotnetcore2.1",
    "dotnetcore3.1",
    "go1.x",
    "java11",
    "java11.al2023",
    "java17",
    "java17.al2023",
    "java21",
    "java25",
    "java8",
    "java8.al2",
    "java8.al2023",
    "nodejs",
    "nodejs10.x",
    "nodejs12.x",
    "nodejs14.x",
    "nodejs16.x",
    "nodejs18.x",
    "nodejs20.x",
    "nodejs22.x",
    "nodejs24.x",
    "nodejs26.x",
    "nodejs4.3",
    "nodejs4.3-edge",
    "nodejs6.10",
    "nodejs8.10",
    "provided",
    "provided.al2",
    "provided.al2023",
    "python2.7",
    "python3.10",
    "python3.11",
    "python3.12",
    "python3.13",
    "python3.14",
    "python3.15",
    "python3.6",
    "python3.7",
    "python3.8",
    "python3.9",
    "ruby2.5",
    "ruby2.7",
    "ruby3.2",
    "ruby3.3",
    "ruby3.4",
    "ruby4.0",
];

/// Runtimes for which AWS has long refused new functions.
const RETIRED: &[&str] = &[
    "dotnetcore1.0",
    "dotnetcore2.0",
    "dotnetcore2.1",
    "dotnetcore3.1",
    "go1.x",
    "java8",
    "nodejs",
    "nodejs10.x",
    "nodejs12.x",
    "nodejs14.x",
    "nodejs4.3",
    "nodejs4.3-edge",
    "nodejs6.10",
    "nodejs8.10",
    "provided",
    "python2.7",
    "python3.6",
    "python3.7",
    "ruby2.5",
    "ruby2.7",
];

/// Environment variables that Lambda sets itself.
const RESERVED_VARIABLES: &[&str] = &[
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SECRET_KEY",
    "AWS_SESSION_TOKEN",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
];

/// The limit on all environment variables together, in bytes.
const MAX_ENVIRONMENT: usize = 4_096;

/// Whether a function is deployed as a zip or as a container image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PackageType {
    Zip,
    Image,
}

/// Everything about a version of a function but its code.
#[derive(Clone, Debug, PartialEq)]
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
    pub(super) layers: Vec<String>,
    pub(super) architectures: Vec<String>,
    pub(super) kms_key_arn: Option<String>,
    /// Structures that are shown again as they were given and have no effect here, by their member's name.
    pub(super) recorded: BTreeMap<&'static str, Value>,
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
            PackageType::Image if settings.runtime.is_some() || settings.handler.is_some() => {
                return Err(ApiError::invalid(
                    "Please don't provide Handler or Runtime or Layer when the intended function PackageType is Image.",
                ));
            }
            PackageType::Zip | PackageType::Image => {}
        }
        if settings.role.is_none() {
            return Err(constraint("null", "role", "Member must not be null"));
        }
        if let Some(runtime) = settings.runtime.as_deref().filter(|runtime| RETIRED.contains(runtime)) {
            return Err(ApiError::invalid(format!(
                "The runtime parameter of {runtime} is no longer supported for creating or updating AWS Lambda functions. We recommend you use a supported runtime while creating or updating functions."
            )));
        }
        let mut configuration = Self::new(package_type);
        configuration.apply(settings)?;
        Ok(configuration)
    }

    /// Sets the members that were given. After an error the configuration may be half changed: work on a copy.
    pub(super) fn apply(&mut self, settings: Settings) -> Result<()> {
        if let Some(runtime) = settings.runtime {
            if !RUNTIMES.contains(&runtime.as_str()) {
                return Err(ApiError::invalid(format!(
                    "Value {runtime} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [{}] or be a valid ARN",
                    RUNTIMES.iter().copied().filter(|known| !RETIRED.contains(known)).collect::<Vec<_>>().join(", ")
                )));
            }
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
        self.recorded.extend(recorded.into_iter().filter_map(|(member, value)| Some((member, value?))));
        Ok(())
    }

    /// Sets `Architectures`, which only changes with the code.
    pub(super) fn set_architectures(&mut self, architectures: Option<Vec<String>>) -> Result<()> {
        let Some(architectures) = architectures else { return Ok(()) };
        let shown = format!("[{}]", architectures.join(", "));
        if architectures.len() != 1 {
            let rule = if architectures.is_empty() { "greater than or equal to 1" } else { "less than or equal to 1" };
            return Err(constraint(&shown, "architectures", &format!("Member must have length {rule}")));
        }
        if !matches!(architectures[0].as_str(), "x86_64" | "arm64") {
            return Err(constraint(
                &shown,
                "architectures",
                "Member must satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64]]",
            ));
        }
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
        let mut logging = json!({ "LogFormat": "Text", "LogGroup": format!("/aws/lambda/{name}") });
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
        if !self.layers.is_empty() {
            shown["Layers"] = self.layers.iter().map(|arn| json!({ "Arn": arn, "CodeSize": 0 })).collect();
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

/// Copies the members of one object over those of another.
pub(super) fn merge(into: &mut Value, from: &Value) {
    if let (Some(into), Some(from)) = (into.as_object_mut(), from.as_object()) {
        into.extend(from.iter().map(|(member, value)| (member.clone(), value.clone())));
    }
}

pub(super) fn check_length(value: &str, member: &str, most: usize) -> Result<()> {
    if value.chars().count() > most {
        return Err(constraint(value, member, &format!("Member must have length less than or equal to {most}")));
    }
    Ok(())
}

fn in_range(value: i64, member: &str, least: i64, most: i64) -> Result<u32> {
    let rule = if value < least {
        format!("greater than or equal to {least}")
    } else if value > most {
        format!("less than or equal to {most}")
    } else {
        return Ok(u32::try_from(value).unwrap_or(u32::MAX));
    };
    Err(constraint(&value.to_string(), member, &format!("Member must have value {rule}")))
}

/// `arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+`
fn checked_role(role: String) -> Result<String> {
    let fields: Vec<&str> = role.splitn(6, ':').collect();
    let valid = matches!(
        fields.as_slice(),
        [arn, partition, iam, region, account, name]
            if *arn == "arn"
                && (partition.is_empty() || partition.starts_with("aws"))
                && *iam == "iam"
                && region.is_empty()
                && account.len() == 12
                && account.bytes().all(|b| b.is_ascii_digit())
                && name.strip_prefix("role").is_some_and(|rest| {
                    !rest.is_empty()
                        && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-/".contains(&b))
                })
    );
    if valid {
        return Ok(role);
    }
    Err(constraint(
        &role,
        "role",
        r"Member must satisfy regular expression pattern: arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+",
    ))
}

fn check_environment(variables: &BTreeMap<String, String>) -> Result<()> {
    let mut reserved = variables.keys().map(String::as_str).filter(|name| RESERVED_VARIABLES.contains(name)).peekable();
    if reserved.peek().is_some() {
        return Err(ApiError::invalid(format!(
            "Lambda was unable to configure your environment variables because the environment variables you have provided contains reserved keys that are currently not supported for modification. Reserved keys used in this request: {}",
            reserved.collect::<Vec<_>>().join(", ")
        )));
    }
    for name in variables.keys() {
        let mut bytes = name.bytes();
        let valid = bytes.next().is_some_and(|b| b.is_ascii_alphabetic())
            && name.len() > 1
            && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !valid {
            return Err(constraint(
                name,
                "environment.variables",
                "Map keys must satisfy constraint: [Member must satisfy regular expression pattern: [a-zA-Z]([a-zA-Z0-9_])+]",
            ));
        }
    }
    let measured = serde_json::to_string(variables).unwrap_or_default();
    if measured.len() > MAX_ENVIRONMENT {
        return Err(ApiError::invalid(format!(
            "Lambda was unable to configure your environment variables because the environment variables you have provided exceeded the 4KB limit. String measured: {measured}"
        )));
    }
    Ok(())
}

fn check_layers(layers: &[String]) -> Result<()> {
    if layers.len() > 5 {
        return Err(ApiError::invalid("Cannot reference more than 5 layers."));
    }
    for arn in layers {
        let fields: Vec<&str> = arn.split(':').collect();
        let valid = matches!(fields.as_slice(), ["arn", _, "lambda", _, _, "layer", name, version]
            if !name.is_empty() && version.parse::<u64>().is_ok());
        if !valid {
            return Err(constraint(
                &format!("[{arn}]"),
                "layers",
                r"Member must satisfy constraint: [Member must satisfy regular expression pattern: arn:[a-zA-Z0-9-]+:lambda:[a-zA-Z0-9-]+:\d{12}:layer:[a-zA-Z0-9-_]+:[0-9]+]",
            ));
        }
    }
    Ok(())
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
