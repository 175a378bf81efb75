//! The directories of a project, for a file watcher.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{IgnoreFiles, Visibility, Walker};
use crate::project::mapping::slashed_below;
use crate::project::rules::NEVER;

impl Walker {
    /// Every directory that no ignore file hides, whether or not it is mapped (a compiler's sources often aren't); the
    /// hidden ones that the configuration takes files from, with those that lead to them, because they may be deleted and
    /// made again; and where symbolic links lead to. Sorted. What can't be read is left out: a scan says so.
    pub(crate) fn directories(&self) -> Vec<PathBuf> {
        let mut found = BTreeSet::new();
        let mut links = BTreeSet::new();
        self.below(&self.root, IgnoreFiles::Respected, &mut found, &mut links);
        for directory in self.taken_although_hidden() {
            let full = self.root.join(directory);
            if !found.contains(&full) {
                let leading = full.ancestors().skip(1).take_while(|above| above.starts_with(&self.root));
                found.extend(leading.filter(|above| above.is_dir()).map(Path::to_owned).collect::<Vec<_>>());
                self.below(&full, IgnoreFiles::Off, &mut found, &mut links);
            }
        }
        while let Some(link) = links.pop_first() {
            // What leads out of the project is not packaged either.
            match link.canonicalize() {
                Ok(target) if !target.starts_with(&self.canonical_root) || found.contains(&target) => {}
                Ok(target) if target.is_dir() => self.below(&target, IgnoreFiles::Off, &mut found, &mut links),
                Ok(target) => found.extend(target.parent().map(Path::to_owned)),
                Err(_) => {}
            }
        }
        found.into_iter().collect()
    }

    /// Directories that files are taken from whatever ignore files say, relative to the root. The root is none of them.
    fn taken_although_hidden(&self) -> impl Iterator<Item = &str> {
        let all = self.mapping.directories().chain(self.rules.include_bases().iter().map(String::as_str));
        all.filter(|directory| !directory.is_empty())
    }

    /// Adds `directory` and those below it to `found`, and the symbolic links among what is packaged to `links`.
    fn below(
        &self,
        directory: &Path,
        ignore_files: IgnoreFiles,
        found: &mut BTreeSet<PathBuf>,
        links: &mut BTreeSet<PathBuf>,
    ) {
        if !directory.is_dir() {
            return;
        }
        let is_watched =
            |entry: &ignore::DirEntry| entry.depth() == 0 || !NEVER.iter().any(|never| entry.file_name() == *never);
        for entry in self.builder(directory, ignore_files).filter_entry(is_watched).build().filter_map(Result::ok) {
            match entry.file_type() {
                Some(kind) if kind.is_dir() => {
                    found.insert(entry.into_path());
                }
                Some(kind) if kind.is_symlink() && self.is_packaged(entry.path()) => {
                    links.insert(entry.into_path());
                }
                _ => {}
            }
        }
    }

    fn is_packaged(&self, path: &Path) -> bool {
        // Behind a link, a path is not the one that it is packaged under.
        let Ok(path) = slashed_below(&self.root, path) else { return false };
        self.mapping.entry_name(&path).is_some() && !self.rules.excludes_with_parents(&path)
    }
}

impl Visibility<'_> {
    /// Whether files that are deployed come or go with this directory.
    pub(crate) fn concerns_directory(&mut self, path: &str) -> bool {
        let leads_to_it = |taken: &str| {
            let within = |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'));
            path == taken || within(taken, path) || within(path, taken)
        };
        self.shows(path) || self.walker.taken_although_hidden().any(leads_to_it)
    }

    /// Whether no ignore file hides this file or directory, packaged or not: what is deployed may be made from it.
    pub(crate) fn is_source(&mut self, path: &str, is_dir: bool) -> bool {
        !path.split('/').any(|part| NEVER.contains(&part)) && !self.is_ignored(path, is_dir)
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

    #[cfg(unix)]
    #[test]
    fn where_links_lead_to_is_watched_too() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        for directory in [".shared/deep", ".one", "src"] {
            std::fs::create_dir_all(path(directory)).unwrap();
        }
        std::fs::write(path(".gitignore"), ".shared\n.one\n").unwrap();
        std::fs::write(path(".one/file.js"), "1").unwrap();
        std::fs::write(path("quickdeploy.toml"), "").unwrap();
        std::os::unix::fs::symlink("../.shared", path("src/lib")).unwrap();
        std::os::unix::fs::symlink("../.one/file.js", path("src/file.js")).unwrap();
        std::os::unix::fs::symlink("..", path(".shared/deep/up")).unwrap();
        let project = Project::load(&path("quickdeploy.toml"), None).unwrap().remove(0);
        let directories = project.directories();
        for wanted in [".shared", ".shared/deep", ".one", "src"] {
            let wanted = path(wanted).canonicalize().unwrap();
            assert!(directories.contains(&wanted), "{wanted:?} in {directories:?}");
        }
    }

    #[test]
    fn what_leads_to_a_hidden_place_is_watched_even_before_it_is_there() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("out/tmp")).unwrap();
        std::fs::write(root.path().join(".gitignore"), "out\n").unwrap();
        std::fs::write(root.path().join("quickdeploy.toml"), "[map]\n'out/js' = ''\n").unwrap();
        let project = Project::load(&root.path().join("quickdeploy.toml"), None).unwrap().remove(0);
        let names: Vec<_> = project.directories();
        assert_eq!(names, [root.path().to_owned(), root.path().join("out")]);
    }
}
