//! Puts the package that functions run into S3, where it wasn't: from then on it is the artifact.
//!
//! Nothing is overwritten (`If-None-Match: *`), and S3 checks the upload against CodeSha256, which it then keeps as the
//! object's checksum: later runs know its hash without reading it.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::BucketVersioningStatus;

use super::live::Package;
use crate::aws::Cloud;
use crate::error::{Error, Result};
use crate::project::ArtifactUrl;

/// Downloads the package and uploads it as `url`.
///
/// # Errors
///
/// The package can't be downloaded any more; the object is there already; the bucket isn't, or may not be written to.
pub(crate) async fn adopt(cloud: &Cloud, package: &Package, url: &ArtifactUrl) -> Result<()> {
    let code = package.functions.iter().find_map(|live| live.code.as_ref()).ok_or_else(|| {
        Error::new("LiveCode", "Lambda does not give the package out").hint("the call needs lambda:GetFunction")
    })?;
    let file = tempfile::NamedTempFile::new()
        .map_err(|error| Error::new("File", "could not make a temporary file").because(&error))?;
    let length = code.download(file.path()).await?;
    if length != package.size {
        return Err(Error::new("LiveCode", "the package that the functions run was not downloaded completely")
            .cause(format!("{length} of {} bytes", package.size))
            .hint("run it again; if the functions were updated meanwhile, they have other code now"));
    }
    let body = ByteStream::from_path(file.path())
        .await
        .map_err(|error| Error::new("File", "could not read the downloaded package").because(&error))?;
    let put = cloud
        .s3
        .put_object()
        .bucket(&url.bucket)
        .key(&url.key)
        .if_none_match("*")
        .content_type("application/zip")
        .checksum_sha256(&package.sha256)
        .body(body)
        .send()
        .await;
    match put {
        Ok(_) => Ok(()),
        Err(error) => {
            let status = error.raw_response().map(|response| response.status().as_u16());
            let told = cloud.explain(&format!("could not put the package to {url}"), &error);
            Err(match status {
                Some(412 | 409) => Error::new("ArtifactExists", format!("{url} is there already, with other code"))
                    .hint("choose another key, or leave `--adopt` away to take it as it is"),
                Some(404) => told.hint("create the bucket first, best one with versions, in the functions' region"),
                _ => told,
            })
        }
    }
}

/// Whether the bucket keeps versions; `None`: it may not be asked.
pub(crate) async fn has_versions(cloud: &Cloud, bucket: &str) -> Option<bool> {
    let answer = cloud.s3.get_bucket_versioning().bucket(bucket).send().await.ok()?;
    Some(answer.status() == Some(&BucketVersioningStatus::Enabled))
}
