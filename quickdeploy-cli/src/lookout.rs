//! Whether the artifact is still the version that is being rolled out: one HEAD a look.

use aws_sdk_s3::operation::head_object::HeadObjectError;
use serde::Serialize;
use tokio::sync::Mutex;

use crate::aws::Cloud;
use crate::error::Result;
use crate::update::Target;

/// A version of the artifact that came after the one that was to be rolled out.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct Newer {
    pub(crate) etag: String,
    pub(crate) version_id: Option<String>,
    /// In bytes.
    pub(crate) size: u64,
    /// Names of entries that this run has put or deleted and that are something else in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) superseded: Vec<String>,
}

/// What a look at the artifact found.
#[derive(Clone, Debug)]
pub(crate) enum Look {
    /// It is what is being rolled out.
    Current,
    /// Somebody else has written.
    Other(Newer),
    /// It was deleted: there is nothing that functions could be updated to.
    Gone,
}

/// Looks at one target's artifact.
#[derive(Debug)]
pub(crate) struct Lookout<'a> {
    cloud: &'a Cloud,
    target: &'a Target,
    /// What is there instead, once that was seen.
    other: Mutex<Option<Newer>>,
}

impl<'a> Lookout<'a> {
    /// Nothing was looked at yet.
    pub(crate) fn of(cloud: &'a Cloud, target: &'a Target) -> Self {
        Self { cloud, target, other: Mutex::default() }
    }

    /// What is there. Once it was another version, no further request is made: then the target is out of date for good.
    ///
    /// # Errors
    ///
    /// It can't be asked for.
    pub(crate) async fn look(&self) -> Result<Look> {
        let mut other = self.other.lock().await;
        if let Some(other) = other.clone() {
            return Ok(Look::Other(other));
        }
        let look = self.ask().await?;
        if let Look::Other(newer) = &look {
            *other = Some(newer.clone());
        }
        Ok(look)
    }

    /// Whether there is no use in rolling out the target any more.
    pub(crate) async fn is_out_of_date(&self) -> bool {
        matches!(self.look().await, Ok(Look::Other(_)))
    }

    async fn ask(&self) -> Result<Look> {
        let Target { bucket, key, etag, .. } = self.target;
        match self.cloud.s3.head_object().bucket(bucket).key(key).send().await {
            Ok(head) => {
                let current = head.e_tag().unwrap_or_default();
                // While versioning is suspended, whatever is written takes the place of the one that is called so.
                let version_id = head.version_id().filter(|version| *version != "null");
                let same = match (&self.target.version_id, version_id) {
                    (Some(ours), Some(current)) => ours == current,
                    _ => etag == current,
                };
                if same {
                    return Ok(Look::Current);
                }
                Ok(Look::Other(Newer {
                    etag: current.to_owned(),
                    version_id: version_id.map(str::to_owned),
                    size: head.content_length().and_then(|length| u64::try_from(length).ok()).unwrap_or(0),
                    superseded: Vec::new(),
                }))
            }
            Err(error) if error.as_service_error().is_some_and(HeadObjectError::is_not_found) => Ok(Look::Gone),
            Err(error) => {
                let what = format!("could not look whether s3://{bucket}/{key} was changed again");
                Err(self.cloud.explain(&what, &error))
            }
        }
    }
}
