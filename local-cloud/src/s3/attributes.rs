//! An object's attributes in headers: read from those of a write, and written to those of an answer.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue};
use s3s::dto::{Timestamp, TimestampFormat};

use super::Refusal;
use super::checksum::{Algorithm, Checksum};
use super::model::{Attributes, Bucket, Encryption, Lock, Object, Time, Version, Versioning};
use super::operations::{acl, settings};
use crate::operation::percent_decoded;

const DESCRIPTIONS: &[&str] =
    &["cache-control", "content-disposition", "content-encoding", "content-language", "content-type", "expires"];

const STORAGE_CLASSES: &[&str] = &[
    "STANDARD",
    "REDUCED_REDUNDANCY",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER",
    "DEEP_ARCHIVE",
    "GLACIER_IR",
    "SNOW",
    "EXPRESS_ONEZONE",
    "FSX_OPENZFS",
];

/// The classes that must be restored before they can be read.
const ARCHIVES: &[&str] = &["GLACIER", "DEEP_ARCHIVE"];

/// Bytes of user metadata, names and values together.
const MAX_METADATA: usize = 2048;

pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

impl Attributes {
    /// What the headers of a PUT or a CreateMultipartUpload say, completed by the bucket's defaults.
    pub(crate) fn of(headers: &HeaderMap, bucket: &Bucket) -> Result<Self, Refusal> {
        let redirect = text(headers, "x-amz-website-redirect-location").map(str::to_owned);
        if redirect
            .as_deref()
            .is_some_and(|to| !to.starts_with('/') && !to.starts_with("http://") && !to.starts_with("https://"))
        {
            let message = "The website redirect location must have a prefix of 'http://' or 'https://' or '/'.";
            return Err(Refusal::new("InvalidRedirectLocation", 400, message));
        }
        Ok(Self {
            headers: descriptions(headers),
            metadata: metadata(headers)?,
            tags: text(headers, "x-amz-tagging").map(parse_tagging).transpose()?.unwrap_or_default(),
            storage_class: storage_class(headers)?,
            redirect,
            encryption: Encryption::of(headers, bucket)?,
            lock: Lock::of(headers, bucket)?,
            acl: acl::of_headers(headers)?,
        })
    }

    /// Replaces what `x-amz-metadata-directive` is about.
    pub(crate) fn describe_as(&mut self, other: &Self) {
        self.headers.clone_from(&other.headers);
        self.metadata.clone_from(&other.metadata);
    }

    pub(crate) fn storage_class(&self) -> &str {
        self.storage_class.as_deref().unwrap_or("STANDARD")
    }

    /// Refuses to read an archived object.
    pub(crate) fn check_readable(&self, source_of_copy: bool) -> Result<(), Refusal> {
        let class = self.storage_class();
        if !ARCHIVES.contains(&class) {
            return Ok(());
        }
        let message = if source_of_copy {
            "Operation is not valid for the source object's storage class"
        } else {
            "The operation is not valid for the object's storage class"
        };
        Err(Refusal::new("InvalidObjectState", 403, message).with("StorageClass", class))
    }
}

fn descriptions(headers: &HeaderMap) -> BTreeMap<String, String> {
    let given = DESCRIPTIONS.iter().filter_map(|name| {
        let value = text(headers, name).filter(|value| !value.is_empty())?;
        Some(((*name).to_owned(), value.to_owned()))
    });
    let mut descriptions: BTreeMap<String, String> = given.collect();
    descriptions.entry("content-type".to_owned()).or_insert_with(|| "binary/octet-stream".to_owned());
    descriptions
}

fn metadata(headers: &HeaderMap) -> Result<BTreeMap<String, String>, Refusal> {
    let mut metadata = BTreeMap::new();
    for name in headers.keys() {
        let Some(key) = name.as_str().strip_prefix("x-amz-meta-").filter(|key| !key.is_empty()) else { continue };
        // Several headers of one name are one value.
        let values =
            headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).trim().to_owned());
        metadata.insert(key.to_owned(), values.collect::<Vec<_>>().join(","));
    }
    let size: usize = metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
    if size > MAX_METADATA {
        let message = "Your metadata headers exceed the maximum allowed metadata size";
        return Err(Refusal::new("MetadataTooLarge", 400, message)
            .with("Size", size.to_string())
            .with("MaxSizeAllowed", MAX_METADATA.to_string()));
    }
    Ok(metadata)
}

fn storage_class(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    match text(headers, "x-amz-storage-class") {
        None | Some("STANDARD") => Ok(None),
        Some(class) if STORAGE_CLASSES.contains(&class) => Ok(Some(class.to_owned())),
        Some(class) => Err(Refusal::new("InvalidStorageClass", 400, "The storage class you specified is not valid")
            .with("StorageClassRequested", class)),
    }
}

/// The tags in an `x-amz-tagging` header: a URL-encoded query.
fn parse_tagging(header: &str) -> Result<Vec<(String, String)>, Refusal> {
    let mut tags: Vec<(String, String)> = Vec::new();
    for pair in header.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decoded = |text: &str| percent_decoded(&text.replace('+', " "));
        let (key, value) = (decoded(key), decoded(value));
        if tags.iter().any(|(other, _)| *other == key) {
            let message = "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.";
            return Err(Refusal::invalid_argument(message, "x-amz-tagging", header));
        }
        tags.push((key, value));
    }
    check_tags(&tags, 10)?;
    Ok(tags)
}

/// The limits on tags, 10 for an object and 50 for a bucket.
pub(crate) fn check_tags(tags: &[(String, String)], limit: usize) -> Result<(), Refusal> {
    if tags.len() > limit {
        let what = if limit == 10 {
            "Object tags cannot be greater than 10"
        } else {
            "Bucket tag count cannot be greater than 50"
        };
        return Err(Refusal::new("BadRequest", 400, what));
    }
    for (at, (key, value)) in tags.iter().enumerate() {
        let invalid = |message: &'static str| Err(Refusal::new("InvalidTag", 400, message).with("TagKey", key.clone()));
        if key.is_empty() || key.chars().count() > 128 || !key.chars().all(is_tag_character) {
            return invalid("The TagKey you have provided is invalid");
        }
        if value.chars().count() > 256 || !value.chars().all(is_tag_character) {
            return Err(Refusal::new("InvalidTag", 400, "The TagValue you have provided is invalid")
                .with("TagKey", key.clone())
                .with("TagValue", value.clone()));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return invalid("System tags cannot be added/updated by requester");
        }
        if tags[..at].iter().any(|(other, _)| other == key) {
            return invalid("Cannot provide multiple Tags with the same key");
        }
    }
    Ok(())
}

fn is_tag_character(c: char) -> bool {
    c.is_alphanumeric() || c.is_whitespace() || "_.:/=+-@".contains(c)
}

impl Lock {
    /// What the request asks for, else the bucket's default retention.
    fn of(headers: &HeaderMap, bucket: &Bucket) -> Result<Self, Refusal> {
        let mode = text(headers, "x-amz-object-lock-mode");
        let until = text(headers, "x-amz-object-lock-retain-until-date");
        let hold = text(headers, "x-amz-object-lock-legal-hold");
        if (mode.is_some() || until.is_some() || hold.is_some()) && !bucket.object_lock {
            return Err(Refusal::invalid_request("Bucket is missing Object Lock Configuration"));
        }
        let legal_hold = match hold {
            None => None,
            Some("ON") => Some(true),
            Some("OFF") => Some(false),
            Some(other) => {
                return Err(Refusal::invalid_argument(
                    "Legal Hold must be either of 'ON' or 'OFF'",
                    "x-amz-object-lock-legal-hold",
                    other,
                ));
            }
        };
        match (mode, until) {
            (None, None) => {
                let default = settings::default_retention(bucket);
                Ok(Self { legal_hold, ..default.unwrap_or_default() })
            }
            (Some(mode @ ("GOVERNANCE" | "COMPLIANCE")), Some(until)) => {
                let invalid = |message: &'static str| {
                    Refusal::invalid_argument(message, "x-amz-object-lock-retain-until-date", until)
                };
                let time = Timestamp::parse(TimestampFormat::DateTime, until)
                    .map_err(|_| invalid("The retain until date must be provided in ISO 8601 format"))?;
                let time = Time::from(&time);
                if time <= Time::now() {
                    return Err(invalid("The retain until date must be in the future!"));
                }
                Ok(Self { mode: Some(mode.to_owned()), until: Some(time), legal_hold })
            }
            (Some(other), Some(_)) => {
                Err(Refusal::invalid_argument("Unknown wormMode directive.", "x-amz-object-lock-mode", other))
            }
            _ => {
                let message = "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied";
                Err(Refusal::invalid_argument(message, "x-amz-object-lock-mode", ""))
            }
        }
    }
}

/// Sets a header to a value that this program made. One that can't be a header is left out.
pub(crate) fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

pub(crate) fn put_opt(headers: &mut HeaderMap, name: &'static str, value: Option<&str>) {
    if let Some(value) = value {
        put(headers, name, value);
    }
}

/// The version id of an object as answers show it: none while the bucket was never versioned.
pub(crate) fn shown_version(bucket: &Bucket, version: &Version) -> Option<String> {
    (bucket.versioning != Versioning::Never).then(|| version.id.clone())
}

/// Adds a checksum as headers.
pub(crate) fn show_checksum(headers: &mut HeaderMap, checksum: &Checksum) {
    put(headers, checksum.algorithm.header(), &checksum.value);
    put(headers, "x-amz-checksum-type", checksum.kind.name());
}

/// The headers of GET and HEAD, without those about the range.
pub(crate) fn show_object(headers: &mut HeaderMap, bucket: &Bucket, version: &Version, object: &Object) {
    let attributes = &object.attributes;
    for (name, value) in &attributes.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name.as_str()), HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    }
    for (key, value) in &attributes.metadata {
        if let (Ok(name), Ok(value)) =
            (HeaderName::try_from(format!("x-amz-meta-{key}")), HeaderValue::from_bytes(value.as_bytes()))
        {
            headers.insert(name, value);
        }
    }
    let mut modified = Vec::new();
    if Timestamp::from(version.modified).format(TimestampFormat::HttpDate, &mut modified).is_ok() {
        put(headers, "last-modified", &String::from_utf8_lossy(&modified));
    }
    put(headers, "etag", &format!("\"{}\"", object.etag()));
    put(headers, "accept-ranges", "bytes");
    put_opt(headers, "x-amz-version-id", shown_version(bucket, version).as_deref());
    put_opt(headers, "x-amz-storage-class", attributes.storage_class.as_deref());
    put_opt(headers, "x-amz-website-redirect-location", attributes.redirect.as_deref());
    if !attributes.tags.is_empty() {
        put(headers, "x-amz-tagging-count", &attributes.tags.len().to_string());
    }
    attributes.encryption.show(headers);
    put_opt(headers, "x-amz-object-lock-mode", attributes.lock.mode.as_deref());
    if let Some(until) = attributes.lock.until {
        let mut text = Vec::new();
        let _ = Timestamp::from(until).format(TimestampFormat::DateTime, &mut text);
        put(headers, "x-amz-object-lock-retain-until-date", &String::from_utf8_lossy(&text));
    }
    if let Some(hold) = attributes.lock.legal_hold {
        put(headers, "x-amz-object-lock-legal-hold", if hold { "ON" } else { "OFF" });
    }
}

/// The algorithm that `x-amz-checksum-algorithm` names.
pub(crate) fn checksum_algorithm(headers: &HeaderMap) -> Result<Option<Algorithm>, Refusal> {
    let named = text(headers, "x-amz-checksum-algorithm").filter(|name| !name.is_empty());
    named.map(|name| Algorithm::parse(name).ok_or_else(super::intake::unsupported_algorithm)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn refused(pairs: &[(&'static str, &str)]) -> String {
        Attributes::of(&headers(pairs), &Bucket::new(None, false)).unwrap_err().code().to_owned()
    }

    #[test]
    fn what_headers_say_is_kept() {
        let attributes = Attributes::of(
            &headers(&[
                ("content-type", "text/plain"),
                ("expires", "not even a date"),
                ("x-amz-meta-color", "blue"),
                ("x-amz-tagging", "a=1&b=x%20y"),
                ("x-amz-storage-class", "STANDARD_IA"),
            ]),
            &Bucket::new(None, false),
        )
        .unwrap();
        assert_eq!(attributes.headers["expires"], "not even a date");
        assert_eq!(attributes.metadata["color"], "blue");
        assert_eq!(attributes.tags, [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "x y".to_owned())]);
        assert_eq!(attributes.storage_class(), "STANDARD_IA");
        assert_eq!(attributes.encryption.algorithm.as_deref(), Some("AES256"));
    }

    #[test]
    fn what_aws_refuses_is_refused() {
        let big = "x".repeat(2050);
        assert_eq!(refused(&[("x-amz-meta-a", &big)]), "MetadataTooLarge");
        assert_eq!(refused(&[("x-amz-storage-class", "FAST")]), "InvalidStorageClass");
        assert_eq!(refused(&[("x-amz-tagging", "a=1&a=2")]), "InvalidArgument");
        assert_eq!(refused(&[("x-amz-tagging", "aws:x=1")]), "InvalidTag");
        assert_eq!(refused(&[("x-amz-website-redirect-location", "ftp://x")]), "InvalidRedirectLocation");
        assert_eq!(refused(&[("x-amz-server-side-encryption", "ROT13")]), "InvalidArgument");
        assert_eq!(refused(&[("x-amz-object-lock-legal-hold", "ON")]), "InvalidRequest");
    }
}
