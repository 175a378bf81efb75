//! SAM's and CloudFormation's template in a directory, and `samconfig.toml`.

use std::path::Path;

use serde_json::Value;

use super::super::document;
use super::super::template::Scope;
use super::{Environment, Source, Tool, first_file, from_template, relative, template_of};

/// The names that `sam` looks for, in its order.
const TEMPLATES: [&str; 3] = ["template.yaml", "template.yml", "template.json"];
const CONFIGS: [&str; 3] = ["samconfig.toml", "samconfig.yaml", "samconfig.yml"];
/// The config environment that `sam` takes when none is named.
const DEFAULT: &str = "default";
/// The commands whose parameters name the stack, the most telling first. `global` counts for every command.
const COMMANDS: [&str; 3] = ["deploy", "global", "sync"];

/// What is there; `None`: no template.
pub(super) fn read(directory: &Path, env: Option<&str>) -> Result<Option<Source>, String> {
    let config = Config::read(directory)?;
    let env = env.filter(|env| config.has(env)).unwrap_or(DEFAULT);
    let named = ["deploy", "build", "global"].iter().find_map(|command| config.of(env, command, "template_file"));
    let names: Vec<&str> = named.as_deref().into_iter().chain(TEMPLATES).collect();
    let Some((file, text)) = first_file(directory, &names)? else {
        return Ok(None);
    };
    let template = template_of(&file, &text)?;
    if !template.has_resources() {
        return Ok(None);
    }

    let mut source = Source::new(if template.is_sam() { Tool::Sam } else { Tool::CloudFormation }, &file);
    source.stack = config.get(env, "stack_name");
    source.region = config.get(env, "region");
    source.profile = config.get(env, "profile");
    source.packages =
        config.get(env, "s3_bucket").map(|bucket| (bucket, config.get(env, "s3_prefix").unwrap_or_default()));
    let mut scope = Scope {
        parameters: template.defaults(),
        stack_name: source.stack.clone(),
        region: source.region.clone(),
        ..Scope::default()
    };
    scope.parameters.extend(config.overrides(env));
    // Paths in a template are relative to the template.
    let base = file.rsplit_once('/').map_or("", |(base, _)| base);
    source.functions = from_template(directory, base, template.functions(&scope));

    let build_dir =
        config.get(env, "build_dir").and_then(|path| relative(&path)).unwrap_or(".aws-sam/build".to_owned());
    for function in &source.functions {
        let built = format!("{build_dir}/{}", function.id);
        if directory.join(&built).is_dir() {
            source.built.push(built);
        }
    }
    if template.is_sam() {
        source.build = Some("sam build".to_owned());
    }
    source.environments = config.environments(env);
    source.environments_file = config.file.clone();
    if source.stack.is_none() && !source.functions.is_empty() {
        source.unknown.push(format!("{file} does not say its stack's name, and no samconfig.toml does"));
    }
    Ok(Some(source))
}

/// `samconfig.toml` as values.
struct Config {
    /// Its name; "" when there is none.
    file: String,
    body: Value,
}

impl Config {
    fn read(directory: &Path) -> Result<Self, String> {
        Ok(match first_file(directory, &CONFIGS)? {
            None => Self { file: String::new(), body: Value::Null },
            Some((name, text)) => {
                let parsed = if name.ends_with(".toml") {
                    toml::from_str::<Value>(&text).map_err(|error| error.message().to_owned())
                } else {
                    document::parse(&text)
                };
                let body = parsed.map_err(|error| format!("{name} is not valid: {error}"))?;
                Self { file: name, body }
            }
        })
    }

    fn has(&self, env: &str) -> bool {
        self.body.get(env).is_some_and(Value::is_object)
    }

    fn of(&self, env: &str, command: &str, key: &str) -> Option<String> {
        let value = self.body.get(env)?.get(command)?.get("parameters")?.get(key)?.as_str()?;
        (!value.trim().is_empty()).then(|| value.to_owned())
    }

    fn get(&self, env: &str, key: &str) -> Option<String> {
        COMMANDS.iter().find_map(|command| self.of(env, command, key))
    }

    /// `parameter_overrides`: `A=b C="d e"` or `ParameterKey=A,ParameterValue=b`, in one text or as a list.
    fn overrides(&self, env: &str) -> Vec<(String, String)> {
        let value = COMMANDS
            .iter()
            .find_map(|command| self.body.get(env)?.get(*command)?.get("parameters")?.get("parameter_overrides"));
        let texts: Vec<&str> = match value {
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(text)) => vec![text],
            _ => Vec::new(),
        };
        texts.into_iter().flat_map(words).filter_map(|word| assignment(&word)).collect()
    }

    fn environments(&self, used: &str) -> Vec<Environment> {
        let tables = self.body.as_object().into_iter().flatten();
        tables
            .filter(|(name, value)| name.as_str() != used && name.as_str() != DEFAULT && value.is_object())
            .map(|(name, _)| Environment {
                name: name.clone(),
                stack: self.get(name, "stack_name"),
                region: self.get(name, "region"),
                profile: self.get(name, "profile"),
            })
            .filter(|environment| environment.stack.is_some())
            .collect()
    }
}

/// Splits at blanks, but not inside quotes, which are taken away.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    for c in text.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, c) if c.is_whitespace() => words.push(std::mem::take(&mut word)),
            (_, c) => word.push(c),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

fn assignment(word: &str) -> Option<(String, String)> {
    let (name, value) = match word.strip_prefix("ParameterKey=") {
        Some(rest) => rest.split_once(",ParameterValue=")?,
        None => word.split_once('=')?,
    };
    Some((name.to_owned(), value.to_owned()))
}
