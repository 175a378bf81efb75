//! A template's text, in YAML or JSON, as one JSON document: YAML's short tags become the functions they stand for, so
//! that `!Ref Bucket` and `{"Ref": "Bucket"}` are the same from here on.

use saphyr::{Scalar, ScalarStyle, Tag, Yaml, YamlLoader};
use saphyr_parser::Parser;
use serde_json::{Map, Number, Value};

use super::errors::{Result, invalid};

/// Reads a template.
///
/// # Errors
/// `ValidationError` in AWS's words: it is neither JSON nor YAML, not an object, or has a null in it.
pub(super) fn read(text: &str) -> Result<Value> {
    let document = if text.trim_start().starts_with('{') { of_json(text)? } else { of_yaml(text)? };
    if !document.is_object() {
        return Err(invalid("Template format error: unsupported structure."));
    }
    if let Some(path) = null_in(&document) {
        return Err(invalid(format!("[{path}] 'null' values are not allowed in templates")));
    }
    Ok(document)
}

fn of_json(text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|error| {
        let place = format!("(line {}, column {})", error.line(), error.column());
        invalid(format!("Template format error: JSON not well-formed. {place}"))
    })
}

fn of_yaml(text: &str) -> Result<Value> {
    let ill_formed = |place: &saphyr::Marker| {
        let place = format!("(line {}, column {})", place.line(), place.col() + 1);
        invalid(format!("Template format error: YAML not well-formed. {place}"))
    };
    let mut loader: YamlLoader<'_, Yaml<'_>> = YamlLoader::default();
    // The text of a number says more than its value: account ids begin with zeros.
    loader.early_parse(false);
    Parser::new_from_str(text).load(&mut loader, true).map_err(|error| ill_formed(error.marker()))?;
    if let Some(error) = loader.error() {
        return Err(ill_formed(error.marker()));
    }
    let mut documents = loader.into_documents();
    if documents.len() != 1 {
        return Err(invalid("Template format error: unsupported structure."));
    }
    value_of(documents.remove(0))
}

fn value_of(node: Yaml<'_>) -> Result<Value> {
    Ok(match node {
        Yaml::Representation(text, style, tag) => match function_of(tag.as_deref()) {
            Some(function) => called(&function, Value::String(text.into_owned())),
            None => scalar(&text, style, tag.as_deref()),
        },
        Yaml::Tagged(tag, inner) => match function_of(Some(&tag)) {
            Some(function) => called(&function, value_of(*inner)?),
            None => value_of(*inner)?,
        },
        Yaml::Sequence(items) => Value::Array(items.into_iter().map(value_of).collect::<Result<_>>()?),
        Yaml::Mapping(members) => {
            let mut object = Map::new();
            for (key, value) in members {
                let Yaml::Representation(key, ..) = key else {
                    return Err(invalid("Template format error: every key of a mapping must be a string."));
                };
                object.insert(key.into_owned(), value_of(value)?);
            }
            Value::Object(object)
        }
        Yaml::Value(_) | Yaml::Alias(_) | Yaml::BadValue => {
            return Err(invalid("Template format error: YAML not well-formed."));
        }
    })
}

/// The function of a short tag: `!Ref` and `!Condition` are themselves, `!Sub` is `Fn::Sub`.
fn function_of(tag: Option<&Tag>) -> Option<String> {
    let tag = tag?;
    if tag.handle != "!" {
        return None;
    }
    match tag.suffix.as_ref() {
        name @ ("Ref" | "Condition") => Some(name.to_owned()),
        name => Some(format!("Fn::{name}")),
    }
}

fn called(function: &str, argument: Value) -> Value {
    let argument = match argument {
        // `!GetAtt Resource.Attribute`. An attribute may have dots of its own.
        Value::String(text) if function == "Fn::GetAtt" => match text.split_once('.') {
            Some((resource, attribute)) => Value::Array(vec![resource.into(), attribute.into()]),
            None => Value::String(text),
        },
        other => other,
    };
    Value::Object(Map::from_iter([(function.to_owned(), argument)]))
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    let is_text = style != ScalarStyle::Plain || tag.is_some_and(|tag| tag.suffix == "str");
    if is_text {
        return Value::String(text.to_owned());
    }
    if text.is_empty() {
        return Value::Null;
    }
    let digits = text.trim_start_matches(['-', '+']);
    if digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.") {
        return Value::String(text.to_owned());
    }
    match Scalar::parse_from_cow(text.into()) {
        Scalar::Null => Value::Null,
        Scalar::Boolean(flag) => Value::Bool(flag),
        Scalar::Integer(number) => Value::Number(number.into()),
        Scalar::FloatingPoint(number) => {
            Number::from_f64(number.into_inner()).map_or_else(|| Value::String(text.to_owned()), Value::Number)
        }
        Scalar::String(text) => Value::String(text.into_owned()),
    }
}

/// Where the first null is, as in `/Outputs/Name/Value`.
fn null_in(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(index, item)| Some(format!("/{index}{}", null_in(item)?)))
        }
        Value::Object(members) => members.iter().find_map(|(key, value)| Some(format!("/{key}{}", null_in(value)?))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn short_tags_are_the_functions_they_stand_for() {
        let yaml = "
A: !Ref Bucket
B: !GetAtt Function.Arn
C: !Sub 'arn:${AWS::Region}'
D: !If [Prod, !Ref A, !Join ['-', [a, !Select [0, !Split [',', 'x,y']]]]]
E: { Fn::GetAtt: [Function, Arn] }
";
        let expected = json!({
            "A": { "Ref": "Bucket" },
            "B": { "Fn::GetAtt": ["Function", "Arn"] },
            "C": { "Fn::Sub": "arn:${AWS::Region}" },
            "D": { "Fn::If": ["Prod", { "Ref": "A" },
                { "Fn::Join": ["-", ["a", { "Fn::Select": [0, { "Fn::Split": [",", "x,y"] }] }]] }] },
            "E": { "Fn::GetAtt": ["Function", "Arn"] },
        });
        assert_eq!(read(yaml).unwrap(), expected);
    }

    #[test]
    fn scalars_keep_what_they_mean() {
        let yaml = "Date: 2010-09-09\nAccount: 000123456789\nNumber: 1769\nText: '5'\nFlag: true\nRatio: 0.5\n";
        let expected = json!({
            "Date": "2010-09-09", "Account": "000123456789", "Number": 1769, "Text": "5", "Flag": true, "Ratio": 0.5
        });
        assert_eq!(read(yaml).unwrap(), expected);
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_its_place() {
        let message = |text: &str| read(text).unwrap_err().message;
        assert_eq!(
            message("{\"Resources\": nope}"),
            "Template format error: JSON not well-formed. (line 1, column 16)"
        );
        assert!(message("A: [1\nB: 2\n").starts_with("Template format error: YAML not well-formed. (line "));
        assert_eq!(message("- a\n- b\n"), "Template format error: unsupported structure.");
        assert_eq!(message("A:\n  B:\n"), "[/A/B] 'null' values are not allowed in templates");
    }
}
