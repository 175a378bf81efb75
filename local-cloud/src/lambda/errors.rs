//! Errors as Lambda sends them: an `x-amzn-errortype` header, and a JSON body with `Type` and a message.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};
use serde_json::json;

/// Every error that an operation can answer with, under AWS's name for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorKind {
    AccessDenied,
    CodeSigningConfigNotFound,
    CodeVerificationFailed,
    InvalidParameterValue,
    InvalidRequestContent,
    InvalidRuntime,
    InvalidZipFile,
    MethodNotAllowed,
    NotImplemented,
    PreconditionFailed,
    RequestEntityTooLarge,
    RequestTooLarge,
    ResourceConflict,
    ResourceNotFound,
    Serialization,
    Service,
    TooManyRequests,
    Validation,
}

impl ErrorKind {
    /// The status code and the error's name, from the service model.
    const fn wire(self) -> (StatusCode, &'static str) {
        match self {
            Self::AccessDenied => (StatusCode::FORBIDDEN, "AccessDeniedException"),
            Self::CodeSigningConfigNotFound => (StatusCode::NOT_FOUND, "CodeSigningConfigNotFoundException"),
            Self::CodeVerificationFailed => (StatusCode::BAD_REQUEST, "CodeVerificationFailedException"),
            Self::InvalidParameterValue => (StatusCode::BAD_REQUEST, "InvalidParameterValueException"),
            Self::InvalidRequestContent => (StatusCode::BAD_REQUEST, "InvalidRequestContentException"),
            Self::InvalidRuntime => (StatusCode::BAD_GATEWAY, "InvalidRuntimeException"),
            Self::InvalidZipFile => (StatusCode::BAD_GATEWAY, "InvalidZipFileException"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowedException"),
            // 501 and not 500: clients don't retry it.
            Self::NotImplemented => (StatusCode::NOT_IMPLEMENTED, "NotImplementedException"),
            Self::PreconditionFailed => (StatusCode::PRECONDITION_FAILED, "PreconditionFailedException"),
            Self::RequestEntityTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLargeException"),
            Self::RequestTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "RequestTooLargeException"),
            Self::ResourceConflict => (StatusCode::CONFLICT, "ResourceConflictException"),
            Self::ResourceNotFound => (StatusCode::NOT_FOUND, "ResourceNotFoundException"),
            Self::Serialization => (StatusCode::BAD_REQUEST, "SerializationException"),
            Self::Service => (StatusCode::INTERNAL_SERVER_ERROR, "ServiceException"),
            Self::TooManyRequests => (StatusCode::TOO_MANY_REQUESTS, "TooManyRequestsException"),
            Self::Validation => (StatusCode::BAD_REQUEST, "ValidationException"),
        }
    }
}

/// One refused request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind:?}: {message}")]
pub(super) struct ApiError {
    pub(super) kind: ErrorKind,
    pub(super) message: String,
    /// `Reason` of a `TooManyRequestsException`.
    reason: Option<&'static str>,
}

/// What every operation gives back.
pub(super) type Result<T, E = ApiError> = std::result::Result<T, E>;

impl ApiError {
    pub(super) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), reason: None }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidParameterValue, message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::ResourceNotFound, message)
    }

    pub(super) fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::ResourceConflict, message)
    }

    /// The requested function, version or alias isn't there.
    pub(super) fn function_not_found(arn: &str) -> Self {
        Self::not_found(format!("Function not found: {arn}"))
    }

    /// The caller's revision is not the latest one.
    pub(super) fn stale_revision(api: &str) -> Self {
        Self::new(
            ErrorKind::PreconditionFailed,
            format!(
                "The RevisionId provided does not match the latest RevisionId. Call the {api} API to retrieve the latest RevisionId"
            ),
        )
    }

    /// Too many requests, for one of AWS's `ThrottleReason`s.
    pub(super) fn throttled(message: &str, reason: &'static str) -> Self {
        Self { kind: ErrorKind::TooManyRequests, message: message.to_owned(), reason: Some(reason) }
    }

    /// The answer on the wire.
    pub(super) fn response(&self) -> Response<Bytes> {
        let (status, name) = self.kind.wire();
        let side = if status.is_server_error() { "Service" } else { "User" };
        // The model spells the member `Message` in some errors and `message` in others. Clients read either.
        let member = match self.kind {
            ErrorKind::CodeSigningConfigNotFound
            | ErrorKind::CodeVerificationFailed
            | ErrorKind::InvalidRuntime
            | ErrorKind::InvalidZipFile
            | ErrorKind::ResourceNotFound
            | ErrorKind::AccessDenied
            | ErrorKind::Service => "Message",
            _ => "message",
        };
        let mut body = json!({ "Type": side, member: self.message });
        if let Some(reason) = self.reason {
            body["Reason"] = reason.into();
        }
        let mut response = Response::new(Bytes::from(body.to_string()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert("x-amzn-errortype", HeaderValue::from_static(name));
        if self.kind == ErrorKind::TooManyRequests {
            headers.insert(http::header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
