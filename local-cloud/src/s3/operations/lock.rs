//! Object Lock: a bucket's default retention, and the retention and legal hold of single versions.

use std::sync::Arc;

use s3s::dto::*;

use super::tagging::change_attributes;
use super::{Answer, plain, settings};
use crate::s3::model::{Lock, Time, Versioning};
use crate::s3::{Context, Refusal, Store};

const NOT_LOCKED: &str = "Bucket is missing Object Lock Configuration";

pub(super) async fn get_configuration(
    store: &Arc<Store>,
    _: &Context,
    input: GetObjectLockConfigurationInput,
) -> Answer<GetObjectLockConfigurationOutput> {
    store.read(|state| {
        let bucket = state.bucket(&input.bucket)?;
        if !bucket.object_lock {
            let message = "Object Lock configuration does not exist for this bucket";
            return Err(
                Refusal::new("ObjectLockConfigurationNotFoundError", 404, message).with("BucketName", input.bucket)
            );
        }
        let stored: Option<ObjectLockConfiguration> = settings::read(bucket, "object-lock");
        let configuration = stored.unwrap_or(ObjectLockConfiguration {
            object_lock_enabled: Some(ObjectLockEnabled::from_static(ObjectLockEnabled::ENABLED)),
            rule: None,
        });
        plain(GetObjectLockConfigurationOutput { object_lock_configuration: Some(configuration) })
    })
}

pub(super) async fn put_configuration(
    store: &Arc<Store>,
    _: &Context,
    input: PutObjectLockConfigurationInput,
) -> Answer<PutObjectLockConfigurationOutput> {
    let Some(configuration) = input.object_lock_configuration else { return Err(Refusal::malformed_xml()) };
    if configuration.object_lock_enabled.as_ref().map(ObjectLockEnabled::as_str) != Some(ObjectLockEnabled::ENABLED) {
        return Err(Refusal::malformed_xml());
    }
    if let Some(rule) = &configuration.rule {
        let retention = rule.default_retention.as_ref().ok_or_else(Refusal::malformed_xml)?;
        let period = match (retention.days, retention.years) {
            (Some(days), None) => days,
            (None, Some(years)) => years,
            _ => return Err(Refusal::malformed_xml()),
        };
        if retention.mode.is_none() || period < 1 {
            return Err(Refusal::invalid_argument(
                "Default retention period must be a positive integer value",
                "Period",
                &period.to_string(),
            ));
        }
    }
    store
        .commit(move |state, _| {
            let bucket = state.bucket_mut(&input.bucket)?;
            if bucket.versioning != Versioning::Enabled {
                let message = "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration";
                return Err(Refusal::new("InvalidBucketState", 409, message));
            }
            bucket.object_lock = true;
            settings::write(bucket, "object-lock", &configuration)
        })
        .await?;
    plain(PutObjectLockConfigurationOutput::default())
}

fn lock_of(store: &Store, bucket: &str, key: &str, version_id: Option<&str>) -> Result<Lock, Refusal> {
    store.read(|state| {
        let (bucket, _, object) = state.readable(bucket, key, version_id)?;
        if !bucket.object_lock {
            return Err(Refusal::invalid_request(NOT_LOCKED));
        }
        Ok(object.attributes.lock.clone())
    })
}

fn not_found() -> Refusal {
    let message = "The specified object does not have a ObjectLock configuration";
    Refusal::new("NoSuchObjectLockConfiguration", 404, message)
}

async fn change(
    store: &Arc<Store>,
    (bucket, key, version_id): (String, String, Option<String>),
    change: impl FnOnce(&mut Lock) -> Result<(), Refusal> + Send + 'static,
) -> Result<(), Refusal> {
    store
        .commit(move |state, _| {
            if !state.bucket(&bucket)?.object_lock {
                return Err(Refusal::invalid_request(NOT_LOCKED));
            }
            change_attributes(state, &bucket, &key, version_id.as_deref(), |attributes| change(&mut attributes.lock))?;
            Ok(())
        })
        .await
}

pub(super) async fn get_retention(
    store: &Arc<Store>,
    _: &Context,
    input: GetObjectRetentionInput,
) -> Answer<GetObjectRetentionOutput> {
    let lock = lock_of(store, &input.bucket, &input.key, input.version_id.as_deref())?;
    let (Some(mode), Some(until)) = (lock.mode, lock.until) else { return Err(not_found()) };
    let retention = ObjectLockRetention { mode: Some(mode.into()), retain_until_date: Some(until.into()) };
    plain(GetObjectRetentionOutput { retention: Some(retention) })
}

pub(super) async fn put_retention(
    store: &Arc<Store>,
    _: &Context,
    input: PutObjectRetentionInput,
) -> Answer<PutObjectRetentionOutput> {
    let retention = input.retention.unwrap_or_default();
    let (mode, until) = (retention.mode, retention.retain_until_date.as_ref().map(Time::from));
    if mode.is_some() != until.is_some() {
        return Err(Refusal::malformed_xml());
    }
    let mode = mode.map(|mode| mode.as_str().to_owned());
    if mode.as_deref().is_some_and(|mode| !["GOVERNANCE", "COMPLIANCE"].contains(&mode)) {
        return Err(Refusal::malformed_xml());
    }
    if until.is_some_and(|until| until <= Time::now()) {
        return Err(Refusal::invalid_argument("The retain until date must be in the future!", "RetainUntilDate", ""));
    }
    let bypass = input.bypass_governance_retention.unwrap_or(false);
    change(store, (input.bucket, input.key, input.version_id), move |lock| {
        let shortened = until.is_none_or(|until| lock.until.is_some_and(|current| until < current))
            || lock.mode.as_deref() == Some("COMPLIANCE") && mode.as_deref() != Some("COMPLIANCE");
        let retained = Lock { legal_hold: None, ..lock.clone() };
        if shortened && retained.holds(Time::now(), bypass) {
            return Err(Refusal::access_denied("Access Denied because object protected by object lock."));
        }
        lock.mode = mode;
        lock.until = until;
        Ok(())
    })
    .await?;
    plain(PutObjectRetentionOutput::default())
}

pub(super) async fn get_legal_hold(
    store: &Arc<Store>,
    _: &Context,
    input: GetObjectLegalHoldInput,
) -> Answer<GetObjectLegalHoldOutput> {
    let lock = lock_of(store, &input.bucket, &input.key, input.version_id.as_deref())?;
    let hold = lock.legal_hold.ok_or_else(not_found)?;
    let status = if hold { ObjectLockLegalHoldStatus::ON } else { ObjectLockLegalHoldStatus::OFF };
    let legal_hold = ObjectLockLegalHold { status: Some(ObjectLockLegalHoldStatus::from_static(status)) };
    plain(GetObjectLegalHoldOutput { legal_hold: Some(legal_hold) })
}

pub(super) async fn put_legal_hold(
    store: &Arc<Store>,
    _: &Context,
    input: PutObjectLegalHoldInput,
) -> Answer<PutObjectLegalHoldOutput> {
    let status = input.legal_hold.and_then(|hold| hold.status);
    let hold = match status.as_ref().map(ObjectLockLegalHoldStatus::as_str) {
        Some("ON") => true,
        Some("OFF") => false,
        _ => return Err(Refusal::malformed_xml()),
    };
    change(store, (input.bucket, input.key, input.version_id), move |lock| {
        lock.legal_hold = Some(hold);
        Ok(())
    })
    .await?;
    plain(PutObjectLegalHoldOutput::default())
}
