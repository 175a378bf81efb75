//! A CloudFormation template, as far as the code of its functions goes: SAM's, packaged or not, or what CloudFormation
//! made of it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

mod intrinsics;

pub(crate) use intrinsics::Scope;

/// A template's text as values: see [`super::document`].
#[derive(Debug, Clone)]
pub(crate) struct Template {
    body: Value,
}

/// A Lambda function of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TemplateFunction {
    /// Its name in the template.
    pub(crate) logical_id: String,
    /// Its name in Lambda, where the template says it and it can be known.
    pub(crate) name: Option<String>,
    pub(crate) handler: Option<String>,
    pub(crate) code: Code,
}

/// Where a template says that a function's code is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Code {
    /// An object in S3.
    S3 { bucket: String, key: String, version: Option<String> },
    /// A directory or file beside the template: it is not packaged yet.
    Local(String),
    /// In the template itself.
    Inline,
    /// A container image.
    Image,
    /// It can't be known from here: why.
    Unknown(String),
}

impl Template {
    /// From a template's text, YAML or JSON.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        super::document::parse(text).map(Self::new)
    }

    pub(crate) fn new(body: Value) -> Self {
        Self { body }
    }

    /// Whether it is a template at all.
    pub(crate) fn has_resources(&self) -> bool {
        self.body.get("Resources").is_some_and(Value::is_object)
    }

    /// Whether SAM has to transform it.
    pub(crate) fn is_sam(&self) -> bool {
        const SAM: &str = "AWS::Serverless-2016-10-31";
        match self.body.get("Transform") {
            Some(Value::String(name)) => name == SAM,
            Some(Value::Array(names)) => names.iter().any(|name| name == SAM),
            _ => false,
        }
    }

    /// The defaults of its parameters.
    pub(crate) fn defaults(&self) -> BTreeMap<String, String> {
        let parameters = self.body.get("Parameters").and_then(Value::as_object);
        parameters
            .into_iter()
            .flatten()
            .filter_map(|(name, parameter)| Some((name.clone(), intrinsics::text(parameter.get("Default")?)?)))
            .collect()
    }

    /// Its Lambda functions, by logical id.
    pub(crate) fn functions(&self, scope: &Scope) -> Vec<TemplateFunction> {
        let globals = self.body.pointer("/Globals/Function").and_then(Value::as_object);
        let resources = self.body.get("Resources").and_then(Value::as_object);
        resources
            .into_iter()
            .flatten()
            .filter_map(|(logical_id, resource)| {
                let properties = resource.get("Properties").and_then(Value::as_object);
                match resource.get("Type")?.as_str()? {
                    "AWS::Serverless::Function" => {
                        Some(self.function(logical_id, &merged(globals, properties), "CodeUri", resource, scope))
                    }
                    "AWS::Lambda::Function" => {
                        Some(self.function(logical_id, &merged(None, properties), "Code", resource, scope))
                    }
                    _ => None,
                }
            })
            .collect()
    }

    /// Parameters that say where the code of the functions is that `wanted` chooses by logical id and name, with what
    /// each of them stands for: `{bucket}`, `{key}` or `{version}`.
    pub(crate) fn code_parameters(
        &self,
        wanted: &dyn Fn(&str, Option<&str>) -> bool,
    ) -> BTreeMap<String, &'static str> {
        const PLACES: [([&str; 2], &str); 3] = [
            (["S3Bucket", "Bucket"], "{bucket}"),
            (["S3Key", "Key"], "{key}"),
            (["S3ObjectVersion", "Version"], "{version}"),
        ];
        let resources = self.body.get("Resources").and_then(Value::as_object);
        let mut found = BTreeMap::new();
        for (logical_id, resource) in resources.into_iter().flatten() {
            let property = |name: &str| {
                let own = resource.get("Properties").and_then(|properties| properties.get(name));
                own.or_else(|| self.body.pointer("/Globals/Function").and_then(|globals| globals.get(name)))
            };
            let code = match resource.get("Type").and_then(Value::as_str) {
                Some("AWS::Lambda::Function") => property("Code"),
                Some("AWS::Serverless::Function") => property("CodeUri"),
                _ => None,
            };
            let Some(code) = code.filter(|_| wanted(logical_id, property("FunctionName").and_then(Value::as_str)))
            else {
                continue;
            };
            for (names, place) in PLACES {
                let value = names.iter().find_map(|name| code.get(*name));
                found.extend(value.and_then(|value| self.parameter_in(value)).map(|name| (name, place)));
            }
        }
        found
    }

    /// The parameter that a value is, in one branch of a condition if need be.
    fn parameter_in(&self, value: &Value) -> Option<String> {
        let text = |key: &str| value.get(key).and_then(Value::as_str);
        let substituted = || text("Fn::Sub")?.strip_prefix("${")?.strip_suffix('}');
        if let Some(name) = text("Ref").or_else(substituted) {
            return self.body.get("Parameters")?.get(name).map(|_| name.to_owned());
        }
        value.get("Fn::If")?.as_array()?.iter().skip(1).find_map(|branch| self.parameter_in(branch))
    }

    /// What CloudFormation wants to have acknowledged: that roles come of it, maybe with names of their own.
    pub(crate) fn capabilities(&self) -> Vec<&'static str> {
        let resources = self.body.get("Resources").and_then(Value::as_object);
        let kinds = resources.into_iter().flatten().filter_map(|(_, resource)| {
            let kind = resource.get("Type")?.as_str()?.strip_prefix("AWS::IAM::")?;
            Some((kind, resource.get("Properties")))
        });
        let of_iam: Vec<(&str, Option<&Value>)> = kinds.collect();
        // Such as `RoleName` of a role. An inline policy always has a name, and it counts for nothing.
        let named = |(kind, properties): &(&str, Option<&Value>)| {
            *kind != "Policy" && properties.is_some_and(|properties| properties.get(format!("{kind}Name")).is_some())
        };
        match (of_iam.iter().any(named), of_iam.is_empty() && !self.is_sam()) {
            (true, _) => vec!["CAPABILITY_NAMED_IAM"],
            // SAM makes a role for each function that names none.
            (false, false) => vec!["CAPABILITY_IAM"],
            (false, true) => Vec::new(),
        }
    }

    fn function(
        &self,
        logical_id: &str,
        properties: &Map<String, Value>,
        code_key: &str,
        resource: &Value,
        scope: &Scope,
    ) -> TemplateFunction {
        let string =
            |key: &str| properties.get(key).and_then(|value| self.resolve(value, scope).ok()).filter(|s| !s.is_empty());
        TemplateFunction {
            logical_id: logical_id.to_owned(),
            name: string("FunctionName"),
            handler: string("Handler"),
            code: self.code(properties, code_key, resource, scope),
        }
    }

    fn code(&self, properties: &Map<String, Value>, key: &str, resource: &Value, scope: &Scope) -> Code {
        if properties.get("PackageType").is_some_and(|kind| kind == "Image") || properties.contains_key("ImageUri") {
            return Code::Image;
        }
        if properties.contains_key("InlineCode") {
            return Code::Inline;
        }
        // CDK writes down which directory it made an asset of; the asset itself is not there before it is published.
        if let Some(path) = resource.pointer("/Metadata/aws:asset:path").and_then(Value::as_str)
            && scope.is_local()
        {
            return Code::Local(path.to_owned());
        }
        match properties.get(key) {
            None => Code::Unknown(format!("it has no `{key}`")),
            Some(Value::Object(code)) if code.contains_key("ZipFile") => Code::Inline,
            Some(Value::Object(code)) if code.contains_key("ImageUri") => Code::Image,
            Some(Value::Object(code)) => {
                let part = |names: [&str; 2]| names.iter().find_map(|name| code.get(*name));
                match (part(["S3Bucket", "Bucket"]), part(["S3Key", "Key"])) {
                    (Some(bucket), Some(key)) => {
                        let version = part(["S3ObjectVersion", "Version"]);
                        self.object(bucket, key, version, scope).unwrap_or_else(Code::Unknown)
                    }
                    _ => {
                        self.resolve(&Value::Object(code.clone()), scope).map_or_else(Code::Unknown, |uri| place(&uri))
                    }
                }
            }
            Some(value) => self.resolve(value, scope).map_or_else(Code::Unknown, |uri| place(&uri)),
        }
    }

    fn object(&self, bucket: &Value, key: &Value, version: Option<&Value>, scope: &Scope) -> Result<Code, String> {
        let version = version.map(|version| self.resolve(version, scope)).transpose()?.filter(|text| !text.is_empty());
        Ok(Code::S3 { bucket: self.resolve(bucket, scope)?, key: self.resolve(key, scope)?, version })
    }

    /// A value with its intrinsic functions carried out, as text. The error says what isn't known.
    fn resolve(&self, value: &Value, scope: &Scope) -> Result<String, String> {
        intrinsics::resolve(value, &self.body, scope)
    }
}

/// SAM's `Globals`, and over them what the function says itself.
fn merged(globals: Option<&Map<String, Value>>, own: Option<&Map<String, Value>>) -> Map<String, Value> {
    let mut all = globals.cloned().unwrap_or_default();
    all.extend(own.cloned().unwrap_or_default());
    all
}

/// `s3://bucket/key`, or a path.
fn place(uri: &str) -> Code {
    match uri.strip_prefix("s3://").map(|rest| rest.split_once('/')) {
        Some(Some((bucket, key))) => Code::S3 { bucket: bucket.to_owned(), key: key.to_owned(), version: None },
        Some(None) => Code::Unknown(format!("`{uri}` names no object")),
        None => Code::Local(uri.to_owned()),
    }
}

#[cfg(test)]
#[path = "template_tests.rs"]
mod tests;
