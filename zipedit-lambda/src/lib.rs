//! QuickBuild: the Lambda function that patches a zip artifact in S3.
//!
//! [`Event`] in, [`Answer`] out; what lies between is `zipedit`. The event is a superset of the original QuickBuild's,
//! `{"src", "changes"}`, and so is the answer, `{"added", "modified"}`.
//!
//! A process answers one event after the other, on one thread. It remembers the directory of the artifact that it edited
//! last, so that the next edit of the same artifact needs to read nothing, only to make sure that it is still the same.

mod answer;
mod client;
mod event;
mod handler;
mod log;
mod store_check;

use std::process::ExitCode;

use lambda_runtime::{LambdaEvent, service_fn};

pub use answer::Answer;
pub use event::{Change, ChangedContent, Event, InvalidEvent, Source};
pub use handler::Refusal;
use store_check::StoreCheck;

/// The variable that says what follows when a store other than AWS's ignores preconditions: `refuse` (the default: nothing
/// is written), `warn` (it is logged), or `off` (the store isn't asked).
pub const STORE_CHECK: &str = "QUICKDEPLOY_STORE_CHECK";

/// Answers events until Lambda ends the process.
///
/// Everything comes from the environment, as Lambda sets it: `AWS_LAMBDA_RUNTIME_API`, the credentials, `AWS_REGION`;
/// `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL` for a store other than AWS's, and [`STORE_CHECK`] for trust in it.
#[must_use]
pub fn run() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.to_string()),
    };
    let handler = handler::Handler::new(client::from_environment(), StoreCheck::from_environment());
    let serving = lambda_runtime::run(service_fn(|event: LambdaEvent<serde_json::Value>| handler.handle(event)));
    match runtime.block_on(serving) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error.to_string()),
    }
}

fn failed(reason: &str) -> ExitCode {
    log::line("ERROR", "", "the runtime ended", &serde_json::json!({ "reason": reason }));
    ExitCode::FAILURE
}
