//! IAM's own opinion (`iam:SimulatePrincipalPolicy`) of what can't be tried harmlessly.
//!
//! It knows identity policies, boundaries and the organisation's, but not the bucket's policy unless it is given one.
//! So it is asked only about what couldn't be tried, and where the caller may not ask, the command that asks is told.

use aws_sdk_iam::error::ProvideErrorMetadata as _;
use aws_sdk_iam::types::PolicyEvaluationDecisionType;

use super::Target;
use super::account::Caller;
use super::finding::{Area, Finding, Level, Permission};
use super::probe::statement;
use crate::aws::Cloud;
use crate::denial::Denial;

/// What a principal is asked about.
#[derive(Debug)]
pub(crate) struct Question {
    /// ARN of a user or role; `None`: not known.
    pub(crate) principal: Option<String>,
    /// Who that is, for people.
    pub(crate) who: &'static str,
    pub(crate) area: Area,
    pub(crate) actions: Vec<&'static str>,
    /// An ARN, perhaps with a `*` at its end.
    pub(crate) resource: String,
    /// A phrase that follows "needed for".
    pub(crate) purpose: &'static str,
    /// What it is when it is denied.
    pub(crate) denied: Level,
}

/// Asks IAM: a finding for each action, or one that says how to ask.
pub(crate) async fn ask(target: &Target<'_>, question: Question) -> Vec<Finding> {
    let Question { principal, who, area, actions, resource, purpose, denied } = question;
    let finding = |level, message: String| Finding::new(level, area, "permission", message);
    let unknown = |how: String| {
        let message = format!("{who}: {} on {resource}, needed for {purpose}", actions.join(" and "));
        vec![finding(Level::NotChecked, message).mend(how)]
    };
    let Some(principal) = principal else {
        return unknown("AWS didn't say who that is, so IAM can't be asked".to_owned());
    };
    let answer = target
        .cloud
        .iam()
        .simulate_principal_policy()
        .policy_source_arn(&principal)
        .set_action_names(Some(actions.iter().map(|&action| action.to_owned()).collect()))
        // A pattern stands for all that it matches; IAM wants one of them.
        .resource_arns(resource.replace('*', "0"))
        .send()
        .await;
    let refused = answer.as_ref().err().and_then(|error| Some(Denial::read(error.message()?)?.hint()));
    let results = answer.ok().and_then(|answer| answer.evaluation_results).unwrap_or_default();
    if results.is_empty() {
        let refused = refused.map_or_else(String::new, |hint| format!(" ({hint})"));
        return unknown(format!(
            "IAM could not be asked{refused}; somebody who may: aws iam simulate-principal-policy --policy-source-arn {principal} \
             --action-names {} --resource-arns '{resource}'",
            actions.join(" ")
        ));
    }
    results
        .iter()
        .map(|result| {
            let permission = Permission { action: result.eval_action_name().to_owned(), resource: resource.clone() };
            let asked = format!("{who}: {} on {resource}", permission.action);
            let found = match result.eval_decision() {
                PolicyEvaluationDecisionType::Allowed => finding(Level::Ok, format!("{asked}, says IAM")),
                decision => {
                    let message = format!("{asked} is denied, says IAM ({decision}); needed for {purpose}");
                    finding(denied, message).mend(format!("allow it: {}", statement(&permission)))
                }
            };
            found.about(permission)
        })
        .collect()
}

/// The caller as a principal that IAM has policies for: a session of a role is the role.
pub(crate) async fn principal(cloud: &Cloud, caller: &Caller) -> Option<String> {
    let arn = caller.arn.as_deref()?;
    match role_of_session(arn) {
        Some(role) => {
            // The session's ARN leaves out the role's path.
            let read = cloud.iam().get_role().role_name(role).send().await.ok();
            let with_path = read.and_then(|output| output.role).map(|role| role.arn);
            with_path.or_else(|| Some(format!("arn:{}:iam::{}:role/{role}", caller.partition(), caller.account())))
        }
        None if arn.contains(":iam:") => Some(arn.to_owned()),
        None => None,
    }
}

/// `Dev` of `arn:aws:sts::111122223333:assumed-role/Dev/me`.
fn role_of_session(arn: &str) -> Option<&str> {
    arn.split_once(":assumed-role/")?.1.split('/').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_belongs_to_its_role() {
        assert_eq!(role_of_session("arn:aws:sts::111122223333:assumed-role/Dev/me@example.com"), Some("Dev"));
        assert_eq!(role_of_session("arn:aws:iam::111122223333:user/me"), None);
    }
}
