//! The zip: there, readable, and what S3 knows of it.

use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use zipedit::{Object as _, S3Store};

use super::Target;
use super::finding::{Area, Finding, Level};
use crate::ui::{bytes, count};
use crate::via::S3Artifact;

/// What is known of the object.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// Its list of entries, if it is a zip.
    pub(crate) opened: Option<S3Artifact>,
    pub(crate) head: Option<HeadObjectOutput>,
    /// Its tags; `None`: they may not be read.
    pub(crate) tags: Option<Vec<(String, String)>>,
}

impl Facts {
    /// Length in bytes; 0 where it isn't known.
    pub(crate) fn size(&self) -> u64 {
        self.head
            .as_ref()
            .and_then(HeadObjectOutput::content_length)
            .and_then(|size| u64::try_from(size).ok())
            .unwrap_or(0)
    }

    /// Its version, in a bucket that has versions.
    pub(crate) fn version_id(&self) -> Option<&str> {
        self.opened.as_ref().and_then(|opened| opened.object().version_id())
    }
}

/// Reads all of it.
pub(crate) async fn examine(target: &Target<'_>, store: &S3Store) -> (Vec<Finding>, Facts) {
    let Target { cloud, url, .. } = target;
    let head = cloud.s3.head_object().bucket(&url.bucket).key(&url.key).send();
    let tags = cloud.s3.get_object_tagging().bucket(&url.bucket).key(&url.key).send();
    let (opened, head, tags) = tokio::join!(zipedit::open(store), head, tags);
    let head = head.ok();
    let tags = tags.ok().map(|tags| {
        tags.tag_set().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect::<Vec<_>>()
    });
    let mut findings = Vec::new();
    let opened = match opened {
        Ok(opened) => {
            let entries = opened.directory().entries().count();
            let size = bytes(opened.object().size());
            let message = format!("{url}: {size}, {}", entries_of(entries));
            findings.push(Finding::ok(Area::Artifact, "artifact", message));
            Some(opened)
        }
        Err(error) => {
            let told = cloud.explain_engine(&error);
            let mut finding = Finding::of_error(Level::Failed, Area::Artifact, "artifact", &told);
            match told.error_type() {
                "ArtifactNotFound" => {
                    finding = finding
                        .mend("check `artifact` in quickdeploy.toml, and the region")
                        .mend("the first artifact comes from your full build: `quickdeploy full`");
                }
                "NotAZip" => {
                    finding = finding.mend("is it the zip that the functions are deployed from?");
                }
                _ => {}
            }
            findings.push(finding);
            None
        }
    };
    findings.extend(head.as_ref().and_then(|head| archived(target, head)));
    (findings, Facts { opened, head, tags })
}

fn entries_of(number: usize) -> String {
    if number == 1 { "1 entry".to_owned() } else { format!("{} entries", count(number as u64)) }
}

/// An object that has to be restored before anybody can read it.
fn archived(target: &Target<'_>, head: &HeadObjectOutput) -> Option<Finding> {
    let class = head.storage_class()?.as_str();
    let archived = matches!(class, "GLACIER" | "DEEP_ARCHIVE") || head.archive_status().is_some();
    let restored = head.restore().is_some_and(|restore| restore.contains("ongoing-request=\"false\""));
    (archived && !restored).then(|| {
        let url = &target.url;
        let message = format!("{url} is archived ({class}): neither can it be edited nor deployed from");
        let copy = format!("aws s3 cp {url} {url} --storage-class STANDARD --force-glacier-transfer");
        Finding::new(Level::Failed, Area::Artifact, "archived", message)
            .mend(format!("restore it (`aws s3api restore-object`), then `{copy}`"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_counted_in_english() {
        assert_eq!([0, 1, 2].map(entries_of), ["0 entries", "1 entry", "2 entries"]);
    }
}
