//! CloudFormation's own actions, which are named like its operations. What a stack's resources need besides, the caller
//! needs as well: that is in CloudFormation's own `permissions.rs`.

use super::{arn, pass_role, read_object};
use crate::iam::Need;
use crate::protocol::query::Call;

pub(super) fn needs(call: &Call, stack_id: impl Fn(&str) -> Option<String>) -> Vec<Need> {
    let form = &call.form;
    let change_set = form.get("ChangeSetName");
    // A change set that is named by its ARN says its stack's name nowhere; AWS looks it up.
    let named = form.get("StackName").or_else(|| change_set.filter(|name| name.starts_with("arn:")));
    let resource = match named {
        Some(name) => stack_id(name).unwrap_or_else(|| match name.starts_with("arn:") {
            true => name.to_owned(),
            // What it will be is not known yet.
            false => arn("cloudformation", &call.caller.region, &format!("stack/{name}/*")),
        }),
        None => "*".to_owned(),
    };
    let mut need = Need::new(format!("cloudformation:{}", call.action), resource);
    for (key, parameter) in [
        ("cloudformation:ChangeSetName", "ChangeSetName"),
        ("cloudformation:RoleArn", "RoleARN"),
        ("cloudformation:TemplateUrl", "TemplateURL"),
        ("cloudformation:StackPolicyUrl", "StackPolicyURL"),
    ] {
        if let Some(value) = form.get(parameter) {
            need = need.with(key, value);
        }
    }
    for kind in form.list("ResourceTypes").unwrap_or_default() {
        need = need.with("cloudformation:ResourceTypes", kind);
    }
    let mut needs = vec![need];
    needs.extend(form.get("RoleARN").map(|role| pass_role(role, "cloudformation.amazonaws.com")));
    needs.extend(form.get("TemplateURL").and_then(template));
    needs
}

/// To read a template that lies in S3: `https://HOST/bucket/key` or `https://bucket.s3.REGION.amazonaws.com/key`.
fn template(url: &str) -> Option<Need> {
    let (host, path) = url.split_once("://")?.1.split_once('/')?;
    let path = crate::operation::percent_decoded(path.split('?').next().unwrap_or_default());
    match crate::s3::bucket_of_host(host) {
        Some(bucket) => Some(read_object(bucket, &path, None)),
        None => path.split_once('/').map(|(bucket, key)| read_object(bucket, key, None)),
    }
}
