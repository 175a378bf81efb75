//! The operations, one file per family. Each takes a request that `s3s` has parsed, and returns an answer or a
//! [`Refusal`].

pub(super) mod acl;
mod buckets;
mod complete;
mod delete;
mod lists;
mod lock;
mod policy;
mod provision;
mod read;
pub(super) mod settings;
mod tagging;
mod upload;
pub(super) mod write;

use std::sync::Arc;

use http::HeaderMap;
use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result};

pub(crate) use provision::Configuration;

use super::error::RefusalSlot;
use super::{Context, Refusal, Store};

/// What an operation returns.
type Answer<T> = Result<S3Response<T>, Refusal>;

/// An answer that is all in its fields.
#[allow(clippy::unnecessary_wraps)] // Every operation returns an `Answer`.
fn plain<T>(output: T) -> Answer<T> {
    Ok(S3Response::new(output))
}

/// An answer with further headers.
#[allow(clippy::unnecessary_wraps)]
fn with_headers<T>(output: T, headers: HeaderMap) -> Answer<T> {
    Ok(S3Response::with_headers(output, headers))
}

/// The operations, as `s3s` calls them.
pub(super) struct Api {
    store: Arc<Store>,
}

impl Api {
    pub(super) fn new(store: Arc<Store>) -> Self {
        Self { store }
    }
}

/// Implements `s3s`'s trait by one function per operation, and passes their refusals around `s3s`.
macro_rules! operations {
    ($($name:ident, $input:ident => $output:ident: $function:path;)*) => {
        #[async_trait::async_trait]
        impl S3 for Api {
            $(
                async fn $name(&self, mut request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                    let context = match request.extensions.remove::<Context>() {
                        Some(context) => context,
                        None => return Err(RefusalSlot::default().refuse(Refusal::internal("a request without a context"))),
                    };
                    let answer = $function(&self.store, &context, request.input).await;
                    answer.map_err(|refusal| context.slot.refuse(refusal))
                }
            )*
        }
    };
}

operations! {
    list_buckets, ListBucketsInput => ListBucketsOutput: buckets::list;
    create_bucket, CreateBucketInput => CreateBucketOutput: buckets::create;
    head_bucket, HeadBucketInput => HeadBucketOutput: buckets::head;
    delete_bucket, DeleteBucketInput => DeleteBucketOutput: buckets::delete;
    get_bucket_location, GetBucketLocationInput => GetBucketLocationOutput: buckets::location;
    get_bucket_versioning, GetBucketVersioningInput => GetBucketVersioningOutput: buckets::get_versioning;
    put_bucket_versioning, PutBucketVersioningInput => PutBucketVersioningOutput: buckets::put_versioning;

    put_object, PutObjectInput => PutObjectOutput: write::put;
    post_object, PostObjectInput => PostObjectOutput: write::post;
    copy_object, CopyObjectInput => CopyObjectOutput: write::copy;
    get_object, GetObjectInput => GetObjectOutput: read::get;
    head_object, HeadObjectInput => HeadObjectOutput: read::head;
    get_object_attributes, GetObjectAttributesInput => GetObjectAttributesOutput: read::attributes;
    delete_object, DeleteObjectInput => DeleteObjectOutput: delete::one;
    delete_objects, DeleteObjectsInput => DeleteObjectsOutput: delete::many;

    create_multipart_upload, CreateMultipartUploadInput => CreateMultipartUploadOutput: upload::create;
    upload_part, UploadPartInput => UploadPartOutput: upload::part;
    upload_part_copy, UploadPartCopyInput => UploadPartCopyOutput: upload::part_copy;
    abort_multipart_upload, AbortMultipartUploadInput => AbortMultipartUploadOutput: upload::abort;
    complete_multipart_upload, CompleteMultipartUploadInput => CompleteMultipartUploadOutput: complete::complete;

    list_objects, ListObjectsInput => ListObjectsOutput: lists::objects;
    list_objects_v2, ListObjectsV2Input => ListObjectsV2Output: lists::objects_v2;
    list_object_versions, ListObjectVersionsInput => ListObjectVersionsOutput: lists::versions;
    list_multipart_uploads, ListMultipartUploadsInput => ListMultipartUploadsOutput: lists::uploads;
    list_parts, ListPartsInput => ListPartsOutput: lists::parts;

    get_object_tagging, GetObjectTaggingInput => GetObjectTaggingOutput: tagging::get;
    put_object_tagging, PutObjectTaggingInput => PutObjectTaggingOutput: tagging::put;
    delete_object_tagging, DeleteObjectTaggingInput => DeleteObjectTaggingOutput: tagging::delete;
    get_bucket_tagging, GetBucketTaggingInput => GetBucketTaggingOutput: tagging::get_bucket;
    put_bucket_tagging, PutBucketTaggingInput => PutBucketTaggingOutput: tagging::put_bucket;
    delete_bucket_tagging, DeleteBucketTaggingInput => DeleteBucketTaggingOutput: tagging::delete_bucket;

    get_object_lock_configuration, GetObjectLockConfigurationInput => GetObjectLockConfigurationOutput: lock::get_configuration;
    put_object_lock_configuration, PutObjectLockConfigurationInput => PutObjectLockConfigurationOutput: lock::put_configuration;
    get_object_retention, GetObjectRetentionInput => GetObjectRetentionOutput: lock::get_retention;
    put_object_retention, PutObjectRetentionInput => PutObjectRetentionOutput: lock::put_retention;
    get_object_legal_hold, GetObjectLegalHoldInput => GetObjectLegalHoldOutput: lock::get_legal_hold;
    put_object_legal_hold, PutObjectLegalHoldInput => PutObjectLegalHoldOutput: lock::put_legal_hold;

    get_bucket_acl, GetBucketAclInput => GetBucketAclOutput: acl::get_bucket;
    put_bucket_acl, PutBucketAclInput => PutBucketAclOutput: acl::put_bucket;
    get_object_acl, GetObjectAclInput => GetObjectAclOutput: acl::get_object;
    put_object_acl, PutObjectAclInput => PutObjectAclOutput: acl::put_object;

    get_bucket_policy, GetBucketPolicyInput => GetBucketPolicyOutput: policy::get;
    put_bucket_policy, PutBucketPolicyInput => PutBucketPolicyOutput: policy::put;
    delete_bucket_policy, DeleteBucketPolicyInput => DeleteBucketPolicyOutput: policy::delete;
    get_bucket_policy_status, GetBucketPolicyStatusInput => GetBucketPolicyStatusOutput: policy::status;
    get_bucket_cors, GetBucketCorsInput => GetBucketCorsOutput: settings::get_cors;
    put_bucket_cors, PutBucketCorsInput => PutBucketCorsOutput: settings::put_cors;
    delete_bucket_cors, DeleteBucketCorsInput => DeleteBucketCorsOutput: settings::delete_cors;
    get_bucket_lifecycle_configuration, GetBucketLifecycleConfigurationInput => GetBucketLifecycleConfigurationOutput: settings::get_lifecycle;
    put_bucket_lifecycle_configuration, PutBucketLifecycleConfigurationInput => PutBucketLifecycleConfigurationOutput: settings::put_lifecycle;
    delete_bucket_lifecycle, DeleteBucketLifecycleInput => DeleteBucketLifecycleOutput: settings::delete_lifecycle;
    get_bucket_encryption, GetBucketEncryptionInput => GetBucketEncryptionOutput: settings::get_encryption;
    put_bucket_encryption, PutBucketEncryptionInput => PutBucketEncryptionOutput: settings::put_encryption;
    delete_bucket_encryption, DeleteBucketEncryptionInput => DeleteBucketEncryptionOutput: settings::delete_encryption;
    get_public_access_block, GetPublicAccessBlockInput => GetPublicAccessBlockOutput: settings::get_public_access_block;
    put_public_access_block, PutPublicAccessBlockInput => PutPublicAccessBlockOutput: settings::put_public_access_block;
    delete_public_access_block, DeletePublicAccessBlockInput => DeletePublicAccessBlockOutput: settings::delete_public_access_block;
    get_bucket_ownership_controls, GetBucketOwnershipControlsInput => GetBucketOwnershipControlsOutput: settings::get_ownership;
    put_bucket_ownership_controls, PutBucketOwnershipControlsInput => PutBucketOwnershipControlsOutput: settings::put_ownership;
    delete_bucket_ownership_controls, DeleteBucketOwnershipControlsInput => DeleteBucketOwnershipControlsOutput: settings::delete_ownership;
    get_bucket_website, GetBucketWebsiteInput => GetBucketWebsiteOutput: settings::get_website;
    put_bucket_website, PutBucketWebsiteInput => PutBucketWebsiteOutput: settings::put_website;
    delete_bucket_website, DeleteBucketWebsiteInput => DeleteBucketWebsiteOutput: settings::delete_website;
    get_bucket_logging, GetBucketLoggingInput => GetBucketLoggingOutput: settings::get_logging;
    put_bucket_logging, PutBucketLoggingInput => PutBucketLoggingOutput: settings::put_logging;
    get_bucket_notification_configuration, GetBucketNotificationConfigurationInput => GetBucketNotificationConfigurationOutput: settings::get_notification;
    put_bucket_notification_configuration, PutBucketNotificationConfigurationInput => PutBucketNotificationConfigurationOutput: settings::put_notification;
    get_bucket_replication, GetBucketReplicationInput => GetBucketReplicationOutput: settings::get_replication;
    put_bucket_replication, PutBucketReplicationInput => PutBucketReplicationOutput: settings::put_replication;
    delete_bucket_replication, DeleteBucketReplicationInput => DeleteBucketReplicationOutput: settings::delete_replication;
    get_bucket_request_payment, GetBucketRequestPaymentInput => GetBucketRequestPaymentOutput: settings::get_request_payment;
    put_bucket_request_payment, PutBucketRequestPaymentInput => PutBucketRequestPaymentOutput: settings::put_request_payment;
    get_bucket_accelerate_configuration, GetBucketAccelerateConfigurationInput => GetBucketAccelerateConfigurationOutput: settings::get_accelerate;
    put_bucket_accelerate_configuration, PutBucketAccelerateConfigurationInput => PutBucketAccelerateConfigurationOutput: settings::put_accelerate;
}

/// Sets an output's five checksum fields from one checksum.
macro_rules! set_checksum {
    ($output:expr, $checksum:expr) => {{
        let checksum: &$crate::s3::checksum::Checksum = $checksum;
        let value = Some(checksum.value.clone());
        match checksum.algorithm {
            $crate::s3::checksum::Algorithm::Crc32 => $output.checksum_crc32 = value,
            $crate::s3::checksum::Algorithm::Crc32c => $output.checksum_crc32c = value,
            $crate::s3::checksum::Algorithm::Crc64Nvme => $output.checksum_crc64nvme = value,
            $crate::s3::checksum::Algorithm::Sha1 => $output.checksum_sha1 = value,
            $crate::s3::checksum::Algorithm::Sha256 => $output.checksum_sha256 = value,
        }
    }};
}
use set_checksum;

fn owner() -> Owner {
    Owner { display_name: None, id: Some(super::OWNER.to_owned()) }
}

/// An entity tag as XML shows it.
fn etag(value: &str) -> Option<ETag> {
    Some(ETag::Strong(value.to_owned()))
}
