//! A template that is well formed: its sections as types, everything checked that can be without parameters.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::errors::{Result, invalid};
use super::functions::{FUNCTIONS, placeholders};
use super::resources;

/// The transform of the Serverless Application Model.
pub(super) const SERVERLESS: &str = "AWS::Serverless-2016-10-31";

/// The longest template in a request, in bytes.
const MAX_BODY: usize = 51_200;

const SECTIONS: [&str; 10] = [
    "AWSTemplateFormatVersion",
    "Conditions",
    "Description",
    "Globals",
    "Mappings",
    "Metadata",
    "Outputs",
    "Parameters",
    "Resources",
    "Transform",
];

const RESOURCE_ATTRIBUTES: [&str; 10] = [
    "Type",
    "Properties",
    "DependsOn",
    "Condition",
    "Metadata",
    "DeletionPolicy",
    "UpdateReplacePolicy",
    "CreationPolicy",
    "UpdatePolicy",
    "Version",
];

/// A template as a whole. Functions in it are not evaluated yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Template {
    pub(super) description: Option<String>,
    pub(super) metadata: Option<Value>,
    pub(super) version: Option<String>,
    pub(super) parameters: BTreeMap<String, Map<String, Value>>,
    pub(super) mappings: Map<String, Value>,
    pub(super) conditions: Map<String, Value>,
    pub(super) resources: BTreeMap<String, Declaration>,
    pub(super) outputs: BTreeMap<String, Map<String, Value>>,
}

/// One resource of a template.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Declaration {
    pub(super) kind: String,
    pub(super) properties: Map<String, Value>,
    pub(super) condition: Option<String>,
    pub(super) depends_on: BTreeSet<String>,
    pub(super) metadata: Option<Value>,
    pub(super) deletion_policy: Policy,
    pub(super) update_replace_policy: Policy,
}

/// What becomes of a resource that its stack no longer has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) enum Policy {
    #[default]
    Delete,
    Retain,
    /// Kept, unless its creation is being rolled back.
    RetainExceptOnCreate,
}

impl Policy {
    fn of(value: Option<&Value>, attribute: &str) -> Result<Self> {
        match value.map(|value| value.as_str().unwrap_or_default()) {
            None | Some("Delete") => Ok(Self::Delete),
            Some("Retain") => Ok(Self::Retain),
            Some("RetainExceptOnCreate") if attribute == "DeletionPolicy" => Ok(Self::RetainExceptOnCreate),
            Some("Snapshot") => Err(invalid(format!(
                "Template error: resource type does not support {attribute} Snapshot: none of the local cloud's resources has snapshots"
            ))),
            Some(other) => Err(invalid(format!("Template error: {other} is not a valid {attribute}"))),
        }
    }
}

/// Holds a template's length against the limit of a request.
pub(super) fn check_length(body: &str) -> Result<()> {
    if body.is_empty() {
        return Err(super::errors::constraint(
            "",
            "templateBody",
            "Member must have length greater than or equal to 1",
        ));
    }
    if body.len() > MAX_BODY {
        let rule = format!("Member must have length less than or equal to {MAX_BODY}");
        return Err(super::errors::constraint(body, "templateBody", &rule));
    }
    Ok(())
}

/// The names of the transforms that a document declares.
pub(super) fn transforms(document: &Value) -> Result<Vec<String>> {
    let malformed = || invalid("Template format error: Transform must be a string or a list of strings.");
    match document.get("Transform") {
        None => Ok(Vec::new()),
        Some(Value::String(name)) => Ok(vec![name.clone()]),
        Some(Value::Array(names)) => {
            names.iter().map(|name| name.as_str().map(str::to_owned).ok_or_else(malformed)).collect()
        }
        Some(_) => Err(malformed()),
    }
}

impl Template {
    /// Reads the sections of a document that has no transform left in it.
    pub(super) fn parse(document: &Value) -> Result<Self> {
        let unknown: Vec<&str> = document
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str())
            .filter(|name| !SECTIONS.contains(name))
            .collect();
        if !unknown.is_empty() {
            return Err(invalid(format!("Invalid template property or properties [{}]", unknown.join(", "))));
        }
        let version = text_of(document, "AWSTemplateFormatVersion")?;
        if let Some(version) = version.as_deref().filter(|version| *version != "2010-09-09") {
            return Err(invalid(format!(
                "Template format error: {version} is not a supported value for AWSTemplateFormatVersion."
            )));
        }
        let description = text_of(document, "Description")?;
        if description.as_ref().is_some_and(|description| description.len() > 1024) {
            return Err(invalid("Template format error: 'Description' length is greater than 1024."));
        }
        let template = Self {
            description,
            metadata: document.get("Metadata").cloned(),
            version,
            parameters: members(document, "Parameters", "Parameter")?,
            mappings: section(document, "Mappings")?,
            conditions: section(document, "Conditions")?,
            resources: declarations(document)?,
            outputs: members(document, "Outputs", "Output")?,
        };
        template.check()?;
        Ok(template)
    }

    fn check(&self) -> Result<()> {
        super::parameters::check_declarations(&self.parameters)?;
        for (name, output) in &self.outputs {
            if !output.contains_key("Value") {
                return Err(invalid("Template format error: Every Outputs member must contain a Value object"));
            }
            self.check_condition(output.get("Condition").and_then(Value::as_str), "Outputs")?;
            self.check_functions(&Value::Object(output.clone()), &format!("/Outputs/{name}"))?;
        }
        let unknown: BTreeSet<&str> = self
            .resources
            .values()
            .map(|declared| declared.kind.as_str())
            .filter(|kind| !resources::is_known(kind))
            .collect();
        if !unknown.is_empty() {
            let unknown: Vec<&str> = unknown.into_iter().collect();
            return Err(invalid(format!(
                "Template format error: Unrecognized resource types: [{}]",
                unknown.join(", ")
            )));
        }
        for (name, declared) in &self.resources {
            self.check_condition(declared.condition.as_deref(), "Resources")?;
            self.check_functions(
                &Value::Object(declared.properties.clone()),
                &format!("/Resources/{name}/Properties"),
            )?;
        }
        for condition in self.conditions.values() {
            self.check_functions(condition, "/Conditions")?;
            let named = self.names_in(condition);
            if let Some(resource) = named.iter().find(|name| self.resources.contains_key(*name)) {
                return Err(invalid(format!(
                    "Template format error: Unresolved dependencies [{resource}]. Cannot reference resources in the Conditions block of the template"
                )));
            }
        }
        self.check_references()?;
        self.check_cycles()
    }

    fn check_condition(&self, name: Option<&str>, block: &str) -> Result<()> {
        match name {
            Some(name) if !self.conditions.contains_key(name) => Err(invalid(format!(
                "Template format error: Unresolved condition dependency {name} in the {block} block of the template"
            ))),
            _ => Ok(()),
        }
    }

    /// Looks for functions that are unknown or name a condition that isn't there.
    fn check_functions(&self, value: &Value, place: &str) -> Result<()> {
        match value {
            Value::Array(items) => items.iter().try_for_each(|item| self.check_functions(item, place)),
            Value::Object(members) => {
                if members.len() == 1
                    && let Some((name, argument)) = members.iter().next()
                {
                    if name.starts_with("Fn::") && !FUNCTIONS.contains(&name.as_str()) {
                        return Err(invalid(format!(
                            "Template error: the local cloud's CloudFormation doesn't have the function {name}, at {place}"
                        )));
                    }
                    if name == "Fn::If"
                        && let Some(condition) = argument.get(0).and_then(Value::as_str)
                        && !self.conditions.contains_key(condition)
                    {
                        return Err(invalid(format!(
                            "Template error: unresolved condition dependency {condition} in Fn::If"
                        )));
                    }
                }
                members.values().try_for_each(|member| self.check_functions(member, place))
            }
            _ => Ok(()),
        }
    }

    fn check_references(&self) -> Result<()> {
        let missing = |names: BTreeSet<String>| -> Vec<String> {
            names
                .into_iter()
                .filter(|name| {
                    !name.starts_with("AWS::")
                        && !self.resources.contains_key(name)
                        && !self.parameters.contains_key(name)
                })
                .collect()
        };
        let mut unresolved = BTreeSet::new();
        for declared in self.resources.values() {
            unresolved.extend(missing(self.names_in(&Value::Object(declared.properties.clone()))));
            unresolved.extend(declared.depends_on.iter().filter(|name| !self.resources.contains_key(*name)).cloned());
        }
        let listed = |names: BTreeSet<String>| names.into_iter().collect::<Vec<_>>().join(", ");
        if !unresolved.is_empty() {
            return Err(invalid(format!(
                "Template format error: Unresolved resource dependencies [{}] in the Resources block of the template",
                listed(unresolved)
            )));
        }
        let outputs: BTreeSet<String> =
            self.outputs.values().flat_map(|output| missing(self.names_in(&Value::Object(output.clone())))).collect();
        if !outputs.is_empty() {
            return Err(invalid(format!(
                "Unresolved resource dependencies [{}] in the Outputs block of the template",
                listed(outputs)
            )));
        }
        Ok(())
    }

    fn check_cycles(&self) -> Result<()> {
        let mut waiting: BTreeMap<&str, BTreeSet<String>> =
            self.resources.iter().map(|(name, declared)| (name.as_str(), self.dependencies(declared))).collect();
        loop {
            let free: Vec<&str> = waiting
                .iter()
                .filter(|(_, needs)| !needs.iter().any(|needed| waiting.contains_key(needed.as_str())))
                .map(|(name, _)| *name)
                .collect();
            if free.is_empty() {
                break;
            }
            for name in free {
                waiting.remove(name);
            }
        }
        if waiting.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = waiting.into_keys().collect();
        Err(invalid(format!("Circular dependency between resources: [{}]", names.join(", "))))
    }

    /// The resources that one needs before it: those it names, and those in `DependsOn`.
    pub(super) fn dependencies(&self, declared: &Declaration) -> BTreeSet<String> {
        let mut needed = self.names_in(&Value::Object(declared.properties.clone()));
        needed.retain(|name| self.resources.contains_key(name));
        needed.extend(declared.depends_on.iter().cloned());
        needed
    }

    /// What the functions below a value name: parameters, resources, pseudo parameters.
    pub(super) fn names_in(&self, value: &Value) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        collect_names(value, &mut names);
        names
    }
}

fn collect_names(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect_names(item, names)),
        Value::Object(members) => {
            if members.len() == 1
                && let Some((function, argument)) = members.iter().next()
            {
                match (function.as_str(), argument) {
                    ("Ref", Value::String(name)) => {
                        names.insert(name.clone());
                    }
                    ("Fn::GetAtt", Value::Array(parts)) => {
                        names.extend(parts.first().and_then(Value::as_str).map(str::to_owned));
                    }
                    ("Fn::GetAtt", Value::String(text)) => {
                        names.extend(text.split_once('.').map(|(resource, _)| resource.to_owned()));
                    }
                    ("Fn::Sub", argument) => {
                        let (text, own) = match argument {
                            Value::String(text) => (text.as_str(), None),
                            Value::Array(parts) => (
                                parts.first().and_then(Value::as_str).unwrap_or_default(),
                                parts.get(1).and_then(Value::as_object),
                            ),
                            _ => ("", None),
                        };
                        let named = placeholders(text)
                            .into_iter()
                            .filter(|name| own.is_none_or(|own| !own.contains_key(*name)));
                        names.extend(named.map(|name| name.split('.').next().unwrap_or(name).to_owned()));
                    }
                    _ => {}
                }
            }
            members.values().for_each(|member| collect_names(member, names));
        }
        _ => {}
    }
}

fn text_of(document: &Value, section: &str) -> Result<Option<String>> {
    match document.get(section) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(invalid(format!("Template format error: {section} must be a string."))),
    }
}

fn section(document: &Value, name: &str) -> Result<Map<String, Value>> {
    match document.get(name) {
        None => Ok(Map::new()),
        Some(Value::Object(members)) => Ok(members.clone()),
        Some(_) => Err(invalid(format!("Template format error: {name} must be an object."))),
    }
}

/// A section whose members are objects.
fn members(document: &Value, name: &str, kind: &str) -> Result<BTreeMap<String, Map<String, Value>>> {
    let mut found = BTreeMap::new();
    for (key, value) in section(document, name)? {
        if !is_alphanumeric(&key) {
            return Err(invalid(format!("Template format error: {kind} name {key} is non alphanumeric.")));
        }
        let Value::Object(members) = value else {
            return Err(invalid(format!("Template format error: Any {name} member must be an object.")));
        };
        found.insert(key, members);
    }
    Ok(found)
}

fn is_alphanumeric(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn declarations(document: &Value) -> Result<BTreeMap<String, Declaration>> {
    let members = members(document, "Resources", "Resource")?;
    if members.is_empty() {
        return Err(invalid("Template format error: At least one Resources member must be defined."));
    }
    members.into_iter().map(|(name, members)| Ok((name.clone(), declaration(&name, &members)?))).collect()
}

fn declaration(name: &str, members: &Map<String, Value>) -> Result<Declaration> {
    if let Some(unknown) = members.keys().find(|member| !RESOURCE_ATTRIBUTES.contains(&member.as_str())) {
        return Err(invalid(format!("Invalid template resource property '{unknown}'")));
    }
    let Some(kind) = members.get("Type").and_then(Value::as_str).map(str::to_owned) else {
        return Err(invalid(format!(
            "Template format error: [/Resources/{name}] Every Resources object must contain a Type member."
        )));
    };
    let depends_on = match members.get("DependsOn") {
        None => BTreeSet::new(),
        Some(Value::String(one)) => BTreeSet::from([one.clone()]),
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Some(_) => return Err(invalid("Template format error: DependsOn must be a string or list of strings.")),
    };
    let properties = match members.get("Properties") {
        None => Map::new(),
        Some(Value::Object(properties)) => properties.clone(),
        Some(_) => {
            return Err(invalid(format!("Template format error: [/Resources/{name}/Properties] must be an object.")));
        }
    };
    Ok(Declaration {
        kind,
        properties,
        condition: members.get("Condition").and_then(Value::as_str).map(str::to_owned),
        depends_on,
        metadata: members.get("Metadata").cloned(),
        deletion_policy: Policy::of(members.get("DeletionPolicy"), "DeletionPolicy")?,
        update_replace_policy: Policy::of(members.get("UpdateReplacePolicy"), "UpdateReplacePolicy")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(yaml: &str) -> String {
        Template::parse(&super::super::syntax::read(yaml).unwrap()).unwrap_err().message
    }

    /// The messages of the real service, from recordings.
    #[test]
    fn malformed_templates_are_refused_in_awss_words() {
        for (yaml, message) in [
            ("Description: empty\n", "Template format error: At least one Resources member must be defined."),
            (
                "Resources: { A: { Properties: {} } }",
                "Template format error: [/Resources/A] Every Resources object must contain a Type member.",
            ),
            (
                "Resources: { A: { Type: 'AWS::S3::Bucket', Invalid: 1 } }",
                "Invalid template resource property 'Invalid'",
            ),
            (
                "Resources: { A-B: { Type: 'AWS::S3::Bucket' } }",
                "Template format error: Resource name A-B is non alphanumeric.",
            ),
            (
                "Resources: { A: { Type: 'AWS::Nope::Thing' } }",
                "Template format error: Unrecognized resource types: [AWS::Nope::Thing]",
            ),
            (
                "Resources: { A: { Type: 'AWS::S3::Bucket', Properties: { BucketName: !Ref Missing } } }",
                "Template format error: Unresolved resource dependencies [Missing] in the Resources block of the template",
            ),
            (
                "Resources: { A: { Type: 'AWS::S3::Bucket' } }\nOutputs: { O: { Value: !GetAtt MyTopic.Arn } }",
                "Unresolved resource dependencies [MyTopic] in the Outputs block of the template",
            ),
            (
                "Resources: { A: { Type: 'AWS::S3::Bucket' } }\nOutputs: { O: { Description: none } }",
                "Template format error: Every Outputs member must contain a Value object",
            ),
            (
                "Resources: { A: { Type: 'AWS::S3::Bucket', Properties: { BucketName: !If [No, a, b] } } }",
                "Template error: unresolved condition dependency No in Fn::If",
            ),
        ] {
            assert_eq!(refused(yaml), message, "{yaml}");
        }
    }

    #[test]
    fn resources_that_need_each_other_are_a_cycle() {
        let yaml = "
Resources:
  A: { Type: 'AWS::S3::Bucket', DependsOn: B }
  B: { Type: 'AWS::S3::Bucket', Properties: { BucketName: !Sub '${A}-b' } }
  C: { Type: 'AWS::S3::Bucket' }
";
        assert_eq!(refused(yaml), "Circular dependency between resources: [A, B]");
    }

    #[test]
    fn a_substitution_depends_on_what_it_names_but_not_on_its_own_variables() {
        let yaml = "
Resources:
  A: { Type: 'AWS::S3::Bucket' }
  B: { Type: 'AWS::S3::Bucket', Properties: { BucketName: !Sub ['${A.Arn}-${Own}-${!A}', { Own: !Ref 'AWS::Region' }] } }
";
        let template = Template::parse(&super::super::syntax::read(yaml).unwrap()).unwrap();
        let needed = template.dependencies(&template.resources["B"]);
        assert_eq!(needed.into_iter().collect::<Vec<_>>(), ["A"]);
    }
}
