//! Resource policies. They are kept and shown; invocations are not held against them.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::lambda::Lambda;
use crate::lambda::errors::{ApiError, Result};
use crate::lambda::function::{Function, Policy, new_id};
use crate::lambda::names::{FunctionRef, LATEST, Scope, constraint};
use crate::lambda::request::{Reply, Request, created, no_content, ok};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AddPermission {
    statement_id: Option<String>,
    action: Option<String>,
    principal: Option<String>,
    source_arn: Option<String>,
    source_account: Option<String>,
    event_source_token: Option<String>,
    #[serde(rename = "PrincipalOrgID")]
    principal_org_id: Option<String>,
    function_url_auth_type: Option<String>,
    revision_id: Option<String>,
}

/// The statement that a request asks for.
fn statement(input: &AddPermission, id: &str, action: &str, principal: &str, resource: &str) -> Value {
    let principal = if principal == "*" {
        json!("*")
    } else if principal.len() == 12 && principal.bytes().all(|b| b.is_ascii_digit()) {
        json!({ "AWS": format!("arn:aws:iam::{principal}:root") })
    } else if principal.starts_with("arn:") {
        json!({ "AWS": principal })
    } else {
        json!({ "Service": principal })
    };
    let mut statement = json!({
        "Sid": id,
        "Effect": "Allow",
        "Principal": principal,
        "Action": action,
        "Resource": resource,
    });
    let equals: serde_json::Map<String, Value> = [
        ("AWS:SourceAccount", &input.source_account),
        ("lambda:EventSourceToken", &input.event_source_token),
        ("aws:PrincipalOrgID", &input.principal_org_id),
        ("lambda:FunctionUrlAuthType", &input.function_url_auth_type),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((key.to_owned(), value.as_deref()?.into())))
    .collect();
    let mut condition = serde_json::Map::new();
    if !equals.is_empty() {
        condition.insert("StringEquals".to_owned(), equals.into());
    }
    if let Some(arn) = &input.source_arn {
        condition.insert("ArnLike".to_owned(), json!({ "AWS:SourceArn": arn }));
    }
    if !condition.is_empty() {
        statement["Condition"] = condition.into();
    }
    statement
}

/// The key of a policy, after looking whether what it is about is there.
fn policy_key(function: &Function, wanted: &FunctionRef, scope: &Scope) -> Result<String> {
    function.require_version(wanted, scope)?;
    Ok(wanted.qualifier.clone().unwrap_or_default())
}

/// `AddPermission`.
pub(super) fn add(lambda: &Lambda, request: &Request) -> Result<Reply> {
    let wanted = request.function()?;
    let input: AddPermission = request.input()?;
    let missing = |member: &str| constraint("null", member, "Member must not be null");
    let id = input.statement_id.as_deref().ok_or_else(|| missing("statementId"))?;
    let action = input.action.as_deref().ok_or_else(|| missing("action"))?;
    let principal = input.principal.as_deref().ok_or_else(|| missing("principal"))?;
    let valid_id = (1..=100).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    if !valid_id {
        let rule = "Member must satisfy regular expression pattern: ([a-zA-Z0-9-_]+)";
        return Err(constraint(id, "statementId", rule));
    }
    let valid_action = action == "*"
        || action
            .strip_prefix("lambda:")
            .is_some_and(|rest| rest == "*" || rest.bytes().all(|b| b.is_ascii_alphabetic()));
    if !valid_action {
        let rule = "Member must satisfy regular expression pattern: (lambda:[*]|lambda:[a-zA-Z]+|[*])";
        return Err(constraint(action, "action", rule));
    }
    if wanted.qualifier.as_deref() == Some(LATEST) {
        return Err(ApiError::invalid("We currently do not support adding policies for $LATEST."));
    }
    let mut registry = lambda.registry();
    let function = registry.function(&wanted, &request.scope, lambda.objects())?;
    let key = policy_key(function, &wanted, &request.scope)?;
    let policy =
        function.policies.entry(key).or_insert_with(|| Policy { statements: Vec::new(), revision_id: new_id() });
    if input.revision_id.as_ref().is_some_and(|expected| *expected != policy.revision_id) {
        return Err(ApiError::stale_revision("GetPolicy"));
    }
    if policy.statements.iter().any(|known| known["Sid"] == id) {
        return Err(ApiError::conflict(format!(
            "The statement id ({id}) provided already exists. Please provide a new statement id, or remove the existing statement."
        )));
    }
    let added = statement(&input, id, action, principal, &wanted.arn(&request.scope));
    let shown = json!({ "Statement": added.to_string() });
    policy.statements.push(added);
    policy.revision_id = new_id();
    Ok(created(&shown))
}

/// `GetPolicy`.
pub(super) fn get(lambda: &Lambda, request: &Request) -> Result<Reply> {
    let wanted = request.function()?;
    let mut registry = lambda.registry();
    let function = registry.function(&wanted, &request.scope, lambda.objects())?;
    let key = policy_key(function, &wanted, &request.scope)?;
    let policy = function
        .policies
        .get(&key)
        .filter(|policy| !policy.statements.is_empty())
        .ok_or_else(|| ApiError::not_found("The resource you requested does not exist."))?;
    let document = json!({ "Version": "2012-10-17", "Id": "default", "Statement": policy.statements });
    Ok(ok(&json!({ "Policy": document.to_string(), "RevisionId": policy.revision_id })))
}

/// `RemovePermission`.
pub(super) fn remove(lambda: &Lambda, request: &Request) -> Result<Reply> {
    let wanted = request.function()?;
    let id = request.segment(1);
    let mut registry = lambda.registry();
    let function = registry.function(&wanted, &request.scope, lambda.objects())?;
    let key = policy_key(function, &wanted, &request.scope)?;
    let missing = || ApiError::not_found(format!("Statement {id} is not found in resource policy."));
    let policy = function.policies.get_mut(&key).ok_or_else(missing)?;
    let at = policy.statements.iter().position(|known| known["Sid"] == id).ok_or_else(missing)?;
    if request.query("RevisionId").is_some_and(|expected| expected != policy.revision_id) {
        return Err(ApiError::stale_revision("GetPolicy"));
    }
    policy.statements.remove(at);
    policy.revision_id = new_id();
    Ok(no_content())
}
