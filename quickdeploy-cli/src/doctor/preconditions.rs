//! Whether a store that isn't AWS's heeds the preconditions that keep writers apart.

use std::time::{Duration, SystemTime};

use aws_sdk_s3::types::Object;
use zipedit::store::s3::{PROBE_SUFFIX, enumerated};
use zipedit::{Precondition, Probed, S3Store, Stop};

use super::Target;
use super::finding::{Area, Finding, Level};
use crate::store_check::{ALL_THE_SAME, BETTER, StoreCheck};

const CHECK: &str = "preconditions";

/// No probe takes longer: an object of one that is older was left behind.
const LEFT_BEHIND: Duration = Duration::from_secs(60 * 60);

/// What was found; nothing where the artifact is in S3.
pub(crate) async fn examine(target: &Target<'_>, store: &S3Store) -> Vec<Finding> {
    let Ok(Some(endpoint)) = store.foreign_endpoint().await else { return Vec::new() };
    let check = target.cloud.stores.check;
    if check == StoreCheck::Off {
        let message = format!("{endpoint} is taken to heed preconditions, as `store-check` is off");
        return vec![Finding::ok(Area::Bucket, CHECK, message)];
    }
    let mut findings: Vec<Finding> = left_behind(target).await.into_iter().collect();
    match store.probe(Precondition::ALL, &Stop::never()).await {
        Ok(probed) => findings.extend(told(&probed, &endpoint, check)),
        Err(error) => {
            let told = target.cloud.explain_engine(&error);
            findings.push(Finding::of_error(Level::NotChecked, Area::Bucket, CHECK, &told));
        }
    }
    findings
}

fn told(probed: &Probed, endpoint: &str, check: StoreCheck) -> Vec<Finding> {
    let finding = |level, message| Finding::new(level, Area::Bucket, CHECK, message);
    let mut findings = Vec::new();
    let ignored = |message: String, level| {
        let what = "what somebody else writes at the same time can get lost";
        match check {
            StoreCheck::Refuse => finding(level, message).mend(BETTER).mend(ALL_THE_SAME),
            _ => finding(Level::Warning, format!("{message}: {what}")).mend(BETTER),
        }
    };
    let of = |preconditions: &[Precondition]| enumerated(probed.ignored().filter(|one| preconditions.contains(one)));
    let firsts = [Precondition::PutIfNoneMatch, Precondition::CompleteIfNoneMatch];
    for (preconditions, what, level) in [
        (Precondition::OF_EDITS, "every deployment rests", Level::Failed),
        (&firsts, "the first upload by `quickdeploy full` rests", Level::Warning),
        (Precondition::OF_COPIES, "`quickdeploy rollback` rests, and `full` by CodeBuild", Level::Warning),
    ] {
        if let Some(list) = of(preconditions) {
            findings.push(ignored(format!("{endpoint} ignores {list}, on which {what}"), level));
        }
    }
    if let Some(unknown) = enumerated(probed.unknown().map(|(one, _)| one)) {
        let reason = probed.unknown().next().map(|(_, reason)| reason).unwrap_or_default();
        let message = format!("whether {endpoint} heeds {unknown} ({reason})");
        findings.push(finding(Level::NotChecked, message));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(Area::Bucket, CHECK, format!("{endpoint} heeds preconditions as S3 does")));
    }
    for left in probed.left_behind() {
        let message = format!("what it was asked with could not be removed: {left}");
        findings.push(finding(Level::Warning, message).mend("nothing needs it: delete it"));
    }
    findings
}

/// Objects of probes that were killed.
async fn left_behind(target: &Target<'_>) -> Option<Finding> {
    let Target { cloud, url, .. } = target;
    let prefix = format!("{}{PROBE_SUFFIX}", url.key);
    // Who may not list will not be told.
    let listed = cloud.s3.list_objects_v2().bucket(&url.bucket).prefix(prefix).send().await.ok()?;
    let old = cut_short(listed.contents(), SystemTime::now());
    let commands: Vec<String> = old.iter().map(|key| format!("`aws s3 rm s3://{}/{key}`", url.bucket)).collect();
    (!old.is_empty()).then(|| {
        let message = format!("left behind by questions that were cut short: {}", old.join(", "));
        let finding = Finding::new(Level::Warning, Area::Bucket, CHECK, message);
        finding.mend(format!("nothing needs them: {}", commands.join(", ")))
    })
}

/// The keys of those that no probe waits for any more.
fn cut_short(objects: &[Object], now: SystemTime) -> Vec<String> {
    let is_old = |object: &&Object| {
        let written = object.last_modified().and_then(|time| SystemTime::try_from(*time).ok());
        written.and_then(|written| now.duration_since(written).ok()).is_some_and(|age| age > LEFT_BEHIND)
    };
    objects.iter().filter(is_old).filter_map(|object| object.key().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::primitives::DateTime;

    use super::*;

    #[test]
    fn an_object_that_is_being_asked_about_is_not_left_behind() {
        let now = SystemTime::now();
        let written = |key: &str, age: u64| {
            let at = DateTime::from(now - Duration::from_secs(age));
            Object::builder().key(key).last_modified(at).build()
        };
        let objects = [written("young", 3500), written("old", 3700), Object::builder().key("unknown").build()];
        assert_eq!(cut_short(&objects, now), ["old"]);
    }

    #[test]
    fn nothing_but_ok_is_told_of_a_store_without_findings() {
        let findings = told(&Probed::default(), "http://127.0.0.1:9000", StoreCheck::Refuse);
        assert_eq!(findings.iter().map(|finding| finding.level).collect::<Vec<_>>(), [Level::Ok]);
    }
}
