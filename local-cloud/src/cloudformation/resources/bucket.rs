//! `AWS::S3::Bucket` and `AWS::S3::BucketPolicy`.

use s3s::dto;
use serde_json::{Map, Value};

use super::{Attributes, Failure, Made, Place, Properties, Result, Services};
use crate::cloudformation::functions::as_text;
use crate::s3::{Configuration, Refusal};

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::service("S3", refusal.status(), refusal.message())
    }
}

fn malformed(path: &str) -> Failure {
    Failure::property(&format!("Value of property {{{path}}} is not valid"))
}

fn text(members: &Map<String, Value>, name: &str) -> Option<String> {
    members.get(name).and_then(as_text)
}

fn flag(members: &Map<String, Value>, name: &str) -> Option<bool> {
    text(members, name).map(|text| text == "true")
}

fn days(members: &Map<String, Value>, name: &str, path: &str) -> Result<Option<i32>> {
    text(members, name).map(|text| text.parse().map_err(|_| malformed(&format!("{path}/{name}")))).transpose()
}

/// Refuses members that are not among these.
fn only(members: &Map<String, Value>, names: &[&str], path: &str) -> Result<()> {
    match members.keys().find(|name| !names.contains(&name.as_str())) {
        Some(name) => Err(Failure::property(&format!("Encountered unsupported properties in {{{path}}}: [{name}]"))),
        None => Ok(()),
    }
}

pub(super) async fn create(services: &Services, place: &Place, wanted: &Properties) -> Result<Made> {
    let configurations = configurations(&Properties::default(), wanted)?;
    let name = wanted.text("BucketName")?.unwrap_or_else(|| place.generated_name(63).to_lowercase());
    services.store.provision_bucket(&name, &place.region).await?;
    for configuration in configurations {
        if let Err(refusal) = services.store.configure_bucket(&name, configuration).await {
            // A bucket that could not be made whole is not there.
            services.store.remove_bucket(&name).await?;
            return Err(refusal.into());
        }
    }
    Ok(Made { attributes: attributes(place, &name), physical_id: name })
}

fn attributes(place: &Place, name: &str) -> Attributes {
    let region = &place.region;
    [
        ("Arn", format!("arn:aws:s3:::{name}")),
        ("DomainName", format!("{name}.s3.amazonaws.com")),
        ("DualStackDomainName", format!("{name}.s3.dualstack.{region}.amazonaws.com")),
        ("RegionalDomainName", format!("{name}.s3.{region}.amazonaws.com")),
        ("WebsiteURL", format!("http://{name}.s3-website-{region}.amazonaws.com")),
    ]
    .map(|(attribute, value)| (attribute.to_owned(), value.into()))
    .into()
}

pub(super) async fn update(
    services: &Services,
    place: &Place,
    name: &str,
    before: &Properties,
    wanted: &Properties,
) -> Result<Attributes> {
    for configuration in configurations(before, wanted)? {
        services.store.configure_bucket(name, configuration).await?;
    }
    Ok(attributes(place, name))
}

pub(super) async fn delete(services: &Services, name: &str) -> Result<()> {
    match services.store.remove_bucket(name).await {
        Err(refusal) if refusal.code() != "NoSuchBucket" => Err(refusal.into()),
        _ => Ok(()),
    }
}

/// What has to be set or removed to get from one set of properties to another.
fn configurations(before: &Properties, wanted: &Properties) -> Result<Vec<Configuration>> {
    let changed = |name: &str| wanted.get(name) != before.get(name);
    let mut configurations = Vec::new();
    if changed("VersioningConfiguration") {
        let status = wanted.object("VersioningConfiguration")?.and_then(|versioning| text(versioning, "Status"));
        match status.as_deref() {
            Some("Enabled") => configurations.push(Configuration::Versioning(true)),
            // A bucket that has been versioned can only be suspended.
            Some("Suspended") | None if before.get("VersioningConfiguration").is_some() => {
                configurations.push(Configuration::Versioning(false));
            }
            Some("Suspended") => configurations.push(Configuration::Versioning(false)),
            _ => return Err(malformed("/VersioningConfiguration/Status")),
        }
    }
    if changed("PublicAccessBlockConfiguration") {
        let block = wanted.object("PublicAccessBlockConfiguration")?.map(|block| dto::PublicAccessBlockConfiguration {
            block_public_acls: flag(block, "BlockPublicAcls"),
            block_public_policy: flag(block, "BlockPublicPolicy"),
            ignore_public_acls: flag(block, "IgnorePublicAcls"),
            restrict_public_buckets: flag(block, "RestrictPublicBuckets"),
        });
        configurations.push(Configuration::PublicAccessBlock(block));
    }
    if changed("LifecycleConfiguration") {
        configurations.push(Configuration::Lifecycle(lifecycle(wanted)?));
    }
    if changed("BucketEncryption") {
        configurations.push(Configuration::Encryption(encryption(wanted)?));
    }
    if changed("OwnershipControls") {
        configurations.push(Configuration::Ownership(ownership(wanted)?));
    }
    if wanted.tags()? != before.tags()? {
        let tags = wanted.tags()?.into_iter().map(|(key, value)| dto::Tag { key: Some(key), value: Some(value) });
        configurations.push(Configuration::Tags(tags.collect()));
    }
    Ok(configurations)
}

fn lifecycle(wanted: &Properties) -> Result<Option<dto::BucketLifecycleConfiguration>> {
    const PATH: &str = "/LifecycleConfiguration/Rules";
    let Some(configuration) = wanted.object("LifecycleConfiguration")? else { return Ok(None) };
    let rules = configuration.get("Rules").and_then(Value::as_array).ok_or_else(|| malformed(PATH))?;
    let rules: Result<Vec<dto::LifecycleRule>> =
        rules.iter().map(|rule| lifecycle_rule(rule.as_object().ok_or_else(|| malformed(PATH))?)).collect();
    Ok(Some(dto::BucketLifecycleConfiguration { rules: rules? }))
}

fn lifecycle_rule(rule: &Map<String, Value>) -> Result<dto::LifecycleRule> {
    const PATH: &str = "/LifecycleConfiguration/Rules";
    let names = [
        "AbortIncompleteMultipartUpload",
        "ExpirationInDays",
        "ExpiredObjectDeleteMarker",
        "Id",
        "NoncurrentVersionExpiration",
        "NoncurrentVersionExpirationInDays",
        "Prefix",
        "Status",
    ];
    only(rule, &names, PATH)?;
    let status = text(rule, "Status").filter(|status| matches!(status.as_str(), "Enabled" | "Disabled"));
    let status = status.ok_or_else(|| malformed(&format!("{PATH}/Status")))?;
    let expiration = (rule.contains_key("ExpirationInDays") || rule.contains_key("ExpiredObjectDeleteMarker"))
        .then(|| -> Result<dto::LifecycleExpiration> {
            Ok(dto::LifecycleExpiration {
                days: days(rule, "ExpirationInDays", PATH)?,
                expired_object_delete_marker: flag(rule, "ExpiredObjectDeleteMarker"),
                date: None,
            })
        })
        .transpose()?;
    let noncurrent = match rule.get("NoncurrentVersionExpiration").and_then(Value::as_object) {
        Some(noncurrent) => Some(dto::NoncurrentVersionExpiration {
            noncurrent_days: days(noncurrent, "NoncurrentDays", PATH)?,
            newer_noncurrent_versions: days(noncurrent, "NewerNoncurrentVersions", PATH)?,
        }),
        None => days(rule, "NoncurrentVersionExpirationInDays", PATH)?.map(|days| dto::NoncurrentVersionExpiration {
            noncurrent_days: Some(days),
            newer_noncurrent_versions: None,
        }),
    };
    let abort = match rule.get("AbortIncompleteMultipartUpload").and_then(Value::as_object) {
        Some(abort) => Some(dto::AbortIncompleteMultipartUpload {
            days_after_initiation: days(abort, "DaysAfterInitiation", PATH)?,
        }),
        None => None,
    };
    Ok(dto::LifecycleRule {
        abort_incomplete_multipart_upload: abort,
        expiration,
        filter: Some(dto::LifecycleRuleFilter {
            prefix: Some(text(rule, "Prefix").unwrap_or_default()),
            ..dto::LifecycleRuleFilter::default()
        }),
        id: text(rule, "Id"),
        noncurrent_version_expiration: noncurrent,
        noncurrent_version_transitions: None,
        prefix: None,
        status: dto::ExpirationStatus::from(status),
        transitions: None,
    })
}

fn encryption(wanted: &Properties) -> Result<Option<dto::ServerSideEncryptionConfiguration>> {
    const PATH: &str = "/BucketEncryption/ServerSideEncryptionConfiguration";
    let Some(configuration) = wanted.object("BucketEncryption")? else { return Ok(None) };
    let rules = configuration.get("ServerSideEncryptionConfiguration").and_then(Value::as_array);
    let rules = rules.ok_or_else(|| malformed(PATH))?.iter().map(|rule| {
        let rule = rule.as_object().ok_or_else(|| malformed(PATH))?;
        let default = rule.get("ServerSideEncryptionByDefault").and_then(Value::as_object);
        let default = default.ok_or_else(|| malformed(PATH))?;
        let algorithm = text(default, "SSEAlgorithm").ok_or_else(|| malformed(PATH))?;
        Ok(dto::ServerSideEncryptionRule {
            apply_server_side_encryption_by_default: Some(dto::ServerSideEncryptionByDefault {
                kms_master_key_id: text(default, "KMSMasterKeyID"),
                sse_algorithm: dto::ServerSideEncryption::from(algorithm),
            }),
            bucket_key_enabled: flag(rule, "BucketKeyEnabled"),
        })
    });
    Ok(Some(dto::ServerSideEncryptionConfiguration { rules: rules.collect::<Result<_>>()? }))
}

fn ownership(wanted: &Properties) -> Result<Option<dto::OwnershipControls>> {
    const PATH: &str = "/OwnershipControls/Rules";
    let Some(configuration) = wanted.object("OwnershipControls")? else { return Ok(None) };
    let rules = configuration.get("Rules").and_then(Value::as_array).ok_or_else(|| malformed(PATH))?;
    let rules = rules.iter().map(|rule| {
        let ownership = rule.get("ObjectOwnership").and_then(as_text).ok_or_else(|| malformed(PATH))?;
        Ok(dto::OwnershipControlsRule { object_ownership: dto::ObjectOwnership::from(ownership) })
    });
    Ok(Some(dto::OwnershipControls { rules: rules.collect::<Result<_>>()? }))
}

pub(super) async fn create_policy(services: &Services, wanted: &Properties) -> Result<Made> {
    let bucket = wanted.required("Bucket")?;
    let document = wanted.document("PolicyDocument")?;
    services.store.configure_bucket(&bucket, Configuration::Policy(Some(document))).await?;
    Ok(Made { physical_id: bucket, attributes: Attributes::new() })
}

pub(super) async fn delete_policy(services: &Services, bucket: &str) -> Result<()> {
    match services.store.configure_bucket(bucket, Configuration::Policy(None)).await {
        Err(refusal) if refusal.code() != "NoSuchBucket" => Err(refusal.into()),
        _ => Ok(()),
    }
}
