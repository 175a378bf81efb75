//! `quickdeploy logs`: what the functions say.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::args::{self, Global};
use crate::aws::Cloud;
use crate::error::Result;
use crate::functions::{self, Function};
use crate::interrupt::{Interrupts, nothing_changed};
use crate::logs::{Event, Next, Printer, Tail};
use crate::project::{Project, Settings};
use crate::ui::{Ui, plural};

/// The JSON document, when it doesn't follow.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Document<'a> {
    command: &'static str,
    ok: bool,
    /// Milliseconds since 1970.
    since: u64,
    functions: Vec<Logging<'a>>,
    events: &'a [Event],
}

/// A function and where it logs.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct Logging<'a> {
    name: &'a str,
    log_group: &'a str,
    /// Whether the group is there: whether the function was ever invoked.
    has_logged: bool,
}

pub(super) async fn run(ui: &Ui, global: &Global, args: args::Logs) -> Result<u8> {
    let interrupts = Interrupts::listen();
    let since = SystemTime::now() - args.since;
    let projects = projects(global, &args)?;
    let cloud = super::connect(global, projects.first().map(Project::settings)).await?;
    let functions = tokio::select! {
        functions = functions(&cloud, &projects, &args.functions) => functions?,
        () = interrupts.nth(1) => return Err(nothing_changed()),
    };
    let tail = Tail::new(&cloud, &functions).since(since).filter(args.filter.as_deref());
    if args.follow {
        return follow(ui, tail, &functions, args.length, &interrupts).await.map(|()| 0);
    }
    tokio::select! {
        shown = show(ui, tail, &functions, since) => shown.map(|()| 0),
        () = interrupts.nth(1) => Err(nothing_changed()),
    }
}

/// The project's, where there is one. Functions that are named need none.
fn projects(global: &Global, args: &args::Logs) -> Result<Vec<Project>> {
    let here = std::env::current_dir().ok();
    let none = here.is_some_and(|here| Settings::locate(&here).is_none());
    if none && !args.functions.is_empty() && args.artifacts.names.is_empty() {
        return Ok(Vec::new());
    }
    super::find_projects(global, &args.artifacts)
}

/// The functions that were named, or all of the projects.
async fn functions(cloud: &Cloud, projects: &[Project], named: &[String]) -> Result<Vec<Function>> {
    let found = if named.is_empty() {
        let mut found = Vec::new();
        for project in projects {
            found.extend(functions::find(cloud, &super::functions_of(project.settings())?, &[]).await?);
        }
        found
    } else {
        futures::future::try_join_all(named.iter().map(|name| functions::read(cloud, name))).await?
    };
    // A function can be named twice, by its name and by its ARN.
    let by_name: BTreeMap<String, Function> = found.into_iter().map(|found| (found.name.clone(), found)).collect();
    Ok(by_name.into_values().collect())
}

/// What is there.
async fn show(ui: &Ui, mut tail: Tail<'_>, functions: &[Function], since: SystemTime) -> Result<()> {
    let found = {
        let _progress = ui.progress("Reading the logs");
        tail.read().await?
    };
    let mut printer = Printer::new(ui, functions.iter().map(|function| function.name.as_str()));
    for event in found.events.iter().filter(|_| !ui.is_json()) {
        printer.print(event);
    }
    let missing = |function: &Function| found.missing.contains(&function.log_group);
    let silent: Vec<String> =
        functions.iter().filter(|function| missing(function)).map(|function| format!("`{}`", function.name)).collect();
    if !silent.is_empty() {
        ui.detail(format_args!("{} never logged anything: not invoked yet", silent.join(", ")));
    }
    if found.events.is_empty() && silent.len() < functions.len() {
        ui.detail("nothing was logged in this time; `--since 1d` looks further back, `--follow` waits");
    }
    ui.document(&Document {
        command: "logs",
        ok: true,
        since: since.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(0)),
        functions: functions
            .iter()
            .map(|function| Logging {
                name: &function.name,
                log_group: &function.log_group,
                has_logged: !missing(function),
            })
            .collect(),
        events: &found.events,
    })
}

/// What comes, until Ctrl-C, the end of the time, or nobody reads it any more.
pub(super) async fn follow(
    ui: &Ui,
    mut tail: Tail<'_>,
    functions: &[Function],
    length: Option<Duration>,
    interrupts: &Interrupts,
) -> Result<()> {
    let of = match functions {
        [one] => format!("`{}`", one.name),
        several => plural(several.len(), "function"),
    };
    let until = if length.is_some() { "" } else { "; Ctrl-C ends it" };
    ui.status("Logs", format_args!("of {of}, times in UTC{until}"));
    ui.verbose(format_args!("log groups: {}", tail.groups().collect::<Vec<_>>().join(", ")));
    let mut printer = Printer::new(ui, functions.iter().map(|function| function.name.as_str()));
    let mut failure = None;
    let tailing = tail.run(|event| {
        if !ui.is_json() {
            printer.print(event);
        } else if let Err(error) = ui.json_line(event) {
            failure = Some(error);
            return Next::Enough;
        }
        if ui.pipe_is_broken() { Next::Enough } else { Next::GoOn }
    });
    let so_far = interrupts.so_far();
    let over = async {
        match length {
            Some(length) => tokio::time::sleep(length).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        tailed = tailing => tailed?,
        () = interrupts.nth(so_far + 1) => {}
        () = over => {}
    }
    failure.map_or(Ok(()), Err)
}
