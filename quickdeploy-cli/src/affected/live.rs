//! The files in the zip that a function runs, from its central directory alone.
//!
//! `GetFunction` names a place to download the zip from, or for a function in REFERENCE mode the object version in S3.
//! Only the end is read. Functions with the same CodeSha256 run the same zip, so one of them is asked; and those that
//! run the artifact as it is now need no request at all.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::future::join_all;
use zipedit::artifact::TAIL;
use zipedit::directory::Search;
use zipedit::{Directory, Object as _};

use super::{Names, names_of};
use crate::aws::Cloud;
use crate::error::{Error, Result};
use crate::functions::{Function, Reference, read};
use crate::via::S3Artifact;

/// The files in the zips that these functions run, by CodeSha256; or why they are not known.
pub(super) async fn all<'f>(
    cloud: &Cloud,
    artifact: &S3Artifact,
    current: &Arc<Names>,
    sha256: Option<&str>,
    functions: &'f [Function],
) -> HashMap<&'f str, Result<Arc<Names>, String>> {
    let runs_artifact = |function: &Function| match &function.referenced {
        Some(reference) => {
            reference.version_id.is_some() && reference.version_id.as_deref() == artifact.object().version_id()
        }
        None => sha256 == Some(function.code_sha256.as_str()),
    };
    let mut one_of_each: BTreeMap<&str, &Function> = BTreeMap::new();
    for function in functions {
        let one = one_of_each.entry(&function.code_sha256).or_insert(function);
        if runs_artifact(function) {
            *one = function;
        }
    }
    let known = one_of_each.into_iter().map(async |(sha256, function)| {
        if runs_artifact(function) {
            return (sha256, Ok(Arc::clone(current)));
        }
        (sha256, names(cloud, function).await.map_err(|error| error.to_string()))
    });
    join_all(known).await.into_iter().collect()
}

/// What was read in this process, by CodeSha256: that says what is in a zip, so it holds for good. A function that is
/// left on older code is asked about at every save while `watch` runs.
static READ: Mutex<BTreeMap<String, Arc<Names>>> = Mutex::new(BTreeMap::new());

async fn names(cloud: &Cloud, function: &Function) -> Result<Arc<Names>> {
    let known = || READ.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(names) = known().get(&function.code_sha256) {
        return Ok(Arc::clone(names));
    }
    let names = Arc::new(names_of(&directory(cloud, function).await?));
    known().insert(function.code_sha256.clone(), Arc::clone(&names));
    Ok(names)
}

async fn directory(cloud: &Cloud, function: &Function) -> Result<Directory> {
    let first = match (&function.referenced, &function.code) {
        (Some(reference), _) => return directory_of_version(cloud, reference, function.code_size).await,
        (None, Some(code)) => code.directory(function.code_size).await,
        (None, None) => Err(Error::new("LiveCode", "Lambda does not give the package out")),
    };
    match first {
        Ok(directory) => Ok(directory),
        // The place is good for some minutes, and `watch` knows it for longer.
        Err(error) => match read(cloud, &function.name).await? {
            Function { code: Some(code), code_sha256, code_size, .. } if code_sha256 == function.code_sha256 => {
                code.directory(code_size).await
            }
            _ => Err(error),
        },
    }
}

/// Of a version that may no longer be the current one.
async fn directory_of_version(cloud: &Cloud, reference: &Reference, size: u64) -> Result<Directory> {
    let Reference { bucket, key, version_id } = reference;
    let what = format!("could not read s3://{bucket}/{key}");
    let read = async |from: u64| -> Result<Bytes> {
        let range = format!("bytes={from}-{}", size.saturating_sub(1));
        let get = cloud.s3.get_object().bucket(bucket).key(key).set_version_id(version_id.clone()).range(range);
        let object = get.send().await.map_err(|error| cloud.explain(&what, &error))?;
        let bytes = object.body.collect().await.map_err(|error| Error::new("Store", what.clone()).because(&error))?;
        let bytes = bytes.into_bytes();
        if bytes.len() as u64 != size - from {
            return Err(Error::new("Store", what.clone()).cause("it does not have the length that Lambda says"));
        }
        Ok(bytes)
    };
    let mut tail = read(size.saturating_sub(TAIL)).await?;
    loop {
        let search = Directory::find(&tail, size);
        match search.map_err(|error| Error::new("NotAZip", what.clone()).because(&error))? {
            Search::Found(directory) => return Ok(directory),
            Search::ReadFrom(from) => tail = read(from).await?,
        }
    }
}
