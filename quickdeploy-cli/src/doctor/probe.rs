//! Whether an action is permitted, found out by trying it.
//!
//! A policy can't be read for the answer: it depends on the policies of the caller, the role, the bucket, the key and the
//! organisation, and on what other systems than AWS make of them. So each action is tried, by a request that changes
//! nothing even if it is carried out by something that ignores preconditions. AWS decides on the permission before it
//! looks at the request's object: an error about the object is a yes, `AccessDenied` is a no, and everything else says
//! nothing about permissions.

use aws_sdk_lambda::config::http::HttpResponse;
use aws_sdk_lambda::error::{ProvideErrorMetadata, SdkError};
use zipedit::StoreError;

use super::finding::{Area, Finding, Level, Permission};
use crate::aws::Cloud;
use crate::denial::{self, Denial};
use crate::error::Error;

/// What a request's answer says of the permission.
#[derive(Debug)]
pub(crate) enum Verdict {
    Allowed,
    /// In AWS's words.
    Denied(String),
    Unknown(Error),
}

/// What a permission is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Without it no deployment succeeds.
    Deployment,
    /// Without it only this is not possible: a phrase that follows "needed for".
    Only(&'static str),
}

/// A permission that was tried.
#[derive(Debug)]
pub(crate) struct Probe {
    pub(crate) permission: Permission,
    pub(crate) need: Need,
    pub(crate) verdict: Verdict,
}

impl Probe {
    /// `action` on `resource`, which is needed for `need`, turned out as `verdict`.
    pub(crate) fn new(action: &str, resource: impl Into<String>, need: Need, verdict: Verdict) -> Self {
        let permission = Permission { action: action.to_owned(), resource: resource.into() };
        Self { permission, need, verdict }
    }

    /// What is to be said about it.
    pub(crate) fn finding(self) -> Finding {
        let Self { permission, need, verdict } = self;
        let Permission { action, resource } = &permission;
        let finding = |level, message: String| Finding::new(level, Area::Permissions, "permission", message);
        let purpose = match need {
            Need::Deployment => String::new(),
            Need::Only(what) => format!("; needed for {what}"),
        };
        let found = match verdict {
            Verdict::Allowed => finding(Level::Ok, format!("{action} on {resource}")),
            Verdict::Unknown(error) => {
                let mut found = finding(Level::NotChecked, format!("{action} on {resource}: {error}{purpose}"));
                found.mend = error.hints().to_vec();
                found
            }
            Verdict::Denied(words) => {
                let level = if need == Need::Deployment { Level::Failed } else { Level::Warning };
                let denied = finding(level, format!("{action} on {resource} is denied{purpose} ({words})"));
                match Denial::read(&words) {
                    // An Allow doesn't help against a Deny.
                    Some(denial) if denial.is_explicit() => denied.mend(denial.hint()),
                    _ => denied.mend(format!("allow it: {}", statement(&permission))),
                }
            }
        };
        found.about(permission)
    }
}

/// The statement of a policy that allows it.
pub(crate) fn statement(permission: &Permission) -> String {
    denial::statement(&permission.action, &permission.resource)
}

/// What the answer to a request says. `about_the_object`: the error codes that only somebody who is permitted gets.
pub(crate) fn judge<T, E>(
    cloud: &Cloud,
    what: &str,
    answer: Result<T, SdkError<E, HttpResponse>>,
    about_the_object: &[&str],
) -> Verdict
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    let error = match answer {
        Ok(_) => return Verdict::Allowed,
        Err(error) => error,
    };
    let status = error.raw_response().map_or(0, |response| response.status().as_u16());
    let code = error.code().unwrap_or_default();
    let said = error.message().unwrap_or_default();
    if is_denial(code, status) {
        return Verdict::Denied(if said.is_empty() { code.to_owned() } else { said.to_owned() });
    }
    if about_the_object.contains(&code) {
        return Verdict::Allowed;
    }
    Verdict::Unknown(cloud.explain(what, &error))
}

/// The same for what the engine asked of S3.
pub(crate) fn judge_store<T>(what: &str, answer: Result<T, StoreError>) -> Verdict {
    match answer {
        Ok(_) => Verdict::Allowed,
        Err(StoreError::AccessDenied { reason, .. }) => Verdict::Denied(reason),
        Err(error) => Verdict::Unknown(Error::new("Store", what).because(&error)),
    }
}

/// Whether an error says that the action is not permitted. Answers to HEAD requests have a status and no code.
pub(crate) fn is_denial(code: &str, status: u16) -> bool {
    match code {
        "AccessDenied"
        | "AccessDeniedException"
        | "AllAccessDisabled"
        | "Forbidden"
        | "UnauthorizedOperation"
        | "KMS.AccessDeniedException"
        | "KMSAccessDeniedException" => true,
        "" => status == 403,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probed(need: Need, verdict: Verdict) -> Finding {
        Probe::new("s3:PutObject", "arn:aws:s3:::b/k.zip", need, verdict).finding()
    }

    #[test]
    fn a_denial_names_action_and_resource_and_the_statement_that_mends_it() {
        let finding = probed(Need::Deployment, Verdict::Denied("Access Denied".into()));
        assert_eq!(finding.level, Level::Failed);
        assert_eq!(finding.message, "s3:PutObject on arn:aws:s3:::b/k.zip is denied (Access Denied)");
        let statement = finding.mend[0].strip_prefix("allow it: ").unwrap();
        let statement: serde_json::Value = serde_json::from_str(statement).unwrap();
        assert_eq!(statement["Action"], "s3:PutObject");
        assert_eq!(statement["Resource"], "arn:aws:s3:::b/k.zip");
    }

    #[test]
    fn an_explicit_deny_is_not_mended_by_an_allow() {
        let words =
            "User: u is not authorized to perform: s3:PutObject with an explicit deny in a service control policy";
        let finding = probed(Need::Deployment, Verdict::Denied(words.into()));
        assert!(!finding.mend[0].contains("Effect"), "{:?}", finding.mend);
    }

    #[test]
    fn what_only_something_else_needs_is_a_warning_that_says_what() {
        let finding = probed(Need::Only("`quickdeploy rollback`"), Verdict::Denied("Access Denied".into()));
        assert_eq!(finding.level, Level::Warning);
        assert!(finding.message.contains("needed for `quickdeploy rollback`"), "{}", finding.message);
    }

    #[test]
    fn wrong_credentials_are_no_denial() {
        for code in ["InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "RequestTimeTooSkewed"] {
            assert!(!is_denial(code, 403), "{code}");
        }
        assert!(is_denial("", 403) && is_denial("AccessDenied", 403) && !is_denial("", 404));
    }
}
