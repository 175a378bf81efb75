//! A template's parameters: what may be declared, and what values a request gives them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::errors::{Result, invalid};
use super::functions::as_text;

const ATTRIBUTES: [&str; 11] = [
    "AllowedPattern",
    "AllowedValues",
    "ConstraintDescription",
    "Default",
    "Description",
    "MaxLength",
    "MaxValue",
    "MinLength",
    "MinValue",
    "NoEcho",
    "Type",
];

/// What a request says about one parameter.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) key: String,
    /// `None` stands for the value that the stack has.
    pub(super) value: Option<String>,
}

/// How a parameter's value is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Texts,
    Numbers,
}

fn kind_of(declared: &Map<String, Value>) -> Option<Kind> {
    match declared.get("Type")?.as_str()? {
        "String" => Some(Kind::Text),
        "Number" => Some(Kind::Number),
        "CommaDelimitedList" => Some(Kind::Texts),
        "List<Number>" => Some(Kind::Numbers),
        // The types of resources that exist, such as AWS::EC2::KeyPair::KeyName. Nothing looks whether they do.
        other if other.starts_with("List<AWS::") => Some(Kind::Texts),
        other if other.starts_with("AWS::SSM::") => None,
        other if other.starts_with("AWS::") => Some(Kind::Text),
        _ => None,
    }
}

/// Refuses declarations with unknown attributes or types.
pub(super) fn check_declarations(declared: &BTreeMap<String, Map<String, Value>>) -> Result<()> {
    for (name, attributes) in declared {
        if let Some(unknown) = attributes.keys().find(|attribute| !ATTRIBUTES.contains(&attribute.as_str())) {
            return Err(invalid(format!("Invalid template parameter property '{unknown}'")));
        }
        let Some(kind) = attributes.get("Type").and_then(Value::as_str) else {
            return Err(invalid("Template format error: Every Parameters object must contain a Type member."));
        };
        if kind.starts_with("AWS::SSM::") {
            return Err(invalid(format!(
                "Template format error: parameter {name} has the type {kind}, and the local cloud has no Systems Manager"
            )));
        }
        if kind_of(attributes).is_none() {
            return Err(invalid(format!("Template format error: Unrecognized parameter type: {kind}")));
        }
    }
    Ok(())
}

/// The value of every parameter: given, the stack's own, or the default.
///
/// # Errors
/// `ValidationError`: unknown parameters, missing values, values outside the constraints.
pub(super) fn resolve(
    declared: &BTreeMap<String, Map<String, Value>>,
    given: &[Given],
    previous: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>> {
    let unknown: BTreeSet<&str> =
        given.iter().map(|given| given.key.as_str()).filter(|key| !declared.contains_key(*key)).collect();
    if !unknown.is_empty() {
        let unknown: Vec<&str> = unknown.into_iter().collect();
        return Err(invalid(format!("Parameters: [{}] do not exist in the template", unknown.join(", "))));
    }
    let mut values = BTreeMap::new();
    let mut missing = Vec::new();
    for (name, attributes) in declared {
        let found = given.iter().find(|given| given.key == *name);
        let value = match found {
            Some(Given { value: Some(value), .. }) => Some(value.clone()),
            Some(Given { value: None, .. }) => previous.get(name).cloned(),
            None => attributes.get("Default").and_then(default_text),
        };
        match value {
            Some(value) => {
                check(name, attributes, &value)?;
                values.insert(name.clone(), value);
            }
            None => missing.push(name.as_str()),
        }
    }
    if !missing.is_empty() {
        return Err(invalid(format!("Parameters: [{}] must have values", missing.join(", "))));
    }
    Ok(values)
}

fn default_text(value: &Value) -> Option<String> {
    match value {
        Value::Array(items) => Some(items.iter().filter_map(as_text).collect::<Vec<_>>().join(",")),
        other => as_text(other),
    }
}

/// Values as `Ref` gives them: texts, and lists for the list types.
pub(super) fn typed(
    declared: &BTreeMap<String, Map<String, Value>>,
    values: &BTreeMap<String, String>,
) -> BTreeMap<String, Value> {
    let typed = |name: &String, text: &String| match declared.get(name).and_then(kind_of) {
        Some(Kind::Texts | Kind::Numbers) => items(text).collect(),
        _ => text.as_str().into(),
    };
    values.iter().map(|(name, text)| (name.clone(), typed(name, text))).collect()
}

fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim)
}

/// Whether a parameter's value must not be shown.
pub(super) fn is_secret(attributes: &Map<String, Value>) -> bool {
    attributes.get("NoEcho").and_then(as_text).is_some_and(|flag| flag == "true")
}

fn check(name: &str, attributes: &Map<String, Value>, value: &str) -> Result<()> {
    let broken = match kind_of(attributes) {
        Some(Kind::Texts | Kind::Numbers) => items(value).find_map(|item| broken_rule(name, attributes, item)),
        _ => broken_rule(name, attributes, value),
    };
    match (broken, attributes.get("ConstraintDescription").and_then(Value::as_str)) {
        (None, _) => Ok(()),
        (Some(_), Some(description)) => {
            Err(invalid(format!("Parameter {name} failed to satisfy constraint: {description}")))
        }
        (Some(rule), None) => Err(invalid(rule)),
    }
}

/// What a value breaks, in AWS's words.
fn broken_rule(name: &str, attributes: &Map<String, Value>, value: &str) -> Option<String> {
    let limit = |attribute: &str| attributes.get(attribute).and_then(as_text)?.parse::<f64>().ok();
    let numeric = matches!(kind_of(attributes), Some(Kind::Number | Kind::Numbers));
    if let Some(allowed) = attributes.get("AllowedValues").and_then(Value::as_array)
        && !allowed.iter().any(|allowed| as_text(allowed).as_deref() == Some(value))
    {
        return Some(format!("Parameter '{name}' must be one of AllowedValues"));
    }
    if numeric {
        let Ok(number) = value.parse::<f64>() else { return Some(format!("Parameter '{name}' must be a number.")) };
        if let Some(least) = limit("MinValue").filter(|least| number < *least) {
            return Some(format!("Parameter '{name}' must be a number not less than {least}"));
        }
        if let Some(most) = limit("MaxValue").filter(|most| number > *most) {
            return Some(format!("Parameter '{name}' must be a number not greater than {most}"));
        }
        return None;
    }
    #[allow(clippy::cast_precision_loss)] // A parameter has at most 4,096 characters.
    let length = value.chars().count() as f64;
    if let Some(least) = limit("MinLength").filter(|least| length < *least) {
        return Some(format!("Parameter '{name}' must contain at least {least} characters"));
    }
    if let Some(most) = limit("MaxLength").filter(|most| length > *most) {
        return Some(format!("Parameter '{name}' must contain at most {most} characters"));
    }
    let pattern = attributes.get("AllowedPattern").and_then(Value::as_str)?;
    // The whole value must match.
    match fancy_regex::Regex::new(&format!("^(?:{pattern})$")).map(|regex| regex.is_match(value)) {
        Ok(Ok(true)) => None,
        Ok(Ok(false)) => Some(format!("Parameter '{name}' must match pattern {pattern}")),
        Ok(Err(error)) | Err(error) => {
            Some(format!("Parameter '{name}' has an AllowedPattern that cannot be applied: {pattern}: {error}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(yaml: &str, given: &[(&str, Option<&str>)]) -> Result<BTreeMap<String, String>> {
        let document = super::super::syntax::read(yaml).unwrap();
        let declared: BTreeMap<String, Map<String, Value>> = serde_json::from_value(document).unwrap();
        check_declarations(&declared)?;
        let given: Vec<Given> = given
            .iter()
            .map(|(key, value)| Given { key: (*key).to_owned(), value: value.map(str::to_owned) })
            .collect();
        resolve(&declared, &given, &BTreeMap::from([("P".to_owned(), "previous".to_owned())]))
    }

    #[test]
    fn a_value_is_given_or_previous_or_the_default() {
        let yaml = "P: { Type: String, Default: default }";
        assert_eq!(resolved(yaml, &[("P", Some("given"))]).unwrap()["P"], "given");
        assert_eq!(resolved(yaml, &[("P", None)]).unwrap()["P"], "previous");
        assert_eq!(resolved(yaml, &[]).unwrap()["P"], "default");
    }

    #[test]
    fn what_breaks_a_constraint_is_refused_in_awss_words() {
        for (attributes, value, message) in [
            ("Type: String, AllowedValues: [a, b]", "c", "Parameter 'P' must be one of AllowedValues"),
            ("Type: String, AllowedPattern: '[a-z]+'", "a1", "Parameter 'P' must match pattern [a-z]+"),
            ("Type: String, AllowedPattern: '(?!x).*'", "xy", "Parameter 'P' must match pattern (?!x).*"),
            ("Type: String, MinLength: 2", "c", "Parameter 'P' must contain at least 2 characters"),
            ("Type: String, MaxLength: 2", "ccc", "Parameter 'P' must contain at most 2 characters"),
            ("Type: Number, MinValue: 128", "1", "Parameter 'P' must be a number not less than 128"),
            ("Type: Number, MaxValue: 128", "129", "Parameter 'P' must be a number not greater than 128"),
            ("Type: Number", "many", "Parameter 'P' must be a number."),
            ("Type: List<Number>", "1, two", "Parameter 'P' must be a number."),
            (
                "Type: Number, MinValue: 3, ConstraintDescription: must be at least 3.",
                "1",
                "Parameter P failed to satisfy constraint: must be at least 3.",
            ),
        ] {
            let error = resolved(&format!("P: {{ {attributes} }}"), &[("P", Some(value))]).unwrap_err();
            assert_eq!(error.message, message);
        }
    }

    #[test]
    fn missing_and_unknown_parameters_are_named() {
        let yaml = "A: { Type: String }\nB: { Type: String }";
        assert_eq!(resolved(yaml, &[]).unwrap_err().message, "Parameters: [A, B] must have values");
        let error = resolved(yaml, &[("C", Some("1"))]).unwrap_err();
        assert_eq!(error.message, "Parameters: [C] do not exist in the template");
    }
}
