//! What an edit costs, with QuickDeploy and with what else is used for it. See `benches/README.md`.

mod cloud;
mod compare;
mod link;
mod paths;
mod process;
mod programs;
mod progress;
mod project;
mod results;
mod run;
mod stage;
mod stats;
mod tools;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::compare::{Wanted, compare};
use crate::link::Network;
use crate::programs::{Peer, Programs};
use crate::progress::Progress;
use crate::project::edits::Edit;
use crate::results::Results;

/// Measure QuickDeploy beside what else is used to bring an edit into Lambda functions.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Where the results are kept.
    #[arg(long, global = true, default_value = "benches/results.json")]
    results: PathBuf,
    /// Measure this `quickdeploy` [else: it is built]
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
    /// Install projects and tools, so that nothing is downloaded later.
    Install,
    /// Deploy the same edits with every tool.
    Compare {
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
    },
    #[command(hide = true)]
    Serve(cloud::serve::Serve),
    #[command(hide = true)]
    Shape(link::shaper::Shaper),
}

fn main() -> ExitCode {
    match execute(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn execute(arguments: Arguments) -> Result<()> {
    let progress = Progress::default();
    let programs = || match (&arguments.quickdeploy, &arguments.bootstrap) {
        (Some(quickdeploy), Some(bootstrap)) => Programs::there(quickdeploy, bootstrap),
        _ => Programs::build(),
    };
    match arguments.command {
        Command::Serve(serve) => return cloud::serve::serve(&serve),
        Command::Shape(shaper) => return link::shaper::shape(&shaper),
        Command::Install => {
            for peer in Peer::ALL {
                progress.say(&format!("{peer:?}"));
                peer.install()?;
            }
            for size in project::SIZES {
                progress.say(&format!("the project of {size} MB"));
                project::installed(size)?;
            }
            Programs::build()?;
        }
        Command::Compare { sizes, networks, edits, tools, runs } => {
            let programs = programs()?;
            for network in networks {
                for &size in &sizes {
                    let wanted = Wanted { size, network, edits: edits.clone(), tools: tools.clone(), runs };
                    match compare(&wanted, &programs, &progress) {
                        Ok(compared) => {
                            let mut results = Results::load(&arguments.results)?;
                            results.add_compared(compared);
                            results.save(&arguments.results)?;
                        }
                        Err(error) => progress.warn(&format!("{size} MB, {network}: {error:#}")),
                    }
                }
            }
        }
    }
    Ok(())
}

/// A line on stdout.
#[allow(clippy::print_stdout)]
fn say(line: &str) {
    println!("{line}");
}
