//! Reading objects: GET, HEAD, and GetObjectAttributes.

use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use bytes::Bytes;
use futures::Stream;
use http::HeaderMap;
use s3s::S3Response;
use s3s::dto::*;
use s3s::stream::{ByteStream, RemainingLength};

use super::{Answer, set_checksum, with_headers};
use crate::s3::UnquotedEtag;
use crate::s3::attributes::{put, show_checksum, show_object, shown_version};
use crate::s3::checksum::{self, Kind};
use crate::s3::model::Object;
use crate::s3::{Context, Refusal, Store, conditions, range};

/// What GET and HEAD have in common.
struct Wanted<'a> {
    bucket: &'a str,
    key: &'a str,
    version_id: Option<&'a str>,
    part_number: Option<i32>,
    conditions: conditions::Read<'a>,
    with_checksum: bool,
    overrides: [(&'static str, Option<String>); 6],
}

/// What was found: the headers of the answer, the object, and the bytes that are asked for.
struct Found {
    headers: HeaderMap,
    object: Object,
    range: Range<u64>,
}

fn find(store: &Store, context: &Context, wanted: &Wanted<'_>) -> Result<Found, Refusal> {
    store.read(|state| {
        let (bucket, version, object) = state.readable(wanted.bucket, wanted.key, wanted.version_id)?;
        object.attributes.encryption.check_key(&context.headers, "")?;
        wanted.conditions.check(object, version)?;
        let size = object.size();
        let asked = context.header("range");
        let (part, selected) = match (asked, wanted.part_number) {
            (Some(_), Some(_)) => {
                return Err(Refusal::invalid_request(
                    "Cannot specify both Range header and partNumber query parameter",
                ));
            }
            (Some(header), None) => (None, range::requested(header, size)?),
            (None, Some(number)) => (Some(number), Some(part_range(object, number)?)),
            (None, None) => (None, None),
        };
        let mut headers = HeaderMap::new();
        show_object(&mut headers, bucket, version, object);
        if let Some(range) = selected.as_ref().filter(|range| !range.is_empty()) {
            put(&mut headers, "content-range", &format!("bytes {}-{}/{size}", range.start, range.end - 1));
        }
        if part.is_some() && !object.content.parts.is_empty() {
            put(&mut headers, "x-amz-mp-parts-count", &object.content.parts.len().to_string());
        }
        let range = selected.unwrap_or(0..size);
        if wanted.with_checksum {
            checksum_of(&mut headers, object, &range, part);
        }
        put(&mut headers, "content-length", &(range.end - range.start).to_string());
        for (name, value) in &wanted.overrides {
            if let Some(value) = value {
                put(&mut headers, name, value);
            }
        }
        Ok(Found { headers, object: object.clone(), range })
    })
}

fn part_range(object: &Object, number: i32) -> Result<Range<u64>, Refusal> {
    if !(1..=10_000).contains(&number) {
        let message = "Part number must be an integer between 1 and 10000, inclusive";
        return Err(Refusal::invalid_argument(message, "partNumber", &number.to_string()));
    }
    object.part_range(number).ok_or_else(|| {
        Refusal::new("InvalidPartNumber", 416, "The requested partnumber is not satisfiable")
            .with("PartNumberRequested", number.to_string())
            .with("ActualPartCount", object.content.parts.len().max(1).to_string())
    })
}

/// Shows the checksum of what is sent: of the whole, or of one part of a composite one. There is none for another range.
fn checksum_of(headers: &mut HeaderMap, object: &Object, range: &Range<u64>, part: Option<i32>) {
    let Some(checksum) = &object.content.checksum else { return };
    let part = part.and_then(|number| object.content.parts.iter().find(|part| part.number == number));
    if let (Some(part), Kind::Composite) = (part, checksum.kind) {
        if let Some(digest) = part.digests.get(checksum.algorithm) {
            let own =
                checksum::Checksum { kind: Kind::Composite, ..checksum::Checksum::full(checksum.algorithm, digest) };
            show_checksum(headers, &own);
        }
    } else if range.end - range.start == object.size() {
        show_checksum(headers, checksum);
    }
}

fn http_date(time: Option<&Timestamp>) -> Option<String> {
    let mut text = Vec::new();
    time?.format(TimestampFormat::HttpDate, &mut text).ok()?;
    String::from_utf8(text).ok()
}

/// GetObject and HeadObject ask for the same in different types.
macro_rules! wanted {
    ($input:ident) => {
        Wanted {
            bucket: &$input.bucket,
            key: &$input.key,
            version_id: $input.version_id.as_deref(),
            part_number: $input.part_number,
            conditions: conditions::Read {
                if_match: $input.if_match.as_ref(),
                if_none_match: $input.if_none_match.as_ref(),
                if_modified_since: $input.if_modified_since.as_ref(),
                if_unmodified_since: $input.if_unmodified_since.as_ref(),
            },
            with_checksum: $input
                .checksum_mode
                .as_ref()
                .is_some_and(|mode| mode.as_str().eq_ignore_ascii_case("ENABLED")),
            overrides: [
                ("content-type", $input.response_content_type),
                ("content-language", $input.response_content_language),
                ("expires", http_date($input.response_expires.as_ref())),
                ("cache-control", $input.response_cache_control),
                ("content-disposition", $input.response_content_disposition),
                ("content-encoding", $input.response_content_encoding),
            ],
        }
    };
}

pub(super) async fn get(store: &Arc<Store>, context: &Context, input: GetObjectInput) -> Answer<GetObjectOutput> {
    let wanted = wanted!(input);
    let found = find(store, context, &wanted)?;
    found.object.attributes.check_readable(false)?;
    let content_range = found.headers.get("content-range").and_then(|range| range.to_str().ok()).map(str::to_owned);
    let body = StreamingBlob::new(Chunks::new(found.object.content.data.slice(found.range).chunks()));
    with_headers(GetObjectOutput { body: Some(body), content_range, ..GetObjectOutput::default() }, found.headers)
}

pub(super) async fn head(store: &Arc<Store>, context: &Context, input: HeadObjectInput) -> Answer<HeadObjectOutput> {
    let wanted = wanted!(input);
    let found = find(store, context, &wanted)?;
    with_headers(HeadObjectOutput::default(), found.headers)
}

/// An object's chunks on their way out. They are shared, not copied.
struct Chunks {
    chunks: std::vec::IntoIter<Bytes>,
    left: usize,
}

impl Chunks {
    fn new(chunks: Vec<Bytes>) -> Self {
        let left = chunks.iter().map(Bytes::len).sum();
        Self { chunks: chunks.into_iter(), left }
    }
}

impl Stream for Chunks {
    type Item = Result<Bytes, s3s::StdError>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        let next = self.chunks.next();
        self.left -= next.as_ref().map_or(0, Bytes::len);
        Poll::Ready(next.map(Ok))
    }
}

impl ByteStream for Chunks {
    fn remaining_length(&self) -> RemainingLength {
        RemainingLength::new_exact(self.left)
    }
}

pub(super) async fn attributes(
    store: &Arc<Store>,
    context: &Context,
    input: GetObjectAttributesInput,
) -> Answer<GetObjectAttributesOutput> {
    let asked = asked_attributes(context)?;
    let has = |name: &str| asked.iter().any(|asked| asked == name);
    store.read(|state| {
        let (bucket, version, object) = state.readable(&input.bucket, &input.key, input.version_id.as_deref())?;
        object.attributes.encryption.check_key(&context.headers, "")?;
        let mut output = GetObjectAttributesOutput {
            last_modified: Some(version.modified.into()),
            version_id: shown_version(bucket, version),
            ..GetObjectAttributesOutput::default()
        };
        if has("ETag") {
            output.e_tag = super::etag(object.etag());
        }
        if has("StorageClass") {
            output.storage_class = Some(StorageClass::from(object.attributes.storage_class().to_owned()));
        }
        if has("ObjectSize") {
            output.object_size = i64::try_from(object.size()).ok();
        }
        if has("Checksum")
            && let Some(checksum) = &object.content.checksum
        {
            let mut shown = Checksum {
                checksum_type: Some(ChecksumType::from_static(checksum.kind.name())),
                ..Checksum::default()
            };
            // The number of parts isn't part of the value here.
            let value = checksum.value.split('-').next().unwrap_or_default().to_owned();
            set_checksum!(shown, &checksum::Checksum { value, ..checksum.clone() });
            output.checksum = Some(shown);
        }
        if has("ObjectParts") && !object.content.parts.is_empty() {
            output.object_parts = Some(parts(object, &input));
        }
        let mut answer = S3Response::new(output);
        answer.extensions.insert(UnquotedEtag);
        Ok(answer)
    })
}

fn asked_attributes(context: &Context) -> Result<Vec<String>, Refusal> {
    const KNOWN: [&str; 5] = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"];
    let values = context.headers.get_all("x-amz-object-attributes").iter();
    let asked: Vec<String> = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .collect();
    match asked.iter().find(|name| !KNOWN.contains(&name.as_str())) {
        Some(unknown) => {
            Err(Refusal::invalid_argument("Invalid attribute name specified.", "x-amz-object-attributes", unknown))
        }
        None => Ok(asked),
    }
}

/// The parts of a multipart object. S3 lists them one by one only where they have checksums of their own.
fn parts(object: &Object, input: &GetObjectAttributesInput) -> GetObjectAttributesParts {
    let all = &object.content.parts;
    let mut output = GetObjectAttributesParts {
        total_parts_count: i32::try_from(all.len()).ok(),
        ..GetObjectAttributesParts::default()
    };
    let Some(checksum) = object.content.checksum.as_ref().filter(|checksum| checksum.kind == Kind::Composite) else {
        return output;
    };
    let after = input.part_number_marker.unwrap_or(0);
    let limit = input.max_parts.unwrap_or(1000).clamp(0, 1000);
    let mut rest = all.iter().filter(|part| part.number > after);
    let shown: Vec<ObjectPart> = rest
        .by_ref()
        .take(usize::try_from(limit).unwrap_or(0))
        .map(|part| {
            let mut shown = ObjectPart {
                part_number: Some(part.number),
                size: i64::try_from(part.digests.size).ok(),
                ..ObjectPart::default()
            };
            if let Some(digest) = part.digests.get(checksum.algorithm) {
                set_checksum!(shown, &checksum::Checksum::full(checksum.algorithm, digest));
            }
            shown
        })
        .collect();
    output.is_truncated = Some(rest.next().is_some());
    output.max_parts = Some(limit);
    output.part_number_marker = Some(after);
    output.next_part_number_marker = Some(shown.last().and_then(|part| part.part_number).unwrap_or(0));
    output.parts = Some(shown);
    output
}
