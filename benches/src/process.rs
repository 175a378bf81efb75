//! What the kernel tells of a process that is running.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// The time in user and kernel mode that the threads of a process have taken so far. Threads that have ended are missing:
/// those of a pool don't end while there is work.
///
/// # Errors
/// There is no such process, or no `/proc`.
pub(crate) fn cpu(id: u32) -> Result<Duration> {
    let threads = fs::read_dir(format!("/proc/{id}/task")).with_context(|| format!("no process {id}"))?;
    let mut nanoseconds = 0;
    for thread in threads {
        // Its first figure: nanoseconds on a processor. /proc/ID/stat counts in hundredths of a second.
        let text = fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
        nanoseconds += text.split_whitespace().next().and_then(|figure| figure.parse::<u64>().ok()).unwrap_or_default();
    }
    Ok(Duration::from_nanos(nanoseconds))
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
