//! `AWS::Lambda::Function` and `AWS::Lambda::Permission`.

use std::collections::BTreeMap;
use std::io::{Cursor, Write as _};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::{Attributes, Failure, Made, Place, Properties, Result, Services};
use crate::cloudformation::functions::as_text;
use crate::lambda::Refused;

/// How often a function under way is looked at.
const POLL: Duration = Duration::from_millis(10);
/// When a function that doesn't settle is given up.
const PATIENCE: Duration = Duration::from_secs(300);

/// The members of a function's configuration, with what they are when a template leaves them out.
fn configuration(wanted: &Properties) -> Result<Value> {
    let mut members = Map::new();
    for name in ["Runtime", "Handler", "Role"] {
        if let Some(text) = wanted.text(name)? {
            members.insert(name.to_owned(), text.into());
        }
    }
    members.insert("Description".to_owned(), wanted.text("Description")?.unwrap_or_default().into());
    members.insert("Timeout".to_owned(), wanted.number("Timeout")?.unwrap_or(3).into());
    members.insert("MemorySize".to_owned(), wanted.number("MemorySize")?.unwrap_or(128).into());
    members.insert("KMSKeyArn".to_owned(), wanted.text("KmsKeyArn")?.unwrap_or_default().into());
    members.insert("Layers".to_owned(), wanted.texts("Layers")?.into());
    let mut variables = Map::new();
    if let Some(given) = wanted.object("Environment")?.and_then(|environment| environment.get("Variables")) {
        let given = given.as_object().ok_or_else(|| {
            Failure::property("Value of property {/Environment/Variables} does not match type {Object}")
        })?;
        for (name, value) in given {
            let value = as_text(value).ok_or_else(|| {
                Failure::property(&format!(
                    "Value of property {{/Environment/Variables/{name}}} does not match type {{String}}"
                ))
            })?;
            variables.insert(name.clone(), value.into());
        }
    }
    members.insert("Environment".to_owned(), json!({ "Variables": variables }));
    for name in [
        "DeadLetterConfig",
        "EphemeralStorage",
        "FileSystemConfigs",
        "ImageConfig",
        "LoggingConfig",
        "SnapStart",
        "TracingConfig",
        "VpcConfig",
    ] {
        if let Some(value) = wanted.get(name) {
            members.insert(name.to_owned(), value.clone());
        }
    }
    if let Some(size) = wanted.object("EphemeralStorage")?.and_then(|storage| storage.get("Size")).and_then(as_text) {
        let size: i64 = size.parse().map_err(|_| {
            Failure::property("Value of property {/EphemeralStorage/Size} does not match type {Integer}")
        })?;
        members.insert("EphemeralStorage".to_owned(), json!({ "Size": size }));
    }
    Ok(Value::Object(members))
}

/// The names of the properties that [`configuration`] reads.
const CONFIGURATION: [&str; 17] = [
    "Runtime",
    "Handler",
    "Role",
    "Description",
    "Timeout",
    "MemorySize",
    "KmsKeyArn",
    "Layers",
    "Environment",
    "DeadLetterConfig",
    "EphemeralStorage",
    "FileSystemConfigs",
    "ImageConfig",
    "LoggingConfig",
    "SnapStart",
    "TracingConfig",
    "VpcConfig",
];

/// `Code`, with an inline `ZipFile` as the zip that it stands for.
fn code(wanted: &Properties) -> Result<Value> {
    let given = wanted.object("Code")?.cloned().unwrap_or_default();
    let mut code = Map::new();
    for (name, value) in given {
        let text = as_text(&value).ok_or_else(|| {
            Failure::property(&format!("Value of property {{/Code/{name}}} does not match type {{String}}"))
        })?;
        match name.as_str() {
            "ZipFile" => {
                let runtime = wanted.text("Runtime")?.unwrap_or_default();
                code.insert(name, inline_zip(&runtime, &text)?.into());
            }
            "ImageUri" | "S3Bucket" | "S3Key" | "S3ObjectStorageMode" | "S3ObjectVersion" | "SourceKMSKeyArn" => {
                code.insert(name, text.into());
            }
            _ => {
                let message = format!("Encountered unsupported properties in {{/Code}}: [{name}]");
                return Err(Failure::property(&message));
            }
        }
    }
    Ok(Value::Object(code))
}

/// A source text as a zip with the one file that the handler `index.…` is looked for in, in base64.
fn inline_zip(runtime: &str, source: &str) -> Result<String> {
    let file = if runtime.starts_with("nodejs") {
        "index.js"
    } else if runtime.starts_with("python") {
        "index.py"
    } else {
        let message =
            format!("ZipFile can only be used when Runtime is set to either of nodejs or python, not {runtime}.");
        return Err(Failure::handler(&message, "InvalidRequest"));
    };
    let zipped = || -> std::io::Result<Vec<u8>> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().unix_permissions(0o644).last_modified_time(zip::DateTime::default());
        writer.start_file(file, options).map_err(std::io::Error::other)?;
        writer.write_all(source.as_bytes())?;
        Ok(writer.finish().map_err(std::io::Error::other)?.into_inner())
    };
    let zipped = zipped().map_err(|error| Failure::handler(&error.to_string(), "InternalFailure"))?;
    Ok(STANDARD.encode(zipped))
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Self::service("Lambda", refused.status, &refused.message)
    }
}

fn path(name: &str) -> String {
    format!("/2015-03-31/functions/{name}")
}

/// The tags that CloudFormation itself puts on what it makes.
fn with_own_tags(place: &Place, wanted: &Properties) -> Result<BTreeMap<String, String>> {
    let mut tags = wanted.tags()?;
    tags.insert("aws:cloudformation:stack-name".to_owned(), place.stack_name.clone());
    tags.insert("aws:cloudformation:stack-id".to_owned(), place.stack_id.clone());
    tags.insert("aws:cloudformation:logical-id".to_owned(), place.logical_id.clone());
    Ok(tags)
}

pub(super) async fn create(services: &Services, place: &Place, wanted: &Properties) -> Result<Made> {
    let name = match wanted.text("FunctionName")? {
        Some(name) => name,
        None => place.generated_name(64),
    };
    let mut input = configuration(wanted)?;
    input["FunctionName"] = name.as_str().into();
    input["Code"] = code(wanted)?;
    input["Tags"] = json!(wanted.tags()?);
    for property in ["PackageType", "CodeSigningConfigArn"] {
        if let Some(text) = wanted.text(property)? {
            input[property] = text.into();
        }
    }
    if wanted.get("Architectures").is_some() {
        input["Architectures"] = wanted.texts("Architectures")?.into();
    }
    let made = services.lambda.call(&place.region, Method::POST, "/2015-03-31/functions", &input).await?;
    services.lambda.set_all_tags(&name, with_own_tags(place, wanted)?).await;
    set_concurrency(services, place, &name, None, wanted.number("ReservedConcurrentExecutions")?).await?;
    Ok(Made { attributes: attributes(&made), physical_id: name })
}

fn attributes(described: &Value) -> Attributes {
    Attributes::from([("Arn".to_owned(), described["FunctionArn"].clone())])
}

pub(super) async fn update(
    services: &Services,
    place: &Place,
    name: &str,
    before: &Properties,
    wanted: &Properties,
) -> Result<Attributes> {
    // What failed before this update is no reason not to begin it.
    quiet(services, place, name).await?;
    if wanted.differ(before, &CONFIGURATION) {
        let input = configuration(wanted)?;
        services.lambda.call(&place.region, Method::PUT, &format!("{}/configuration", path(name)), &input).await?;
        settled(services, place, name).await?;
    }
    if wanted.differ(before, &["Code", "Architectures"]) {
        let mut input = code(wanted)?;
        let architectures = wanted.texts("Architectures")?;
        input["Architectures"] = if architectures.is_empty() { json!(["x86_64"]) } else { architectures.into() };
        services.lambda.call(&place.region, Method::PUT, &format!("{}/code", path(name)), &input).await?;
    }
    if wanted.differ(before, &["CodeSigningConfigArn"]) {
        let path = format!("/2020-06-30/functions/{name}/code-signing-config");
        match wanted.text("CodeSigningConfigArn")? {
            Some(arn) => {
                let input = json!({ "CodeSigningConfigArn": arn });
                services.lambda.call(&place.region, Method::PUT, &path, &input).await?
            }
            None => services.lambda.call(&place.region, Method::DELETE, &path, &Value::Null).await?,
        };
    }
    let reserved = wanted.number("ReservedConcurrentExecutions")?;
    set_concurrency(services, place, name, before.number("ReservedConcurrentExecutions")?, reserved).await?;
    services.lambda.set_all_tags(name, with_own_tags(place, wanted)?).await;
    describe(services, place, name).await.map(|described| attributes(&described))
}

async fn set_concurrency(
    services: &Services,
    place: &Place,
    name: &str,
    before: Option<i64>,
    wanted: Option<i64>,
) -> Result<()> {
    let path = format!("/2017-10-31/functions/{name}/concurrency");
    match wanted {
        _ if before == wanted => return Ok(()),
        Some(count) => {
            let input = json!({ "ReservedConcurrentExecutions": count });
            services.lambda.call(&place.region, Method::PUT, &path, &input).await?
        }
        None => services.lambda.call(&place.region, Method::DELETE, &path, &Value::Null).await?,
    };
    Ok(())
}

pub(super) async fn describe(services: &Services, place: &Place, name: &str) -> Result<Value> {
    let path = format!("{}/configuration", path(name));
    Ok(services.lambda.call(&place.region, Method::GET, &path, &Value::Null).await?)
}

/// Waits until nothing is under way for a function, and says why the last thing failed.
pub(super) async fn settled(services: &Services, place: &Place, name: &str) -> Result<()> {
    let described = quiet(services, place, name).await?;
    if described["State"] == "Failed" {
        return Err(stuck(&described["StateReason"], &described["StateReasonCode"]));
    }
    if described["LastUpdateStatus"] == "Failed" {
        return Err(stuck(&described["LastUpdateStatusReason"], &described["LastUpdateStatusReasonCode"]));
    }
    Ok(())
}

/// Waits until nothing is under way for a function, whatever became of it.
async fn quiet(services: &Services, place: &Place, name: &str) -> Result<Value> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let described = describe(services, place, name).await?;
        if described["State"] != "Pending" && described["LastUpdateStatus"] != "InProgress" {
            return Ok(described);
        }
        if Instant::now() > deadline {
            return Err(Failure::handler(&format!("Exceeded attempts to wait: {name}"), "NotStabilized"));
        }
        tokio::time::sleep(POLL).await;
    }
}

fn stuck(reason: &Value, code: &Value) -> Failure {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Failure::handler(&format!("Lambda function did not stabilize: {} ({})", text(reason), text(code)), "NotStabilized")
}

pub(super) async fn delete(services: &Services, place: &Place, name: &str) -> Result<()> {
    gone(services.lambda.call(&place.region, Method::DELETE, &path(name), &Value::Null).await)
}

/// Deleting what isn't there has succeeded.
pub(super) fn gone(result: std::result::Result<Value, Refused>) -> Result<()> {
    match result {
        Err(refused) if refused.status != 404 => Err(refused.into()),
        _ => Ok(()),
    }
}

pub(super) async fn create_permission(services: &Services, place: &Place, wanted: &Properties) -> Result<Made> {
    let id = place.generated_name(100);
    let mut input = json!({ "StatementId": id });
    for name in [
        "Action",
        "EventSourceToken",
        "FunctionUrlAuthType",
        "Principal",
        "PrincipalOrgID",
        "SourceAccount",
        "SourceArn",
    ] {
        if let Some(text) = wanted.text(name)? {
            input[name] = text.into();
        }
    }
    let path = format!("{}/policy", path(&wanted.required("FunctionName")?));
    services.lambda.call(&place.region, Method::POST, &path, &input).await?;
    let attributes = Attributes::from([("Id".to_owned(), id.as_str().into())]);
    Ok(Made { physical_id: id, attributes })
}

pub(super) async fn delete_permission(services: &Services, place: &Place, id: &str, last: &Properties) -> Result<()> {
    let path = format!("{}/policy/{id}", path(&last.required("FunctionName")?));
    gone(services.lambda.call(&place.region, Method::DELETE, &path, &Value::Null).await)
}
