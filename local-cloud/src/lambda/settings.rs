//! What a user of the local cloud can set about its Lambda.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

/// How the local Lambda behaves. The defaults are AWS's own figures where AWS has one.
#[derive(Clone, Debug)]
pub struct LambdaSettings {
    /// The 12-digit account id in every ARN.
    pub account_id: String,
    /// The region in ARNs when a request's credential scope names none, and in the environment of built-in functions.
    pub region: String,
    /// How long a code or configuration update stays `InProgress`. AWS takes about a second for a small zip.
    pub update_delay: Duration,
    /// How long a new function stays `Pending`.
    pub create_delay: Duration,
    /// Control-plane calls per second, all operations but `GetFunction` and `Invoke` together; also the burst.
    /// Zero or less means: no limit.
    pub control_plane_rate: f64,
    /// `GetFunction` calls per second; also the burst. Zero or less means: no limit.
    pub get_function_rate: f64,
    /// Environment variables of every function process, which a function's own ones win over.
    pub environment: BTreeMap<String, String>,
    /// How many function processes may run at one time, all functions together. Further invocations wait their turn.
    pub max_processes: usize,
    /// A process that has had no invocation for this long is ended.
    pub idle_timeout: Duration,
    /// How long a process may take until its first poll. After that it is started once more, within the function's own timeout.
    pub init_timeout: Duration,
}

impl Default for LambdaSettings {
    fn default() -> Self {
        Self {
            account_id: "000000000000".to_owned(),
            region: "us-east-1".to_owned(),
            update_delay: Duration::from_millis(300),
            create_delay: Duration::from_millis(300),
            control_plane_rate: 15.0,
            get_function_rate: 100.0,
            environment: BTreeMap::new(),
            max_processes: 16,
            idle_timeout: Duration::from_secs(300),
            init_timeout: Duration::from_secs(10),
        }
    }
}

/// A function that is there from the start, run by a command of the host rather than by an uploaded zip.
///
/// The command is started with the environment of a Lambda function and must speak the Lambda Runtime API. When it
/// is a single file, that file is also packaged as the `bootstrap` of the function's zip, so that `GetFunction` shows
/// a true `CodeSha256` and `CodeSize`.
#[derive(Clone, Debug)]
pub struct BuiltinFunction {
    /// The function's name.
    pub name: String,
    /// The program and its arguments.
    pub command: Vec<OsString>,
    /// The runtime that is shown, for example `provided.al2023`.
    pub runtime: String,
    /// The handler that is shown and passed on as `_HANDLER`.
    pub handler: String,
    /// Memory in MB: shown, passed on, never enforced.
    pub memory_size: u32,
    /// Seconds an invocation may take.
    pub timeout: u32,
    /// Further environment variables of the process.
    pub environment: BTreeMap<String, String>,
}

impl BuiltinFunction {
    /// A function `name` that runs `command`, with `provided.al2023`, 1,024 MB and 300 seconds.
    pub fn new(name: impl Into<String>, command: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self {
            name: name.into(),
            command: command.into_iter().map(Into::into).collect(),
            runtime: "provided.al2023".to_owned(),
            handler: "bootstrap".to_owned(),
            memory_size: 1024,
            timeout: 300,
            environment: BTreeMap::new(),
        }
    }
}
