//! The names in an artifact as the directory tree that a function sees at `/var/task`.

use std::collections::{BTreeMap, HashMap, HashSet};

/// Where Lambda unpacks the artifact.
pub(super) const TASK_ROOT: &str = "/var/task";

/// Files and directories of an artifact, by name. Names are those of the entries: relative, joined by `/`.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    files: HashSet<String>,
    directories: HashSet<String>,
    symlinks: HashSet<String>,
    /// Files by the last part of their name.
    by_base: HashMap<String, Vec<String>>,
    /// Files that may be a Python module, by the module's path without suffix: `pkg/mod`, and `pkg` for its
    /// `__init__.py`.
    python: BTreeMap<String, Vec<String>>,
}

impl Tree {
    /// Of the entries' names; those that end in `/` are directories. The second of each pair: it is a symbolic link.
    pub(crate) fn new<'a>(names: impl IntoIterator<Item = (&'a str, bool)>) -> Self {
        let mut tree = Self::default();
        tree.directories.insert(String::new());
        for (name, is_symlink) in names {
            let (name, is_directory) = match name.strip_suffix('/') {
                Some(name) => (name, true),
                None => (name, false),
            };
            let name = normal(name);
            if name.is_empty() {
                continue;
            }
            for (at, _) in name.match_indices('/') {
                if !tree.directories.contains(&name[..at]) {
                    tree.directories.insert(name[..at].to_owned());
                }
            }
            if is_directory {
                tree.directories.insert(name);
                continue;
            }
            if is_symlink {
                tree.symlinks.insert(name.clone());
            }
            if !tree.files.insert(name.clone()) {
                continue;
            }
            if let Some(stem) = python_stem(&name) {
                tree.python.entry(stem).or_default().push(name.clone());
            }
            tree.by_base.entry(base(&name).to_owned()).or_default().push(name);
        }
        tree
    }

    pub(super) fn is_file(&self, name: &str) -> bool {
        self.files.contains(name)
    }

    pub(super) fn is_directory(&self, name: &str) -> bool {
        self.directories.contains(name)
    }

    /// The symbolic link that `name` is or goes through.
    pub(super) fn symlink_on<'a>(&self, name: &'a str) -> Option<&'a str> {
        if self.symlinks.is_empty() {
            return None;
        }
        let ends = name.match_indices('/').map(|(at, _)| at).chain([name.len()]);
        ends.map(|end| &name[..end]).find(|prefix| self.symlinks.contains(*prefix))
    }

    /// Files that `text` may mean: those whose name ends like it. `./worker.js` means every `worker.js`; `jobs/a.py`
    /// means every `…/jobs/a.py`, and `a.py` at the top.
    pub(super) fn ending_like<'a>(&'a self, text: &str) -> impl Iterator<Item = &'a str> {
        let mut wanted = text;
        loop {
            let shorter = wanted.trim_start_matches('/');
            let shorter = shorter.strip_prefix("./").or_else(|| shorter.strip_prefix("../")).unwrap_or(shorter);
            if shorter.len() == wanted.len() {
                break;
            }
            wanted = shorter;
        }
        let wanted = wanted.to_owned();
        let same_base = self.by_base.get(base(&wanted)).map(Vec::as_slice).unwrap_or_default();
        same_base.iter().map(String::as_str).filter(move |name| {
            name.strip_suffix(wanted.as_str()).is_some_and(|before| before.is_empty() || before.ends_with('/'))
                || wanted.strip_suffix(*name).is_some_and(|before| before.ends_with('/'))
        })
    }

    /// Files that Python may load for the module at this path.
    pub(super) fn python_files(&self, stem: &str) -> &[String] {
        self.python.get(stem).map(Vec::as_slice).unwrap_or_default()
    }

    /// The paths of the modules directly in `directory`.
    pub(super) fn python_modules_in<'a>(&'a self, directory: &str) -> impl Iterator<Item = &'a str> {
        let prefix = if directory.is_empty() { String::new() } else { format!("{directory}/") };
        let from = prefix.clone();
        self.python
            .range(from..)
            .map(|(stem, _)| stem.as_str())
            .take_while({
                let prefix = prefix.clone();
                move |stem| stem.starts_with(&prefix)
            })
            .filter(move |stem| stem.len() > prefix.len() && !stem[prefix.len()..].contains('/'))
    }
}

/// Names that zip writers make of one path: `./a`, `a//b`.
pub(super) fn normal(name: &str) -> String {
    if !name.starts_with('.') && !name.contains("//") && !name.contains("/.") {
        return name.to_owned();
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The part behind the last `/`.
pub(super) fn base(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// The part before the last `/`; "" for what is at the top.
pub(super) fn directory(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(directory, _)| directory)
}

/// `directory` and `name` as one path.
pub(super) fn join(directory: &str, name: &str) -> String {
    match (directory, name) {
        ("", name) => name.to_owned(),
        (directory, "") => directory.to_owned(),
        (directory, name) => format!("{directory}/{name}"),
    }
}

/// The path of the module that Python may load a file for: source, bytecode, native modules with and without tags.
fn python_stem(name: &str) -> Option<String> {
    let (before, base) = (directory(name), base(name));
    let (stem, suffix) = base.split_once('.')?;
    let last = suffix.rsplit('.').next().unwrap_or(suffix);
    if stem.is_empty() || !matches!(last, "py" | "pyc" | "so" | "pyd") {
        return None;
    }
    let before = before.strip_suffix("__pycache__").map_or(before, |parent| parent.trim_end_matches('/'));
    Some(if stem == "__init__" { before.to_owned() } else { join(before, stem) })
}

/// Every one of the names, for tests.
#[cfg(test)]
pub(super) fn tree(names: &[&str]) -> Tree {
    Tree::new(names.iter().map(|name| (*name, false)))
}

impl Tree {
    /// Files, sorted, for messages and tests.
    #[cfg(test)]
    pub(super) fn files(&self) -> std::collections::BTreeSet<&str> {
        self.files.iter().map(String::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn directories_are_known_from_the_files_in_them() {
        let tree = tree(&["./a/b/c.js", "d//e.js", "empty/"]);
        assert!(tree.is_directory("") && tree.is_directory("a/b") && tree.is_directory("empty"));
        assert_eq!(tree.files(), ["a/b/c.js", "d/e.js"].into());
    }

    #[test]
    fn a_text_means_the_files_whose_names_end_like_it() {
        let tree = tree(&["worker.js", "jobs/worker.js", "jobs/my-worker.js"]);
        let meant = |text: &str| tree.ending_like(text).collect::<BTreeSet<_>>();
        assert_eq!(meant("./worker.js"), ["worker.js", "jobs/worker.js"].into());
        // The text may begin with directories that the artifact doesn't have.
        assert_eq!(meant("../../jobs/worker.js"), ["worker.js", "jobs/worker.js"].into());
        assert_eq!(meant("jobs/my-worker.js"), ["jobs/my-worker.js"].into());
        assert_eq!(meant("other.js"), BTreeSet::new());
    }

    #[test]
    fn python_finds_source_bytecode_and_native_modules() {
        let tree = tree(&[
            "p/__init__.py",
            "p/a.py",
            "p/__pycache__/a.cpython-312.pyc",
            "p/n.cpython-312-x86_64-linux-gnu.so",
            "p/q/r.py",
            "p/data.json",
        ]);
        assert_eq!(tree.python_files("p"), ["p/__init__.py"]);
        assert_eq!(tree.python_files("p/a"), ["p/a.py", "p/__pycache__/a.cpython-312.pyc"]);
        assert_eq!(tree.python_files("p/n").len(), 1);
        assert_eq!(tree.python_modules_in("p").collect::<Vec<_>>(), ["p/a", "p/n"]);
        assert_eq!(tree.python_modules_in("").collect::<Vec<_>>(), ["p"]);
    }

    #[test]
    fn a_link_is_found_on_the_way_to_a_file() {
        let tree = Tree::new([("a/link", true), ("a/b.js", false)]);
        assert_eq!(tree.symlink_on("a/link/x.js"), Some("a/link"));
        assert_eq!(tree.symlink_on("a/link"), Some("a/link"));
        assert_eq!(tree.symlink_on("a/b.js"), None);
    }
}
