//! The artifact's SHA-256, for when lengths are equal and nobody remembers.
//!
//! S3 knows it when the object was uploaded with a SHA-256 checksum in one piece. Else the object is read through once,
//! pinned to the version that the functions are compared with.

use aws_sdk_s3::types::{ChecksumMode, ChecksumType};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest, Sha256};

use crate::aws::Cloud;
use crate::error::{Error, Result};
use crate::update::Target;

/// base64 of the SHA-256 of exactly the object with the target's ETag: what Lambda calls CodeSha256.
///
/// # Errors
///
/// The object was replaced meanwhile, or can't be read.
pub(crate) async fn sha256(cloud: &Cloud, target: &Target) -> Result<String> {
    if let Some(known) = stored(cloud, target).await {
        return Ok(known);
    }
    let what = format!("could not read s3://{}/{}", target.bucket, target.key);
    let mut object = cloud
        .s3
        .get_object()
        .bucket(&target.bucket)
        .key(&target.key)
        .set_version_id(target.version_id.clone())
        .if_match(&target.etag)
        .send()
        .await
        .map_err(|error| cloud.explain(&what, &error))?;
    let mut hash = Sha256::new();
    let mut length = 0_u64;
    while let Some(chunk) = object.body.next().await {
        let chunk = chunk.map_err(|error| Error::new("Store", what.clone()).because(&error))?;
        length += chunk.len() as u64;
        hash.update(&chunk);
    }
    if length != target.size {
        return Err(Error::new("Store", what).cause(format!("it broke off after {length} of {} bytes", target.size)));
    }
    Ok(BASE64.encode(hash.finalize()))
}

async fn stored(cloud: &Cloud, target: &Target) -> Option<String> {
    let head = cloud
        .s3
        .head_object()
        .bucket(&target.bucket)
        .key(&target.key)
        .set_version_id(target.version_id.clone())
        .if_match(&target.etag)
        .checksum_mode(ChecksumMode::Enabled)
        .send()
        .await
        .ok()?;
    // A checksum over the parts' checksums is something else.
    let whole = head.checksum_type().is_none_or(|kind| *kind == ChecksumType::FullObject);
    head.checksum_sha256().filter(|sum| whole && !sum.contains('-')).map(str::to_owned)
}
