//! The functions of templates: `Ref`, `Fn::Sub` and the rest, evaluated against parameters, conditions and resources.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::errors::{Result, invalid};
use super::template::Template;

/// Every function that is evaluated. `Ref` and `Condition` have no prefix.
pub(super) const FUNCTIONS: [&str; 13] = [
    "Fn::And",
    "Fn::Base64",
    "Fn::Equals",
    "Fn::FindInMap",
    "Fn::GetAZs",
    "Fn::GetAtt",
    "Fn::If",
    "Fn::Join",
    "Fn::Not",
    "Fn::Or",
    "Fn::Select",
    "Fn::Split",
    "Fn::Sub",
];

/// What the pseudo parameters stand for.
#[derive(Clone, Debug)]
pub(super) struct Pseudo {
    pub(super) region: String,
    pub(super) stack_id: String,
    pub(super) stack_name: String,
    pub(super) notification_arns: Vec<String>,
}

impl Pseudo {
    pub(super) fn partition(&self) -> &'static str {
        match self.region.as_str() {
            region if region.starts_with("cn-") => "aws-cn",
            region if region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        }
    }

    fn url_suffix(&self) -> &'static str {
        if self.region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }
    }
}

/// Looks up a resource's `Ref`, or one of its attributes.
pub(super) type Lookup<'a> = dyn Fn(&str, Option<&str>) -> Result<Value> + 'a;

/// Everything that a template's functions can refer to.
pub(super) struct Evaluator<'a> {
    pub(super) template: &'a Template,
    /// By name: a text, or a list for the list types.
    pub(super) parameters: &'a BTreeMap<String, Value>,
    pub(super) pseudo: &'a Pseudo,
    pub(super) conditions: &'a BTreeMap<String, bool>,
    pub(super) resources: &'a Lookup<'a>,
}

/// The value of every condition.
///
/// # Errors
/// `ValidationError` when one is malformed or depends on itself.
pub(super) fn conditions(
    template: &Template,
    parameters: &BTreeMap<String, Value>,
    pseudo: &Pseudo,
) -> Result<BTreeMap<String, bool>> {
    let no_resources = |name: &str, _: Option<&str>| -> Result<Value> {
        Err(invalid(format!(
            "Template format error: Unresolved dependencies [{name}]. Cannot reference resources in the Conditions block of the template"
        )))
    };
    let mut known = BTreeMap::new();
    while known.len() < template.conditions.len() {
        let ready: Vec<&String> = template
            .conditions
            .iter()
            .filter(|(name, rule)| {
                !known.contains_key(*name) && conditions_in(rule).iter().all(|needed| known.contains_key(*needed))
            })
            .map(|(name, _)| name)
            .collect();
        if ready.is_empty() {
            let stuck: Vec<&str> =
                template.conditions.keys().filter(|name| !known.contains_key(*name)).map(String::as_str).collect();
            return Err(invalid(format!(
                "Template error: Circular dependencies for condition: [{}]",
                stuck.join(", ")
            )));
        }
        for name in ready {
            let rule = &template.conditions[name];
            let evaluator = Evaluator { template, parameters, pseudo, conditions: &known, resources: &no_resources };
            let holds = evaluator.holds(rule)?;
            known.insert(name.clone(), holds);
        }
    }
    Ok(known)
}

/// The conditions that a rule names.
fn conditions_in(rule: &Value) -> Vec<&str> {
    match rule {
        Value::Array(items) => items.iter().flat_map(conditions_in).collect(),
        Value::Object(members) => {
            let own = members.get("Condition").and_then(Value::as_str);
            own.into_iter().chain(members.values().flat_map(conditions_in)).collect()
        }
        _ => Vec::new(),
    }
}

impl Evaluator<'_> {
    /// The members of an object, without those that are `AWS::NoValue`.
    pub(super) fn object(&self, members: &Map<String, Value>) -> Result<Map<String, Value>> {
        let mut evaluated = Map::new();
        for (key, value) in members {
            if let Some(value) = self.value(value)? {
                evaluated.insert(key.clone(), value);
            }
        }
        Ok(evaluated)
    }

    /// A value with its functions evaluated. `None` is `AWS::NoValue`.
    pub(super) fn value(&self, value: &Value) -> Result<Option<Value>> {
        match value {
            Value::Array(items) => {
                let items: Vec<Option<Value>> = items.iter().map(|item| self.value(item)).collect::<Result<_>>()?;
                Ok(Some(Value::Array(items.into_iter().flatten().collect())))
            }
            Value::Object(members) => {
                if members.len() == 1
                    && let Some((name, argument)) = members.iter().next()
                    && (name == "Ref" || name.starts_with("Fn::"))
                {
                    return self.function(name, argument);
                }
                Ok(Some(Value::Object(self.object(members)?)))
            }
            other => Ok(Some(other.clone())),
        }
    }

    /// A value that must be a text, or a number or truth value that becomes one.
    pub(super) fn text(&self, value: &Value) -> Result<String> {
        let evaluated = self.value(value)?;
        evaluated
            .as_ref()
            .and_then(as_text)
            .ok_or_else(|| invalid("Template error: every value in a string must resolve to a string"))
    }

    fn function(&self, name: &str, argument: &Value) -> Result<Option<Value>> {
        match name {
            "Ref" => self.reference(argument.as_str().unwrap_or_default()),
            "Fn::GetAtt" => self.attribute(argument).map(Some),
            "Fn::Sub" => self.substitute(argument).map(|text| Some(text.into())),
            "Fn::Join" => self.join(argument).map(|text| Some(text.into())),
            "Fn::Split" => self.split(argument).map(Some),
            "Fn::Select" => self.select(argument),
            "Fn::If" => self.choose(argument),
            "Fn::FindInMap" => self.find_in_map(argument).map(Some),
            "Fn::Base64" => Ok(Some(STANDARD.encode(self.text(argument)?).into())),
            "Fn::GetAZs" => {
                let region = self.text(argument)?;
                let region = if region.is_empty() { &self.pseudo.region } else { &region };
                Ok(Some(["a", "b", "c"].iter().map(|zone| format!("{region}{zone}")).collect()))
            }
            "Fn::Equals" | "Fn::Not" | "Fn::And" | "Fn::Or" => self
                .holds(&Value::Object(Map::from_iter([(name.to_owned(), argument.clone())])))
                .map(|held| Some(held.into())),
            other => Err(invalid(format!(
                "Template error: the local cloud's CloudFormation doesn't have the function {other}"
            ))),
        }
    }

    fn reference(&self, name: &str) -> Result<Option<Value>> {
        Ok(Some(match name {
            "AWS::NoValue" => return Ok(None),
            "AWS::AccountId" => crate::s3::ACCOUNT.into(),
            "AWS::Region" => self.pseudo.region.as_str().into(),
            "AWS::Partition" => self.pseudo.partition().into(),
            "AWS::URLSuffix" => self.pseudo.url_suffix().into(),
            "AWS::StackId" => self.pseudo.stack_id.as_str().into(),
            "AWS::StackName" => self.pseudo.stack_name.as_str().into(),
            "AWS::NotificationARNs" => self.pseudo.notification_arns.iter().map(String::as_str).collect(),
            name => match self.parameters.get(name) {
                Some(value) => value.clone(),
                None => (self.resources)(name, None)?,
            },
        }))
    }

    fn attribute(&self, argument: &Value) -> Result<Value> {
        let malformed = || {
            invalid(
                "Template error: every Fn::GetAtt object requires two non-empty parameters, the resource name and the resource attribute",
            )
        };
        let (resource, attribute) = match argument {
            Value::String(text) => {
                let (resource, attribute) = text.split_once('.').ok_or_else(malformed)?;
                (resource.to_owned(), attribute.to_owned())
            }
            Value::Array(parts) if parts.len() == 2 => {
                let resource = parts[0].as_str().ok_or_else(malformed)?;
                (resource.to_owned(), self.text(&parts[1])?)
            }
            _ => return Err(malformed()),
        };
        if resource.is_empty() || attribute.is_empty() {
            return Err(malformed());
        }
        (self.resources)(&resource, Some(&attribute))
    }

    fn substitute(&self, argument: &Value) -> Result<String> {
        let malformed = || {
            invalid(
                "Template error: One or more Fn::Sub intrinsic functions don't specify expected arguments. Specify a string as first argument, and an optional second argument to specify a mapping of values to replace in the string",
            )
        };
        let (text, own) = match argument {
            Value::String(text) => (text.as_str(), None),
            Value::Array(parts) => match parts.as_slice() {
                [Value::String(text), Value::Object(own)] => (text.as_str(), Some(own)),
                _ => return Err(malformed()),
            },
            _ => return Err(malformed()),
        };
        let mut out = String::new();
        for piece in pieces(text) {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Name(name) => match own.and_then(|own| own.get(name)) {
                    Some(value) => out.push_str(&self.text(value)?),
                    None => {
                        let value = match name.split_once('.') {
                            Some((resource, attribute)) => Some((self.resources)(resource, Some(attribute))?),
                            None => self.reference(name)?,
                        };
                        let text = value.as_ref().and_then(as_text).ok_or_else(|| {
                            invalid(format!(
                                "Template error: Fn::Sub expression {{{name}}} does not resolve to a string"
                            ))
                        })?;
                        out.push_str(&text);
                    }
                },
            }
        }
        Ok(out)
    }

    fn join(&self, argument: &Value) -> Result<String> {
        let malformed = || {
            invalid(
                "Template error: every Fn::Join object requires two parameters, (1) a string delimiter and (2) a list of strings to be joined or a function that returns a list of strings (such as Fn::GetAZs) to be joined.",
            )
        };
        let [delimiter, list] = pair(argument).ok_or_else(malformed)?;
        let delimiter = delimiter.as_str().ok_or_else(malformed)?;
        let Some(Value::Array(items)) = self.value(list)? else { return Err(malformed()) };
        let items: Option<Vec<String>> = items.iter().map(as_text).collect();
        Ok(items.ok_or_else(malformed)?.join(delimiter))
    }

    fn split(&self, argument: &Value) -> Result<Value> {
        let malformed = || {
            invalid(
                "Template error: every Fn::Split object requires two parameters, (1) a string delimiter and (2) a string to be split or a function that returns a string to be split.",
            )
        };
        let [delimiter, text] = pair(argument).ok_or_else(malformed)?;
        let delimiter = delimiter.as_str().filter(|delimiter| !delimiter.is_empty()).ok_or_else(malformed)?;
        let text = self.value(text)?.as_ref().and_then(as_text).ok_or_else(malformed)?;
        Ok(text.split(delimiter).collect())
    }

    fn select(&self, argument: &Value) -> Result<Option<Value>> {
        let malformed = || {
            invalid(
                "Template error: Fn::Select requires a list argument with two elements: an integer index and a list",
            )
        };
        let [index, list] = pair(argument).ok_or_else(malformed)?;
        let index: usize = self.text(index)?.parse().map_err(|_| malformed())?;
        let Some(Value::Array(mut items)) = self.value(list)? else { return Err(malformed()) };
        if index >= items.len() {
            return Err(invalid(format!(
                "Template error: Fn::Select cannot select nonexistent value at index {index}"
            )));
        }
        Ok(Some(items.swap_remove(index)))
    }

    fn choose(&self, argument: &Value) -> Result<Option<Value>> {
        let malformed = || invalid("Template error: Fn::If requires a list argument with three elements");
        let Value::Array(parts) = argument else { return Err(malformed()) };
        let [Value::String(condition), then, otherwise] = parts.as_slice() else { return Err(malformed()) };
        self.value(if self.condition(condition)? { then } else { otherwise })
    }

    fn find_in_map(&self, argument: &Value) -> Result<Value> {
        let malformed = || {
            invalid(
                "Template error: every Fn::FindInMap object requires three parameters, the map name, map key and the attribute for return value",
            )
        };
        let Value::Array(parts) = argument else { return Err(malformed()) };
        let [map, top, second] = parts.as_slice() else { return Err(malformed()) };
        let (map, top, second) = (self.text(map)?, self.text(top)?, self.text(second)?);
        let mappings = &self.template.mappings;
        let table = mappings.get(&map).ok_or_else(|| {
            invalid(format!(
                "Template error: Mapping named '{map}' is not present in the 'Mappings' section of template."
            ))
        })?;
        let found = table.get(&top).and_then(|row| row.get(&second));
        found
            .cloned()
            .ok_or_else(|| invalid(format!("Template error: Unable to get mapping for {map}::{top}::{second}")))
    }

    fn condition(&self, name: &str) -> Result<bool> {
        let held = self.conditions.get(name).copied();
        held.ok_or_else(|| invalid(format!("Template error: unresolved condition dependency {name} in Fn::If")))
    }

    /// Whether a rule of the conditions section holds.
    fn holds(&self, rule: &Value) -> Result<bool> {
        let malformed = || invalid("Template format error: Every Conditions member must be a condition function.");
        let Value::Object(members) = rule else {
            return match rule {
                Value::Bool(flag) => Ok(*flag),
                Value::String(text) if text == "true" => Ok(true),
                Value::String(text) if text == "false" => Ok(false),
                _ => Err(malformed()),
            };
        };
        let Some((name, argument)) = members.iter().next().filter(|_| members.len() == 1) else {
            return Err(malformed());
        };
        let several = |least: usize| match argument {
            Value::Array(rules) if (least..=10).contains(&rules.len()) => Ok(rules),
            _ => Err(invalid(format!(
                "Template error: every {name} object requires a list of at least {least} and at most 10 boolean parameters."
            ))),
        };
        match name.as_str() {
            "Condition" => self.condition(argument.as_str().unwrap_or_default()),
            "Fn::Equals" => {
                let [left, right] = pair(argument).ok_or_else(|| {
                    invalid("Template error: every Fn::Equals object requires a list of 2 string parameters.")
                })?;
                let (left, right) = (self.value(left)?, self.value(right)?);
                // A number and the text that it reads as are equal.
                let text = |value: &Option<Value>| value.as_ref().and_then(as_text);
                Ok(left == right || text(&left).is_some_and(|left| text(&right) == Some(left)))
            }
            "Fn::Not" => match argument {
                Value::Array(rules) if rules.len() == 1 => Ok(!self.holds(&rules[0])?),
                _ => Err(invalid("Template error: every Fn::Not object requires one boolean parameter.")),
            },
            "Fn::And" => several(2)?.iter().try_fold(true, |all, rule| Ok(self.holds(rule)? && all)),
            "Fn::Or" => several(2)?.iter().try_fold(false, |any, rule| Ok(self.holds(rule)? || any)),
            _ => Err(malformed()),
        }
    }
}

/// A list of two.
fn pair(argument: &Value) -> Option<[&Value; 2]> {
    match argument.as_array()?.as_slice() {
        [first, second] => Some([first, second]),
        _ => None,
    }
}

/// Texts, numbers and truth values as text.
pub(super) fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// A piece of the text of an `Fn::Sub`.
enum Piece<'a> {
    Text(&'a str),
    Name(&'a str),
}

/// Takes `${Name}` apart. `${!Name}` stands for the text `${Name}`.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let Some(length) = rest[start..].find('}') else { break };
        let inner = &rest[start + 2..start + length];
        pieces.push(Piece::Text(&rest[..start]));
        match inner.strip_prefix('!') {
            Some(_) => {
                pieces.push(Piece::Text("${"));
                pieces.push(Piece::Text(&rest[start + 3..=start + length]));
            }
            None => pieces.push(Piece::Name(inner.trim())),
        }
        rest = &rest[start + length + 1..];
    }
    pieces.push(Piece::Text(rest));
    pieces
}

/// The names in the text of an `Fn::Sub`.
pub(super) fn placeholders(text: &str) -> Vec<&str> {
    let name = |piece| match piece {
        Piece::Name(name) => Some(name),
        Piece::Text(_) => None,
    };
    pieces(text).into_iter().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn evaluated(value: &str) -> Result<Value> {
        let document = super::super::syntax::read(&format!(
            "
Mappings: {{ Sizes: {{ us-east-1: {{ Small: 128, Names: [a, b] }} }} }}
Conditions:
  Yes: !Not [!Condition No]
  No: !And [!Equals [!Ref Stage, prod], !Or [!Equals [1, '1'], !Equals [a, b]]]
Parameters: {{ Stage: {{ Type: String }}, List: {{ Type: CommaDelimitedList }} }}
Resources: {{ B: {{ Type: 'AWS::S3::Bucket' }} }}
Outputs: {{ O: {{ Value: {value} }} }}
"
        ))?;
        let template = Template::parse(&document)?;
        let parameters =
            BTreeMap::from([("Stage".to_owned(), json!("dev")), ("List".to_owned(), json!(["x", "y", "z"]))]);
        let pseudo = Pseudo {
            region: "us-east-1".to_owned(),
            stack_id: "arn:stack".to_owned(),
            stack_name: "app".to_owned(),
            notification_arns: Vec::new(),
        };
        let conditions = conditions(&template, &parameters, &pseudo)?;
        let resources =
            |name: &str, attribute: Option<&str>| Ok(format!("{name}.{}", attribute.unwrap_or("ref")).into());
        let evaluator = Evaluator {
            template: &template,
            parameters: &parameters,
            pseudo: &pseudo,
            conditions: &conditions,
            resources: &resources,
        };
        Ok(evaluator.value(&template.outputs["O"]["Value"])?.unwrap_or(json!("(no value)")))
    }

    #[test]
    fn every_function_gives_what_aws_says() {
        for (yaml, expected) in [
            ("!Ref B", json!("B.ref")),
            ("!Ref AWS::Region", json!("us-east-1")),
            ("!Ref AWS::NoValue", json!("(no value)")),
            ("!GetAtt B.Arn", json!("B.Arn")),
            ("!GetAtt [B, Outputs.Nested]", json!("B.Outputs.Nested")),
            ("!Sub '${AWS::StackName}-${Stage}-${B}-${B.Arn}-${!Literal}'", json!("app-dev-B.ref-B.Arn-${Literal}")),
            ("!Sub ['${A}/${Stage}', { A: !Ref AWS::AccountId }]", json!("000000000000/dev")),
            ("!Join ['-', [a, !Ref Stage, 3]]", json!("a-dev-3")),
            ("!Join [',', !Ref List]", json!("x,y,z")),
            ("!Select [1, !Ref List]", json!("y")),
            ("!Select ['0', !Split ['|', 'a|b']]", json!("a")),
            ("!Split [',', 'a,b']", json!(["a", "b"])),
            ("!If [Yes, yes, no]", json!("yes")),
            ("!If [No, yes, !Ref AWS::NoValue]", json!("(no value)")),
            ("{ A: !If [No, 1, !Ref AWS::NoValue], B: 2 }", json!({ "B": 2 })),
            ("!FindInMap [Sizes, !Ref AWS::Region, Small]", json!(128)),
            ("!FindInMap [Sizes, us-east-1, Names]", json!(["a", "b"])),
            ("!Base64 hello", json!("aGVsbG8=")),
            ("!GetAZs us-west-2", json!(["us-west-2a", "us-west-2b", "us-west-2c"])),
        ] {
            assert_eq!(evaluated(yaml).unwrap_or_else(|e| panic!("{yaml}: {}", e.message)), expected, "{yaml}");
        }
    }

    #[test]
    fn malformed_calls_are_refused_in_awss_words() {
        for (yaml, message) in [
            (
                "!Select [0]",
                "Template error: Fn::Select requires a list argument with two elements: an integer index and a list",
            ),
            (
                "!FindInMap [Sizes, us-east-1, Large]",
                "Template error: Unable to get mapping for Sizes::us-east-1::Large",
            ),
            (
                "!ImportValue Shared",
                "Template error: the local cloud's CloudFormation doesn't have the function Fn::ImportValue, at /Outputs/O",
            ),
        ] {
            assert_eq!(evaluated(yaml).unwrap_err().message, message);
        }
    }
}
