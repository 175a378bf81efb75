//! The command line, parsed and nothing else: no file is read here and no decision taken.
//!
//! `quickdeploy` without a verb is `quickdeploy deploy`, so the flags of `deploy` are also accepted at the top level.
//! [`Args::verb`] folds both spellings into one, and refuses `quickdeploy --dry-run patch …`, where it would be a
//! guess whose flag was meant.

mod observe;
mod versions;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args as ClapArgs, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::store_check::StoreCheck;
pub(crate) use observe::{Afterwards, Call, Invoke, Logs};
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

/// `quickdeploy init`.
#[derive(Clone, Debug, Default, ClapArgs)]
#[command(after_help = "\
Without FUNCTION and --stack, it looks at what is here: SAM's or CloudFormation's template.yaml and samconfig.toml,
serverless.yml, cdk.out. `--env NAME` chooses SAM's config environment or the Serverless Framework's stage.

Examples:
  quickdeploy init my-function
  quickdeploy init --stack my-stack --dry-run
  quickdeploy init my-function --artifact s3://my-bucket/my-function.zip --adopt
  quickdeploy init --artifact s3://my-bucket/quickdeploy/ --adopt")]
pub(crate) struct Init {
    /// The Lambda function to begin with: its name or ARN
    pub(crate) function: Option<String>,

    /// Begin with all functions of this CloudFormation stack
    #[arg(long, value_name = "STACK", conflicts_with = "function")]
    pub(crate) stack: Option<String>,

    /// The zip in S3 that the functions are deployed from [else: it is looked for]; with a `/` at its end, the place
    /// below which each package has its own
    #[arg(long, value_name = "s3://BUCKET/KEY")]
    pub(crate) artifact: Option<String>,

    /// Put the package that the functions run now to `--artifact`, if nothing is there
    #[arg(long, requires = "artifact")]
    pub(crate) adopt: bool,

    /// Write over a quickdeploy.toml that is there
    #[arg(long)]
    pub(crate) force: bool,

    /// Print the file, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Of several possibilities take the first one, and don't ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}

/// `quickdeploy patch`.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  quickdeploy patch s3://my-bucket/app.zip --put src/start.js=start.js
  quickdeploy patch build/app.zip --put run.sh=- --mode run.sh=0755 --delete old.js <run.sh")]
pub(crate) struct Patch {
    /// The zip to edit: s3://BUCKET/KEY, or a local file
    pub(crate) artifact: String,

    /// Put the content of FILE (`-`: standard input) under NAME
    #[arg(long = "put", value_name = "NAME=FILE")]
    pub(crate) puts: Vec<Put>,

    /// Delete the entry NAME; not an error when it is not there
    #[arg(long = "delete", value_name = "NAME")]
    pub(crate) deletes: Vec<String>,

    /// Put every file of the local zip archive ZIP
    #[arg(long, value_name = "ZIP")]
    pub(crate) overlay: Option<PathBuf>,

    /// Unix permissions of a put: octal, e.g. 0644 [else: those of the replaced entry, 0755 for a new one]
    #[arg(long = "mode", value_name = "NAME=MODE")]
    pub(crate) modes: Vec<Mode>,

    /// Edit only if the artifact still has this ETag
    #[arg(long, value_name = "ETAG")]
    pub(crate) if_match: Option<String>,

    /// Say what would be done, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// `NAME=FILE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Put {
    pub(crate) name: String,
    pub(crate) file: PathBuf,
}

impl FromStr for Put {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, file)) if !name.is_empty() && !file.is_empty() => {
                Ok(Self { name: name.to_owned(), file: PathBuf::from(file) })
            }
            _ => Err("wanted NAME=FILE: a name inside the zip, `=`, a file here (or `-`)".to_owned()),
        }
    }
}

/// `NAME=MODE`, the mode in octal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mode {
    pub(crate) name: String,
    pub(crate) mode: u16,
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, digits) = text.rsplit_once('=').ok_or("wanted NAME=MODE, e.g. run.sh=0755")?;
        match u16::from_str_radix(digits, 8) {
            Ok(mode) if mode <= 0o7777 && !name.is_empty() => Ok(Self { name: name.to_owned(), mode }),
            _ => Err(format!("`{digits}` is not an octal mode such as 0644 or 0755")),
        }
    }
}

/// `quickdeploy bootstrap`.
#[derive(Clone, Debug, Default, ClapArgs)]
#[command(after_help = "\
The function's code is `bootstrap-ARCH.zip`: that of `--zip`, else the one beside this program, or in `dist`. A release has
it there; in a checkout, `cargo run --locked -p release -- --bootstrap-only` makes it.

What isn't said stays as the stack has it. The same code and parameters again: nothing to do, exit code 0.")]
pub(crate) struct Bootstrap {
    #[command(flatten)]
    pub(crate) artifacts: Chosen,

    /// Name of the stack [default: zipedit]
    #[arg(long, value_name = "NAME")]
    pub(crate) stack_name: Option<String>,

    /// Name of the function [else: `zipedit` of quickdeploy.toml, that of the stack, or zipedit]
    #[arg(long, value_name = "NAME")]
    pub(crate) function_name: Option<String>,

    /// The function's code: a zip with the executable `bootstrap`
    #[arg(long, value_name = "FILE")]
    pub(crate) zip: Option<PathBuf>,

    /// Architecture of the function: x86_64 or arm64 [else: that of the zip]
    #[arg(long, value_name = "ARCH")]
    pub(crate) arch: Option<release::Architecture>,

    /// Bucket with the artifacts that the function may edit [else: that of the configured artifacts]
    #[arg(long, value_name = "BUCKET")]
    pub(crate) bucket: Option<String>,

    /// The function may edit only what is below this prefix; empty: the whole bucket [else: the artifacts' folder]
    #[arg(long, value_name = "PREFIX/")]
    pub(crate) prefix: Option<String>,

    /// Bucket for the function's own code, in the stack's region; made when there is none [else: the artifacts' bucket]
    #[arg(long, value_name = "BUCKET")]
    pub(crate) code_bucket: Option<String>,

    /// Memory of the function in MB, 128 to 10240; 1769 is one vCPU
    #[arg(long, value_name = "MB", value_parser = clap::value_parser!(u32).range(128..=10240))]
    pub(crate) memory: Option<u32>,

    /// Longest run of one edit in seconds, 3 to 900
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(3..=900))]
    pub(crate) timeout: Option<u32>,

    /// ARN of the KMS key that encrypts the artifacts, if it is a key of your own
    #[arg(long, value_name = "ARN")]
    pub(crate) kms_key: Option<String>,

    /// Whether the function may lock what it writes, for artifacts with a retention or a legal hold
    #[arg(long, value_name = "BOOL")]
    pub(crate) object_lock: Option<bool>,

    /// Show the change set, and change nothing
    #[arg(long, conflicts_with = "confirm")]
    pub(crate) dry_run: bool,

    /// Ask before the change set is executed
    #[arg(long)]
    pub(crate) confirm: bool,

    /// Delete the stack, after asking
    #[arg(long, conflicts_with_all = ["dry_run", "confirm", "zip", "arch", "bucket", "prefix", "code_bucket"])]
    pub(crate) delete: bool,

    /// Don't ask
    #[arg(long, short, requires = "delete")]
    pub(crate) yes: bool,
}

/// `quickdeploy doctor`.
#[derive(Clone, Debug, Default, ClapArgs)]
#[command(after_help = "\
Nothing is changed, and nothing is written but a trial upload that is aborted at once; in a store other than AWS's also a
small object beside the artifact, for a moment. Exit code 1: something is broken that a deployment needs.")]
pub(crate) struct Doctor {
    #[command(flatten)]
    pub(crate) artifacts: Chosen,

    /// Abort unfinished uploads to the artifact that are older than a day, after asking
    #[arg(long)]
    pub(crate) fix: bool,

    /// Don't ask
    #[arg(long, short, requires = "fix")]
    pub(crate) yes: bool,
}

/// `quickdeploy demo`.
#[derive(Clone, Debug, Default, ClapArgs)]
pub(crate) struct Demo {
    /// The project to show it with; it is copied, never touched [default: a small Node.js project]
    pub(crate) dir: Option<PathBuf>,

    /// Use this `bootstrap` as the zipedit function, instead of this program itself
    #[arg(long, value_name = "FILE")]
    pub(crate) bootstrap: Option<PathBuf>,
}

/// `quickdeploy local`.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Local {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:4580", value_parser = listen_address)]
    pub(crate) listen: SocketAddr,

    /// Write a JSON line per request: service, operation, status, bytes in and out, ms
    #[arg(long, value_name = "FILE")]
    pub(crate) log: Option<PathBuf>,

    /// Keep buckets and functions in this directory [else: in memory]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// Use this `bootstrap` as the zipedit function, instead of this program itself
    #[arg(long, value_name = "FILE")]
    pub(crate) bootstrap: Option<PathBuf>,
}

/// `quickdeploy completions`.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = "\
Install it where your shell looks:
  quickdeploy completions bash > ~/.local/share/bash-completion/completions/quickdeploy
  quickdeploy completions zsh > \"${fpath[1]}/_quickdeploy\"
  quickdeploy completions fish > ~/.config/fish/completions/quickdeploy.fish
  quickdeploy completions powershell >> $PROFILE")]
pub(crate) struct Completions {
    /// The shell that is to read it
    pub(crate) shell: clap_complete::Shell,
}

/// `quickdeploy man`.
#[derive(Clone, Debug, Default, ClapArgs)]
#[command(after_help = "\
Examples:
  quickdeploy man deploy | man -l -
  quickdeploy man --dir ~/.local/share/man/man1")]
pub(crate) struct Man {
    /// The command whose page is printed [default: the page about all of them]
    pub(crate) verb: Option<String>,

    /// Write a page for every command into this directory
    #[arg(long, value_name = "DIR", conflicts_with = "verb")]
    pub(crate) dir: Option<PathBuf>,
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

/// An IP address and a port; `localhost` is one that everybody types.
fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    numeric.as_deref().unwrap_or(text).parse().map_err(|_| "wanted ADDR:PORT, e.g. 127.0.0.1:4580".to_owned())
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

    #[test]
    fn a_put_names_an_entry_and_a_file() {
        assert_eq!("a/b.js=../x=y.js".parse(), Ok(Put { name: "a/b.js".into(), file: "../x=y.js".into() }));
        for wrong in ["a.js", "=x", "a="] {
            assert!(wrong.parse::<Put>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_address_to_listen_on_is_an_ip_address_or_localhost() {
        assert_eq!(listen_address("localhost:0"), Ok(SocketAddr::from(([127, 0, 0, 1], 0))));
        assert_eq!(listen_address("127.0.0.1:80"), Ok(SocketAddr::from(([127, 0, 0, 1], 80))));
        for wrong in ["foo", "4580", "localhost", "127.0.0.1:99999"] {
            assert!(listen_address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_mode_is_octal() {
        assert_eq!("run=x.sh=0755".parse(), Ok(Mode { name: "run=x.sh".into(), mode: 0o755 }));
        for wrong in ["a=rwx", "a=99999", "a=0799", "0755"] {
            assert!(wrong.parse::<Mode>().is_err(), "{wrong}");
        }
    }
}
