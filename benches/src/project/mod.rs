//! The projects that are deployed: real dependencies, and files to edit.

pub(crate) mod edits;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::paths;

/// The sizes of their zips, about, in MB.
pub(crate) const SIZES: [u32; 4] = [1, 10, 60, 240];

/// The project of this size with its dependencies, installed if it isn't yet.
///
/// # Errors
/// `npm ci` fails: its packages come from the registry.
pub(crate) fn installed(size: u32) -> Result<PathBuf> {
    let source = paths::own().join("projects").join(size.to_string());
    let common = paths::own().join("projects/common");
    if !source.is_dir() {
        bail!("there is no project of {size} MB, only {SIZES:?}");
    }
    let project = paths::target().join("projects").join(size.to_string());
    let lock = fs::read(source.join("package-lock.json"))?;
    if fs::read(project.join("package-lock.json")).ok().as_ref() != Some(&lock) || !project.join(".installed").exists()
    {
        remove(&project)?;
        copy(&source, &project)?;
        let mut npm = Command::new("npm");
        npm.args(["ci", "--omit=dev", "--no-audit", "--no-fund", "--prefer-offline"]).current_dir(&project);
        let output = npm.output().context("cannot run `npm`: the projects need Node.js with npm")?;
        if !output.status.success() {
            bail!("`npm ci` in {}: {}", project.display(), String::from_utf8_lossy(&output.stderr).trim());
        }
        fs::write(project.join(".installed"), "")?;
    }
    copy(&common, &project)?;
    edits::generate(&project)?;
    Ok(project)
}

/// A copy of an installed project, to be edited.
///
/// # Errors
/// It can't be copied.
pub(crate) fn copied(project: &Path, to: &Path) -> Result<()> {
    remove(to)?;
    copy(project, to)?;
    fs::remove_file(to.join(".installed"))?;
    Ok(())
}

fn remove(directory: &Path) -> Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", directory.display()))
        }
        _ => Ok(()),
    }
}

/// With modes and times, into a directory that may be there.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    let status = Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status()?;
    if !status.success() {
        bail!("cannot copy {} to {}", from.display(), to.display());
    }
    Ok(())
}
