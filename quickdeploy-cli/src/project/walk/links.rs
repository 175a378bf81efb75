//! Follows symbolic links: see [`super`] for what they become.

use std::path::PathBuf;

use super::super::error::ProjectError;
use super::super::mapping::slashed_below;
use super::super::stat::Stat;
use super::{IgnoreFiles, LocalFile, Visibility, Walker};

impl Walker {
    /// Adds what `links` (paths relative to the root) lead to.
    pub(super) fn follow_all(
        &self,
        links: &[String],
        ignore_files: IgnoreFiles,
        files: &mut Vec<LocalFile>,
    ) -> Result<(), ProjectError> {
        if links.is_empty() {
            return Ok(());
        }
        let mut links: Vec<&String> = links.iter().collect();
        links.sort();
        let before = files.len();
        let mut visibility = (ignore_files == IgnoreFiles::Respected).then(|| self.visibility());
        for link in links {
            let parent = self.root.join(link);
            let parent = parent.parent().unwrap_or(&self.root);
            let within = vec![parent.canonicalize().map_err(ProjectError::io("open", parent))?];
            self.follow(link, &within, visibility.as_mut(), files)?;
        }
        for file in &mut files[before..] {
            file.linked = true;
        }
        Ok(())
    }

    /// Adds what the link at `path` leads to. `within` are the real directories that one has come through.
    fn follow(
        &self,
        path: &str,
        within: &[PathBuf],
        mut visibility: Option<&mut Visibility<'_>>,
        files: &mut Vec<LocalFile>,
    ) -> Result<(), ProjectError> {
        let link = self.root.join(path);
        let bad = |problem: String| ProjectError::Link { path: link.clone(), problem };
        let target = match link.canonicalize() {
            Ok(target) => target,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let target = std::fs::read_link(&link).map_err(ProjectError::io("read", &link))?;
                return Err(bad(format!("points to `{}`, which does not exist", target.display())));
            }
            Err(error) => return Err(bad(format!("can't be followed ({error})"))),
        };
        if !target.starts_with(&self.canonical_root) {
            return Err(bad(format!("leads out of the project, to `{}`", target.display())));
        }
        let metadata = std::fs::metadata(&target).map_err(ProjectError::io("read", &target))?;
        if metadata.is_file() {
            files.extend(self.file(path.to_owned(), Stat::of(&metadata))?);
            return Ok(());
        }
        if !metadata.is_dir() {
            return Ok(());
        }
        if within.iter().any(|directory| directory.starts_with(&target)) {
            return Err(bad(format!("leads back to `{}`, a directory that it lies in", target.display())));
        }
        let mut within = within.to_vec();
        within.push(target);
        let mut directories = vec![path.to_owned()];
        while let Some(directory) = directories.pop() {
            let full = self.root.join(&directory);
            for entry in std::fs::read_dir(&full).map_err(ProjectError::io("list", &full))? {
                let entry = entry.map_err(ProjectError::io("list", &full))?;
                let kind = entry.file_type().map_err(ProjectError::io("read", &entry.path()))?;
                let child = slashed_below(&self.root, &entry.path())
                    .map_err(|reason| ProjectError::Unnameable { path: entry.path(), reason })?;
                if self.rules.excludes(&child, kind.is_dir())
                    || visibility.as_mut().is_some_and(|visibility| visibility.is_ignored(&child, kind.is_dir()))
                {
                    continue;
                }
                if kind.is_dir() {
                    directories.push(child);
                } else if kind.is_symlink() {
                    self.follow(&child, &within, visibility.as_deref_mut(), files)?;
                } else if kind.is_file() {
                    let metadata = entry.metadata().map_err(ProjectError::io("read", &entry.path()))?;
                    files.extend(self.file(child, Stat::of(&metadata))?);
                }
            }
        }
        Ok(())
    }
}
