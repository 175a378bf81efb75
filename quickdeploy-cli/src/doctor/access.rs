//! What the caller may do with the artifact in S3, tried by requests that can't harm it.
//!
//! Nothing here ever names content for the artifact's key, and no upload is ever completed, so not even a store that
//! ignores preconditions could be made to replace it:
//!
//! - Reading is tried by reading, one byte.
//! - `s3:AbortMultipartUpload` is tried first, on an upload that does not exist: `NoSuchUpload` is a yes.
//! - `s3:PutObject` is tried by beginning an upload to the artifact's own key, as a policy may be about no other, with
//!   the headers, tags, locks and the key of its encryption that a deployment would send, and by aborting it at once.
//!   Where aborting is not permitted, it isn't begun.
//! - `s3:DeleteObject`, which a staged change set takes, is not tried: a deletion would leave a delete marker.

use aws_sdk_s3::error::ProvideErrorMetadata as _;
use zipedit::{S3Store, Store as _};

use super::artifact::Facts;
use super::probe::{Need, Probe, Verdict, judge, judge_store};
use super::{Target, Untried};
use crate::error::Error;
use crate::project::Via;

/// An upload that nobody has begun. Real ids are longer.
const NO_UPLOAD: &str = "quickdeploy-doctor-asks-whether-this-is-permitted";
/// Answers about the object, which only those get who are permitted.
const ABOUT_THE_OBJECT: &[&str] = &["NoSuchKey", "NoSuchVersion", "InvalidRange", "NotFound", "MethodNotAllowed"];
const ABOUT_LOCKS: &[&str] =
    &["NoSuchObjectLockConfiguration", "InvalidRequest", "NoSuchKey", "ObjectLockConfigurationNotFoundError"];

/// What is needed in S3, each with the answer.
pub(crate) async fn probes(target: &Target<'_>, store: &S3Store, facts: &Facts) -> Vec<Probe> {
    let (reads, writes, staged) = tokio::join!(reads(target, facts), writes(target, store, facts), staged(target));
    reads.into_iter().chain(writes).chain(staged).collect()
}

async fn reads(target: &Target<'_>, facts: &Facts) -> Vec<Probe> {
    let Target { cloud, url, .. } = target;
    let s3 = &cloud.s3;
    let (bucket, key) = (&url.bucket, &url.key);
    let object = target.object_arn();

    let get = s3.get_object().bucket(bucket).key(key).range("bytes=0-0").send();
    let tagging = s3.get_object_tagging().bucket(bucket).key(key).send();
    let retention = s3.get_object_retention().bucket(bucket).key(key).send();
    let hold = s3.get_object_legal_hold().bucket(bucket).key(key).send();
    let list = s3.list_objects_v2().bucket(bucket).prefix(key).max_keys(1).send();
    let versions = s3.list_object_versions().bucket(bucket).prefix(key).max_keys(1).send();
    let version = async {
        let version = facts.version_id()?;
        Some(s3.get_object().bucket(bucket).key(key).version_id(version).range("bytes=0-0").send().await)
    };
    let (get, tagging, retention, hold, list, versions, version) =
        tokio::join!(get, tagging, retention, hold, list, versions, version);

    let judged = |action: &str, need, verdict| Probe::new(action, object.clone(), need, verdict);
    let mut probes = vec![
        judged("s3:GetObject", Need::Deployment, judge(cloud, "reading a byte", get, ABOUT_THE_OBJECT)),
        judged(
            "s3:GetObjectTagging",
            Need::Only("keeping its tags: an edit loses them silently otherwise"),
            judge(cloud, "reading the tags", tagging, ABOUT_THE_OBJECT),
        ),
        judged(
            "s3:GetObjectRetention",
            Need::Only("keeping its retention, if the bucket has Object Lock"),
            judge(cloud, "reading the retention", retention, ABOUT_LOCKS),
        ),
        judged(
            "s3:GetObjectLegalHold",
            Need::Only("keeping its legal hold, if the bucket has Object Lock"),
            judge(cloud, "reading the legal hold", hold, ABOUT_LOCKS),
        ),
    ];
    if let Some(version) = version {
        probes.push(judged(
            "s3:GetObjectVersion",
            Need::Only("`quickdeploy rollback`, and functions in REFERENCE mode"),
            judge(cloud, "reading a version", version, ABOUT_THE_OBJECT),
        ));
    }
    probes.push(Probe::new(
        "s3:ListBucket",
        target.bucket_arn(),
        Need::Only("telling an artifact that is missing from one that is forbidden"),
        judge(cloud, "listing the key", list, &[]),
    ));
    probes.push(Probe::new(
        "s3:ListBucketVersions",
        target.bucket_arn(),
        Need::Only("`quickdeploy history` and `quickdeploy rollback`"),
        judge(cloud, "listing the versions", versions, &[]),
    ));
    probes
}

async fn writes(target: &Target<'_>, store: &S3Store, facts: &Facts) -> Vec<Probe> {
    let Target { cloud, url, settings, .. } = target;
    // Where only the function ever writes, the caller needn't be able to.
    let need = match settings.via {
        Via::Lambda => Need::Only("patching from here: `--via direct`"),
        Via::Auto | Via::Direct => Need::Deployment,
    };
    let abort = cloud.s3.abort_multipart_upload().bucket(&url.bucket).key(&url.key).upload_id(NO_UPLOAD).send().await;
    // Some stores complain about what an id looks like.
    let may_abort = judge(cloud, "aborting an upload", abort, &["NoSuchUpload", "InvalidArgument", "NoSuchKey"]);
    let put = match (&may_abort, &facts.opened) {
        (Verdict::Allowed, Some(opened)) => begin_and_abort(store, opened.object()).await,
        (Verdict::Allowed, None) => Verdict::Unknown(Error::new("NotChecked", "there is no artifact to try it on")),
        _ => Verdict::Unknown(Error::new("NotChecked", "an upload that was begun to try it could not be aborted")),
    };
    vec![
        Probe::new("s3:PutObject", target.object_arn(), need, put),
        Probe::new("s3:AbortMultipartUpload", target.object_arn(), need, may_abort),
    ]
}

/// Begins an upload like that of a deployment, and aborts it.
async fn begin_and_abort(store: &S3Store, artifact: &zipedit::store::s3::S3Object) -> Verdict {
    let begun = store.create(artifact).await;
    let upload = match &begun {
        Ok(upload) => upload.clone(),
        Err(_) => return judge_store("beginning an upload", begun),
    };
    match store.abort(&upload).await {
        Ok(()) => Verdict::Allowed,
        Err(error) => Verdict::Unknown(
            Error::new(
                "UploadLeftBehind",
                format!("it is permitted, but the upload {upload} that tried it was not aborted"),
            )
            .because(&error)
            .hint("`quickdeploy doctor --fix` aborts it when it is a day old"),
        ),
    }
}

/// What a change set takes that is too large for an event: it lies beside the artifact while the function runs.
async fn staged(target: &Target<'_>) -> Vec<Probe> {
    let Target { cloud, url, settings, .. } = target;
    if settings.via == Via::Direct {
        return Vec::new();
    }
    let key = format!("{}.changes-0000000000000000.zip", url.key);
    let need = Need::Only("changes over 6 MB by the zipedit function");
    let abort = cloud.s3.abort_multipart_upload().bucket(&url.bucket).key(&key).upload_id(NO_UPLOAD).send().await;
    let may_abort = match &abort {
        Ok(_) => true,
        Err(error) => matches!(error.code(), Some("NoSuchUpload" | "InvalidArgument" | "NoSuchKey")),
    };
    let resource = format!("{}.changes-*", target.object_arn());
    if !may_abort {
        let unknown = Error::new("NotChecked", "an upload that was begun to try it could not be aborted");
        return vec![Probe::new("s3:PutObject", resource, need, Verdict::Unknown(unknown))];
    }
    let begun = cloud.s3.create_multipart_upload().bucket(&url.bucket).key(&key).send().await;
    let upload = begun.as_ref().ok().and_then(|begun| begun.upload_id()).map(str::to_owned);
    let mut verdict = judge(cloud, "beginning an upload", begun, &[]);
    if let Some(upload) = upload {
        let aborted = cloud.s3.abort_multipart_upload().bucket(&url.bucket).key(&key).upload_id(&upload).send().await;
        if let Err(error) = aborted {
            verdict = Verdict::Unknown(cloud.explain(&format!("could not abort the upload {upload}"), &error));
        }
    }
    vec![Probe::new("s3:PutObject", resource, need, verdict)]
}

/// What is needed and can't be tried without leaving a trace.
pub(crate) fn untried(target: &Target<'_>) -> Option<Untried> {
    (target.settings.via != Via::Direct).then(|| Untried {
        actions: vec!["s3:DeleteObject"],
        resource: format!("{}.changes-*", target.object_arn()),
        purpose: "changes over 6 MB by the zipedit function",
    })
}
