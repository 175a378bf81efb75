//! Who may do what: each policy that we hand out is the smallest that works.

mod developer;
mod page;
mod resources;
mod role;
mod scenarios;
mod secrets;
mod stage;

use serde_json::{Value, json};

/// A policy document without one of its actions, for each of them: the action, and what is left.
pub(crate) fn without_each(document: &Value) -> Vec<(String, Value)> {
    let mut reduced = Vec::new();
    for (at, statement) in statements(document).iter().enumerate() {
        for action in actions(statement) {
            let mut left: Vec<Value> = statements(document).to_vec();
            let others: Vec<String> = actions(statement).into_iter().filter(|other| *other != action).collect();
            if others.is_empty() {
                left.remove(at);
            } else {
                left[at]["Action"] = json!(others);
            }
            reduced.push((action, json!({ "Version": "2012-10-17", "Statement": left })));
        }
    }
    reduced
}

/// The statements of a document.
pub(crate) fn statements(document: &Value) -> &[Value] {
    document["Statement"].as_array().map_or(std::slice::from_ref(&document["Statement"]), Vec::as_slice)
}

/// The actions of a statement.
pub(crate) fn actions(statement: &Value) -> Vec<String> {
    let texts = |value: &Value| value.as_str().map(str::to_owned);
    match &statement["Action"] {
        Value::Array(actions) => actions.iter().filter_map(texts).collect(),
        one => texts(one).into_iter().collect(),
    }
}
