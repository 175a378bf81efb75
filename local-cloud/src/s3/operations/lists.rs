//! Listings: objects (both versions of the call), versions, uploads, and the parts of an upload.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use s3s::dto::*;

use super::{Answer, etag, owner, plain, set_checksum};
use crate::s3::checksum::{self, Checksum};
use crate::s3::listing::{Page, Query, page, url_encoded};
use crate::s3::model::{self, Time};
use crate::s3::{Context, Refusal, Store};

/// The most entries on a page.
const PAGE: i32 = 1000;

/// How keys are shown.
struct Encoding(bool);

impl Encoding {
    fn of(asked: Option<&EncodingType>) -> Result<Self, Refusal> {
        match asked.map(EncodingType::as_str) {
            None => Ok(Self(false)),
            Some("url") => Ok(Self(true)),
            Some(other) => {
                Err(Refusal::invalid_argument("Invalid Encoding Method specified in Request", "encoding-type", other))
            }
        }
    }

    fn key(&self, key: &str) -> String {
        if self.0 { url_encoded(key) } else { key.to_owned() }
    }

    fn some(&self, key: &str) -> Option<String> {
        (!key.is_empty()).then(|| self.key(key))
    }

    fn shown(&self) -> Option<EncodingType> {
        self.0.then(|| EncodingType::from_static(EncodingType::URL))
    }

    fn prefixes(&self, prefixes: &[String]) -> Option<Vec<CommonPrefix>> {
        let prefixes = prefixes.iter().map(|prefix| CommonPrefix { prefix: Some(self.key(prefix)) });
        some(prefixes.collect())
    }
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

fn limit(asked: Option<i32>, name: &str) -> Result<i32, Refusal> {
    match asked {
        None => Ok(PAGE),
        Some(limit) if limit < 0 => {
            let message = format!("Argument {name} must be an integer between 0 and 2147483647");
            Err(Refusal::invalid_argument(message, name, &limit.to_string()))
        }
        Some(limit) => Ok(limit.min(PAGE)),
    }
}

fn count(limit: i32) -> usize {
    usize::try_from(limit).unwrap_or(0)
}

/// The current objects of a bucket from a key on.
fn current<'a>(
    bucket: &'a model::Bucket,
    from: &str,
) -> impl Iterator<Item = (&'a str, (&'a str, &'a model::Version))> {
    let keys = bucket.keys.range::<str, _>((std::ops::Bound::Included(from), std::ops::Bound::Unbounded));
    keys.filter_map(|(key, versions)| {
        let latest = versions.first().filter(|version| version.object.is_some())?;
        Some((key.as_str(), (key.as_str(), latest)))
    })
}

fn shown_object(encoding: &Encoding, key: &str, version: &model::Version, with_owner: bool) -> Object {
    let object = version.object.as_ref();
    let checksum = object.and_then(|object| object.content.checksum.as_ref());
    Object {
        key: Some(encoding.key(key)),
        e_tag: object.and_then(|object| etag(object.etag())),
        size: object.and_then(|object| i64::try_from(object.size()).ok()),
        last_modified: Some(version.modified.into()),
        storage_class: object.map(|object| ObjectStorageClass::from(object.attributes.storage_class().to_owned())),
        owner: with_owner.then(owner),
        checksum_algorithm: checksum.map(algorithms),
        checksum_type: checksum.map(|checksum| ChecksumType::from_static(checksum.kind.name())),
        restore_status: None,
    }
}

fn algorithms(checksum: &Checksum) -> Vec<ChecksumAlgorithm> {
    vec![ChecksumAlgorithm::from_static(checksum.algorithm.name())]
}

fn next_of<'a, T>(page: &'a Page<T>, last_entry: Option<&'a str>) -> Option<&'a str> {
    page.next.as_ref()?;
    if page.ends_with_prefix { page.prefixes.last().map(String::as_str) } else { last_entry }
}

pub(super) async fn objects(store: &Arc<Store>, _: &Context, input: ListObjectsInput) -> Answer<ListObjectsOutput> {
    let encoding = Encoding::of(input.encoding_type.as_ref())?;
    let limit = limit(input.max_keys, "maxKeys")?;
    let (prefix, delimiter) = (input.prefix.unwrap_or_default(), input.delimiter.unwrap_or_default());
    let marker = input.marker.unwrap_or_default();
    store.read(|state| {
        let bucket = state.bucket(&input.bucket)?;
        let query = Query { prefix: &prefix, delimiter: &delimiter, limit: count(limit), after: &marker };
        let found = page(current(bucket, &marker).filter(|(key, _)| *key > marker.as_str()), &query);
        let next = next_of(&found, found.entries.last().map(|(key, _)| *key));
        plain(ListObjectsOutput {
            name: Some(input.bucket.clone()),
            prefix: Some(encoding.key(&prefix)),
            marker: Some(encoding.key(&marker)),
            max_keys: Some(limit),
            is_truncated: Some(found.next.is_some()),
            contents: some(
                found.entries.iter().map(|(key, version)| shown_object(&encoding, key, version, true)).collect(),
            ),
            common_prefixes: encoding.prefixes(&found.prefixes),
            delimiter: encoding.some(&delimiter),
            // Without a delimiter the last key of the page is the marker, and S3 leaves it at that.
            next_marker: next.filter(|_| !delimiter.is_empty()).map(|next| encoding.key(next)),
            encoding_type: encoding.shown(),
            request_charged: None,
        })
    })
}

pub(super) async fn objects_v2(
    store: &Arc<Store>,
    _: &Context,
    input: ListObjectsV2Input,
) -> Answer<ListObjectsV2Output> {
    let encoding = Encoding::of(input.encoding_type.as_ref())?;
    let limit = limit(input.max_keys, "maxKeys")?;
    let (prefix, delimiter) = (input.prefix.unwrap_or_default(), input.delimiter.unwrap_or_default());
    let start_after = input.start_after.unwrap_or_default();
    let from = input.continuation_token.as_deref().map(decode_token).transpose()?;
    store.read(|state| {
        let bucket = state.bucket(&input.bucket)?;
        let query = Query { prefix: &prefix, delimiter: &delimiter, limit: count(limit), after: "" };
        // A token names the key to go on with, and outweighs where the first page was to start.
        let (begin, after) = match &from {
            Some(from) => (from.as_str(), None),
            None => (start_after.as_str(), Some(start_after.as_str()).filter(|after| !after.is_empty())),
        };
        let found = page(current(bucket, begin).filter(|(key, _)| Some(*key) != after), &query);
        let with_owner = input.fetch_owner.unwrap_or(false);
        let contents: Vec<Object> =
            found.entries.iter().map(|(key, version)| shown_object(&encoding, key, version, with_owner)).collect();
        plain(ListObjectsV2Output {
            name: Some(input.bucket.clone()),
            prefix: Some(encoding.key(&prefix)),
            max_keys: Some(limit),
            key_count: i32::try_from(contents.len() + found.prefixes.len()).ok(),
            is_truncated: Some(found.next.is_some()),
            contents: some(contents),
            common_prefixes: encoding.prefixes(&found.prefixes),
            delimiter: encoding.some(&delimiter),
            start_after: encoding.some(&start_after).filter(|_| from.is_none()),
            continuation_token: input.continuation_token.clone(),
            next_continuation_token: found.next.as_deref().map(|key| URL_SAFE_NO_PAD.encode(key)),
            encoding_type: encoding.shown(),
            request_charged: None,
        })
    })
}

fn decode_token(token: &str) -> Result<String, Refusal> {
    let key = URL_SAFE_NO_PAD.decode(token).ok().and_then(|key| String::from_utf8(key).ok());
    key.filter(|key| !key.is_empty()).ok_or_else(|| {
        Refusal::invalid_argument("The continuation token provided is incorrect", "continuation-token", token)
    })
}

pub(super) async fn versions(
    store: &Arc<Store>,
    _: &Context,
    input: ListObjectVersionsInput,
) -> Answer<ListObjectVersionsOutput> {
    let encoding = Encoding::of(input.encoding_type.as_ref())?;
    let limit = limit(input.max_keys, "maxKeys")?;
    let (prefix, delimiter) = (input.prefix.unwrap_or_default(), input.delimiter.unwrap_or_default());
    let key_marker = input.key_marker.unwrap_or_default();
    let id_marker = input.version_id_marker.filter(|marker| !marker.is_empty());
    if let Some(marker) = id_marker.as_deref().filter(|_| key_marker.is_empty()) {
        let message = "A version-id marker cannot be specified without a key marker.";
        return Err(Refusal::invalid_argument(message, "version-id-marker", marker));
    }
    store.read(|state| {
        let bucket = state.bucket(&input.bucket)?;
        let query = Query { prefix: &prefix, delimiter: &delimiter, limit: count(limit), after: &key_marker };
        let found = page(versions_after(bucket, &key_marker, id_marker.as_deref())?, &query);
        let last = found.entries.last().map(|(key, version, _)| (*key, version.id.as_str()));
        let next = next_of(&found, last.map(|(key, _)| key));
        let (mut shown, mut markers) = (Vec::new(), Vec::new());
        for (key, version, is_latest) in &found.entries {
            match &version.object {
                None => markers.push(DeleteMarkerEntry {
                    key: Some(encoding.key(key)),
                    version_id: Some(version.id.clone()),
                    is_latest: Some(*is_latest),
                    last_modified: Some(version.modified.into()),
                    owner: Some(owner()),
                }),
                Some(object) => shown.push(ObjectVersion {
                    key: Some(encoding.key(key)),
                    version_id: Some(version.id.clone()),
                    is_latest: Some(*is_latest),
                    e_tag: etag(object.etag()),
                    size: i64::try_from(object.size()).ok(),
                    last_modified: Some(version.modified.into()),
                    owner: Some(owner()),
                    storage_class: Some(ObjectVersionStorageClass::from(object.attributes.storage_class().to_owned())),
                    checksum_algorithm: object.content.checksum.as_ref().map(algorithms),
                    checksum_type: object
                        .content
                        .checksum
                        .as_ref()
                        .map(|checksum| ChecksumType::from_static(checksum.kind.name())),
                    restore_status: None,
                }),
            }
        }
        plain(ListObjectVersionsOutput {
            name: Some(input.bucket.clone()),
            prefix: Some(encoding.key(&prefix)),
            key_marker: Some(encoding.key(&key_marker)),
            version_id_marker: Some(id_marker.clone().unwrap_or_default()),
            max_keys: Some(limit),
            is_truncated: Some(found.next.is_some()),
            versions: some(shown),
            delete_markers: some(markers),
            common_prefixes: encoding.prefixes(&found.prefixes),
            delimiter: encoding.some(&delimiter),
            next_key_marker: next.map(|next| encoding.key(next)),
            next_version_id_marker: last
                .filter(|_| next.is_some() && !found.ends_with_prefix)
                .map(|(_, id)| id.to_owned()),
            encoding_type: encoding.shown(),
            request_charged: None,
        })
    })
}

type ListedVersion<'a> = (&'a str, &'a model::Version, bool);

/// All versions after a marker: keys in order, each with its newest version first.
fn versions_after<'a>(
    bucket: &'a model::Bucket,
    key_marker: &str,
    id_marker: Option<&str>,
) -> Result<impl Iterator<Item = (&'a str, ListedVersion<'a>)>, Refusal> {
    // Where to go on within the marker's own key: behind its version, or behind all of them.
    let within = match (bucket.keys.get(key_marker), id_marker) {
        (Some(versions), Some(id)) => match versions.iter().position(|version| version.id == id) {
            Some(at) => at + 1,
            None => return Err(Refusal::invalid_argument("Invalid version id specified", "version-id-marker", id)),
        },
        (Some(versions), None) => versions.len(),
        (None, _) => 0,
    };
    let keys = bucket.keys.range::<str, _>((std::ops::Bound::Included(key_marker), std::ops::Bound::Unbounded));
    let marker = key_marker.to_owned();
    Ok(keys.flat_map(move |(key, versions)| {
        let skipped = if *key == marker { within } else { 0 };
        let listed = versions.iter().enumerate().skip(skipped);
        listed.map(move |(at, version)| (key.as_str(), (key.as_str(), version, at == 0)))
    }))
}

pub(super) async fn uploads(
    store: &Arc<Store>,
    _: &Context,
    input: ListMultipartUploadsInput,
) -> Answer<ListMultipartUploadsOutput> {
    let encoding = Encoding::of(input.encoding_type.as_ref())?;
    let limit = limit(input.max_uploads, "max-uploads")?;
    let (prefix, delimiter) = (input.prefix.unwrap_or_default(), input.delimiter.unwrap_or_default());
    let key_marker = input.key_marker.unwrap_or_default();
    // An upload id means nothing without its key.
    let id_marker = input.upload_id_marker.filter(|marker| !marker.is_empty() && !key_marker.is_empty());
    store.read(|state| {
        let bucket = state.bucket(&input.bucket)?;
        let after = match &id_marker {
            None => u64::MAX,
            Some(id) => match bucket.upload(&key_marker, id) {
                Some(upload) => upload.initiated,
                None => return Err(Refusal::invalid_argument("Invalid uploadId marker", "upload-id-marker", id)),
            },
        };
        let rest = bucket
            .uploads
            .values()
            .filter(|upload| upload.key > key_marker || (upload.key == key_marker && upload.initiated > after));
        let query = Query { prefix: &prefix, delimiter: &delimiter, limit: count(limit), after: &key_marker };
        let found = page(rest.map(|upload| (upload.key.as_str(), upload)), &query);
        let last = found.entries.last();
        let next = next_of(&found, last.map(|upload| upload.key.as_str()));
        plain(ListMultipartUploadsOutput {
            bucket: Some(input.bucket.clone()),
            prefix: Some(encoding.key(&prefix)),
            key_marker: Some(encoding.key(&key_marker)),
            upload_id_marker: Some(id_marker.clone().unwrap_or_default()),
            max_uploads: Some(limit),
            is_truncated: Some(found.next.is_some()),
            uploads: some(found.entries.iter().map(|upload| shown_upload(&encoding, upload)).collect()),
            common_prefixes: encoding.prefixes(&found.prefixes),
            delimiter: encoding.some(&delimiter),
            next_key_marker: next.map(|next| encoding.key(next)),
            next_upload_id_marker: last
                .filter(|_| next.is_some() && !found.ends_with_prefix)
                .map(|upload| upload.id.clone()),
            encoding_type: encoding.shown(),
            request_charged: None,
        })
    })
}

fn initiator() -> Initiator {
    Initiator { display_name: None, id: Some(crate::s3::OWNER.to_owned()) }
}

fn shown_upload(encoding: &Encoding, upload: &model::Upload) -> MultipartUpload {
    MultipartUpload {
        key: Some(encoding.key(&upload.key)),
        upload_id: Some(upload.id.clone()),
        initiated: Some(upload.started.into()),
        initiator: Some(initiator()),
        owner: Some(owner()),
        storage_class: Some(StorageClass::from(upload.attributes.storage_class().to_owned())),
        checksum_algorithm: upload.checksum.map(|(algorithm, _)| ChecksumAlgorithm::from_static(algorithm.name())),
        checksum_type: upload.checksum.map(|(_, kind)| ChecksumType::from_static(kind.name())),
    }
}

pub(super) async fn parts(store: &Arc<Store>, _: &Context, input: ListPartsInput) -> Answer<ListPartsOutput> {
    let limit = limit(input.max_parts, "max-parts")?;
    let marker = input.part_number_marker.unwrap_or(0);
    store.read(|state| {
        let upload = state.upload(&input.bucket, &input.key, &input.upload_id)?;
        let mut rest = upload.parts.range(marker.saturating_add(1)..);
        let shown: Vec<Part> =
            rest.by_ref().take(count(limit)).map(|(number, part)| shown_part(*number, part)).collect();
        plain(ListPartsOutput {
            bucket: Some(input.bucket.clone()),
            key: Some(input.key.clone()),
            upload_id: Some(upload.id.clone()),
            initiator: Some(initiator()),
            owner: Some(owner()),
            storage_class: Some(StorageClass::from(upload.attributes.storage_class().to_owned())),
            checksum_algorithm: upload.checksum.map(|(algorithm, _)| ChecksumAlgorithm::from_static(algorithm.name())),
            checksum_type: upload.checksum.map(|(_, kind)| ChecksumType::from_static(kind.name())),
            max_parts: Some(limit),
            part_number_marker: Some(marker),
            next_part_number_marker: Some(shown.last().and_then(|part| part.part_number).unwrap_or(0)),
            is_truncated: Some(limit > 0 && rest.next().is_some()),
            parts: some(shown),
            ..ListPartsOutput::default()
        })
    })
}

fn shown_part(number: i32, part: &model::Part) -> Part {
    let mut shown = Part {
        part_number: Some(number),
        e_tag: etag(&part.digests.etag()),
        size: i64::try_from(part.digests.size).ok(),
        last_modified: Some(Time::into(part.modified)),
        ..Part::default()
    };
    if let Some(algorithm) = part.declared
        && let Some(digest) = part.digests.get(algorithm)
    {
        set_checksum!(shown, &checksum::Checksum::full(algorithm, digest));
    }
    shown
}
