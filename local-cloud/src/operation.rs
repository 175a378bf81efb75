//! Names a request before anything is done with it: the service it is for, AWS's name of the operation, and what it is
//! about. The request log and the faults go by these names.
//!
//! S3 and Lambda say all of it in a request's head. The services with one address for all operations say some or all of
//! it in the body, which is read before these names are asked for: [`Target::name_by_body`].

use std::borrow::Cow;

use http::{HeaderMap, Method, Uri, header};

use crate::credentials;
use crate::log::Service;
use crate::protocol::json;
use crate::protocol::query::Form;
use crate::s3::bucket_of_host;

/// What a request is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) service: Service,
    pub(crate) operation: Cow<'static, str>,
    pub(crate) resource: Option<String>,
}

/// How a service is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// S3's own: methods, paths, XML.
    S3,
    /// Methods, paths and JSON, as Lambda does.
    RestJson,
    /// A form with an `Action`, answered with XML.
    Query,
    /// JSON with an `X-Amz-Target`.
    Json,
}

impl Service {
    pub(crate) fn protocol(self) -> Protocol {
        match self {
            Self::S3 => Protocol::S3,
            Self::Lambda => Protocol::RestJson,
            Self::Sts | Self::CloudFormation | Self::Iam => Protocol::Query,
            Self::CodeBuild | Self::Logs => Protocol::Json,
        }
    }

    /// The service of a credential scope, for those whose requests all look alike.
    fn of_scope(scope: &str) -> Option<Self> {
        match scope {
            "sts" => Some(Self::Sts),
            "cloudformation" => Some(Self::CloudFormation),
            "iam" => Some(Self::Iam),
            "codebuild" => Some(Self::CodeBuild),
            "logs" => Some(Self::Logs),
            _ => None,
        }
    }
}

impl Target {
    /// Names what only a request's body says. The bodies of S3 and Lambda say nothing about names.
    pub(crate) fn name_by_body(&mut self, query: &str, body: &[u8]) {
        match self.service.protocol() {
            Protocol::S3 | Protocol::RestJson => {}
            Protocol::Query => {
                let form = Form::of_request(query, body);
                if let Some(action) = form.get("Action") {
                    self.operation = Cow::Owned(action.to_owned());
                }
                self.resource = form.first(query_subjects(self.service)).map(str::to_owned);
            }
            Protocol::Json => self.resource = json::member(body, json_subjects(self.service)),
        }
    }
}

/// The parameters that name what a request is about, the most telling first.
fn query_subjects(service: Service) -> &'static [&'static str] {
    match service {
        Service::CloudFormation => &["StackName", "ChangeSetName"],
        Service::Iam => &["RoleName", "PolicyName", "PolicyArn", "UserName"],
        _ => &[],
    }
}

fn json_subjects(service: Service) -> &'static [&'static str] {
    match service {
        Service::CodeBuild => &["projectName", "name"],
        Service::Logs => &["logGroupName", "logGroupIdentifier", "logGroupNamePrefix"],
        _ => &[],
    }
}

/// Names a request by its head.
pub(crate) fn identify(method: &Method, uri: &Uri, headers: &HeaderMap) -> Target {
    let scope = credentials::scope(uri, headers);
    let service = scope.as_ref().map(|scope| scope.service.as_str());
    if service != Some("s3") && is_lambda_path(uri.path()) {
        let (operation, resource) = crate::lambda::operation(method, uri);
        return Target { service: Service::Lambda, operation: operation.into(), resource };
    }
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    if let Some(service) = service.and_then(Service::of_scope).or_else(|| of_unsigned(uri, headers, target)) {
        let named = match service.protocol() {
            Protocol::Json => {
                target.and_then(|target| target.split_once('.')).map(|(_, operation)| operation.to_owned())
            }
            _ => None,
        };
        return Target { service, operation: named.map_or("Unknown".into(), Cow::Owned), resource: None };
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let path = percent_decoded(uri.path().trim_start_matches('/'));
    let (bucket, key) = match bucket_of_host(host) {
        Some(bucket) => (bucket.to_owned(), path),
        None => match path.split_once('/') {
            Some((bucket, key)) => (bucket.to_owned(), key.to_owned()),
            None => (path, String::new()),
        },
    };
    let parameters = Parameters(uri.query().unwrap_or_default());
    let (operation, resource) = if bucket.is_empty() {
        (if method == Method::GET { "ListBuckets" } else { "Unknown" }, None)
    } else if key.is_empty() {
        (bucket_operation(method, &parameters, headers), Some(bucket))
    } else {
        (object_operation(method, &parameters, headers), Some(format!("{bucket}/{key}")))
    };
    Target { service: Service::S3, operation: operation.into(), resource }
}

/// The service of a request that no scope names: for the answer that it must be signed.
fn of_unsigned(uri: &Uri, headers: &HeaderMap, target: Option<&str>) -> Option<Service> {
    if uri.path() != "/" {
        return None;
    }
    match target.and_then(|target| target.split_once('.')) {
        Some((prefix, _)) if prefix.starts_with("CodeBuild_") => Some(Service::CodeBuild),
        Some((prefix, _)) if prefix.starts_with("Logs_") => Some(Service::Logs),
        _ => is_form(headers).then_some(Service::Sts),
    }
}

/// Whether a path begins with the date of a version of Lambda's API, such as `/2015-03-31/`. A bucket's name can look
/// like one, so the credential scope decides first.
fn is_lambda_path(path: &str) -> bool {
    let date = path.as_bytes();
    date.len() >= 12
        && date[0] == b'/'
        && date[11] == b'/'
        && date[1..11].iter().enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"))
}

/// The parameters of a query string, looked up by name.
struct Parameters<'a>(&'a str);

impl Parameters<'_> {
    fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.split('&').find_map(|pair| {
            let (found, value) = pair.split_once('=').unwrap_or((pair, ""));
            (found == name).then_some(value)
        })
    }
}

/// A bucket's subresources, with the operations that read, write and remove them.
const BUCKET_SUBRESOURCES: &[(&str, &str, &str, &str)] = &[
    ("accelerate", "GetBucketAccelerateConfiguration", "PutBucketAccelerateConfiguration", ""),
    ("acl", "GetBucketAcl", "PutBucketAcl", ""),
    ("cors", "GetBucketCors", "PutBucketCors", "DeleteBucketCors"),
    ("encryption", "GetBucketEncryption", "PutBucketEncryption", "DeleteBucketEncryption"),
    ("lifecycle", "GetBucketLifecycleConfiguration", "PutBucketLifecycleConfiguration", "DeleteBucketLifecycle"),
    ("location", "GetBucketLocation", "", ""),
    ("logging", "GetBucketLogging", "PutBucketLogging", ""),
    ("notification", "GetBucketNotificationConfiguration", "PutBucketNotificationConfiguration", ""),
    ("object-lock", "GetObjectLockConfiguration", "PutObjectLockConfiguration", ""),
    ("ownershipControls", "GetBucketOwnershipControls", "PutBucketOwnershipControls", "DeleteBucketOwnershipControls"),
    ("policy", "GetBucketPolicy", "PutBucketPolicy", "DeleteBucketPolicy"),
    ("policyStatus", "GetBucketPolicyStatus", "", ""),
    ("publicAccessBlock", "GetPublicAccessBlock", "PutPublicAccessBlock", "DeletePublicAccessBlock"),
    ("replication", "GetBucketReplication", "PutBucketReplication", "DeleteBucketReplication"),
    ("requestPayment", "GetBucketRequestPayment", "PutBucketRequestPayment", ""),
    ("tagging", "GetBucketTagging", "PutBucketTagging", "DeleteBucketTagging"),
    ("versioning", "GetBucketVersioning", "PutBucketVersioning", ""),
    ("website", "GetBucketWebsite", "PutBucketWebsite", "DeleteBucketWebsite"),
];

/// The same for an object's subresources.
const OBJECT_SUBRESOURCES: &[(&str, &str, &str, &str)] = &[
    ("attributes", "GetObjectAttributes", "", ""),
    ("acl", "GetObjectAcl", "PutObjectAcl", ""),
    ("legal-hold", "GetObjectLegalHold", "PutObjectLegalHold", ""),
    ("retention", "GetObjectRetention", "PutObjectRetention", ""),
    ("tagging", "GetObjectTagging", "PutObjectTagging", "DeleteObjectTagging"),
    ("torrent", "GetObjectTorrent", "", ""),
];

fn subresource(
    table: &[(&str, &'static str, &'static str, &'static str)],
    method: &Method,
    parameters: &Parameters<'_>,
) -> Option<&'static str> {
    table.iter().filter(|row| parameters.has(row.0)).find_map(|row| {
        let name = match *method {
            Method::GET => row.1,
            Method::PUT => row.2,
            Method::DELETE => row.3,
            _ => "",
        };
        (!name.is_empty()).then_some(name)
    })
}

fn bucket_operation(method: &Method, parameters: &Parameters<'_>, headers: &HeaderMap) -> &'static str {
    if let Some(name) = subresource(BUCKET_SUBRESOURCES, method, parameters) {
        return name;
    }
    match *method {
        Method::GET if parameters.has("uploads") => "ListMultipartUploads",
        Method::GET if parameters.has("versions") => "ListObjectVersions",
        Method::GET if parameters.get("list-type") == Some("2") => "ListObjectsV2",
        Method::GET => "ListObjects",
        Method::HEAD => "HeadBucket",
        Method::PUT => "CreateBucket",
        Method::DELETE => "DeleteBucket",
        Method::POST if parameters.has("delete") => "DeleteObjects",
        Method::POST if is_multipart_form(headers) => "PostObject",
        _ => "Unknown",
    }
}

fn object_operation(method: &Method, parameters: &Parameters<'_>, headers: &HeaderMap) -> &'static str {
    if let Some(name) = subresource(OBJECT_SUBRESOURCES, method, parameters) {
        return name;
    }
    let upload = parameters.has("uploadId");
    let copy = headers.contains_key("x-amz-copy-source");
    match *method {
        Method::GET if upload => "ListParts",
        Method::GET => "GetObject",
        Method::HEAD => "HeadObject",
        Method::PUT if upload && parameters.has("partNumber") && copy => "UploadPartCopy",
        Method::PUT if upload && parameters.has("partNumber") => "UploadPart",
        Method::PUT if copy => "CopyObject",
        Method::PUT => "PutObject",
        Method::DELETE if upload => "AbortMultipartUpload",
        Method::DELETE => "DeleteObject",
        Method::POST if parameters.has("uploads") => "CreateMultipartUpload",
        Method::POST if upload => "CompleteMultipartUpload",
        Method::POST if parameters.has("restore") => "RestoreObject",
        Method::POST if parameters.has("select") => "SelectObjectContent",
        _ => "Unknown",
    }
}

fn is_multipart_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("multipart/form-data"))
}

/// Percent-decoded, with what is no UTF-8 replaced.
pub(crate) fn percent_decoded(text: &str) -> String {
    String::from_utf8_lossy(&percent_decoded_bytes(text)).into_owned()
}

/// Percent-decoded. A `%` that no two hex digits follow stands for itself.
pub(crate) fn percent_decoded_bytes(text: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let hex = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
        if byte == b'%'
            && let [high, low, after @ ..] = tail
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            decoded.push(high << 4 | low);
            rest = after;
        } else {
            decoded.push(byte);
            rest = tail;
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(method: &Method, uri: &str) -> (Service, Cow<'static, str>, Option<String>) {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, "127.0.0.1:4566".parse().unwrap());
        let target = identify(method, &uri.parse().unwrap(), &headers);
        (target.service, target.operation, target.resource)
    }

    #[test]
    fn operations_have_the_names_that_aws_gives_them() {
        for (method, uri, operation) in [
            (Method::GET, "/", "ListBuckets"),
            (Method::PUT, "/b", "CreateBucket"),
            (Method::PUT, "/b?versioning", "PutBucketVersioning"),
            (Method::GET, "/b?list-type=2&prefix=x", "ListObjectsV2"),
            (Method::GET, "/b?prefix=acl", "ListObjects"),
            (Method::POST, "/b?delete", "DeleteObjects"),
            (Method::GET, "/b/k", "GetObject"),
            (Method::GET, "/b/k?versionId=3", "GetObject"),
            (Method::POST, "/b/k?uploads", "CreateMultipartUpload"),
            (Method::PUT, "/b/k?partNumber=1&uploadId=u", "UploadPart"),
            (Method::POST, "/b/k?uploadId=u", "CompleteMultipartUpload"),
            (Method::DELETE, "/b/k?uploadId=u", "AbortMultipartUpload"),
            (Method::DELETE, "/b/k?tagging", "DeleteObjectTagging"),
        ] {
            assert_eq!(named(&method, uri).1, operation, "{method} {uri}");
        }
    }

    #[test]
    fn the_resource_is_the_decoded_key() {
        assert_eq!(named(&Method::GET, "/b/a%20b/%C3%A9").2.as_deref(), Some("b/a b/é"));
    }

    #[test]
    fn a_path_with_an_api_date_is_lambdas() {
        let invoke = named(&Method::POST, "/2015-03-31/functions/zipedit/invocations");
        assert_eq!(invoke, (Service::Lambda, "Invoke".into(), Some("zipedit".to_owned())));
        let download = named(&Method::GET, "/2015-03-31/code/zipedit/%24LATEST");
        assert_eq!(download, (Service::Lambda, "DownloadCode".into(), Some("zipedit".to_owned())));
        assert_eq!(named(&Method::GET, "/2015-03-3x/k").0, Service::S3);
    }

    #[test]
    fn the_credential_scope_decides_when_a_bucket_is_named_like_a_date() {
        let mut headers = HeaderMap::new();
        let scope =
            "AWS4-HMAC-SHA256 Credential=test/20261122/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00";
        headers.insert(header::AUTHORIZATION, scope.parse().unwrap());
        let target = identify(&Method::GET, &"/2015-03-31/functions".parse().unwrap(), &headers);
        assert_eq!((target.service, &*target.operation), (Service::S3, "GetObject"));
    }

    fn signed_for(service: &str, target: Option<&str>) -> Target {
        let mut headers = HeaderMap::new();
        let scope = format!(
            "AWS4-HMAC-SHA256 Credential=test/20261122/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=00"
        );
        headers.insert(header::AUTHORIZATION, scope.parse().unwrap());
        if let Some(target) = target {
            headers.insert("x-amz-target", target.parse().unwrap());
        }
        identify(&Method::POST, &"/".parse().unwrap(), &headers)
    }

    #[test]
    fn a_form_names_its_operation_in_the_body() {
        let mut target = signed_for("cloudformation", None);
        target.name_by_body("", b"Action=CreateChangeSet&Version=2010-05-15&ChangeSetName=c&StackName=my-app");
        assert_eq!((target.service, &*target.operation), (Service::CloudFormation, "CreateChangeSet"));
        assert_eq!(target.resource.as_deref(), Some("my-app"));

        let mut target = signed_for("sts", None);
        target.name_by_body("Action=GetCallerIdentity&Version=2011-06-15", b"");
        assert_eq!((target.service, &*target.operation), (Service::Sts, "GetCallerIdentity"));
    }

    #[test]
    fn a_json_service_names_its_operation_in_the_target() {
        let mut target = signed_for("logs", Some("Logs_20140328.FilterLogEvents"));
        target.name_by_body("", br#"{"logGroupName": "/aws/lambda/hello"}"#);
        assert_eq!((target.service, &*target.operation), (Service::Logs, "FilterLogEvents"));
        assert_eq!(target.resource.as_deref(), Some("/aws/lambda/hello"));
        assert_eq!(signed_for("codebuild", None).operation, "Unknown");
    }
}
