//! The functions that run the artifact: each one's state, what stands in the way of an update, and whether the caller
//! may make it.
//!
//! `lambda:UpdateFunctionCode` is tried with `DryRun`. As there are stand-ins for Lambda that ignore it, the request also
//! names a revision that the function doesn't have and an object that doesn't exist: nothing can be made of it.

use std::collections::BTreeMap;

use aws_sdk_lambda::operation::get_function::{GetFunctionError, GetFunctionOutput};
use aws_sdk_lambda::types::{InvocationType, State};
use futures::future::join_all;

use super::finding::{Area, Finding, Level};
use super::probe::{Need, Probe, Verdict, judge};
use super::{Target, Untried};
use crate::error::Error;
use crate::functions::{self, Function, UpdateState};
use crate::guards;
use crate::project::Functions;
use crate::retry::retried;

/// A revision that no function has.
const NO_REVISION: &str = "00000000-0000-4000-8000-000000000000";
/// Lambda's answers about the request, which only those get who are permitted.
const ABOUT_THE_REQUEST: &[&str] = &[
    "PreconditionFailedException",
    "ResourceConflictException",
    "InvalidParameterValueException",
    "CodeVerificationFailedException",
    "CodeStorageExceededException",
];

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Examined {
    pub(crate) findings: Vec<Finding>,
    pub(crate) probes: Vec<Probe>,
    /// Those in REFERENCE mode.
    pub(crate) referencing: Vec<Function>,
    /// Log groups of those that are there.
    pub(crate) log_groups: Vec<String>,
    /// What an update also takes and can't be tried.
    pub(crate) untried: Vec<Untried>,
}

/// Looks at each of them.
pub(crate) async fn examine(target: &Target<'_>, wanted: &Functions) -> Examined {
    let mut examined = Examined::default();
    let names = match wanted {
        Functions::Names(names) => names.clone(),
        others => {
            examined.probes.push(list(target).await);
            match functions::find(target.cloud, others, &[]).await {
                Ok(found) => found.into_iter().map(|function| function.name).collect(),
                Err(error) => {
                    examined.findings.push(Finding::of_error(Level::Failed, Area::Functions, "functions", &error));
                    return examined;
                }
            }
        }
    };
    let (each, signing) =
        tokio::join!(join_all(names.iter().map(|name| one(target, name))), guards::enforced(target.cloud));
    let (signed, signing_unknown) = match signing {
        Ok(signed) => (signed, None),
        Err(error) => (BTreeMap::new(), Some(error)),
    };
    for found in each {
        examined.probes.extend(found.probes);
        examined.findings.extend(found.findings);
        let Some(function) = found.function else { continue };
        examined.log_groups.extend(found.log_group);
        if function.referenced.is_some() {
            examined.referencing.push(function.clone());
        }
        if let Some(key) = &function.kms_key {
            examined.untried.push(Untried {
                actions: vec!["kms:GenerateDataKey", "kms:Decrypt"],
                resource: key.clone(),
                purpose: "updating a function whose code is encrypted with it",
            });
        }
        examined.findings.extend(signed.get(&function.arn).map(|config| code_signing(&function, config)));
    }
    examined.findings.extend(signing_unknown.map(|error| unknown_signing(&error)));
    examined
}

/// Functions that are found by a stack, a tag or their code are looked for among all.
async fn list(target: &Target<'_>) -> Probe {
    let cloud = target.cloud;
    let answer = retried(&cloud.control_plane, || cloud.lambda.list_functions().max_items(1).send()).await;
    let verdict = judge(cloud, "listing the functions", answer, &[]);
    Probe::new("lambda:ListFunctions", "*", Need::Deployment, verdict)
}

#[derive(Debug, Default)]
struct One {
    function: Option<Function>,
    log_group: Option<String>,
    findings: Vec<Finding>,
    probes: Vec<Probe>,
}

async fn one(target: &Target<'_>, name: &str) -> One {
    let cloud = target.cloud;
    let mut found = One::default();
    let answer = retried(&cloud.get_function, || cloud.lambda.get_function().function_name(name).send()).await;
    let output = match answer {
        Ok(output) => output,
        Err(error) => {
            let is_missing = error.as_service_error().is_some_and(GetFunctionError::is_resource_not_found_exception);
            let verdict = judge(cloud, &format!("could not read the function `{name}`"), Err::<(), _>(error), &[]);
            if is_missing {
                let message = format!("there is no Lambda function `{name}` in {}", cloud.region);
                let finding = Finding::new(Level::Failed, Area::Functions, "function", message);
                found.findings.push(finding.mend("check `functions` in quickdeploy.toml, and the region"));
            } else {
                let resource = target.function_arn(name);
                found.probes.push(Probe::new("lambda:GetFunction", resource, Need::Deployment, verdict));
            }
            return found;
        }
    };
    let Some(function) = Function::read(&output) else {
        let message = format!("Lambda's answer about `{name}` has no configuration");
        found.findings.push(Finding::new(Level::Failed, Area::Functions, "function", message));
        return found;
    };
    let granted = |action: &str, need, verdict| Probe::new(action, function.arn.clone(), need, verdict);
    let (update, invoke) = tokio::join!(may_update(target, name), may_invoke(target, name));
    found.probes.push(granted("lambda:GetFunction", Need::Deployment, Verdict::Allowed));
    found.probes.push(granted("lambda:UpdateFunctionCode", Need::Deployment, update));
    found.probes.push(granted("lambda:InvokeFunction", Need::Only("`quickdeploy deploy --invoke`"), invoke));
    found.findings.push(state(&function, &output, &cloud.region));
    let logging = output.configuration().and_then(|config| config.logging_config());
    let group = logging.and_then(|logging| logging.log_group()).map(str::to_owned);
    found.log_group = Some(group.unwrap_or_else(|| format!("/aws/lambda/{}", function.name)));
    found.function = Some(function);
    found
}

async fn may_update(target: &Target<'_>, name: &str) -> Verdict {
    let cloud = target.cloud;
    let missing = format!("{}.quickdeploy-doctor-names-no-object", target.url.key);
    let answer = retried(&cloud.control_plane, || {
        cloud
            .lambda
            .update_function_code()
            .function_name(name)
            .s3_bucket(&target.url.bucket)
            .s3_key(&missing)
            .revision_id(NO_REVISION)
            .dry_run(true)
            .send()
    })
    .await;
    match judge(cloud, "a dry run of an update", answer, ABOUT_THE_REQUEST) {
        // Lambda itself was permitted, and then asked S3 for the object that doesn't exist, in the caller's name.
        Verdict::Denied(words) if is_about_s3(&words) => Verdict::Allowed,
        verdict => verdict,
    }
}

/// `Your access has been denied by S3, please make sure your request credentials have permission to GetObject for …`.
fn is_about_s3(words: &str) -> bool {
    words.contains("denied by S3") || words.contains("S3 Error Code")
}

async fn may_invoke(target: &Target<'_>, name: &str) -> Verdict {
    let cloud = target.cloud;
    let request = cloud.lambda.invoke().function_name(name).invocation_type(InvocationType::DryRun);
    judge(cloud, "a dry run of an invocation", request.send().await, ABOUT_THE_REQUEST)
}

/// The worst that can be said of a function's state, or that it is well.
fn state(function: &Function, output: &GetFunctionOutput, region: &str) -> Finding {
    let name = &function.name;
    let finding = |level, message: String| Finding::new(level, Area::Functions, "function", message);
    if !function.zip_package {
        return finding(Level::Failed, format!("`{name}` runs from a container image: there is no zip to patch"))
            .mend("take it out of `functions` in quickdeploy.toml");
    }
    if let Some(other) = function.region().filter(|other| *other != region) {
        let message = format!("`{name}` is in {other}, not in {region}: Lambda takes code from its own region only");
        return finding(Level::Failed, message)
            .mend("deploy each region by itself, with `--env` or `--region`, from a bucket there");
    }
    let config = output.configuration();
    let reason =
        config.and_then(|config| config.state_reason()).map_or_else(String::new, |reason| format!(": {reason}"));
    match (config.and_then(|config| config.state()), &function.update) {
        (Some(State::Failed), _) => finding(Level::Failed, format!("`{name}` has failed{reason}"))
            .mend("mend what AWS names, or delete the function and create it again"),
        (Some(State::Inactive), _) => {
            let how = match &function.referenced {
                // The version that it ran from is gone: only other code brings it back.
                Some(object) => {
                    let version = object.version_id.as_deref().unwrap_or("the version");
                    format!(
                        "it runs from s3://{}/{}: if {version} of it is gone, `quickdeploy` gives it the current one",
                        object.bucket, object.key
                    )
                }
                None => "Lambda made it idle for want of invocations: invoke it once, and wait until it is Active"
                    .to_owned(),
            };
            finding(Level::Warning, format!("`{name}` is Inactive{reason}")).mend(how)
        }
        (_, UpdateState::Failed { code, reason }) => finding(
            Level::Warning,
            format!("the last update of `{name}` failed: {reason} ({code}); it runs older code"),
        )
        .mend("mend what AWS names, then run `quickdeploy`: it is updated again"),
        (_, UpdateState::InProgress) => finding(Level::Ok, format!("`{name}` is being updated")),
        _ => finding(Level::Ok, format!("`{name}` is active{}", particulars(function))),
    }
}

fn particulars(function: &Function) -> String {
    let mut particulars = String::new();
    if function.referenced.is_some() {
        particulars.push_str(", in REFERENCE mode");
    }
    if let Some(key) = &function.kms_key {
        particulars.push_str(&format!(", its code encrypted with {key}"));
    }
    particulars
}

fn code_signing(function: &Function, config: &str) -> Finding {
    let message = format!("`{}` takes only signed code ({config}): a patched zip has no signature", function.name);
    Finding::new(Level::Failed, Area::Functions, "codeSigning", message)
        .mend("deploy it through its signing pipeline, or let its code signing policy only warn")
}

fn unknown_signing(error: &Error) -> Finding {
    Finding::of_error(Level::NotChecked, Area::Functions, "codeSigning", error)
        .mend("without it, AWS refuses the update itself if signing is enforced")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_by_s3_is_none_by_lambda() {
        assert!(is_about_s3(
            "Your access has been denied by S3, please make sure your request credentials have permission to GetObject \
             for b/k. S3 Error Code: AccessDenied. S3 Error Message: Access Denied"
        ));
        assert!(!is_about_s3("User: x is not authorized to perform: lambda:UpdateFunctionCode on resource: y"));
    }
}
