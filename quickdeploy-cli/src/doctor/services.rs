//! The services that only some verbs use: CloudFormation, CloudWatch Logs and, where the configuration names a project,
//! CodeBuild.

use aws_sdk_cloudwatchlogs::operation::filter_log_events::FilterLogEventsError;

use super::finding::{Area, Finding, Level};
use super::probe::{Need, Probe, Verdict, judge};
use super::{Target, Untried};
use crate::project::Via;
use crate::via::DEFAULT_FUNCTION;

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

/// Whether the stacks that the configuration means can be read: its own, and that of the zipedit function.
pub(crate) async fn stacks(target: &Target<'_>) -> Vec<Probe> {
    let settings = target.settings;
    let own = settings.full.stack.as_deref().map(|stack| (stack, "`quickdeploy full`"));
    // It usually goes by the function's default name.
    let zipedit = (settings.via != Via::Direct).then_some((DEFAULT_FUNCTION, "`quickdeploy bootstrap`"));
    let cloud = target.cloud;
    let probes = own.into_iter().chain(zipedit).map(async |(stack, purpose)| {
        let answer = cloud.cloudformation().describe_stacks().stack_name(stack).send().await;
        // There is no such stack.
        let verdict = judge(cloud, &format!("reading the stack `{stack}`"), answer, &["ValidationError"]);
        Probe::new("cloudformation:DescribeStacks", stack_arn(target, stack), Need::Only(purpose), verdict)
    });
    futures::future::join_all(probes).await
}

/// Whether the CodeBuild project can be read, and is there.
pub(crate) async fn builds(target: &Target<'_>) -> (Vec<Probe>, Option<Finding>) {
    let Some(project) = &target.settings.full.codebuild else { return (Vec::new(), None) };
    let cloud = target.cloud;
    let answer = cloud.codebuild().batch_get_projects().names(project).send().await;
    let is_missing =
        answer.as_ref().is_ok_and(|answer| answer.projects().iter().all(|found| found.name() != Some(project)));
    let missing = is_missing.then(|| {
        let message = format!("there is no CodeBuild project `{project}` in {}", cloud.region);
        Finding::new(Level::Warning, Area::Project, "codebuild", message)
            .mend("`quickdeploy full` builds by it: check `codebuild` in quickdeploy.toml, and the region")
    });
    let verdict = judge(cloud, &format!("reading the CodeBuild project `{project}`"), answer, &[]);
    let need = Need::Only("`quickdeploy full`");
    (vec![Probe::new("codebuild:BatchGetProjects", project_arn(target, project), need, verdict)], missing)
}

/// What a full build does that would leave a trace.
pub(crate) fn untried(target: &Target<'_>) -> Vec<Untried> {
    let purpose = "`quickdeploy full`";
    let full = &target.settings.full;
    let stack = full.stack.as_deref().map(|stack| Untried {
        actions: vec!["cloudformation:CreateChangeSet", "cloudformation:ExecuteChangeSet"],
        resource: stack_arn(target, stack),
        purpose,
    });
    let project = full.codebuild.as_deref().map(|project| Untried {
        actions: vec!["codebuild:StartBuild", "codebuild:BatchGetBuilds"],
        resource: project_arn(target, project),
        purpose,
    });
    stack.into_iter().chain(project).collect()
}

fn stack_arn(target: &Target<'_>, stack: &str) -> String {
    format!("{}:stack/{stack}/*", target.arn("cloudformation"))
}

fn project_arn(target: &Target<'_>, project: &str) -> String {
    format!("{}:project/{project}", target.arn("codebuild"))
}
