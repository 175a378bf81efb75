//! IAM's operations: from forms to roles and policies, and into XML.

use std::collections::BTreeMap;

use super::documents::encoded;
use super::policies::Policy;
use super::roles::{Role, RoleInput};
use super::{Iam, Result, invalid, no_such_entity};
use crate::protocol::query::{Answer, Call, Form, Refusal};
use crate::protocol::xml::Xml;
use crate::s3::ACCOUNT;

/// Carries one operation out.
pub(super) fn perform(iam: &Iam, call: &Call) -> Answer {
    let form = &call.form;
    let role = || required(form, "RoleName", "roleName");
    let policy = || required(form, "PolicyName", "policyName");
    let arn = || required(form, "PolicyArn", "policyArn");
    match call.action.as_str() {
        "CreateRole" => create_role(iam, form),
        "GetRole" => Ok(Some(described(&iam.role(role()?)?))),
        "ListRoles" => {
            list(form, iam.roles(form.get("PathPrefix").unwrap_or("/")), "Roles", |xml, role| role_members(xml, &role))
        }
        "DeleteRole" => done(iam.delete_role(role()?)),
        "UpdateAssumeRolePolicy" => {
            done(iam.update_trust(role()?, required(form, "PolicyDocument", "policyDocument")?))
        }
        "UpdateRole" => {
            iam.update_role(role()?, form.get("Description"), session(form)?)?;
            Ok(Some(Xml::default()))
        }
        "PutRolePolicy" => {
            done(iam.put_role_policy(role()?, policy()?, required(form, "PolicyDocument", "policyDocument")?))
        }
        "GetRolePolicy" => get_role_policy(iam, role()?, policy()?),
        "DeleteRolePolicy" => done(iam.delete_role_policy(role()?, policy()?)),
        "ListRolePolicies" => {
            let names: Vec<String> = iam.role(role()?)?.inline.into_keys().collect();
            let (page, marker) = page(form, names)?;
            let mut xml = Xml::default();
            xml.texts("PolicyNames", page);
            truncated(&mut xml, marker.as_deref());
            Ok(Some(xml))
        }
        "AttachRolePolicy" => done(iam.attach_role_policy(role()?, arn()?)),
        "DetachRolePolicy" => done(iam.detach_role_policy(role()?, arn()?)),
        "ListAttachedRolePolicies" => {
            let attached: Vec<(String, String)> = iam.role(role()?)?.attached.into_iter().collect();
            list(form, attached, "AttachedPolicies", |xml, (arn, name)| {
                xml.text("PolicyName", &name);
                xml.text("PolicyArn", &arn);
            })
        }
        "TagRole" => done(iam.change_role(role()?, |role| {
            role.tags.extend(tags(form)?);
            Ok(())
        })),
        "UntagRole" => done(iam.change_role(role()?, |role| {
            let keys = form.list("TagKeys").unwrap_or_default();
            role.tags.retain(|key, _| !keys.contains(key));
            Ok(())
        })),
        "ListRoleTags" => {
            let tags: Vec<(String, String)> = iam.role(role()?)?.tags.into_iter().collect();
            list(form, tags, "Tags", |xml, (key, value)| tag_members(xml, &key, &value))
        }
        "CreatePolicy" => {
            let document = required(form, "PolicyDocument", "policyDocument")?;
            let arn = iam.create_policy(policy()?, form.get("Path"), document, form.get("Description"), tags(form)?)?;
            Ok(Some(described_policy(&iam.policy(&arn)?)))
        }
        "GetPolicy" => Ok(Some(described_policy(&iam.policy(arn()?)?))),
        "GetPolicyVersion" => get_policy_version(iam, arn()?, required(form, "VersionId", "versionId")?),
        "DeletePolicy" => done(iam.delete_policy(arn()?)),
        "GetUser" => get_user(form, &call.caller.key_id),
        // Where nothing is enforced, nothing could be simulated truthfully.
        "SimulatePrincipalPolicy" if iam.is_enforced() => simulate(iam, form),
        other => Err(Refusal::invalid_action("IAM", other)),
    }
}

/// The answer of an operation that has no result.
fn done(outcome: Result<()>) -> Answer {
    outcome.map(|()| None)
}

fn required<'a>(form: &'a Form, name: &str, member: &str) -> Result<&'a str> {
    form.get(name).ok_or_else(|| {
        let message = format!("1 validation error detected: Value null at '{member}' failed to satisfy constraint: Member must not be null");
        Refusal::new(400, "ValidationError", message)
    })
}

fn session(form: &Form) -> Result<Option<u32>> {
    let Some(text) = form.get("MaxSessionDuration") else { return Ok(None) };
    text.parse().map(Some).map_err(|_| invalid(text, "maxSessionDuration", "Member must be a number"))
}

fn tags(form: &Form) -> Result<BTreeMap<String, String>> {
    let mut tags = BTreeMap::new();
    for tag in form.items("Tags") {
        let key = tag.get("Key").unwrap_or_default();
        if key.is_empty() || key.to_ascii_lowercase().starts_with("aws:") {
            let message = format!("Tag keys must not be empty or begin with aws:, which {key:?} does");
            return Err(Refusal::new(400, "InvalidInput", message));
        }
        tags.insert(key.to_owned(), tag.get("Value").unwrap_or_default().to_owned());
    }
    Ok(tags)
}

/// Cuts a page of `MaxItems` (100 unless told) behind `Marker`, which is the number of the first item.
fn page<T>(form: &Form, items: Vec<T>) -> Result<(Vec<T>, Option<String>)> {
    let size = match form.get("MaxItems") {
        None => 100,
        Some(text) => match text.parse() {
            Ok(size @ 1..=1000) => size,
            _ => return Err(invalid(text, "maxItems", "Member must have value between 1 and 1000")),
        },
    };
    let start = match form.get("Marker") {
        None => 0,
        Some(text) => {
            text.parse::<usize>().map_err(|_| invalid(text, "marker", "Member must be a marker of this listing"))?
        }
    };
    let more = items.len() > start.saturating_add(size);
    let page = items.into_iter().skip(start).take(size).collect();
    Ok((page, more.then(|| (start + size).to_string())))
}

fn truncated(xml: &mut Xml, marker: Option<&str>) {
    xml.text("IsTruncated", if marker.is_some() { "true" } else { "false" });
    xml.optional("Marker", marker);
}

fn list<T>(form: &Form, items: Vec<T>, name: &str, each: impl FnMut(&mut Xml, T)) -> Answer {
    let (page, marker) = page(form, items)?;
    let mut xml = Xml::default();
    xml.list(name, page, each);
    truncated(&mut xml, marker.as_deref());
    Ok(Some(xml))
}

fn create_role(iam: &Iam, form: &Form) -> Answer {
    let input = RoleInput {
        name: required(form, "RoleName", "roleName")?.to_owned(),
        path: form.get("Path").map(str::to_owned),
        trust: required(form, "AssumeRolePolicyDocument", "assumeRolePolicyDocument")?.to_owned(),
        description: form.get("Description").map(str::to_owned),
        max_session: session(form)?,
        permissions_boundary: form.get("PermissionsBoundary").map(str::to_owned),
        tags: tags(form)?,
    };
    Ok(Some(described(&iam.create_role(input)?)))
}

fn get_role_policy(iam: &Iam, role: &str, policy: &str) -> Answer {
    let found = iam.role(role)?;
    let missing = || no_such_entity(format!("The role policy with name {policy} cannot be found."));
    let document = found.inline.get(policy).ok_or_else(missing)?;
    let mut xml = Xml::default();
    xml.text("RoleName", role);
    xml.text("PolicyName", policy);
    xml.text("PolicyDocument", &encoded(document));
    Ok(Some(xml))
}

fn get_policy_version(iam: &Iam, arn: &str, version: &str) -> Answer {
    let (policy, _) = iam.policy(arn)?;
    let missing = || no_such_entity(format!("Policy {arn} version {version} does not exist or is not attachable."));
    let number: u32 = version.strip_prefix('v').and_then(|number| number.parse().ok()).ok_or_else(missing)?;
    let (document, created) = policy.versions.get(&number).ok_or_else(missing)?;
    let mut xml = Xml::default();
    xml.within("PolicyVersion", |xml| {
        xml.text("Document", &encoded(document));
        xml.text("VersionId", version);
        xml.text("IsDefaultVersion", if number == policy.default_version { "true" } else { "false" });
        xml.text("CreateDate", created);
    });
    Ok(Some(xml))
}

/// Each action on each resource, by the policies of the principal. As in AWS, those of resources don't count unless one
/// is given, which is refused here, as are keys of a context.
fn simulate(iam: &Iam, form: &Form) -> Answer {
    for unknown in ["ResourcePolicy", "CallerArn", "PolicyInputList.member.1", "ContextEntries.member.1.ContextKeyName"]
    {
        if form.get(unknown).is_some() {
            return Err(Refusal::new(400, "InvalidInput", format!("{unknown} is not supported by the local cloud.")));
        }
    }
    let source = required(form, "PolicySourceArn", "policySourceArn")?;
    let Some(principal) = iam.principal_of(source) else {
        return Err(no_such_entity(format!("The entity {source} cannot be found.")));
    };
    let resources = form.list("ResourceArns").filter(|arns| !arns.is_empty()).unwrap_or_else(|| vec!["*".to_owned()]);
    let actions = form.list("ActionNames").unwrap_or_default();
    let asked = actions.iter().flat_map(|action| resources.iter().map(move |resource| (action, resource)));
    let mut xml = Xml::default();
    xml.list("EvaluationResults", asked, |xml, (action, resource)| {
        let decision = iam.simulated(&principal, action, resource);
        xml.text("EvalActionName", action);
        xml.text("EvalResourceName", resource);
        xml.text("EvalDecision", decision);
    });
    xml.text("IsTruncated", "false");
    Ok(Some(xml))
}

/// The user that an access key id belongs to has the key id for a name, as `GetCallerIdentity` shows it.
fn get_user(form: &Form, key_id: &str) -> Answer {
    let name = form.get("UserName").unwrap_or(key_id);
    if name != key_id {
        return Err(no_such_entity(format!("The user with name {name} cannot be found.")));
    }
    let mut xml = Xml::default();
    xml.within("User", |xml| {
        xml.text("Path", "/");
        xml.text("UserName", name);
        xml.text("UserId", name);
        xml.text("Arn", &format!("arn:aws:iam::{ACCOUNT}:user/{name}"));
        xml.text("CreateDate", "2010-05-08T00:00:00Z");
    });
    Ok(Some(xml))
}

fn tag_members(xml: &mut Xml, key: &str, value: &str) {
    xml.text("Key", key);
    xml.text("Value", value);
}

fn described(role: &Role) -> Xml {
    let mut xml = Xml::default();
    xml.within("Role", |xml| {
        role_members(xml, role);
        if !role.tags.is_empty() {
            xml.list("Tags", &role.tags, |xml, (key, value)| tag_members(xml, key, value));
        }
    });
    xml
}

fn role_members(xml: &mut Xml, role: &Role) {
    xml.text("Path", &role.path);
    xml.text("RoleName", &role.name);
    xml.text("RoleId", &role.id);
    xml.text("Arn", &role.arn);
    xml.text("CreateDate", &role.created);
    xml.text("AssumeRolePolicyDocument", &encoded(&role.trust));
    xml.optional("Description", role.description.as_deref());
    xml.text("MaxSessionDuration", &role.max_session.to_string());
    if let Some(boundary) = &role.permissions_boundary {
        xml.within("PermissionsBoundary", |xml| {
            xml.text("PermissionsBoundaryType", "Policy");
            xml.text("PermissionsBoundaryArn", boundary);
        });
    }
}

fn described_policy((policy, attachments): &(Policy, usize)) -> Xml {
    let mut xml = Xml::default();
    xml.within("Policy", |xml| {
        xml.text("PolicyName", &policy.name);
        xml.text("PolicyId", &policy.id);
        xml.text("Arn", &policy.arn);
        xml.text("Path", &policy.path);
        xml.text("DefaultVersionId", &format!("v{}", policy.default_version));
        xml.text("AttachmentCount", &attachments.to_string());
        xml.text("PermissionsBoundaryUsageCount", "0");
        xml.text("IsAttachable", "true");
        xml.optional("Description", policy.description.as_deref());
        xml.text("CreateDate", &policy.created);
        xml.text("UpdateDate", &policy.updated);
        xml.list("Tags", &policy.tags, |xml, (key, value)| tag_members(xml, key, value));
    });
    xml
}
