//! The actions of CloudFormation, IAM and STS.

use super::cloudformation;
use crate::iam::Need;
use crate::log::Service;
use crate::protocol::query::Call;
use crate::s3::ACCOUNT;

/// Everything that a request needs before it is carried out. `stack_id`: the id of the stack with this name, if there is
/// one.
pub(crate) fn of_query(service: Service, call: &Call, stack_id: impl Fn(&str) -> Option<String>) -> Vec<Need> {
    match service {
        Service::CloudFormation => cloudformation::needs(call, stack_id),
        Service::Iam => iam(call),
        // Everybody may ask who they are.
        _ => Vec::new(),
    }
}

fn iam(call: &Call) -> Vec<Need> {
    let form = &call.form;
    let named = |kind: &str, name: &str| format!("arn:aws:iam::{ACCOUNT}:{kind}/{name}");
    let resource = match call.action.as_str() {
        "ListRoles" | "ListPolicies" | "ListUsers" => "*".to_owned(),
        "SimulatePrincipalPolicy" => form.get("PolicySourceArn").unwrap_or_default().to_owned(),
        "GetUser" => named("user", form.get("UserName").unwrap_or_default()),
        "CreatePolicy" => named("policy", form.get("PolicyName").unwrap_or_default()),
        _ => match (form.get("RoleName"), form.get("PolicyArn")) {
            (Some(role), _) => named("role", role),
            (None, Some(policy)) => policy.to_owned(),
            (None, None) => "*".to_owned(),
        },
    };
    let need = Need::new(format!("iam:{}", call.action), resource);
    vec![match (call.action.as_str(), form.get("PolicyArn")) {
        ("AttachRolePolicy" | "DetachRolePolicy", Some(policy)) => need.with("iam:PolicyARN", policy),
        _ => need,
    }]
}
