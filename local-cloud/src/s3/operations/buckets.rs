//! Buckets themselves: create, find, list, delete; and whether they keep versions.

use std::sync::Arc;

use s3s::dto::*;

use super::{Answer, acl, owner, plain, settings, with_headers};
use crate::s3::attributes::put;
use crate::s3::model::{self, Versioning};
use crate::s3::{Context, Refusal, Store};

pub(super) async fn list(store: &Arc<Store>, _: &Context, input: ListBucketsInput) -> Answer<ListBucketsOutput> {
    let limit = input.max_buckets.unwrap_or(10_000);
    if !(1..=10_000).contains(&limit) {
        return Err(Refusal::invalid_argument(
            "Argument max-buckets must be an integer between 1 and 10000",
            "max-buckets",
            &limit.to_string(),
        ));
    }
    let limit = usize::try_from(limit).unwrap_or(1);
    let prefix = input.prefix.clone().unwrap_or_default();
    let (buckets, next) = store.read(|state| {
        let from = input.continuation_token.as_deref().unwrap_or_default();
        let mut wanted = state.buckets.iter().filter(|(name, bucket)| {
            name.starts_with(&prefix)
                && name.as_str() >= from
                && input.bucket_region.as_deref().is_none_or(|region| region == region_of(bucket))
        });
        let page: Vec<Bucket> = wanted
            .by_ref()
            .take(limit)
            .map(|(name, bucket)| Bucket {
                name: Some(name.clone()),
                creation_date: Some(bucket.created.into()),
                bucket_region: Some(region_of(bucket).to_owned()),
            })
            .collect();
        (page, wanted.next().map(|(name, _)| name.clone()))
    });
    plain(ListBucketsOutput {
        buckets: Some(buckets),
        owner: Some(owner()),
        prefix: input.prefix,
        continuation_token: next,
    })
}

fn region_of(bucket: &model::Bucket) -> &str {
    bucket.region.as_deref().unwrap_or("us-east-1")
}

pub(super) async fn create(
    store: &Arc<Store>,
    context: &Context,
    input: CreateBucketInput,
) -> Answer<CreateBucketOutput> {
    let constraint = input.create_bucket_configuration.and_then(|configuration| configuration.location_constraint);
    let region = constraint.map(|constraint| constraint.as_str().to_owned()).filter(|region| !region.is_empty());
    if region.as_deref() == Some("us-east-1") {
        return Err(Refusal::new("InvalidLocationConstraint", 400, "The specified location-constraint is not valid")
            .with("LocationConstraint", "us-east-1"));
    }
    let object_lock = input.object_lock_enabled_for_bucket.unwrap_or(false);
    let acl = acl::of_headers(&context.headers)?;
    let ownership = input
        .object_ownership
        .map(|ownership| OwnershipControls { rules: vec![OwnershipControlsRule { object_ownership: ownership }] });
    let name = input.bucket.clone();
    store
        .commit(move |state, _| {
            if let Some(existing) = state.buckets.get(&name) {
                // In us-east-1 creating one's own bucket again is no error.
                if existing.region.is_none() && region.is_none() {
                    return Ok(());
                }
                let message = "Your previous request to create the named bucket succeeded and you already own it.";
                return Err(Refusal::new("BucketAlreadyOwnedByYou", 409, message).with("BucketName", name));
            }
            state.buckets.insert(name.clone(), model::Bucket::new(region, object_lock));
            let bucket = state.bucket_mut(&name)?;
            if let Some(acl) = acl {
                bucket.settings.insert("acl".to_owned(), acl);
            }
            if let Some(ownership) = ownership {
                settings::write(bucket, "ownershipControls", &ownership)?;
            }
            Ok(())
        })
        .await?;
    plain(CreateBucketOutput { location: Some(format!("/{}", input.bucket)) })
}

pub(super) async fn head(store: &Arc<Store>, _: &Context, input: HeadBucketInput) -> Answer<HeadBucketOutput> {
    let region = store.read(|state| state.bucket(&input.bucket).map(|bucket| region_of(bucket).to_owned()))?;
    let mut headers = http::HeaderMap::new();
    put(&mut headers, "content-type", "application/xml");
    put(&mut headers, "x-amz-access-point-alias", "false");
    put(&mut headers, "x-amz-bucket-arn", &format!("arn:aws:s3:::{}", input.bucket));
    with_headers(HeadBucketOutput { bucket_region: Some(region), ..HeadBucketOutput::default() }, headers)
}

pub(super) async fn delete(store: &Arc<Store>, _: &Context, input: DeleteBucketInput) -> Answer<DeleteBucketOutput> {
    store
        .commit(move |state, _| {
            let bucket = state.bucket_mut(&input.bucket)?;
            if !bucket.keys.is_empty() {
                let message = match bucket.versioning {
                    Versioning::Never => "The bucket you tried to delete is not empty",
                    _ => "The bucket you tried to delete is not empty. You must delete all versions in the bucket.",
                };
                return Err(Refusal::new("BucketNotEmpty", 409, message).with("BucketName", input.bucket));
            }
            state.buckets.remove(&input.bucket);
            Ok(())
        })
        .await?;
    plain(DeleteBucketOutput {})
}

pub(super) async fn location(
    store: &Arc<Store>,
    _: &Context,
    input: GetBucketLocationInput,
) -> Answer<GetBucketLocationOutput> {
    let region = store.read(|state| state.bucket(&input.bucket).map(|bucket| bucket.region.clone()))?;
    plain(GetBucketLocationOutput { location_constraint: region.map(BucketLocationConstraint::from) })
}

pub(super) async fn get_versioning(
    store: &Arc<Store>,
    _: &Context,
    input: GetBucketVersioningInput,
) -> Answer<GetBucketVersioningOutput> {
    let versioning = store.read(|state| state.bucket(&input.bucket).map(|bucket| bucket.versioning))?;
    let status = match versioning {
        Versioning::Never => None,
        Versioning::Enabled => Some(BucketVersioningStatus::ENABLED),
        Versioning::Suspended => Some(BucketVersioningStatus::SUSPENDED),
    };
    plain(GetBucketVersioningOutput { status: status.map(BucketVersioningStatus::from_static), mfa_delete: None })
}

pub(super) async fn put_versioning(
    store: &Arc<Store>,
    _: &Context,
    input: PutBucketVersioningInput,
) -> Answer<PutBucketVersioningOutput> {
    let status = input.versioning_configuration.status;
    let versioning = match status.as_ref().map(BucketVersioningStatus::as_str) {
        Some(BucketVersioningStatus::ENABLED) => Versioning::Enabled,
        Some(BucketVersioningStatus::SUSPENDED) => Versioning::Suspended,
        None => {
            let message = "The Versioning element must be specified";
            return Err(Refusal::new("IllegalVersioningConfigurationException", 400, message));
        }
        Some(_) => return Err(Refusal::malformed_xml()),
    };
    store
        .commit(move |state, _| {
            let bucket = state.bucket_mut(&input.bucket)?;
            if bucket.object_lock && versioning == Versioning::Suspended {
                let message = "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.";
                return Err(Refusal::new("InvalidBucketState", 409, message));
            }
            bucket.versioning = versioning;
            Ok(())
        })
        .await?;
    plain(PutBucketVersioningOutput {})
}
