//! The local cloud's side of the demo: a versioned bucket, the artifact in it, functions made from it, and calls to
//! them. Everything goes through the SDK clients, as it would against AWS.

use std::path::Path;
use std::time::Duration;

use aws_sdk_lambda::operation::invoke::InvokeOutput;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{Environment, FunctionCode, LogType, Runtime};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::Handler;
use crate::aws::Cloud;
use crate::error::{Error, Result};
use crate::functions::{UpdateState, read};
use crate::project::ArtifactUrl;
use crate::retry::retried;

/// Long enough for a cold start on a busy machine.
const FUNCTION_TIMEOUT_S: i32 = 10;
/// How often a new function is looked at until it is active: half a minute in all.
const LOOKS: u32 = 300;

/// Where the demo takes place.
#[derive(Debug)]
pub(crate) struct Stage<'a> {
    pub(crate) cloud: &'a Cloud,
    pub(crate) artifact: &'a ArtifactUrl,
}

/// What a function said when it was called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Its answer, or its error, in one line.
    pub(crate) text: String,
    pub(crate) failed: bool,
    /// The end of its log.
    pub(crate) log: String,
}

impl Stage<'_> {
    /// Makes the versioned bucket and puts the zip in it. `Err` of the local cloud would be a bug there.
    pub(crate) async fn upload(&self, zip: &Path) -> Result<()> {
        let (s3, bucket) = (&self.cloud.s3, &self.artifact.bucket);
        s3.create_bucket()
            .bucket(bucket)
            .send()
            .await
            .map_err(|error| self.cloud.explain("could not create the demo's bucket", &error))?;
        let versioned = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        s3.put_bucket_versioning()
            .bucket(bucket)
            .versioning_configuration(versioned)
            .send()
            .await
            .map_err(|error| self.cloud.explain("could not turn versioning on", &error))?;
        let body = ByteStream::from_path(zip)
            .await
            .map_err(|error| Error::new("File", "could not read the package").because(&error))?;
        s3.put_object()
            .bucket(bucket)
            .key(&self.artifact.key)
            .body(body)
            .send()
            .await
            .map_err(|error| self.cloud.explain("could not upload the package", &error))?;
        Ok(())
    }

    /// Creates a function from the artifact and waits until it is active.
    pub(crate) async fn create(
        &self,
        name: &str,
        handler: Option<&Handler>,
        environment: &[(&str, &str)],
    ) -> Result<()> {
        let code = FunctionCode::builder().s3_bucket(&self.artifact.bucket).s3_key(&self.artifact.key).build();
        let variables = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let environment = Environment::builder().set_variables(Some(variables)).build();
        let runtime = handler.map_or(Runtime::Providedal2023, |handler| Runtime::from(handler.language.runtime()));
        retried(&self.cloud.control_plane, || {
            self.cloud
                .lambda
                .create_function()
                .function_name(name)
                .role("arn:aws:iam::000000000000:role/quickdeploy-demo")
                .runtime(runtime.clone())
                .handler(handler.map_or_else(|| "bootstrap".to_owned(), Handler::id))
                .timeout(FUNCTION_TIMEOUT_S)
                .environment(environment.clone())
                .code(code.clone())
                .send()
        })
        .await
        .map_err(|error| self.cloud.explain(&format!("could not create the function `{name}`"), &error))?;
        for _ in 0..LOOKS {
            if read(self.cloud, name).await?.update != UpdateState::InProgress {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(Error::new("Timeout", format!("the function `{name}` did not become active")))
    }

    /// Calls a function.
    pub(crate) async fn call(&self, name: &str, event: &str) -> Result<Answer> {
        let output = self
            .cloud
            .lambda
            .invoke()
            .function_name(name)
            .log_type(LogType::Tail)
            .payload(Blob::new(event))
            .send()
            .await
            .map_err(|error| self.cloud.explain(&format!("could not call the function `{name}`"), &error))?;
        Ok(Answer::of(&output))
    }
}

impl Answer {
    /// What functions that fail alike have in common: not the request's id and time, with which a timeout begins.
    pub(crate) fn reason(&self) -> String {
        self.text.split(' ').filter(|word| !word.contains(|c: char| c.is_ascii_digit())).collect::<Vec<_>>().join(" ")
    }

    fn of(output: &InvokeOutput) -> Self {
        let payload = output.payload().map(Blob::as_ref).unwrap_or_default();
        let log = output.log_result().and_then(|log| BASE64.decode(log).ok()).unwrap_or_default();
        Self {
            text: in_one_line(payload, output.function_error().is_some()),
            failed: output.function_error().is_some(),
            log: String::from_utf8_lossy(&log).into_owned(),
        }
    }
}

/// The body of an HTTP answer, the message of an error, else the answer itself.
fn in_one_line(payload: &[u8], failed: bool) -> String {
    let value: serde_json::Value = match serde_json::from_slice(payload) {
        Ok(value) => value,
        Err(_) => return String::from_utf8_lossy(payload).replace('\n', " "),
    };
    let string = |key: &str| value.get(key).and_then(serde_json::Value::as_str);
    if failed && let Some(message) = string("errorMessage") {
        return format!("{}: {}", string("errorType").unwrap_or("Error"), message.replace('\n', " "));
    }
    match (value.get("statusCode"), string("body")) {
        (Some(status), Some(body)) => format!("{status} {}", body.replace('\n', " ")),
        _ => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_http_answer_is_shown_as_status_and_body() {
        let payload = br#"{"statusCode":200,"headers":{},"body":"{\"action\":\"start\"}"}"#;
        assert_eq!(in_one_line(payload, false), r#"200 {"action":"start"}"#);
        assert_eq!(in_one_line(br#"{"width":64}"#, false), r#"{"width":64}"#);
    }

    #[test]
    fn an_error_is_shown_as_type_and_message() {
        let payload = br#"{"errorType":"TypeError","errorMessage":"x is\nundefined","trace":[]}"#;
        assert_eq!(in_one_line(payload, true), "TypeError: x is undefined");
    }
}
