//! The directories of a project, for a file watcher.

use std::path::PathBuf;

use super::{IgnoreFiles, Walker};
use crate::project::rules::NEVER;

impl Walker {
    /// Every directory that no ignore file hides, whether or not it is mapped (a compiler's sources often aren't), and
    /// the hidden ones that the configuration takes files from. Sorted. What can't be read is left out: a scan says so.
    pub(crate) fn directories(&self) -> Vec<PathBuf> {
        let hidden = self.mapping.directories().chain(self.rules.include_bases().iter().map(String::as_str));
        let hidden = hidden.filter(|directory| !directory.is_empty()).map(|directory| self.root.join(directory));
        let mut directories = self.below(&self.root, IgnoreFiles::Respected);
        for directory in hidden.filter(|directory| directory.is_dir()) {
            if directories.binary_search(&directory).is_err() {
                directories.extend(self.below(&directory, IgnoreFiles::Off));
                directories.sort_unstable();
            }
        }
        directories.dedup();
        directories
    }

    fn below(&self, directory: &std::path::Path, ignore_files: IgnoreFiles) -> Vec<PathBuf> {
        let is_watched = |entry: &ignore::DirEntry| {
            let is_dir = entry.file_type().is_some_and(|kind| kind.is_dir());
            is_dir && (entry.depth() == 0 || !NEVER.iter().any(|never| entry.file_name() == *never))
        };
        let walk = self.builder(directory, ignore_files).filter_entry(is_watched).build();
        let mut found: Vec<PathBuf> = walk.filter_map(Result::ok).map(ignore::DirEntry::into_path).collect();
        found.sort_unstable();
        found
    }
}

#[cfg(test)]
mod tests {
    use crate::project::Project;

    #[test]
    fn ignored_directories_are_left_out_unless_files_are_taken_from_them() {
        let root = tempfile::tempdir().unwrap();
        for directory in [".git", "src/deep", "dist/js", "node_modules/a", "empty", ".quickdeploy", "build"] {
            std::fs::create_dir_all(root.path().join(directory)).unwrap();
        }
        std::fs::write(root.path().join(".gitignore"), "dist\nnode_modules\nbuild\n").unwrap();
        std::fs::write(root.path().join("quickdeploy.toml"), "include = ['dist/**']\n[map]\nsrc = ''\n").unwrap();
        let project = Project::load(&root.path().join("quickdeploy.toml"), None).unwrap().remove(0);
        let names: Vec<String> = project
            .directories()
            .iter()
            .map(|directory| directory.strip_prefix(root.path()).unwrap().display().to_string())
            .collect();
        assert_eq!(names, ["", "dist", "dist/js", "empty", "src", "src/deep"]);
    }
}
