//! Whom a statement of a resource's policy is about: its `Principal`, or everybody but its `NotPrincipal`. After
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html>.

use serde_json::Value;

/// Who asks, as policies may name them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker<'a> {
    /// ARN of the user, or of the role's session.
    pub(crate) arn: &'a str,
    /// ARN of the session's role.
    pub(crate) role: Option<&'a str>,
    pub(crate) account: &'a str,
}

/// The principals that a statement names.
#[derive(Clone, Debug)]
pub(super) struct Whom {
    /// ARNs, numbers of accounts, or `*`.
    named: Vec<String>,
    /// Whether it is about those, or about all others.
    among: bool,
}

impl Whom {
    /// `None`: the statement names nobody, as in a policy of an identity.
    pub(super) fn read(statement: &Value) -> Option<Self> {
        let (element, among) = match (statement.get("Principal"), statement.get("NotPrincipal")) {
            (Some(element), _) => (element, true),
            (None, Some(element)) => (element, false),
            (None, None) => return None,
        };
        // Services and federated users are somebody else than the callers here.
        let named = if element == "*" { vec!["*".to_owned()] } else { super::texts(&element["AWS"]) };
        Some(Self { named, among })
    }

    /// Whether the statement is about this one, be it as one of the account.
    pub(super) fn is(&self, asker: &Asker<'_>) -> bool {
        self.named.iter().any(|named| is_named(named, asker) || is_account(named, asker)) == self.among
    }

    /// Whether it is about this one without the help of the account's own policies.
    pub(super) fn is_by_name(&self, asker: &Asker<'_>) -> bool {
        !self.among || self.named.iter().any(|named| is_named(named, asker))
    }
}

/// Patterns are not for ARNs of principals: `*` stands alone.
fn is_named(named: &str, asker: &Asker<'_>) -> bool {
    named == "*" || named == asker.arn || Some(named) == asker.role
}

fn is_account(named: &str, asker: &Asker<'_>) -> bool {
    let root = named.strip_suffix(":root").and_then(|arn| arn.rsplit_once(':'));
    named == asker.account || root.is_some_and(|(_, account)| account == asker.account)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const DEV: Asker<'_> = Asker { arn: "arn:aws:iam::111122223333:user/dev", role: None, account: "111122223333" };
    const SESSION: Asker<'_> = Asker {
        arn: "arn:aws:sts::111122223333:assumed-role/r/s",
        role: Some("arn:aws:iam::111122223333:role/r"),
        account: "111122223333",
    };

    fn about(statement: &Value, asker: &Asker<'_>) -> (bool, bool) {
        let whom = Whom::read(statement).unwrap();
        (whom.is(asker), whom.is_by_name(asker))
    }

    #[test]
    fn a_principal_is_named_by_its_arn_by_its_role_or_with_everybody() {
        assert_eq!(about(&json!({ "Principal": "*" }), &DEV), (true, true));
        assert_eq!(about(&json!({ "Principal": { "AWS": "*" } }), &SESSION), (true, true));
        assert_eq!(about(&json!({ "Principal": { "AWS": [DEV.arn] } }), &DEV), (true, true));
        assert!(!about(&json!({ "Principal": { "AWS": [DEV.arn] } }), &SESSION).0);
        assert_eq!(about(&json!({ "Principal": { "AWS": SESSION.role } }), &SESSION), (true, true));
        assert!(!about(&json!({ "Principal": { "Service": "lambda.amazonaws.com" } }), &DEV).0);
    }

    #[test]
    fn the_account_is_all_of_it_but_names_nobody() {
        for account in ["111122223333", "arn:aws:iam::111122223333:root"] {
            assert_eq!(about(&json!({ "Principal": { "AWS": account } }), &DEV), (true, false), "{account}");
        }
        assert!(!about(&json!({ "Principal": { "AWS": "arn:aws:iam::999999999999:root" } }), &DEV).0);
    }

    #[test]
    fn not_principal_is_about_all_others() {
        assert!(!about(&json!({ "NotPrincipal": { "AWS": DEV.arn } }), &DEV).0);
        assert!(about(&json!({ "NotPrincipal": { "AWS": DEV.arn } }), &SESSION).0);
        assert!(Whom::read(&json!({ "Effect": "Allow" })).is_none());
    }
}
