//! AWS Signature Version 2 in the query of a presigned URL: `AWSAccessKeyId`, `Expires`, `Signature`.
//!
//! AWS has called it obsolete for years; boto3's `generate_presigned_url` still makes such URLs unless it is configured
//! otherwise. Source: "Signing and authenticating REST requests" in the S3 User Guide.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use s3s::crypto::Sha1;

use super::{Denied, Head, hmac, same, signature_does_not_match};

/// The parameters that name a subresource or change the answer, and are therefore signed.
const SIGNED_PARAMETERS: &[&str] = &[
    "accelerate",
    "acl",
    "cors",
    "delete",
    "encryption",
    "lifecycle",
    "location",
    "logging",
    "notification",
    "partNumber",
    "policy",
    "requestPayment",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "website",
];

/// What a presigned URL says about its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signature {
    pub(super) key_id: String,
    /// Seconds since 1970.
    expires: u64,
    signature: String,
}

impl Signature {
    pub(super) fn of(head: &Head<'_>) -> Option<Self> {
        Some(Self {
            key_id: head.parameter("AWSAccessKeyId")?,
            expires: head.parameter("Expires")?.parse().ok()?,
            // A space was a plus sign that the client did not encode.
            signature: head.parameter("Signature")?.replace(' ', "+"),
        })
    }

    pub(super) fn check_time(&self, now: SystemTime) -> Result<(), Denied> {
        let expires = UNIX_EPOCH + Duration::from_secs(self.expires);
        if now > expires {
            return Err(Denied::new(403, "AccessDenied", "Request has expired")
                .with("Expires", crate::log::timestamp(expires))
                .with("ServerTime", crate::log::timestamp(now)));
        }
        Ok(())
    }

    pub(super) fn verify(&self, head: &Head<'_>, secret: &str) -> Result<(), Denied> {
        let string_to_sign = self.string_to_sign(head);
        let expected = STANDARD.encode(hmac::<Sha1>(secret.as_bytes(), string_to_sign.as_bytes()));
        if same(&expected, &self.signature) {
            return Ok(());
        }
        Err(signature_does_not_match(&self.key_id, &self.signature, &string_to_sign))
    }

    fn string_to_sign(&self, head: &Head<'_>) -> String {
        // What a client moved from headers into the query is signed as the header it was.
        let parameters = head.parameters();
        let moved = |name: &str| {
            parameters.iter().find_map(|(found, value)| found.eq_ignore_ascii_case(name).then_some(value.as_str()))
        };
        let described = |name: &str| head.header(name).or_else(|| moved(name)).unwrap_or_default();
        let mut text =
            format!("{}\n{}\n{}\n{}\n", head.method, described("content-md5"), described("content-type"), self.expires);
        let mut amz: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in head.headers {
            if name.as_str().starts_with("x-amz-") {
                let value = String::from_utf8_lossy(value.as_bytes()).trim().to_owned();
                amz.entry(name.as_str().to_owned()).or_default().push(value);
            }
        }
        for (name, value) in &parameters {
            let name = name.to_ascii_lowercase();
            if name.starts_with("x-amz-") && !head.headers.contains_key(&name) {
                amz.entry(name).or_default().push(value.clone());
            }
        }
        for (name, values) in amz {
            let _ = writeln!(text, "{name}:{}", values.join(","));
        }
        if let Some(bucket) = head.header("host").and_then(crate::s3::bucket_of_host) {
            let _ = write!(text, "/{bucket}");
        }
        text.push_str(head.uri.path());
        let mut signed = parameters.clone();
        signed.retain(|(name, _)| SIGNED_PARAMETERS.contains(&name.as_str()));
        signed.sort();
        for (at, (name, value)) in signed.into_iter().enumerate() {
            text.push(if at == 0 { '?' } else { '&' });
            text.push_str(&name);
            if !value.is_empty() {
                let _ = write!(text, "={value}");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method, Uri};

    use super::*;

    /// The example of "query string request authentication" in the S3 User Guide.
    #[test]
    fn the_documented_example_has_the_documented_signature() {
        let uri: Uri = "/photos/puppy.jpg?AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Expires=1175139620&Signature=NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D".parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("host", "johnsmith.s3.amazonaws.com".parse().unwrap());
        let head = Head { method: &Method::GET, uri: &uri, headers: &headers };
        let signature = Signature::of(&head).unwrap();
        assert_eq!(signature.string_to_sign(&head), "GET\n\n\n1175139620\n/johnsmith/photos/puppy.jpg");
        assert!(signature.verify(&head, "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY").is_ok());
        assert!(signature.verify(&head, "another").is_err());
        assert!(signature.check_time(SystemTime::now()).is_err(), "it expired in 2007");
    }
}
