//! Flags of the verbs that set things up and look after them: `init`, `bootstrap`, `doctor`.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::Chosen;

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
