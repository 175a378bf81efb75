//! Buckets as other services of the cloud make and change them: the same operations, without a request.

use std::sync::Arc;

use s3s::dto::*;

use super::{buckets, policy, settings, tagging};
use crate::s3::{Access, Context, Refusal, Store, Trailers};

/// One configuration of a bucket. `None` removes it.
#[derive(Clone, Debug)]
pub(crate) enum Configuration {
    Versioning(bool),
    PublicAccessBlock(Option<PublicAccessBlockConfiguration>),
    Lifecycle(Option<BucketLifecycleConfiguration>),
    Encryption(Option<ServerSideEncryptionConfiguration>),
    Ownership(Option<OwnershipControls>),
    Tags(TagSet),
    /// JSON.
    Policy(Option<String>),
}

impl Store {
    /// Whether a bucket is there.
    pub(crate) fn has_bucket(&self, name: &str) -> bool {
        self.read(|state| state.buckets.contains_key(name))
    }

    /// Creates a bucket that must not be there yet.
    pub(crate) async fn provision_bucket(self: &Arc<Self>, name: &str, region: &str) -> Result<(), Refusal> {
        if !s3s::path::check_bucket_name(name) {
            return Err(Refusal::new("InvalidBucketName", 400, "The specified bucket is not valid."));
        }
        if self.has_bucket(name) {
            return Err(Refusal::new("BucketAlreadyExists", 409, format!("{name} already exists")));
        }
        let constraint = (region != "us-east-1").then(|| CreateBucketConfiguration {
            location_constraint: Some(BucketLocationConstraint::from(region.to_owned())),
            ..CreateBucketConfiguration::default()
        });
        let input = CreateBucketInput {
            bucket: name.to_owned(),
            create_bucket_configuration: constraint,
            ..CreateBucketInput::default()
        };
        buckets::create(self, &Context::internal(self), input).await.map(drop)
    }

    /// Deletes a bucket, which must be empty.
    pub(crate) async fn remove_bucket(self: &Arc<Self>, name: &str) -> Result<(), Refusal> {
        let input = DeleteBucketInput { bucket: name.to_owned(), ..DeleteBucketInput::default() };
        buckets::delete(self, &Context::internal(self), input).await.map(drop)
    }

    /// Sets or removes one configuration.
    pub(crate) async fn configure_bucket(self: &Arc<Self>, name: &str, wanted: Configuration) -> Result<(), Refusal> {
        let context = Context::internal(self);
        let bucket = name.to_owned();
        match wanted {
            Configuration::Versioning(enabled) => {
                let status = if enabled { BucketVersioningStatus::ENABLED } else { BucketVersioningStatus::SUSPENDED };
                let configuration = VersioningConfiguration {
                    status: Some(BucketVersioningStatus::from_static(status)),
                    ..VersioningConfiguration::default()
                };
                let input = PutBucketVersioningInput::builder()
                    .bucket(bucket)
                    .versioning_configuration(configuration)
                    .build()
                    .map_err(Refusal::internal)?;
                buckets::put_versioning(self, &context, input).await.map(drop)
            }
            Configuration::PublicAccessBlock(Some(configuration)) => {
                let input = PutPublicAccessBlockInput::builder()
                    .bucket(bucket)
                    .public_access_block_configuration(configuration)
                    .build()
                    .map_err(Refusal::internal)?;
                settings::put_public_access_block(self, &context, input).await.map(drop)
            }
            Configuration::PublicAccessBlock(None) => settings::remove_default(self, bucket, "publicAccessBlock").await,
            Configuration::Lifecycle(Some(configuration)) => {
                let input = PutBucketLifecycleConfigurationInput::builder()
                    .bucket(bucket)
                    .lifecycle_configuration(Some(configuration))
                    .build()
                    .map_err(Refusal::internal)?;
                settings::put_lifecycle(self, &context, input).await.map(drop)
            }
            Configuration::Lifecycle(None) => settings::remove(self, bucket, "lifecycle").await,
            Configuration::Encryption(Some(configuration)) => {
                let input = PutBucketEncryptionInput::builder()
                    .bucket(bucket)
                    .server_side_encryption_configuration(configuration)
                    .build()
                    .map_err(Refusal::internal)?;
                settings::put_encryption(self, &context, input).await.map(drop)
            }
            Configuration::Encryption(None) => settings::remove(self, bucket, "encryption").await,
            Configuration::Ownership(Some(configuration)) => {
                let input = PutBucketOwnershipControlsInput::builder()
                    .bucket(bucket)
                    .ownership_controls(configuration)
                    .build()
                    .map_err(Refusal::internal)?;
                settings::put_ownership(self, &context, input).await.map(drop)
            }
            Configuration::Ownership(None) => settings::remove(self, bucket, "ownershipControls").await,
            Configuration::Tags(tags) if tags.is_empty() => {
                let input = DeleteBucketTaggingInput::builder().bucket(bucket).build().map_err(Refusal::internal)?;
                tagging::delete_bucket(self, &context, input).await.map(drop)
            }
            Configuration::Tags(tag_set) => {
                let input = PutBucketTaggingInput::builder()
                    .bucket(bucket)
                    .tagging(Tagging { tag_set })
                    .build()
                    .map_err(Refusal::internal)?;
                tagging::put_bucket(self, &context, input).await.map(drop)
            }
            Configuration::Policy(Some(document)) => {
                let input = PutBucketPolicyInput { bucket, policy: document, ..PutBucketPolicyInput::default() };
                policy::put(self, &context, input).await.map(drop)
            }
            Configuration::Policy(None) => settings::remove(self, bucket, "policy").await,
        }
    }
}

impl Context {
    /// Of a call that comes from within the cloud: it has no headers.
    fn internal(store: &Store) -> Self {
        Self {
            headers: Arc::default(),
            trailers: Trailers::default(),
            arrived: store.moment(),
            access: Access::of_a_service(),
            endpoint: String::new(),
            slot: super::RefusalSlot::default(),
            found: Arc::default(),
        }
    }
}
