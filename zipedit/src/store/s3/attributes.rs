//! What an object has besides its bytes, and how it is passed on to its successor.

use std::collections::{BTreeMap, HashMap};
use std::time::SystemTime;

use aws_sdk_s3::operation::copy_object::builders::CopyObjectFluentBuilder;
use aws_sdk_s3::operation::create_multipart_upload::builders::CreateMultipartUploadFluentBuilder;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use aws_sdk_s3::types::{
    ObjectLockEventHold, ObjectLockLegalHoldStatus, ObjectLockMode, ServerSideEncryption, StorageClass, Tag,
};

use super::StoreError;
use crate::stamp::Stamp;

/// Headers, metadata, tags, storage class, encryption and locks of an object.
///
/// Its ACL is not among them: buckets made since April 2023 have ACLs disabled, and reading one takes a permission and
/// a request of its own. Of tags S3 tells only those who may read them (`s3:GetObjectTagging`).
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Attributes {
    content_type: Option<String>,
    cache_control: Option<String>,
    content_disposition: Option<String>,
    content_encoding: Option<String>,
    content_language: Option<String>,
    expires: Option<DateTime>,
    website_redirect_location: Option<String>,
    metadata: Option<HashMap<String, String>>,
    storage_class: Option<StorageClass>,
    server_side_encryption: Option<ServerSideEncryption>,
    kms_key_id: Option<String>,
    bucket_key_enabled: Option<bool>,
    lock_mode: Option<ObjectLockMode>,
    lock_until: Option<DateTime>,
    legal_hold: Option<ObjectLockLegalHoldStatus>,
    event_hold: Option<ObjectLockEventHold>,
    event_hold_days: Option<i32>,
    event_hold_years: Option<i32>,
    /// As a query string, sorted by key.
    tagging: Option<String>,
}

/// GetObject and HeadObject answer with the same headers in different types.
macro_rules! read_from {
    ($answer:expr) => {{
        let answer = $answer;
        if let Some(missing @ 1..) = answer.missing_meta() {
            return Err(unsupported(&format!(
                "{missing} of its metadata entries cannot be read over HTTP and would be lost: write the object's \
                 metadata again with ASCII names and values"
            )));
        }
        if answer.sse_customer_algorithm().is_some() {
            return Err(unsupported(
                "it is encrypted with a key of the customer's own (SSE-C), which Lambda cannot read either: store it \
                 with SSE-S3 or SSE-KMS",
            ));
        }
        // S3 takes no retention that is over: then the bucket's default counts again.
        let is_retained = answer.object_lock_retain_until_date().is_some_and(is_to_come);
        Ok(Attributes {
            content_type: answer.content_type().map(str::to_owned),
            cache_control: answer.cache_control().map(str::to_owned),
            content_disposition: answer.content_disposition().map(str::to_owned),
            content_encoding: answer.content_encoding().map(str::to_owned),
            content_language: answer.content_language().map(str::to_owned),
            expires: answer.expires_string().map(expires).transpose()?,
            website_redirect_location: answer.website_redirect_location().map(str::to_owned),
            metadata: answer.metadata().filter(|metadata| !metadata.is_empty()).cloned(),
            storage_class: answer.storage_class().cloned(),
            server_side_encryption: answer.server_side_encryption().cloned(),
            kms_key_id: answer.ssekms_key_id().map(str::to_owned),
            bucket_key_enabled: answer.bucket_key_enabled(),
            lock_mode: answer.object_lock_mode().filter(|_| is_retained).cloned(),
            lock_until: answer.object_lock_retain_until_date().filter(|_| is_retained).copied(),
            legal_hold: answer.object_lock_legal_hold_status().cloned(),
            event_hold: answer.object_lock_event_hold().cloned(),
            event_hold_days: answer.object_lock_event_hold_duration_days(),
            event_hold_years: answer.object_lock_event_hold_duration_years(),
            tagging: None,
        })
    }};
}

/// PutObject, CreateMultipartUpload and CopyObject take the same headers in different types.
macro_rules! write_to {
    ($attributes:expr, $request:expr) => {{
        let attributes = $attributes.clone();
        $request
            .set_content_type(attributes.content_type)
            .set_cache_control(attributes.cache_control)
            .set_content_disposition(attributes.content_disposition)
            .set_content_encoding(attributes.content_encoding)
            .set_content_language(attributes.content_language)
            .set_expires(attributes.expires)
            .set_website_redirect_location(attributes.website_redirect_location)
            .set_metadata(attributes.metadata)
            .set_storage_class(attributes.storage_class)
            .set_server_side_encryption(attributes.server_side_encryption)
            .set_ssekms_key_id(attributes.kms_key_id)
            .set_bucket_key_enabled(attributes.bucket_key_enabled)
            .set_object_lock_mode(attributes.lock_mode)
            .set_object_lock_retain_until_date(attributes.lock_until)
            .set_object_lock_legal_hold_status(attributes.legal_hold)
            .set_object_lock_event_hold(attributes.event_hold)
            .set_object_lock_event_hold_duration_days(attributes.event_hold_days)
            .set_object_lock_event_hold_duration_years(attributes.event_hold_years)
            .set_tagging(attributes.tagging)
    }};
}

impl Attributes {
    pub(super) fn of_get(answer: &GetObjectOutput) -> Result<Self, StoreError> {
        read_from!(answer)
    }

    /// Those of a zip that is the first of its name.
    pub(super) fn of_new_zip() -> Self {
        Self { content_type: Some("application/zip".to_owned()), ..Self::default() }
    }

    pub(super) fn of_head(answer: &HeadObjectOutput) -> Result<Self, StoreError> {
        read_from!(answer)
    }

    pub(super) fn on_put(&self, request: PutObjectFluentBuilder) -> PutObjectFluentBuilder {
        write_to!(self, request)
    }

    pub(super) fn on_create(&self, request: CreateMultipartUploadFluentBuilder) -> CreateMultipartUploadFluentBuilder {
        write_to!(self, request)
    }

    pub(super) fn on_copy(&self, request: CopyObjectFluentBuilder) -> CopyObjectFluentBuilder {
        write_to!(self, request)
    }

    /// As they are passed on to a successor whose writer says this of itself.
    pub(super) fn stamped(&self, stamp: &Stamp) -> Self {
        Self { metadata: stamp.onto(self.metadata.as_ref()), ..self.clone() }
    }

    /// As they are passed on to a copy of this version that takes `current`'s place.
    pub(super) fn restored(&self, current: Option<&Self>) -> Self {
        let archived = matches!(self.storage_class, Some(StorageClass::Glacier | StorageClass::DeepArchive));
        let storage_class = match current {
            Some(current) => current.storage_class.clone(),
            None => self.storage_class.clone().filter(|_| !archived),
        };
        Self { storage_class, ..self.clone() }
    }

    pub(super) fn storage_class(&self) -> &str {
        self.storage_class.as_ref().map_or("STANDARD", StorageClass::as_str)
    }

    pub(super) fn encryption(&self) -> Option<(&str, Option<&str>)> {
        self.server_side_encryption.as_ref().map(|algorithm| (algorithm.as_str(), self.kms_key_id.as_deref()))
    }

    pub(super) fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.as_ref()?.get(key).map(String::as_str)
    }

    /// Whether both have the same user metadata: with a stamp in it, that they are of the same write.
    pub(super) fn has_metadata_of(&self, other: &Self) -> bool {
        self.metadata == other.metadata
    }

    pub(super) fn set_tags(&mut self, tags: &[Tag]) {
        let sorted: BTreeMap<&str, &str> = tags.iter().map(|tag| (tag.key(), tag.value())).collect();
        let pairs = sorted.iter().map(|(key, value)| format!("{}={}", encode(key), encode(value)));
        self.tagging = Some(pairs.collect::<Vec<_>>().join("&")).filter(|tagging| !tagging.is_empty());
    }
}

/// `x-amz-tagging` is a query string.
fn encode(text: &str) -> String {
    super::encode_key(text).replace('/', "%2F")
}

fn expires(text: &str) -> Result<DateTime, StoreError> {
    DateTime::from_str(text, DateTimeFormat::HttpDate).map_err(|_| {
        unsupported(&format!("its Expires header, `{text}`, is no HTTP date and could not be written again: mend it"))
    })
}

fn is_to_come(time: &DateTime) -> bool {
    *time > DateTime::from(SystemTime::now())
}

fn unsupported(reason: &str) -> StoreError {
    StoreError::Unsupported { reason: reason.to_owned() }
}
