//! This directory: what a deployment needs of it, and what a killed one left in it. Asks no network.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use ignore::WalkBuilder;

use super::finding::{Area, Finding, Level};
use crate::error::without_number;
use crate::project::Settings;
use crate::ui::plural;

/// A younger temporary file may be in use by a `patch` that is running.
const LEFT_BEHIND: Duration = Duration::from_secs(60 * 60);

/// What was found. Blocks.
pub(crate) fn examine(settings: &Settings) -> Vec<Finding> {
    let mut findings = vec![configuration(settings)];
    findings.extend(settings.state_dir.as_deref().map(index));
    findings.push(git(&settings.root));
    findings.extend(left_behind(&settings.root, SystemTime::now()));
    findings
}

fn configuration(settings: &Settings) -> Finding {
    let file = settings.file.as_deref().map_or_else(String::new, |file| file.display().to_string());
    let wanted = [
        ("artifact", settings.artifact.is_some(), "artifact = \"s3://BUCKET/KEY\""),
        ("functions", settings.functions.is_some(), "functions = [\"NAME\"], or functions = { stack = \"NAME\" }"),
    ];
    let missing: Vec<_> = wanted.into_iter().filter(|(_, is_set, _)| !is_set).collect();
    if missing.is_empty() {
        return Finding::ok(Area::Project, "config", file);
    }
    let names: Vec<String> = missing.iter().map(|(name, ..)| format!("`{name}`")).collect();
    let found = format!("{file} does not set {}", names.join(" and "));
    missing.into_iter().fold(Finding::new(Level::Failed, Area::Project, "config", found), |finding, (_, _, line)| {
        finding.mend(format!("add a line like {line}"))
    })
}

/// Whether the index can be written, or made.
fn index(directory: &Path) -> Finding {
    let existing = directory.ancestors().find(|path| path.is_dir()).unwrap_or(directory);
    // Really tried, as permissions, read-only mounts and full disks all have a say in it. Nothing stays of the file.
    match tempfile::tempfile_in(existing) {
        Ok(_) => Finding::ok(Area::Project, "index", format!("{} can be written", directory.display())),
        Err(error) => {
            let message = format!(
                "{} can't be written ({}): every deployment reads every file, and doesn't know which it put there",
                directory.display(),
                without_number(&error.to_string())
            );
            Finding::new(Level::Warning, Area::Project, "index", message)
                .mend(format!("give yourself permission to write {}", existing.display()))
        }
    }
}

/// Whether git can say which files it knows.
fn git(root: &Path) -> Finding {
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.args(arguments).current_dir(root).stdin(Stdio::null()).stderr(Stdio::null());
        command.output().map(|output| (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned()))
    };
    let purpose = "without it, a file that was deleted here is deleted from the artifact only if a deployment from \
                   here had put it there";
    match git(&["rev-parse", "--is-inside-work-tree"]) {
        Ok((true, _)) => Finding::ok(Area::Project, "git", "git knows the project's files"),
        Ok((false, _)) => {
            Finding::ok(Area::Project, "git", format!("{} is in no git repository; {purpose}", root.display()))
        }
        Err(error) => {
            let message = format!("git can't be run ({}); {purpose}", without_number(&error.to_string()));
            Finding::new(Level::Warning, Area::Project, "git", message).mend("install git")
        }
    }
}

/// Temporary files of a `quickdeploy patch FILE` that was killed, below `root`.
fn left_behind(root: &Path, now: SystemTime) -> Option<Finding> {
    // Dependencies hold most of a project's files, and nobody patches a zip in there.
    let skipped = |name: &str| matches!(name, "node_modules" | ".git" | "target" | ".venv" | "venv");
    let walk = WalkBuilder::new(root)
        .standard_filters(false)
        .filter_entry(move |entry| !entry.file_name().to_str().is_some_and(skipped))
        .build();
    let files: Vec<PathBuf> = walk
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(is_temporary))
        .filter(|entry| entry.file_type().is_some_and(|kind| kind.is_file()))
        .filter(|entry| {
            let modified = entry.metadata().ok().and_then(|metadata| metadata.modified().ok());
            modified.is_some_and(|at| now.duration_since(at).is_ok_and(|age| age > LEFT_BEHIND))
        })
        .map(ignore::DirEntry::into_path)
        .collect();
    if files.is_empty() {
        return None;
    }
    let names: Vec<String> = files.iter().map(|file| format!("'{}'", file.display())).collect();
    let message = format!("a patch of a local file that was killed left {} behind", plural(files.len(), "file"));
    Some(
        Finding::new(Level::Warning, Area::Project, "temporaryFiles", message)
            .mend(format!("if none is running: rm {}", names.join(" "))),
    )
}

/// `.NAME.RANDOM.quickdeploy`, as the engine names what is to replace NAME.
fn is_temporary(name: &str) -> bool {
    let random = name.strip_prefix('.').and_then(|rest| rest.strip_suffix(".quickdeploy"));
    random.and_then(|rest| rest.rsplit_once('.')).is_some_and(|(of, random)| !of.is_empty() && !random.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_engines_own_temporary_files_are_taken_for_such() {
        assert!(is_temporary(".app.zip.Ab3dE9.quickdeploy"));
        for other in [".quickdeploy", "app.zip.x.quickdeploy", ".x.quickdeploy", ".app.zip.quickdeploy.bak", ".."] {
            assert!(!is_temporary(other), "{other}");
        }
    }

    #[test]
    fn a_young_temporary_file_may_be_in_use() {
        let project = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(project.path().join("build")).unwrap();
        std::fs::write(project.path().join("build/.app.zip.Ab3dE9.quickdeploy"), "PK").unwrap();
        let now = SystemTime::now();
        assert_eq!(left_behind(project.path(), now), None);
        let later = left_behind(project.path(), now + 2 * LEFT_BEHIND).unwrap();
        assert_eq!(later.level, Level::Warning);
        assert!(later.mend[0].contains("build/.app.zip.Ab3dE9.quickdeploy'"), "{:?}", later.mend);
    }

    #[test]
    fn an_index_that_can_not_be_written_is_told() {
        let project = tempfile::tempdir().unwrap();
        assert_eq!(index(&project.path().join(".quickdeploy")).level, Level::Ok);
        assert!(!project.path().join(".quickdeploy").exists());
        // A file stands where the directory is to be: nobody can write below it, root included.
        std::fs::write(project.path().join("file"), "").unwrap();
        assert_eq!(index(Path::new("/proc/self/.quickdeploy")).level, Level::Warning);
    }
}
