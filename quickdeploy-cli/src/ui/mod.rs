//! Everything that a person or a program sees of a run.
//!
//! Results go to stdout, the story of how they came about to stderr. With `--json`, stdout carries exactly one
//! document and everything for people goes to stderr. Colours are written always and stripped by `anstream` where they
//! are unwanted, so no text here may need colour to be understood.

mod progress;
mod table;
mod text;
mod time;

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex};

use indicatif::ProgressBar;
use owo_colors::OwoColorize;
use serde::Serialize;

pub(crate) use progress::Progress;
pub(crate) use table::{Align, Table};
pub(crate) use text::{bytes, count, duration, percent, plural, printable, short_sha};
use text::{end_cut, middle_cut, wrap};
pub(crate) use time::{ago, moment, rfc3339};

use crate::args::{Color, Global};
use crate::error::{Error, Result};

/// How wide the verb column of status lines is, as in cargo.
const VERB_WIDTH: usize = 12;

/// How much is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Loudness {
    Quiet,
    Normal,
    Verbose,
}

/// The two ends of stdout and stderr that everything is told through.
#[derive(Debug)]
pub(crate) struct Ui {
    json: bool,
    loudness: Loudness,
    /// A progress line may be drawn on stderr.
    animated: bool,
    /// The progress line that is drawn now: text has to go above it.
    bar: Arc<Mutex<Option<ProgressBar>>>,
    /// stdout went away: a broken pipe is not an error, but there is no point in going on printing.
    broken_pipe: Arc<Mutex<bool>>,
    /// What a part of the run has to tell, until it is its turn; `None`: it is told at once.
    kept: Option<Mutex<Vec<Line>>>,
}

/// One line, and where it goes.
#[derive(Debug)]
enum Line {
    Stdout(String),
    Stderr(String),
}

impl Ui {
    /// As the flags say.
    pub(crate) fn new(global: &Global) -> Self {
        let choice = match global.color {
            Color::Auto => anstream::ColorChoice::Auto,
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
        let loudness = match (global.quiet, global.verbose) {
            (true, _) => Loudness::Quiet,
            (false, false) => Loudness::Normal,
            (false, true) => Loudness::Verbose,
        };
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            json: global.json,
            loudness,
            animated: loudness != Loudness::Quiet && io::stderr().is_terminal() && !dumb,
            bar: Arc::default(),
            broken_pipe: Arc::default(),
            kept: None,
        }
    }

    /// For work that is done over and over: its steps are told with `-v` only, and it draws no progress of its own.
    pub(crate) fn of_routine(&self) -> Self {
        Self {
            json: self.json,
            loudness: if self.is_verbose() { Loudness::Verbose } else { Loudness::Quiet },
            animated: false,
            bar: Arc::clone(&self.bar),
            broken_pipe: Arc::clone(&self.broken_pipe),
            kept: None,
        }
    }

    /// For one of several things that are done at once: what it tells is kept together, until [`Ui::tell`].
    pub(crate) fn part(&self) -> Self {
        Self {
            json: self.json,
            loudness: self.loudness,
            animated: false,
            bar: Arc::default(),
            broken_pipe: Arc::default(),
            kept: Some(Mutex::default()),
        }
    }

    /// Tells what `part` has kept.
    pub(crate) fn tell(&self, part: &Self) {
        let kept = part.kept.as_ref().and_then(|kept| kept.lock().ok().map(|mut kept| std::mem::take(&mut *kept)));
        for line in kept.unwrap_or_default() {
            match line {
                Line::Stdout(text) => self.above_progress(|| self.stdout(format_args!("{text}"))),
                Line::Stderr(text) => self.stderr(format_args!("{text}")),
            }
        }
    }

    /// Whether stdout belongs to a JSON document.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether `-q` was given.
    pub(crate) fn is_quiet(&self) -> bool {
        self.loudness == Loudness::Quiet
    }

    /// Whether `-v` was given.
    pub(crate) fn is_verbose(&self) -> bool {
        self.loudness == Loudness::Verbose
    }

    /// Whether stdout's reader has gone away.
    pub(crate) fn pipe_is_broken(&self) -> bool {
        self.broken_pipe.lock().is_ok_and(|broken| *broken)
    }

    /// One step that was done: `     Patched s3://b/k`.
    pub(crate) fn status(&self, verb: &str, what: impl Display) {
        if self.loudness >= Loudness::Normal {
            self.stderr(format_args!("{} {what}", format_args!("{verb:>VERB_WIDTH$}").green().bold()));
        }
    }

    /// A further line of the last step, under its text.
    pub(crate) fn detail(&self, what: impl Display) {
        if self.loudness >= Loudness::Normal {
            self.stderr(format_args!("{:VERB_WIDTH$} {what}", ""));
        }
    }

    /// Between the steps of a story: a line of its own, without a verb.
    pub(crate) fn aside(&self, what: impl Display) {
        if self.loudness >= Loudness::Normal {
            self.stderr(format_args!("{what}"));
        }
    }

    /// What a program prints that was started from here, a line at a time.
    pub(crate) fn output(&self, line: &str) {
        if self.loudness >= Loudness::Normal {
            let line: String = line.chars().map(|c| if c.is_control() && c != '\t' { ' ' } else { c }).collect();
            self.stderr(format_args!("{:VERB_WIDTH$} {}", "", format_args!("│ {line}").dimmed()));
        }
    }

    /// What only `-v` shows.
    pub(crate) fn verbose(&self, what: impl Display) {
        if self.loudness >= Loudness::Verbose {
            self.stderr(format_args!("{:VERB_WIDTH$} {}", "", what.dimmed()));
        }
    }

    /// Something that went well enough but should be known.
    pub(crate) fn warning(&self, message: impl Display, hints: &[String]) {
        let message = self.wrapped("warning: ", message);
        self.stderr(format_args!("{}{} {message}", "warning".yellow().bold(), ":".bold()));
        self.hints(hints);
    }

    /// Why the command failed.
    pub(crate) fn error(&self, error: &Error) {
        // One cause belongs into the same sentence; more of them make a list.
        let (message, causes) = match error.causes() {
            [cause] if !cause.contains('\n') => (format!("{} ({cause})", error.message()), &[] as &[String]),
            causes => (error.message().to_owned(), causes),
        };
        let message = self.wrapped("error: ", message);
        self.stderr(format_args!("{}{} {message}", "error".red().bold(), ":".bold()));
        for cause in causes {
            // A log has lines of its own.
            let (cause, log) = cause.split_once('\n').unwrap_or((cause, ""));
            let cause = self.wrapped("  caused by: ", cause);
            self.stderr(format_args!("  {} {cause}", "caused by:".dimmed()));
            for line in log.lines() {
                self.stderr(format_args!("    {}", printable(line)));
            }
        }
        self.hints(error.hints());
    }

    /// What to do next, on a line of its own.
    pub(crate) fn hint(&self, hint: &str) {
        if self.loudness >= Loudness::Normal {
            self.hints(&[hint.to_owned()]);
        }
    }

    fn hints(&self, hints: &[String]) {
        for hint in hints {
            let hint = self.wrapped(" hint: ", hint);
            self.stderr(format_args!("{}{} {hint}", " hint".cyan().bold(), ":".bold()));
        }
    }

    /// A result for people: stdout, or stderr when a program reads stdout. Not silenced by `--quiet`.
    pub(crate) fn result(&self, text: impl Display) {
        if self.json {
            if self.loudness >= Loudness::Normal {
                self.stderr(format_args!("{text}"));
            }
        } else {
            self.above_progress(|| self.stdout(format_args!("{text}")));
        }
    }

    /// The one document of `--json`; without `--json`, nothing.
    ///
    /// # Errors
    ///
    /// Only when the document can't be written as JSON, which would be a bug here.
    pub(crate) fn document(&self, document: &impl Serialize) -> Result<()> {
        if self.json {
            let text = serde_json::to_string_pretty(document)
                .map_err(|error| Error::new("Bug", "could not write the JSON document").because(&error))?;
            self.above_progress(|| self.stdout(format_args!("{text}")));
        }
        Ok(())
    }

    /// One document among many of `--json`, on a line of its own; without `--json`, nothing.
    ///
    /// # Errors
    ///
    /// As for [`Ui::document`].
    pub(crate) fn json_line(&self, document: &impl Serialize) -> Result<()> {
        if self.json {
            let text = serde_json::to_string(document)
                .map_err(|error| Error::new("Bug", "could not write the JSON document").because(&error))?;
            self.above_progress(|| self.stdout(format_args!("{text}")));
        }
        Ok(())
    }

    /// Shows that something is going on until the value is dropped. On anything but a terminal: nothing.
    pub(crate) fn progress(&self, what: &str) -> Progress<'_> {
        Progress::start(self, what)
    }

    /// For what will ask later: nothing shall have been done by the time it turns out that it can't.
    ///
    /// # Errors
    ///
    /// Standard input is no terminal: nobody can answer.
    pub(crate) fn require_somebody_to_ask(&self) -> Result<()> {
        if io::stdin().is_terminal() {
            return Ok(());
        }
        Err(Error::usage("there is nobody to ask: standard input is no terminal")
            .hint("leave `--confirm` away, or look first with `--dry-run`"))
    }

    /// Asks a question that is answered with yes or no on the terminal. Nothing but `y` and `yes` is a yes.
    ///
    /// # Errors
    ///
    /// Standard input is no terminal: nobody can answer.
    pub(crate) async fn confirm(&self, question: &str) -> Result<bool> {
        self.require_somebody_to_ask()?;
        self.above_progress(|| {
            drop(write!(anstream::stderr(), "{:VERB_WIDTH$} {} [y/N] ", "", question.bold()));
            drop(anstream::stderr().flush());
        });
        let answer = answer_line().await?;
        Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
    }

    /// Lets somebody on the terminal choose one of several things by its number. `None`: nobody is there to ask, or no
    /// number of these was answered.
    ///
    /// # Errors
    ///
    /// The answer can't be read.
    pub(crate) async fn choose(&self, question: &str, options: &[String]) -> Result<Option<usize>> {
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return Ok(None);
        }
        self.above_progress(|| {
            let mut err = anstream::stderr();
            drop(writeln!(err, "{:VERB_WIDTH$} {}", "", question.bold()));
            for (number, option) in (1..).zip(options) {
                drop(writeln!(err, "{:VERB_WIDTH$} {number:>2}  {option}", ""));
            }
            drop(write!(err, "{:VERB_WIDTH$} number [1-{}] ", "", options.len()));
            drop(err.flush());
        });
        let number: Option<usize> = answer_line().await?.trim().parse().ok();
        Ok(number.and_then(|number| number.checked_sub(1)).filter(|place| *place < options.len()))
    }

    /// The width of stdout in columns, 80 when it is no terminal, never under 40.
    pub(crate) fn width(&self) -> usize {
        let size =
            terminal_size::terminal_size_of(io::stdout()).or_else(|| terminal_size::terminal_size_of(io::stderr()));
        size.map_or(80, |(width, _)| usize::from(width.0)).clamp(40, 160)
    }

    /// On a terminal, the text in lines that fit under each other to the right of `label`. Elsewhere as it is, so that
    /// it can be searched.
    fn wrapped(&self, label: &str, text: impl Display) -> String {
        let text = text.to_string();
        match terminal_size::terminal_size_of(io::stderr()) {
            Some((width, _)) => wrap(&text, usize::from(width.0).max(40), label.len()),
            None => text,
        }
    }

    /// On a terminal, a text of a result in lines that fit to the right of `indent` columns. Elsewhere as it is, so that
    /// it can be searched.
    pub(crate) fn paragraph(&self, text: &str, indent: usize) -> String {
        match terminal_size::terminal_size_of(io::stdout()) {
            Some(_) => wrap(text, self.width(), indent),
            None => text.to_owned(),
        }
    }

    /// Items in lines that fit to the right of `indent` columns, on a terminal or not: between two of them nobody
    /// searches.
    pub(crate) fn list(&self, items: &str, indent: usize) -> String {
        wrap(items, self.width(), indent)
    }

    /// As much of a line as fits under the text of a status line.
    pub(crate) fn fitting(&self, line: &str) -> String {
        end_cut(line, self.width().saturating_sub(VERB_WIDTH + 1))
    }

    /// As much of a text as fits beside `used` columns; all of it where nobody looks at columns.
    pub(crate) fn cut(&self, text: &str, used: usize) -> String {
        if self.json || !io::stdout().is_terminal() {
            return text.to_owned();
        }
        end_cut(text, self.width().saturating_sub(used))
    }

    fn stdout(&self, text: std::fmt::Arguments<'_>) {
        if let Some(mut kept) = self.kept.as_ref().and_then(|kept| kept.lock().ok()) {
            return kept.push(Line::Stdout(text.to_string()));
        }
        if let Err(error) = writeln!(anstream::stdout(), "{text}")
            && error.kind() == io::ErrorKind::BrokenPipe
            && let Ok(mut broken) = self.broken_pipe.lock()
        {
            *broken = true;
        }
    }

    fn stderr(&self, text: std::fmt::Arguments<'_>) {
        if let Some(mut kept) = self.kept.as_ref().and_then(|kept| kept.lock().ok()) {
            return kept.push(Line::Stderr(text.to_string()));
        }
        // There is nowhere left to complain to when stderr is gone.
        self.above_progress(|| drop(writeln!(anstream::stderr(), "{text}")));
    }

    fn above_progress(&self, print: impl FnOnce()) {
        match self.bar.lock() {
            Ok(bar) => match &*bar {
                Some(bar) => bar.suspend(print),
                None => print(),
            },
            Err(_) => print(),
        }
    }
}

/// One line from standard input.
async fn answer_line() -> Result<String> {
    // A thread that waits for a line can't be called off; the process ends without it.
    let answer = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().read_line(&mut line).map(|_| line)
    });
    let answer = answer.await.map_err(|error| Error::new("Bug", "nobody could be asked").because(&error))?;
    let answer = answer.map_err(|error| Error::new("File", "could not read the answer").because(&error))?;
    Ok(answer)
}
