//! How a template gets to CloudFormation: with the request, or by way of S3 when it is too long for that.

use std::time::{SystemTime, UNIX_EPOCH};

use super::{Request, Stacks};
use crate::error::{Error, Result};
use crate::ui::bytes;

/// The longest template that a request carries, in bytes:
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html>.
pub(crate) const INLINE_LIMIT: usize = 51_200;
/// The longest one in S3, in bytes, by the same page.
const OBJECT_LIMIT: usize = 1_000_000;

/// Where CloudFormation finds a template.
#[derive(Debug)]
pub(super) enum TemplateLocation {
    Body(String),
    Object { bucket: String, key: String, version_id: Option<String>, url: String },
}

impl Stacks<'_> {
    /// Uploads the template when it has to be.
    pub(super) async fn locate_template(&self, request: &Request) -> Result<TemplateLocation> {
        let length = request.template.len();
        if length <= INLINE_LIMIT {
            return Ok(TemplateLocation::Body(request.template.clone()));
        }
        let Some((bucket, prefix)) = request.upload_to.clone().filter(|_| length <= OBJECT_LIMIT) else {
            return Err(Error::new(
                "TemplateTooLarge",
                format!(
                    "the template of the stack `{}` has {}, and CloudFormation takes {}",
                    request.stack,
                    bytes(length as u64),
                    bytes(if request.upload_to.is_some() { OBJECT_LIMIT } else { INLINE_LIMIT } as u64),
                ),
            )
            .hint("split it into nested stacks"));
        };
        let moment = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis());
        let key = format!("{prefix}{}-{moment:x}-{:08x}.template", request.stack, fastrand::u32(..));
        let put =
            self.cloud.s3.put_object().bucket(&bucket).key(&key).body(request.template.clone().into_bytes().into());
        let put = put.send().await.map_err(|error| {
            self.cloud.explain(&format!("could not upload the template to s3://{bucket}/{key}"), &error)
        })?;
        let url = self.object_url(&bucket, &key);
        Ok(TemplateLocation::Object { bucket, key, version_id: put.version_id, url })
    }

    /// CloudFormation keeps its own copy of a template once the change set is there.
    pub(super) async fn discard_template(&self, location: &TemplateLocation) -> Result<()> {
        let TemplateLocation::Object { bucket, key, version_id, .. } = location else { return Ok(()) };
        let delete = self.cloud.s3.delete_object().bucket(bucket).key(key).set_version_id(version_id.clone());
        delete.send().await.map(drop).map_err(|error| {
            self.cloud.explain(&format!("could not delete the uploaded template s3://{bucket}/{key}"), &error)
        })
    }

    /// With the bucket in the path: the other form has no certificate for names with dots.
    fn object_url(&self, bucket: &str, key: &str) -> String {
        let encoded: Vec<String> = key.split('/').map(percent_encoded).collect();
        let key = encoded.join("/");
        match &self.cloud.endpoint {
            Some(endpoint) => format!("{}/{bucket}/{key}", endpoint.trim_end_matches('/')),
            None => {
                let region = &self.cloud.region;
                let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
                format!("https://s3.{region}.{domain}/{bucket}/{key}")
            }
        }
    }
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::Cloud;

    #[test]
    fn an_objects_url_keeps_its_slashes_and_escapes_the_rest() {
        let cloud = Cloud::local("http://127.0.0.1:9/", "us-east-1");
        let url = Stacks::new(&cloud).object_url("b", "a b/é.yaml");
        assert_eq!(url, "http://127.0.0.1:9/b/a%20b/%C3%A9.yaml");
    }
}
