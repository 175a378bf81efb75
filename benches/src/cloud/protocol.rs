//! What the harness asks of its cloud, and what that answers: a line of JSON each way, over the child's stdin and stdout.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The access key id of what the cloud does for the harness: its requests count for nobody.
pub(crate) const HARNESS: &str = "harness";
/// The access key id of the tool that is measured. Functions have another one.
pub(crate) const DEVELOPER: &str = "developer";

/// A question. Each has one answer, of the type that is named.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub(crate) enum Question {
    /// Makes a bucket: [`Done`].
    Bucket {
        /// Its name.
        name: String,
        /// Whether it keeps versions.
        versioned: bool,
    },
    /// Puts a file of this machine into a bucket: [`Done`].
    Put {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
        /// The file.
        file: PathBuf,
    },
    /// Writes the last bytes of an object to a file on this machine: [`Ended`].
    End {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
        /// How many bytes; all of a shorter object's.
        length: u64,
        /// The file.
        file: PathBuf,
    },
    /// Sets how many control-plane calls Lambda takes a second, 0 for any number: [`Done`].
    Quota {
        /// AWS's is 15.
        per_second: f64,
    },
    /// Makes a function: [`Done`].
    Function {
        /// Its name.
        name: String,
        /// `nodejs20.x`, `python3.11`.
        runtime: String,
        /// Its handler.
        handler: String,
        /// A zip on this machine, of at most 50 MB.
        zip: PathBuf,
    },
    /// Waits until the functions run what they were last updated to: [`Done`].
    Live {
        /// Their names.
        functions: Vec<String>,
    },
    /// Calls a function: [`Called`].
    Invoke {
        /// Its name.
        function: String,
        /// The event, JSON.
        event: serde_json::Value,
    },
    /// The requests since the last time, without the harness's own: a list of [`Request`]s.
    Requests,
}

/// That it is done.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Done {}

/// The object whose end was written to a file.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ended {
    /// All of it, in bytes.
    pub(crate) size: u64,
}

/// What a function answered.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Called {
    /// JSON.
    pub(crate) answer: serde_json::Value,
    /// That it is an error.
    pub(crate) failed: bool,
    /// From the request to the answer, in ms.
    pub(crate) ms: f64,
    /// Of all function processes meanwhile, in ms.
    pub(crate) cpu_ms: f64,
    /// From the start of a new process to its first poll, in ms; `None`: an old one answered.
    pub(crate) init_ms: Option<f64>,
    /// The most resident memory that the process has had, in MiB.
    pub(crate) memory_mib: Option<f64>,
}

/// An answer, or why there is none.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Answer<T> {
    /// It.
    Ok(T),
    /// What went wrong.
    Err(String),
}

/// Where the cloud listens: the first line that the child prints.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Listening {
    /// For tools: across the link, if there is one.
    pub(crate) endpoint: String,
}

/// One request of a tool or of a function, from the cloud's own log. Sizes in bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    /// AWS's name.
    pub(crate) operation: String,
    /// The HTTP status.
    pub(crate) status: u16,
    /// Whether the developer's machine made it; else a function did.
    pub(crate) developers: bool,
    /// Of the request, headers included.
    pub(crate) up: u64,
    /// Of the answer, headers included.
    pub(crate) down: u64,
    /// Of the request's body alone.
    pub(crate) body_up: u64,
    /// Of the answer's body alone.
    pub(crate) body_down: u64,
    /// When its head had arrived, in ms since 1970.
    pub(crate) begin: f64,
    /// When the last byte of the answer was out.
    pub(crate) end: f64,
}
