//! The one shell that runs all commands of a build.
//!
//! In version 0.2 of the buildspec all commands share a shell: what one sets, exports or changes into is there for the next.
//! So a shell reads from a pipe, and each command is a file that it is told to source, with the standard error going where
//! the standard output goes. The shell's own standard error is left to us: there it says how the command ended. A command
//! that ends the shell itself (`exit 1`, or a failure after `set -e`) has the shell's status, and the next command gets a
//! new shell.
//!
//! The shell leads a process group, which ends with it: nothing that a command left in the background outlives the build.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use crate::logs::StreamWriter;
use crate::watchdog::Watchdog;

/// How long to wait for the last output of a shell that ended, when something else holds the pipe open.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// What is kept of the beginning of a line whose end hasn't come, in bytes.
const LONGEST_LINE: usize = 1 << 20;

/// What a shell is started with.
#[derive(Debug)]
pub(super) struct Setting {
    /// `sh` or `bash`.
    pub(super) program: String,
    pub(super) environment: BTreeMap<String, OsString>,
    /// Where commands begin.
    pub(super) directory: PathBuf,
    /// Where the files lie through which we speak with the shell.
    pub(super) scratch: PathBuf,
    pub(super) log: Option<StreamWriter>,
    pub(super) watchdog: Arc<Watchdog>,
}

/// A shell that waits for commands. Dropping it kills its process group.
#[derive(Debug)]
pub(super) struct Shell {
    child: Child,
    group: u32,
    input: ChildStdin,
    output: Output,
    /// The shell's own standard error.
    control: Lines<BufReader<ChildStderr>>,
    /// What begins the lines that say how a command ended.
    mark: String,
    scratch: PathBuf,
    watchdog: Arc<Watchdog>,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ran {
    /// With this status; the shell takes further commands.
    Status(i32),
    /// It ended the shell, with this status.
    ShellEnded(i32),
}

impl Ran {
    pub(super) fn status(self) -> i32 {
        match self {
            Self::Status(status) | Self::ShellEnded(status) => status,
        }
    }
}

impl Shell {
    pub(super) async fn start(setting: &Setting) -> io::Result<Self> {
        let mut child = Command::new(&setting.program)
            .env_clear()
            .envs(&setting.environment)
            .current_dir(&setting.directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let no_pipe = || io::Error::other("the shell has no pipes");
        let group = child.id().ok_or_else(no_pipe)?;
        let input = child.stdin.take().ok_or_else(no_pipe)?;
        let output = Output::new(child.stdout.take().ok_or_else(no_pipe)?, setting.log.clone());
        let control = BufReader::new(child.stderr.take().ok_or_else(no_pipe)?).lines();
        setting.watchdog.watch(group).await;
        let mark = uuid::Uuid::new_v4().simple().to_string();
        let (scratch, watchdog) = (setting.scratch.clone(), Arc::clone(&setting.watchdog));
        Ok(Self { child, group, input, output, control, mark, scratch, watchdog })
    }

    /// Runs one command, of any number of lines, and passes its output on as it comes.
    pub(super) async fn run(&mut self, command: &str) -> io::Result<Ran> {
        let file = self.scratch.join("command.sh");
        tokio::fs::write(&file, format!("{command}\n")).await?;
        let order = format!("{{ . {}; }} </dev/null 2>&1\nprintf '{} %s\\n' \"$?\" >&2\n", quoted(&file), self.mark);
        // A shell that is gone shows at its other end, too.
        let _ = self.input.write_all(order.as_bytes()).await;
        loop {
            tokio::select! {
                // The order matters: how a command ended is only heard when its output has been read.
                biased;
                () = self.output.pass_on() => {}
                told = self.control.next_line() => match told {
                    Ok(Some(line)) => match line.strip_prefix(&self.mark) {
                        Some(status) => {
                            self.output.flush(Duration::ZERO).await;
                            return Ok(Ran::Status(status.trim().parse().unwrap_or(1)));
                        }
                        None => self.output.write(line.as_bytes()),
                    },
                    Ok(None) | Err(_) => {
                        let status = self.child.wait().await?;
                        self.output.flush(LAST_WORDS).await;
                        let by_signal = status.signal().map_or(1, |signal| 128 + signal);
                        return Ok(Ran::ShellEnded(status.code().unwrap_or(by_signal)));
                    }
                }
            }
        }
    }

    /// What the shell makes of a text in double quotes, with its variables and `$(commands)`.
    pub(super) async fn evaluate(&mut self, text: &str) -> io::Result<String> {
        let file = self.scratch.join("value");
        self.run(&format!("printf '%s' \"{text}\" >{}", quoted(&file))).await?;
        tokio::fs::read(&file).await.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Kills the shell and all that it started, and waits for it.
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

impl Drop for Shell {
    fn drop(&mut self) {
        // While the child isn't waited for, its id, and so the group's, belongs to nobody else.
        if self.child.id().is_some() {
            self.kill_group();
        }
    }
}

/// A path as a word for the shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

/// Passes output on in whole lines.
#[derive(Debug)]
struct Output {
    source: Option<ChildStdout>,
    /// The beginning of a line of which the end hasn't come yet.
    partial: Vec<u8>,
    log: Option<StreamWriter>,
}

impl Output {
    fn new(source: ChildStdout, log: Option<StreamWriter>) -> Self {
        Self { source: Some(source), partial: Vec::new(), log }
    }

    /// Waits for output and passes it on. Never ends once there can be no more.
    async fn pass_on(&mut self) {
        let Some(source) = &mut self.source else { return std::future::pending().await };
        // Given up in the middle, nothing is lost: what was read is in `partial`.
        if !matches!(source.read_buf(&mut self.partial).await, Ok(1..)) {
            self.source = None;
        }
        let whole = match self.partial.iter().rposition(|byte| *byte == b'\n') {
            Some(last) => last + 1,
            None if self.partial.len() > LONGEST_LINE => self.partial.len(),
            None => 0,
        };
        let lines: Vec<u8> = self.partial.drain(..whole).collect();
        self.write_lines(&lines);
    }

    /// Passes on all that is there, waiting for no more than `patience` for more, and a last line without an end.
    async fn flush(&mut self, patience: Duration) {
        let rest = async {
            while self.source.is_some() {
                self.pass_on().await;
            }
        };
        let _ = tokio::time::timeout(patience, rest).await;
        let last = std::mem::take(&mut self.partial);
        if !last.is_empty() {
            self.write(&last);
        }
    }

    /// Writes one line.
    fn write(&self, line: &[u8]) {
        self.write_lines(&[line, b"\n"].concat());
    }

    fn write_lines(&self, lines: &[u8]) {
        if let Some(log) = &self.log {
            log.write_lines(lines);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::Logs;

    struct Bench {
        logs: Arc<Logs>,
        setting: Setting,
        _directory: tempfile::TempDir,
    }

    impl Bench {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let logs: Arc<Logs> = Arc::default();
            let setting = Setting {
                program: "sh".to_owned(),
                environment: BTreeMap::from([("PATH".to_owned(), std::env::var_os("PATH").unwrap())]),
                directory: directory.path().to_owned(),
                scratch: directory.path().to_owned(),
                log: Some(logs.writer("g", "s")),
                watchdog: Arc::default(),
            };
            Self { logs, setting, _directory: directory }
        }

        fn logged(&self) -> Vec<String> {
            self.logs.lines("g").into_iter().map(|(_, line)| line).collect()
        }
    }

    #[tokio::test]
    async fn commands_share_variables_functions_and_the_directory() {
        let bench = Bench::new();
        let mut shell = Shell::start(&bench.setting).await.unwrap();
        for command in
            ["NAME=a b=c; greet() { echo \"hi $1 $b\"; }", "mkdir sub && cd sub", "greet x; basename \"$PWD\""]
        {
            assert_eq!(shell.run(command).await.unwrap(), Ran::Status(0), "{command}");
        }
        assert_eq!(shell.run("echo one\necho two >&2\nfalse").await.unwrap(), Ran::Status(1));
        assert_eq!(bench.logged(), ["hi x c", "sub", "one", "two"]);
        assert_eq!(shell.evaluate("$b-$(echo d)").await.unwrap(), "c-d");
        shell.end().await;
    }

    #[tokio::test]
    async fn a_command_that_ends_the_shell_has_its_status() {
        let bench = Bench::new();
        for (command, status) in [("exit 7", 7), ("set -e; false; echo no", 1), ("if", 2), ("kill -9 $$", 137)] {
            let mut shell = Shell::start(&bench.setting).await.unwrap();
            assert_eq!(shell.run(&format!("printf before\n{command}")).await.unwrap().status(), status, "{command}");
            shell.end().await;
        }
        assert!(!bench.logged().iter().any(|line| line == "no"), "{:?}", bench.logged());
    }

    #[tokio::test]
    async fn a_command_has_no_input_to_wait_for() {
        let bench = Bench::new();
        let mut shell = Shell::start(&bench.setting).await.unwrap();
        assert_eq!(shell.run("cat; echo done").await.unwrap(), Ran::Status(0));
        assert_eq!(bench.logged(), ["done"]);
    }

    #[tokio::test]
    async fn what_runs_in_the_background_ends_with_the_shell() {
        let bench = Bench::new();
        let mut shell = Shell::start(&bench.setting).await.unwrap();
        assert_eq!(shell.run("sleep 600 & echo $! >pid").await.unwrap(), Ran::Status(0));
        let pid = std::fs::read_to_string(bench.setting.directory.join("pid")).unwrap();
        shell.end().await;
        let gone = async {
            while std::process::Command::new("kill").args(["-0", pid.trim()]).output().unwrap().status.success() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), gone).await.expect("it outlives the shell");
    }
}
