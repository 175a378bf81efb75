//! Server-side encryption in headers. Nothing is encrypted here; what was asked for is shown, and a customer's key is
//! demanded again.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::ServerSideEncryptionConfiguration;

use super::Refusal;
use super::attributes::{put, put_opt, text};
use super::model::{Bucket, Encryption};
use super::operations::settings;

impl Encryption {
    /// What the request asks for, else what the bucket does by default, else SSE-S3, which is always on.
    pub(crate) fn of(headers: &HeaderMap, bucket: &Bucket) -> Result<Self, Refusal> {
        let customer_key_md5 = customer_key(headers, "")?;
        let asked = text(headers, "x-amz-server-side-encryption");
        let key = text(headers, "x-amz-server-side-encryption-aws-kms-key-id").map(kms_key_arn);
        if customer_key_md5.is_some() {
            if let Some(algorithm) = asked {
                let message = "Server Side Encryption with Customer provided key is incompatible with the encryption method specified";
                return Err(Refusal::invalid_argument(message, "x-amz-server-side-encryption", algorithm));
            }
            return Ok(Self { customer_key_md5, ..Self::default() });
        }
        let bucket_key = text(headers, "x-amz-server-side-encryption-bucket-key-enabled")
            .map(|value| value.eq_ignore_ascii_case("true"));
        match asked {
            Some("AES256") if key.is_some() => {
                let message = "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms";
                Err(Refusal::invalid_argument(message, "x-amz-server-side-encryption", "AES256"))
            }
            Some("AES256") => Ok(Self { algorithm: Some("AES256".to_owned()), ..Self::default() }),
            Some(algorithm @ ("aws:kms" | "aws:kms:dsse")) => Ok(Self {
                algorithm: Some(algorithm.to_owned()),
                kms_key: Some(key.unwrap_or_else(|| kms_key_arn("alias/aws/s3"))),
                kms_context: text(headers, "x-amz-server-side-encryption-context").map(str::to_owned),
                bucket_key: bucket_key.filter(|enabled| *enabled),
                customer_key_md5: None,
            }),
            Some(other) => {
                let message = "The encryption method specified is not supported";
                Err(Refusal::invalid_argument(message, "x-amz-server-side-encryption", other))
            }
            None if key.is_some() => {
                let message = "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms";
                Err(Refusal::invalid_argument(message, "x-amz-server-side-encryption", "null"))
            }
            None => Ok(Self::default_of(bucket, bucket_key)),
        }
    }

    fn default_of(bucket: &Bucket, bucket_key: Option<bool>) -> Self {
        let aes = Self { algorithm: Some("AES256".to_owned()), ..Self::default() };
        let configured = settings::read::<ServerSideEncryptionConfiguration>(bucket, "encryption");
        let Some(rule) = configured.and_then(|configuration| configuration.rules.into_iter().next()) else {
            return aes;
        };
        let Some(default) = rule.apply_server_side_encryption_by_default else { return aes };
        if default.sse_algorithm.as_str() == "AES256" {
            return aes;
        }
        Self {
            algorithm: Some(default.sse_algorithm.as_str().to_owned()),
            kms_key: Some(kms_key_arn(default.kms_master_key_id.as_deref().unwrap_or("alias/aws/s3"))),
            kms_context: None,
            bucket_key: bucket_key.or(rule.bucket_key_enabled).filter(|enabled| *enabled),
            customer_key_md5: None,
        }
    }

    /// Refuses a read or a part that comes without the customer's key, or with another one. `prefix` is empty or
    /// `copy-source-`.
    pub(crate) fn check_key(&self, headers: &HeaderMap, prefix: &str) -> Result<(), Refusal> {
        let given = customer_key(headers, prefix)?;
        match (&self.customer_key_md5, given) {
            (None, None) => Ok(()),
            (Some(expected), Some(given)) if *expected == given => Ok(()),
            (Some(_), Some(_)) => Err(Refusal::access_denied(
                "Requests specifying Server Side Encryption with Customer provided keys must provide the correct secret key.",
            )),
            (Some(_), None) => Err(Refusal::invalid_request(
                "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.",
            )),
            (None, Some(_)) => {
                Err(Refusal::invalid_request("The encryption parameters are not applicable to this object."))
            }
        }
    }

    /// Adds the headers that every answer about an object or an upload has.
    pub(crate) fn show(&self, headers: &mut HeaderMap) {
        put_opt(headers, "x-amz-server-side-encryption", self.algorithm.as_deref());
        put_opt(headers, "x-amz-server-side-encryption-aws-kms-key-id", self.kms_key.as_deref());
        if self.bucket_key == Some(true) {
            put(headers, "x-amz-server-side-encryption-bucket-key-enabled", "true");
        }
        if let Some(md5) = &self.customer_key_md5 {
            put(headers, "x-amz-server-side-encryption-customer-algorithm", "AES256");
            put(headers, "x-amz-server-side-encryption-customer-key-md5", md5);
        }
    }
}

/// A key's full ARN, as KMS would give it for an id or an alias.
fn kms_key_arn(key: &str) -> String {
    if key.starts_with("arn:") {
        return key.to_owned();
    }
    let resource = if key.starts_with("alias/") { key.to_owned() } else { format!("key/{key}") };
    format!("arn:aws:kms:us-east-1:{}:{resource}", super::ACCOUNT)
}

/// The MD5 of the customer's key that a request carries, after checking that it fits the key.
fn customer_key(headers: &HeaderMap, prefix: &str) -> Result<Option<String>, Refusal> {
    let header = |name: &str| text(headers, &format!("x-amz-{prefix}server-side-encryption-customer-{name}"));
    let (algorithm, key, md5) = (header("algorithm"), header("key"), header("key-md5"));
    let (Some(algorithm), Some(key), Some(md5)) = (algorithm, key, md5) else {
        if algorithm.is_some() || key.is_some() || md5.is_some() {
            let message = "Requests specifying Server Side Encryption with Customer provided keys must provide an appropriate secret key.";
            return Err(Refusal::invalid_argument(message, "x-amz-server-side-encryption", "null"));
        }
        return Ok(None);
    };
    if algorithm != "AES256" {
        let message = "Requests specifying Server Side Encryption with Customer provided keys must provide a valid encryption algorithm.";
        return Err(Refusal::new("InvalidEncryptionAlgorithmError", 400, message));
    }
    let Some(bytes) = STANDARD.decode(key).ok().filter(|bytes| bytes.len() == 32) else {
        let message = "The secret key was invalid for the specified algorithm.";
        return Err(Refusal::invalid_argument(message, "x-amz-server-side-encryption", "null"));
    };
    if STANDARD.encode(Md5::checksum(&bytes)) != md5 {
        let message = "The calculated MD5 hash of the key did not match the hash that was provided.";
        return Err(Refusal::invalid_argument(message, "x-amz-server-side-encryption", "null"));
    }
    Ok(Some(md5.to_owned()))
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_kms_key_is_shown_by_its_arn() {
        let kms = headers(&[
            ("x-amz-server-side-encryption", "aws:kms"),
            ("x-amz-server-side-encryption-aws-kms-key-id", "1234"),
        ]);
        let encryption = Encryption::of(&kms, &Bucket::new(None, false)).unwrap();
        assert_eq!(encryption.kms_key.as_deref(), Some("arn:aws:kms:us-east-1:000000000000:key/1234"));
    }
}
