//! `quickdeploy rollback`: an earlier version of the artifact, live again.

use std::time::Duration;

use crate::args::{self, Global};
use crate::error::Result;
use crate::interrupt::Interrupts;
use crate::project::Affected;
use crate::rollback::{Goal, Rollback, RolledBack};
use crate::ui::{Ui, duration, plural};
use crate::update::Status;

pub(super) async fn run(ui: &Ui, global: &Global, args: &args::Rollback) -> Result<u8> {
    if args.list {
        let history = args::History { artifacts: args.artifacts.clone(), ..args::History::default() };
        return super::history::run(ui, global, &history).await;
    }
    let interrupts = Interrupts::listen();
    let project = super::find_project(global, &args.artifacts)?;
    let settings = project.settings();
    let (artifact, functions) = (super::artifact_of(settings)?, super::functions_of(settings)?);
    let cloud = super::connect(global, Some(settings)).await?;
    let goal = match &args.to {
        Some(version) => Goal::Version(version.clone()),
        None => Goal::Steps(args.steps),
    };
    let rollback = Rollback {
        ui,
        cloud: &cloud,
        project: &project,
        artifact,
        functions,
        goal,
        dry_run: args.dry_run,
        affected: if args.all { Affected::All } else { settings.affected },
    };
    let done = rollback.carry_out(&interrupts).await?;
    show(ui, &done);
    ui.document(&done)?;
    Ok(done.exit_code())
}

/// The table, what failed, what the next deploy would do, and one last line.
fn show(ui: &Ui, done: &RolledBack) {
    let count = |status: Status| done.functions.iter().filter(|outcome| outcome.status == status).count();
    let (live, failed, stale) = (count(Status::Live), count(Status::Failed), count(Status::Stale));
    if live + failed + stale > 0 {
        ui.result(super::deploy::table(&done.functions, done.dry_run).render(ui.width()));
    }
    for error in done.functions.iter().filter_map(|outcome| outcome.error.as_ref()) {
        ui.error(error);
    }
    let took = duration(Duration::from_millis(done.elapsed_ms));
    let total = plural(done.functions.len(), "function");
    let unaffected = count(Status::Unaffected);
    let left = if unaffected == 0 { String::new() } else { format!(", {unaffected} not affected") };
    for outcome in done.functions.iter().filter(|outcome| outcome.status == Status::Unaffected) {
        ui.verbose(format!("`{}` is not affected: {}", outcome.name, outcome.reason.as_deref().unwrap_or_default()));
    }
    if failed > 0 {
        ui.warning(
            format!("{failed} of {total} not running the artifact, after {took}"),
            &[format!("run `{}` again: only those are updated", done.again)],
        );
    } else if done.dry_run {
        ui.status("Dry run", format!("nothing was changed; {stale} of {total} would be updated"));
        if unaffected > 0 {
            ui.detail(format!("{unaffected} not affected"));
        }
    } else if live == 0 {
        let settled = plural(done.functions.len() - unaffected, "function");
        ui.status("Finished", format!("nothing to do: {settled} already live{left}, in {took}"));
    } else if unaffected > 0 {
        ui.status("Finished", format!("{live} of {total} updated{left}, in {took}"));
    } else {
        ui.status("Finished", format!("{live} of {total} updated, all live in {took}"));
    }
    if let Some(local) = done.local.as_ref().filter(|local| !local.is_empty()) {
        let files = plural(local.added.len() + local.modified.len() + local.deleted.len(), "file");
        let (is, was) = if done.dry_run { ("would not be", "then would") } else { ("is not", "would") };
        ui.warning(
            format!("what is here {is} what the artifact holds: the next `quickdeploy` {was} patch {files}"),
            &["`quickdeploy diff` lists them; `git stash` or `git checkout` takes back what shall not go live"
                .to_owned()],
        );
    }
}
