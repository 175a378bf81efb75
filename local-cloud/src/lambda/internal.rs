//! Lambda as other services of the cloud call it: the same operations, without HTTP, signatures and rates.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use http::header::AUTHORIZATION;
use serde_json::Value;

use super::request::Request;
use super::{Lambda, operations, router};

/// A refused call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) status: u16,
    /// AWS's name of the error, such as `ResourceConflictException`.
    pub(crate) code: String,
    pub(crate) message: String,
}

impl Lambda {
    /// Calls the operation behind a method and a path, in a region.
    ///
    /// # Errors
    /// What the operation refuses with; 404 `Unknown` for a path that none has.
    pub(crate) async fn call(
        self: &Arc<Self>,
        region: &str,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<Value, Refused> {
        let (bare, query) = path.split_once('?').unwrap_or((path, ""));
        let Ok((operation, variables)) = router::route(&method, bare, Some(query)) else {
            return Err(Refused { status: 404, code: "Unknown".to_owned(), message: format!("{method} {path}") });
        };
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header(AUTHORIZATION, format!("AWS4-HMAC-SHA256 Credential=cloudformation/0/{region}/lambda/aws4_request"))
            .body(());
        let (parts, ()) = match request {
            Ok(request) => request.into_parts(),
            Err(error) => return Err(Refused { status: 400, code: "Unknown".to_owned(), message: error.to_string() }),
        };
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let request = Request::new(variables, parts, body, &self.settings);
        let result = match operations::perform(self, operation, &request).await {
            Ok(reply) if operation.changes_something() => self.save().await.map(|()| reply),
            other => other,
        };
        match result {
            Ok(reply) => Ok(serde_json::from_slice(reply.body()).unwrap_or_default()),
            Err(refusal) => {
                let response = refusal.response();
                let code = response.headers().get("x-amzn-errortype").and_then(|code| code.to_str().ok());
                Err(Refused {
                    status: response.status().as_u16(),
                    code: code.unwrap_or_default().to_owned(),
                    message: refusal.message,
                })
            }
        }
    }

    /// Sets all tags of a function, those that begin with `aws:` and are closed to users included.
    pub(crate) async fn set_all_tags(&self, function: &str, tags: BTreeMap<String, String>) {
        if let Some(function) = self.registry().functions.get_mut(function) {
            function.tags = tags;
        }
        // A disk that can't be written is told to the next request that changes something.
        let _ = self.save().await;
    }
}
