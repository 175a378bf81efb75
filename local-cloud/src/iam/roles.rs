//! Roles, with their trust policies, inline policies, attached policies and tags.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::documents::{Kind, check, trusts};
use super::{
    Iam, Result, already_exists, checked_name, checked_path, conflict, entity_id, invalid, no_such_entity, now,
};
use crate::protocol::query::Refusal;
use crate::s3::ACCOUNT;

/// Roles by name.
pub(super) type Roles = BTreeMap<String, Role>;

/// One role.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Role {
    pub(crate) name: String,
    pub(crate) path: String,
    pub(crate) id: String,
    pub(crate) arn: String,
    pub(crate) created: String,
    pub(crate) description: Option<String>,
    /// Seconds.
    pub(crate) max_session: u32,
    pub(crate) permissions_boundary: Option<String>,
    /// JSON: who may assume the role.
    pub(crate) trust: String,
    /// Documents by the names of inline policies.
    pub(crate) inline: BTreeMap<String, String>,
    /// Names by the ARNs of attached policies.
    pub(crate) attached: BTreeMap<String, String>,
    pub(crate) tags: BTreeMap<String, String>,
    /// When it was made, in this life of the cloud. One from an earlier life is known everywhere by now.
    #[serde(skip)]
    made: Option<Instant>,
}

/// What a new role is made of.
#[derive(Clone, Debug, Default)]
pub(crate) struct RoleInput {
    pub(crate) name: String,
    pub(crate) path: Option<String>,
    pub(crate) trust: String,
    pub(crate) description: Option<String>,
    pub(crate) max_session: Option<u32>,
    pub(crate) permissions_boundary: Option<String>,
    pub(crate) tags: BTreeMap<String, String>,
}

pub(super) fn missing(name: &str) -> Refusal {
    no_such_entity(format!("The role with name {name} cannot be found."))
}

/// Between an hour and twelve.
fn checked_session(seconds: Option<u32>) -> Result<u32> {
    let seconds = seconds.unwrap_or(3600);
    match seconds {
        ..3600 => Err(invalid(
            &seconds.to_string(),
            "maxSessionDuration",
            "Member must have value greater than or equal to 3600",
        )),
        43_201.. => Err(invalid(
            &seconds.to_string(),
            "maxSessionDuration",
            "Member must have value less than or equal to 43200",
        )),
        _ => Ok(seconds),
    }
}

impl Iam {
    pub(crate) fn create_role(&self, input: RoleInput) -> Result<Role> {
        let name = checked_name(&input.name, "roleName", 64)?;
        let path = checked_path(input.path.as_deref())?;
        check(&input.trust, Kind::Trust)?;
        let max_session = checked_session(input.max_session)?;
        if input.description.as_ref().is_some_and(|description| description.chars().count() > 1000) {
            let rule = "Member must have length less than or equal to 1000";
            return Err(invalid(input.description.as_deref().unwrap_or_default(), "description", rule));
        }
        let mut state = self.state();
        if state.roles.contains_key(&name) {
            return Err(already_exists(format!("Role with name {name} already exists.")));
        }
        let role = Role {
            arn: format!("arn:aws:iam::{ACCOUNT}:role{path}{name}"),
            id: entity_id("AROA"),
            created: now(),
            path,
            description: input.description.filter(|description| !description.is_empty()),
            max_session,
            permissions_boundary: input.permissions_boundary,
            trust: input.trust,
            inline: BTreeMap::new(),
            attached: BTreeMap::new(),
            tags: input.tags,
            name: name.clone(),
            made: Some(Instant::now()),
        };
        state.roles.insert(name, role.clone());
        Ok(role)
    }

    pub(crate) fn role(&self, name: &str) -> Result<Role> {
        self.state().roles.get(name).cloned().ok_or_else(|| missing(name))
    }

    /// Whether Lambda may assume the role with this ARN, now. One that isn't kept here may be.
    pub(crate) fn can_be_assumed(&self, arn: &str) -> bool {
        let state = self.state();
        state
            .roles
            .values()
            .find(|role| role.arn == arn)
            .is_none_or(|role| trusts(&role.trust, "lambda.amazonaws.com") && self.propagates_for(role).is_zero())
    }

    /// Waits until a role is known everywhere.
    pub(crate) async fn propagated(&self, name: &str) {
        let left = self.state().roles.get(name).map(|role| self.propagates_for(role));
        let mut propagated = self.propagated.subscribe();
        // Its sender is `self`: waiting for it ends with a `true`, or with the time.
        drop(tokio::time::timeout(left.unwrap_or_default(), propagated.wait_for(|all| *all)).await);
    }

    /// Every role is known everywhere from now on.
    pub(crate) fn end_propagation(&self) {
        self.propagated.send_replace(true);
    }

    /// For how long a role isn't known everywhere yet.
    fn propagates_for(&self, role: &Role) -> Duration {
        if *self.propagated.borrow() {
            return Duration::ZERO;
        }
        role.made.map_or(Duration::ZERO, |made| self.settings.propagation.saturating_sub(made.elapsed()))
    }

    pub(super) fn roles(&self, prefix: &str) -> Vec<Role> {
        self.state().roles.values().filter(|role| role.path.starts_with(prefix)).cloned().collect()
    }

    /// Changes a role: all of `change`, or nothing when it refuses.
    pub(super) fn change_role<T>(&self, name: &str, change: impl FnOnce(&mut Role) -> Result<T>) -> Result<T> {
        let mut state = self.state();
        let role = state.roles.get_mut(name).ok_or_else(|| missing(name))?;
        let mut changed = role.clone();
        let result = change(&mut changed)?;
        *role = changed;
        Ok(result)
    }

    pub(crate) fn delete_role(&self, name: &str) -> Result<()> {
        let mut state = self.state();
        let role = state.roles.get(name).ok_or_else(|| missing(name))?;
        if !role.attached.is_empty() {
            return Err(conflict("Cannot delete entity, must detach all policies first."));
        }
        if !role.inline.is_empty() {
            return Err(conflict("Cannot delete entity, must delete policies first."));
        }
        state.roles.remove(name);
        Ok(())
    }

    pub(crate) fn update_trust(&self, name: &str, document: &str) -> Result<()> {
        check(document, Kind::Trust)?;
        self.change_role(name, |role| {
            document.clone_into(&mut role.trust);
            Ok(())
        })
    }

    /// Sets the description and the session's length that are given.
    pub(crate) fn update_role(&self, name: &str, description: Option<&str>, max_session: Option<u32>) -> Result<()> {
        let max_session = max_session.map(|seconds| checked_session(Some(seconds))).transpose()?;
        self.change_role(name, |role| {
            if let Some(description) = description {
                role.description = Some(description.to_owned()).filter(|description| !description.is_empty());
            }
            role.max_session = max_session.unwrap_or(role.max_session);
            Ok(())
        })
    }

    pub(crate) fn put_role_policy(&self, name: &str, policy: &str, document: &str) -> Result<()> {
        let policy = checked_name(policy, "policyName", 128)?;
        check(document, Kind::Identity)?;
        self.change_role(name, |role| {
            role.inline.insert(policy, document.to_owned());
            Ok(())
        })
    }

    pub(crate) fn delete_role_policy(&self, name: &str, policy: &str) -> Result<()> {
        self.change_role(name, |role| {
            let gone = role.inline.remove(policy);
            gone.map(drop).ok_or_else(|| no_such_entity(format!("The role policy with name {policy} cannot be found.")))
        })
    }

    pub(crate) fn attach_role_policy(&self, name: &str, arn: &str) -> Result<()> {
        let policy = self.attachable(arn)?;
        self.change_role(name, |role| {
            role.attached.insert(arn.to_owned(), policy);
            Ok(())
        })
    }

    pub(crate) fn detach_role_policy(&self, name: &str, arn: &str) -> Result<()> {
        self.change_role(name, |role| {
            let gone = role.attached.remove(arn);
            gone.map(drop).ok_or_else(|| no_such_entity(format!("Policy {arn} was not found.")))
        })
    }

    pub(crate) fn set_boundary(&self, name: &str, boundary: Option<String>) -> Result<()> {
        self.change_role(name, |role| {
            role.permissions_boundary = boundary;
            Ok(())
        })
    }

    pub(crate) fn set_role_tags(&self, name: &str, tags: BTreeMap<String, String>) -> Result<()> {
        self.change_role(name, |role| {
            role.tags = tags;
            Ok(())
        })
    }
}
