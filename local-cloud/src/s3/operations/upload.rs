//! Multipart uploads up to their completion: create, upload a part, copy a part, abort.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::HeaderMap;
use s3s::dto::*;

use super::write::source;
use super::{Answer, etag, plain, set_checksum, with_headers};
use crate::s3::attributes::{checksum_algorithm, put, put_opt};
use crate::s3::checksum::{self, Algorithm, Kind};
use crate::s3::conditions;
use crate::s3::intake::{Declared, receive};
use crate::s3::model::{Attributes, Part, Time, Upload};
use crate::s3::{Context, Refusal, Store, digests, ids, range};

pub(super) async fn create(
    store: &Arc<Store>,
    context: &Context,
    input: CreateMultipartUploadInput,
) -> Answer<CreateMultipartUploadOutput> {
    let checksum = declared_checksum(context)?;
    let headers = Arc::clone(&context.headers);
    let (initiated, bucket, key) = (context.arrived, input.bucket.clone(), input.key.clone());
    let (id, attributes) = store
        .commit(move |state, _| {
            let found = state.bucket(&bucket)?;
            let attributes = Arc::new(Attributes::of(&headers, found)?);
            let upload = Upload {
                id: ids::upload_id(),
                key,
                initiated,
                started: Time::now(),
                attributes: Arc::clone(&attributes),
                checksum,
                parts: BTreeMap::new(),
            };
            let id = upload.id.clone();
            state.add_upload(&bucket, upload)?;
            Ok((id, attributes))
        })
        .await?;
    let mut headers = HeaderMap::new();
    attributes.encryption.show(&mut headers);
    if let Some((algorithm, kind)) = checksum {
        put(&mut headers, "x-amz-checksum-algorithm", algorithm.name());
        put(&mut headers, "x-amz-checksum-type", kind.name());
    }
    let output = CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(id),
        ..CreateMultipartUploadOutput::default()
    };
    with_headers(output, headers)
}

fn declared_checksum(context: &Context) -> Result<Option<(Algorithm, Kind)>, Refusal> {
    let algorithm = checksum_algorithm(&context.headers)?;
    let kind = match context.header("x-amz-checksum-type") {
        None => None,
        Some(name) => Some(
            Kind::parse(name)
                .ok_or_else(|| Refusal::invalid_request("Value for x-amz-checksum-type header is invalid."))?,
        ),
    };
    match (algorithm, kind) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(Refusal::invalid_request(
            "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.",
        )),
        (Some(algorithm), kind) => {
            let kind = kind.unwrap_or_else(|| algorithm.default_kind());
            if !algorithm.can_be(kind) {
                return Err(Refusal::invalid_request(format!(
                    "The {} checksum type cannot be used with the {} checksum algorithm.",
                    kind.name(),
                    algorithm.label()
                )));
            }
            Ok(Some((algorithm, kind)))
        }
    }
}

fn check_part_number(number: i32) -> Result<(), Refusal> {
    if (1..=10_000).contains(&number) {
        return Ok(());
    }
    let message = "Part number must be an integer between 1 and 10000, inclusive";
    Err(Refusal::invalid_argument(message, "partNumber", &number.to_string()))
}

/// A part of an upload that was created with a customer's key comes with the same key.
fn check_key(upload: &Upload, context: &Context) -> Result<(), Refusal> {
    upload.attributes.encryption.check_key(&context.headers, "").map_err(|refusal| match refusal.code() {
        "AccessDenied" => Refusal::invalid_request("The provided encryption parameters did not match the ones used originally."),
        "InvalidRequest" => Refusal::invalid_request(
            "The multipart upload initiate requested encryption. Subsequent part requests must include the appropriate encryption parameters.",
        ),
        _ => refusal,
    })
}

pub(super) async fn part(store: &Arc<Store>, context: &Context, input: UploadPartInput) -> Answer<UploadPartOutput> {
    let declared = Declared::of(&context.headers)?;
    let encryption = store.read(|state| {
        let upload = state.upload(&input.bucket, &input.key, &input.upload_id)?;
        check_part_number(input.part_number)?;
        check_key(upload, context)?;
        if let Some((expected, _)) = upload.checksum
            && declared.algorithm() != Some(expected)
        {
            let actual = declared.algorithm().map_or("null", Algorithm::label);
            let message = format!(
                "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {actual}",
                expected.label()
            );
            return Err(Refusal::invalid_request(message));
        }
        Ok(upload.attributes.encryption.clone())
    })?;
    let received = receive(store, input.body, &declared, &context.trailers).await?;
    let mut headers = HeaderMap::new();
    encryption.show(&mut headers);
    put(&mut headers, "etag", &format!("\"{}\"", received.digests.etag()));
    let algorithm = declared.algorithm().unwrap_or(Algorithm::Crc64Nvme);
    if let Some(digest) = received.digests.get(algorithm) {
        put(&mut headers, algorithm.header(), &checksum::Checksum::full(algorithm, digest).value);
    }
    let part =
        Part { data: received.data, digests: received.digests, declared: declared.algorithm(), modified: Time::now() };
    store
        .commit(move |state, _| {
            state.upload_mut(&input.bucket, &input.key, &input.upload_id)?.parts.insert(input.part_number, part);
            Ok(())
        })
        .await?;
    with_headers(UploadPartOutput::default(), headers)
}

pub(super) async fn part_copy(
    store: &Arc<Store>,
    context: &Context,
    input: UploadPartCopyInput,
) -> Answer<UploadPartCopyOutput> {
    let conditions = conditions::Read {
        if_match: input.copy_source_if_match.as_ref(),
        if_none_match: input.copy_source_if_none_match.as_ref(),
        if_modified_since: input.copy_source_if_modified_since.as_ref(),
        if_unmodified_since: input.copy_source_if_unmodified_since.as_ref(),
    };
    let (source, range, checksum, encryption) = store.try_read(|state| {
        state.bucket(&input.bucket)?;
        let source = source(state, context, &input.copy_source, &conditions)?;
        let upload = state.upload(&input.bucket, &input.key, &input.upload_id)?;
        check_part_number(input.part_number)?;
        check_key(upload, context)?;
        let size = source.object.size();
        let range = match &input.copy_source_range {
            Some(header) => range::copied(header, size)?,
            None => 0..size,
        };
        Ok((source, range, upload.checksum, upload.attributes.encryption.clone()))
    })?;
    let algorithm = checksum.map(|(algorithm, _)| algorithm);
    let digests = digests::of_range(&source.object.content, range.clone(), algorithm).await?;
    let modified = Time::now();
    let mut result = CopyPartResult {
        e_tag: etag(&digests.etag()),
        last_modified: Some(modified.into()),
        ..CopyPartResult::default()
    };
    if let Some(algorithm) = algorithm
        && let Some(digest) = digests.get(algorithm)
    {
        set_checksum!(result, &checksum::Checksum::full(algorithm, digest));
    }
    let part = Part { data: source.object.content.data.slice(range), digests, declared: algorithm, modified };
    store
        .commit(move |state, _| {
            state.upload_mut(&input.bucket, &input.key, &input.upload_id)?.parts.insert(input.part_number, part);
            Ok(())
        })
        .await?;
    let mut headers = HeaderMap::new();
    encryption.show(&mut headers);
    put_opt(&mut headers, "x-amz-copy-source-version-id", source.version_id.as_deref());
    with_headers(UploadPartCopyOutput { copy_part_result: Some(result), ..UploadPartCopyOutput::default() }, headers)
}

pub(super) async fn abort(
    store: &Arc<Store>,
    _: &Context,
    input: AbortMultipartUploadInput,
) -> Answer<AbortMultipartUploadOutput> {
    store.commit(move |state, _| state.remove_upload(&input.bucket, &input.key, &input.upload_id).map(|_| ())).await?;
    plain(AbortMultipartUploadOutput { request_charged: None })
}
