//! The shape of policy documents.

use serde_json::Value;

use super::Result;
use crate::protocol::query::Refusal;

/// What a document is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Who may assume a role.
    Trust,
    /// What a principal may do.
    Identity,
}

fn malformed(message: impl Into<String>) -> Refusal {
    Refusal::new(400, "MalformedPolicyDocument", message)
}

/// Holds a document against the grammar of policies, as far as AWS does so when it is put.
pub(super) fn check(text: &str, kind: Kind) -> Result<()> {
    let document: Value = serde_json::from_str(text).map_err(|_| malformed("This policy contains invalid Json"))?;
    let Value::Object(members) = &document else { return Err(malformed("Syntax errors in policy.")) };
    if let Some(unknown) = members.keys().find(|name| !["Version", "Id", "Statement"].contains(&name.as_str())) {
        return Err(malformed(format!("Syntax errors in policy. Unknown field {unknown}")));
    }
    if !matches!(members.get("Version").map(|version| version.as_str()), None | Some(Some("2012-10-17" | "2008-10-17")))
    {
        return Err(malformed("The policy must contain a valid version string."));
    }
    let statements = match members.get("Statement") {
        Some(Value::Array(statements)) if !statements.is_empty() => statements.as_slice(),
        Some(statement @ Value::Object(_)) => std::slice::from_ref(statement),
        _ => return Err(malformed("Syntax errors in policy.")),
    };
    statements.iter().try_for_each(|statement| check_statement(statement, kind))
}

fn check_statement(statement: &Value, kind: Kind) -> Result<()> {
    let has = |names: [&str; 2]| names.iter().any(|name| statement.get(name).is_some());
    if !matches!(statement.get("Effect").and_then(Value::as_str), Some("Allow" | "Deny")) {
        return Err(malformed("Syntax errors in policy."));
    }
    if !has(["Action", "NotAction"]) {
        return Err(malformed("Policy statement must contain actions."));
    }
    match kind {
        Kind::Trust => {
            if has(["Resource", "NotResource"]) {
                return Err(malformed("Has prohibited field Resource"));
            }
            if !has(["Principal", "NotPrincipal"]) {
                return Err(malformed("Missing required field Principal"));
            }
            let actions = match &statement["Action"] {
                Value::Array(actions) => actions.iter().filter_map(Value::as_str).collect(),
                action => action.as_str().into_iter().collect::<Vec<_>>(),
            };
            if actions.iter().any(|action| *action != "*" && !action.to_ascii_lowercase().starts_with("sts:")) {
                return Err(malformed("AssumeRole policy may only specify STS AssumeRole actions."));
            }
        }
        Kind::Identity => {
            if has(["Principal", "NotPrincipal"]) {
                return Err(malformed("Policy document should not specify a principal."));
            }
            if !has(["Resource", "NotResource"]) {
                return Err(malformed("Policy statement must contain resources."));
            }
        }
    }
    Ok(())
}

/// Whether a trust policy lets a service, such as `lambda.amazonaws.com`, assume its role. Conditions are taken as met.
pub(super) fn trusts(text: &str, service: &str) -> bool {
    let Ok(document) = serde_json::from_str::<Value>(text) else { return false };
    let statements = listed(&document["Statement"]);
    let about = |statement: &&Value| {
        let actions = listed(&statement["Action"]);
        let principal = &statement["Principal"];
        let services = listed(&principal["Service"]);
        let assumes = actions
            .iter()
            .filter_map(|action| action.as_str())
            .any(|action| ["*", "sts:*", "sts:assumerole"].contains(&action.to_ascii_lowercase().as_str()));
        assumes && (principal == "*" || services.iter().any(|named| *named == service))
    };
    let has = |effect: &str| statements.iter().copied().filter(about).any(|statement| statement["Effect"] == effect);
    has("Allow") && !has("Deny")
}

/// One or many, as policies have it.
fn listed(value: &Value) -> Vec<&Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(items) => items.iter().collect(),
        one => vec![one],
    }
}

/// A document as answers carry it: percent-encoded after RFC 3986.
pub(super) fn encoded(document: &str) -> String {
    let mut out = String::with_capacity(document.len() * 2);
    for byte in document.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_must_suit_what_it_is_for() {
        let trust = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}}"#;
        let identity =
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}"#;
        assert_eq!(check(trust, Kind::Trust), Ok(()));
        assert_eq!(check(identity, Kind::Identity), Ok(()));
        assert_eq!(check(identity, Kind::Trust).unwrap_err().message, "Has prohibited field Resource");
        assert_eq!(
            check(trust, Kind::Identity).unwrap_err().message,
            "Policy document should not specify a principal."
        );
        assert_eq!(check("nonsense", Kind::Identity).unwrap_err().message, "This policy contains invalid Json");
        assert_eq!(check("{}", Kind::Identity).unwrap_err().code, "MalformedPolicyDocument");
    }

    #[test]
    fn a_role_is_assumed_only_by_whom_its_trust_policy_names() {
        let trust = |effect: &str, service: &str, action: &str| {
            format!(
                r#"{{"Statement":[{{"Effect":"{effect}","Principal":{{"Service":{service}}},"Action":{action}}}]}}"#
            )
        };
        let lambda = r#"["edgelambda.amazonaws.com", "lambda.amazonaws.com"]"#;
        for (document, trusted) in [
            (trust("Allow", lambda, r#""sts:AssumeRole""#), true),
            (trust("Allow", lambda, r#"["sts:TagSession", "sts:*"]"#), true),
            (trust("Allow", lambda, r#""sts:TagSession""#), false),
            (trust("Allow", r#""ec2.amazonaws.com""#, r#""sts:AssumeRole""#), false),
            (trust("Deny", lambda, r#""sts:AssumeRole""#), false),
        ] {
            assert_eq!(trusts(&document, "lambda.amazonaws.com"), trusted, "{document}");
        }
    }

    #[test]
    fn documents_are_encoded_in_answers() {
        assert_eq!(encoded(r#"{"a": "b-c"}"#), "%7B%22a%22%3A%20%22b-c%22%7D");
    }
}
