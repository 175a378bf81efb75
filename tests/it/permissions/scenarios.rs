//! What is done under which policy: every command that makes requests to AWS, in each of its ways that makes other ones.

/// One thing to do with one command.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scenario {
    /// The name of the policy on the page.
    pub(super) policy: &'static str,
    /// Policies that it adds up with.
    pub(super) with: &'static [&'static str],
    /// `{first}` stands for the id of the artifact's first version.
    pub(super) arguments: &'static [&'static str],
    /// What is added to `quickdeploy.toml`.
    pub(super) config: &'static str,
    pub(super) start: Start,
}

/// What is there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// An artifact and the function `app-api` that runs it; here, the function's file is another one.
    Small,
    /// The same, with an artifact so large that it is edited by parts.
    Large,
    /// The same, with a change so large that no event holds it.
    LargeChange,
    /// Two versions of the artifact: the function runs the later one.
    TwoVersions,
    /// The function is one of the stack `app`, and has the tag `team=blue`.
    Stacked,
    /// The files here are those of the artifact, and there is no `quickdeploy.toml`.
    Unconfigured,
    /// An empty bucket.
    Empty,
    /// Not even the bucket.
    Nothing,
    /// What `full` with the stack made; since then, the file and the template changed.
    Full,
    /// An artifact, its function, and the CodeBuild project `app-build`.
    CodeBuild,
    /// The stack of the zipedit function.
    Bootstrapped,
}

pub(super) const FUNCTIONS: &str = "functions = [\"app-api\"]\n";
const TRACED: &str = "functions = [\"app-api\"]\naffected = \"traced\"\n";
const BY_STACK: &str = "functions = { stack = \"app\" }\n";
const BY_TAG: &str = "functions = { tag = \"team=blue\" }\n";
const BY_CODE: &str = "functions = { same-code-as = \"app-api\" }\n";
pub(super) const STACK: &str = "functions = [\"app-api\"]\nstack = \"app\"\ntemplate = \"template.yaml\"\n\
                     capabilities = [\"CAPABILITY_NAMED_IAM\"]\nexclude = [\"template.yaml\"]\n";
const CREATE: &str = "functions = [\"app-api\"]\nrole = \"app-made\"\n\
                      [create.app-api]\nhandler = \"util.handler\"\nruntime = \"nodejs22.x\"\n";
const CODEBUILD: &str = "functions = [\"app-api\"]\ncodebuild = \"app-build\"\n";
const ALL: &str =
    "functions = [\"app-api\"]\nstack = \"app\"\ntemplate = \"template.yaml\"\ncodebuild = \"app-build\"\n";

const fn scenario(
    policy: &'static str,
    arguments: &'static [&'static str],
    config: &'static str,
    start: Start,
) -> Scenario {
    Scenario { policy, with: &[], arguments, config, start }
}

const fn with(with: &'static [&'static str], scenario: Scenario) -> Scenario {
    Scenario { with, ..scenario }
}

/// All of them.
pub(super) const SCENARIOS: &[Scenario] = &[
    scenario("diff", &["diff"], FUNCTIONS, Start::Small),
    with(&["diff"], scenario("diff-functions", &["diff", "--functions"], TRACED, Start::Small)),
    scenario("status", &["status"], FUNCTIONS, Start::Small),
    scenario("deploy", &["deploy", "--via", "direct"], FUNCTIONS, Start::Small),
    scenario("deploy", &["deploy", "--via", "direct"], FUNCTIONS, Start::Large),
    scenario("deploy", &["deploy", "--dry-run"], FUNCTIONS, Start::Small),
    scenario("deploy", &["watch", "--via", "direct"], FUNCTIONS, Start::Small),
    with(&["deploy"], scenario("by-stack", &["deploy", "--via", "direct"], BY_STACK, Start::Stacked)),
    with(&["deploy"], scenario("by-tag", &["deploy", "--via", "direct"], BY_TAG, Start::Stacked)),
    with(&["deploy"], scenario("by-code", &["deploy", "--via", "direct"], BY_CODE, Start::Small)),
    scenario("deploy-lambda", &["deploy", "--via", "lambda"], FUNCTIONS, Start::Small),
    scenario("deploy-lambda", &["watch", "--via", "lambda"], FUNCTIONS, Start::Small),
    with(&["deploy-lambda"], scenario("deploy-staged", &["--via", "lambda"], FUNCTIONS, Start::LargeChange)),
    scenario("patch", &["patch", "s3://my-bucket/app/backend.zip", "--put", "util.js=util.js"], "", Start::Small),
    scenario("patch", &["patch", "s3://my-bucket/app/backend.zip", "--put", "util.js=util.js"], "", Start::Large),
    scenario("patch", &["patch", "s3://my-bucket/app/backend.zip", "--overlay", "more.zip"], "", Start::Small),
    scenario("history", &["history"], FUNCTIONS, Start::TwoVersions),
    scenario("history", &["rollback", "--list"], FUNCTIONS, Start::TwoVersions),
    scenario("rollback", &["rollback"], FUNCTIONS, Start::TwoVersions),
    scenario("rollback", &["rollback", "{first}"], FUNCTIONS, Start::TwoVersions),
    scenario("rollback", &["rollback", "--all"], FUNCTIONS, Start::TwoVersions),
    scenario("rollback", &["rollback", "--dry-run"], FUNCTIONS, Start::TwoVersions),
    scenario("invoke", &["invoke", "app-api"], FUNCTIONS, Start::Small),
    with(&["deploy"], scenario("invoke", &["--via", "direct", "--invoke", "app-api"], FUNCTIONS, Start::Small)),
    scenario("logs", &["logs"], FUNCTIONS, Start::Small),
    scenario("logs", &["logs", "--follow", "--for", "1s"], FUNCTIONS, Start::Small),
    with(&["deploy"], scenario("logs", &["--via", "direct", "--logs-for", "1s"], FUNCTIONS, Start::Small)),
    scenario("init", &["init", "app-api", "--dry-run"], "", Start::Unconfigured),
    scenario("init-stack", &["init", "--stack", "app", "--dry-run"], "", Start::Stacked),
    scenario(
        "init-adopt",
        &["init", "app-api", "--artifact", "s3://my-bucket/app/new.zip", "--adopt"],
        "",
        Start::Unconfigured,
    ),
    scenario("full", &["full"], FUNCTIONS, Start::Small),
    with(&["full"], scenario("full-create", &["full"], CREATE, Start::Nothing)),
    with(&["full"], scenario("full-codebuild", &["full"], CODEBUILD, Start::CodeBuild)),
    scenario("full-stack", &["full"], STACK, Start::Empty),
    scenario("full-stack", &["--full-if-needed"], STACK, Start::Empty),
    with(&["full-stack"], scenario("full-update", &["full"], STACK, Start::Full)),
    with(&["full-stack"], scenario("full-preview", &["full", "--dry-run"], STACK, Start::Full)),
    scenario("bootstrap", &["bootstrap", "--zip", "bootstrap.zip"], FUNCTIONS, Start::Empty),
    with(
        &["bootstrap"],
        scenario(
            "bootstrap-update",
            &["bootstrap", "--zip", "bootstrap.zip", "--memory", "512"],
            FUNCTIONS,
            Start::Bootstrapped,
        ),
    ),
    scenario("bootstrap-delete", &["bootstrap", "--delete", "--yes"], FUNCTIONS, Start::Bootstrapped),
    scenario("doctor", &["doctor"], ALL, Start::CodeBuild),
    scenario("doctor", &["doctor", "--fix", "--yes"], ALL, Start::CodeBuild),
];

/// Commands that ask nothing of AWS.
pub(super) const WITHOUT_REQUESTS: &[&str] = &["demo", "local", "completions", "man", "help"];
