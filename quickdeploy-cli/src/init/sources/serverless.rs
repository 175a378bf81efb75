//! The Serverless Framework's `serverless.yml`.
//!
//! Names in it are usually made of variables (`${self:service}-${sls:stage}`): see [`variables`]. What they come to is
//! found out as far as files and the environment say it.

use std::path::Path;

use serde_json::Value;

use super::super::document;
use super::{Environment, Source, SourceFunction, Tool, first_file};

mod variables;

use variables::Variables;

const FILES: [&str; 3] = ["serverless.yml", "serverless.yaml", "serverless.json"];
/// The stage that the framework takes when none is named.
const DEFAULT_STAGE: &str = "dev";
/// Where plugins put what they built.
const BUILT: [&str; 4] = [".esbuild/.build", ".webpack/service", ".build", ".serverless/build"];

/// What is there; `None`: no `serverless.yml`, or not one for AWS.
pub(super) fn read(
    directory: &Path,
    env: Option<&str>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Source>, String> {
    let Some((file, text)) = first_file(directory, &FILES)? else {
        return Ok(None);
    };
    let body = document::parse(&text).map_err(|error| format!("{file} is not valid: {error}"))?;
    let mut source = Source::new(Tool::Serverless, &file);
    let mut variables = Variables::new(&body, directory, env.map(str::to_owned), variable);

    let own_stage = variables.at("provider.stage").ok().flatten().filter(|stage| !stage.is_empty());
    let stage = env.map(str::to_owned).or(own_stage).unwrap_or_else(|| DEFAULT_STAGE.to_owned());
    variables.set_stage(&stage);
    let mut unknown = Vec::new();
    let mut get = |path: &str| {
        variables.at(path).unwrap_or_else(|why| {
            unknown.push(format!("`{path}` in {file}: {why}"));
            None
        })
    };
    let Some(service) = get("service") else {
        source.unknown = unknown;
        return Ok(Some(source));
    };
    if get("provider.name").is_some_and(|provider| provider != "aws") {
        return Ok(None);
    }
    source.region = get("provider.region");
    source.profile = get("provider.profile");
    source.stack = get("provider.stackName").or_else(|| Some(format!("{service}-{stage}")));
    // Both `deploymentBucket: name` and `deploymentBucket: {name: …}`.
    let bucket = match body.pointer("/provider/deploymentBucket") {
        Some(Value::Object(_)) => get("provider.deploymentBucket.name"),
        Some(_) => get("provider.deploymentBucket"),
        None => None,
    };
    let prefix = get("provider.deploymentPrefix").unwrap_or_else(|| "serverless".to_owned());
    source.packages = bucket.map(|bucket| (bucket, format!("{prefix}/{service}/{stage}/")));

    for (id, function) in functions(&body) {
        if function.get("image").is_some() {
            continue;
        }
        let mut own = |key: &str| {
            let value = function.get(key)?;
            variables.text(value).unwrap_or_else(|why| {
                unknown.push(format!("`functions.{id}.{key}` in {file}: {why}"));
                None
            })
        };
        let given = function.get("name").is_some();
        let name = own("name");
        source.functions.push(SourceFunction {
            name: if given { name } else { Some(format!("{service}-{stage}-{id}")) },
            handler: own("handler"),
            // The service's own directory is packaged, whatever its patterns leave out.
            directory: Some(String::new()),
            id,
        });
    }
    source.built =
        BUILT.iter().filter(|built| directory.join(built).is_dir()).map(|built| (*built).to_owned()).collect();
    source.build = Some(format!("npx serverless package --stage {stage}"));
    source.environments = stages(&body, &stage, &service);
    source.unknown = unknown;
    Ok(Some(source))
}

/// `functions` is a map, or a list of maps when it comes from several files.
fn functions(body: &Value) -> Vec<(String, Value)> {
    let maps: Vec<&Value> = match body.get("functions") {
        Some(Value::Array(maps)) => maps.iter().collect(),
        Some(map) => vec![map],
        None => Vec::new(),
    };
    let pairs = maps.into_iter().filter_map(Value::as_object).flatten();
    pairs.filter(|(_, value)| value.is_object()).map(|(id, value)| (id.clone(), value.clone())).collect()
}

/// The stages that `params` (since version 3) and `stages` (since version 4) tell apart.
fn stages(body: &Value, used: &str, service: &str) -> Vec<Environment> {
    let mut names: Vec<&String> = ["params", "stages"]
        .iter()
        .filter_map(|key| body.get(*key)?.as_object())
        .flat_map(serde_json::Map::keys)
        .collect();
    names.sort();
    names.dedup();
    // Under another name for the stack, it would be a guess.
    let guess = body.pointer("/provider/stackName").is_none();
    names
        .into_iter()
        .filter(|name| *name != used && *name != "default")
        .map(|name| Environment {
            name: name.clone(),
            stack: guess.then(|| format!("{service}-{name}")),
            region: None,
            profile: None,
        })
        .collect()
}
