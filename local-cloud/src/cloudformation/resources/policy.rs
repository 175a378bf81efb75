//! `AWS::IAM::Policy`, which is an inline policy of one or more roles, and `AWS::IAM::ManagedPolicy`.

use std::collections::BTreeMap;

use super::{Attributes, Made, Place, Properties, Result, Services};

fn attributes(id: &str) -> Attributes {
    Attributes::from([("Id".to_owned(), id.into())])
}

/// Puts the policy into its roles.
fn put(services: &Services, wanted: &Properties) -> Result<()> {
    let (name, document) = (wanted.required("PolicyName")?, wanted.document("PolicyDocument")?);
    for role in wanted.texts("Roles")? {
        services.iam.put_role_policy(&role, &name, &document)?;
    }
    Ok(())
}

/// Takes the policy out of its roles. Roles and policies that are gone are no error.
fn take(services: &Services, last: &Properties, keep: Option<&Properties>) -> Result<()> {
    let name = last.required("PolicyName")?;
    let kept = match keep {
        Some(keep) if keep.required("PolicyName")? == name => keep.texts("Roles")?,
        _ => Vec::new(),
    };
    for role in last.texts("Roles")? {
        let there = services.iam.role(&role).is_ok_and(|role| role.inline.contains_key(&name));
        if there && !kept.contains(&role) {
            services.iam.delete_role_policy(&role, &name)?;
        }
    }
    Ok(())
}

pub(super) async fn create(services: &Services, place: &Place, wanted: &Properties) -> Result<Made> {
    if let Err(failure) = put(services, wanted) {
        take(services, wanted, None)?;
        return Err(failure);
    }
    services.iam.save().await?;
    let physical_id = place.generated_name(64);
    Ok(Made { attributes: attributes(&physical_id), physical_id })
}

pub(super) async fn update(
    services: &Services,
    physical_id: &str,
    before: &Properties,
    wanted: &Properties,
) -> Result<Attributes> {
    put(services, wanted)?;
    take(services, before, Some(wanted))?;
    services.iam.save().await?;
    Ok(attributes(physical_id))
}

pub(super) async fn delete(services: &Services, last: &Properties) -> Result<()> {
    take(services, last, None)?;
    services.iam.save().await?;
    Ok(())
}

pub(super) async fn create_managed(services: &Services, place: &Place, wanted: &Properties) -> Result<Made> {
    let name = wanted.text("ManagedPolicyName")?.unwrap_or_else(|| place.generated_name(128));
    let (path, description) = (wanted.text("Path")?, wanted.text("Description")?);
    let document = wanted.document("PolicyDocument")?;
    let roles = wanted.texts("Roles")?;
    let iam = &services.iam;
    let arn = iam.create_policy(&name, path.as_deref(), &document, description.as_deref(), BTreeMap::new())?;
    if let Err(refusal) = roles.iter().try_for_each(|role| iam.attach_role_policy(role, &arn)) {
        detach(services, &arn, &[])?;
        iam.delete_policy(&arn)?;
        return Err(refusal.into());
    }
    iam.save().await?;
    Ok(Made { attributes: Attributes::from([("PolicyArn".to_owned(), arn.as_str().into())]), physical_id: arn })
}

/// Detaches a policy from all roles but those to keep.
fn detach(services: &Services, arn: &str, keep: &[String]) -> Result<()> {
    for role in services.iam.roles_with(arn).iter().filter(|role| !keep.contains(role)) {
        services.iam.detach_role_policy(role, arn)?;
    }
    Ok(())
}

pub(super) async fn update_managed(
    services: &Services,
    arn: &str,
    before: &Properties,
    wanted: &Properties,
) -> Result<Attributes> {
    let iam = &services.iam;
    if wanted.differ(before, &["PolicyDocument"]) {
        iam.replace_policy_document(arn, &wanted.document("PolicyDocument")?)?;
    }
    let (old, new) = (before.texts("Roles")?, wanted.texts("Roles")?);
    for role in new.iter().filter(|role| !old.contains(role)) {
        iam.attach_role_policy(role, arn)?;
    }
    for role in iam.roles_with(arn).iter().filter(|role| old.contains(role) && !new.contains(role)) {
        iam.detach_role_policy(role, arn)?;
    }
    iam.save().await?;
    Ok(Attributes::from([("PolicyArn".to_owned(), arn.into())]))
}

pub(super) async fn delete_managed(services: &Services, arn: &str) -> Result<()> {
    detach(services, arn, &[])?;
    match services.iam.delete_policy(arn) {
        Err(refusal) if refusal.status != 404 => return Err(refusal.into()),
        _ => {}
    }
    services.iam.save().await?;
    Ok(())
}
