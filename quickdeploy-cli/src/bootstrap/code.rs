//! The code's way into its bucket.

use aws_sdk_s3::error::SdkError;

use super::zip::Zip;
use crate::aws::Cloud;
use crate::error::Result;
use crate::ui::{Ui, bytes};

/// Puts the zip there, unless it is there. The answer is whether it was not.
///
/// # Errors
///
/// S3's, in clear words.
pub(super) async fn upload(ui: &Ui, cloud: &Cloud, bucket: &str, key: &str, zip: &Zip) -> Result<bool> {
    let place = format!("s3://{bucket}/{key}");
    let head = cloud.s3.head_object().bucket(bucket).key(key).send().await;
    // The key is made of its content, so only the length has to be compared: for what was cut off.
    let length = i64::try_from(zip.bytes.len()).unwrap_or(i64::MAX);
    match head {
        Ok(head) if head.content_length() == Some(length) => {
            ui.verbose(format!("the code is at {place} already"));
            return Ok(false);
        }
        // Whatever is wrong with the look at it, the upload will tell.
        Ok(_) | Err(SdkError::ServiceError(_)) => {}
        Err(error) => return Err(cloud.explain(&format!("could not look for {place}"), &error)),
    }
    let progress = ui.progress("Uploading");
    cloud
        .s3
        .put_object()
        .bucket(bucket)
        .key(key)
        .content_type("application/zip")
        .body(zip.bytes.clone().into())
        .send()
        .await
        .map_err(|error| cloud.explain(&format!("could not upload the function's code to {place}"), &error))?;
    drop(progress);
    ui.status("Uploaded", format!("{place}, {}", bytes(zip.bytes.len() as u64)));
    Ok(true)
}
