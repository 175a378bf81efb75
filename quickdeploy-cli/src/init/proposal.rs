//! One artifact as it will be written down: its functions' form, its name, and sentences that say where each value came
//! from.

use std::collections::BTreeSet;

use super::config_text::ArtifactText;
use super::live::{Package, StackCode};
use super::locate::{Candidate, State, fleeting};
use super::mapping::Rule;
use super::sources::{Source, SourceFunction};
use super::tree::{Analysis, Handler};
use crate::project::Functions;
use crate::ui::{count, plural, short_sha};

/// More functions than this are not listed one by one.
const MOST_NAMES: usize = 20;

/// How to write the package's functions down, and how they were found.
pub(crate) fn functions(package: &Package, codes: &StackCode) -> (Functions, String) {
    let names: Vec<String> = package.names().into_iter().map(str::to_owned).collect();
    let stack = package.functions[0].stack.as_ref();
    let all_of_it = |stack: &&String| {
        package.functions.iter().all(|live| live.stack.as_ref() == Some(stack))
            && codes.functions.keys().collect::<BTreeSet<_>>() == names.iter().collect::<BTreeSet<_>>()
    };
    let sha256 = short_sha(&package.sha256);
    match (names.as_slice(), stack.filter(all_of_it)) {
        ([name], _) => {
            (Functions::Names(names.clone()), format!("Nothing but `{name}` runs it (CodeSha256 {sha256})."))
        }
        (_, Some(stack)) => {
            let about =
                format!("The functions of the stack `{stack}`: all {} run it (CodeSha256 {sha256}).", names.len());
            (Functions::Stack(stack.clone()), about)
        }
        (names, None) if names.len() <= MOST_NAMES => {
            let about = format!("The {} functions of the region that run it (CodeSha256 {sha256}).", names.len());
            (Functions::Names(names.to_vec()), about)
        }
        (names, None) => {
            let about = format!(
                "Every function of the region that runs the same code as this one: {} now (CodeSha256 {sha256}).",
                count(names.len() as u64)
            );
            (Functions::SameCodeAs(names[0].clone()), about)
        }
    }
}

/// Handlers of the package's functions.
pub(crate) fn handlers(package: &Package) -> Vec<Handler> {
    let handler = |live: &super::live::LiveFunction| Handler {
        function: live.function.name.clone(),
        handler: live.handler.clone(),
        runtime: live.function.runtime.clone().unwrap_or_default(),
    };
    package.functions.iter().map(handler).collect()
}

/// What a tool's file says of where the package's code is.
pub(crate) fn hints(package: &Package, source: Option<&Source>) -> Vec<Rule> {
    let mut hints: Vec<Rule> =
        declared(package, source).filter_map(|function| Some((function.directory.clone()?, String::new()))).collect();
    hints.sort();
    hints.dedup();
    hints
}

/// The functions of a tool's file that the package belongs to.
pub(crate) fn declared<'a>(
    package: &'a Package,
    source: Option<&'a Source>,
) -> impl Iterator<Item = &'a SourceFunction> {
    source.into_iter().flat_map(|source| &source.functions).filter(|declared| {
        package.functions.iter().any(|live| {
            declared.name.as_ref() == Some(&live.function.name) || live.logical_id.as_ref() == Some(&declared.id)
        })
    })
}

/// A name for each of several packages: after the directory that its code is in, or a function of it.
pub(crate) fn names(packages: &[&Package], source: Option<&Source>) -> Vec<String> {
    let directories: Vec<Option<String>> = packages
        .iter()
        .map(|package| match hints(package, source).as_slice() {
            [(directory, _)] => directory.rsplit('/').next().filter(|name| !name.is_empty()).map(str::to_owned),
            _ => None,
        })
        .collect();
    let unique = |name: &String| directories.iter().flatten().filter(|other| *other == name).count() == 1;
    let mut taken = BTreeSet::new();
    packages
        .iter()
        .zip(&directories)
        .map(|(package, directory)| {
            let first = &package.functions[0];
            let own = first.logical_id.clone().unwrap_or_else(|| first.function.name.clone());
            let base = as_name(&directory.clone().filter(unique).unwrap_or(own));
            let mut name = base.clone();
            for number in 2.. {
                if taken.insert(name.clone()) {
                    break;
                }
                name = format!("{base}-{number}");
            }
            name
        })
        .collect()
}

/// With the letters that names of artifacts may have.
fn as_name(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' }).collect()
}

/// Sentences about how the artifact was found.
pub(crate) fn about(candidate: &Candidate) -> Vec<String> {
    let mut about = vec![format!("Found by {}.", candidate.from)];
    match &candidate.state {
        State::Runs => about.push("It is what the functions run.".to_owned()),
        State::Differs(why) => {
            about.push(format!("The functions run other code now ({why}); a deployment brings them to this one."));
        }
        State::Unusable(why) => about.push(format!("It could not be compared: {why}.")),
    }
    if let Some(why) = fleeting(&candidate.url.key) {
        about.push(format!(
            "Note: {why}. The tool's next deployment goes to another key: run `quickdeploy init --force` after it."
        ));
    }
    about
}

/// A sentence about what the mapping explains.
pub(crate) fn about_map(analysis: &Analysis) -> String {
    let found = &analysis.mapping;
    let all = found.identical.len() + found.different.len() + analysis.excludes.new.len();
    let mut text = match (found.identical.len(), all) {
        (identical, all) if identical == all => format!("Here: {}, in it as they are.", plural(all, "file")),
        (identical, all) => {
            let mut parts = vec![format!("{identical} are in it as they are")];
            if !found.different.is_empty() {
                parts.push(format!("{} with another content", found.different.len()));
            }
            if !analysis.excludes.new.is_empty() {
                parts.push(format!("{} not yet", analysis.excludes.new.len()));
            }
            format!("Of {} here, {}.", plural(all, "file"), parts.join(", "))
        }
    };
    if !found.only_in_zip.is_empty() {
        text.push_str(&format!(
            " What else is in it ({}: dependencies, what a build made) stays as it is.",
            plural(found.only_in_zip.len(), "file")
        ));
    }
    text
}

/// All of it, as it is written down.
pub(crate) fn text(
    name: Option<String>,
    package: &Package,
    codes: &StackCode,
    candidate: &Candidate,
    analysis: &Analysis,
    build: Option<String>,
) -> ArtifactText {
    let (functions, about_functions) = functions(package, codes);
    ArtifactText {
        name,
        url: candidate.url.clone(),
        about: about(candidate),
        functions,
        about_functions,
        handlers: analysis.handlers.clone(),
        map: analysis.mapping.rules.clone(),
        about_map: about_map(analysis),
        exclude: analysis.excludes.patterns.iter().map(|exclude| (exclude.pattern.clone(), exclude.files)).collect(),
        build: build.filter(|_| analysis.built),
    }
}
