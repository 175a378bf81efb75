//! `AWS::Lambda::LayerVersion`. A version never changes: each update makes another one.

use http::Method;
use serde_json::{Map, Value, json};

use super::function::gone;
use super::{Attributes, Failure, Made, Place, Properties, Result, Services};
use crate::cloudformation::functions::as_text;

/// Members of `Content`.
const CONTENT: [&str; 4] = ["S3Bucket", "S3Key", "S3ObjectStorageMode", "S3ObjectVersion"];

fn content(wanted: &Properties) -> Result<Value> {
    let mut content = Map::new();
    for (name, value) in wanted.object("Content")?.into_iter().flatten() {
        if !CONTENT.contains(&name.as_str()) {
            let message = format!("Encountered unsupported properties in {{/Content}}: [{name}]");
            return Err(Failure::property(&message));
        }
        let text = as_text(value).ok_or_else(|| {
            Failure::property(&format!("Value of property {{/Content/{name}}} does not match type {{String}}"))
        })?;
        content.insert(name.clone(), text.into());
    }
    Ok(Value::Object(content))
}

pub(super) async fn create(services: &Services, place: &Place, wanted: &Properties) -> Result<Made> {
    let name = wanted.text("LayerName")?.unwrap_or_else(|| place.generated_name(140));
    let mut input = json!({ "Content": content(wanted)? });
    for property in ["Description", "LicenseInfo"] {
        if let Some(text) = wanted.text(property)? {
            input[property] = text.into();
        }
    }
    for property in ["CompatibleArchitectures", "CompatibleRuntimes"] {
        input[property] = wanted.texts(property)?.into();
    }
    let path = format!("/2018-10-31/layers/{name}/versions");
    let made = services.lambda.call(&place.region, Method::POST, &path, &input).await?;
    let arn = made["LayerVersionArn"].clone();
    let physical_id = as_text(&arn).unwrap_or_default();
    Ok(Made { physical_id, attributes: Attributes::from([("LayerVersionArn".to_owned(), arn)]) })
}

pub(super) async fn delete(services: &Services, place: &Place, arn: &str) -> Result<()> {
    let Some((layer, version)) = arn.rsplit_once(':') else { return Ok(()) };
    let path = format!("/2018-10-31/layers/{layer}/versions/{version}");
    gone(services.lambda.call(&place.region, Method::DELETE, &path, &Value::Null).await)
}
