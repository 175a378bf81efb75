//! Whether a principal may do what a request needs, and what AWS says when it may not.
//!
//! Nothing is denied unless the cloud enforces IAM ([`Builder::enforce_iam`](crate::Builder::enforce_iam)). What counts
//! then are identity policies, permissions boundaries and the policies of buckets, which can deny what others allow, and
//! allow what no other does. Policies of functions say who else than the account may invoke them, and there is nobody
//! else here; KMS keys have none, as there is no KMS.
//!
//! After <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>; the words of a
//! denial are those of <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html>.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::{MutexGuard, PoisonError};

use super::evaluation::{Asker, Context, Decision, Need, Policy, decide, decide_for};
use super::identities::{Identity, Principal, Rights};
use super::{Iam, State};
use crate::credentials::Credentials;
use crate::s3::ACCOUNT;

/// Who has which key, and whether that matters.
#[derive(Debug, Default)]
pub(super) struct Enforcement {
    enforced: bool,
    /// By access key id.
    principals: BTreeMap<String, Principal>,
    /// Where the keys of sessions are verified.
    credentials: Credentials,
}

/// A refusal for want of a permission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Denial {
    arn: String,
    pub(crate) action: String,
    resource: String,
    why: Why,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    NothingAllows,
    Denied,
    DeniedByResource,
    Boundary,
}

impl Denial {
    /// AWS's words.
    pub(crate) fn message(&self) -> String {
        self.with_resource(&self.resource)
    }

    /// S3's, which puts the resource into quotes.
    pub(crate) fn s3_message(&self) -> String {
        self.with_resource(&format!("\"{}\"", self.resource))
    }

    fn with_resource(&self, resource: &str) -> String {
        let Self { arn, action, .. } = self;
        let asked = format!("User: {arn} is not authorized to perform: {action} on resource: {resource}");
        match self.why {
            Why::NothingAllows => format!("{asked} because no identity-based policy allows the {action} action"),
            Why::Denied => format!("{asked} with an explicit deny in an identity-based policy"),
            Why::DeniedByResource => format!("{asked} with an explicit deny in a resource-based policy"),
            Why::Boundary => format!("{asked} because no permissions boundary allows the {action} action"),
        }
    }
}

/// The keys of a session.
#[derive(Clone, Debug)]
pub(crate) struct SessionKeys {
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: String,
    pub(crate) session_token: String,
}

impl SessionKeys {
    /// The environment variables of a process that has these keys; without any, those of the account's own.
    pub(crate) fn variables(keys: Option<Self>) -> Vec<(String, OsString)> {
        let variables = match keys {
            Some(keys) => vec![
                ("AWS_ACCESS_KEY_ID", keys.access_key_id),
                ("AWS_SECRET_ACCESS_KEY", keys.secret_access_key),
                ("AWS_SESSION_TOKEN", keys.session_token),
            ],
            None => {
                vec![("AWS_ACCESS_KEY_ID", "test".to_owned()), ("AWS_SECRET_ACCESS_KEY", "test".to_owned())]
            }
        };
        variables.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
    }
}

impl Iam {
    /// Enforces policies from now on. `credentials` verifies the signatures of this cloud's requests.
    pub(crate) fn enforce(
        &self,
        identities: Vec<(String, Identity)>,
        enforced: bool,
        credentials: Credentials,
    ) -> std::result::Result<(), String> {
        let mut enforcement = self.enforcement();
        enforcement.enforced = enforced;
        enforcement.credentials = credentials;
        for (key_id, identity) in identities {
            enforcement.principals.insert(key_id, identity.principal()?);
        }
        Ok(())
    }

    /// Whose key this is. A key that was tied to nobody is the account's own.
    pub(crate) fn principal(&self, key_id: &str) -> Principal {
        let known = self.enforcement().principals.get(key_id).cloned();
        known.unwrap_or_else(|| Principal::account(key_id))
    }

    /// The user or role with this ARN.
    pub(super) fn principal_of(&self, arn: &str) -> Option<Principal> {
        let known = {
            let enforcement = self.enforcement();
            let of_a_user = enforcement.principals.values().find(|principal| principal.arn == arn).cloned();
            // The account's own keys go by the names of users.
            let key_id = arn.rsplit_once(":user/").map_or("", |(_, name)| name);
            of_a_user.or_else(|| enforcement.credentials.secret(key_id).map(|_| Principal::account(key_id)))
        };
        let role = || self.state().roles.values().any(|role| role.arn == arn).then(|| Principal::session(arn, "", ""));
        known.or_else(role)
    }

    /// What `SimulatePrincipalPolicy` says of one action, in its own words.
    pub(super) fn simulated(&self, principal: &Principal, action: &str, resource: &str) -> &'static str {
        match self.authorize(principal, &[Need::new(action, resource)]) {
            Ok(()) => "allowed",
            Err(Denial { why: Why::Denied | Why::DeniedByResource, .. }) => "explicitDeny",
            Err(Denial { why: Why::NothingAllows | Why::Boundary, .. }) => "implicitDeny",
        }
    }

    /// Whether the policies of principals count.
    pub(crate) fn is_enforced(&self) -> bool {
        self.enforcement().enforced
    }

    /// Keys for who acts in a role's name; `None` unless policies are enforced.
    pub(crate) fn session_keys(&self, role_arn: &str, session: &str) -> Option<SessionKeys> {
        if !self.is_enforced() {
            return None;
        }
        let id = self.state().roles.values().find(|role| role.arn == role_arn).map(|role| role.id.clone());
        let random = || uuid::Uuid::new_v4().simple().to_string();
        let keys = SessionKeys {
            access_key_id: super::entity_id("ASIA")[..20].to_owned(),
            secret_access_key: format!("{}{}", random(), &random()[..8]),
            session_token: format!("{}{}{}", random(), random(), random()),
        };
        let principal = Principal::session(role_arn, &id.unwrap_or_else(|| super::entity_id("AROA")), session);
        let mut enforcement = self.enforcement();
        enforcement.principals.insert(keys.access_key_id.clone(), principal);
        enforcement.credentials.add_session(&keys);
        Some(keys)
    }

    /// Whether a service may do these in a role's name.
    pub(crate) fn authorize_role(&self, role_arn: &str, session: &str, needs: &[Need]) -> Result<(), Denial> {
        self.authorize(&Principal::session(role_arn, "", session), needs)
    }

    /// Whether a principal may do all of these; else the first that it may not.
    pub(crate) fn authorize(&self, principal: &Principal, needs: &[Need]) -> Result<(), Denial> {
        self.authorize_on(principal, needs, |_| None)
    }

    /// The same where resources have policies of their own: `of_resource` finds the one that a need meets.
    pub(crate) fn authorize_on<'a>(
        &self,
        principal: &Principal,
        needs: &[Need],
        of_resource: impl Fn(&Need) -> Option<&'a Policy>,
    ) -> Result<(), Denial> {
        if !self.is_enforced() {
            return Ok(());
        }
        let (policies, boundary) = match &principal.may {
            Rights::Everything => (vec![Policy::of_everything()], None),
            Rights::Policies(policies) => (policies.clone(), None),
            Rights::OfRole(arn) => of_role(&self.state(), arn),
        };
        let role = match &principal.may {
            Rights::OfRole(arn) => Some(arn.as_str()),
            Rights::Everything | Rights::Policies(_) => None,
        };
        let asker = Asker { arn: &principal.arn, role, account: ACCOUNT };
        let mut context = Context::default()
            .with("aws:PrincipalArn", &principal.arn)
            .with("aws:PrincipalAccount", ACCOUNT)
            .with("aws:ResourceAccount", ACCOUNT)
            .with("aws:userid", &principal.user_id)
            .with("aws:SecureTransport", "false");
        if let Some(name) = principal.user_name() {
            context = context.with("aws:username", name);
        }
        for need in needs {
            let resource =
                of_resource(need).map_or(Decision::ImplicitDeny, |policy| decide_for(&asker, policy, need, &context));
            let why = match (decide(&policies, need, &context), resource) {
                (Decision::ExplicitDeny, _) => Why::Denied,
                (_, Decision::ExplicitDeny) => Why::DeniedByResource,
                (Decision::ImplicitDeny, Decision::ImplicitDeny) => Why::NothingAllows,
                (Decision::Allow, _) | (_, Decision::Allow) => {
                    match boundary.as_ref().map(|boundary| decide([boundary], need, &context)) {
                        None | Some(Decision::Allow) => continue,
                        Some(Decision::ExplicitDeny) => Why::Denied,
                        Some(Decision::ImplicitDeny) => Why::Boundary,
                    }
                }
            };
            return Err(Denial {
                arn: principal.arn.clone(),
                action: need.action.clone(),
                resource: need.resource.clone(),
                why,
            });
        }
        Ok(())
    }

    fn enforcement(&self) -> MutexGuard<'_, Enforcement> {
        self.enforcement.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A role's policies, and its boundary. A role that isn't kept here has none.
fn of_role(state: &State, arn: &str) -> (Vec<Policy>, Option<Policy>) {
    let Some(role) = state.roles.values().find(|role| role.arn == arn) else { return (Vec::new(), None) };
    let managed = |arn: &String| match state.policies.get(arn) {
        Some(policy) => policy.versions.get(&policy.default_version).map(|(document, _)| Policy::read(document)),
        None => of_aws(arn).map(Policy::read),
    };
    let inline = role.inline.values().map(|document| Policy::read(document));
    let policies = inline.chain(role.attached.keys().filter_map(managed)).collect();
    // A boundary that isn't known allows nothing.
    let boundary = role.permissions_boundary.as_ref().map(|arn| managed(arn).unwrap_or_default());
    (policies, boundary)
}

/// Those of AWS's own policies that functions commonly have. Any other one grants nothing here.
fn of_aws(arn: &str) -> Option<&'static str> {
    match arn.rsplit_once(":policy/")?.1 {
        "AdministratorAccess" => Some(r#"{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}"#),
        "service-role/AWSLambdaBasicExecutionRole" => Some(
            r#"{"Statement": {"Effect": "Allow", "Resource": "*",
                "Action": ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]}}"#,
        ),
        "AmazonS3ReadOnlyAccess" => Some(
            r#"{"Statement": {"Effect": "Allow", "Resource": "*",
                "Action": ["s3:Get*", "s3:List*", "s3:Describe*", "s3-object-lambda:Get*", "s3-object-lambda:List*"]}}"#,
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iam::RoleInput;

    fn iam(identities: Vec<(String, Identity)>) -> Iam {
        let iam = Iam::default();
        iam.enforce(identities, true, Credentials::default()).unwrap();
        iam
    }

    fn document(action: &str) -> String {
        format!(r#"{{"Statement": {{"Effect": "Allow", "Action": "{action}", "Resource": "*"}}}}"#)
    }

    const OBJECT: &str = "arn:aws:s3:::b/k";

    #[test]
    fn a_denial_has_the_words_of_aws() {
        let iam = iam(vec![("AKIADEV".to_owned(), Identity::user("dev").policy(document("s3:GetObject")))]);
        let dev = iam.principal("AKIADEV");
        assert_eq!(iam.authorize(&dev, &[Need::new("s3:GetObject", OBJECT)]), Ok(()));
        let denial = iam.authorize(&dev, &[Need::new("s3:PutObject", OBJECT)]).unwrap_err();
        assert_eq!(
            denial.s3_message(),
            "User: arn:aws:iam::000000000000:user/dev is not authorized to perform: s3:PutObject on resource: \
             \"arn:aws:s3:::b/k\" because no identity-based policy allows the s3:PutObject action"
        );
    }

    #[test]
    fn the_accounts_own_key_may_do_everything_and_nothing_is_denied_where_iam_is_not_enforced() {
        let needs = [Need::new("s3:PutObject", OBJECT)];
        let enforcing = iam(Vec::new());
        assert_eq!(enforcing.authorize(&enforcing.principal("test"), &needs), Ok(()));
        let dev = vec![("AKIADEV".to_owned(), Identity::user("dev"))];
        let lenient = Iam::default();
        lenient.enforce(dev, false, Credentials::default()).unwrap();
        assert_eq!(lenient.authorize(&lenient.principal("AKIADEV"), &needs), Ok(()));
        assert!(lenient.session_keys("arn:aws:iam::000000000000:role/r", "s").is_none());
    }

    #[test]
    fn a_session_may_do_what_its_role_and_the_roles_boundary_allow() {
        let iam = iam(Vec::new());
        let trust = r#"{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}}"#;
        let input = RoleInput { name: "r".to_owned(), trust: trust.to_owned(), ..RoleInput::default() };
        let arn = iam.create_role(input).unwrap().arn;
        let keys = iam.session_keys(&arn, "zipedit").unwrap();
        let session = iam.principal(&keys.access_key_id);
        assert_eq!(session.arn, "arn:aws:sts::000000000000:assumed-role/r/zipedit");
        let needs = [Need::new("s3:PutObject", OBJECT)];
        assert!(iam.authorize(&session, &needs).is_err());
        iam.put_role_policy("r", "write", &document("s3:Put*")).unwrap();
        assert_eq!(iam.authorize(&session, &needs), Ok(()), "policies count as they are when the request comes");
        let boundary = iam.create_policy("reads", None, &document("s3:Get*"), None, BTreeMap::new()).unwrap();
        iam.set_boundary("r", Some(boundary)).unwrap();
        let denial = iam.authorize(&session, &needs).unwrap_err();
        assert!(denial.message().ends_with("because no permissions boundary allows the s3:PutObject action"));
    }

    #[test]
    fn a_policy_that_cannot_be_evaluated_is_refused_where_it_is_given() {
        let refused = |document: &str| Identity::user("dev").policy(document).principal().unwrap_err();
        assert!(refused("nonsense").contains("the user dev"));
        let dated = r#"{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*",
            "Condition": {"DateLessThan": {"aws:CurrentTime": "2030-01-01"}}}}"#;
        assert!(refused(dated).contains("DateLessThan"));
    }
}
