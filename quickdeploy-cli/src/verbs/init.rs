//! `quickdeploy init`: finds the artifact, its functions and how the local files lie in it, and writes
//! `quickdeploy.toml`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use crate::args::{self, Global};
use crate::aws::{Cloud, Place};
use crate::compare::{self, blocking, project_error};
use crate::error::{Error, Result};
use crate::init::config_text::ConfigText;
use crate::init::discovery::{Asked, Discovery, Given, Proposal, named};
use crate::init::infrastructure::stack_text;
use crate::init::live::Package;
use crate::init::locate::{State, Tried, fleeting};
use crate::init::proposal;
use crate::init::sources::{Source, Sources};
use crate::init::tree::{Analysis, HandlerFile, Tree};
use crate::project::{ArtifactEntry, CONFIG_FILE, Deletion, Project};
use crate::ui::{Align, Table, Ui, plural, printable};

/// The JSON document.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Document {
    command: &'static str,
    ok: bool,
    dry_run: bool,
    /// The file that was written; null with `--dry-run`.
    written: Option<PathBuf>,
    /// Its text.
    config: String,
    artifacts: Vec<ArtifactDocument>,
    /// Every place that was asked for an artifact, in order.
    tried: Vec<Tried>,
    /// What could not be found out.
    notes: Vec<String>,
}

/// One artifact that was found.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct ArtifactDocument {
    name: Option<String>,
    artifact: String,
    found_by: String,
    /// Whether the functions run what is there now.
    runs: bool,
    /// Whether it was put there by this run.
    adopted: bool,
    functions: Vec<FunctionDocument>,
    /// Local directory to place in the zip.
    map: Vec<(String, String)>,
    exclude: Vec<String>,
    /// Files here that the artifact has as they are.
    identical: usize,
    /// Files here that the artifact has with another content.
    different: Vec<String>,
    /// Files here that the artifact lacks and that are not excluded.
    new: Vec<String>,
    /// Files that are only in the artifact.
    only_in_artifact: usize,
}

/// One function, and where its handler is.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct FunctionDocument {
    name: String,
    handler: String,
    /// Its file in the zip.
    entry: Option<String>,
    /// Its file here.
    file: Option<String>,
}

pub(super) async fn run(ui: &Ui, global: &Global, args: &args::Init) -> Result<u8> {
    let here = std::env::current_dir()
        .map_err(|error| Error::new("File", "could not find out the current directory").because(&error))?;
    let file = here.join(CONFIG_FILE);
    let given = args.artifact.as_deref().map(str::parse::<Given>).transpose().map_err(Error::usage)?;
    refuse_to_overwrite(&file, args)?;

    let sources = Sources::look(&here, global.env.as_deref(), &|name| std::env::var(name).ok());
    let (asked, source) = ask(ui, args, &sources).await?;
    tell_sources(ui, &sources, source);
    let place = Place::of_flags(global).or(source.map_or_else(Place::default, |source| Place {
        profile: source.profile.clone(),
        region: source.region.clone(),
        endpoint_url: None,
        store_check: None,
    }));
    let cloud = Cloud::connect(place.clone()).await?;
    let discovery = Discovery {
        ui,
        cloud: &cloud,
        source,
        root: here.clone(),
        stack_given: args.stack.is_some(),
        adopt: args.adopt,
        yes: args.yes,
    };

    let found = {
        let _progress = ui.progress("Asking Lambda");
        discovery.find(&asked).await?
    };
    let mut notes = found.notes.clone();
    notes.extend(found.codes.problems.iter().cloned());
    for note in &notes {
        ui.warning(note, &[]);
    }
    let tree = {
        let _progress = ui.progress("Listing files");
        let built = source.map(|source| source.built.clone()).unwrap_or_default();
        let root = here.clone();
        blocking(move || Tree::read(&root, &built)).await?
    };
    let tree = Arc::new(tree);

    let mut tried = Vec::new();
    let mut proposals = Vec::new();
    for (package, candidate) in discovery.candidates(&found, given.as_ref(), &mut tried, &mut notes).await? {
        proposals.push(discovery.propose(package, candidate, &found, &tree).await?);
    }
    let packages: Vec<&Package> = proposals.iter().map(|proposal| &proposal.package).collect();
    if packages.len() > 1 {
        let names = proposal::names(&packages, source);
        for (proposal, name) in proposals.iter_mut().zip(names) {
            proposal.text.name = Some(name);
        }
    }
    for proposal in &proposals {
        tell(ui, proposal, proposals.len());
    }

    let stack = match proposals.as_slice() {
        [one] => stack_text(&here, source, &one.package),
        // Of several, which parameter belongs to which package is for people to say.
        _ => None,
    };
    let config = ConfigText {
        command: command_line(args),
        stack,
        region: cloud.region.clone(),
        profile: place.profile,
        endpoint_url: global.endpoint_url.clone(),
        artifacts: proposals.iter().map(|proposal| proposal.text.clone()).collect(),
        environments: source
            .map(|source| (source.environments_file.clone(), source.environments.clone()))
            .unwrap_or_default(),
    };
    let text = config.render();
    check(ui, &file, &text, &proposals).await?;
    let table = handlers_table(ui, &proposals);
    if args.dry_run {
        ui.aside(table);
        ui.result(text.trim_end());
    } else {
        discovery.adopt(&proposals).await?;
        write(&file, &text, args.force)?;
        ui.result(table);
        ui.status("Wrote", CONFIG_FILE);
        ui.detail("next: `quickdeploy diff`; then edit a file, and `quickdeploy`");
    }
    ui.document(&Document {
        command: "init",
        ok: true,
        dry_run: args.dry_run,
        written: (!args.dry_run).then_some(file),
        config: text,
        artifacts: proposals.iter().map(document).collect(),
        tried,
        notes,
    })?;
    Ok(0)
}

fn refuse_to_overwrite(file: &Path, args: &args::Init) -> Result<()> {
    if file.exists() && !args.force && !args.dry_run {
        return Err(Error::new("ConfigExists", format!("there is a {CONFIG_FILE} here already"))
            .hint("`--dry-run` shows what would be written, `--force` writes it over the old one"));
    }
    Ok(())
}

/// What to begin with: what the command line says, else what is here.
async fn ask<'s>(ui: &Ui, args: &args::Init, sources: &'s Sources) -> Result<(Asked, Option<&'s Source>)> {
    let knows = |name: &str| {
        sources.found.iter().find(|source| {
            source.stack.as_deref() == Some(name)
                || source.functions.iter().any(|function| function.name.as_deref() == Some(name))
        })
    };
    let only = || match sources.found.as_slice() {
        [source] => Some(source),
        _ => None,
    };
    if let Some(function) = &args.function {
        return Ok((Asked::Functions(vec![function.clone()]), knows(function).or_else(only)));
    }
    if let Some(stack) = &args.stack {
        return Ok((Asked::Stack(stack.clone()), knows(stack).or_else(only)));
    }
    let usable: Vec<&Source> = sources.found.iter().filter(|source| begin(source).is_some()).collect();
    let source = match usable.as_slice() {
        [] => return Err(nothing_here(sources)),
        [source] => *source,
        [first, ..] if args.yes => *first,
        several => {
            let labels: Vec<String> = several.iter().map(|source| source.label()).collect();
            match ui.choose("Which of these?", &labels).await? {
                Some(place) => several[place],
                None => {
                    let error = Error::usage("several tools' files are here: say which stack");
                    let stacks = several.iter().filter_map(|source| Some((source.stack.as_ref()?, &source.file)));
                    return Err(stacks.fold(error, |error, (stack, file)| {
                        error.hint(format!("`quickdeploy init --stack {stack}` for {file}"))
                    }));
                }
            }
        }
    };
    Ok((begin(source).ok_or_else(|| nothing_here(sources))?, Some(source)))
}

/// A source's stack, or the functions that it names.
fn begin(source: &Source) -> Option<Asked> {
    match &source.stack {
        Some(stack) => Some(Asked::Stack(stack.clone())),
        None => Some(Asked::Functions(named(source))).filter(|_| !named(source).is_empty()),
    }
}

fn nothing_here(sources: &Sources) -> Error {
    let error = Error::usage("which function? No file of SAM, CloudFormation, Serverless or CDK here names a stack");
    let unknown = sources.found.iter().flat_map(|source| &source.unknown).chain(&sources.problems);
    unknown
        .fold(error, |error, unknown| error.cause(unknown.clone()))
        .hint("`quickdeploy init FUNCTION` begins with a Lambda function, `--stack STACK` with all of a stack")
}

/// Tells what was found of one of so many artifacts.
fn tell(ui: &Ui, proposal: &Proposal, of: usize) {
    let Proposal { candidate, analysis, .. } = proposal;
    ui.status("Located", &candidate.url);
    let place = if proposal.adopted { "it will be put there" } else { &candidate.state.said() };
    ui.detail(format!("by {}: {place}", candidate.from));
    if let State::Differs(_) = &candidate.state {
        let name = proposal.package.names()[0];
        ui.warning(
            format!("`{name}` does not run what is in {}", candidate.url),
            &[
                "the next `quickdeploy` takes it there: what runs now and this artifact lacks is lost".to_owned(),
                format!(
                    "to begin with what runs: `quickdeploy init {name} --artifact s3://BUCKET/KEY.zip --adopt --force`"
                ),
            ],
        );
    }
    if let Some(why) = fleeting(&candidate.url.key) {
        // Of several, each gets a name of its own below the prefix.
        let own = if of > 1 { String::new() } else { format!("{}.zip", proposal.package.names()[0]) };
        ui.warning(
            format!("{} may not stay the artifact: {why}", candidate.url),
            &[
                "a patch changes the object under that name: a tool that finds the name may not upload its own again"
                    .to_owned(),
                format!(
                    "better, give it a name that stays: `--adopt --artifact s3://{}/quickdeploy/{own}`",
                    candidate.url.bucket
                ),
            ],
        );
    }
    let found = &analysis.mapping;
    let mut counts = vec![format!("{} as they are", found.identical.len())];
    if !found.different.is_empty() {
        counts.push(format!("{} differ", found.different.len()));
    }
    if !analysis.excludes.new.is_empty() {
        counts.push(format!("{} new", analysis.excludes.new.len()));
    }
    let all = found.identical.len() + found.different.len() + analysis.excludes.new.len();
    ui.status("Compared", format!("{} here with it: {}", plural(all, "file"), counts.join(", ")));
    for (local, prefix) in &found.rules {
        let local = if local.is_empty() { "." } else { local };
        let place = if prefix.is_empty() { "the top of the zip" } else { prefix };
        ui.detail(format!("{} -> {}", printable(local), printable(place)));
    }
    let excluded: Vec<String> = analysis
        .excludes
        .patterns
        .iter()
        .map(|exclude| format!("{} ({})", printable(&exclude.pattern), exclude.files))
        .collect();
    if !excluded.is_empty() {
        ui.detail(ui.fitting(&format!("left out: {}", excluded.join(", "))));
    }
    if !found.only_in_zip.is_empty() {
        ui.detail(format!(
            "{} only in the artifact: dependencies, or what a build made",
            plural(found.only_in_zip.len(), "file")
        ));
    }
    if analysis.built {
        ui.detail("it holds built code: build before you deploy");
    }
}

/// Reads the text as the project does, and says what `quickdeploy diff` will say.
async fn check(ui: &Ui, file: &Path, text: &str, proposals: &[Proposal]) -> Result<()> {
    let projects = Project::of_text(file, text, None).map_err(|error| project_error(&error))?;
    for (project, proposal) in projects.into_iter().zip(sorted(proposals)) {
        let (entries, url) = (proposal.entries.clone(), proposal.candidate.url.to_string());
        let diff = blocking(move || {
            let entries: Vec<ArtifactEntry<'_>> = entries
                .iter()
                .map(|entry| ArtifactEntry { name: &entry.name, size: entry.size, crc32: entry.crc32, is_dir: false })
                .collect();
            project.scan(&url)?.diff(&entries, Deletion::Owned)
        })
        .await?;
        if !diff.is_empty() {
            ui.detail(format!("the next `quickdeploy` would patch {}:", compare::counts(&diff)));
            compare::tell(ui, &diff);
        }
    }
    Ok(())
}

fn tell_sources(ui: &Ui, sources: &Sources, chosen: Option<&Source>) {
    for problem in &sources.problems {
        ui.warning(problem, &[]);
    }
    if let Some(source) = chosen {
        ui.status("Read", source.label());
        for unknown in &source.unknown {
            ui.verbose(unknown);
        }
    }
}

/// As the configuration orders them: by name.
fn sorted(proposals: &[Proposal]) -> Vec<&Proposal> {
    let mut sorted: Vec<&Proposal> = proposals.iter().collect();
    sorted.sort_by_key(|proposal| proposal.text.name.clone());
    sorted
}

fn handlers_table(ui: &Ui, proposals: &[Proposal]) -> String {
    let mut table = Table::new([("FUNCTION", Align::Left), ("HANDLER", Align::Left), ("FILE", Align::Left)]);
    for HandlerFile { function, handler, entry, path } in
        proposals.iter().flat_map(|proposal| &proposal.analysis.handlers)
    {
        let file = match (path, entry) {
            (Some(path), _) => printable(path).into_owned(),
            (None, Some(entry)) => format!("{} in the zip only", printable(entry)),
            (None, None) => "not in the zip".to_owned(),
        };
        table.row([function.clone(), printable(handler).into_owned(), file]);
    }
    table.render(ui.width())
}

fn document(proposal: &Proposal) -> ArtifactDocument {
    let Analysis { mapping, excludes, handlers, .. } = &proposal.analysis;
    ArtifactDocument {
        name: proposal.text.name.clone(),
        artifact: proposal.candidate.url.to_string(),
        found_by: proposal.candidate.from.clone(),
        runs: proposal.candidate.state == State::Runs,
        adopted: proposal.adopted,
        functions: handlers
            .iter()
            .map(|handler| FunctionDocument {
                name: handler.function.clone(),
                handler: handler.handler.clone(),
                entry: handler.entry.clone(),
                file: handler.path.clone(),
            })
            .collect(),
        map: mapping.rules.clone(),
        exclude: excludes.patterns.iter().map(|exclude| exclude.pattern.clone()).collect(),
        identical: mapping.identical.len(),
        different: mapping.different.clone(),
        new: excludes.new.clone(),
        only_in_artifact: mapping.only_in_zip.len(),
    }
}

/// The command as it is repeated in the file.
fn command_line(args: &args::Init) -> String {
    let what = match (&args.function, &args.stack) {
        (Some(function), _) => format!(" {function}"),
        (None, Some(stack)) => format!(" --stack {stack}"),
        (None, None) => String::new(),
    };
    format!("quickdeploy init{what}")
}

/// All of the file or nothing of it.
fn write(file: &Path, text: &str, force: bool) -> Result<()> {
    let failed = |error: &std::io::Error| Error::file("write", file, error);
    let directory = file.parent().unwrap_or(Path::new("."));
    let mut new =
        tempfile::Builder::new().prefix(".quickdeploy-").tempfile_in(directory).map_err(|error| failed(&error))?;
    new.write_all(text.as_bytes()).map_err(|error| failed(&error))?;
    // A temporary file is its owner's only; this one is everybody's who has the project.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::Permissions::from_mode(0o644);
        new.as_file().set_permissions(mode).map_err(|error| failed(&error))?;
    }
    if force {
        new.persist(file).map_err(|error| failed(&error.error))?;
    } else {
        new.persist_noclobber(file).map_err(|error| failed(&error.error))?;
    }
    Ok(())
}
