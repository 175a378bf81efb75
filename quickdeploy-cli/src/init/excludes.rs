//! Which files that would be new to the artifact were left out of it on purpose, and the patterns that leave them out
//! again. A pure function.
//!
//! A package seldom holds everything that lies in its directory: not the tests, the README, the tools' settings. Left
//! alone, the first deployment would put them all into the artifact. But a file that was written since the last build is
//! new, too, and must not be hidden. So a new file is excluded when it is of a kind that packages leave out: by its name,
//! by lying in a directory that the artifact has nothing of and that is not below one it has, or by an ending that
//! nothing in the artifact has. What remains is code beside code: a real difference.

use std::collections::{BTreeMap, BTreeSet};

use super::mapping::Found;

/// Directories that packages leave out, wherever they are.
const DIRECTORIES: [&str; 26] = [
    "test",
    "tests",
    "__tests__",
    "spec",
    "specs",
    "__mocks__",
    "__snapshots__",
    "fixtures",
    "coverage",
    "doc",
    "docs",
    "example",
    "examples",
    "events",
    "scripts",
    "ci",
    "infra",
    "infrastructure",
    "terraform",
    "cdk",
    "cdk.out",
    "deploy",
    "bench",
    "benchmarks",
    "e2e",
    "node_modules",
];
/// Endings of tests, by which files beside the code are left out.
const TEST_ENDINGS: [&str; 12] = [
    ".test.js",
    ".spec.js",
    ".test.ts",
    ".spec.ts",
    ".test.mjs",
    ".spec.mjs",
    ".test.tsx",
    ".spec.tsx",
    ".test.py",
    "_test.py",
    ".test.jsx",
    ".spec.jsx",
];
/// Files that set tools up, whose ending is that of code.
const TOOLING: [&str; 14] = [
    "gulpfile.js",
    "gruntfile.js",
    "webpack.config.js",
    "rollup.config.js",
    "jest.config.js",
    "jest.setup.js",
    "setup.py",
    "conftest.py",
    "noxfile.py",
    "tasks.py",
    "fabfile.py",
    "esbuild.js",
    "karma.conf.js",
    "app.py.example",
];

/// A pattern for `exclude`, and how many files it leaves out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exclude {
    pub(crate) pattern: String,
    pub(crate) files: usize,
}

/// What to exclude, and the files that stay new.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Excludes {
    /// Sorted by pattern.
    pub(crate) patterns: Vec<Exclude>,
    pub(crate) new: Vec<String>,
}

/// Chooses for what `mapping` found.
pub(crate) fn choose(mapping: &Found) -> Excludes {
    let kept: Vec<&str> = mapping.identical.iter().chain(&mapping.different).map(String::as_str).collect();
    let kept_directories: BTreeSet<&str> = kept.iter().flat_map(|path| directories(path)).collect();
    let kept_endings: BTreeSet<&str> = kept.iter().map(|path| ending(path)).collect();
    let of_tool = |path: &str| {
        let name = last(path).to_ascii_lowercase();
        name.starts_with('.') || TOOLING.contains(&name.as_str()) || name.contains(".config.")
    };
    let mut patterns: BTreeMap<String, usize> = BTreeMap::new();
    let mut by_ending: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut excludes = Excludes::default();
    for path in mapping.new.iter().map(String::as_str) {
        // The outermost directory that the artifact has nothing of.
        let outside = directories(path).find(|directory| !kept_directories.contains(directory));
        let is_left_out = |directory: &str| {
            let name = last(directory);
            name.starts_with('.') || DIRECTORIES.contains(&name) || is_at_the_top(mapping, directory)
        };
        let test =
            TEST_ENDINGS.iter().find(|test| path.ends_with(*test) && !kept.iter().any(|kept| kept.ends_with(*test)));
        match (outside.filter(|directory| is_left_out(directory)), test) {
            (Some(directory), _) => *patterns.entry(format!("/{directory}/")).or_default() += 1,
            (None, Some(test)) => *patterns.entry(format!("*{test}")).or_default() += 1,
            (None, None) if !last(path).starts_with('.') && !kept_endings.contains(ending(path)) => {
                by_ending.entry(ending(path)).or_default().push(path);
            }
            (None, None) if of_tool(path) => *patterns.entry(format!("/{path}")).or_default() += 1,
            (None, None) => excludes.new.push(path.to_owned()),
        }
    }
    for (ending, paths) in by_ending {
        if paths.len() > 1 && !ending.is_empty() {
            patterns.insert(format!("*{ending}"), paths.len());
        } else {
            patterns.extend(paths.into_iter().map(|path| (format!("/{path}"), 1)));
        }
    }
    excludes.patterns =
        patterns.into_iter().map(|(pattern, files)| Exclude { pattern: escaped(&pattern), files }).collect();
    excludes
}

/// Whether the directory lies directly in a mapped one: a new part of the code is rather written below an old one.
fn is_at_the_top(mapping: &Found, directory: &str) -> bool {
    let parent = directory.rsplit_once('/').map_or("", |(parent, _)| parent);
    mapping.rules.iter().any(|(local, _)| local == parent)
}

/// `a`, `a/b` of `a/b/c.js`.
fn directories(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(slash, _)| &path[..slash])
}

/// `.js` of `a/b.js`; "" of `Makefile` and `.npmrc`.
fn ending(path: &str) -> &str {
    let name = last(path);
    name.rfind('.').filter(|&dot| dot > 0).map_or("", |dot| &name[dot..])
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// A pattern that means these letters, but for a `*` at its beginning.
fn escaped(pattern: &str) -> String {
    let (star, rest) = pattern.strip_prefix('*').map_or(("", pattern), |rest| ("*", rest));
    let mut text = star.to_owned();
    for c in rest.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '{' | '}' | '\\') {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(kept: &[&str], new: &[&str], rules: &[&str]) -> (Vec<String>, Vec<String>) {
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        let excludes = choose(&Found {
            rules: rules.iter().map(|&local| (local.to_owned(), String::new())).collect(),
            identical: texts(kept),
            new: texts(new),
            ..Found::default()
        });
        (excludes.patterns.into_iter().map(|exclude| exclude.pattern).collect(), excludes.new)
    }

    #[test]
    fn what_packages_leave_out_is_excluded_by_few_patterns() {
        let (patterns, new) = chosen(
            &["index.js", "lib/a.js", "package.json"],
            &[
                ".github/workflows/ci.yml",
                "test/a.js",
                "test/deep/b.js",
                "lib/a.test.js",
                "README.md",
                "docs/x.md",
                "CHANGES.md",
                "Makefile",
                ".eslintrc.js",
                "jest.config.js",
                "template.yaml",
                "lib/__tests__/a.js",
            ],
            &[""],
        );
        assert_eq!(
            patterns,
            [
                "*.md",
                "*.test.js",
                "/.eslintrc.js",
                "/.github/",
                "/Makefile",
                "/docs/",
                "/jest.config.js",
                "/lib/__tests__/",
                "/template.yaml",
                "/test/"
            ]
        );
        assert_eq!(new, [] as [String; 0]);
    }

    #[test]
    fn code_that_was_just_written_stays_new() {
        let (patterns, new) = chosen(&["index.js", "lib/a.js"], &["lib/new.js", "lib/feature/b.js", "other.js"], &[""]);
        assert_eq!(patterns, [] as [String; 0]);
        assert_eq!(new, ["lib/new.js", "lib/feature/b.js", "other.js"]);
    }

    #[test]
    fn a_pattern_hides_nothing_that_the_artifact_has() {
        let (patterns, _) = chosen(&["a.md", "x.test.js"], &["b.md", "y.test.js"], &[""]);
        assert_eq!(patterns, [] as [String; 0]);
    }

    #[test]
    fn letters_that_mean_something_in_patterns_are_escaped() {
        let (patterns, _) = chosen(&["a.js"], &["[id].html"], &[""]);
        assert_eq!(patterns, ["/\\[id\\].html"]);
    }
}
