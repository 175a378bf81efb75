//! What a developer does to a project between two deployments.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const MODULES: u32 = 100;
const ADDED: &str = "lib/added.js";
const BUNDLE: &str = "dist/bundle.js";

/// A kind of edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Edit {
    /// One line of one handler.
    OneLine,
    /// One line of the file that all handlers share.
    Shared,
    /// 100 modules of 2 kB.
    Hundred,
    /// A file that wasn't there.
    Add,
    /// A file that goes.
    Delete,
    /// One line in the middle of a generated bundle of 1.5 MB.
    Bundle,
    /// Nothing.
    Nothing,
}

impl Edit {
    /// All of them.
    pub(crate) const ALL: [Self; 7] =
        [Self::OneLine, Self::Shared, Self::Hundred, Self::Add, Self::Delete, Self::Bundle, Self::Nothing];

    /// In words.
    #[must_use]
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::OneLine => "one line of one handler",
            Self::Shared => "one line of a shared file",
            Self::Hundred => "100 files",
            Self::Add => "a file added",
            Self::Delete => "a file deleted",
            Self::Bundle => "a bundle of 1.5 MB",
            Self::Nothing => "nothing changed",
        }
    }
}

/// Which names changed, relative to the project.
#[derive(Debug, Default)]
pub(crate) struct Changed {
    /// Written.
    pub(crate) written: Vec<String>,
    /// Deleted.
    pub(crate) deleted: Vec<String>,
}

/// What edits have made of a project, and so what its handlers answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Edited {
    line: u32,
    shared: u32,
    modules: u32,
    bundle: u32,
    added: bool,
}

impl Edited {
    /// Makes the next edit of this kind.
    ///
    /// # Errors
    /// A file can't be written.
    pub(crate) fn apply(&mut self, edit: Edit, project: &Path) -> Result<Changed> {
        let mut changed = Changed::default();
        match edit {
            Edit::Nothing => {}
            Edit::OneLine => {
                let (old, new) = (self.line, self.line + 1);
                let line = |number| format!("const EDITED = {number};");
                replace(project, "handlers/a.js", &line(old), &line(new), &mut changed)?;
                self.line = new;
            }
            Edit::Shared => {
                let (old, new) = (self.shared, self.shared + 1);
                let line = |number| format!("const SHARED = {number};");
                replace(project, "lib/shared.js", &line(old), &line(new), &mut changed)?;
                self.shared = new;
            }
            Edit::Hundred => {
                self.modules += 1;
                for number in 0..MODULES {
                    write(project, &module_name(number), &module(number, self.modules), &mut changed)?;
                }
            }
            Edit::Bundle => {
                self.bundle += 1;
                write(project, BUNDLE, &bundle(self.bundle), &mut changed)?;
            }
            Edit::Add => {
                write(project, ADDED, "'use strict';\n\nexports.added = true;\n", &mut changed)?;
                self.added = true;
            }
            Edit::Delete => {
                fs::remove_file(project.join(ADDED)).context("there is nothing to delete")?;
                changed.deleted.push(ADDED.to_owned());
                self.added = false;
            }
        }
        Ok(changed)
    }

    /// What has to be done before an edit of this kind can be made and deployed: only then is it one.
    #[must_use]
    pub(crate) fn needed_before(&self, edit: Edit) -> Option<Edit> {
        match edit {
            Edit::Add => self.added.then_some(Edit::Delete),
            Edit::Delete => (!self.added).then_some(Edit::Add),
            _ => None,
        }
    }

    /// What the handler `name` answers once all edits are live.
    #[must_use]
    pub(crate) fn answer(&self, name: &str) -> Value {
        json!({
            "name": name,
            "edited": if name == "a" { self.line } else { 0 },
            "shared": self.shared,
            "generated": self.modules * MODULES,
            "bundle": self.bundle,
            "added": self.added,
        })
    }
}

/// Writes the files that are generated.
///
/// # Errors
/// They can't be written.
pub(crate) fn generate(project: &Path) -> Result<()> {
    let changed = &mut Changed::default();
    for number in 0..MODULES {
        write(project, &module_name(number), &module(number, 0), changed)?;
    }
    write(project, BUNDLE, &bundle(0), changed)
}

fn write(project: &Path, name: &str, text: &str, changed: &mut Changed) -> Result<()> {
    let path = project.join(name);
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    changed.written.push(name.to_owned());
    Ok(())
}

fn replace(project: &Path, name: &str, old: &str, new: &str, changed: &mut Changed) -> Result<()> {
    let text = fs::read_to_string(project.join(name))?;
    anyhow::ensure!(text.contains(old), "{name} has no line {old:?}");
    write(project, name, &text.replacen(old, new, 1), changed)
}

fn module_name(number: u32) -> String {
    format!("src/generated/module-{number:03}.js")
}

fn module(number: u32, version: u32) -> String {
    format!("'use strict';\n\nexports.version = {version};\n\n{}", code(number, 2_000))
}

fn bundle(version: u32) -> String {
    format!("{}\nexports.version = {version};\n\n{}", code(1_000, 750_000), code(1_001, 750_000))
}

/// Code of so many bytes, the same for the same seed, that deflates to about a quarter, as code does.
fn code(seed: u32, bytes: usize) -> String {
    const WORDS: [&str; 16] = [
        "invoice", "customer", "total", "render", "template", "currency", "amount", "address", "parse", "format",
        "line", "tax", "issue", "due", "locale", "page",
    ];
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize
    };
    let mut text = String::with_capacity(bytes + 100);
    while text.len() < bytes {
        let (one, other, number) = (WORDS[next() % 16], WORDS[next() % 16], next() % 1_000_000);
        text.push_str(&format!("exports.{one}_{number} = ({other}) => {other}.{one}({}) + {number};\n", next() % 1000));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_edit_changes_what_handlers_answer_and_only_its_own_files() {
        let project = tempfile::tempdir().unwrap();
        let common = crate::paths::own().join("projects/common");
        super::super::copy(&common, project.path()).unwrap();
        generate(project.path()).unwrap();
        let mut edited = Edited::default();
        for (edit, written, deleted) in [
            (Edit::OneLine, 1, 0),
            (Edit::Shared, 1, 0),
            (Edit::Hundred, 100, 0),
            (Edit::Bundle, 1, 0),
            (Edit::Add, 1, 0),
            (Edit::Delete, 0, 1),
        ] {
            assert_eq!(edited.needed_before(edit), None);
            let before = edited.answer("a");
            let changed = edited.apply(edit, project.path()).unwrap();
            assert_eq!((changed.written.len(), changed.deleted.len()), (written, deleted), "{edit:?}");
            assert_ne!(edited.answer("a"), before, "{edit:?}");
        }
        assert_eq!(edited.answer("b")["edited"], 0);
    }
}
