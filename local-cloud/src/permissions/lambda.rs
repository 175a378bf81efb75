//! Lambda's actions: named like the operations, but for invocations and for a layer's version by its ARN. A function's ARN
//! ends with the qualifier where the request names one.

use serde_json::Value;

use super::{arn, pass_role};
use crate::iam::Need;

const PASSED_TO: &str = "lambda.amazonaws.com";

/// A request, as far as its needs go.
pub(crate) struct Asked<'a> {
    /// AWS's name of the operation.
    pub(crate) operation: &'a str,
    /// What the request names: a function or a layer in any of the ways there are, an ARN, or nothing.
    pub(crate) resource: &'a str,
    /// Of a function, or the number of a layer's version.
    pub(crate) qualifier: Option<&'a str>,
    pub(crate) region: &'a str,
    pub(crate) body: &'a [u8],
}

/// Everything that a request needs, but for what Lambda reads from S3 in the caller's name.
pub(crate) fn of_lambda(asked: &Asked<'_>) -> Vec<Need> {
    let Asked { operation, resource, qualifier, region, .. } = *asked;
    let action = match operation {
        // The download of a package is a presigned URL in AWS.
        "DownloadCode" | "DownloadLayer" => return Vec::new(),
        "Invoke" => "lambda:InvokeFunction".to_owned(),
        "GetLayerVersionByArn" => "lambda:GetLayerVersion".to_owned(),
        operation => format!("lambda:{operation}"),
    };
    let body = || serde_json::from_slice::<Value>(asked.body).unwrap_or_default();
    match operation {
        "ListFunctions"
        | "GetAccountSettings"
        | "ListCodeSigningConfigs"
        | "CreateCodeSigningConfig"
        | "ListLayers"
        | "ListLayerVersions" => vec![Need::new(action, "*")],
        "PublishLayerVersion" | "GetLayerVersion" | "DeleteLayerVersion" => {
            vec![Need::new(action, layer_arn(resource, qualifier, region))]
        }
        "GetLayerVersionByArn" => vec![Need::new(action, resource)],
        "CreateFunction" => {
            let body = body();
            let function = function_arn(body["FunctionName"].as_str().unwrap_or_default(), None, region);
            let mut needs = vec![with_layers(Need::new(action, &*function), &body)];
            if body["Tags"].as_object().is_some_and(|tags| !tags.is_empty()) {
                needs.push(Need::new("lambda:TagResource", function));
            }
            needs.push(pass_role(body["Role"].as_str().unwrap_or_default(), PASSED_TO));
            needs.extend(read_layers(&body));
            needs
        }
        "PutFunctionCodeSigningConfig" => {
            let config = body()["CodeSigningConfigArn"].as_str().unwrap_or_default().to_owned();
            vec![Need::new(&*action, function_arn(resource, None, region)), Need::new(&*action, config)]
        }
        "UpdateFunctionConfiguration" => {
            let body = body();
            let mut needs = vec![with_layers(Need::new(action, function_arn(resource, None, region)), &body)];
            needs.extend(body["Role"].as_str().map(|role| pass_role(role, PASSED_TO)));
            needs.extend(read_layers(&body));
            needs
        }
        // Code signing configurations are named by ARNs.
        _ if resource.starts_with("arn:") && !resource.contains(":function:") => vec![Need::new(action, resource)],
        _ => vec![Need::new(action, function_arn(resource, qualifier, region))],
    }
}

/// `lambda:Layer`, the condition key by which a policy limits what layers functions may have.
fn with_layers(need: Need, body: &Value) -> Need {
    layers(body).fold(need, |need, arn| need.with("lambda:Layer", arn))
}

/// To give a function layers, one must be allowed to read them:
/// <https://docs.aws.amazon.com/lambda/latest/dg/adding-layers.html>.
fn read_layers(body: &Value) -> impl Iterator<Item = Need> {
    layers(body).map(|arn| Need::new("lambda:GetLayerVersion", arn))
}

fn layers(body: &Value) -> impl Iterator<Item = &str> {
    body["Layers"].as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// The ARN of a layer or of one of its versions, however the layer is named.
pub(crate) fn layer_arn(named: &str, version: Option<&str>, region: &str) -> String {
    let name = named.rsplit_once(":layer:").map_or(named, |(_, name)| name);
    match version {
        Some(version) => arn("lambda", region, &format!("layer:{name}:{version}")),
        None => arn("lambda", region, &format!("layer:{name}")),
    }
}

/// To see a function's tags in the answer of `GetFunction`.
pub(crate) fn see_tags(function: &str, region: &str) -> Need {
    Need::new("lambda:ListTags", function_arn(function, None, region))
}

/// The ARN of a function, however it is named.
fn function_arn(named: &str, qualifier: Option<&str>, region: &str) -> String {
    let name = named.rsplit_once("function:").map_or(named, |(_, name)| name);
    match qualifier {
        Some(qualifier) if !name.contains(':') => arn("lambda", region, &format!("function:{name}:{qualifier}")),
        _ => arn("lambda", region, &format!("function:{name}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(operation: &str, resource: &str, qualifier: Option<&str>, body: &str) -> Vec<String> {
        let asked = Asked { operation, resource, qualifier, region: "eu-west-1", body: body.as_bytes() };
        of_lambda(&asked).into_iter().map(|need| format!("{} {}", need.action, need.resource)).collect()
    }

    #[test]
    fn functions_are_named_by_their_arns_however_they_were_named() {
        let arn = "arn:aws:lambda:eu-west-1:000000000000:function:api";
        for name in ["api", arn, "000000000000:function:api"] {
            assert_eq!(needs("GetFunction", name, None, ""), [format!("lambda:GetFunction {arn}")]);
        }
        assert_eq!(needs("Invoke", "api", Some("live"), ""), [format!("lambda:InvokeFunction {arn}:live")]);
        assert_eq!(needs("Invoke", "api:live", None, ""), [format!("lambda:InvokeFunction {arn}:live")]);
    }

    #[test]
    fn a_layers_version_is_a_resource_and_a_listing_is_none() {
        let layer = "arn:aws:lambda:eu-west-1:000000000000:layer:deps";
        let version = format!("{layer}:3");
        for named in ["deps", layer] {
            assert_eq!(needs("PublishLayerVersion", named, None, ""), [format!("lambda:PublishLayerVersion {layer}")]);
            assert_eq!(needs("GetLayerVersion", named, Some("3"), ""), [format!("lambda:GetLayerVersion {version}")]);
            assert_eq!(needs("ListLayerVersions", named, None, ""), ["lambda:ListLayerVersions *"]);
        }
        assert_eq!(needs("GetLayerVersionByArn", &version, None, ""), [format!("lambda:GetLayerVersion {version}")]);
        let body = format!(r#"{{"Layers": ["{version}"]}}"#);
        assert_eq!(
            needs("UpdateFunctionConfiguration", "api", None, &body)[1],
            format!("lambda:GetLayerVersion {version}")
        );
    }

    #[test]
    fn a_new_function_needs_its_role_to_be_passed() {
        let body = r#"{"FunctionName": "api", "Role": "arn:aws:iam::000000000000:role/r"}"#;
        assert_eq!(needs("CreateFunction", "", None, body)[1], "iam:PassRole arn:aws:iam::000000000000:role/r");
    }
}
