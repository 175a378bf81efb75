//! `AWS::Serverless::LayerVersion` becomes `AWS::Lambda::LayerVersion`.
//!
//! Its logical id ends with a hash of what was declared. So other content is another resource, and what a function still
//! needs while it is updated is only deleted afterwards, or never. Whatever names the layer is changed to name the new id.

use std::collections::BTreeMap;

use s3s::crypto::{Checksum as _, Sha1};
use serde_json::{Map, Value, json};

use super::{is_call, object};

pub(super) const TYPE: &str = "AWS::Serverless::LayerVersion";

/// Properties that mean the same to Lambda.
const PASSED: [&str; 5] = ["CompatibleArchitectures", "CompatibleRuntimes", "Description", "LayerName", "LicenseInfo"];

/// Attributes of a resource that stay as they are.
const KEPT: [&str; 4] = ["Condition", "DeletionPolicy", "DependsOn", "UpdateReplacePolicy"];

/// The logical ids of layers, by those that the template has.
pub(super) type Renamed = BTreeMap<String, String>;

/// Expands one layer: its new logical id, and what it is.
pub(super) fn expanded(name: &str, resource: &Value) -> Result<(String, Value), String> {
    let empty = Map::new();
    let given = match resource.get("Properties") {
        None => &empty,
        Some(Value::Object(given)) => given,
        Some(_) => return Err("Properties must be an object.".to_owned()),
    };
    let known = |property: &str| PASSED.contains(&property) || ["ContentUri", "RetentionPolicy"].contains(&property);
    if let Some(unknown) = given.keys().find(|property| !known(property)) {
        return Err(format!("property {unknown} not defined for resource of type {TYPE}"));
    }
    let mut properties: Map<String, Value> = given
        .iter()
        .filter(|(property, _)| PASSED.contains(&property.as_str()))
        .map(|(property, value)| (property.clone(), value.clone()))
        .collect();
    properties.insert("Content".to_owned(), object(given, "ContentUri")?);
    properties.entry("LayerName").or_insert_with(|| name.into());
    let mut layer = json!({ "Type": "AWS::Lambda::LayerVersion", "Properties": properties });
    for attribute in KEPT {
        if let Some(value) = resource.get(attribute) {
            layer[attribute] = value.clone();
        }
    }
    match given.get("RetentionPolicy").map(retention).transpose()? {
        Some(policy) => layer["DeletionPolicy"] = policy.into(),
        None if resource.get("DeletionPolicy").is_none() => layer["DeletionPolicy"] = "Retain".into(),
        None => {}
    }
    Ok((format!("{name}{}", hash(name, resource)), layer))
}

fn retention(given: &Value) -> Result<&'static str, String> {
    const OPTIONS: &str = "['Retain', 'Delete']";
    match given {
        Value::String(text) if text.eq_ignore_ascii_case("Retain") => Ok("Retain"),
        Value::String(text) if text.eq_ignore_ascii_case("Delete") => Ok("Delete"),
        Value::Object(call) if is_call(call) => Err(format!(
            "'RetentionPolicy' does not accept intrinsic functions, please use one of the following options: {OPTIONS}"
        )),
        _ => Err(format!("'RetentionPolicy' must be one of the following options: {OPTIONS}.")),
    }
}

/// The end of the logical id, which AWS's transform gives the same layer: 10 digits of the SHA-1 of its JSON, with sorted
/// names, no space and in ASCII.
fn hash(name: &str, resource: &Value) -> String {
    const DIGITS: usize = 10;
    let parts = ["Condition", "DependsOn", "Properties", "Type"];
    let declared: Map<String, Value> =
        parts.into_iter().filter_map(|part| Some((part.to_owned(), sorted(resource.get(part)?)))).collect();
    let text = json!({ name: declared }).to_string();
    let mut ascii = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_ascii() {
            ascii.push(letter);
        } else {
            let mut units = [0; 2];
            ascii.extend(letter.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    let mut hash = Sha1::new();
    hash.update(ascii.as_bytes());
    let mut digits: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    digits.truncate(DIGITS);
    digits
}

/// A value whose objects have their names in order, whichever order it is that this build keeps them in.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(sorted).collect(),
        Value::Object(members) => {
            let members: BTreeMap<&String, Value> = members.iter().map(|(name, value)| (name, sorted(value))).collect();
            members.into_iter().map(|(name, value)| (name.clone(), value)).collect()
        }
        other => other.clone(),
    }
}

/// Changes `Ref`, `Fn::GetAtt`, `Fn::Sub` and `DependsOn` to name layers by their new ids.
pub(super) fn rename(value: &mut Value, renamed: &Renamed) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, renamed)),
        Value::Object(members) => {
            for (name, argument) in members {
                match (name.as_str(), &mut *argument) {
                    ("Ref" | "DependsOn", Value::String(id)) => rename_id(id, renamed),
                    ("DependsOn", Value::Array(ids)) => {
                        for id in ids {
                            if let Value::String(id) = id {
                                rename_id(id, renamed);
                            }
                        }
                    }
                    ("Fn::GetAtt", Value::Array(parts)) => {
                        if let Some(Value::String(id)) = parts.first_mut() {
                            rename_id(id, renamed);
                        }
                    }
                    ("Fn::Sub", Value::String(text)) => rename_in_text(text, &Map::new(), renamed),
                    ("Fn::Sub", Value::Array(parts)) => {
                        let own = parts.get(1).and_then(Value::as_object).cloned().unwrap_or_default();
                        if let Some(Value::String(text)) = parts.first_mut() {
                            rename_in_text(text, &own, renamed);
                        }
                    }
                    _ => {}
                }
                rename(argument, renamed);
            }
        }
        _ => {}
    }
}

fn rename_id(id: &mut String, renamed: &Renamed) {
    if let Some(new) = renamed.get(id) {
        id.clone_from(new);
    }
}

/// `own`: the variables of the substitution itself, which hide resources of the same name.
fn rename_in_text(text: &mut String, own: &Map<String, Value>, renamed: &Renamed) {
    for (id, new) in renamed.iter().filter(|(id, _)| !own.contains_key(*id)) {
        *text = text.replace(&format!("${{{id}}}"), &format!("${{{new}}}"));
        *text = text.replace(&format!("${{{id}."), &format!("${{{new}."));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::expand;
    use super::*;

    const TEMPLATE: &str = "
Transform: AWS::Serverless-2016-10-31
Conditions: { C: !Equals [a, a] }
Resources:
  Deps:
    Type: AWS::Serverless::LayerVersion
    Metadata: { a: b }
    Properties: { ContentUri: 's3://bucket/layer.zip', CompatibleRuntimes: [nodejs22.x] }
  Deps2:
    Type: AWS::Serverless::LayerVersion
    DependsOn: F
    Condition: C
    DeletionPolicy: Delete
    Properties:
      ContentUri: { Bucket: b, Key: k, Version: v }
      LayerName: näme
      RetentionPolicy: delete
  F:
    Type: AWS::Serverless::Function
    DependsOn: [Deps]
    Properties:
      Handler: a.b
      Runtime: nodejs22.x
      CodeUri: s3://b/k
      Role: arn:aws:iam::000000000000:role/r
      Layers: [!Ref Deps]
      Description: !Sub 'x ${Deps} ${Deps.LayerVersionArn} ${!Deps}'
      Environment: { Variables: { A: !Sub ['${Deps} ${Deps2}', { Deps: own }] } }
Outputs:
  O: { Value: !GetAtt Deps.LayerVersionArn }
";

    /// The ids are those that AWS's own transform (aws-sam-translator) gives these layers.
    #[test]
    fn a_layer_is_named_after_its_content_as_awss_transform_names_it() {
        let expanded = expand(TEMPLATE).unwrap();
        let resources = expanded["Resources"].as_object().unwrap();
        let mut names: Vec<&str> = resources.keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["Deps29d064a672", "Deps2b46081d38b", "F"]);
        assert_eq!(
            resources["Deps29d064a672"],
            json!({
                "Type": "AWS::Lambda::LayerVersion",
                "DeletionPolicy": "Retain",
                "Properties": {
                    "CompatibleRuntimes": ["nodejs22.x"],
                    "Content": { "S3Bucket": "bucket", "S3Key": "layer.zip" },
                    "LayerName": "Deps",
                },
            })
        );
        let other = &resources["Deps2b46081d38b"];
        assert_eq!((&other["DeletionPolicy"], &other["Properties"]["LayerName"]), (&json!("Delete"), &json!("näme")));
        assert_eq!((&other["Condition"], &other["DependsOn"]), (&json!("C"), &json!("F")));
    }

    #[test]
    fn what_names_a_layer_names_its_new_id() {
        let expanded = expand(TEMPLATE).unwrap();
        let function = &expanded["Resources"]["F"];
        assert_eq!(function["DependsOn"], json!(["Deps29d064a672"]));
        let properties = &function["Properties"];
        assert_eq!(properties["Layers"], json!([{ "Ref": "Deps29d064a672" }]));
        let text = "x ${Deps29d064a672} ${Deps29d064a672.LayerVersionArn} ${!Deps}";
        assert_eq!(properties["Description"], json!({ "Fn::Sub": text }));
        let own = json!({ "Fn::Sub": ["${Deps} ${Deps2b46081d38b}", { "Deps": "own" }] });
        assert_eq!(properties["Environment"]["Variables"]["A"], own);
        let output = json!({ "Fn::GetAtt": ["Deps29d064a672", "LayerVersionArn"] });
        assert_eq!(expanded["Outputs"]["O"]["Value"], output);
    }

    #[test]
    fn what_is_no_layer_is_told() {
        for (properties, problem) in [
            (json!({}), "Missing required property 'ContentUri'."),
            (
                json!({ "ContentUri": "./layer" }),
                "'ContentUri' is not a valid S3 Uri of the form 's3://bucket/key' with optional versionId query parameter.",
            ),
            (
                json!({ "ContentUri": "s3://b/k", "RetentionPolicy": "keep" }),
                "'RetentionPolicy' must be one of the following options: ['Retain', 'Delete'].",
            ),
            (json!({ "Name": "deps" }), "property Name not defined for resource of type AWS::Serverless::LayerVersion"),
        ] {
            let resource = json!({ "Type": TYPE, "Properties": properties });
            assert_eq!(expanded("Deps", &resource).unwrap_err(), problem);
        }
    }
}
