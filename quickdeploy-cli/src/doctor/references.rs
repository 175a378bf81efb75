//! The object versions that functions in REFERENCE mode run from, each by itself.
//!
//! Such a function has no copy: when its version is deleted, Lambda puts it out of use. The current version of the artifact
//! is what [`super::bucket`] looks after. A function that a deployment left on older code runs from a version that is no
//! longer current, and those are what lifecycle rules clear away: so it is looked up when that version became noncurrent,
//! how many came since, and what the rules of its bucket do to it.

use std::collections::BTreeMap;
use std::time::SystemTime;

use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::types::LifecycleRule;
use futures::future::join_all;

use super::finding::{Area, Finding, Level};
use super::lifecycle::{End, Noncurrent, Subject, end_of_noncurrent};
use crate::aws::Cloud;
use crate::error::Result;
use crate::functions::{Function, Reference};
use crate::project::ArtifactUrl;
use crate::ui::{plural, rfc3339};
use crate::versions::{self, Version, What, short, short_length};

/// Looks at each version that one of these functions runs from.
pub(crate) async fn examine(cloud: &Cloud, functions: &[Function]) -> Vec<Finding> {
    let mut by_version: BTreeMap<(&str, &str, &str), Vec<&str>> = BTreeMap::new();
    for function in functions {
        if let Some(Reference { bucket, key, version_id: Some(version) }) = &function.referenced {
            by_version.entry((bucket, key, version)).or_default().push(&function.name);
        }
    }
    let findings = by_version.iter().map(async |(&(bucket, key, id), functions)| {
        let url = ArtifactUrl { bucket: bucket.to_owned(), key: key.to_owned() };
        version(cloud, &url, id, functions)
            .await
            .unwrap_or_else(|error| Some(Finding::of_error(Level::NotChecked, Area::Functions, "reference", &error)))
    });
    join_all(findings).await.into_iter().flatten().collect()
}

/// What becomes of one version. `None`: it is the current one.
async fn version(cloud: &Cloud, url: &ArtifactUrl, id: &str, functions: &[&str]) -> Result<Option<Finding>> {
    let finding = |level, message: String| Finding::new(level, Area::Functions, "reference", message);
    let who = functions.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let one = functions.len() == 1;
    let (run, stop) = if one { ("runs", "it stops") } else { ("run", "they stop") };
    let renew = format!("`quickdeploy deploy --all` brings {} to the current version", if one { "it" } else { "them" });
    let versions = versions::list(cloud, url, usize::MAX).await?;
    let length = short_length(&versions);
    let Some(at) = versions.iter().position(|version| version.id == id) else {
        let message =
            format!("{who} {run} from version {id} of {url}, which is gone: Lambda can't start code that isn't there");
        return Ok(Some(finding(Level::Failed, message).mend(renew)));
    };
    let Version { what: What::Object { size, .. }, is_latest: false, .. } = &versions[at] else { return Ok(None) };
    let tags = cloud.s3.get_object_tagging().bucket(&url.bucket).key(&url.key).version_id(id).send().await.ok();
    let tags: Option<Vec<(String, String)>> =
        tags.map(|tags| tags.tag_set().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect());
    let runs = format!("{who} {run} from version {} of {url}, {} behind", short(id, length), plural(at, "version"));
    let rules = match rules(cloud, &url.bucket).await {
        Ok(rules) => rules,
        Err(error) => {
            let message = format!("{runs}; whether a lifecycle rule deletes it is not known: {error}");
            return Ok(Some(finding(Level::NotChecked, message).mend(renew)));
        }
    };
    let subject = Subject { key: &url.key, size: *size, tags: tags.as_deref() };
    // It is noncurrent since the next one was written. All that lie between it and the newest are newer ones.
    let noncurrent = Noncurrent { since: versions[at - 1].modified, newer: at - 1 };
    let Some(end) = end_of_noncurrent(&rules, &subject, &noncurrent) else {
        return Ok(Some(finding(Level::Ok, format!("{runs}; no lifecycle rule deletes it"))));
    };
    let (level, rule, when) = match &end {
        End::On { rule, at, .. } if *at <= SystemTime::now() => (Level::Failed, rule, "from today".to_owned()),
        End::On { rule, at, .. } => (Level::Failed, rule, format!("on {}", day(*at))),
        End::After { rule, versions, .. } => {
            (Level::Warning, rule, format!("some time after {}", plural(*versions, "more version")))
        }
    };
    let perhaps = if end.is_certain() { "" } else { ", if it has the tags that the rule names" };
    let message = format!("{runs}: the lifecycle rule `{rule}` deletes that {when}{perhaps}, and then {stop}");
    Ok(Some(finding(level, message).mend(renew).mend("or let the rule keep more days or versions")))
}

async fn rules(cloud: &Cloud, bucket: &str) -> Result<Vec<LifecycleRule>> {
    match cloud.s3.get_bucket_lifecycle_configuration().bucket(bucket).send().await {
        Ok(answer) => Ok(answer.rules.unwrap_or_default()),
        Err(error) if error.code() == Some("NoSuchLifecycleConfiguration") => Ok(Vec::new()),
        Err(error) => Err(cloud.explain(&format!("could not read the lifecycle rules of s3://{bucket}"), &error)),
    }
}

/// `2026-11-22`, in UTC.
fn day(time: SystemTime) -> String {
    rfc3339(time).split('T').next().unwrap_or_default().to_owned()
}
