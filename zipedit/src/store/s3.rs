//! Artifacts in S3, through `aws-sdk-s3`.
//!
//! What S3 does and doesn't do on its own shapes this file: an upload inherits nothing from the object that it
//! replaces, so headers, metadata, tags, storage class, encryption and locks are read with the tail and sent again; a
//! range that S3 doesn't like is answered with the whole object; a body can end early without an error.

mod attributes;
mod copy;
mod endpoint;
mod errors;
mod object;
mod precondition;
mod probe;
mod replace;
mod settle;
mod version;

use std::ops::Range;
use std::time::{Duration, SystemTime};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Builder, StalledStreamProtectionConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart};
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use futures::stream::BoxStream;

use self::attributes::Attributes;
use self::errors::store_error;
pub use self::object::S3Object;
pub use self::precondition::{Heed, Precondition, Probed, enumerated};
pub use self::probe::PROBE_SUFFIX;
pub use self::version::S3Version;
use super::{Slot, Store, StoreError};
use crate::error::Error;
use crate::parts::PartLimits;
use crate::stamp::Stamp;

/// Objects of at most so many bytes are read and written as a whole: below it that is quicker than four round trips.
const SMALL: u64 = 8 << 20;

/// How often the body of one answer may break off before that is an error.
const BODY_TRIES: u32 = 4;

/// One key in one bucket.
#[derive(Debug, Clone)]
pub struct S3Store {
    client: Client,
    bucket: String,
    key: String,
    location: String,
    /// Reads this version instead of the current one.
    version: Option<String>,
    reads_tags: bool,
    /// Goes into the metadata of what is written.
    stamp: Stamp,
}

/// A configuration for edits. Retries ride out throttling and broken connections; the SDK's guard against stalled
/// streams is off, as it was seen to end long part copies; a read time-out takes its place.
#[must_use]
pub fn tuned(config: Builder) -> Builder {
    config
        .retry_config(RetryConfig::standard().with_max_attempts(5).with_initial_backoff(Duration::from_millis(100)))
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(4))
                .read_timeout(Duration::from_secs(60))
                .build(),
        )
}

impl S3Store {
    /// The object `key` in `bucket`; make the client with [`tuned`].
    pub fn new(client: Client, bucket: impl Into<String>, key: impl Into<String>) -> Self {
        let (bucket, key) = (bucket.into(), key.into());
        let location = format!("s3://{bucket}/{key}");
        Self { client, bucket, key, location, version: None, reads_tags: true, stamp: Stamp::new() }
    }

    /// Writes `stamp` into the metadata of every version that it writes.
    #[must_use]
    pub fn stamped(mut self, stamp: Stamp) -> Self {
        self.stamp = stamp;
        self
    }

    /// Stands for an object that isn't there: what takes its place is written only if there still is none.
    #[must_use]
    pub fn absent(&self) -> S3Object {
        S3Object {
            size: 0,
            etag: String::new(),
            version_id: None,
            last_modified: None,
            attributes: Attributes::of_new_zip(),
            requests: 0,
        }
    }

    /// What the object is besides its bytes; `None` when it is not there or deleted, or the bucket is not there: S3's
    /// answer doesn't tell these apart.
    ///
    /// # Errors
    /// As [`crate::open`].
    pub async fn head_current(&self) -> Result<Option<S3Object>, Error> {
        match self.head().await {
            Ok(object) => Ok(Some(object)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(Error::store(&self.location, error)),
        }
    }

    async fn body(&self, mut body: ByteStream, len: u64) -> Option<Bytes> {
        let mut whole = BytesMut::with_capacity(usize::try_from(len).ok()?);
        while let Some(chunk) = body.next().await {
            whole.extend_from_slice(&chunk.ok()?);
        }
        (whole.len() as u64 == len).then(|| whole.freeze())
    }

    async fn with_tags(&self, mut object: S3Object, tag_count: i32) -> Result<S3Object, StoreError> {
        if tag_count > 0 && self.reads_tags {
            let tagging = self
                .client
                .get_object_tagging()
                .bucket(&self.bucket)
                .key(&self.key)
                .set_version_id(self.version.clone().or_else(|| object.version_id.clone()))
                .send()
                .await
                .map_err(|error| store_error("GetObjectTagging", "s3:GetObjectTagging", &error))?;
            object.attributes.set_tags(tagging.tag_set());
            object.requests += 1;
        }
        Ok(object)
    }

    fn object(
        &self,
        size: u64,
        etag: Option<&str>,
        version_id: Option<&str>,
        attributes: Attributes,
    ) -> Result<S3Object, StoreError> {
        let etag = etag.ok_or_else(|| {
            StoreError::unusable("GetObject", "the answer has no ETag, so the edit could not be guarded")
        })?;
        let version_id = version_id.filter(|version| *version != "null").map(str::to_owned);
        Ok(S3Object { size, etag: etag.to_owned(), version_id, last_modified: None, attributes, requests: 1 })
    }

    fn successor(
        &self,
        operation: &'static str,
        base: &S3Object,
        size: u64,
        etag: Option<&str>,
        version_id: Option<&str>,
    ) -> Result<S3Object, StoreError> {
        let etag = etag.ok_or_else(|| StoreError::unusable(operation, "the answer has no ETag"))?;
        self.object(size, Some(etag), version_id, base.attributes.stamped(&self.stamp))
    }
}

fn time(modified: Option<&DateTime>) -> Option<SystemTime> {
    modified.and_then(|time| SystemTime::try_from(*time).ok())
}

/// The size in `bytes 0-99/1234`.
fn total_size(content_range: &str) -> Option<u64> {
    content_range.rsplit_once('/')?.1.parse().ok()
}

impl Store for S3Store {
    type Object = S3Object;
    type Upload = String;
    type Part = CompletedPart;

    fn location(&self) -> &str {
        &self.location
    }

    fn part_limits(&self) -> PartLimits {
        PartLimits::S3
    }

    fn small(&self) -> u64 {
        SMALL
    }

    async fn tail(&self, len: u64) -> Result<(S3Object, Bytes), StoreError> {
        for _ in 0..BODY_TRIES {
            let answer = self
                .client
                .get_object()
                .bucket(&self.bucket)
                .key(&self.key)
                .set_version_id(self.version.clone())
                .range(format!("bytes=-{len}"))
                .send()
                .await
                .map_err(|error| store_error("GetObject", "s3:GetObject", &error))?;
            let sent = u64::try_from(answer.content_length().unwrap_or(0)).unwrap_or(0);
            // A store that doesn't know suffix ranges sends everything, without Content-Range.
            let size = answer.content_range().map_or(Some(sent), total_size);
            let size =
                size.ok_or_else(|| StoreError::unusable("GetObject", "the answer's Content-Range has no size"))?;
            if sent != size.min(len) {
                return Err(StoreError::unusable(
                    "GetObject",
                    "the store answered another range than the one asked for",
                ));
            }
            let attributes = Attributes::of_get(&answer)?;
            let mut object = self.object(size, answer.e_tag(), answer.version_id(), attributes)?;
            object.last_modified = time(answer.last_modified());
            let tag_count = answer.tag_count().unwrap_or(0);
            // The tags are asked for as soon as it is known that there are some.
            let (tagged, tail) = futures::join!(self.with_tags(object, tag_count), self.body(answer.body, sent));
            if let Some(tail) = tail {
                return Ok((tagged?, tail));
            }
        }
        Err(StoreError::unusable("GetObject", "the connection broke off in the middle of the answer, again and again"))
    }

    async fn head(&self) -> Result<S3Object, StoreError> {
        let answer = self
            .client
            .head_object()
            .bucket(&self.bucket)
            .key(&self.key)
            .set_version_id(self.version.clone())
            .send()
            .await
            .map_err(|error| store_error("HeadObject", "s3:GetObject", &error))?;
        let size = u64::try_from(answer.content_length().unwrap_or(0)).unwrap_or(0);
        let attributes = Attributes::of_head(&answer)?;
        let mut object = self.object(size, answer.e_tag(), answer.version_id(), attributes)?;
        object.last_modified = time(answer.last_modified());
        self.with_tags(object, answer.tag_count().unwrap_or(0)).await
    }

    fn carries_the_same(&self, one: &S3Object, other: &S3Object) -> bool {
        one.attributes == other.attributes
    }

    async fn read(&self, object: &S3Object, range: Range<u64>) -> Result<Bytes, StoreError> {
        let len = range.end - range.start;
        for _ in 0..BODY_TRIES {
            let answer = self.get(object, &range).await?;
            if let Some(bytes) = self.body(answer, len).await {
                return Ok(bytes);
            }
        }
        Err(StoreError::unusable("GetObject", "the connection broke off in the middle of the answer, again and again"))
    }

    async fn stream(
        &self,
        object: &S3Object,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes, StoreError>>, StoreError> {
        let first = self.get(object, &range).await?;
        let state = (self.clone(), object.clone(), range, first, BODY_TRIES);
        let stream = futures::stream::unfold(state, |(store, object, mut range, mut body, mut tries)| async move {
            if range.start >= range.end {
                return None;
            }
            loop {
                if let Some(Ok(chunk)) = body.next().await {
                    range.start += chunk.len() as u64;
                    return Some((Ok(chunk), (store, object, range, body, tries)));
                }
                // Broken off, or ended too early: go on from here.
                tries -= 1;
                let again = match tries {
                    0 => Err(StoreError::unusable("GetObject", "the connection broke off, again and again")),
                    _ => store.get(&object, &range).await,
                };
                match again {
                    Ok(again) => body = again,
                    Err(error) => {
                        range.start = range.end;
                        return Some((Err(error), (store, object, range, body, tries)));
                    }
                }
            }
        });
        Ok(stream.boxed())
    }

    async fn put(&self, base: &S3Object, body: Bytes) -> Result<S3Object, StoreError> {
        let size = body.len() as u64;
        let request = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(&self.key)
            .checksum_algorithm(ChecksumAlgorithm::Crc64Nvme)
            .body(body.into());
        let request = if base.is_absent() { request.if_none_match("*") } else { request.if_match(&base.etag) };
        let attributes = base.attributes.stamped(&self.stamp);
        let answer = attributes
            .on_put(request)
            .send()
            .await
            .map_err(|error| store_error("PutObject", "s3:PutObject", &error))?;
        self.successor("PutObject", base, size, answer.e_tag(), answer.version_id())
    }

    async fn create(&self, base: &S3Object) -> Result<String, StoreError> {
        let request = self
            .client
            .create_multipart_upload()
            .bucket(&self.bucket)
            .key(&self.key)
            .checksum_algorithm(ChecksumAlgorithm::Crc64Nvme)
            .checksum_type(ChecksumType::FullObject);
        let answer = base
            .attributes
            .stamped(&self.stamp)
            .on_create(request)
            .send()
            .await
            .map_err(|error| store_error("CreateMultipartUpload", "s3:PutObject", &error))?;
        answer.upload_id.ok_or_else(|| StoreError::unusable("CreateMultipartUpload", "the answer has no upload id"))
    }

    async fn upload_part(&self, upload: &String, slot: Slot, body: Bytes) -> Result<CompletedPart, StoreError> {
        let answer = self
            .client
            .upload_part()
            .bucket(&self.bucket)
            .key(&self.key)
            .upload_id(upload)
            .part_number(part_number(slot)?)
            .checksum_algorithm(ChecksumAlgorithm::Crc64Nvme)
            .body(body.into())
            .send()
            .await
            .map_err(|error| store_error("UploadPart", "s3:PutObject", &error))?;
        Ok(CompletedPart::builder()
            .part_number(part_number(slot)?)
            .set_e_tag(answer.e_tag)
            .set_checksum_crc64_nvme(answer.checksum_crc64_nvme)
            .build())
    }

    async fn copy_part(
        &self,
        upload: &String,
        slot: Slot,
        base: &S3Object,
        range: Range<u64>,
    ) -> Result<CompletedPart, StoreError> {
        let mut source = format!("{}/{}", self.bucket, encode_key(&self.key));
        if let Some(version) = &base.version_id {
            source.push_str("?versionId=");
            source.push_str(version);
        }
        let action = if base.version_id.is_some() { "s3:GetObjectVersion" } else { "s3:GetObject" };
        let answer = self
            .client
            .upload_part_copy()
            .bucket(&self.bucket)
            .key(&self.key)
            .upload_id(upload)
            .part_number(part_number(slot)?)
            .copy_source(source)
            .copy_source_if_match(&base.etag)
            .copy_source_range(format!("bytes={}-{}", range.start, range.end - 1))
            .send()
            .await
            .map_err(|error| store_error("UploadPartCopy", action, &error))?;
        let result =
            answer.copy_part_result.ok_or_else(|| StoreError::unusable("UploadPartCopy", "the answer is empty"))?;
        Ok(CompletedPart::builder()
            .part_number(part_number(slot)?)
            .set_e_tag(result.e_tag)
            .set_checksum_crc64_nvme(result.checksum_crc64_nvme)
            .build())
    }

    async fn complete(
        &self,
        upload: &String,
        base: &S3Object,
        parts: Vec<CompletedPart>,
        size: u64,
    ) -> Result<S3Object, StoreError> {
        let request = self.client.complete_multipart_upload().bucket(&self.bucket).key(&self.key).upload_id(upload);
        let request = if base.is_absent() { request.if_none_match("*") } else { request.if_match(&base.etag) };
        let answer = request
            .checksum_type(ChecksumType::FullObject)
            .set_mpu_object_size(i64::try_from(size).ok())
            .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts)).build())
            .send()
            .await
            .map_err(|error| store_error("CompleteMultipartUpload", "s3:PutObject", &error))?;
        self.successor("CompleteMultipartUpload", base, size, answer.e_tag(), answer.version_id())
    }

    async fn abort(&self, upload: &String) -> Result<(), StoreError> {
        let aborted = self
            .client
            .abort_multipart_upload()
            .bucket(&self.bucket)
            .key(&self.key)
            .upload_id(upload)
            .send()
            .await
            .map_err(|error| store_error("AbortMultipartUpload", "s3:AbortMultipartUpload", &error));
        match aborted {
            Ok(_) | Err(StoreError::NoSuchUpload { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl S3Store {
    /// A range of the object, as a stream that is known to be that range.
    async fn get(&self, object: &S3Object, range: &Range<u64>) -> Result<ByteStream, StoreError> {
        let answer = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(&self.key)
            .set_version_id(self.version.clone())
            .if_match(&object.etag)
            .range(format!("bytes={}-{}", range.start, range.end - 1))
            .send()
            .await
            .map_err(|error| store_error("GetObject", "s3:GetObject", &error))?;
        let expected = format!("bytes {}-{}/{}", range.start, range.end - 1, object.size);
        let whole = range.start == 0 && range.end == object.size;
        match answer.content_range() {
            Some(content_range) if content_range == expected => Ok(answer.body),
            None if whole => Ok(answer.body),
            _ => Err(StoreError::unusable("GetObject", "the store answered another range than the one asked for")),
        }
    }
}

fn part_number(slot: Slot) -> Result<i32, StoreError> {
    match i32::try_from(slot.number) {
        Ok(number) if number <= 10_000 => Ok(number),
        _ => Err(StoreError::unusable("UploadPart", "the artifact would need more than 10,000 parts")),
    }
}

/// `x-amz-copy-source` is URL-encoded; `/` may stand.
fn encode_key(key: &str) -> String {
    let mut encoded = String::with_capacity(key.len());
    for byte in key.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                encoded.push(char::from(byte));
            }
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_encoded_for_the_copy_source_header() {
        assert_eq!(encode_key("a/b c+ü%.zip"), "a/b%20c%2B%C3%BC%25.zip");
    }

    #[test]
    fn the_size_of_the_object_is_read_from_content_range() {
        assert_eq!(total_size("bytes 0-99/1234"), Some(1234));
        assert_eq!(total_size("bytes 0-99/*"), None);
    }
}
