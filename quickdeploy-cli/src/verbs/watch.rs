//! `quickdeploy watch`: deploys on every save, until Ctrl-C.

use super::deploy::{check_functions, deployment, show};
use crate::args::{self, Global};
use crate::deployment::Deploy;
use crate::error::Result;
use crate::interrupt::Interrupts;
use crate::project::Project;
use crate::ui::Ui;
use crate::watch::{End, Watch};

pub(super) async fn run(ui: &Ui, global: &Global, args: args::Watch) -> Result<u8> {
    let interrupts = Interrupts::listen();
    let args::Watch { artifacts, functions, via } = args;
    let args = args::Deploy { artifacts, functions, via, ..args::Deploy::default() };
    loop {
        match watch(ui, global, &args, &interrupts).await? {
            End::Interrupted => {
                ui.status("Stopped", "watching; nothing is left behind");
                return Ok(0);
            }
            End::ConfigChanged => ui.status("Reading", "quickdeploy.toml again: it has changed"),
        }
    }
}

/// All of the project's artifacts, each by itself, until one of them says that it is over.
async fn watch(ui: &Ui, global: &Global, args: &args::Deploy, interrupts: &Interrupts) -> Result<End> {
    let projects = super::find_projects(global, &args.artifacts)?;
    check_functions(&projects, args)?;
    let cloud = super::connect(global, projects.first().map(Project::settings)).await?;
    let routine = ui.of_routine();
    let (on_first, on_live) = (|deploy: &Deploy| show(ui, deploy), |_: &Deploy| ());
    let watches = projects
        .iter()
        .map(|project| {
            let first = deployment(ui, &cloud, project, args)?;
            let deployment = deployment(&routine, &cloud, project, args)?;
            Ok((first, Watch { ui, deployment, on_first: &on_first, on_live: &on_live }))
        })
        .collect::<Result<Vec<_>>>()?;
    let several = watches.len() > 1;
    let all = watches.iter().map(async |(first, watch)| {
        let ended = watch.run(first, interrupts).await;
        if let (Err(error), true) = (&ended, several) {
            // The others go on.
            ui.error(error);
        }
        ended
    });
    // They end for the same reasons, and each finishes what it is doing.
    let mut end = End::Interrupted;
    for ended in futures::future::join_all(all).await {
        end = ended?;
    }
    Ok(end)
}
