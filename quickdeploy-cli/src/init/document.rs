//! YAML and JSON documents of other tools, as one kind of value.
//!
//! CloudFormation's short forms become its long ones (`!Ref A` is `{"Ref": "A"}`, `!Sub x` is `{"Fn::Sub": "x"}`), so that
//! what reads templates has to know only one. Scalars keep their letters: a template's `Version: 2012-10-17` and an
//! account id with a leading zero are strings to CloudFormation, whatever YAML calls them. Only `null` and booleans
//! written plainly are more than text. Merge keys (`<<: *defaults`) are carried out, as the Serverless Framework does.

use saphyr::{ScalarStyle, Tag, Yaml, YamlLoader};
use saphyr_parser::Parser;
use serde_json::{Map, Value};

/// Deeper documents are refused: nobody writes them, and what reads them recurses.
const MAX_DEPTH: usize = 128;

/// The first document of `text`. An empty text is `null`.
///
/// # Errors
///
/// Says what is wrong, with line and column.
pub(crate) fn parse(text: &str) -> Result<Value, String> {
    // Tabs may indent JSON but not YAML; everything else that is JSON is YAML, too.
    if text.trim_start().starts_with('{')
        && let Ok(value) = serde_json::from_str(text)
    {
        return Ok(value);
    }
    let mut loader = YamlLoader::<Yaml<'_>>::default();
    loader.early_parse(false);
    loader.allow_duplicate_keys(true);
    Parser::new_from_str(text).load(&mut loader, false).map_err(|error| error.to_string())?;
    if let Some(error) = loader.error() {
        return Err(error.to_string());
    }
    loader.into_documents().into_iter().next().map_or(Ok(Value::Null), |document| convert(document, 0))
}

fn convert(node: Yaml<'_>, depth: usize) -> Result<Value, String> {
    if depth > MAX_DEPTH {
        return Err(format!("it is nested more than {MAX_DEPTH} levels deep"));
    }
    Ok(match node {
        Yaml::Representation(text, style, tag) => {
            let value = match style {
                ScalarStyle::Plain if tag.is_none() => plain(&text),
                _ => Value::String(text.into_owned()),
            };
            match tag {
                Some(tag) => tagged(&tag, value),
                None => value,
            }
        }
        Yaml::Sequence(items) => {
            Value::Array(items.into_iter().map(|item| convert(item, depth + 1)).collect::<Result<_, _>>()?)
        }
        Yaml::Mapping(pairs) => {
            let mut map = Map::new();
            let mut merged = Vec::new();
            for (key, value) in pairs {
                let value = convert(value, depth + 1)?;
                match convert(key, depth + 1)? {
                    Value::String(key) if key == "<<" => merged.push(value),
                    Value::String(key) => _ = map.insert(key, value),
                    key => _ = map.insert(key.to_string(), value),
                }
            }
            for value in merged {
                merge(&mut map, value);
            }
            Value::Object(map)
        }
        Yaml::Tagged(tag, node) => tagged(&tag, convert(*node, depth + 1)?),
        Yaml::Value(_) | Yaml::Alias(_) | Yaml::BadValue => Value::Null,
    })
}

fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        text => Value::String(text.to_owned()),
    }
}

/// What the map says itself wins over what is merged into it.
fn merge(map: &mut Map<String, Value>, value: Value) {
    match value {
        Value::Object(other) => {
            for (key, value) in other {
                map.entry(key).or_insert(value);
            }
        }
        Value::Array(others) => others.into_iter().for_each(|other| merge(map, other)),
        _ => {}
    }
}

/// `!Ref`, `!Condition` and `!GetAtt` have forms of their own; any other `!Name` is `Fn::Name`.
fn tagged(tag: &Tag, value: Value) -> Value {
    if tag.handle != "!" {
        return value;
    }
    let (key, value) = match (tag.suffix.as_str(), value) {
        (name @ ("Ref" | "Condition"), value) => (name.to_owned(), value),
        ("GetAtt", Value::String(path)) => {
            let (resource, attribute) = path.split_once('.').unwrap_or((&path, ""));
            ("Fn::GetAtt".to_owned(), Value::from(vec![resource, attribute]))
        }
        (name, value) => (format!("Fn::{name}"), value),
    };
    Value::Object(Map::from_iter([(key, value)]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn short_forms_become_long_ones() {
        let text = "a: !Ref Stage\nb: !Sub '${A}-x'\nc: !GetAtt F.Arn\nd: !If [C, !Ref X, !Ref AWS::NoValue]\ne: !Condition C\n\
                    f: !Join\n  - '-'\n  - - a\n    - !Ref B\n";
        assert_eq!(
            parse(text).unwrap(),
            json!({
                "a": {"Ref": "Stage"},
                "b": {"Fn::Sub": "${A}-x"},
                "c": {"Fn::GetAtt": ["F", "Arn"]},
                "d": {"Fn::If": ["C", {"Ref": "X"}, {"Ref": "AWS::NoValue"}]},
                "e": {"Condition": "C"},
                "f": {"Fn::Join": ["-", ["a", {"Ref": "B"}]]},
            })
        );
    }

    #[test]
    fn scalars_keep_their_letters() {
        let text = "date: 2012-10-17\naccount: 012345678901\nversion: 1.10\nquoted: 'true'\nplain: true\nnothing:\n";
        assert_eq!(
            parse(text).unwrap(),
            json!({"date": "2012-10-17", "account": "012345678901", "version": "1.10", "quoted": "true", "plain": true,
                   "nothing": null})
        );
    }

    #[test]
    fn merge_keys_and_aliases_are_carried_out() {
        let text = "base: &b {runtime: nodejs20.x, memory: 128}\nf:\n  <<: *b\n  memory: 256\n";
        assert_eq!(parse(text).unwrap()["f"], json!({"runtime": "nodejs20.x", "memory": "256"}));
    }

    #[test]
    fn json_with_tabs_is_json() {
        assert_eq!(parse("{\n\t\"a\": [1]\n}").unwrap(), json!({"a": [1]}));
    }

    #[test]
    fn a_mistake_is_told_with_its_place() {
        let error = parse("a: [1, 2\nb: }\n").unwrap_err();
        assert!(error.contains("line"), "{error}");
        assert!(parse(&"[".repeat(5000)).is_err());
        assert_eq!(parse("").unwrap(), Value::Null);
    }
}
