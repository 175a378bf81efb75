//! Flags of the verbs that bring the project's files to the functions, or say what that would be: `deploy`, `watch`, `full`,
//! `diff`.

use clap::{Args as ClapArgs, ValueEnum};

use super::{Afterwards, Call, Chosen};

/// `quickdeploy deploy`.
#[derive(Clone, Debug, Default, PartialEq, Eq, ClapArgs)]
#[command(next_help_heading = "Deploy options")]
pub(crate) struct Deploy {
    #[command(flatten)]
    pub(crate) artifacts: Chosen,

    /// Say what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Also delete files from the artifact that the project does not have, whoever put them there
    #[arg(long)]
    pub(crate) delete: bool,

    /// Update only these functions (repeat, or separate by commas); the others stay stale until the next run
    #[arg(long = "function", value_name = "NAME", value_delimiter = ',')]
    pub(crate) functions: Vec<String>,

    /// Do a full build instead, if dependencies or the template changed since the last one, or there is no artifact yet
    #[arg(long)]
    pub(crate) full_if_needed: bool,

    /// Update every function that does not run the artifact, whatever its imports reach
    #[arg(long)]
    pub(crate) all: bool,

    /// How to patch: by the zipedit function, directly from here, or whichever should be faster from here
    #[arg(long, value_name = "HOW")]
    pub(crate) via: Option<ViaArg>,

    /// Deploy the files as they are: don't run `compile` of quickdeploy.toml
    #[arg(long)]
    pub(crate) no_compile: bool,

    #[command(flatten)]
    pub(crate) afterwards: Afterwards,
}

/// `quickdeploy watch`.
#[derive(Clone, Debug, Default, ClapArgs)]
#[command(after_help = "\
It deploys what differs, and from then on what is saved: only the files that changed here, so that what others deploy
meanwhile stays. Where quickdeploy.toml has a `compile` command, a save of a source runs it first. While it fails, or a
file to deploy has a syntax error, nothing is deployed; the next save is tried again. With `--json` there is a line of JSON for each save.")]
pub(crate) struct Watch {
    #[command(flatten)]
    pub(crate) artifacts: Chosen,

    /// Update only these functions (repeat, or separate by commas)
    #[arg(long = "function", value_name = "NAME", value_delimiter = ',')]
    pub(crate) functions: Vec<String>,

    /// How to patch: by the zipedit function, directly from here, or whichever should be faster from here
    #[arg(long, value_name = "HOW")]
    pub(crate) via: Option<ViaArg>,

    /// Deploy the files as they are: don't run `compile` of quickdeploy.toml
    #[arg(long)]
    pub(crate) no_compile: bool,

    /// Deploy files with syntax errors, too
    #[arg(long)]
    pub(crate) no_check: bool,

    /// After each deployment invoke a function with the event in FILE [else: {}], and show its result and log
    #[arg(long, value_name = "FUNCTION[=FILE]")]
    pub(crate) invoke: Vec<Call>,

    /// Also show what the functions log, as it comes
    #[arg(long)]
    pub(crate) logs: bool,
}

/// How the artifact is patched; overrides `via` of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ViaArg {
    /// Whichever is estimated to be faster from here
    Auto,
    /// Invoke the zipedit function
    Lambda,
    /// From this machine, by S3 requests
    Direct,
}

/// `quickdeploy full`.
#[derive(Clone, Debug, Default, PartialEq, Eq, ClapArgs)]
pub(crate) struct Full {
    #[command(flatten)]
    pub(crate) artifacts: Chosen,

    /// Say what would be done and show the stack's change set, and do nothing
    #[arg(long, conflicts_with = "confirm")]
    pub(crate) dry_run: bool,

    /// Ask before the stack's change set is executed
    #[arg(long)]
    pub(crate) confirm: bool,
}

/// `quickdeploy diff`.
#[derive(Clone, Debug, Default, ClapArgs)]
pub(crate) struct Diff {
    #[command(flatten)]
    pub(crate) artifacts: Chosen,

    /// Exit with 1 when there is a difference, 0 when there is none
    #[arg(long)]
    pub(crate) exit_code: bool,

    /// Also show what `deploy --delete` would delete
    #[arg(long)]
    pub(crate) delete: bool,

    /// Also show which functions each file affects, and why [default with `affected = "traced"`]
    #[arg(long)]
    pub(crate) functions: bool,
}
