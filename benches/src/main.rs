//! What an edit costs, with QuickDeploy and with what else is used for it. See `benches/README.md`.

mod cloud;
mod compare;
mod engine;
mod full_build;
mod growth;
mod least;
mod link;
mod machine;
mod money;
mod paths;
mod process;
mod programs;
mod progress;
mod project;
mod report;
mod results;
mod run;
mod stage;
mod stats;
mod tools;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand, ValueEnum};

use crate::compare::{Wanted, compare};
use crate::full_build::Services;
use crate::link::Network;
use crate::machine::Machine;
use crate::programs::{Peer, Programs};
use crate::progress::Progress;
use crate::project::edits::Edit;
use crate::results::Results;

/// The size, in MB, of the project with which every kind of edit is measured.
const ALL_EDITS_AT: u32 = 10;

/// Measure QuickDeploy beside what else is used to bring an edit into Lambda functions.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Where the report, its charts and the results go.
    #[arg(long, global = true, default_value = "benches")]
    out: PathBuf,
    /// Measure this program, a file called `quickdeploy` [else: it is built].
    #[arg(long, global = true, requires = "bootstrap")]
    quickdeploy: Option<PathBuf>,
    /// With this `bootstrap` as the function.
    #[arg(long, global = true, requires = "quickdeploy")]
    bootstrap: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure all of it, and write the report.
    All {
        /// How often each.
        #[arg(long, default_value_t = 5)]
        runs: usize,
    },
    /// Install projects and tools, so that nothing is downloaded later.
    Install,
    /// Deploy the same edits with every tool.
    Compare(Compare),
    /// Compare the function with a Python 3 port of the original.
    Function {
        #[arg(long, default_value_t = 5)]
        runs: usize,
        /// About, in MB.
        #[arg(long = "size", value_delimiter = ',', default_values_t = project::SIZES)]
        sizes: Vec<u32>,
    },
    /// Run the full build that an edit takes the place of.
    Full {
        #[arg(long, default_value_t = 3)]
        runs: usize,
        /// About, in MB.
        #[arg(long = "size", value_delimiter = ',', default_values_t = project::SIZES)]
        sizes: Vec<u32>,
        #[command(flatten)]
        services: Services,
    },
    /// See how it grows.
    Growth {
        #[arg(long, default_value_t = 5)]
        runs: usize,
        /// With what.
        #[arg(long = "with", value_delimiter = ',', default_values = ["entries", "changes", "functions", "tree"])]
        with: Vec<Growth>,
    },
    /// Write the report of what was measured.
    Report,
    #[command(hide = true)]
    Serve(cloud::serve::Serve),
    #[command(hide = true)]
    Shape(link::shaper::Shaper),
}

#[derive(Debug, Clone, clap::Args)]
struct Compare {
    /// About, in MB.
    #[arg(long = "size", value_delimiter = ',', default_values_t = project::SIZES)]
    sizes: Vec<u32>,
    #[arg(long = "network", value_delimiter = ',', default_values = ["loopback", "uplink"])]
    networks: Vec<Network>,
    #[arg(long = "edit", value_delimiter = ',', default_values = ["one-line"])]
    edits: Vec<Edit>,
    /// Only these; see the directories in benches/tools.
    #[arg(long = "tool", value_delimiter = ',')]
    tools: Vec<String>,
    /// How often, time permitting.
    #[arg(long, default_value_t = 5)]
    runs: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Growth {
    /// Entries of the artifact.
    Entries,
    /// Files that change.
    Changes,
    /// Functions of one artifact.
    Functions,
    /// Files in the project, for `diff`.
    Tree,
}

fn main() -> ExitCode {
    match execute(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn execute(arguments: &Arguments) -> Result<()> {
    match &arguments.command {
        Command::Serve(serve) => return cloud::serve::serve(serve),
        Command::Shape(shaper) => return link::shaper::shape(shaper),
        _ => {}
    }
    let progress = Progress::default();
    // Before anything takes its time.
    let out = &arguments.out;
    std::fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    let file = out.join("results.json");
    let mut results = Results::load(&file)?;
    if !matches!(arguments.command, Command::Report) {
        progress.say("building what is measured");
        let programs = match (&arguments.quickdeploy, &arguments.bootstrap) {
            (Some(quickdeploy), Some(bootstrap)) => Programs::there(quickdeploy, bootstrap)?,
            _ => Programs::build()?,
        };
        let mut run = Run { programs, progress, results, file };
        run.command(&arguments.command)?;
        results = run.results;
    }
    report::write(&results, out)
}

/// What is measured, and with what.
struct Run {
    programs: Programs,
    progress: Progress,
    results: Results,
    file: PathBuf,
}

impl Run {
    fn command(&mut self, command: &Command) -> Result<()> {
        match command {
            Command::All { runs } => self.all(*runs),
            Command::Install => self.install(),
            Command::Compare(compare) => self.compare(compare),
            Command::Function { runs, sizes } => self.function(sizes, *runs),
            Command::Full { runs, services, .. } if services.are_wanted() => {
                self.progress.say("full builds by the real services");
                self.results.services = services.builds(*runs, &self.programs, &self.progress)?;
                self.save()
            }
            Command::Full { runs, sizes, .. } => self.full(sizes, *runs),
            Command::Growth { runs, with } => with.iter().try_for_each(|with| self.growth(*with, *runs)),
            Command::Report | Command::Serve(_) | Command::Shape(_) => Ok(()),
        }
    }

    fn all(&mut self, runs: usize) -> Result<()> {
        self.install()?;
        self.results = Results::default();
        self.function(&project::SIZES, runs)?;
        [Growth::Entries, Growth::Changes, Growth::Functions, Growth::Tree]
            .into_iter()
            .try_for_each(|with| self.growth(with, runs))?;
        self.full(&project::SIZES, runs.min(3))?;
        for network in [Network::Loopback, Network::Uplink] {
            for size in project::SIZES {
                let edits = if size == ALL_EDITS_AT { Edit::ALL.to_vec() } else { vec![Edit::OneLine] };
                let compare = Compare { sizes: vec![size], networks: vec![network], edits, tools: Vec::new(), runs };
                self.compare(&compare)?;
            }
        }
        Ok(())
    }

    fn save(&mut self) -> Result<()> {
        save(&mut self.results, &self.programs, &self.file)
    }

    fn install(&mut self) -> Result<()> {
        for peer in Peer::ALL {
            self.progress.say(&format!("installing {peer:?}"));
            if let Err(error) = peer.install() {
                self.progress.warn(&format!("{error:#}"));
            }
        }
        project::SIZES.into_iter().try_for_each(|size| {
            self.progress.say(&format!("installing the project of {size} MB"));
            project::installed(size).map(drop)
        })
    }

    fn compare(&mut self, wanted: &Compare) -> Result<()> {
        for &network in &wanted.networks {
            for &size in &wanted.sizes {
                let (edits, tools, runs) = (wanted.edits.clone(), wanted.tools.clone(), wanted.runs);
                // Who names a tool wants to see it.
                let too_slow = match tools.is_empty() {
                    true => compare::too_slow(&self.results.compared, size, network),
                    false => Vec::new(),
                };
                let wanted = Wanted { size, network, edits, tools, runs, too_slow };
                let keep = |compared| {
                    self.results.add_compared(compared);
                    save(&mut self.results, &self.programs, &self.file)
                };
                if let Err(error) = compare(&wanted, &self.programs, &self.progress, keep) {
                    let what = format!("The tools with {size} MB, {network}: {error:#}");
                    self.progress.warn(&what);
                    self.results.missing.push(what);
                    self.save()?;
                }
            }
        }
        Ok(())
    }

    fn function(&mut self, sizes: &[u32], runs: usize) -> Result<()> {
        self.progress.say("the function, beside the original");
        let edits = engine::by_size(sizes, runs, &self.programs, &self.progress)?;
        self.results.add_by_size(edits);
        self.save()
    }

    fn full(&mut self, sizes: &[u32], runs: usize) -> Result<()> {
        for &size in sizes {
            self.progress.say(&format!("full builds, {size} MB"));
            let builds = full_build::full_builds(size, runs, &self.programs, &self.progress)?;
            self.results.add_full_builds(builds);
            self.save()?;
        }
        Ok(())
    }

    fn growth(&mut self, with: Growth, runs: usize) -> Result<()> {
        self.progress.say(&format!("growth with {with:?}"));
        match with {
            Growth::Entries => self.results.by_entries = engine::by_entries(runs, &self.programs, &self.progress)?,
            Growth::Changes => self.results.by_changes = engine::by_changes(runs, &self.programs, &self.progress)?,
            Growth::Functions => self.results.fleets = growth::by_functions(&self.programs, &self.progress)?,
            Growth::Tree => self.results.trees = growth::by_tree(runs.max(10), &self.programs, &self.progress)?,
        }
        self.save()
    }
}

/// Keeps what there is by now.
fn save(results: &mut Results, programs: &Programs, file: &Path) -> Result<()> {
    results.machine = Machine::of(programs);
    results.save(file)
}

/// A line on stdout.
#[allow(clippy::print_stdout)]
fn say(line: &str) {
    println!("{line}");
}
