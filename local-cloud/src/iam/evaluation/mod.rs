//! What a set of policies says about a request, by AWS's rules: an explicit deny counts more than any allow, and what
//! nothing allows is denied.

mod condition;
mod pattern;
mod principal;

use std::collections::BTreeMap;

use serde_json::Value;

use condition::Condition;
pub(crate) use principal::Asker;
use principal::Whom;

/// What is known about a request besides its action and resource, by condition key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Context(BTreeMap<String, Vec<String>>);

impl Context {
    /// Adds a value of a key. Keys are compared without regard to case.
    pub(crate) fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.0.entry(key.to_ascii_lowercase()).or_default().push(value.into());
        self
    }

    /// What of `other` is missing here.
    pub(crate) fn or(mut self, other: Self) -> Self {
        for (key, values) in other.0 {
            self.0.entry(key).or_insert(values);
        }
        self
    }

    fn values(&self, lowercase_key: &str) -> &[String] {
        self.0.get(lowercase_key).map_or(&[], Vec::as_slice)
    }

    /// A text of a policy with its variables (`${aws:username}`) replaced by what the request has.
    fn filled(&self, text: &str) -> String {
        let (mut filled, mut rest) = (String::new(), text);
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, tail)) = after.split_once('}') else { break };
            let value = match name {
                // The characters that have a meaning of their own.
                "*" | "?" | "$" => name,
                name => self.values(&name.to_ascii_lowercase()).first().map_or("", String::as_str),
            };
            filled.push_str(before);
            filled.push_str(value);
            rest = tail;
        }
        filled + rest
    }
}

/// One action on one resource.
#[derive(Clone, Debug)]
pub(crate) struct Need {
    /// As AWS spells it: `s3:PutObject`.
    pub(crate) action: String,
    /// An ARN, or `*` for an action that is about no resource.
    pub(crate) resource: String,
    pub(crate) context: Context,
}

impl Need {
    pub(crate) fn new(action: impl Into<String>, resource: impl Into<String>) -> Self {
        Self { action: action.into(), resource: resource.into(), context: Context::default() }
    }

    /// Adds what a condition may ask about.
    pub(crate) fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.context = self.context.with(key, value);
        self
    }
}

/// What policies say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Allow,
    ImplicitDeny,
    ExplicitDeny,
}

/// A policy document, read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Policy(Vec<Statement>);

#[derive(Clone, Debug)]
struct Statement {
    allows: bool,
    /// Whom it is about; `None` in a policy of an identity, which is about that identity.
    whom: Option<Whom>,
    /// Patterns, and whether it is about what they match or about all else.
    actions: (Vec<String>, bool),
    resources: (Vec<String>, bool),
    /// `Err`: an operator that can't be evaluated. Then the statement denies what it can and allows nothing.
    conditions: Result<Vec<Condition>, String>,
}

impl Policy {
    /// Reads a document whose shape was checked before.
    pub(crate) fn read(document: &str) -> Self {
        let document: Value = serde_json::from_str(document).unwrap_or_default();
        let statements = match &document["Statement"] {
            Value::Array(statements) => statements.as_slice(),
            Value::Null => &[],
            one => std::slice::from_ref(one),
        };
        Self(statements.iter().map(Statement::read).collect())
    }

    /// That of the account itself.
    pub(crate) fn of_everything() -> Self {
        Self::read(r#"{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}"#)
    }

    /// The operators of conditions that can't be evaluated.
    pub(crate) fn unknown_operators(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|statement| statement.conditions.as_ref().err()).map(String::as_str)
    }
}

impl Statement {
    fn read(statement: &Value) -> Self {
        let patterns = |about: &str, all_but: &str| match statement.get(about) {
            Some(patterns) => (texts(patterns), true),
            None => (texts(&statement[all_but]), false),
        };
        Self {
            allows: statement["Effect"] == "Allow",
            whom: Whom::read(statement),
            actions: patterns("Action", "NotAction"),
            resources: patterns("Resource", "NotResource"),
            conditions: condition::conditions(&statement["Condition"]),
        }
    }

    fn is_about(&self, need: &Need, context: &Context) -> bool {
        let action = need.action.to_ascii_lowercase();
        let (actions, among) = &self.actions;
        if actions.iter().any(|pattern| pattern::matches(&pattern.to_ascii_lowercase(), &action)) != *among {
            return false;
        }
        let (resources, among) = &self.resources;
        if resources.iter().any(|arn| pattern::arn_matches(&context.filled(arn), &need.resource)) != *among {
            return false;
        }
        match &self.conditions {
            Ok(conditions) => conditions.iter().all(|condition| condition.is_met(context)),
            Err(_) => !self.allows,
        }
    }
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(values) => values.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        one => one.as_str().map(str::to_owned).into_iter().collect(),
    }
}

/// What these policies together say. `context` completes that of the need.
pub(crate) fn decide<'a>(policies: impl IntoIterator<Item = &'a Policy>, need: &Need, context: &Context) -> Decision {
    let statements = policies.into_iter().flat_map(|policy| &policy.0);
    decided(statements, need, &need.context.clone().or(context.clone()))
}

/// What the policy of a resource says to who asks. An allowance of the whole account is none yet: the account's own
/// policies have to pass it on.
pub(crate) fn decide_for(asker: &Asker<'_>, policy: &Policy, need: &Need, context: &Context) -> Decision {
    let concerned = policy.0.iter().filter(|statement| {
        statement.whom.as_ref().is_some_and(|whom| whom.is(asker) && (!statement.allows || whom.is_by_name(asker)))
    });
    decided(concerned, need, &need.context.clone().or(context.clone()))
}

fn decided<'a>(statements: impl Iterator<Item = &'a Statement>, need: &Need, context: &Context) -> Decision {
    let mut decision = Decision::ImplicitDeny;
    for statement in statements {
        if statement.is_about(need, context) {
            if !statement.allows {
                return Decision::ExplicitDeny;
            }
            decision = Decision::Allow;
        }
    }
    decision
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(statements: &Value, action: &str, resource: &str) -> Decision {
        let policy = Policy::read(&json!({ "Version": "2012-10-17", "Statement": statements }).to_string());
        decide([&policy], &Need::new(action, resource), &Context::default())
    }

    const OBJECT: &str = "arn:aws:s3:::bucket/app/a.zip";

    #[test]
    fn what_nothing_allows_is_denied() {
        let reads =
            json!({ "Effect": "Allow", "Action": ["s3:Get*", "s3:list*"], "Resource": "arn:aws:s3:::bucket/*" });
        assert_eq!(said(&reads, "s3:GetObject", OBJECT), Decision::Allow);
        assert_eq!(said(&reads, "s3:ListMultipartUploadParts", OBJECT), Decision::Allow, "case doesn't count");
        assert_eq!(said(&reads, "s3:PutObject", OBJECT), Decision::ImplicitDeny);
        assert_eq!(said(&reads, "s3:GetObject", "arn:aws:s3:::bucket"), Decision::ImplicitDeny);
        assert_eq!(said(&reads, "s3:GetObject", "arn:aws:s3:::bucket-2/app/a.zip"), Decision::ImplicitDeny);
    }

    #[test]
    fn a_deny_counts_more_than_an_allow_wherever_it_stands() {
        let allow = json!({ "Effect": "Allow", "Action": "*", "Resource": "*" });
        let deny = json!({ "Effect": "Deny", "Action": "s3:PutObject", "Resource": "*" });
        for statements in [json!([allow, deny]), json!([deny, allow])] {
            assert_eq!(said(&statements, "s3:PutObject", OBJECT), Decision::ExplicitDeny);
            assert_eq!(said(&statements, "s3:GetObject", OBJECT), Decision::Allow);
        }
    }

    #[test]
    fn not_action_and_not_resource_are_about_all_else() {
        let statement = json!({ "Effect": "Allow", "NotAction": "iam:*", "NotResource": "arn:aws:s3:::secret/*" });
        assert_eq!(said(&statement, "s3:GetObject", OBJECT), Decision::Allow);
        assert_eq!(said(&statement, "iam:GetRole", OBJECT), Decision::ImplicitDeny);
        assert_eq!(said(&statement, "s3:GetObject", "arn:aws:s3:::secret/a"), Decision::ImplicitDeny);
    }

    #[test]
    fn an_operator_that_cannot_be_evaluated_allows_nothing_and_denies_what_it_can() {
        let condition = json!({ "IpAddress": { "aws:SourceIp": "10.0.0.0/8" } });
        let allow = json!({ "Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition });
        assert_eq!(said(&allow, "s3:GetObject", OBJECT), Decision::ImplicitDeny);
        let deny = json!({ "Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition });
        assert_eq!(said(&deny, "s3:GetObject", OBJECT), Decision::ExplicitDeny);
    }

    #[test]
    fn a_resource_can_name_a_key_of_the_request() {
        let own = json!({ "Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::bucket/${aws:username}/*" });
        let policy = Policy::read(&json!({ "Statement": own }).to_string());
        let ada = Context::default().with("aws:username", "ada");
        let decided = |object: &str| decide([&policy], &Need::new("s3:GetObject", object), &ada);
        assert_eq!(decided("arn:aws:s3:::bucket/ada/x"), Decision::Allow);
        assert_eq!(decided("arn:aws:s3:::bucket/bob/x"), Decision::ImplicitDeny);
    }
}
