//! Who wrote a version of an artifact, when and by what: said by the writer in the version's metadata, and read from
//! there by any machine.
//!
//! What is read is believed only near the version's own time. Other tools copy metadata along when they write, and
//! would have a version say that somebody wrote it who wrote the one before. S3 refuses requests from clocks that are
//! more than fifteen minutes off, so no honest writer is further away.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use serde::{Deserialize, Serialize};
use zipedit::{S3Object, Stamp, StampError};

use crate::compare::in_background;

const BY: &str = "quickdeploy-by";
const AT: &str = "quickdeploy-at";
const VERB: &str = "quickdeploy-verb";
const FROM: &str = "quickdeploy-from";

/// How far a stamp's time may be from that of its version.
const SKEW: Duration = Duration::from_secs(15 * 60);
/// Longer names are cut.
const LONGEST_NAME: usize = 128;

/// What wrote a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) enum Writer {
    Deploy,
    Patch,
    Full,
    Rollback,
}

impl Writer {
    /// As in the metadata.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Writer::Deploy => "deploy",
            Writer::Patch => "patch",
            Writer::Full => "full",
            Writer::Rollback => "rollback",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Writer::Deploy, Writer::Patch, Writer::Full, Writer::Rollback].into_iter().find(|it| it.as_str() == text)
    }
}

/// What a version says of its writer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct Written {
    /// An e-mail address as git knows it, or USER@HOST.
    pub(crate) by: String,
    pub(crate) writer: Writer,
    /// The version that was rolled back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<String>,
}

impl Written {
    /// What `object` says, as far as it is about this very version.
    pub(crate) fn read(object: &S3Object) -> Option<Self> {
        let at = DateTime::from_str(object.stamp(AT)?, DateTimeFormat::DateTime).ok()?;
        let at = SystemTime::try_from(at).ok()?;
        if !near(at, object.last_modified()?) {
            return None;
        }
        Some(Self {
            by: object.stamp(BY)?.to_owned(),
            writer: Writer::parse(object.stamp(VERB)?)?,
            from: object.stamp(FROM).map(str::to_owned),
        })
    }
}

fn near(one: SystemTime, other: SystemTime) -> bool {
    let apart = one.duration_since(other).or_else(|_| other.duration_since(one)).unwrap_or(Duration::MAX);
    apart <= SKEW
}

/// What a version says that is written now, from a project in `directory`.
pub(crate) async fn stamp(writer: Writer, directory: &Path) -> Stamp {
    let directory = directory.to_owned();
    let by = in_background(move || author(&directory)).await.unwrap_or_default();
    let now = DateTime::from(SystemTime::now()).fmt(DateTimeFormat::DateTime).unwrap_or_default();
    // Nothing fails for want of a stamp.
    signed(writer, &by, &now).unwrap_or_default()
}

/// The same for a version that is a copy of version `from`.
pub(crate) fn from(stamp: Stamp, from: &str) -> Stamp {
    stamp.clone().with(FROM, from).unwrap_or(stamp)
}

fn signed(writer: Writer, by: &str, at: &str) -> Result<Stamp, StampError> {
    Stamp::new().with(BY, by)?.with(AT, at)?.with(VERB, writer.as_str())
}

/// Who works here, as git knows them, else as the system does.
fn author(directory: &Path) -> String {
    let said = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(directory).stdin(Stdio::null()).stderr(Stdio::null());
        let output = command.output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned()).filter(|text| !text.is_empty())
    };
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let by = said("git", &["config", "user.email"]).unwrap_or_else(|| {
        let user = variable("USER").or_else(|| variable("USERNAME")).or_else(|| said("id", &["-un"]));
        let host = variable("COMPUTERNAME").or_else(|| said("hostname", &[]));
        let (user, host) = (user.unwrap_or_else(|| "unknown".into()), host.unwrap_or_else(|| "unknown".into()));
        format!("{user}@{host}")
    });
    plain(&by)
}

/// What S3 keeps as it is: printable ASCII.
fn plain(name: &str) -> String {
    let printable = name.trim().chars().map(|c| if matches!(c, ' '..='~') { c } else { '?' });
    printable.take(LONGEST_NAME).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_written_so_that_s3_keeps_it() {
        assert_eq!(plain(" J\u{f6}rg@h\u{e4}user.de\n"), "J?rg@h?user.de");
        assert_eq!(plain(&"x".repeat(500)).len(), LONGEST_NAME);
    }

    #[test]
    fn every_writer_is_read_as_it_was_written() {
        for writer in [Writer::Deploy, Writer::Patch, Writer::Full, Writer::Rollback] {
            assert_eq!(Writer::parse(writer.as_str()), Some(writer));
        }
        assert_eq!(Writer::parse("somebody else's"), None);
    }

    #[test]
    fn a_stamp_is_believed_near_its_versions_time_only() {
        let now = SystemTime::now();
        assert!(near(now, now + SKEW) && near(now + SKEW, now));
        assert!(!near(now, now + SKEW + Duration::from_secs(1)));
    }

    #[test]
    fn git_knows_who_works_in_its_directory() {
        let directory = tempfile::tempdir().unwrap();
        let git = |arguments: &[&str]| {
            let status = Command::new("git").args(arguments).current_dir(directory.path()).status();
            status.is_ok_and(|status| status.success())
        };
        if !git(&["init", "-q"]) {
            return;
        }
        assert!(git(&["config", "user.email", "ada@example.com"]));
        assert_eq!(author(directory.path()), "ada@example.com");
    }
}
