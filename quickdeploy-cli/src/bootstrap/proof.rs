//! The function is asked something that it has to refuse: an event that says nothing. A function that can't start, or
//! that is another one, gives another answer.

use std::time::Duration;

use aws_sdk_lambda::operation::invoke::InvokeError;
use aws_sdk_lambda::primitives::Blob;
use serde_json::Value;

use crate::aws::Cloud;
use crate::error::{Error, Result};
use crate::ui::Ui;

/// The function's answer to an event without `src`.
const EXPECTED: &str = "InvalidEvent";
/// A function that is new or updated takes a moment: it is asked so often …
const TRIES: u32 = 20;
/// … with this pause.
const PAUSE: Duration = Duration::from_millis(500);

/// Whether it answers. `None`: the caller may not invoke it, which says nothing about the function.
///
/// # Errors
///
/// It answers otherwise, or Lambda can't start it.
pub(super) async fn ask(ui: &Ui, cloud: &Cloud, function: &str) -> Result<Option<bool>> {
    let _progress = ui.progress("Asking the function");
    let mut tries = 1;
    let answer = loop {
        let request = cloud.lambda.invoke().function_name(function).payload(Blob::new("{}"));
        match request.send().await {
            Err(error) if tries < TRIES && error.as_service_error().is_some_and(is_not_ready) => {
                tokio::time::sleep(PAUSE).await;
                tries += 1;
            }
            answer => break answer,
        }
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            let told = cloud.explain(&format!("the stack is there, but `{function}` could not be asked"), &error);
            if told.error_type() != "AccessDenied" {
                return Err(told);
            }
            let why = ["who deploys by it needs lambda:InvokeFunction".to_owned()];
            ui.warning(&told, &[told.hints(), &why].concat());
            return Ok(None);
        }
    };
    let payload = answer.payload().map(Blob::as_ref).unwrap_or_default();
    let thrown: Value = serde_json::from_slice(payload).unwrap_or_default();
    if thrown["errorType"] == EXPECTED {
        return Ok(Some(true));
    }
    let said = match (thrown["errorType"].as_str(), thrown["errorMessage"].as_str()) {
        (Some(kind), Some(message)) => format!("{kind}: {message}"),
        _ => String::from_utf8_lossy(payload).chars().take(200).collect(),
    };
    Err(Error::new(
        "ZipeditAnswer",
        format!("the stack is there, but `{function}` doesn't answer as the zipedit function"),
    )
    .cause(said)
    .hint(format!("look into its log: `aws logs tail /aws/lambda/{function}`")))
}

fn is_not_ready(error: &InvokeError) -> bool {
    error.is_resource_conflict_exception() || error.is_resource_not_ready_exception()
}
