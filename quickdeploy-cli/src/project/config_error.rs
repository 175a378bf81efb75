//! What is wrong in `quickdeploy.toml`, and where: file, line and column, the line itself, and a caret below the place.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::config::CONFIG_FILE;
use crate::error::without_number;

/// A configuration that can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file could not be read.
    #[error("can't read `{}`: {}", file.display(), without_number(&source.to_string()))]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is in another encoding, or no text at all.
    #[error("`{}` is not UTF-8 text: save it as UTF-8", file.display())]
    NotText {
        /// The file.
        file: PathBuf,
    },
    /// No file at or above a directory.
    #[error("there is no {CONFIG_FILE} in `{}` or any directory above it: write one", start.display())]
    NotFound {
        /// Where the search began.
        start: PathBuf,
    },
    /// `--env` names something that the file doesn't have.
    #[error("{}", no_such_environment(file, name, known))]
    NoSuchEnvironment {
        /// The file.
        file: PathBuf,
        /// The name that was asked for.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// `--artifact` names something that the file doesn't have.
    #[error("{}", no_such_artifact(file, name, known))]
    NoSuchArtifact {
        /// The file.
        file: PathBuf,
        /// The name that was asked for.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// Something in the text is wrong.
    #[error("{0}")]
    Invalid(Box<Excerpt>),
}

/// A place in a file, and what is wrong there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Excerpt {
    file: PathBuf,
    /// From 1.
    line: usize,
    /// From 1, in characters.
    column: usize,
    /// In characters, at least 1.
    width: usize,
    text: String,
    message: String,
    hint: Option<String>,
}

impl ConfigError {
    /// `message` is about the bytes `span` of `text`.
    pub(crate) fn at(file: &Path, text: &str, span: Range<usize>, message: String) -> Self {
        Self::Invalid(Box::new(Excerpt::new(file, text, span, message, None)))
    }

    /// What the TOML parser or `serde` had to say. An unknown key becomes a suggestion.
    pub(crate) fn from_toml(file: &Path, text: &str, error: &toml::de::Error) -> Self {
        let span = error.span().unwrap_or(0..0);
        let message = error.message().lines().collect::<Vec<_>>().join("; ");
        let excerpt = match unknown_word(&message) {
            Some((what, word, known)) => {
                let hint = match suggestion(word, known.iter().copied()) {
                    Some(similar) => format!("did you mean `{similar}`?"),
                    None => format!("the {what}s are {}", list(&known)),
                };
                Excerpt::new(file, text, span, format!("unknown {what} `{word}`"), Some(hint))
            }
            None => Excerpt::new(file, text, span, message, None),
        };
        Self::Invalid(Box::new(excerpt))
    }
}

/// Takes apart serde's ``unknown field `x`, expected one of `a`, `b` `` and `unknown variant …`: what it is about, the
/// word, and those that there are.
fn unknown_word(message: &str) -> Option<(&'static str, &str, Vec<&str>)> {
    let (what, rest) = match message.strip_prefix("unknown field ") {
        Some(rest) => ("key", rest),
        None => ("value", message.strip_prefix("unknown variant ")?),
    };
    let mut quoted = rest.split('`').skip(1).step_by(2);
    Some((what, quoted.next()?, quoted.collect()))
}

/// The candidate nearest to `word`, when it is near enough to be what was meant.
fn suggestion<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance * 3 <= candidate.chars().count().max(3))
        .min()
        .map(|(_, candidate)| candidate)
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn no_such_environment(file: &Path, name: &str, known: &[String]) -> String {
    no_such(file, &format!("[env.{name}]"), name, known, "it defines no environments")
}

fn no_such_artifact(file: &Path, name: &str, known: &[String]) -> String {
    no_such(file, &format!("[artifacts.{name}]"), name, known, "it has one artifact, without a name")
}

fn no_such(file: &Path, table: &str, name: &str, known: &[String], none: &str) -> String {
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let mut message = format!("`{}` has no `{table}`", file.display());
    match suggestion(name, known.iter().copied()) {
        Some(similar) => _ = write!(message, ": did you mean `{similar}`?"),
        None if known.is_empty() => _ = write!(message, ": {none}"),
        None => _ = write!(message, ": it has {}", list(&known)),
    }
    message
}

impl Excerpt {
    fn new(file: &Path, text: &str, span: Range<usize>, message: String, hint: Option<String>) -> Self {
        let start = floor_char_boundary(text, span.start);
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
        let end = floor_char_boundary(text, span.end).clamp(start, line_end);
        Self {
            file: file.to_owned(),
            line: text[..start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            width: text[start..end].chars().count().max(1),
            text: text[line_start..line_end].trim_end_matches('\r').to_owned(),
            message,
            hint,
        }
    }
}

fn floor_char_boundary(text: &str, index: usize) -> usize {
    (0..=index.min(text.len())).rev().find(|&index| text.is_char_boundary(index)).unwrap_or(0)
}

impl std::fmt::Display for Excerpt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}:{}:{}: {}", self.file.display(), self.line, self.column, self.message)?;
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        // Tabs stay tabs, so that the caret stands below its place however wide a tab is.
        let indent: String =
            self.text.chars().take(self.column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        writeln!(f, "{gutter} |")?;
        writeln!(f, "{number} | {}", self.text)?;
        write!(f, "{gutter} | {indent}{}", "^".repeat(self.width))?;
        match &self.hint {
            Some(hint) => write!(f, " {hint}"),
            None => Ok(()),
        }
    }
}
