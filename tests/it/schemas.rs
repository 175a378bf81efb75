//! The JSON Schemas of event and answer in the repository are those of the types.

use quickdeploy_tests::binaries::root;
use schemars::{JsonSchema, schema_for};
use zipedit_lambda::{Answer, Event};

fn check<T: JsonSchema>(name: &str) {
    let path = root().join("zipedit-lambda/schema").join(name);
    let now = serde_json::to_string_pretty(&schema_for!(T)).unwrap() + "\n";
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    // Which comes first is up to the features that other packages of the same build switch on.
    let parsed = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap_or_default();
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(parsed(&kept), parsed(&now), "{} is out of date: run this test with UPDATE_SCHEMAS=1", path.display());
}

#[test]
fn the_schemas_are_those_of_the_types() {
    check::<Event>("event.schema.json");
    check::<Answer>("answer.schema.json");
}
