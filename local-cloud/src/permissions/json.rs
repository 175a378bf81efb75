//! The actions of CodeBuild and CloudWatch Logs, which are named like their operations.

use serde_json::Value;

use super::arn;
use crate::iam::Need;
use crate::log::Service;
use crate::protocol::json::Call;

pub(crate) fn of_json(service: Service, call: &Call) -> Vec<Need> {
    let region = &call.caller.region;
    let (prefix, resources) = match service {
        Service::CodeBuild => ("codebuild", codebuild(call, region)),
        _ => ("logs", vec![logs(call, region)]),
    };
    resources.into_iter().map(|resource| Need::new(format!("{prefix}:{}", call.operation), resource)).collect()
}

/// Projects, or `*`.
fn codebuild(call: &Call, region: &str) -> Vec<String> {
    let text = |member: &str| call.input[member].as_str();
    // A build's id is `PROJECT:ID`, its ARN ends with it.
    let of_build = |id: &str| {
        let id = id.rsplit_once("build/").map_or(id, |(_, id)| id);
        id.split(':').next().unwrap_or_default().to_owned()
    };
    let names: Vec<String> = match call.operation.as_str() {
        "ListProjects" | "ListBuilds" => return vec!["*".to_owned()],
        "BatchGetProjects" => texts(&call.input["names"]),
        "BatchGetBuilds" => texts(&call.input["ids"]).iter().map(|id| of_build(id)).collect(),
        "StopBuild" | "RetryBuild" => text("id").map(of_build).into_iter().collect(),
        _ => text("projectName").or(text("name")).map(str::to_owned).into_iter().collect(),
    };
    let project = |name: String| match name.starts_with("arn:") {
        true => name,
        false => arn("codebuild", region, &format!("project/{name}")),
    };
    names.into_iter().map(project).collect()
}

/// As denials name it: a group's ARN goes on with its streams, whichever is asked for.
fn logs(call: &Call, region: &str) -> String {
    let text = |member: &str| call.input[member].as_str();
    let named = text("logGroupName").or(text("logGroupIdentifier")).or(text("logGroupNamePrefix"));
    let listed = call.input["logGroupIdentifiers"][0].as_str();
    let group = named.or(listed).unwrap_or_default();
    let group = group.rsplit_once(":log-group:").map_or(group, |(_, name)| name).trim_end_matches(":*");
    let stream = text("logStreamName").unwrap_or_default();
    log_stream(group, stream, region)
}

/// A stream of a group; the group itself has an empty name there.
pub(crate) fn log_stream(group: &str, stream: &str, region: &str) -> String {
    arn("logs", region, &format!("log-group:{group}:log-stream:{stream}"))
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}
