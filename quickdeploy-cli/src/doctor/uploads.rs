//! Uploads to the artifact's key that somebody began and never completed. Their parts are paid for, and seen nowhere.

use std::time::{Duration, SystemTime};

use aws_sdk_s3::error::ProvideErrorMetadata as _;
use zipedit::store::s3::PROBE_SUFFIX;

use super::Target;
use super::finding::{Area, Finding, Level, Permission};
use super::probe::is_denial;
use crate::error::Result;
use crate::ui::plural;

/// No deployment takes longer: what is older is left behind.
const LEFT_BEHIND: Duration = Duration::from_secs(24 * 60 * 60);

/// An upload that is not completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Upload {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) id: String,
    /// Since when.
    pub(crate) age: Duration,
    /// Who began it, as S3 names them.
    pub(crate) initiator: Option<String>,
}

impl Upload {
    /// Whether nobody will complete it any more.
    pub(crate) fn is_left_behind(&self) -> bool {
        self.age > LEFT_BEHIND
    }

    /// Its key, age and initiator.
    pub(crate) fn described(&self) -> String {
        let by = self.initiator.as_deref().map_or_else(String::new, |who| format!(" by {who}"));
        format!("s3://{}/{}, begun {} ago{by}", self.bucket, self.key, ago(self.age))
    }
}

/// `3 days`, `5 hours`, `12 minutes`.
fn ago(age: Duration) -> String {
    let minutes = usize::try_from(age.as_secs() / 60).unwrap_or(usize::MAX);
    match minutes {
        0..60 => plural(minutes, "minute"),
        60..2880 => plural(minutes / 60, "hour"),
        _ => plural(minutes / 1440, "day"),
    }
}

/// What was found, and the uploads that are left behind.
pub(crate) async fn examine(target: &Target<'_>) -> (Vec<Finding>, Vec<Upload>) {
    match list(target).await {
        Ok(uploads) => {
            let (old, young): (Vec<Upload>, Vec<Upload>) = uploads.into_iter().partition(Upload::is_left_behind);
            (told(target, &old, &young), old)
        }
        Err(finding) => (vec![*finding], Vec::new()),
    }
}

fn told(target: &Target<'_>, old: &[Upload], young: &[Upload]) -> Vec<Finding> {
    let finding = |level, message| Finding::new(level, Area::Artifact, "uploads", message);
    let mut findings = Vec::new();
    if !old.is_empty() {
        let list: Vec<String> = old.iter().map(Upload::described).collect();
        let message = format!("{} left behind: {}", plural(old.len(), "unfinished upload"), list.join("; "));
        findings
            .push(finding(Level::Warning, message).mend("`quickdeploy doctor --fix` aborts what is older than a day"));
    }
    if !young.is_empty() {
        let list: Vec<String> = young.iter().map(Upload::described).collect();
        let message = format!("{} under way: {}", plural(young.len(), "upload"), list.join("; "));
        findings.push(finding(Level::Ok, message));
    }
    if findings.is_empty() {
        findings.push(finding(Level::Ok, format!("no upload to {} is unfinished", target.url)));
    }
    findings
}

async fn list(target: &Target<'_>) -> Result<Vec<Upload>, Box<Finding>> {
    let Target { cloud, url, .. } = target;
    let mut uploads = Vec::new();
    let (mut key_marker, mut id_marker) = (None, None);
    loop {
        let page = cloud
            .s3
            .list_multipart_uploads()
            .bucket(&url.bucket)
            .prefix(&url.key)
            .set_key_marker(key_marker)
            .set_upload_id_marker(id_marker)
            .send()
            .await
            .map_err(|error| {
                let told = cloud.explain(&format!("the unfinished uploads to {url}"), &error);
                let status = error.raw_response().map_or(0, |response| response.status().as_u16());
                let finding = Finding::of_error(Level::NotChecked, Area::Artifact, "uploads", &told);
                if is_denial(error.code().unwrap_or_default(), status) {
                    let action = "s3:ListBucketMultipartUploads".to_owned();
                    return Box::new(finding.about(Permission { action, resource: target.bucket_arn() }));
                }
                Box::new(finding)
            })?;
        let now = SystemTime::now();
        uploads.extend(page.uploads().iter().filter_map(|upload| {
            let key = upload.key()?;
            if !is_ours(key, &url.key) {
                return None;
            }
            let begun = SystemTime::try_from(*upload.initiated()?).ok()?;
            let initiator = upload.initiator().and_then(|who| who.display_name().or_else(|| who.id()));
            Some(Upload {
                bucket: url.bucket.clone(),
                key: key.to_owned(),
                id: upload.upload_id()?.to_owned(),
                age: now.duration_since(begun).unwrap_or_default(),
                initiator: initiator.filter(|name| !name.is_empty()).map(str::to_owned),
            })
        }));
        if page.is_truncated() != Some(true) {
            return Ok(uploads);
        }
        (key_marker, id_marker) = (page.next_key_marker, page.next_upload_id_marker);
        if key_marker.is_none() {
            return Ok(uploads);
        }
    }
}

/// The artifact, and the change sets that are staged beside it. Whatever else begins like its key is not ours to judge.
fn is_ours(key: &str, artifact: &str) -> bool {
    let beside = [".changes-", PROBE_SUFFIX];
    key.strip_prefix(artifact)
        .is_some_and(|rest| rest.is_empty() || beside.iter().any(|suffix| rest.starts_with(suffix)))
}

/// Aborts one.
///
/// # Errors
///
/// S3's, in clear words. An upload that is gone already is none.
pub(crate) async fn abort(cloud: &crate::aws::Cloud, upload: &Upload) -> Result<()> {
    let request = cloud.s3.abort_multipart_upload().bucket(&upload.bucket).key(&upload.key).upload_id(&upload.id);
    match request.send().await {
        Err(error) if error.code() != Some("NoSuchUpload") => {
            Err(cloud.explain(&format!("could not abort the upload to s3://{}/{}", upload.bucket, upload.key), &error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_uploads_to_the_artifact_and_its_staged_changes_are_ours() {
        assert!(is_ours("app/app.zip", "app/app.zip"));
        assert!(is_ours("app/app.zip.changes-00ff.zip", "app/app.zip"));
        assert!(is_ours("app/app.zip.quickdeploy-probe-00ff", "app/app.zip"));
        assert!(!is_ours("app/app.zip.bak", "app/app.zip"));
        assert!(!is_ours("app/other.zip", "app/app.zip"));
    }

    #[test]
    fn what_is_older_than_a_day_is_left_behind() {
        let aged = |hours: u64| Upload {
            bucket: "b".into(),
            key: "k".into(),
            id: "u".into(),
            age: Duration::from_secs(hours * 3600),
            initiator: Some("ci".into()),
        };
        assert!(!aged(23).is_left_behind() && aged(25).is_left_behind());
        assert_eq!(aged(25).described(), "s3://b/k, begun 25 hours ago by ci");
        assert_eq!(aged(72).described(), "s3://b/k, begun 3 days ago by ci");
    }
}
