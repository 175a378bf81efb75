//! A copy of the user's project, so that the demo's edit never touches theirs.

use std::fs;
use std::path::Path;

use crate::error::{Error, Result};

/// A project is smaller; a home directory isn't.
const LARGEST: u64 = 2 << 30;

/// Not part of what is deployed, and often large: history, and our own index of the original's files.
const LEFT_OUT: [&str; 2] = [".git", ".quickdeploy"];

/// Copies the directory `from` into the existing directory `to`. Symbolic links stay links when they lead to somewhere
/// inside the project, and are followed when they don't.
///
/// # Errors
///
/// A file can't be read, or there are more than 2 GiB.
pub(crate) fn copy_project(from: &Path, to: &Path) -> Result<()> {
    let mut copy = Copy { root: from.canonicalize().map_err(|error| Error::file("open", from, &error))?, bytes: 0 };
    copy.directory(from, to)
}

struct Copy {
    root: std::path::PathBuf,
    bytes: u64,
}

impl Copy {
    fn directory(&mut self, from: &Path, to: &Path) -> Result<()> {
        let listed = fs::read_dir(from).map_err(|error| Error::file("list", from, &error))?;
        for entry in listed {
            let entry = entry.map_err(|error| Error::file("list", from, &error))?;
            if LEFT_OUT.iter().any(|name| entry.file_name() == *name) {
                continue;
            }
            let (source, target) = (entry.path(), to.join(entry.file_name()));
            let kind = entry.file_type().map_err(|error| Error::file("read", &source, &error))?;
            if kind.is_symlink() {
                self.link(&source, &target)?;
            } else if kind.is_dir() {
                self.subdirectory(&source, &target)?;
            } else if kind.is_file() {
                self.file(&source, &target)?;
            }
        }
        Ok(())
    }

    fn subdirectory(&mut self, from: &Path, to: &Path) -> Result<()> {
        fs::create_dir(to).map_err(|error| Error::file("create", to, &error))?;
        self.directory(from, to)
    }

    fn file(&mut self, from: &Path, to: &Path) -> Result<()> {
        self.bytes += fs::copy(from, to).map_err(|error| Error::file("copy", from, &error))?;
        if self.bytes > LARGEST {
            return Err(Error::new("TooLarge", format!("`{}` has more than 2 GiB of files", self.root.display()))
                .hint("give the directory of one project: `quickdeploy demo DIR`"));
        }
        Ok(())
    }

    #[cfg(unix)]
    fn link(&mut self, from: &Path, to: &Path) -> Result<()> {
        let leads = fs::read_link(from).map_err(|error| Error::file("read", from, &error))?;
        let inside = leads.is_relative() && from.canonicalize().is_ok_and(|path| path.starts_with(&self.root));
        match fs::metadata(from) {
            // It leads nowhere: the project packages it no better than the copy.
            Err(_) => Ok(()),
            Ok(_) if inside => std::os::unix::fs::symlink(leads, to).map_err(|error| Error::file("create", to, &error)),
            Ok(target) if target.is_file() => self.file(from, to),
            // A link to a directory elsewhere may lead in circles.
            Ok(_) => Ok(()),
        }
    }

    #[cfg(not(unix))]
    fn link(&mut self, from: &Path, to: &Path) -> Result<()> {
        if from.is_file() { self.file(from, to) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_the_files_and_neither_history_nor_index() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for directory in ["src", ".git", ".quickdeploy"] {
            fs::create_dir(from.path().join(directory)).unwrap();
            fs::write(from.path().join(directory).join("a.js"), directory).unwrap();
        }
        copy_project(from.path(), to.path()).unwrap();
        assert_eq!(fs::read_to_string(to.path().join("src/a.js")).unwrap(), "src");
        assert!(!to.path().join(".git").exists() && !to.path().join(".quickdeploy").exists());
    }

    #[cfg(unix)]
    #[test]
    fn links_inside_stay_links_and_links_that_lead_nowhere_are_left_out() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(from.path().join("a"), "a").unwrap();
        std::os::unix::fs::symlink("a", from.path().join("b")).unwrap();
        std::os::unix::fs::symlink("gone", from.path().join("c")).unwrap();
        copy_project(from.path(), to.path()).unwrap();
        assert!(to.path().join("b").is_symlink());
        assert_eq!(fs::read_to_string(to.path().join("b")).unwrap(), "a");
        assert!(!to.path().join("c").is_symlink());
    }
}
