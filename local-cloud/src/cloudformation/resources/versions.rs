//! `AWS::Lambda::Version` and `AWS::Lambda::Alias`.

use http::Method;
use serde_json::{Map, Value, json};

use super::function::{gone, settled};
use super::{Attributes, Failure, Made, Place, Properties, Result, Services};
use crate::cloudformation::functions::as_text;

/// A function's own name, from its name, or its ARN with or without a version or an alias.
fn function_name(given: &str) -> &str {
    match given.split_once(":function:") {
        Some((_, rest)) => rest.split(':').next().unwrap_or(rest),
        None => given.split(':').next().unwrap_or(given),
    }
}

pub(super) async fn create(services: &Services, place: &Place, wanted: &Properties) -> Result<Made> {
    let given = wanted.required("FunctionName")?;
    let name = function_name(&given);
    settled(services, place, name).await?;
    let mut input = json!({});
    for property in ["CodeSha256", "Description"] {
        if let Some(text) = wanted.text(property)? {
            input[property] = text.into();
        }
    }
    let path = format!("/2015-03-31/functions/{name}/versions");
    let made = services.lambda.call(&place.region, Method::POST, &path, &input).await?;
    let arn = made["FunctionArn"].clone();
    let attributes =
        Attributes::from([("Version".to_owned(), made["Version"].clone()), ("FunctionArn".to_owned(), arn.clone())]);
    Ok(Made { physical_id: as_text(&arn).unwrap_or_default(), attributes })
}

pub(super) async fn delete(services: &Services, place: &Place, arn: &str) -> Result<()> {
    let version = arn.rsplit(':').next().unwrap_or_default();
    let path = format!("/2015-03-31/functions/{}?Qualifier={version}", function_name(arn));
    gone(services.lambda.call(&place.region, Method::DELETE, &path, &Value::Null).await)
}

/// The members of an alias that can change.
fn alias(wanted: &Properties) -> Result<Value> {
    let mut weights = Map::new();
    let routing = wanted.object("RoutingConfig")?;
    for weight in routing
        .and_then(|routing| routing.get("AdditionalVersionWeights"))
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let malformed = || {
            Failure::property(
                "Value of property {/RoutingConfig/AdditionalVersionWeights} does not match type {List of VersionWeight}",
            )
        };
        let version = as_text(&weight["FunctionVersion"]).ok_or_else(malformed)?;
        let share: f64 = as_text(&weight["FunctionWeight"]).and_then(|text| text.parse().ok()).ok_or_else(malformed)?;
        weights.insert(version, share.into());
    }
    Ok(json!({
        "FunctionVersion": wanted.required("FunctionVersion")?,
        "Description": wanted.text("Description")?.unwrap_or_default(),
        "RoutingConfig": { "AdditionalVersionWeights": weights },
    }))
}

fn made(described: &Value) -> Made {
    let arn = described["AliasArn"].clone();
    let physical_id = as_text(&arn).unwrap_or_default();
    Made { physical_id, attributes: Attributes::from([("AliasArn".to_owned(), arn)]) }
}

pub(super) async fn create_alias(services: &Services, place: &Place, wanted: &Properties) -> Result<Made> {
    let given = wanted.required("FunctionName")?;
    let mut input = alias(wanted)?;
    input["Name"] = wanted.required("Name")?.into();
    let path = format!("/2015-03-31/functions/{}/aliases", function_name(&given));
    Ok(made(&services.lambda.call(&place.region, Method::POST, &path, &input).await?))
}

/// The path of an alias by its ARN.
fn alias_path(arn: &str) -> String {
    let name = arn.rsplit(':').next().unwrap_or_default();
    format!("/2015-03-31/functions/{}/aliases/{name}", function_name(arn))
}

pub(super) async fn update_alias(
    services: &Services,
    place: &Place,
    arn: &str,
    wanted: &Properties,
) -> Result<Attributes> {
    let input = alias(wanted)?;
    let described = services.lambda.call(&place.region, Method::PUT, &alias_path(arn), &input).await?;
    Ok(made(&described).attributes)
}

pub(super) async fn delete_alias(services: &Services, place: &Place, arn: &str) -> Result<()> {
    gone(services.lambda.call(&place.region, Method::DELETE, &alias_path(arn), &Value::Null).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_functions_name_is_found_in_every_form_it_is_given_in() {
        for given in [
            "f",
            "f:live",
            "arn:aws:lambda:us-east-1:000000000000:function:f",
            "arn:aws:lambda:eu-west-1:1:function:f:3",
        ] {
            assert_eq!(function_name(given), "f");
        }
    }
}
