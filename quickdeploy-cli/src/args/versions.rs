//! Flags of the verbs that look at the artifact's versions: `status`, `rollback`, `history`.

use clap::Args as ClapArgs;

use super::Chosen;

/// `quickdeploy status`.
#[derive(Clone, Debug, Default, ClapArgs)]
pub(crate) struct Status {
    /// Exit with 1 when something is left to do: a change, a function that is stale or has failed
    #[arg(long)]
    pub(crate) exit_code: bool,

    #[command(flatten)]
    pub(crate) artifacts: Chosen,
}

/// `quickdeploy rollback`.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = "\
Nothing is uploaded: the version is copied inside S3, and becomes the newest one. A rollback after a rollback goes
further back; to take one back, name the version that was there before it.

Examples:
  quickdeploy rollback                 to the version before, with other files
  quickdeploy rollback --steps 2       to the one before that
  quickdeploy rollback 3sL4kqtJ        to this one, of `quickdeploy history`")]
pub(crate) struct Rollback {
    /// The version to go back to: its id, or as much of its beginning as is unique [default: the one before]
    #[arg(value_name = "VERSION")]
    pub(crate) to: Option<String>,

    /// Go so many versions back, counting only those whose files differ
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..),
          conflicts_with = "to")]
    pub(crate) steps: u32,

    /// List the versions, as `quickdeploy history` does
    #[arg(long, conflicts_with_all = ["to", "steps", "dry_run", "all"])]
    pub(crate) list: bool,

    /// Say what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Update every function that does not run the version, whatever its imports reach
    #[arg(long)]
    pub(crate) all: bool,

    #[command(flatten)]
    pub(crate) artifacts: Chosen,
}

/// `quickdeploy history`.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct History {
    /// List so many versions
    #[arg(short, long, value_name = "N", default_value_t = History::NUMBER)]
    pub(crate) number: usize,

    /// Leave out what changed: less to read from S3 the first time
    #[arg(long)]
    pub(crate) no_changes: bool,

    #[command(flatten)]
    pub(crate) artifacts: Chosen,
}

impl History {
    const NUMBER: usize = 10;
}

impl Default for History {
    fn default() -> Self {
        Self { number: Self::NUMBER, no_changes: false, artifacts: Chosen::default() }
    }
}
