//! `quickdeploy doctor`: everything that a deployment depends on, looked at before it has to work.
//!
//! # How it holds together
//!
//! An examination is a list of [`Finding`]s. Each area has a file: [`account`] (who asks, where, by which clock),
//! [`local`] (this directory), [`artifact`] and [`uploads`], [`bucket`] with the pure [`lifecycle`],
//! [`preconditions`] (of stores that are not S3), [`access`] (S3's
//! permissions), [`functions`] and what they run from ([`references`]), [`zipedit`], [`services`] (what only some verbs use). Permissions are tried, see
//! [`probe`]; what can't be tried harmlessly is asked of IAM, see [`simulate`], or listed as not checked.
//!
//! Nothing that is asked changes anything. Independent questions are asked at the same time.
//!
//! Only what the configuration uses is required: with `via = "direct"` nobody looks for the zipedit function.

mod access;
mod account;
mod artifact;
mod bucket;
mod finding;
mod functions;
mod lifecycle;
mod local;
mod preconditions;
mod probe;
mod references;
mod services;
mod simulate;
mod uploads;
mod zipedit;

use ::zipedit::S3Store;
use futures::future::join_all;

use crate::aws::Cloud;
use crate::project::{ArtifactUrl, Settings, Via};

use account::Caller;
pub(crate) use finding::{Area, Finding, Level};
use probe::Probe;
use simulate::Question;
pub(crate) use uploads::{Upload, abort};

/// One artifact of the project.
#[derive(Clone, Debug)]
struct Target<'a> {
    cloud: &'a Cloud,
    settings: &'a Settings,
    url: ArtifactUrl,
    caller: &'a Caller,
}

impl Target<'_> {
    /// `arn:aws:SERVICE:REGION:ACCOUNT`.
    fn arn(&self, service: &str) -> String {
        format!("arn:{}:{service}:{}:{}", self.caller.partition(), self.cloud.region, self.caller.account())
    }

    fn bucket_arn(&self) -> String {
        format!("arn:{}:s3:::{}", self.caller.partition(), self.url.bucket)
    }

    fn object_arn(&self) -> String {
        format!("{}/{}", self.bucket_arn(), self.url.key)
    }

    /// Of a function that is known by its name or already by its ARN.
    fn function_arn(&self, name: &str) -> String {
        if name.starts_with("arn:") { name.to_owned() } else { format!("{}:function:{name}", self.arn("lambda")) }
    }
}

/// What the caller needs, and can't be tried without leaving a trace.
#[derive(Clone, Debug)]
struct Untried {
    actions: Vec<&'static str>,
    resource: String,
    /// A phrase that follows "needed for".
    purpose: &'static str,
}

/// What was found, and what could be cleared away.
#[derive(Debug, Default)]
pub(crate) struct Examination {
    pub(crate) findings: Vec<Finding>,
    pub(crate) left_behind: Vec<Upload>,
}

/// Looks at this directory. Blocks.
pub(crate) fn examine_directory(settings: &Settings) -> Vec<Finding> {
    local::examine(settings)
}

/// Looks at everything in AWS: the account, and then each artifact with its functions.
pub(crate) async fn examine(cloud: &Cloud, projects: &[&Settings]) -> Examination {
    let (findings, caller) = account::examine(cloud).await;
    let mut examination = Examination { findings, left_behind: Vec::new() };
    let Some(caller) = caller else {
        let finding =
            Finding::new(Level::NotChecked, Area::Artifact, "artifact", "artifact, bucket, permissions and functions")
                .mend("mend the credentials first");
        examination.findings.push(finding);
        return examination;
    };
    let targets: Vec<Target<'_>> = projects
        .iter()
        .filter_map(|settings| Some(Target { cloud, settings, url: settings.artifact.clone()?, caller: &caller }))
        .collect();
    for each in join_all(targets.iter().map(examine_artifact)).await {
        examination.findings.extend(each.findings);
        examination.left_behind.extend(each.left_behind);
    }
    examination.findings.sort_by_key(|finding| finding.area);
    examination
}

async fn examine_artifact(target: &Target<'_>) -> Examination {
    let store = S3Store::new(target.cloud.s3.clone(), &target.url.bucket, &target.url.key);
    let functions = async {
        match &target.settings.functions {
            Some(wanted) => functions::examine(target, wanted).await,
            None => functions::Examined::default(),
        }
    };
    // The list of unfinished uploads first: the probes begin some of their own.
    let artifact = async { tokio::join!(artifact::examine(target, &store), uploads::examine(target)) };
    let (((mut findings, facts), (told, left_behind)), functions, zipedit, stacks, builds, principal) = tokio::join!(
        artifact,
        functions,
        zipedit::examine(target),
        services::stacks(target),
        services::builds(target),
        simulate::principal(target.cloud, target.caller),
    );
    findings.extend(told);

    let logs = async {
        match functions.log_groups.first() {
            Some(group) => Some(services::logs(target, group).await),
            None => None,
        }
    };
    let questions = questions(target, &functions, &zipedit, principal.as_deref());
    let (bucket, preconditions, references, access, logs, asked) = tokio::join!(
        bucket::examine(target, &facts, &functions.referencing),
        preconditions::examine(target, &store),
        references::examine(target.cloud, &functions.referencing),
        access::probes(target, &store, &facts),
        logs,
        join_all(questions.into_iter().map(|question| simulate::ask(target, question))),
    );
    findings.extend(bucket);
    findings.extend(preconditions);
    findings.extend(functions.findings);
    findings.extend(references);
    findings.extend(zipedit.findings);
    let (builds, no_project) = builds;
    findings.extend(no_project);
    let services = logs.into_iter().chain(stacks).chain(builds);
    let probes = access.into_iter().chain(functions.probes).chain(zipedit.probes).chain(services);
    findings.extend(probes.map(Probe::finding));
    findings.extend(asked.into_iter().flatten());
    for finding in &mut findings {
        finding.artifact.clone_from(&target.settings.name);
    }
    Examination { findings, left_behind }
}

/// What IAM is to be asked, as it can't be tried.
fn questions(
    target: &Target<'_>,
    functions: &functions::Examined,
    zipedit: &zipedit::Examined,
    caller: Option<&str>,
) -> Vec<Question> {
    let own = access::untried(target).into_iter().chain(functions.untried.iter().cloned());
    let own = own.chain(services::untried(target));
    let own = own.map(|Untried { actions, resource, purpose }| Question {
        principal: caller.map(str::to_owned),
        who: "you",
        area: Area::Permissions,
        actions,
        resource,
        purpose,
        denied: Level::Warning,
    });
    let of_the_role = zipedit.role.iter().map(|role| Question {
        principal: Some(role.clone()),
        who: "its role",
        area: Area::Zipedit,
        actions: vec!["s3:PutObject", "s3:AbortMultipartUpload"],
        resource: target.object_arn(),
        purpose: "patching by the function",
        denied: if target.settings.via == Via::Lambda { Level::Failed } else { Level::Warning },
    });
    own.chain(of_the_role).collect()
}
