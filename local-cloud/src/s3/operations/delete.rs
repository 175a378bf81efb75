//! Deleting objects, one or up to a thousand at a time.

use std::sync::Arc;

use s3s::dto::*;

use super::{Answer, plain};
use crate::permissions;
use crate::s3::conditions::check_delete;
use crate::s3::model::{Deleted, Moment, NULL, Time, Versioning};
use crate::s3::store::State;
use crate::s3::{Context, Refusal, Store, ids};

/// What one delete is about.
struct Target<'a> {
    bucket: &'a str,
    key: &'a str,
    version_id: Option<&'a str>,
    condition: Option<&'a ETagCondition>,
    bypass_governance: bool,
}

/// Deletes one object or version. Deleting what isn't there is no error, except on a condition.
fn delete(state: &mut State, target: &Target<'_>, now: Moment) -> Result<Deleted, Refusal> {
    let bucket = state.bucket(target.bucket)?;
    check_delete(target.condition, bucket, target.key)?;
    let Some(id) = target.version_id else {
        return Ok(state.key_mut(target.bucket, target.key)?.delete(target.key, now));
    };
    let Some(version) = bucket.version(target.key, id) else {
        let possible = id == NULL || (bucket.versioning != Versioning::Never && ids::is_version_id(id));
        if !possible {
            return Err(Refusal::invalid_argument("Invalid version id specified", "versionId", id));
        }
        let shown = (bucket.versioning != Versioning::Never).then(|| id.to_owned());
        return Ok(Deleted { version_id: shown, delete_marker: false });
    };
    let held = version
        .object
        .as_ref()
        .is_some_and(|object| object.attributes.lock.holds(Time::now(), target.bypass_governance));
    if held {
        return Err(Refusal::access_denied("Access Denied because object protected by object lock."));
    }
    let delete_marker = version.object.is_none();
    let shown = (bucket.versioning != Versioning::Never).then(|| id.to_owned());
    state.key_mut(target.bucket, target.key)?.delete_version(target.key, id, now);
    Ok(Deleted { version_id: shown, delete_marker })
}

pub(super) async fn one(store: &Arc<Store>, context: &Context, input: DeleteObjectInput) -> Answer<DeleteObjectOutput> {
    for name in ["x-amz-if-match-last-modified-time", "x-amz-if-match-size"] {
        if context.header(name).is_some() {
            return Err(Refusal::header_not_implemented(name, "It is for directory buckets only"));
        }
    }
    let deleted = store
        .commit(move |state, now| {
            let target = Target {
                bucket: &input.bucket,
                key: &input.key,
                version_id: input.version_id.as_deref(),
                condition: input.if_match.as_ref(),
                bypass_governance: input.bypass_governance_retention.unwrap_or(false),
            };
            delete(state, &target, now)
        })
        .await?;
    plain(DeleteObjectOutput {
        delete_marker: deleted.delete_marker.then_some(true),
        version_id: deleted.version_id,
        request_charged: None,
    })
}

pub(super) async fn many(
    store: &Arc<Store>,
    context: &Context,
    input: DeleteObjectsInput,
) -> Answer<DeleteObjectsOutput> {
    let objects = input.delete.objects;
    if objects.is_empty() || objects.len() > 1000 {
        return Err(Refusal::malformed_xml());
    }
    let quiet = input.delete.quiet.unwrap_or(false);
    let bypass_governance = input.bypass_governance_retention.unwrap_or(false);
    let access = context.access.clone();
    let (deleted, errors) = store
        .commit(move |state, now| {
            state.bucket(&input.bucket)?;
            let (mut deleted, mut errors) = (Vec::new(), Vec::new());
            for object in objects {
                let condition = object.e_tag.map(|etag| match etag.value() {
                    "*" => ETagCondition::Any,
                    _ => ETagCondition::ETag(etag),
                });
                let target = Target {
                    bucket: &input.bucket,
                    key: &object.key,
                    version_id: object.version_id.as_deref(),
                    condition: condition.as_ref(),
                    bypass_governance,
                };
                let permitted = access.permit(&[permissions::s3::delete(target.bucket, target.key, target.version_id)]);
                match permitted.and_then(|()| delete(state, &target, now)) {
                    Ok(outcome) if !quiet => deleted.push(shown(object.key, object.version_id, outcome)),
                    Ok(_) => {}
                    Err(refusal) => errors.push(failed(object.key, object.version_id, &refusal)),
                }
            }
            Ok((deleted, errors))
        })
        .await?;
    let some = |list: Vec<_>| if list.is_empty() { None } else { Some(list) };
    plain(DeleteObjectsOutput {
        deleted: some(deleted),
        errors: (!errors.is_empty()).then_some(errors),
        request_charged: None,
    })
}

fn shown(key: String, version_id: Option<String>, outcome: Deleted) -> DeletedObject {
    DeletedObject {
        key: Some(key),
        delete_marker: outcome.delete_marker.then_some(true),
        delete_marker_version_id: outcome.version_id.filter(|_| outcome.delete_marker),
        version_id,
    }
}

fn failed(key: String, version_id: Option<String>, refusal: &Refusal) -> Error {
    // Inside a list S3 calls this by another name.
    let (code, message) = match refusal.code() {
        "InvalidArgument" => ("NoSuchVersion", "The specified version does not exist."),
        code => (code, refusal.message()),
    };
    Error { code: Some(code.to_owned()), message: Some(message.to_owned()), key: Some(key), version_id }
}
