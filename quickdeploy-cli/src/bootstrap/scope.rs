//! What the function may touch: keys below one prefix of one bucket. Pure.

use crate::error::{Error, Result};
use crate::project::ArtifactUrl;

/// Where the function may edit artifacts. `None`: an existing stack keeps what it has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) bucket: Option<String>,
    /// Empty, or with a `/` at its end.
    pub(crate) prefix: Option<String>,
}

impl Scope {
    /// As the flags say, else so that it covers these artifacts.
    ///
    /// # Errors
    ///
    /// Wrong usage: a prefix that isn't one; artifacts in several buckets.
    pub(crate) fn of(bucket: Option<&str>, prefix: Option<&str>, artifacts: &[ArtifactUrl]) -> Result<Self> {
        let prefix = prefix.map(checked).transpose()?;
        if let Some(bucket) = bucket {
            let here: Vec<&ArtifactUrl> = artifacts.iter().filter(|artifact| artifact.bucket == bucket).collect();
            let prefix = prefix.or_else(|| common_folder(&here));
            return Ok(Self { bucket: Some(bucket.to_owned()), prefix });
        }
        let Some(first) = artifacts.first() else { return Ok(Self { bucket: None, prefix }) };
        if let Some(other) = artifacts.iter().find(|artifact| artifact.bucket != first.bucket) {
            return Err(Error::usage(format!(
                "the artifacts are in several buckets, {} and {}, and the function's role covers one",
                first.bucket, other.bucket
            ))
            .hint(
                "choose one with `--bucket`, and make another stack for the other: `--stack-name`, `--function-name`",
            ));
        }
        let prefix = prefix.or_else(|| common_folder(&artifacts.iter().collect::<Vec<_>>()));
        Ok(Self { bucket: Some(first.bucket.clone()), prefix })
    }
}

/// A prefix as the template takes it.
fn checked(prefix: &str) -> Result<String> {
    if prefix.starts_with('/') || prefix.contains(['*', '?', '$']) {
        return Err(Error::usage(format!("`{prefix}` is not a prefix that the function's role can be given"))
            .hint("it begins without `/`, holds none of * ? $, and ends with `/`: `--prefix app/`"));
    }
    // Without it, `app` would cover `app-of-somebody-else` as well.
    Ok(if prefix.is_empty() || prefix.ends_with('/') { prefix.to_owned() } else { format!("{prefix}/") })
}

/// The deepest folder that all of them are in; empty: they have none in common. `None`: there are no artifacts.
fn common_folder(artifacts: &[&ArtifactUrl]) -> Option<String> {
    let folders = |key: &str| -> Vec<String> {
        let mut parts: Vec<String> = key.split('/').map(str::to_owned).collect();
        parts.pop();
        parts
    };
    let mut common = folders(&artifacts.first()?.key);
    for artifact in artifacts {
        let shared = common.iter().zip(folders(&artifact.key)).take_while(|(one, other)| *one == other).count();
        common.truncate(shared);
    }
    // Characters that mean something in a policy can't be in the template's prefix.
    if let Some(special) = common.iter().position(|part| part.contains(['*', '?', '$']) || part.is_empty()) {
        common.truncate(special);
    }
    Some(common.into_iter().map(|part| format!("{part}/")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn artifacts(urls: &[&str]) -> Vec<ArtifactUrl> {
        urls.iter().map(|url| url.parse().unwrap()).collect()
    }

    fn scope(bucket: &str, prefix: &str) -> Scope {
        Scope { bucket: Some(bucket.into()), prefix: Some(prefix.into()) }
    }

    #[test]
    fn the_prefix_is_the_folder_of_the_artifacts() {
        let of = |urls: &[&str]| Scope::of(None, None, &artifacts(urls)).unwrap();
        assert_eq!(of(&["s3://bkt/app/api.zip"]), scope("bkt", "app/"));
        assert_eq!(of(&["s3://bkt/app/api/x.zip", "s3://bkt/app/worker/x.zip"]), scope("bkt", "app/"));
        assert_eq!(of(&["s3://bkt/api/x.zip", "s3://bkt/api-2/x.zip"]), scope("bkt", ""));
        assert_eq!(of(&["s3://bkt/x.zip"]), scope("bkt", ""));
        assert_eq!(of(&["s3://bkt/a/b$/x.zip"]), scope("bkt", "a/"));
    }

    #[test]
    fn flags_win_and_a_prefix_ends_with_a_slash() {
        let here = artifacts(&["s3://bkt/app/api.zip"]);
        assert_eq!(Scope::of(Some("other"), Some("x"), &here).unwrap(), scope("other", "x/"));
        assert_eq!(Scope::of(None, Some(""), &here).unwrap(), scope("bkt", ""));
        assert_eq!(Scope::of(Some("bkt"), None, &here).unwrap(), scope("bkt", "app/"));
        assert_eq!(
            Scope::of(Some("other"), None, &here).unwrap(),
            Scope { bucket: Some("other".into()), prefix: None }
        );
        for wrong in ["/app/", "app*/", "${x}/"] {
            assert_eq!(Scope::of(None, Some(wrong), &here).unwrap_err().exit_code(), 2, "{wrong}");
        }
    }

    #[test]
    fn one_role_covers_one_bucket() {
        let both = artifacts(&["s3://one/app/api.zip", "s3://two/app/api.zip"]);
        assert!(Scope::of(None, None, &both).unwrap_err().message().contains("one and two"));
        assert_eq!(Scope::of(Some("two"), None, &both).unwrap(), scope("two", "app/"));
    }

    #[test]
    fn nothing_known_is_nothing_said() {
        assert_eq!(Scope::of(None, None, &[]).unwrap(), Scope::default());
    }
}
