//! Which local directory lies where in the zip: found by comparing names, sizes and checksums. A pure function.
//!
//! # Evidence
//!
//! A file and an entry that share their last name hint at rules. `lib/x/a.js` and `x/a.js` have `x/a.js` in common, so
//! `lib` may lie at the top of the zip (`"lib" = ""`), or, more narrowly, `lib/x` in `x`. The pair counts much when size
//! and CRC-32 are equal, little when only the name is (the file was edited since, or a build changed it), and next to
//! nothing when it is a name that every package has: a `LICENSE` or an empty `__init__.py` in a dependency is no evidence.
//!
//! # Choice
//!
//! Rules are judged together, as they work together: a path goes by the rule with the longest directory. Every file that
//! lands on its entry counts for a set of rules; every rule, every file that would be new to the artifact, every file that
//! lands on an entry with another content although its own is elsewhere, and two files on one name count against it.
//! Rules are added while that pays, then those are taken away that turn out not to be needed. Of sets that explain
//! the same, the one with fewer new files wins, then the one with shorter directories.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::project::rules::dependency_folder;

/// Only so many rules are tried, those with the most evidence.
const CANDIDATES: usize = 48;
/// More rules than this are no mapping any more.
const MOST_RULES: usize = 8;
/// For one file, more entries of the same name than this are not looked at.
const SAME_NAME: usize = 64;

/// Names that many packages have, often with the same content.
const EVERYWHERE: [&str; 14] = [
    "license",
    "license.md",
    "license.txt",
    "readme",
    "readme.md",
    "package.json",
    "__init__.py",
    "py.typed",
    ".npmignore",
    "tsconfig.json",
    ".gitkeep",
    ".eslintrc",
    "changelog.md",
    ".editorconfig",
];

/// A local file. Of one whose checksum nobody needed, there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct File {
    /// Relative to the root, joined by `/`.
    pub(crate) path: String,
    /// In bytes.
    pub(crate) size: u64,
    pub(crate) crc32: Option<u32>,
}

/// A file in the zip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    /// In bytes, unzipped.
    pub(crate) size: u64,
    pub(crate) crc32: u32,
}

/// A local directory ("" is the root) and its prefix in the zip ("" or `lib/`), as the project's settings hold them.
pub(crate) type Rule = (String, String);

/// How the tree lies in the zip, and what that explains.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// By directory. Empty: nothing here is in the zip.
    pub(crate) rules: Vec<Rule>,
    /// Paths of files that the zip has as they are.
    pub(crate) identical: Vec<String>,
    /// Paths of files that the zip has with another content.
    pub(crate) different: Vec<String>,
    /// Paths of files that would be new to the zip.
    pub(crate) new: Vec<String>,
    /// Entries that no file here stands for.
    pub(crate) only_in_zip: Vec<String>,
}

/// The files whose checksum has to be known: those that an entry of the same last name and size could be.
pub(crate) fn worth_reading(files: &[File], entries: &[Entry]) -> Vec<usize> {
    let known: BTreeSet<(&str, u64)> = entries.iter().map(|entry| (last(&entry.name), entry.size)).collect();
    (0..files.len()).filter(|&place| known.contains(&(last(&files[place].path), files[place].size))).collect()
}

/// Finds the rules. `hints` are tried besides those that the comparison suggests: what a tool's file says.
pub(crate) fn find(files: &[File], entries: &[Entry], hints: &[Rule]) -> Found {
    let by_name: HashMap<&str, &Entry> = entries.iter().map(|entry| (entry.name.as_str(), entry)).collect();
    let mut by_last: HashMap<&str, Vec<&Entry>> = HashMap::new();
    for entry in entries {
        by_last.entry(last(&entry.name)).or_default().push(entry);
    }
    let contents: BTreeSet<(u64, u32)> = entries.iter().map(|entry| (entry.size, entry.crc32)).collect();
    let candidates = candidates(files, &by_last, hints);
    let judge = Judge { files, by_name, contents, hints };
    explain(&choose(&judge, &candidates), files, entries)
}

/// What `rules` mean for these files.
pub(crate) fn explain(rules: &[Rule], files: &[File], entries: &[Entry]) -> Found {
    let by_name: HashMap<&str, &Entry> = entries.iter().map(|entry| (entry.name.as_str(), entry)).collect();
    let mut found = Found { rules: rules.to_vec(), ..Found::default() };
    let sorted = longest_first(rules);
    let mut taken = BTreeSet::new();
    for file in files {
        let Some(name) = entry_name(&sorted, &file.path) else { continue };
        let list = match by_name.get(name.as_str()) {
            Some(entry) if same(file, entry) => &mut found.identical,
            Some(_) => &mut found.different,
            None => &mut found.new,
        };
        list.push(file.path.clone());
        taken.insert(name);
    }
    found.only_in_zip =
        entries.iter().map(|entry| &entry.name).filter(|name| !taken.contains(*name)).cloned().collect();
    found
}

/// The entry that the file at `path` stands for.
pub(crate) fn entry_of(rules: &[Rule], path: &str) -> Option<String> {
    entry_name(&longest_first(rules), path)
}

fn longest_first(rules: &[Rule]) -> Vec<&Rule> {
    let mut sorted: Vec<&Rule> = rules.iter().collect();
    sorted.sort_by_key(|(local, _)| Reverse(local.len()));
    sorted
}

/// Adds rules while that pays, then takes away those that it also does without.
fn choose(judge: &Judge<'_>, candidates: &[Rule]) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    let mut best = Verdict::NOTHING;
    while rules.len() < MOST_RULES {
        let with = |candidate: &Rule| {
            let mut with = rules.clone();
            with.push(candidate.clone());
            with
        };
        let fresh = candidates.iter().filter(|candidate| !rules.iter().any(|(local, _)| *local == candidate.0));
        // Of equals the first one: it has more evidence. `max_by` takes the last.
        let judged = fresh.rev().map(|candidate| (judge.verdict(&with(candidate)), candidate));
        let next = judged.max_by(|a, b| a.0.cmp(&b.0));
        match next {
            Some((verdict, candidate)) if verdict.is_better_than(&best, rules.is_empty()) => {
                rules.push(candidate.clone());
                best = verdict;
            }
            _ => break,
        }
    }
    let mut place = 0;
    while rules.len() > 1 && place < rules.len() {
        let mut without = rules.clone();
        without.remove(place);
        let verdict = judge.verdict(&without);
        if verdict >= best {
            rules = without;
            best = verdict;
            place = 0;
        } else {
            place += 1;
        }
    }
    rules.sort();
    rules
}

/// The rules that pairs of file and entry suggest, the best supported first.
fn candidates(files: &[File], by_last: &HashMap<&str, Vec<&Entry>>, hints: &[Rule]) -> Vec<Rule> {
    let mut support: BTreeMap<Rule, (u32, u32)> = BTreeMap::new();
    for file in files {
        let Some(entries) = by_last.get(last(&file.path)) else { continue };
        for entry in
            entries.iter().filter(|entry| same(file, entry) || dependency_folder(&entry.name).is_none()).take(SAME_NAME)
        {
            let strong = same(file, entry) && is_telling(&file.path, file.size);
            let (local, prefix) = (folders(&file.path), folders(&entry.name));
            let common = local.iter().rev().zip(prefix.iter().rev()).take_while(|(a, b)| a == b).count();
            // Of a name alone, only the widest rule is worth a try, and only one that keeps names as they are.
            for kept in 0..=common {
                let rule = (&local[..local.len() - kept], &prefix[..prefix.len() - kept]);
                let plausible = kept == common && (rule.1.is_empty() || rule.0.ends_with(rule.1));
                if strong || plausible {
                    let count = support.entry((rule.0.join("/"), slashed(rule.1))).or_default();
                    if strong { count.0 += 1 } else { count.1 += 1 }
                }
            }
        }
    }
    let mut found: Vec<(Rule, (u32, u32))> = support.into_iter().collect();
    found.sort_by_key(|((local, _), (strong, weak))| (Reverse(strong * 8 + weak), local.len()));
    let mut rules: Vec<Rule> = hints.to_vec();
    rules.push((String::new(), String::new()));
    rules.extend(found.into_iter().map(|(rule, _)| rule).take(CANDIDATES));
    let mut seen = BTreeSet::new();
    rules.retain(|rule| seen.insert(rule.clone()));
    rules
}

/// What speaks for a set of rules; the greater, the better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Verdict {
    /// Files on their entries, less what counts against the rules.
    points: i64,
    few_new_files: Reverse<usize>,
    short_directories: Reverse<usize>,
}

impl Verdict {
    const NOTHING: Self = Self { points: 0, few_new_files: Reverse(0), short_directories: Reverse(0) };

    /// The first rule only has to explain something, further ones have to be worth it.
    fn is_better_than(&self, other: &Self, first: bool) -> bool {
        if first { self.points > -Judge::CLASH } else { self > other && self.points > other.points }
    }
}

struct Judge<'a> {
    files: &'a [File],
    by_name: HashMap<&'a str, &'a Entry>,
    /// Size and checksum of every entry.
    contents: BTreeSet<(u64, u32)>,
    hints: &'a [Rule],
}

impl Judge<'_> {
    /// Points for a file on an entry with its content, and for one that many packages have.
    const SAME: i64 = 160;
    const SAME_BUT_COMMON: i64 = 20;
    /// For a file on an entry with another content.
    const NAME: i64 = 40;
    /// Against: the same, when an entry with the file's own content is elsewhere.
    const MISPLACED: i64 = 80;
    const RULE: i64 = 60;
    /// For a rule that a tool's file suggests.
    const HINT: i64 = 10;
    const NEW_FILE: i64 = 1;
    const CLASH: i64 = 100_000;

    fn verdict(&self, rules: &[Rule]) -> Verdict {
        let sorted = longest_first(rules);
        let mut points = -Self::RULE * i64::try_from(rules.len()).unwrap_or(i64::MAX);
        points +=
            Self::HINT * i64::try_from(rules.iter().filter(|rule| self.hints.contains(rule)).count()).unwrap_or(0);
        let mut new_files = 0;
        let mut explained = false;
        let mut taken: BTreeSet<String> = BTreeSet::new();
        for file in self.files {
            let Some(name) = entry_name(&sorted, &file.path) else { continue };
            match self.by_name.get(name.as_str()) {
                Some(entry) => {
                    explained = true;
                    points += self.points(file, entry);
                    if !taken.insert(name) {
                        points -= Self::CLASH;
                    }
                }
                None => new_files += 1,
            }
        }
        points -= Self::NEW_FILE * i64::try_from(new_files).unwrap_or(i64::MAX);
        if !explained {
            points = -Self::CLASH;
        }
        Verdict {
            points,
            few_new_files: Reverse(new_files),
            short_directories: Reverse(rules.iter().map(|(local, _)| local.len()).sum()),
        }
    }

    fn points(&self, file: &File, entry: &Entry) -> i64 {
        match (same(file, entry), is_telling(&file.path, file.size)) {
            (true, true) => Self::SAME,
            (true, false) => Self::SAME_BUT_COMMON,
            (false, _) => {
                let elsewhere = file.crc32.is_some_and(|crc32| self.contents.contains(&(file.size, crc32)));
                if elsewhere && is_telling(&file.path, file.size) { -Self::MISPLACED } else { Self::NAME }
            }
        }
    }
}

/// `rules`: the longest directory first.
fn entry_name(rules: &[&Rule], path: &str) -> Option<String> {
    rules.iter().find_map(|(local, prefix)| {
        let rest = if local.is_empty() { path } else { path.strip_prefix(local.as_str())?.strip_prefix('/')? };
        Some(format!("{prefix}{rest}"))
    })
}

fn same(file: &File, entry: &Entry) -> bool {
    file.size == entry.size && file.crc32 == Some(entry.crc32)
}

/// Whether equal contents say something: an empty file, or one that every package has, does not.
fn is_telling(path: &str, size: u64) -> bool {
    size >= 8 && !EVERYWHERE.contains(&last(path).to_ascii_lowercase().as_str())
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn folders(path: &str) -> Vec<&str> {
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    parts
}

fn slashed(parts: &[&str]) -> String {
    parts.iter().map(|part| format!("{part}/")).collect()
}

#[cfg(test)]
#[path = "mapping_tests.rs"]
mod tests;
