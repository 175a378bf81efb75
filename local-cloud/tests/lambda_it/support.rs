//! A local cloud with clients, packages to deploy, and what tests ask of functions.

use std::io::{Cursor, Write as _};
use std::time::Duration;

use aws_sdk_lambda::config::retry::RetryConfig;
use aws_sdk_lambda::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_lambda::operation::invoke::InvokeOutput;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{FunctionCode, FunctionConfiguration, LastUpdateStatus, LogType, Runtime, State};
use local_cloud::{Builder, LambdaSettings, LocalCloud};
use serde_json::Value;

pub(crate) const ROLE: &str = "arn:aws:iam::000000000000:role/r";

/// A running cloud and clients of it that try everything once.
pub(crate) struct Bench {
    pub(crate) cloud: LocalCloud,
    pub(crate) lambda: aws_sdk_lambda::Client,
    pub(crate) s3: aws_sdk_s3::Client,
}

/// Quick updates, no request rates.
pub(crate) fn settings() -> LambdaSettings {
    LambdaSettings {
        update_delay: Duration::from_millis(30),
        create_delay: Duration::from_millis(30),
        control_plane_rate: 0.0,
        get_function_rate: 0.0,
        init_timeout: Duration::from_secs(60),
        ..LambdaSettings::default()
    }
}

impl Bench {
    pub(crate) async fn start() -> Self {
        Self::with(LocalCloud::builder().lambda(settings())).await
    }

    pub(crate) async fn with(builder: Builder) -> Self {
        let cloud = builder.start().await.unwrap();
        let credentials = Credentials::new("test", "test", None, None, "test");
        let lambda = aws_sdk_lambda::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(credentials.clone())
            .retry_config(RetryConfig::disabled())
            .endpoint_url(cloud.endpoint())
            .build();
        let s3 = aws_sdk_s3::Config::builder()
            .behavior_version(aws_sdk_s3::config::BehaviorVersion::latest())
            .region(aws_sdk_s3::config::Region::new("us-east-1"))
            .credentials_provider(credentials)
            .endpoint_url(cloud.endpoint())
            .force_path_style(true)
            .build();
        Self { lambda: aws_sdk_lambda::Client::from_conf(lambda), s3: aws_sdk_s3::Client::from_conf(s3), cloud }
    }

    /// Creates a function of files and waits until it is active.
    pub(crate) async fn create(&self, name: &str, runtime: &str, handler: &str, files: &[(&str, &str)]) {
        self.create_with_timeout(name, runtime, handler, files, 30).await;
    }

    pub(crate) async fn create_with_timeout(
        &self,
        name: &str,
        runtime: &str,
        handler: &str,
        files: &[(&str, &str)],
        seconds: i32,
    ) {
        self.lambda
            .create_function()
            .function_name(name)
            .runtime(Runtime::from(runtime))
            .handler(handler)
            .role(ROLE)
            .timeout(seconds)
            .code(FunctionCode::builder().zip_file(Blob::new(zipped(files))).build())
            .send()
            .await
            .unwrap();
        self.settled(name).await;
    }

    /// Updates the code and waits until that has taken effect.
    pub(crate) async fn update(&self, name: &str, files: &[(&str, &str)]) {
        self.lambda.update_function_code().function_name(name).zip_file(Blob::new(zipped(files))).send().await.unwrap();
        self.settled(name).await;
    }

    /// Sets the handler and waits until that has taken effect.
    pub(crate) async fn set_handler(&self, name: &str, handler: &str) {
        self.lambda.update_function_configuration().function_name(name).handler(handler).send().await.unwrap();
        self.settled(name).await;
    }

    /// Polls as clients do, until nothing is under way.
    pub(crate) async fn settled(&self, name: &str) -> FunctionConfiguration {
        let poll = async {
            loop {
                let answer = self.lambda.get_function().function_name(name).send().await.unwrap();
                let configuration = answer.configuration.unwrap();
                let pending = configuration.state == Some(State::Pending)
                    || configuration.last_update_status == Some(LastUpdateStatus::InProgress);
                if !pending {
                    return configuration;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), poll).await.expect("the function never settles")
    }

    pub(crate) async fn invoke(&self, name: &str, event: &Value) -> Invoked {
        let answer = self
            .lambda
            .invoke()
            .function_name(name)
            .log_type(LogType::Tail)
            .payload(Blob::new(event.to_string()))
            .send()
            .await
            .unwrap();
        Invoked::from(answer)
    }
}

/// What an invocation was answered with.
#[derive(Debug)]
pub(crate) struct Invoked {
    pub(crate) result: Value,
    pub(crate) error: Option<String>,
    pub(crate) version: String,
    pub(crate) log: String,
}

impl Invoked {
    /// The result of a function that didn't fail.
    #[track_caller]
    pub(crate) fn value(self) -> Value {
        assert_eq!(self.error, None, "{self:?}");
        self.result
    }

    /// `errorType` of a function that failed.
    #[track_caller]
    pub(crate) fn error_type(&self) -> &str {
        assert_eq!(self.error.as_deref(), Some("Unhandled"), "{self:?}");
        self.result["errorType"].as_str().unwrap()
    }

    /// `errorMessage` of a function that failed.
    #[track_caller]
    pub(crate) fn error_message(&self) -> &str {
        self.result["errorMessage"].as_str().unwrap()
    }
}

impl From<InvokeOutput> for Invoked {
    fn from(answer: InvokeOutput) -> Self {
        use base64::Engine as _;
        let log = answer.log_result.map(|log| base64::engine::general_purpose::STANDARD.decode(log).unwrap());
        let payload = answer.payload.map(Blob::into_inner).unwrap_or_default();
        Self {
            result: serde_json::from_slice(&payload).unwrap(),
            error: answer.function_error,
            version: answer.executed_version.unwrap(),
            log: String::from_utf8(log.unwrap_or_default()).unwrap(),
        }
    }
}

/// A zip of text files, all executable.
pub(crate) fn zipped(files: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in files {
        let options = zip::write::SimpleFileOptions::default().unix_permissions(0o755);
        writer.start_file(*name, options).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// Whether an interpreter is installed. Says so when a test is skipped for want of it.
pub(crate) fn installed(interpreter: &str) -> bool {
    let there = std::process::Command::new(interpreter).arg("--version").output().is_ok_and(|o| o.status.success());
    if !there {
        eprintln!("skipped: `{interpreter}` is not installed");
    }
    there
}

/// A bootstrap in the shell that answers every event with itself, and `curl` to speak to the Runtime API.
pub(crate) const ECHO: &str = r#"#!/bin/sh
set -eu
echo "starting as $AWS_LAMBDA_FUNCTION_NAME"
api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation"
headers="$(mktemp)"
while true; do
  event="$(curl -sS -D "$headers" "$api/next")"
  id="$(sed -n 's/^lambda-runtime-aws-request-id: *\([^[:space:]]*\).*/\1/Ip' "$headers")"
  echo "event $event"
  curl -sS -o /dev/null -d "{\"echo\":$event,\"pid\":$$}" "$api/$id/response"
done
"#;
