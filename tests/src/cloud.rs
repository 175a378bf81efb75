//! The local cloud, with clients for it.

use std::ops::Deref;
use std::path::Path;
use std::time::Duration;

use aws_sdk_lambda::types::FunctionConfiguration;
use bytes::Bytes;
use local_cloud::{Builder, BuiltinFunction, LocalCloud, Record};
use serde_json::Value;
use zipedit::S3Store;

pub use crate::site::BUCKET;
use crate::site::Site;

/// A running cloud with one bucket, and clients.
pub struct Cloud {
    cloud: LocalCloud,
    site: Site,
    /// For the bucket.
    pub s3: aws_sdk_s3::Client,
    /// For the functions.
    pub lambda: aws_sdk_lambda::Client,
}

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
        // The local cloud heeds preconditions; requests are counted here.
        let builder = builder.function_environment(zipedit_lambda::STORE_CHECK, "off");
        let cloud = builder.start().await.expect("the cloud starts");
        let site = Site::new(cloud.endpoint());
        site.make_bucket().await;
        Self { cloud, s3: site.s3.clone(), lambda: site.lambda.clone(), site }
    }

    /// The clients and what they can be asked, as of any other endpoint.
    #[must_use]
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// The object `key`, for edits.
    #[must_use]
    pub fn store(&self, key: &str) -> S3Store {
        self.site.store(key)
    }

    /// Keeps versions from now on.
    pub async fn keep_versions(&self) {
        self.site.keep_versions().await;
    }

    /// Puts an object; forgets the requests so far.
    pub async fn put(&self, key: &str, body: Bytes) {
        self.site.put(key, body).await;
        self.cloud.clear_requests();
    }

    /// An object's bytes.
    pub async fn get(&self, key: &str) -> Bytes {
        self.site.get(key).await
    }

    /// Uploads that were begun and neither completed nor aborted.
    pub async fn open_uploads(&self) -> usize {
        self.site.open_uploads().await
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

    /// Waits until nothing is under way any more: the cloud learns only after a moment that a client has gone.
    ///
    /// # Panics
    /// When something is after a minute, still.
    pub async fn at_rest(&self) {
        let waiting = async {
            while self.cloud.requests_under_way() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let rested = tokio::time::timeout(Duration::from_secs(60), waiting).await;
        assert!(rested.is_ok(), "still under way: {:#?}", self.requests());
    }

    /// The function when it is neither being created nor updated any more.
    pub async fn settled(&self, function: &str) -> FunctionConfiguration {
        self.site.settled(function).await
    }

    /// Invokes a function. `Err` has `errorType` and `errorMessage` of a function error.
    pub async fn invoke(&self, function: &str, event: &Value) -> Result<Value, (String, String)> {
        self.site.invoke(function, event).await
    }
}
