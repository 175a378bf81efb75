//! `quickdeploy demo`: all of it on this machine, from a project's directory to functions that answer with an edit.
//!
//! The cloud is local and the project is a copy; everything between them is the real thing: the SDK clients over HTTP,
//! the deploy that `quickdeploy` does, and the zipedit function as a process that speaks the Lambda Runtime API.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use local_cloud::LocalCloud;
use owo_colors::OwoColorize;
use serde::Serialize;

use super::local::start_error;
use super::{deploy, zipedit_function};
use crate::args;
use crate::aws::Cloud;
use crate::compare::{background_is_quiet, blocking, in_background, project_error};
use crate::demo::{Answer, Edit, Example, Handler, Stage, Traffic, copy_project, find_handlers, write_example};
use crate::deployment::{Deploy, Deployment};
use crate::error::{Error, Result};
use crate::interrupt::Interrupts;
use crate::project::{Affected, ArtifactUrl, CONFIG_FILE, Deletion, Functions, Project, STATE_DIR, Via};
use crate::ui::{Align, Table, Ui, bytes, duration, plural};
use crate::via::DEFAULT_FUNCTION;

const REGION: &str = "us-east-1";
const FUNCTIONS: usize = 4;

/// The JSON document.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Document {
    command: &'static str,
    ok: bool,
    edited: String,
    functions: Vec<FunctionDocument>,
    traffic: Traffic,
    deploy: Deploy,
}

/// One function, before and after the edit.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct FunctionDocument {
    name: String,
    handler: Option<String>,
    answer_before: Option<String>,
    answer_after: Option<String>,
}

pub(super) async fn run(ui: &Ui, args: &args::Demo) -> Result<u8> {
    let interrupts = Interrupts::listen();
    if let Some(directory) = args.dir.as_deref() {
        check_directory(directory)?;
    }
    let builtin = zipedit_function::function(args.bootstrap.as_deref())?;
    let copy = Copy::new(args.dir.as_deref())?;
    let server = super::zipedit_function::cloud(builtin).start().await.map_err(|error| start_error(&error))?;
    let told = tokio::select! {
        told = tell(ui, args, &copy, &server) => told.map_err(|error| copy.of_the_original(error)),
        () = interrupts.nth(1) => {
            Err(Error::new("Interrupted", "the demo was interrupted; nothing of it is left behind"))
        }
    };
    // Function processes end here, whatever happened, and so does what still writes into the copy.
    tokio::select! {
        ((), ()) = async { tokio::join!(server.shutdown(), background_is_quiet()) } => {}
        () = interrupts.nth(2) => {}
    }
    told
}

fn check_directory(directory: &Path) -> Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    let is = if directory.exists() { "is not a directory" } else { "does not exist" };
    Err(Error::usage(format!("`{}` {is}", directory.display())).hint("give the directory of a project"))
}

async fn tell(ui: &Ui, args: &args::Demo, copy: &Copy, server: &LocalCloud) -> Result<u8> {
    let start = Instant::now();
    let cloud = Cloud::local(&server.endpoint(), REGION);
    ui.status("Started", format!("S3 and Lambda on {}", server.endpoint()));
    ui.detail("for this demo only; no AWS account is used");

    copy.fill(ui).await?;
    let project = copy.project()?;
    let cast = Cast::of(&project, copy.is_example).await?;

    let artifact = ArtifactUrl { bucket: "quickdeploy-demo".to_owned(), key: "artifact.zip".to_owned() };
    let stage = Stage { cloud: &cloud, artifact: &artifact };
    package(ui, &project, &stage).await?;
    cast.create(ui, &stage).await?;
    let before = cast.call(ui, &stage).await?;
    show_answers(ui, &cast, &before, None);

    let edit = Edit::make(copy.path(), copy.is_example, cast.roles.iter().find_map(|role| role.handler.as_ref()))?;
    ui.aside("");
    edit.show(ui);

    server.clear_requests();
    ui.aside(format!("\n{} quickdeploy", "$".dimmed()));
    let deployment = Deployment {
        ui,
        cloud: &cloud,
        project: &project,
        artifact: artifact.clone(),
        functions: Functions::Names(cast.roles.iter().map(|role| role.name.clone()).collect()),
        via: Via::Lambda,
        zipedit: DEFAULT_FUNCTION.to_owned(),
        deletion: Deletion::Owned,
        dry_run: false,
        only: Vec::new(),
        affected: Affected::All,
    };
    let deploy = deployment.carry_out(&Interrupts::never()).await?;
    let traffic = Traffic::of(&server.requests());
    deploy::show(ui, &deploy);

    let after = cast.call(ui, &stage).await?;
    ui.aside("");
    show_answers(ui, &cast, &after, Some(&edit.mark));
    traffic.show(ui, deploy.artifact.size);
    let ok = deploy.exit_code() == 0;
    if ok {
        farewell(ui, args.dir.as_deref(), start.elapsed());
    }
    ui.document(&Document {
        command: "demo",
        ok,
        edited: edit.file.clone(),
        functions: cast.documents(&before, &after),
        traffic,
        deploy,
    })?;
    Ok(u8::from(!ok))
}

/// The project that is edited: a copy of the user's, or the example.
struct Copy {
    /// `None`: the example.
    original: Option<PathBuf>,
    directory: tempfile::TempDir,
    state: tempfile::TempDir,
    is_example: bool,
}

impl Copy {
    /// An empty directory, to be filled.
    fn new(original: Option<&Path>) -> Result<Self> {
        let temporary = || {
            tempfile::Builder::new()
                .prefix("quickdeploy-demo-")
                .tempdir()
                .map_err(|error| Error::file("create a directory in", &std::env::temp_dir(), &error))
        };
        Ok(Self {
            original: original.map(Path::to_owned),
            directory: temporary()?,
            state: temporary()?,
            is_example: original.is_none(),
        })
    }

    async fn fill(&self, ui: &Ui) -> Result<()> {
        let to = self.path().to_owned();
        match self.original.clone() {
            Some(from) => {
                let progress = ui.progress("Copying");
                let told = from.display().to_string();
                in_background(move || copy_project(&from, &to)).await??;
                drop(progress);
                ui.status("Copied", format!("{told} to a temporary directory;"));
                ui.detail("the original is not touched");
            }
            None => {
                in_background(move || write_example(&to)).await??;
                ui.status("Wrote", "the example: a Node.js project with two handlers that share a file,");
                ui.detail(format!("and {} that stand in for its dependencies", bytes(Example::STAND_IN)));
            }
        }
        Ok(())
    }

    /// The error with the original's paths: the copy's are gone by the time that anyone reads them.
    fn of_the_original(&self, error: Error) -> Error {
        let Some(original) = &self.original else { return error };
        let paths = [Some(self.path().to_owned()), self.path().canonicalize().ok()];
        paths
            .into_iter()
            .flatten()
            .fold(error, |error, path| error.renamed(&path.display().to_string(), &original.display().to_string()))
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// With the user's mapping and excludes, where there is a configuration.
    fn project(&self) -> Result<Project> {
        let file = self.path().join(CONFIG_FILE);
        let project = if file.is_file() {
            // Of several artifacts, the first one is shown.
            Project::load(&file, None).map(|mut projects| projects.swap_remove(0))
        } else {
            Project::of_directory(self.path(), Some(&self.state.path().join(STATE_DIR)))
        };
        let project = project.map_err(|error| project_error(&error))?;
        let root = &project.settings().root;
        let inside = self.path().canonicalize().is_ok_and(|path| root.starts_with(path));
        if inside {
            return Ok(project);
        }
        Err(Error::new(
            "Config",
            format!("the project's root, {}, is outside the directory that was copied", root.display()),
        )
        .hint("give the root itself: `quickdeploy demo ROOT`"))
    }
}

/// A function to be, and its handler, if it can be called.
struct Role {
    name: String,
    handler: Option<Handler>,
}

/// The functions of the demo.
struct Cast {
    roles: Vec<Role>,
    is_example: bool,
}

impl Cast {
    /// Four functions from the project's handlers, again from the first when there are fewer.
    async fn of(project: &Project, is_example: bool) -> Result<Self> {
        let scanned = {
            let project = project.clone();
            blocking(move || project.scan("demo")?.diff(&[], Deletion::Owned)).await?
        };
        let handlers = find_handlers(scanned.added.iter().map(|file| (file.name.as_str(), file.path.as_path())));
        let names = handlers.iter().map(Handler::function_name);
        let roles = if handlers.is_empty() {
            (1..=FUNCTIONS).map(|number| Role { name: format!("function-{number}"), handler: None }).collect()
        } else {
            let names: Vec<String> = names.collect();
            (0..FUNCTIONS).map(|place| role(place, &names, &handlers)).collect()
        };
        Ok(Self { roles, is_example })
    }

    /// Whether this machine can run the handler.
    fn callable(&self, role: &Role) -> bool {
        role.handler.as_ref().is_some_and(|handler| on_path(handler.language.interpreter()))
    }

    async fn create(&self, ui: &Ui, stage: &Stage<'_>) -> Result<()> {
        let progress = ui.progress("Creating");
        let environment: &[(&str, &str)] = if self.is_example { &Example::ENVIRONMENT } else { &[] };
        let create = self.roles.iter().map(|role| stage.create(&role.name, role.handler.as_ref(), environment));
        futures::future::try_join_all(create).await?;
        drop(progress);
        ui.status("Created", format!("{} functions from it", self.roles.len()));
        if !self.roles.iter().any(|role| self.callable(role)) {
            let why = match self.roles.iter().find_map(|role| role.handler.as_ref()) {
                Some(handler) => format!("`{}` is not installed", handler.language.interpreter()),
                None => "no file exports a Node.js or Python handler".to_owned(),
            };
            ui.warning(format!("the functions can be deployed here, but not called: {why}"), &[]);
        }
        Ok(())
    }

    /// Calls every function that can be called, all at once: each has a process of its own.
    async fn call(&self, ui: &Ui, stage: &Stage<'_>) -> Result<Vec<Option<Answer>>> {
        let _progress = ui.progress("Calling");
        let event = if self.is_example { Example::EVENT } else { "{}" };
        let calls = self.roles.iter().map(async |role| {
            if self.callable(role) { stage.call(&role.name, event).await.map(Some) } else { Ok(None) }
        });
        futures::future::try_join_all(calls).await
    }

    fn documents(&self, before: &[Option<Answer>], after: &[Option<Answer>]) -> Vec<FunctionDocument> {
        let text = |answer: &Option<Answer>| answer.as_ref().map(|answer| answer.text.clone());
        let answers = before.iter().zip(after);
        self.roles
            .iter()
            .zip(answers)
            .map(|(role, (before, after))| FunctionDocument {
                name: role.name.clone(),
                handler: role.handler.as_ref().map(Handler::id),
                answer_before: text(before),
                answer_after: text(after),
            })
            .collect()
    }
}

/// The function at `place`. Names that occur again get a number.
fn role(place: usize, names: &[String], handlers: &[Handler]) -> Role {
    let turn = place % handlers.len();
    let same = (0..place).filter(|earlier| names[earlier % handlers.len()] == names[turn]).count();
    let name = if same == 0 { names[turn].clone() } else { format!("{}-{}", names[turn], same + 1) };
    Role { name, handler: Some(handlers[turn].clone()) }
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

/// Packages the project and puts it where the functions will come from.
async fn package(ui: &Ui, project: &Project, stage: &Stage<'_>) -> Result<()> {
    let start = Instant::now();
    let progress = ui.progress("Packaging");
    let zip = tempfile::NamedTempFile::new()
        .map_err(|error| Error::file("create a file in", &std::env::temp_dir(), &error))?;
    let out = zip.reopen().map_err(|error| Error::file("open", zip.path(), &error))?;
    let packaged = {
        let project = project.clone();
        blocking(move || project.package(out)).await?
    };
    stage.upload(zip.path()).await?;
    drop(progress);
    ui.status(
        "Packaged",
        format!("{}, {}, in {}", plural(packaged.entries, "file"), bytes(packaged.bytes), duration(start.elapsed())),
    );
    ui.detail(format!("into {}", stage.artifact));
    Ok(())
}

/// What every function answers. `mark`: the edit's, where it is to be pointed out.
fn show_answers(ui: &Ui, cast: &Cast, answers: &[Option<Answer>], mark: Option<&str>) {
    if answers.iter().all(Option::is_none) {
        return;
    }
    let mut table = Table::new([("FUNCTION", Align::Left), ("HANDLER", Align::Left), ("ANSWER", Align::Text)]);
    for (role, answer) in cast.roles.iter().zip(answers) {
        let handler = role.handler.as_ref().map(Handler::id).unwrap_or_default();
        table.row([
            role.name.clone(),
            handler,
            answer.as_ref().map_or("(not called)".to_owned(), |answer| says(answer, mark)),
        ]);
    }
    ui.result(table.render(ui.width()));
    // A table has no room for why something failed. Functions of the same handler fail alike.
    let mut told = BTreeSet::new();
    for (role, answer) in cast.roles.iter().zip(answers) {
        if let Some(answer) = answer.as_ref().filter(|answer| answer.failed && told.insert(answer.reason())) {
            ui.warning(format!("`{}` failed: {}", role.name, answer.text), &[]);
        }
    }
}

/// The log's line with the mark is the proof that the edited code ran, where the answer doesn't show it.
fn says(answer: &Answer, mark: Option<&str>) -> String {
    let logged = mark.filter(|mark| !answer.text.contains(mark) && answer.log.contains(mark));
    match logged {
        Some(mark) => format!("logs \"{mark}\"; {}", answer.text),
        None => answer.text.clone(),
    }
}

fn farewell(ui: &Ui, dir: Option<&Path>, elapsed: Duration) {
    ui.status("Finished", format!("the demo in {}; nothing of it is left behind", duration(elapsed)));
    ui.aside("\nNext:");
    if dir.is_none() {
        ui.aside("  quickdeploy demo DIR     the same with a copy of a project of yours");
    }
    ui.aside("  quickdeploy.toml         name your artifact and functions in it:");
    ui.aside("                             artifact = \"s3://BUCKET/KEY\"");
    ui.aside("                             functions = [\"NAME\", \"NAME\"]");
    ui.aside("  quickdeploy diff         what differs from the artifact; changes nothing");
    ui.aside("  quickdeploy              patches it and updates the functions");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_handlers_make_four_functions_with_names_of_their_own() {
        let handler = |entry: &str| Handler {
            entry: entry.into(),
            path: std::path::PathBuf::new(),
            export: "handler",
            language: crate::demo::Language::Node,
        };
        let handlers = [handler("start.js"), handler("stop.js")];
        let names: Vec<String> = handlers.iter().map(Handler::function_name).collect();
        let roles: Vec<String> = (0..4).map(|place| role(place, &names, &handlers).name).collect();
        assert_eq!(roles, ["start", "stop", "start-2", "stop-2"]);
    }
}
