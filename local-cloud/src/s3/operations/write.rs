//! Writing whole objects: PUT, the browser's form POST, and copy.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use s3s::dto::*;

use super::{Answer, etag, set_checksum, with_headers};
use crate::s3::attributes::{checksum_algorithm, put as put_header, put_opt, show_checksum, shown_version};
use crate::s3::checksum::{self, Algorithm, Kind};
use crate::s3::conditions::{self, Write};
use crate::s3::intake::{Declared, receive};
use crate::s3::model::{Attributes, Content, Moment, Object, Time, Version, Versioning};
use crate::s3::payload::Trailers;
use crate::s3::rope::Rope;
use crate::s3::store::State;
use crate::s3::{Context, Refusal, Store, digests};

/// The largest object that one PUT or one copy can make: 5 GiB.
const MAX_SINGLE: u64 = 5 << 30;

pub(super) async fn put(store: &Arc<Store>, context: &Context, input: PutObjectInput) -> Answer<PutObjectOutput> {
    let condition = Write::of(input.if_match.as_ref(), input.if_none_match.as_ref())?;
    let declared = Declared::of(&context.headers)?;
    let place = Place { bucket: input.bucket, key: input.key, condition, arrived: context.arrived };
    if input.content_length.is_some_and(|length| u64::try_from(length).is_ok_and(|length| length > MAX_SINGLE)) {
        return Err(Refusal::new("EntityTooLarge", 400, "Your proposed upload exceeds the maximum allowed size")
            .with("MaxSizeAllowed", MAX_SINGLE.to_string()));
    }
    let headers = put_body(store, &context.trailers, place, &context.headers, &declared, input.body).await?;
    with_headers(PutObjectOutput::default(), headers)
}

/// Puts an object as another service of the cloud does: without conditions, and with nothing said about it.
pub(in crate::s3) async fn put_plainly(
    store: &Arc<Store>,
    bucket: &str,
    key: &str,
    data: Bytes,
) -> Result<(), Refusal> {
    let (bucket, key) = (bucket.to_owned(), key.to_owned());
    let place = Place { bucket, key, condition: Write::Always, arrived: store.moment() };
    let headers = HeaderMap::new();
    let declared = Declared::of(&headers)?;
    let body = StreamingBlob::from(s3s::Body::from(data));
    put_body(store, &Trailers::default(), place, &headers, &declared, Some(body)).await.map(drop)
}

/// Where a write goes, and on what condition.
struct Place {
    bucket: String,
    key: String,
    condition: Write,
    arrived: Moment,
}

async fn put_body(
    store: &Arc<Store>,
    trailers: &Trailers,
    place: Place,
    attributes: &HeaderMap,
    declared: &Declared,
    body: Option<StreamingBlob>,
) -> Result<HeaderMap, Refusal> {
    let attributes = store.read(|state| {
        let bucket = state.bucket(&place.bucket)?;
        // Checked again at the commit; here it saves the client an upload.
        place.condition.check(bucket, &place.key, place.arrived)?;
        Attributes::of(attributes, bucket)
    })?;
    let received = receive(store, body, declared, trailers).await?;
    let algorithm = declared.algorithm().unwrap_or(Algorithm::Crc64Nvme);
    let digest = received.digests.get(algorithm);
    let content = Content {
        etag: received.digests.etag(),
        checksum: digest.map(|digest| checksum::Checksum::full(algorithm, digest)),
        data: received.data,
        parts: Vec::new(),
        known: Mutex::default(),
    };
    let size = content.data.size();
    digests::remember(&content, &(0..size), received.digests);
    let object = Object { content: Arc::new(content), attributes: Arc::new(attributes) };
    let mut headers = HeaderMap::new();
    put_header(&mut headers, "etag", &format!("\"{}\"", object.etag()));
    if let Some(checksum) = &object.content.checksum {
        show_checksum(&mut headers, checksum);
    }
    object.attributes.encryption.show(&mut headers);
    let version_id = store
        .commit(move |state, now| {
            let version = commit(state, &place, object, now)?;
            let enabled = state.bucket(&place.bucket)?.versioning == Versioning::Enabled;
            Ok(enabled.then_some(version.id))
        })
        .await?;
    put_opt(&mut headers, "x-amz-version-id", version_id.as_deref());
    Ok(headers)
}

/// Makes an object the newest of its key, if the condition holds.
fn commit(state: &mut State, place: &Place, object: Object, now: Moment) -> Result<Version, Refusal> {
    place.condition.check(state.bucket(&place.bucket)?, &place.key, place.arrived)?;
    let bucket = state.key_mut(&place.bucket, &place.key)?;
    let version = Version {
        id: bucket.next_version_id(),
        initiated: place.arrived,
        committed: now,
        modified: Time::now(),
        object: Some(object),
    };
    bucket.insert(&place.key, version.clone());
    Ok(version)
}

/// A form's fields say what the headers of a PUT would.
pub(super) async fn post(store: &Arc<Store>, context: &Context, input: PostObjectInput) -> Answer<PostObjectOutput> {
    let mut fields = HeaderMap::new();
    let mut field = |name: &str, value: Option<&str>| {
        if let (Ok(name), Some(Ok(value))) = (HeaderName::try_from(name), value.map(HeaderValue::from_str)) {
            fields.insert(name, value);
        }
    };
    field("cache-control", input.cache_control.as_deref());
    field("content-disposition", input.content_disposition.as_deref());
    field("content-encoding", input.content_encoding.as_deref());
    field("content-language", input.content_language.as_deref());
    field("content-type", input.content_type.as_deref());
    field("content-md5", input.content_md5.as_deref());
    field("x-amz-acl", input.acl.as_ref().map(ObjectCannedACL::as_str));
    field("x-amz-storage-class", input.storage_class.as_ref().map(StorageClass::as_str));
    field("x-amz-tagging", input.tagging.as_deref());
    field("x-amz-website-redirect-location", input.website_redirect_location.as_deref());
    field("x-amz-server-side-encryption", input.server_side_encryption.as_ref().map(ServerSideEncryption::as_str));
    field("x-amz-server-side-encryption-aws-kms-key-id", input.ssekms_key_id.as_deref());
    field("x-amz-checksum-crc32", input.checksum_crc32.as_deref());
    field("x-amz-checksum-crc32c", input.checksum_crc32c.as_deref());
    field("x-amz-checksum-crc64nvme", input.checksum_crc64nvme.as_deref());
    field("x-amz-checksum-sha1", input.checksum_sha1.as_deref());
    field("x-amz-checksum-sha256", input.checksum_sha256.as_deref());
    for (key, value) in input.metadata.iter().flatten() {
        field(&format!("x-amz-meta-{key}"), Some(value));
    }
    let declared = Declared::of(&fields)?;
    let place = Place { bucket: input.bucket, key: input.key, condition: Write::Always, arrived: context.arrived };
    let location = format!("{}/{}/{}", context.endpoint, place.bucket, crate::s3::listing::url_encoded(&place.key));
    let mut headers = put_body(store, &context.trailers, place, &fields, &declared, input.body).await?;
    let shown = headers.get("etag").and_then(|etag| etag.to_str().ok()).map(|etag| etag.trim_matches('"').to_owned());
    if input.success_action_redirect.is_none() {
        put_header(&mut headers, "location", &location);
    }
    with_headers(PostObjectOutput { e_tag: shown.as_deref().and_then(etag), ..PostObjectOutput::default() }, headers)
}

/// The source of a copy.
pub(super) struct Source {
    pub(super) version_id: Option<String>,
    pub(super) object: Object,
}

/// Finds the source of a copy and checks the conditions on it.
pub(super) fn source(
    state: &State,
    context: &Context,
    from: &CopySource,
    conditions: &conditions::Read<'_>,
) -> Result<Source, Refusal> {
    let CopySource::Bucket { bucket, key, version_id } = from else {
        return Err(Refusal::header_not_implemented("x-amz-copy-source", "The local cloud has no access points"));
    };
    let (bucket, version, object) =
        state.readable(bucket, key, version_id.as_deref()).map_err(|refusal| match refusal.code() {
            "MethodNotAllowed" => Refusal::invalid_request(
                "The source of a copy request may not specifically refer to a delete marker by version id.",
            ),
            _ => refusal,
        })?;
    object.attributes.check_readable(true)?;
    object.attributes.encryption.check_key(&context.headers, "copy-source-")?;
    conditions.check_source(object, version)?;
    Ok(Source { version_id: shown_version(bucket, version), object: object.clone() })
}

pub(super) async fn copy(store: &Arc<Store>, context: &Context, input: CopyObjectInput) -> Answer<CopyObjectOutput> {
    let condition =
        |name: &str| context.header(name).and_then(|value| ETagCondition::parse_http_header(value.as_bytes()).ok());
    let condition = Write::of(condition("if-match").as_ref(), condition("if-none-match").as_ref())?;
    let replace_metadata = directive(input.metadata_directive.as_ref().map(MetadataDirective::as_str), "metadata")?;
    let replace_tags = directive(input.tagging_directive.as_ref().map(TaggingDirective::as_str), "tagging")?;
    let further = checksum_algorithm(&context.headers)?;
    let conditions = conditions::Read {
        if_match: input.copy_source_if_match.as_ref(),
        if_none_match: input.copy_source_if_none_match.as_ref(),
        if_modified_since: input.copy_source_if_modified_since.as_ref(),
        if_unmodified_since: input.copy_source_if_unmodified_since.as_ref(),
    };
    let (source, mut attributes) = store.read(|state| {
        let bucket = state.bucket(&input.bucket)?;
        let source = source(state, context, &input.copy_source, &conditions)?;
        if source.object.size() > MAX_SINGLE {
            let message = format!("The specified copy source is larger than the maximum allowable size for a copy source: {MAX_SINGLE}");
            return Err(Refusal::invalid_request(message));
        }
        if !replace_metadata && changes_nothing(context, &input, bucket.settings.contains_key("encryption")) {
            return Err(Refusal::invalid_request(
                "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
            ));
        }
        Ok((source, Attributes::of(&context.headers, bucket)?))
    })?;
    if !replace_metadata {
        attributes.describe_as(&source.object.attributes);
    }
    if !replace_tags {
        attributes.tags.clone_from(&source.object.attributes.tags);
    }
    let content = copied_content(&source.object.content, further).await?;
    let object = Object { content: Arc::new(content), attributes: Arc::new(attributes) };

    let mut headers = HeaderMap::new();
    object.attributes.encryption.show(&mut headers);
    put_opt(&mut headers, "x-amz-copy-source-version-id", source.version_id.as_deref());
    let mut result = CopyObjectResult { e_tag: etag(object.etag()), ..CopyObjectResult::default() };
    if let Some(checksum) = &object.content.checksum {
        set_checksum!(result, checksum);
        result.checksum_type = Some(ChecksumType::from_static(checksum.kind.name()));
    }
    let place = Place { bucket: input.bucket, key: input.key, condition, arrived: context.arrived };
    let (version_id, modified) = store
        .commit(move |state, now| {
            let version = commit(state, &place, object, now)?;
            Ok((shown_version(state.bucket(&place.bucket)?, &version), version.modified))
        })
        .await?;
    result.last_modified = Some(modified.into());
    put_opt(&mut headers, "x-amz-version-id", version_id.as_deref());
    with_headers(CopyObjectOutput { copy_object_result: Some(result), ..CopyObjectOutput::default() }, headers)
}

fn directive(value: Option<&str>, what: &str) -> Result<bool, Refusal> {
    match value {
        None | Some("COPY") => Ok(false),
        Some("REPLACE") => Ok(true),
        Some(other) => Err(Refusal::invalid_argument(
            format!("Unknown {what} directive."),
            &format!("x-amz-{what}-directive"),
            other,
        )),
    }
}

/// Whether a copy is one of an object onto itself that leaves everything as it is. Copying an old version over the
/// current one does change something.
fn changes_nothing(context: &Context, input: &CopyObjectInput, encrypted_by_bucket: bool) -> bool {
    let CopySource::Bucket { bucket, key, version_id } = &input.copy_source else { return false };
    **bucket == *input.bucket
        && **key == *input.key
        && version_id.is_none()
        && !encrypted_by_bucket
        && [
            "x-amz-storage-class",
            "x-amz-website-redirect-location",
            "x-amz-server-side-encryption",
            "x-amz-server-side-encryption-customer-algorithm",
        ]
        .iter()
        .all(|name| context.header(name).is_none())
}

/// The content of a copy. It shares the source's bytes. A copy is one piece, whatever the source was: its entity tag is
/// the MD5 of its bytes, and its checksum that of the whole.
async fn copied_content(source: &Arc<Content>, further: Option<Algorithm>) -> Result<Content, Refusal> {
    let kept = source.checksum.as_ref().filter(|checksum| checksum.kind == Kind::FullObject);
    let algorithm =
        further.or(source.checksum.as_ref().map(|checksum| checksum.algorithm)).unwrap_or(Algorithm::Crc64Nvme);
    let kept = kept.filter(|checksum| checksum.algorithm == algorithm).cloned();
    let data: Rope = source.data.clone();
    if let (Some(kept), true) = (&kept, source.parts.is_empty()) {
        return Ok(Content {
            etag: source.etag.clone(),
            checksum: Some(kept.clone()),
            data,
            parts: Vec::new(),
            known: Mutex::default(),
        });
    }
    let digests = digests::of_range(source, 0..data.size(), Some(algorithm)).await?;
    let computed = digests.get(algorithm).map(|digest| checksum::Checksum::full(algorithm, digest));
    Ok(Content { etag: digests.etag(), checksum: kept.or(computed), data, parts: Vec::new(), known: Mutex::default() })
}
