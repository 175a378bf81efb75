//! `quickdeploy watch`: deploys on every save, until Ctrl-C. What the functions log, and what an invocation after each
//! deployment answers, is shown beside it: no save waits for them.

use futures::future::join_all;
use tokio::sync::mpsc;

use super::afterwards::requests;
use super::deploy::{check_functions, deployment, show};
use super::{invoke, logs};
use crate::args::{self, Global};
use crate::aws::Cloud;
use crate::deployment::Deploy;
use crate::error::Result;
use crate::functions;
use crate::interrupt::Interrupts;
use crate::invoke::Request;
use crate::logs::Tail;
use crate::project::Project;
use crate::ui::Ui;
use crate::watch::{Compiler, End, Watch};

pub(super) async fn run(ui: &Ui, global: &Global, args: args::Watch) -> Result<u8> {
    let interrupts = Interrupts::listen();
    let args::Watch { artifacts, functions, via, no_compile, no_check, invoke, logs } = args;
    let beside = Beside { calls: requests(&invoke)?, logs };
    let before = Before { compiled: !no_compile, checked: !no_check };
    let args = args::Deploy { artifacts, functions, via, ..args::Deploy::default() };
    loop {
        match watch(ui, global, &args, before, &beside, &interrupts).await? {
            End::Interrupted => {
                ui.status("Stopped", "watching; nothing is left behind");
                return Ok(0);
            }
            End::ConfigChanged => ui.status("Reading", "quickdeploy.toml again: it has changed"),
        }
    }
}

/// What comes before each deployment.
#[derive(Clone, Copy)]
struct Before {
    /// `compile` of the configuration is run.
    compiled: bool,
    /// Files are read as their language does.
    checked: bool,
}

/// What is shown besides the deployments.
struct Beside {
    /// After each deployment.
    calls: Vec<Request>,
    /// All the time.
    logs: bool,
}

/// All of the project's artifacts, each by itself, until they end.
async fn watch(
    ui: &Ui,
    global: &Global,
    args: &args::Deploy,
    before: Before,
    beside: &Beside,
    interrupts: &Interrupts,
) -> Result<End> {
    let projects = super::find_projects(global, &args.artifacts)?;
    check_functions(&projects, args)?;
    let cloud = super::connect(global, projects.first().map(Project::settings)).await?;
    let routine = ui.of_routine();
    let (live, mut lives) = mpsc::unbounded_channel();
    let (on_first, on_live) = (
        |deploy: &Deploy| show(ui, deploy),
        |_: &Deploy| {
            // Nobody listens any more at the end.
            let _ = live.send(());
        },
    );
    let compilers = if before.compiled { Compiler::of(&projects) } else { vec![None; projects.len()] };
    let watches = projects
        .iter()
        .zip(compilers)
        .map(|(project, compiler)| {
            let first = deployment(ui, &cloud, project, args)?;
            let deployment = deployment(&routine, &cloud, project, args)?;
            let (on_first, on_live) = (&on_first, &on_live);
            Ok((first, Watch { ui, deployment, compiler, checked: before.checked, on_first, on_live }))
        })
        .collect::<Result<Vec<_>>>()?;
    let several = watches.len() > 1;
    let all = join_all(watches.iter().map(async |(first, watch)| {
        let ended = watch.run(first, interrupts).await;
        if let (Err(error), true) = (&ended, several) {
            // The others go on.
            ui.error(error);
        }
        ended
    }));
    let calling = async {
        while lives.recv().await.is_some() {
            for request in &beside.calls {
                call(ui, &cloud, request, !beside.logs, interrupts).await;
            }
        }
        std::future::pending::<()>().await;
    };
    let logging = async {
        if beside.logs
            && let Err(error) = follow(ui, &cloud, &projects, interrupts).await
        {
            ui.warning(&error, error.hints());
        }
        std::future::pending::<()>().await;
    };
    // They end for the same reasons, and each finishes what it is doing.
    let ended = tokio::select! {
        ended = all => ended,
        () = calling => Vec::new(),
        () = logging => Vec::new(),
    };
    let mut end = End::Interrupted;
    for ended in ended {
        end = ended?;
    }
    Ok(end)
}

/// One invocation. That it fails is told and ends nothing.
async fn call(ui: &Ui, cloud: &Cloud, request: &Request, with_log: bool, interrupts: &Interrupts) {
    let told = match invoke::carry_out(ui, cloud, request, interrupts).await {
        Ok(invocation) => {
            invoke::show(ui, &invocation, with_log);
            ui.json_line(&invocation)
        }
        Err(error) => Err(error),
    };
    if let Err(error) = told {
        ui.error(&error);
    }
}

/// What the functions of all projects log from now on.
async fn follow(ui: &Ui, cloud: &Cloud, projects: &[Project], interrupts: &Interrupts) -> Result<()> {
    let mut all = Vec::new();
    for project in projects {
        all.extend(functions::find(cloud, &super::functions_of(project.settings())?, &[]).await?);
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all.dedup_by(|a, b| a.name == b.name);
    logs::follow(ui, Tail::new(cloud, &all), &all, None, interrupts).await
}
