//! The package takes the artifact's place in S3, if the artifact is still what it was when the full build began.
//!
//! What is carried over from the old object, what guards the write, the parts and what becomes of them is the engine's
//! affair ([`zipedit::S3Store::replace`]). Here are the bytes, the bar, and the words for what went wrong.

use zipedit::Store as _;
use zipedit::store::s3::S3Object;
use zipedit::{Error as EditError, Object as _, S3Store, Stop};

use super::package::Package;
use crate::aws::Cloud;
use crate::error::{Error, Result};
use crate::interrupt::{Interrupts, nothing_changed};
use crate::ui::Ui;

/// Writes the package in the place of `base`. An interrupt before the commit ends it.
///
/// # Errors
///
/// `Conflict`: somebody else wrote in the meantime. But for the error that says that the fate of the commit isn't known,
/// the artifact is as it was, and no part of the upload is left behind.
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
    let stop = Stop::never();
    let replacing = store.replace(base, size, |range| package.read(range), |sent| progress.advance_by(sent), &stop);
    let replaced = interrupts.stopping(ui, store.location(), &stop, replacing).await?;
    replaced.map_err(|error| match error {
        EditError::Overtaken { location } => {
            Error::new("Conflict", format!("{location} was changed by somebody else during the full build")).hint(
                "what they wrote is still there; run `quickdeploy full` again, if this build shall take its place",
            )
        }
        EditError::Interrupted { .. } => nothing_changed(),
        error => cloud.explain_engine(&error),
    })
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
