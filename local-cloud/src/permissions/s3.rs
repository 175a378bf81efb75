//! S3's actions, which are often named otherwise than its operations. After "Required permissions for Amazon S3 API
//! operations": <https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html>, and for
//! uploads in parts <https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html#mpuAndPermissions>.
//!
//! What a condition can ask of a request is in
//! <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html>; what it can ask of a
//! conditional write, in <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html>.

use http::HeaderMap;

use super::read_object;
use crate::iam::Need;
use crate::operation::percent_decoded;

/// A request, as far as its needs go.
pub(crate) struct Asked<'a> {
    /// AWS's name of the operation.
    pub(crate) operation: &'a str,
    pub(crate) bucket: &'a str,
    /// Empty for an operation on a bucket.
    pub(crate) key: &'a str,
    pub(crate) query: &'a str,
    pub(crate) headers: &'a HeaderMap,
}

impl Asked<'_> {
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        self.query.split('&').find_map(|pair| {
            let (found, value) = pair.split_once('=').unwrap_or((pair, ""));
            (found == name).then(|| percent_decoded(&value.replace('+', " ")))
        })
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    fn has(&self, header: &str) -> bool {
        self.headers.contains_key(header)
    }

    fn bucket_arn(&self) -> String {
        bucket_arn(self.bucket)
    }

    fn object_arn(&self) -> String {
        format!("arn:aws:s3:::{}/{}", self.bucket, self.key)
    }

    /// The action, or the one that is about a version where the request names one.
    fn on_object(&self, action: &str, of_version: &str) -> Need {
        match self.parameter("versionId") {
            Some(version) => Need::new(format!("s3:{of_version}"), self.object_arn()).with("s3:VersionId", version),
            None => Need::new(format!("s3:{action}"), self.object_arn()),
        }
    }
}

fn bucket_arn(bucket: &str) -> String {
    format!("arn:aws:s3:::{bucket}")
}

/// To list the keys with a prefix. It is also what lets S3 say of a key that it is missing; the prefix is then the key.
pub(crate) fn list(bucket: &str, prefix: &str) -> Need {
    Need::new("s3:ListBucket", bucket_arn(bucket)).with("s3:prefix", prefix)
}

/// To delete a key, or one of its versions.
pub(crate) fn delete(bucket: &str, key: &str, version: Option<&str>) -> Need {
    let action = if version.is_some() { "s3:DeleteObjectVersion" } else { "s3:DeleteObject" };
    Need::new(action, format!("arn:aws:s3:::{bucket}/{key}"))
}

/// To use a KMS key through S3.
pub(crate) fn kms(action: &str, key_arn: &str, region: &str) -> Need {
    Need::new(format!("kms:{action}"), key_arn).with("kms:ViaService", format!("s3.{region}.amazonaws.com"))
}

/// To see an object's tags, retention and legal hold in the headers of an answer.
pub(crate) fn see(header: &str, bucket: &str, key: &str, version: Option<&str>) -> Option<Need> {
    let action = match (header, version) {
        ("x-amz-tagging-count", None) => "s3:GetObjectTagging",
        ("x-amz-tagging-count", Some(_)) => "s3:GetObjectVersionTagging",
        ("x-amz-object-lock-mode" | "x-amz-object-lock-retain-until-date", _) => "s3:GetObjectRetention",
        ("x-amz-object-lock-legal-hold", _) => "s3:GetObjectLegalHold",
        _ => return None,
    };
    Some(Need::new(action, format!("arn:aws:s3:::{bucket}/{key}")))
}

/// Everything that a request needs, but for KMS keys.
pub(crate) fn needs(asked: &Asked<'_>) -> Vec<Need> {
    actions(asked).into_iter().map(|need| with_headers(asked, need)).collect()
}

/// Headers whose values are condition keys of their own names, with `s3:` before.
const CONDITION_HEADERS: [&str; 7] = [
    "x-amz-acl",
    "x-amz-content-sha256",
    "x-amz-copy-source",
    "x-amz-metadata-directive",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-storage-class",
];

/// Adds what conditions can ask about the request as such.
fn with_headers(asked: &Asked<'_>, mut need: Need) -> Need {
    for name in CONDITION_HEADERS {
        if let Some(value) = asked.header(name) {
            need = need.with(&format!("s3:{name}"), value);
        }
    }
    if need.action == "s3:PutObject" {
        for name in ["if-match", "if-none-match"] {
            if let Some(value) = asked.header(name) {
                need = need.with(&format!("s3:{name}"), value.trim_matches('"'));
            }
        }
        // Only these make an object; parts and the beginning of an upload make none yet.
        let creates = matches!(asked.operation, "PutObject" | "CopyObject" | "CompleteMultipartUpload");
        need = need.with("s3:ObjectCreationOperation", if creates { "true" } else { "false" });
    }
    need
}

fn actions(asked: &Asked<'_>) -> Vec<Need> {
    let on_bucket = |action: &str| vec![Need::new(format!("s3:{action}"), asked.bucket_arn())];
    let on_object = |action: &str, of_version: &str| vec![asked.on_object(action, of_version)];
    match asked.operation {
        "ListBuckets" => vec![Need::new("s3:ListAllMyBuckets", "*")],
        "HeadBucket" => on_bucket("ListBucket"),
        "ListObjects" | "ListObjectsV2" => listing(asked, "s3:ListBucket"),
        "ListObjectVersions" => listing(asked, "s3:ListBucketVersions"),
        "ListMultipartUploads" => on_bucket("ListBucketMultipartUploads"),
        "CreateBucket" => create_bucket(asked),
        "GetObject" | "HeadObject" => on_object("GetObject", "GetObjectVersion"),
        "GetObjectAttributes" => vec![
            asked.on_object("GetObject", "GetObjectVersion"),
            asked.on_object("GetObjectAttributes", "GetObjectVersionAttributes"),
        ],
        "PutObject" | "CreateMultipartUpload" | "CopyObject" => written(asked),
        "UploadPart" => on_object("PutObject", "PutObject"),
        "UploadPartCopy" => [on_object("PutObject", "PutObject"), copied(asked)].concat(),
        "CompleteMultipartUpload" => [on_object("PutObject", "PutObject"), compared(asked)].concat(),
        "AbortMultipartUpload" => on_object("AbortMultipartUpload", "AbortMultipartUpload"),
        "ListParts" => on_object("ListMultipartUploadParts", "ListMultipartUploadParts"),
        "DeleteObject" => vec![delete(asked.bucket, asked.key, asked.parameter("versionId").as_deref())],
        // Each key by itself, as the answer says for each what became of it.
        "DeleteObjects" => Vec::new(),
        "GetObjectAcl" => on_object("GetObjectAcl", "GetObjectVersionAcl"),
        "PutObjectAcl" => on_object("PutObjectAcl", "PutObjectVersionAcl"),
        "GetObjectTagging" => on_object("GetObjectTagging", "GetObjectVersionTagging"),
        "PutObjectTagging" => on_object("PutObjectTagging", "PutObjectVersionTagging"),
        "DeleteObjectTagging" => on_object("DeleteObjectTagging", "DeleteObjectVersionTagging"),
        "GetObjectTorrent" => on_object("GetObjectTorrent", "GetObjectVersionTorrent"),
        // Versions have no actions of their own here.
        "GetObjectRetention" | "PutObjectRetention" | "GetObjectLegalHold" | "PutObjectLegalHold" | "RestoreObject" => {
            on_object(asked.operation, asked.operation)
        }
        "SelectObjectContent" => on_object("GetObject", "GetObjectVersion"),
        operation if asked.key.is_empty() => on_bucket(bucket_action(operation)),
        operation => on_object(operation, operation),
    }
}

/// The actions of a bucket's settings that aren't named like their operations.
fn bucket_action(operation: &str) -> &str {
    match operation {
        "GetBucketAccelerateConfiguration" => "GetAccelerateConfiguration",
        "PutBucketAccelerateConfiguration" => "PutAccelerateConfiguration",
        "GetBucketCors" => "GetBucketCORS",
        "PutBucketCors" | "DeleteBucketCors" => "PutBucketCORS",
        "GetBucketEncryption" => "GetEncryptionConfiguration",
        "PutBucketEncryption" | "DeleteBucketEncryption" => "PutEncryptionConfiguration",
        "GetBucketLifecycleConfiguration" => "GetLifecycleConfiguration",
        "PutBucketLifecycleConfiguration" | "DeleteBucketLifecycle" => "PutLifecycleConfiguration",
        "GetBucketNotificationConfiguration" => "GetBucketNotification",
        "PutBucketNotificationConfiguration" => "PutBucketNotification",
        "GetObjectLockConfiguration" => "GetBucketObjectLockConfiguration",
        "PutObjectLockConfiguration" => "PutBucketObjectLockConfiguration",
        "DeleteBucketOwnershipControls" => "PutBucketOwnershipControls",
        "GetPublicAccessBlock" => "GetBucketPublicAccessBlock",
        "PutPublicAccessBlock" | "DeletePublicAccessBlock" => "PutBucketPublicAccessBlock",
        "GetBucketReplication" => "GetReplicationConfiguration",
        "PutBucketReplication" | "DeleteBucketReplication" => "PutReplicationConfiguration",
        "DeleteBucketTagging" => "PutBucketTagging",
        other => other,
    }
}

fn listing(asked: &Asked<'_>, action: &str) -> Vec<Need> {
    let mut need = Need::new(action, asked.bucket_arn());
    for name in ["prefix", "delimiter", "max-keys"] {
        if let Some(value) = asked.parameter(name) {
            need = need.with(&format!("s3:{name}"), value);
        }
    }
    vec![need]
}

fn create_bucket(asked: &Asked<'_>) -> Vec<Need> {
    let mut actions = vec!["CreateBucket"];
    if asked.has("x-amz-acl") || has_grants(asked) {
        actions.push("PutBucketAcl");
    }
    if asked.header("x-amz-bucket-object-lock-enabled").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        actions.extend(["PutBucketObjectLockConfiguration", "PutBucketVersioning"]);
    }
    if asked.has("x-amz-object-ownership") {
        actions.push("PutBucketOwnershipControls");
    }
    actions.into_iter().map(|action| Need::new(format!("s3:{action}"), asked.bucket_arn())).collect()
}

fn has_grants(asked: &Asked<'_>) -> bool {
    asked.headers.keys().any(|name| name.as_str().starts_with("x-amz-grant-"))
}

/// A new object, with what its headers give it.
fn written(asked: &Asked<'_>) -> Vec<Need> {
    let on_target = |action: &str| Need::new(format!("s3:{action}"), asked.object_arn());
    let mut needs = vec![on_target("PutObject")];
    if asked.operation == "CopyObject" {
        needs.extend(copied(asked));
    }
    if asked.has("x-amz-tagging") {
        needs.push(on_target("PutObjectTagging"));
    }
    if asked.has("x-amz-object-lock-mode") || asked.has("x-amz-object-lock-retain-until-date") {
        needs.push(on_target("PutObjectRetention"));
    }
    if asked.has("x-amz-object-lock-legal-hold") {
        needs.push(on_target("PutObjectLegalHold"));
    }
    if asked.has("x-amz-acl") || has_grants(asked) {
        needs.push(on_target("PutObjectAcl"));
    }
    needs.extend(compared(asked));
    needs
}

/// A write on the condition of an entity tag tells whether the object has it, which only readers may know.
fn compared(asked: &Asked<'_>) -> Vec<Need> {
    if asked.has("if-match") { vec![Need::new("s3:GetObject", asked.object_arn())] } else { Vec::new() }
}

/// The source of a copy.
fn copied(asked: &Asked<'_>) -> Vec<Need> {
    source(asked.headers)
        .map(|(bucket, key, version)| read_object(&bucket, &key, version.as_deref()))
        .into_iter()
        .collect()
}

/// The tags of a copy: those of the source (bucket, key, version) to read, those of the target to write.
pub(crate) fn copied_tags(source: (&str, &str, Option<&str>), target: (&str, &str)) -> Vec<Need> {
    let (bucket, key, version) = source;
    let read = if version.is_some() { "s3:GetObjectVersionTagging" } else { "s3:GetObjectTagging" };
    vec![
        Need::new(read, format!("arn:aws:s3:::{bucket}/{key}")),
        Need::new("s3:PutObjectTagging", format!("arn:aws:s3:::{}/{}", target.0, target.1)),
    ]
}

/// Bucket, key and version of `x-amz-copy-source`.
pub(crate) fn source(headers: &HeaderMap) -> Option<(String, String, Option<String>)> {
    let source = headers.get("x-amz-copy-source")?.to_str().ok()?;
    let (path, version) = match source.split_once("?versionId=") {
        Some((path, version)) => (path, Some(version.to_owned())),
        None => (source, None),
    };
    let path = percent_decoded(path.trim_start_matches('/'));
    let (bucket, key) = path.split_once('/')?;
    Some((bucket.to_owned(), key.to_owned(), version))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actions(operation: &str, key: &str, query: &str, headers: &[(&'static str, &str)]) -> Vec<String> {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let needs = needs(&Asked { operation, bucket: "b", key, query, headers: &headers });
        needs.into_iter().map(|need| format!("{} {}", need.action, need.resource)).collect()
    }

    #[test]
    fn a_write_needs_what_its_headers_ask_for() {
        assert_eq!(actions("PutObject", "k", "", &[]), ["s3:PutObject arn:aws:s3:::b/k"]);
        assert_eq!(
            actions("PutObject", "k", "", &[("if-match", "\"e\""), ("x-amz-tagging", "a=b")]),
            ["s3:PutObject", "s3:PutObjectTagging", "s3:GetObject"].map(|action| format!("{action} arn:aws:s3:::b/k"))
        );
        assert_eq!(actions("PutObject", "k", "", &[("if-none-match", "*")]), ["s3:PutObject arn:aws:s3:::b/k"]);
        let locked = [("x-amz-object-lock-mode", "GOVERNANCE"), ("x-amz-object-lock-legal-hold", "ON")];
        assert_eq!(actions("CreateMultipartUpload", "k", "uploads", &locked).len(), 3);
    }

    #[test]
    fn a_copy_needs_to_read_its_source() {
        let of =
            |source: &str| actions("UploadPartCopy", "k", "partNumber=1&uploadId=u", &[("x-amz-copy-source", source)]);
        assert_eq!(of("/c/a%20b.zip"), ["s3:PutObject arn:aws:s3:::b/k", "s3:GetObject arn:aws:s3:::c/a b.zip"]);
        assert_eq!(of("c/a.zip?versionId=v")[1], "s3:GetObjectVersion arn:aws:s3:::c/a.zip");
    }

    #[test]
    fn versions_have_actions_of_their_own() {
        assert_eq!(actions("GetObject", "k", "versionId=v", &[]), ["s3:GetObjectVersion arn:aws:s3:::b/k"]);
        assert_eq!(actions("DeleteObject", "k", "versionId=v", &[]), ["s3:DeleteObjectVersion arn:aws:s3:::b/k"]);
        assert_eq!(
            actions("GetObjectTagging", "k", "tagging&versionId=v", &[]).concat(),
            "s3:GetObjectVersionTagging arn:aws:s3:::b/k"
        );
        assert_eq!(
            actions("GetObjectRetention", "k", "retention&versionId=v", &[]).concat(),
            "s3:GetObjectRetention arn:aws:s3:::b/k"
        );
    }

    #[test]
    fn buckets_have_actions_that_are_named_otherwise_than_their_operations() {
        for (operation, action) in [
            ("HeadBucket", "ListBucket"),
            ("ListObjectVersions", "ListBucketVersions"),
            ("ListMultipartUploads", "ListBucketMultipartUploads"),
            ("GetBucketLifecycleConfiguration", "GetLifecycleConfiguration"),
            ("DeletePublicAccessBlock", "PutBucketPublicAccessBlock"),
            ("GetBucketVersioning", "GetBucketVersioning"),
        ] {
            assert_eq!(actions(operation, "", "", &[]), [format!("s3:{action} arn:aws:s3:::b")], "{operation}");
        }
    }
}
