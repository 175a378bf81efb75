//! `AWS::IAM::Role`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Attributes, Failure, Made, Place, Properties, Result, Services};
use crate::cloudformation::functions::as_text;
use crate::iam::{Role, RoleInput};

/// The inline policies of `Policies`: documents by name.
fn inline(wanted: &Properties) -> Result<BTreeMap<String, String>> {
    let policies = wanted.objects("Policies")?;
    policies
        .into_iter()
        .map(|policy| {
            let name = policy.get("PolicyName").and_then(as_text);
            let document = policy.get("PolicyDocument").map(|document| match document {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            });
            name.zip(document)
                .ok_or_else(|| Failure::property("Every member of {/Policies} needs PolicyName and PolicyDocument"))
        })
        .collect()
}

fn session(wanted: &Properties) -> Result<Option<u32>> {
    let seconds = wanted.number("MaxSessionDuration")?;
    seconds
        .map(|seconds| {
            u32::try_from(seconds)
                .map_err(|_| Failure::property("Value of property {/MaxSessionDuration} does not match type {Integer}"))
        })
        .transpose()
}

fn attributes(role: &Role) -> Attributes {
    Attributes::from([("Arn".to_owned(), role.arn.as_str().into()), ("RoleId".to_owned(), role.id.as_str().into())])
}

pub(super) async fn create(services: &Services, place: &Place, wanted: &Properties) -> Result<Made> {
    let inline = inline(wanted)?;
    let attached = wanted.texts("ManagedPolicyArns")?;
    let name = wanted.text("RoleName")?.unwrap_or_else(|| place.generated_name(64));
    let role = services.iam.create_role(RoleInput {
        name: name.clone(),
        path: wanted.text("Path")?,
        trust: wanted.document("AssumeRolePolicyDocument")?,
        description: wanted.text("Description")?,
        max_session: session(wanted)?,
        permissions_boundary: wanted.text("PermissionsBoundary")?,
        tags: wanted.tags()?,
    })?;
    let filled = inline
        .iter()
        .try_for_each(|(policy, document)| services.iam.put_role_policy(&name, policy, document))
        .and_then(|()| attached.iter().try_for_each(|arn| services.iam.attach_role_policy(&name, arn)));
    if let Err(refusal) = filled {
        // A role that could not be made whole is not there.
        clear(services, &name)?;
        services.iam.delete_role(&name)?;
        return Err(refusal.into());
    }
    services.iam.save().await?;
    Ok(Made { attributes: attributes(&role), physical_id: name })
}

pub(super) async fn update(
    services: &Services,
    name: &str,
    before: &Properties,
    wanted: &Properties,
) -> Result<Attributes> {
    let iam = &services.iam;
    let (old_inline, new_inline) = (inline(before)?, inline(wanted)?);
    let (old_attached, new_attached) = (before.texts("ManagedPolicyArns")?, wanted.texts("ManagedPolicyArns")?);
    iam.update_trust(name, &wanted.document("AssumeRolePolicyDocument")?)?;
    let description = wanted.text("Description")?.unwrap_or_default();
    iam.update_role(name, Some(&description), Some(session(wanted)?.unwrap_or(3600)))?;
    for (policy, document) in &new_inline {
        iam.put_role_policy(name, policy, document)?;
    }
    for arn in &new_attached {
        iam.attach_role_policy(name, arn)?;
    }
    let present = iam.role(name)?;
    for policy in old_inline.keys().filter(|policy| !new_inline.contains_key(*policy)) {
        if present.inline.contains_key(policy) {
            iam.delete_role_policy(name, policy)?;
        }
    }
    for arn in old_attached.iter().filter(|arn| !new_attached.contains(arn)) {
        if present.attached.contains_key(arn) {
            iam.detach_role_policy(name, arn)?;
        }
    }
    iam.set_boundary(name, wanted.text("PermissionsBoundary")?)?;
    iam.set_role_tags(name, wanted.tags()?)?;
    iam.save().await?;
    Ok(attributes(&iam.role(name)?))
}

/// Takes away everything that keeps a role from being deleted.
fn clear(services: &Services, name: &str) -> Result<()> {
    let role = services.iam.role(name)?;
    for policy in role.inline.keys() {
        services.iam.delete_role_policy(name, policy)?;
    }
    for arn in role.attached.keys() {
        services.iam.detach_role_policy(name, arn)?;
    }
    Ok(())
}

/// Deletes a role with the policies that its template gave it. Others that were attached since stand in the way, as in
/// AWS.
pub(super) async fn delete(services: &Services, name: &str, last: &Properties) -> Result<()> {
    let Ok(role) = services.iam.role(name) else { return Ok(()) };
    for policy in inline(last)?.keys().filter(|policy| role.inline.contains_key(*policy)) {
        services.iam.delete_role_policy(name, policy)?;
    }
    for arn in last.texts("ManagedPolicyArns")?.iter().filter(|arn| role.attached.contains_key(*arn)) {
        services.iam.detach_role_policy(name, arn)?;
    }
    services.iam.delete_role(name)?;
    services.iam.save().await?;
    Ok(())
}
