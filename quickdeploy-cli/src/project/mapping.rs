//! Local paths and entry names, both ways.
//!
//! A rule maps a local directory to a prefix in the zip. Of several rules that fit a path, the one with the longest
//! directory wins, so `"src" = ""` with `"src/vendor" = "lib"` sends `src/vendor/a.js` to `lib/a.js` only.
//!
//! Backwards one name may have come from several places (`"a" = ""` and `"b" = ""`); all of them are given, and which
//! one exists is for the file system to say. Two existing files with one name are an error, found by [`super::walk`].
//!
//! Paths are relative to the root and joined by `/` here, on every platform: see [`slashed_below`].

use std::ffi::OsStr;
use std::path::{MAIN_SEPARATOR, Path};

/// Which local directory goes where in the zip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mapping {
    /// Longest local directory first.
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    /// `src`, or "" for the root.
    local: String,
    /// `lib/`, or "" for the top of the zip.
    prefix: String,
}

impl Mapping {
    /// `rules` are pairs of a local directory ("" or `src/deep`) and a prefix ("" or `lib/`), as `Settings::map` holds
    /// them.
    pub(crate) fn new(rules: &[(String, String)]) -> Self {
        let mut rules: Vec<Rule> =
            rules.iter().map(|(local, prefix)| Rule { local: local.clone(), prefix: prefix.clone() }).collect();
        rules.sort_by(|a, b| b.local.len().cmp(&a.local.len()).then_with(|| a.local.cmp(&b.local)));
        Self { rules }
    }

    /// The mapped directories, deepest first.
    pub(crate) fn directories(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| rule.local.as_str())
    }

    /// Whether every path is its own entry name.
    pub(crate) fn keeps_names(&self) -> bool {
        matches!(self.rules.as_slice(), [rule] if rule.local.is_empty() && rule.prefix.is_empty())
    }

    /// Whether the file at `path` has an entry name.
    pub(crate) fn maps(&self, path: &str) -> bool {
        self.rules.iter().any(|rule| below(path, &rule.local).is_some())
    }

    /// The entry name of the file at `path`; `None` when no rule maps it.
    pub(crate) fn entry_name(&self, path: &str) -> Option<String> {
        self.rules.iter().find_map(|rule| {
            let rest = below(path, &rule.local)?;
            let mut name = String::with_capacity(rule.prefix.len() + rest.len());
            name.push_str(&rule.prefix);
            name.push_str(rest);
            Some(name)
        })
    }

    /// Every path whose entry name is `name`, the one through the longest prefix first. Empty when no rule leads there.
    pub(crate) fn local_paths(&self, name: &str) -> Vec<String> {
        let mut rules: Vec<&Rule> = self.rules.iter().filter(|rule| name.starts_with(&rule.prefix)).collect();
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.prefix.len()));
        let mut paths: Vec<String> = Vec::with_capacity(rules.len());
        for rule in rules {
            let rest = &name[rule.prefix.len()..];
            let path = if rule.local.is_empty() { rest.to_owned() } else { format!("{}/{rest}", rule.local) };
            // A deeper rule may claim that path for another name.
            if !rest.is_empty() && self.entry_name(&path).as_deref() == Some(name) {
                paths.push(path);
            }
        }
        paths
    }

    /// Whether the directory at `path` is mapped, lies in a mapped one, or leads to one.
    pub(crate) fn concerns_directory(&self, path: &str) -> bool {
        self.rules.iter().any(|rule| {
            path.is_empty()
                || path == rule.local
                || below(path, &rule.local).is_some()
                || below(&rule.local, path).is_some()
        })
    }
}

/// What of `path` is below `directory`; `None` when it isn't. Everything is below "".
fn below<'a>(path: &'a str, directory: &str) -> Option<&'a str> {
    if directory.is_empty() {
        return Some(path);
    }
    path.strip_prefix(directory)?.strip_prefix('/')
}

/// Why a path can't be an entry name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unnameable {
    /// Entry names are UTF-8 here, as everywhere that matters.
    #[error("its name is not UTF-8")]
    NotUtf8,
    /// A `\` in a file name would be a separator for half of the world's zip readers.
    #[error("its name has a backslash in it")]
    Backslash,
    /// `c:x` would be a path on drive C for Windows readers.
    #[error("its name begins like a Windows drive")]
    DriveLetter,
}

/// What of `path` is below `directory`, joined by `/`. `path` must begin with `directory`, letter for letter.
pub(crate) fn slashed_below(directory: &Path, path: &Path) -> Result<String, Unnameable> {
    let bytes = path.as_os_str().as_encoded_bytes();
    let rest = bytes.get(directory.as_os_str().len()..).unwrap_or_default();
    let separators = rest.iter().take_while(|&&byte| byte == MAIN_SEPARATOR as u8).count();
    let text = std::str::from_utf8(&rest[separators..]).map_err(|_| Unnameable::NotUtf8)?;
    if MAIN_SEPARATOR == '/' {
        if text.contains('\\') { Err(Unnameable::Backslash) } else { Ok(text.to_owned()) }
    } else {
        Ok(text.replace(MAIN_SEPARATOR, "/"))
    }
}

/// The name of one file or directory, as it stands in such a path.
pub(crate) fn slashed_name(name: &OsStr) -> Result<&str, Unnameable> {
    match name.to_str() {
        None => Err(Unnameable::NotUtf8),
        Some(name) if MAIN_SEPARATOR == '/' && name.contains('\\') => Err(Unnameable::Backslash),
        Some(name) => Ok(name),
    }
}

/// Refuses names that a reader on another platform would take for something else.
pub(crate) fn check_entry_name(name: &str) -> Result<(), Unnameable> {
    match name.as_bytes() {
        [drive, b':', ..] if drive.is_ascii_alphabetic() => Err(Unnameable::DriveLetter),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mapping(rules: &[(&str, &str)]) -> Mapping {
        let rules: Vec<_> = rules.iter().map(|(local, prefix)| ((*local).to_owned(), (*prefix).to_owned())).collect();
        Mapping::new(&rules)
    }

    #[test]
    fn the_whole_root_maps_to_itself() {
        let mapping = mapping(&[("", "")]);
        assert!(mapping.keeps_names() && mapping.maps("src/a.js"));
        assert_eq!(mapping.entry_name("src/a.js").as_deref(), Some("src/a.js"));
        assert_eq!(mapping.local_paths("src/a.js"), ["src/a.js"]);
    }

    #[test]
    fn the_longest_directory_wins() {
        let mapping = mapping(&[("src", ""), ("src/vendor", "lib/")]);
        assert_eq!(mapping.entry_name("src/a.js").as_deref(), Some("a.js"));
        assert_eq!(mapping.entry_name("src/vendor/a.js").as_deref(), Some("lib/a.js"));
        // `vendor/a.js` would be `src/vendor/a.js`, but that one is `lib/a.js`.
        assert_eq!(mapping.local_paths("vendor/a.js"), Vec::<String>::new());
        assert_eq!(mapping.local_paths("lib/a.js"), ["src/vendor/a.js", "src/lib/a.js"]);
    }

    #[test]
    fn a_directory_is_matched_by_whole_names() {
        let mapping = mapping(&[("src", "")]);
        assert_eq!(mapping.entry_name("src2/a.js"), None);
        assert_eq!(mapping.entry_name("src"), None);
    }

    #[test]
    fn a_name_may_come_from_several_places() {
        let mapping = mapping(&[("a", ""), ("b", "")]);
        assert_eq!(mapping.local_paths("x"), ["a/x", "b/x"]);
    }

    #[test]
    fn only_directories_that_lead_to_a_mapped_one_are_entered() {
        let mapping = mapping(&[("a/b", "")]);
        for (path, expected) in
            [("", true), ("a", true), ("a/b", true), ("a/b/c", true), ("c", false), ("a/c", false), ("ab", false)]
        {
            assert_eq!(mapping.concerns_directory(path), expected, "{path}");
        }
    }

    #[test]
    fn names_that_a_windows_reader_would_misread_are_refused() {
        assert_eq!(check_entry_name("c:x"), Err(Unnameable::DriveLetter));
        assert_eq!(check_entry_name("cc:x"), Ok(()));
        #[cfg(unix)]
        assert_eq!(slashed_below(Path::new(""), Path::new("a\\b")), Err(Unnameable::Backslash));
    }

    #[cfg(windows)]
    #[test]
    fn windows_separators_become_slashes() {
        assert_eq!(slashed_below(Path::new(""), Path::new("src\\deep\\a.js")).unwrap(), "src/deep/a.js");
    }

    #[cfg(unix)]
    #[test]
    fn a_name_that_is_not_utf8_is_refused() {
        use std::os::unix::ffi::OsStrExt;
        let path = Path::new(std::ffi::OsStr::from_bytes(b"a/\xff.js"));
        assert_eq!(slashed_below(Path::new("/p"), &Path::new("/p").join(path)), Err(Unnameable::NotUtf8));
        assert_eq!(slashed_name(OsStr::from_bytes(b"\xff.js")), Err(Unnameable::NotUtf8));
        assert_eq!(slashed_name(OsStr::new("a\\b")), Err(Unnameable::Backslash));
        assert_eq!(slashed_name(OsStr::new("ä.js")), Ok("ä.js"));
    }

    fn path() -> impl Strategy<Value = String> {
        prop::collection::vec("[ab]{1,2}", 1..4).prop_map(|parts| parts.join("/"))
    }

    fn rules() -> impl Strategy<Value = Vec<(String, String)>> {
        let directory = prop_oneof![Just(String::new()), path()];
        let prefix = prop_oneof![Just(String::new()), path().prop_map(|p| p + "/")];
        prop::collection::btree_map(directory, prefix, 1..4).prop_map(|map| map.into_iter().collect())
    }

    proptest! {
        #[test]
        fn every_path_is_among_the_paths_of_its_name(rules in rules(), path in path()) {
            let mapping = Mapping::new(&rules);
            if let Some(name) = mapping.entry_name(&path) {
                // A path equal to a mapped directory is that directory, not a file in it.
                prop_assert!(!name.is_empty());
                prop_assert!(mapping.local_paths(&name).contains(&path));
            }
        }

        #[test]
        fn every_path_of_a_name_has_that_name(rules in rules(), name in path()) {
            let mapping = Mapping::new(&rules);
            for path in mapping.local_paths(&name) {
                prop_assert_eq!(mapping.entry_name(&path), Some(name.clone()));
                prop_assert_eq!(slashed_below(Path::new(""), Path::new(&path)), Ok(path.clone()));
            }
        }

        #[test]
        fn the_rules_order_does_not_matter(rules in rules(), path in path()) {
            let mut reversed = rules.clone();
            reversed.reverse();
            prop_assert_eq!(Mapping::new(&rules), Mapping::new(&reversed));
            prop_assert_eq!(Mapping::new(&rules).entry_name(&path), Mapping::new(&reversed).entry_name(&path));
        }
    }
}
