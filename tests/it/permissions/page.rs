//! The policies in `docs/permissions.md`. Each is a block of JSON below a comment that names it:
//!
//! - `<!-- policy: NAME -->`: what has to be allowed.
//! - `<!-- policy: NAME, for more -->`: without these the command works, and says what it doesn't see.
//! - `<!-- policy: NAME, on failure -->`: needed only to tidy up after something else went wrong.

use std::collections::BTreeMap;

use quickdeploy_tests::binaries::root;
use serde_json::{Value, json};

use super::statements;

/// What the page says of one command.
#[derive(Clone, Debug, Default)]
pub(super) struct Documented {
    pub(super) required: Vec<Value>,
    pub(super) for_more: Vec<Value>,
    pub(super) on_failure: Vec<Value>,
}

/// A policy with these statements.
pub(super) fn document(statements: impl IntoIterator<Item = Value>) -> Value {
    json!({ "Version": "2012-10-17", "Statement": statements.into_iter().collect::<Vec<_>>() })
}

/// The page's policies, by name, for the account and the region of the local cloud.
pub(super) fn policies() -> BTreeMap<String, Documented> {
    let page = std::fs::read_to_string(root().join("docs/permissions.md")).unwrap();
    let mut policies: BTreeMap<String, Documented> = BTreeMap::new();
    for block in page.split("<!-- policy: ").skip(1) {
        let (title, rest) = block.split_once(" -->").unwrap();
        let (_, rest) = rest.split_once("```json\n").unwrap();
        let (json, _) = rest.split_once("```").unwrap();
        let json = json.replace("111122223333", "000000000000").replace("eu-west-1", "us-east-1");
        let json: Value = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{title}: {error}"));
        let (name, kind) = title.split_once(", ").unwrap_or((title, ""));
        let documented = policies.entry(name.to_owned()).or_default();
        let place = match kind {
            "" => &mut documented.required,
            "for more" => &mut documented.for_more,
            "on failure" => &mut documented.on_failure,
            other => panic!("the page has a policy {name} that is {other}"),
        };
        place.extend_from_slice(statements(&json));
    }
    policies
}
