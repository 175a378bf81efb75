//! `quickdeploy status`: how things stand, and what to do about it.

use std::time::SystemTime;

use futures::future::join_all;
use owo_colors::OwoColorize;
use serde::Serialize;

use crate::args::{self, Global};
use crate::bootstrap::version::OURS;
use crate::compare::DiffDocument;
use crate::error::Result;
use crate::project::Project;
use crate::survey::{ArtifactStanding, FunctionStanding, Standing, State, Survey, ZipeditStanding};
use crate::ui::{Align, Table, Ui, ago, bytes, count, moment, plural, printable};
use crate::versions::{self, Versioning, short, short_length};
use crate::via::DEFAULT_FUNCTION;

/// Column at which texts begin.
const INDENT: usize = 13;

/// The JSON document.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Document {
    command: &'static str,
    ok: bool,
    #[serde(flatten)]
    standing: Standing,
}

/// The JSON document of a project with several artifacts.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Several {
    command: &'static str,
    ok: bool,
    clean: bool,
    artifacts: Vec<Standing>,
}

pub(super) async fn run(ui: &Ui, global: &Global, args: &args::Status) -> Result<u8> {
    let projects = super::find_projects(global, &args.artifacts)?;
    let cloud = super::connect(global, projects.first().map(Project::settings)).await?;
    let surveys = projects
        .iter()
        .map(|project| {
            let settings = project.settings();
            Ok(Survey {
                ui,
                cloud: &cloud,
                project,
                artifact: super::artifact_of(settings)?,
                functions: super::functions_of(settings)?,
                via: settings.via,
                zipedit: settings.zipedit.clone().unwrap_or_else(|| DEFAULT_FUNCTION.to_owned()),
            })
        })
        .collect::<Result<Vec<Survey<'_>>>>()?;
    let mut standings = {
        let _progress = ui.progress("Looking");
        join_all(surveys.iter().map(Survey::look)).await
    };
    for standing in &standings {
        if let Some(name) = &standing.name {
            ui.result(format!("[{name}]").bold());
        }
        show(ui, standing);
    }
    let ok = standings.iter().all(|standing| standing.errors.is_empty());
    let clean = standings.iter().all(|standing| standing.clean);
    match standings.pop() {
        Some(standing) if standing.name.is_none() => ui.document(&Document { command: "status", ok, standing })?,
        last => {
            standings.extend(last);
            ui.document(&Several { command: "status", ok, clean, artifacts: standings })?;
        }
    }
    Ok(u8::from(!ok || (args.exit_code && !clean)))
}

fn show(ui: &Ui, standing: &Standing) {
    let line = |label: &str, text: String| ui.result(format!("{} {text}", format_args!("{label:>12}").green().bold()));
    let more = |text: String| ui.result(format!("{:12} {text}", ""));
    match &standing.artifact {
        Some(artifact) => artifact_lines(artifact, standing)
            .into_iter()
            .map(|text| ui.paragraph(&text, INDENT))
            .enumerate()
            .for_each(|(at, text)| if at == 0 { line("Artifact", text) } else { more(text) }),
        None => line("Artifact", format!("{}: not read", standing.url)),
    }
    if let Some(changes) = &standing.changes {
        let mut lines = changes_lines(ui, changes).into_iter();
        line("Project", lines.next().unwrap_or_default());
        lines.for_each(more);
    }
    if let Some(zipedit) = &standing.zipedit {
        line("Edited by", zipedit_line(zipedit));
    }
    if !standing.functions.is_empty() {
        ui.result(table(standing).render(ui.width()));
    }
    for (state, label) in [(State::Stale, "Stale"), (State::Unaffected, "Not affected")] {
        let mut lines = reasons(standing, state, ui.is_verbose()).into_iter().map(|it| ui.paragraph(&it, INDENT));
        lines.next().into_iter().for_each(|first| line(label, first));
        lines.for_each(more);
    }
    for function in &standing.functions {
        if let (State::Failed | State::Inactive, Some(reason)) = (function.state, &function.reason) {
            ui.warning(format!("`{}` {}: {reason}", function.name, trouble(function.state)), &[]);
        }
    }
    for error in &standing.errors {
        ui.error(error);
    }
    ui.status("Summary", summary(standing));
    for hint in hints(standing) {
        ui.hint(&hint);
    }
}

/// A line for each reason for this state, with the functions that it holds for.
fn reasons(standing: &Standing, state: State, all: bool) -> Vec<String> {
    let mut by_reason: Vec<(&str, Vec<&str>)> = Vec::new();
    for function in standing.functions.iter().filter(|function| function.state == state) {
        let Some(why) = function.reason.as_deref() else { continue };
        match by_reason.iter_mut().find(|(reason, _)| *reason == why) {
            Some((_, functions)) => functions.push(&function.name),
            None => by_reason.push((why, vec![&function.name])),
        }
    }
    by_reason
        .iter()
        .map(|(why, functions)| format!("{}: {}", super::diff::named(functions, all), printable(why)))
        .collect()
}

fn artifact_lines(artifact: &ArtifactStanding, standing: &Standing) -> Vec<String> {
    let now = SystemTime::now();
    let object = &artifact.object;
    let mut lines = vec![
        object.url.clone(),
        format!("{}, {} entries, ETag {}", bytes(object.size), count(object.entries), object.etag.trim_matches('"')),
    ];
    let written = artifact.modified.map(|time| {
        let by = artifact.written.as_ref().map_or_else(
            || " by another program".to_owned(),
            |it| format!(" by {}: {}", printable(&it.by), it.writer.as_str()),
        );
        format!("written {}, {}{by}", moment(time, now), ago(time, now))
    });
    lines.extend(written);
    let version =
        object.version_id.as_deref().map(|id| format!("version {}", short(id, short_length(&standing.versions))));
    let versioning = artifact.versioning.map(|state| format!("versioning {state}"));
    let class = Some(artifact.storage_class.clone());
    let key = artifact
        .kms_key
        .as_deref()
        .map_or_else(String::new, |key| format!(" ({})", key.rsplit('/').next().unwrap_or(key)));
    let encryption = artifact.encryption.as_ref().map(|algorithm| format!("{algorithm}{key}"));
    lines.push([version, versioning, class, encryption].into_iter().flatten().collect::<Vec<_>>().join(", "));
    lines
}

fn changes_lines(ui: &Ui, changes: &DiffDocument) -> Vec<String> {
    if changes.is_empty() {
        return vec![format!("deployed: {} as in the artifact", plural(changes.unchanged, "file"))];
    }
    let counts =
        [(changes.added.len(), "added"), (changes.modified.len(), "modified"), (changes.deleted.len(), "deleted")];
    let counts: Vec<String> =
        counts.iter().filter(|(number, _)| *number > 0).map(|(number, what)| format!("{number} {what}")).collect();
    let names = changes
        .added
        .iter()
        .map(|file| ('+', &file.name))
        .chain(changes.modified.iter().map(|file| ('~', &file.name)))
        .chain(changes.deleted.iter().map(|name| ('-', name)));
    let total = names.clone().count();
    let listed = if ui.is_verbose() { usize::MAX } else { 5 };
    let first = format!("not deployed yet: {}", counts.join(", "));
    let rest = (total > listed).then(|| format!("… and {} more (`quickdeploy diff` lists all)", total - listed));
    let names = names.take(listed).map(|(mark, name)| format!("{mark} {}", printable(name)));
    std::iter::once(first).chain(names).chain(rest).collect()
}

fn zipedit_line(zipedit: &ZipeditStanding) -> String {
    if !zipedit.is_there {
        let instead = if zipedit.required { "patches need it" } else { "patches are made from here" };
        return format!("`{}`: there is no such function, {instead}", zipedit.name);
    }
    let day = zipedit.last_modified.as_deref().map(|time| format!("of {}", time.split('T').next().unwrap_or(time)));
    let stack = zipedit.stack.as_ref().map(|stack| format!("stack `{stack}`"));
    let details: Vec<String> = [zipedit.architecture.clone(), day, stack].into_iter().flatten().collect();
    let version = zipedit.version.as_ref().map_or_else(String::new, |version| format!(" {version}"));
    format!("the function `{}`{version} ({})", zipedit.name, details.join(", "))
}

fn table(standing: &Standing) -> Table {
    let length = short_length(&standing.versions);
    let now = SystemTime::now();
    let mut table = Table::new([("FUNCTION", Align::Left), ("STATE", Align::Left), ("RUNS", Align::Text)]);
    for function in &standing.functions {
        let version = function.version_id.as_ref().zip(function.versions_behind);
        let mut runs = match version {
            Some((id, at)) => {
                let age = standing.versions.get(at).map(|version| format!(" ({})", ago(version.modified, now)));
                let behind = if at == 0 { String::new() } else { format!(", {} behind", plural(at, "version")) };
                format!("{}{}{behind}", short(id, length), age.unwrap_or_default())
            }
            None => function
                .runs_from
                .clone()
                .unwrap_or_else(|| format!("code of {} that is no known version", bytes(function.code_size))),
        };
        if function.storage_mode == "REFERENCE" {
            runs.push_str(", REFERENCE");
        }
        if function.code_signing_enforced {
            runs.push_str(", code signing enforced");
        }
        table.row([function.name.clone(), word(function.state).to_owned(), runs]);
    }
    table
}

fn word(state: State) -> &'static str {
    match state {
        State::Live => "live",
        State::Unaffected => "not affected",
        State::Stale => "stale",
        State::InProgress => "in progress",
        State::Failed => "FAILED",
        State::Inactive => "INACTIVE",
        State::Image => "container image",
        State::Unknown => "unknown",
    }
}

fn trouble(state: State) -> &'static str {
    if state == State::Inactive { "is inactive" } else { "could not be updated" }
}

/// One line: whether anything is left to do.
fn summary(standing: &Standing) -> String {
    let mut parts = Vec::new();
    if let Some(changes) = standing.changes.as_ref().filter(|changes| !changes.is_empty()) {
        let files = changes.added.len() + changes.modified.len() + changes.deleted.len();
        parts.push(format!("{} not deployed", plural(files, "file")));
    }
    let total = standing.functions.len();
    let with = |state: State| standing.functions.iter().filter(|function| function.state == state).count();
    for state in [State::Stale, State::InProgress, State::Failed, State::Inactive, State::Image, State::Unknown] {
        match with(state) {
            0 => {}
            number => parts.push(format!("{number} of {} {}", plural(total, "function"), word(state).to_lowercase())),
        }
    }
    if !standing.errors.is_empty() {
        parts.push(format!("{} not answered", plural(standing.errors.len(), "question")));
    }
    let unaffected = with(State::Unaffected);
    let left = if unaffected == 0 { String::new() } else { format!(", {unaffected} not affected") };
    match parts.is_empty() {
        true => format!("nothing to do: {} live{left}", plural(total - unaffected, "function")),
        false => parts.join("; "),
    }
}

fn hints(standing: &Standing) -> Vec<String> {
    let mut hints = Vec::new();
    let with = |state: State| standing.functions.iter().any(|function| function.state == state);
    let name = standing.name.as_ref().map_or_else(String::new, |name| format!(" --artifact {name}"));
    let changed = standing.changes.as_ref().is_some_and(|changes| !changes.is_empty());
    match (changed, with(State::Stale) || with(State::Failed)) {
        (true, true) => {
            hints.push(format!("`quickdeploy deploy{name}` patches the artifact and updates the functions"));
        }
        (true, false) => hints.push(format!("`quickdeploy deploy{name}` makes the changes live")),
        (false, true) => hints.push(format!("`quickdeploy deploy{name}` updates the functions; the artifact stays")),
        (false, false) => {}
    }
    if with(State::Image) {
        hints.push("a container image can't be patched: take the function out of `functions`".to_owned());
    }
    let signed = |function: &&FunctionStanding| function.code_signing_enforced;
    if let Some(function) = standing.functions.iter().find(signed) {
        hints.push(format!(
            "`{}` takes only signed code, which a patched zip is not: deploy it by its pipeline",
            function.name
        ));
    }
    if standing.zipedit.as_ref().is_some_and(|zipedit| zipedit.required && !zipedit.is_there) {
        hints.push("deploy the zipedit function, or patch from here: `via = \"direct\"`".to_owned());
    }
    if let Some(zipedit) = standing.zipedit.as_ref().filter(|zipedit| zipedit.older) {
        hints.push(format!("`{}` is older than this quickdeploy ({OURS}): run `quickdeploy bootstrap`", zipedit.name));
    }
    let enabled = Versioning::Enabled.as_str();
    if let Some(artifact) = &standing.artifact
        && artifact.versioning.is_some_and(|state| state != enabled)
    {
        let bucket = standing.url.trim_start_matches("s3://").split('/').next().unwrap_or_default();
        hints.push(format!("without versions nothing can be rolled back: {}", versions::how_to_keep_versions(bucket)));
    }
    hints
}
