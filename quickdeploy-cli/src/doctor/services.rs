//! The services that only some verbs use: CloudFormation and CloudWatch Logs.

use aws_sdk_cloudwatchlogs::operation::filter_log_events::FilterLogEventsError;

use super::Target;
use super::probe::{Need, Probe, Verdict, judge};

/// The stack that the zipedit function is usually made by.
const STACK: &str = "zipedit";

/// Whether the log of one of the functions can be read.
pub(crate) async fn logs(target: &Target<'_>, group: &str) -> Probe {
    let cloud = target.cloud;
    let answer = cloud.logs().filter_log_events().log_group_name(group).limit(1).send().await;
    let verdict = match answer {
        // It has logged nothing yet.
        Err(error) if error.as_service_error().is_some_and(FilterLogEventsError::is_resource_not_found_exception) => {
            Verdict::Allowed
        }
        answer => judge(cloud, &format!("reading the log {group}"), answer, &[]),
    };
    let arn = format!("{}:log-group:{group}:*", target.arn("logs"));
    Probe::new("logs:FilterLogEvents", arn, Need::Only("`quickdeploy logs` and `deploy --logs`"), verdict)
}

/// Whether stacks can be read.
pub(crate) async fn stacks(target: &Target<'_>) -> Probe {
    let cloud = target.cloud;
    let answer = cloud.cloudformation().describe_stacks().stack_name(STACK).send().await;
    // There is no such stack.
    let verdict = judge(cloud, "reading a stack", answer, &["ValidationError"]);
    let arn = format!("{}:stack/{STACK}/*", target.arn("cloudformation"));
    Probe::new("cloudformation:DescribeStacks", arn, Need::Only("`quickdeploy bootstrap`"), verdict)
}
