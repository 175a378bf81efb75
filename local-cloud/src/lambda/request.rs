//! A request as the operations see it, and the pieces of their answers.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::LambdaSettings;
use super::errors::{ApiError, ErrorKind, Result};
use super::names::{FunctionRef, Scope};
use crate::iam::Principal;

/// One request to one operation.
#[derive(Debug)]
pub(super) struct Request {
    /// The variable parts of the path, decoded, in order.
    pub(super) path: Vec<String>,
    /// The query parameters, decoded. A parameter that comes several times has all its values.
    query: BTreeMap<String, Vec<String>>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) scope: Scope,
    /// Who asks; `None` for another service of the cloud.
    pub(super) caller: Option<Principal>,
}

/// What an operation answers.
pub(super) type Reply = Response<Bytes>;

impl Request {
    pub(super) fn new(path: Vec<String>, parts: http::request::Parts, body: Bytes, settings: &LambdaSettings) -> Self {
        let query = parse_query(parts.uri.query().unwrap_or_default());
        let region = signed_region(&parts.headers).unwrap_or(&settings.region).to_owned();
        let scope = Scope { region, account: settings.account_id.clone() };
        Self { path, query, headers: parts.headers, body, scope, caller: None }
    }

    /// The n-th variable part of the path.
    pub(super) fn segment(&self, index: usize) -> &str {
        self.path.get(index).map_or("", String::as_str)
    }

    /// A query parameter's first value.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query_all(name).first().map(String::as_str)
    }

    /// All values of a query parameter.
    pub(super) fn query_all(&self, name: &str) -> &[String] {
        self.query.get(name).map_or(&[], Vec::as_slice)
    }

    /// A header's value, when it is there and is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The function that the path and, where given, `Qualifier` name.
    pub(super) fn function(&self) -> Result<FunctionRef> {
        FunctionRef::parse(self.segment(0), self.query("Qualifier"), &self.scope)
    }

    /// The body as the operation's input.
    pub(super) fn input<T: DeserializeOwned>(&self) -> Result<T> {
        parse_body(&self.body)
    }

    /// [`Request::input`] on a blocking thread: for bodies that may hold a whole zip.
    pub(super) async fn large_input<T: DeserializeOwned + Send + 'static>(&self) -> Result<T> {
        let body = self.body.clone();
        tokio::task::spawn_blocking(move || parse_body(&body))
            .await
            .map_err(|e| ApiError::new(ErrorKind::Service, e.to_string()))?
    }

    /// `Marker` and `MaxItems` of a listing, with AWS's page size as the default and the maximum.
    pub(super) fn page(&self) -> Result<Page> {
        const PAGE: usize = 50;
        let size = match self.query("MaxItems") {
            None => PAGE,
            Some(text) => match text.parse::<usize>() {
                Ok(size) if (1..=10_000).contains(&size) => size.min(PAGE),
                _ => {
                    return Err(super::names::constraint(
                        text,
                        "maxItems",
                        "Member must have value between 1 and 10000",
                    ));
                }
            },
        };
        Ok(Page { after: self.query("Marker").filter(|marker| !marker.is_empty()).map(str::to_owned), size })
    }
}

fn parse_body<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body)
        .map_err(|e| ApiError::new(ErrorKind::Serialization, format!("Could not parse the request body: {e}")))
}

/// Where a listing goes on, and how much of it is wanted.
#[derive(Debug)]
pub(super) struct Page {
    after: Option<String>,
    size: usize,
}

impl Page {
    /// Cuts one page from items in the order of their keys: the items, and the marker of the next page.
    pub(super) fn cut<T>(&self, items: impl IntoIterator<Item = (String, T)>) -> (Vec<T>, Option<String>) {
        let mut rest = items.into_iter().filter(|(key, _)| self.after.as_ref().is_none_or(|after| key > after));
        let mut last = None;
        let page: Vec<T> = rest
            .by_ref()
            .take(self.size)
            .map(|(key, item)| {
                last = Some(key);
                item
            })
            .collect();
        (page, if rest.next().is_some() { last } else { None })
    }
}

/// A JSON answer.
pub(super) fn json(status: StatusCode, body: &Value) -> Reply {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// `200 OK` with JSON.
pub(super) fn ok(body: &Value) -> Reply {
    json(StatusCode::OK, body)
}

/// `201 Created` with JSON.
pub(super) fn created(body: &Value) -> Reply {
    json(StatusCode::CREATED, body)
}

/// `204 No Content`.
pub(super) fn no_content() -> Reply {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// The region of the credential scope: `Credential=KEY/DATE/REGION/lambda/aws4_request`.
fn signed_region(headers: &HeaderMap) -> Option<&str> {
    let authorization = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let credential = authorization.split_once("Credential=")?.1;
    let region = credential.split([',', ' ']).next()?.split('/').nth(2)?;
    let valid = !region.is_empty() && region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    valid.then_some(region)
}

fn parse_query(query: &str) -> BTreeMap<String, Vec<String>> {
    let mut parameters: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        parameters
            .entry(percent_decode(&name.replace('+', " ")))
            .or_default()
            .push(percent_decode(&value.replace('+', " ")));
    }
    parameters
}

/// Decodes `%XX`. What is no valid escape stays as it is; bytes that are no UTF-8 become U+FFFD.
pub(super) fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = (bytes[at] == b'%')
            .then(|| bytes.get(at + 1..at + 3))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(escape.unwrap_or(bytes[at]));
        at += if escape.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_ends_with_a_marker_only_when_more_follows() {
        let items = || ["a", "b", "c"].map(|key| (key.to_owned(), key));
        let first = Page { after: None, size: 2 };
        assert_eq!(first.cut(items()), (vec!["a", "b"], Some("b".to_owned())));
        let last = Page { after: Some("b".to_owned()), size: 2 };
        assert_eq!(last.cut(items()), (vec!["c"], None));
        let exact = Page { after: None, size: 3 };
        assert_eq!(exact.cut(items()).1, None);
    }

    #[test]
    fn escapes_are_decoded_once() {
        assert_eq!(percent_decode("arn%3Aaws%3a%2525%zz%"), "arn:aws:%25%zz%");
        assert_eq!(parse_query("a=1&a=2&b")["a"], ["1", "2"]);
    }

    #[test]
    fn the_region_comes_from_the_credential_scope() {
        let mut headers = HeaderMap::new();
        let value =
            "AWS4-HMAC-SHA256 Credential=test/20261122/eu-west-1/lambda/aws4_request, SignedHeaders=host, Signature=0";
        headers.insert(AUTHORIZATION, HeaderValue::from_static(value));
        assert_eq!(signed_region(&headers), Some("eu-west-1"));
        assert_eq!(signed_region(&HeaderMap::new()), None);
    }
}
