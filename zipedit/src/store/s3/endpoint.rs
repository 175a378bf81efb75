//! Where the store's requests go: to AWS, or to somebody else who speaks S3's protocol.

use std::time::Duration;

use aws_sdk_s3::presigning::PresigningConfig;

use super::S3Store;
use crate::error::Error;
use crate::store::StoreError;

/// Under which AWS has its endpoints: every partition's suffix for DNS, and that of its dual-stack endpoints. FIPS,
/// dual-stack and VPC endpoints and access points end in them, too.
const AWS: [&str; 14] = [
    ".amazonaws.com",
    ".api.aws",
    ".amazonaws.com.cn",
    ".api.amazonwebservices.com.cn",
    ".amazonaws.eu",
    ".api.amazonwebservices.eu",
    ".c2s.ic.gov",
    ".api.aws.ic.gov",
    ".sc2s.sgov.gov",
    ".api.aws.scloud",
    ".cloud.adc-e.uk",
    ".api.cloud-aws.adc-e.uk",
    ".csp.hci.ic.gov",
    ".api.aws.hci.ic.gov",
];

impl S3Store {
    /// The scheme and authority that its requests go to, such as `http://127.0.0.1:4580`; `None`: it is AWS. Nothing is
    /// sent to find that out.
    ///
    /// # Errors
    /// There are no credentials, no region, or no such endpoint: a request would fail for the same reason.
    pub async fn foreign_endpoint(&self) -> Result<Option<String>, Error> {
        let unknown = |reason: String| Error::store(&self.location, StoreError::unusable("HeadObject", reason));
        // Variables, profiles and flags have a say in where requests go; the SDK alone knows all of them, and a signed
        // request shows what came of it.
        let expiry = PresigningConfig::expires_in(Duration::from_secs(60));
        let expiry = expiry.map_err(|error| unknown(error.to_string()))?;
        let request = self.client.head_object().bucket(&self.bucket).key(&self.key).presigned(expiry).await;
        let request = request.map_err(|error| unknown(super::errors::causes(&error)))?;
        let origin = origin(request.uri());
        Ok((!is_aws(origin)).then(|| origin.to_owned()))
    }
}

/// `https://host:443` of `https://host:443/bucket/key?…`.
fn origin(url: &str) -> &str {
    let authority = url.find("://").map_or(0, |scheme| scheme + 3);
    let end = url[authority..].find(['/', '?', '#']).map_or(url.len(), |length| authority + length);
    &url[..end]
}

/// Whether a URL's host is one of AWS's.
fn is_aws(origin: &str) -> bool {
    let authority = origin.split_once("://").map_or(origin, |(_, authority)| authority);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host.split_once(':').map_or(host, |(host, _)| host);
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    AWS.iter().any(|suffix| host.ends_with(suffix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_of_aws_are_known_in_all_their_forms() {
        for host in [
            "s3.amazonaws.com",
            "my-bucket.s3.eu-west-1.amazonaws.com",
            "s3-fips.us-gov-west-1.amazonaws.com",
            "s3.dualstack.eu-west-1.amazonaws.com",
            "bucket.vpce-1a2b3c4d-5e6f.s3.us-east-1.vpce.amazonaws.com",
            "s3.cn-north-1.amazonaws.com.cn",
            "s3.eu-west-1.api.aws",
            "s3.eusc-de-east-1.amazonaws.eu",
            "S3.EU-WEST-1.AMAZONAWS.COM.",
        ] {
            assert!(is_aws(&format!("https://{host}")), "{host}");
            assert!(is_aws(&format!("http://{host}:8080")), "{host}");
        }
    }

    #[test]
    fn what_only_looks_like_aws_is_not() {
        for host in [
            "127.0.0.1:4566",
            "localhost",
            "[::1]:9000",
            "minio.example.com",
            "evilamazonaws.com",
            "s3.amazonaws.com.example.com",
            "s3.amazonaws.com@example.com",
            "account.r2.cloudflarestorage.com",
            "storage.googleapis.com",
        ] {
            assert!(!is_aws(&format!("https://{host}")), "{host}");
        }
    }

    #[test]
    fn the_origin_is_scheme_and_authority() {
        assert_eq!(origin("http://127.0.0.1:4580/b/k?X-Amz-Date=1"), "http://127.0.0.1:4580");
        assert_eq!(origin("https://b.s3.amazonaws.com"), "https://b.s3.amazonaws.com");
    }
}
