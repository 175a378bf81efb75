//! The demo's one edit: small, harmless, and visible once it runs.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use owo_colors::OwoColorize;

use super::{Example, Handler};
use crate::error::{Error, Result};
use crate::ui::Ui;

/// What is added to a project that has no handler to edit.
const NOTE_FILE: &str = "quickdeploy-demo.txt";

/// One edit of one file of the copy.
pub(crate) struct Edit {
    /// Relative to the project.
    pub(crate) file: String,
    /// What the edited code says of itself.
    pub(crate) mark: String,
    removed: Vec<String>,
    added: Vec<String>,
}

impl Edit {
    /// Edits the project in `root`: the example as it is known, else its `first` handler; a project that has none gets a
    /// file more.
    pub(crate) fn make(root: &Path, is_example: bool, first: Option<&Handler>) -> Result<Self> {
        let mark = format!("edited at {}", clock(SystemTime::now()));
        let path = match first {
            _ if is_example => root.join(Example::EDITED_FILE),
            Some(handler) => handler.path.clone(),
            None => root.join(NOTE_FILE),
        };
        let before = if path.is_file() {
            std::fs::read_to_string(&path).map_err(|error| Error::file("read", &path, &error))?
        } else {
            String::new()
        };
        let after = match first {
            _ if is_example => {
                before.replacen(Example::BEFORE, &Example::BEFORE.replace("start", &format!("start, {mark}")), 1)
            }
            Some(handler) => handler.edited(&before, &mark),
            None => format!("This project was {mark} by `quickdeploy demo`.\n"),
        };
        std::fs::write(&path, &after).map_err(|error| Error::file("write", &path, &error))?;
        let (removed, added) = changed_lines(&before, &after);
        let file = relative(&path, root);
        Ok(Self { file, mark, removed, added })
    }

    /// Shows the lines that changed.
    pub(crate) fn show(&self, ui: &Ui) {
        ui.status("Edited", &self.file);
        for line in &self.removed {
            ui.detail(ui.fitting(&format!("- {line}")).red());
        }
        // An addition may begin with a blank line, which shows nothing.
        for line in self.added.iter().skip_while(|line| line.is_empty()) {
            ui.detail(ui.fitting(&format!("+ {line}")).green());
        }
    }
}

fn relative(path: &Path, root: &Path) -> String {
    let roots: [PathBuf; 2] = [root.to_owned(), root.canonicalize().unwrap_or_default()];
    let inner = roots.iter().find_map(|root| path.strip_prefix(root).ok()).unwrap_or(path);
    inner.display().to_string()
}

/// The lines between the common beginning and the common end.
fn changed_lines(before: &str, after: &str) -> (Vec<String>, Vec<String>) {
    let (before, after): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let head = before.iter().zip(&after).take_while(|(a, b)| a == b).count();
    let (before, after) = (&before[head..], &after[head..]);
    let tail = before.iter().rev().zip(after.iter().rev()).take_while(|(a, b)| a == b).count();
    let owned = |lines: &[&str]| lines[..lines.len() - tail].iter().map(|line| (*line).to_owned()).collect();
    (owned(before), owned(after))
}

/// The time of day in UTC, as 14:23:05.
fn clock(now: SystemTime) -> String {
    let seconds = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs() % 86_400;
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edits_lines_are_those_that_differ() {
        let (removed, added) = changed_lines("a\nb\nc\n", "a\nB\nc\n");
        assert_eq!((removed, added), (vec!["b".to_owned()], vec!["B".to_owned()]));
        let (removed, added) = changed_lines("a\n", "a\n\nb\n");
        assert_eq!((removed, added), (vec![], vec![String::new(), "b".to_owned()]));
        assert_eq!(changed_lines("x\nx\n", "x\nx\nx\n"), (vec![], vec!["x".to_owned()]));
    }

    #[test]
    fn the_clock_is_utc() {
        assert_eq!(clock(UNIX_EPOCH + Duration::from_secs(86_400 + 3661)), "01:01:01");
    }
}
