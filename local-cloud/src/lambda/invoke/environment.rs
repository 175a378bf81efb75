//! The environment variables of a function process.
//!
//! They are those of AWS, with the endpoint of the local cloud. The credentials are those of a session of the function's
//! role where policies are enforced, else the account's. Of the server's own environment
//! only `PATH` and `TMPDIR` go in: functions run on the host's programs.
//!
//! Processes of the host have no `/opt`. The variables that lead there in Lambda lead to where the function's layers are
//! unpacked: `NODE_PATH`, `PYTHONPATH` in place of the directories that Python adds by itself, `PATH` and
//! `LD_LIBRARY_PATH`.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::runtimes::Launch;
use crate::iam::SessionKeys;
use crate::lambda::deployment::Deployment;
use crate::logs::StreamWriter;

/// Where a process runs, and as whom.
pub(super) struct Surroundings<'a> {
    /// The local cloud's address.
    pub(super) endpoint: &'a str,
    /// What the cloud's user sets for all functions.
    pub(super) environment: &'a BTreeMap<String, String>,
    /// Of a session of the function's role; `None`: the account's own keys.
    pub(super) keys: Option<SessionKeys>,
}

/// All variables of a new process of a deployment.
pub(super) fn variables(
    deployment: &Deployment,
    launch: &Launch,
    runtime_api: SocketAddr,
    place: Surroundings<'_>,
    log: &StreamWriter,
) -> BTreeMap<String, OsString> {
    let configuration = &deployment.configuration;
    let runtime = configuration.runtime.as_deref().unwrap_or_default();
    let inherited = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    let own: [(&str, OsString); 21] = [
        ("AWS_DEFAULT_REGION", deployment.region.as_str().into()),
        ("AWS_REGION", deployment.region.as_str().into()),
        ("AWS_ENDPOINT_URL", place.endpoint.into()),
        ("AWS_EC2_METADATA_DISABLED", "true".into()),
        ("AWS_EXECUTION_ENV", format!("AWS_Lambda_{runtime}").into()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", configuration.memory_size.to_string().into()),
        ("AWS_LAMBDA_FUNCTION_NAME", deployment.function.as_str().into()),
        ("AWS_LAMBDA_FUNCTION_TIMEOUT", configuration.timeout.to_string().into()),
        ("AWS_LAMBDA_FUNCTION_VERSION", deployment.version.as_str().into()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".into()),
        ("AWS_LAMBDA_LOG_FORMAT", "Text".into()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", log.group().into()),
        ("AWS_LAMBDA_LOG_STREAM_NAME", log.stream().into()),
        ("AWS_LAMBDA_RUNTIME_API", runtime_api.to_string().into()),
        ("LAMBDA_TASK_ROOT", launch.task_root.as_os_str().into()),
        ("LAMBDA_RUNTIME_DIR", launch.runtime_dir.as_os_str().into()),
        ("_HANDLER", configuration.handler.as_deref().unwrap_or_default().into()),
        ("LANG", "en_US.UTF-8".into()),
        ("TZ", ":UTC".into()),
        ("NODE_PATH", launch.task_root.join("node_modules").into_os_string()),
        ("PATH", inherited.clone()),
    ];
    let mut variables: BTreeMap<String, OsString> =
        own.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    if let Some(opt) = &launch.opt {
        variables.extend(of_layers(opt.path(), runtime, &launch.task_root, &inherited));
    }
    variables.extend(SessionKeys::variables(place.keys));
    if let Some(directory) = std::env::var_os("TMPDIR") {
        variables.insert("TMPDIR".to_owned(), directory);
    }
    variables.extend(place.environment.iter().map(|(name, value)| (name.clone(), value.into())));
    // Last: a function may set what isn't reserved, an endpoint for example.
    variables.extend(configuration.environment.iter().map(|(name, value)| (name.clone(), value.into())));
    variables
}

/// The variables that lead to layers, in the order in which Lambda looks: see "Layer paths for each Lambda runtime" in its
/// guide. `runtime` is for example `nodejs22.x` or `python3.12`.
fn of_layers(opt: &Path, runtime: &str, task_root: &Path, inherited: &OsStr) -> BTreeMap<String, OsString> {
    let mut variables = BTreeMap::new();
    let mut set = |name: &str, directories: Vec<PathBuf>| {
        // A directory that can't be in a list, for a colon in its name, is none that this process made.
        if let Ok(joined) = std::env::join_paths(directories) {
            variables.insert(name.to_owned(), joined);
        }
    };
    let path = std::env::split_paths(inherited).chain([opt.join("bin")]).collect();
    set("PATH", path);
    if opt.join("lib").is_dir() {
        set("LD_LIBRARY_PATH", vec![task_root.to_owned(), task_root.join("lib"), opt.join("lib")]);
    }
    if let Some(version) = runtime.strip_prefix("nodejs") {
        let major = version.split('.').next().unwrap_or_default();
        let of_version = opt.join(format!("nodejs/node{major}/node_modules"));
        set("NODE_PATH", vec![of_version, opt.join("nodejs/node_modules"), task_root.join("node_modules")]);
    }
    if runtime.starts_with("python") {
        set("PYTHONPATH", vec![opt.join(format!("python/lib/{runtime}/site-packages")), opt.join("python")]);
    }
    variables
}
