//! Who signed a request, and whether the signature is right.
//!
//! A request is signed with SigV4 in its `Authorization` header or its query (a presigned URL), or with the older SigV2
//! in its query, which boto3 still uses for presigned URLs by default. The signature of a known access key id is
//! verified; that of an unknown one cannot be and is let in, unless the cloud was told otherwise.

mod sigv2;
mod sigv4;

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use http::{HeaderMap, Method, Uri, header};

pub(crate) use sigv4::ChunkSigner;
use sigv4::{Authorization, hex};

use crate::iam::SessionKeys;
use crate::operation::percent_decoded;

/// The key ids that the cloud knows, with their secrets. Clones share them.
#[derive(Clone)]
pub(crate) struct Credentials {
    secrets: Arc<RwLock<HashMap<String, Secret>>>,
    required: bool,
    /// How far the cloud's clock is ahead of this machine's, in seconds.
    ahead: Arc<AtomicI64>,
}

/// What belongs to an access key id.
#[derive(Clone)]
struct Secret {
    key: String,
    /// The token that requests of a session carry besides.
    token: Option<String>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // No secrets in logs.
        f.debug_struct("Credentials").field("required", &self.required).finish_non_exhaustive()
    }
}

impl Default for Credentials {
    fn default() -> Self {
        let credentials = Self { secrets: Arc::default(), required: false, ahead: Arc::default() };
        credentials.add("test".to_owned(), "test".to_owned());
        credentials
    }
}

/// The access key id that a request claims, with the service it was signed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) key_id: String,
    pub(crate) region: String,
    pub(crate) service: String,
}

/// A request that may pass.
pub(crate) struct Verified {
    /// `None` for an anonymous request.
    pub(crate) key_id: Option<String>,
    /// Verifies the chunks of a streamed body; `None` when the secret isn't known.
    pub(crate) chunks: Option<ChunkSigner>,
}

/// Why a request may not pass: AWS's error code, message, HTTP status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Denied {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    /// Further elements of S3's error document.
    pub(crate) details: Vec<(&'static str, String)>,
}

impl Denied {
    fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), details: Vec::new() }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.details.push((name, value.into()));
        self
    }
}

/// A request's head, as far as it is signed.
pub(crate) struct Head<'a> {
    pub(crate) method: &'a Method,
    pub(crate) uri: &'a Uri,
    pub(crate) headers: &'a HeaderMap,
}

impl Head<'_> {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The query's parameters, decoded, in their order.
    fn parameters(&self) -> Vec<(String, String)> {
        let query = self.uri.query().unwrap_or_default();
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        pairs
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                (percent_decoded(&name.replace('+', " ")), percent_decoded(&value.replace('+', " ")))
            })
            .collect()
    }

    fn parameter(&self, name: &str) -> Option<String> {
        self.parameters().into_iter().find_map(|(found, value)| (found == name).then_some(value))
    }
}

/// Reads who signed, without verifying anything.
pub(crate) fn scope(uri: &Uri, headers: &HeaderMap) -> Option<Scope> {
    let head = Head { method: &Method::GET, uri, headers };
    let authorization = Authorization::of_header(&head).or_else(|| Authorization::of_query(&head));
    authorization.map(|found| Scope { key_id: found.key_id, region: found.region, service: found.service })
}

impl Credentials {
    pub(crate) fn add(&self, key_id: String, secret: String) {
        self.insert(key_id, Secret { key: secret, token: None });
    }

    pub(crate) fn add_session(&self, keys: &SessionKeys) {
        let secret = Secret { key: keys.secret_access_key.clone(), token: Some(keys.session_token.clone()) };
        self.insert(keys.access_key_id.clone(), secret);
    }

    fn insert(&self, key_id: String, secret: Secret) {
        self.secrets.write().unwrap_or_else(PoisonError::into_inner).insert(key_id, secret);
    }

    fn find(&self, key_id: &str) -> Option<Secret> {
        self.secrets.read().unwrap_or_else(PoisonError::into_inner).get(key_id).cloned()
    }

    /// Sets the cloud's clock: so many seconds ahead of this machine's, or behind it.
    pub(crate) fn set_clock(&self, ahead: i64) {
        self.ahead.store(ahead, Ordering::Relaxed);
    }

    /// The time by the cloud's clock; `None`: it is this machine's.
    pub(crate) fn clock(&self) -> Option<SystemTime> {
        let (ahead, now) = (self.ahead.load(Ordering::Relaxed), SystemTime::now());
        let by = Duration::from_secs(ahead.unsigned_abs());
        match ahead {
            0 => None,
            1.. => now.checked_add(by),
            _ => now.checked_sub(by),
        }
    }

    fn now(&self) -> SystemTime {
        self.clock().unwrap_or_else(SystemTime::now)
    }

    pub(crate) fn require_known(&mut self) {
        self.required = true;
    }

    pub(crate) fn secret(&self, key_id: &str) -> Option<String> {
        self.find(key_id).map(|secret| secret.key)
    }

    /// Verifies a request's signature. `body` is the whole body where it is at hand; for S3 the body is bound by its
    /// `x-amz-content-sha256` header, which is verified as it arrives.
    pub(crate) fn verify(&self, head: &Head<'_>, body: Option<&[u8]>) -> Result<Verified, Denied> {
        if let Some(signature) = sigv2::Signature::of(head) {
            return self.verify_v2(head, &signature);
        }
        let header = Authorization::of_header(head);
        let authorization = match header {
            Some(authorization) => authorization,
            None => match Authorization::of_query(head) {
                Some(authorization) => authorization,
                None if head.headers.contains_key(header::AUTHORIZATION) => {
                    return Err(Denied::new(400, "InvalidArgument", "Unsupported Authorization Type")
                        .with("ArgumentName", "Authorization"));
                }
                None => return Ok(Verified { key_id: None, chunks: None }),
            },
        };
        authorization.check_time(self.now())?;
        let key_id = authorization.key_id.clone();
        let Some(secret) = self.known_secret(&key_id)? else {
            return Ok(Verified { key_id: Some(key_id), chunks: None });
        };
        let chunks = authorization.verify(head, &secret.key, body)?;
        let token = head.header("x-amz-security-token").map(str::to_owned);
        if secret.token.is_some() && secret.token != token.or_else(|| head.parameter("X-Amz-Security-Token")) {
            let message = "The provided token is malformed or otherwise invalid.";
            return Err(Denied::new(400, "InvalidToken", message));
        }
        Ok(Verified { key_id: Some(key_id), chunks: Some(chunks) })
    }

    fn verify_v2(&self, head: &Head<'_>, signature: &sigv2::Signature) -> Result<Verified, Denied> {
        signature.check_time(self.now())?;
        if let Some(secret) = self.known_secret(&signature.key_id)? {
            signature.verify(head, &secret.key)?;
        }
        Ok(Verified { key_id: Some(signature.key_id.clone()), chunks: None })
    }

    /// The secret to verify with; `None` when the request is to pass unverified.
    fn known_secret(&self, key_id: &str) -> Result<Option<Secret>, Denied> {
        match self.find(key_id) {
            None if self.required => {
                let message = "The AWS Access Key Id you provided does not exist in our records.";
                Err(Denied::new(403, "InvalidAccessKeyId", message).with("AWSAccessKeyId", key_id))
            }
            secret => Ok(secret),
        }
    }
}

fn signature_does_not_match(key_id: &str, provided: &str, string_to_sign: &str) -> Denied {
    let message = "The request signature we calculated does not match the signature you provided. Check your key and signing method.";
    Denied::new(403, "SignatureDoesNotMatch", message)
        .with("AWSAccessKeyId", key_id)
        .with("StringToSign", string_to_sign)
        .with("SignatureProvided", provided)
        .with("StringToSignBytes", string_to_sign.bytes().map(|byte| hex(&[byte])).collect::<Vec<_>>().join(" "))
}

/// HMAC (RFC 2104) over one of S3's hash functions, both of which have blocks of 64 bytes.
fn hmac<H: s3s::crypto::Checksum>(key: &[u8], message: &[u8]) -> H::Output {
    let mut block = [0_u8; 64];
    if key.len() > block.len() {
        let digest = H::checksum(key);
        block[..digest.as_ref().len()].copy_from_slice(digest.as_ref());
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let mut inner = H::new();
    inner.update(&block.map(|byte| byte ^ 0x36));
    inner.update(message);
    let mut outer = H::new();
    outer.update(&block.map(|byte| byte ^ 0x5c));
    outer.update(inner.finalize().as_ref());
    outer.finalize()
}

/// Compares without telling by its duration where the difference is.
fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}
