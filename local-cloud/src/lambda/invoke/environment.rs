//! The environment variables of a function process.
//!
//! They are those of AWS, with the credentials and the endpoint of the local cloud. Of the server's own environment
//! only `PATH` and `TMPDIR` go in: functions run on the host's programs.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;

use super::runtimes::Launch;
use crate::lambda::deployment::Deployment;
use crate::logs::StreamWriter;

/// All variables of a new process of a deployment.
pub(super) fn variables(
    deployment: &Deployment,
    launch: &Launch,
    runtime_api: SocketAddr,
    endpoint: &str,
    log: &StreamWriter,
) -> BTreeMap<String, OsString> {
    let configuration = &deployment.configuration;
    let runtime = configuration.runtime.as_deref().unwrap_or_default();
    let node_path = launch.task_root.join("node_modules");
    let own: [(&str, OsString); 23] = [
        ("AWS_ACCESS_KEY_ID", "test".into()),
        ("AWS_SECRET_ACCESS_KEY", "test".into()),
        ("AWS_DEFAULT_REGION", deployment.region.as_str().into()),
        ("AWS_REGION", deployment.region.as_str().into()),
        ("AWS_ENDPOINT_URL", endpoint.into()),
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
        ("NODE_PATH", node_path.into_os_string()),
        ("PATH", std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into())),
    ];
    let mut variables: BTreeMap<String, OsString> =
        own.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    if let Some(directory) = std::env::var_os("TMPDIR") {
        variables.insert("TMPDIR".to_owned(), directory);
    }
    // Last: a function may set what isn't reserved, an endpoint for example.
    variables.extend(configuration.environment.iter().map(|(name, value)| (name.clone(), value.into())));
    variables
}
