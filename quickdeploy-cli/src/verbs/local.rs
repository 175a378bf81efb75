//! `quickdeploy local`: S3, Lambda, CloudFormation, IAM, CodeBuild and CloudWatch Logs on this machine, for any AWS
//! client.

use serde::Serialize;

use crate::args;
use crate::error::{Error, Result, without_number};
use crate::interrupt::Interrupts;
use crate::ui::Ui;
use crate::via::DEFAULT_FUNCTION;

/// The region that ARNs carry when a client names none.
const REGION: &str = "us-east-1";

/// The JSON document: printed once, when the first request may come.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Document {
    command: &'static str,
    endpoint: String,
    functions: [&'static str; 1],
    environment: serde_json::Map<String, serde_json::Value>,
}

pub(super) async fn run(ui: &Ui, args: &args::Local) -> Result<u8> {
    let interrupts = Interrupts::listen();
    let function = super::zipedit_function::function(args.bootstrap.as_deref())?;
    let mut builder = super::zipedit_function::cloud(function).listen(args.listen);
    if let Some(file) = &args.log {
        builder = builder.log_file(file);
    }
    if let Some(directory) = &args.data {
        builder = builder.data_dir(directory);
    }
    let cloud = builder.start().await.map_err(|error| start_error(&error))?;

    // Whoever reads these lines may send a request at once: the listener is bound and answering.
    let endpoint = cloud.endpoint();
    if !ui.is_json() {
        ui.result(format!("Listening on {endpoint}"));
        ui.result("");
        for (name, value) in environment(&endpoint) {
            ui.result(format!("export {name}={value}"));
        }
        ui.result("");
        ui.result("S3, Lambda, CloudFormation, IAM, CodeBuild and CloudWatch Logs,");
        ui.result(format!("with the function `{DEFAULT_FUNCTION}`; Ctrl-C ends it."));
    }
    ui.document(&Document {
        command: "local",
        functions: [DEFAULT_FUNCTION],
        environment: environment(&endpoint).map(|(name, value)| (name.to_owned(), value.into())).into_iter().collect(),
        endpoint: endpoint.clone(),
    })?;

    interrupts.nth(1).await;
    ui.status("Stopping", &endpoint);
    tokio::select! {
        () = cloud.shutdown() => {}
        () = interrupts.nth(2) => {}
    }
    Ok(0)
}

/// What an AWS client needs to come here. It signs with the credentials; any will do.
fn environment(endpoint: &str) -> [(&'static str, String); 5] {
    [
        ("AWS_ENDPOINT_URL", endpoint.to_owned()),
        ("AWS_REGION", REGION.to_owned()),
        ("AWS_DEFAULT_REGION", REGION.to_owned()),
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
    ]
}

pub(super) fn start_error(error: &local_cloud::Error) -> Error {
    let told = Error::new("LocalCloud", without_number(&error.to_string()));
    match error {
        local_cloud::Error::Listen { .. } => told.hint("`--listen 127.0.0.1:0` takes any free port"),
        _ => told,
    }
}
