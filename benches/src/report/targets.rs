//! What was aimed at, and what came out.

use super::text::Table;
use crate::compare::Compared;
use crate::engine::{Edited, Editor};
use crate::full_build::FullBuild;
use crate::link::Network;
use crate::project::SIZES;
use crate::project::edits::Edit;
use crate::results::Results;
use crate::stats::Stats;
use crate::tools::TOOLS;

/// One aim.
struct Aim {
    what: String,
    bound: Bound,
    measured: Option<f64>,
}

#[derive(Clone, Copy)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Bound {
    fn holds(self, measured: f64) -> bool {
        match self {
            Self::AtLeast(bound) => measured >= bound,
            Self::AtMost(bound) => measured <= bound,
        }
    }
}

/// Writes the table at the report's top.
pub(super) fn write(results: &Results, out: &mut Vec<String>) {
    out.extend([
        "## Aims".to_owned(),
        String::new(),
        "Ratios of medians, unless it says otherwise.".to_owned(),
        String::new(),
    ]);
    let mut table = Table::new(&["aim", "bound", "measured", ""]);
    for Aim { what, bound, measured } in aims(results) {
        let shown = match bound {
            Bound::AtLeast(bound) => format!("≥ {bound}"),
            Bound::AtMost(bound) => format!("≤ {bound}"),
        };
        let measured = match measured {
            None => ["not measured".to_owned(), String::new()],
            Some(figure) => {
                let mark = if bound.holds(figure) { "reached" } else { "**missed**" };
                [if figure < 10.0 { format!("{figure:.2}") } else { format!("{figure:.1}") }, mark.to_owned()]
            }
        };
        let [measured, mark] = measured;
        table.row(vec![what, shown, measured, mark]);
    }
    table.write(out);
}

fn aims(results: &Results) -> Vec<Aim> {
    let mut aims = Vec::new();
    let mut aim = |what: &str, bound: Bound, measured: Option<f64>| {
        aims.push(Aim { what: what.to_owned(), bound, measured });
    };
    let worst = |of: &dyn Fn(u32) -> Option<f64>| SIZES.into_iter().filter_map(of).min_by(f64::total_cmp);

    let warm = |size: u64, editor: Editor| {
        let warm = results.by_size.iter().filter(|it| (it.of, it.editor) == (size, editor) && it.init_ms.is_none());
        median(warm.map(|edit| edit.ms))
    };
    for (size, bound) in [(60, 20.0), (240, 60.0)] {
        let ratio = ratio(warm(size, Editor::Original), warm(size, Editor::Zipedit));
        aim(&format!("the original in Python over zipedit, {size} MB"), Bound::AtLeast(bound), ratio);
    }
    let flat = ratio(warm(240, Editor::Zipedit), warm(10, Editor::Zipedit));
    aim("zipedit at 240 MB over zipedit at 10 MB: flat", Bound::AtMost(1.5), flat);
    for (size, bound) in [(10, 8.0), (60, 15.0)] {
        let best = peers(results, size, Network::Uplink, |stats| stats.min);
        aim(
            &format!("edit → live on the uplink, {size} MB: the best other tool over ours"),
            Bound::AtLeast(bound),
            best,
        );
    }
    for size in [10, 60] {
        let middle = peers(results, size, Network::Uplink, |stats| stats.median);
        aim(
            &format!("edit → live on the uplink, {size} MB: the median other tool over ours"),
            Bound::AtLeast(40.0),
            middle,
        );
    }
    let loopback = worst(&|size| {
        let original = wall_of(results, size, Network::Loopback, "original");
        let original = ratio(original, wall_of(results, size, Network::Loopback, "quickdeploy"));
        let others = peers(results, size, Network::Loopback, |stats| stats.min);
        original.into_iter().chain(others).min_by(f64::total_cmp)
    });
    aim(
        "edit → live on loopback: the best of all others over ours, at the worst size measured",
        Bound::AtLeast(1.0),
        loopback,
    );
    let builds = worst(&|size| {
        let of_size = results.full_builds.iter().filter(|build| build.size == size);
        ratio(median(of_size.map(FullBuild::total)), wall_of(results, size, Network::Loopback, "quickdeploy"))
    });
    aim("a full build over edit → live, at the worst size measured", Bound::AtLeast(40.0), builds);
    let tree = results.trees.iter().find(|tree| tree.files == 20_000);
    let tree = tree.and_then(|tree| ratio(median(tree.diff_ms.iter().copied()), median(tree.git_ms.iter().copied())));
    aim("`diff` with nothing changed over `git status`, 20,000 files", Bound::AtMost(1.0), tree);
    let fleet = results.fleets.iter().find(|fleet| fleet.functions == 500);
    let used = fleet.map(|fleet| 100.0 * fleet.allowed / fleet.calling);
    aim("500 functions: percent of what the quota allows", Bound::AtLeast(95.0), used);
    aim("500 functions: throttled calls", Bound::AtMost(0.0), fleet.map(|fleet| fleet.throttled as f64));
    // An artifact of 1 MB is rewritten as a whole: that takes the fewest requests.
    let spliced = || results.by_size.iter().filter(|edit| edit.of > 1);
    let first = spliced().filter(|edit| edit.init_ms.is_some());
    aim(
        "bytes moved by a first edit, from 10 MB, over what changed + directory twice + tail: the most",
        Bound::AtMost(1.1),
        moved(first),
    );
    let later = spliced().filter(|edit| edit.init_ms.is_none());
    aim(
        "bytes moved by a later edit, from 10 MB, over what changed + directory: the most",
        Bound::AtMost(1.1),
        moved(later),
    );
    aims
}

/// The most that was moved over what had to be.
fn moved<'a>(edits: impl Iterator<Item = &'a Edited>) -> Option<f64> {
    Stats::of(edits.filter_map(|edit| Some(edit.moved as f64 / edit.least? as f64))).map(|stats| stats.max)
}

fn median(figures: impl Iterator<Item = f64>) -> Option<f64> {
    Stats::of(figures).map(|stats| stats.median)
}

fn ratio(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    Some(one? / other?)
}

/// The median of a tool's times for one line of one handler, in seconds.
pub(super) fn wall_of(results: &Results, size: u32, network: Network, tool: &str) -> Option<f64> {
    let of_tool =
        |it: &&Compared| (it.size, it.network, it.edit, it.tool.as_str()) == (size, network, Edit::OneLine, tool);
    results.compared.iter().find(of_tool).and_then(Compared::wall).map(|stats| stats.median)
}

/// A figure of the other tools' medians, over ours. The original isn't one that one can install.
fn peers(results: &Results, size: u32, network: Network, which: fn(&Stats) -> f64) -> Option<f64> {
    let others = TOOLS.iter().filter(|tool| !tool.is_ours() && tool.name != "original");
    let others = Stats::of(others.filter_map(|tool| wall_of(results, size, network, tool.name)));
    ratio(others.as_ref().map(which), wall_of(results, size, network, "quickdeploy"))
}
