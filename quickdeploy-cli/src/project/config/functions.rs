//! `functions`: a list of names, or a table with one way of finding them.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};

/// Which functions are deployed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Functions {
    /// These, by name or ARN.
    Names(Vec<String>),
    /// All zip functions of a CloudFormation stack.
    Stack(String),
    /// All functions that carry this tag.
    Tag {
        /// The tag's key.
        key: String,
        /// The tag's value.
        value: String,
    },
    /// All functions whose `CodeSha256` is this function's.
    SameCodeAs(String),
}

/// `functions` before it is checked.
#[derive(Debug, Clone)]
pub(super) enum RawFunctions {
    Names(Vec<String>),
    Search(Search),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Search {
    stack: Option<String>,
    tag: Option<String>,
    same_code_as: Option<String>,
}

impl RawFunctions {
    pub(super) fn check(self) -> Result<Functions, String> {
        match self {
            Self::Names(names) => {
                if names.is_empty() {
                    return Err("`functions` is empty: name at least one function, or leave it out".to_owned());
                }
                let mut seen = BTreeSet::new();
                for name in &names {
                    check_function_name(name)?;
                    if !seen.insert(name) {
                        return Err(format!("function `{name}` is listed twice"));
                    }
                }
                Ok(Functions::Names(names))
            }
            Self::Search(Search { stack: Some(stack), tag: None, same_code_as: None }) => {
                if stack.trim().is_empty() {
                    return Err("`stack` is empty: name a CloudFormation stack".to_owned());
                }
                Ok(Functions::Stack(stack))
            }
            Self::Search(Search { stack: None, tag: Some(tag), same_code_as: None }) => match tag.split_once('=') {
                Some((key, value)) if !key.is_empty() => {
                    Ok(Functions::Tag { key: key.to_owned(), value: value.to_owned() })
                }
                _ => Err(format!("`{tag}` is not a tag: write it as `key=value`")),
            },
            Self::Search(Search { stack: None, tag: None, same_code_as: Some(name) }) => {
                check_function_name(&name)?;
                Ok(Functions::SameCodeAs(name))
            }
            Self::Search(_) => {
                Err("give exactly one of `stack`, `tag` and `same-code-as`, or a list of names".to_owned())
            }
        }
    }
}

/// The pattern of `FunctionName` in Lambda's API: a name, a partial ARN or an ARN.
pub(super) fn check_function_name(name: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_:$.".contains(c);
    if name.is_empty() || name.len() > 170 || !name.chars().all(allowed) {
        return Err(format!("`{name}` is not a function name: use letters, digits, `-` and `_`, or an ARN"));
    }
    Ok(())
}

impl<'de> Deserialize<'de> for RawFunctions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FunctionsVisitor;

        impl<'de> Visitor<'de> for FunctionsVisitor {
            type Value = RawFunctions;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of function names, or a table with `stack`, `tag` or `same-code-as`")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<RawFunctions, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = list.next_element()? {
                    names.push(name);
                }
                Ok(RawFunctions::Names(names))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawFunctions, A::Error> {
                Search::deserialize(de::value::MapAccessDeserializer::new(map)).map(RawFunctions::Search)
            }
        }

        deserializer.deserialize_any(FunctionsVisitor)
    }
}
