//! CDK's synthesised output: `cdk.out/manifest.json` names the stacks, their templates say which directory each
//! function's asset was made of.

use std::path::Path;

use serde_json::Value;

use super::super::template::Scope;
use super::{Source, Tool, from_template, template_of};

const OUTPUT: &str = "cdk.out";

/// One source for each stack with functions; none without `cdk.out`.
pub(super) fn read(directory: &Path) -> Result<Vec<Source>, String> {
    let output = directory.join(OUTPUT);
    let file = output.join("manifest.json");
    if !file.is_file() {
        return Ok(Vec::new());
    }
    let wrong = |what: &dyn std::fmt::Display| format!("{OUTPUT}/manifest.json can't be used: {what}");
    let text = std::fs::read_to_string(&file).map_err(|error| wrong(&error))?;
    let manifest: Value = serde_json::from_str(&text).map_err(|error| wrong(&error))?;
    let artifacts = manifest.get("artifacts").and_then(Value::as_object);
    let mut sources = Vec::new();
    for (id, artifact) in artifacts.into_iter().flatten() {
        if artifact.get("type").and_then(Value::as_str) != Some("aws:cloudformation:stack") {
            continue;
        }
        let property = |name: &str| artifact.pointer(&format!("/properties/{name}")).and_then(Value::as_str);
        let Some(template_file) = property("templateFile") else { continue };
        let name = format!("{OUTPUT}/{template_file}");
        let text = std::fs::read_to_string(output.join(template_file)).map_err(|error| format!("{name}: {error}"))?;
        let template = template_of(&name, &text)?;
        let mut source = Source::new(Tool::Cdk, &name);
        source.stack = Some(property("stackName").unwrap_or(id).to_owned());
        source.region = artifact
            .get("environment")
            .and_then(Value::as_str)
            .and_then(|environment| environment.rsplit('/').next())
            .filter(|region| *region != "unknown-region")
            .map(str::to_owned);
        let scope = Scope {
            parameters: template.defaults(),
            stack_name: source.stack.clone(),
            region: source.region.clone(),
            ..Scope::default()
        };
        source.functions = from_template(directory, OUTPUT, template.functions(&scope));
        source.built = source.functions.iter_mut().filter_map(|function| function.directory.take()).collect();
        source.built.sort();
        source.built.dedup();
        source.build = Some("npx cdk synth --quiet".to_owned());
        if !source.functions.is_empty() {
            sources.push(source);
        }
    }
    Ok(sources)
}
