//! `quickdeploy init`: finds the artifact, its functions and how the local files lie in it, and writes
//! `quickdeploy.toml`.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::args::{self, Global};
use crate::aws::{Cloud, Place};
use crate::compare::{self, blocking, project_error};
use crate::error::{Error, Result};
use crate::init::adopt::{adopt, has_versions};
use crate::init::config_text::{ArtifactText, ConfigText};
use crate::init::live::{self, Package};
use crate::init::locate::{self, Candidate, Located, State, Tried, Wanted, fleeting};
use crate::init::mapping::Entry;
use crate::init::proposal;
use crate::init::search::Area;
use crate::init::sources::{Source, Sources};
use crate::init::tree::{self, Analysis, HandlerFile, Tree};
use crate::project::{ArtifactEntry, ArtifactUrl, CONFIG_FILE, Deletion, Project};
use crate::ui::{Align, Table, Ui, bytes, plural, printable, short_sha};

/// Only so many names are told in one line without `-v`.
const LISTED: usize = 8;

/// The JSON document.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
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
#[serde(rename_all = "camelCase")]
struct FunctionDocument {
    name: String,
    handler: String,
    /// Its file in the zip.
    entry: Option<String>,
    /// Its file here.
    file: Option<String>,
}

/// What to begin with.
enum Asked {
    Functions(Vec<String>),
    Stack(String),
}

/// One artifact that was found, with everything that is known of it.
struct Proposal {
    package: Package,
    candidate: Candidate,
    adopted: bool,
    entries: Vec<Entry>,
    analysis: Analysis,
    text: ArtifactText,
}

pub(super) async fn run(ui: &Ui, global: &Global, args: &args::Init) -> Result<u8> {
    let here = std::env::current_dir()
        .map_err(|error| Error::new("File", "could not find out the current directory").because(&error))?;
    let file = here.join(CONFIG_FILE);
    let given = args.artifact.as_deref().map(str::parse::<ArtifactUrl>).transpose().map_err(Error::usage)?;
    refuse_to_overwrite(&file, args)?;

    let sources = Sources::look(&here, global.env.as_deref(), &|name| std::env::var(name).ok());
    let (asked, source) = ask(ui, args, &sources).await?;
    tell_sources(ui, &sources, source);
    let place = Place::of_flags(global).or(source.map_or_else(Place::default, |source| Place {
        profile: source.profile.clone(),
        region: source.region.clone(),
        endpoint_url: None,
    }));
    let cloud = Cloud::connect(place.clone()).await?;
    let init = Init { ui, args, cloud: &cloud, source, root: here.clone() };

    let found = {
        let _progress = ui.progress("Asking Lambda");
        init.find(&asked).await?
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
    let tree = std::sync::Arc::new(tree);

    let mut tried = Vec::new();
    let mut proposals = Vec::new();
    for (package, candidate) in init.candidates(&found, given.as_ref(), &mut tried, &mut notes).await? {
        proposals.push(init.propose(package, candidate, &found, &tree).await?);
    }
    let packages: Vec<&Package> = proposals.iter().map(|proposal| &proposal.package).collect();
    if packages.len() > 1 {
        let names = proposal::names(&packages, source);
        for (proposal, name) in proposals.iter_mut().zip(names) {
            proposal.text.name = Some(name);
        }
    }
    for proposal in &proposals {
        init.tell(proposal);
    }

    let config = ConfigText {
        command: command_line(args),
        region: cloud.region.clone(),
        profile: place.profile,
        endpoint_url: global.endpoint_url.clone(),
        artifacts: proposals.iter().map(|proposal| proposal.text.clone()).collect(),
        environments: source.map(|source| (source.file.clone(), source.environments.clone())).unwrap_or_default(),
    };
    let text = config.render();
    init.check(&file, &text, &proposals).await?;
    let table = handlers_table(ui, &proposals);
    if args.dry_run {
        ui.aside(table);
        ui.result(text.trim_end());
    } else {
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

fn named(source: &Source) -> Vec<String> {
    source.functions.iter().filter_map(|function| function.name.clone()).collect()
}

fn nothing_here(sources: &Sources) -> Error {
    let error = Error::usage("which function? No file of SAM, CloudFormation, Serverless or CDK here names a stack");
    let unknown = sources.found.iter().flat_map(|source| &source.unknown).chain(&sources.problems);
    unknown
        .fold(error, |error, unknown| error.cause(unknown.clone()))
        .hint("`quickdeploy init FUNCTION` begins with a Lambda function, `--stack STACK` with all of a stack")
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

struct Init<'a> {
    ui: &'a Ui,
    args: &'a args::Init,
    cloud: &'a Cloud,
    source: Option<&'a Source>,
    root: PathBuf,
}

impl<'a> Init<'a> {
    /// What runs.
    async fn find(&self, asked: &Asked) -> Result<live::Found> {
        match asked {
            Asked::Functions(names) => live::by_functions(self.cloud, names).await,
            Asked::Stack(stack) => match live::by_stack(self.cloud, stack).await {
                // Who may not ask CloudFormation may still ask Lambda, if a file names the functions.
                Err(error) if error.error_type() == "AccessDenied" => match self.source.map(named) {
                    Some(names) if !names.is_empty() => {
                        let mut found = live::by_functions(self.cloud, &names).await?;
                        found.notes.push(format!("the stack is not looked at: {error}"));
                        Ok(found)
                    }
                    _ => Err(error.hint("or begin with a function: `quickdeploy init FUNCTION`")),
                },
                Err(error) if error.error_type() == "StackNotFound" && self.args.stack.is_none() => {
                    let file = self.source.map_or("the file", |source| source.file.as_str());
                    Err(error
                        .hint(format!("{file} names it: deploy it once by its own tool, or give `--stack` or `--env`")))
                }
                found => found,
            },
        }
    }

    /// The artifact of every package that has one.
    async fn candidates(
        &self,
        found: &live::Found,
        given: Option<&ArtifactUrl>,
        tried: &mut Vec<Tried>,
        notes: &mut Vec<String>,
    ) -> Result<Vec<(Package, Candidate)>> {
        if let Some(url) = given {
            let (package, candidate) = self.given(&found.packages, url).await?;
            tried.push(Tried::new(format!("`--artifact {url}`"), said(&candidate.state)));
            return Ok(vec![(package.clone(), candidate)]);
        }
        let mut chosen: Vec<(Package, Candidate)> = Vec::new();
        let mut failed = Vec::new();
        for package in &found.packages {
            self.tell_package(package);
            let areas: Vec<Area> = self
                .source
                .and_then(|source| Some((source, source.packages.clone()?)))
                .map(|(source, (bucket, prefix))| Area { bucket, prefix, from: format!("{}'s bucket", source.file) })
                .into_iter()
                .collect();
            let templates =
                package.functions.iter().filter_map(|live| found.codes.code.get(&live.function.name).cloned());
            let wanted = Wanted { package, templates: templates.collect(), areas: &areas };
            let located = locate::locate(self.ui, self.cloud, &wanted).await;
            for tried in &located.tried {
                self.ui.verbose(tried);
            }
            let candidate = self.choose(package, &located).await;
            tried.extend(located.tried);
            match candidate {
                Ok(candidate) => merge(&mut chosen, package.clone(), candidate),
                Err(error) => failed.push(error),
            }
        }
        match failed.pop() {
            Some(error) if chosen.is_empty() => Err(error),
            last => {
                for error in failed.into_iter().chain(last) {
                    self.ui.warning(error.message(), error.hints());
                    notes.push(error.to_string());
                }
                Ok(chosen)
            }
        }
    }

    /// The object that the command line names, and the package that it is about.
    async fn given<'f>(&self, packages: &'f [Package], url: &ArtifactUrl) -> Result<(&'f Package, Candidate)> {
        let mut states = Vec::new();
        for package in packages {
            states.push((package, locate::compare(self.cloud, url, package).await));
        }
        let running = states.iter().position(|(_, state)| *state == State::Runs);
        let place = match (running, states.as_slice()) {
            (Some(place), _) => place,
            (None, [_]) => 0,
            (None, states) => {
                let names: Vec<String> =
                    states.iter().map(|(package, _)| format!("`{}`", package.names()[0])).collect();
                return Err(Error::usage(format!(
                    "{url} is none of the {} packages that the stack's functions run",
                    states.len()
                ))
                .hint(format!("begin with one function, such as {}, instead of the stack", names.join(", "))));
            }
        };
        let (package, state) = states.swap_remove(place);
        self.tell_package(package);
        let missing = matches!(&state, State::Unusable(why) if why == locate::NO_SUCH_OBJECT);
        let candidate = Candidate { url: url.clone(), from: "`--artifact`".to_owned(), state };
        match &candidate.state {
            State::Runs | State::Differs(_) if !self.args.adopt => {}
            State::Runs => {}
            State::Differs(why) => {
                return Err(Error::new("ArtifactExists", format!("{url} is there already, with other code ({why})"))
                    .hint("choose another key, or leave `--adopt` away to take it as it is"));
            }
            State::Unusable(_) if missing && self.args.adopt => {}
            State::Unusable(why) => {
                let error = Error::new("ArtifactNotFound", format!("{url} can't be used: {why}"));
                return Err(if missing {
                    error.hint("`--adopt` puts the package there that the functions run now")
                } else {
                    error.hint("check the bucket's name, its region, and that you may read it")
                });
            }
        }
        Ok((package, candidate))
    }

    /// One of those that were located.
    async fn choose(&self, package: &Package, located: &Located) -> Result<Candidate> {
        // A name that stays comes first.
        let mut running: Vec<&Candidate> = located.running.iter().collect();
        running.sort_by_key(|candidate| fleeting(&candidate.url.key).is_some());
        match running.as_slice() {
            [] => {}
            [one] => return Ok((*one).clone()),
            [first, ..] if self.args.yes => return Ok((*first).clone()),
            several => {
                let urls: Vec<String> = several.iter().map(|candidate| candidate.url.to_string()).collect();
                let question = format!("`{}` runs what lies in {} places. Which one?", package.names()[0], urls.len());
                return match self.ui.choose(&question, &urls).await? {
                    Some(place) => Ok(several[place].clone()),
                    None => {
                        let error = Error::usage(format!(
                            "the package that `{}` runs lies in several places: say which one is deployed from",
                            package.names()[0]
                        ));
                        Err(urls.iter().fold(error, |error, url| error.hint(format!("`--artifact {url}`"))))
                    }
                };
            }
        }
        match located.others.first() {
            Some(other) => {
                let name = package.names()[0];
                self.ui.warning(
                    format!("{} is not what `{name}` runs: {}", other.url, said(&other.state)),
                    &[
                        "the next `quickdeploy` brings the functions to this artifact: what they run now and it lacks is lost"
                            .to_owned(),
                        format!(
                            "to begin with what runs: `quickdeploy init {name} --artifact s3://BUCKET/KEY.zip --adopt --force`"
                        ),
                    ],
                );
                Ok(other.clone())
            }
            None => Err(locate::nothing_found(package, &located.tried)),
        }
    }

    /// Compares the artifact with the local files.
    async fn propose(
        &self,
        package: Package,
        mut candidate: Candidate,
        found: &live::Found,
        tree: &std::sync::Arc<Tree>,
    ) -> Result<Proposal> {
        let adopting = matches!(candidate.state, State::Unusable(_));
        let directory = if adopting && self.args.dry_run {
            self.ui.status("Would put", format!("what the functions run to {}", candidate.url));
            let code = package.functions.iter().find_map(|live| live.code.as_ref());
            let code = code.ok_or_else(|| Error::new("LiveCode", "Lambda does not give the package out"))?;
            code.directory(package.size).await?
        } else {
            if adopting {
                let progress = self.ui.progress("Adopting the package");
                adopt(self.cloud, &package, &candidate.url).await?;
                drop(progress);
                self.ui.status(
                    "Adopted",
                    format!("what the functions run, {}, as {}", bytes(package.size), candidate.url),
                );
            }
            let store = zipedit::S3Store::new(self.cloud.s3.clone(), &candidate.url.bucket, &candidate.url.key);
            let opened = zipedit::open(&store).await.map_err(|error| self.cloud.explain_engine(&error))?;
            opened.directory().clone()
        };
        if adopting {
            candidate.state = State::Runs;
            candidate.from = "`--adopt`, from what the functions ran".to_owned();
        }
        let entries = tree::entries(&directory);
        let (handlers, hints) = (proposal::handlers(&package), proposal::hints(&package, self.source));
        let analysis = {
            let (tree, entries) = (tree.clone(), entries.clone());
            blocking(move || tree.analyse(&entries, &handlers, &hints)).await?
        };
        if analysis.mapping.rules.is_empty() {
            return Err(self.nothing_in_common(&package, &candidate, tree));
        }
        let build = self.source.and_then(|source| source.build.clone()).or_else(|| npm_build(&self.root));
        let mut text = proposal::text(None, &package, &found.codes, &candidate, &analysis, build);
        if has_versions(self.cloud, &candidate.url.bucket).await == Some(false) {
            text.about.push("Its bucket keeps no versions: `quickdeploy rollback` needs them.".to_owned());
        }
        Ok(Proposal { package, candidate, adopted: adopting, entries, analysis, text })
    }

    fn nothing_in_common(&self, package: &Package, candidate: &Candidate, tree: &Tree) -> Error {
        Error::new(
            "NothingInCommon",
            format!("none of the {} below {} is in {}", plural(tree.len(), "file"), self.root.display(), candidate.url),
        )
        .hint(format!("run this in the directory of the project that `{}` is built from", package.names()[0]))
        .hint("if the artifact holds built code, build it first, so that what was built can be found here")
    }

    fn tell_package(&self, package: &Package) {
        let names = package.names();
        let what = match names.as_slice() {
            [name] => format!("`{name}`"),
            names => format!("{} that run the same package", plural(names.len(), "function")),
        };
        self.ui.status("Found", format!("{what}: {}, {}", bytes(package.size), short_sha(&package.sha256)));
        if names.len() > 1 {
            let limit = if self.ui.is_verbose() { usize::MAX } else { LISTED };
            let mut line = names.iter().take(limit).copied().collect::<Vec<_>>().join(", ");
            if names.len() > limit {
                line.push_str(&format!(" and {} more", names.len() - limit));
            }
            self.ui.detail(line);
        }
    }

    fn tell(&self, proposal: &Proposal) {
        let Proposal { candidate, analysis, .. } = proposal;
        let ui = self.ui;
        ui.status("Located", &candidate.url);
        ui.detail(format!("by {}: {}", candidate.from, said(&candidate.state)));
        if let Some(why) = fleeting(&candidate.url.key) {
            ui.warning(
                format!("{} may not stay the artifact: {why}", candidate.url),
                &[
                    "a patch changes the object under that name: a tool that finds the name may not upload its own again"
                        .to_owned(),
                    format!(
                        "better, give it a name of its own: `quickdeploy init {} --artifact s3://{}/quickdeploy/{}.zip --adopt`",
                        proposal.package.names()[0],
                        candidate.url.bucket,
                        proposal.package.names()[0]
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
    async fn check(&self, file: &Path, text: &str, proposals: &[Proposal]) -> Result<()> {
        let projects = Project::of_text(file, text, None).map_err(|error| project_error(&error))?;
        for (project, proposal) in projects.into_iter().zip(sorted(proposals)) {
            let (entries, url) = (proposal.entries.clone(), proposal.candidate.url.to_string());
            let diff = blocking(move || {
                let entries: Vec<ArtifactEntry<'_>> = entries
                    .iter()
                    .map(|entry| ArtifactEntry {
                        name: &entry.name,
                        size: entry.size,
                        crc32: entry.crc32,
                        is_dir: false,
                    })
                    .collect();
                project.scan(&url)?.diff(&entries, Deletion::Owned)
            })
            .await?;
            if !diff.is_empty() {
                self.ui.detail(format!("the next `quickdeploy` would patch {}:", compare::counts(&diff)));
                compare::tell(self.ui, &diff);
            }
        }
        Ok(())
    }
}

/// Adds a package and its artifact. Functions whose artifact is already there, but that run other code, belong to that one:
/// one object has one table.
fn merge(chosen: &mut Vec<(Package, Candidate)>, package: Package, candidate: Candidate) {
    match chosen.iter_mut().find(|(_, known)| known.url == candidate.url) {
        None => chosen.push((package, candidate)),
        Some((known, of)) => {
            let (mut all, other) = if candidate.state == State::Runs {
                of.state = State::Runs;
                (package, known.clone())
            } else {
                (known.clone(), package)
            };
            all.functions.extend(other.functions);
            all.functions.sort_by(|a, b| a.function.name.cmp(&b.function.name));
            *known = all;
        }
    }
}

/// As the configuration orders them: by name.
fn sorted(proposals: &[Proposal]) -> Vec<&Proposal> {
    let mut sorted: Vec<&Proposal> = proposals.iter().collect();
    sorted.sort_by_key(|proposal| proposal.text.name.clone());
    sorted
}

fn said(state: &State) -> String {
    match state {
        State::Runs => "it is what the functions run".to_owned(),
        State::Differs(why) => format!("the functions run other code ({why})"),
        State::Unusable(why) => why.clone(),
    }
}

/// `npm run build`, where `package.json` has such a script.
fn npm_build(root: &Path) -> Option<String> {
    let text = std::fs::read_to_string(root.join("package.json")).ok()?;
    let package: serde_json::Value = serde_json::from_str(&text).ok()?;
    package.pointer("/scripts/build").is_some().then(|| "npm run build".to_owned())
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
