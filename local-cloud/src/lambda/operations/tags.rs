//! Tags of functions.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

use crate::lambda::Lambda;
use crate::lambda::errors::{ApiError, Result};
use crate::lambda::names::FunctionRef;
use crate::lambda::request::{Reply, Request, no_content, ok};

#[derive(Deserialize)]
struct TagResource {
    #[serde(rename = "Tags", default)]
    tags: BTreeMap<String, String>,
}

/// Holds tags against AWS's rules: at most 50, keys of 1 to 128 characters, values of at most 256.
pub(super) fn check(tags: &BTreeMap<String, String>) -> Result<()> {
    if tags.len() > 50 {
        return Err(ApiError::invalid("Number of tags exceeds resource tag limit."));
    }
    for (key, value) in tags {
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
            return Err(ApiError::invalid(format!(
                "The tag {key} is longer than tags may be: 128 characters for the key, 256 for the value."
            )));
        }
        if key.starts_with("aws:") {
            return Err(ApiError::invalid(format!("The tag key {key} is reserved: it begins with aws:")));
        }
    }
    Ok(())
}

fn resource(request: &Request) -> Result<FunctionRef> {
    let arn = request.segment(0);
    if !arn.starts_with("arn:") {
        return Err(ApiError::invalid(format!(
            "Tags are read and written by a function's ARN, which this is not: {arn}"
        )));
    }
    let wanted = FunctionRef::parse(arn, None, &request.scope)?;
    if wanted.qualifier.is_some() {
        return Err(ApiError::invalid(
            "Tags on function aliases and versions are not supported. Please specify a function ARN.",
        ));
    }
    Ok(wanted)
}

/// `ListTags`.
pub(super) fn list(lambda: &Lambda, request: &Request) -> Result<Reply> {
    let wanted = resource(request)?;
    let mut registry = lambda.registry();
    let function = registry.function(&wanted, &request.scope, lambda.objects())?;
    Ok(ok(&json!({ "Tags": function.tags })))
}

/// `TagResource`.
pub(super) fn tag(lambda: &Lambda, request: &Request) -> Result<Reply> {
    let wanted = resource(request)?;
    let input: TagResource = request.input()?;
    if input.tags.is_empty() {
        return Err(ApiError::invalid(
            "An error occurred and the request cannot be processed: there are no tags in it.",
        ));
    }
    check(&input.tags)?;
    let mut registry = lambda.registry();
    let function = registry.function(&wanted, &request.scope, lambda.objects())?;
    let mut tags = function.tags.clone();
    tags.extend(input.tags);
    // Those of AWS itself are there, too, and don't count.
    check(&tags.iter().filter(|(key, _)| !key.starts_with("aws:")).map(|(k, v)| (k.clone(), v.clone())).collect())?;
    function.tags = tags;
    Ok(no_content())
}

/// `UntagResource`.
pub(super) fn untag(lambda: &Lambda, request: &Request) -> Result<Reply> {
    let wanted = resource(request)?;
    let keys = request.query_all("tagKeys");
    let mut registry = lambda.registry();
    let function = registry.function(&wanted, &request.scope, lambda.objects())?;
    function.tags.retain(|key, _| !keys.contains(key));
    Ok(no_content())
}
