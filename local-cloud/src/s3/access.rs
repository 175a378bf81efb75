//! What the caller of a request may do. Most of it is asked before the request is carried out; what depends on what is
//! found, afterwards:
//!
//! - Whether a key is there may only be known to who may list the bucket: to all others a missing key is a forbidden one.
//! - Tags, retention and legal hold are shown in an answer's headers only to who may read them.
//! - The policy of a bucket, as it is when the request comes, can deny what others allow, and allow what no other does.
//!   The account's own key gets past it to the policy itself, as the account's root user does: else nobody could mend it.
//! - Whoever copies an object with its tags has to be allowed to read and to write tags.
//! - An object that is encrypted with a customer managed KMS key is read and written by who may use the key. The key that
//!   AWS manages for S3 (`alias/aws/s3`) lets everybody in the account use it.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::Response;
use http::request::Parts;

use super::model::Encryption;
use super::{Refusal, Store};
use crate::credentials::Scope;
use crate::iam::{Iam, Need, PolicyDocument, Principal};
use crate::lambda::Objects as _;
use crate::operation::Target;
use crate::permissions::s3::{self as needs, Asked, source};
use crate::wire::AnyBody;

/// The caller of one request, and what it is about.
#[derive(Clone)]
pub(crate) struct Access {
    iam: Arc<Iam>,
    /// `None` for a form, whose signature is verified later, and for another service of the cloud.
    principal: Option<Principal>,
    region: String,
    operation: String,
    bucket: String,
    key: String,
    version: Option<String>,
    /// Policies of the buckets that the request is about, by the bucket's name.
    policies: Arc<BTreeMap<String, PolicyDocument>>,
}

impl Access {
    pub(super) fn new(
        iam: &Arc<Iam>,
        store: &Store,
        key_id: Option<&str>,
        scope: Option<&Scope>,
        target: &Target,
        parts: &Parts,
    ) -> Self {
        let (bucket, key) =
            target.resource.as_deref().map_or(("", ""), |resource| resource.split_once('/').unwrap_or((resource, "")));
        let access = Self {
            iam: Arc::clone(iam),
            principal: key_id.map(|key_id| iam.principal(key_id)),
            region: scope.map_or_else(|| "us-east-1".to_owned(), |scope| scope.region.clone()),
            operation: target.operation.clone().into_owned(),
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            version: None,
            policies: Arc::default(),
        };
        let version = access.asked(parts).parameter("versionId");
        let policies = if iam.is_enforced() { Arc::new(policies(store, bucket, parts)) } else { Arc::default() };
        Self { version, policies, ..access }
    }

    /// Of another service of the cloud, which asks in nobody's name.
    pub(crate) fn of_a_service() -> Self {
        let nothing = String::new;
        Self {
            iam: Arc::default(),
            principal: None,
            region: nothing(),
            operation: nothing(),
            bucket: nothing(),
            key: nothing(),
            version: None,
            policies: Arc::default(),
        }
    }

    fn asked<'a>(&'a self, parts: &'a Parts) -> Asked<'a> {
        Asked {
            operation: &self.operation,
            bucket: &self.bucket,
            key: &self.key,
            query: parts.uri.query().unwrap_or_default(),
            headers: &parts.headers,
        }
    }

    /// Refuses what the caller may not do.
    pub(crate) fn permit(&self, needs: &[Need]) -> Result<(), Refusal> {
        let Some(principal) = &self.principal else { return Ok(()) };
        let refused = |message: String| Refusal::access_denied(message);
        let policy = |need: &Need| {
            let bucket = need.resource.strip_prefix("arn:aws:s3:::")?.split('/').next()?;
            let is_about_it = need.action.ends_with("BucketPolicy") && principal.is_the_account();
            self.policies.get(bucket).filter(|_| !is_about_it)
        };
        self.iam.authorize_on(principal, needs, policy).map_err(|denial| refused(denial.s3_message()))
    }

    /// Refuses a request whose caller may not make it.
    pub(super) fn check(&self, store: &Store, parts: &Parts) -> Result<(), Refusal> {
        if self.principal.is_none() || !self.iam.is_enforced() {
            return Ok(());
        }
        self.permit(&needs::needs(&self.asked(parts)))?;
        self.permit(&self.tags_of_copy(store, parts))?;
        self.permit(&self.keys(store, parts))
    }

    /// What a copy takes that brings the tags of its source along.
    fn tags_of_copy(&self, store: &Store, parts: &Parts) -> Vec<Need> {
        let directive = parts.headers.get("x-amz-tagging-directive").and_then(|value| value.to_str().ok());
        let copies_tags = self.operation == "CopyObject" && directive.is_none_or(|value| value == "COPY");
        let Some((bucket, key, version)) = source(&parts.headers).filter(|_| copies_tags) else { return Vec::new() };
        let has_tags = store.read(|state| {
            let bucket = state.bucket(&bucket).ok()?;
            let version = match &version {
                Some(version) => bucket.version(&key, version)?,
                None => bucket.latest(&key)?,
            };
            Some(!version.object.as_ref()?.attributes.tags.is_empty())
        });
        match has_tags {
            Some(true) => needs::copied_tags((&bucket, &key, version.as_deref()), (&self.bucket, &self.key)),
            _ => Vec::new(),
        }
    }

    /// The KMS keys that the request needs, and what for.
    fn keys(&self, store: &Store, parts: &Parts) -> Vec<Need> {
        let use_key = |action: &str, encryption: &Encryption| {
            let key = encryption.kms_key.as_deref().filter(|key| !key.contains(":alias/aws/"))?;
            Some(needs::kms(action, key, &self.region))
        };
        let stored = |bucket: &str, key: &str, version: Option<&str>| {
            store.read(|state| {
                let bucket = state.bucket(bucket).ok()?;
                let version = match version {
                    Some(version) => bucket.version(key, version)?,
                    None => bucket.latest(key)?,
                };
                Some(version.object.as_ref()?.attributes.encryption.clone())
            })
        };
        let written = || store.read(|state| Encryption::of(&parts.headers, state.bucket(&self.bucket).ok()?).ok());
        let copied = || {
            let (bucket, key, version) = source(&parts.headers)?;
            use_key("Decrypt", &stored(&bucket, &key, version.as_deref())?)
        };
        match self.operation.as_str() {
            "GetObject" => {
                let found = stored(&self.bucket, &self.key, self.version.as_deref());
                found.and_then(|encryption| use_key("Decrypt", &encryption)).into_iter().collect()
            }
            "PutObject" => {
                written().and_then(|encryption| use_key("GenerateDataKey", &encryption)).into_iter().collect()
            }
            "CopyObject" => {
                let own = written().and_then(|encryption| use_key("GenerateDataKey", &encryption));
                own.into_iter().chain(copied()).collect()
            }
            // Parts are decrypted again when they become one object.
            "CreateMultipartUpload" => {
                let own = written();
                let needs = ["GenerateDataKey", "Decrypt"].map(|action| use_key(action, own.as_ref()?));
                needs.into_iter().flatten().collect()
            }
            "UploadPartCopy" => copied().into_iter().collect(),
            _ => Vec::new(),
        }
    }

    /// A refusal as the caller may see it.
    pub(super) fn told(&self, refusal: Refusal) -> Refusal {
        let reads = ["GetObject", "HeadObject", "GetObjectAttributes", "CopyObject", "UploadPartCopy"];
        if refusal.code() != "NoSuchKey" || !reads.contains(&self.operation.as_str()) {
            return refusal;
        }
        match self.permit(&[needs::list(&self.bucket, &self.key)]) {
            Ok(()) => refusal,
            Err(denied) => denied,
        }
    }

    /// An answer as the caller may see it.
    pub(super) fn shown(&self, mut response: Response<AnyBody>) -> Response<AnyBody> {
        if !matches!(self.operation.as_str(), "GetObject" | "HeadObject") || !self.iam.is_enforced() {
            return response;
        }
        let hidden = |name: &str| {
            let need = needs::see(name, &self.bucket, &self.key, self.version.as_deref());
            need.is_some_and(|need| self.permit(&[need]).is_err())
        };
        let headers = response.headers_mut();
        let names: Vec<_> = headers.keys().filter(|name| hidden(name.as_str())).cloned().collect();
        for name in names {
            headers.remove(name);
        }
        response
    }
}

/// The policies of the bucket and of that of a copy's source.
fn policies(store: &Store, bucket: &str, parts: &Parts) -> BTreeMap<String, PolicyDocument> {
    let source = source(&parts.headers).map(|(bucket, _, _)| bucket);
    let named = [Some(bucket.to_owned()), source].into_iter().flatten();
    named.filter_map(|bucket| Some((bucket.clone(), store.bucket_policy(&bucket)?))).collect()
}
