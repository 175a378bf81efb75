//! What one source file says about other files: what it imports, which it names, and whether it loads what only a run
//! could tell.

/// What was found in one source file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// In the order of the file.
    pub(super) imports: Vec<Import>,
    /// Texts of the file that could be names of other files or modules: what starts a worker, or is read and run, is
    /// often given by name.
    pub(super) mentions: Vec<String>,
    /// The first place where it loads what can't be told from its text.
    pub(super) dynamic: Option<Dynamic>,
}

/// One other file that is loaded, in the terms of its language.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Import {
    /// Node.js: a specifier, looked up from the directory of the file.
    Node { specifier: String, conditions: Conditions },
    /// Node.js: a path that the operating system opens, relative to the working directory, which is the artifact's top.
    NodeFile(String),
    /// Python: a module by its full name.
    Module(Vec<String>),
    /// Python: a module relative to the package of the file; `level` counts the dots.
    Relative { level: u32, module: Vec<String> },
    /// Python: every module directly in a package, for `from package import *`.
    Star(Vec<String>),
    /// As [`Import::Star`], for a relative package.
    RelativeStar { level: u32, module: Vec<String> },
    /// Python: a directory that modules are looked for in from now on, as a path from the artifact's top.
    SearchPath(String),
}

/// Under which conditions a package's `exports` are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Conditions {
    /// `require`, and what goes the same way.
    Require,
    /// `import`.
    Import,
}

/// A place where a file loads what can't be told from its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dynamic {
    /// From 1.
    pub(super) line: u32,
    /// `requires a computed name`: completes "FILE, line N, …".
    pub(super) what: &'static str,
}

impl Facts {
    /// The first one counts.
    pub(super) fn set_dynamic(&mut self, line: u32, what: &'static str) {
        if self.dynamic.as_ref().is_none_or(|known| line < known.line) {
            self.dynamic = Some(Dynamic { line, what });
        }
    }

    /// Keeps `text` if it could name a file or a module.
    pub(super) fn mention(&mut self, text: &str) {
        if could_name_a_file(text) && !self.mentions.iter().any(|known| known == text) {
            self.mentions.push(text.to_owned());
        }
    }
}

/// No white space, not too long, and a dot or colon in it: `./worker.js`, `jobs.py`, `app.settings`, `app:handler`.
fn could_name_a_file(text: &str) -> bool {
    text.len() <= 256
        && text.contains(['.', ':'])
        && !text.contains(|c: char| c.is_whitespace() || c.is_control())
        && text.chars().any(char::is_alphanumeric)
}

/// The line, from 1, of a position in bytes.
pub(super) fn line_of(source: &str, at: usize) -> u32 {
    let before = &source.as_bytes()[..at.min(source.len())];
    u32::try_from(before.iter().filter(|&&byte| byte == b'\n').count()).unwrap_or(u32::MAX - 1) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_dynamic_place_is_the_one_that_is_told() {
        let mut facts = Facts::default();
        facts.set_dynamic(7, "b");
        facts.set_dynamic(3, "a");
        facts.set_dynamic(5, "c");
        assert_eq!(facts.dynamic, Some(Dynamic { line: 3, what: "a" }));
    }

    #[test]
    fn sentences_and_plain_words_name_no_file() {
        for text in ["./worker.js", "jobs.py", "app.settings", "app:handler", "lib/a.mjs"] {
            assert!(could_name_a_file(text), "{text}");
        }
        for text in ["", ".", "...", "word", "It failed. Try again.", "a b.js"] {
            assert!(!could_name_a_file(text), "{text}");
        }
    }

    #[test]
    fn lines_count_from_one() {
        assert_eq!([line_of("a\nb\n", 0), line_of("a\nb\n", 2), line_of("a\nb\n", 99)], [1, 2, 3]);
    }
}
