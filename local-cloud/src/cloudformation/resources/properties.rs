//! Reads evaluated properties: numbers that come as texts, lists, and tags together with those of the stack.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Failure, Result};
use crate::cloudformation::functions::as_text;

/// The evaluated properties of one resource, and the tags that its stack passes on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::cloudformation) struct Properties {
    pub(in crate::cloudformation) members: Map<String, Value>,
    pub(in crate::cloudformation) stack_tags: BTreeMap<String, String>,
}

fn mismatch(name: &str, wanted: &str) -> Failure {
    Failure::property(&format!("Value of property {{/{name}}} does not match type {{{wanted}}}"))
}

impl Properties {
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.members.get(name)
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<String>> {
        self.get(name).map(|value| as_text(value).ok_or_else(|| mismatch(name, "String"))).transpose()
    }

    /// A text that must be there.
    pub(in crate::cloudformation) fn required(&self, name: &str) -> Result<String> {
        let missing = || Failure::property(&format!("The property {{/{name}}} is required"));
        self.text(name)?.ok_or_else(missing)
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<i64>> {
        let number = |value: &Value| as_text(value)?.parse().ok();
        self.get(name).map(|value| number(value).ok_or_else(|| mismatch(name, "Integer"))).transpose()
    }

    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>> {
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => {
                items.iter().map(|item| as_text(item).ok_or_else(|| mismatch(name, "List of String"))).collect()
            }
            Some(_) => Err(mismatch(name, "List")),
        }
    }

    pub(in crate::cloudformation) fn object(&self, name: &str) -> Result<Option<&Map<String, Value>>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(members)) => Ok(Some(members)),
            Some(_) => Err(mismatch(name, "Object")),
        }
    }

    pub(super) fn objects(&self, name: &str) -> Result<Vec<&Map<String, Value>>> {
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => {
                items.iter().map(|item| item.as_object().ok_or_else(|| mismatch(name, "List of Object"))).collect()
            }
            Some(_) => Err(mismatch(name, "List")),
        }
    }

    /// A policy document as JSON text: given as an object or as text.
    pub(super) fn document(&self, name: &str) -> Result<String> {
        match self.get(name) {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(document @ Value::Object(_)) => Ok(document.to_string()),
            Some(_) => Err(mismatch(name, "Object")),
            None => Err(Failure::property(&format!("The property {{/{name}}} is required"))),
        }
    }

    /// The stack's tags and the resource's own, which win; none that AWS adds.
    pub(in crate::cloudformation) fn tags(&self) -> Result<BTreeMap<String, String>> {
        let mut tags = self.stack_tags.clone();
        for tag in self.objects("Tags")? {
            let part = |name: &str| tag.get(name).and_then(as_text).ok_or_else(|| mismatch("Tags", "List of Tag"));
            tags.insert(part("Key")?, part("Value")?);
        }
        Ok(tags)
    }

    /// Whether these properties differ in one of those names.
    pub(super) fn differ(&self, other: &Self, names: &[&str]) -> bool {
        names.iter().any(|name| self.get(name) != other.get(name))
    }
}
