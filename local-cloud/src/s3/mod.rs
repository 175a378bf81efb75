//! S3. The wire protocol is `s3s`; what objects do is here.
//!
//! A request passes through [`Service::handle`]: its signature is verified, its body freed of framing, its head put in
//! a form that `s3s` reads as AWS would (some headers that AWS ignores when they are malformed are errors to `s3s`), and
//! then `s3s` calls the operation in [`operations`]. Operations read and change the [`Store`]. Errors come back around
//! `s3s` as [`Refusal`]s.

mod access;
mod addressing;
mod attributes;
mod checksum;
mod conditions;
mod digests;
mod disk;
mod encryption;
mod error;
pub(crate) mod ids;
mod intake;
mod listing;
mod model;
mod operations;
mod payload;
mod range;
mod rope;
mod store;

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::dto::{Timestamp, TimestampFormat};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3Error, S3ErrorCode, S3Result};

pub(crate) use addressing::{bucket_of_host, endpoint};
pub(crate) use error::Refusal;
pub(crate) use operations::Configuration;
pub(crate) use store::Store;

use crate::credentials::{self, Credentials, Head};
use crate::dispatch::OperationName;
use crate::iam::Iam;
use crate::operation::Target;
use crate::wire::{AnyBody, Inbound, full};
pub(crate) use access::Access;
use addressing::unsigned_uri;
use error::{HOST_ID, RefusalSlot};
use intake::Declared;
use model::Moment;
use payload::{Binding, Trailers};

/// The account that owns everything.
pub(crate) const ACCOUNT: &str = "000000000000";
/// Its canonical user id.
pub(crate) const OWNER: &str = "75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a";

/// What an operation knows about its request besides what `s3s` has parsed.
#[derive(Clone)]
pub(crate) struct Context {
    /// The headers as the client sent them, but for `aws-chunked` and the signature.
    pub(crate) headers: Arc<HeaderMap>,
    pub(crate) trailers: Trailers,
    /// When the request arrived, in the store's order.
    pub(crate) arrived: Moment,
    /// How the client reached the cloud, as in `http://127.0.0.1:4566`.
    pub(crate) endpoint: String,
    /// What the caller may do.
    pub(crate) access: Access,
    slot: RefusalSlot,
    /// The operation that `s3s` has found.
    found: Arc<OnceLock<String>>,
}

impl Context {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// S3, ready to answer.
pub(crate) struct Service {
    store: Arc<Store>,
    protocol: S3Service,
}

impl Service {
    pub(crate) fn new(store: Arc<Store>, credentials: &Credentials) -> Self {
        let mut builder = S3ServiceBuilder::new(operations::Api::new(Arc::clone(&store)));
        builder.set_auth(FormSecrets(credentials.clone()));
        builder.set_access(AlreadyVerified);
        Self { store, protocol: builder.build() }
    }

    /// Answers one request.
    pub(crate) async fn handle(
        &self,
        request: Request<Inbound>,
        credentials: &Credentials,
        iam: &Arc<Iam>,
        target: &Target,
        request_id: &str,
    ) -> Response<AnyBody> {
        let head = request.method() == Method::HEAD;
        let resource = target.resource.clone().unwrap_or_default();
        let slot = RefusalSlot::default();
        let found = Arc::new(OnceLock::new());
        let answer = match self.prepare(request, credentials, iam, target, &slot, &found) {
            Err(refusal) => Err(refusal),
            Ok((request, access)) => match self.protocol.call(request).await {
                Ok(response) => self.answered(response, &slot).await,
                Err(error) => Err(Refusal::internal(Box::<dyn std::error::Error + Send + Sync>::from(error))),
            }
            .map(|response| access.shown(response))
            .map_err(|refusal| access.told(refusal)),
        };
        let mut response = answer.unwrap_or_else(|refusal| refusal.into_response(&resource, request_id, head));
        let headers = response.headers_mut();
        if let Ok(id) = HeaderValue::from_str(request_id) {
            headers.insert("x-amz-request-id", id);
        }
        headers.insert("x-amz-id-2", HeaderValue::from_static(HOST_ID));
        if let Some(name) = found.get() {
            response.extensions_mut().insert(OperationName(name.clone()));
        }
        response
    }

    /// Verifies the request and puts it in the form that `s3s` is to see.
    fn prepare(
        &self,
        request: Request<Inbound>,
        credentials: &Credentials,
        iam: &Arc<Iam>,
        target: &Target,
        slot: &RefusalSlot,
        found: &Arc<OnceLock<String>>,
    ) -> Result<(s3s::HttpRequest, Access), Refusal> {
        let (mut parts, body) = request.into_parts();
        let scope = credentials::scope(&parts.uri, &parts.headers);
        let head = Head { method: &parts.method, uri: &parts.uri, headers: &parts.headers };
        let verified = credentials.verify(&head, None)?;
        // A form brings its own signature, which `s3s` verifies with the policy that it signs.
        if verified.key_id.is_none() && target.operation != "PostObject" {
            return Err(Refusal::access_denied("Access Denied"));
        }
        check_owner(&parts.headers)?;

        let arrived = self.store.moment();
        let endpoint = endpoint(&parts.headers);
        unsigned_uri(&mut parts.uri, &mut parts.headers)?;
        parts.headers.remove(header::AUTHORIZATION);
        for header in parts.extensions.remove::<Ignored>().into_iter().flat_map(|Ignored(headers)| headers) {
            parts.headers.remove(header);
        }
        let access = Access::new(iam, &self.store, verified.key_id.as_deref(), scope.as_ref(), target, &parts);
        access.check(&self.store, &parts)?;
        let trailers = Trailers::default();
        let binding = Binding::of(&parts.headers, verified.chunks, &trailers)?;
        if let Some(length) = binding.decoded_length() {
            parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        strip_aws_chunked(&mut parts.headers);
        let streamed = matches!(&*target.operation, "PutObject" | "UploadPart");
        if streamed && !parts.headers.contains_key(header::CONTENT_LENGTH) {
            return Err(Refusal::new("MissingContentLength", 411, "You must provide the Content-Length HTTP header."));
        }
        let declared = if streamed { None } else { declared_of_document(&parts.headers, &target.operation)? };

        let context = Context {
            headers: Arc::new(parts.headers.clone()),
            trailers: trailers.clone(),
            arrived,
            endpoint,
            access: access.clone(),
            slot: slot.clone(),
            found: Arc::clone(found),
        };
        tolerate(&mut parts.headers);
        parts.extensions.insert(context);
        let bytes = checked(payload::decoded(body, binding), declared, trailers, slot.clone());
        let frames = StreamBody::new(bytes.map(|bytes| bytes.map(Frame::data)));
        Ok((Request::from_parts(parts, s3s::Body::http_body_unsync(frames)), access))
    }

    /// What goes out: the answer of `s3s`, or the refusal that was left for it.
    async fn answered(&self, response: s3s::HttpResponse, slot: &RefusalSlot) -> Result<Response<AnyBody>, Refusal> {
        if let Some(refusal) = slot.take() {
            return Err(refusal);
        }
        let (mut parts, body) = response.into_parts();
        if parts.status.is_client_error() || parts.status.is_server_error() {
            let document = BodyExt::collect(body).await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            return Err(error::of_s3s(parts.status.as_u16(), &String::from_utf8_lossy(&document)));
        }
        // `s3s` answers a HEAD of a range with 200.
        if parts.status == StatusCode::OK && parts.headers.contains_key(header::CONTENT_RANGE) {
            parts.status = StatusCode::PARTIAL_CONTENT;
        }
        if parts.extensions.get::<UnquotedEtag>().is_some() {
            let document = BodyExt::collect(body).await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            return Ok(Response::from_parts(parts, full(without_etag_quotes(&String::from_utf8_lossy(&document)))));
        }
        Ok(Response::from_parts(parts, body.boxed_unsync()))
    }
}

/// Headers of a request that are ignored, once its signature is verified.
#[derive(Clone, Debug)]
pub(crate) struct Ignored(pub(crate) Vec<HeaderName>);

/// Marks an answer whose document shows the entity tag without quotes: only `GetObjectAttributes` does, and `s3s`
/// always writes them.
#[derive(Clone, Copy)]
pub(crate) struct UnquotedEtag;

fn without_etag_quotes(document: &str) -> String {
    document.replace("<ETag>\"", "<ETag>").replace("\"</ETag>", "</ETag>")
}

/// Everything in the cloud belongs to one account.
fn check_owner(headers: &HeaderMap) -> Result<(), Refusal> {
    for name in ["x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner"] {
        let Some(owner) = headers.get(name).and_then(|owner| owner.to_str().ok()) else { continue };
        if owner.len() != 12 || !owner.bytes().all(|byte| byte.is_ascii_digit()) {
            let message = "The value of the expected bucket owner parameter must be an AWS account ID";
            return Err(Refusal::new("InvalidBucketOwnerAWSAccountID", 400, format!("{message} [{owner}]")));
        }
        if owner != ACCOUNT {
            return Err(Refusal::access_denied("Access Denied"));
        }
    }
    Ok(())
}

/// `aws-chunked` describes the transfer, not the object.
fn strip_aws_chunked(headers: &mut HeaderMap) {
    let Some(value) = headers.get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok()) else { return };
    let rest: Vec<&str> =
        value.split(',').map(str::trim).filter(|coding| *coding != "aws-chunked" && !coding.is_empty()).collect();
    match HeaderValue::from_str(&rest.join(",")) {
        Ok(rest) if !rest.is_empty() => headers.insert(header::CONTENT_ENCODING, rest),
        _ => headers.remove(header::CONTENT_ENCODING),
    };
}

/// What is declared about an XML document. Deleting many objects without any checksum is refused.
fn declared_of_document(headers: &HeaderMap, operation: &str) -> Result<Option<Declared>, Refusal> {
    let has_checksum = headers.keys().any(|name| {
        let name = name.as_str();
        name == "content-md5" || name == "x-amz-trailer" || name.starts_with("x-amz-checksum-")
    });
    if !has_checksum && operation == "DeleteObjects" {
        let message = "Missing required header for this request: Content-MD5 OR x-amz-checksum-*";
        return Err(Refusal::invalid_request(message));
    }
    // Complete's checksum headers are those of the object.
    let own = has_checksum && !matches!(operation, "CompleteMultipartUpload" | "PostObject");
    let bodiless = matches!(operation, "CreateMultipartUpload" | "CopyObject" | "UploadPartCopy");
    if own && !bodiless { Declared::of(headers).map(Some) } else { Ok(None) }
}

/// Takes headers away that AWS ignores or reads more leniently than `s3s`; operations find them in their [`Context`].
fn tolerate(headers: &mut HeaderMap) {
    headers.remove(header::RANGE);
    headers.remove(header::EXPIRES);
    for name in [
        "if-modified-since",
        "if-unmodified-since",
        "x-amz-copy-source-if-modified-since",
        "x-amz-copy-source-if-unmodified-since",
    ] {
        let unreadable = headers.get(name).is_some_and(|value| {
            let text = value.to_str().unwrap_or_default();
            Timestamp::parse(TimestampFormat::HttpDate, text).is_err()
        });
        if unreadable {
            headers.remove(name);
        }
    }
    // Operations read these from the context, in any encoding.
    let metadata: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with("x-amz-meta-")).cloned().collect();
    for name in metadata {
        headers.remove(name);
    }
}

/// Leaves a refusal of the body's bytes in the slot, and compares a document's checksums.
fn checked(
    bytes: impl Stream<Item = Result<Bytes, Refusal>> + Send + 'static,
    declared: Option<Declared>,
    trailers: Trailers,
    slot: RefusalSlot,
) -> impl Stream<Item = Result<Bytes, S3Error>> + Send {
    let mut check = declared.map(|declared| intake::Check::new(declared, trailers));
    let ended = futures::stream::once(async { None });
    bytes.map(Some).chain(ended).filter_map(move |item| {
        let item = match item {
            Some(Ok(bytes)) => {
                if let Some(check) = &mut check {
                    check.update(&bytes);
                }
                Some(Ok(bytes))
            }
            Some(Err(refusal)) => {
                check = None;
                Some(Err(slot.refuse(refusal)))
            }
            None => check.take().and_then(|check| check.finish().err()).map(|refusal| Err(slot.refuse(refusal))),
        };
        std::future::ready(item)
    })
}

/// The secrets with which `s3s` verifies the policies of browser forms. Every other signature is verified before.
struct FormSecrets(Credentials);

#[async_trait::async_trait]
impl S3Auth for FormSecrets {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        match self.0.secret(access_key) {
            Some(secret) => Ok(secret.into()),
            None => Err(S3Error::with_message(
                S3ErrorCode::InvalidAccessKeyId,
                "The AWS Access Key Id you provided does not exist in our records.",
            )),
        }
    }
}

/// Lets every operation pass but the form that nobody signed, and notes its name.
struct AlreadyVerified;

#[async_trait::async_trait]
impl S3Access for AlreadyVerified {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let name = cx.s3_op().name().to_owned();
        if let Some(context) = cx.extensions_mut().get::<Context>() {
            let _ = context.found.set(name);
        }
        if cx.s3_op().name() == "PostObject" && cx.credentials().is_none() {
            return Err(S3Error::with_message(S3ErrorCode::AccessDenied, "Access Denied"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aws_chunked_is_no_content_encoding() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("aws-chunked,gzip"));
        strip_aws_chunked(&mut headers);
        assert_eq!(headers[header::CONTENT_ENCODING], "gzip");
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("aws-chunked"));
        strip_aws_chunked(&mut headers);
        assert!(!headers.contains_key(header::CONTENT_ENCODING));
    }
}
