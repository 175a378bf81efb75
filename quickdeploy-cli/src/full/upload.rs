//! The package takes the artifact's place in S3, if the artifact is still what it was when the full build began.
//!
//! What is carried over from the old object (headers, metadata, tags, encryption, locks), what guards the write and
//! which checksums go with it is the engine's affair ([`zipedit::S3Store`]). Here are the parts, in parallel, and the bar.

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use zipedit::store::s3::S3Object;
use zipedit::store::{Slot, Store as _};
use zipedit::{Object as _, S3Store};

use super::package::Package;
use crate::aws::Cloud;
use crate::error::{Error, Result};
use crate::interrupt::{Interrupts, nothing_changed};
use crate::ui::{Progress, Ui};

/// A package of at most so many bytes is sent at once.
const SMALL: u64 = 8 << 20;
/// Length of the parts of a longer one, in bytes.
const PART: u64 = 8 << 20;
/// So many parts are under way at once.
const AT_ONCE: usize = 4;

/// Writes the package in the place of `base`.
///
/// # Errors
///
/// `Conflict`: somebody else wrote in the meantime. Whatever the error, the artifact is as it was, and no part of the
/// upload is left behind.
pub(super) async fn upload(
    ui: &Ui,
    cloud: &Cloud,
    store: &S3Store,
    base: &S3Object,
    package: &Package,
    interrupts: &Interrupts,
) -> Result<S3Object> {
    let size = package.packaged.bytes;
    let progress = ui.progress("Uploading");
    progress.of_bytes(size);
    if interrupts.so_far() > 0 {
        return Err(nothing_changed());
    }
    if size <= SMALL {
        let body = package.read(0, size).await?;
        let put = store.put(base, body);
        return put.await.map_err(|error| refused(cloud, store, error));
    }
    let upload = store.create(base).await.map_err(|error| refused(cloud, store, error))?;
    let sent = tokio::select! {
        sent = send_parts(cloud, store, &upload, package, &progress) => sent,
        () = interrupts.nth(1) => Err(nothing_changed()),
    };
    let written = match sent {
        Ok(parts) => store.complete(&upload, base, parts, size).await.map_err(|error| refused(cloud, store, error)),
        Err(error) => Err(error),
    };
    if written.is_err()
        && let Err(left) = store.abort(&upload).await
    {
        let left = cloud.explain_engine(&zipedit::Error::store(store.location(), left));
        ui.warning(
            &left,
            &["the upload's parts are still there, and cost; a lifecycle rule can discard them".to_owned()],
        );
    }
    written
}

async fn send_parts(
    cloud: &Cloud,
    store: &S3Store,
    upload: &<S3Store as zipedit::Store>::Upload,
    package: &Package,
    progress: &Progress<'_>,
) -> Result<Vec<<S3Store as zipedit::Store>::Part>> {
    let size = package.packaged.bytes;
    let offsets = (0..size.div_ceil(PART)).map(|number| number * PART);
    stream::iter(offsets.zip(1..))
        .map(|(offset, number)| async move {
            let length = PART.min(size - offset);
            let body = package.read(offset, length).await?;
            let part = store.upload_part(upload, Slot { number, offset }, body).await;
            let part = part.map_err(|error| refused(cloud, store, error))?;
            progress.advance_by(length);
            Ok(part)
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await
}

fn refused(cloud: &Cloud, store: &S3Store, error: zipedit::StoreError) -> Error {
    match error {
        zipedit::StoreError::Changed { .. } => {
            Error::new("Conflict", format!("{} was changed by somebody else during the full build", store.location()))
                .hint(
                    "what they wrote is still there; run `quickdeploy full` again, if this build shall take its place",
                )
        }
        error => cloud.explain_engine(&zipedit::Error::store(store.location(), error)),
    }
}

/// Whether the artifact has the package's bytes already, by the checksum that S3 keeps. An object that was stored without
/// one isn't known to be the same.
pub(super) async fn is_there(cloud: &Cloud, bucket: &str, key: &str, base: &S3Object, package: &Package) -> bool {
    if base.size() != package.packaged.bytes {
        return false;
    }
    let head = cloud
        .s3
        .head_object()
        .bucket(bucket)
        .key(key)
        .if_match(base.etag())
        .checksum_mode(aws_sdk_s3::types::ChecksumMode::Enabled)
        .send()
        .await;
    let whole = |head: &aws_sdk_s3::operation::head_object::HeadObjectOutput| {
        head.checksum_type().is_none_or(|kind| *kind == aws_sdk_s3::types::ChecksumType::FullObject)
    };
    head.is_ok_and(|head| whole(&head) && head.checksum_crc64_nvme() == Some(package.crc64.as_str()))
}
