//! What the kernel tells of a process that is running.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// Clock ticks a second in `/proc`: 100 on every Linux that there is.
const TICKS: f64 = 100.0;

/// The time in user and kernel mode that a process has taken so far.
///
/// # Errors
/// There is no such process, or no `/proc`.
pub(crate) fn cpu(id: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).with_context(|| format!("no process {id}"))?;
    // Behind the name, which may hold anything: state is field 3, utime 14, stime 15.
    let fields = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect::<Vec<_>>()).unwrap_or_default();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or_default();
    Ok(Duration::from_secs_f64((ticks(11) + ticks(12)) / TICKS))
}

/// The most resident memory that a process has had, in bytes.
///
/// # Errors
/// There is no such process, or no `/proc`.
pub(crate) fn peak_memory(id: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).with_context(|| format!("no process {id}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("the kernel doesn't tell")?;
    let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kibibytes << 10)
}

/// The children of this process.
///
/// # Errors
/// There is no `/proc`.
pub(crate) fn children() -> Result<Vec<u32>> {
    let own = std::process::id().to_string();
    let mut children = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(id) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(stat) = fs::read_to_string(format!("/proc/{id}/stat")) else { continue };
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1));
        if parent == Some(own.as_str()) {
            children.push(id);
        }
    }
    Ok(children)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_ourselves_the_kernel_tells() {
        assert!(peak_memory(std::process::id()).unwrap() > 1 << 20);
        let before = cpu(std::process::id()).unwrap();
        let busy = std::time::Instant::now();
        while busy.elapsed() < Duration::from_millis(60) {}
        assert!(cpu(std::process::id()).unwrap() > before);
    }
}
