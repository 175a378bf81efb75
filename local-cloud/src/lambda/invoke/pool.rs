//! The processes of all functions: which one runs an invocation, when a new one starts, when one ends.
//!
//! A process belongs to one deployment and handles one invocation at a time. After an answer it stays warm for the
//! next one. It ends when it breaks, when its deployment is retired by an update or a deletion, when it has been idle
//! for long, or when its place is needed: idle and busy processes together never exceed the limit.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use super::Event;
use super::environment::Surroundings;
use super::outcome::{Failure, Outcome};
use super::process::{Init, Run, Worker};
use super::runtimes::Runtimes;
use super::transcript::{self, Usage};
use crate::iam::{Iam, Need};
use crate::lambda::LambdaSettings;
use crate::lambda::deployment::Deployment;
use crate::lambda::errors::{ApiError, ErrorKind, Result};
use crate::logs::{Logs, StreamWriter};
use crate::permissions;
use crate::watchdog::Watchdog;

/// How long to wait for processes at the end, before they are left to the watchdog.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs invocations.
#[derive(Debug)]
pub(in crate::lambda) struct Pool {
    max_processes: usize,
    idle_timeout: Duration,
    init_timeout: Duration,
    /// One permit for each invocation that runs.
    permits: Arc<Semaphore>,
    /// Warm processes, the one used last at the end.
    idle: Mutex<Vec<Idle>>,
    runtimes: Runtimes,
    watchdog: Arc<Watchdog>,
    endpoint: OnceLock<String>,
    /// Of every process.
    environment: BTreeMap<String, String>,
    logs: Arc<Logs>,
    iam: Arc<Iam>,
    closed: watch::Sender<bool>,
    reaper: OnceLock<()>,
}

#[derive(Debug)]
struct Idle {
    worker: Worker,
    since: Instant,
}

/// An invocation that came to an end.
#[derive(Debug)]
pub(super) struct Completed {
    pub(super) outcome: Outcome,
    pub(super) log: Vec<u8>,
}

/// What an invocation's log holds before its end.
struct Written {
    before: Vec<u8>,
    start: String,
    during: Vec<u8>,
}

/// A process that is ready, and how it came to be.
struct Ready {
    worker: Worker,
    /// For a cold start: how long it took.
    init: Option<Duration>,
}

/// What starting a process came to, other than a ready one.
enum NotReady {
    /// The function is to blame: this is its outcome.
    Failed { failure: Failure, output: Vec<u8>, log: StreamWriter, took: Duration },
    /// The request is refused.
    Refused(ApiError),
}

impl Pool {
    pub(in crate::lambda) fn new(settings: &LambdaSettings, logs: Arc<Logs>, iam: Arc<Iam>) -> Arc<Self> {
        let max_processes = settings.max_processes.max(1);
        Arc::new(Self {
            max_processes,
            idle_timeout: settings.idle_timeout,
            init_timeout: settings.init_timeout,
            permits: Arc::new(Semaphore::new(max_processes)),
            idle: Mutex::default(),
            runtimes: Runtimes::default(),
            watchdog: Arc::default(),
            endpoint: OnceLock::new(),
            environment: settings.environment.clone(),
            logs,
            iam,
            closed: watch::Sender::new(false),
            reaper: OnceLock::new(),
        })
    }

    /// Where the local cloud listens. The first call counts.
    pub(in crate::lambda) fn set_endpoint(&self, url: String) {
        let _ = self.endpoint.set(url);
    }

    /// Where the local cloud listens; empty until that is known.
    pub(in crate::lambda) fn endpoint(&self) -> &str {
        self.endpoint.get().map_or("", String::as_str)
    }

    /// Runs one invocation, in its turn.
    pub(super) async fn run(self: Arc<Self>, deployment: Arc<Deployment>, event: Event) -> Result<Completed> {
        let shutting_down = || ApiError::new(ErrorKind::Service, "The local cloud is shutting down");
        let _permit = self.permits.acquire().await.map_err(|_| shutting_down())?;
        let mut closed = self.closed.subscribe();
        tokio::select! {
            completed = self.handle(&deployment, event) => completed,
            // What `handle` was doing is dropped, and the process with it.
            _ = closed.wait_for(|closed| *closed) => Err(shutting_down()),
        }
    }

    async fn handle(self: &Arc<Self>, deployment: &Arc<Deployment>, event: Event) -> Result<Completed> {
        let request_id = event.request_id.clone();
        let timeout = Duration::from_secs(deployment.configuration.timeout.into());
        let start = transcript::start(&request_id, &deployment.version);
        loop {
            let mut ready = match self.ready(deployment, &request_id, timeout).await {
                Ok(ready) => ready,
                Err(NotReady::Refused(refusal)) => return Err(refusal),
                Err(NotReady::Failed { failure, output, log, took }) => {
                    let usage = self.usage(deployment, took, None, 0);
                    log.write(&start);
                    let written = Written { before: output, start, during: Vec::new() };
                    return Ok(complete(&log, &request_id, &written, Outcome::Failure(failure), &usage));
                }
            };
            let log = ready.worker.log.clone();
            let before = ready.worker.take_output().await;
            let began = Instant::now();
            let run = ready.worker.run(event.clone(), start.clone(), timeout).await;
            let duration = began.elapsed().min(timeout);
            let memory = ready.worker.peak_memory();
            let during = ready.worker.take_output().await;
            let usage = self.usage(deployment, duration, ready.init, memory);
            let outcome = match run {
                Run::Untouched => {
                    ready.worker.end().await;
                    continue;
                }
                Run::Answered(outcome) => {
                    self.keep(ready.worker).await;
                    outcome
                }
                Run::Broken(failure) => {
                    ready.worker.end().await;
                    Outcome::Failure(failure)
                }
            };
            return Ok(complete(&log, &request_id, &Written { before, start, during }, outcome, &usage));
        }
    }

    fn usage(&self, deployment: &Deployment, duration: Duration, init: Option<Duration>, max_memory: u64) -> Usage {
        Usage { duration, init, memory_size: deployment.configuration.memory_size, max_memory }
    }

    /// A warm process of the deployment, or a new one.
    async fn ready(
        self: &Arc<Self>,
        deployment: &Arc<Deployment>,
        request_id: &str,
        timeout: Duration,
    ) -> Result<Ready, NotReady> {
        if let Some(worker) = self.take_warm(deployment).await {
            return Ok(Ready { worker, init: None });
        }
        let began = Instant::now();
        let log = self.log_of(deployment);
        let mut worker = self.start(deployment, request_id, &log).await?;
        let mut init = worker.initialise(began + self.init_timeout).await;
        if matches!(init, Init::TimedOut) {
            // As in AWS: a second try, now within the time of the invocation.
            worker.end().await;
            worker = self.start(deployment, request_id, &log).await?;
            init = worker.initialise(Instant::now() + timeout).await;
        }
        let failure = match init {
            Init::Ready => return Ok(Ready { worker, init: Some(began.elapsed()) }),
            Init::Failed(failure) => failure,
            Init::Exited(status) => Failure::exited(request_id, status),
            Init::TimedOut => Failure::timed_out(request_id, timeout),
        };
        let output = worker.take_output().await;
        worker.end().await;
        Err(NotReady::Failed { failure, output, log, took: began.elapsed() })
    }

    /// Where a new process logs: a stream of its own, if the function's role may write it.
    fn log_of(&self, deployment: &Deployment) -> StreamWriter {
        let (group, stream) = (deployment.log_group(), deployment.new_log_stream());
        let to = permissions::log_stream(&group, &stream, &deployment.region);
        let mut needs = vec![Need::new("logs:CreateLogStream", &*to), Need::new("logs:PutLogEvents", &*to)];
        if !self.logs.has(&group) {
            needs.push(Need::new("logs:CreateLogGroup", permissions::log_stream(&group, "", &deployment.region)));
        }
        let permitted = |role| self.iam.authorize_role(role, &deployment.function, &needs).is_ok();
        self.logs.writer(&group, &stream).kept(deployment.acting_role().is_none_or(permitted))
    }

    async fn start(
        &self,
        deployment: &Arc<Deployment>,
        request_id: &str,
        log: &StreamWriter,
    ) -> Result<Worker, NotReady> {
        let failed = |message: &str| NotReady::Failed {
            failure: Failure::entrypoint(request_id, message),
            output: Vec::new(),
            log: log.clone(),
            took: Duration::ZERO,
        };
        let launch = self.runtimes.launch(deployment).await.map_err(NotReady::Refused)?;
        let program = launch.program.clone();
        if launch.unpacked.is_some() && !program.exists() {
            return Err(failed("Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]"));
        }
        let role = deployment.acting_role();
        let keys = role.and_then(|role| self.iam.session_keys(role, &deployment.function));
        let place = Surroundings { endpoint: self.endpoint(), environment: &self.environment, keys };
        Worker::start(Arc::clone(deployment), launch, place, Arc::clone(&self.watchdog), log.clone())
            .await
            .map_err(|e| failed(&format!("fork/exec {}: {}", shown_program(&program), error_text(&e))))
    }

    /// Takes the process of the deployment that was used last. Makes room for a new one where there is none.
    async fn take_warm(&self, deployment: &Deployment) -> Option<Worker> {
        let mut ended = Vec::new();
        let warm = {
            let mut idle = self.idle();
            let mut warm = None;
            while let Some(at) =
                idle.iter().rposition(|known| known.worker.deployment.generation == deployment.generation)
            {
                let mut worker = idle.remove(at).worker;
                if worker.is_alive() {
                    warm = Some(worker);
                    break;
                }
                ended.push(worker);
            }
            let busy = self.max_processes - self.permits.available_permits();
            if warm.is_none() && busy + idle.len() > self.max_processes && !idle.is_empty() {
                ended.push(idle.remove(0).worker);
            }
            warm
        };
        end_all(ended).await;
        warm
    }

    /// Keeps a process warm, unless its deployment is retired.
    async fn keep(self: &Arc<Self>, worker: Worker) {
        self.idle().push(Idle { worker, since: Instant::now() });
        self.end_retired().await;
        self.reaper.get_or_init(|| {
            tokio::spawn(reap(Arc::downgrade(self), self.idle_timeout));
        });
    }

    /// Ends idle processes of retired deployments. Busy ones end after their invocation.
    pub(in crate::lambda) async fn end_retired(&self) {
        self.end_where(|idle| idle.worker.deployment.retired.load(std::sync::atomic::Ordering::Acquire)).await;
    }

    /// How many processes are warm and idle.
    #[cfg(test)]
    pub(in crate::lambda) fn idle_processes(&self) -> usize {
        self.idle().len()
    }

    async fn end_where(&self, mut which: impl FnMut(&Idle) -> bool) {
        let ended: Vec<Worker> = self.idle().extract_if(.., |idle| which(idle)).map(|idle| idle.worker).collect();
        end_all(ended).await;
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all processes and waits for them. Invocations under way are answered with an error.
    pub(in crate::lambda) async fn close(&self) {
        self.closed.send_replace(true);
        // Every invocation that still runs has a permit and gives it back.
        let all = u32::try_from(self.max_processes).unwrap_or(u32::MAX);
        let _ = tokio::time::timeout(PATIENCE, self.permits.acquire_many(all)).await;
        self.permits.close();
        self.end_where(|_| true).await;
        self.watchdog.close().await;
    }
}

/// Writes the end of an invocation's log.
fn complete(log: &StreamWriter, request_id: &str, written: &Written, outcome: Outcome, usage: &Usage) -> Completed {
    let end = transcript::end(request_id, &outcome, usage);
    for event in &end {
        log.write(event);
    }
    let log = transcript::whole(&written.before, &written.start, &written.during, &end);
    Completed { outcome, log }
}

async fn end_all(workers: Vec<Worker>) {
    for worker in workers {
        worker.end().await;
    }
}

/// Ends processes that have been idle for too long, for as long as the pool is there.
async fn reap(pool: Weak<Pool>, idle_timeout: Duration) {
    let pause = (idle_timeout / 2).max(Duration::from_millis(10));
    loop {
        tokio::time::sleep(pause).await;
        let Some(pool) = pool.upgrade() else { return };
        if *pool.closed.borrow() {
            return;
        }
        pool.end_where(|idle| idle.since.elapsed() >= idle_timeout).await;
    }
}

/// A bootstrap is shown where it would lie in Lambda, any other program where it lies.
fn shown_program(program: &Path) -> String {
    if program.ends_with("bootstrap") { "/var/task/bootstrap".to_owned() } else { program.display().to_string() }
}

/// The operating system's words, without Rust's "(os error N)".
fn error_text(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}
