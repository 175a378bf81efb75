//! What `--json` printed, against the schemas in `schema/`.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use jsonschema::Validator;
use serde_json::Value;

/// One line of JSON that its verb's schema describes.
pub(crate) fn described_line(line: &str) -> Value {
    let document = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    assert_described(&document);
    document
}

/// Asserts that the document has all that its verb's schema asks for, and nothing that it doesn't know.
pub(crate) fn assert_described(document: &Value) {
    static VALIDATORS: LazyLock<Mutex<HashMap<String, &'static Validator>>> = LazyLock::new(Mutex::default);
    let verb = verb(document);
    let validator = *VALIDATORS.lock().unwrap().entry(verb.to_owned()).or_insert_with(|| {
        let path = format!("{}/schema/{verb}.schema.json", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let mut schema = serde_json::from_str(&text).unwrap();
        close(&mut schema);
        Box::leak(Box::new(jsonschema::validator_for(&schema).unwrap()))
    });
    let complaints: Vec<_> =
        validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(complaints.is_empty(), "{verb}.schema.json: {complaints:#?}\n{document:#}");
}

/// Whose document it is. A failure is part of every schema, the lines of `watch` and `logs` name no command.
fn verb(document: &Value) -> &str {
    if let Some(command) = document["command"].as_str() {
        command
    } else if document.get("event").is_some() {
        "watch"
    } else if document.get("logStream").is_some() {
        "logs"
    } else {
        "deploy"
    }
}

/// Lets the schema's objects have no property that it doesn't name. For readers they stay open: later versions say more.
fn close(schema: &mut Value) {
    // What other objects are made of stays open as a part of them, or each part would refuse the other's properties.
    let definitions = schema["$defs"].clone();
    close_objects(schema);
    for (name, definition) in definitions.as_object().into_iter().flatten() {
        schema["$defs"][format!("{name}-as-a-part")] = definition.clone();
    }
}

fn close_objects(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            object.values_mut().for_each(close_objects);
            if object.contains_key("properties") {
                object.entry("unevaluatedProperties").or_insert(Value::Bool(false));
                for part in ["anyOf", "oneOf", "allOf"] {
                    object.get_mut(part).and_then(Value::as_array_mut).into_iter().flatten().for_each(open);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close_objects),
        _ => {}
    }
}

/// A part of an object leaves the properties that it doesn't know to the object.
fn open(part: &mut Value) {
    if let Value::Object(part) = part {
        part.remove("unevaluatedProperties");
        if let Some(Value::String(reference)) = part.get_mut("$ref") {
            reference.push_str("-as-a-part");
        }
    }
}
