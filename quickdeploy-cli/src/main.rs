//! `quickdeploy`: from an edited file to updated Lambda functions.
//!
//! Here: exit codes, and a reader of stdout that goes away. Everything else is in the modules.

mod affected;
mod args;
mod aws;
mod bootstrap;
mod built_from;
mod compare;
mod compile;
mod demo;
mod denial;
mod deployment;
mod digest;
mod doctor;
mod error;
mod full;
mod functions;
mod guards;
mod init;
mod interrupt;
mod invoke;
mod live_code;
mod logs;
mod lookout;
mod memory;
mod project;
mod rate;
mod retry;
mod rollback;
mod rollout;
mod shell;
mod stack;
mod stamp;
mod state;
mod store_check;
mod survey;
mod tails;
mod trace;
mod ui;
mod unchanged;
mod update;
mod verbs;
mod versions;
mod via;
mod watch;

use std::process::ExitCode;

use clap::Parser;
use serde::Serialize;

use args::{Args, Global, Verb};
use error::{Error, Result};
use ui::Ui;

fn main() -> ExitCode {
    let (global, verb) = match Args::try_parse().and_then(Args::verb) {
        Ok(parsed) => parsed,
        Err(error) => return usage(&error),
    };
    if matches!(verb, Verb::ServeZipedit) {
        // The Lambda runtime loop brings its own runtime, and ends with the process.
        return verbs::serve_zipedit();
    }
    let ui = Ui::new(&global);
    let code = run(&ui, &global, verb).unwrap_or_else(|error| fail(&ui, &error));
    // As for any filter: a reader that has seen enough is not an error.
    if ui.pipe_is_broken() { ExitCode::SUCCESS } else { ExitCode::from(code) }
}

fn run(ui: &Ui, global: &Global, verb: Verb) -> Result<u8> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::new("Bug", "could not start the asynchronous runtime").because(&error))?;
    let code = runtime.block_on(async {
        tokio::select! {
            code = verbs::run(ui, global, verb) => code,
            error = interrupt::insisted() => Err(error),
        }
    });
    // A file that is still being read in the background must not hold up the end.
    runtime.shutdown_background();
    code
}

/// The JSON document of a command that failed.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Failure<'a> {
    ok: bool,
    error: &'a Error,
}

/// Tells the failure on stderr, and with `--json` as the one document on stdout.
fn fail(ui: &Ui, error: &Error) -> u8 {
    ui.error(error);
    if let Err(error) = ui.document(&Failure { ok: false, error }) {
        ui.error(&error);
    }
    error.exit_code()
}

/// clap's own text (help and version on stdout with 0, usage errors on stderr with 2). A program that asked for JSON
/// gets a document for a usage error, too.
fn usage(error: &clap::Error) -> ExitCode {
    // Nothing is left to complain to when neither stream can be written.
    drop(error.print());
    if error.use_stderr() && std::env::args_os().any(|arg| arg == "--json") {
        let ui = Ui::new(&Global { json: true, ..Global::default() });
        drop(ui.document(&Failure { ok: false, error: &Error::usage(first_paragraph(&error.to_string())) }));
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

/// What clap says before it shows the usage, in one line.
fn first_paragraph(text: &str) -> String {
    let lines = text.lines().take_while(|line| !line.trim().is_empty());
    let words: Vec<&str> = lines.flat_map(str::split_whitespace).collect();
    words.join(" ").trim_start_matches("error: ").to_owned()
}
