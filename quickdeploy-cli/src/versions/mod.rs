//! The artifact's versions, as S3 keeps them.
//!
//! All there is to know comes from S3, so any machine has the same history: the listing tells when and how large, a
//! version's metadata who wrote it (see [`crate::stamp`]), and its central directory what it holds, so that two of them
//! tell what changed. A directory is the tail of its object: one ranged read per version, whose headers bring the
//! metadata along. Versions never change, so what was found out is kept in [`cache`].
//!
//! [`list`] lists; [`look`] reads; [`changes`] compares; [`back`] says where a rollback goes; [`runs`] which functions run
//! which version.

pub(crate) mod back;
pub(crate) mod cache;
pub(crate) mod changes;
pub(crate) mod look;
pub(crate) mod runs;

use std::time::SystemTime;

use aws_sdk_s3::types::BucketVersioningStatus;

use crate::aws::Cloud;
use crate::error::Result;
use crate::project::ArtifactUrl;

/// Shown of a version id, unless more is needed to tell two apart.
const SHORT: usize = 8;

/// One version of the artifact, or the mark that it was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    /// `null` for one from before versions were kept.
    pub(crate) id: String,
    pub(crate) modified: SystemTime,
    pub(crate) is_latest: bool,
    pub(crate) what: What,
}

/// What a version is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Object {
        /// In bytes.
        size: u64,
        etag: String,
        storage_class: String,
    },
    DeleteMarker,
}

impl Version {
    /// Size in bytes and ETag of an object.
    pub(crate) fn object(&self) -> Option<(u64, &str)> {
        match &self.what {
            What::Object { size, etag, .. } => Some((*size, etag)),
            What::DeleteMarker => None,
        }
    }

    /// Whether both are the same bytes as far as the listing tells. An ETag is a hash of the bytes or of the parts they
    /// were uploaded in: different ETags say nothing.
    pub(crate) fn is_same_object(&self, other: &Self) -> bool {
        self.object().is_some() && self.object() == other.object()
    }
}

/// Lists the artifact's versions, newest first: at least `enough` of them, if there are so many.
///
/// # Errors
///
/// No such bucket, or no permission.
pub(crate) async fn list(cloud: &Cloud, url: &ArtifactUrl, enough: usize) -> Result<Vec<Version>> {
    let mut found = Vec::new();
    let (mut key_marker, mut id_marker) = (None, None);
    loop {
        let page = cloud
            .s3
            .list_object_versions()
            .bucket(&url.bucket)
            .prefix(&url.key)
            .set_key_marker(key_marker)
            .set_version_id_marker(id_marker)
            .send()
            .await
            .map_err(|error| {
                cloud
                    .explain(&format!("could not list the versions of {url}"), &error)
                    .hint("the action is `s3:ListBucketVersions`, on the bucket")
            })?;
        let objects = page.versions().iter().filter(|it| it.key() == Some(&url.key)).filter_map(|it| {
            Some(Version {
                id: it.version_id()?.to_owned(),
                modified: SystemTime::try_from(*it.last_modified()?).ok()?,
                is_latest: it.is_latest() == Some(true),
                what: What::Object {
                    size: u64::try_from(it.size().unwrap_or(0)).unwrap_or(0),
                    etag: it.e_tag().unwrap_or_default().to_owned(),
                    storage_class: it.storage_class().map_or("STANDARD", |class| class.as_str()).to_owned(),
                },
            })
        });
        let markers = page.delete_markers().iter().filter(|it| it.key() == Some(&url.key)).filter_map(|it| {
            Some(Version {
                id: it.version_id()?.to_owned(),
                modified: SystemTime::try_from(*it.last_modified()?).ok()?,
                is_latest: it.is_latest() == Some(true),
                what: What::DeleteMarker,
            })
        });
        found.extend(merged(objects.collect(), markers.collect()));
        // Keys come in order, and this one is the first that begins with itself.
        let goes_on = page.next_key_marker() == Some(&url.key);
        if page.is_truncated() != Some(true) || !goes_on || found.len() >= enough {
            return Ok(found);
        }
        key_marker = page.next_key_marker().map(str::to_owned);
        id_marker = page.next_version_id_marker().map(str::to_owned);
    }
}

/// S3 lists both kinds in one order, newest first; the SDK hands them over apart.
fn merged(objects: Vec<Version>, markers: Vec<Version>) -> Vec<Version> {
    let mut all = Vec::with_capacity(objects.len() + markers.len());
    let (mut objects, mut markers) = (objects.into_iter().peekable(), markers.into_iter().peekable());
    loop {
        let takes_marker = match (objects.peek(), markers.peek()) {
            (None, None) => return all,
            (Some(object), Some(marker)) => {
                marker.is_latest || (!object.is_latest && marker.modified >= object.modified)
            }
            (object, _) => object.is_none(),
        };
        all.extend(if takes_marker { markers.next() } else { objects.next() });
    }
}

/// Whether a bucket keeps versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Versioning {
    Enabled,
    /// Old versions are there still; new ones are not kept.
    Suspended,
    Off,
}

impl Versioning {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Versioning::Enabled => "enabled",
            Versioning::Suspended => "suspended",
            Versioning::Off => "off",
        }
    }
}

/// Asks the bucket.
///
/// # Errors
///
/// No such bucket, or no permission.
pub(crate) async fn versioning(cloud: &Cloud, bucket: &str) -> Result<Versioning> {
    let asked = cloud.s3.get_bucket_versioning().bucket(bucket).send().await;
    let answer = asked.map_err(|error| {
        cloud
            .explain(&format!("could not ask whether the bucket `{bucket}` keeps versions"), &error)
            .hint("the action is `s3:GetBucketVersioning`, on the bucket")
    })?;
    Ok(match answer.status() {
        Some(BucketVersioningStatus::Enabled) => Versioning::Enabled,
        Some(_) => Versioning::Suspended,
        None => Versioning::Off,
    })
}

/// How to turn versioning on.
pub(crate) fn how_to_keep_versions(bucket: &str) -> String {
    format!(
        "keep versions from now on: `aws s3api put-bucket-versioning --bucket {bucket} \
         --versioning-configuration Status=Enabled`"
    )
}

/// How many characters of an id tell all of `versions` apart, at least eight.
pub(crate) fn short_length(versions: &[Version]) -> usize {
    let mut ids: Vec<&str> = versions.iter().map(|version| version.id.as_str()).collect();
    ids.sort_unstable();
    let in_common = |pair: &[&str]| pair[0].chars().zip(pair[1].chars()).take_while(|(a, b)| a == b).count();
    ids.windows(2).map(|pair| in_common(pair) + 1).max().unwrap_or(0).max(SHORT)
}

/// The first `length` characters of an id.
pub(crate) fn short(id: &str, length: usize) -> &str {
    id.char_indices().nth(length).map_or(id, |(end, _)| &id[..end])
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use super::*;

    /// A version that was written so many seconds after the epoch.
    pub(crate) fn object(id: &str, at: u64, size: u64) -> Version {
        let what = What::Object { size, etag: format!("\"{id}\""), storage_class: "STANDARD".into() };
        Version { id: id.into(), modified: SystemTime::UNIX_EPOCH + Duration::from_secs(at), is_latest: false, what }
    }

    pub(crate) fn marker(id: &str, at: u64) -> Version {
        Version { what: What::DeleteMarker, ..object(id, at, 0) }
    }

    #[test]
    fn delete_markers_take_their_place_among_the_versions() {
        let mut latest = marker("m2", 50);
        latest.is_latest = true;
        let all = merged(vec![object("v2", 50, 1), object("v1", 10, 1)], vec![latest, marker("m1", 20)]);
        let ids: Vec<&str> = all.iter().map(|version| version.id.as_str()).collect();
        assert_eq!(ids, ["m2", "v2", "m1", "v1"]);
    }

    #[test]
    fn an_id_is_shown_as_short_as_it_is_still_unique() {
        let ids = |ids: &[&str]| ids.iter().map(|id| object(id, 0, 0)).collect::<Vec<_>>();
        assert_eq!(short_length(&ids(&["abcdefghijkl", "xyzabcdefghi"])), 8);
        assert_eq!(short_length(&ids(&["AAAAAAAAAA1xyz", "AAAAAAAAAA2xyz"])), 11);
        assert_eq!(short("3sL4kqtJlcpXroDTDmJ", 8), "3sL4kqtJ");
        assert_eq!(short("null", 8), "null");
    }
}
