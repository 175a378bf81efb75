//! AWS's words for a request that is not permitted, and what mends it.
//!
//! Most services say who asked, for which action on which resource, and which kind of policy stands in the way:
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html>. What is to be done depends on that
//! kind: a missing Allow can be added, an explicit Deny is beyond any Allow, and the policies of an organisation or of a
//! bucket are often somebody else's to change.

/// What AWS says of a request that is not permitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Denial<'a> {
    pub(crate) action: &'a str,
    /// An ARN; `None`: AWS doesn't name it.
    pub(crate) resource: Option<&'a str>,
    why: Why<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why<'a> {
    /// A policy of this kind denies it.
    Denied(&'a str),
    /// No policy of this kind allows it.
    NotAllowed(&'a str),
    /// AWS doesn't say.
    Untold,
}

impl<'a> Denial<'a> {
    /// From a message that has AWS's words somewhere in it. `None`: it has not.
    pub(crate) fn read(message: &'a str) -> Option<Self> {
        let (_, rest) = message.split_once("is not authorized to perform: ")?;
        let (action, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let named = rest.trim_start().strip_prefix("on resource: ").and_then(|rest| rest.split_whitespace().next());
        let resource = named.map(|arn| arn.trim_matches(['"', '\\']));
        let why =
            match (between(rest, "with an explicit deny in a", " policy"), between(rest, "because no ", " policy")) {
                (Some(kind), _) => Why::Denied(kind.trim_start_matches('n').trim()),
                (None, Some(kind)) => Why::NotAllowed(kind),
                (None, None) => Why::Untold,
            };
        Some(Self { action: action.trim_end_matches(['"', '.', ',']), resource, why })
    }

    /// Whether a policy denies it, and not only none allows it.
    pub(crate) fn is_explicit(&self) -> bool {
        matches!(self.why, Why::Denied(_))
    }

    /// What mends it.
    pub(crate) fn hint(&self) -> String {
        match self.why {
            Why::Denied("resource-based") => {
                "the resource's own policy denies it (a bucket's, say, for want of TLS, of an encryption header or of a \
                 VPC endpoint): no Allow helps, that statement has to make an exception"
                    .to_owned()
            }
            Why::Denied("service control" | "resource control") => {
                "the organisation denies it: whoever administers it has to make an exception, no Allow helps".to_owned()
            }
            Why::Denied(_) => {
                "a policy of the caller denies it explicitly: no Allow helps, that statement has to make an exception"
                    .to_owned()
            }
            Why::NotAllowed("identity-based") | Why::Untold => format!("allow it: {}", self.statement()),
            Why::NotAllowed(kind) => format!("the {kind} policy has to allow it, too: {}", self.statement()),
        }
    }

    /// The statement that allows it.
    fn statement(&self) -> String {
        statement(self.action, self.resource.unwrap_or("*"))
    }
}

/// The statement of a policy that allows this.
pub(crate) fn statement(action: &str, resource: &str) -> String {
    format!(r#"{{"Effect": "Allow", "Action": "{action}", "Resource": "{resource}"}}"#)
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: &str = "User: arn:aws:iam::111122223333:user/dev is not authorized to perform: s3:PutObject on resource: \"arn:aws:s3:::b/k\"";

    fn hint(rest: &str) -> String {
        let message = format!("AccessDenied: {ASKED}{rest}");
        let denial = Denial::read(&message).unwrap();
        assert_eq!((denial.action, denial.resource), ("s3:PutObject", Some("arn:aws:s3:::b/k")));
        denial.hint()
    }

    #[test]
    fn a_missing_allow_is_written_out() {
        let allow = r#"{"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::b/k"}"#;
        let missing = hint(" because no identity-based policy allows the s3:PutObject action");
        assert_eq!(missing, format!("allow it: {allow}"));
        assert_eq!(hint(""), format!("allow it: {allow}"));
        let endpoint = hint(" because no VPC endpoint policy allows the s3:PutObject action");
        assert_eq!(endpoint, format!("the VPC endpoint policy has to allow it, too: {allow}"));
    }

    #[test]
    fn no_allow_is_proposed_against_a_deny() {
        for (kind, says) in [
            ("a resource-based", "the resource's own policy"),
            ("a service control", "the organisation"),
            ("an identity-based", "a policy of the caller"),
            ("a session", "a policy of the caller"),
        ] {
            let hint = hint(&format!(" with an explicit deny in {kind} policy"));
            assert!(hint.starts_with(says) && !hint.contains("Effect"), "{kind}: {hint}");
        }
    }

    #[test]
    fn messages_without_those_words_are_no_denial() {
        assert_eq!(Denial::read("Access Denied"), None);
        assert_eq!(Denial::read("S3 answers 403"), None);
    }
}
