//! The same edit with every tool, in turn, on the same machine, endpoint and network.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::link::{Link, Network, Place, Shape};
use crate::programs::{Peer, Programs};
use crate::progress::Progress;
use crate::project;
use crate::project::edits::Edit;
use crate::stage::{self, Deployment, Stage};
use crate::stats::Stats;
use crate::tools::{TOOLS, Tool};

/// A tool that has taken so many seconds for an edit isn't run again for it,
const BUDGET: f64 = 60.0;
/// so many for one line at a smaller size, not at a larger one,
const TOO_SLOW_FOR_MORE: f64 = 60.0;
/// so many for one line of one handler, not for the other edits,
const TOO_SLOW_FOR_OTHERS: f64 = 30.0;
/// and so many, only once for each of those.
const ONCE_FOR_OTHERS: f64 = 5.0;

/// What is compared.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// Of the project's zip, about, in MB.
    pub(crate) size: u32,
    /// Between the tools and the cloud.
    pub(crate) network: Network,
    /// In this order.
    pub(crate) edits: Vec<Edit>,
    /// The names of the tools; all of them when empty.
    pub(crate) tools: Vec<String>,
    /// How often each tool is run, time permitting.
    pub(crate) runs: usize,
    /// Tools that are too slow to be run, and why one says so.
    pub(crate) too_slow: Vec<(&'static str, String)>,
}

/// The tools that took so long for a smaller project that they aren't run for this size.
pub(crate) fn too_slow(compared: &[Compared], size: u32, network: Network) -> Vec<(&'static str, String)> {
    let of_tool = |tool: &Tool| {
        let smaller = compared
            .iter()
            .filter(|it| it.tool == tool.name && it.network == network && it.edit == Edit::OneLine && it.size < size);
        let slow = smaller.filter_map(|it| Some((it.size, it.wall()?.median)));
        let (size, seconds) = slow.filter(|(_, seconds)| *seconds > TOO_SLOW_FOR_MORE).max_by_key(|(size, _)| *size)?;
        Some((tool.name, format!("it took {seconds:.0} s with {size} MB")))
    };
    TOOLS.iter().filter_map(of_tool).collect()
}

/// What one tool did with one edit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Compared {
    /// Of the project's zip, about, in MB.
    pub(crate) size: u32,
    /// Between the tool and the cloud.
    pub(crate) network: Network,
    /// What was edited.
    pub(crate) edit: Edit,
    /// The tool's name.
    pub(crate) tool: String,
    /// Each deployment.
    pub(crate) runs: Vec<Deployment>,
    /// Why there are none, or no more.
    pub(crate) trouble: Option<String>,
}

impl Compared {
    /// What the runs took, in seconds.
    pub(crate) fn wall(&self) -> Option<Stats> {
        Stats::of(self.runs.iter().map(|run| run.wall))
    }
}

/// Compares. What each edit took is given to `keep` when all tools are through with it: all of them take long enough to be
/// interrupted.
///
/// # Errors
/// The project can't be installed, the network not be made, or a result not be kept. What a single tool can't do is in its
/// result.
pub(crate) fn compare(
    wanted: &Wanted,
    programs: &Programs,
    progress: &Progress,
    mut keep: impl FnMut(Vec<Compared>) -> Result<()>,
) -> Result<()> {
    stage::remove_orphans()?;
    let project = project::installed(wanted.size)?;
    let link = match wanted.network {
        Network::Loopback => None,
        Network::Uplink => Some(Link::up(Shape::UPLINK)?),
    };
    let place = Place::new(link.as_ref());
    let chosen = |tool: &&Tool| wanted.tools.is_empty() || wanted.tools.iter().any(|name| name == tool.name);
    let tools: Vec<&Tool> = TOOLS.iter().filter(chosen).collect();
    let mut compared = Vec::new();
    let mut stages = Vec::new();
    for tool in tools {
        let of = |edit: Edit, trouble: Option<String>| Compared {
            size: wanted.size,
            network: wanted.network,
            edit,
            tool: tool.name.to_owned(),
            runs: Vec::new(),
            trouble,
        };
        let slow = wanted.too_slow.iter().find(|(name, _)| *name == tool.name).map(|(_, why)| why.clone());
        if let Some(trouble) = tool.cannot(wanted.size, Edit::OneLine).or(slow) {
            compared.extend(wanted.edits.iter().map(|edit| of(*edit, Some(trouble.clone()))));
            continue;
        }
        progress.say(&format!("{} MB, {}: {}: the first deployment", wanted.size, wanted.network, tool.title));
        let installed = tool.needs.iter().try_for_each(|peer: &Peer| peer.install());
        match installed.and_then(|()| Stage::set(tool, &project, place, programs)) {
            Ok(stage) => {
                stages.push((tool, stage));
                compared.extend(wanted.edits.iter().map(|edit| of(*edit, tool.cannot(wanted.size, *edit))));
            }
            Err(error) => {
                let trouble = format!("{error:#}");
                progress.warn(&format!("{}: {trouble}", tool.title));
                compared.extend(wanted.edits.iter().map(|edit| of(*edit, Some(trouble.clone()))));
            }
        }
    }
    for edit in &wanted.edits {
        let once = if *edit == Edit::OneLine { Vec::new() } else { leave_out_the_slow(&mut compared, *edit) };
        // In turns, so that what disturbs the machine for a while disturbs all of them.
        for round in 1..=wanted.runs {
            for (tool, stage) in &mut stages {
                let Some(result) = compared.iter_mut().find(|it| it.tool == tool.name && it.edit == *edit) else {
                    continue;
                };
                let spent: f64 = result.runs.iter().map(|run| run.wall).sum();
                // Who can't delete a file can add one once.
                let only_once = *edit == Edit::Add && tool.cannot(wanted.size, Edit::Delete).is_some();
                let done = round > 1 && (only_once || once.contains(&result.tool));
                if done || result.trouble.is_some() || spent > BUDGET {
                    continue;
                }
                progress.say(&format!(
                    "{} MB, {}, {}: {}, run {round} of {}",
                    wanted.size,
                    wanted.network,
                    edit.title(),
                    tool.title,
                    wanted.runs
                ));
                match stage.deploy(*edit) {
                    Ok(deployment) => {
                        progress.done(&format!("{:>28} {:8.2} s", tool.title, deployment.wall));
                        result.runs.push(deployment);
                    }
                    Err(error) => {
                        let trouble = format!("{error:#}");
                        progress.warn(&format!("{}: {trouble}", tool.title));
                        result.trouble = Some(trouble);
                    }
                }
            }
        }
        keep(compared.iter().filter(|it| it.edit == *edit).cloned().collect())?;
    }
    Ok(())
}

/// Leaves out those that took too long for one line, and tells which of the others are run once only.
fn leave_out_the_slow(compared: &mut [Compared], edit: Edit) -> Vec<String> {
    let one_line = compared.iter().filter(|it| it.edit == Edit::OneLine);
    let took: Vec<_> = one_line.filter_map(|it| Some((it.tool.clone(), it.wall()?.median))).collect();
    for it in compared.iter_mut().filter(|it| it.edit == edit && it.trouble.is_none()) {
        let slow = took.iter().find(|(tool, seconds)| *tool == it.tool && *seconds > TOO_SLOW_FOR_OTHERS);
        it.trouble = slow.map(|(_, seconds)| format!("not run: it took {seconds:.0} s for one line"));
    }
    took.into_iter().filter(|(_, seconds)| *seconds > ONCE_FOR_OTHERS).map(|(tool, _)| tool).collect()
}
