//! The Serverless Framework's variables: `${self:custom.name}`, `${opt:stage, 'dev'}`, `${sls:stage}`, `${env:NAME}`,
//! `${param:name}`, `${file(other.yml):path}`, nested in each other and with alternatives after commas.
//!
//! What has to be asked of AWS (`ssm:`, `cf:`, `s3:`, `aws:accountId`) or computed by JavaScript stays unknown, and an
//! alternative is not taken for it: it would be another value than the framework's.

use std::path::Path;

use serde_json::Value;

use super::super::super::document;

/// Variables that lead to variables; one that comes round to itself must not hang.
const MAX_DEPTH: usize = 32;

/// Everything that variables can refer to.
pub(super) struct Variables<'a> {
    body: &'a Value,
    directory: &'a Path,
    /// `--stage`, as somebody would give it to the framework.
    stage_option: Option<String>,
    stage: Option<String>,
    environment: &'a dyn Fn(&str) -> Option<String>,
}

impl<'a> Variables<'a> {
    pub(super) fn new(
        body: &'a Value,
        directory: &'a Path,
        stage_option: Option<String>,
        environment: &'a dyn Fn(&str) -> Option<String>,
    ) -> Self {
        Self { body, directory, stage_option, stage: None, environment }
    }

    /// From now on, this is `sls:stage`.
    pub(super) fn set_stage(&mut self, stage: &str) {
        self.stage = Some(stage.to_owned());
    }

    /// The text at a path such as `provider.region`; `None` where there is nothing. The error says what isn't known.
    pub(super) fn at(&self, path: &str) -> Result<Option<String>, String> {
        self.own(path, 0).map(|value| value.as_ref().and_then(scalar))
    }

    /// A value's text, with its variables resolved.
    pub(super) fn text(&self, value: &Value) -> Result<Option<String>, String> {
        self.resolve(value, 0).map(|value| scalar(&value))
    }

    fn own(&self, path: &str, depth: usize) -> Result<Option<Value>, String> {
        if path == "provider.stage"
            && let Some(stage) = &self.stage
        {
            return Ok(Some(Value::from(stage.as_str())));
        }
        let found = self.below(self.body, path, depth)?;
        // `service` may be written as a table with a name.
        Ok(match (path, found) {
            ("service", Some(Value::Object(service))) => service.get("name").cloned(),
            (_, found) => found,
        })
    }

    /// The value at a dotted path; each step may itself be a variable.
    fn below(&self, start: &Value, path: &str, depth: usize) -> Result<Option<Value>, String> {
        let mut at = start.clone();
        for step in path.split('.').filter(|step| !step.is_empty()) {
            let next = match &at {
                Value::Object(map) => map.get(step),
                Value::Array(items) => step.parse().ok().and_then(|index: usize| items.get(index)),
                _ => None,
            };
            match next {
                Some(next) => at = self.resolve(next, depth + 1)?,
                None => return Ok(None),
            }
        }
        Ok(Some(at).filter(|value| !value.is_null()))
    }

    /// Text with its variables resolved, the innermost first. Tables are left as they are.
    fn resolve(&self, value: &Value, depth: usize) -> Result<Value, String> {
        let Value::String(text) = value else {
            return Ok(value.clone());
        };
        let mut text = text.clone();
        for _ in 0..MAX_DEPTH {
            let Some((start, end)) = innermost(&text) else {
                return Ok(Value::String(text));
            };
            if depth > MAX_DEPTH {
                break;
            }
            let found = self.variable(&text[start + 2..end], depth + 1)?;
            if start == 0 && end + 1 == text.len() {
                return self.resolve(&found, depth + 1);
            }
            let found = scalar(&found).ok_or_else(|| format!("`{}` has no value here", &text[start..=end]))?;
            text.replace_range(start..=end, &found);
        }
        Err("its variables lead to each other".to_owned())
    }

    /// The first alternative that has a value; `null` when it is known that none has.
    fn variable(&self, expression: &str, depth: usize) -> Result<Value, String> {
        for alternative in alternatives(expression) {
            let known = self.alternative(&alternative, depth)?;
            if let Some(value) = known.ok_or_else(|| format!("`${{{expression}}}` is not known here"))? {
                return Ok(value);
            }
        }
        Ok(Value::Null)
    }

    /// `None`: it can't be known here. `Some(None)`: it has no value.
    #[allow(clippy::option_option)] // "Unknown" and "nothing there" must not be confused: see the module's documentation.
    fn alternative(&self, text: &str, depth: usize) -> Result<Option<Option<Value>>, String> {
        if let Some(literal) = literal(text) {
            return Ok(Some(Some(literal)));
        }
        if let Some((file, address)) = file_reference(text) {
            return self.file(&file, &address, depth);
        }
        let Some((kind, name)) = text.split_once(':') else {
            return Ok(None);
        };
        let string = |value: Option<String>| Some(value.map(Value::String));
        Ok(match (kind.trim(), name.trim()) {
            ("self", path) => Some(self.own(path, depth)?),
            ("opt", "stage") => string(self.stage_option.clone()),
            ("opt", _) => Some(None),
            ("sls", "stage") => string(self.stage.clone()),
            ("env", name) => string((self.environment)(name)),
            ("aws", "region") => Some(self.own("provider.region", depth)?).filter(Option::is_some),
            ("param", name) => Some(self.parameter(name, depth)?),
            _ => None,
        })
    }

    fn parameter(&self, name: &str, depth: usize) -> Result<Option<Value>, String> {
        for stage in [self.stage.as_deref().unwrap_or_default(), "default"] {
            for place in [format!("params.{stage}"), format!("stages.{stage}.params")] {
                if let Some(value) = self.below(self.body, &format!("{place}.{name}"), depth)? {
                    return Ok(Some(value));
                }
            }
        }
        Ok(None)
    }

    #[allow(clippy::option_option)]
    fn file(&self, file: &str, address: &str, depth: usize) -> Result<Option<Option<Value>>, String> {
        let is_data = [".yml", ".yaml", ".json"].iter().any(|ending| file.ends_with(ending));
        if !is_data {
            return Ok(None);
        }
        let Ok(text) = std::fs::read_to_string(self.directory.join(file)) else {
            return Ok(Some(None));
        };
        let body = document::parse(&text).map_err(|error| format!("{file} is not valid: {error}"))?;
        self.below(&body, address, depth).map(Some)
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        _ => None,
    }
}

/// The first `${…}` that holds no other: where its `$` and its `}` are.
fn innermost(text: &str) -> Option<(usize, usize)> {
    let end = text.match_indices('}').map(|(end, _)| end).find(|&end| text[..end].contains("${"))?;
    let start = text[..end].rfind("${")?;
    Some((start, end))
}

/// Splits at commas, but not inside quotes and parentheses.
fn alternatives(expression: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let (mut quote, mut parentheses) = (None, 0_usize);
    for c in expression.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '(') => parentheses += 1,
            (None, ')') => parentheses = parentheses.saturating_sub(1),
            (None, ',') if parentheses == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts.into_iter().map(|part| part.trim().to_owned()).collect()
}

/// `'dev'`, `"dev"`, `12`, `true`.
fn literal(text: &str) -> Option<Value> {
    for quote in ['\'', '"'] {
        if let Some(inner) = text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote)) {
            return Some(Value::from(inner));
        }
    }
    let plain = text.parse::<f64>().is_ok() || matches!(text, "true" | "false");
    plain.then(|| Value::from(text))
}

/// `file(./config.yml):a.b`, in front of version 3 also `file(./config.yml).a.b`.
fn file_reference(text: &str) -> Option<(String, String)> {
    let (file, rest) = text.strip_prefix("file(")?.split_once(')')?;
    Some((file.trim().to_owned(), rest.trim_start_matches([':', '.']).to_owned()))
}
