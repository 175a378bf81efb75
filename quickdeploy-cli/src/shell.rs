//! Commands that the configuration names, run by the shell.
//!
//! What a command prints comes line by line, and its last lines are kept for the error. It is a process group of its own,
//! so that an interrupt ends the compilers and bundlers that it has started, too, and not only the shell. It is over when
//! the shell is: what it left running in the background is neither waited for nor ended.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use crate::interrupt::Interrupts;

/// How long a command may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(5);
/// How long what it printed may take to arrive after it has ended.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// A command, where it runs, and with what besides the environment of this process.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) command: String,
    pub(crate) directory: PathBuf,
    pub(crate) variables: Vec<(&'static str, OsString)>,
}

/// A command that has ended by itself.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// The last lines that it printed, on stdout and stderr together.
    pub(crate) last: Vec<String>,
    /// How many it has printed in all.
    pub(crate) lines: usize,
}

impl Ended {
    /// Completes "`COMMAND` …".
    pub(crate) fn how(&self) -> String {
        match self.status.code() {
            Some(code) => format!("ended with exit code {code}"),
            None => "was ended by a signal".to_owned(),
        }
    }

    /// What the exit code says about what to do.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        // As POSIX has it for the shell.
        match self.status.code() {
            Some(126) => Some("a program in it may not be executed: is it a program, and has it the permission?"),
            Some(127) => Some("a program in it was not found: is it installed, and in PATH?"),
            _ => None,
        }
    }
}

impl Script {
    /// Runs it to its end. `told` is given each line as it comes, `keep` of the last ones are in the answer. `None`: it was
    /// interrupted, and has been ended with all that it had started.
    ///
    /// # Errors
    ///
    /// There is no shell, or no such directory.
    pub(crate) async fn run(
        &self,
        keep: usize,
        mut told: impl FnMut(&str),
        interrupts: &Interrupts,
    ) -> std::io::Result<Option<Ended>> {
        let mut child = self.spawn()?;
        let (sender, mut printed) = mpsc::channel(64);
        let readers = [
            child.stdout.take().map(|out| tokio::spawn(pass_on(out, sender.clone()))),
            child.stderr.take().map(|out| tokio::spawn(pass_on(out, sender.clone()))),
        ];
        drop(sender);
        let (mut last, mut lines) = (VecDeque::with_capacity(keep), 0);
        let ended = async {
            let mut status = None;
            loop {
                tokio::select! {
                    biased;
                    line = printed.recv() => {
                        let Some(line) = line else { break };
                        told(&line);
                        lines += 1;
                        if last.len() == keep {
                            last.pop_front();
                        }
                        last.push_back(line);
                    }
                    ended = child.wait(), if status.is_none() => status = Some(ended),
                    // Something in the background still has its stdout.
                    () = tokio::time::sleep(LAST_WORDS), if status.is_some() => break,
                }
            }
            match status {
                Some(status) => status,
                None => child.wait().await,
            }
        };
        let status = tokio::select! {
            status = ended => Some(status),
            () = interrupts.nth(1) => None,
        };
        for reader in readers.into_iter().flatten() {
            reader.abort();
        }
        let Some(status) = status else {
            end(&mut child, interrupts).await;
            return Ok(None);
        };
        Ok(Some(Ended { status: status?, last: last.into(), lines }))
    }

    fn spawn(&self) -> std::io::Result<Child> {
        shell(&self.command)
            .current_dir(&self.directory)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
    }
}

#[cfg(unix)]
fn shell(command: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(command).process_group(0);
    shell
}

#[cfg(not(unix))]
fn shell(command: &str) -> Command {
    let mut shell = Command::new("cmd");
    shell.arg("/C").arg(command);
    shell
}

/// Asks the command's whole process group to end, then makes what is left of it; at once after a second interrupt.
#[cfg(unix)]
async fn end(child: &mut Child, interrupts: &Interrupts) {
    use rustix::process::{Pid, Signal, kill_process_group};
    let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let signal = |signal| {
        // What has ended already can't be asked; that is all that can go wrong.
        let _ = group.map(|group| kill_process_group(group, signal));
    };
    signal(Signal::INT);
    // A shell keeps an interrupt from what it runs in the background: that is left when the shell has ended.
    tokio::select! {
        _ = tokio::time::timeout(GRACE, child.wait()) => {}
        () = interrupts.nth(2) => {}
    }
    signal(Signal::KILL);
    drop(child.wait().await);
}

#[cfg(not(unix))]
async fn end(child: &mut Child, _: &Interrupts) {
    drop(tokio::time::timeout(GRACE, child.kill()).await);
}

/// Line by line, whatever the bytes are. A line that was drawn over itself counts as what it came to.
async fn pass_on(out: impl AsyncRead + Unpin, lines: mpsc::Sender<String>) {
    let mut out = BufReader::new(out);
    let mut line = Vec::new();
    while matches!(out.read_until(b'\n', &mut line).await, Ok(1..)) {
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\n', '\r']);
        let text = text.rsplit('\r').next().unwrap_or_default();
        if lines.send(anstream::adapter::strip_str(text).to_string()).await.is_err() {
            return;
        }
        line.clear();
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    async fn run(command: &str, keep: usize) -> (Option<Ended>, Vec<String>) {
        let script = Script { command: command.to_owned(), directory: std::env::temp_dir(), variables: Vec::new() };
        let mut told = Vec::new();
        let ended = script.run(keep, |line| told.push(line.to_owned()), &Interrupts::never()).await;
        (ended.ok().flatten(), told)
    }

    #[tokio::test]
    async fn the_last_lines_are_kept_and_all_are_told() {
        let (ended, told) = run("for i in 1 2 3 4; do echo $i; done; exit 3", 2).await;
        let ended = ended.unwrap();
        assert_eq!((ended.status.code(), ended.lines), (Some(3), 4));
        assert_eq!((ended.last, told.len()), (vec!["3".to_owned(), "4".to_owned()], 4));
    }

    #[tokio::test]
    async fn what_it_leaves_in_the_background_is_not_waited_for() {
        let start = std::time::Instant::now();
        let (ended, told) = run("sleep 20 & echo done", 2).await;
        assert!(ended.unwrap().status.success());
        assert_eq!(told, ["done"]);
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    }
}
