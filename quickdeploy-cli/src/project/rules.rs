//! What belongs into the package, as far as names can say.
//!
//! In order of precedence:
//!
//! 1. Never: version control's own files, QuickDeploy's own files (`.quickdeploy/`, `quickdeploy.toml`,
//!    `.quickdeployignore`), `.DS_Store` and `__pycache__`. See [`NEVER`].
//! 2. `exclude` in the configuration.
//! 3. `include` in the configuration: these files are taken although an ignore file excludes them.
//! 4. `.quickdeployignore`, then git's: `.gitignore`, `.git/info/exclude`, the user's global excludes. In a git
//!    repository they are read as git reads them, from the repository's top downwards; outside one, `.gitignore` counts
//!    from the root downwards.
//!
//! Hidden files are files like any other: a package that lacks `.npmrc` or `.well-known/` is a wrong package.
//!
//! Names that are *out of sight* by these rules are neither put into the artifact nor deleted from it: what a build put
//! there under an ignored name is the build's business.

use std::path::Path;

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::config::{CONFIG_FILE, STATE_DIR, Settings};

/// Names that are never packaged, at whatever depth.
pub(crate) const NEVER: [&str; 12] = [
    ".git",
    ".gitignore",
    ".gitattributes",
    ".gitmodules",
    ".hg",
    ".svn",
    ".jj",
    ".DS_Store",
    STATE_DIR,
    CONFIG_FILE,
    IGNORE_FILE,
    // Byte code is tied to its source's time, which a package doesn't keep: Python would compile it again anyway.
    "__pycache__",
];

/// QuickDeploy's own ignore file, in the syntax of `.gitignore`.
pub(crate) const IGNORE_FILE: &str = ".quickdeployignore";

/// Folders that package managers fill.
///
/// They are usually git-ignored. An edit of the project's own files ([`super::walk::Scope::Edit`]) respects that, a full
/// package ([`super::walk::Scope::Package`]) takes them nevertheless: without them the function doesn't run.
pub(crate) const DEPENDENCY_FOLDERS: [&str; 5] =
    ["node_modules", "bower_components", "vendor", "site-packages", "__pypackages__"];

/// The outermost dependency folder that `name` lies in: `a/node_modules` of `a/node_modules/b/node_modules/c.js`.
pub(crate) fn dependency_folder(name: &str) -> Option<&str> {
    let mut start = 0;
    while let Some(slash) = name[start..].find('/') {
        let end = start + slash;
        if DEPENDENCY_FOLDERS.contains(&&name[start..end]) {
            return Some(&name[..end]);
        }
        start = end + 1;
    }
    None
}

/// The configuration's patterns, compiled, and [`NEVER`].
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    include: Gitignore,
    exclude: Gitignore,
    /// The directories below which `include` can match, relative to the root, none inside another.
    include_bases: Vec<String>,
}

impl Rules {
    /// The patterns were checked when the configuration was read; one that isn't valid matches nothing here.
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            include: compile(&settings.root, &settings.include),
            exclude: compile(&settings.root, &settings.exclude),
            include_bases: outermost(settings.include.iter().map(|pattern| literal_base(pattern)).collect()),
        }
    }

    /// Whether the configuration keeps this out. `path` is relative to the root and joined by `/`; its parents are
    /// taken to be in.
    pub(crate) fn excludes(&self, path: &str, is_dir: bool) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        // Asked of every file there is, so most are let through by their first letter.
        (name.starts_with(['.', '_', 'q']) && NEVER.contains(&name)) || self.exclude.matched(path, is_dir).is_ignore()
    }

    /// [`Rules::excludes`], asked of the path and of all directories that it lies in.
    pub(crate) fn excludes_with_parents(&self, path: &str) -> bool {
        let mut ends = path.match_indices('/').map(|(slash, _)| slash);
        ends.any(|end| self.excludes(&path[..end], true)) || self.excludes(path, false)
    }

    /// Whether the configuration takes this file whatever the ignore files say.
    pub(crate) fn includes(&self, path: &str) -> bool {
        !self.include.is_empty() && self.include.matched_path_or_any_parents(path, false).is_ignore()
    }

    /// Where to look for files that [`Rules::includes`].
    pub(crate) fn include_bases(&self) -> &[String] {
        &self.include_bases
    }
}

fn compile(root: &Path, patterns: &[String]) -> Gitignore {
    let mut builder = GitignoreBuilder::new(root);
    for pattern in patterns {
        _ = builder.add_line(None, pattern);
    }
    builder.build().unwrap_or_else(|_| Gitignore::empty())
}

/// Whether an entry's name, or a directory that it is in, is matched by one of the patterns.
pub(crate) fn names_matching(patterns: &[String]) -> impl Fn(&str) -> bool + Send + Sync + 'static {
    let compiled = compile(Path::new(""), patterns);
    move |name| !compiled.is_empty() && compiled.matched_path_or_any_parents(name, false).is_ignore()
}

/// Whether `pattern` is one; the error says why it isn't.
pub(crate) fn check_pattern(pattern: &str) -> Result<(), String> {
    if pattern.trim().is_empty() {
        return Err("the pattern is empty: it would match nothing".to_owned());
    }
    if pattern.trim_start_matches('!').split('/').any(|part| part == "..") {
        return Err(format!("`{pattern}` leaves the root: patterns are relative to it"));
    }
    if pattern.contains('\\') && !pattern.contains(['*', '?', '[', '{', '!', '#', ' ']) {
        return Err(format!("`{pattern}` has a backslash in it: directories are joined by `/`, on Windows too"));
    }
    let mut builder = GitignoreBuilder::new("");
    let added = builder.allow_unclosed_class(false).add_line(None, pattern).map(drop);
    added.and_then(|()| builder.build().map(drop)).map_err(|error| {
        let reason = match &error {
            ignore::Error::Glob { err, .. } => err.clone(),
            other => other.to_string(),
        };
        format!("`{pattern}` is not a pattern: {reason}")
    })
}

/// The directories at the front of a pattern that are written out: `dist/js` of `dist/js/**/*.map`. A pattern without a
/// slash in it matches anywhere, so its base is the root.
fn literal_base(pattern: &str) -> String {
    let pattern = pattern.trim_start_matches('!');
    let anchored = pattern.trim_end_matches('/').contains('/');
    if !anchored {
        return String::new();
    }
    let parts: Vec<&str> = pattern.trim_matches('/').split('/').collect();
    let literal = parts.iter().take_while(|part| !part.contains(['*', '?', '[', '{', '\\'])).count();
    // The last part may be a file: its directory is the place to look.
    parts[..literal.min(parts.len() - 1)].join("/")
}

fn outermost(mut bases: Vec<String>) -> Vec<String> {
    bases.sort();
    bases.dedup();
    let all = bases.clone();
    bases.retain(|base| {
        !all.iter().any(|other| {
            other != base
                && (other.is_empty() || base.strip_prefix(other.as_str()).is_some_and(|rest| rest.starts_with('/')))
        })
    });
    bases
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(include: &[&str], exclude: &[&str]) -> Rules {
        let mut settings = Settings::of_directory("/p".into(), None);
        settings.include = include.iter().map(|&text| text.to_owned()).collect();
        settings.exclude = exclude.iter().map(|&text| text.to_owned()).collect();
        Rules::new(&settings)
    }

    #[test]
    fn excludes_are_read_like_gitignore() {
        let rules = rules(&[], &["*.test.js", "/docs/", "!keep.test.js"]);
        assert!(rules.excludes("deep/a.test.js", false));
        assert!(!rules.excludes("deep/keep.test.js", false));
        assert!(rules.excludes("docs", true));
        assert!(!rules.excludes("docs", false));
        assert!(!rules.excludes("src/docs", true));
        assert!(rules.excludes_with_parents("docs/deep/a.md"));
    }

    #[test]
    fn our_own_files_and_those_of_version_control_are_never_packaged() {
        let rules = rules(&["**"], &[]);
        for name in ["quickdeploy.toml", ".quickdeploy", "a/.git", ".gitignore", "a/.DS_Store"] {
            assert!(rules.excludes(name, false), "{name}");
        }
        assert!(rules.excludes_with_parents(".git/config"));
        assert!(!rules.excludes_with_parents(".github/a.yml"));
    }

    #[test]
    fn the_shortcut_by_first_letter_misses_none() {
        let rules = rules(&[], &[]);
        for name in NEVER {
            assert!(rules.excludes(name, false), "{name}");
        }
    }

    #[test]
    fn includes_are_looked_for_where_they_can_be() {
        assert_eq!(rules(&["dist/**", "dist/js/*.map", "out/x/y.js"], &[]).include_bases(), ["dist", "out/x"]);
        assert_eq!(rules(&["dist/**", "*.gen.js"], &[]).include_bases(), [""]);
        assert_eq!(rules(&["dist/"], &[]).include_bases(), [""]);
        assert!(rules(&[], &[]).include_bases().is_empty());
        let rules = rules(&["dist/**", "generated/"], &[]);
        assert!(rules.includes("dist/a/b.js"));
        assert!(rules.includes("deep/generated/b.js"));
        assert!(!rules.includes("src/a.js"));
    }

    #[test]
    fn a_dependency_folder_is_found_at_any_depth_and_is_the_outermost() {
        assert_eq!(dependency_folder("node_modules/a/index.js"), Some("node_modules"));
        assert_eq!(dependency_folder("app/node_modules/b/node_modules/c.js"), Some("app/node_modules"));
        assert_eq!(dependency_folder("src/node_modules"), None);
        assert_eq!(dependency_folder("my_vendor/x"), None);
    }

    #[test]
    fn names_in_the_zip_match_with_the_directories_that_they_are_in() {
        let matches = names_matching(&["node_modules/express/".to_owned(), "six.py".to_owned()]);
        assert!(matches("node_modules/express/lib/view.js") && matches("six.py") && matches("vendor/six.py"));
        assert!(!matches("node_modules/express-session/index.js") && !matches("src/a.js"));
        assert!(!names_matching(&[])("a.js"));
    }

    #[test]
    fn patterns_that_cannot_work_are_refused() {
        assert!(check_pattern("src/**/*.js").is_ok());
        assert!(check_pattern("").is_err());
        assert!(check_pattern("../x").is_err());
        assert!(check_pattern("dist\\js").is_err());
        assert!(check_pattern("[a").is_err());
    }
}
