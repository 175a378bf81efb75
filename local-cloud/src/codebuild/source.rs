//! Fetches what a build builds from, and finds its buildspec.

use std::io::Cursor;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::build::{Context, Plan};
use super::buildspec::Buildspec;
use crate::lambda::{ObjectError, Objects as _, unpack_into};
use crate::s3::Store;

/// Where the buildspec lies unless the project says otherwise.
const USUAL_BUILDSPEC: &str = "buildspec.yml";

/// Puts the source code into a directory.
pub(super) async fn fetch(store: &Arc<Store>, plan: &Plan, into: &Path) -> Result<(), Context> {
    let location = plan.source.location.as_deref().unwrap_or_default();
    match (plan.source.kind.as_str(), location.split_once('/')) {
        ("NO_SOURCE", _) => Ok(()),
        ("S3", Some((bucket, prefix))) if prefix.ends_with('/') => fetch_all(store, bucket, prefix, into).await,
        ("S3", Some((bucket, key))) => {
            let zip = object(store, bucket, key, plan.source_version.as_deref())?;
            let into = into.to_owned();
            let unpacked = tokio::task::spawn_blocking(move || unpack_into(Cursor::new(zip), &into)).await;
            let problem = match unpacked {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => error.to_string(),
                Err(error) => error.to_string(),
            };
            Err(Context::client(format!("could not unzip the source s3://{location}: {problem}")))
        }
        (kind, _) => {
            Err(Context::client(format!("the local cloud builds from S3 and from NO_SOURCE, not from {kind}")))
        }
    }
}

/// All objects whose keys begin with `prefix`, as files.
async fn fetch_all(store: &Arc<Store>, bucket: &str, prefix: &str, into: &Path) -> Result<(), Context> {
    let keys =
        store.keys(bucket, prefix).map_err(|refusal| refused(refusal.code(), refusal.message(), bucket, prefix))?;
    if keys.is_empty() {
        return Err(refused("NoSuchKey", "The specified key does not exist.", bucket, prefix));
    }
    for key in keys {
        // A key that ends with a slash is what consoles make of a folder.
        let Some(name) = inside(&key[prefix.len()..]) else { continue };
        let path = into.join(name);
        let failed = |error: std::io::Error| Context::client(format!("could not write {}: {error}", path.display()));
        if let Some(parent) = path.parent() {
            tokio::fs::create_dir_all(parent).await.map_err(failed)?;
        }
        tokio::fs::write(&path, object(store, bucket, &key, None)?).await.map_err(failed)?;
    }
    Ok(())
}

/// The rest of a key as a path that leads nowhere else.
fn inside(name: &str) -> Option<PathBuf> {
    let path = Path::new(name);
    let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    (plain && !name.is_empty() && !name.ends_with('/')).then(|| path.to_owned())
}

fn object(store: &Store, bucket: &str, key: &str, version: Option<&str>) -> Result<Vec<u8>, Context> {
    let found = store.object(bucket, key, version).map_err(|error| {
        let code = match error {
            ObjectError::NoSuchBucket => "NoSuchBucket",
            ObjectError::NoSuchKey => "NoSuchKey",
            ObjectError::NoSuchVersion => "NoSuchVersion",
        };
        refused(code, &error.to_string(), bucket, key)
    })?;
    Ok(found.chunks.concat())
}

/// S3's refusal, as the agent reports it.
fn refused(code: &str, message: &str, bucket: &str, key: &str) -> Context {
    Context::client(format!("{code}: {message} for primary source s3://{bucket}/{key}"))
}

/// The build's buildspec: given itself, or by its place in the source or in S3.
pub(super) async fn buildspec(store: &Arc<Store>, plan: &Plan, source: &Path) -> Result<Buildspec, Context> {
    let failed = |message: String| Context::new("YAML_FILE_ERROR", message);
    let text = if let Some(text) = plan.source.inline_buildspec() {
        text.to_owned()
    } else {
        let place = plan.source.buildspec.as_deref().filter(|place| !place.is_empty()).unwrap_or(USUAL_BUILDSPEC);
        let bytes = match place.strip_prefix("arn:aws:s3:::").and_then(|place| place.split_once('/')) {
            Some((bucket, key)) => object(store, bucket, key, None)?,
            None => tokio::fs::read(source.join(place))
                .await
                .map_err(|error| failed(format!("YAML file does not exist: {place}: {error}")))?,
        };
        String::from_utf8_lossy(&bytes).into_owned()
    };
    Buildspec::read(&text).map_err(failed)
}
