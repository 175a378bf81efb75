//! What runs: functions, the stacks they came from, and which of them share their code.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_lambda::operation::get_function::GetFunctionError;
use futures::stream::{self, StreamExt};

use super::template::{Code, Scope, Template};
use crate::aws::Cloud;
use crate::error::{Error, Result};
use crate::functions::{self, Function, STACK_TAG};
use crate::live_code::LiveCode;
use crate::retry::retried;
use crate::stack::Stacks;

/// CloudFormation puts this tag on what it creates, beside the stack's name.
const LOGICAL_ID_TAG: &str = "aws:cloudformation:logical-id";
/// So many functions are read at once.
const READS_AT_ONCE: usize = 20;
/// Stacks nested in stacks: more of them are not looked at.
const MOST_STACKS: usize = 30;

/// A function, with what only `init` asks of it.
#[derive(Debug, Clone)]
pub(crate) struct LiveFunction {
    pub(crate) function: Function,
    pub(crate) handler: String,
    /// The stack that made it.
    pub(crate) stack: Option<String>,
    /// Its name in that stack's template.
    pub(crate) logical_id: Option<String>,
    /// Where its package can be downloaded for some minutes.
    pub(crate) code: Option<LiveCode>,
}

/// Functions that run the same package.
#[derive(Debug, Clone)]
pub(crate) struct Package {
    /// base64 of its SHA-256.
    pub(crate) sha256: String,
    /// In bytes.
    pub(crate) size: u64,
    /// By name; at least one.
    pub(crate) functions: Vec<LiveFunction>,
}

impl Package {
    /// Names of its functions.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.functions.iter().map(|live| live.function.name.as_str()).collect()
    }
}

/// Reads one function.
///
/// # Errors
///
/// `FunctionNotFound` with names that are like it; no permission.
pub(crate) async fn read(cloud: &Cloud, name: &str) -> Result<LiveFunction> {
    let what = || format!("could not read the function `{name}`");
    let output = match retried(&cloud.get_function, || cloud.lambda.get_function().function_name(name).send()).await {
        Ok(output) => output,
        Err(error) if error.as_service_error().is_some_and(GetFunctionError::is_resource_not_found_exception) => {
            return Err(not_found(cloud, name).await);
        }
        Err(error) => return Err(cloud.explain(&what(), &error)),
    };
    let function =
        Function::read(&output).ok_or_else(|| Error::new("Lambda", what()).cause("the answer has no configuration"))?;
    let tag = |key: &str| output.tags().and_then(|tags| tags.get(key)).cloned();
    Ok(LiveFunction {
        handler: output.configuration().and_then(|config| config.handler()).unwrap_or_default().to_owned(),
        stack: tag(STACK_TAG),
        logical_id: tag(LOGICAL_ID_TAG),
        code: output.code().and_then(|code| code.location()).map(LiveCode::new),
        function,
    })
}

async fn not_found(cloud: &Cloud, name: &str) -> Error {
    let error = Error::new("FunctionNotFound", format!("there is no Lambda function `{name}` in {}", cloud.region));
    let all = functions::list(cloud).await.unwrap_or_default();
    let mut alike: Vec<(usize, String)> = all
        .into_iter()
        .filter_map(|function| function.function_name)
        .map(|other| (if other.contains(name) { 0 } else { strsim::levenshtein(name, &other) }, other))
        .filter(|(distance, _)| *distance <= name.len() / 2)
        .collect();
    alike.sort();
    let names: Vec<String> = alike.iter().take(5).map(|(_, other)| format!("`{other}`")).collect();
    let error = if names.is_empty() { error } else { error.hint(format!("did you mean {}?", names.join(" or "))) };
    error.hint("check the name and the region; a stack is named with `--stack`")
}

async fn read_all(cloud: &Cloud, names: impl IntoIterator<Item = String>) -> Vec<(String, Result<LiveFunction>)> {
    let reads = stream::iter(names).map(|name| async move {
        let read = read(cloud, &name).await;
        (name, read)
    });
    let mut all: Vec<_> = reads.buffer_unordered(READS_AT_ONCE).collect().await;
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

/// A function as its stack knows it.
#[derive(Debug, Clone)]
pub(crate) struct StackFunction {
    pub(crate) logical_id: String,
    pub(crate) code: Code,
}

/// A stack's functions, and where its template says that their code is.
#[derive(Debug, Default)]
pub(crate) struct StackCode {
    /// By function name.
    pub(crate) functions: BTreeMap<String, StackFunction>,
    /// What could not be asked or known.
    pub(crate) problems: Vec<String>,
}

/// Looks a stack up, and those nested in it. With `strict`, a stack that isn't there is an error; without, everything
/// that fails is told as a problem.
///
/// # Errors
///
/// With `strict`: `StackNotFound`, or its resources may not be listed.
pub(crate) async fn stack(cloud: &Cloud, name: &str, strict: bool) -> Result<StackCode> {
    let stacks = Stacks::new(cloud);
    let mut found = StackCode::default();
    let mut todo = vec![name.to_owned()];
    let mut seen = BTreeSet::new();
    while let Some(next) = todo.pop().filter(|_| seen.len() < MOST_STACKS) {
        if !seen.insert(next.clone()) {
            continue;
        }
        let resources = match stacks.resources(&next).await {
            Ok(resources) => resources,
            Err(error) if strict && next == name => return Err(error),
            Err(error) => {
                found.problems.push(error.with_hints());
                continue;
            }
        };
        let of_type = |wanted: &'static str| resources.iter().filter(move |resource| resource.resource_type == wanted);
        todo.extend(of_type("AWS::CloudFormation::Stack").map(|nested| nested.physical_id.clone()));
        let mut codes = BTreeMap::new();
        match stacks.made(&next).await {
            Err(error) => found.problems.push(error.with_hints()),
            Ok(made) => match Template::parse(&made.template) {
                Err(error) => found.problems.push(format!("the template of the stack `{name}` can't be read: {error}")),
                Ok(template) => {
                    let mut arn = made.id.split(':');
                    let (region, account) = (arn.nth(3), arn.next());
                    let stack_name = made.id.rsplit(':').next().and_then(|rest| rest.split('/').nth(1));
                    let physical =
                        |resource: &crate::stack::Resource| (resource.logical_id.clone(), resource.physical_id.clone());
                    let mut scope = Scope {
                        parameters: template.defaults(),
                        resources: Some(resources.iter().map(physical).collect()),
                        stack_name: Some(stack_name.unwrap_or(&next).to_owned()),
                        region: Some(region.unwrap_or(&cloud.region).to_owned()),
                        account: account.map(str::to_owned),
                    };
                    scope.parameters.extend(made.parameters);
                    codes.extend(
                        template.functions(&scope).into_iter().map(|function| (function.logical_id, function.code)),
                    );
                }
            },
        }
        for resource in of_type("AWS::Lambda::Function") {
            let code = codes.remove(&resource.logical_id);
            let code = code.unwrap_or_else(|| Code::Unknown("its template does not have it".to_owned()));
            let function = StackFunction { logical_id: resource.logical_id.clone(), code };
            found.functions.insert(resource.physical_id.clone(), function);
        }
    }
    Ok(found)
}

/// What was found for a function or a stack.
#[derive(Debug)]
pub(crate) struct Found {
    /// By the name of the first function.
    pub(crate) packages: Vec<Package>,
    pub(crate) codes: StackCode,
    /// What people should know: functions that were left out, and why.
    pub(crate) notes: Vec<String>,
}

/// The functions, every function that runs the same packages, and the stack that the first one came from.
///
/// # Errors
///
/// One isn't there, is a container image, or may not be read.
pub(crate) async fn by_functions(cloud: &Cloud, names: &[String]) -> Result<Found> {
    let mut models = Vec::new();
    for (name, read) in read_all(cloud, names.iter().cloned()).await {
        let model = read?;
        if !model.function.zip_package {
            let what = format!("`{name}` runs from a container image: there is no zip to patch");
            return Err(Error::new("ImageFunction", what)
                .hint("QuickDeploy edits zip packages; an image is built and pushed as a whole"));
        }
        models.push(model);
    }
    let codes = match models.iter().find_map(|model| model.stack.as_ref()) {
        Some(name) => stack(cloud, name, false).await?,
        None => StackCode::default(),
    };
    let mut notes = Vec::new();
    let functions = with_the_same_code(cloud, models, &mut notes).await;
    Ok(Found { packages: packages(functions), codes, notes })
}

/// The functions of a stack and of those nested in it, and every other function that runs the same packages.
///
/// # Errors
///
/// The stack isn't there, has no functions with a zip, or may not be read.
pub(crate) async fn by_stack(cloud: &Cloud, name: &str) -> Result<Found> {
    let codes = stack(cloud, name, true).await?;
    let mut notes = Vec::new();
    let mut functions = Vec::new();
    for (function, read) in read_all(cloud, codes.functions.keys().cloned()).await {
        match (read, codes.functions.get(&function).map(|function| &function.code)) {
            (Ok(live), _) if !live.function.zip_package => {
                notes.push(format!("`{function}` runs from a container image: it is left out"));
            }
            (Ok(_), Some(Code::Inline)) => {
                notes.push(format!("`{function}` has its code in the template: it is left out"));
            }
            (Ok(mut live), _) => {
                // Tags say so, too, but not to everybody.
                let known = codes.functions.get(&function).map(|function| function.logical_id.clone());
                live.logical_id = live.logical_id.or(known);
                functions.push(live);
            }
            (Err(error), _) => notes.push(format!("`{function}` is left out: {}", error.with_hints())),
        }
    }
    if functions.is_empty() {
        let error = Error::new(
            "FunctionNotFound",
            format!("the stack `{name}` has no Lambda function in {} that runs from a zip", cloud.region),
        );
        return Err(notes.into_iter().fold(error, Error::cause).hint("check the stack's name, and the region"));
    }
    let functions = with_the_same_code(cloud, functions, &mut notes).await;
    Ok(Found { packages: packages(functions), codes, notes })
}

/// `functions`, and every other one of the region that runs the code of one of them.
async fn with_the_same_code(cloud: &Cloud, functions: Vec<LiveFunction>, notes: &mut Vec<String>) -> Vec<LiveFunction> {
    let mut all = functions;
    let listed = match functions::list(cloud).await {
        Ok(listed) => listed,
        Err(error) => {
            notes.push(format!("other functions with the same code are not looked for: {}", error.with_hints()));
            return all;
        }
    };
    let codes: BTreeSet<&str> = all.iter().map(|live| live.function.code_sha256.as_str()).collect();
    let known: BTreeSet<&str> = all.iter().map(|live| live.function.name.as_str()).collect();
    let others: Vec<String> = listed
        .into_iter()
        .filter(|function| function.code_sha256().is_some_and(|sha256| codes.contains(sha256)))
        .filter_map(|function| function.function_name)
        .filter(|name| !known.contains(name.as_str()))
        .collect();
    for (name, read) in read_all(cloud, others).await {
        match read {
            Ok(live) => all.push(live),
            Err(error) => notes.push(format!("`{name}` runs the same code, but is left out: {}", error.with_hints())),
        }
    }
    all
}

fn packages(functions: Vec<LiveFunction>) -> Vec<Package> {
    let mut by_code: BTreeMap<String, Package> = BTreeMap::new();
    for live in functions {
        let Function { code_sha256, code_size, .. } = &live.function;
        let empty = || Package { sha256: code_sha256.clone(), size: *code_size, functions: Vec::new() };
        by_code.entry(code_sha256.clone()).or_insert_with(empty).functions.push(live);
    }
    let mut packages: Vec<Package> = by_code.into_values().collect();
    for package in &mut packages {
        package.functions.sort_by(|a, b| a.function.name.cmp(&b.function.name));
    }
    packages.sort_by(|a, b| a.names().cmp(&b.names()));
    packages
}
