//! JSON 1.1: the operation in `X-Amz-Target`, a document in, a document out, errors named by `__type`.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Caller;

/// One request to one operation.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// AWS's name of the operation, such as `FilterLogEvents`.
    pub(crate) operation: String,
    /// The request's document; an empty body is an empty one.
    pub(crate) input: Value,
    pub(crate) caller: Caller,
}

/// What an operation answers.
pub(crate) type Answer = Result<Value, Exception>;

/// One refused request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exception {
    pub(crate) status: u16,
    /// AWS's name of the error, such as `ResourceNotFoundException`.
    pub(crate) kind: &'static str,
    pub(crate) message: String,
}

impl Exception {
    /// An error of the client's, with status 400 as nearly all have.
    pub(crate) fn new(kind: &'static str, message: impl Into<String>) -> Self {
        Self { status: 400, kind, message: message.into() }
    }

    /// For an operation that the local cloud doesn't have.
    pub(crate) fn unknown_operation(service: &str, operation: &str) -> Self {
        Self::new(
            "UnknownOperationException",
            format!("The local cloud's {service} doesn't have the operation {operation}"),
        )
    }
}

impl Call {
    /// Reads a request's document.
    ///
    /// # Errors
    /// `SerializationException` when it isn't JSON.
    pub(crate) fn new(operation: &str, body: &[u8], caller: Caller) -> Result<Self, Exception> {
        let body = if body.is_empty() { b"{}" } else { body };
        let input = serde_json::from_slice(body)
            .map_err(|e| Exception::new("SerializationException", format!("The request's body is not JSON: {e}")))?;
        Ok(Self { operation: operation.to_owned(), input, caller })
    }

    /// The document as an operation's input.
    ///
    /// # Errors
    /// `SerializationException` when a member has another type.
    pub(crate) fn input<T: DeserializeOwned>(&self) -> Result<T, Exception> {
        T::deserialize(&self.input).map_err(|e| Exception::new("SerializationException", e.to_string()))
    }
}

/// The first of these members of a document that is there and is text.
pub(crate) fn member(body: &[u8], names: &[&str]) -> Option<String> {
    let document: Value = serde_json::from_slice(body).ok()?;
    names.iter().find_map(|name| document.get(name)?.as_str()).map(str::to_owned)
}

/// An answer on the wire.
pub(crate) fn response(answer: &Answer) -> Response<Bytes> {
    let (status, document) = match answer {
        Ok(output) => (StatusCode::OK, output.to_string()),
        Err(error) => (
            StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            // Models spell the member `message` in some errors and `Message` in others. Clients read either.
            json!({ "__type": error.kind, "message": error.message }).to_string(),
        ),
    };
    let mut response = Response::new(Bytes::from(document));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.1"));
    response
}
