//! A bucket's policy: kept, and checked for its shape. It counts where the cloud enforces IAM (`s3/access.rs`).

use std::sync::Arc;

use s3s::dto::*;

use super::settings::{missing, remove};
use super::{Answer, plain};
use crate::s3::{Context, Refusal, Store};

pub(super) async fn get(store: &Arc<Store>, _: &Context, input: GetBucketPolicyInput) -> Answer<GetBucketPolicyOutput> {
    let policy = store.try_read(|state| Ok(state.bucket(&input.bucket)?.settings.get("policy").cloned()))?;
    let policy =
        policy.ok_or_else(|| missing("NoSuchBucketPolicy", "The bucket policy does not exist", input.bucket))?;
    plain(GetBucketPolicyOutput { policy: Some(policy) })
}

pub(super) async fn put(store: &Arc<Store>, _: &Context, input: PutBucketPolicyInput) -> Answer<PutBucketPolicyOutput> {
    check(&input.policy)?;
    store
        .commit(move |state, _| {
            state.bucket_mut(&input.bucket)?.settings.insert("policy".to_owned(), input.policy);
            Ok(())
        })
        .await?;
    plain(PutBucketPolicyOutput {})
}

fn check(policy: &str) -> Result<(), Refusal> {
    let malformed = |message: &'static str| Refusal::new("MalformedPolicy", 400, message);
    if !policy.trim_start().starts_with('{') {
        return Err(malformed("Policies must be valid JSON and the first byte must be '{'"));
    }
    let json: serde_json::Value =
        serde_json::from_str(policy).map_err(|_| malformed("This policy contains invalid Json"))?;
    let statements = match json.get("Statement") {
        Some(serde_json::Value::Array(statements)) if !statements.is_empty() => statements.as_slice(),
        Some(statement @ serde_json::Value::Object(_)) => std::slice::from_ref(statement),
        _ => return Err(malformed("Missing required field Statement")),
    };
    for (names, message) in [
        (["Effect", "Effect"], "Missing required field Effect"),
        (["Principal", "NotPrincipal"], "Missing required field Principal"),
        (["Action", "NotAction"], "Missing required field Action"),
        (["Resource", "NotResource"], "Missing required field Resource"),
    ] {
        if !statements.iter().all(|statement| names.iter().any(|name| statement.get(name).is_some())) {
            return Err(malformed(message));
        }
    }
    Ok(())
}

pub(super) async fn delete(
    store: &Arc<Store>,
    _: &Context,
    input: DeleteBucketPolicyInput,
) -> Answer<DeleteBucketPolicyOutput> {
    remove(store, input.bucket, "policy").await?;
    plain(DeleteBucketPolicyOutput {})
}

pub(super) async fn status(
    store: &Arc<Store>,
    _: &Context,
    input: GetBucketPolicyStatusInput,
) -> Answer<GetBucketPolicyStatusOutput> {
    let policy = store.try_read(|state| Ok(state.bucket(&input.bucket)?.settings.get("policy").cloned()))?;
    let policy =
        policy.ok_or_else(|| missing("NoSuchBucketPolicy", "The bucket policy does not exist", input.bucket))?;
    let json: serde_json::Value = serde_json::from_str(&policy).unwrap_or_default();
    let allows_all = |statement: &serde_json::Value| {
        let principal = &statement["Principal"];
        statement["Effect"] == "Allow"
            && (*principal == "*" || principal["AWS"] == "*")
            && statement.get("Condition").is_none()
    };
    let is_public = match &json["Statement"] {
        serde_json::Value::Array(statements) => statements.iter().any(allows_all),
        statement => allows_all(statement),
    };
    plain(GetBucketPolicyStatusOutput { policy_status: Some(PolicyStatus { is_public: Some(is_public) }) })
}
