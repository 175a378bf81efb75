//! Tags of objects, by version, and of buckets.

use std::sync::Arc;

use http::HeaderMap;
use s3s::dto::*;

use super::{Answer, plain, settings, with_headers};
use crate::s3::attributes::{check_tags, put_opt, shown_version};
use crate::s3::model::Attributes;
use crate::s3::store::State;
use crate::s3::{Context, Refusal, Store};

fn pairs(tagging: Tagging) -> Result<Vec<(String, String)>, Refusal> {
    let pair = |tag: Tag| tag.key.zip(Some(tag.value.unwrap_or_default()));
    tagging.tag_set.into_iter().map(|tag| pair(tag).ok_or_else(Refusal::malformed_xml)).collect()
}

fn tag_set(tags: &[(String, String)]) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag { key: Some(key.clone()), value: Some(value.clone()) }).collect()
}

pub(super) async fn get(
    store: &Arc<Store>,
    _: &Context,
    input: GetObjectTaggingInput,
) -> Answer<GetObjectTaggingOutput> {
    store.read(|state| {
        let (bucket, version, object) = state.readable(&input.bucket, &input.key, input.version_id.as_deref())?;
        plain(GetObjectTaggingOutput {
            tag_set: tag_set(&object.attributes.tags),
            version_id: shown_version(bucket, version),
        })
    })
}

/// Changes the attributes of an object in place, and says which version that was.
pub(super) fn change_attributes(
    state: &mut State,
    bucket: &str,
    key: &str,
    version_id: Option<&str>,
    change: impl FnOnce(&mut Attributes) -> Result<(), Refusal>,
) -> Result<Option<String>, Refusal> {
    let (found, version, object) = state.readable(bucket, key, version_id)?;
    let mut attributes = (*object.attributes).clone();
    change(&mut attributes)?;
    let (id, shown) = (version.id.clone(), shown_version(found, version));
    let version = state.key_mut(bucket, key)?.version_mut(key, Some(&id));
    if let Some(object) = version.and_then(|version| version.object.as_mut()) {
        object.attributes = Arc::new(attributes);
    }
    Ok(shown)
}

async fn replace(
    store: &Arc<Store>,
    bucket: String,
    key: String,
    version_id: Option<String>,
    tags: Vec<(String, String)>,
) -> Result<HeaderMap, Refusal> {
    let version_id = store
        .commit(move |state, _| {
            change_attributes(state, &bucket, &key, version_id.as_deref(), |attributes| {
                attributes.tags = tags;
                Ok(())
            })
        })
        .await?;
    let mut headers = HeaderMap::new();
    put_opt(&mut headers, "x-amz-version-id", version_id.as_deref());
    Ok(headers)
}

pub(super) async fn put(
    store: &Arc<Store>,
    _: &Context,
    input: PutObjectTaggingInput,
) -> Answer<PutObjectTaggingOutput> {
    let tags = pairs(input.tagging)?;
    check_tags(&tags, 10)?;
    let headers = replace(store, input.bucket, input.key, input.version_id, tags).await?;
    with_headers(PutObjectTaggingOutput::default(), headers)
}

pub(super) async fn delete(
    store: &Arc<Store>,
    _: &Context,
    input: DeleteObjectTaggingInput,
) -> Answer<DeleteObjectTaggingOutput> {
    let headers = replace(store, input.bucket, input.key, input.version_id, Vec::new()).await?;
    with_headers(DeleteObjectTaggingOutput::default(), headers)
}

pub(super) async fn get_bucket(
    store: &Arc<Store>,
    _: &Context,
    input: GetBucketTaggingInput,
) -> Answer<GetBucketTaggingOutput> {
    let tagging: Option<Tagging> =
        store.try_read(|state| Ok(settings::read(state.bucket(&input.bucket)?, "tagging")))?;
    let tagging = tagging.ok_or_else(|| {
        Refusal::new("NoSuchTagSet", 404, "The TagSet does not exist").with("BucketName", input.bucket)
    })?;
    plain(GetBucketTaggingOutput { tag_set: tagging.tag_set })
}

pub(super) async fn put_bucket(
    store: &Arc<Store>,
    _: &Context,
    input: PutBucketTaggingInput,
) -> Answer<PutBucketTaggingOutput> {
    check_tags(&pairs(input.tagging.clone())?, 50)?;
    let tagging = input.tagging;
    store.commit(move |state, _| settings::write(state.bucket_mut(&input.bucket)?, "tagging", &tagging)).await?;
    plain(PutBucketTaggingOutput {})
}

pub(super) async fn delete_bucket(
    store: &Arc<Store>,
    _: &Context,
    input: DeleteBucketTaggingInput,
) -> Answer<DeleteBucketTaggingOutput> {
    settings::remove(store, input.bucket, "tagging").await?;
    plain(DeleteBucketTaggingOutput {})
}
