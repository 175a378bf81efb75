//! A bucket's configurations that are kept and shown as they were given. Of all of them only default encryption and
//! default retention change what the local cloud does.

use std::sync::Arc;

use s3s::dto::*;
use s3s::xml::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Answer, plain};
use crate::s3::model::{self, Lock, Time};
use crate::s3::{Context, Refusal, Store};

pub(crate) fn to_xml(value: &impl Serialize) -> Result<String, Refusal> {
    let mut xml = Vec::new();
    value.serialize(&mut Serializer::new(&mut xml)).map_err(Refusal::internal)?;
    String::from_utf8(xml).map_err(Refusal::internal)
}

pub(crate) fn of_xml<T: for<'xml> Deserialize<'xml>>(xml: &str) -> Option<T> {
    T::deserialize(&mut Deserializer::new(xml.as_bytes())).ok()
}

/// A configuration of a bucket, if there is one.
pub(crate) fn read<T: for<'xml> Deserialize<'xml>>(bucket: &model::Bucket, name: &str) -> Option<T> {
    bucket.settings.get(name).and_then(|xml| of_xml(xml))
}

pub(super) fn write(bucket: &mut model::Bucket, name: &str, value: &impl Serialize) -> Result<(), Refusal> {
    bucket.settings.insert(name.to_owned(), to_xml(value)?);
    Ok(())
}

pub(super) async fn remove(store: &Arc<Store>, bucket: String, name: &'static str) -> Result<(), Refusal> {
    store
        .commit(move |state, _| {
            state.bucket_mut(&bucket)?.settings.remove(name);
            Ok(())
        })
        .await
}

async fn keep<T: Serialize + Send + 'static>(
    store: &Arc<Store>,
    bucket: String,
    name: &'static str,
    value: T,
) -> Result<(), Refusal> {
    store.commit(move |state, _| write(state.bucket_mut(&bucket)?, name, &value)).await
}

fn kept<T: for<'xml> Deserialize<'xml>>(store: &Store, bucket: &str, name: &str) -> Result<Option<T>, Refusal> {
    store.try_read(|state| Ok(read(state.bucket(bucket)?, name)))
}

/// What a new object in the bucket is locked by, if nothing else is asked for.
pub(crate) fn default_retention(bucket: &model::Bucket) -> Option<Lock> {
    let configuration: ObjectLockConfiguration = read(bucket, "object-lock")?;
    let retention = configuration.rule?.default_retention?;
    let days = retention.days.unwrap_or(0) + 365 * retention.years.unwrap_or(0);
    let seconds = u64::try_from(days).ok()? * 24 * 3600;
    let until = std::time::SystemTime::now() + std::time::Duration::from_secs(seconds);
    let mode = retention.mode?.as_str().to_owned();
    Some(Lock { mode: Some(mode), until: Some(Time::from(&Timestamp::from(until))), legal_hold: None })
}

/// A configuration that isn't there.
pub(super) fn missing(code: &'static str, message: &'static str, bucket: String) -> Refusal {
    Refusal::new(code, 404, message).with("BucketName", bucket)
}

pub(super) async fn get_cors(
    store: &Arc<Store>,
    _: &Context,
    input: GetBucketCorsInput,
) -> Answer<GetBucketCorsOutput> {
    let cors: Option<CORSConfiguration> = kept(store, &input.bucket, "cors")?;
    let cors =
        cors.ok_or_else(|| missing("NoSuchCORSConfiguration", "The CORS configuration does not exist", input.bucket))?;
    plain(GetBucketCorsOutput { cors_rules: Some(cors.cors_rules) })
}

pub(super) async fn put_cors(
    store: &Arc<Store>,
    _: &Context,
    input: PutBucketCorsInput,
) -> Answer<PutBucketCorsOutput> {
    let rules = &input.cors_configuration.cors_rules;
    if rules.is_empty() {
        return Err(Refusal::malformed_xml());
    }
    if let Some(method) = rules
        .iter()
        .flat_map(|rule| &rule.allowed_methods)
        .find(|method| !["GET", "PUT", "HEAD", "POST", "DELETE"].contains(&method.as_str()))
    {
        return Err(Refusal::invalid_request(format!(
            "Found unsupported HTTP method in CORS config. Unsupported method is {method}"
        )));
    }
    keep(store, input.bucket, "cors", input.cors_configuration).await?;
    plain(PutBucketCorsOutput {})
}

pub(super) async fn delete_cors(
    store: &Arc<Store>,
    _: &Context,
    input: DeleteBucketCorsInput,
) -> Answer<DeleteBucketCorsOutput> {
    remove(store, input.bucket, "cors").await?;
    plain(DeleteBucketCorsOutput {})
}

pub(super) async fn get_lifecycle(
    store: &Arc<Store>,
    _: &Context,
    input: GetBucketLifecycleConfigurationInput,
) -> Answer<GetBucketLifecycleConfigurationOutput> {
    let lifecycle: Option<BucketLifecycleConfiguration> = kept(store, &input.bucket, "lifecycle")?;
    let message = "The lifecycle configuration does not exist";
    let lifecycle = lifecycle.ok_or_else(|| missing("NoSuchLifecycleConfiguration", message, input.bucket))?;
    plain(GetBucketLifecycleConfigurationOutput {
        rules: Some(lifecycle.rules),
        transition_default_minimum_object_size: Some(default_minimum_size()),
    })
}

fn default_minimum_size() -> TransitionDefaultMinimumObjectSize {
    TransitionDefaultMinimumObjectSize::from("all_storage_classes_128K".to_owned())
}

pub(super) async fn put_lifecycle(
    store: &Arc<Store>,
    _: &Context,
    input: PutBucketLifecycleConfigurationInput,
) -> Answer<PutBucketLifecycleConfigurationOutput> {
    let Some(mut lifecycle) = input.lifecycle_configuration.filter(|lifecycle| !lifecycle.rules.is_empty()) else {
        return Err(Refusal::malformed_xml());
    };
    for rule in &mut lifecycle.rules {
        // A rule without a name gets one.
        rule.id.get_or_insert_with(crate::s3::ids::version_id);
    }
    keep(store, input.bucket, "lifecycle", lifecycle).await?;
    plain(PutBucketLifecycleConfigurationOutput {
        transition_default_minimum_object_size: Some(default_minimum_size()),
    })
}

pub(super) async fn delete_lifecycle(
    store: &Arc<Store>,
    _: &Context,
    input: DeleteBucketLifecycleInput,
) -> Answer<DeleteBucketLifecycleOutput> {
    remove(store, input.bucket, "lifecycle").await?;
    plain(DeleteBucketLifecycleOutput {})
}

/// SSE-S3, which every bucket has had by default since 2023.
fn default_encryption() -> ServerSideEncryptionConfiguration {
    let by_default = ServerSideEncryptionByDefault {
        kms_master_key_id: None,
        sse_algorithm: ServerSideEncryption::from_static(ServerSideEncryption::AES256),
    };
    let rule = ServerSideEncryptionRule {
        apply_server_side_encryption_by_default: Some(by_default),
        bucket_key_enabled: Some(false),
    };
    ServerSideEncryptionConfiguration { rules: vec![rule] }
}

pub(super) async fn get_encryption(
    store: &Arc<Store>,
    _: &Context,
    input: GetBucketEncryptionInput,
) -> Answer<GetBucketEncryptionOutput> {
    let configuration = kept(store, &input.bucket, "encryption")?.unwrap_or_else(default_encryption);
    plain(GetBucketEncryptionOutput { server_side_encryption_configuration: Some(configuration) })
}

pub(super) async fn put_encryption(
    store: &Arc<Store>,
    _: &Context,
    input: PutBucketEncryptionInput,
) -> Answer<PutBucketEncryptionOutput> {
    let mut configuration = input.server_side_encryption_configuration;
    let [rule] = configuration.rules.as_mut_slice() else { return Err(Refusal::malformed_xml()) };
    let Some(default) = &rule.apply_server_side_encryption_by_default else { return Err(Refusal::malformed_xml()) };
    match default.sse_algorithm.as_str() {
        "AES256" if default.kms_master_key_id.is_some() => {
            let message =
                "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse";
            return Err(Refusal::invalid_argument(message, "ApplyServerSideEncryptionByDefault", "AES256"));
        }
        "AES256" | "aws:kms" | "aws:kms:dsse" => {}
        _ => return Err(Refusal::malformed_xml()),
    }
    rule.bucket_key_enabled.get_or_insert(false);
    keep(store, input.bucket, "encryption", configuration).await?;
    plain(PutBucketEncryptionOutput {})
}

pub(super) async fn delete_encryption(
    store: &Arc<Store>,
    _: &Context,
    input: DeleteBucketEncryptionInput,
) -> Answer<DeleteBucketEncryptionOutput> {
    remove(store, input.bucket, "encryption").await?;
    plain(DeleteBucketEncryptionOutput {})
}

pub(super) async fn get_public_access_block(
    store: &Arc<Store>,
    _: &Context,
    input: GetPublicAccessBlockInput,
) -> Answer<GetPublicAccessBlockOutput> {
    let stored = store.try_read(|state| Ok(state.bucket(&input.bucket)?.settings.get("publicAccessBlock").cloned()))?;
    let configuration = match stored.as_deref() {
        // A new bucket blocks everything.
        None => Some(PublicAccessBlockConfiguration {
            block_public_acls: Some(true),
            block_public_policy: Some(true),
            ignore_public_acls: Some(true),
            restrict_public_buckets: Some(true),
        }),
        Some(REMOVED) => None,
        Some(xml) => of_xml(xml),
    };
    let message = "The public access block configuration was not found";
    let configuration =
        configuration.ok_or_else(|| missing("NoSuchPublicAccessBlockConfiguration", message, input.bucket))?;
    plain(GetPublicAccessBlockOutput { public_access_block_configuration: Some(configuration) })
}

/// Stands for a configuration that was there by default and has been deleted.
const REMOVED: &str = "";

pub(super) async fn remove_default(store: &Arc<Store>, bucket: String, name: &'static str) -> Result<(), Refusal> {
    store
        .commit(move |state, _| {
            state.bucket_mut(&bucket)?.settings.insert(name.to_owned(), REMOVED.to_owned());
            Ok(())
        })
        .await
}

pub(super) async fn put_public_access_block(
    store: &Arc<Store>,
    _: &Context,
    input: PutPublicAccessBlockInput,
) -> Answer<PutPublicAccessBlockOutput> {
    let given = input.public_access_block_configuration;
    let filled = PublicAccessBlockConfiguration {
        block_public_acls: Some(given.block_public_acls.unwrap_or(false)),
        block_public_policy: Some(given.block_public_policy.unwrap_or(false)),
        ignore_public_acls: Some(given.ignore_public_acls.unwrap_or(false)),
        restrict_public_buckets: Some(given.restrict_public_buckets.unwrap_or(false)),
    };
    keep(store, input.bucket, "publicAccessBlock", filled).await?;
    plain(PutPublicAccessBlockOutput {})
}

pub(super) async fn delete_public_access_block(
    store: &Arc<Store>,
    _: &Context,
    input: DeletePublicAccessBlockInput,
) -> Answer<DeletePublicAccessBlockOutput> {
    remove_default(store, input.bucket, "publicAccessBlock").await?;
    plain(DeletePublicAccessBlockOutput {})
}

pub(super) async fn get_ownership(
    store: &Arc<Store>,
    _: &Context,
    input: GetBucketOwnershipControlsInput,
) -> Answer<GetBucketOwnershipControlsOutput> {
    let stored = store.try_read(|state| Ok(state.bucket(&input.bucket)?.settings.get("ownershipControls").cloned()))?;
    let controls = match stored.as_deref() {
        None => Some(OwnershipControls {
            rules: vec![OwnershipControlsRule {
                object_ownership: ObjectOwnership::from_static(ObjectOwnership::BUCKET_OWNER_ENFORCED),
            }],
        }),
        Some(REMOVED) => None,
        Some(xml) => of_xml(xml),
    };
    let message = "The bucket ownership controls were not found";
    let controls = controls.ok_or_else(|| missing("OwnershipControlsNotFoundError", message, input.bucket))?;
    plain(GetBucketOwnershipControlsOutput { ownership_controls: Some(controls) })
}

pub(super) async fn put_ownership(
    store: &Arc<Store>,
    _: &Context,
    input: PutBucketOwnershipControlsInput,
) -> Answer<PutBucketOwnershipControlsOutput> {
    if input.ownership_controls.rules.len() != 1 {
        return Err(Refusal::malformed_xml());
    }
    keep(store, input.bucket, "ownershipControls", input.ownership_controls).await?;
    plain(PutBucketOwnershipControlsOutput {})
}

pub(super) async fn delete_ownership(
    store: &Arc<Store>,
    _: &Context,
    input: DeleteBucketOwnershipControlsInput,
) -> Answer<DeleteBucketOwnershipControlsOutput> {
    remove_default(store, input.bucket, "ownershipControls").await?;
    plain(DeleteBucketOwnershipControlsOutput {})
}

pub(super) async fn get_website(
    store: &Arc<Store>,
    _: &Context,
    input: GetBucketWebsiteInput,
) -> Answer<GetBucketWebsiteOutput> {
    let website: Option<WebsiteConfiguration> = kept(store, &input.bucket, "website")?;
    let message = "The specified bucket does not have a website configuration";
    let website = website.ok_or_else(|| missing("NoSuchWebsiteConfiguration", message, input.bucket))?;
    plain(GetBucketWebsiteOutput {
        error_document: website.error_document,
        index_document: website.index_document,
        redirect_all_requests_to: website.redirect_all_requests_to,
        routing_rules: website.routing_rules,
    })
}

pub(super) async fn put_website(
    store: &Arc<Store>,
    _: &Context,
    input: PutBucketWebsiteInput,
) -> Answer<PutBucketWebsiteOutput> {
    let website = &input.website_configuration;
    if website.index_document.is_none() && website.redirect_all_requests_to.is_none() {
        let message = "A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty";
        return Err(Refusal::invalid_argument(message, "IndexDocument", "null"));
    }
    keep(store, input.bucket, "website", input.website_configuration).await?;
    plain(PutBucketWebsiteOutput {})
}

pub(super) async fn delete_website(
    store: &Arc<Store>,
    _: &Context,
    input: DeleteBucketWebsiteInput,
) -> Answer<DeleteBucketWebsiteOutput> {
    remove(store, input.bucket, "website").await?;
    plain(DeleteBucketWebsiteOutput {})
}

pub(super) async fn get_logging(
    store: &Arc<Store>,
    _: &Context,
    input: GetBucketLoggingInput,
) -> Answer<GetBucketLoggingOutput> {
    let status: Option<BucketLoggingStatus> = kept(store, &input.bucket, "logging")?;
    plain(GetBucketLoggingOutput { logging_enabled: status.and_then(|status| status.logging_enabled) })
}

pub(super) async fn put_logging(
    store: &Arc<Store>,
    _: &Context,
    input: PutBucketLoggingInput,
) -> Answer<PutBucketLoggingOutput> {
    if let Some(logging) = &input.bucket_logging_status.logging_enabled {
        let target = logging.target_bucket.clone();
        if !store.read(|state| state.buckets.contains_key(&target)) {
            let message = "The target bucket for logging does not exist";
            return Err(Refusal::new("InvalidTargetBucketForLogging", 400, message).with("TargetBucket", target));
        }
    }
    keep(store, input.bucket, "logging", input.bucket_logging_status).await?;
    plain(PutBucketLoggingOutput {})
}

pub(super) async fn get_notification(
    store: &Arc<Store>,
    _: &Context,
    input: GetBucketNotificationConfigurationInput,
) -> Answer<GetBucketNotificationConfigurationOutput> {
    let stored: Option<NotificationConfiguration> = kept(store, &input.bucket, "notification")?;
    let stored = stored.unwrap_or_default();
    plain(GetBucketNotificationConfigurationOutput {
        event_bridge_configuration: stored.event_bridge_configuration,
        lambda_function_configurations: stored.lambda_function_configurations,
        queue_configurations: stored.queue_configurations,
        topic_configurations: stored.topic_configurations,
    })
}

pub(super) async fn put_notification(
    store: &Arc<Store>,
    _: &Context,
    input: PutBucketNotificationConfigurationInput,
) -> Answer<PutBucketNotificationConfigurationOutput> {
    keep(store, input.bucket, "notification", input.notification_configuration).await?;
    plain(PutBucketNotificationConfigurationOutput {})
}

pub(super) async fn get_replication(
    store: &Arc<Store>,
    _: &Context,
    input: GetBucketReplicationInput,
) -> Answer<GetBucketReplicationOutput> {
    let replication: Option<ReplicationConfiguration> = kept(store, &input.bucket, "replication")?;
    let message = "The replication configuration was not found";
    let replication =
        replication.ok_or_else(|| missing("ReplicationConfigurationNotFoundError", message, input.bucket))?;
    plain(GetBucketReplicationOutput { replication_configuration: Some(replication) })
}

pub(super) async fn put_replication(
    store: &Arc<Store>,
    _: &Context,
    input: PutBucketReplicationInput,
) -> Answer<PutBucketReplicationOutput> {
    let enabled = store.try_read(|state| Ok(state.bucket(&input.bucket)?.versioning == model::Versioning::Enabled))?;
    if !enabled {
        return Err(Refusal::invalid_request(
            "Versioning must be 'Enabled' on the bucket to apply a replication configuration",
        ));
    }
    keep(store, input.bucket, "replication", input.replication_configuration).await?;
    plain(PutBucketReplicationOutput {})
}

pub(super) async fn delete_replication(
    store: &Arc<Store>,
    _: &Context,
    input: DeleteBucketReplicationInput,
) -> Answer<DeleteBucketReplicationOutput> {
    remove(store, input.bucket, "replication").await?;
    plain(DeleteBucketReplicationOutput {})
}

pub(super) async fn get_request_payment(
    store: &Arc<Store>,
    _: &Context,
    input: GetBucketRequestPaymentInput,
) -> Answer<GetBucketRequestPaymentOutput> {
    let stored: Option<RequestPaymentConfiguration> = kept(store, &input.bucket, "requestPayment")?;
    let payer = stored.map_or_else(|| Payer::from_static(Payer::BUCKET_OWNER), |stored| stored.payer);
    plain(GetBucketRequestPaymentOutput { payer: Some(payer) })
}

pub(super) async fn put_request_payment(
    store: &Arc<Store>,
    _: &Context,
    input: PutBucketRequestPaymentInput,
) -> Answer<PutBucketRequestPaymentOutput> {
    if ![Payer::BUCKET_OWNER, Payer::REQUESTER].contains(&input.request_payment_configuration.payer.as_str()) {
        return Err(Refusal::malformed_xml());
    }
    keep(store, input.bucket, "requestPayment", input.request_payment_configuration).await?;
    plain(PutBucketRequestPaymentOutput {})
}

pub(super) async fn get_accelerate(
    store: &Arc<Store>,
    _: &Context,
    input: GetBucketAccelerateConfigurationInput,
) -> Answer<GetBucketAccelerateConfigurationOutput> {
    let stored: Option<AccelerateConfiguration> = kept(store, &input.bucket, "accelerate")?;
    plain(GetBucketAccelerateConfigurationOutput {
        status: stored.and_then(|stored| stored.status),
        request_charged: None,
    })
}

pub(super) async fn put_accelerate(
    store: &Arc<Store>,
    _: &Context,
    input: PutBucketAccelerateConfigurationInput,
) -> Answer<PutBucketAccelerateConfigurationOutput> {
    let status = input.accelerate_configuration.status.as_ref().map(BucketAccelerateStatus::as_str);
    if !matches!(status, Some(BucketAccelerateStatus::ENABLED | BucketAccelerateStatus::SUSPENDED)) {
        return Err(Refusal::malformed_xml());
    }
    keep(store, input.bucket, "accelerate", input.accelerate_configuration).await?;
    plain(PutBucketAccelerateConfigurationOutput {})
}
