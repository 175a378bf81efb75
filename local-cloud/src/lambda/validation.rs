//! The rules that members of a configuration are held against, and the words for what breaks them.

use std::collections::BTreeMap;

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

/// A runtime that the service model knows.
pub(super) fn check_runtime(runtime: &str) -> Result<()> {
    if RUNTIMES.contains(&runtime) {
        return Ok(());
    }
    let offered: Vec<&str> = RUNTIMES.iter().copied().filter(|known| !RETIRED.contains(known)).collect();
    Err(ApiError::invalid(format!(
        "Value {runtime} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [{}] or be a valid ARN",
        offered.join(", ")
    )))
}

/// A runtime that new functions may have.
pub(super) fn check_offered(runtime: &str) -> Result<()> {
    if RETIRED.contains(&runtime) {
        return Err(ApiError::invalid(format!(
            "The runtime parameter of {runtime} is no longer supported for creating or updating AWS Lambda functions. We recommend you use a supported runtime while creating or updating functions."
        )));
    }
    Ok(())
}

/// At most so many characters.
pub(super) fn check_length(value: &str, member: &str, most: usize) -> Result<()> {
    if value.chars().count() > most {
        return Err(constraint(value, member, &format!("Member must have length less than or equal to {most}")));
    }
    Ok(())
}

/// A number between two others, both included.
pub(super) fn in_range(value: i64, member: &str, least: i64, most: i64) -> Result<u32> {
    let rule = if value < least {
        format!("greater than or equal to {least}")
    } else if value > most {
        format!("less than or equal to {most}")
    } else {
        return Ok(u32::try_from(value).unwrap_or(u32::MAX));
    };
    Err(constraint(&value.to_string(), member, &format!("Member must have value {rule}")))
}

/// The ARN of a role: `arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+`
pub(super) fn checked_role(role: String) -> Result<String> {
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

/// Names that Lambda leaves to functions, and 4 KB in all.
pub(super) fn check_environment(variables: &BTreeMap<String, String>) -> Result<()> {
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

/// Architectures that Lambda has.
pub(super) fn check_architectures(architectures: &[String], member: &str) -> Result<()> {
    if architectures.iter().all(|architecture| matches!(architecture.as_str(), "x86_64" | "arm64")) {
        return Ok(());
    }
    Err(constraint(
        &format!("[{}]", architectures.join(", ")),
        member,
        "Member must satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64]]",
    ))
}

/// At most five layers.
pub(super) fn check_layers(layers: &[String]) -> Result<()> {
    if layers.len() > 5 {
        return Err(ApiError::invalid("Cannot reference more than 5 layers."));
    }
    Ok(())
}
