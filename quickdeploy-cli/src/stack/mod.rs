//! CloudFormation stacks, created, updated and deleted by change sets.
//!
//! # For callers
//!
//! ```text
//! let stacks = Stacks::new(cloud);
//! let found = stacks.find("app").await?;                 // None: there is no such stack
//! let plan = plan(found.as_ref(), "app")?;               // create, update; or why neither can be done now
//! let document = deploy(ui, &stacks, &request, interrupts).await?;   // the whole story, as `full` and `bootstrap` tell it
//! let functions = stacks.functions("app").await?;        // physical names of the AWS::Lambda::Function resources
//! delete(ui, &stacks, "app", interrupts).await?;
//! ```
//!
//! # How it holds together
//!
//! [`plan()`] is a pure function of a stack's status: what can be done with it now. [`change_set`] makes a change set and
//! waits until CloudFormation knows what it would do; [`changes`] is that, to be shown. A change set that isn't executed
//! is deleted again, and so is the empty stack that CloudFormation makes for a change set of a new one.
//! [`follow`] tells an operation's events as they come in, oldest first and each once, until the stack is at rest;
//! [`events`] finds in them why an operation failed: the first failure of each resource, not what was cancelled because
//! of it. [`deploy()`] puts these together.
//!
//! CloudFormation carries an operation on whether or not anybody watches. So a Ctrl-C before the execution leaves
//! nothing behind, and one after it only ends the watching, and says so.

mod change_set;
mod changes;
mod delete;
mod deploy;
mod events;
mod follow;
mod plan;
mod resources;
mod template;
mod template_location;

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::config::http::HttpResponse;
use aws_sdk_cloudformation::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudformation::types::{StackStatus, Tag};
use serde::{Deserialize, Serialize};

use crate::aws::Cloud;
use crate::error::{Error, Result};
use crate::rate::Quota;
use crate::retry::retried;

#[allow(unused_imports, reason = "for the verb that deletes its stack")]
pub(crate) use delete::delete;
pub(crate) use deploy::{Deployed, Mode, deploy};
pub(crate) use plan::{Plan, plan};
pub(crate) use resources::Resource;
pub(crate) use template_location::INLINE_LIMIT;

/// CloudFormation publishes no numbers for its throttling; the AWS tools that poll it stay at about this rate.
const CALLS_PER_SECOND: usize = 6;
/// Polling begins with this pause …
const FIRST_POLL: Duration = Duration::from_millis(250);
/// … and slows down to this one.
const SLOWEST_POLL: Duration = Duration::from_secs(2);

/// How long CloudFormation waits for a resource before it calls it done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(crate) enum DeploymentMode {
    /// Until it is ready to serve.
    #[default]
    Standard,
    /// Until its configuration is applied; it becomes ready in the background.
    Express,
}

/// What a stack shall become.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The stack's name.
    pub(crate) stack: String,
    /// The template's text.
    pub(crate) template: String,
    /// Names of the parameters that the template declares. Of those that aren't in `parameters`, an existing stack keeps
    /// the values it has, and a new one takes the defaults.
    pub(crate) declared: Vec<String>,
    /// Values of parameters.
    pub(crate) parameters: BTreeMap<String, String>,
    /// What is acknowledged, such as `CAPABILITY_IAM`.
    pub(crate) capabilities: Vec<String>,
    /// Tags of the stack, and of what it creates.
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) mode: DeploymentMode,
    /// Where a template is put that is too long to be sent with the request: a bucket of the stack's region, and a prefix.
    /// `None`: such a template is an error.
    pub(crate) upload_to: Option<(String, String)>,
}

/// What CloudFormation says of a stack.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stack {
    /// Its ARN: unlike the name, it still means the same stack after a deletion.
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) status: StackStatus,
    pub(crate) reason: Option<String>,
    /// Names of the parameters that it has a value for.
    pub(crate) parameters: Vec<String>,
    pub(crate) outputs: BTreeMap<String, String>,
    pub(crate) tags: BTreeMap<String, String>,
}

impl Stack {
    fn read(stack: &aws_sdk_cloudformation::types::Stack) -> Option<Self> {
        let name = stack.stack_name()?.to_owned();
        let output = |output: &aws_sdk_cloudformation::types::Output| {
            Some((output.output_key()?.to_owned(), output.output_value().unwrap_or_default().to_owned()))
        };
        let tag = |tag: &Tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned()));
        Some(Self {
            id: stack.stack_id().unwrap_or(&name).to_owned(),
            name,
            status: stack.stack_status()?.clone(),
            reason: stack.stack_status_reason().filter(|reason| !reason.is_empty()).map(str::to_owned),
            parameters: stack
                .parameters()
                .iter()
                .filter_map(|parameter| parameter.parameter_key().map(str::to_owned))
                .collect(),
            outputs: stack.outputs().iter().filter_map(output).collect(),
            tags: stack.tags().iter().filter_map(tag).collect(),
        })
    }

    /// Whether an operation is under way.
    pub(crate) fn is_busy(&self) -> bool {
        self.status.as_str().ends_with("_IN_PROGRESS") && self.status != StackStatus::ReviewInProgress
    }
}

/// CloudFormation in one region.
#[derive(Clone, Debug)]
pub(crate) struct Stacks<'a> {
    cloud: &'a Cloud,
    client: Client,
    quota: Quota,
}

impl<'a> Stacks<'a> {
    /// CloudFormation where `cloud` is.
    pub(crate) fn new(cloud: &'a Cloud) -> Self {
        Self { cloud, client: cloud.cloudformation(), quota: Quota::per_second(CALLS_PER_SECOND) }
    }

    /// The stack with this name or id. `None`: there is none, or (by id) it has been deleted.
    ///
    /// # Errors
    ///
    /// CloudFormation can't be asked.
    pub(crate) async fn find(&self, name: &str) -> Result<Option<Stack>> {
        match retried(&self.quota, || self.client.describe_stacks().stack_name(name).send()).await {
            Ok(output) => {
                let stack = output.stacks().iter().find_map(Stack::read);
                Ok(stack.filter(|stack| stack.status != StackStatus::DeleteComplete))
            }
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(self.explain(&format!("could not describe the stack `{name}`"), &error)),
        }
    }

    fn not_found(&self, name: &str) -> Error {
        Error::new("StackNotFound", format!("there is no stack `{name}` in {}", self.cloud.region))
            .hint("check the stack's name, and the region")
    }

    /// CloudFormation's error in clear words.
    fn explain<E>(&self, what: &str, error: &SdkError<E, HttpResponse>) -> Error
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
    {
        let told = self.cloud.explain(what, error);
        match error.code() {
            Some("InsufficientCapabilitiesException" | "InsufficientCapabilities") => told.hint(
                "the template makes IAM roles, policies or users: acknowledge that with \
                 `capabilities = [\"CAPABILITY_NAMED_IAM\"]` in quickdeploy.toml",
            ),
            Some("LimitExceededException" | "LimitExceeded") => {
                told.hint("delete stacks or change sets that are no longer needed, or ask AWS for a higher quota")
            }
            _ => told,
        }
    }
}

/// `ValidationError: Stack with id app does not exist`: CloudFormation has no error code of its own for it.
fn is_missing<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    error.code() == Some("ValidationError") && error.message().is_some_and(|text| text.contains("does not exist"))
}

fn next_poll(pause: Duration) -> Duration {
    (pause * 3 / 2).min(SLOWEST_POLL)
}

/// The pages at the console and the commands by which somebody goes on watching.
fn how_to_watch(stack: &str) -> String {
    format!("watch it with `aws cloudformation describe-stack-events --stack-name {stack}`")
}
