//! What other tools' files say about the project in a directory: SAM, CloudFormation, the Serverless Framework, CDK.
//!
//! They are read for names only: of stacks, functions, buckets, directories, regions and profiles. What is live is asked
//! of AWS. A file that can't be read or a name that can't be resolved is told and stops nothing: `init` may still be
//! given a function or a stack by name.

use std::path::Path;

use super::template::{Code, Template, TemplateFunction};

mod cdk;
mod sam;
mod serverless;

/// Whose files they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    Sam,
    CloudFormation,
    Serverless,
    Cdk,
}

impl Tool {
    /// As people call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sam => "SAM",
            Self::CloudFormation => "CloudFormation",
            Self::Serverless => "Serverless Framework",
            Self::Cdk => "CDK",
        }
    }
}

/// What one tool's files say of one stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) tool: Tool,
    /// The file, relative to the directory.
    pub(crate) file: String,
    /// The stack that it deploys.
    pub(crate) stack: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) profile: Option<String>,
    /// Where the tool puts its packages: a bucket and a prefix of keys.
    pub(crate) packages: Option<(String, String)>,
    pub(crate) functions: Vec<SourceFunction>,
    /// Directories that the tool builds packages in, relative to the directory.
    pub(crate) built: Vec<String>,
    /// The command that builds them.
    pub(crate) build: Option<String>,
    /// Other environments, by name.
    pub(crate) environments: Vec<Environment>,
    /// The file that knows these.
    pub(crate) environments_file: String,
    /// What could not be found out, and why.
    pub(crate) unknown: Vec<String>,
}

/// A function that a tool's file declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceFunction {
    /// Its name in the file.
    pub(crate) id: String,
    /// Its name in Lambda, where the file says it.
    pub(crate) name: Option<String>,
    pub(crate) handler: Option<String>,
    /// The directory of its code, relative to the directory; "" for the directory itself.
    pub(crate) directory: Option<String>,
}

/// Another environment, as suggestion for `[env.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Environment {
    pub(crate) name: String,
    pub(crate) stack: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) profile: Option<String>,
}

impl Source {
    fn new(tool: Tool, file: impl Into<String>) -> Self {
        let file = file.into();
        Self {
            tool,
            environments_file: file.clone(),
            file,
            stack: None,
            region: None,
            profile: None,
            packages: None,
            functions: Vec::new(),
            built: Vec::new(),
            build: None,
            environments: Vec::new(),
            unknown: Vec::new(),
        }
    }

    /// `serverless.yml (Serverless Framework, stack app-dev)`.
    pub(crate) fn label(&self) -> String {
        match &self.stack {
            Some(stack) => format!("{} ({}, stack `{stack}`)", self.file, self.tool.name()),
            None => format!("{} ({})", self.file, self.tool.name()),
        }
    }
}

/// What was found in a directory.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    pub(crate) found: Vec<Source>,
    /// Files that are there and can't be used.
    pub(crate) problems: Vec<String>,
}

impl Sources {
    /// Looks at `directory`, for the environment (SAM's config environment, the Serverless Framework's stage) `env`.
    /// `variable` looks environment variables up.
    pub(crate) fn look(directory: &Path, env: Option<&str>, variable: &dyn Fn(&str) -> Option<String>) -> Self {
        let mut sources = Self::default();
        sources.take(sam::read(directory, env).map(|source| source.into_iter().collect()));
        sources.take(serverless::read(directory, env, variable).map(|source| source.into_iter().collect()));
        sources.take(cdk::read(directory));
        sources
    }

    fn take(&mut self, read: Result<Vec<Source>, String>) {
        match read {
            Ok(found) => self.found.extend(found),
            Err(problem) => self.problems.push(problem),
        }
    }
}

/// The first of `names` that is a file in `directory`, with its text.
fn first_file(directory: &Path, names: &[&str]) -> Result<Option<(String, String)>, String> {
    let Some(name) = names.iter().find(|name| directory.join(name).is_file()) else {
        return Ok(None);
    };
    let text =
        std::fs::read_to_string(directory.join(name)).map_err(|error| format!("could not read {name}: {error}"))?;
    Ok(Some(((*name).to_owned(), text)))
}

/// `./src/` as the project's configuration names it: `src`. `None` when it leads out of the directory.
fn relative(path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split(['/', '\\']) {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop()?,
            part => parts.push(part),
        }
    }
    (!path.starts_with('/')).then(|| parts.join("/"))
}

/// A template's functions whose code is a directory below `base` ("" or `cdk.out`).
fn from_template(directory: &Path, base: &str, functions: Vec<TemplateFunction>) -> Vec<SourceFunction> {
    let local = |function: TemplateFunction| {
        let code = match &function.code {
            Code::Local(path) => relative(format!("{base}/{path}").trim_start_matches('/')),
            Code::S3 { .. } | Code::Unknown(_) => None,
            Code::Inline | Code::Image => return None,
        };
        Some(SourceFunction {
            id: function.logical_id,
            name: function.name,
            handler: function.handler,
            directory: code.filter(|code| directory.join(code).is_dir()),
        })
    };
    functions.into_iter().filter_map(local).collect()
}

/// A template in a file.
fn template_of(name: &str, text: &str) -> Result<Template, String> {
    Template::parse(text).map_err(|error| format!("{name} is not valid: {error}"))
}

#[cfg(test)]
#[path = "../sources_tests.rs"]
mod tests;
