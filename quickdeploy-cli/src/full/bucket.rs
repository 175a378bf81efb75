//! The artifact's bucket, made when there is none.
//!
//! A bucket that is there is left as it is, whoever made it. One that is made here keeps versions (so that functions can
//! be pinned to one, and rolled back), lets nobody in from outside, and tidies up uploads that were never finished. It is
//! there with all of that, or not at all.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, BucketLifecycleConfiguration, BucketLocationConstraint, BucketVersioningStatus,
    CreateBucketConfiguration, ExpirationStatus, LifecycleRule, LifecycleRuleFilter, PublicAccessBlockConfiguration,
    VersioningConfiguration,
};

use crate::aws::Cloud;
use crate::denial;
use crate::error::{Error, Result};

/// After so many days an upload that nobody finished is discarded.
const UNFINISHED_DAYS: i32 = 7;

/// Whether there is a bucket of this name that may be used.
///
/// # Errors
///
/// It is somebody else's, or in another region; S3 can't be asked.
pub(crate) async fn exists(cloud: &Cloud, bucket: &str) -> Result<bool> {
    let what = || format!("could not look at the bucket `{bucket}`");
    match cloud.s3.head_bucket().bucket(bucket).send().await {
        // Asked across regions, an endpoint may answer all the same.
        Ok(answer) => match answer.bucket_region() {
            Some(region) if region != cloud.region => Err(elsewhere(cloud, bucket, region)),
            _ => Ok(true),
        },
        Err(SdkError::ServiceError(answer)) => {
            let region = answer.raw().headers().get("x-amz-bucket-region").map(str::to_owned);
            match (answer.raw().status().as_u16(), region) {
                (404, _) => Ok(false),
                (301 | 307 | 400, Some(region)) if region != cloud.region => Err(elsewhere(cloud, bucket, &region)),
                (400..500, _) => refused_in_words(cloud, bucket, &what()).await,
                _ => Err(cloud.explain(&what(), &SdkError::ServiceError(answer))),
            }
        }
        Err(error) => Err(cloud.explain(&what(), &error)),
    }
}

/// Why a HEAD request for the bucket was refused: its errors have no body, and expired credentials look like a permission that is
/// missing. A listing needs the same permission, and says.
async fn refused_in_words(cloud: &Cloud, bucket: &str, what: &str) -> Result<bool> {
    match cloud.s3.list_objects_v2().bucket(bucket).max_keys(1).send().await {
        Ok(_) => Ok(true),
        Err(error) if error.code() == Some("AccessDenied") => Err(Error::new("AccessDenied", what)
            .cause("S3 answers 403: it is somebody else's, or s3:ListBucket is not allowed")
            .hint(format!("allow it: {}", denial::statement("s3:ListBucket", &format!("arn:aws:s3:::{bucket}"))))
            .hint("names of buckets are unique in the whole world: choose another, or ask for permission")),
        Err(error) => Err(cloud.explain(what, &error)),
    }
}

/// Makes the bucket.
///
/// # Errors
///
/// Somebody else has the name; no permission. Then there is none.
pub(crate) async fn create(cloud: &Cloud, bucket: &str) -> Result<()> {
    let mut call = cloud.s3.create_bucket().bucket(bucket);
    // S3's first region is the one that must not be named.
    if cloud.region != "us-east-1" {
        let place = BucketLocationConstraint::from(cloud.region.as_str());
        call =
            call.create_bucket_configuration(CreateBucketConfiguration::builder().location_constraint(place).build());
    }
    match call.send().await {
        Ok(_) => {}
        // Another run was faster, and sets it up.
        Err(error) if error.code() == Some("BucketAlreadyOwnedByYou") => return Ok(()),
        Err(error) => {
            let told = cloud.explain(&format!("could not create the bucket `{bucket}`"), &error);
            return Err(match error.code() {
                Some("BucketAlreadyExists") => {
                    told.hint("names of buckets are unique in the whole world: choose another in `artifact`")
                }
                _ => told,
            });
        }
    }
    match set_up(cloud, bucket).await {
        Ok(()) => Ok(()),
        Err(error) => {
            // Left half set up, it would be taken for finished by the next run.
            let told = match cloud.s3.delete_bucket().bucket(bucket).send().await {
                Ok(_) => error,
                Err(_) => error.hint(format!("the bucket `{bucket}` is there, without it: delete it and run again")),
            };
            Err(told)
        }
    }
}

async fn set_up(cloud: &Cloud, bucket: &str) -> Result<()> {
    let what = |setting: &str| format!("could not set {setting} on the new bucket `{bucket}`");
    let versions = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    cloud
        .s3
        .put_bucket_versioning()
        .bucket(bucket)
        .versioning_configuration(versions)
        .send()
        .await
        .map_err(|error| cloud.explain(&what("versioning"), &error))?;
    let nobody = PublicAccessBlockConfiguration::builder()
        .block_public_acls(true)
        .ignore_public_acls(true)
        .block_public_policy(true)
        .restrict_public_buckets(true)
        .build();
    cloud
        .s3
        .put_public_access_block()
        .bucket(bucket)
        .public_access_block_configuration(nobody)
        .send()
        .await
        .map_err(|error| cloud.explain(&what("the block of public access"), &error))?;
    let bug = |error: aws_sdk_s3::error::BuildError| Error::new("Bug", what("the lifecycle rule")).because(&error);
    let rule = LifecycleRule::builder()
        .id("discard-unfinished-uploads")
        .status(ExpirationStatus::Enabled)
        .filter(LifecycleRuleFilter::builder().prefix("").build())
        .abort_incomplete_multipart_upload(
            AbortIncompleteMultipartUpload::builder().days_after_initiation(UNFINISHED_DAYS).build(),
        )
        .build()
        .map_err(bug)?;
    let lifecycle = BucketLifecycleConfiguration::builder().rules(rule).build().map_err(bug)?;
    cloud
        .s3
        .put_bucket_lifecycle_configuration()
        .bucket(bucket)
        .lifecycle_configuration(lifecycle)
        .send()
        .await
        .map_err(|error| cloud.explain(&what("the lifecycle rule"), &error))?;
    Ok(())
}

fn elsewhere(cloud: &Cloud, bucket: &str, region: &str) -> Error {
    Error::new("WrongRegion", format!("the bucket `{bucket}` is in {region}, not in {}", cloud.region))
        .hint(format!("use `--region {region}`, if the functions are there too"))
        .hint("Lambda takes code only from a bucket in its own region")
}
