//! `quickdeploy diff`: what a deploy would change in the artifact, and where imports are followed, which functions that
//! affects. Else functions are not looked at.

use futures::future::try_join_all;
use owo_colors::OwoColorize;
use serde::Serialize;
use zipedit::Object as _;

use crate::affected::{Effect, Effects, FileEffect, FunctionEffect, Question};
use crate::args::{self, Global};
use crate::aws::Cloud;
use crate::compare::{self, ArtifactDocument, Comparison, DiffDocument};
use crate::error::{Error, Result};
use crate::functions::{self, Function};
use crate::memory::{Deployed, Memory};
use crate::project::{Affected, ArtifactUrl, Change, Deletion, Diff, ManifestChange, Project, Settings};
use crate::ui::{Ui, bytes, count, plural, printable};
use crate::unchanged::{Found, Looking, Told};

/// A reason that holds for more functions is told with their number; `-v` names them.
const NAMED: usize = 4;

/// The JSON document.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Document {
    command: &'static str,
    #[serde(flatten)]
    difference: Difference,
}

/// One artifact beside the project.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct Difference {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    different: bool,
    artifact: ArtifactDocument,
    changes: DiffDocument,
    /// Which functions each changed file affects.
    #[serde(skip_serializing_if = "Option::is_none")]
    affects: Option<Vec<FileEffect>>,
    /// What a deploy would do with each function.
    #[serde(skip_serializing_if = "Option::is_none")]
    functions: Option<Vec<FunctionDocument>>,
}

/// One function.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct FunctionDocument {
    name: String,
    /// Whether a deploy would update it.
    affected: bool,
    reason: String,
}

impl FunctionDocument {
    fn of(name: &str, effect: &Effect) -> Self {
        let (affected, reason) = match effect {
            Effect::Affected { why } => (true, why.clone()),
            Effect::Unaffected { why } => (false, why.clone()),
            Effect::Same => (false, "runs the same files".to_owned()),
        };
        Self { name: name.to_owned(), affected, reason }
    }
}

/// The JSON document of a project with several artifacts.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Several {
    command: &'static str,
    different: bool,
    artifacts: Vec<Difference>,
}

pub(super) async fn run(ui: &Ui, global: &Global, args: &args::Diff) -> Result<u8> {
    let projects = super::find_projects(global, &args.artifacts)?;
    // Files need no connection: while it is made, they are looked at.
    let deletion = if args.delete { Deletion::Everything } else { Deletion::Owned };
    let begun = projects.iter().map(|project| {
        let url = super::artifact_of(project.settings())?;
        let looking = if deletion == Deletion::Owned && !looks_at_functions(project.settings(), args.functions) {
            Looking::begin(project, &url)
        } else {
            Looking::anew(project, &url, deletion)
        };
        Ok((looking, url))
    });
    let begun = begun.collect::<Result<Vec<_>>>()?;
    let cloud = super::connect(global, projects.first().map(Project::settings)).await?;
    if projects.iter().any(|project| project.settings().compile.is_some()) {
        ui.verbose("of the files as they are: `compile` is run by `deploy` and `watch` only");
    }
    let several = projects.iter().any(|project| project.settings().name.is_some());
    let compared = {
        let _progress = ui.progress("Comparing");
        try_join_all(projects.iter().zip(begun).map(async |(project, (looking, url))| {
            let part = ui.part();
            let (found, functions) = tokio::try_join!(
                looking.compare(&part, &cloud, project, &url),
                functions_of(&part, &cloud, project, &url, args.functions),
            )?;
            let effects = match (&found, functions) {
                (Found::Compared(comparison), Some((functions, remembered))) => {
                    let object = comparison.artifact.object();
                    let sha256 = remembered.sha256_of(object.etag(), object.version_id());
                    let question = Question { ui: &part, cloud: &cloud, project, sha256 };
                    Some(question.ask((&**comparison).into(), &functions).await?)
                }
                _ => None,
            };
            Ok::<_, Error>((part, url, found, effects))
        }))
        .await?
    };
    let mut differences = Vec::with_capacity(projects.len());
    for (project, (part, url, found, effects)) in projects.iter().zip(compared) {
        ui.tell(&part);
        let name = project.settings().name.clone();
        if let Some(name) = &name {
            ui.result(format!("[{name}]").bold());
        }
        let (artifact, changes) = match found {
            Found::Compared(comparison) => {
                tell(ui, &url, &comparison, deletion, effects.as_ref());
                let documents = (ArtifactDocument::of(&url, &comparison.artifact), DiffDocument::of(&comparison));
                // The process is about to end: giving back the memory of each name would take longer than comparing them.
                std::mem::forget(comparison);
                documents
            }
            Found::Unchanged(artifact, told) => (artifact, tell_again(ui, &url, &told)),
        };
        differences.push(Difference {
            name,
            different: !changes.is_empty(),
            artifact,
            changes,
            functions: effects
                .as_ref()
                .map(|effects| effects.functions().map(|(name, effect)| FunctionDocument::of(name, effect)).collect()),
            affects: effects.map(|effects| effects.files),
        });
    }
    let different = differences.iter().any(|difference| difference.different);
    match differences.pop() {
        Some(difference) if !several => ui.document(&Document { command: "diff", difference })?,
        last => {
            differences.extend(last);
            ui.document(&Several { command: "diff", different, artifacts: differences })?;
        }
    }
    Ok(u8::from(args.exit_code && different))
}

fn looks_at_functions(settings: &Settings, asked: bool) -> bool {
    asked || (settings.affected != Affected::All && settings.functions.is_some())
}

/// The functions, and what the last deploy remembers of the artifact, if imports are to be followed. Unless that was
/// asked for on the command line, a function that can't be read is no reason to show no difference at all.
async fn functions_of(
    ui: &Ui,
    cloud: &Cloud,
    project: &Project,
    url: &ArtifactUrl,
    asked: bool,
) -> Result<Option<(Vec<Function>, Deployed)>> {
    let settings = project.settings();
    if !looks_at_functions(settings, asked) {
        return Ok(None);
    }
    let wanted = super::functions_of(settings)?;
    let remembered = Memory::in_directory(settings.state_dir.as_deref()).recall(&url.to_string());
    match functions::find(cloud, &wanted, &remembered.behind).await {
        Ok(functions) => Ok(Some((functions, remembered))),
        Err(error) if asked => Err(error),
        Err(error) => {
            ui.warning(format!("which functions are affected is not known: {error}"), error.hints());
            Ok(None)
        }
    }
}

fn tell(ui: &Ui, url: &ArtifactUrl, comparison: &Comparison, deletion: Deletion, effects: Option<&Effects>) {
    let diff = &comparison.diff;
    for (name, line) in lines(diff) {
        ui.result(line);
        let effect = effects.and_then(|effects| effects.files.iter().find(|file| file.name == name));
        for line in effect.map(|effect| reasons(effect, ui.is_verbose())).unwrap_or_default() {
            ui.result(format!("    {line}"));
        }
    }
    if let Some(effects) = effects {
        let (affected, all) = (effects.affected(), effects.functions().count());
        ui.status("Affects", format!("{affected} of {}", plural(all, "function")));
        for (name, effect) in effects.functions() {
            let FunctionDocument { affected, reason, .. } = FunctionDocument::of(name, effect);
            ui.verbose(format!("`{name}` {}: {reason}", if affected { "is affected" } else { "is not affected" }));
        }
    }
    let only_in_artifact = if deletion == Deletion::Owned { diff.only_in_artifact.len() } else { 0 };
    tell_sum(ui, url, diff, only_in_artifact, &comparison.beyond_a_patch);
}

/// Tells what an earlier run has told.
fn tell_again(ui: &Ui, url: &ArtifactUrl, told: &Told) -> DiffDocument {
    let diff = Diff { unchanged: told.unchanged, ..Diff::default() };
    tell_sum(ui, url, &diff, told.only_in_artifact, &told.beyond_a_patch);
    DiffDocument::new(&diff, told.only_in_artifact, &told.beyond_a_patch)
}

fn tell_sum(ui: &Ui, url: &ArtifactUrl, diff: &Diff, only_in_artifact: usize, beyond_a_patch: &[ManifestChange]) {
    ui.status("Compared", format!("{url}: {}, {} unchanged", compare::counts(diff), diff.unchanged));
    if only_in_artifact > 0 {
        ui.verbose(format!(
            "{} more entries are in the artifact only; a build put them there, `--delete` would delete them",
            count(only_in_artifact as u64)
        ));
    }
    compare::warn_of_manifests(ui, beyond_a_patch);
}

/// A line for each reason, with the functions that it holds for.
fn reasons(effect: &FileEffect, all: bool) -> Vec<String> {
    let mut by_reason: Vec<(&str, Vec<&str>)> = Vec::new();
    for FunctionEffect { function, why } in &effect.affects {
        match by_reason.iter_mut().find(|(reason, _)| reason == why) {
            Some((_, functions)) => functions.push(function),
            None => by_reason.push((why, vec![function])),
        }
    }
    by_reason.iter().map(|(reason, names)| format!("{}: {}", named(names, all), printable(reason))).collect()
}

/// The functions, or how many they are.
pub(super) fn named(functions: &[&str], all: bool) -> String {
    match functions {
        many if many.len() > NAMED && !all => plural(many.len(), "function"),
        few => few.join(", "),
    }
}

/// `A name  size`, `M name  size`, `D name`: legible without colour, easy to cut by columns.
fn lines(diff: &Diff) -> Vec<(&str, String)> {
    let put =
        |file: &Change, letter: String| format!("{letter} {}  {}", printable(&file.name), bytes(file.size).dimmed());
    let added = diff.added.iter().map(|file| (file.name.as_str(), put(file, "A".green().to_string())));
    let modified = diff.modified.iter().map(|file| (file.name.as_str(), put(file, "M".yellow().to_string())));
    let deleted = diff.deleted.iter().map(|name| (name.as_str(), format!("{} {}", "D".red(), printable(name))));
    added.chain(modified).chain(deleted).collect()
}
