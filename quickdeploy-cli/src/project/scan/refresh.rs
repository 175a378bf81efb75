//! Bringing a scan up to date from the paths that a file watcher reports, without walking the tree again.
//!
//! The price is that of the changed files alone, however large the tree is. What a path alone can't tell (a directory
//! that came or went, an ignore file, a symbolic link) is left to a new scan.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::super::content::{self, Content};
use super::super::error::ProjectError;
use super::super::index::Record;
use super::super::mapping::slashed_below;
use super::super::rules::IGNORE_FILE;
use super::super::stat::Stat;
use super::super::walk::LocalFile;
use super::Scan;

/// What became of the paths.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refreshed {
    /// None of them belongs to the project. The scan is as it was.
    Nothing,
    /// The scan is up to date. The entry names of the files whose content changed, came or went; none, when files were
    /// saved as they were.
    Names(BTreeSet<String>),
    /// The paths alone don't tell: scan again. The scan is as it was.
    ScanAgain,
}

impl Scan {
    /// Reads the files at `paths` (absolute) again.
    pub(crate) fn refresh(&mut self, paths: &BTreeSet<PathBuf>) -> Result<Refreshed, ProjectError> {
        let Some(candidates) = self.candidates(paths) else {
            return Ok(Refreshed::ScanAgain);
        };
        if candidates.is_empty() {
            return Ok(Refreshed::Nothing);
        }
        let session = self.store.begin();
        let mut names = BTreeSet::new();
        for (path, name) in candidates {
            let reading = content::read(&self.root.join(&path))?;
            let changed = match reading {
                Some((stat, content)) => {
                    let seen = session.as_ref().and_then(|session| session.trusted(stat, content));
                    self.record(&name, seen);
                    self.put(LocalFile::new(name.clone(), path, stat), content)
                }
                None => {
                    self.record(&name, None);
                    self.take_out(&name)
                }
            };
            if changed {
                names.insert(name);
            }
        }
        Ok(Refreshed::Names(names))
    }

    /// The files among `paths` that belong to the project, or did: path below the root, and entry name. `None` when
    /// more has changed than single files.
    fn candidates(&self, paths: &BTreeSet<PathBuf>) -> Option<Vec<(String, String)>> {
        if self.files.iter().any(|file| file.linked) {
            // A file may stand here under several names.
            return None;
        }
        let mut visibility = self.walker.visibility();
        let mut candidates = Vec::new();
        for full in paths {
            if !full.starts_with(&self.root) || is_ignore_file(full) {
                return None;
            }
            let path = slashed_below(&self.root, full).ok()?;
            match full.symlink_metadata() {
                Ok(metadata) if metadata.is_file() => {}
                // A new directory has files already, perhaps.
                Ok(metadata) if !metadata.is_dir() || visibility.concerns_directory(&path) => return None,
                Ok(_) => continue,
                Err(_) if self.has_files_below(&path) => return None,
                Err(_) => {}
            }
            let Some(name) = self.mapping.entry_name(&path) else { continue };
            let known = self.position(&name).ok().map(|position| self.files[position].path());
            match known {
                Some(other) if other != path => return None,
                Some(_) => candidates.push((path, name)),
                None if visibility.shows(&path) => candidates.push((path, name)),
                None => {}
            }
        }
        Some(candidates)
    }

    fn has_files_below(&self, directory: &str) -> bool {
        let below = |file: &LocalFile| file.path().strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'));
        self.files.iter().any(below)
    }

    fn position(&self, name: &str) -> Result<usize, usize> {
        self.files.binary_search_by(|file| (*file.name).cmp(name))
    }

    /// Whether that changed anything.
    fn put(&mut self, file: LocalFile, content: Content) -> bool {
        match self.position(&file.name) {
            Ok(position) => {
                self.files[position] = file;
                std::mem::replace(&mut self.contents[position], content) != content
            }
            Err(position) => {
                self.files.insert(position, file);
                self.contents.insert(position, content);
                true
            }
        }
    }

    /// Whether it was there.
    fn take_out(&mut self, name: &str) -> bool {
        let Ok(position) = self.position(name) else { return false };
        self.files.remove(position);
        self.contents.remove(position);
        true
    }

    /// What the index is to know of the file from now on.
    fn record(&mut self, name: &str, seen: Option<(Stat, Content)>) {
        match self.data.records.binary_search_by(|record| (*record.name).cmp(name)) {
            Ok(position) => {
                let record = &mut self.data.records[position];
                record.seen = seen;
                if seen.is_none() && record.deployed.is_none() {
                    self.data.records.remove(position);
                }
            }
            Err(position) if seen.is_some() => {
                self.data.records.insert(position, Record { name: name.into(), seen, deployed: None });
            }
            Err(_) => {}
        }
    }
}

/// Whether a change of this file changes which files there are.
fn is_ignore_file(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == ".gitignore" || name == IGNORE_FILE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::Project;

    struct Tree {
        directory: tempfile::TempDir,
        project: Project,
    }

    impl Tree {
        fn new(files: &[(&str, &str)]) -> Self {
            let directory = tempfile::tempdir().unwrap();
            for (name, content) in files {
                write(directory.path(), name, content);
            }
            let project =
                Project::of_directory(directory.path(), Some(&directory.path().join(".quickdeploy"))).unwrap();
            Self { directory, project }
        }

        fn scan(&self) -> Scan {
            self.project.scan("u").unwrap()
        }

        /// Changes the files, refreshes, and checks the outcome against a scan of the whole tree.
        fn refreshed(&self, scan: &mut Scan, changes: &[(&str, Option<&str>)]) -> Refreshed {
            let root = self.project.settings().root.clone();
            let mut paths = BTreeSet::new();
            for (name, content) in changes {
                match content {
                    Some(content) => write(self.directory.path(), name, content),
                    None => std::fs::remove_file(self.directory.path().join(name)).unwrap(),
                }
                paths.insert(root.join(name));
            }
            let refreshed = scan.refresh(&paths).unwrap();
            if refreshed != Refreshed::ScanAgain {
                let whole = self.scan();
                let names = |scan: &Scan| scan.files.iter().map(|file| file.name.clone()).collect::<Vec<_>>();
                assert_eq!(names(scan), names(&whole));
                assert_eq!(scan.contents, whole.contents);
            }
            refreshed
        }
    }

    fn write(directory: &Path, name: &str, content: &str) {
        let path = directory.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    fn names(names: &[&str]) -> Refreshed {
        Refreshed::Names(names.iter().map(|&name| name.to_owned()).collect())
    }

    #[test]
    fn changed_new_and_deleted_files_are_found_without_a_walk() {
        let tree = Tree::new(&[("a.js", "1"), ("src/b.js", "2"), ("src/c.js", "3")]);
        let mut scan = tree.scan();
        let changes = [("a.js", Some("new")), ("src/b.js", None), ("src/d.js", Some("4"))];
        assert_eq!(tree.refreshed(&mut scan, &changes), names(&["a.js", "src/b.js", "src/d.js"]));
    }

    #[test]
    fn a_file_that_was_saved_without_a_change_is_not_a_change() {
        let tree = Tree::new(&[("a.js", "1")]);
        let mut scan = tree.scan();
        assert_eq!(tree.refreshed(&mut scan, &[("a.js", Some("1"))]), names(&[]));
    }

    #[test]
    fn ignored_files_and_our_own_are_passed_over() {
        let tree = Tree::new(&[("a.js", "1"), (".quickdeployignore", "*.log\n/dist\n")]);
        let mut scan = tree.scan();
        let changes = [("x.log", Some("1")), ("dist/a.js", Some("1")), ("quickdeploy.toml", Some(""))];
        assert_eq!(tree.refreshed(&mut scan, &changes), Refreshed::Nothing);
    }

    #[test]
    fn what_single_paths_cannot_tell_asks_for_a_new_scan() {
        let tree = Tree::new(&[("a.js", "1"), ("src/b.js", "2")]);
        let mut scan = tree.scan();
        assert_eq!(tree.refreshed(&mut scan, &[(".gitignore", Some("src\n"))]), Refreshed::ScanAgain);
        let root = tree.project.settings().root.clone();
        std::fs::rename(root.join("src"), root.join("lib")).unwrap();
        for moved in ["src", "lib"] {
            assert_eq!(scan.refresh(&BTreeSet::from([root.join(moved)])).unwrap(), Refreshed::ScanAgain);
        }
    }

    #[test]
    fn a_hidden_directory_that_is_mapped_and_comes_anew_asks_for_a_new_scan() {
        let files =
            [("out/js/a.js", "1"), (".gitignore", "out\nlog\n"), ("quickdeploy.toml", "[map]\n'out/js' = ''\n")];
        let mut tree = Tree::new(&files);
        tree.project = Project::load(&tree.directory.path().join("quickdeploy.toml"), None).unwrap().remove(0);
        let mut scan = tree.scan();
        std::fs::create_dir(tree.directory.path().join("log")).unwrap();
        let mut refreshed = |name: &str| scan.refresh(&BTreeSet::from([tree.directory.path().join(name)])).unwrap();
        assert_eq!(refreshed("log"), Refreshed::Nothing);
        assert_eq!(refreshed("out/js"), Refreshed::ScanAgain);
        assert_eq!(refreshed("out"), Refreshed::ScanAgain);
    }

    #[cfg(unix)]
    #[test]
    fn a_tree_with_links_is_scanned_again() {
        let tree = Tree::new(&[("src/a.js", "1")]);
        std::os::unix::fs::symlink("src/a.js", tree.directory.path().join("b.js")).unwrap();
        let mut scan = tree.scan();
        assert_eq!(tree.refreshed(&mut scan, &[("src/a.js", Some("2"))]), Refreshed::ScanAgain);
    }
}
