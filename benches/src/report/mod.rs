//! `REPORT.md` and its charts, from what was measured.

mod charts;
mod function;
mod targets;
mod text;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use self::function::Which;
use self::text::{Table, amount, bytes, capital, median, spread, times};
use crate::compare::Compared;
use crate::engine::Editor;
use crate::full_build::FullBuild;
use crate::link::Network;
use crate::money::Prices;
use crate::project::SIZES;
use crate::project::edits::Edit;
use crate::results::Results;
use crate::stage::{Deployment, UPDATE_MS};
use crate::stats::Stats;
use crate::tools::{TOOLS, Tool};

/// Writes the report and, beside it in `charts/`, its charts.
///
/// # Errors
/// A file can't be written.
pub(crate) fn write(results: &Results, directory: &Path) -> Result<()> {
    let charts = directory.join("charts");
    fs::create_dir_all(&charts)?;
    let mut out = Vec::new();
    paragraph(
        &mut out,
        &[
            "# What an edit costs",
            "",
            "Made by `cargo run --release -p benches -- all`, or by its parts; [README.md](README.md) says what is measured and how. Figures are",
            "medians, with the least and the most in brackets where there were several runs. Machines are noisy: only figures of one",
            "table should be compared. **S3 and Lambda are the project's own local cloud, on this machine, for every tool.**",
            &format!(
                "An update of a function takes {UPDATE_MS} ms in it, which is set, not measured; what else it answers, it answers as fast"
            ),
            "as it can. On AWS each request takes tens of milliseconds more, whoever makes it.",
        ],
    );
    targets::write(results, &mut out);
    compared(results, &charts, &mut out)?;
    full_builds(results, &mut out);
    function::write(results, &charts, &mut out)?;
    growth(results, &charts, &mut out)?;
    money(results, &mut out)?;
    missing(results, &mut out);
    out.extend(["## Where".to_owned(), String::new()]);
    out.extend(results.machine.lines());
    let path = directory.join("REPORT.md");
    fs::write(&path, out.join("\n") + "\n").with_context(|| format!("cannot write {}", path.display()))
}

fn paragraph(out: &mut Vec<String>, lines: &[&str]) {
    out.extend(lines.iter().map(|&line| line.to_owned()));
    out.push(String::new());
}

fn compared(results: &Results, charts: &Path, out: &mut Vec<String>) -> Result<()> {
    let chosen = |network: Network, edit: Edit| {
        results.compared.iter().filter(move |it| (it.network, it.edit) == (network, edit))
    };
    paragraph(
        out,
        &[
            "## From the edit to four live functions",
            "",
            "From the moment when the file is saved until all four functions run it, which is checked by calling them. CPU and memory",
            "are the tool's: of all its processes, and of the largest. `in the cloud` is what a function and S3 exchange.",
        ],
    );
    for network in [Network::Loopback, Network::Uplink] {
        if chosen(network, Edit::OneLine).next().is_some() {
            let name = format!("edit-to-live-{network}.svg");
            charts::bars(results, network, &charts.join(&name))?;
            paragraph(out, &[&format!("![Edit to live, {network}](charts/{name})")]);
        }
        for edit in Edit::ALL {
            let sizes: BTreeSet<u32> = chosen(network, edit).map(|it| it.size).collect();
            for size in sizes {
                let of_all: Vec<_> = chosen(network, edit).filter(|it| it.size == size).collect();
                paragraph(out, &[&format!("### {}, a zip of {size} MB, {network}", capital(edit.title()))]);
                comparison(&of_all, out);
            }
        }
    }
    Ok(())
}

fn comparison(of_all: &[&Compared], out: &mut Vec<String>) {
    let mut table = Table::new(&[
        "tool",
        "edit → live",
        "×",
        "CPU",
        "memory",
        "up",
        "down",
        "requests",
        "round trips",
        "in the cloud",
    ]);
    let ours = of_all.iter().find(|it| it.tool == "quickdeploy").and_then(|it| it.wall());
    for tool in &TOOLS {
        let Some(it) = of_all.iter().find(|it| it.tool == tool.name) else { continue };
        let Some(wall) = it.wall() else {
            table.row(vec![tool.title.to_owned(), "—".to_owned()]);
            continue;
        };
        let of_runs = |figure: fn(&Deployment) -> f64| Stats::of(it.runs.iter().map(figure));
        table.row(vec![
            tool.title.to_owned(),
            spread(Some(wall), "s", 2),
            times(Some(wall), ours, 1),
            median(of_runs(|run| run.cpu), |seconds| format!("{seconds:.2} s")),
            median(of_runs(|run| run.memory as f64), bytes),
            median(of_runs(|run| run.bill.up as f64), bytes),
            median(of_runs(|run| run.bill.down as f64), bytes),
            median(of_runs(|run| run.bill.requests as f64), amount),
            median(of_runs(|run| run.bill.round_trips as f64), amount),
            median(of_runs(|run| run.bill.inside as f64), bytes),
        ]);
    }
    table.write(out);
}

fn full_builds(results: &Results, out: &mut Vec<String>) {
    if results.full_builds.is_empty() && results.services.is_empty() {
        return;
    }
    paragraph(
        out,
        &[
            "## The full build that it takes the place of",
            "",
            "Each phase was run beside the endpoint, with npm's cache filled. It is a lower bound for CodeBuild: no machine is queued",
            "for and provisioned. `×`: over edit → live with the same project, on loopback.",
        ],
    );
    phases(&results.full_builds, results, out);
    if results.services.is_empty() {
        paragraph(out, &["The real CodeBuild and CloudFormation: not measured."]);
    } else {
        paragraph(out, &["By the real CodeBuild and CloudFormation, with a project and stack of the user's:"]);
        phases(&results.services, results, out);
    }
}

fn phases(builds: &[FullBuild], results: &Results, out: &mut Vec<String>) {
    let Some(first) = builds.first() else { return };
    let names: Vec<&str> = first.phases.iter().map(|(name, _)| name.as_str()).collect();
    let mut table = Table::new(&[&["zip"], names.as_slice(), &["together", "×"]].concat());
    let sizes: BTreeSet<u32> = builds.iter().map(|build| build.size).collect();
    for size in sizes {
        let builds = || builds.iter().filter(move |build| build.size == size);
        let mut row = vec![if size == 0 { "the user's".to_owned() } else { format!("{size} MB") }];
        row.extend(names.iter().map(|name| {
            let seconds = builds().filter_map(|build| build.phases.iter().find(|(phase, _)| phase == name));
            median(Stats::of(seconds.map(|(_, seconds)| *seconds)), |seconds| format!("{seconds:.2} s"))
        }));
        let together = Stats::of(builds().map(FullBuild::total));
        let ours = targets::wall_of(results, size, Network::Loopback, "quickdeploy");
        row.extend([spread(together, "s", 2), times(together, ours.and_then(|ours| Stats::of([ours])), 0)]);
        table.row(row);
    }
    table.write(out);
}

fn growth(results: &Results, charts: &Path, out: &mut Vec<String>) -> Result<()> {
    paragraph(out, &["## How it grows"]);
    if !results.by_entries.is_empty() {
        paragraph(out, &["### With the entries, of which one changes"]);
        charts::lines(&results.by_entries, "entries", &charts.join("function-by-entries.svg"))?;
        paragraph(out, &["![By entries](charts/function-by-entries.svg)"]);
        function::tables(&results.by_entries, "entries", out);
    }
    if !results.by_changes.is_empty() {
        paragraph(out, &["### With the files that change, of 20,000"]);
        function::tables(&results.by_changes, "changed", out);
    }
    fleets(results, out);
    trees(results, out);
    Ok(())
}

fn fleets(results: &Results, out: &mut Vec<String>) {
    if results.fleets.is_empty() {
        return;
    }
    paragraph(
        out,
        &[
            "### With the functions of one artifact",
            "",
            "Lambda takes 15 control-plane calls a second, and 15 at once after a pause, from all of an account; the local cloud does so, too.",
            "They are counted from the first update on: before it, functions are read, of which Lambda takes 100 a second.",
        ],
    );
    let mut table = Table::new(&[
        "functions",
        "edit → live",
        "control-plane calls",
        "throttled",
        "first to last call",
        "the quota's time",
        "of the quota",
    ]);
    for fleet in &results.fleets {
        let seconds = |seconds: f64| format!("{seconds:.2} s");
        let used =
            if fleet.allowed > 0.0 { format!("{:.1} %", 100.0 * fleet.allowed / fleet.calling) } else { String::new() };
        table.row(vec![
            amount(fleet.functions as f64),
            seconds(fleet.wall),
            amount(fleet.calls as f64),
            amount(fleet.throttled as f64),
            seconds(fleet.calling),
            seconds(fleet.allowed),
            used,
        ]);
    }
    table.write(out);
}

fn trees(results: &Results, out: &mut Vec<String>) {
    if results.trees.is_empty() {
        return;
    }
    paragraph(out, &["### `quickdeploy diff` with nothing changed, beside `git status`"]);
    let mut table = Table::new(&["files", "quickdeploy diff", "git status", "×", "CPU of diff", "CPU of git"]);
    for tree in &results.trees {
        let of = |figures: &[f64]| Stats::of(figures.iter().copied());
        table.row(vec![
            amount(tree.files as f64),
            spread(of(&tree.diff_ms), "ms", 1),
            spread(of(&tree.git_ms), "ms", 1),
            times(of(&tree.diff_ms), of(&tree.git_ms), 2),
            spread(of(&tree.diff_cpu_ms), "ms", 1),
            spread(of(&tree.git_cpu_ms), "ms", 1),
        ]);
    }
    table.write(out);
}

fn money(results: &Results, out: &mut Vec<String>) -> Result<()> {
    let prices = Prices::listed()?;
    paragraph(
        out,
        &[
            "## In dollars",
            "",
            "One edit by the function, started anew for it, with the times of this machine and the prices in [prices.toml](prices.toml);",
            "beside the minutes of CodeBuild that the full build above takes at least, billed by the minute begun.",
        ],
    );
    let mut table = Table::new(&["zip", "an edit", "a full build", "×"]);
    let sizes: BTreeSet<u64> = results.by_size.iter().map(|edit| edit.of).collect();
    for size in sizes {
        let first = function::chosen(&results.by_size, size, Editor::Zipedit, Which::First);
        let edit = Stats::of(first.map(|edit| prices.edit(edit)));
        let builds = results.full_builds.iter().filter(|build| u64::from(build.size) == size);
        let build = Stats::of(builds.map(|build| prices.build(build.total())));
        table.row(vec![
            format!("{size} MB"),
            median(edit, |dollars| format!("${dollars:.6}")),
            median(build, |dollars| format!("${dollars:.4}")),
            times(build, edit, 0),
        ]);
    }
    table.write(out);
    Ok(())
}

/// What there is no comparison of, and the tools that are not in one.
fn not_run(results: &Results) -> Vec<String> {
    let of_one_line = || results.compared.iter().filter(|it| it.edit == Edit::OneLine);
    let parts = [
        ("The function alone", results.by_size.is_empty()),
        ("The function with more entries", results.by_entries.is_empty()),
        ("The function with more files that change", results.by_changes.is_empty()),
        ("More functions", results.fleets.is_empty()),
        ("`diff` beside `git status`", results.trees.is_empty()),
        ("A full build", results.full_builds.is_empty()),
    ];
    let mut lines: Vec<_> = parts.iter().filter(|(_, none)| *none).map(|(what, _)| format!("- {what}")).collect();
    for (network, size) in [Network::Loopback, Network::Uplink].into_iter().flat_map(|it| SIZES.map(|size| (it, size)))
    {
        let there =
            |tool: &Tool| of_one_line().any(|it| (it.network, it.size) == (network, size) && it.tool == tool.name);
        let absent: Vec<_> = TOOLS.iter().filter(|tool| !there(tool)).map(|tool| tool.title).collect();
        if absent.len() == TOOLS.len() {
            lines.push(format!("- One line of one handler with {size} MB, {network}: no tool was run"));
        } else if !absent.is_empty() {
            lines.push(format!("- One line of one handler with {size} MB, {network}, not run: {}", absent.join("; ")));
        }
    }
    for network in [Network::Loopback, Network::Uplink] {
        if !results.compared.iter().any(|it| it.network == network && it.edit != Edit::OneLine) {
            lines.push(format!("- Other edits than one line of one handler, {network}"));
        }
    }
    lines
}

fn missing(results: &Results, out: &mut Vec<String>) {
    paragraph(out, &["## What was not measured"]);
    out.extend(results.missing.iter().map(|what| format!("- {what}")));
    let troubles: BTreeSet<String> = results
        .compared
        .iter()
        .filter_map(|it| {
            let title = TOOLS.iter().find(|tool| tool.name == it.tool).map_or(it.tool.as_str(), |tool| tool.title);
            Some(format!("- {title}, {} MB, {}, {}: {}", it.size, it.network, it.edit.title(), it.trouble.as_deref()?))
        })
        .collect();
    out.extend(troubles);
    out.extend(not_run(results));
    paragraph(out, &["- Nothing was measured on live AWS."]);
}
