//! CloudFormation: stacks and change sets whose resources are made in the other services of this cloud.
//!
//! A template's text is read by `syntax`, expanded by `serverless` where it says so, and checked by `template`. With the
//! values of its `parameters` it is a goal (`stack::Goal`): which resources there shall be, with which properties, as far
//! as `functions` can evaluate them now. `changes` says how a stack differs from a goal, which is what change sets show.
//! `deployment` takes a stack there in the background, step by step (`schedule`), and back when a step fails. What the
//! steps do to Lambda, S3, IAM and CloudWatch Logs is in `resources`; what requests ask for is in `operations`.

mod capabilities;
mod change_set;
mod changes;
mod control;
mod deployment;
mod errors;
mod functions;
mod operations;
mod parameters;
mod permissions;
mod resources;
mod schedule;
mod serverless;
mod settings;
mod stack;
mod status;
mod syntax;
mod template;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::protocol::query::{Answer, Call, Refusal};
use crate::record::{Fault, RecordFile};

pub(crate) use resources::Services;

pub use control::StackControl;
pub use settings::CloudFormationSettings;

use control::Fate;
use stack::{Event, Stack};
use status::{ResourceStatus, StackStatus};

/// Of CloudFormation's documents.
pub(crate) const NAMESPACE: &str = "http://cloudformation.amazonaws.com/doc/2010-05-15/";

/// What a stack is told that was under way when the local cloud ended.
const CUT_OFF: &str = "The local cloud ended during the operation.";

/// The CloudFormation of a local cloud.
pub(crate) struct CloudFormation {
    settings: CloudFormationSettings,
    services: Services,
    state: Mutex<State>,
    /// What is under way in the background.
    tasks: Mutex<JoinSet<()>>,
    file: OnceLock<RecordFile>,
}

#[derive(Default)]
struct State {
    /// By id, those that are deleted included.
    stacks: BTreeMap<String, Stack>,
    /// What shall become of the next step of a resource, by logical id.
    fates: HashMap<String, Fate>,
    /// The access key ids of those who asked last for a stack to be changed, by region and name.
    callers: HashMap<(String, String), String>,
    /// The switches that end what is under way, by stack.
    running: HashMap<String, Arc<watch::Sender<bool>>>,
}

impl std::fmt::Debug for CloudFormation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CloudFormation").finish_non_exhaustive()
    }
}

impl CloudFormation {
    pub(crate) fn new(settings: CloudFormationSettings, services: Services) -> Arc<Self> {
        Arc::new(Self { settings, services, state: Mutex::default(), tasks: Mutex::default(), file: OnceLock::new() })
    }

    /// Keeps stacks in a file, and brings back those that are in it. What was under way then has failed, and each stack
    /// settles to what its resources are.
    pub(crate) async fn keep_in(&self, file: PathBuf) -> Result<(), Fault> {
        let file = RecordFile::at(file);
        let mut stacks: BTreeMap<String, Stack> = file.load().await?;
        stacks.values_mut().for_each(settle);
        self.state().stacks = stacks;
        let _ = self.file.set(file);
        Ok(())
    }

    /// Answers one request.
    pub(crate) async fn handle(self: &Arc<Self>, call: &Call) -> Answer {
        let reads = ["Describe", "Get", "List", "Validate"];
        if !reads.iter().any(|verb| call.action.starts_with(verb)) {
            self.note_caller(call);
        }
        let answer = operations::perform(self, call).await?;
        if !reads.iter().any(|verb| call.action.starts_with(verb)) {
            self.save().await?;
        }
        Ok(answer)
    }

    /// Ends what is under way, where it is.
    pub(crate) async fn shutdown(&self) {
        let mut tasks = std::mem::take(&mut *self.tasks());
        tasks.shutdown().await;
        // At the end, nobody is left to be told of a disk that can't be written.
        let _ = self.save().await;
    }

    /// Does something in the background.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks();
        // Ended tasks are forgotten as time goes by.
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    fn tasks(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings the file up to date, where there is one.
    async fn save(&self) -> Result<(), Refusal> {
        let Some(file) = self.file.get() else { return Ok(()) };
        file.save(|| self.state().stacks.clone()).await.map_err(|(path, message)| {
            Refusal::new(
                500,
                "InternalFailure",
                format!("The stacks could not be saved in {}: {message}", path.display()),
            )
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_stack<T>(&self, id: &str, look: impl FnOnce(&mut Stack) -> T) -> Option<T> {
        self.state().stacks.get_mut(id).map(look)
    }

    fn settings(&self) -> &CloudFormationSettings {
        &self.settings
    }

    fn services(&self) -> &Services {
        &self.services
    }

    fn take_fate(&self, logical_id: &str) -> Fate {
        self.state().fates.remove(logical_id).unwrap_or_default()
    }
}

/// Ends what was under way when the last life of the cloud ended.
fn settle(stack: &mut Stack) {
    if !stack.status.is_in_progress() {
        return;
    }
    let cut: Vec<(String, ResourceStatus)> = stack
        .resources
        .iter()
        .filter(|(_, resource)| resource.status.settled() != resource.status)
        .map(|(name, resource)| (name.clone(), resource.status.settled()))
        .collect();
    for (name, status) in cut {
        stack.set_resource(&name, status, Some(CUT_OFF.to_owned()));
    }
    let left = stack.resources.values().any(|resource| !resource.status.is_gone() && !resource.physical_id.is_empty());
    let status = match stack.status {
        StackStatus::DeleteInProgress if !left => StackStatus::DeleteComplete,
        StackStatus::RollbackInProgress if !left => StackStatus::RollbackComplete,
        status => status.settled(),
    };
    if status == StackStatus::DeleteComplete {
        stack.deleted = Some(SystemTime::now());
    }
    stack.set_status(status, Some(CUT_OFF.to_owned()));
}

impl Event {
    /// The newest events, newest first.
    fn newest_first(events: &[Self]) -> impl Iterator<Item = &Self> {
        events.iter().rev()
    }
}
