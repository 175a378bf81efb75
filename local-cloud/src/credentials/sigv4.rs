//! AWS Signature Version 4: headers, presigned URLs, and the chunks of a streamed body.
//!
//! The canonical request is rebuilt from what arrived and signed with the secret; the result must be the signature that
//! was sent. Source: "Create a signed AWS API request" in the IAM User Guide, and "Signature Calculations for the
//! Authorization Header" in the S3 API reference.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use s3s::crypto::{Checksum as _, Sha256};

use super::{Denied, Head, hmac, same, signature_does_not_match};
use crate::operation::percent_decoded_bytes;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const MAX_SKEW: Duration = Duration::from_secs(15 * 60);
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// What a request says about its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Authorization {
    pub(super) key_id: String,
    pub(super) service: String,
    day: String,
    pub(super) region: String,
    signed_headers: Vec<String>,
    signature: String,
    /// As in `20261122T142230Z`.
    time: String,
    /// Seconds that a presigned URL is good for; `None` for a header.
    expires: Option<u64>,
}

impl Authorization {
    pub(super) fn of_header(head: &Head<'_>) -> Option<Self> {
        let fields = head.header("authorization")?.strip_prefix(ALGORITHM)?.trim();
        let field = |name: &str| {
            fields.split(',').find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
        };
        let time = head.header("x-amz-date").map(str::to_owned);
        Self::new(&field("Credential")?, &field("SignedHeaders")?, field("Signature")?, time.unwrap_or_default(), None)
    }

    pub(super) fn of_query(head: &Head<'_>) -> Option<Self> {
        let parameters = head.parameters();
        let parameter = |name: &str| {
            parameters.iter().find_map(|(found, value)| found.eq_ignore_ascii_case(name).then(|| value.clone()))
        };
        let expires = parameter("X-Amz-Expires").and_then(|seconds| seconds.parse().ok()).unwrap_or(0);
        Self::new(
            &parameter("X-Amz-Credential")?,
            &parameter("X-Amz-SignedHeaders")?,
            parameter("X-Amz-Signature")?,
            parameter("X-Amz-Date")?,
            Some(expires),
        )
    }

    fn new(credential: &str, headers: &str, signature: String, time: String, expires: Option<u64>) -> Option<Self> {
        // A key id may hold slashes, the other four fields can't.
        let mut fields = credential.rsplitn(5, '/');
        let terminator = fields.next()?;
        let (service, region, day, key_id) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        (terminator == "aws4_request").then(|| Self {
            key_id: key_id.to_owned(),
            service: service.to_owned(),
            day: day.to_owned(),
            region: region.to_owned(),
            signed_headers: headers.split(';').map(str::to_ascii_lowercase).collect(),
            signature,
            time,
            expires,
        })
    }

    /// Whether the request was signed about now, or its presigned URL is still good.
    pub(super) fn check_time(&self, now: SystemTime) -> Result<(), Denied> {
        let Some(signed) = parse_time(&self.time) else {
            let message = "AWS authentication requires a valid Date or x-amz-date header";
            return Err(Denied::new(403, "AccessDenied", message));
        };
        let in_future = signed.duration_since(now).unwrap_or_default();
        let age = now.duration_since(signed).unwrap_or_default();
        match self.expires {
            Some(seconds) if seconds > 7 * 24 * 3600 => {
                let message = "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds";
                Err(Denied::new(400, "AuthorizationQueryParametersError", message))
            }
            Some(seconds) if age > Duration::from_secs(seconds) => {
                Err(Denied::new(403, "AccessDenied", "Request has expired")
                    .with("X-Amz-Expires", seconds.to_string())
                    .with("Expires", crate::log::timestamp(signed + Duration::from_secs(seconds)))
                    .with("ServerTime", crate::log::timestamp(now)))
            }
            None if age > MAX_SKEW || in_future > MAX_SKEW => {
                let message = "The difference between the request time and the current time is too large.";
                Err(Denied::new(403, "RequestTimeTooSkewed", message)
                    .with("RequestTime", self.time.clone())
                    .with("ServerTime", crate::log::timestamp(now))
                    .with("MaxAllowedSkewMilliseconds", "900000"))
            }
            Some(_) if in_future > MAX_SKEW => Err(Denied::new(403, "AccessDenied", "Request is not valid yet")
                .with("ServerTime", crate::log::timestamp(now))),
            _ => Ok(()),
        }
    }

    /// Verifies the signature, and returns what verifies the chunks of the body.
    pub(super) fn verify(&self, head: &Head<'_>, secret: &str, body: Option<&[u8]>) -> Result<ChunkSigner, Denied> {
        let payload = match (head.header("x-amz-content-sha256"), self.expires, body) {
            (Some(declared), ..) => declared.to_owned(),
            (None, Some(_), _) if self.service == "s3" => UNSIGNED.to_owned(),
            (None, _, Some(body)) => hex(Sha256::checksum(body).as_ref()),
            (None, ..) => {
                return Err(Denied::new(
                    400,
                    "InvalidRequest",
                    "Missing required header for this request: x-amz-content-sha256",
                ));
            }
        };
        let canonical = self.canonical_request(head, &payload);
        let string_to_sign = format!(
            "{ALGORITHM}\n{}\n{}\n{}",
            self.time,
            self.scope(),
            hex(Sha256::checksum(canonical.as_bytes()).as_ref())
        );
        let key = self.signing_key(secret);
        if !same(&sign(&key, &string_to_sign), &self.signature) {
            return Err(signature_does_not_match(&self.key_id, &self.signature, &string_to_sign)
                .with("CanonicalRequest", canonical));
        }
        Ok(ChunkSigner { key, time: self.time.clone(), scope: self.scope(), previous: self.signature.clone() })
    }

    fn scope(&self) -> String {
        format!("{}/{}/{}/aws4_request", self.day, self.region, self.service)
    }

    fn signing_key(&self, secret: &str) -> Vec<u8> {
        let mut key = hmac::<Sha256>(format!("AWS4{secret}").as_bytes(), self.day.as_bytes());
        for part in [&self.region, &self.service, "aws4_request"] {
            key = hmac::<Sha256>(&key, part.as_bytes());
        }
        key.to_vec()
    }

    fn canonical_request(&self, head: &Head<'_>, payload: &str) -> String {
        // S3 signs the path encoded once, every other service encodes the encoded path again.
        let path = if self.service == "s3" {
            uri_encoded(&percent_decoded_bytes(head.uri.path()), true)
        } else {
            uri_encoded(head.uri.path().as_bytes(), true)
        };
        let mut parameters: Vec<(String, String)> = head
            .parameters()
            .into_iter()
            .filter(|(name, _)| !(self.expires.is_some() && name.eq_ignore_ascii_case("X-Amz-Signature")))
            .map(|(name, value)| (uri_encoded(name.as_bytes(), false), uri_encoded(value.as_bytes(), false)))
            .collect();
        parameters.sort();
        let query: Vec<String> = parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut headers = String::new();
        for name in &self.signed_headers {
            let values = head.headers.get_all(name.as_str()).iter();
            let values: Vec<String> =
                values.map(|value| collapsed(&String::from_utf8_lossy(value.as_bytes()))).collect();
            let _ = writeln!(headers, "{name}:{}", values.join(","));
        }
        let method = head.method;
        format!("{method}\n{path}\n{}\n{headers}\n{}\n{payload}", query.join("&"), self.signed_headers.join(";"))
    }
}

/// Verifies the chunks of a body one after the other: each signature covers the one before it.
#[derive(Clone, Debug)]
pub(crate) struct ChunkSigner {
    key: Vec<u8>,
    time: String,
    scope: String,
    previous: String,
}

impl ChunkSigner {
    /// Whether `signature` is that of the next chunk, whose bytes have this SHA-256.
    pub(crate) fn accepts_chunk(&mut self, signature: &str, digest: &[u8]) -> bool {
        let empty = hex(Sha256::checksum(b"").as_ref());
        self.accepts(
            signature,
            &format!("{ALGORITHM}-PAYLOAD\n{}\n{}\n{}\n{empty}\n{}", self.time, self.scope, self.previous, hex(digest)),
        )
    }

    /// Whether `signature` is that of the trailing headers, written `name:value\n`.
    pub(crate) fn accepts_trailer(&mut self, signature: &str, trailer: &str) -> bool {
        let digest = hex(Sha256::checksum(trailer.as_bytes()).as_ref());
        self.accepts(
            signature,
            &format!("AWS4-HMAC-SHA256-TRAILER\n{}\n{}\n{}\n{digest}", self.time, self.scope, self.previous),
        )
    }

    fn accepts(&mut self, signature: &str, string_to_sign: &str) -> bool {
        let expected = sign(&self.key, string_to_sign);
        let accepted = same(&expected, signature);
        self.previous = expected;
        accepted
    }
}

fn sign(key: &[u8], string_to_sign: &str) -> String {
    hex(&hmac::<Sha256>(key, string_to_sign.as_bytes()))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Everything but RFC 3986's unreserved characters as `%XX`.
fn uri_encoded(bytes: &[u8], keep_slashes: bool) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len()), |mut text, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text.push(char::from(*byte)),
            b'/' if keep_slashes => text.push('/'),
            _ => {
                let _ = write!(text, "%{byte:02X}");
            }
        }
        text
    })
}

/// Trimmed, with every run of spaces made one.
fn collapsed(value: &str) -> String {
    value.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

/// `20261122T142230Z`.
fn parse_time(text: &str) -> Option<SystemTime> {
    let bytes = text.as_bytes();
    if bytes.len() != 16 || bytes[8] != b'T' || bytes[15] != b'Z' || !text.is_ascii() {
        return None;
    }
    let iso =
        format!("{}-{}-{}T{}:{}:{}Z", &text[..4], &text[4..6], &text[6..8], &text[9..11], &text[11..13], &text[13..15]);
    let time = s3s::dto::Timestamp::parse(s3s::dto::TimestampFormat::DateTime, &iso).ok()?;
    let seconds = u64::try_from(time::OffsetDateTime::from(time).unix_timestamp()).ok()?;
    Some(UNIX_EPOCH + Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method, Uri};

    use super::*;
    use crate::credentials::Credentials;

    /// The example of "Signature Calculations for the Authorization Header" in the S3 API reference.
    #[test]
    fn the_documented_example_has_the_documented_signature() {
        let uri: Uri = "/test.txt".parse().unwrap();
        let mut headers = HeaderMap::new();
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        for (name, value) in [
            ("host", "examplebucket.s3.amazonaws.com"),
            ("range", "bytes=0-9"),
            ("x-amz-content-sha256", empty),
            ("x-amz-date", "20130524T000000Z"),
            (
                "authorization",
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            ),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        let head = Head { method: &Method::GET, uri: &uri, headers: &headers };
        let authorization = Authorization::of_header(&head).unwrap();
        assert!(authorization.verify(&head, "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", None).is_ok());
        let denied = authorization.verify(&head, "another", None).unwrap_err();
        assert_eq!((denied.status, denied.code), (403, "SignatureDoesNotMatch"));
    }

    #[test]
    fn a_request_signed_long_ago_is_too_skewed() {
        let uri: Uri = "/".parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-date", "20130524T000000Z".parse().unwrap());
        let value =
            "AWS4-HMAC-SHA256 Credential=k/20130524/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00";
        headers.insert("authorization", value.parse().unwrap());
        let denied = Credentials::default().verify(&Head { method: &Method::GET, uri: &uri, headers: &headers }, None);
        assert_eq!(denied.err().map(|denied| denied.code), Some("RequestTimeTooSkewed"));
    }
}
