//! The local files beside one artifact: how they lie in it, where the handlers are, what is to be excluded.
//!
//! First the developer's own files are compared. When these do not hold the functions' handlers, but what a tool built
//! from them does (`.aws-sam/build/Start`, `dist`), the artifact holds built code: then the mapping leads there.

use std::path::{Path, PathBuf};

use zipedit::Directory;

use super::excludes::{self, Excludes};
use super::handler;
use super::mapping::{self, Entry, File, Found, Rule};
use crate::project::{Project, ProjectError, checksums};

/// What tools write; it is no evidence for where the sources lie.
const OUTPUT: [&str; 4] = [".aws-sam", ".serverless", "cdk.out", "node_modules"];
/// Where builds often put what they made, besides what a tool's file says.
const BUILT: [&str; 5] = ["dist", "build", "out", ".build", "lib"];

/// The files of a directory.
#[derive(Debug)]
pub(crate) struct Tree {
    root: PathBuf,
    /// Those that no ignore file hides.
    own: Vec<File>,
    /// Those in directories that tools build in.
    built: Vec<File>,
}

/// A function's handler, as Lambda has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Handler {
    pub(crate) function: String,
    pub(crate) handler: String,
    pub(crate) runtime: String,
}

/// Where a handler is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HandlerFile {
    pub(crate) function: String,
    pub(crate) handler: String,
    /// Its name in the zip.
    pub(crate) entry: Option<String>,
    /// Its path here.
    pub(crate) path: Option<String>,
}

/// What came of the comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Analysis {
    pub(crate) mapping: Found,
    pub(crate) excludes: Excludes,
    pub(crate) handlers: Vec<HandlerFile>,
    /// The mapping leads to what a tool built.
    pub(crate) built: bool,
}

impl Tree {
    /// Lists the files below `root`. `built`: directories that tools say they build in. Blocks.
    pub(crate) fn read(root: &Path, built: &[String]) -> Result<Self, ProjectError> {
        let own = files(&Project::of_directory(root, None)?)?;
        let mut directories: Vec<String> = built.to_vec();
        directories.extend(BUILT.iter().map(|&name| name.to_owned()));
        directories.sort();
        directories.dedup();
        // What is no directory, or has been seen already because no ignore file hides it, is nothing more.
        directories.retain(|directory| root.join(directory).is_dir());
        let hidden: Vec<String> = directories
            .into_iter()
            .filter(|directory| built.contains(directory) || !own.iter().any(|file| is_below(&file.path, directory)))
            .collect();
        let outermost: Vec<String> =
            hidden.iter().filter(|one| !hidden.iter().any(|other| is_below(one, other))).cloned().collect();
        // A link that leads nowhere in a build's output must not keep anybody from going on without it.
        let built = if outermost.is_empty() {
            Vec::new()
        } else {
            Project::of_directories(root, &outermost).and_then(|project| files(&project)).unwrap_or_default()
        };
        Ok(Self { root: root.to_owned(), own, built })
    }

    /// How many files are the developer's own.
    pub(crate) fn len(&self) -> usize {
        self.own.len()
    }

    /// Compares with an artifact. `hints`: what tools say of where code is. Reads the files that may be equal; blocks.
    pub(crate) fn analyse(
        &self,
        entries: &[Entry],
        handlers: &[Handler],
        hints: &[Rule],
    ) -> Result<Analysis, ProjectError> {
        let own = self.with_checksums(&self.own, entries)?;
        let sources: Vec<File> = own.iter().filter(|file| !is_output(&file.path)).cloned().collect();
        let by_source = mapping::find(&sources, entries, hints);
        let found = self.finish(mapping::explain(&by_source.rules, &own, entries), entries, handlers, false);
        if self.built.is_empty() || found.knows_handlers() {
            return Ok(found);
        }
        let built = self.with_checksums(&self.built, entries)?;
        let by_build = self.finish(mapping::find(&built, entries, &[]), entries, handlers, true);
        let explains = |analysis: &Analysis| analysis.mapping.identical.len() + analysis.mapping.different.len();
        let better = by_build.knows_handlers()
            || (handlers.iter().all(|handler| handler.entry(entries).is_none())
                && explains(&by_build) > explains(&found));
        Ok(if better { by_build } else { found })
    }

    fn finish(&self, mapping: Found, entries: &[Entry], handlers: &[Handler], built: bool) -> Analysis {
        let here: Vec<&String> = mapping.identical.iter().chain(&mapping.different).collect();
        let handlers = handlers
            .iter()
            .map(|handler| {
                let entry = handler.entry(entries);
                let path = here
                    .iter()
                    .find(|path| entry.is_some() && mapping::entry_of(&mapping.rules, path) == entry)
                    .map(|path| (*path).clone());
                HandlerFile { function: handler.function.clone(), handler: handler.handler.clone(), entry, path }
            })
            .collect();
        Analysis { excludes: excludes::choose(&mapping), mapping, handlers, built }
    }

    fn with_checksums(&self, files: &[File], entries: &[Entry]) -> Result<Vec<File>, ProjectError> {
        let places = mapping::worth_reading(files, entries);
        let paths: Vec<&str> = places.iter().map(|&place| files[place].path.as_str()).collect();
        let mut files = files.to_vec();
        for (place, content) in places.iter().zip(checksums(&self.root, &paths)?) {
            if let Some((size, crc32)) = content {
                files[*place].size = size;
                files[*place].crc32 = Some(crc32);
            }
        }
        Ok(files)
    }
}

impl Handler {
    fn entry(&self, entries: &[Entry]) -> Option<String> {
        handler::entry(&self.handler, &self.runtime, |name| entries.iter().any(|entry| entry.name == name))
    }
}

impl Analysis {
    /// Whether every handler that is a file in the zip has a file here, and there is at least one.
    fn knows_handlers(&self) -> bool {
        let mut files = self.handlers.iter().filter(|handler| handler.entry.is_some()).peekable();
        files.peek().is_some() && files.all(|handler| handler.path.is_some())
    }
}

/// The files among a zip's entries.
pub(crate) fn entries(directory: &Directory) -> Vec<Entry> {
    let files = directory.entries().filter(|entry| !entry.is_dir());
    files.map(|entry| Entry { name: entry.name().into_owned(), size: entry.size(), crc32: entry.crc32() }).collect()
}

fn files(project: &Project) -> Result<Vec<File>, ProjectError> {
    Ok(project.files()?.into_iter().map(|(path, size)| File { path, size, crc32: None }).collect())
}

fn is_output(path: &str) -> bool {
    OUTPUT.iter().any(|output| is_below(path, output))
}

fn is_below(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)], built: &[&str]) -> (tempfile::TempDir, Tree) {
        let directory = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = directory.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let built: Vec<String> = built.iter().map(|&name| name.to_owned()).collect();
        let tree = Tree::read(directory.path(), &built).unwrap();
        (directory, tree)
    }

    fn entry(name: &str, content: &str) -> Entry {
        Entry { name: name.to_owned(), size: content.len() as u64, crc32: crc32fast::hash(content.as_bytes()) }
    }

    fn node(handler: &str) -> Vec<Handler> {
        vec![Handler { function: "f".into(), handler: handler.into(), runtime: "nodejs20.x".into() }]
    }

    #[test]
    fn sources_are_preferred_to_copies_of_them_in_a_tools_output() {
        let (_directory, tree) = tree(
            &[("src/app.js", "the handler"), (".aws-sam/build/Fn/app.js", "the handler"), ("README.md", "read me")],
            &[".aws-sam/build/Fn"],
        );
        let analysis = tree.analyse(&[entry("app.js", "the handler")], &node("app.handler"), &[]).unwrap();
        assert_eq!(analysis.mapping.rules, [("src".to_owned(), String::new())]);
        assert!(!analysis.built);
        assert_eq!(analysis.handlers[0].path.as_deref(), Some("src/app.js"));
    }

    #[test]
    fn built_code_is_found_where_it_was_built() {
        let (_directory, tree) = tree(
            &[("src/app.ts", "const typed: string"), ("dist/app.js", "the built one"), (".gitignore", "dist/\n")],
            &[],
        );
        let analysis = tree.analyse(&[entry("app.js", "the built one")], &node("app.handler"), &[]).unwrap();
        assert!(analysis.built);
        assert_eq!(analysis.mapping.rules, [("dist".to_owned(), String::new())]);
        assert_eq!(analysis.handlers[0].path.as_deref(), Some("dist/app.js"));
    }

    #[test]
    fn an_output_that_no_ignore_file_hides_is_excluded() {
        let (_directory, tree) =
            tree(&[("app.js", "the handler"), (".aws-sam/build/Fn/app.js", "the handler")], &[".aws-sam/build/Fn"]);
        let analysis = tree.analyse(&[entry("app.js", "the handler")], &node("app.handler"), &[]).unwrap();
        let patterns: Vec<&str> = analysis.excludes.patterns.iter().map(|exclude| exclude.pattern.as_str()).collect();
        assert_eq!(patterns, ["/.aws-sam/"]);
    }
}
