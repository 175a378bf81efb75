//! What CloudFormation does to a stack's resources, it does in the name of who asked for it, or of the stack's service
//! role: each resource takes the permissions of the calls that its handler makes.
//!
//! Who asked is kept by the stack's name and not in its record: nothing is under way after a restart.

use serde_json::Value;

use super::CloudFormation;
use super::functions::as_text;
use super::resources::{Failure, Place, Properties};
use crate::iam::Need;
use crate::permissions;
use crate::protocol::query::Call;
use crate::s3::ACCOUNT;

/// What is about to happen to a resource.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step<'a> {
    Create(&'a Properties),
    Update { from: &'a Properties, to: &'a Properties },
    Delete,
}

impl CloudFormation {
    /// The id of a stack that is named by its name, its id or the id of one of its change sets.
    pub(crate) fn stack_id(&self, region: &str, named: &str) -> Option<String> {
        let state = self.state();
        let of_change_set = || state.stacks.values().find(|stack| stack.change_sets.iter().any(|set| set.id == named));
        state.find(region, named).or_else(of_change_set).map(|stack| stack.id.clone())
    }

    /// Remembers who asks for a stack to be changed.
    pub(super) fn note_caller(&self, call: &Call) {
        let named = call.form.first(&["StackName", "ChangeSetName"]).unwrap_or_default();
        let id = self.stack_id(&call.caller.region, named);
        let name = id.as_deref().and_then(|id| id.split('/').nth(1)).unwrap_or(named).to_owned();
        self.state().callers.insert((call.caller.region.clone(), name), call.caller.key_id.clone());
    }

    /// Whether who asked for it may do to a resource what is about to happen.
    pub(super) fn permit(&self, place: &Place, kind: &str, physical_id: &str, step: Step<'_>) -> Result<(), Failure> {
        let iam = &self.services.iam;
        if !iam.is_enforced() {
            return Ok(());
        }
        let state = self.state();
        let stack = state.stacks.get(&place.stack_id);
        let root = stack.and_then(|stack| state.stacks.get(&stack.nested.as_ref()?.root_id)).or(stack);
        let name = root.map_or(&place.stack_name, |root| &root.name);
        let caller = state.callers.get(&(place.region.clone(), name.clone())).cloned();
        let role = root.and_then(|root| root.options.role_arn.clone());
        drop(state);
        let (service, needs) = needs(place, kind, physical_id, step);
        let permitted = match role {
            Some(role) => iam.authorize_role(&role, "AWSCloudFormation", &needs),
            None => iam.authorize(&iam.principal(&caller.unwrap_or_default()), &needs),
        };
        permitted.map_err(|denial| Failure::service(service, 403, &denial.message()))
    }
}

/// The service that a resource lives in, as failures name it, and what its handler needs.
fn needs(place: &Place, kind: &str, physical_id: &str, step: Step<'_>) -> (&'static str, Vec<Need>) {
    let wanted = match step {
        Step::Create(wanted) | Step::Update { to: wanted, .. } => wanted.clone(),
        Step::Delete => Properties::default(),
    };
    let text = |name: &str| wanted.members.get(name).and_then(as_text);
    // A resource that has no name yet will have one that begins with the stack's.
    let named = |property: &str| match physical_id {
        "" => text(property).unwrap_or_else(|| format!("{}-{}-0", place.stack_name, place.logical_id)),
        id => id.to_owned(),
    };
    let changed = |names: &[&str]| match step {
        Step::Create(wanted) => names.iter().any(|name| wanted.members.contains_key(*name)),
        Step::Update { from, to } => names.iter().any(|name| from.members.get(*name) != to.members.get(*name)),
        Step::Delete => false,
    };
    let on = |arn: String, actions: Vec<&str>| -> Vec<Need> {
        actions.into_iter().map(|action| Need::new(action, arn.clone())).collect()
    };
    match kind {
        "AWS::Lambda::Function" => {
            let function = permissions::arn("lambda", &place.region, &format!("function:{}", named("FunctionName")));
            ("Lambda", function_needs(function, &wanted, step, changed))
        }
        "AWS::Lambda::Version" | "AWS::Lambda::Alias" | "AWS::Lambda::Permission" => {
            let function = text("FunctionName").unwrap_or_else(|| "*".to_owned());
            let name = function.rsplit_once("function:").map_or(&*function, |(_, name)| name);
            let function = permissions::arn("lambda", &place.region, &format!("function:{name}"));
            let action = match (kind, step) {
                ("AWS::Lambda::Version", Step::Delete) => "lambda:DeleteFunction",
                ("AWS::Lambda::Version", _) => "lambda:PublishVersion",
                ("AWS::Lambda::Alias", Step::Create(_)) => "lambda:CreateAlias",
                ("AWS::Lambda::Alias", Step::Update { .. }) => "lambda:UpdateAlias",
                ("AWS::Lambda::Alias", Step::Delete) => "lambda:DeleteAlias",
                (_, Step::Delete) => "lambda:RemovePermission",
                _ => "lambda:AddPermission",
            };
            ("Lambda", on(function, vec![action]))
        }
        "AWS::Lambda::LayerVersion" => ("Lambda", layer_needs(place, &named("LayerName"), &wanted, step)),
        "AWS::IAM::Role" => {
            let path = text("Path").unwrap_or_else(|| "/".to_owned());
            let role = format!("arn:aws:iam::{ACCOUNT}:role{path}{}", named("RoleName"));
            ("Iam", on(role, role_actions(step, changed)))
        }
        "AWS::IAM::Policy" => {
            let action = if matches!(step, Step::Delete) { "iam:DeleteRolePolicy" } else { "iam:PutRolePolicy" };
            let roles = wanted.members.get("Roles").and_then(Value::as_array).cloned().unwrap_or_default();
            let role = |name: &str| Need::new(action, format!("arn:aws:iam::{ACCOUNT}:role/{name}"));
            let needs: Vec<Need> = roles.iter().filter_map(Value::as_str).map(role).collect();
            ("Iam", if needs.is_empty() { vec![Need::new(action, "*")] } else { needs })
        }
        "AWS::IAM::ManagedPolicy" => {
            let action = match step {
                Step::Create(_) => "iam:CreatePolicy",
                Step::Update { .. } => "iam:CreatePolicyVersion",
                Step::Delete => "iam:DeletePolicy",
            };
            let arn = format!("arn:aws:iam::{ACCOUNT}:policy/{}", named("ManagedPolicyName"));
            let arn = if physical_id.starts_with("arn:") { physical_id.to_owned() } else { arn };
            ("Iam", on(arn, vec![action]))
        }
        "AWS::Logs::LogGroup" => {
            let mut actions = match step {
                Step::Create(_) => vec!["logs:CreateLogGroup"],
                Step::Update { .. } => Vec::new(),
                Step::Delete => vec!["logs:DeleteLogGroup"],
            };
            if changed(&["RetentionInDays"]) {
                actions.push("logs:PutRetentionPolicy");
            }
            if changed(&["Tags"]) {
                actions.push("logs:TagResource");
            }
            let group = permissions::log_stream(&named("LogGroupName"), "", &place.region);
            ("CloudWatchLogs", on(group, actions))
        }
        "AWS::S3::Bucket" | "AWS::S3::BucketPolicy" => {
            let bucket = if kind == "AWS::S3::Bucket" { named("BucketName") } else { named("Bucket") };
            ("S3", on(format!("arn:aws:s3:::{bucket}"), bucket_actions(kind, step, changed)))
        }
        _ => ("CloudFormation", Vec::new()),
    }
}

fn function_needs(
    function: String,
    wanted: &Properties,
    step: Step<'_>,
    changed: impl Fn(&[&str]) -> bool,
) -> Vec<Need> {
    let text = |name: &str| wanted.members.get(name).and_then(as_text);
    // A function is waited for, and read for its attributes.
    let mut needs = vec![Need::new("lambda:GetFunction", &*function)];
    let mut on_function = |action: &str| needs.push(Need::new(action, &*function));
    let (mut role, mut code) = (false, false);
    match step {
        Step::Create(_) => {
            on_function("lambda:CreateFunction");
            (role, code) = (true, true);
        }
        Step::Update { from, to } => {
            let apart = ["Code", "Architectures", "CodeSigningConfigArn", "ReservedConcurrentExecutions", "Tags"];
            let differ = |name: &&String| from.members.get(*name) != to.members.get(*name);
            let names = from.members.keys().chain(to.members.keys());
            if names.filter(differ).any(|name| !apart.contains(&name.as_str())) {
                on_function("lambda:UpdateFunctionConfiguration");
                role = true;
            }
            if changed(&["Code", "Architectures"]) {
                on_function("lambda:UpdateFunctionCode");
                code = true;
            }
        }
        Step::Delete => return vec![Need::new("lambda:DeleteFunction", function)],
    }
    if changed(&["Tags"]) {
        on_function("lambda:TagResource");
    }
    if changed(&["ReservedConcurrentExecutions"]) {
        on_function("lambda:PutFunctionConcurrency");
    }
    if changed(&["CodeSigningConfigArn"]) {
        on_function("lambda:PutFunctionCodeSigningConfig");
    }
    if let Some(role) = text("Role").filter(|_| role) {
        needs.push(permissions::pass_role(&role, "lambda.amazonaws.com"));
    }
    if changed(&["Layers"]) {
        let layers = wanted.members.get("Layers").and_then(Value::as_array).into_iter().flatten();
        needs.extend(layers.filter_map(as_text).map(|arn| Need::new("lambda:GetLayerVersion", arn)));
    }
    if code {
        needs.extend(read_package(wanted, "Code"));
    }
    needs
}

/// A layer's version is deleted and read by its ARN, which is its physical id.
fn layer_needs(place: &Place, named: &str, wanted: &Properties, step: Step<'_>) -> Vec<Need> {
    if matches!(step, Step::Delete) {
        return vec![Need::new("lambda:GetLayerVersion", named), Need::new("lambda:DeleteLayerVersion", named)];
    }
    let publish = Need::new("lambda:PublishLayerVersion", permissions::layer_arn(named, None, &place.region));
    std::iter::once(publish).chain(read_package(wanted, "Content")).collect()
}

/// To read the object that a property names.
fn read_package(wanted: &Properties, property: &str) -> Option<Need> {
    let source = wanted.members.get(property)?.as_object()?;
    let member = |name: &str| source.get(name).and_then(as_text);
    let (bucket, key) = (member("S3Bucket")?, member("S3Key")?);
    Some(permissions::read_object(&bucket, &key, member("S3ObjectVersion").as_deref()))
}

fn role_actions(step: Step<'_>, changed: impl Fn(&[&str]) -> bool) -> Vec<&'static str> {
    let mut actions = vec!["iam:GetRole"];
    match step {
        Step::Create(_) => actions.push("iam:CreateRole"),
        Step::Update { .. } => {
            if changed(&["AssumeRolePolicyDocument"]) {
                actions.push("iam:UpdateAssumeRolePolicy");
            }
            if changed(&["Description", "MaxSessionDuration"]) {
                actions.push("iam:UpdateRole");
            }
        }
        // A role is deleted only when nothing is in it any more.
        Step::Delete => return vec!["iam:GetRole", "iam:DeleteRolePolicy", "iam:DeleteRole"],
    }
    if changed(&["Policies"]) {
        actions.push("iam:PutRolePolicy");
    }
    if changed(&["ManagedPolicyArns"]) {
        actions.push("iam:AttachRolePolicy");
    }
    if changed(&["PermissionsBoundary"]) {
        actions.push("iam:PutRolePermissionsBoundary");
    }
    if changed(&["Tags"]) {
        actions.push("iam:TagRole");
    }
    actions
}

fn bucket_actions(kind: &str, step: Step<'_>, changed: impl Fn(&[&str]) -> bool) -> Vec<&'static str> {
    let mut actions = match (kind, step) {
        ("AWS::S3::BucketPolicy", Step::Delete) => return vec!["s3:DeleteBucketPolicy"],
        ("AWS::S3::BucketPolicy", _) => return vec!["s3:PutBucketPolicy"],
        (_, Step::Delete) => return vec!["s3:DeleteBucket"],
        (_, Step::Create(_)) => vec!["s3:CreateBucket"],
        (_, Step::Update { .. }) => Vec::new(),
    };
    for (property, action) in [
        ("BucketEncryption", "s3:PutEncryptionConfiguration"),
        ("LifecycleConfiguration", "s3:PutLifecycleConfiguration"),
        ("OwnershipControls", "s3:PutBucketOwnershipControls"),
        ("PublicAccessBlockConfiguration", "s3:PutBucketPublicAccessBlock"),
        ("Tags", "s3:PutBucketTagging"),
        ("VersioningConfiguration", "s3:PutBucketVersioning"),
    ] {
        if changed(&[property]) {
            actions.push(action);
        }
    }
    actions
}
