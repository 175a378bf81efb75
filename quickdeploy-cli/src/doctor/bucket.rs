//! The bucket: where it is, whether it keeps versions, and what its lifecycle rules do to the artifact.

use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::types::{BucketVersioningStatus, LifecycleRule};

use super::Target;
use super::artifact::Facts;
use super::finding::{Area, Finding, Level};
use super::lifecycle::{Danger, Fate, Subject, aborts_uploads, dangers};
use crate::denial::{Denial, statement};
use crate::error::Error;
use crate::functions::Function;

/// What was found.
pub(crate) async fn examine(target: &Target<'_>, facts: &Facts, referencing: &[Function]) -> Vec<Finding> {
    let (region, versioning, lifecycle) =
        tokio::join!(region(target), versioning(target, referencing), lifecycle(target, facts, referencing));
    let mut findings: Vec<Finding> = region.into_iter().collect();
    findings.push(versioning);
    findings.extend(lifecycle);
    findings
}

/// Lambda takes code only from a bucket in its own region.
async fn region(target: &Target<'_>) -> Option<Finding> {
    let Target { cloud, url, .. } = target;
    let bucket = &url.bucket;
    // Its answer names the region, even if it is an error.
    let region = match cloud.s3.head_bucket().bucket(bucket).send().await {
        Ok(answer) => answer.bucket_region().map(str::to_owned),
        Err(error) => {
            error.raw_response().and_then(|response| response.headers().get("x-amz-bucket-region")).map(str::to_owned)
        }
    }?;
    if region == cloud.region {
        return Some(Finding::ok(Area::Bucket, "bucketRegion", format!("s3://{bucket} is in {region}")));
    }
    let message = format!("s3://{bucket} is in {region}, and the functions are looked for in {}", cloud.region);
    Some(
        Finding::new(Level::Failed, Area::Bucket, "bucketRegion", message)
            .mend(format!("use `--region {region}`, if the functions are there"))
            .mend(format!(
                "else keep the artifact in a bucket in {}: Lambda takes code from its own region only",
                cloud.region
            )),
    )
}

async fn versioning(target: &Target<'_>, referencing: &[Function]) -> Finding {
    let Target { cloud, url, .. } = target;
    let bucket = &url.bucket;
    let status = match cloud.s3.get_bucket_versioning().bucket(bucket).send().await {
        Ok(answer) => answer.status().cloned(),
        Err(error) => {
            let told = cloud.explain(&format!("whether s3://{bucket} keeps versions"), &error);
            return not_readable("versioning", &told, "s3:GetBucketVersioning", target);
        }
    };
    if status == Some(BucketVersioningStatus::Enabled) {
        return Finding::ok(Area::Bucket, "versioning", format!("s3://{bucket} keeps versions"));
    }
    let state = if status.is_some() { "no longer keeps versions" } else { "keeps no versions" };
    let turn_on = format!(
        "turn it on: `aws s3api put-bucket-versioning --bucket {bucket} --versioning-configuration Status=Enabled`"
    );
    match referencing {
        [] => {
            let message = format!("s3://{bucket} {state}: `quickdeploy rollback` has nothing to go back to");
            Finding::new(Level::Warning, Area::Bucket, "versioning", message).mend(turn_on)
        }
        functions => {
            let message = format!(
                "s3://{bucket} {state}, but {} in REFERENCE mode, which needs one for each deployment",
                run_from_it(functions)
            );
            Finding::new(Level::Failed, Area::Bucket, "versioning", message).mend(turn_on)
        }
    }
}

async fn lifecycle(target: &Target<'_>, facts: &Facts, referencing: &[Function]) -> Vec<Finding> {
    let Target { cloud, url, .. } = target;
    let rules = match cloud.s3.get_bucket_lifecycle_configuration().bucket(&url.bucket).send().await {
        Ok(answer) => answer.rules.unwrap_or_default(),
        Err(error) if error.code() == Some("NoSuchLifecycleConfiguration") => Vec::new(),
        Err(error) => {
            let told = cloud.explain(&format!("the lifecycle rules of s3://{}", url.bucket), &error);
            return vec![not_readable("lifecycle", &told, "s3:GetLifecycleConfiguration", target)];
        }
    };
    let subject = Subject { key: &url.key, size: facts.size(), tags: facts.tags.as_deref() };
    let mut findings: Vec<Finding> =
        dangers(&rules, &subject).iter().map(|danger| told(danger, target, referencing)).collect();
    findings.push(unfinished_uploads(target, &rules));
    findings
}

fn told(danger: &Danger, target: &Target<'_>, referencing: &[Function]) -> Finding {
    let url = &target.url;
    let rule = format!("the lifecycle rule `{}` of s3://{}", danger.rule, url.bucket);
    let perhaps = if danger.certain { "" } else { ", if the artifact has the tags that it names" };
    let from_here = |function: &&Function| {
        function.referenced.as_ref().is_some_and(|object| object.bucket == url.bucket && object.key == url.key)
    };
    let from_here: Vec<Function> = referencing.iter().filter(from_here).cloned().collect();
    let referenced = (!from_here.is_empty()).then(|| run_from_it(&from_here));
    let (level, message) = match (&danger.fate, referenced) {
        (Fate::Expires { when }, None) => {
            (Level::Warning, format!("{rule} deletes the artifact {when}{perhaps}; then nothing can be deployed"))
        }
        (Fate::Expires { when }, Some(who)) => (
            Level::Failed,
            format!("{rule} deletes the artifact {when}{perhaps}; then nothing can be deployed, and {who}"),
        ),
        (Fate::NoncurrentExpire { when }, None) => (
            Level::Ok,
            format!("{rule} deletes older versions {when}{perhaps}: so far back goes `quickdeploy rollback`"),
        ),
        (Fate::NoncurrentExpire { when }, Some(who)) => (
            Level::Warning,
            format!(
                "{rule} deletes older versions {when}{perhaps}; {who}, and one that a deployment leaves on an older version stops"
            ),
        ),
        (Fate::Archived { when, class }, _) => (
            Level::Warning,
            format!(
                "{rule} moves the artifact to {class} {when}{perhaps}; then nobody can read it until it is restored"
            ),
        ),
    };
    let finding = Finding::new(level, Area::Bucket, "lifecycle", message);
    match (level, &danger.fate) {
        (Level::Ok, _) => finding,
        (_, Fate::NoncurrentExpire { .. }) => {
            finding.mend("let the rule keep more days or versions, or leave this key out of its prefix or tags")
        }
        _ => finding.mend(format!("leave `{}` out of the rule, by its prefix or its tags", url.key)),
    }
}

/// Parts of uploads that were never completed are paid for until somebody aborts them.
fn unfinished_uploads(target: &Target<'_>, rules: &[LifecycleRule]) -> Finding {
    let url = &target.url;
    if let Some(days) = aborts_uploads(rules, &url.key) {
        let message = format!("uploads that are not completed within {days} days are aborted");
        return Finding::ok(Area::Bucket, "unfinishedUploads", message.replace(" 1 days", " 1 day"));
    }
    let message = format!("no lifecycle rule of s3://{} aborts uploads that are never completed", url.bucket);
    let finding = Finding::new(Level::Warning, Area::Bucket, "unfinishedUploads", message);
    let rule = r#"{"ID": "abort-unfinished-uploads", "Status": "Enabled", "Filter": {"Prefix": ""}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}}"#;
    // The call replaces all rules that there are.
    if rules.is_empty() {
        finding.mend(format!(
            "aws s3api put-bucket-lifecycle-configuration --bucket {} --lifecycle-configuration '{{\"Rules\": [{rule}]}}'",
            url.bucket
        ))
    } else {
        finding.mend(format!("add to the rules that it has: {rule}"))
    }
}

/// `` `a` and `b` run from it``.
fn run_from_it(functions: &[Function]) -> String {
    let names: Vec<String> = functions.iter().map(|function| format!("`{}`", function.name)).collect();
    match names.as_slice() {
        [one] => format!("{one} runs from it"),
        _ => format!("{} run from it", names.join(", ")),
    }
}

/// Only `doctor` reads it, so a deployment doesn't need the permission.
fn not_readable(check: &'static str, error: &Error, action: &str, target: &Target<'_>) -> Finding {
    let finding = Finding::new(Level::NotChecked, Area::Bucket, check, error.to_string());
    if error.error_type() != "AccessDenied" {
        return finding;
    }
    let explicit = Denial::read(error.causes().first().map_or("", String::as_str)).filter(Denial::is_explicit);
    match explicit {
        Some(denial) => finding.mend(denial.hint()),
        None => finding.mend(format!("allow it: {}", statement(action, &target.bucket_arn()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::tests::function;

    #[test]
    fn one_function_runs_and_two_run() {
        let functions = ["a", "b"].map(|name| function(name, "A", 1));
        assert_eq!(run_from_it(&functions[..1]), "`a` runs from it");
        assert_eq!(run_from_it(&functions), "`a`, `b` run from it");
    }
}
