//! The Serverless Application Model: `AWS::Serverless::Function` becomes a Lambda function, and a role where none is
//! given, `AWS::Serverless::LayerVersion` a Lambda layer, as AWS's own transform does it.

mod layer;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::errors::{Result, invalid};
use super::template::SERVERLESS;

const FUNCTION: &str = "AWS::Serverless::Function";

/// Properties that mean the same to Lambda.
const PASSED: [&str; 19] = [
    "Architectures",
    "CodeSigningConfigArn",
    "Description",
    "Environment",
    "EphemeralStorage",
    "FileSystemConfigs",
    "FunctionName",
    "Handler",
    "ImageConfig",
    "KmsKeyArn",
    "Layers",
    "LoggingConfig",
    "MemorySize",
    "PackageType",
    "ReservedConcurrentExecutions",
    "Runtime",
    "SnapStart",
    "Timeout",
    "VpcConfig",
];

/// Properties that mean something to the transform.
const READ: [&str; 11] = [
    "AssumeRolePolicyDocument",
    "AutoPublishAlias",
    "CodeUri",
    "DeadLetterQueue",
    "ImageUri",
    "InlineCode",
    "PermissionsBoundary",
    "Policies",
    "Role",
    "Tags",
    "Tracing",
];

/// Expands a document by its transforms.
///
/// # Errors
/// `ValidationError`: a transform that isn't there, or an application that can't be expanded here.
pub(super) fn expanded(mut document: Value, transforms: &[String]) -> Result<Value> {
    if transforms.is_empty() {
        return Ok(document);
    }
    if let Some(other) = transforms.iter().find(|name| *name != SERVERLESS) {
        return Err(invalid(format!(
            "No transform named {other} found: the local cloud's CloudFormation has {SERVERLESS} only."
        )));
    }
    let globals = document.get("Globals").cloned().unwrap_or_default();
    let Some(members) = document.as_object_mut() else { return Ok(document) };
    members.remove("Transform");
    members.remove("Globals");
    if let Some(section) =
        globals.as_object().into_iter().flatten().map(|(name, _)| name).find(|name| *name != "Function")
    {
        return Err(invalid_document(&format!(
            "'Globals' section is invalid. The local cloud expands functions only, not {section}."
        )));
    }
    let Some(Value::Object(resources)) = members.get_mut("Resources") else { return Ok(document) };
    let mut expanded = Map::new();
    let mut renamed = layer::Renamed::default();
    let invalid_resource =
        |name: &str, problem: &str| invalid_document(&format!("Resource with id [{name}] is invalid. {problem}"));
    for (name, resource) in std::mem::take(resources) {
        match resource.get("Type").and_then(Value::as_str) {
            Some(FUNCTION) => {
                function(&name, &resource, &globals["Function"], &mut expanded)
                    .map_err(|problem| invalid_resource(&name, &problem))?;
            }
            Some(layer::TYPE) => {
                let (id, made) =
                    layer::expanded(&name, &resource).map_err(|problem| invalid_resource(&name, &problem))?;
                expanded.insert(id.clone(), made);
                renamed.insert(name, id);
            }
            Some(other) if other.starts_with("AWS::Serverless::") => {
                let problem = format!("The local cloud doesn't expand resources of type {other}.");
                return Err(invalid_resource(&name, &problem));
            }
            _ => drop(expanded.insert(name, resource)),
        }
    }
    *resources = expanded;
    if !renamed.is_empty() {
        layer::rename(&mut document, &renamed);
    }
    Ok(document)
}

fn invalid_document(problem: &str) -> crate::protocol::query::Refusal {
    invalid(format!(
        "Transform {SERVERLESS} failed with: Invalid Serverless Application Specification document. Number of errors found: 1. {problem}"
    ))
}

/// Lays a value over a default: objects are merged, lists follow one another, anything else replaces.
fn over(default: &Value, own: &Value) -> Value {
    match (default, own) {
        (Value::Object(default), Value::Object(own)) if !is_call(default) && !is_call(own) => {
            let mut merged = default.clone();
            for (name, value) in own {
                let value = merged.get(name).map_or_else(|| value.clone(), |default| over(default, value));
                merged.insert(name.clone(), value);
            }
            Value::Object(merged)
        }
        (Value::Array(default), Value::Array(own)) => default.iter().chain(own).cloned().collect(),
        _ => own.clone(),
    }
}

/// Whether an object is the call of a function, such as `{"Ref": …}`.
fn is_call(object: &Map<String, Value>) -> bool {
    object.len() == 1 && object.keys().all(|name| name == "Ref" || name.starts_with("Fn::"))
}

/// Expands one function into `resources`.
fn function(
    name: &str,
    resource: &Value,
    globals: &Value,
    resources: &mut Map<String, Value>,
) -> std::result::Result<(), String> {
    let empty = json!({});
    let own = resource.get("Properties").unwrap_or(&empty);
    let merged = if globals.is_object() { over(globals, own) } else { own.clone() };
    let Value::Object(given) = merged else { return Err("Properties must be an object.".to_owned()) };
    if let Some(unknown) = given.keys().find(|name| !PASSED.contains(&name.as_str()) && !READ.contains(&name.as_str()))
    {
        return Err(match unknown.as_str() {
            "Events" => "The local cloud has none of the event sources that Events can name.".to_owned(),
            other => format!("property {other} not defined for resource of type {FUNCTION}"),
        });
    }
    let mut properties: Map<String, Value> =
        given.iter().filter(|(name, _)| PASSED.contains(&name.as_str())).map(|(n, v)| (n.clone(), v.clone())).collect();
    properties.insert("Code".to_owned(), code(&given)?);
    if let Some(mode) = given.get("Tracing") {
        properties.insert("TracingConfig".to_owned(), json!({ "Mode": mode }));
    }
    if let Some(arn) = given.get("DeadLetterQueue").and_then(|queue| queue.get("TargetArn")) {
        properties.insert("DeadLetterConfig".to_owned(), json!({ "TargetArn": arn }));
    }
    properties.insert("Tags".to_owned(), tags(&given));
    let role = match given.get("Role") {
        Some(role) => role.clone(),
        None => {
            let role = format!("{name}Role");
            resources.insert(role.clone(), beside(resource, "AWS::IAM::Role", &generated_role(name, &given)?));
            json!({ "Fn::GetAtt": [role, "Arn"] })
        }
    };
    properties.insert("Role".to_owned(), role);
    if let Some(alias) = given.get("AutoPublishAlias") {
        publish(name, alias, resource, &properties["Code"], resources)?;
    }
    let mut function = resource.clone();
    function["Type"] = "AWS::Lambda::Function".into();
    function["Properties"] = Value::Object(properties);
    resources.insert(name.to_owned(), function);
    Ok(())
}

/// A generated resource, under the condition of the one it belongs to.
fn beside(resource: &Value, kind: &str, properties: &Value) -> Value {
    let mut generated = json!({ "Type": kind, "Properties": properties });
    if let Some(condition) = resource.get("Condition") {
        generated["Condition"] = condition.clone();
    }
    generated
}

fn code(given: &Map<String, Value>) -> std::result::Result<Value, String> {
    if let Some(source) = given.get("InlineCode") {
        return Ok(json!({ "ZipFile": source }));
    }
    if let Some(uri) = given.get("ImageUri") {
        return Ok(json!({ "ImageUri": uri }));
    }
    object(given, "CodeUri")
}

/// The object that a property names, by its URI or its parts.
fn object(given: &Map<String, Value>, property: &str) -> std::result::Result<Value, String> {
    let not_s3 = || {
        format!(
            "'{property}' is not a valid S3 Uri of the form 's3://bucket/key' with optional versionId query parameter."
        )
    };
    match given.get(property) {
        Some(Value::String(uri)) => {
            let rest = uri.strip_prefix("s3://").ok_or_else(not_s3)?;
            let (path, version) = match rest.split_once("?versionId=") {
                Some((path, version)) => (path, Some(version)),
                None => (rest, None),
            };
            let (bucket, key) =
                path.split_once('/').filter(|(b, k)| !b.is_empty() && !k.is_empty()).ok_or_else(not_s3)?;
            let mut code = json!({ "S3Bucket": bucket, "S3Key": key });
            if let Some(version) = version {
                code["S3ObjectVersion"] = version.into();
            }
            Ok(code)
        }
        Some(Value::Object(parts)) => {
            let (Some(bucket), Some(key)) = (parts.get("Bucket"), parts.get("Key")) else {
                return Err(format!("'{property}' requires Bucket and Key properties to be specified."));
            };
            let mut code = json!({ "S3Bucket": bucket, "S3Key": key });
            if let Some(version) = parts.get("Version") {
                code["S3ObjectVersion"] = version.clone();
            }
            Ok(code)
        }
        Some(_) => Err(not_s3()),
        None => Err(format!("Missing required property '{property}'.")),
    }
}

fn tags(given: &Map<String, Value>) -> Value {
    let mark = json!({ "Key": "lambda:createdBy", "Value": "SAM" });
    let own = given.get("Tags").and_then(Value::as_object).into_iter().flatten();
    own.map(|(key, value)| json!({ "Key": key, "Value": value })).chain([mark]).collect()
}

/// The role of a function that was given none: it may write its log, and what `Policies` says.
fn generated_role(name: &str, given: &Map<String, Value>) -> std::result::Result<Value, String> {
    let trust = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Action": ["sts:AssumeRole"],
            "Effect": "Allow",
            "Principal": { "Service": ["lambda.amazonaws.com"] },
        }],
    });
    let managed = |policy: &str| json!({ "Fn::Sub": format!("arn:${{AWS::Partition}}:iam::aws:policy/{policy}") });
    let mut attached = vec![managed("service-role/AWSLambdaBasicExecutionRole")];
    if given.get("Tracing").is_some_and(|mode| mode == "Active") {
        attached.push(managed("AWSXrayWriteOnlyAccess"));
    }
    if given.contains_key("VpcConfig") {
        attached.push(managed("service-role/AWSLambdaVPCAccessExecutionRole"));
    }
    let mut inline = Vec::new();
    let policies = match given.get("Policies") {
        None => &[],
        Some(Value::Array(policies)) => policies.as_slice(),
        Some(one) => std::slice::from_ref(one),
    };
    for (index, policy) in policies.iter().enumerate() {
        match policy {
            Value::String(arn) if arn.starts_with("arn:") => attached.push(policy.clone()),
            Value::String(name) => attached.push(managed(name)),
            Value::Object(call) if is_call(call) => attached.push(policy.clone()),
            Value::Object(document) if document.contains_key("Statement") => {
                inline.push(json!({ "PolicyName": format!("{name}RolePolicy{index}"), "PolicyDocument": document }));
            }
            Value::Object(template) => {
                let names: Vec<&str> = template.keys().map(String::as_str).collect();
                return Err(format!(
                    "The local cloud doesn't expand policy templates: {}. Write its statements instead.",
                    names.join(", ")
                ));
            }
            _ => return Err("Policies must be names, ARNs or policy documents.".to_owned()),
        }
    }
    let mut role = json!({
        "AssumeRolePolicyDocument": given.get("AssumeRolePolicyDocument").cloned().unwrap_or(trust),
        "ManagedPolicyArns": attached,
        "Tags": [{ "Key": "lambda:createdBy", "Value": "SAM" }],
    });
    if !inline.is_empty() {
        role["Policies"] = inline.into();
    }
    if let Some(boundary) = given.get("PermissionsBoundary") {
        role["PermissionsBoundary"] = boundary.clone();
    }
    Ok(role)
}

/// The version and the alias of `AutoPublishAlias`. The version's logical id changes with the code, so that new code
/// makes a new version.
fn publish(
    name: &str,
    alias: &Value,
    resource: &Value,
    code: &Value,
    resources: &mut Map<String, Value>,
) -> std::result::Result<(), String> {
    let Some(alias) =
        alias.as_str().filter(|alias| alias.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)))
    else {
        return Err("AutoPublishAlias must be a name: the local cloud doesn't evaluate functions in it.".to_owned());
    };
    let digest = Sha256::digest(code.to_string().as_bytes());
    let hash: String = digest.iter().take(5).map(|byte| format!("{byte:02x}")).collect();
    let version = format!("{name}Version{hash}");
    let mut published = beside(resource, "AWS::Lambda::Version", &json!({ "FunctionName": { "Ref": name } }));
    published["DeletionPolicy"] = "Retain".into();
    let properties = json!({
        "Name": alias,
        "FunctionName": { "Ref": name },
        "FunctionVersion": { "Fn::GetAtt": [version, "Version"] },
    });
    let plain: String = alias.chars().filter(char::is_ascii_alphanumeric).collect();
    resources.insert(format!("{name}Alias{plain}"), beside(resource, "AWS::Lambda::Alias", &properties));
    resources.insert(version, published);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn expand(yaml: &str) -> Result<Value> {
        let document = super::super::syntax::read(yaml)?;
        let transforms = super::super::template::transforms(&document)?;
        expanded(document, &transforms)
    }

    #[test]
    fn a_function_is_expanded_with_its_role_and_the_globals() {
        let expanded = expand(
            "
Transform: AWS::Serverless-2016-10-31
Globals: { Function: { Runtime: nodejs22.x, Timeout: 3, Environment: { Variables: { A: a, B: b } } } }
Resources:
  Hello:
    Type: AWS::Serverless::Function
    Properties:
      Handler: index.handler
      Timeout: 10
      CodeUri: s3://bucket/path/code.zip?versionId=v1
      Environment: { Variables: { B: own } }
      Policies:
        - AmazonS3ReadOnlyAccess
        - Version: '2012-10-17'
          Statement: [{ Effect: Allow, Action: 's3:GetObject', Resource: '*' }]
",
        )
        .unwrap();
        let function = &expanded["Resources"]["Hello"];
        assert_eq!(function["Type"], "AWS::Lambda::Function");
        let properties = &function["Properties"];
        assert_eq!(
            properties["Code"],
            json!({ "S3Bucket": "bucket", "S3Key": "path/code.zip", "S3ObjectVersion": "v1" })
        );
        assert_eq!((&properties["Runtime"], &properties["Timeout"]), (&json!("nodejs22.x"), &json!(10)));
        assert_eq!(properties["Environment"]["Variables"], json!({ "A": "a", "B": "own" }));
        assert_eq!(properties["Role"], json!({ "Fn::GetAtt": ["HelloRole", "Arn"] }));
        assert_eq!(properties["Tags"], json!([{ "Key": "lambda:createdBy", "Value": "SAM" }]));
        let role = &expanded["Resources"]["HelloRole"]["Properties"];
        assert_eq!(role["ManagedPolicyArns"].as_array().unwrap().len(), 2);
        assert_eq!(role["Policies"][0]["PolicyName"], "HelloRolePolicy1");
        assert_eq!(expanded.get("Transform").or(expanded.get("Globals")), None);
    }

    #[test]
    fn a_published_version_is_named_after_its_code() {
        let names = |uri: &str| -> Vec<String> {
            let yaml = format!(
                "
Transform: AWS::Serverless-2016-10-31
Resources:
  F:
    Type: AWS::Serverless::Function
    Properties: {{ Handler: a.b, Runtime: nodejs22.x, CodeUri: '{uri}', Role: 'arn:r', AutoPublishAlias: live }}
"
            );
            let expanded = expand(&yaml).unwrap();
            let mut names: Vec<String> = expanded["Resources"].as_object().unwrap().keys().cloned().collect();
            names.sort_unstable();
            names
        };
        let (first, second) = (names("s3://b/1"), names("s3://b/2"));
        assert!(first[1] == "FAliaslive" && first[2].starts_with("FVersion"), "{first:?}");
        assert_ne!(first[2], second[2]);
    }

    #[test]
    fn what_cannot_be_expanded_is_named() {
        for (properties, problem) in [
            (
                "CodeUri: ./src",
                "'CodeUri' is not a valid S3 Uri of the form 's3://bucket/key' with optional versionId query parameter.",
            ),
            ("CodeUri: s3://b/k, Events: {}", "The local cloud has none of the event sources that Events can name."),
            (
                "CodeUri: s3://b/k, Polices: x",
                "property Polices not defined for resource of type AWS::Serverless::Function",
            ),
        ] {
            let yaml = format!(
                "Transform: AWS::Serverless-2016-10-31\nResources: {{ F: {{ Type: 'AWS::Serverless::Function', Properties: {{ {properties} }} }} }}"
            );
            let message = expand(&yaml).unwrap_err().message;
            assert!(message.ends_with(&format!("Resource with id [F] is invalid. {problem}")), "{message}");
        }
        let other = expand("Transform: AWS::Include\nResources: {}").unwrap_err().message;
        assert!(other.starts_with("No transform named AWS::Include found"), "{other}");
    }
}
