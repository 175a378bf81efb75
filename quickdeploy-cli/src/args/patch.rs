//! Flags of `patch`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args as ClapArgs;

/// `quickdeploy patch`.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  quickdeploy patch s3://my-bucket/app.zip --put src/start.js=start.js
  quickdeploy patch build/app.zip --put run.sh=- --mode run.sh=0755 --delete old.js <run.sh")]
pub(crate) struct Patch {
    /// The zip to edit: s3://BUCKET/KEY, or a local file
    pub(crate) artifact: String,

    /// Put the content of FILE (`-`: standard input) under NAME
    #[arg(long = "put", value_name = "NAME=FILE")]
    pub(crate) puts: Vec<Put>,

    /// Delete the entry NAME; not an error when it is not there
    #[arg(long = "delete", value_name = "NAME")]
    pub(crate) deletes: Vec<String>,

    /// Put every file of the local zip archive ZIP
    #[arg(long, value_name = "ZIP")]
    pub(crate) overlay: Option<PathBuf>,

    /// Unix permissions of a put: octal, e.g. 0644 [else: those of the replaced entry, 0755 for a new one]
    #[arg(long = "mode", value_name = "NAME=MODE")]
    pub(crate) modes: Vec<Mode>,

    /// Edit only if the artifact still has this ETag
    #[arg(long, value_name = "ETAG")]
    pub(crate) if_match: Option<String>,

    /// Say what would be done, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// `NAME=FILE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Put {
    pub(crate) name: String,
    pub(crate) file: PathBuf,
}

impl FromStr for Put {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, file)) if !name.is_empty() && !file.is_empty() => {
                Ok(Self { name: name.to_owned(), file: PathBuf::from(file) })
            }
            _ => Err("wanted NAME=FILE: a name inside the zip, `=`, a file here (or `-`)".to_owned()),
        }
    }
}

/// `NAME=MODE`, the mode in octal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mode {
    pub(crate) name: String,
    pub(crate) mode: u16,
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, digits) = text.rsplit_once('=').ok_or("wanted NAME=MODE, e.g. run.sh=0755")?;
        match u16::from_str_radix(digits, 8) {
            Ok(mode) if mode <= 0o7777 && !name.is_empty() => Ok(Self { name: name.to_owned(), mode }),
            _ => Err(format!("`{digits}` is not an octal mode such as 0644 or 0755")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_put_names_an_entry_and_a_file() {
        assert_eq!("a/b.js=../x=y.js".parse(), Ok(Put { name: "a/b.js".into(), file: "../x=y.js".into() }));
        for wrong in ["a.js", "=x", "a="] {
            assert!(wrong.parse::<Put>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_mode_is_octal() {
        assert_eq!("run=x.sh=0755".parse(), Ok(Mode { name: "run=x.sh".into(), mode: 0o755 }));
        for wrong in ["a=rwx", "a=99999", "a=0799", "0755"] {
            assert!(wrong.parse::<Mode>().is_err(), "{wrong}");
        }
    }
}
