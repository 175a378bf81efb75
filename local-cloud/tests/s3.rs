//! S3 over real HTTP, spoken to by the real SDK client.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "s3_it/conditional_writes.rs"]
mod conditional_writes;
#[path = "s3_it/data_dir.rs"]
mod data_dir;
#[path = "s3_it/faults.rs"]
mod faults;
#[path = "s3_it/multipart.rs"]
mod multipart;
#[path = "s3_it/objects.rs"]
mod objects;
#[path = "s3_it/request_log.rs"]
mod request_log;
#[path = "s3_it/signatures.rs"]
mod signatures;
#[path = "s3_it/versions.rs"]
mod versions;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::RequestId;
use aws_sdk_s3::primitives::ByteStream;
use local_cloud::LocalCloud;

const MIB: usize = 1 << 20;
const BUCKET: &str = "bucket";

/// A running cloud with one bucket and a client.
struct Cloud {
    cloud: LocalCloud,
    s3: Client,
}

async fn cloud() -> Cloud {
    let cloud = LocalCloud::builder().start().await.unwrap();
    let s3 = client(&cloud, "test", "test");
    s3.create_bucket().bucket(BUCKET).send().await.unwrap();
    cloud.clear_requests();
    Cloud { cloud, s3 }
}

/// A client that never retries, so that every refusal is seen.
fn client(cloud: &LocalCloud, key_id: &str, secret: &str) -> Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(cloud.endpoint())
        .force_path_style(true)
        .credentials_provider(Credentials::new(key_id, secret, None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .build();
    Client::from_conf(config)
}

impl Cloud {
    /// Puts an object and returns its entity tag.
    async fn put(&self, key: &str, body: impl Into<Vec<u8>>) -> String {
        let body = ByteStream::from(body.into());
        self.s3.put_object().bucket(BUCKET).key(key).body(body).send().await.unwrap().e_tag.unwrap()
    }

    async fn get(&self, key: &str) -> Vec<u8> {
        let object = self.s3.get_object().bucket(BUCKET).key(key).send().await.unwrap();
        object.body.collect().await.unwrap().to_vec()
    }

    async fn enable_versions(&self) {
        use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
        let enabled = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        self.s3.put_bucket_versioning().bucket(BUCKET).versioning_configuration(enabled).send().await.unwrap();
    }
}

/// The HTTP status and AWS's code of a refusal.
fn refused<T: std::fmt::Debug, E: ProvideErrorMetadata>(result: Result<T, SdkError<E>>) -> (u16, String) {
    let error = result.expect_err("a refusal");
    let status = error.raw_response().map_or(0, |response| response.status().as_u16());
    (status, error.code().unwrap_or_default().to_owned())
}

/// Bytes that differ everywhere, so that a wrong offset is seen.
fn bytes(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    })
    .take(length)
    .collect()
}

#[tokio::test]
async fn a_refusal_names_its_request() {
    let cloud = cloud().await;
    let error = cloud.s3.get_object().bucket(BUCKET).key("none").send().await.unwrap_err();
    let record = cloud.cloud.requests().pop().unwrap();
    assert_eq!(error.request_id(), Some(record.id.as_str()));
    assert_eq!((record.status, record.error.as_deref()), (404, Some("NoSuchKey")));
}
