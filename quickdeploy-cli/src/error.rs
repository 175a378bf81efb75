//! Why a command did not do what was asked: a message, what lies behind it, and what to do about it.
//!
//! The three are kept apart, so that a terminal shows hints on lines of their own and `--json` has them in a list.

use std::fmt;

use serde::Serialize;

/// A command's failure, with exit code 1 or (when it was called wrongly) 2.
///
/// Boxed inside, because it travels in every `Result` of the program and is rare.
#[derive(Debug)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Error(Box<Inner>);

/// What happened, in the shape that `--json` prints.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct Inner {
    /// A stable name for programs, such as `ArtifactNotFound`.
    error_type: String,
    /// What happened, and to what.
    message: String,
    /// What lies behind it, outermost first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    causes: Vec<String>,
    /// What to do next.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hints: Vec<String>,
    #[serde(skip)]
    usage: bool,
}

/// The `Result` of everything that can fail towards the user.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A failure that programs know as `error_type`, told to people as `message`.
    pub(crate) fn new(error_type: impl Into<String>, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            error_type: error_type.into(),
            message: message.into(),
            causes: Vec::new(),
            hints: Vec::new(),
            usage: false,
        }))
    }

    /// The command was called wrongly: exit code 2.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        let mut error = Self::new("Usage", message);
        error.0.usage = true;
        error
    }

    /// A local file or directory could not be used.
    pub(crate) fn file(doing: &str, path: &std::path::Path, source: &std::io::Error) -> Self {
        Self::new("File", format!("could not {doing} `{}`", path.display())).because(source)
    }

    /// Adds what to do next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hints.push(hint.into());
        self
    }

    /// Adds what lies behind it: the error and its sources, without those that only repeat what was said.
    pub(crate) fn because(mut self, source: &(dyn std::error::Error + 'static)) -> Self {
        let mut next = Some(source);
        while let Some(error) = next {
            let text = without_number(&error.to_string());
            let repeats = |said: &String| said.contains(&text);
            if !text.is_empty() && !self.0.causes.iter().any(repeats) && !repeats(&self.0.message) {
                self.0.causes.push(text);
            }
            next = error.source();
        }
        self
    }

    /// Adds one sentence of what lies behind it.
    pub(crate) fn cause(mut self, cause: impl Into<String>) -> Self {
        self.0.causes.push(cause.into());
        self
    }

    /// About another path than it was raised for: the demo works on a copy, and its user knows the original only.
    pub(crate) fn renamed(mut self, from: &str, to: &str) -> Self {
        for text in std::iter::once(&mut self.0.message).chain(&mut self.0.causes).chain(&mut self.0.hints) {
            *text = text.replace(from, to);
        }
        self
    }

    /// All of it on one line, with what to do next: for where an error is one remark among others.
    pub(crate) fn with_hints(&self) -> String {
        self.0.hints.iter().fold(self.to_string(), |text, hint| format!("{text}; {hint}"))
    }

    /// The stable name for programs.
    pub(crate) fn error_type(&self) -> &str {
        &self.0.error_type
    }

    /// What happened.
    pub(crate) fn message(&self) -> &str {
        &self.0.message
    }

    /// What lies behind it, outermost first.
    pub(crate) fn causes(&self) -> &[String] {
        &self.0.causes
    }

    /// What to do next.
    pub(crate) fn hints(&self) -> &[String] {
        &self.0.hints
    }

    /// 2 for wrong usage, else 1.
    pub(crate) fn exit_code(&self) -> u8 {
        if self.0.usage { 2 } else { 1 }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        for cause in &self.0.causes {
            write!(f, ": {cause}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

impl Serialize for Error {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// The system's message without its number: `No such file or directory (os error 2)` says it twice.
pub(crate) fn without_number(text: &str) -> String {
    const BEFORE: &str = " (os error ";
    let number = text.split_once(BEFORE).and_then(|(message, rest)| Some((message, rest.split_once(')')?)));
    match number {
        Some((message, (number, rest))) if number.parse::<i32>().is_ok() => format!("{message}{rest}"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("dispatch failure")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn causes_go_down_to_the_root_and_nothing_is_said_twice() {
        let outer = Outer(std::io::Error::other("connection refused"));
        let error = Error::new("Store", "could not read s3://b/k").because(&outer).because(&outer);
        assert_eq!(error.causes(), ["dispatch failure", "connection refused"]);
    }

    #[test]
    fn the_systems_errors_come_without_their_numbers() {
        let missing = std::io::Error::from_raw_os_error(2);
        let error = Error::file("read", std::path::Path::new("a.js"), &missing);
        assert_eq!(error.causes(), ["No such file or directory"]);
        assert_eq!(without_number("in use (os error 98); choose"), "in use; choose");
        assert_eq!(without_number("see (os error two)"), "see (os error two)");
    }

    #[test]
    fn json_keeps_hints_apart_from_the_message() {
        let error = Error::new("NoCredentials", "no AWS credentials").hint("run `aws sso login`");
        assert_eq!(
            serde_json::to_value(&error).unwrap(),
            serde_json::json!({
                "errorType": "NoCredentials",
                "message": "no AWS credentials",
                "hints": ["run `aws sso login`"],
            })
        );
    }
}
