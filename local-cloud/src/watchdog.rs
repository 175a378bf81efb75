//! Ends the processes of functions and builds when this process dies without a chance to do so.
//!
//! `kill_on_drop` doesn't help against SIGKILL, and the parent-death signal of Linux can't be asked for without
//! `unsafe`. So one small shell waits at a pipe: it is told of every process group that starts or ends, and when the
//! pipe closes, because this process is gone, it kills the groups that are left. Where there is no `sh`, what remains
//! is that the Runtime API's connection closes, which ends every runtime client at its next call.

use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::Mutex;

/// Keeps the set of groups, and kills what is left of it at the end of its input.
const SCRIPT: &str = r#"
trap '' INT TERM HUP
groups=' '
while read -r change group; do
  case $change in
    +) groups="$groups$group " ;;
    -) groups="${groups%% $group *} ${groups#* $group }" ;;
  esac
done
for group in $groups; do kill -KILL "-$group" 2>/dev/null; done
"#;

/// The shell, started with the first process.
#[derive(Debug, Default)]
pub(crate) struct Watchdog {
    shell: Mutex<Option<Shell>>,
}

#[derive(Debug)]
struct Shell {
    child: Child,
    input: Option<ChildStdin>,
}

impl Watchdog {
    /// A process group has started.
    pub(crate) async fn watch(&self, group: u32) {
        let mut shell = self.shell.lock().await;
        if shell.is_none() {
            *shell = start();
        }
        tell(shell.as_mut(), format!("+ {group}\n")).await;
    }

    /// A process group has ended.
    pub(crate) async fn forget(&self, group: u32) {
        tell(self.shell.lock().await.as_mut(), format!("- {group}\n")).await;
    }

    /// Ends the shell. Groups that it still knows of are killed.
    pub(crate) async fn close(&self) {
        if let Some(mut shell) = self.shell.lock().await.take() {
            drop(shell.input.take());
            let _ = shell.child.wait().await;
        }
    }
}

/// Without a shell there is no watchdog, and functions work all the same.
fn start() -> Option<Shell> {
    let mut child = Command::new("sh")
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // A group of its own: Ctrl-C at the terminal is for this process, which then ends everything in order.
        .process_group(0)
        .spawn()
        .ok()?;
    let input = child.stdin.take();
    Some(Shell { child, input })
}

async fn tell(shell: Option<&mut Shell>, line: String) {
    if let Some(input) = shell.and_then(|shell| shell.input.as_mut()) {
        // A shell that someone killed is no reason to fail an invocation.
        let _ = input.write_all(line.as_bytes()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper() -> Child {
        Command::new("sleep").arg("600").process_group(0).kill_on_drop(true).spawn().unwrap()
    }

    #[tokio::test]
    async fn what_is_watched_ends_with_the_pipe_and_what_is_forgotten_stays() {
        let (mut first, mut second, mut third) = (sleeper(), sleeper(), sleeper());
        let watchdog = Watchdog::default();
        for child in [&first, &second, &third] {
            watchdog.watch(child.id().unwrap()).await;
        }
        watchdog.forget(second.id().unwrap()).await;
        watchdog.close().await;
        assert!(!first.wait().await.unwrap().success());
        assert!(!third.wait().await.unwrap().success());
        assert!(second.try_wait().unwrap().is_none());
        second.kill().await.unwrap();
    }
}
