//! What can be done to the functions of a local cloud beyond AWS's API: built-in functions, the outcome of updates,
//! and a look at the logs.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Cursor, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::code::Code;
use super::configuration::{self, Configuration, PackageType};
use super::deployment::Artifact;
use super::registry::Fate;
use super::version::Failure;
use super::{BuiltinFunction, Lambda, LogEvent};

/// A handle on the Lambda of a local cloud, for tests and demos.
#[derive(Clone)]
pub struct LambdaControl {
    lambda: Arc<Lambda>,
}

impl LambdaControl {
    pub(super) fn new(lambda: Arc<Lambda>) -> Self {
        Self { lambda }
    }

    /// Lets the next update (or the creation) of a function end as `Failed`, with a `LastUpdateStatusReasonCode` of
    /// AWS's, such as `InvalidZipFileException`, and a reason in words. The function keeps its old code.
    pub fn fail_next_update(&self, function: &str, code: &str, reason: &str) {
        let failure = Failure { code: code.to_owned(), reason: reason.to_owned() };
        self.fate(function, |fate| fate.failure = Some(failure));
    }

    /// Lets the next update (or the creation) of a function take this long, instead of the usual delay.
    pub fn delay_next_update(&self, function: &str, delay: Duration) {
        self.fate(function, |fate| fate.delay = Some(delay));
    }

    /// Changes the quota that all control-plane calls but `GetFunction` share, in calls a second, from now on: none for zero
    /// or less. So a test can create many functions quickly, and then be held to the real quota.
    pub fn set_control_plane_rate(&self, per_second: f64) {
        self.lambda.control_plane.set_rate(per_second);
    }

    /// The lines of a function's log group, oldest first. Empty when the function never ran. They outlive the function.
    #[must_use]
    pub fn logs(&self, function: &str) -> Vec<LogEvent> {
        let configured = {
            let registry = self.lambda.registry();
            registry.functions.get(function).map(|found| found.latest.shown().log_group())
        };
        let group = configured.unwrap_or_else(|| configuration::default_log_group(function));
        self.lambda.logs.lines(&group).into_iter().map(|(time, message)| LogEvent { time, message }).collect()
    }

    fn fate(&self, function: &str, change: impl FnOnce(&mut Fate)) {
        change(self.lambda.registry().fates.entry(function.to_owned()).or_default());
    }
}

impl std::fmt::Debug for LambdaControl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LambdaControl").finish_non_exhaustive()
    }
}

/// Adds a function that is run by a command of the host. Blocks while a single file is packaged.
pub(super) fn add_builtin(lambda: &Lambda, function: BuiltinFunction) {
    let command = absolute(&function.command);
    let code = match command.as_slice() {
        // A program that can't be read can't be shown as a zip, but perhaps executed: then invocations will tell.
        [program] => package(Path::new(program)).ok().map(Arc::new),
        _ => None,
    };
    let configuration = Configuration {
        runtime: Some(function.runtime),
        handler: Some(function.handler),
        role: format!("arn:aws:iam::{}:role/local-cloud", lambda.settings.account_id),
        description: format!(
            "Built into the local cloud: runs {}",
            Path::new(command.first().map_or("nothing".as_ref(), OsString::as_os_str)).display()
        ),
        timeout: function.timeout,
        memory_size: function.memory_size,
        environment: function.environment,
        architectures: vec![host_architecture().to_owned()],
        ..Configuration::new(PackageType::Zip)
    };
    let artifact = Artifact::Builtin { command: command.into(), code };
    lambda.insert_builtin(&function.name, &lambda.settings.region, configuration, artifact);
}

fn host_architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" }
}

/// The command with an absolute program: it is started in another directory.
fn absolute(command: &[OsString]) -> Vec<OsString> {
    let mut command = command.to_vec();
    if let Some(program) = command.first_mut() {
        let path = PathBuf::from(&*program);
        // A bare name is looked for on the PATH.
        if path.components().count() > 1
            && let Ok(path) = std::path::absolute(path)
        {
            *program = path.into_os_string();
        }
    }
    command
}

/// A program as the `bootstrap` of a zip, the same bytes for the same program.
fn package(program: &Path) -> io::Result<Code> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().unix_permissions(0o755).last_modified_time(zip::DateTime::default());
    writer.start_file("bootstrap", options).map_err(io::Error::other)?;
    io::copy(&mut File::open(program)?, &mut writer)?;
    writer.flush()?;
    let zip = writer.finish().map_err(io::Error::other)?.into_inner();
    Code::inspect(vec![Bytes::from(zip)]).map_err(io::Error::other)
}
