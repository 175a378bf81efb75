//! One process of a function, from its start to its end.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout_at};

use super::Event;
use super::environment::{self, Surroundings};
use super::outcome::{Failure, Outcome};
use super::output::Output;
use super::runtime_api::{Invocation, RuntimeApi, Sign};
use super::runtimes::Launch;
use crate::lambda::deployment::Deployment;
use crate::lambda::unpack::Unpacked;
use crate::logs::StreamWriter;
use crate::watchdog::Watchdog;

/// How long to look for a response after its process has ended, when something else holds its connection open.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A running process. Dropping it kills its whole process group.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) deployment: Arc<Deployment>,
    child: Child,
    group: u32,
    api: RuntimeApi,
    output: Output,
    /// The stream of this process in CloudWatch Logs.
    pub(super) log: StreamWriter,
    watchdog: Arc<Watchdog>,
    /// MB.
    peak_memory: u64,
    /// Code and layers stay unpacked for as long as the process may read them.
    _unpacked: [Option<Arc<Unpacked>>; 2],
}

/// How an initialisation ended.
#[derive(Debug)]
pub(super) enum Init {
    /// The process asked for its first invocation.
    Ready,
    /// The runtime reported an error.
    Failed(Failure),
    /// The process ended.
    Exited(ExitStatus),
    /// It took too long.
    TimedOut,
}

/// How an invocation of a process ended.
#[derive(Debug)]
pub(super) enum Run {
    /// With an answer of the function. The process can take another one.
    Answered(Outcome),
    /// The process ended, or was too slow: it is of no more use.
    Broken(Failure),
    /// The process had ended before it took the invocation, which another process can have.
    Untouched,
}

impl Worker {
    /// Starts a process. Errors are those of the operating system when it executes the program.
    pub(super) async fn start(
        deployment: Arc<Deployment>,
        launch: Launch,
        place: Surroundings<'_>,
        watchdog: Arc<Watchdog>,
        log: StreamWriter,
    ) -> io::Result<Self> {
        let api = RuntimeApi::listen(log.clone()).await?;
        let variables = environment::variables(&deployment, &launch, api.address, place, &log);
        let mut command = Command::new(&launch.program);
        command
            .args(&launch.arguments)
            .env_clear()
            .envs(variables)
            .current_dir(&launch.task_root)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let mut child = spawn(&mut command).await?;
        let group = child.id().ok_or_else(|| io::Error::other("the process has no id"))?;
        let output = Output::collect(child.stdout.take(), child.stderr.take(), log.clone());
        watchdog.watch(group).await;
        let unpacked = [launch.unpacked, launch.opt];
        Ok(Self { deployment, child, group, api, output, log, watchdog, peak_memory: 0, _unpacked: unpacked })
    }

    /// Waits for the first poll.
    pub(super) async fn initialise(&mut self, deadline: Instant) -> Init {
        let first = timeout_at(deadline, async {
            tokio::select! {
                biased;
                sign = self.api.sign() => Ok(sign),
                status = self.child.wait() => Err(status),
            }
        });
        let sign = match first.await {
            Err(_) => return Init::TimedOut,
            Ok(Ok(sign)) => sign,
            Ok(Err(status)) => match tokio::time::timeout(LAST_WORDS, self.api.last_sign()).await {
                Ok(Some(sign @ Sign::InitFailed(_))) => sign,
                _ => return Init::Exited(status.unwrap_or_default()),
            },
        };
        match sign {
            Sign::InitFailed(failure) => Init::Failed(failure),
            // Before the first poll there is nothing to take or to end.
            Sign::Polled | Sign::Taken | Sign::Done(_) => Init::Ready,
        }
    }

    /// Has the process handle an event. `start_line` is logged when the process takes it.
    pub(super) async fn run(&mut self, event: Event, start_line: String, limit: Duration) -> Run {
        let request_id = event.request_id.clone();
        let deadline = Instant::now() + limit;
        self.api.offer(Invocation { event, deadline: SystemTime::now() + limit, start_line }).await;
        let mut taken = false;
        loop {
            let step = timeout_at(deadline, async {
                tokio::select! {
                    biased;
                    sign = self.api.sign() => Ok(sign),
                    status = self.child.wait() => Err(status.unwrap_or_default()),
                }
            });
            match step.await {
                Err(_) => return Run::Broken(Failure::timed_out(&request_id, limit)),
                Ok(Ok(Sign::Taken)) => {
                    taken = true;
                    self.look_at_memory();
                }
                Ok(Ok(Sign::Done(outcome))) => return Run::Answered(outcome),
                Ok(Ok(Sign::Polled)) => {}
                // Some runtimes report what they find out late by the wrong path.
                Ok(Ok(Sign::InitFailed(failure))) => return Run::Broken(failure),
                Ok(Err(status)) => {
                    // What the process posted just before its end may still be on its way.
                    let end = Instant::now() + LAST_WORDS;
                    while let Ok(Some(sign)) = timeout_at(end, self.api.last_sign()).await {
                        match sign {
                            Sign::Done(outcome) => return Run::Answered(outcome),
                            Sign::Taken => taken = true,
                            Sign::Polled | Sign::InitFailed(_) => {}
                        }
                    }
                    return if taken { Run::Broken(Failure::exited(&request_id, status)) } else { Run::Untouched };
                }
            }
        }
    }

    /// What the process has written since the last call.
    pub(super) async fn take_output(&self) -> Vec<u8> {
        self.output.take().await
    }

    /// The peak of the process's resident memory in MB, as far as it is known. Only Linux tells it; elsewhere it is 0.
    pub(super) fn peak_memory(&mut self) -> u64 {
        self.look_at_memory();
        self.peak_memory
    }

    /// Looks now: once the process has ended it is too late.
    fn look_at_memory(&mut self) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.group)).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = peak.and_then(|peak| peak.split_whitespace().next()?.parse::<u64>().ok());
        self.peak_memory = self.peak_memory.max(kilobytes.unwrap_or(0).div_ceil(1024));
    }

    /// Whether the process is still there.
    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Kills the process and all that it started, and waits for it.
    pub(super) async fn end(mut self) {
        self.kill_group();
        let _ = self.child.wait().await;
        self.watchdog.forget(self.group).await;
    }

    fn kill_group(&self) {
        if let Some(group) = i32::try_from(self.group).ok().and_then(Pid::from_raw) {
            // The group may be gone already.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // While the child isn't waited for, its id, and so the group's, belongs to nobody else.
        if self.child.id().is_some() {
            self.kill_group();
        }
    }
}

/// Spawns, and tries again for a moment while a program that was just written is still open for writing in another
/// process: between fork and exec, children of other threads hold its file.
async fn spawn(command: &mut Command) -> io::Result<Child> {
    for pause in [1, 2, 5, 10, 20, 50, 100] {
        match command.spawn() {
            Err(e) if e.kind() == io::ErrorKind::ExecutableFileBusy => {
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
            other => return other,
        }
    }
    command.spawn()
}
