//! What a full build needs besides the package: the stack, its template where that is here, and how the template learns
//! where the package is.
//!
//! Nothing of it is guessed. It is written down when the template is one that `quickdeploy full` can deploy, and takes
//! the package either in the place of a directory or by parameters. What stands in the way otherwise is said, and the keys
//! are only suggested.

use std::collections::BTreeMap;
use std::path::Path;

use super::live::Package;
use super::proposal;
use super::sources::{Source, Tool};
use super::template::Template;
use crate::full::template::Template as Deployable;

/// The keys of the stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StackText {
    pub(crate) stack: String,
    /// Relative to the project's directory.
    pub(crate) template: String,
    pub(crate) capabilities: Vec<&'static str>,
    /// Names of parameters, and what is filled in.
    pub(crate) parameters: BTreeMap<String, &'static str>,
    /// Why it is only a suggestion.
    pub(crate) doubt: Option<String>,
}

/// What the files in `root` say of the package's stack. `None`: no template of it is here. Reads the template.
pub(crate) fn stack_text(root: &Path, source: Option<&Source>, package: &Package) -> Option<StackText> {
    let source = source.filter(|source| matches!(source.tool, Tool::Sam | Tool::CloudFormation))?;
    let of_package: Vec<&str> = package.functions.iter().filter_map(|live| live.stack.as_deref()).collect();
    let live = of_package.first().copied().filter(|first| of_package.iter().all(|other| other == first));
    let stack = source.stack.as_deref().or(live)?;
    // A file that happens to be here may be about something else.
    if live != Some(stack) && proposal::declared(package, Some(source)).next().is_none() {
        return None;
    }
    let text = std::fs::read_to_string(root.join(&source.file)).ok()?;
    let template = Template::parse(&text).ok()?;
    let is_of_package = |logical_id: &str, name: Option<&str>| {
        package
            .functions
            .iter()
            .any(|live| live.logical_id.as_deref() == Some(logical_id) || name == Some(live.function.name.as_str()))
    };
    let parameters = template.code_parameters(&is_of_package);
    let doubt = match (Deployable::read(&root.join(&source.file), &[root]), live) {
        (_, Some(other)) if other != stack => Some(format!("the functions belong to the stack `{other}`")),
        (Err(error), _) => Some(error.to_string()),
        (Ok(deployable), _) if !deployable.packaged.is_empty() => None,
        (Ok(_), _) if parameters.values().any(|place| *place == "{key}") => None,
        (Ok(_), _) => {
            Some("the template names the package's place neither by a directory nor by a parameter".to_owned())
        }
    };
    Some(StackText {
        stack: stack.to_owned(),
        template: source.file.clone(),
        capabilities: template.capabilities(),
        parameters,
        doubt,
    })
}
