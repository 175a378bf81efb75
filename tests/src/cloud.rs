//! The local cloud, with clients for it.

use std::ops::Deref;
use std::path::Path;

use aws_sdk_lambda::primitives::Blob;
use aws_sdk_s3::config::retry::RetryPartition;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use bytes::Bytes;
use local_cloud::{Builder, BuiltinFunction, LocalCloud, Record};
use serde_json::Value;
use zipedit::S3Store;

/// A running cloud with one bucket, and clients.
pub struct Cloud {
    cloud: LocalCloud,
    /// For the bucket.
    pub s3: aws_sdk_s3::Client,
    /// For the functions.
    pub lambda: aws_sdk_lambda::Client,
}

/// The bucket that is there from the start.
pub const BUCKET: &str = "artifacts";

impl Deref for Cloud {
    type Target = LocalCloud;

    fn deref(&self) -> &LocalCloud {
        &self.cloud
    }
}

impl Cloud {
    /// A cloud with an empty bucket.
    pub async fn start() -> Self {
        Self::start_from(LocalCloud::builder()).await
    }

    /// A cloud with an empty bucket, and `bootstrap` as the function `zipedit`.
    pub async fn with_zipedit(bootstrap: &Path) -> Self {
        Self::start_from(LocalCloud::builder().function(BuiltinFunction::new("zipedit", [bootstrap]))).await
    }

    /// A cloud made to order, with an empty bucket.
    pub async fn start_from(builder: Builder) -> Self {
        let cloud = builder.start().await.expect("the cloud starts");
        let credentials = Credentials::new("test", "test", None, None, "tests");
        let region = Region::new("us-east-1");
        let s3 = aws_sdk_s3::config::Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .region(region.clone())
            .credentials_provider(credentials.clone())
            .endpoint_url(cloud.endpoint())
            // Clients with the same partition share what they may spend on retries, in the whole process.
            .retry_partition(RetryPartition::new(cloud.endpoint()))
            .force_path_style(true);
        let lambda = aws_sdk_lambda::config::Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .region(region)
            .credentials_provider(credentials)
            .endpoint_url(cloud.endpoint());
        let s3 = aws_sdk_s3::Client::from_conf(zipedit::store::s3::tuned(s3).build());
        let lambda = aws_sdk_lambda::Client::from_conf(lambda.build());
        s3.create_bucket().bucket(BUCKET).send().await.expect("a bucket can be made");
        Self { cloud, s3, lambda }
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

    /// Puts an object; forgets the requests so far.
    pub async fn put(&self, key: &str, body: Bytes) {
        self.s3.put_object().bucket(BUCKET).key(key).body(body.into()).send().await.expect("an object can be put");
        self.cloud.clear_requests();
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

    /// The requests to S3 since the last [`Cloud::put`], without failed ones.
    #[must_use]
    pub fn s3_requests(&self) -> Vec<Record> {
        self.requests().into_iter().filter(|request| request.service == local_cloud::Service::S3).collect()
    }

    /// The operations among [`Cloud::s3_requests`], in order.
    #[must_use]
    pub fn operations(&self) -> Vec<String> {
        self.s3_requests().into_iter().map(|request| request.operation).collect()
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
