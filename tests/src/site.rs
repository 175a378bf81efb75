//! Whatever answers for S3 and Lambda at some endpoint, with clients for it: the local cloud, or somebody else's.

use std::time::Duration;

use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{FunctionConfiguration, LastUpdateStatus, State};
use aws_sdk_s3::config::retry::RetryPartition;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use bytes::Bytes;
use serde_json::Value;
use zipedit::S3Store;

/// The bucket that is there from the start.
pub const BUCKET: &str = "artifacts";

/// What the clients of every endpoint have in their environment.
pub const ENVIRONMENT: [(&str, &str); 5] = [
    ("AWS_REGION", "us-east-1"),
    ("AWS_DEFAULT_REGION", "us-east-1"),
    ("AWS_ACCESS_KEY_ID", "test"),
    ("AWS_SECRET_ACCESS_KEY", "test"),
    ("AWS_EC2_METADATA_DISABLED", "true"),
];

/// An endpoint, and clients.
#[derive(Debug, Clone)]
pub struct Site {
    /// `http://127.0.0.1:PORT`.
    pub endpoint: String,
    /// For the bucket.
    pub s3: aws_sdk_s3::Client,
    /// For the functions.
    pub lambda: aws_sdk_lambda::Client,
}

impl Site {
    /// Clients of `endpoint`; nothing is asked yet.
    #[must_use]
    pub fn new(endpoint: impl Into<String>) -> Self {
        let endpoint = endpoint.into();
        let credentials = Credentials::new("test", "test", None, None, "tests");
        let region = Region::new("us-east-1");
        let s3 = aws_sdk_s3::config::Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .region(region.clone())
            .credentials_provider(credentials.clone())
            .endpoint_url(&endpoint)
            // Clients with the same partition share what they may spend on retries, in the whole process.
            .retry_partition(RetryPartition::new(endpoint.clone()))
            .force_path_style(true);
        let lambda = aws_sdk_lambda::config::Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .region(region)
            .credentials_provider(credentials)
            .endpoint_url(&endpoint);
        Self {
            s3: aws_sdk_s3::Client::from_conf(zipedit::store::s3::tuned(s3).build()),
            lambda: aws_sdk_lambda::Client::from_conf(lambda.build()),
            endpoint,
        }
    }

    /// Makes the bucket.
    pub async fn make_bucket(&self) {
        self.s3.create_bucket().bucket(BUCKET).send().await.expect("a bucket can be made");
    }

    /// The object `key`, for edits.
    #[must_use]
    pub fn store(&self, key: &str) -> S3Store {
        S3Store::new(self.s3.clone(), BUCKET, key)
    }

    /// Keeps versions from now on.
    pub async fn keep_versions(&self) {
        let enabled = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        let request = self.s3.put_bucket_versioning().bucket(BUCKET).versioning_configuration(enabled);
        request.send().await.expect("versions can be kept");
    }

    /// Puts an object.
    pub async fn put(&self, key: &str, body: Bytes) {
        self.s3.put_object().bucket(BUCKET).key(key).body(body.into()).send().await.expect("an object can be put");
    }

    /// An object's bytes.
    pub async fn get(&self, key: &str) -> Bytes {
        let answer = self.s3.get_object().bucket(BUCKET).key(key).send().await.expect("the object is there");
        answer.body.collect().await.expect("it can be read").into_bytes()
    }

    /// Uploads that were begun and neither completed nor aborted.
    pub async fn open_uploads(&self) -> usize {
        let answer = self.s3.list_multipart_uploads().bucket(BUCKET).send().await.expect("uploads can be listed");
        answer.uploads().len()
    }

    /// The function when it is neither being created nor updated any more. It is polled by `GetFunction`, which has a quota of
    /// its own: on a busy machine the others' is soon used up.
    pub async fn settled(&self, function: &str) -> FunctionConfiguration {
        loop {
            let answer =
                self.lambda.get_function().function_name(function).send().await.expect("the function is there");
            let now = answer.configuration.expect("it has a configuration");
            let is_busy =
                now.state() == Some(&State::Pending) || now.last_update_status() == Some(&LastUpdateStatus::InProgress);
            if !is_busy {
                return now;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Invokes a function. `Err` has `errorType` and `errorMessage` of a function error.
    pub async fn invoke(&self, function: &str, event: &Value) -> Result<Value, (String, String)> {
        let payload = Blob::new(serde_json::to_vec(event).expect("JSON can be written"));
        let answer = self.lambda.invoke().function_name(function).payload(payload).send().await;
        let answer = answer.unwrap_or_else(|error| panic!("{}", aws_sdk_s3::error::DisplayErrorContext(error)));
        let payload = answer.payload().map_or(&[][..], |blob| blob.as_ref());
        let payload: Value = serde_json::from_slice(payload).expect("the answer is JSON");
        match answer.function_error() {
            None => Ok(payload),
            Some(_) => {
                let text = |field: &str| payload[field].as_str().unwrap_or_default().to_owned();
                Err((text("errorType"), text("errorMessage")))
            }
        }
    }
}
