//! The command line, parsed and nothing else: no file is read here and no decision taken.
//!
//! `quickdeploy` without a verb is `quickdeploy deploy`, so the flags of `deploy` are also accepted at the top level.
//! [`Args::verb`] folds both spellings into one, and refuses `quickdeploy --dry-run patch …`, where it would be a
//! guess whose flag was meant.

mod deploy;
mod local;
mod observe;
mod patch;
mod setup;
mod shell;
mod versions;

use clap::{Args as ClapArgs, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::store_check::StoreCheck;
pub(crate) use deploy::{Deploy, Diff, Full, ViaArg, Watch};
pub(crate) use local::{Demo, Local};
pub(crate) use observe::{Afterwards, Call, Invoke, Logs};
pub(crate) use patch::{Mode, Patch};
pub(crate) use setup::{Bootstrap, Doctor, Init};
pub(crate) use shell::{Completions, Man};
pub(crate) use versions::{History, Rollback, Status};

/// The environment variables that are read besides the standard `AWS_*` ones, in one place.
pub(crate) mod env {
    /// Which `[env.NAME]` of the configuration to use, like `--env`.
    pub(crate) const ENV: &str = "QUICKDEPLOY_ENV";
    /// What follows when a store ignores preconditions, like `--store-check`. The zipedit function reads it, too.
    pub(crate) const STORE_CHECK: &str = zipedit_lambda::STORE_CHECK;
}

const AFTER_HELP: &str = "\
Without a command, `quickdeploy` deploys. `quickdeploy demo` shows all of it on this machine, with no AWS account.

Exit codes: 0 done, or nothing to do; 1 failed; 2 wrong usage.";

/// Patch a Lambda artifact where it lies in S3, and update every function that runs it
#[derive(Debug, Parser)]
#[command(name = "quickdeploy", version, after_help = AFTER_HELP, propagate_version = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Verb>,

    #[command(flatten)]
    deploy: Deploy,

    #[command(flatten)]
    pub(crate) global: Global,
}

/// What every verb accepts.
#[derive(Clone, Debug, Default, ClapArgs)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Print one JSON document on stdout; text for people goes to stderr
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Use the overrides in `[env.NAME]` of quickdeploy.toml
    #[arg(long, global = true, value_name = "NAME", env = env::ENV)]
    pub(crate) env: Option<String>,

    /// Use this profile of the AWS configuration files [else: AWS_PROFILE]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) profile: Option<String>,

    /// Use this AWS region [else: AWS_REGION, the profile]
    #[arg(long, global = true, value_name = "REGION")]
    pub(crate) region: Option<String>,

    /// Send AWS requests here, e.g. to `quickdeploy local` [else: AWS_ENDPOINT_URL]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) endpoint_url: Option<String>,

    /// What to do about a store other than AWS's that ignores write preconditions [default: refuse]
    #[arg(long, global = true, value_name = "HOW", env = env::STORE_CHECK, hide_env_values = true)]
    pub(crate) store_check: Option<StoreCheck>,

    /// Say nothing but warnings, errors and the result
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Say more: every function, every decision
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,

    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
}

/// Which of the project's artifacts, for the verbs that work on them.
#[derive(Clone, Debug, Default, PartialEq, Eq, ClapArgs)]
pub(crate) struct Chosen {
    /// Only these artifacts of a project that has several: NAME of `[artifacts.NAME]` (repeat, or separate by commas)
    #[arg(long = "artifact", value_name = "NAME", value_delimiter = ',')]
    pub(crate) names: Vec<String>,
}

/// When to use colours. `auto`: on a terminal, unless `NO_COLOR` is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Even into a file or pipe
    Always,
    /// Not at all
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Patch the artifact with what changed, update every affected function, wait until they are live
    Deploy(Deploy),
    /// Deploy on every save
    Watch(Watch),
    /// Build, package, upload, deploy the stack: the whole way, for first deployments and new dependencies
    Full(Full),
    /// Show how the project differs from the artifact: what `deploy` would patch
    Diff(Diff),
    /// Find the artifact, its functions and how the files here lie in it; write quickdeploy.toml
    Init(Init),
    /// Show the artifact, what is not deployed yet, and every function: live, stale, failed
    Status(Status),
    /// Bring back an earlier version of the artifact, and every function with it
    Rollback(Rollback),
    /// List the artifact's versions: when, who, what changed, which functions run them
    History(History),
    /// Edit one artifact, in S3 or in a local file, with no configuration
    Patch(Patch),
    /// Create or update the stack of the function that patches artifacts beside S3; or delete it
    Bootstrap(Bootstrap),
    /// Look for what is wrong: credentials, permissions, bucket, functions; each with how to mend it
    Doctor(Doctor),
    /// Show what the functions log: what is there, or with `--follow` what comes
    Logs(Logs),
    /// Invoke a function with an event, and show its result and what it logged
    Invoke(Invoke),
    /// See all of it happen on this machine: no AWS account, nothing to set up
    Demo(Demo),
    /// Run S3, Lambda, CloudFormation, IAM, CodeBuild and CloudWatch Logs on this machine for any AWS client
    Local(Local),
    /// Print a script that completes this command's arguments in a shell
    Completions(Completions),
    /// Print the manual page, or write all of them
    Man(Man),
    /// Serve the Lambda Runtime API as the function `zipedit`: how the local cloud starts it
    #[command(name = "__bootstrap", hide = true)]
    ServeZipedit,
}

/// The definition without what is hidden, for completions and manual pages.
pub(crate) fn public_command() -> clap::Command {
    let whole = Args::command();
    let shown: Vec<clap::Command> = whole.get_subcommands().filter(|verb| !verb.is_hide_set()).cloned().collect();
    clap::Command::new("quickdeploy")
        .version(env!("CARGO_PKG_VERSION"))
        .about(whole.get_about().cloned().unwrap_or_default())
        .after_help(AFTER_HELP)
        .args(whole.get_arguments().cloned())
        .subcommands(shown)
}

impl Args {
    /// What to do and the flags of every verb. `Err`: the flags of `deploy` were given in front of another verb.
    pub(crate) fn verb(self) -> Result<(Global, Verb), clap::Error> {
        let verb = match self.command {
            None => Verb::Deploy(self.deploy),
            Some(verb) if self.deploy == Deploy::default() => verb,
            Some(_) => {
                return Err(Self::command().error(
                    clap::error::ErrorKind::ArgumentConflict,
                    "flags of one command go after its name: `quickdeploy deploy --dry-run`",
                ));
            }
        };
        Ok((self.global, verb))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<(Global, Verb), clap::Error> {
        Args::try_parse_from(line.split_whitespace()).and_then(Args::verb)
    }

    #[test]
    fn the_definition_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn no_verb_means_deploy_and_takes_its_flags() {
        let (global, verb) = parse("quickdeploy --json --dry-run --function a,b --function c").unwrap();
        assert!(global.json);
        let Verb::Deploy(deploy) = verb else { panic!("{verb:?}") };
        assert!(deploy.dry_run);
        assert_eq!(deploy.functions, ["a", "b", "c"]);
    }

    #[test]
    fn global_flags_go_before_or_after_the_verb() {
        for line in ["quickdeploy --json diff --exit-code", "quickdeploy diff --exit-code --json"] {
            let (global, verb) = parse(line).unwrap();
            assert!(global.json);
            assert!(matches!(verb, Verb::Diff(Diff { exit_code: true, .. })));
        }
    }

    #[test]
    fn flags_of_deploy_in_front_of_another_verb_are_refused() {
        let error = parse("quickdeploy --dry-run diff").unwrap_err();
        assert_eq!(error.exit_code(), 2);
    }
}
