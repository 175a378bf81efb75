//! Who a request comes from: users with policies of their own, and sessions of roles, which have those of the role.

use super::documents::{Kind, check};
use super::evaluation::Policy;
use crate::s3::ACCOUNT;

/// An IAM user with an access key and policies of its own, for [`Builder::identity`](crate::Builder::identity).
#[derive(Clone, Debug)]
pub struct Identity {
    name: String,
    pub(super) documents: Vec<String>,
}

impl Identity {
    /// The user with this name, who may do nothing yet.
    #[must_use]
    pub fn user(name: impl Into<String>) -> Self {
        Self { name: name.into(), documents: Vec::new() }
    }

    /// Adds an identity policy: a JSON document. [`Builder::start`](crate::Builder::start) refuses one that is none.
    #[must_use]
    pub fn policy(mut self, document: impl Into<String>) -> Self {
        self.documents.push(document.into());
        self
    }

    pub(super) fn principal(self) -> Result<Principal, String> {
        let mut policies = Vec::new();
        for document in &self.documents {
            let of_whom = |what: &str| format!("a policy of the user {}: {what}", self.name);
            check(document, Kind::Identity).map_err(|refusal| of_whom(&refusal.message))?;
            let policy = Policy::read(document);
            if let Some(operator) = policy.unknown_operators().next() {
                return Err(of_whom(&format!("the condition operator {operator} can't be evaluated here")));
            }
            policies.push(policy);
        }
        let arn = format!("arn:aws:iam::{ACCOUNT}:user/{}", self.name);
        Ok(Principal { user_id: format!("AIDA{:0>17}", self.name.len()), arn, may: Rights::Policies(policies) })
    }
}

/// Who signed a request.
#[derive(Clone, Debug)]
pub(crate) struct Principal {
    /// As `GetCallerIdentity` and denials name it.
    pub(crate) arn: String,
    pub(crate) user_id: String,
    pub(super) may: Rights,
}

/// Where it is written what a principal may do.
#[derive(Clone, Debug)]
pub(super) enum Rights {
    /// The account itself: nothing is denied.
    Everything,
    Policies(Vec<Policy>),
    /// A session of the role with this ARN: what its policies say when the request comes.
    OfRole(String),
}

impl Principal {
    /// Who uses a key that belongs to nobody in particular.
    pub(super) fn account(key_id: &str) -> Self {
        Self {
            arn: format!("arn:aws:iam::{ACCOUNT}:user/{key_id}"),
            user_id: key_id.to_owned(),
            may: Rights::Everything,
        }
    }

    /// A session of a role, as services have it that act in a role's name.
    pub(super) fn session(role_arn: &str, role_id: &str, session: &str) -> Self {
        let name = role_arn.rsplit('/').next().unwrap_or_default();
        Self {
            arn: format!("arn:aws:sts::{ACCOUNT}:assumed-role/{name}/{session}"),
            user_id: format!("{role_id}:{session}"),
            may: Rights::OfRole(role_arn.to_owned()),
        }
    }

    /// Whether it is the account itself, and nobody in it.
    pub(crate) fn is_the_account(&self) -> bool {
        matches!(self.may, Rights::Everything)
    }

    /// The user's name, for `${aws:username}`.
    pub(super) fn user_name(&self) -> Option<&str> {
        self.arn.split_once(":user/").and_then(|(_, name)| name.rsplit('/').next())
    }
}
