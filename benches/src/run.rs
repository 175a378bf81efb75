//! A program, run to its end, with what it took.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use wait4::Wait4 as _;

/// What a program and all that it started took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Took {
    /// From its start.
    pub(crate) wall: Duration,
    /// In user and kernel mode.
    pub(crate) cpu: Duration,
    /// The resident memory of its largest process, in bytes.
    pub(crate) memory: u64,
}

/// Runs it; what it prints goes to a file.
///
/// # Errors
/// It doesn't start, or fails: then with the end of what it printed.
pub(crate) fn run(command: &mut Command, log: &Path) -> Result<Took> {
    let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    let begin = Instant::now();
    let child = command.spawn().with_context(|| format!("cannot run {command:?}"))?;
    let used = child.wait4()?;
    let wall = begin.elapsed();
    if !used.status.success() {
        bail!("{}, after {:.1} s: {}", used.status, wall.as_secs_f64(), last_words(log));
    }
    let rusage = used.rusage;
    Ok(Took { wall, cpu: rusage.utime + rusage.stime, memory: rusage.maxrss })
}

/// The end of a log: what a program said before it failed.
fn last_words(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(6)..].join(" | ")
}
