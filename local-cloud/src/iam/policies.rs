//! Managed policies with their versions.

use std::collections::BTreeMap;

use super::documents::{Kind, check};
use super::{Iam, Result, already_exists, checked_name, checked_path, conflict, entity_id, no_such_entity, now};
use crate::protocol::query::Refusal;
use crate::s3::ACCOUNT;

/// Policies by ARN.
pub(super) type Policies = BTreeMap<String, Policy>;

/// The most versions that a policy may have.
const VERSIONS: usize = 5;

/// One policy of the account's own.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct Policy {
    pub(super) name: String,
    pub(super) path: String,
    pub(super) id: String,
    pub(super) arn: String,
    pub(super) description: Option<String>,
    pub(super) created: String,
    pub(super) updated: String,
    pub(super) tags: BTreeMap<String, String>,
    /// Documents and their times by number.
    pub(super) versions: BTreeMap<u32, (String, String)>,
    pub(super) default_version: u32,
}

fn missing(arn: &str) -> Refusal {
    no_such_entity(format!("Policy {arn} was not found."))
}

/// Whether an ARN is that of a policy that AWS manages, such as `arn:aws:iam::aws:policy/ReadOnlyAccess`.
fn is_aws_managed(arn: &str) -> bool {
    arn.strip_prefix("arn:")
        .and_then(|rest| rest.split_once(':'))
        .is_some_and(|(_, rest)| rest.starts_with("iam::aws:policy/"))
}

impl Iam {
    pub(crate) fn create_policy(
        &self,
        name: &str,
        path: Option<&str>,
        document: &str,
        description: Option<&str>,
        tags: BTreeMap<String, String>,
    ) -> Result<String> {
        let name = checked_name(name, "policyName", 128)?;
        let path = checked_path(path)?;
        check(document, Kind::Identity)?;
        let arn = format!("arn:aws:iam::{ACCOUNT}:policy{path}{name}");
        let mut state = self.state();
        if state.policies.values().any(|policy| policy.name == name) {
            return Err(already_exists(format!(
                "A policy called {name} already exists. Duplicate names are not allowed."
            )));
        }
        let policy = Policy {
            id: entity_id("ANPA"),
            arn: arn.clone(),
            description: description.map(str::to_owned),
            created: now(),
            updated: now(),
            tags,
            versions: BTreeMap::from([(1, (document.to_owned(), now()))]),
            default_version: 1,
            name,
            path,
        };
        state.policies.insert(arn.clone(), policy);
        Ok(arn)
    }

    /// Adds a version and makes it the default. The oldest goes when there are too many.
    pub(crate) fn replace_policy_document(&self, arn: &str, document: &str) -> Result<()> {
        check(document, Kind::Identity)?;
        let mut state = self.state();
        let policy = state.policies.get_mut(arn).ok_or_else(|| missing(arn))?;
        if policy.versions.len() == VERSIONS {
            policy.versions.pop_first();
        }
        policy.default_version += 1;
        policy.updated = now();
        policy.versions.insert(policy.default_version, (document.to_owned(), now()));
        Ok(())
    }

    pub(super) fn policy(&self, arn: &str) -> Result<(Policy, usize)> {
        let state = self.state();
        let policy = state.policies.get(arn).cloned().ok_or_else(|| missing(arn))?;
        let attachments = state.roles.values().filter(|role| role.attached.contains_key(arn)).count();
        Ok((policy, attachments))
    }

    pub(crate) fn delete_policy(&self, arn: &str) -> Result<()> {
        let (policy, attachments) = self.policy(arn)?;
        if attachments > 0 {
            return Err(conflict("Cannot delete a policy attached to entities."));
        }
        self.state().policies.remove(&policy.arn);
        Ok(())
    }

    /// The name of a policy that can be attached. AWS's own are all taken to exist.
    pub(super) fn attachable(&self, arn: &str) -> Result<String> {
        if is_aws_managed(arn) {
            return Ok(arn.rsplit('/').next().unwrap_or_default().to_owned());
        }
        let state = self.state();
        let policy = state.policies.get(arn);
        policy
            .map(|policy| policy.name.clone())
            .ok_or_else(|| no_such_entity(format!("Policy {arn} does not exist or is not attachable.")))
    }

    /// The roles that a policy is attached to.
    pub(crate) fn roles_with(&self, arn: &str) -> Vec<String> {
        let state = self.state();
        state.roles.values().filter(|role| role.attached.contains_key(arn)).map(|role| role.name.clone()).collect()
    }
}
