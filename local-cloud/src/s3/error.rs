//! What S3 answers when it refuses: AWS's code, status, message and the further elements of the error document.
//!
//! Operations return a [`Refusal`]. `s3s` can only write a code and a message, so a refusal waits in the request's
//! [`RefusalSlot`] until the answer comes back from `s3s`, and is then written here.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use s3s::{S3Error, S3ErrorCode};

use crate::credentials::Denied;
use crate::dispatch::ErrorCode;
use crate::wire::{AnyBody, full};

/// The second request id that S3 sends. It says which host answered, and there is only one.
pub(crate) const HOST_ID: &str = "bG9jYWwtY2xvdWQ=";

/// An error answer of S3.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    code: Cow<'static, str>,
    status: u16,
    message: Cow<'static, str>,
    details: Vec<(&'static str, String)>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Refusal {
    pub(crate) fn new(code: impl Into<Cow<'static, str>>, status: u16, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code: code.into(), status, message: message.into(), details: Vec::new(), headers: Vec::new() }
    }

    /// Adds an element to the error document.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.details.push((name, value.into()));
        self
    }

    /// Adds a header to the answer. A value that can't be a header is left out.
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((HeaderName::from_static(name), value));
        }
        self
    }

    pub(crate) fn code(&self) -> &str {
        &self.code
    }

    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn into_response(self, resource: &str, request_id: &str, head: bool) -> Response<AnyBody> {
        // 304 has no body by definition, and the answer to a HEAD none by HTTP's rules.
        let bodiless = head || self.status == 304;
        let body = if bodiless { Bytes::new() } else { self.document(resource, request_id).into() };
        let mut response = Response::new(full(body));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if self.status != 304 {
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        }
        response.headers_mut().extend(self.headers);
        response.extensions_mut().insert(ErrorCode(self.code.into_owned()));
        response
    }

    fn document(&self, resource: &str, request_id: &str) -> String {
        let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>");
        let mut element = |name: &str, value: &str| {
            let _ = write!(xml, "<{name}>{}</{name}>", escaped(value));
        };
        element("Code", &self.code);
        element("Message", &self.message);
        for (name, value) in &self.details {
            element(name, value);
        }
        if !self.details.iter().any(|(name, _)| *name == "Key" || *name == "BucketName") {
            element("Resource", &format!("/{resource}"));
        }
        element("RequestId", request_id);
        element("HostId", HOST_ID);
        xml.push_str("</Error>");
        xml
    }
}

/// As XML text. Control characters have no place in XML 1.0, so they are written as references, which S3 does too.
fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() && c != '\n' => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
            c => out.push(c),
        }
        out
    })
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        let mut refusal = Self::new(denied.code, denied.status, denied.message);
        refusal.details = denied.details;
        refusal
    }
}

/// Where a refusal waits while the request is in the hands of `s3s`. The first one stays.
#[derive(Clone, Debug, Default)]
pub(crate) struct RefusalSlot(Arc<Mutex<Option<Refusal>>>);

impl RefusalSlot {
    pub(crate) fn put(&self, refusal: Refusal) {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slot.get_or_insert(refusal);
    }

    pub(crate) fn take(&self) -> Option<Refusal> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Keeps the refusal, and gives `s3s` an error to return.
    pub(crate) fn refuse(&self, refusal: Refusal) -> S3Error {
        let error = S3Error::with_message(S3ErrorCode::Custom(refusal.code().into()), refusal.message().to_owned());
        self.put(refusal);
        error
    }
}

/// The refusals that more than one operation makes, in AWS's words.
impl Refusal {
    pub(crate) fn no_such_bucket(bucket: &str) -> Self {
        Self::new("NoSuchBucket", 404, "The specified bucket does not exist").with("BucketName", bucket)
    }

    pub(crate) fn no_such_key(key: &str) -> Self {
        Self::new("NoSuchKey", 404, "The specified key does not exist.").with("Key", key)
    }

    pub(crate) fn no_such_version(key: &str, id: &str) -> Self {
        Self::new("NoSuchVersion", 404, "The specified version does not exist.").with("Key", key).with("VersionId", id)
    }

    pub(crate) fn no_such_upload(id: &str) -> Self {
        let message = "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.";
        Self::new("NoSuchUpload", 404, message).with("UploadId", id)
    }

    pub(crate) fn invalid_argument(message: impl Into<Cow<'static, str>>, name: &str, value: &str) -> Self {
        Self::new("InvalidArgument", 400, message).with("ArgumentName", name).with("ArgumentValue", value)
    }

    pub(crate) fn invalid_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new("InvalidRequest", 400, message)
    }

    pub(crate) fn access_denied(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new("AccessDenied", 403, message)
    }

    pub(crate) fn malformed_xml() -> Self {
        let message = "The XML you provided was not well-formed or did not validate against our published schema";
        Self::new("MalformedXML", 400, message)
    }

    pub(crate) fn precondition_failed(condition: &str) -> Self {
        let message = "At least one of the pre-conditions you specified did not hold";
        Self::new("PreconditionFailed", 412, message).with("Condition", condition)
    }

    pub(crate) fn conflict(condition: &str, key: &str) -> Self {
        let message = "The conditional request cannot succeed due to a conflicting operation against this resource.";
        Self::new("ConditionalRequestConflict", 409, message).with("Condition", condition).with("Key", key)
    }

    pub(crate) fn header_not_implemented(header: &str, additional: &str) -> Self {
        let message = "A header you provided implies functionality that is not implemented";
        Self::new("NotImplemented", 501, message).with("Header", header).with("additionalMessage", additional)
    }

    pub(crate) fn bad_digest(algorithm: &str) -> Self {
        Self::new("BadDigest", 400, format!("The {algorithm} you specified did not match the calculated checksum."))
    }

    pub(crate) fn internal(message: impl std::fmt::Display) -> Self {
        Self::new("InternalError", 500, format!("We encountered an internal error: {message}"))
    }
}

/// An error that `s3s` made itself: the code and message it wrote, completed with AWS's own words where it wrote none.
pub(crate) fn of_s3s(status: u16, document: &str) -> Refusal {
    let element = |name: &str| {
        let (_, rest) = document.split_once(&format!("<{name}>"))?;
        let (text, _) = rest.split_once(&format!("</{name}>"))?;
        Some(unescaped(text))
    };
    let code = element("Code").unwrap_or_else(|| "InternalError".to_owned());
    let message = element("Message").filter(|message| !message.is_empty());
    let default = match code.as_str() {
        "MalformedXML" => return Refusal::malformed_xml(),
        // A form that its signed policy doesn't allow is forbidden, not malformed.
        "InvalidPolicyDocument"
            if message
                .as_deref()
                .is_some_and(|message| message.contains("ondition") || message.starts_with("Bucket in")) =>
        {
            return Refusal::access_denied(format!("Invalid according to Policy: {}", message.unwrap_or_default()));
        }
        "InvalidBucketName" => "The specified bucket is not valid.",
        "KeyTooLongError" => "Your key is too long",
        "MissingRequestBodyError" => "Request Body is empty",
        "MissingContentLength" => "You must provide the Content-Length HTTP header.",
        "MethodNotAllowed" => "The specified method is not allowed against this resource.",
        "InvalidURI" => "Couldn't parse the specified URI.",
        "MaxMessageLengthExceeded" => "Your request was too big.",
        "IncompleteBody" => "The request body terminated unexpectedly",
        "NotImplemented" => "A header or query you provided implies functionality that is not implemented",
        _ => "We encountered an internal error. Please try again.",
    };
    Refusal::new(code, status, message.unwrap_or_else(|| default.to_owned()))
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_document_has_the_details_and_is_escaped() {
        let xml = Refusal::no_such_key("a<b>&c").document("bucket/a", "REQ");
        assert!(xml.contains("<Code>NoSuchKey</Code>"));
        assert!(xml.contains("<Key>a&lt;b&gt;&amp;c</Key>"));
        assert!(xml.contains("<RequestId>REQ</RequestId>"));
    }

    #[test]
    fn an_error_that_s3s_made_is_completed() {
        let refusal = of_s3s(400, "<Error><Code>InvalidBucketName</Code></Error>");
        assert_eq!((refusal.code(), refusal.message()), ("InvalidBucketName", "The specified bucket is not valid."));
        let refusal = of_s3s(400, "<Error><Code>InvalidArgument</Code><Message>a &lt; b</Message></Error>");
        assert_eq!(refusal.message(), "a < b");
        let policy = "<Error><Code>InvalidPolicyDocument</Code><Message>Policy condition 'eq' failed</Message></Error>";
        assert_eq!(of_s3s(400, policy).code(), "AccessDenied");
    }
}
