//! What was measured on, and which versions of what.

use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::programs::{Programs, version};

/// For whoever reads the report.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Machine {
    /// When, in UTC.
    date: String,
    /// Processor, cores, memory, kernel.
    hardware: String,
    /// Each program and what it says of its version.
    versions: Vec<(String, String)>,
}

impl Machine {
    /// This one.
    pub(crate) fn of(programs: &Programs) -> Self {
        let path = programs.path().unwrap_or_default();
        let names = ["quickdeploy", "rustc", "python3", "node", "npm", "aws", "sam", "cdk", "osls", "zip", "git"];
        let versions = names.into_iter().filter_map(|program| Some((program.to_owned(), version(program, &path)?)));
        let date = output("date", &["-u", "+%Y-%m-%d %H:%M UTC"]);
        Self { date, hardware: hardware(), versions: versions.collect() }
    }

    /// As lines of Markdown.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("{}. {}", self.date, self.hardware), String::new()];
        lines.extend(["| program | version |".to_owned(), "|---|---|".to_owned()]);
        lines.extend(self.versions.iter().map(|(program, said)| format!("| {program} | {said} |")));
        lines
    }
}

fn hardware() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let of = |text: &str, name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim_start_matches([' ', '\t', ':']).to_owned())
    };
    let model = of(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "a processor".to_owned());
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let memory = of(&read("/proc/meminfo"), "MemTotal").unwrap_or_default();
    let kibibytes: f64 = memory.split_whitespace().next().and_then(|figure| figure.parse().ok()).unwrap_or_default();
    let kernel = output("uname", &["-s", "-r"]);
    format!("{model}, {cores} cores, {:.0} GiB; {kernel}.", kibibytes / 1_048_576.0)
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).trim().to_owned()
}
