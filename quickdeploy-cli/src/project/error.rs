//! What can go wrong between the developer's disk and a list of changes.

use std::path::PathBuf;

use super::config_error::ConfigError;
use super::mapping::Unnameable;
use crate::error::without_number;

/// Every message names the file and the way out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProjectError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Listing, reading or writing failed.
    #[error("can't {action} `{}`: {}", path.display(), without_number(&source.to_string()))]
    Io {
        /// `read`, `list`, `write` …
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// `map` names a directory that isn't there.
    #[error("`map` names `{directory}`, but there is no such directory in `{}`: create it, or take it out of `map`", root.display())]
    NoSuchDirectory {
        /// As the configuration has it.
        directory: String,
        /// The root.
        root: PathBuf,
    },
    /// Two files would be one entry.
    #[error("`{first}` and `{second}` would both be `{name}` in the artifact: change `map`, or exclude one of them")]
    NameClash {
        /// The entry.
        name: String,
        /// One file, relative to the root.
        first: String,
        /// The other.
        second: String,
    },
    /// A file would be an entry, and other entries would lie in it.
    #[error(
        "`{file}` would be `{name}` in the artifact, but `{below}` would lie below it: change `map`, or exclude one of them"
    )]
    FileAndFolder {
        /// The entry that is a file.
        name: String,
        /// Its file, relative to the root.
        file: String,
        /// The file below it.
        below: String,
    },
    /// A file that can't be an entry.
    #[error("`{}` can't be packaged: {reason}. Rename it, or exclude it", path.display())]
    Unnameable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: Unnameable,
    },
    /// A symbolic link that can't be followed.
    #[error("the symbolic link `{}` {problem}. Replace it by what it points to, or exclude it", path.display())]
    Link {
        /// The link.
        path: PathBuf,
        /// What is wrong with where it leads.
        problem: String,
    },
    /// A file was written while it was read.
    #[error("`{}` keeps changing while it is read: wait for whatever writes it, then try again", path.display())]
    Unsteady {
        /// The file.
        path: PathBuf,
    },
    /// A file changed between the comparison and the upload.
    #[error("`{}` changed after it was compared with the artifact: run the command again", path.display())]
    ChangedSince {
        /// The file.
        path: PathBuf,
    },
    /// More than Lambda takes.
    #[error("{0}")]
    TooLarge(String),
    /// Nothing to package.
    #[error("`{}` has no files to package: check `map`, `exclude` and the ignore files", root.display())]
    Empty {
        /// The root.
        root: PathBuf,
    },
    /// The zip could not be written.
    #[error("can't write the package: {0}")]
    Zip(#[from] zip::result::ZipError),
}

impl ProjectError {
    /// For `map_err`.
    pub(crate) fn io(action: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}
