//! `AWS::Logs::LogGroup`.

use serde_json::{Value, json};

use super::{Attributes, Failure, Made, Place, Properties, Result, Services};
use crate::protocol::Caller;
use crate::protocol::json::{Call, Exception};
use crate::s3::ACCOUNT;

/// Calls an operation of CloudWatch Logs.
fn call(services: &Services, place: &Place, operation: &str, input: Value) -> std::result::Result<Value, Exception> {
    let caller = Caller {
        key_id: "cloudformation".to_owned(),
        region: place.region.clone(),
        endpoint: String::new(),
        request_id: String::new(),
    };
    services.logs.handle(&Call { operation: operation.to_owned(), input, caller })
}

impl From<Exception> for Failure {
    fn from(exception: Exception) -> Self {
        let status = if exception.kind == "ResourceAlreadyExistsException" { 409 } else { exception.status };
        Self::service("CloudWatchLogs", status, &exception.message)
    }
}

fn attributes(place: &Place, name: &str) -> Attributes {
    let arn = format!("arn:aws:logs:{}:{ACCOUNT}:log-group:{name}:*", place.region);
    Attributes::from([("Arn".to_owned(), arn.into())])
}

async fn set_retention(services: &Services, place: &Place, name: &str, days: Option<i64>) -> Result<()> {
    match days {
        Some(days) => {
            let input = json!({ "logGroupName": name, "retentionInDays": days });
            call(services, place, "PutRetentionPolicy", input)?
        }
        None => call(services, place, "DeleteRetentionPolicy", json!({ "logGroupName": name }))?,
    };
    Ok(())
}

pub(super) async fn create(services: &Services, place: &Place, wanted: &Properties) -> Result<Made> {
    let days = wanted.number("RetentionInDays")?;
    let name = wanted.text("LogGroupName")?.unwrap_or_else(|| place.generated_name(512));
    let mut input = json!({ "logGroupName": name });
    let tags = wanted.tags()?;
    if !tags.is_empty() {
        input["tags"] = json!(tags);
    }
    call(services, place, "CreateLogGroup", input)?;
    if days.is_some()
        && let Err(failure) = set_retention(services, place, &name, days).await
    {
        delete(services, place, &name).await?;
        return Err(failure);
    }
    Ok(Made { attributes: attributes(place, &name), physical_id: name })
}

pub(super) async fn update(
    services: &Services,
    place: &Place,
    name: &str,
    before: &Properties,
    wanted: &Properties,
) -> Result<Attributes> {
    if wanted.differ(before, &["RetentionInDays"]) {
        set_retention(services, place, name, wanted.number("RetentionInDays")?).await?;
    }
    Ok(attributes(place, name))
}

pub(super) async fn delete(services: &Services, place: &Place, name: &str) -> Result<()> {
    match call(services, place, "DeleteLogGroup", json!({ "logGroupName": name })) {
        Err(exception) if exception.kind != "ResourceNotFoundException" => Err(exception.into()),
        _ => Ok(()),
    }
}
