//! CompleteMultipartUpload: the moment at which the parts of an upload become an object.
//!
//! With `If-Match` it is a compare-and-swap over the whole time since the upload was created: any write to the key in
//! between makes it fail, and the upload stays.

use std::sync::{Arc, Mutex};

use http::HeaderMap;
use s3s::dto::*;

use super::{Answer, etag, set_checksum, with_headers};
use crate::s3::attributes::{put_opt, shown_version};
use crate::s3::checksum::{self, Algorithm, Digests, Kind, multipart_etag, of_parts};
use crate::s3::conditions::Write;
use crate::s3::listing::url_encoded;
use crate::s3::model::ObjectPart as StoredObjectPart;
use crate::s3::model::{Completed, Content, Moment, Object, Part as StoredPart, Upload, Version};
use crate::s3::rope::Rope;
use crate::s3::store::State;
use crate::s3::{Context, Refusal, Store};

/// The least size of any part but the last, in bytes.
const MIN_PART: u64 = 5 << 20;

/// Finished uploads whose answer is kept, per bucket.
const KEPT_COMPLETIONS: usize = 1000;

pub(super) async fn complete(
    store: &Arc<Store>,
    context: &Context,
    input: CompleteMultipartUploadInput,
) -> Answer<CompleteMultipartUploadOutput> {
    let condition = Write::of(input.if_match.as_ref(), input.if_none_match.as_ref())?;
    let listed = listed_parts(&input)?;
    let location = format!("{}/{}/{}", context.endpoint, input.bucket, url_encoded(&input.key));
    let (bucket, key) = (input.bucket.clone(), input.key.clone());
    let (version, version_id) = store
        .commit(move |state, now| {
            let version = match repeated(state, &input, &listed)? {
                Some(version) => version,
                None => commit(state, &input, &listed, &condition, now)?,
            };
            Ok((version.clone(), shown_version(state.bucket(&input.bucket)?, &version)))
        })
        .await?;
    let Some(object) = version.object else { return Err(Refusal::internal("a completed upload without an object")) };
    let mut output = CompleteMultipartUploadOutput {
        bucket: Some(bucket),
        key: Some(key),
        location: Some(location),
        e_tag: etag(object.etag()),
        ..CompleteMultipartUploadOutput::default()
    };
    // S3 doesn't show the checksum here when the object is encrypted with a KMS key.
    if let Some(checksum) = object.content.checksum.as_ref().filter(|_| object.attributes.encryption.kms_key.is_none())
    {
        set_checksum!(output, checksum);
        output.checksum_type = Some(ChecksumType::from_static(checksum.kind.name()));
    }
    let mut headers = HeaderMap::new();
    object.attributes.encryption.show(&mut headers);
    put_opt(&mut headers, "x-amz-version-id", version_id.as_deref());
    with_headers(output, headers)
}

/// A part as the request lists it.
struct Listed {
    number: i32,
    /// Without quotes.
    etag: String,
    checksums: Vec<(Algorithm, String)>,
}

fn listed_parts(input: &CompleteMultipartUploadInput) -> Result<Vec<Listed>, Refusal> {
    let parts = input.multipart_upload.as_ref().and_then(|upload| upload.parts.as_ref());
    let Some(parts) = parts.filter(|parts| !parts.is_empty()) else {
        return Err(Refusal::invalid_request("You must specify at least one part"));
    };
    let mut listed = Vec::with_capacity(parts.len());
    for part in parts {
        let (Some(number), Some(etag)) = (part.part_number, &part.e_tag) else { return Err(Refusal::malformed_xml()) };
        let checksums = [
            (Algorithm::Crc32, &part.checksum_crc32),
            (Algorithm::Crc32c, &part.checksum_crc32c),
            (Algorithm::Crc64Nvme, &part.checksum_crc64nvme),
            (Algorithm::Sha1, &part.checksum_sha1),
            (Algorithm::Sha256, &part.checksum_sha256),
        ];
        let checksums =
            checksums.into_iter().filter_map(|(algorithm, value)| Some((algorithm, value.clone()?))).collect();
        listed.push(Listed { number, etag: etag.value().to_owned(), checksums });
    }
    Ok(listed)
}

/// The answer to a Complete that was already carried out. A client that lost it repeats the same request.
fn repeated(
    state: &State,
    input: &CompleteMultipartUploadInput,
    listed: &[Listed],
) -> Result<Option<Version>, Refusal> {
    let bucket = state.bucket(&input.bucket)?;
    let Some(completed) = bucket.completed.get(&input.upload_id) else { return Ok(None) };
    let same = completed.key == input.key
        && completed.parts.len() == listed.len()
        && completed
            .parts
            .iter()
            .zip(listed)
            .all(|((number, etag), part)| *number == part.number && *etag == part.etag);
    if same { Ok(Some(completed.version.clone())) } else { Err(Refusal::no_such_upload(&input.upload_id)) }
}

fn commit(
    state: &mut State,
    input: &CompleteMultipartUploadInput,
    listed: &[Listed],
    condition: &Write,
    now: Moment,
) -> Result<Version, Refusal> {
    let upload = state.upload(&input.bucket, &input.key, &input.upload_id)?;
    condition.check(state.bucket(&input.bucket)?, &input.key, upload.initiated)?;
    if listed.windows(2).any(|pair| pair[0].number >= pair[1].number) {
        let message = "The list of parts was not in ascending order. Parts must be ordered by part number.";
        return Err(Refusal::new("InvalidPartOrder", 400, message).with("UploadId", input.upload_id.clone()));
    }
    check_kind(upload, input)?;
    let content = content(upload, input, listed)?;

    let upload = state.remove_upload(&input.bucket, &input.key, &input.upload_id)?;
    let bucket = state.key_mut(&input.bucket, &input.key)?;
    let version = Version {
        id: bucket.next_version_id(),
        initiated: upload.initiated,
        committed: now,
        modified: upload.started,
        object: Some(Object { content: Arc::new(content), attributes: upload.attributes }),
    };
    bucket.insert(&input.key, version.clone());
    if bucket.completed.len() >= KEPT_COMPLETIONS {
        bucket.completed.clear();
    }
    let parts = listed.iter().map(|part| (part.number, part.etag.clone())).collect();
    let completed = Completed { key: input.key.clone(), version: version.clone(), parts };
    bucket.completed.insert(upload.id, completed);
    Ok(version)
}

fn check_kind(upload: &Upload, input: &CompleteMultipartUploadInput) -> Result<(), Refusal> {
    let Some(given) = input.checksum_type.as_ref().map(ChecksumType::as_str) else { return Ok(()) };
    let created = upload.checksum.map(|(_, kind)| kind.name());
    // An upload that named nothing gets a full-object checksum.
    if given == created.unwrap_or(Kind::FullObject.name()) {
        return Ok(());
    }
    Err(Refusal::invalid_request(format!(
        "The upload was created using the {} checksum mode. The complete request must use the same checksum mode.",
        created.unwrap_or("null")
    )))
}

/// Puts the listed parts together, after checking each.
fn content(upload: &Upload, input: &CompleteMultipartUploadInput, listed: &[Listed]) -> Result<Content, Refusal> {
    let mut data = Rope::default();
    let mut parts = Vec::with_capacity(listed.len());
    for (at, part) in listed.iter().enumerate() {
        let stored = upload.parts.get(&part.number).filter(|stored| stored.digests.etag() == part.etag);
        let stored = stored.ok_or_else(|| invalid_part(upload, part))?;
        check_part_checksum(upload, part, stored)?;
        if at + 1 < listed.len() && stored.digests.size < MIN_PART {
            return Err(Refusal::new(
                "EntityTooSmall",
                400,
                "Your proposed upload is smaller than the minimum allowed size",
            )
            .with("ETag", part.etag.clone())
            .with("PartNumber", part.number.to_string())
            .with("MinSizeAllowed", MIN_PART.to_string())
            .with("ProposedSize", stored.digests.size.to_string()));
        }
        data.append(&stored.data);
        parts.push(StoredObjectPart { number: part.number, digests: stored.digests.clone() });
    }
    if let Some(declared) = input.mpu_object_size
        && u64::try_from(declared) != Ok(data.size())
    {
        return Err(Refusal::invalid_request(format!(
            "The provided 'x-amz-mp-object-size' header value {declared} does not match what was computed: {}",
            data.size()
        )));
    }
    let digests: Vec<&Digests> = parts.iter().map(|part| &part.digests).collect();
    let (algorithm, kind) = upload.checksum.unwrap_or((Algorithm::Crc64Nvme, Kind::FullObject));
    let checksum = of_parts(algorithm, kind, &digests);
    check_whole(input, algorithm, kind, checksum.as_ref())?;
    let etag = multipart_etag(parts.iter().map(|part| &part.digests));
    Ok(Content { data, etag, checksum, parts, known: Mutex::default() })
}

fn invalid_part(upload: &Upload, part: &Listed) -> Refusal {
    let message = "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.";
    Refusal::new("InvalidPart", 400, message)
        .with("UploadId", upload.id.clone())
        .with("PartNumber", part.number.to_string())
        .with("ETag", part.etag.clone())
}

fn check_part_checksum(upload: &Upload, part: &Listed, stored: &StoredPart) -> Result<(), Refusal> {
    let is_stored = |algorithm: Algorithm, value: &str| {
        stored.digests.get(algorithm).is_some_and(|digest| checksum::Checksum::full(algorithm, digest).value == value)
    };
    let Some((algorithm, kind)) = upload.checksum else {
        // The client may repeat what it declared for the part, whether or not Create named an algorithm.
        let all = part.checksums.iter().all(|(algorithm, value)| is_stored(*algorithm, value));
        return if all { Ok(()) } else { Err(invalid_part(upload, part)) };
    };
    match part.checksums.iter().find(|(given, _)| *given == algorithm) {
        Some((_, value)) if is_stored(algorithm, value) => Ok(()),
        Some(_) => Err(invalid_part(upload, part)),
        None if kind == Kind::FullObject => Ok(()),
        None => Err(match part.checksums.first() {
            Some((other, _)) => Refusal::new(
                "BadDigest",
                400,
                format!("The {} you specified for part {} did not match what we received.", other.label(), part.number),
            ),
            None => Refusal::invalid_request(format!(
                "The upload was created using a {} checksum. The complete request must include the checksum for each part. It was missing for part {} in the request.",
                algorithm.label(),
                part.number
            )),
        }),
    }
}

/// Compares the whole object's checksum with the one in the request's headers, if there is one.
fn check_whole(
    input: &CompleteMultipartUploadInput,
    algorithm: Algorithm,
    kind: Kind,
    computed: Option<&checksum::Checksum>,
) -> Result<(), Refusal> {
    let given = [
        (Algorithm::Crc32, &input.checksum_crc32),
        (Algorithm::Crc32c, &input.checksum_crc32c),
        (Algorithm::Crc64Nvme, &input.checksum_crc64nvme),
        (Algorithm::Sha1, &input.checksum_sha1),
        (Algorithm::Sha256, &input.checksum_sha256),
    ];
    for (named, value) in given {
        let Some(value) = value else { continue };
        let computed = computed.filter(|_| named == algorithm).map(|checksum| checksum.value.as_str());
        let bare = computed.and_then(|computed| computed.split('-').next()).filter(|_| kind == Kind::Composite);
        if computed != Some(value) && bare != Some(value) {
            return Err(Refusal::bad_digest(named.label()));
        }
    }
    Ok(())
}
